//! Which blocks of fixes lie near a place: the inverted index that makes fence edits cheap.
//!
//! ```text
//!   cell -> [ (vehicle, base of a sealed block, parts of the cell) ... ]    an edit asks for its shapes' cells
//!   [ (vehicle, base of a sealed block, rectangle of a long leg) ... ]                  few: a scan
//!   vehicle -> rectangle around its tail                       tails are too many to be moved about: a scan
//! ```
//!
//! Invariants:
//! 1. A sealed block is listed in every cell that one of its fixes is in, with the parts of it where they are,
//!    and, once a fence asks for crossings, in every cell that a leg to one of its fixes may meet; a leg that
//!    reaches over very many cells is listed by itself instead.
//! 2. What is listed may be gone, or not be there any more: whoever asks looks at the block.
//! 3. After a sweep at most about half of what is listed is stale, however much was: for each entry that may
//!    have become stale the sweep looks at [`LOOKS_A_STALE`] others, in turn. So while it comes round once,
//!    entries become stale that are at most half of those that it looks at.
//!    Repeats that late fixes make need no looks: a list that is full of them is joined before it grows.
//! 4. A cell that nothing is listed in is no more.

mod bounds;
mod legs;
mod lists;
#[cfg(test)]
mod tests;

use model::Coord;
use rustc_hash::FxHashMap;

use self::bounds::{Bounds, for_each_meeting};
pub(crate) use self::legs::leg_rects;
use self::legs::{is_long, parts_met};
use self::lists::{Item, List};
use super::history::{Block, base_seconds};
use crate::spatial::{CellKey, CellParts, Grid, Rect};
use model::state::{Loader, Saver, State, StateError};

/// Coarser than the cover's: a moving truck's block is in few of its cells, and its parts are small enough.
const GRID: Grid = Grid::of_cell_bits(18);
const LOOKS_A_STALE: usize = 3;

/// A sealed block: whose, and the seconds of its base time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(crate) struct Entry {
    /// The vehicle's place on its worker.
    pub(crate) vehicle: u32,
    /// [`TAIL`] for the tail.
    pub(crate) base_s: u32,
}

/// Stands for a vehicle's tail; later than every base.
pub(crate) const TAIL: u32 = u32::MAX;

/// Those who have the blocks that are listed.
pub(crate) trait KnownBlocks {
    /// Whether a block is there, and `test` holds for a leg to one of its fixes, or for the position of one,
    /// as a leg from there to itself.
    fn any_leg(&self, entry: Entry, test: impl FnMut(Coord, Coord) -> bool) -> bool;

    /// Touches the memory of blocks that are asked for soon.
    fn touch(&self, entries: impl Iterator<Item = Entry> + Clone);
}

#[derive(Default)]
pub(crate) struct BlocksIndex {
    place_of: FxHashMap<CellKey, u32>,
    cells: Vec<Cell>,
    long_legs: List<LongLeg>,
    /// Around each vehicle's tail.
    tails: Vec<Bounds>,
    /// In all cells.
    listed: usize,
    /// How many entries may have become stale since the last sweep.
    maybe_stale: usize,
    sweep_at: SweepAt,
    places: Vec<(CellKey, CellParts)>,
}

/// Where sweeping goes on: the cell's place and that of an item in its list, and of an item among long legs.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct SweepAt {
    cell: usize,
    item: usize,
    long_leg: usize,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Cell {
    key: CellKey,
    list: List<Listed>,
}

/// A block in a cell, and in which parts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
struct Listed {
    entry: Entry,
    parts: CellParts,
}

impl Item for Listed {
    fn joins(&mut self, other: &Listed) -> bool {
        let is_same = self.entry == other.entry;
        self.parts |= if is_same { other.parts } else { 0 };
        is_same
    }
}

/// A block with a leg to one of its fixes, or a part of one, that reaches over very many cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
struct LongLeg {
    entry: Entry,
    bounds: Bounds,
}

impl Item for LongLeg {
    fn joins(&mut self, other: &LongLeg) -> bool {
        self == other
    }
}

impl State for BlocksIndex {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        let BlocksIndex { cells, long_legs, tails, listed, maybe_stale, sweep_at, .. } = self;
        to.put(&(long_legs, listed, maybe_stale, sweep_at))?;
        to.put_all(cells)?;
        to.put_all(tails)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        (self.long_legs, self.listed, self.maybe_stale, self.sweep_at) = from.take()?;
        self.cells = from.take_all()?;
        self.tails = from.take_all()?;
        self.place_of = self.cells.iter().map(|cell| cell.key).zip(0..).collect();
        Ok(())
    }
}

impl BlocksIndex {
    /// Makes room for a vehicle's tail.
    pub(crate) fn add_vehicle(&mut self) {
        self.tails.push(Bounds::EMPTY);
    }

    /// A tail begins anew with a position.
    pub(crate) fn begin_tail(&mut self, vehicle: u32, at: Coord) {
        let mut bounds = Bounds::EMPTY;
        bounds.include(at);
        self.tails[vehicle as usize] = bounds;
    }

    /// Touches the memory of a vehicle's tail here.
    #[inline]
    pub(crate) fn touch(&self, place: usize) -> u32 {
        self.tails[place].touch()
    }

    #[inline]
    pub(crate) fn widen_tail(&mut self, vehicle: u32, at: Coord) {
        self.tails[vehicle as usize].include(at);
    }

    /// Lists a block in the cells of its fixes.
    pub(crate) fn add_block(&mut self, vehicle: u32, block: Block<'_>) {
        let entry = Entry { vehicle, base_s: base_seconds(block.base_time()) };
        self.add_all(entry, block.positions().map(|at| (GRID.cell_of(at), GRID.part_of(at))));
    }

    /// Lists a block at the position of a fix that it has now, perhaps in place of another; it may be listed there
    /// already.
    pub(crate) fn add_position(&mut self, vehicle: u32, block: Block<'_>, index: usize, is_replaced: bool) {
        let place = |index: usize| {
            let at = block.fix(index).at;
            (GRID.cell_of(at), GRID.part_of(at))
        };
        let (key, parts) = place(index);
        let is_beside = index > 0 && place(index - 1) == (key, parts)
            || index + 1 < block.len() && place(index + 1) == (key, parts);
        if !is_beside {
            let entry = Entry { vehicle, base_s: base_seconds(block.base_time()) };
            self.add(key, Listed { entry, parts }, true);
        }
        self.maybe_stale += usize::from(is_replaced);
    }

    /// Lists a block, or widens a tail, along a leg to one of its fixes, perhaps in place of another.
    pub(crate) fn add_leg(&mut self, entry: Entry, from: Coord, to: Coord) {
        if entry.base_s == TAIL {
            self.tails[entry.vehicle as usize].include_leg(from, to);
            return;
        }
        if is_long(from, to) {
            for rect in leg_rects(from, to) {
                self.long_legs.add(LongLeg { entry, bounds: Bounds::of(&rect) });
                self.maybe_stale += 1;
            }
            return;
        }
        // What is added may be a repeat.
        self.maybe_stale += self.add_all(entry, parts_met(from, to));
    }

    /// Lists an entry in parts of cells, each cell once; tells how many were not joined to others.
    fn add_all(&mut self, entry: Entry, parts: impl Iterator<Item = (CellKey, CellParts)>) -> usize {
        let mut places = std::mem::take(&mut self.places);
        places.clear();
        for (key, parts) in parts {
            // A block is in few cells, and mostly in the one that it was in last.
            match places.iter_mut().rev().find(|(known, _)| *known == key) {
                Some((_, known)) => *known |= parts,
                None => places.push((key, parts)),
            }
        }
        let mut added = 0;
        for &(key, parts) in &places {
            added += usize::from(self.add(key, Listed { entry, parts }, false));
        }
        self.places = places;
        added
    }

    /// Lists an entry in a cell, and tells whether it was not joined to another. `may_repeat`: the entry may be
    /// listed there already.
    fn add(&mut self, key: CellKey, listed: Listed, may_repeat: bool) -> bool {
        let place = *self.place_of.entry(key).or_insert_with(|| {
            self.cells.push(Cell { key, list: List::default() });
            self.cells.len() as u32 - 1
        });
        let list = &mut self.cells[place as usize].list;
        if list.is_full_of_repeats() {
            let SweepAt { cell, item, .. } = &mut self.sweep_at;
            let before = list.items().len();
            let next = list.join_all(if *cell == place as usize { *item } else { 0 });
            if *cell == place as usize {
                *item = next;
            }
            self.listed -= before - list.items().len();
        }
        let is_added = list.add(listed);
        if is_added && may_repeat {
            list.note_repeat();
        }
        self.listed += usize::from(is_added);
        is_added
    }

    /// Touches the memory where a position would be listed.
    #[inline]
    pub(crate) fn touch_cell(&self, at: Coord) -> u32 {
        let of_cell = |place: &u32| self.cells[*place as usize].list.items().last();
        self.place_of.get(&GRID.cell_of(at)).and_then(of_cell).map_or(0, |listed| listed.entry.vehicle)
    }

    /// What may have a fix, or a leg, in one of the rectangles (within ±180°): by vehicle, then by time.
    pub(crate) fn near(&mut self, rects: &[Rect], found: &mut Vec<Entry>) {
        found.clear();
        let met = &mut self.places;
        met.clear();
        for rect in rects {
            let range = GRID.cells_meeting(rect);
            if range.len() > self.cells.len() {
                let keys = self.cells.iter().map(|cell| cell.key).filter(|&key| range.contains(key));
                met.extend(keys.map(|key| (key, GRID.parts_met(rect, key))));
            } else {
                met.extend(GRID.parts_meeting(*rect));
            }
        }
        met.sort_unstable();
        for of_cell in met.chunk_by(|a, b| a.0 == b.0) {
            let Some(&place) = self.place_of.get(&of_cell[0].0) else { continue };
            let parts = of_cell.iter().fold(0, |all, (_, parts)| all | parts);
            let list = self.cells[place as usize].list.items();
            found.extend(list.iter().filter(|listed| listed.parts & parts != 0).map(|l| l.entry));
        }
        let bounds: Vec<Bounds> = rects.iter().map(Bounds::of).collect();
        let long_legs = self.long_legs.items().iter();
        found.extend(long_legs.filter(|leg| bounds.iter().any(|b| leg.bounds.meets(b))).map(|leg| leg.entry));
        for_each_meeting(&self.tails, &bounds, |vehicle| {
            found.push(Entry { vehicle: vehicle as u32, base_s: TAIL });
        });
        found.sort_unstable();
        found.dedup();
    }

    /// Forgets where blocks are, but not where tails are.
    pub(crate) fn forget_blocks(&mut self) {
        *self = BlocksIndex { tails: std::mem::take(&mut self.tails), ..BlocksIndex::default() };
    }

    /// A block is no more, or has taken the place of one that was listed.
    pub(crate) fn note_gone(&mut self, block: Block<'_>) {
        let mut positions = block.positions();
        let Some(mut last) = positions.next() else { return };
        self.maybe_stale += 1;
        for at in positions {
            self.maybe_stale += cells_more(last, at);
            last = at;
        }
    }

    /// A fix that legs begin and end with is no good any more, or is good now; where it is from the one before.
    pub(crate) fn note_legs_changed(&mut self, good: Coord, at: Coord) {
        self.maybe_stale += 2 + 2 * cells_more(good, at);
    }

    /// Drops stale entries and repeats, in proportion to those that may have become so.
    pub(crate) fn sweep(&mut self, blocks: &impl KnownBlocks) {
        let looks = std::mem::take(&mut self.maybe_stale) * LOOKS_A_STALE;
        self.sweep_cells(looks.min(self.listed), blocks);
        self.sweep_long_legs(looks.min(self.long_legs.items().len()), blocks);
    }

    fn sweep_cells(&mut self, looks: usize, blocks: &impl KnownBlocks) {
        let mut looked_at = 0;
        while looked_at < looks && !self.cells.is_empty() {
            let SweepAt { cell: place, item: from, .. } = self.sweep_at;
            let Some(Cell { key, list }) = self.cells.get_mut(place) else {
                self.sweep_at.cell = 0;
                continue;
            };
            let is_there = |listed: &Listed| blocks.any_leg(listed.entry, |from, to| meets(from, to, *key));
            blocks.touch(list.window(from).iter().map(|listed| listed.entry));
            let before = list.items().len();
            let to = list.sweep_from(from, is_there);
            let gone = before - list.items().len();
            self.listed -= gone;
            looked_at += to - from + gone;
            self.sweep_at.item = to;
            if to == before - gone {
                self.sweep_at.item = 0;
                if to == 0 {
                    // Another cell takes its place, and is next.
                    self.place_of.remove(key);
                    self.cells.swap_remove(place);
                    if let Some(moved) = self.cells.get(place) {
                        self.place_of.insert(moved.key, place as u32);
                    }
                } else {
                    self.sweep_at.cell += 1;
                }
            }
        }
    }

    fn sweep_long_legs(&mut self, looks: usize, blocks: &impl KnownBlocks) {
        let is_there = |leg: &LongLeg| {
            let is_it = |rect: Rect| Bounds::of(&rect) == leg.bounds;
            blocks.any_leg(leg.entry, |from, to| is_long(from, to) && leg_rects(from, to).any(is_it))
        };
        let mut looked_at = 0;
        while looked_at < looks {
            let from = self.sweep_at.long_leg;
            let before = self.long_legs.items().len();
            let to = self.long_legs.sweep_from(from, is_there);
            let left = self.long_legs.items().len();
            looked_at += to - from + before - left;
            self.sweep_at.long_leg = if to == left { 0 } else { to };
        }
    }

    /// How many entries there are.
    #[cfg(test)]
    fn listed(&self) -> usize {
        self.listed + self.long_legs.items().len()
    }
}

/// About in how many places more than where it begins a leg is listed, if it is.
fn cells_more(from: Coord, to: Coord) -> usize {
    if is_long(from, to) { 2 } else { GRID.steps_between(from, to) }
}

/// Whether a leg that is not long, or a position, is in a cell.
fn meets(from: Coord, to: Coord, key: CellKey) -> bool {
    if from == to {
        return GRID.cell_of(to) == key;
    }
    !is_long(from, to) && parts_met(from, to).any(|(met, _)| met == key)
}
