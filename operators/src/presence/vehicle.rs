//! One vehicle: its fixes in event-time order, and its presences, kept right under any arrival.

use model::{Coord, EndReason, RejectReason};

use super::fix::{FixIn, KeptFix, VehicleKey};
use super::jumps::is_good;
use super::sets::EMPTY_SET;
use super::world::{Edge, EdgeKind, World};
use crate::fences::{ALWAYS, FenceKey, NEVER};
use crate::spatial::Rect;

/// A presence of this vehicle. Ordered by (`entered`, `fence`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval {
    /// First fix inside.
    pub entered: i64,
    /// Which fence.
    pub fence: FenceKey,
    /// When and why it ended.
    pub end: Option<(i64, EndReason)>,
}

/// What a vehicle's changes amount to.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) presences: Vec<(VehicleKey, Interval, i8)>,
    pub(crate) rejects: Vec<(VehicleKey, i64, u64, RejectReason, i8)>,
}

#[derive(Default)]
pub(crate) struct Vehicle {
    fixes: Vec<KeptFix>,
    intervals: Vec<Interval>,
    last_good: Option<u32>,
    bounds: Option<[Coord; 2]>,
}

/// Reused buffers of the slow paths.
#[derive(Default)]
pub(crate) struct Scratch {
    edges: Vec<Edge>,
    carried: Vec<(usize, Interval)>,
    fresh: Vec<Interval>,
}

/// A stretch of time `(after, until]` whose edges were computed anew.
struct Window {
    after: i64,
    until: i64,
    set_before: u32,
}

impl Vehicle {
    pub(crate) fn fix_count(&self) -> usize {
        self.fixes.len()
    }

    /// Takes in a fix, in whatever order it comes.
    pub(crate) fn apply(&mut self, fix: &FixIn, world: &mut World, scratch: &mut Scratch, out: &mut Output) {
        let in_order = self.fixes.last().is_none_or(|last| last.time < fix.time);
        if in_order {
            self.widen(fix.at);
            self.append(fix, world, scratch, out);
            return;
        }
        let (index, replaces) = match self.fixes.binary_search_by_key(&fix.time, |f| f.time) {
            Ok(index) => (index, true),
            Err(index) => (index, false),
        };
        if replaces && (self.fixes[index].at == fix.at || self.fixes[index].seq() > fix.seq) {
            if fix.bad_value {
                out.reject(fix, RejectReason::BadValue);
            }
            return;
        }
        self.widen(fix.at);
        if fix.bad_value {
            out.reject(fix, RejectReason::BadValue);
        }
        let mut good_was_replaced = false;
        if replaces {
            let old = self.fixes[index];
            if old.is_jump() {
                out.unflag(fix.vehicle, &old);
            }
            good_was_replaced = !old.is_jump();
            self.fixes[index] = KeptFix::new(fix);
        } else {
            self.fixes.insert(index, KeptFix::new(fix));
            if let Some(last_good) = &mut self.last_good
                && *last_good as usize >= index
            {
                *last_good += 1;
            }
        }
        self.walk(fix.vehicle, index, Some((index, good_was_replaced)), world, scratch, out);
    }

    /// Judges all fixes anew, after fences or settings changed.
    pub(crate) fn recompute(
        &mut self,
        vehicle: VehicleKey,
        world: &mut World,
        scratch: &mut Scratch,
        out: &mut Output,
    ) {
        self.walk(vehicle, 0, None, world, scratch, out);
    }

    /// Ends the open presences whose fence's coverage stopped before the instant.
    pub(crate) fn end_tail(
        &mut self,
        vehicle: VehicleKey,
        world: &World,
        scratch: &mut Scratch,
        out: &mut Output,
    ) {
        let Some(last_good) = self.last_good else { return };
        let last = &self.fixes[last_good as usize];
        scratch.edges.clear();
        world.ends_after((last.time, last.set), &mut scratch.edges);
        self.apply_at_tail(vehicle, &scratch.edges, out);
    }

    /// Whether any position of this vehicle may lie in one of the rectangles.
    pub(crate) fn may_meet(&self, rects: &[Rect]) -> bool {
        let Some([low, high]) = self.bounds else { return false };
        let own = Rect {
            min_lon: i64::from(low.lon),
            max_lon: i64::from(high.lon),
            min_lat: i64::from(low.lat),
            max_lat: i64::from(high.lat),
        };
        rects.iter().any(|r| r.meets(&own))
    }

    /// The set of fences after the last fix.
    pub(crate) fn last_set(&self) -> u32 {
        self.fixes.last().map_or(EMPTY_SET, |f| f.set)
    }

    fn widen(&mut self, at: Coord) {
        let [low, high] = self.bounds.get_or_insert([at, at]);
        low.lon = low.lon.min(at.lon);
        low.lat = low.lat.min(at.lat);
        high.lon = high.lon.max(at.lon);
        high.lat = high.lat.max(at.lat);
    }

    /// The common case: the fix is the newest.
    #[inline]
    fn append(&mut self, fix: &FixIn, world: &mut World, scratch: &mut Scratch, out: &mut Output) {
        let index = self.fixes.len();
        let set_before = self.last_set();
        self.fixes.push(KeptFix::new(fix));
        if fix.bad_value {
            out.reject(fix, RejectReason::BadValue);
        }
        let good_before = self.last_good.map(|g| g as usize);
        if !is_good(&self.fixes, index, good_before, world.settings.max_speed_kmh) {
            let kept = &mut self.fixes[index];
            kept.set_jump(true);
            kept.set = set_before;
            out.flag(fix.vehicle, kept);
            return;
        }
        let time_before = good_before.map_or(ALWAYS, |g| self.fixes[g].time);
        scratch.edges.clear();
        let set = world.step((time_before, set_before), fix.time, fix.at, &mut scratch.edges);
        self.fixes[index].set = set;
        self.last_good = Some(index as u32);
        if set != EMPTY_SET {
            world.ends_after((fix.time, set), &mut scratch.edges);
        }
        if !scratch.edges.is_empty() {
            self.apply_at_tail(fix.vehicle, &scratch.edges, out);
        }
    }

    /// Applies edges that are no older than any that is known; one that is known already is no change.
    fn apply_at_tail(&mut self, vehicle: VehicleKey, edges: &[Edge], out: &mut Output) {
        for edge in edges {
            match edge.kind {
                EdgeKind::Enter => {
                    let opened = Interval { entered: edge.time, fence: edge.fence, end: None };
                    let at = self.intervals.partition_point(|i| *i < opened);
                    self.intervals.insert(at, opened);
                    out.presences.push((vehicle, opened, 1));
                }
                EdgeKind::Leave(reason) => {
                    let Some(at) = self.intervals.iter().rposition(|i| i.fence == edge.fence) else {
                        debug_assert!(false, "a fence is left that was not entered");
                        continue;
                    };
                    let end = Some((edge.time, reason));
                    let old = self.intervals[at];
                    if old.end != end {
                        self.intervals[at].end = end;
                        out.presences.push((vehicle, old, -1));
                        out.presences.push((vehicle, self.intervals[at], 1));
                    }
                }
            }
        }
    }

    /// Judges the fixes from `from` on until nothing differs any more from what is known.
    ///
    /// `new` is the index of a fix that has no past, and whether it took the place of a good one; with
    /// `None` every fix is judged. Two states are the same when the last good fix, the set of fences and
    /// what the jump filter can see of flagged fixes are the same: from there on all would be as it was.
    fn walk(
        &mut self,
        vehicle: VehicleKey,
        from: usize,
        new: Option<(usize, bool)>,
        world: &mut World,
        scratch: &mut Scratch,
        out: &mut Output,
    ) {
        const REPLACED: usize = usize::MAX;
        let mut good = (0..from).rev().find(|&i| !self.fixes[i].is_jump());
        let mut set = from.checked_sub(1).map_or(EMPTY_SET, |i| self.fixes[i].set);
        let window_start = good.map_or(ALWAYS, |g| self.fixes[g].time);
        let set_before = set;
        let mut good_before = good;
        if let Some((_, true)) = new {
            good_before = Some(REPLACED);
        }
        let mut same_flags_in_a_row = 0;
        let mut settled = false;
        scratch.edges.clear();
        for i in from..self.fixes.len() {
            let was = self.fixes[i];
            let is_new = new.is_some_and(|(index, _)| index == i);
            let is_jump = !is_good(&self.fixes, i, good, world.settings.max_speed_kmh);
            if is_jump != was.is_jump() {
                if is_jump {
                    out.flag(vehicle, &was);
                } else {
                    out.unflag(vehicle, &was);
                }
            }
            if !is_jump {
                let time_before = good.map_or(ALWAYS, |g| self.fixes[g].time);
                set = world.step((time_before, set), was.time, was.at, &mut scratch.edges);
                good = Some(i);
            }
            let kept = &mut self.fixes[i];
            kept.set_jump(is_jump);
            kept.set = set;
            if is_new {
                continue;
            }
            if !was.is_jump() {
                good_before = Some(i);
            }
            same_flags_in_a_row = if is_jump == was.is_jump() { same_flags_in_a_row + 1 } else { 0 };
            let filter_settled = !is_jump || same_flags_in_a_row >= 2;
            settled = new.is_some()
                && good == good_before
                && set == was.set
                && is_jump == was.is_jump()
                && filter_settled;
            if settled {
                break;
            }
        }
        let until = if settled { good.map_or(window_start, |g| self.fixes[g].time) } else { NEVER };
        if !settled {
            self.last_good = good.map(|g| g as u32);
            if let Some(g) = good {
                world.ends_after((self.fixes[g].time, set), &mut scratch.edges);
            }
        }
        let window = Window { after: window_start, until, set_before };
        self.rebuild_presences(vehicle, &window, world, scratch, out);
    }

    /// Replaces what is known of presences in a window by what its edges say.
    fn rebuild_presences(
        &mut self,
        vehicle: VehicleKey,
        window: &Window,
        world: &World,
        scratch: &mut Scratch,
        out: &mut Output,
    ) {
        let Scratch { edges, carried, fresh } = scratch;
        let first = self.intervals.partition_point(|i| i.entered <= window.after);
        let end = self.intervals.partition_point(|i| i.entered <= window.until);
        carried.clear();
        fresh.clear();
        for &fence in world.sets.members(window.set_before) {
            if let Some(at) = self.intervals[..first].iter().rposition(|i| i.fence == fence) {
                carried.push((at, Interval { end: None, ..self.intervals[at] }));
            } else {
                debug_assert!(false, "a fence of the set before the window has no presence");
            }
        }
        for edge in edges.iter() {
            if edge.kind == EdgeKind::Enter {
                fresh.push(Interval { entered: edge.time, fence: edge.fence, end: None });
                continue;
            }
            let EdgeKind::Leave(reason) = edge.kind else { continue };
            let open = |i: &Interval| i.fence == edge.fence && i.end.is_none();
            let left = match fresh.iter_mut().rfind(|i| open(i)) {
                Some(interval) => interval,
                None => match carried.iter_mut().find(|(_, i)| open(i)) {
                    Some((_, interval)) => interval,
                    None => {
                        debug_assert!(false, "a fence is left that was not entered");
                        continue;
                    }
                },
            };
            left.end = Some((edge.time, reason));
        }
        // What is open where the window ends goes on as it did.
        if window.until != NEVER {
            let known_end = |fence: FenceKey| {
                let goes_on =
                    |i: &&Interval| i.fence == fence && i.end.is_none_or(|(time, _)| time > window.until);
                self.intervals[..end].iter().rev().find(goes_on).and_then(|i| i.end)
            };
            for (_, interval) in carried.iter_mut() {
                interval.end = interval.end.or_else(|| known_end(interval.fence));
            }
            for interval in fresh.iter_mut() {
                interval.end = interval.end.or_else(|| known_end(interval.fence));
            }
        }
        for &(at, interval) in carried.iter() {
            let old = self.intervals[at];
            if old != interval {
                out.presences.push((vehicle, old, -1));
                out.presences.push((vehicle, interval, 1));
                self.intervals[at] = interval;
            }
        }
        fresh.sort_unstable();
        if self.intervals[first..end] == fresh[..] {
            return;
        }
        out.difference(vehicle, &self.intervals[first..end], fresh);
        self.intervals.splice(first..end, fresh.iter().copied());
    }
}

impl Output {
    fn reject(&mut self, fix: &FixIn, reason: RejectReason) {
        self.rejects.push((fix.vehicle, fix.time, fix.seq, reason, 1));
    }

    /// A fix is a jump now: one row a record, the refusal wins over a bad value.
    fn flag(&mut self, vehicle: VehicleKey, fix: &KeptFix) {
        self.jump(vehicle, fix, 1);
    }

    fn unflag(&mut self, vehicle: VehicleKey, fix: &KeptFix) {
        self.jump(vehicle, fix, -1);
    }

    fn jump(&mut self, vehicle: VehicleKey, fix: &KeptFix, diff: i8) {
        self.rejects.push((vehicle, fix.time, fix.seq(), RejectReason::Jump, diff));
        if fix.has_bad_value() {
            self.rejects.push((vehicle, fix.time, fix.seq(), RejectReason::BadValue, -diff));
        }
    }

    /// Adds what differs between two sorted lists.
    fn difference(&mut self, vehicle: VehicleKey, old: &[Interval], new: &[Interval]) {
        let (mut o, mut n) = (old.iter().peekable(), new.iter().peekable());
        loop {
            match (o.peek(), n.peek()) {
                (Some(a), Some(b)) if a == b => {
                    o.next();
                    n.next();
                }
                (Some(&&a), Some(b)) if a < **b => {
                    self.presences.push((vehicle, a, -1));
                    o.next();
                }
                (Some(&&a), None) => {
                    self.presences.push((vehicle, a, -1));
                    o.next();
                }
                (_, Some(&&b)) => {
                    self.presences.push((vehicle, b, 1));
                    n.next();
                }
                (None, None) => return,
            }
        }
    }
}
