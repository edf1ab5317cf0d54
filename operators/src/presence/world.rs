//! What presence is judged by: fences over time, their index, the settings and the instant.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Coord, EndReason, GraphSettings};

use super::blocks_index::leg_rects;
use super::fix::Fix;
use super::output::Crossing;
use super::sets::{EMPTY_SET, SetTable};
use crate::fences::{ALWAYS, Edit, FenceKey, Timeline, Version};
use crate::spatial::{FenceIndex, Looked, PreparedShape, Rect, ShapeSlot, ShapeTree, grown_by_metres};
use model::state::{Loader, Saver, State, StateError};

/// Fixes farther apart in time do not show a crossing.
pub(crate) const MAX_CROSSING_GAP_MS: i64 = 300_000;

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

/// A version's shape and where the indexes have it.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Placed {
    pub(crate) shape: Arc<PreparedShape>,
    /// Given anew when it is loaded.
    #[serde(skip)]
    slot: ShapeSlot,
    /// Stands for its place.
    middle: Coord,
}

/// Which version a slot of the index belongs to.
#[derive(Clone, Copy)]
struct SlotOwner {
    fence: FenceKey,
    from: i64,
    to: i64,
    /// Whether it covers only a part of that time, by a schedule.
    is_scheduled: bool,
}

/// Fences, settings and the instant, as one worker knows them.
pub(crate) struct World {
    pub(crate) settings: GraphSettings,
    pub(crate) instant: i64,
    /// The edge of the last correction. What ended before it is final, or would be judged as it was.
    pub(crate) edge: i64,
    pub(crate) sets: SetTable,
    index: FenceIndex,
    /// The shapes of versions that ask for crossings.
    crossable: ShapeTree,
    timelines: Vec<Timeline<Placed>>,
    owners: Vec<SlotOwner>,
    /// Ends of coverage that the instant has not reached yet.
    future_ends: BTreeSet<(i64, FenceKey)>,
    any_end: bool,
    inside: Vec<FenceKey>,
    still_in: Vec<FenceKey>,
    members: Vec<FenceKey>,
    near_leg: Vec<ShapeSlot>,
}

/// The indexes of fences are made anew of their versions.
impl State for World {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        let World { settings, instant, edge, sets, timelines, future_ends, .. } = self;
        to.put(&(settings, instant, edge, sets, future_ends))?;
        to.put_all(timelines)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        (self.settings, self.instant, self.edge, self.sets, self.future_ends) = from.take()?;
        self.timelines = from.take_all()?;
        (0..self.timelines.len() as FenceKey).for_each(|fence| self.list_versions(fence));
        Ok(())
    }
}

/// What an edit touched.
#[derive(Default)]
pub(crate) struct Edited {
    /// Rectangles within ±180° around all positions that may be judged otherwise than before.
    pub(crate) rects: Vec<Rect>,
    /// Whether a version, before or after, asks for crossings.
    pub(crate) crossed: bool,
}

impl World {
    pub(crate) fn new(settings: GraphSettings) -> World {
        World {
            settings,
            instant: 0,
            edge: ALWAYS,
            sets: SetTable::default(),
            index: FenceIndex::default(),
            crossable: ShapeTree::default(),
            timelines: Vec::new(),
            owners: Vec::new(),
            future_ends: BTreeSet::new(),
            any_end: false,
            inside: Vec::new(),
            still_in: Vec::new(),
            members: Vec::new(),
            near_leg: Vec::new(),
        }
    }

    /// Applies an edit.
    pub(crate) fn edit(&mut self, fence: FenceKey, edit: &Edit) -> Edited {
        if self.timelines.len() <= fence as usize {
            let zone = &self.settings.zone;
            self.timelines.resize_with(fence as usize + 1, || Timeline::in_zone(zone.clone()));
        }
        let mut edited = Edited::default();
        self.add_touched(fence, &mut edited);
        for version in self.timelines[fence as usize].versions() {
            let Placed { shape, slot, .. } = &version.payload;
            self.index.remove(*slot);
            if version.settings.crossed {
                self.crossable.remove(shape.bounds(), *slot);
            }
        }
        let timeline = &mut self.timelines[fence as usize];
        match edit {
            Edit::Upsert(upsert) => {
                let shape = Arc::new(PreparedShape::new(&upsert.shape));
                let middle = upsert.shape.middle();
                timeline.upsert(upsert, Placed { shape, slot: ShapeSlot::MAX, middle });
            }
            Edit::Delete(at) => timeline.delete(*at),
        }
        self.list_versions(fence);
        self.wait_for_end(fence);
        self.add_touched(fence, &mut edited);
        edited
    }

    /// Puts the versions of a fence into the indexes.
    fn list_versions(&mut self, fence: FenceKey) {
        let timeline = &mut self.timelines[fence as usize];
        let index = &mut self.index;
        timeline.for_each_payload(|placed, _, _| placed.slot = index.insert(placed.shape.clone()));
        for version in timeline.versions() {
            let Placed { shape, slot, .. } = &version.payload;
            let place = *slot as usize;
            let is_scheduled = version.settings.active.is_some();
            let owner = SlotOwner { fence, from: version.from, to: version.to, is_scheduled };
            if self.owners.len() <= place {
                self.owners.resize(place + 1, owner);
            }
            self.owners[place] = owner;
            if version.settings.crossed {
                self.crossable.insert(shape.bounds(), *slot);
            }
            self.any_end |= version.end.is_some() || is_scheduled;
        }
    }

    /// Changes the settings; tells the fences whose schedules mean other times now.
    pub(crate) fn change_settings(&mut self, settings: &GraphSettings) -> Vec<(FenceKey, Edited)> {
        self.settings = settings.clone();
        let mut edited = Vec::new();
        for fence in 0..self.timelines.len() {
            if self.timelines[fence].set_zone(&settings.zone) {
                let fence = fence as FenceKey;
                let mut touched = Edited::default();
                self.add_touched(fence, &mut touched);
                self.wait_for_end(fence);
                edited.push((fence, touched));
            }
        }
        edited
    }

    /// The next end of a fence's coverage is noticed when the instant reaches it.
    fn wait_for_end(&mut self, fence: FenceKey) {
        if let Some((time, _)) = self.timelines[fence as usize].next_end_after(self.instant) {
            self.future_ends.insert((time, fence));
        }
    }

    fn add_touched(&self, fence: FenceKey, edited: &mut Edited) {
        for version in self.timelines[fence as usize].versions() {
            edited.crossed |= version.settings.crossed;
            let buffer_m = self.exit_buffer_m(version);
            for bounds in version.payload.shape.bounds() {
                for rect in grown_by_metres(bounds, buffer_m + 1.0).wrapped() {
                    if !edited.rects.contains(&rect) {
                        edited.rects.push(rect);
                    }
                }
            }
        }
    }

    fn exit_buffer_m(&self, version: &Version<Placed>) -> f64 {
        version.settings.exit_buffer_m.unwrap_or(self.settings.exit_buffer_m)
    }

    /// What stands for the place of a fence, as it is at a time.
    pub(crate) fn middle_of(&self, fence: FenceKey, time: i64) -> Option<Coord> {
        Some(self.timelines.get(fence as usize)?.valid_at(time)?.payload.middle)
    }

    pub(crate) fn timeline(&self, fence: FenceKey) -> &Timeline<Placed> {
        &self.timelines[fence as usize]
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
        ended.sort_unstable();
        ended.dedup();
        ended.iter().for_each(|&fence| self.wait_for_end(fence));
        ended
    }

    /// Looks up what is listed where some positions are; it is found again, one by one, if it changes.
    pub(crate) fn look_up(
        &mut self,
        positions: impl Iterator<Item = Coord> + Clone,
        found: &mut Vec<Looked>,
    ) {
        self.index.look_up(positions, found);
    }

    /// Whether a position is inside a fence at a time.
    pub(crate) fn covers(&self, fence: FenceKey, time: i64, at: Coord) -> bool {
        self.timeline(fence).at(time).is_some_and(|version| version.payload.shape.covers(at))
    }

    /// Whether a vehicle that was in a fence is still in it at a good fix: not farther than the buffer.
    pub(crate) fn stays_in(&self, fence: FenceKey, time: i64, at: Coord) -> bool {
        self.timeline(fence)
            .at(time)
            .is_some_and(|version| version.payload.shape.covers_or_within(at, self.exit_buffer_m(version)))
    }

    /// Why a vehicle that was in a fence is not in it any more at a good fix, if it is not.
    pub(crate) fn leaves_at(&self, fence: FenceKey, time: i64, at: Coord) -> Option<EndReason> {
        if self.stays_in(fence, time, at) {
            return None;
        }
        let timeline = self.timeline(fence);
        let is_covered = timeline.at(time).is_some();
        let ended = if is_covered { None } else { timeline.last_end(time) };
        Some(ended.unwrap_or(EndReason::Exit))
    }

    /// Looks up what is listed at a position.
    #[inline]
    pub(crate) fn look(&mut self, at: Coord) -> Looked {
        self.index.look(at)
    }

    /// The set after a good fix, given the set after the good fix before it; adds what happened between. The
    /// fix's position was looked up.
    #[inline]
    pub(crate) fn step_to(
        &mut self,
        before: (i64, u32),
        time: i64,
        (at, looked): (Coord, Looked),
        edges: &mut Vec<Edge>,
    ) -> u32 {
        let (time_before, set_before) = before;
        let World { index, owners, inside, timelines, .. } = self;
        inside.clear();
        index.covering_of(looked, at, |slot| {
            let SlotOwner { fence, from, to, is_scheduled } = owners[slot as usize];
            let is_valid = from <= time && time < to;
            if is_valid && (!is_scheduled || timelines[fence as usize].at(time).is_some()) {
                inside.push(fence);
            }
        });
        if inside.is_empty() && set_before == EMPTY_SET {
            return EMPTY_SET;
        }
        inside.sort_unstable();
        // Mostly of one fence: comparing them here is less than a call.
        let is_same = |set: &[FenceKey], other: &[FenceKey]| {
            set.len() == other.len() && set.iter().zip(other).all(|(a, b)| a == b)
        };
        if !self.any_end && is_same(self.sets.members(set_before), &self.inside) {
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
            if self.any_end
                && let Some((end, reason)) = timeline.end_between(time_before, time)
            {
                edges.push(Edge { time: end, fence, kind: EdgeKind::Leave(reason) });
                continue;
            }
            if self.inside.binary_search(&fence).is_ok() {
                self.still_in.push(fence);
                continue;
            }
            if self.stays_in(fence, time, at) {
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

    /// Whether any fence asks for crossings.
    pub(crate) fn has_crossings(&self) -> bool {
        !self.crossable.is_empty()
    }

    /// Adds what a vehicle crossed between two consecutive good fixes, given the sets after each.
    pub(crate) fn crossed(
        &mut self,
        (from, set_from): (&Fix, u32),
        (to, set_to): (&Fix, u32),
        crossings: &mut Vec<Crossing>,
    ) {
        if to.time - from.time > MAX_CROSSING_GAP_MS {
            return;
        }
        let mut slots = std::mem::take(&mut self.near_leg);
        slots.clear();
        leg_rects(from.at, to.at).for_each(|rect| slots.extend(self.crossable.meeting(&rect)));
        slots.sort_unstable();
        slots.dedup();
        for &slot in &slots {
            let fence = self.owners[slot as usize].fence;
            let is_in = |set| self.sets.members(set).binary_search(&fence).is_ok();
            if !is_in(set_from) && !is_in(set_to) {
                crossings.extend(self.crossing(fence, from, to));
            }
        }
        crossings.sort_unstable();
        crossings.dedup();
        self.near_leg = slots;
    }

    /// The crossing of a fence by a leg between two good fixes neither of which is in a presence.
    pub(crate) fn crossing(&self, fence: FenceKey, from: &Fix, to: &Fix) -> Option<Crossing> {
        let timeline = self.timeline(fence);
        let version = timeline.at(from.time)?;
        let under_one_version =
            timeline.at(to.time)?.from == version.from && timeline.end_between(from.time, to.time).is_none();
        if !version.settings.crossed || !under_one_version {
            return None;
        }
        let shape = &version.payload.shape;
        if shape.covers(from.at) || shape.covers(to.at) {
            return None;
        }
        let at = shape.crossed_at((from.time, from.at), (to.time, to.at))?;
        Some(Crossing { from: from.time, fence, to: to.time, at })
    }
}
