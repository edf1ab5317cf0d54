//! Where a straight segment is within a distance of a place or a line, by geodesics.
//!
//! What is known of a distance `g` along a path, measured in metres of way:
//! 1. It changes by no more than the way. So between two points that are `h` apart it is nowhere less than
//!    `low = (g(a) + g(b) - h) / 2`.
//! 2. Its second derivative is at most `1 / low + bend`: the first term is that of the distance to a point
//!    in the plane (less on an ellipsoid, whose curvature is positive, and no more for the nearest of many
//!    points), `bend` is how far the path itself is from a geodesic. So `g` is nowhere below the parabola
//!    through both ends that is bent so much.
//! 3. Beside a leg, with the feet of both ends within it and on one side, the distance to the leg's own
//!    line is a lower bound, and that has a second derivative of the order of the two bends alone.
//!
//! Stretches of which this proves that they stay outside are dropped, the others are halved, from the left.
//! So a graze at the middle of a long way is found, and long ways beside a border are cheap.

use model::geodesic_degrees_m;

use super::metric::{MAX_METRES_PER_LAT_UNIT, RADIANS_PER_UNIT, metres_per_unit};
use super::prepared::grown_by_metres;
use super::rect::Rect;
use super::ring::{Edge, LOCAL_METRIC_LIMIT_M, degrees, foot_share};

/// Entering and leaving are found to this share of a segment: 20 ns of 300 s.
const FINEST_SHARE: f64 = 1.0 / (1_u64 << 34) as f64;
/// More than every radius of curvature of the ellipsoid.
const LARGE_RADIUS_M: f64 = 6_400_000.0;
/// Less than every radius of curvature of the ellipsoid.
const SMALL_RADIUS_M: f64 = 6_335_000.0;
/// Legs are cut into pieces of about this length, so that a local metric serves for each.
const MAX_PIECE_M: f64 = 50_000.0;
/// Nearer to the poles no local metric is used.
const LOCAL_METRIC_MAX_LAT: i64 = 800_000_000;

/// First and last share of a segment.
pub(crate) type ShareRange = (f64, f64);

/// A straight way in degrees, in units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Path {
    from: (f64, f64),
    step: (f64, f64),
    /// No less than the way's length, and in proportion no less than that of any part of it.
    length_m: f64,
    /// No less than the geodesic curvature anywhere on the way, with what its speed changes.
    bend_per_m: f64,
}

impl Path {
    pub(crate) fn new(from: (f64, f64), to: (f64, f64)) -> Path {
        let step = (to.0 - from.0, to.1 - from.1);
        let nearest_to_equator =
            if from.1.signum() == to.1.signum() { from.1.abs().min(to.1.abs()) } else { 0.0 };
        let east_m = step.0 * metres_per_unit(nearest_to_equator).0;
        let north_m = step.1 * MAX_METRES_PER_LAT_UNIT;
        let length_m = (east_m * east_m + north_m * north_m).sqrt();
        // The geodesic equation's terms at a speed of a metre a metre, with sines and cosines at their most.
        let turned = step.0.abs() * RADIANS_PER_UNIT / length_m.max(1e-6);
        let climbed = step.1.abs() * RADIANS_PER_UNIT / length_m.max(1e-6);
        let bend_per_m =
            LARGE_RADIUS_M * (turned * turned / 2.0 + 2.0 * turned * climbed + 0.02 * climbed * climbed);
        Path { from, step, length_m, bend_per_m }
    }

    fn at(&self, share: f64) -> (f64, f64) {
        (self.from.0 + share * self.step.0, self.from.1 + share * self.step.1)
    }

    /// The first and last share within `limit_m` of a place.
    pub(crate) fn range_near_point(&self, centre: (f64, f64), limit_m: f64) -> Option<ShareRange> {
        let see =
            |share: f64| Seen { metres: metres_between(centre, self.at(share)), beside: Beside::Neither };
        let approach = Approach { path: self, beside_bend_per_m: 0.0, limit_m, see: &see };
        let mut range = None;
        approach.widen((0.0, 1.0), &mut range);
        range
    }

    /// The stretch of the path in a rectangle of the same frame.
    fn range_in(&self, rect: &Rect) -> Option<ShareRange> {
        let (mut first, mut last) = (0.0_f64, 1.0_f64);
        let axes = [
            (self.from.0, self.step.0, rect.min_lon, rect.max_lon),
            (self.from.1, self.step.1, rect.min_lat, rect.max_lat),
        ];
        for (from, step, min, max) in axes {
            let (to_min, to_max) = (min as f64 - from, max as f64 - from);
            if step == 0.0 {
                if to_min > 0.0 || to_max < 0.0 {
                    return None;
                }
                continue;
            }
            let (one, other) = (to_min / step, to_max / step);
            first = first.max(one.min(other));
            last = last.min(one.max(other));
        }
        (first <= last).then_some((first, last))
    }
}

/// A leg of a corridor, or a piece of it, with the rectangle that holds all within the limit of it.
#[derive(Debug)]
pub(crate) struct CorridorLeg {
    path: Path,
    limit_m: f64,
    reach: Rect,
    /// Whether the local metric serves around this leg.
    is_local: bool,
}

impl CorridorLeg {
    /// A leg as pieces that are short enough, where that helps.
    pub(crate) fn pieces((a, b): Edge, limit_m: f64) -> impl Iterator<Item = CorridorLeg> {
        let path = Path::new((a.0 as f64, a.1 as f64), (b.0 as f64, b.1 as f64));
        let reach = move |from: (f64, f64), to: (f64, f64)| {
            let outwards = [from, to].into_iter().flat_map(|(lon, lat)| {
                [(lon.floor() as i64, lat.floor() as i64), (lon.ceil() as i64, lat.ceil() as i64)]
            });
            grown_by_metres(&Rect::around(outwards), limit_m)
        };
        let whole = reach(path.at(0.0), path.at(1.0));
        let is_local = limit_m <= LOCAL_METRIC_LIMIT_M
            && whole.min_lat >= -LOCAL_METRIC_MAX_LAT
            && whole.max_lat <= LOCAL_METRIC_MAX_LAT;
        let count = if is_local { (path.length_m / MAX_PIECE_M).ceil().max(1.0) } else { 1.0 };
        (0..count as u32).map(move |i| {
            let end = |i: u32| path.at(f64::from(i) / count);
            let (from, to) = (end(i), end(i + 1));
            CorridorLeg { path: Path::new(from, to), limit_m, reach: reach(from, to), is_local }
        })
    }

    pub(crate) fn reach(&self) -> &Rect {
        &self.reach
    }

    /// Widens a range by the shares of a path that are within the limit of this leg. The path is in a frame
    /// in which it may meet the leg's reach.
    pub(crate) fn widen(&self, path: &Path, range: &mut Option<ShareRange>) {
        let Some(stretch) = path.range_in(&self.reach) else { return };
        let see = |share: f64| {
            let at = path.at(share);
            if self.is_local { self.see_locally(at) } else { self.see_from_afar(at) }
        };
        // Curves beside a bent one are bent more; and geodesics that start out parallel draw together.
        let reach_m = self.limit_m + MAX_PIECE_M;
        let drawn = 2.0 * reach_m / (SMALL_RADIUS_M * SMALL_RADIUS_M);
        let beside_bend_per_m = 2.0 * (path.bend_per_m + self.path.bend_per_m) + drawn;
        let approach = Approach { path, beside_bend_per_m, limit_m: self.limit_m, see: &see };
        approach.widen(stretch, range);
    }

    /// By the foot in the metric half-way between the position and the foot.
    fn see_locally(&self, at: (f64, f64)) -> Seen {
        const ROUNDS: u32 = 3;
        let (from, step) = (self.path.from, self.path.step);
        let (mut share, mut middle_lat) = (0.0, at.1);
        for _ in 0..ROUNDS {
            let (east, north) = metres_per_unit(middle_lat);
            let a = ((from.0 - at.0) * east, (from.1 - at.1) * north);
            let b = (a.0 + step.0 * east, a.1 + step.1 * north);
            share = foot_share(a, b);
            middle_lat = (at.1 + self.path.at(share).1) / 2.0;
        }
        let turn = step.0 * (at.1 - from.1) - step.1 * (at.0 - from.0);
        let beside = match share > 0.0 && share < 1.0 {
            true if turn > 0.0 => Beside::Left,
            true if turn < 0.0 => Beside::Right,
            _ => Beside::Neither,
        };
        Seen { metres: metres_between(at, self.path.at(share)), beside }
    }

    /// The least distance by the same reasoning as for the path: stretches of the leg of which it is proven
    /// that they are no nearer are dropped, the others halved.
    fn see_from_afar(&self, at: (f64, f64)) -> Seen {
        let see =
            |share: f64| Seen { metres: metres_between(at, self.path.at(share)), beside: Beside::Neither };
        let (start, end) = (see(0.0), see(1.0));
        let mut least_m = start.metres.min(end.metres);
        let mut stretches = vec![(0.0, 1.0, start, end)];
        while let Some((a, b, at_a, at_b)) = stretches.pop() {
            let fine_m = (least_m * 1e-10).max(1e-7);
            if least_between_m(at_a, at_b, (b - a) * self.path.length_m, self.path.bend_per_m)
                >= least_m - fine_m
            {
                continue;
            }
            let middle = (a + b) / 2.0;
            let seen = see(middle);
            least_m = least_m.min(seen.metres);
            stretches.extend([(a, middle, at_a, seen), (middle, b, seen, at_b)]);
        }
        Seen { metres: least_m, beside: Beside::Neither }
    }
}

/// A distance, and where it is seen from.
#[derive(Clone, Copy, Debug)]
struct Seen {
    metres: f64,
    beside: Beside,
}

/// On which side of a leg a position is whose foot is within the leg, and not at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Left,
    Right,
    Neither,
}

/// A lower bound of the distance between two points that are at most `way_m` apart on a path; see the module.
fn least_between_m(a: Seen, b: Seen, way_m: f64, bend_per_m: f64) -> f64 {
    let low = (a.metres + b.metres - way_m) / 2.0;
    if low <= 0.0 {
        return low;
    }
    low.max(parabola_least_m(a.metres, b.metres, way_m, 1.0 / low + bend_per_m))
}

/// The least of the parabola through two values `way_m` apart whose second derivative is `bend_per_m`.
fn parabola_least_m(a: f64, b: f64, way_m: f64, bend_per_m: f64) -> f64 {
    let rise = bend_per_m * way_m * way_m / 2.0;
    if (b - a).abs() >= rise {
        return a.min(b);
    }
    (a + b) / 2.0 - rise / 4.0 - (b - a) * (b - a) / (4.0 * rise)
}

/// A search for where a path is within a limit.
struct Approach<'a> {
    path: &'a Path,
    /// Bounds the second derivative of the distance where both ends of a stretch are on one side of a leg.
    beside_bend_per_m: f64,
    limit_m: f64,
    see: &'a dyn Fn(f64) -> Seen,
}

impl Approach<'_> {
    /// Widens a range by the shares of a stretch that are within the limit.
    fn widen(&self, (low, high): ShareRange, range: &mut Option<ShareRange>) {
        let Some((first, last)) = *range else {
            if let Some(first) = self.first_within((low, high), self.see) {
                *range = Some((first, self.last_within((first, high)).unwrap_or(first)));
            }
            return;
        };
        let first = if low < first { self.first_within((low, high.min(first)), self.see) } else { None }
            .unwrap_or(first);
        let last = if high > last { self.last_within((low.max(last), high)) } else { None }.unwrap_or(last);
        *range = Some((first, last));
    }

    fn last_within(&self, (low, high): ShareRange) -> Option<f64> {
        let back = self.first_within((1.0 - high, 1.0 - low), &|share| (self.see)(1.0 - share))?;
        Some(1.0 - back)
    }

    fn first_within(&self, (low, high): ShareRange, see: &dyn Fn(f64) -> Seen) -> Option<f64> {
        // Grazes that are shallower are not looked for: less than geodesics are exact to.
        let graze_m = (self.limit_m * 1e-9).max(1e-5);
        let start = see(low);
        if start.metres <= self.limit_m {
            return Some(low);
        }
        // Each begins outside, and all before the last of them is known to be outside: one whose end is
        // within is never left without an answer.
        let mut stretches = vec![(low, high, start, see(high))];
        while let Some((a, b, at_a, at_b)) = stretches.pop() {
            let ends_within = at_b.metres <= self.limit_m;
            if ends_within && b - a <= FINEST_SHARE {
                return Some(b);
            }
            if !ends_within && self.least_between_m(at_a, at_b, b - a) > self.limit_m - graze_m {
                continue;
            }
            let middle = (a + b) / 2.0;
            let seen = see(middle);
            if seen.metres > self.limit_m {
                stretches.push((middle, b, seen, at_b));
            }
            stretches.push((a, middle, at_a, seen));
        }
        None
    }

    fn least_between_m(&self, a: Seen, b: Seen, share: f64) -> f64 {
        let way_m = share * self.path.length_m;
        let least_m = least_between_m(a, b, way_m, self.path.bend_per_m);
        if a.beside != b.beside || a.beside == Beside::Neither {
            return least_m;
        }
        least_m.max(parabola_least_m(a.metres, b.metres, way_m, self.beside_bend_per_m))
    }
}

/// The geodesic between two places in units that need not be whole, their longitudes unwrapped.
fn metres_between(a: (f64, f64), b: (f64, f64)) -> f64 {
    geodesic_degrees_m(degrees(a), degrees(b))
}
