//! Geometry held against brute force, on shapes and positions that are unkind on purpose: small grids, so
//! that vertices, edges and positions coincide; the antimeridian, the poles' neighbourhood, hemispheres.

mod brute;
mod index;
mod segment;
mod shapes;

use model::{Coord, Ring, Shape, ring_from_degrees};
use proptest::prelude::*;
use proptest::sample::Index;

use super::metric::{FULL_TURN, metres_per_unit};
use super::rect::Rect;
use super::ring::wrap_lon;

const POLE: i64 = 900_000_000;

/// Where shapes are drawn: the middle of a grid and the width of its meshes, in units.
#[derive(Clone, Copy, Debug)]
struct Grid {
    middle: (i64, i64),
    mesh: i64,
}

impl Grid {
    fn position(&self, (column, row): (i64, i64)) -> Coord {
        coord(self.middle.0 + column * self.mesh, self.middle.1 + row * self.mesh)
    }
}

/// A position from units: longitudes are wrapped, latitudes end at the poles.
fn coord(lon: i64, lat: i64) -> Coord {
    Coord { lon: wrap_lon(lon) as i32, lat: lat.clamp(-POLE, POLE) as i32 }
}

fn grids(meshes: &'static [i64]) -> impl Strategy<Value = Grid> {
    let middle = prop_oneof![
        Just((33_792_000, 65_244_000)),
        Just((0, 0)),
        Just((1_800_000_000, 123_456_789)),
        Just((-1_799_999_999, -600_000_000)),
        Just((700_000_001, 849_999_000)),
        Just((-1_000_000_000, 899_990_000)),
        Just((50_000_000, -899_999_000)),
        (-1_800_000_000_i64..1_800_000_000, -POLE..POLE),
    ];
    (middle, prop::sample::select(meshes)).prop_map(|(middle, mesh)| Grid { middle, mesh })
}

/// A closed ring or an open line on a grid; with few or with many vertices, so that both ways of looking
/// edges up are used.
fn lines_on(grid: Grid, closed: bool) -> impl Strategy<Value = Ring> {
    let crossing = (-4_i64..=4, -4_i64..=4);
    let crossings = prop_oneof![
        3 => prop::collection::vec(crossing.clone(), 2..8),
        1 => prop::collection::vec(crossing, 25..70),
    ];
    crossings.prop_filter_map("no ring", move |mut crossings| {
        if closed {
            crossings.push(crossings[0]);
        }
        let degrees: Vec<(f64, f64)> = crossings
            .into_iter()
            .map(|crossing| grid.position(crossing))
            .map(|at| (at.lon_degrees(), at.lat_degrees()))
            .collect();
        let ring = ring_from_degrees(&degrees, closed).ok()?;
        let bounds = Rect::around(ring.vertices.iter().copied());
        (bounds.max_lon - bounds.min_lon < FULL_TURN).then_some(ring)
    })
}

fn polygons_on(grid: Grid) -> impl Strategy<Value = Shape> {
    let part = prop::collection::vec(lines_on(grid, true), 1..4);
    prop::collection::vec(part, 1..3).prop_map(|parts| Shape::Polygon { parts })
}

fn polygons() -> impl Strategy<Value = Shape> {
    grids(&[1, 7, 1_000, 8_192, 131_072, 5_000_000, 150_000_000, 400_000_000]).prop_flat_map(polygons_on)
}

/// Corridors of city roads, and of ones wider than 10 km.
fn corridors() -> impl Strategy<Value = Shape> {
    let widths = prop_oneof![1.0..300.0_f64, 5_000.0..60_000.0_f64];
    grids(&[1, 1_000, 20_000, 131_072, 3_000_000]).prop_flat_map(move |grid| {
        (lines_on(grid, false), widths.clone()).prop_map(|(line, width_m)| Shape::Corridor { line, width_m })
    })
}

fn circles() -> impl Strategy<Value = Shape> {
    let radii = prop_oneof![1.0..500.0_f64, 500.0..50_000.0_f64, 50_000.0..9_000_000.0_f64];
    (grids(&[1_000]), radii)
        .prop_map(|(grid, radius_m)| Shape::Circle { centre: grid.position((0, 0)), radius_m })
}

fn shapes() -> impl Strategy<Value = Shape> {
    prop_oneof![3 => polygons().boxed(), 1 => circles().boxed(), 1 => corridors().boxed()]
}

/// How a position to ask for is found near a shape.
#[derive(Clone, Debug)]
struct Aim {
    kind: u8,
    pick: Index,
    other: Index,
    share: (f64, f64),
    off: (i64, i64),
}

fn aims(count: usize) -> impl Strategy<Value = Vec<Aim>> {
    let off = prop_oneof![Just((0, 0)), (-1_i64..=1, -1_i64..=1), (-3_000_i64..3_000, -3_000_i64..3_000)];
    let aim = (0_u8..4, any::<Index>(), any::<Index>(), (0.0..=1.0, 0.0..=1.0), off)
        .prop_map(|(kind, pick, other, share, off)| Aim { kind, pick, other, share, off });
    prop::collection::vec(aim, count)
}

impl Aim {
    /// A vertex, a point between two vertices, the latitude of a vertex somewhere along it, or anywhere in a
    /// rectangle half as large again as the shape.
    fn at(&self, marks: &[(i64, i64)]) -> Coord {
        let bounds = Rect::around(marks.iter().copied());
        let (width, height) = (bounds.max_lon - bounds.min_lon + 4, bounds.max_lat - bounds.min_lat + 4);
        let anywhere = (
            bounds.min_lon - width / 4 + (self.share.0 * 1.5 * width as f64) as i64,
            bounds.min_lat - height / 4 + (self.share.1 * 1.5 * height as f64) as i64,
        );
        let mark = marks[self.pick.index(marks.len())];
        let (lon, lat) = match self.kind {
            0 => mark,
            1 => {
                let other = marks[self.other.index(marks.len())];
                let between = |a: i64, b: i64| a + ((b - a) as f64 * self.share.0).round() as i64;
                (between(mark.0, other.0), between(mark.1, other.1))
            }
            2 => (anywhere.0, mark.1),
            _ => anywhere,
        };
        coord(lon + self.off.0, lat + self.off.1)
    }
}

/// Positions that matter of a shape: its vertices, or where its border runs.
fn marks(shape: &Shape) -> Vec<(i64, i64)> {
    match shape {
        Shape::Polygon { parts } => parts.iter().flatten().flat_map(|r| r.vertices.clone()).collect(),
        Shape::Corridor { line, width_m } => {
            let half = width_m / 2.0;
            line.vertices.iter().flat_map(|&vertex| around(vertex, half)).collect()
        }
        Shape::Circle { centre, radius_m } => around((centre.lon.into(), centre.lat.into()), *radius_m),
    }
}

/// About `metres` away from a position in four directions.
fn around((lon, lat): (i64, i64), metres: f64) -> Vec<(i64, i64)> {
    let (east, north) = metres_per_unit(lat as f64);
    let (dlon, dlat) = ((metres / east.max(1e-4)).min(1.7e9) as i64, (metres / north).min(1.7e9) as i64);
    vec![(lon, lat), (lon + dlon, lat), (lon - dlon, lat), (lon, lat + dlat), (lon, lat - dlat)]
}
