//! Which fences is a position in?
//!
//! ```text
//!   positions -> cover: place -> [(shape, certain?)] -> exact test, unless certain
//!                  |  miss
//!                R-tree: the shapes whose bounds meet the cell
//! ```
//!
//! The R-tree is the truth; the [cover](super::cover) is a cache that it fills, cell by cell, and that an edit
//! empties where it matters. A look-up is two steps, so that many can be under way at once: finding what is
//! listed where a position is, and asking the shapes.

use std::sync::Arc;

use model::Coord;
use rstar::primitives::{GeomWithData, Rectangle};
use rstar::{AABB, RTree};

use super::cover::{Code, Cover, Listed, Meaning, cell_rect};
use super::prepared::PreparedShape;
use super::rect::Rect;

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
    cover: Cover,
}

/// What is listed where a position is, as of an epoch of the index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Looked {
    code: Code,
    epoch: u32,
}

impl FenceIndex {
    /// Adds a shape and tells its slot, which is its name from now on.
    pub fn insert(&mut self, shape: Arc<PreparedShape>) -> ShapeSlot {
        let slot = self.free_slots.pop().unwrap_or_else(|| {
            self.shapes.push(None);
            (self.shapes.len() - 1) as ShapeSlot
        });
        self.tree.insert(shape.bounds(), slot);
        shape.bounds().iter().for_each(|bounds| self.cover.forget(bounds));
        self.shapes[slot as usize] = Some(shape);
        slot
    }

    /// Takes a shape away; its slot may be given out again.
    pub fn remove(&mut self, slot: ShapeSlot) -> Option<Arc<PreparedShape>> {
        let shape = self.shapes.get_mut(slot as usize)?.take()?;
        self.tree.remove(shape.bounds(), slot);
        shape.bounds().iter().for_each(|bounds| self.cover.forget(bounds));
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

    /// Looks positions up together. Each step is a loop whose turns do not wait for each other, so that what
    /// they need of memory comes all at once.
    pub(crate) fn look_up(
        &mut self,
        positions: impl Iterator<Item = Coord> + Clone,
        found: &mut Vec<Looked>,
    ) {
        self.cover.make_room();
        let epoch = self.cover.epoch();
        found.clear();
        for at in positions.clone() {
            // Filling forgets nothing: the codes before this one stay good.
            let code = self.cover.cell(at).unwrap_or_else(|| self.fill(at));
            found.push(Looked { code, epoch });
        }
        for (looked, at) in found.iter_mut().zip(positions) {
            looked.code = self.cover.leaf(looked.code, at);
        }
    }

    /// Looks one position up.
    #[inline]
    pub(crate) fn look(&mut self, at: Coord) -> Looked {
        let code = match self.cover.cell(at) {
            Some(code) => code,
            None => {
                self.cover.make_room();
                self.fill(at)
            }
        };
        Looked { code: self.cover.leaf(code, at), epoch: self.cover.epoch() }
    }

    /// Calls `found` with the slot of each shape that covers the position, in no particular order.
    pub fn covering(&mut self, at: Coord, found: impl FnMut(ShapeSlot)) {
        let looked = self.look(at);
        self.covering_of(looked, at, found);
    }

    /// [`FenceIndex::covering`] of a position that was looked up.
    #[inline]
    pub(crate) fn covering_of(&mut self, looked: Looked, at: Coord, mut found: impl FnMut(ShapeSlot)) {
        // An edit, or a full cover, came between: the code may mean something else by now.
        let is_good = looked.epoch == self.cover.epoch();
        let Looked { code, .. } = if is_good { looked } else { self.look(at) };
        if code == Code::NOTHING {
            return;
        }
        let mut ask = |listed: Listed| {
            let slot = listed.slot();
            let covers = || self.shapes[slot as usize].as_ref().is_some_and(|shape| shape.covers(at));
            if listed.is_certain() || covers() {
                found(slot);
            }
        };
        match code.meaning() {
            Meaning::One(listed) => ask(listed),
            Meaning::List(number) => self.cover.list(number).iter().for_each(|&listed| ask(listed)),
            Meaning::Leaves(_) => debug_assert!(false, "a leaf has no leaves"),
        }
    }

    /// Asks the R-tree about the cell of a position, which is not known yet; tells the cell's code.
    #[cold]
    fn fill(&mut self, at: Coord) -> Code {
        let mut slots: Vec<ShapeSlot> = self.tree.meeting(&cell_rect(at)).collect();
        slots.sort_unstable();
        slots.dedup();
        self.cover.fill(at, &slots, &self.shapes)
    }
}

fn envelope(rect: &Rect) -> AABB<[f64; 2]> {
    AABB::from_corners([rect.min_lon as f64, rect.min_lat as f64], [rect.max_lon as f64, rect.max_lat as f64])
}

fn leaf(rect: &Rect, slot: ShapeSlot) -> Leaf {
    GeomWithData::new(Rectangle::from_aabb(envelope(rect)), slot)
}
