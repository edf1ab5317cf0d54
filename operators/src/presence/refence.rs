//! What a fence edit changes for one vehicle: the presences and crossings of that fence alone, judged at the
//! fixes near the old or the new shape.
//!
//! ```text
//!   blocks      [........][..ooo...][........][...oo...][........]
//!   near                     ^^^                  ^^                 listed by the index
//!   judged                   ooo|                 oo|                and on, until the vehicle is out
//! ```
//!
//! A fix that is not near is outside, and farther than every buffer: it can only end a presence. So a fix is
//! looked at when it is near, or when the vehicle is in the fence.
//!
//! Reach: rows that ended before the edge are final. At the edge the vehicle is judged from its last good fix
//! before it: one that is in the fence stays in, since when it entered, unless that fix is farther than the
//! buffer from the new shape; one that is out is in from that fix on if the new shape holds it, though not
//! before the end of a final row.

use model::{EndReason, Why};

use super::fix::Fix;
use super::history::Place;
use super::near::Near;
use super::output::{Crossing, Interval, OfVehicle, Output};
use super::vehicle::{Vehicle, Who};
use super::world::{Edited, MAX_CROSSING_GAP_MS, World};
use crate::fences::FenceKey;

/// An edit, for the vehicles that it may concern.
pub(crate) struct Refence<'a> {
    pub(crate) fence: FenceKey,
    pub(crate) edited: &'a Edited,
    pub(crate) edge: i64,
    pub(crate) why: Why,
}

/// The state of one vehicle and fence while fixes are passed.
struct Passing<'a> {
    world: &'a World,
    fence: FenceKey,
    edge: i64,
    open: Option<Open>,
    done: Vec<Interval>,
}

/// The presence that goes on.
#[derive(Clone, Copy)]
struct Open {
    interval: Interval,
    /// Of the last good fix that was judged within it.
    judged_at: i64,
    /// It began at the edge by this correction, which creates no row that ended before it.
    is_of_edge: bool,
}

impl Passing<'_> {
    fn pass(&mut self, fix: &Fix) {
        let Passing { world, fence, .. } = *self;
        if let Some(open) = &mut self.open {
            let end = world.timeline(fence).end_between(open.judged_at, fix.time);
            if end.is_none() && world.stays_in(fence, fix.time, fix.at) {
                open.judged_at = fix.time;
                return;
            }
            self.leave(end.unwrap_or((fix.time, EndReason::Exit)));
        }
        if world.covers(fence, fix.time, fix.at) {
            let interval = Interval::open(fix.time, fence);
            self.open = Some(Open { interval, judged_at: fix.time, is_of_edge: false });
        }
    }

    fn leave(&mut self, end: (i64, EndReason)) {
        let Some(Open { interval, is_of_edge, .. }) = self.open.take() else { return };
        let is_empty = end.0 <= interval.entered;
        let is_created_before_edge = is_of_edge && end.0 < self.edge;
        if !is_empty && !is_created_before_edge {
            self.done.push(interval.with_end(Some(end)));
        }
    }

    /// No good fix follows: has the instant reached the fence's end? The presences, and whether the vehicle is in
    /// after the last fix; it never was where the presence is not created.
    fn finish(mut self) -> (Vec<Interval>, bool) {
        let Some(open) = self.open else { return (self.done, false) };
        let ended_before = self.done.len();
        match self.world.timeline(self.fence).end_between(open.judged_at, self.world.instant) {
            Some(end) => self.leave(end),
            None => self.done.push(open.interval),
        }
        let is_in_last = self.done.len() > ended_before;
        (self.done, is_in_last)
    }
}

impl Vehicle {
    /// Judges one fence anew; `blocks` are those that have a fix near it, or may have a leg, in order.
    pub(crate) fn refence(
        &mut self,
        who: Who,
        refence: &Refence<'_>,
        blocks: &[Near],
        world: &mut World,
        out: &mut Output,
    ) {
        let (new, is_in_last) = self.presences_anew(refence, blocks, world);
        let is_of_fence = |i: &Interval| i.fence == refence.fence && i.exited() >= refence.edge;
        replace(who, &mut self.intervals, &is_of_fence, new, refence.why, out);
        self.set_last(refence.fence, is_in_last, world);
        if refence.edited.crossed {
            let new = self.crossings_anew(refence, blocks, world);
            let is_of_fence = |c: &Crossing| c.fence == refence.fence && c.to >= refence.edge;
            replace(who, &mut self.crossings, &is_of_fence, new, refence.why, out);
        }
    }

    /// The presences that are not final, and whether the vehicle is in after its last good fix.
    fn presences_anew(&self, refence: &Refence<'_>, blocks: &[Near], world: &World) -> (Vec<Interval>, bool) {
        let Refence { fence, edge, .. } = *refence;
        let mut passing = Passing { world, fence, edge, open: None, done: Vec::new() };
        let mut at = self.history.first();
        if edge > self.history.block(0).base_time() {
            at = self.history.at_or_after(edge);
            let good = match at {
                Some(place) => self.history.good_before(place),
                None => self.history.last_good(),
            };
            if let Some(good) = good {
                self.judge_at_edge(&self.history.get(good), &mut passing);
            }
        }
        let mut ahead = blocks;
        while let Some(mut place) = at {
            if passing.open.is_none() {
                let Some(near) = next_near(&mut ahead, place) else { break };
                place = near;
            }
            let fix = self.history.get(place);
            if !fix.is_jump {
                passing.pass(&fix);
            }
            at = self.history.next(place);
        }
        passing.finish()
    }

    /// Where the vehicle is at the last good fix before the edge.
    fn judge_at_edge(&self, good: &Fix, passing: &mut Passing<'_>) {
        let Passing { world, fence, edge, .. } = *passing;
        let of_fence = self.intervals.iter().filter(|i| i.fence == fence && i.exited() > good.time);
        let mut earliest = good.time;
        for known in of_fence.take_while(|i| i.entered < edge) {
            if known.exited() < edge {
                earliest = earliest.max(known.exited());
                continue;
            }
            passing.open =
                Some(Open { interval: known.with_end(None), judged_at: good.time, is_of_edge: false });
            if let Some(reason) = world.leaves_at(fence, good.time, good.at) {
                passing.leave((good.time, reason));
            }
            return;
        }
        if world.covers(fence, good.time, good.at) {
            let interval = Interval::open(earliest, fence);
            passing.open = Some(Open { interval, judged_at: good.time, is_of_edge: true });
        }
    }

    fn set_last(&mut self, fence: FenceKey, is_in: bool, world: &mut World) {
        let members = world.sets.members(self.last_set);
        match (members.binary_search(&fence), is_in) {
            (Ok(_), true) | (Err(_), false) => {}
            (Ok(at), false) => {
                let mut members = members.to_vec();
                members.remove(at);
                self.last_set = world.sets.number(&members);
            }
            (Err(at), true) => {
                let mut members = members.to_vec();
                members.insert(at, fence);
                self.last_set = world.sets.number(&members);
            }
        }
    }

    /// The crossings that are not final; presences are right already.
    fn crossings_anew(&self, refence: &Refence<'_>, blocks: &[Near], world: &World) -> Vec<Crossing> {
        let Refence { fence, edge, .. } = *refence;
        let presences: Vec<&Interval> = self.intervals.iter().filter(|i| i.fence == fence).collect();
        let is_in = |time: i64| presences.iter().any(|i| i.holds(time));
        let mut found = Vec::new();
        for block in blocks.iter().map(|near| near.block as usize) {
            let Some(begin) = self.history.begin_of(block) else { continue };
            let mut good = self.history.good_before(begin).map(|at| self.history.get(at));
            let mut at = Some(begin);
            while let Some(place) = at.filter(|place: &Place| place.block == block) {
                at = self.history.next(place);
                let fix = self.history.get(place);
                if fix.is_jump {
                    continue;
                }
                if let Some(from) = good.replace(fix)
                    && fix.time >= edge
                    && fix.time - from.time <= MAX_CROSSING_GAP_MS
                    && !is_in(from.time)
                    && !is_in(fix.time)
                {
                    found.extend(world.crossing(fence, &from, &fix));
                }
            }
        }
        found
    }
}

/// The first near fix at or after a place. Blocks before it are passed.
fn next_near(ahead: &mut &[Near], place: Place) -> Option<Place> {
    while let Some((near, rest)) = ahead.split_first() {
        let block = near.block as usize;
        let passed = if block == place.block { place.index } else { 0 };
        let fixes = near.fixes.checked_shr(passed as u32).unwrap_or(0);
        if block >= place.block && fixes != 0 {
            return Some(Place { block, index: passed + fixes.trailing_zeros() as usize });
        }
        *ahead = rest;
    }
    None
}

/// Puts other rows in the place of some, and tells the difference; both are in order.
fn replace<R: OfVehicle>(
    who: Who,
    rows: &mut Vec<R>,
    is_replaced: &impl Fn(&R) -> bool,
    new: Vec<R>,
    why: Why,
    out: &mut Output,
) {
    let old: Vec<R> = rows.iter().copied().filter(is_replaced).collect();
    if old == new {
        return;
    }
    out.difference(who.key, &old, &new, why);
    rows.retain(|row| !is_replaced(row));
    for row in new {
        let at = rows.partition_point(|other| *other < row);
        rows.insert(at, row);
    }
}
