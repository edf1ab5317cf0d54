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
//! buffer from the new shape; one that is out is in from that fix on if the new shape holds it.

use model::{EndReason, Why};

use super::blocks_index::{Entry, TAIL};
use super::fix::Fix;
use super::history::{Place, base_seconds};
use super::output::{Crossing, Interval, OfVehicle, Output};
use super::vehicle::{Vehicle, Who};
use super::world::{Edited, MAX_CROSSING_GAP_MS, World};
use crate::fences::{ALWAYS, FenceKey};

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
    /// The presence that goes on, and the last good fix that was judged within it.
    open: Option<(Interval, i64)>,
    done: Vec<Interval>,
}

impl Passing<'_> {
    fn pass(&mut self, fix: &Fix) {
        let Passing { world, fence, .. } = *self;
        if let Some((interval, time_before)) = self.open.take() {
            let end = world.timeline(fence).end_between(time_before, fix.time);
            if end.is_none() && world.stays_in(fence, fix.time, fix.at) {
                self.open = Some((interval, fix.time));
                return;
            }
            self.done.push(interval.with_end(end.or(Some((fix.time, EndReason::Exit)))));
        }
        if world.covers(fence, fix.time, fix.at) {
            self.open = Some((Interval::open(fix.time, fence), fix.time));
        }
    }
}

impl Vehicle {
    /// Judges one fence anew; `near` are the blocks that may have a fix or a leg near it, by time.
    pub(crate) fn refence(
        &mut self,
        who: Who,
        refence: &Refence<'_>,
        near: &[Entry],
        world: &mut World,
        out: &mut Output,
    ) {
        let blocks = self.blocks_of(near);
        let (new, is_in_last) = self.presences_anew(refence, &blocks, world);
        let is_of_fence = |i: &Interval| i.fence == refence.fence && i.exited() >= refence.edge;
        replace(who, &mut self.intervals, &is_of_fence, new, refence.why, out);
        self.set_last(refence.fence, is_in_last, world);
        if refence.edited.crossed {
            let new = self.crossings_anew(refence, &blocks, world);
            let is_of_fence = |c: &Crossing| c.fence == refence.fence && c.to >= refence.edge;
            replace(who, &mut self.crossings, &is_of_fence, new, refence.why, out);
        }
    }

    /// The blocks that entries name, in order; what is gone is left out.
    fn blocks_of(&self, near: &[Entry]) -> Vec<usize> {
        let mut blocks = Vec::with_capacity(near.len());
        for entry in near {
            if entry.base_s == TAIL {
                blocks.push(self.history.sealed_count());
                continue;
            }
            let Some(first) = self.history.block_at(entry.base_s) else { continue };
            let sealed = first..self.history.sealed_count();
            let same_second =
                |block: &usize| base_seconds(self.history.block(*block).base_time()) == entry.base_s;
            blocks.extend(sealed.take_while(same_second));
        }
        blocks.dedup();
        blocks
    }

    /// The presences that are not final, and whether the vehicle is in after its last good fix.
    fn presences_anew(
        &self,
        refence: &Refence<'_>,
        blocks: &[usize],
        world: &World,
    ) -> (Vec<Interval>, bool) {
        let Refence { fence, edge, edited, .. } = *refence;
        let mut passing = Passing { world, fence, open: None, done: Vec::new() };
        let mut at = self.history.first();
        if edge != ALWAYS {
            at = self.history.at_or_after(edge);
            let good = match at {
                Some(place) => self.history.good_before(place),
                None => self.history.last_good(),
            };
            if let Some(good) = good {
                self.judge_at_edge(&self.history.get(good), edge, &mut passing);
            }
        }
        let mut ahead = blocks.iter().copied().peekable();
        while let Some(mut place) = at {
            if passing.open.is_none() {
                while ahead.next_if(|&block| block < place.block).is_some() {}
                let Some(&block) = ahead.peek() else { break };
                if block > place.block {
                    let Some(begin) = self.history.begin_of(block) else { break };
                    place = begin;
                }
            }
            let fix = self.history.get(place);
            if !fix.is_jump && (passing.open.is_some() || is_near(&fix, edited)) {
                passing.pass(&fix);
            }
            at = self.history.next(place);
        }
        let is_in_last = passing.open.is_some();
        if let Some((interval, time_before)) = passing.open {
            let end = world.timeline(fence).end_between(time_before, world.instant);
            passing.done.push(interval.with_end(end));
        }
        // One that would end where it began never was.
        passing.done.retain(|i| i.exited() > i.entered);
        (passing.done, is_in_last)
    }

    /// Where the vehicle is at the last good fix before the edge.
    fn judge_at_edge(&self, good: &Fix, edge: i64, passing: &mut Passing<'_>) {
        let Passing { world, fence, .. } = *passing;
        let known = self.intervals.iter().find(|i| i.fence == fence && i.holds(good.time));
        match known {
            // It left between that fix and the edge, for good.
            Some(known) if known.exited() < edge => {}
            Some(known) => {
                let interval = known.with_end(None);
                match world.leaves_at(fence, good.time, good.at) {
                    None => passing.open = Some((interval, good.time)),
                    Some(reason) => passing.done.push(interval.with_end(Some((good.time, reason)))),
                }
            }
            None if world.covers(fence, good.time, good.at) => {
                passing.open = Some((Interval::open(good.time, fence), good.time));
            }
            None => {}
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
    fn crossings_anew(&self, refence: &Refence<'_>, blocks: &[usize], world: &World) -> Vec<Crossing> {
        let Refence { fence, edge, .. } = *refence;
        let presences: Vec<&Interval> = self.intervals.iter().filter(|i| i.fence == fence).collect();
        let is_in = |time: i64| presences.iter().any(|i| i.holds(time));
        let mut found = Vec::new();
        for &block in blocks {
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

fn is_near(fix: &Fix, edited: &Edited) -> bool {
    let (lon, lat) = (i64::from(fix.at.lon), i64::from(fix.at.lat));
    edited.rects.iter().any(|rect| rect.holds(lon, lat))
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
