//! Sets of fences as small numbers: most fixes share the same few sets.

use rustc_hash::FxHashMap;

use crate::fences::FenceKey;

/// The number of the empty set.
pub(crate) const EMPTY_SET: u32 = 0;

/// Sorted sets of fences, each stored once.
pub(crate) struct SetTable {
    sets: Vec<Box<[FenceKey]>>,
    numbers: FxHashMap<Box<[FenceKey]>, u32>,
}

impl serde::Serialize for SetTable {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.sets.serialize(to)
    }
}

impl<'de> serde::Deserialize<'de> for SetTable {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let sets: Vec<Box<[FenceKey]>> = serde::Deserialize::deserialize(from)?;
        let numbers = sets.iter().cloned().zip(EMPTY_SET..).collect();
        Ok(SetTable { sets, numbers })
    }
}

impl Default for SetTable {
    fn default() -> Self {
        let empty: Box<[FenceKey]> = Box::default();
        SetTable { sets: vec![empty.clone()], numbers: FxHashMap::from_iter([(empty, EMPTY_SET)]) }
    }
}

impl SetTable {
    #[inline]
    pub(crate) fn members(&self, set: u32) -> &[FenceKey] {
        &self.sets[set as usize]
    }

    /// Touches the memory where a set is.
    #[inline]
    pub(crate) fn touch(&self, set: u32) -> u32 {
        self.sets[set as usize].len() as u32
    }

    /// The number of a sorted set.
    pub(crate) fn number(&mut self, members: &[FenceKey]) -> u32 {
        if let Some(&number) = self.numbers.get(members) {
            return number;
        }
        let number = self.sets.len() as u32;
        self.sets.push(members.into());
        self.numbers.insert(members.into(), number);
        number
    }

    /// How many sets there are.
    pub(crate) fn len(&self) -> usize {
        self.sets.len()
    }
}
