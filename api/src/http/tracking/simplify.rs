//! A track with fewer points that looks the same: Douglas and Peucker's algorithm on a bounded number of points.

use model::TimeMs;

use crate::views::TrackFix;

/// The most points of a track that is shown.
pub(super) const MAX_POINTS: usize = 500;
/// More fixes than this are thinned out evenly first: the algorithm may take their square.
const MAX_LOOKED_AT: usize = 4000;
/// Points nearer than this to the line are left out, to begin with.
const TOLERANCE_M: f64 = 10.0;
const METRES_PER_DEGREE: f64 = 111_320.0;

/// A point of a shown track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub event_time: TimeMs,
    pub lon: f64,
    pub lat: f64,
}

/// The first and the last fix, and as many between them as it takes to follow the others; at most [`MAX_POINTS`].
pub(super) fn simplified(fixes: &[TrackFix]) -> Vec<Point> {
    let stride = fixes.len().div_ceil(MAX_LOOKED_AT).max(1);
    let last = fixes.len().saturating_sub(1);
    let thinned = fixes.iter().enumerate().filter(|(i, _)| i % stride == 0 || *i == last);
    let points: Vec<Point> = thinned
        .map(|(_, fix)| Point {
            event_time: fix.event_time,
            lon: fix.at.lon_degrees(),
            lat: fix.at.lat_degrees(),
        })
        .collect();
    let on_plane = plane(&points);
    let mut tolerance_m = TOLERANCE_M;
    loop {
        let kept = kept(&on_plane, tolerance_m);
        let count = kept.iter().filter(|is_kept| **is_kept).count();
        if count <= MAX_POINTS {
            return points
                .iter()
                .zip(kept)
                .filter_map(|(point, is_kept)| is_kept.then_some(*point))
                .collect();
        }
        tolerance_m *= 2.0;
    }
}

/// Metres east and north of the first point, near enough to choose by. Longitudes run the short way round.
fn plane(points: &[Point]) -> Vec<(f64, f64)> {
    let Some(origin) = points.first() else { return Vec::new() };
    let metres_per_degree_east = METRES_PER_DEGREE * origin.lat.to_radians().cos();
    let east = |lon: f64| (lon - origin.lon + 540.0).rem_euclid(360.0) - 180.0;
    let on_plane = |point: &Point| {
        (east(point.lon) * metres_per_degree_east, (point.lat - origin.lat) * METRES_PER_DEGREE)
    };
    points.iter().map(on_plane).collect()
}

fn kept(points: &[(f64, f64)], tolerance_m: f64) -> Vec<bool> {
    let mut kept = vec![false; points.len()];
    let Some(last) = points.len().checked_sub(1) else { return kept };
    (kept[0], kept[last]) = (true, true);
    let mut stretches = vec![(0, last)];
    while let Some((from, to)) = stretches.pop() {
        let distances = (from + 1..to).map(|i| (i, distance_m(points[i], points[from], points[to])));
        let farthest = distances.max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((i, distance_m)) = farthest
            && distance_m > tolerance_m
        {
            kept[i] = true;
            stretches.extend([(from, i), (i, to)]);
        }
    }
    kept
}

/// From a point to the straight line between two others, ends included.
fn distance_m(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length_2 = dx * dx + dy * dy;
    let along = if length_2 > 0.0 {
        (((point.0 - from.0) * dx + (point.1 - from.1) * dy) / length_2).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (point.0 - from.0 - along * dx).hypot(point.1 - from.1 - along * dy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(lon: f64, lat: f64) -> Point {
        Point { event_time: TimeMs(0), lon, lat }
    }

    fn indices(points: &[Point], tolerance_m: f64) -> Vec<usize> {
        let kept = kept(&plane(points), tolerance_m);
        kept.iter().enumerate().filter_map(|(i, is_kept)| is_kept.then_some(i)).collect()
    }

    #[test]
    fn corners_stay_and_straight_stretches_go() {
        let mut street: Vec<Point> = (0..=10).map(|i| point(3.4 + f64::from(i) * 0.001, 6.5)).collect();
        street.extend((1..=10).map(|i| point(3.41, 6.5 + f64::from(i) * 0.001)));
        assert_eq!(indices(&street, TOLERANCE_M), [0, 10, 20]);
        // There and back again: the turning point is far from the line between two ends that are one.
        let back: Vec<Point> = street.iter().chain(street.iter().rev()).copied().collect();
        assert_eq!(indices(&back, TOLERANCE_M), [0, 10, 21, 31, 41]);
    }

    #[test]
    fn the_antimeridian_is_no_corner() {
        let points = [point(179.99, 0.0), point(-180.0, 0.0), point(-179.99, 0.0)];
        assert_eq!(indices(&points, TOLERANCE_M), [0, 2]);
    }

    #[test]
    fn few_points_stay_as_they_are() {
        assert!(indices(&[], 1.0).is_empty());
        assert_eq!(indices(&[point(0.0, 0.0)], 1.0), [0]);
        assert_eq!(indices(&[point(0.0, 0.0), point(0.0, 0.0)], 1.0), [0, 1]);
    }
}
