//! Which fences are those of terminals and clients.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::LocationKind;
use rustc_hash::FxHashMap;

use super::control::Place;
use crate::fences::FenceKey;

/// What stands for a fence where trips are made of visits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Site {
    /// A terminal or a client.
    pub kind: LocationKind,
    /// Which location.
    pub location: FenceKey,
}

/// The terminals and clients that have a fence.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Sites {
    fence_of: FxHashMap<FenceKey, (Place, LocationKind)>,
    at_fence: FxHashMap<FenceKey, AtFence>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct AtFence {
    fence_id: Arc<str>,
    /// Kind, id and number of locations: the first stands for the fence.
    sites: BTreeSet<(LocationKind, Arc<str>, FenceKey)>,
}

impl Sites {
    /// What stands for a fence, and the fence's id.
    pub fn at(&self, fence: FenceKey) -> Option<(Site, &Arc<str>)> {
        let AtFence { fence_id, sites } = self.at_fence.get(&fence)?;
        let &(kind, _, location) = sites.first()?;
        Some((Site { kind, location }, fence_id))
    }

    /// Takes a location in that has a fence and a kind, or not any more. Gives each fence for which something else
    /// stands since, with what stood for it.
    pub fn locate(
        &mut self,
        location: &Place,
        fence: Option<&Place>,
        kind: Option<LocationKind>,
    ) -> Vec<(Place, Option<Site>)> {
        let kind = kind.filter(|kind| matches!(kind, LocationKind::Terminal | LocationKind::Client));
        let now = fence.cloned().zip(kind);
        let old = self.fence_of.get(&location.key).cloned();
        if now == old {
            return Vec::new();
        }
        let mut concerned: Vec<Place> = [&old, &now].into_iter().flatten().map(|of| of.0.clone()).collect();
        concerned.dedup();
        let site_of = |sites: &Sites, fence: &Place| sites.at(fence.key).map(|(site, _)| site);
        let before: Vec<Option<Site>> = concerned.iter().map(|fence| site_of(self, fence)).collect();
        if let Some((fence, kind)) = old
            && let Some(at_fence) = self.at_fence.get_mut(&fence.key)
        {
            at_fence.sites.remove(&(kind, location.id.clone(), location.key));
            if at_fence.sites.is_empty() {
                self.at_fence.remove(&fence.key);
            }
        }
        match now {
            Some((fence, kind)) => {
                let at_fence = self
                    .at_fence
                    .entry(fence.key)
                    .or_insert_with(|| AtFence { fence_id: fence.id.clone(), sites: BTreeSet::new() });
                at_fence.sites.insert((kind, location.id.clone(), location.key));
                self.fence_of.insert(location.key, (fence, kind));
            }
            None => {
                self.fence_of.remove(&location.key);
            }
        }
        let changed = concerned.into_iter().zip(before);
        changed.filter(|(fence, before)| site_of(self, fence) != *before).collect()
    }
}
