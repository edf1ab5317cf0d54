//! One vehicle: its fixes in event-time order, its presences and crossings, kept right under any arrival.

use model::{Cause, Why};

use super::blocks_index::{BlocksIndex, Entry, TAIL};
use super::fix::{Fix, FixIn, VehicleKey};
use super::history::{Block, History, Place, Touched, base_seconds};
use super::jumps::is_good;
use super::odometer::Odometer;
use super::output::{Crossing, Interval, Output, ended_by_fence};
use super::sets::EMPTY_SET;
use super::tracks::Steps;
use super::walk::Scratch;
use super::world::{Edge, EdgeKind, MAX_CROSSING_GAP_MS, World};
use crate::fences::{ALWAYS, FenceKey};
use crate::spatial::Looked;

/// What all vehicles of a worker share.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) index: BlocksIndex,
    pub(crate) scratch: Scratch,
    pub(crate) out: Output,
    /// Whether the index lists blocks along legs too: since the first fence that asked for crossings.
    pub(crate) legs_are_listed: bool,
    pub(crate) steps: Steps,
}

/// Which vehicle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Who {
    /// Its number in the graph.
    pub(crate) key: VehicleKey,
    /// Its place on its worker.
    pub(crate) place: u32,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Vehicle {
    pub(crate) history: History,
    /// By (`entered`, fence).
    pub(crate) intervals: Vec<Interval>,
    /// By (`from`, fence).
    pub(crate) crossings: Vec<Crossing>,
    /// The fences that it is in after its last good fix.
    pub(crate) last_set: u32,
    /// Of the fixes that are not kept; none when all are.
    pub(crate) odometer: Option<Box<Odometer>>,
}

impl Vehicle {
    /// Touches the memory of the vehicle itself.
    #[inline]
    pub(crate) fn touch(&self) -> u32 {
        self.history.touch().wrapping_add(self.last_set)
    }

    /// Touches the memory of presences, and of the first block's name, which an edit looks at.
    #[inline]
    pub(crate) fn touch_rows(&self) -> u32 {
        const INTERVALS_A_LINE: usize = 64 / size_of::<Interval>();
        let rows = self.intervals.iter().step_by(INTERVALS_A_LINE);
        rows.fold(self.history.block(0).base_time() as u32, |sum, interval| sum ^ interval.fence)
    }

    /// Takes in a fix, in whatever order it comes. `looked`: its position was looked up.
    #[inline]
    pub(crate) fn apply(&mut self, who: Who, fix: &FixIn, looked: Looked, shared: &mut Shared) {
        let last = self.history.newest();
        if last.is_none_or(|last| last.time < fix.time) {
            self.append(who, &Fix::from(fix), last, looked, shared);
        } else {
            self.apply_late(who, &Fix::from(fix), looked, shared);
        }
    }

    /// The common case: the fix is the newest.
    #[inline]
    fn append(&mut self, who: Who, fix: &Fix, last: Option<Fix>, looked: Looked, shared: &mut Shared) {
        let why = Why { cause: Cause::First, seq: fix.seq };
        let good = last.and_then(|last| {
            if last.is_jump { self.history.last_good().map(|at| self.history.get(at)) } else { Some(last) }
        });
        let (place, sealed) = self.history.push(fix);
        self.note_newest(who, fix, good.as_ref(), sealed, shared);
        if fix.has_bad_value {
            shared.out.bad_value(who.key, fix, why);
        }
        let world = &mut shared.world;
        if !is_good(&self.history, place, fix, good.as_ref(), world.settings.max_speed_kmh) {
            self.history.set_jump(place, true);
            shared.out.jump(who.key, fix, true, why);
            return;
        }
        shared.steps.append(who.key, good.as_ref(), fix);
        let set_before = self.last_set;
        let edges = &mut shared.scratch.edges;
        edges.clear();
        let time_before = good.map_or(ALWAYS, |good| good.time);
        let set = world.step_to((time_before, set_before), fix.time, (fix.at, looked), edges);
        self.last_set = set;
        if set != EMPTY_SET {
            world.ends_after((fix.time, set), edges);
        }
        if world.has_crossings()
            && let Some(good) = &good
        {
            let fresh = &mut shared.scratch.crossings;
            fresh.clear();
            world.crossed((good, set_before), (fix, set), fresh);
            // Whoever was in a presence that is final did not cross its fence, wherever that was moved.
            fresh.retain(|crossing| !self.is_within(crossing.fence, crossing.from));
            for crossing in fresh.iter() {
                shared.out.came(who.key, crossing, why);
            }
            self.crossings.extend_from_slice(fresh);
        }
        if !edges.is_empty() {
            self.apply_at_tail(who.key, edges, why, &mut shared.out);
        }
    }

    /// Keeps the index right about a fix that was pushed.
    #[inline]
    fn note_newest(&self, who: Who, fix: &Fix, good: Option<&Fix>, sealed: bool, shared: &mut Shared) {
        if sealed {
            self.list_block(who, self.history.sealed_count() - 1, shared);
            shared.index.begin_tail(who.place, fix.at);
        } else {
            shared.index.widen_tail(who.place, fix.at);
        }
        if shared.legs_are_listed
            && let Some(good) = good
        {
            shared.index.add_leg(Entry { vehicle: who.place, base_s: TAIL }, good.at, fix.at);
        }
    }

    /// A fix that is not the newest, or as old as it.
    #[inline(never)]
    fn apply_late(&mut self, who: Who, fix: &Fix, looked: Looked, shared: &mut Shared) {
        let found = self.history.find(fix.time);
        let mut cause = Cause::LateFix;
        let mut replaced = None;
        if let Ok(place) = found {
            let old = self.history.get(place);
            if old.at == fix.at || old.seq > fix.seq {
                if fix.has_bad_value {
                    shared.out.bad_value(who.key, fix, Why { cause: Cause::Superseded, seq: fix.seq });
                }
                return;
            }
            cause = Cause::Superseded;
            replaced = (!old.is_jump).then_some(old);
            if old.is_jump {
                shared.out.jump(who.key, &old, false, Why { cause, seq: fix.seq });
            }
        }
        let why = Why { cause, seq: fix.seq };
        if fix.has_bad_value {
            shared.out.bad_value(who.key, fix, why);
        }
        let (place, touched) = self.history.insert(found, fix);
        self.note_inserted(who, (place, found.is_ok()), &touched, shared);
        self.walk_from_new(who, (place, looked), replaced, why, shared);
    }

    /// Keeps the index right about a fix that was inserted, perhaps in the place of another one.
    fn note_inserted(
        &self,
        who: Who,
        (place, is_replaced): (Place, bool),
        touched: &Touched,
        shared: &mut Shared,
    ) {
        let at = self.history.get(place).at;
        let block_of = |block| self.history.block(block);
        match touched {
            Touched::Tail => shared.index.widen_tail(who.place, at),
            Touched::Block(block) => {
                shared.index.add_position(who.place, block_of(*block), place.index, is_replaced);
            }
            Touched::Blocks { anew, were_listed, first_keeps_base } => {
                if place.block == self.history.sealed_count() {
                    shared.index.widen_tail(who.place, at);
                }
                for block in anew.clone() {
                    if *first_keeps_base && block == anew.start {
                        // It is listed where its fixes are, but for the one that is new.
                        if place.block == block {
                            shared.index.add_position(who.place, block_of(block), place.index, is_replaced);
                        }
                        continue;
                    }
                    if *were_listed {
                        shared.index.note_gone(block_of(block));
                    }
                    self.list_block(who, block, shared);
                }
            }
        }
    }

    /// Lists a sealed block in the index: where its fixes are, and where the legs to them may be.
    pub(crate) fn list_block(&self, who: Who, block: usize, shared: &mut Shared) {
        shared.index.add_block(who.place, self.history.block(block));
        if shared.legs_are_listed {
            self.list_legs(who, block, &mut shared.index);
        }
    }

    /// Lists a block, or widens the tail, along the legs to its fixes.
    pub(crate) fn list_legs(&self, who: Who, block: usize, index: &mut BlocksIndex) {
        let mut at = self.history.begin_of(block);
        while let Some(place) = at.filter(|place| place.block == block) {
            at = self.history.next(place);
            // A jump that is found to be good is judged anew, which lists the leg to it.
            if !self.history.get(place).is_jump
                && let Some(good) = self.history.good_before(place)
            {
                list_leg(&self.history, who, good, place, index);
            }
        }
    }

    /// Ends the open presences whose fence's coverage stopped before the instant.
    pub(crate) fn end_tail(&mut self, who: Who, why: Why, shared: &mut Shared) {
        let Some(last_good) = self.history.last_good() else { return };
        let edges = &mut shared.scratch.edges;
        edges.clear();
        shared.world.ends_after((self.history.get(last_good).time, self.last_set), edges);
        self.apply_at_tail(who.key, edges, why, &mut shared.out);
    }

    /// Applies edges that are no older than any that is known; one that is known already is no change.
    fn apply_at_tail(&mut self, key: VehicleKey, edges: &[Edge], why: Why, out: &mut Output) {
        for edge in edges {
            match edge.kind {
                EdgeKind::Enter => {
                    let opened = Interval::open(edge.time, edge.fence);
                    let at = self.intervals.partition_point(|i| *i < opened);
                    self.intervals.insert(at, opened);
                    out.came(key, &opened, why);
                }
                EdgeKind::Leave(reason) => {
                    let Some(at) = self.newest_of(edge.fence) else {
                        debug_assert!(false, "a fence is left that was not entered");
                        continue;
                    };
                    let old = self.intervals[at];
                    let new = old.with_end(Some((edge.time, reason)));
                    if old != new {
                        let why = ended_by_fence(reason, why);
                        self.intervals[at] = new;
                        out.went(key, &old, why);
                        out.came(key, &new, why);
                    }
                }
            }
        }
    }

    fn newest_of(&self, fence: FenceKey) -> Option<usize> {
        self.intervals.iter().rposition(|i| i.fence == fence)
    }

    /// Forgets what no correction can reach any more: whole blocks before the last good fix before the edge,
    /// and rows that ended by that fix.
    pub(crate) fn trim(&mut self, edge: i64, mut gone: impl FnMut(Block<'_>)) {
        let Some(first) = self.history.first() else { return };
        if self.history.sealed_count() == 0 || self.history.get(first).time >= edge {
            return;
        }
        let kept_from = match self.history.at_or_after(edge) {
            Some(place) => self.history.good_before(place),
            None => self.history.last_good(),
        };
        let Some(kept_from) = kept_from else { return };
        if kept_from.block == 0 {
            return;
        }
        let over_by = self.history.get(kept_from).time;
        let odometer = self.odometer.get_or_insert_default();
        odometer.before_drop(&self.history, kept_from, &self.intervals);
        self.history.drop_blocks_before(kept_from, |block| gone(Block::Sealed(&block)));
        self.intervals.retain(|i| i.exited() > over_by);
        self.crossings.retain(|c| c.to > over_by);
        self.intervals.shrink_to(self.intervals.len() * 2);
        self.crossings.shrink_to(self.crossings.len() * 2);
    }
}

/// Lists a block, or widens the tail, along a leg to one of its fixes.
pub(crate) fn list_leg(history: &History, who: Who, from: Place, to: Place, index: &mut BlocksIndex) {
    let (a, b) = (history.get(from), history.get(to));
    if b.time - a.time > MAX_CROSSING_GAP_MS {
        return;
    }
    let is_tail = to.block == history.sealed_count();
    let base_s = if is_tail { TAIL } else { base_seconds(history.block(to.block).base_time()) };
    index.add_leg(Entry { vehicle: who.place, base_s }, a.at, b.at);
}
