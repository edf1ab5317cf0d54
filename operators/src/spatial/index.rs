//! Which fences is a position in?
//!
//! ```text
//!            position
//!               |
//!   cover: cell (2^17 units, about 1.4 km) -> uniform | 16 x 16 leaves -> [(shape, certain?)]
//!               |  miss                                        |
//!   R-tree: the shapes whose bounds meet the cell      exact test, unless certain
//! ```
//!
//! The R-tree is the truth; the cover is a cache that it fills, cell by cell, and that an edit empties
//! where it matters. Invariants:
//! 1. A shape that is not listed in a leaf has no point in it.
//! 2. A shape that is listed as certain covers all of the leaf.
//! 3. Every cached cell agrees with the R-tree as it is now.

use std::sync::Arc;

use model::Coord;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};
use rustc_hash::FxHashMap;

use super::grid::{CELL_BITS, CellKey, CellRange, cell_of};
use super::prepared::{Overlap, PreparedShape};
use super::rect::Rect;

const LEAF_BITS: u32 = 13;
const LEAVES_A_SIDE: i64 = 1 << (CELL_BITS - LEAF_BITS);
const LEAVES: usize = (LEAVES_A_SIDE * LEAVES_A_SIDE) as usize;
/// The cover is emptied when it holds this many cells that are not empty: about 300 MB where all have leaves.
const MAX_CACHED_CELLS: usize = 400_000;
/// The same for all cells, of which most are empty.
const MAX_KNOWN_CELLS: usize = 4_000_000;

/// In place of a cell that no shape meets.
const NOTHING_LISTED: u32 = u32::MAX;

/// A shape's place in a [`FenceIndex`].
pub type ShapeSlot = u32;

type Leaf = GeomWithData<Rectangle<[f64; 2]>, ShapeSlot>;

/// Shapes by the rectangles around them.
#[derive(Default)]
pub(crate) struct ShapeTree {
    tree: RTree<Leaf>,
}

impl ShapeTree {
    pub(crate) fn insert(&mut self, bounds: &[Rect], slot: ShapeSlot) {
        bounds.iter().for_each(|rect| self.tree.insert(leaf(rect, slot)));
    }

    pub(crate) fn remove(&mut self, bounds: &[Rect], slot: ShapeSlot) {
        for rect in bounds {
            self.tree.remove(&leaf(rect, slot));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tree.size() == 0
    }

    /// The shapes whose rectangles meet one; a shape may come twice.
    pub(crate) fn meeting(&self, rect: &Rect) -> impl Iterator<Item = ShapeSlot> {
        self.tree.locate_in_envelope_intersecting(envelope(rect)).map(|leaf| leaf.data)
    }
}

/// An index of shapes; see the module.
#[derive(Default)]
pub struct FenceIndex {
    shapes: Vec<Option<Arc<PreparedShape>>>,
    free_slots: Vec<ShapeSlot>,
    tree: ShapeTree,
    /// Places in `cells` by the cell's key.
    cover: FxHashMap<CellKey, u32>,
    cells: Vec<Cell>,
    free_cells: Vec<u32>,
}

/// A listed shape: the slot, and in the lowest bit whether it covers the whole place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Listed(u32);

impl Listed {
    fn new(slot: ShapeSlot, certain: bool) -> Listed {
        Listed(slot << 1 | u32::from(certain))
    }
    fn slot(self) -> ShapeSlot {
        self.0 >> 1
    }
    fn is_certain(self) -> bool {
        self.0 & 1 == 1
    }
}

enum Cell {
    Uniform(Box<[Listed]>),
    Leaves(Box<Leaves>),
}

struct Leaves {
    list_of: [u16; LEAVES],
    starts: Vec<u32>,
    listed: Vec<Listed>,
}

impl FenceIndex {
    /// Adds a shape and tells its slot, which is its name from now on.
    pub fn insert(&mut self, shape: Arc<PreparedShape>) -> ShapeSlot {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.shapes.push(None);
            (self.shapes.len() - 1) as ShapeSlot
        });
        self.tree.insert(shape.bounds(), slot);
        shape.bounds().iter().for_each(|bounds| self.forget(bounds));
        self.shapes[slot as usize] = Some(shape);
        slot
    }

    /// Takes a shape away; its slot may be given out again.
    pub fn remove(&mut self, slot: ShapeSlot) -> Option<Arc<PreparedShape>> {
        let shape = self.shapes.get_mut(slot as usize)?.take()?;
        self.tree.remove(shape.bounds(), slot);
        shape.bounds().iter().for_each(|bounds| self.forget(bounds));
        self.free_slots.push(slot);
        Some(shape)
    }

    /// The shape in a slot.
    #[must_use]
    pub fn shape(&self, slot: ShapeSlot) -> Option<&Arc<PreparedShape>> {
        self.shapes.get(slot as usize)?.as_ref()
    }

    /// How many shapes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shapes.len() - self.free_slots.len()
    }

    /// Whether there are no shapes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Touches the memory that [`FenceIndex::covering`] will need.
    #[inline]
    pub(crate) fn look_at(&self, at: Coord) -> u32 {
        match self.cover.get(&cell_of(at)) {
            None | Some(&NOTHING_LISTED) => 0,
            Some(&place) => match &self.cells[place as usize] {
                Cell::Uniform(listed) => listed.first().map_or(0, |entry| entry.0),
                Cell::Leaves(leaves) => u32::from(leaves.list_of[leaf_of(at)]),
            },
        }
    }

    /// Calls `found` with the slot of each shape that covers the position, in no particular order.
    #[inline]
    pub fn covering(&mut self, at: Coord, mut found: impl FnMut(ShapeSlot)) {
        let place = match self.cover.get(&cell_of(at)) {
            Some(&place) => place,
            None => self.fill(at),
        };
        if place == NOTHING_LISTED {
            return;
        }
        let listed: &[Listed] = match &self.cells[place as usize] {
            Cell::Uniform(listed) => listed,
            Cell::Leaves(leaves) => leaves.at(at),
        };
        for &entry in listed {
            let slot = entry.slot();
            if entry.is_certain() {
                found(slot);
                continue;
            }
            let inside = self.shapes[slot as usize].as_ref().is_some_and(|shape| shape.covers(at));
            if inside {
                found(slot);
            }
        }
    }

    /// Caches the cell of a position, and tells its place.
    #[cold]
    fn fill(&mut self, at: Coord) -> u32 {
        if self.cells.len() >= MAX_CACHED_CELLS || self.cover.len() >= MAX_KNOWN_CELLS {
            self.cover.clear();
            self.cells.clear();
            self.free_cells.clear();
        }
        let rect = cell_rect(at);
        let mut slots: Vec<ShapeSlot> = self.tree.meeting(&rect).collect();
        slots.sort_unstable();
        slots.dedup();
        let cell = Cell::build(&rect, &slots, &self.shapes);
        if let Cell::Uniform(listed) = &cell
            && listed.is_empty()
        {
            self.cover.insert(cell_of(at), NOTHING_LISTED);
            return NOTHING_LISTED;
        }
        let place = match self.free_cells.pop() {
            Some(place) => {
                self.cells[place as usize] = cell;
                place
            }
            None => {
                self.cells.push(cell);
                self.cells.len() as u32 - 1
            }
        };
        self.cover.insert(cell_of(at), place);
        place
    }

    /// Drops the cached cells that a rectangle within ±180° meets.
    fn forget(&mut self, bounds: &Rect) {
        if self.cover.is_empty() {
            return;
        }
        let range = CellRange::of(bounds);
        let stale: Vec<CellKey> = if range.len() > self.cover.len() {
            self.cover.keys().copied().filter(|&key| range.contains(key)).collect()
        } else {
            range.iter().collect()
        };
        for key in stale {
            if let Some(place) = self.cover.remove(&key).filter(|&place| place != NOTHING_LISTED) {
                self.cells[place as usize] = Cell::Uniform(Box::default());
                self.free_cells.push(place);
            }
        }
    }
}

impl Cell {
    fn build(rect: &Rect, slots: &[ShapeSlot], shapes: &[Option<Arc<PreparedShape>>]) -> Cell {
        let east = rect.widest_metres_per_unit();
        let place = rect.place_within(east);
        let mut uniform = Vec::new();
        let mut mixed = Vec::new();
        for &slot in slots {
            let Some(shape) = &shapes[slot as usize] else { continue };
            let edges = shape.edges_meeting(rect);
            match shape.overlap(&place, &edges) {
                Overlap::Outside => {}
                Overlap::Inside => uniform.push(Listed::new(slot, true)),
                Overlap::Mixed => mixed.push((slot, shape, edges)),
            }
        }
        if mixed.is_empty() {
            return Cell::Uniform(uniform.into());
        }
        // List 0 is the empty one.
        let mut leaves = Leaves { list_of: [0; LEAVES], starts: vec![0, 0], listed: Vec::new() };
        let mut known: FxHashMap<Vec<Listed>, u16> = FxHashMap::from_iter([(Vec::new(), 0)]);
        let mut list = Vec::new();
        for index in 0..LEAVES {
            let leaf = leaf_rect(rect, index).place_within(east);
            list.clear();
            list.extend_from_slice(&uniform);
            for (slot, shape, edges) in &mixed {
                match shape.overlap(&leaf, edges) {
                    Overlap::Outside => {}
                    Overlap::Inside => list.push(Listed::new(*slot, true)),
                    Overlap::Mixed => list.push(Listed::new(*slot, false)),
                }
            }
            leaves.list_of[index] = match known.get(&list) {
                Some(&number) => number,
                None => {
                    let number = known.len() as u16;
                    known.insert(list.clone(), number);
                    leaves.listed.extend_from_slice(&list);
                    leaves.starts.push(leaves.listed.len() as u32);
                    number
                }
            };
        }
        Cell::Leaves(Box::new(leaves))
    }
}

impl Leaves {
    #[inline]
    fn at(&self, at: Coord) -> &[Listed] {
        let list = self.list_of[leaf_of(at)] as usize;
        if list == 0 {
            return &[];
        }
        &self.listed[self.starts[list] as usize..self.starts[list + 1] as usize]
    }
}

/// Which leaf of its cell a position is in.
#[inline]
fn leaf_of(at: Coord) -> usize {
    let mask = LEAVES_A_SIDE - 1;
    let column = (i64::from(at.lon) >> LEAF_BITS) & mask;
    let row = (i64::from(at.lat) >> LEAF_BITS) & mask;
    (row * LEAVES_A_SIDE + column) as usize
}

fn cell_rect(at: Coord) -> Rect {
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

fn envelope(rect: &Rect) -> AABB<[f64; 2]> {
    AABB::from_corners([rect.min_lon as f64, rect.min_lat as f64], [rect.max_lon as f64, rect.max_lat as f64])
}

fn leaf(rect: &Rect, slot: ShapeSlot) -> Leaf {
    GeomWithData::new(Rectangle::from_aabb(envelope(rect)), slot)
}
