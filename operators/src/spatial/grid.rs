//! The grid of cells of 2^17 coordinate units, about 1.4 km, that caches and indexes are kept by.

use model::Coord;

use super::rect::Rect;

/// A cell's side is 2 to this power.
pub(crate) const CELL_BITS: u32 = 17;

/// A cell's column and row in one number.
pub(crate) type CellKey = u32;

/// Parts of a cell, 8 columns and 4 rows of them, a bit each.
pub(crate) type CellParts = u32;

const PART_COLUMN_BITS: u32 = 3;
const PART_ROW_BITS: u32 = 2;

/// The part of its cell that a position is in.
#[inline]
pub(crate) fn part_of(at: Coord) -> CellParts {
    let column = (i64::from(at.lon) >> (CELL_BITS - PART_COLUMN_BITS)) & 7;
    let row = (i64::from(at.lat) >> (CELL_BITS - PART_ROW_BITS)) & 3;
    1 << (row * 8 + column)
}

/// The cell that a position is in.
#[inline]
pub(crate) fn cell_of(at: Coord) -> CellKey {
    cell_key(i64::from(at.lon) >> CELL_BITS, i64::from(at.lat) >> CELL_BITS)
}

fn cell_key(column: i64, row: i64) -> CellKey {
    (((column + 0x8000) as u32) << 16) | ((row + 0x8000) as u32 & 0xffff)
}

/// The cells that a rectangle within ±180° meets.
#[derive(Clone, Copy)]
pub(crate) struct CellRange {
    columns: (i64, i64),
    rows: (i64, i64),
}

impl CellRange {
    pub(crate) fn of(rect: &Rect) -> CellRange {
        CellRange {
            columns: (rect.min_lon >> CELL_BITS, rect.max_lon >> CELL_BITS),
            rows: (rect.min_lat >> CELL_BITS, rect.max_lat >> CELL_BITS),
        }
    }

    /// How many cells there are.
    pub(crate) fn len(&self) -> usize {
        let side = |(from, to): (i64, i64)| (to - from + 1).max(0) as usize;
        side(self.columns) * side(self.rows)
    }

    pub(crate) fn contains(&self, key: CellKey) -> bool {
        let (column, row) = column_and_row(key);
        (self.columns.0..=self.columns.1).contains(&column) && (self.rows.0..=self.rows.1).contains(&row)
    }

    /// The cells that a rectangle within ±180° meets, and the parts of each that it meets.
    pub(crate) fn parts(rect: Rect) -> impl Iterator<Item = (CellKey, CellParts)> {
        CellRange::of(&rect).iter().map(move |key| (key, parts_met(&rect, key)))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = CellKey> + use<> {
        let (columns, rows) = (self.columns, self.rows);
        (columns.0..=columns.1)
            .flat_map(move |column| (rows.0..=rows.1).map(move |row| cell_key(column, row)))
    }
}

/// The parts of a cell that a rectangle meets.
pub(crate) fn parts_met(rect: &Rect, key: CellKey) -> CellParts {
    let span = |min: i64, max: i64, cell: i64, part_bits: u32| {
        let low = cell << CELL_BITS;
        let high = low + (1 << CELL_BITS) - 1;
        let part = |units: i64| (units.clamp(low, high) - low) >> (CELL_BITS - part_bits);
        (part(min), part(max))
    };
    let (column, row) = column_and_row(key);
    let (west, east) = span(rect.min_lon, rect.max_lon, column, PART_COLUMN_BITS);
    let (south, north) = span(rect.min_lat, rect.max_lat, row, PART_ROW_BITS);
    let of_row = ((1_u32 << (east - west + 1)) - 1) << west;
    (south..=north).fold(0, |parts, row| parts | of_row << (row * 8))
}

fn column_and_row(key: CellKey) -> (i64, i64) {
    (i64::from(key >> 16) - 0x8000, i64::from(key & 0xffff) - 0x8000)
}
