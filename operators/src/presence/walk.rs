//! Judging fixes anew, from one on, until nothing differs any more from what is known.
//!
//! ```text
//!   fixes      o   o   o   N   o   o   o   o        N is new; from the good fix before it
//!   state      s   s   s   ?   ?   ?   s   s        until the state is what it was
//!                      |-- window ---|              what is known of rows there is replaced
//! ```
//!
//! Two states are the same when a fix is good as it was, and the set of fences after it is the same: the
//! filter looks back at flagged fixes only as long as they follow one another, so from there on all is as it
//! was.

use model::{Cause, Why};

use super::fix::Fix;
use super::history::Place;
use super::jumps::is_good;
use super::output::{Crossing, Interval};
use super::sets::EMPTY_SET;
use super::vehicle::{Shared, Vehicle, Who, list_leg};
use super::world::{Edge, EdgeKind, World};
use crate::fences::{ALWAYS, FenceKey, NEVER};
use crate::spatial::Looked;

/// Reused buffers.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) edges: Vec<Edge>,
    pub(crate) crossings: Vec<Crossing>,
    members: Vec<FenceKey>,
    carried: Vec<(usize, Interval)>,
    fresh: Vec<Interval>,
    known: Vec<Interval>,
    anew: Vec<Interval>,
}

/// A stretch of time whose edges were computed anew: from after the good fix at `after`, at fixes later than
/// `before`, up to `until`.
struct Window {
    after: i64,
    before: i64,
    until: i64,
    set_before: u32,
}

/// What is known of the past, as a walk passes it: the fences that the vehicle was in.
struct Known<'a> {
    intervals: &'a [Interval],
    next: usize,
    /// (fence, exited), by fence.
    within: Vec<(FenceKey, i64)>,
}

impl<'a> Known<'a> {
    /// After the good fix at a time, and before the one that is judged first.
    fn after(intervals: &'a [Interval], good: i64, before: i64) -> Known<'a> {
        let next = intervals.partition_point(|i| i.entered <= before);
        let within = intervals[..next].iter().filter(|i| i.exited() > good).map(|i| (i.fence, i.exited()));
        let mut within: Vec<_> = within.collect();
        within.sort_unstable();
        Known { intervals, next, within }
    }

    fn pass(&mut self, time: i64) {
        self.within.retain(|&(_, exited)| time < exited);
        while let Some(interval) = self.intervals.get(self.next).filter(|i| i.entered <= time) {
            if interval.holds(time) {
                let at = self.within.partition_point(|&(fence, _)| fence < interval.fence);
                self.within.insert(at, (interval.fence, interval.exited()));
            }
            self.next += 1;
        }
    }

    fn is(&self, members: &[FenceKey]) -> bool {
        self.within.len() == members.len() && self.within.iter().zip(members).all(|((a, _), b)| a == b)
    }
}

impl Vehicle {
    /// Judges a fix that has no past, and what it changes for those after it. Its position was looked up.
    /// `replaced`: the good one whose place it took.
    pub(crate) fn walk_from_new(
        &mut self,
        who: Who,
        (new, looked): (Place, Looked),
        replaced: Option<Fix>,
        why: Why,
        shared: &mut Shared,
    ) {
        let good = self.history.good_before(new);
        let after = good.map_or(ALWAYS, |at| self.history.get(at).time);
        let before = self.history.get(new).time - 1;
        shared.scratch.edges.clear();
        let set_before = self.set_after(after, before, shared.world.edge, shared);
        let start =
            Start { good, after, before, set_before, new: Some(New { place: new, looked, replaced }) };
        self.walk(who, Some(new), &start, why, shared);
    }

    /// Judges all fixes from the edge on anew, after settings changed. The last good fix before the edge is
    /// taken as it is; who was in a fence there leaves it there if the new buffer says so.
    pub(crate) fn walk_from_edge(&mut self, who: Who, edge: i64, why: Why, shared: &mut Shared) {
        let from = self.history.at_or_after(edge);
        let good = match from {
            Some(place) => self.history.good_before(place),
            None => self.history.last_good(),
        };
        let edges = &mut shared.scratch.edges;
        edges.clear();
        let before = edge.saturating_sub(1);
        let after = match good.map(|at| self.history.get(at)) {
            None => ALWAYS,
            Some(good) => {
                let until_edge = self.intervals.iter().take_while(|i| i.entered <= before);
                for interval in until_edge.filter(|i| i.exited() >= edge) {
                    if let Some(reason) = shared.world.leaves_at(interval.fence, good.time, good.at) {
                        let kind = EdgeKind::Leave(reason);
                        edges.push(Edge { time: good.time, fence: interval.fence, kind });
                    }
                }
                good.time
            }
        };
        let set_before = self.set_after(after, before, edge, shared);
        let start = Start { good, after, before, set_before, new: None };
        self.walk(who, from, &start, why, shared);
    }

    /// The fences that the vehicle is known to be in after the good fix at a time, and before the fix that is
    /// judged first, without those that it left before the edge for good. Between the two a presence begins
    /// only where a correction had it begin at the end of a final row.
    fn set_after(&self, good: i64, before: i64, edge: i64, shared: &mut Shared) -> u32 {
        if self.intervals.is_empty() {
            return EMPTY_SET;
        }
        let members = &mut shared.scratch.members;
        members.clear();
        let known = self.intervals.iter().take_while(|i| i.entered <= before);
        members.extend(known.filter(|i| i.exited() > good && i.exited() >= edge).map(|i| i.fence));
        members.sort_unstable();
        shared.world.sets.number(members)
    }

    fn walk(&mut self, who: Who, from: Option<Place>, start: &Start, why: Why, shared: &mut Shared) {
        let Shared { world, index, scratch, out, legs_are_listed, steps } = shared;
        let Vehicle { history, intervals, .. } = self;
        let max_speed_kmh = world.settings.max_speed_kmh;
        let has_crossings = world.has_crossings();
        let new = start.new.as_ref();
        let replaced = new.and_then(|new| new.replaced);
        let mut set = set_without_left(start.set_before, &scratch.edges, world);
        let mut good = start.good.map(|at| (at, history.get(at)));
        let mut was_good = good.map(|(_, fix)| fix);
        let mut known: Option<Known<'_>> = None;
        let mut is_cleaned = false;
        let mut settled_at = None;
        let mut at = from;
        scratch.crossings.clear();
        while let Some(place) = at {
            let fix = history.get(place);
            let new_here = new.filter(|new| new.place == place);
            let is_new = new_here.is_some();
            let is_jump = !is_good(history, place, &fix, good.as_ref().map(|(_, fix)| fix), max_speed_kmh);
            if is_jump != fix.is_jump {
                is_cleaned |= !is_new;
                let cause = if is_new { why } else { why.stronger(Why { cause: Cause::Cleaning, ..why }) };
                out.jump(who.key, &fix, is_jump, cause);
                history.set_jump(place, is_jump);
                if *legs_are_listed && let Some((_, good)) = &good {
                    index.note_legs_changed(good.at, fix.at);
                }
            }
            let was = if is_new { replaced } else { Some(fix).filter(|_| !fix.is_jump) };
            let is = Some(fix).filter(|_| !is_jump);
            let last_good = good.as_ref().map(|(_, fix)| fix);
            steps.replace(who.key, (was_good.as_ref(), was.as_ref()), (last_good, is.as_ref()), why);
            was_good = was.or(was_good);
            let may_settle = new.is_some() && !is_new && !is_jump && !fix.is_jump;
            let unchanged = scratch.edges.is_empty() && set == start.set_before && replaced.is_none();
            // Where legs are listed, so must be the one that begins with the new fix.
            if may_settle && unchanged && !is_cleaned && !*legs_are_listed {
                // The new fix made no difference to fences: this one is judged as it was.
                return;
            }
            if !is_jump {
                let set_from = set;
                let time_before = good.as_ref().map_or(ALWAYS, |(_, fix)| fix.time);
                let looked = new_here.map_or_else(|| world.look(fix.at), |new| new.looked);
                set = world.step_to((time_before, set_from), fix.time, (fix.at, looked), &mut scratch.edges);
                if let Some((from, good)) = &good {
                    if has_crossings {
                        world.crossed((good, set_from), (&fix, set), &mut scratch.crossings);
                    }
                    if *legs_are_listed {
                        list_leg(history, who, *from, place, index);
                    }
                }
                good = Some((place, fix));
            }
            if may_settle {
                let known = known.get_or_insert_with(|| Known::after(intervals, start.after, start.before));
                known.pass(fix.time);
                if known.is(world.sets.members(set)) {
                    settled_at = Some(fix.time);
                    break;
                }
            }
            at = history.next(place);
        }
        let until = settled_at.unwrap_or(NEVER);
        if settled_at.is_none() {
            self.last_set = set;
            if let Some((_, good)) = &good {
                world.ends_after((good.time, set), &mut scratch.edges);
            }
        }
        let why = if is_cleaned { why.stronger(Why { cause: Cause::Cleaning, ..why }) } else { why };
        let Start { after, before, set_before, .. } = *start;
        let window = Window { after, before, until, set_before };
        self.rebuild_presences(who, &window, why, shared);
        if has_crossings {
            self.rebuild_crossings(who, &window, why, shared);
        }
    }

    /// Replaces what is known of presences in a window by what its edges say.
    fn rebuild_presences(&mut self, who: Who, window: &Window, why: Why, shared: &mut Shared) {
        let Shared { world, scratch, out, .. } = shared;
        let Scratch { edges, carried, fresh, known, anew, .. } = scratch;
        let first = self.intervals.partition_point(|i| i.entered <= window.before);
        let end = self.intervals.partition_point(|i| i.entered <= window.until);
        carried.clear();
        fresh.clear();
        for &fence in world.sets.members(window.set_before) {
            if let Some(at) = self.intervals[..first].iter().rposition(|i| i.fence == fence) {
                carried.push((at, self.intervals[at].with_end(None)));
            } else {
                debug_assert!(false, "a fence of the set before the window has no presence");
            }
        }
        for edge in edges.iter() {
            let EdgeKind::Leave(reason) = edge.kind else {
                fresh.push(Interval::open(edge.time, edge.fence));
                continue;
            };
            let is_left = |i: &Interval| i.fence == edge.fence && i.is_open();
            let left = match fresh.iter_mut().rfind(|i| is_left(i)) {
                Some(interval) => interval,
                None => match carried.iter_mut().find(|(_, i)| is_left(i)) {
                    Some((_, interval)) => interval,
                    None => {
                        debug_assert!(false, "a fence is left that was not entered");
                        continue;
                    }
                },
            };
            *left = left.with_end(Some((edge.time, reason)));
        }
        // What is open where the window ends goes on as it did.
        if window.until != NEVER {
            let known_end = |fence: FenceKey| {
                let goes_on = |i: &&Interval| i.fence == fence && i.exited() > window.until;
                self.intervals[..end].iter().rev().find(goes_on).and_then(Interval::end)
            };
            let all = carried.iter_mut().map(|(_, interval)| interval).chain(fresh.iter_mut());
            for interval in all.filter(|i| i.is_open()) {
                *interval = interval.with_end(known_end(interval.fence));
            }
        }
        carried.retain(|&(at, interval)| self.intervals[at] != interval);
        fresh.sort_unstable();
        if carried.is_empty() && self.intervals[first..end] == fresh[..] {
            return;
        }
        carried.sort_unstable();
        known.clear();
        known.extend(carried.iter().map(|&(at, _)| self.intervals[at]));
        known.extend_from_slice(&self.intervals[first..end]);
        // One that would end where it began never was.
        let is_any = |interval: &Interval| interval.exited() > interval.entered;
        anew.clear();
        anew.extend(carried.iter().map(|&(_, interval)| interval).filter(is_any));
        anew.extend_from_slice(fresh);
        out.difference(who.key, known, anew, why);
        self.intervals.splice(first..end, fresh.drain(..));
        for &(at, interval) in carried.iter() {
            self.intervals[at] = interval;
        }
        if !carried.iter().all(|(_, interval)| is_any(interval)) {
            self.intervals.retain(is_any);
        }
    }

    pub(crate) fn is_within(&self, fence: FenceKey, time: i64) -> bool {
        self.intervals.iter().any(|i| i.fence == fence && i.holds(time))
    }

    /// Replaces what is known of crossings in a window by what was found there.
    fn rebuild_crossings(&mut self, who: Who, window: &Window, why: Why, shared: &mut Shared) {
        let fresh = &mut shared.scratch.crossings;
        // Whoever was in a presence that is final did not cross its fence, wherever that was moved.
        fresh.retain(|c| c.from != window.after || !self.is_within(c.fence, c.from));
        fresh.sort_unstable();
        fresh.dedup();
        let first = self.crossings.partition_point(|c| c.from < window.after);
        let end = self.crossings.partition_point(|c| c.from < window.until);
        if self.crossings[first..end] != fresh[..] {
            shared.out.difference(who.key, &self.crossings[first..end], fresh, why);
            self.crossings.splice(first..end, fresh.iter().copied());
        }
    }
}

/// Where a walk starts.
struct Start {
    /// The last good fix before.
    good: Option<Place>,
    /// Its time.
    after: i64,
    /// The time before that of the fix that is judged first.
    before: i64,
    set_before: u32,
    new: Option<New>,
}

/// The fix that has no past.
struct New {
    place: Place,
    /// What is listed where it is.
    looked: Looked,
    /// The good one whose place it took.
    replaced: Option<Fix>,
}

/// A set without the fences that edges say were left.
fn set_without_left(set: u32, edges: &[Edge], world: &mut World) -> u32 {
    if edges.is_empty() {
        return set;
    }
    let is_left = |fence: &FenceKey| edges.iter().any(|edge| edge.fence == *fence);
    let rest: Vec<_> = world.sets.members(set).iter().copied().filter(|fence| !is_left(fence)).collect();
    world.sets.number(&rest)
}
