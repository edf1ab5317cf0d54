//! Geometry as plainly as it can be said: winding numbers in wide integers, distances by dense sampling.

use model::{Coord, Ring, Shape, geodesic_degrees_m, geodesic_m};

use crate::spatial::metric::FULL_TURN;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Outside,
    Boundary,
    Inside,
}

/// The quarter around the origin that a vector points to, the axes shared out evenly.
fn quarter((x, y): (i128, i128)) -> i32 {
    match (x > 0, y > 0) {
        (true, _) if y >= 0 => 0,
        (_, true) if x <= 0 => 1,
        _ if x < 0 && y <= 0 => 2,
        _ => 3,
    }
}

/// By the winding number, whose parity is that of the even-odd rule.
fn side_of_ring(ring: &Ring, lon: i64, lat: i64) -> Side {
    let away = |&(x, y): &(i64, i64)| (i128::from(x) - i128::from(lon), i128::from(y) - i128::from(lat));
    let mut quarters = 0;
    for pair in ring.vertices.windows(2) {
        let (a, b) = (away(&pair[0]), away(&pair[1]));
        let cross = a.0 * b.1 - a.1 * b.0;
        let between = a.0 * b.0 <= 0 && a.1 * b.1 <= 0;
        if cross == 0 && between {
            return Side::Boundary;
        }
        quarters += match (quarter(b) - quarter(a)).rem_euclid(4) {
            0 => 0,
            1 => 1,
            3 => -1,
            _ => 2 * cross.signum() as i32,
        };
    }
    assert_eq!(quarters % 4, 0, "a closed ring turns by whole turns");
    if quarters / 4 % 2 != 0 { Side::Inside } else { Side::Outside }
}

/// `turn` is a whole turn in the ring's units.
fn side(ring: &Ring, (lon, lat): (i64, i64), turn: i64) -> Side {
    let sides: Vec<Side> = (-3..=3).map(|turns| side_of_ring(ring, lon + turns * turn, lat)).collect();
    let has = |wanted| sides.contains(&wanted);
    match (has(Side::Boundary), has(Side::Inside)) {
        (true, _) => Side::Boundary,
        (_, true) => Side::Inside,
        _ => Side::Outside,
    }
}

/// Whether a polygon's parts cover a position.
pub(super) fn polygon_covers(parts: &[Vec<Ring>], at: Coord) -> bool {
    covers(parts, (at.lon.into(), at.lat.into()), FULL_TURN)
}

fn covers(parts: &[Vec<Ring>], at: (i64, i64), turn: i64) -> bool {
    parts.iter().any(|rings| {
        side(&rings[0], at, turn) != Side::Outside
            && rings[1..].iter().all(|hole| side(hole, at, turn) != Side::Inside)
    })
}

/// Whether a polygon's parts cover the point at a share `part / whole` of a segment: everything is enlarged by
/// `whole`, so that the point has whole coordinates.
pub(super) fn polygon_covers_share(
    parts: &[Vec<Ring>],
    (from, step): ((i64, i64), (i64, i64)),
    (part, whole): (i64, i64),
) -> bool {
    let enlarge = |ring: &Ring| Ring {
        vertices: ring.vertices.iter().map(|&(lon, lat)| (lon * whole, lat * whole)).collect(),
    };
    let enlarged: Vec<Vec<Ring>> = parts.iter().map(|rings| rings.iter().map(enlarge).collect()).collect();
    let at = (from.0 * whole + step.0 * part, from.1 * whole + step.1 * part);
    covers(&enlarged, at, FULL_TURN * whole)
}

/// The geodesic in metres from a position to the nearest point of a line, by zooming in on samples.
pub(super) fn line_distance_m(line: &Ring, at: Coord) -> f64 {
    let origin = (at.lon_degrees(), at.lat_degrees());
    let to_edge = |a: (i64, i64), b: (i64, i64)| {
        let metres = |share: f64| {
            let lon = (a.0 as f64 + share * (b.0 - a.0) as f64) / 1e7;
            let lat = (a.1 as f64 + share * (b.1 - a.1) as f64) / 1e7;
            geodesic_degrees_m(origin, (lon - 360.0 * (lon / 360.0).round(), lat.clamp(-90.0, 90.0)))
        };
        let (mut low, mut high, mut nearest) = (0.0, 1.0, f64::INFINITY);
        let mut samples = 100;
        while (high - low) * (b.0 - a.0).abs().max((b.1 - a.1).abs()).max(1) as f64 > 0.01 {
            let step = (high - low) / f64::from(samples);
            let sampled = (0..=samples).map(|i| low + f64::from(i) * step).map(|s| (metres(s), s));
            let (best_m, best) = sampled.min_by(|x, y| x.0.total_cmp(&y.0)).unwrap();
            nearest = best_m.min(nearest);
            (low, high) = ((best - step).max(0.0), (best + step).min(1.0));
            samples = 8;
        }
        nearest
    };
    line.vertices.windows(2).map(|pair| to_edge(pair[0], pair[1])).fold(f64::INFINITY, f64::min)
}

/// How far outside of a shape a position is in metres; not more than 0 where it is inside.
pub(super) fn distance_m(shape: &Shape, at: Coord) -> f64 {
    match shape {
        Shape::Circle { centre, radius_m } => geodesic_m(*centre, at) - radius_m,
        Shape::Corridor { line, width_m } => line_distance_m(line, at) - width_m / 2.0,
        Shape::Polygon { parts } if polygon_covers(parts, at) => 0.0,
        Shape::Polygon { parts } => {
            parts.iter().flatten().map(|ring| line_distance_m(ring, at)).fold(f64::INFINITY, f64::min)
        }
    }
}
