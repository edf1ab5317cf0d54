//! Where fixes are, and where they are densest.

use std::collections::{HashMap, HashSet};

use crate::measure::country::Seen;
use crate::simulate::prng::{Prng, key, mix};

/// Fixes are counted in cells of this side: about 550 m, as wide as the fences that are edited.
pub(super) const CELL_DEGREES: f64 = 0.005;
/// Of the cells with fixes, so many of a hundred are hotspots: those with most.
pub(super) const HOT_CELLS_PERCENT: usize = 1;
/// About so many fixes are remembered to draw centres from.
const REMEMBERED: u64 = 50_000;

type Cell = (i32, i32);

fn cell_of(lon: f64, lat: f64) -> Cell {
    ((lon / CELL_DEGREES).floor() as i32, (lat / CELL_DEGREES).floor() as i32)
}

/// Counts fixes by cell and remembers some of them, all equally likely.
pub(super) struct Crowds {
    counts: HashMap<Cell, u64>,
    remembered: Vec<(f64, f64)>,
    one_in: u64,
}

impl Crowds {
    /// For so many fixes.
    pub fn new(fixes: u64) -> Crowds {
        Crowds { counts: HashMap::new(), remembered: Vec::new(), one_in: (fixes / REMEMBERED).max(1) }
    }

    pub fn add(&mut self, seen: &Seen) {
        *self.counts.entry(cell_of(seen.lon, seen.lat)).or_default() += 1;
        let chance = mix(key(u64::from(seen.truck), seen.time.0.cast_unsigned()));
        if chance.is_multiple_of(self.one_in) {
            self.remembered.push((seen.lon, seen.lat));
        }
    }

    pub fn into_centres(self) -> Centres {
        let mut descending: Vec<u64> = self.counts.values().copied().collect();
        descending.sort_unstable_by(|a, b| b.cmp(a));
        let hot_cells = descending.len() * HOT_CELLS_PERCENT / 100;
        let densest_ordinary_cell = descending.get(hot_cells).copied().unwrap_or(0);
        let is_hot = |(_, count): &(&Cell, &u64)| **count > densest_ordinary_cell;
        let in_hot_cells: u64 = self.counts.iter().filter(is_hot).map(|(_, count)| count).sum();
        let all: u64 = descending.iter().sum();
        // Half of the fixes that are not at hotspots are in cells with this many or more.
        let mut left = all - in_hot_cells;
        let half = left / 2;
        let typical_cell =
            descending.iter().copied().filter(|count| *count <= densest_ordinary_cell).find(|count| {
                left = left.saturating_sub(*count);
                left <= half
            });
        Centres {
            hot: self.counts.iter().filter(is_hot).map(|(cell, _)| *cell).collect(),
            points: self.remembered,
            densest_ordinary_cell,
            typical_cell: typical_cell.unwrap_or(0),
            hot_share: in_hot_cells as f64 / all.max(1) as f64,
        }
    }
}

/// Where fences may be put.
pub(super) struct Centres {
    points: Vec<(f64, f64)>,
    hot: HashSet<Cell>,
    densest_ordinary_cell: u64,
    typical_cell: u64,
    hot_share: f64,
}

impl Centres {
    /// The place of any fix; the same place may be drawn again.
    pub fn draw(&self, random: &mut Prng) -> Option<(f64, f64)> {
        let count = u32::try_from(self.points.len()).unwrap_or(u32::MAX);
        self.points.get(random.below(0, count) as usize).copied()
    }

    /// Whether it is in a cell of which there are few with as many fixes.
    pub fn is_hot(&self, (lon, lat): (f64, f64)) -> bool {
        self.hot.contains(&cell_of(lon, lat))
    }

    /// No cell that is not a hotspot has more fixes.
    pub fn densest_ordinary_cell(&self) -> u64 {
        self.densest_ordinary_cell
    }

    /// How many fixes the cell of a fix has, in the median over those that are not at hotspots.
    pub fn typical_cell(&self) -> u64 {
        self.typical_cell
    }

    /// The part of all fixes that is in hotspots.
    pub fn hot_share(&self) -> f64 {
        self.hot_share
    }
}

#[cfg(test)]
mod tests {
    use model::TimeMs;

    use super::*;

    #[test]
    fn a_typical_cell_is_that_of_a_typical_fix() {
        let mut crowds = Crowds::new(100);
        for (cell, count) in [(0, 50), (1, 20), (2, 20), (3, 5), (4, 5)] {
            crowds.counts.insert((cell, 0), count);
        }
        (5..150).for_each(|cell| {
            crowds.counts.insert((cell, 0), 0);
        });
        assert_eq!(crowds.into_centres().typical_cell(), 20);
    }

    #[test]
    fn the_densest_cells_are_hot() {
        let mut crowds = Crowds::new(300);
        let mut add = |cell: i32, times: i64| {
            for time in 0..times {
                let lon = (f64::from(cell) + 0.5) * CELL_DEGREES;
                crowds.add(&Seen { truck: 0, time: TimeMs(time), lon, lat: 0.001 });
            }
        };
        (0..200).for_each(|cell| add(cell, 1));
        add(7, 59);
        add(8, 39);
        let centres = crowds.into_centres();
        let is_hot = |cell: i32| centres.is_hot(((f64::from(cell) + 0.5) * CELL_DEGREES, 0.001));
        assert!(is_hot(7) && is_hot(8) && !is_hot(9));
        assert_eq!(centres.densest_ordinary_cell(), 1);
        assert!((centres.hot_share() - 100.0 / 298.0).abs() < 1e-9);
        assert_eq!(centres.typical_cell(), 1);
        assert_eq!(centres.points.len(), 298, "a small input is remembered in full");
    }
}
