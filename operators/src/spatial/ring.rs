//! Rings and lines as edges: exact position tests in integers, and distances to the nearest edge.

use std::cmp::Ordering;

use model::{Coord, Ring, geodesic_degrees_m};

use super::metric::{FULL_TURN, MAX_METRES_PER_LAT_UNIT, MIN_METRES_PER_LAT_UNIT, metres_per_unit};
use super::rect::Rect;

/// Where a position is, seen from a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Outside,
    Boundary,
    Inside,
}

/// An edge between two vertices, in units, longitudes unwrapped.
pub(crate) type Edge = ((i64, i64), (i64, i64));

/// A point of the plane whose coordinates need not be whole, as exact tests see it.
pub(crate) trait PlanePoint: Copy {
    /// The whole latitude at or below the point: edges, which end at whole ones, that meet the point's own
    /// latitude meet this one too.
    fn floor_lat(&self) -> i64;
    /// How the point's longitude compares with another.
    fn cmp_lon(&self, lon: i64) -> Ordering;
    /// How the point's latitude compares with another.
    fn cmp_lat(&self, lat: i64) -> Ordering;
    /// `Greater` left of the edge from `low` to `high`, `Equal` on its line. Asked only for points within
    /// the edge's bounds.
    fn turn(&self, low: (i64, i64), high: (i64, i64)) -> Ordering;
}

impl PlanePoint for (i64, i64) {
    fn floor_lat(&self) -> i64 {
        self.1
    }

    fn cmp_lon(&self, lon: i64) -> Ordering {
        self.0.cmp(&lon)
    }

    fn cmp_lat(&self, lat: i64) -> Ordering {
        self.1.cmp(&lat)
    }

    fn turn(&self, low: (i64, i64), high: (i64, i64)) -> Ordering {
        // |factors| < 1.8e9 each, because the point is within the edge's own bounds: no overflow.
        let cross = (high.0 - low.0) * (self.1 - low.1) - (high.1 - low.1) * (self.0 - low.0);
        cross.cmp(&0)
    }
}

/// Rings with fewer edges are scanned as a whole.
const MIN_EDGES_FOR_BANDS: usize = 24;
/// The bands of a ring hold at most this many entries an edge, so that tall edges cannot blow it up.
const MAX_BAND_ENTRIES_PER_EDGE: usize = 6;
/// Beyond this distance, or this near to a pole, no local metric is used.
pub(super) const LOCAL_METRIC_LIMIT_M: f64 = 5_000.0;
const LOCAL_METRIC_MAX_LAT: i32 = 850_000_000;

/// The edges of a ring or line, with an index by latitude.
#[derive(Debug)]
pub(crate) struct EdgeSet {
    vertices: Vec<(i64, i64)>,
    bounds: Rect,
    bands: Option<Bands>,
}

/// Edges by bands of latitude: `edges[starts[b]..starts[b + 1]]` meet band `b`.
#[derive(Debug)]
struct Bands {
    height: i64,
    starts: Vec<u32>,
    edges: Vec<u32>,
}

impl EdgeSet {
    pub(crate) fn new(ring: &Ring) -> EdgeSet {
        let vertices = ring.vertices.clone();
        let bounds = Rect::around(vertices.iter().copied());
        let bands = Bands::new(&vertices, &bounds);
        EdgeSet { vertices, bounds, bands }
    }

    pub(crate) fn bounds(&self) -> &Rect {
        &self.bounds
    }

    fn edge(&self, index: usize) -> Edge {
        (self.vertices[index], self.vertices[index + 1])
    }

    /// Calls `visit` with each edge that may meet the latitudes `[low, high]`, perhaps more than once;
    /// stops when it answers `true`, and says whether it did.
    pub(crate) fn any_edge_between(&self, low: i64, high: i64, mut visit: impl FnMut(Edge) -> bool) -> bool {
        let Some(bands) = &self.bands else {
            return (0..self.vertices.len() - 1).any(|i| visit(self.edge(i)));
        };
        let last_band = bands.starts.len() as i64 - 2;
        let band_of = |lat: i64| ((lat - self.bounds.min_lat).div_euclid(bands.height)).clamp(0, last_band);
        let first = bands.starts[band_of(low) as usize] as usize;
        let end = bands.starts[band_of(high) as usize + 1] as usize;
        bands.edges[first..end].iter().any(|&i| visit(self.edge(i as usize)))
    }

    /// Where a position is, the ring taken by the even-odd rule. The frame of longitudes is that of the
    /// position that fits the ring's bounds, if any.
    pub(crate) fn side(&self, at: Coord) -> Side {
        let lat = i64::from(at.lat);
        self.side_of(self.bounds.frames_of(at).map(|lon| (lon, lat)))
    }

    /// [`EdgeSet::side`] of a point that is given in each frame that may fit.
    pub(crate) fn side_of(&self, point_in_frames: impl Iterator<Item = impl PlanePoint>) -> Side {
        let mut found = Side::Outside;
        for point in point_in_frames {
            match self.side_in_frame(point) {
                Side::Boundary => return Side::Boundary,
                Side::Inside => found = Side::Inside,
                Side::Outside => {}
            }
        }
        found
    }

    fn side_in_frame(&self, point: impl PlanePoint) -> Side {
        use Ordering::{Equal, Greater, Less};
        let mut inside = false;
        // One latitude is in one band, so that no edge is seen twice.
        let lat = point.floor_lat();
        let on_boundary = self.any_edge_between(lat, lat, |(a, b)| {
            let (low, high) = if a.1 <= b.1 { (a, b) } else { (b, a) };
            let is_below_top = match (point.cmp_lat(low.1), point.cmp_lat(high.1)) {
                (Less, _) | (_, Greater) => return false,
                (_, to_top) => to_top == Less,
            };
            if point.cmp_lon(a.0.max(b.0)) == Greater {
                return false;
            }
            if point.cmp_lon(a.0.min(b.0)) == Less {
                inside ^= is_below_top;
                return false;
            }
            let turn = point.turn(low, high);
            inside ^= turn == Greater && is_below_top;
            turn == Equal
        });
        match (on_boundary, inside) {
            (true, _) => Side::Boundary,
            (false, true) => Side::Inside,
            (false, false) => Side::Outside,
        }
    }

    /// Adds the edges that meet `rect`, moved into its frame of longitudes.
    pub(crate) fn edges_meeting(&self, rect: &Rect, out: &mut Vec<Edge>) {
        for shift in self.bounds.shifts_onto(rect) {
            let moved = Rect {
                min_lon: rect.min_lon - shift,
                max_lon: rect.max_lon - shift,
                min_lat: rect.min_lat,
                max_lat: rect.max_lat,
            };
            self.any_edge_between(rect.min_lat, rect.max_lat, |edge| {
                if moved.meets_edge(edge) {
                    let ((ax, ay), (bx, by)) = edge;
                    out.push(((ax + shift, ay), (bx + shift, by)));
                }
                false
            });
        }
    }

    /// Whether the geodesic from `at` to the nearest point of the edges is at most `limit_m`.
    pub(crate) fn within(&self, at: Coord, limit_m: f64) -> bool {
        let reach = lat_reach(limit_m);
        let lat = i64::from(at.lat);
        if lat + reach < self.bounds.min_lat || lat - reach > self.bounds.max_lat {
            return false;
        }
        if limit_m > LOCAL_METRIC_LIMIT_M || at.lat.abs() > LOCAL_METRIC_MAX_LAT {
            return self.any_edge_between(lat - reach, lat + reach, |edge| edge_within(at, edge, limit_m));
        }
        let (east, north) = metres_per_unit(f64::from(at.lat));
        let lon_reach = (limit_m * 1.02 / east) as i64 + 2;
        let grown = self.bounds.grown(lon_reach, reach);
        grown.frames_of(at).any(|lon| {
            self.any_edge_between(lat - reach, lat + reach, |((ax, ay), (bx, by))| {
                if ax.max(bx) < lon - lon_reach || ax.min(bx) > lon + lon_reach {
                    return false;
                }
                let a = ((ax - lon) as f64 * east, (ay - lat) as f64 * north);
                let b = ((bx - lon) as f64 * east, (by - lat) as f64 * north);
                let share = foot_share(a, b);
                let foot = (a.0 + share * (b.0 - a.0), a.1 + share * (b.1 - a.1));
                let metres = foot.0.hypot(foot.1);
                // The metric of the position's own latitude errs by less than 1 % up to 5 km.
                if metres > limit_m * 1.01 + 0.01 {
                    return false;
                }
                if metres < limit_m * 0.99 - 0.01 {
                    return true;
                }
                let foot_degrees = (
                    (ax as f64 + share * (bx - ax) as f64) / 1e7,
                    (ay as f64 + share * (by - ay) as f64) / 1e7,
                );
                geodesic_degrees_m((lon as f64 / 1e7, at.lat_degrees()), foot_degrees) <= limit_m
            })
        })
    }
}

impl Bands {
    fn new(vertices: &[(i64, i64)], bounds: &Rect) -> Option<Bands> {
        let edge_count = vertices.len().saturating_sub(1);
        if edge_count < MIN_EDGES_FOR_BANDS {
            return None;
        }
        let span = bounds.max_lat - bounds.min_lat + 1;
        let mut band_count = (edge_count / 4).clamp(1, 16_384) as i64;
        loop {
            let height = (span + band_count - 1) / band_count;
            let band = |lat: i64| (lat - bounds.min_lat) / height;
            let range = |i: usize| {
                let (a, b) = (band(vertices[i].1), band(vertices[i + 1].1));
                a.min(b)..=a.max(b)
            };
            let entries: usize = (0..edge_count).map(|i| range(i).count()).sum();
            if entries > edge_count * MAX_BAND_ENTRIES_PER_EDGE && band_count > 1 {
                band_count /= 2;
                continue;
            }
            let mut starts = vec![0_u32; band_count as usize + 1];
            for i in 0..edge_count {
                for b in range(i) {
                    starts[b as usize + 1] += 1;
                }
            }
            for b in 1..starts.len() {
                starts[b] += starts[b - 1];
            }
            let mut next = starts.clone();
            let mut edges = vec![0_u32; entries];
            for i in 0..edge_count {
                for b in range(i) {
                    edges[next[b as usize] as usize] = i as u32;
                    next[b as usize] += 1;
                }
            }
            return Some(Bands { height, starts, edges });
        }
    }
}

/// How many units of latitude `limit_m` metres can reach.
pub(crate) fn lat_reach(limit_m: f64) -> i64 {
    (limit_m / MIN_METRES_PER_LAT_UNIT).min(2e9) as i64 + 2
}

/// Where on a→b the origin's foot is: 0 at a, 1 at b.
pub(super) fn foot_share(a: (f64, f64), b: (f64, f64)) -> f64 {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let length_squared = dx * dx + dy * dy;
    if length_squared == 0.0 {
        return 0.0;
    }
    (-(a.0 * dx + a.1 * dy) / length_squared).clamp(0.0, 1.0)
}

/// Whether the geodesic from `at` to the nearest point of an edge is at most `limit_m`, without any local
/// metric, for wide corridors and the polar caps: a stretch of the edge is decided by the distance to its
/// middle, or halved. Errs by less than a ten-millionth of the limit, or a millimetre.
fn edge_within(at: Coord, ((ax, ay), (bx, by)): Edge, limit_m: f64) -> bool {
    let finest_m = (limit_m * 1e-7).max(0.001);
    let mut stretches = vec![((ax as f64, ay as f64), (bx as f64, by as f64))];
    while let Some((a, b)) = stretches.pop() {
        let middle = ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0);
        let metres = units_distance_m(at, middle);
        if metres <= limit_m {
            return true;
        }
        // Along the parallel of the middle and then the meridian is no shorter than the geodesic.
        let (east, _) = metres_per_unit(middle.1);
        let reach_m = (b.0 - a.0).abs() / 2.0 * east + (b.1 - a.1).abs() / 2.0 * MAX_METRES_PER_LAT_UNIT;
        if metres - reach_m <= limit_m && reach_m > finest_m {
            stretches.extend([(a, middle), (middle, b)]);
        }
    }
    false
}

/// The geodesic to a place in units that need not be whole, its longitude unwrapped.
fn units_distance_m(at: Coord, to: (f64, f64)) -> f64 {
    geodesic_degrees_m((at.lon_degrees(), at.lat_degrees()), degrees(to))
}

/// Degrees of a place in units that need not be whole; its longitude is wrapped.
pub(super) fn degrees((lon, lat): (f64, f64)) -> (f64, f64) {
    ((lon / 1e7 + 540.0).rem_euclid(360.0) - 180.0, lat / 1e7)
}

/// Distance to an edge without any local metric: the geodesic is sampled, then narrowed down around the
/// best sample. Slow; for reference.
pub(crate) fn long_way_distance_m(at: Coord, ((ax, ay), (bx, by)): Edge) -> f64 {
    const SAMPLES: i32 = 64;
    let distance = |share: f64| {
        units_distance_m(at, (ax as f64 + share * (bx - ax) as f64, ay as f64 + share * (by - ay) as f64))
    };
    let step = 1.0 / f64::from(SAMPLES);
    let best = (0..=SAMPLES)
        .map(|i| f64::from(i) * step)
        .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
        .unwrap_or(0.0);
    let (mut low, mut high) = ((best - step).max(0.0), (best + step).min(1.0));
    for _ in 0..60 {
        let (left, right) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if distance(left) <= distance(right) {
            high = right;
        } else {
            low = left;
        }
    }
    distance((low + high) / 2.0).min(distance(best))
}

/// Moves a longitude by whole turns into ±180°.
pub(crate) fn wrap_lon(lon: i64) -> i64 {
    (lon + FULL_TURN / 2).rem_euclid(FULL_TURN) - FULL_TURN / 2
}
