//! How an edit looks at the positions of a block: at no more of them than it must.

use model::Coord;

use super::Block;

impl Block<'_> {
    /// Calls `each` with the index and the longitude of every fix.
    #[inline]
    pub(crate) fn for_each_lon(&self, mut each: impl FnMut(usize, i32)) {
        match self {
            Block::Sealed(packed) => packed.for_each_lon(each),
            Block::Tail(loose) => (0..).zip(&loose.kept).for_each(|(index, kept)| each(index, kept.at.lon)),
        }
    }

    /// The position of a fix by its index.
    #[inline]
    pub(crate) fn position(&self, index: usize) -> Coord {
        match self {
            Block::Sealed(packed) => packed.position(index),
            Block::Tail(loose) => loose.kept[index].at,
        }
    }

    /// Touches the memory of its fixes.
    #[inline]
    pub(crate) fn touch(&self) -> u32 {
        match self {
            Block::Sealed(packed) => packed.touch(),
            Block::Tail(loose) => loose.kept.first().map_or(0, |kept| kept.time_offset),
        }
    }
}
