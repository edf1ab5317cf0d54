//! Geometry of fences: exact tests, distances, and the index over many of them.

mod approach;
mod cover;
mod grid;
mod index;
mod leg;
mod metric;
mod prepared;
mod rect;
mod ring;
mod segment;
#[cfg(test)]
mod tests;

pub use index::{FenceIndex, ShapeSlot};
pub use prepared::{Overlap, PreparedShape, edge_distance_m};
pub use rect::Rect;
pub use segment::segment_rects;

pub(crate) use grid::{CellKey, CellParts, Grid};
pub(crate) use index::{Looked, ShapeTree};
pub(crate) use leg::leg_mm;
pub(crate) use metric::geodesic_at_most;
pub(crate) use prepared::grown_by_metres;
