//! A fence's shape made ready for tests: inside, within a distance, and against rectangles.

use model::{Coord, Shape};

use super::metric::{Around, metres_per_unit};
use super::rect::{Place, Rect};
use super::ring::{Edge, EdgeSet, Side, lat_reach, long_way_distance_m, wrap_lon};

/// How a rectangle lies to a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// No point of the rectangle is inside.
    Outside,
    /// Every point of the rectangle is inside.
    Inside,
    /// Neither is known.
    Mixed,
}

/// A shape with its indexes. Immutable; shared between workers.
#[derive(Debug)]
pub struct PreparedShape {
    area: Area,
    bounds: Vec<Rect>,
    /// What it was made of: that is what is kept of it, and the rest is made anew.
    outline: Shape,
}

impl serde::Serialize for PreparedShape {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.outline.serialize(to)
    }
}

impl<'de> serde::Deserialize<'de> for PreparedShape {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(PreparedShape::new(&serde::Deserialize::deserialize(from)?))
    }
}

#[derive(Debug)]
pub(super) enum Area {
    Circle { around: Around, radius_m: f64 },
    Polygon { parts: Vec<Part> },
    Corridor { line: EdgeSet, half_width_m: f64 },
}

#[derive(Debug)]
pub(super) struct Part {
    outer: EdgeSet,
    holes: Vec<EdgeSet>,
}

impl Part {
    fn covers(&self, at: Coord) -> bool {
        self.covers_by(|ring| ring.side(at))
    }

    /// Whether the part covers the point of which it is known where it is, seen from each ring.
    pub(super) fn covers_by(&self, side: impl Fn(&EdgeSet) -> Side) -> bool {
        side(&self.outer) != Side::Outside && self.holes.iter().all(|hole| side(hole) != Side::Inside)
    }

    pub(super) fn rings(&self) -> impl Iterator<Item = &EdgeSet> {
        std::iter::once(&self.outer).chain(&self.holes)
    }
}

impl PreparedShape {
    /// Builds the indexes of a shape that has passed [`model::Fence::check`].
    #[must_use]
    pub fn new(shape: &Shape) -> PreparedShape {
        let (area, bounds) = match shape {
            Shape::Circle { centre, radius_m } => {
                let area = Area::Circle { around: Around::new(*centre), radius_m: *radius_m };
                (area, around_point(*centre, *radius_m).wrapped())
            }
            Shape::Polygon { parts } => {
                let parts: Vec<Part> = parts
                    .iter()
                    .map(|rings| Part {
                        outer: EdgeSet::new(&rings[0]),
                        holes: rings[1..].iter().map(EdgeSet::new).collect(),
                    })
                    .collect();
                let bounds = parts.iter().flat_map(|p| p.outer.bounds().wrapped()).collect();
                (Area::Polygon { parts }, bounds)
            }
            Shape::Corridor { line, width_m } => {
                let line = EdgeSet::new(line);
                let half_width_m = width_m / 2.0;
                let bounds = grown_by_metres(line.bounds(), half_width_m).wrapped();
                (Area::Corridor { line, half_width_m }, bounds)
            }
        };
        PreparedShape { area, bounds, outline: shape.clone() }
    }

    pub(super) fn area(&self) -> &Area {
        &self.area
    }

    /// Rectangles within ±180° that hold the whole shape.
    #[must_use]
    pub fn bounds(&self) -> &[Rect] {
        &self.bounds
    }

    /// Whether a position is inside: planar and exact for polygons (RFC 7946, boundary inside), geodesic
    /// on WGS 84 for circles and corridors.
    #[must_use]
    pub fn covers(&self, at: Coord) -> bool {
        match &self.area {
            Area::Circle { around, radius_m } => around.within(at, *radius_m),
            Area::Polygon { parts } => parts.iter().any(|p| p.covers(at)),
            Area::Corridor { line, half_width_m } => line.within(at, *half_width_m),
        }
    }

    /// Whether a position is inside, or its geodesic distance to the shape is at most `buffer_m`.
    #[must_use]
    pub fn covers_or_within(&self, at: Coord, buffer_m: f64) -> bool {
        match &self.area {
            Area::Circle { around, radius_m } => around.within(at, radius_m + buffer_m),
            Area::Polygon { parts } => {
                parts.iter().any(|p| p.covers(at))
                    || parts.iter().any(|p| p.rings().any(|ring| ring.within(at, buffer_m)))
            }
            Area::Corridor { line, half_width_m } => line.within(at, half_width_m + buffer_m),
        }
    }

    /// The edges that matter within `rect` (within ±180°), for [`PreparedShape::overlap`] on parts of it.
    pub(crate) fn edges_meeting(&self, rect: &Rect) -> Vec<Edge> {
        let mut edges = Vec::new();
        if let Area::Polygon { parts } = &self.area {
            for ring in parts.iter().flat_map(Part::rings) {
                ring.edges_meeting(rect, &mut edges);
            }
        }
        edges
    }

    /// How a place lies to the shape; `edges` are those of [`PreparedShape::edges_meeting`] of a rectangle
    /// around it. `Mixed` is always a safe answer, the others are proven.
    pub(crate) fn overlap(&self, place: &Place, edges: &[Edge]) -> Overlap {
        let Place { rect, middle, reach_m } = *place;
        // The triangle inequality holds for geodesics, whatever the rectangle's shape.
        let by_distance = |within: &dyn Fn(f64) -> bool, limit_m: f64| {
            if !within(limit_m + reach_m) {
                Overlap::Outside
            } else if limit_m > reach_m && within(limit_m - reach_m) {
                Overlap::Inside
            } else {
                Overlap::Mixed
            }
        };
        match &self.area {
            Area::Polygon { .. } => {
                // Without an edge in it, a rectangle is as any one of its points is.
                if edges.iter().any(|&edge| rect.meets_edge(edge)) {
                    return Overlap::Mixed;
                }
                let corner = Coord { lon: wrap_lon(rect.min_lon) as i32, lat: rect.min_lat as i32 };
                if self.covers(corner) { Overlap::Inside } else { Overlap::Outside }
            }
            Area::Circle { around, radius_m } => {
                by_distance(&|limit_m| around.within(middle, limit_m), *radius_m)
            }
            Area::Corridor { line, half_width_m } => {
                by_distance(&|limit_m| line.within(middle, limit_m), *half_width_m)
            }
        }
    }
}

/// Distance in metres from a position to an edge, without indexes or shortcuts.
#[must_use]
pub fn edge_distance_m(at: Coord, edge: ((i64, i64), (i64, i64))) -> f64 {
    long_way_distance_m(at, edge)
}

/// A rectangle around everything within `radius_m` of a position.
fn around_point(centre: Coord, radius_m: f64) -> Rect {
    let (lon, lat) = (i64::from(centre.lon), i64::from(centre.lat));
    grown_by_metres(&Rect { min_lon: lon, max_lon: lon, min_lat: lat, max_lat: lat }, radius_m)
}

/// A rectangle around everything within `metres` of the points of `rect`.
pub(crate) fn grown_by_metres(rect: &Rect, metres: f64) -> Rect {
    const POLE: i64 = 900_000_000;
    /// Less than every radius of curvature of the ellipsoid.
    const SMALL_RADIUS_M: f64 = 6_335_000.0;
    let reach = lat_reach(metres);
    let (min_lat, max_lat) = (rect.min_lat - reach, rect.max_lat + reach);
    let whole_turn = Rect {
        min_lon: -super::metric::HALF_TURN,
        max_lon: super::metric::HALF_TURN,
        min_lat: min_lat.max(-POLE),
        max_lat: max_lat.min(POLE),
    };
    if max_lat >= POLE || min_lat <= -POLE {
        return whole_turn;
    }
    // The meridian that a small circle touches: sin(dlon) = sin(r) / cos(lat), on a sphere small enough.
    let steepest = rect.min_lat.abs().max(rect.max_lat.abs()) as f64 / 1e7;
    let angle = metres / SMALL_RADIUS_M;
    let sine = angle.sin() / steepest.to_radians().cos();
    if angle >= std::f64::consts::FRAC_PI_2 || sine >= 1.0 {
        return whole_turn;
    }
    let local = metres / metres_per_unit(steepest * 1e7).0;
    let lon_reach = (sine.asin().to_degrees() * 1e7).max(local) * 1.001 + 2.0;
    Rect {
        min_lon: rect.min_lon - lon_reach as i64,
        max_lon: rect.max_lon + lon_reach as i64,
        min_lat,
        max_lat,
    }
}
