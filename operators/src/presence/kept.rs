//! What the blocks' index is told of the blocks that it lists.

use model::Coord;

use super::blocks_index::{Entry, KnownBlocks};
use super::history::History;
use super::vehicle::Vehicle;
use super::world::MAX_CROSSING_GAP_MS;

/// The vehicles of a worker.
pub(crate) struct Kept<'a> {
    pub(crate) vehicles: &'a [Vehicle],
    /// Whether the index lists blocks along legs too.
    pub(crate) legs_are_listed: bool,
}

impl KnownBlocks for Kept<'_> {
    fn any_leg(&self, entry: Entry, mut test: impl FnMut(Coord, Coord) -> bool) -> bool {
        let history = &self.vehicles[entry.vehicle as usize].history;
        history.blocks_at(entry.base_s).any(|block| {
            history.block(block).positions().any(|at| test(at, at))
                || (self.legs_are_listed && any_leg_to(history, block, &mut test))
        })
    }

    /// What is asked for is far apart in memory: each step here is for all, so that the waiting is too.
    fn touch(&self, entries: impl Iterator<Item = Entry> + Clone) {
        let history = |entry: Entry| &self.vehicles[entry.vehicle as usize].history;
        let headers = entries.clone().fold(0, |sum: u32, entry| sum.wrapping_add(history(entry).touch()));
        let blocks = entries.fold(0, |sum: u32, entry| {
            let history = history(entry);
            sum.wrapping_add(history.block(history.blocks_at(entry.base_s).start).touch())
        });
        std::hint::black_box((headers, blocks));
    }
}

/// Whether `test` holds for a leg between good fixes that ends in a block.
fn any_leg_to(history: &History, block: usize, test: &mut impl FnMut(Coord, Coord) -> bool) -> bool {
    let Some(begin) = history.begin_of(block) else { return false };
    let mut good = history.good_before(begin).map(|at| history.get(at));
    (0..history.block(block).len()).map(|index| history.block(block).fix(index)).any(|fix| {
        if fix.is_jump {
            return false;
        }
        let from = good.replace(fix);
        from.is_some_and(|from| fix.time - from.time <= MAX_CROSSING_GAP_MS && test(from.at, fix.at))
    })
}
