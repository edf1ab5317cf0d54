//! The grid of cells of 2^17 coordinate units, about 1.4 km, that caches and indexes are kept by.

use model::Coord;

use super::rect::Rect;

/// A cell's side is 2 to this power.
pub(crate) const CELL_BITS: u32 = 17;

/// A cell's column and row in one number.
pub(crate) type CellKey = u32;

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
        let (column, row) = (i64::from(key >> 16) - 0x8000, i64::from(key & 0xffff) - 0x8000);
        (self.columns.0..=self.columns.1).contains(&column) && (self.rows.0..=self.rows.1).contains(&row)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = CellKey> {
        let (columns, rows) = (self.columns, self.rows);
        (columns.0..=columns.1)
            .flat_map(move |column| (rows.0..=rows.1).map(move |row| cell_key(column, row)))
    }
}
