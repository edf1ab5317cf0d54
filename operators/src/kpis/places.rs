//! Which places are at a fence.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::fences::FenceKey;

/// Locations and their fences; ids of locations are numbered as those of fences are.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Places {
    fence_of: FxHashMap<FenceKey, Option<FenceKey>>,
    at_fence: FxHashMap<FenceKey, BTreeSet<FenceKey>>,
}

impl Places {
    /// The locations at a fence; where there are none, the fence itself, unless that is the id of a location
    /// elsewhere.
    pub fn at(&self, fence: FenceKey) -> Vec<FenceKey> {
        match self.at_fence.get(&fence) {
            Some(locations) => locations.iter().copied().collect(),
            None if self.fence_of.contains_key(&fence) => Vec::new(),
            None => vec![fence],
        }
    }

    /// The fences at which there may be other places when a location gets that fence.
    pub fn concerned(&self, location: FenceKey, fence: Option<Option<FenceKey>>) -> BTreeSet<FenceKey> {
        let before = self.fence_of.get(&location).copied().flatten();
        [Some(location), before, fence.flatten()].into_iter().flatten().collect()
    }

    /// A location gets a fence, or has none; or is gone.
    pub fn locate(&mut self, location: FenceKey, fence: Option<Option<FenceKey>>) {
        let before = match fence {
            Some(fence) => self.fence_of.insert(location, fence),
            None => self.fence_of.remove(&location),
        };
        if let Some(before) = before.flatten()
            && let Some(locations) = self.at_fence.get_mut(&before)
        {
            locations.remove(&location);
            if locations.is_empty() {
                self.at_fence.remove(&before);
            }
        }
        if let Some(fence) = fence.flatten() {
            self.at_fence.entry(fence).or_default().insert(location);
        }
    }
}
