//! When a straight segment, in degrees and the short way round, is in a shape: first and last.
//!
//! Polygons are decided in integers: where the segment meets an edge is a fraction of two integers, and so is
//! the point there. What happens between two such fractions is the same all along, and the shape holds its
//! boundary, so the first and the last point of the segment in the shape are among them. Circles and corridors
//! are decided by the distance along the segment, piece by piece.

use std::cmp::Ordering;

use model::{Coord, Ring, TimeMs, UNITS_PER_DEGREE, geodesic_degrees_m};

use super::{
    Bounds, Edge, FULL_TURN, Form, Geometry, Place, Point, SAMPLE_DEGREES, SEARCH_ENDS_DEGREES, degrees,
    distance_to_edge_m, golden_section_minimum,
};

/// No degree is longer: of longitude that at the equator, of latitude that at a pole.
const LONGEST_DEGREE_OF_LONGITUDE_M: f64 = 111_320.0;
const LONGEST_DEGREE_OF_LATITUDE_M: f64 = 111_695.0;
/// A border is found when it is known to this fraction of the segment: of 300 s, a third of a nanosecond.
const BORDER_ENDS: f64 = 1e-12;
const MAX_STEPS_TO_BORDER: usize = 100;

/// A straight way from one position to another.
#[derive(Clone, Copy)]
struct Segment {
    from: Coord,
    /// Units to the east and to the north, the short way round.
    step: (i64, i64),
}

/// A part of a segment between 0 and 1, exact.
#[derive(Clone, Copy, Debug)]
struct Fraction {
    numerator: i128,
    /// Positive. As an area that two steps of at most 1.8e9 units span it is below 2^63.
    denominator: i128,
}

impl Geometry {
    /// The time halfway between first entering the shape and last leaving it, for who goes straight and evenly
    /// from one position to another; to the millisecond, half to even. `None` when the way does not meet the
    /// shape. An end inside counts as entering or leaving there.
    #[must_use]
    pub fn crossed_at(&self, from: (TimeMs, Coord), to: (TimeMs, Coord)) -> Option<TimeMs> {
        let segment = Segment::between(from.1, to.1);
        let way = Bounds::of(&[segment.at(0.0), segment.at(1.0)]);
        if !self.bounds.meet(&way) {
            return None;
        }
        let lasts_ms = to.0.0 - from.0.0;
        let reach = |distance: &dyn Fn(Point) -> f64, metres| span_within(segment, distance, metres);
        match &self.form {
            Form::Polygon { parts, .. } => {
                let (first, last) = span_in_polygon(parts, segment)?;
                Some(exact_middle(from.0, lasts_ms, first, last))
            }
            Form::Circle { centre, radius_m } => {
                let (first, last) = reach(&|point| geodesic_degrees_m(degrees(*centre), point), *radius_m)?;
                Some(rounded_middle(from.0, lasts_ms, first, last))
            }
            Form::Corridor { legs, half_width_m } => {
                let near = |leg: &&Edge| Bounds::of(&[leg.0, leg.1]).grown(*half_width_m).meet(&way);
                let (first, last) = legs
                    .iter()
                    .filter(near)
                    .filter_map(|&leg: &Edge| reach(&|point| distance_to_edge_m(point, leg), *half_width_m))
                    .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
                Some(rounded_middle(from.0, lasts_ms, first, last))
            }
        }
    }
}

impl Segment {
    fn between(from: Coord, to: Coord) -> Segment {
        let east = i64::from(to.lon) - i64::from(from.lon);
        let half_turn = FULL_TURN / 2;
        let turns = if east > half_turn {
            -1
        } else if east < -half_turn {
            1
        } else {
            0
        };
        let north = i64::from(to.lat) - i64::from(from.lat);
        Segment { from, step: (east + turns * FULL_TURN, north) }
    }

    /// Roughly where; the longitude may be beyond 180 degrees.
    fn at(&self, t: f64) -> Point {
        let per_degree = UNITS_PER_DEGREE as f64;
        let (lon, lat) = degrees(self.from);
        (lon + self.step.0 as f64 / per_degree * t, lat + self.step.1 as f64 / per_degree * t)
    }
}

// ---- through a polygon -----------------------------------------------------------------------------

/// The first and the last fraction at which the segment is in the polygon.
fn span_in_polygon(parts: &[Vec<Ring>], segment: Segment) -> Option<(Fraction, Fraction)> {
    let mut fractions =
        vec![Fraction { numerator: 0, denominator: 1 }, Fraction { numerator: 1, denominator: 1 }];
    for ring in parts.iter().flatten() {
        for image in images(ring, segment) {
            for edge in ring.vertices.windows(2) {
                meetings(image, segment.step, (edge[0], edge[1]), &mut fractions);
            }
        }
    }
    fractions.sort_by(Fraction::compare);
    let is_covered = |fraction: &&Fraction| parts.iter().any(|part| part_covers(part, segment, **fraction));
    let first = fractions.iter().find(is_covered)?;
    let last = fractions.iter().rfind(is_covered)?;
    Some((*first, *last))
}

/// Where the segment begins, in all turns in which it may meet a ring, whose longitudes are unwrapped.
fn images(ring: &Ring, segment: Segment) -> impl Iterator<Item = (i64, i64)> {
    let lons = || ring.vertices.iter().map(|vertex| vertex.0);
    let (west, east) = (lons().min().unwrap_or(0), lons().max().unwrap_or(0));
    (-3..=3).map(move |turns| i64::from(segment.from.lon) + turns * FULL_TURN).filter_map(move |lon| {
        let end = lon + segment.step.0;
        (lon.min(end) <= east && lon.max(end) >= west).then_some((lon, i64::from(segment.from.lat)))
    })
}

/// The fractions of a segment at which it meets an edge; of a stretch that they share, both ends.
fn meetings(
    start: (i64, i64),
    step: (i64, i64),
    edge: ((i64, i64), (i64, i64)),
    fractions: &mut Vec<Fraction>,
) {
    let cross =
        |u: (i64, i64), v: (i64, i64)| i128::from(u.0) * i128::from(v.1) - i128::from(u.1) * i128::from(v.0);
    let minus = |u: (i64, i64), v: (i64, i64)| (u.0 - v.0, u.1 - v.1);
    let (along, to_edge) = (minus(edge.1, edge.0), minus(edge.0, start));
    let area = cross(step, along);
    if area != 0 {
        let on_segment = Fraction::new(cross(to_edge, along), area);
        let on_edge = Fraction::new(cross(to_edge, step), area);
        if on_segment.is_part() && on_edge.is_part() {
            fractions.push(on_segment);
        }
    } else if cross(to_edge, step) == 0 && step != (0, 0) {
        for vertex in [edge.0, edge.1] {
            let way = minus(vertex, start);
            let fraction = if step.0 != 0 {
                Fraction::new(i128::from(way.0), i128::from(step.0))
            } else {
                Fraction::new(i128::from(way.1), i128::from(step.1))
            };
            if fraction.is_part() {
                fractions.push(fraction);
            }
        }
    }
}

/// Whether the point of the segment is in the first ring, and not in the interiors of the others.
fn part_covers(part: &[Ring], segment: Segment, fraction: Fraction) -> bool {
    let is_at = |ring: &Ring, wanted: fn(Place) -> bool| {
        images(ring, segment).any(|start| wanted(place_in_ring(ring, start, segment.step, fraction)))
    };
    let Some((outer, holes)) = part.split_first() else {
        return false;
    };
    is_at(outer, |place| place != Place::Exterior)
        && !holes.iter().any(|hole| is_at(hole, |place| place == Place::Interior))
}

/// Even-odd, with all coordinates multiplied by the fraction's denominator.
///
/// Numbers stay below 2^127: a ring spans 2 turns at most and its edges half a turn, so that the area of a
/// triangle is at most 1.8e9 x 1.8e9 + 1.8e9 x 7.2e9 units, times a denominator of at most 6.5e18.
fn place_in_ring(ring: &Ring, start: (i64, i64), step: (i64, i64), fraction: Fraction) -> Place {
    let scale = fraction.denominator;
    let scaled = |start: i64, step: i64| i128::from(start) * scale + i128::from(step) * fraction.numerator;
    let (x, y) = (scaled(start.0, step.0), scaled(start.1, step.1));
    let lons = || ring.vertices.iter().map(|vertex| i128::from(vertex.0) * scale);
    if lons().min().is_none_or(|west| x < west) || lons().max().is_none_or(|east| x > east) {
        return Place::Exterior;
    }
    let mut is_inside = false;
    for edge in ring.vertices.windows(2) {
        let [(ax, ay), (bx, by)] = [edge[0], edge[1]].map(|(lon, lat)| (i128::from(lon), i128::from(lat)));
        // The edge's end and the point, seen from the edge's begin.
        let (east, north) = (x - ax * scale, y - ay * scale);
        let area = (bx - ax) * north - (by - ay) * east;
        let is_between = |p: i128, a: i128, b: i128| a.min(b) * scale <= p && p <= a.max(b) * scale;
        if area == 0 && is_between(x, ax, bx) && is_between(y, ay, by) {
            return Place::Boundary;
        }
        // Half-open in latitude, so that a vertex counts for one of its two edges.
        if (ay * scale <= y) != (by * scale <= y) && (area > 0) == (by > ay) {
            is_inside = !is_inside;
        }
    }
    if is_inside { Place::Interior } else { Place::Exterior }
}

impl Fraction {
    fn new(numerator: i128, denominator: i128) -> Fraction {
        let sign = denominator.signum();
        Fraction { numerator: numerator * sign, denominator: denominator * sign }
    }

    fn is_part(&self) -> bool {
        (0..=self.denominator).contains(&self.numerator)
    }

    fn compare(&self, other: &Fraction) -> Ordering {
        (self.numerator * other.denominator).cmp(&(other.numerator * self.denominator))
    }

    /// So many whole milliseconds, and what is left as the numerator of a fraction of one more.
    fn of(&self, lasts_ms: i64) -> (i64, i128) {
        let product = self.numerator * i128::from(lasts_ms);
        // The whole part of a part of `lasts_ms` is no larger than that.
        (product.div_euclid(self.denominator) as i64, product.rem_euclid(self.denominator))
    }
}

/// `from` and the mean of two parts of `lasts_ms`, rounded half to even without any error.
fn exact_middle(from: TimeMs, lasts_ms: i64, first: Fraction, last: Fraction) -> TimeMs {
    let ((first_ms, first_rest), (last_ms, last_rest)) = (first.of(lasts_ms), last.of(lasts_ms));
    let one = first.denominator * last.denominator;
    let rest = first_rest * last.denominator + last_rest * first.denominator;
    let (carry, rest) = if rest >= one { (1, rest - one) } else { (0, rest) };
    // Twice the time is this, and less than one more.
    let twice = 2 * from.0 + first_ms + last_ms + carry;
    let below = twice.div_euclid(2);
    let is_above_half = twice % 2 != 0 && rest > 0;
    let is_half = twice % 2 != 0 && rest == 0;
    TimeMs(if is_above_half || (is_half && below % 2 != 0) { below + 1 } else { below })
}

// ---- within a distance -----------------------------------------------------------------------------

/// The first and the last part of the segment that is within `metres` of something. The distance falls and
/// then rises at most once in each piece.
fn span_within(segment: Segment, distance: &dyn Fn(Point) -> f64, metres: f64) -> Option<(f64, f64)> {
    let beyond = |t: f64| distance(segment.at(t)) - metres;
    let (east, north) = (segment.step.0.abs() as f64, segment.step.1.abs() as f64);
    let per_degree = UNITS_PER_DEGREE as f64;
    let length_degrees = east.max(north) / per_degree;
    let length_m = (east * LONGEST_DEGREE_OF_LONGITUDE_M + north * LONGEST_DEGREE_OF_LATITUDE_M) / per_degree;
    let pieces = (length_degrees / SAMPLE_DEGREES).ceil().max(1.0) as usize;
    let ends: Vec<(f64, f64)> =
        (0..=pieces).map(|i| i as f64 / pieces as f64).map(|t| (t, beyond(t))).collect();
    let tolerance = SEARCH_ENDS_DEGREES / length_degrees.max(SEARCH_ENDS_DEGREES);
    let spans = ends.windows(2).filter_map(|piece| {
        let ((low, at_low), (high, at_high)) = (piece[0], piece[1]);
        match (at_low <= 0.0, at_high <= 0.0) {
            (true, true) => Some((low, high)),
            (true, false) => Some((low, border(beyond, high, low))),
            (false, true) => Some((border(beyond, low, high), high)),
            // Nobody comes nearer by more than the way that he goes.
            (false, false) if at_low + at_high > length_m / pieces as f64 => None,
            (false, false) => {
                let (nearest, at_nearest) = golden_section_minimum(beyond, low, high, tolerance);
                let is_within = at_nearest <= 0.0;
                is_within.then(|| (border(beyond, low, nearest), border(beyond, high, nearest)))
            }
        }
    });
    spans.reduce(|a, b| (a.0, b.1))
}

/// Where a function changes its sign between `outside`, where it is positive, and `inside`, where it is not:
/// by chords, whose end that stays is given half its weight ("Illinois").
fn border(f: impl Fn(f64) -> f64, mut outside: f64, mut inside: f64) -> f64 {
    let (mut at_outside, mut at_inside) = (f(outside), f(inside));
    let mut found = inside;
    let mut last_was_outside = None;
    for _ in 0..MAX_STEPS_TO_BORDER {
        if at_outside == at_inside {
            break;
        }
        let next = inside - at_inside * (outside - inside) / (at_outside - at_inside);
        let is_settled = (next - found).abs() < BORDER_ENDS;
        found = next;
        if is_settled {
            break;
        }
        let at_next = f(next);
        let is_outside = at_next > 0.0;
        let is_repeated = last_was_outside == Some(is_outside);
        if is_outside {
            (outside, at_outside) = (next, at_next);
            at_inside /= if is_repeated { 2.0 } else { 1.0 };
        } else {
            (inside, at_inside) = (next, at_next);
            at_outside /= if is_repeated { 2.0 } else { 1.0 };
        }
        last_was_outside = Some(is_outside);
    }
    found
}

/// [`exact_middle`] of parts that are known nearly.
fn rounded_middle(from: TimeMs, lasts_ms: i64, first: f64, last: f64) -> TimeMs {
    let middle_ms = f64::midpoint(first, last) * lasts_ms as f64;
    let whole = middle_ms.floor();
    let below = from.0 + whole as i64;
    let rest = middle_ms - whole;
    let rounds_up = rest > 0.5 || (rest == 0.5 && below % 2 != 0);
    TimeMs(if rounds_up { below + 1 } else { below })
}

#[cfg(test)]
#[path = "segment_tests.rs"]
mod tests;
