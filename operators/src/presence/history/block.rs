//! A block as those see it who do not care how it is kept.

use model::Coord;

use super::packed::Packed;
use super::{Fix, Loose};

/// Fixes that follow one another.
#[derive(Clone, Copy)]
pub(crate) enum Block<'a> {
    Sealed(&'a Packed),
    Tail(&'a Loose),
}

impl Block<'_> {
    /// The name of the block within its vehicle.
    pub(crate) fn base_time(&self) -> i64 {
        match self {
            Block::Sealed(packed) => packed.base_time(),
            Block::Tail(loose) => loose.base_time,
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self {
            Block::Sealed(packed) => packed.len(),
            Block::Tail(loose) => loose.len(),
        }
    }

    #[inline]
    pub(crate) fn fix(&self, index: usize) -> Fix {
        match self {
            Block::Sealed(packed) => packed.fix(index),
            Block::Tail(loose) => loose.fix(index),
        }
    }

    /// Where a time is, or would be.
    pub(super) fn search(&self, time: i64) -> Result<usize, usize> {
        match self {
            Block::Sealed(packed) => packed.search(time),
            Block::Tail(loose) => loose.search(time),
        }
    }

    /// The positions of all fixes.
    pub(crate) fn positions(&self) -> impl Iterator<Item = Coord> {
        let (sealed, tail) = match self {
            Block::Sealed(packed) => (Some(packed.positions()), None),
            Block::Tail(loose) => (None, Some(loose.kept.iter().map(|kept| kept.at))),
        };
        sealed.into_iter().flatten().chain(tail.into_iter().flatten())
    }
}
