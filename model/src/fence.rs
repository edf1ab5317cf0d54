//! Fences as data: shapes in integer coordinates, per-fence settings, and the rules that refuse a shape.

use std::sync::Arc;

use crate::{Coord, CoordError, Schedule, TimeMs, UNITS_PER_DEGREE};

const HALF_TURN: i64 = 180 * UNITS_PER_DEGREE;
const FULL_TURN: i64 = 360 * UNITS_PER_DEGREE;

/// A closed ring, or an open line, whose longitudes are unwrapped: consecutive vertices are less than
/// half a turn apart, so that longitudes may lie beyond ±180°. The closing vertex of a ring is kept.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ring {
    /// (longitude, latitude) in 1e-7 degrees.
    pub vertices: Vec<(i64, i64)>,
}

/// The area of a fence.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Shape {
    /// All positions within `radius_m` metres, geodesic on WGS 84, of `centre`.
    Circle {
        /// Centre.
        centre: Coord,
        /// Radius in metres, positive.
        radius_m: f64,
    },
    /// United parts; a part is its first ring without the interiors of the others.
    Polygon {
        /// Parts, each an outer ring followed by holes.
        parts: Vec<Vec<Ring>>,
    },
    /// All positions within half of `width_m` metres, geodesic, of a line.
    Corridor {
        /// The line, at least two vertices.
        line: Ring,
        /// Full width in metres, positive.
        width_m: f64,
    },
}

impl Shape {
    /// A position that stands for all of it, and may lie outside: the centre of a circle, else the middle of the
    /// rectangle around it, rounded down.
    #[must_use]
    pub fn middle(&self) -> Coord {
        let rings: Vec<&Ring> = match self {
            Shape::Circle { centre, .. } => return *centre,
            Shape::Polygon { parts } => parts.iter().filter_map(|rings| rings.first()).collect(),
            Shape::Corridor { line, .. } => vec![line],
        };
        let Some(&(first_lon, _)) = rings.first().and_then(|ring| ring.vertices.first()) else {
            return Coord::default();
        };
        // Parts on both sides of the antimeridian are near each other.
        let near = |lon: i64| lon - (lon - first_lon + HALF_TURN).div_euclid(FULL_TURN) * FULL_TURN;
        let positions = || {
            rings.iter().flat_map(|ring| {
                let begin = ring.vertices.first().map_or(0, |&(lon, _)| near(lon) - lon);
                ring.vertices.iter().map(move |&(lon, lat)| (lon + begin, lat))
            })
        };
        let middle = |of: fn((i64, i64)) -> i64| {
            let (low, high) = (positions().map(of).min(), positions().map(of).max());
            (low.unwrap_or(0) + high.unwrap_or(0)).div_euclid(2)
        };
        let lon = (middle(|(lon, _)| lon) + HALF_TURN).rem_euclid(FULL_TURN) - HALF_TURN;
        Coord { lon: lon as i32, lat: middle(|(_, lat)| lat) as i32 }
    }
}

/// Settings of one fence that win over the fleet's.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FenceSettings {
    /// How far outside a vehicle must be to have left, metres.
    pub exit_buffer_m: Option<f64>,
    /// How long a stay must be to be a visit.
    pub min_dwell_ms: Option<i64>,
    /// Absences up to this do not split a stay.
    pub max_absence_ms: Option<i64>,
    /// Tell of every entry and exit.
    pub alert: bool,
    /// Report pass-throughs between two fixes.
    pub crossed: bool,
    /// Speed limit inside.
    pub speed_limit_kmh: Option<f64>,
    /// When it is in force; `None`: at all times.
    pub active: Option<Arc<Schedule>>,
}

/// One version of a fence, as an upsert carries it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fence {
    /// Identity.
    pub id: Arc<str>,
    /// What people call it; the id where it has none.
    pub name: Arc<str>,
    /// Where it is.
    pub shape: Shape,
    /// What is particular to it.
    pub settings: FenceSettings,
    /// From when on this version holds; `None`: a correction of all of the fence's past.
    pub valid_from: Option<TimeMs>,
    /// Until when (exclusive) it holds.
    pub valid_to: Option<TimeMs>,
    /// The GeoJSON feature as received, compact.
    pub feature_json: Arc<str>,
}

/// Why a fence was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum FenceError {
    #[error(transparent)]
    Coord(#[from] CoordError),
    #[error("a ring is not closed: its last position must repeat its first")]
    NotClosed,
    #[error("a ring has fewer than 3 different positions")]
    TooFewPositions,
    #[error("a line needs at least 2 different positions")]
    LineTooShort,
    #[error("an edge spans exactly {0} degrees of longitude, so its way round is ambiguous; split it")]
    AmbiguousEdge(i64),
    #[error("a ring runs around a pole; cut it at the antimeridian")]
    AroundPole,
    #[error("a polygon without rings")]
    Empty,
    #[error("{0} must be a positive number of metres, and is {1}")]
    NotPositive(&'static str, f64),
    #[error("{0} is {1}; it may be at most {2} metres")]
    TooLarge(&'static str, f64, f64),
    #[error("valid_to {1} is not after valid_from {0}")]
    EmptyValidity(TimeMs, TimeMs),
}

/// The largest radius or width in metres: a quarter of the way round the earth.
pub(crate) const MAX_EXTENT_M: f64 = 10_000_000.0;

impl Fence {
    /// Checks what concerns the whole fence: extents and validity. Rings are checked as they are read,
    /// by [`ring_from_degrees`].
    pub fn check(&self) -> Result<(), FenceError> {
        let extent = match &self.shape {
            Shape::Circle { radius_m, .. } => Some(("radius_m", *radius_m)),
            Shape::Corridor { width_m, .. } => Some(("width_m", *width_m)),
            Shape::Polygon { parts } => {
                if parts.is_empty() || parts.iter().any(Vec::is_empty) {
                    return Err(FenceError::Empty);
                }
                None
            }
        };
        if let Some((name, metres)) = extent {
            if !(metres > 0.0 && metres.is_finite()) {
                return Err(FenceError::NotPositive(name, metres));
            }
            if metres > MAX_EXTENT_M {
                return Err(FenceError::TooLarge(name, metres, MAX_EXTENT_M));
            }
        }
        match (self.valid_from, self.valid_to) {
            (Some(from), Some(to)) if to <= from => Err(FenceError::EmptyValidity(from, to)),
            _ => Ok(()),
        }
    }
}

/// Rounds, unwraps and checks positions in degrees; `closed` tells a polygon's ring from a line.
pub fn ring_from_degrees(positions: &[(f64, f64)], closed: bool) -> Result<Ring, FenceError> {
    let coords: Vec<Coord> =
        positions.iter().map(|&(lon, lat)| Coord::from_degrees(lon, lat)).collect::<Result<_, _>>()?;
    let (Some(first), Some(last)) = (coords.first(), coords.last()) else {
        return Err(if closed { FenceError::TooFewPositions } else { FenceError::LineTooShort });
    };
    if closed && first != last {
        return Err(FenceError::NotClosed);
    }
    let mut different = coords.clone();
    different.sort_unstable();
    different.dedup();
    if closed && different.len() < 3 {
        return Err(FenceError::TooFewPositions);
    }
    if different.len() < 2 {
        return Err(FenceError::LineTooShort);
    }
    let mut vertices = Vec::with_capacity(coords.len());
    let mut lon = i64::from(first.lon);
    vertices.push((lon, i64::from(first.lat)));
    for pair in coords.windows(2) {
        let raw_step = i64::from(pair[1].lon) - i64::from(pair[0].lon);
        let step = match raw_step.abs() {
            HALF_TURN => return Err(FenceError::AmbiguousEdge(180)),
            FULL_TURN => return Err(FenceError::AmbiguousEdge(360)),
            wide if wide > HALF_TURN => raw_step - FULL_TURN * raw_step.signum(),
            _ => raw_step,
        };
        lon += step;
        vertices.push((lon, i64::from(pair[1].lat)));
    }
    if closed && vertices.first() != vertices.last() {
        return Err(FenceError::AroundPole);
    }
    if vertices.len() > 2 {
        let (min, max) =
            vertices.iter().fold((i64::MAX, i64::MIN), |(lo, hi), &(lon, _)| (lo.min(lon), hi.max(lon)));
        if max - min > 2 * FULL_TURN {
            return Err(FenceError::AroundPole);
        }
    }
    Ok(Ring { vertices })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unwraps_over_the_antimeridian() {
        let ring = ring_from_degrees(&[(179.0, 0.0), (-179.0, 0.0), (-179.0, 1.0), (179.0, 0.0)], true);
        let lons: Vec<i64> = ring.unwrap().vertices.iter().map(|v| v.0 / UNITS_PER_DEGREE).collect();
        assert_eq!(lons, [179, 181, 181, 179]);
    }

    #[test]
    fn refuses_what_is_no_ring() {
        let err = |p: &[(f64, f64)]| ring_from_degrees(p, true).unwrap_err();
        assert_eq!(err(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0)]), FenceError::NotClosed);
        assert_eq!(err(&[(0.0, 0.0), (1.0, 0.0), (0.0, 0.0)]), FenceError::TooFewPositions);
        assert_eq!(err(&[]), FenceError::TooFewPositions);
        assert_eq!(
            err(&[(-90.0, 0.0), (90.0, 0.0), (0.0, 1.0), (-90.0, 0.0)]),
            FenceError::AmbiguousEdge(180)
        );
        let around = [(-120.0, 60.0), (0.0, 60.0), (120.0, 60.0), (-120.0, 60.0)];
        assert_eq!(err(&around), FenceError::AroundPole);
        assert!(matches!(err(&[(f64::NAN, 0.0); 4]), FenceError::Coord(CoordError::NotFinite)));
    }
}
