//! The state of one worker, and the operator that drives it.

use differential_dataflow::VecCollection;
use model::{Cause, Coord, GraphSettings, Why};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Exchange;

use super::blocks_index::{BlocksIndex, Entry};
use super::fix::{FixIn, VehicleKey};
use super::kept::Kept;
use super::near::{Search, chunks_of_vehicles};
use super::odometer;
use super::output::{Interval, Output};
use super::refence::Refence;
use super::sets::SetTable;
use super::tracks::{StepEnd, Steps, Tracks};
use super::vehicle::{Shared, Vehicle, Who};
use super::walk::Scratch;
use super::world::World;
use crate::control::Control;
use crate::fences::{ALWAYS, Edit, FenceKey};
use crate::rows::{Delta, Derived};
use crate::spatial::{Looked, leg_mm};
use crate::state::States;
use crate::ticks::rows_each_tick;
use model::state::{Loader, Saver, State, StateError};

/// So many fixes are looked ahead: enough to wait for memory once instead of each time, few enough to stay in
/// the nearest cache.
const LOOK_AHEAD: usize = 64;
/// Sets that nobody is in any more are forgotten when there are more than this, and twice as many as in use.
const MIN_SETS_TO_FORGET: usize = 4096;

/// The presence state of one worker: a pure state machine, for the operator and for benchmarks.
pub struct PresenceWork {
    vehicles: Vec<Vehicle>,
    shared: Shared,
    /// Vehicle numbers are spread over workers by remainder; this worker keeps every `peers`-th.
    peers: u32,
    remainder: u32,
    /// Of the fixes that are looked ahead.
    looked: Vec<Looked>,
    /// Of those fixes, the late ones: vehicle, block, position.
    late: Vec<(usize, usize, Coord)>,
    listed: Vec<Entry>,
    search: Search,
    /// The edge after the last tick, and how many fixes that brought: operators behind this one ask for what was judged
    /// in a tick until the next one begins.
    to_trim: (i64, usize),
    /// Which vehicle is trimmed next.
    trim_next: usize,
    /// Why fences may be others than before the last tick.
    fences_edited: Option<Why>,
    forget_sets_at: usize,
}

impl PresenceWork {
    /// The state of worker `index` of `peers`.
    #[must_use]
    pub fn new(settings: GraphSettings, index: usize, peers: usize) -> PresenceWork {
        PresenceWork {
            vehicles: Vec::new(),
            shared: Shared {
                world: World::new(settings),
                index: BlocksIndex::default(),
                scratch: Scratch::default(),
                out: Output::default(),
                legs_are_listed: false,
                steps: Steps::default(),
            },
            peers: peers as u32,
            remainder: index as u32,
            looked: Vec::new(),
            late: Vec::new(),
            listed: Vec::new(),
            search: Search::default(),
            to_trim: (ALWAYS, 0),
            trim_next: 0,
            fences_edited: None,
            forget_sets_at: MIN_SETS_TO_FORGET,
        }
    }

    /// Works on one tick, its records in their order, and gives every difference of rows to `emit`. Controls come
    /// in the order of their records, after the tick's own; so do the fixes of a vehicle, and between two controls
    /// those whose records are.
    pub fn tick(&mut self, controls: &[Control], fixes: &[FixIn], emit: impl FnMut(Delta)) {
        self.shared.steps.clear();
        self.fences_edited = None;
        let (edge_before, fixes_before) = self.to_trim;
        if edge_before != ALWAYS {
            self.trim_some(edge_before, fixes_before);
        }
        let mut ended = Vec::new();
        let (mut last_seq, mut edge_at_end) = (0, ALWAYS);
        let mut rest = fixes;
        for control in controls {
            let before = rest.iter().take_while(|fix| fix.seq < control.seq()).count();
            let (now, later) = rest.split_at(before);
            self.apply_all(now);
            rest = later;
            // What a fence's end has ended may be final by a correction: it is told as of the record before.
            let seq_before = control.seq().saturating_sub(1);
            self.end_tails(&std::mem::take(&mut ended), Why { cause: Cause::FenceEnd, seq: seq_before });
            match control {
                Control::Tick { instant, last_seq: seq, edge } => {
                    ended.extend(self.shared.world.advance(*instant));
                    (last_seq, edge_at_end) = (*seq, *edge);
                }
                Control::Fence { seq, edge, fence, edit } => {
                    let why = Why { cause: edit.cause(), seq: *seq };
                    self.fences_edited = Some(self.fences_edited.map_or(why, |known| known.stronger(why)));
                    self.edit(*seq, *edge, *fence, edit);
                }
                Control::Settings { seq, edge, settings } => self.change_settings(*seq, *edge, settings),
            }
        }
        self.apply_all(rest);
        self.end_tails(&ended, Why { cause: Cause::FenceEnd, seq: last_seq });
        self.to_trim = (edge_at_end, fixes.len());
        self.sweep_index();
        self.forget_sets();
        self.shared.out.deltas.drain(..).for_each(emit);
    }

    /// What changed of steps in the last tick.
    pub(crate) fn steps(&self) -> &Steps {
        &self.shared.steps
    }

    pub(crate) fn steps_mut(&mut self) -> &mut Steps {
        &mut self.shared.steps
    }

    /// See [`Tracks::travelled_mm`].
    pub(crate) fn travelled_mm(&self, vehicle: VehicleKey, from: i64, to: i64) -> i64 {
        debug_assert_eq!(vehicle % self.peers, self.remainder);
        let vehicle = self.vehicles.get((vehicle / self.peers) as usize);
        vehicle.map_or(0, |of| odometer::travelled_mm(of.odometer.as_deref(), &of.history, from, to))
    }

    /// See [`Tracks::middle_of`].
    pub(crate) fn middle_of(&self, fence: FenceKey, time: i64) -> Option<Coord> {
        self.shared.world.middle_of(fence, time)
    }

    /// See [`Tracks::fences_edited`].
    pub(crate) fn fences_edited(&self) -> Option<Why> {
        self.fences_edited
    }

    /// See [`Tracks::last_step_before`].
    pub(crate) fn last_step_before(
        &self,
        vehicle: VehicleKey,
        time: i64,
    ) -> Option<(Option<StepEnd>, StepEnd, i64)> {
        debug_assert_eq!(vehicle % self.peers, self.remainder);
        let history = &self.vehicles.get((vehicle / self.peers) as usize)?.history;
        let mut at = history.last_good();
        while let Some(place) = at.filter(|place| history.get(*place).time >= time) {
            at = history.good_before(place);
        }
        let to = history.get(at?);
        let from = history.good_before(at?).map(|place| history.get(place));
        let mm = from.map_or(0, |from| leg_mm(from.at, to.at));
        Some((from.as_ref().map(StepEnd::from), StepEnd::from(&to), mm))
    }

    fn of_vehicle(&self, vehicle: VehicleKey) -> Option<&Vehicle> {
        debug_assert_eq!(vehicle % self.peers, self.remainder);
        self.vehicles.get((vehicle / self.peers) as usize)
    }

    /// See [`Tracks::each_good_from`].
    pub(crate) fn each_good_from(
        &self,
        vehicle: VehicleKey,
        time: i64,
        mut take: impl FnMut(StepEnd) -> bool,
    ) {
        let Some(Vehicle { history, .. }) = self.of_vehicle(vehicle) else { return };
        let mut at = if history.is_empty() { None } else { history.at_or_after(time) };
        while let Some(place) = at {
            let fix = history.get(place);
            if !fix.is_jump && !take(StepEnd::from(&fix)) {
                return;
            }
            at = history.next(place);
        }
    }

    /// See [`Tracks::last_good_before`].
    pub(crate) fn last_good_before(&self, vehicle: VehicleKey, time: i64) -> Option<StepEnd> {
        let history = &self.of_vehicle(vehicle)?.history;
        let newest = history.newest()?;
        let place = if newest.time < time { None } else { history.at_or_after(time) };
        let good = match place {
            Some(place) => history.good_before(place),
            None => history.last_good(),
        };
        Some(StepEnd::from(&history.get(good?)))
    }

    /// See [`Tracks::forgotten_before`].
    pub(crate) fn forgotten_before(&self, vehicle: VehicleKey) -> Option<i64> {
        Some(self.of_vehicle(vehicle)?.odometer.as_ref()?.forgotten_before())
    }

    /// See [`Tracks::presences_until_after`].
    pub(crate) fn presences(&self, vehicle: VehicleKey) -> &[Interval] {
        self.of_vehicle(vehicle).map_or(&[], |of| &of.intervals)
    }

    #[inline]
    fn who(&self, place: usize) -> Who {
        Who { key: place as u32 * self.peers + self.remainder, place: place as u32 }
    }

    fn apply_all(&mut self, fixes: &[FixIn]) {
        for chunk in fixes.chunks(LOOK_AHEAD) {
            self.look_ahead(chunk);
            let looked = std::mem::take(&mut self.looked);
            chunk.iter().zip(&looked).for_each(|(fix, looked)| self.apply(fix, *looked));
            self.looked = looked;
        }
    }

    /// Looks up the places of fixes, and touches what they need of their vehicles. What a fix needs is far
    /// apart in memory, and found from one place to the next. Each step here is for all fixes, so that the
    /// waiting is too.
    fn look_ahead(&mut self, fixes: &[FixIn]) {
        let PresenceWork { vehicles, shared, peers, looked, late, .. } = self;
        let place_of = |fix: &FixIn| (fix.vehicle / *peers) as usize;
        let places = fixes.iter().map(place_of).max().map_or(0, |last| last + 1);
        while vehicles.len() < places {
            vehicles.push(Vehicle::default());
            shared.index.add_vehicle();
        }
        let headers = fixes.iter().fold(0, |sum: u32, fix| sum.wrapping_add(vehicles[place_of(fix)].touch()));
        shared.world.look_up(fixes.iter().map(|fix| fix.at), looked);
        late.clear();
        let tails = fixes.iter().fold(0, |sum: u32, fix| {
            let place = place_of(fix);
            let history = &vehicles[place].history;
            if history.newest().is_some_and(|newest| newest.time >= fix.time) {
                late.push((place, history.block_of(fix.time), fix.at));
            }
            sum.wrapping_add(history.touch_tail()).wrapping_add(shared.index.touch(place))
        });
        let blocks = late.iter().fold(0, |sum: u32, &(place, block, at)| {
            let Vehicle { history, intervals, .. } = &vehicles[place];
            let of_intervals = intervals.first().map_or(0, |interval| interval.fence);
            let of_block = history.block(block).touch().wrapping_add(shared.index.touch_cell(at));
            sum.wrapping_add(of_intervals).wrapping_add(of_block)
        });
        std::hint::black_box((headers, tails, blocks));
    }

    #[inline]
    fn apply(&mut self, fix: &FixIn, looked: Looked) {
        debug_assert_eq!(fix.vehicle % self.peers, self.remainder);
        let place = (fix.vehicle / self.peers) as usize;
        let who = Who { key: fix.vehicle, place: place as u32 };
        self.vehicles[place].apply(who, fix, looked, &mut self.shared);
    }

    fn edit(&mut self, seq: u64, edge: i64, fence: FenceKey, edit: &Edit) {
        let edited = self.shared.world.edit(fence, edit);
        self.shared.world.edge = self.shared.world.edge.max(edge);
        self.refence(&Refence { fence, edited: &edited, edge, why: Why { cause: edit.cause(), seq } });
    }

    /// Judges a fence anew for all vehicles that it may concern.
    fn refence(&mut self, refence: &Refence<'_>) {
        if refence.edited.crossed && !self.shared.legs_are_listed {
            self.list_all_legs();
        }
        let mut listed = std::mem::take(&mut self.listed);
        let mut search = std::mem::take(&mut self.search);
        let Shared { index, world, out, .. } = &mut self.shared;
        index.near(&refence.edited.rects, &mut listed);
        for some in chunks_of_vehicles(&listed, LOOK_AHEAD) {
            let near = search.find(some, &self.vehicles, refence.edited, &world.sets);
            for of_vehicle in near.chunk_by(|a, b| a.vehicle == b.vehicle) {
                let place = of_vehicle[0].vehicle;
                let who = Who { key: place * self.peers + self.remainder, place };
                self.vehicles[place as usize].refence(who, refence, of_vehicle, world, out);
            }
        }
        self.search = search;
        self.listed = listed;
    }

    /// From now on blocks are listed along their legs too: all are listed anew.
    fn list_all_legs(&mut self) {
        self.shared.legs_are_listed = true;
        self.shared.index.forget_blocks();
        for (place, vehicle) in self.vehicles.iter().enumerate() {
            let who = self.who(place);
            let sealed = vehicle.history.sealed_count();
            (0..sealed).for_each(|block| vehicle.list_block(who, block, &mut self.shared));
            vehicle.list_legs(who, sealed, &mut self.shared.index);
        }
    }

    fn change_settings(&mut self, seq: u64, edge: i64, settings: &GraphSettings) {
        let world = &mut self.shared.world;
        world.edge = world.edge.max(edge);
        let judges_anew = world.settings.max_speed_kmh != settings.max_speed_kmh
            || world.settings.exit_buffer_m != settings.exit_buffer_m;
        let rescheduled = world.change_settings(settings);
        let why = Why { cause: Cause::Settings, seq };
        for (fence, edited) in &rescheduled {
            self.refence(&Refence { fence: *fence, edited, edge, why });
        }
        if !judges_anew {
            return;
        }
        for place in 0..self.vehicles.len() {
            let who = self.who(place);
            self.vehicles[place].walk_from_edge(who, edge, why, &mut self.shared);
        }
    }

    fn end_tails(&mut self, ended: &[FenceKey], why: Why) {
        if ended.is_empty() {
            return;
        }
        for place in 0..self.vehicles.len() {
            let members = self.shared.world.sets.members(self.vehicles[place].last_set);
            if members.iter().any(|fence| ended.binary_search(fence).is_ok()) {
                let who = self.who(place);
                self.vehicles[place].end_tail(who, why, &mut self.shared);
            }
        }
    }

    /// Forgets what is final for good, of some vehicles in turn: about as much as comes in.
    fn trim_some(&mut self, edge: i64, fixes: usize) {
        let count = (fixes / 32 + 1).min(self.vehicles.len());
        for _ in 0..count {
            self.trim_next = (self.trim_next + 1) % self.vehicles.len();
            let index = &mut self.shared.index;
            self.vehicles[self.trim_next].trim(edge, |block| index.note_gone(block));
        }
    }

    /// Drops what is listed and gone, about as fast as it goes.
    fn sweep_index(&mut self) {
        let Shared { index, legs_are_listed, .. } = &mut self.shared;
        index.sweep(&Kept { vehicles: &self.vehicles, legs_are_listed: *legs_are_listed });
    }

    /// Gives sets new numbers when most of them are out of use.
    fn forget_sets(&mut self) {
        if self.shared.world.sets.len() < self.forget_sets_at {
            return;
        }
        let old = std::mem::take(&mut self.shared.world.sets);
        let mut used = SetTable::default();
        for vehicle in &mut self.vehicles {
            vehicle.last_set = used.number(old.members(vehicle.last_set));
        }
        self.forget_sets_at = (used.len() * 2).max(MIN_SETS_TO_FORGET);
        self.shared.world.sets = used;
    }
}

impl State for PresenceWork {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        let PresenceWork { vehicles, shared, to_trim, trim_next, fences_edited, forget_sets_at, .. } = self;
        shared.world.save(to)?;
        to.put(&(shared.legs_are_listed, to_trim, trim_next, fences_edited, forget_sets_at))?;
        to.put_all(vehicles)?;
        shared.index.save(to)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        self.shared.world.load(from)?;
        (
            self.shared.legs_are_listed,
            self.to_trim,
            self.trim_next,
            self.fences_edited,
            self.forget_sets_at,
        ) = from.take()?;
        self.vehicles = from.take_all()?;
        self.shared.index.load(from)
    }
}

/// The presence operator: fixes and controls in, rows of presences, crossings and rejects out, each with the
/// reason of its change. What it keeps can be asked for.
pub fn presence<'scope>(
    fixes: StreamVec<'scope, u64, FixIn>,
    controls: StreamVec<'scope, u64, Control>,
    settings: GraphSettings,
    states: &States,
) -> (VecCollection<'scope, u64, (Derived, Why), isize>, Tracks) {
    let (index, peers) = (fixes.scope().index(), fixes.scope().peers());
    let work = states.add("Presence", PresenceWork::new(settings, index, peers));
    let tracks = Tracks(work.clone());
    let by_vehicle = Exchange::new(move |fix: &FixIn| u64::from(fix.vehicle % peers as u32));
    let rows = rows_each_tick("Presence", fixes, by_vehicle, controls, move |controls, fixes, emit| {
        work.borrow_mut().tick(controls, &fixes, emit);
    });
    (rows, tracks)
}
