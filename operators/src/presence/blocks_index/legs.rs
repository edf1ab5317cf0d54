//! Where a leg between two fixes lies: the short way round.

use model::Coord;

use super::GRID;
use crate::spatial::{CellKey, CellParts, Rect};

/// A leg that reaches over more cells, east or north, is long.
const MOST_CELLS_ACROSS: i64 = 32;
const HALF_TURN: i64 = 1_800_000_000;

/// The rectangles within ±180° that hold a leg.
pub(crate) fn leg_rects(from: Coord, to: Coord) -> impl Iterator<Item = Rect> {
    let (west, east) = (i64::from(from.lon.min(to.lon)), i64::from(from.lon.max(to.lon)));
    let (min_lat, max_lat) = (i64::from(from.lat.min(to.lat)), i64::from(from.lat.max(to.lat)));
    let rect = move |min_lon, max_lon| Rect { min_lon, max_lon, min_lat, max_lat };
    let rects = if crosses_antimeridian(from, to) {
        [Some(rect(east, HALF_TURN)), Some(rect(-HALF_TURN, west))]
    } else {
        [Some(rect(west, east)), None]
    };
    rects.into_iter().flatten()
}

/// Whether the short way between two positions is over 180°.
pub(super) fn crosses_antimeridian(from: Coord, to: Coord) -> bool {
    (i64::from(from.lon) - i64::from(to.lon)).abs() > HALF_TURN
}

/// Whether a leg meets so many cells that it is not listed by them.
pub(super) fn is_long(from: Coord, to: Coord) -> bool {
    let (dlon, dlat) = differences(from, to);
    dlon.abs().max(dlat.abs()) > MOST_CELLS_ACROSS * GRID.side()
}

/// The parts of cells that a leg meets, if it is not long; a cell may come several times.
pub(super) fn parts_met(from: Coord, to: Coord) -> impl Iterator<Item = (CellKey, CellParts)> {
    debug_assert!(!is_long(from, to));
    leg_pieces(from, to).flatten().flat_map(|rect| GRID.parts_meeting(rect))
}

/// A leg in pieces of no more than a cell's side, each as its rectangles, so that few cells beside it are met.
fn leg_pieces(from: Coord, to: Coord) -> impl Iterator<Item = impl Iterator<Item = Rect>> {
    let (dlon, dlat) = differences(from, to);
    let pieces = dlon.abs().max(dlat.abs()) / GRID.side() + 1;
    let point = move |n: i64| {
        let lon = i64::from(from.lon) + (dlon * n).div_euclid(pieces);
        let lon = if lon > HALF_TURN { lon - 2 * HALF_TURN } else { lon };
        let lon = if lon < -HALF_TURN { lon + 2 * HALF_TURN } else { lon };
        Coord { lon: lon as i32, lat: from.lat + (dlat * n).div_euclid(pieces) as i32 }
    };
    (0..pieces).map(move |n| {
        // Points are rounded down to whole units: the leg is at most one beside them.
        leg_rects(point(n), point(n + 1)).map(|r| Rect {
            min_lon: (r.min_lon - 1).max(-HALF_TURN),
            max_lon: (r.max_lon + 1).min(HALF_TURN),
            min_lat: (r.min_lat - 1).max(-HALF_TURN / 2),
            max_lat: (r.max_lat + 1).min(HALF_TURN / 2),
        })
    })
}

/// How far it is east and north.
fn differences(from: Coord, to: Coord) -> (i64, i64) {
    let plain = i64::from(to.lon) - i64::from(from.lon);
    let dlon = if crosses_antimeridian(from, to) { plain - plain.signum() * 2 * HALF_TURN } else { plain };
    (dlon, i64::from(to.lat) - i64::from(from.lat))
}
