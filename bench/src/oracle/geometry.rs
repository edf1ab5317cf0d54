//! What is inside a fence, exactly, and how far it is to a fence, by search.
//!
//! Polygons are tested in integers of 1e-7 degrees. Longitudes of rings are unwrapped, so a position is
//! tried with whole turns added. Distances are geodesics to the nearest point of a line that is straight
//! in degrees; the nearest point is found by sampling and golden-section search, no projection involved.

use model::{Coord, Ring, Shape, UNITS_PER_DEGREE, geodesic_degrees_m, geodesic_m};

mod segment;

const FULL_TURN: i64 = 360 * UNITS_PER_DEGREE;
/// Shortest degrees on the WGS 84 ellipsoid: of latitude at the equator, and of longitude there, which is
/// to be multiplied with the cosine of the latitude.
const METRES_A_DEGREE_OF_LATITUDE: f64 = 110_574.0;
const METRES_A_DEGREE_OF_LONGITUDE: f64 = 111_319.0;
/// Between samples this close, the distance to a point of an edge falls and rises at most once.
const SAMPLE_DEGREES: f64 = 0.25;
/// The search for the nearest point of an edge ends when it is known to this.
const SEARCH_ENDS_DEGREES: f64 = 1e-9;
/// Edges that touch are split where they touch; this absorbs the rounding, a tenth of a millimetre.
const TOUCH_DEGREES: f64 = 1e-9;

/// (longitude, latitude) in degrees.
type Point = (f64, f64);
type Edge = (Point, Point);

/// A shape, ready to be asked.
#[derive(Clone, Debug)]
pub struct Geometry {
    bounds: Bounds,
    form: Form,
}

#[derive(Clone, Debug)]
enum Form {
    Circle { centre: Coord, radius_m: f64 },
    Polygon { parts: Vec<Vec<Ring>>, border: Vec<Edge> },
    Corridor { legs: Vec<Edge>, half_width_m: f64 },
}

impl Geometry {
    /// Prepares a shape.
    #[must_use]
    pub fn new(shape: &Shape) -> Geometry {
        match shape {
            Shape::Circle { centre, radius_m } => Geometry {
                bounds: Bounds::of(&[degrees(*centre)]).grown(*radius_m),
                form: Form::Circle { centre: *centre, radius_m: *radius_m },
            },
            Shape::Polygon { parts } => {
                let corners: Vec<Point> =
                    parts.iter().filter_map(|part| part.first()).flat_map(ring_points).collect();
                Geometry {
                    bounds: Bounds::of(&corners),
                    form: Form::Polygon {
                        parts: parts.clone(),
                        border: parts.iter().flat_map(|part| border_of(part)).collect(),
                    },
                }
            }
            Shape::Corridor { line, width_m } => {
                let points: Vec<Point> = ring_points(line).collect();
                Geometry {
                    bounds: Bounds::of(&points).grown(width_m / 2.0),
                    form: Form::Corridor { legs: edges(&points), half_width_m: width_m / 2.0 },
                }
            }
        }
    }

    /// Whether the position is in the shape; its boundary is.
    #[must_use]
    pub fn covers(&self, at: Coord) -> bool {
        if !self.bounds.contain(degrees(at)) {
            return false;
        }
        match &self.form {
            Form::Circle { centre, radius_m } => geodesic_m(*centre, at) <= *radius_m,
            Form::Polygon { parts, .. } => parts.iter().any(|part| part_covers(part, at)),
            Form::Corridor { legs, half_width_m } => is_within(legs, degrees(at), *half_width_m),
        }
    }

    /// Whether the position is farther than `metres` from the shape. With 0 that is: not inside.
    #[must_use]
    pub fn is_farther_than(&self, at: Coord, metres: f64) -> bool {
        if self.covers(at) {
            return false;
        }
        if metres == 0.0 || !self.bounds.clone().grown(metres).contain(degrees(at)) {
            return true;
        }
        match &self.form {
            Form::Circle { centre, radius_m } => geodesic_m(*centre, at) - radius_m > metres,
            Form::Polygon { border, .. } => !is_within(border, degrees(at), metres),
            Form::Corridor { legs, half_width_m } => !is_within(legs, degrees(at), half_width_m + metres),
        }
    }

    /// Metres to the nearest point of the shape, 0 inside.
    #[must_use]
    pub fn distance_m(&self, at: Coord) -> f64 {
        if self.covers(at) {
            return 0.0;
        }
        let to_lines = |lines: &[Edge]| {
            lines.iter().map(|edge| distance_to_edge_m(degrees(at), *edge)).fold(f64::INFINITY, f64::min)
        };
        match &self.form {
            Form::Circle { centre, radius_m } => geodesic_m(*centre, at) - radius_m,
            Form::Polygon { border, .. } => to_lines(border),
            Form::Corridor { legs, half_width_m } => (to_lines(legs) - half_width_m).max(0.0),
        }
    }
}

fn degrees(at: Coord) -> Point {
    (at.lon_degrees(), at.lat_degrees())
}

fn ring_points(ring: &Ring) -> impl Iterator<Item = Point> {
    let per_degree = UNITS_PER_DEGREE as f64;
    ring.vertices.iter().map(move |&(lon, lat)| (lon as f64 / per_degree, lat as f64 / per_degree))
}

fn edges(points: &[Point]) -> Vec<Edge> {
    points.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

// ---- inside a polygon ------------------------------------------------------------------------------

/// Where a position is, seen from a ring by the even-odd rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Interior,
    Boundary,
    Exterior,
}

/// The first ring without the interiors of the others.
fn part_covers(part: &[Ring], at: Coord) -> bool {
    let Some((outer, holes)) = part.split_first() else {
        return false;
    };
    let in_outer = places(outer, at).any(|place| place != Place::Exterior);
    let in_hole = || holes.iter().any(|hole| places(hole, at).any(|place| place == Place::Interior));
    in_outer && !in_hole()
}

/// The places of a position and of its images whole turns away, as far as unwrapped rings reach.
fn places(ring: &Ring, at: Coord) -> impl Iterator<Item = Place> {
    let lons = || ring.vertices.iter().map(|vertex| vertex.0);
    let reach = lons().min().unwrap_or(0)..=lons().max().unwrap_or(0);
    (-3..=3)
        .map(move |turns| i64::from(at.lon) + turns * FULL_TURN)
        .filter(move |lon| reach.contains(lon))
        .map(move |lon| place_in_ring(&ring.vertices, (lon, i64::from(at.lat))))
}

fn place_in_ring(vertices: &[(i64, i64)], (x, y): (i64, i64)) -> Place {
    let mut crossings_to_the_east = 0;
    for pair in vertices.windows(2) {
        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
        if y < ay.min(by) || y > ay.max(by) {
            continue;
        }
        // Twice the area of the triangle a, b, position: positive when the position is left of a -> b.
        let area = i128::from(bx - ax) * i128::from(y - ay) - i128::from(by - ay) * i128::from(x - ax);
        if area == 0 && ax.min(bx) <= x && x <= ax.max(bx) {
            return Place::Boundary;
        }
        // Half-open in latitude, so that a vertex counts for one of its two edges.
        let spans_latitude = (ay <= y) != (by <= y);
        let goes_north = by > ay;
        if spans_latitude && (area > 0) == goes_north {
            crossings_to_the_east += 1;
        }
    }
    if crossings_to_the_east % 2 == 1 { Place::Interior } else { Place::Exterior }
}

// ---- distance to lines -----------------------------------------------------------------------------

fn is_within(lines: &[Edge], at: Point, metres: f64) -> bool {
    lines.iter().any(|&(a, b)| {
        Bounds::of(&[a, b]).grown(metres).contain(at) && distance_to_edge_m(at, (a, b)) <= metres
    })
}

/// The geodesic to the nearest point of an edge that is straight in degrees.
pub(super) fn distance_to_edge_m(at: Point, (a, b): Edge) -> f64 {
    let distance = |t: f64| geodesic_degrees_m(at, (a.0 + (b.0 - a.0) * t, a.1 + (b.1 - a.1) * t));
    let length_degrees = (b.0 - a.0).abs().max((b.1 - a.1).abs());
    let pieces = (length_degrees / SAMPLE_DEGREES).ceil().max(1.0) as usize;
    let t_of = |i: usize| i as f64 / pieces as f64;
    let samples: Vec<f64> = (0..=pieces)
        .map(|i| if i == pieces { geodesic_degrees_m(at, b) } else { distance(t_of(i)) })
        .collect();
    let mut nearest = f64::INFINITY;
    for i in 0..=pieces {
        nearest = nearest.min(samples[i]);
        let (before, after) = (i.saturating_sub(1), (i + 1).min(pieces));
        if samples[i] <= samples[before] && samples[i] <= samples[after] {
            let tolerance = SEARCH_ENDS_DEGREES / length_degrees.max(SEARCH_ENDS_DEGREES);
            let (_, least) = golden_section_minimum(distance, t_of(before), t_of(after), tolerance);
            nearest = nearest.min(least);
        }
    }
    nearest
}

/// Where a function that falls and then rises between `low` and `high` is least, and its value there.
fn golden_section_minimum(f: impl Fn(f64) -> f64, mut low: f64, mut high: f64, tolerance: f64) -> (f64, f64) {
    const SHARE: f64 = 0.618_033_988_749_894_8;
    let (mut left, mut right) = (high - SHARE * (high - low), low + SHARE * (high - low));
    let (mut at_left, mut at_right) = (f(left), f(right));
    while high - low > tolerance {
        if at_left <= at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - SHARE * (high - low);
            at_left = f(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + SHARE * (high - low);
            at_right = f(right);
        }
    }
    if at_left <= at_right { (left, at_left) } else { (right, at_right) }
}

// ---- the border of a part --------------------------------------------------------------------------

/// The edges of a part that belong to it. All do in a sound polygon; but where a hole reaches out of the
/// outer ring or into another hole, pieces of edges lie outside, and nobody is near the fence for being
/// near those.
fn border_of(part: &[Ring]) -> Vec<Edge> {
    let mut rings: Vec<Vec<Point>> = part.iter().map(|ring| ring_points(ring).collect()).collect();
    if let [only] = rings.as_slice() {
        return edges(only);
    }
    let Some(outer_middle) = rings.first().map(|outer| Bounds::of(outer).lon_middle) else {
        return Vec::new();
    };
    for hole in rings.iter_mut().skip(1) {
        let turns = ((outer_middle - Bounds::of(hole).lon_middle) / 360.0).round();
        hole.iter_mut().for_each(|point| point.0 += turns * 360.0);
    }
    let belongs = |point: Point| {
        place_roughly(&rings[0], point) != Place::Exterior
            && rings[1..].iter().all(|hole| place_roughly(hole, point) != Place::Interior)
    };
    let mut border = Vec::new();
    for (i, ring) in rings.iter().enumerate() {
        for edge in edges(ring) {
            let others =
                rings.iter().enumerate().filter(|(j, _)| *j != i).flat_map(|(_, other)| edges(other));
            let mut cuts: Vec<f64> = others.filter_map(|other| crossing(edge, other)).collect();
            cuts.extend([0.0, 1.0]);
            cuts.sort_by(f64::total_cmp);
            let ((ax, ay), (bx, by)) = edge;
            let point = |t: f64| (ax + (bx - ax) * t, ay + (by - ay) * t);
            for cut in cuts.windows(2) {
                if belongs(point(f64::midpoint(cut[0], cut[1]))) {
                    border.push((point(cut[0]), point(cut[1])));
                }
            }
        }
    }
    border
}

/// Where along `edge` the line of `other` crosses it within `other`, as a fraction; `None` for parallels.
fn crossing((a, b): Edge, (c, d): Edge) -> Option<f64> {
    let cross = |u: Point, v: Point| u.0 * v.1 - u.1 * v.0;
    let minus = |u: Point, v: Point| (u.0 - v.0, u.1 - v.1);
    let (along, across) = (minus(b, a), minus(d, c));
    let area = cross(along, across);
    let t = cross(minus(c, a), across) / area;
    let u = cross(minus(c, a), along) / area;
    let slack = TOUCH_DEGREES / (across.0.abs() + across.1.abs());
    (area != 0.0 && t > 0.0 && t < 1.0 && u >= -slack && u <= 1.0 + slack).then_some(t)
}

/// [`place_in_ring`] for points that are not on the grid: what touches the ring is on its boundary.
fn place_roughly(ring: &[Point], (x, y): Point) -> Place {
    let mut odd = false;
    for ((ax, ay), (bx, by)) in edges(ring) {
        let (dx, dy) = (bx - ax, by - ay);
        let length_squared = dx * dx + dy * dy;
        let t = if length_squared == 0.0 { 0.0 } else { ((x - ax) * dx + (y - ay) * dy) / length_squared };
        let t = t.clamp(0.0, 1.0);
        if (x - ax - t * dx).hypot(y - ay - t * dy) <= TOUCH_DEGREES {
            return Place::Boundary;
        }
        if (ay <= y) != (by <= y) && x < ax + (y - ay) / dy * dx {
            odd = !odd;
        }
    }
    if odd { Place::Interior } else { Place::Exterior }
}

// ---- bounds ----------------------------------------------------------------------------------------

/// A box in degrees that certainly holds something.
#[derive(Clone, Debug)]
struct Bounds {
    lat_min: f64,
    lat_max: f64,
    lon_middle: f64,
    /// 180 and more: all longitudes.
    lon_half: f64,
}

impl Bounds {
    fn of(points: &[Point]) -> Bounds {
        let fold = |pick: fn(&Point) -> f64| {
            points
                .iter()
                .map(pick)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(min, max), v| (min.min(v), max.max(v)))
        };
        let ((lon_min, lon_max), (lat_min, lat_max)) = (fold(|p| p.0), fold(|p| p.1));
        Bounds {
            lat_min,
            lat_max,
            lon_middle: f64::midpoint(lon_min, lon_max),
            lon_half: (lon_max - lon_min) / 2.0,
        }
    }

    /// Holds whatever is within `metres` of what it held. On its way of that length a point stays below
    /// the latitude `top`, where degrees of longitude are shortest.
    fn grown(self, metres: f64) -> Bounds {
        let lat_step = metres / METRES_A_DEGREE_OF_LATITUDE;
        let top = self.lat_min.abs().max(self.lat_max.abs()) + lat_step;
        let lon_step =
            if top > 89.9 { 360.0 } else { metres / (METRES_A_DEGREE_OF_LONGITUDE * top.to_radians().cos()) };
        Bounds {
            lat_min: self.lat_min - lat_step,
            lat_max: self.lat_max + lat_step,
            lon_middle: self.lon_middle,
            lon_half: self.lon_half + lon_step,
        }
    }

    fn contain(&self, (lon, lat): Point) -> bool {
        self.meet(&Bounds { lat_min: lat, lat_max: lat, lon_middle: lon, lon_half: 0.0 })
    }

    /// Whether something may be in both.
    fn meet(&self, other: &Bounds) -> bool {
        // A millimetre for the rounding of this arithmetic.
        const SLACK: f64 = 1e-8;
        let from_middle = (other.lon_middle - self.lon_middle).rem_euclid(360.0);
        let lon_away = from_middle.min(360.0 - from_middle);
        other.lat_max >= self.lat_min - SLACK
            && other.lat_min <= self.lat_max + SLACK
            && lon_away <= self.lon_half + other.lon_half + SLACK
    }
}

#[cfg(test)]
#[path = "geometry_tests.rs"]
mod tests;
