//! Where a straight segment between two positions meets a shape, and when.
//!
//! ```text
//!   from ----o=======o----- hole -----o====o----> to      "=" within the shape
//!            first entering                last leaving
//! ```
//!
//! A shape is closed: its boundary belongs to it, that of its holes too. So the first and the last share of
//! the segment within it are reached. Along a polygon's segment nothing changes but where it meets an edge;
//! these meeting points are rational, and each is tested exactly. Of circles and corridors, see
//! [`approach`](super::approach).

use std::cmp::Ordering;

use model::Coord;

use super::approach::{CorridorLeg, Path};
use super::metric::short_lon_step;
use super::prepared::{Area, Part, PreparedShape, grown_by_metres};
use super::rect::Rect;
use super::ring::{Edge, EdgeSet, PlanePoint};

impl PreparedShape {
    /// When a vehicle was in the shape that went straight (in degrees, the short way round) from one
    /// position to another, each with its time in milliseconds: in the middle between first entering and
    /// last leaving, rounded half to even. `None` where the segment does not meet the shape.
    #[must_use]
    pub fn crossed_at(&self, from: (i64, Coord), to: (i64, Coord)) -> Option<i64> {
        let (first, last) = self.shares_within(from.1, to.1)?;
        Some(middle_time_ms(from.0, to.0, first, last))
    }

    /// The first and the last share of the straight segment that are within the shape.
    pub(super) fn shares_within(&self, from: Coord, to: Coord) -> Option<(Share, Share)> {
        let segment = Segment::new(from, to);
        let rect = segment.rect();
        if !self.bounds().iter().any(|bounds| rect.shifts_onto(bounds).next().is_some()) {
            return None;
        }
        match self.area() {
            Area::Polygon { parts } => segment.within_polygon(parts),
            Area::Circle { around, radius_m } => {
                let centre = (f64::from(around.centre().lon), f64::from(around.centre().lat));
                let (first, last) = segment.path().range_near_point(centre, *radius_m)?;
                Some((Share::from_f64(first), Share::from_f64(last)))
            }
            Area::Corridor { line, half_width_m } => segment.within_corridor(line, *half_width_m),
        }
    }
}

/// The rectangles within ±180° that hold the straight segment between two positions, the short way round.
#[must_use]
pub fn segment_rects(from: Coord, to: Coord) -> Vec<Rect> {
    Segment::new(from, to).rect().wrapped()
}

/// A straight segment in units; its end may lie beyond ±180°.
#[derive(Clone, Copy, Debug)]
struct Segment {
    from: (i64, i64),
    /// At most half a turn in longitude and latitude.
    step: (i64, i64),
}

impl Segment {
    fn new(from: Coord, to: Coord) -> Segment {
        let step = (short_lon_step(from.lon, to.lon), i64::from(to.lat) - i64::from(from.lat));
        Segment { from: (from.lon.into(), from.lat.into()), step }
    }

    fn to(&self) -> (i64, i64) {
        (self.from.0 + self.step.0, self.from.1 + self.step.1)
    }

    fn rect(&self) -> Rect {
        Rect::around([self.from, self.to()].into_iter())
    }

    fn path(&self) -> Path {
        let units = |(lon, lat): (i64, i64)| (lon as f64, lat as f64);
        Path::new(units(self.from), units(self.to()))
    }

    /// The segment in the frames of longitude, whole turns apart, in which it may meet a rectangle.
    fn frames_of(&self, rect: &Rect) -> impl Iterator<Item = Segment> + use<> {
        let segment = *self;
        self.rect()
            .shifts_onto(rect)
            .map(move |shift| Segment { from: (segment.from.0 + shift, segment.from.1), ..segment })
    }

    /// The first and last share that a polygon's parts cover.
    fn within_polygon(&self, parts: &[Part]) -> Option<(Share, Share)> {
        let mut shares = vec![Share::START, Share::END];
        for ring in parts.iter().flat_map(Part::rings) {
            for segment in self.frames_of(ring.bounds()) {
                segment.shares_on_edges(ring, &mut shares);
            }
        }
        shares.sort_unstable();
        let is_covered = |share: &Share| {
            let side = |ring: &EdgeSet| {
                ring.side_of(
                    self.frames_of(ring.bounds()).map(|segment| SegmentPoint { segment, share: *share }),
                )
            };
            parts.iter().any(|part| part.covers_by(side))
        };
        let first = *shares.iter().find(|share| is_covered(share))?;
        let last = *shares.iter().rfind(|share| is_covered(share))?;
        Some((first, last))
    }

    /// Adds the shares at which the segment meets a ring's edges, of a stretch along an edge both ends.
    fn shares_on_edges(&self, ring: &EdgeSet, out: &mut Vec<Share>) {
        let rect = self.rect();
        ring.any_edge_between(rect.min_lat, rect.max_lat, |edge| {
            if Rect::around([edge.0, edge.1].into_iter()).meets(&rect) {
                out.extend(self.shares_on_edge(edge).into_iter().flatten());
            }
            false
        });
    }

    /// The edge's rectangle meets that of the segment, and each reaches over at most 1.8e9 units either way:
    /// differences are at most 3.6e9, products 6.5e18, which fits, but their sums may not: hence the `i128`.
    fn shares_on_edge(&self, (a, b): Edge) -> [Option<Share>; 2] {
        let edge = (b.0 - a.0, b.1 - a.1);
        let away = (a.0 - self.from.0, a.1 - self.from.1);
        let crossed = cross(self.step, edge);
        let (of_segment, of_edge) = (cross(away, edge), cross(away, self.step));
        if crossed != 0 {
            let sign = crossed.signum();
            let whole = crossed * sign;
            let meet = [of_segment, of_edge].iter().all(|part| (0..=whole).contains(&(part * sign)));
            return [meet.then(|| Share::new(of_segment * sign, whole)), None];
        }
        let whole = dot(self.step, self.step);
        if of_edge != 0 || whole == 0 {
            return [None, None];
        }
        // On one line: the stretch that they share, if they do.
        let ends = [a, b].map(|(lon, lat)| dot((lon - self.from.0, lat - self.from.1), self.step));
        let (low, high) = (ends[0].min(ends[1]).max(0), ends[0].max(ends[1]).min(whole));
        if low > high {
            return [None, None];
        }
        [Some(Share::new(low, whole)), Some(Share::new(high, whole))]
    }

    /// The first and last share within a distance of a line.
    fn within_corridor(&self, line: &EdgeSet, half_width_m: f64) -> Option<(Share, Share)> {
        let near = grown_by_metres(&self.rect(), half_width_m);
        let mut legs: Vec<Edge> = Vec::new();
        line.any_edge_between(near.min_lat, near.max_lat, |leg| {
            if Rect::around([leg.0, leg.1].into_iter()).shifts_onto(&near).next().is_some() {
                legs.push(leg);
            }
            false
        });
        // Tall legs are seen once for each band that they meet.
        legs.sort_unstable();
        legs.dedup();
        let mut range: Option<(f64, f64)> = None;
        for leg in legs.into_iter().flat_map(|leg| CorridorLeg::pieces(leg, half_width_m)) {
            for segment in self.frames_of(leg.reach()) {
                leg.widen(&segment.path(), &mut range);
            }
        }
        let (first, last) = range?;
        Some((Share::from_f64(first), Share::from_f64(last)))
    }
}

fn cross(a: (i64, i64), b: (i64, i64)) -> i128 {
    i128::from(a.0) * i128::from(b.1) - i128::from(a.1) * i128::from(b.0)
}

fn dot(a: (i64, i64), b: (i64, i64)) -> i128 {
    i128::from(a.0) * i128::from(b.0) + i128::from(a.1) * i128::from(b.1)
}

/// A share of a segment, `part / whole`: `0 <= part <= whole < 2^63`, so that products of two fit an `i128`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) part: i128,
    pub(super) whole: i128,
}

impl Share {
    pub(super) const START: Share = Share { part: 0, whole: 1 };
    pub(super) const END: Share = Share { part: 1, whole: 1 };

    fn new(part: i128, whole: i128) -> Share {
        debug_assert!((0..=whole).contains(&part) && whole > 0 && whole <= i128::from(i64::MAX));
        Share { part, whole }
    }

    /// Of a number between 0 and 1, to 2^-60.
    fn from_f64(share: f64) -> Share {
        const WHOLE: i128 = 1 << 60;
        Share::new((share.clamp(0.0, 1.0) * WHOLE as f64) as i128, WHOLE)
    }
}

impl Ord for Share {
    fn cmp(&self, other: &Share) -> Ordering {
        (self.part * other.whole).cmp(&(other.part * self.whole))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Share) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Share) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}

/// The point at a share of a segment: `from + step * part / whole`, so that `whole` times its coordinates
/// are whole numbers.
#[derive(Clone, Copy)]
struct SegmentPoint {
    segment: Segment,
    share: Share,
}

impl SegmentPoint {
    /// `whole` times the way from a place to the point, in longitude.
    fn east_of(&self, lon: i64) -> i128 {
        let Segment { from, step } = self.segment;
        i128::from(from.0 - lon) * self.share.whole + i128::from(step.0) * self.share.part
    }

    fn north_of(&self, lat: i64) -> i128 {
        let Segment { from, step } = self.segment;
        i128::from(from.1 - lat) * self.share.whole + i128::from(step.1) * self.share.part
    }
}

impl PlanePoint for SegmentPoint {
    fn floor_lat(&self) -> i64 {
        self.north_of(0).div_euclid(self.share.whole) as i64
    }

    fn cmp_lon(&self, lon: i64) -> Ordering {
        self.east_of(lon).cmp(&0)
    }

    fn cmp_lat(&self, lat: i64) -> Ordering {
        self.north_of(lat).cmp(&0)
    }

    fn turn(&self, low: (i64, i64), high: (i64, i64)) -> Ordering {
        // The point is within the edge's bounds, so it is at most 1.8e9 from `low`, times `whole` 1.2e28;
        // times 1.8e9 again that is 2.1e37, and the sum of two is below an i128's 1.7e38.
        let east = i128::from(high.0 - low.0) * self.north_of(low.1);
        let north = i128::from(high.1 - low.1) * self.east_of(low.0);
        east.cmp(&north)
    }
}

/// The time at the middle of two shares, rounded half to even.
fn middle_time_ms(from_ms: i64, to_ms: i64, first: Share, last: Share) -> i64 {
    let span_ms = i128::from(to_ms) - i128::from(from_ms);
    // Whole milliseconds and the rests apart: with wholes below 6.5e18 nothing exceeds 8.5e37.
    let (first_ms, first_rest) = divide(span_ms * first.part, first.whole);
    let (last_ms, last_rest) = divide(span_ms * last.part, last.whole);
    let (carry, rest) = divide(first_rest * last.whole + last_rest * first.whole, first.whole * last.whole);
    // Twice the time, without what is less than a millisecond of that.
    let doubled = 2 * i128::from(from_ms) + first_ms + last_ms + carry;
    let (below, half) = divide(doubled, 2);
    let rounds_up = half == 1 && (rest > 0 || below.rem_euclid(2) == 1);
    (below + i128::from(rounds_up)) as i64
}

fn divide(dividend: i128, divisor: i128) -> (i128, i128) {
    (dividend.div_euclid(divisor), dividend.rem_euclid(divisor))
}
