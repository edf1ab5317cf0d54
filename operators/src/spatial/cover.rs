//! What is known of each place of the map: the shapes that a position there must be asked about.
//!
//! ```text
//!   cell (2^17 units, about 1.4 km) -> code -+-> nothing | one shape | a list of shapes
//!                                            |
//!                                            +-> leaves, 16 x 16: a bit each, and a code where more is listed
//!                                                than in the whole cell: one shape | a list of shapes
//! ```
//!
//! A code is a number that says it all where no more than one shape is listed. A look-up touches the hash map;
//! then, in a cell where the edge of a shape is, one line of bits; then, near a shape, one code. A cover is a
//! cache of what the shapes say. Invariants:
//! 1. A shape that is not listed in a place has no point in it.
//! 2. A shape that is listed as certain covers all of the place.
//! 3. Every cell that is known agrees with the shapes as they are now: an edit forgets those that it may touch.
//! 4. A code is good in the epoch in which it was given: what may give the number of leaves or of a list to
//!    another place begins a new epoch.

use std::sync::Arc;

use model::Coord;
use rustc_hash::FxHashMap;

use super::grid::{CELL_BITS, CellKey, CellRange, cell_of};
use super::index::ShapeSlot;
use super::prepared::{Overlap, PreparedShape};
use super::rect::Rect;

const LEAF_BITS: u32 = 13;
const LEAVES_A_SIDE: i64 = 1 << (CELL_BITS - LEAF_BITS);
const LEAVES: usize = (LEAVES_A_SIDE * LEAVES_A_SIDE) as usize;
/// A cover is full when leaves and lists take so much.
const MAX_BYTES: usize = 256 << 20;
/// It is full, too, when so many cells are known, of which most are empty: about 80 MB more.
const MAX_CELLS: usize = 4_000_000;
/// What a list takes beside its entries: where it is, and what the allocator keeps of it.
const BYTES_BESIDE_A_LIST: usize = 32;
/// Bits a word.
const WORD: usize = 64;

/// A shape that is listed in a place: its slot, and in the lowest bit whether it covers the whole place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Listed(u32);

impl Listed {
    fn new(slot: ShapeSlot, is_certain: bool) -> Listed {
        debug_assert!(slot < 1 << 30);
        Listed(slot << 1 | u32::from(is_certain))
    }

    pub(super) fn slot(self) -> ShapeSlot {
        self.0 >> 1
    }

    pub(super) fn is_certain(self) -> bool {
        self.0 & 1 == 1
    }
}

/// What is listed in a place, in 32 bits: `.. 1` one shape, `.. 00` a list's number, `.. 10` a number of leaves.
/// 0 is list 0, which is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Code(u32);

/// What a code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    One(Listed),
    List(u32),
    Leaves(u32),
}

impl Code {
    pub(super) const NOTHING: Code = Code(0);

    fn new(meaning: Meaning) -> Code {
        match meaning {
            Meaning::One(listed) => Code(listed.0 << 1 | 1),
            Meaning::List(number) => Code(number << 2),
            Meaning::Leaves(number) => Code(number << 2 | 2),
        }
    }

    #[inline]
    pub(super) fn meaning(self) -> Meaning {
        match self.0 & 3 {
            0 => Meaning::List(self.0 >> 2),
            2 => Meaning::Leaves(self.0 >> 2),
            _ => Meaning::One(Listed(self.0 >> 1)),
        }
    }
}

/// The leaves of a cell: one line of memory, and the codes of those that differ from the cell.
#[repr(align(64))]
#[derive(Default)]
struct Leaves {
    /// In which leaves there is more than in the whole cell, a bit each.
    has_more: [u64; LEAVES / WORD],
    /// How many bits are set in the words before each.
    more_before: [u8; LEAVES / WORD],
    /// What covers the whole cell.
    everywhere: Code,
    /// Of the leaves that have more, in their order.
    codes: Box<[Code]>,
}

impl Leaves {
    #[inline]
    fn code(&self, leaf: usize) -> Code {
        let (word, bit) = (leaf / WORD, 1_u64 << (leaf % WORD));
        if self.has_more[word] & bit == 0 {
            return self.everywhere;
        }
        let before = (self.has_more[word] & (bit - 1)).count_ones() as usize;
        self.codes[usize::from(self.more_before[word]) + before]
    }

    fn new(everywhere: Code, codes: impl Iterator<Item = Code>) -> Leaves {
        let mut leaves = Leaves { everywhere, ..Leaves::default() };
        let mut more = Vec::new();
        for (leaf, code) in codes.enumerate() {
            if leaf % WORD == 0 {
                // No more than 3 words of 64 bits are before one.
                leaves.more_before[leaf / WORD] = more.len() as u8;
            }
            if code != everywhere {
                leaves.has_more[leaf / WORD] |= 1 << (leaf % WORD);
                more.push(code);
            }
        }
        leaves.codes = more.into();
        leaves
    }

    fn bytes(&self) -> usize {
        size_of::<Leaves>() + size_of_val(&*self.codes)
    }
}

/// See the module.
pub(super) struct Cover {
    cells: FxHashMap<CellKey, Code>,
    leaves: Vec<Leaves>,
    free_leaves: Vec<u32>,
    lists: Vec<Box<[Listed]>>,
    free_lists: Vec<u32>,
    /// What leaves and lists take.
    bytes: usize,
    epoch: u32,
}

impl Default for Cover {
    fn default() -> Self {
        Cover {
            cells: FxHashMap::default(),
            leaves: Vec::new(),
            free_leaves: Vec::new(),
            lists: vec![Box::default()],
            free_lists: Vec::new(),
            bytes: 0,
            epoch: 0,
        }
    }
}

impl Cover {
    #[inline]
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The code of a position's cell, if it is known.
    #[inline]
    pub(super) fn cell(&self, at: Coord) -> Option<Code> {
        self.cells.get(&cell_of(at)).copied()
    }

    /// The code of a position's leaf, given its cell's: the same where the cell has no leaves.
    #[inline]
    pub(super) fn leaf(&self, of_cell: Code, at: Coord) -> Code {
        match of_cell.meaning() {
            Meaning::Leaves(number) => self.leaves[number as usize].code(leaf_of(at)),
            Meaning::One(_) | Meaning::List(_) => of_cell,
        }
    }

    #[inline]
    pub(super) fn list(&self, number: u32) -> &[Listed] {
        &self.lists[number as usize]
    }

    /// Empties the cover if it is full.
    #[inline]
    pub(super) fn make_room(&mut self) {
        if self.bytes >= MAX_BYTES || self.cells.len() >= MAX_CELLS {
            self.clear();
        }
    }

    #[cold]
    pub(super) fn clear(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
        self.cells.clear();
        self.leaves.clear();
        self.free_leaves.clear();
        self.lists.truncate(1);
        self.free_lists.clear();
        self.bytes = 0;
    }

    /// Forgets the cells that a rectangle within ±180° meets.
    pub(super) fn forget(&mut self, bounds: &Rect) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.cells.is_empty() {
            return;
        }
        let range = CellRange::of(bounds);
        let stale: Vec<CellKey> = if range.len() > self.cells.len() {
            self.cells.keys().copied().filter(|&key| range.contains(key)).collect()
        } else {
            range.iter().collect()
        };
        for key in stale {
            match self.cells.remove(&key).map(Code::meaning) {
                Some(Meaning::Leaves(number)) => self.drop_leaves(number),
                Some(Meaning::List(number)) => self.drop_list(number),
                Some(Meaning::One(_)) | None => {}
            }
        }
    }

    /// Notes what is listed in the cell of a position, of the shapes in `slots`, which are all that may have a
    /// point there. Forgets nothing. Tells the cell's code.
    pub(super) fn fill(
        &mut self,
        at: Coord,
        slots: &[ShapeSlot],
        shapes: &[Option<Arc<PreparedShape>>],
    ) -> Code {
        let rect = cell_rect(at);
        let east = rect.widest_metres_per_unit();
        let place = rect.place_within(east);
        let mut uniform = Vec::new();
        let mut mixed = Vec::new();
        for &slot in slots {
            let Some(shape) = &shapes[slot as usize] else { continue };
            let edges = shape.edges_meeting(&rect);
            match shape.overlap(&place, &edges) {
                Overlap::Outside => {}
                Overlap::Inside => uniform.push(Listed::new(slot, true)),
                Overlap::Mixed => mixed.push((slot, shape, edges)),
            }
        }
        let everywhere = self.code_of(&uniform);
        let code = if mixed.is_empty() {
            everywhere
        } else {
            // Many leaves of a cell list the same.
            let mut known: FxHashMap<Vec<Listed>, Code> = FxHashMap::default();
            known.insert(uniform.clone(), everywhere);
            let codes = (0..LEAVES).map(|index| {
                let leaf = leaf_rect(&rect, index).place_within(east);
                let mut listed = uniform.clone();
                for (slot, shape, edges) in &mixed {
                    match shape.overlap(&leaf, edges) {
                        Overlap::Outside => {}
                        Overlap::Inside => listed.push(Listed::new(*slot, true)),
                        Overlap::Mixed => listed.push(Listed::new(*slot, false)),
                    }
                }
                *known.entry(listed).or_insert_with_key(|listed| self.code_of(listed))
            });
            let leaves = Leaves::new(everywhere, codes);
            self.add_leaves(leaves)
        };
        self.cells.insert(cell_of(at), code);
        code
    }

    fn add_leaves(&mut self, leaves: Leaves) -> Code {
        self.bytes += leaves.bytes();
        let number = match self.free_leaves.pop() {
            Some(number) => {
                self.leaves[number as usize] = leaves;
                number
            }
            None => {
                if self.leaves.len() == self.leaves.capacity() {
                    // Doubling would leave room for twice as many.
                    self.leaves.reserve_exact(16 + self.leaves.len() / 8);
                }
                self.leaves.push(leaves);
                self.leaves.len() as u32 - 1
            }
        };
        Code::new(Meaning::Leaves(number))
    }

    fn drop_leaves(&mut self, number: u32) {
        let leaves = std::mem::take(&mut self.leaves[number as usize]);
        self.bytes -= leaves.bytes();
        let Leaves { everywhere, codes, .. } = &leaves;
        let lists = codes.iter().chain([everywhere]).filter_map(|code| match code.meaning() {
            Meaning::List(list) => Some(list),
            Meaning::One(_) | Meaning::Leaves(_) => None,
        });
        let mut lists: Vec<u32> = lists.collect();
        lists.sort_unstable();
        lists.dedup();
        lists.into_iter().for_each(|list| self.drop_list(list));
        self.free_leaves.push(number);
    }

    /// A code for what is listed somewhere; whoever drops that place drops its list.
    fn code_of(&mut self, listed: &[Listed]) -> Code {
        match listed {
            [] => return Code::NOTHING,
            [one] => return Code::new(Meaning::One(*one)),
            _ => {}
        }
        self.bytes += bytes_of_list(listed);
        let number = match self.free_lists.pop() {
            Some(number) => {
                self.lists[number as usize] = listed.into();
                number
            }
            None => {
                self.lists.push(listed.into());
                self.lists.len() as u32 - 1
            }
        };
        Code::new(Meaning::List(number))
    }

    fn drop_list(&mut self, number: u32) {
        if Code::new(Meaning::List(number)) == Code::NOTHING {
            return;
        }
        let listed = std::mem::take(&mut self.lists[number as usize]);
        self.bytes -= bytes_of_list(&listed);
        self.free_lists.push(number);
    }
}

fn bytes_of_list(listed: &[Listed]) -> usize {
    BYTES_BESIDE_A_LIST + size_of_val(listed)
}

/// Which leaf of its cell a position is in.
#[inline]
fn leaf_of(at: Coord) -> usize {
    let mask = LEAVES_A_SIDE - 1;
    let column = (i64::from(at.lon) >> LEAF_BITS) & mask;
    let row = (i64::from(at.lat) >> LEAF_BITS) & mask;
    (row * LEAVES_A_SIDE + column) as usize
}

/// The cell of a position.
pub(super) fn cell_rect(at: Coord) -> Rect {
    let floor = |units: i32| (i64::from(units) >> CELL_BITS) << CELL_BITS;
    let side = (1_i64 << CELL_BITS) - 1;
    let (lon, lat) = (floor(at.lon), floor(at.lat));
    Rect { min_lon: lon, max_lon: lon + side, min_lat: lat, max_lat: lat + side }
}

fn leaf_rect(cell: &Rect, index: usize) -> Rect {
    let (row, column) = (index as i64 / LEAVES_A_SIDE, index as i64 % LEAVES_A_SIDE);
    let side = 1_i64 << LEAF_BITS;
    let (lon, lat) = (cell.min_lon + column * side, cell.min_lat + row * side);
    Rect { min_lon: lon, max_lon: lon + side - 1, min_lat: lat, max_lat: lat + side - 1 }
}

#[cfg(test)]
mod tests;
