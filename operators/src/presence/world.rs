//! What presence is judged by: fences over time, their index, the settings and the instant.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Coord, EndReason, GraphSettings};

use super::sets::{EMPTY_SET, SetTable};
use crate::fences::{Edit, FenceKey, NEVER, Timeline};
use crate::spatial::{FenceIndex, PreparedShape, Rect, ShapeSlot, grown_by_metres};

/// Something that happened to a vehicle and a fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EdgeKind {
    Enter,
    Leave(EndReason),
}

/// An enter or leave at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) time: i64,
    pub(crate) fence: FenceKey,
    pub(crate) kind: EdgeKind,
}

#[derive(Clone)]
struct Placed {
    shape: Arc<PreparedShape>,
    slot: ShapeSlot,
}

/// Which version a slot of the index belongs to.
#[derive(Clone, Copy)]
struct SlotOwner {
    fence: FenceKey,
    from: i64,
    to: i64,
}

/// Fences, settings and the instant, as one worker knows them.
pub(crate) struct World {
    pub(crate) settings: GraphSettings,
    pub(crate) instant: i64,
    pub(crate) sets: SetTable,
    index: FenceIndex,
    timelines: Vec<Timeline<Placed>>,
    owners: Vec<SlotOwner>,
    /// Ends of coverage that the instant has not reached yet.
    future_ends: BTreeSet<(i64, FenceKey)>,
    any_end: bool,
    inside: Vec<FenceKey>,
    still_in: Vec<FenceKey>,
    members: Vec<FenceKey>,
}

impl World {
    pub(crate) fn new(settings: GraphSettings) -> World {
        World {
            settings,
            instant: 0,
            sets: SetTable::default(),
            index: FenceIndex::default(),
            timelines: Vec::new(),
            owners: Vec::new(),
            future_ends: BTreeSet::new(),
            any_end: false,
            inside: Vec::new(),
            still_in: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Applies an edit, and adds to `touched` rectangles around all positions that it may judge anew.
    pub(crate) fn edit(&mut self, fence: FenceKey, edit: &Edit, touched: &mut Vec<Rect>) {
        if self.timelines.len() <= fence as usize {
            self.timelines.resize_with(fence as usize + 1, Timeline::default);
        }
        self.add_reach(fence, touched);
        for version in self.timelines[fence as usize].versions() {
            self.index.remove(version.payload.slot);
        }
        let timeline = &mut self.timelines[fence as usize];
        match edit {
            Edit::Upsert(upsert) => {
                let shape = Arc::new(PreparedShape::new(&upsert.shape));
                timeline.upsert(upsert, Placed { shape, slot: ShapeSlot::MAX });
            }
            Edit::Delete(at) => timeline.delete(*at),
        }
        let (index, owners) = (&mut self.index, &mut self.owners);
        timeline.for_each_payload(|placed, from, to| {
            placed.slot = index.insert(placed.shape.clone());
            let slot = placed.slot as usize;
            if owners.len() <= slot {
                owners.resize(slot + 1, SlotOwner { fence: 0, from: NEVER, to: NEVER });
            }
            owners[slot] = SlotOwner { fence, from, to };
        });
        let instant = self.instant;
        for version in timeline.versions().iter().filter(|v| v.end.is_some()) {
            self.any_end = true;
            if version.to > instant {
                self.future_ends.insert((version.to, fence));
            }
        }
        self.add_reach(fence, touched);
    }

    fn add_reach(&self, fence: FenceKey, touched: &mut Vec<Rect>) {
        for version in self.timelines[fence as usize].versions() {
            let buffer_m = version.settings.exit_buffer_m.unwrap_or(self.settings.exit_buffer_m);
            for bounds in version.payload.shape.bounds() {
                touched.extend(grown_by_metres(bounds, buffer_m + 1.0).wrapped());
            }
        }
    }

    /// The fences whose coverage ended in the time up to `instant`, which becomes the instant.
    pub(crate) fn advance(&mut self, instant: i64) -> Vec<FenceKey> {
        self.instant = self.instant.max(instant);
        let mut ended = Vec::new();
        while let Some(&(time, fence)) = self.future_ends.first() {
            if time > self.instant {
                break;
            }
            self.future_ends.pop_first();
            ended.push(fence);
        }
        ended
    }

    /// The set after a good fix, given the set after the good fix before it; adds what happened between.
    #[inline]
    pub(crate) fn step(&mut self, before: (i64, u32), time: i64, at: Coord, edges: &mut Vec<Edge>) -> u32 {
        let (time_before, set_before) = before;
        let World { index, owners, inside, .. } = self;
        inside.clear();
        index.covering(at, |slot| {
            let owner = owners[slot as usize];
            if owner.from <= time && time < owner.to {
                inside.push(owner.fence);
            }
        });
        if inside.is_empty() && set_before == EMPTY_SET {
            return EMPTY_SET;
        }
        inside.sort_unstable();
        if !self.any_end && self.sets.members(set_before) == &self.inside[..] {
            return set_before;
        }
        self.step_with_changes(time_before, set_before, time, at, edges)
    }

    fn step_with_changes(
        &mut self,
        time_before: i64,
        set_before: u32,
        time: i64,
        at: Coord,
        edges: &mut Vec<Edge>,
    ) -> u32 {
        self.members.clear();
        self.members.extend_from_slice(&self.inside);
        self.still_in.clear();
        for &fence in self.sets.members(set_before) {
            let timeline = &self.timelines[fence as usize];
            if let Some((end, reason)) = timeline.end_between(time_before, time) {
                edges.push(Edge { time: end, fence, kind: EdgeKind::Leave(reason) });
                continue;
            }
            if self.inside.binary_search(&fence).is_ok() {
                self.still_in.push(fence);
                continue;
            }
            let near = timeline.at(time).is_some_and(|version| {
                let buffer_m = version.settings.exit_buffer_m.unwrap_or(self.settings.exit_buffer_m);
                version.payload.shape.covers_or_within(at, buffer_m)
            });
            if near {
                self.still_in.push(fence);
                self.members.push(fence);
            } else {
                edges.push(Edge { time, fence, kind: EdgeKind::Leave(EndReason::Exit) });
            }
        }
        for &fence in &self.inside {
            if self.still_in.binary_search(&fence).is_err() {
                edges.push(Edge { time, fence, kind: EdgeKind::Enter });
            }
        }
        self.members.sort_unstable();
        if self.members[..] == *self.sets.members(set_before) {
            return set_before;
        }
        self.sets.number(&self.members)
    }

    /// Adds the ends of coverage between the last good fix and the instant.
    pub(crate) fn ends_after(&self, last: (i64, u32), edges: &mut Vec<Edge>) {
        if !self.any_end {
            return;
        }
        for &fence in self.sets.members(last.1) {
            if let Some((time, reason)) = self.timelines[fence as usize].end_between(last.0, self.instant) {
                edges.push(Edge { time, fence, kind: EdgeKind::Leave(reason) });
            }
        }
    }
}
