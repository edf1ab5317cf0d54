//! Which areas are near a point: a plain grid over all of them.

use super::plane::{Area, Point};

const CELL_M: f64 = 500.0;
/// The grid never has more cells than this; what lies beyond is found by the cells at its edge.
const MAX_CELLS_A_SIDE: usize = 1_200;

/// An area, whose it is and what it decides.
#[derive(Clone, Debug)]
pub(crate) struct IndexedArea {
    pub fence: u32,
    pub area: Area,
    /// How far outside a truck has left, metres.
    pub exit_buffer_m: f64,
    /// Whether this is the area that counts in the end.
    pub is_final: bool,
}

/// The grid.
#[derive(Clone, Debug, Default)]
pub(crate) struct AreaIndex {
    areas: Vec<IndexedArea>,
    west_m: f64,
    south_m: f64,
    columns: usize,
    rows: usize,
    /// Entries of cell `c` are `entries[starts[c]..starts[c + 1]]`.
    starts: Vec<u32>,
    entries: Vec<u32>,
}

impl AreaIndex {
    /// Indexes areas so that every one within `care_m` of a point, its buffer not counted, is found there.
    #[must_use]
    pub(crate) fn new(areas: Vec<IndexedArea>, care_m: f64) -> AreaIndex {
        let mut index = AreaIndex::default();
        let mut bounds = (f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
        for indexed in &areas {
            let (centre, reach_m) = (indexed.area.centre, reach(indexed, care_m));
            bounds.0 = bounds.0.min(centre.x_m - reach_m);
            bounds.1 = bounds.1.min(centre.y_m - reach_m);
            bounds.2 = bounds.2.max(centre.x_m + reach_m);
            bounds.3 = bounds.3.max(centre.y_m + reach_m);
        }
        if areas.is_empty() {
            return index;
        }
        (index.west_m, index.south_m) = (bounds.0, bounds.1);
        let side = |length_m: f64| ((length_m / CELL_M) as usize + 1).min(MAX_CELLS_A_SIDE);
        (index.columns, index.rows) = (side(bounds.2 - bounds.0), side(bounds.3 - bounds.1));
        let mut counts = vec![0_u32; index.columns * index.rows + 1];
        for indexed in &areas {
            index.for_cells(indexed, care_m, |cell| counts[cell + 1] += 1);
        }
        for cell in 1..counts.len() {
            counts[cell] += counts[cell - 1];
        }
        index.starts = counts.clone();
        index.entries = vec![0; counts.last().map_or(0, |&total| total as usize)];
        for (number, indexed) in areas.iter().enumerate() {
            let (counts, entries) = (&mut counts, &mut index.entries);
            for_cells(index.west_m, index.south_m, index.columns, index.rows, indexed, care_m, |cell| {
                entries[counts[cell] as usize] = number as u32;
                counts[cell] += 1;
            });
        }
        index.areas = areas;
        index
    }

    /// The areas that may be near a point.
    pub(crate) fn near(&self, point: Point) -> impl Iterator<Item = &IndexedArea> {
        let column = ((point.x_m - self.west_m) / CELL_M).floor();
        let row = ((point.y_m - self.south_m) / CELL_M).floor();
        let outside = self.areas.is_empty() || column < 0.0 || row < 0.0;
        let range = if outside {
            0..0
        } else {
            let column = (column as usize).min(self.columns - 1);
            let row = (row as usize).min(self.rows - 1);
            let cell = row * self.columns + column;
            self.starts[cell] as usize..self.starts[cell + 1] as usize
        };
        self.entries[range].iter().map(|&number| &self.areas[number as usize])
    }

    fn for_cells(&self, indexed: &IndexedArea, care_m: f64, visit: impl FnMut(usize)) {
        for_cells(self.west_m, self.south_m, self.columns, self.rows, indexed, care_m, visit);
    }
}

fn reach(indexed: &IndexedArea, care_m: f64) -> f64 {
    // The centimetres between the plane's scale and the area's are covered by 1 %.
    (indexed.area.reach_m + indexed.exit_buffer_m + care_m) * 1.01
}

fn for_cells(
    west_m: f64,
    south_m: f64,
    columns: usize,
    rows: usize,
    indexed: &IndexedArea,
    care_m: f64,
    mut visit: impl FnMut(usize),
) {
    let (centre, reach_m) = (indexed.area.centre, reach(indexed, care_m));
    let cell = |metres: f64, cells: usize| ((metres / CELL_M).max(0.0) as usize).min(cells - 1);
    let first_column = cell(centre.x_m - reach_m - west_m, columns);
    let last_column = cell(centre.x_m + reach_m - west_m, columns);
    let first_row = cell(centre.y_m - reach_m - south_m, rows);
    let last_row = cell(centre.y_m + reach_m - south_m, rows);
    for row in first_row..=last_row {
        for column in first_column..=last_column {
            visit(row * columns + column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plane::Outline;
    use super::super::prng::Prng;
    use super::*;

    #[test]
    fn finds_what_a_scan_finds() {
        let mut prng = Prng::new(3);
        let areas: Vec<IndexedArea> = (0..300)
            .map(|fence| IndexedArea {
                fence,
                area: Area::new(
                    Point { x_m: prng.between(-9e3, 9e3), y_m: prng.between(-9e3, 9e3) },
                    Outline::Circle(prng.between(50.0, 1500.0)),
                ),
                exit_buffer_m: 30.0,
                is_final: true,
            })
            .collect();
        let index = AreaIndex::new(areas.clone(), 70.0);
        for _ in 0..5_000 {
            let point = Point { x_m: prng.between(-13e3, 13e3), y_m: prng.between(-13e3, 13e3) };
            let close = |a: &IndexedArea| a.area.signed_distance_m(point, 100.0) <= 100.0;
            let mut found: Vec<u32> = index.near(point).filter(|a| close(a)).map(|a| a.fence).collect();
            found.sort_unstable();
            let scanned: Vec<u32> = areas.iter().filter(|a| close(a)).map(|a| a.fence).collect();
            assert_eq!(found, scanned);
        }
    }
}
