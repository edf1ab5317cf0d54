//! Grids of square cells that caches and indexes are kept by.

use model::Coord;

use super::rect::Rect;

/// A side of a cell of the cover is 2 to this power: about 1.4 km.
pub(crate) const CELL_BITS: u32 = 17;

/// The grid of the cover.
const COVER: Grid = Grid { cell_bits: CELL_BITS };

/// A cell's column and row in one number.
pub(crate) type CellKey = u32;

/// Parts of a cell, 8 columns and 8 rows of them, a bit each.
pub(crate) type CellParts = u64;

const PART_BITS: u32 = 3;
const PARTS_A_SIDE: u32 = 1 << PART_BITS;

/// A grid of square cells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    cell_bits: u32,
}

impl Grid {
    /// The grid whose cells' sides are 2 to this power, 16 at least: columns and rows are numbers of 16 bits.
    pub(crate) const fn of_cell_bits(cell_bits: u32) -> Grid {
        assert!(cell_bits >= 16);
        Grid { cell_bits }
    }

    /// A cell's side in units.
    pub(crate) const fn side(self) -> i64 {
        1 << self.cell_bits
    }

    /// The cell that a position is in.
    #[inline]
    pub(crate) fn cell_of(self, at: Coord) -> CellKey {
        cell_key(i64::from(at.lon) >> self.cell_bits, i64::from(at.lat) >> self.cell_bits)
    }

    /// The part of its cell that a position is in.
    #[inline]
    pub(crate) fn part_of(self, at: Coord) -> CellParts {
        let part =
            |units: i32| (i64::from(units) >> (self.cell_bits - PART_BITS)) & (PARTS_A_SIDE as i64 - 1);
        1 << (part(at.lat) * PARTS_A_SIDE as i64 + part(at.lon))
    }

    /// How many columns and rows it is from one position's cell to another's, the short way round.
    pub(crate) fn steps_between(self, from: Coord, to: Coord) -> usize {
        const WHOLE_TURN: u32 = 3_600_000_000;
        let steps = |from: i32, to: i32| (from >> self.cell_bits).abs_diff(to >> self.cell_bits);
        let columns = steps(from.lon, to.lon);
        let other_way = (WHOLE_TURN >> self.cell_bits).saturating_sub(columns);
        (columns.min(other_way) + steps(from.lat, to.lat)) as usize
    }

    /// The cells that a rectangle within ±180° meets.
    pub(crate) fn cells_meeting(self, rect: &Rect) -> CellRange {
        CellRange {
            columns: (rect.min_lon >> self.cell_bits, rect.max_lon >> self.cell_bits),
            rows: (rect.min_lat >> self.cell_bits, rect.max_lat >> self.cell_bits),
        }
    }

    /// The cells that a rectangle within ±180° meets, and the parts of each that it meets.
    pub(crate) fn parts_meeting(self, rect: Rect) -> impl Iterator<Item = (CellKey, CellParts)> {
        self.cells_meeting(&rect).iter().map(move |key| (key, self.parts_met(&rect, key)))
    }

    /// The parts of a cell that a rectangle meets; they meet at least in the cell.
    pub(crate) fn parts_met(self, rect: &Rect, key: CellKey) -> CellParts {
        let span = |min: i64, max: i64, cell: i64| {
            let low = cell << self.cell_bits;
            let high = low + self.side() - 1;
            let part = |units: i64| (units.clamp(low, high) - low) >> (self.cell_bits - PART_BITS);
            (part(min) as u32, part(max) as u32)
        };
        let (column, row) = column_and_row(key);
        let (west, east) = span(rect.min_lon, rect.max_lon, column);
        let (south, north) = span(rect.min_lat, rect.max_lat, row);
        let of_row = ((1 << (east - west + 1)) - 1) << west;
        (south..=north).fold(0, |parts: CellParts, row| parts | of_row << (row * PARTS_A_SIDE))
    }
}

/// The cell of the cover that a position is in.
#[inline]
pub(crate) fn cell_of(at: Coord) -> CellKey {
    COVER.cell_of(at)
}

fn cell_key(column: i64, row: i64) -> CellKey {
    (((column + 0x8000) as u32) << 16) | ((row + 0x8000) as u32 & 0xffff)
}

fn column_and_row(key: CellKey) -> (i64, i64) {
    (i64::from(key >> 16) - 0x8000, i64::from(key & 0xffff) - 0x8000)
}

/// Cells of a grid in a rectangle of columns and rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CellRange {
    columns: (i64, i64),
    rows: (i64, i64),
}

impl CellRange {
    /// The cells of the cover that a rectangle within ±180° meets.
    pub(crate) fn of(rect: &Rect) -> CellRange {
        COVER.cells_meeting(rect)
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = CellKey> + use<> {
        let (columns, rows) = (self.columns, self.rows);
        (columns.0..=columns.1)
            .flat_map(move |column| (rows.0..=rows.1).map(move |row| cell_key(column, row)))
    }
}
