//! The state of one worker, and the operator that drives it.

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::VecCollection;
use model::{AlertKind, Cause, GraphSettings, Why};
use rustc_hash::{FxHashMap, FxHashSet};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

use super::changes::{Changes, PresencesChanged, TripsChanged};
use super::provider::{Providers, SAME_WITHIN_MS};
use super::runs::What;
use super::terms::{Judge, KINDS, OFFLINE_ON_TRIP_MS};
use super::vehicle::{Anew, Newest, OfVehicle, Turns};
use crate::alerts::control::{AlertControl, kind_key};
use crate::alerts::rows::{AlertFacts, Subject};
use crate::alerts::rules::{Change, RuleBook, Whom};
use crate::alerts::trips::TripBook;
use crate::fences::{ALWAYS, FenceKey, NEVER};
use crate::presence::{Interval, StepEnd, Tracks, VehicleKey};
use crate::rows::{Delta, Derived};
use crate::state::{States, state};
use crate::ticks::rows_each_tick;
use crate::trips::{TripControl, TripOut};

/// What an operator of alerts is told beside rows.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Alert(AlertControl),
    Trip(TripControl),
}

/// A row of another operator that came or went.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    Presence(Delta),
    /// There are fewer of these, and they are larger.
    Trip(Box<Delta<TripOut>>),
}

/// The state of one worker: a pure state machine.
pub struct MotionWork {
    book: RuleBook,
    trips: TripBook,
    /// Fences that have, or had, a say.
    speaking: FxHashSet<FenceKey>,
    /// No silence that is shorter is an alert.
    shortest_silence_ms: i64,
    /// Which vehicles have, or had, a trip in a corridor.
    corridors: FxHashMap<FenceKey, BTreeSet<VehicleKey>>,
    vehicles: Vec<OfVehicle>,
    providers: Providers,
    /// Vehicles by the instant at which something of them may be long enough.
    timers: BTreeMap<i64, Vec<VehicleKey>>,
    instant: i64,
    /// How often rules, or fences that have a say, have changed.
    generation: u32,
    tracks: Tracks,
    /// Vehicle numbers are spread over workers by remainder.
    peers: u32,
    remainder: u32,
    there: Vec<Interval>,
}

state!(MotionWork {
    book, trips, speaking, shortest_silence_ms, corridors, providers, timers, instant, generation,
} each { vehicles } without { tracks, peers, remainder, there });

impl MotionWork {
    /// The state of worker `index` of `peers`, which asks `tracks` for fixes.
    #[must_use]
    pub fn new(settings: &GraphSettings, tracks: Tracks, index: usize, peers: usize) -> MotionWork {
        MotionWork {
            book: RuleBook::new(settings),
            trips: TripBook::default(),
            speaking: FxHashSet::default(),
            shortest_silence_ms: OFFLINE_ON_TRIP_MS,
            corridors: FxHashMap::default(),
            vehicles: Vec::new(),
            providers: Providers::default(),
            timers: BTreeMap::new(),
            instant: 0,
            generation: 1,
            tracks,
            peers: peers as u32,
            remainder: index as u32,
            there: Vec::new(),
        }
    }

    /// Works on one tick: what was told, rows of other operators that came and went, and every difference of alerts to
    /// `emit`.
    pub(crate) fn tick(&mut self, told: &[Told], facts: &[Fact], mut emit: impl FnMut(Delta<AlertFacts>)) {
        let mut changes = Changes::default();
        let mut last_seq = 0;
        for told in told {
            match told {
                Told::Trip(control) => self.trips.learn(control),
                Told::Alert(AlertControl::Tick { instant, last_seq: seq, .. }) => {
                    self.instant = self.instant.max(*instant);
                    last_seq = *seq;
                }
                Told::Alert(control) => self.obey(control, &mut changes),
            }
        }
        self.take_in(facts, &mut changes, &mut emit);
        let late = self.take_steps(&mut changes, &mut emit);
        for (vehicle, stretches) in changes.take() {
            for anew in stretches {
                self.judge(vehicle, &anew, &mut emit);
            }
            self.arm(vehicle);
        }
        let why = Why::first(last_seq);
        late.into_iter().for_each(|vehicle| self.mature(vehicle, why, &mut emit));
        while let Some(first) = self.timers.first_entry().filter(|first| *first.key() <= self.instant) {
            let (at, vehicles) = first.remove_entry();
            for vehicle in vehicles {
                let of_vehicle = &mut self.vehicles[(vehicle / self.peers) as usize];
                // Another one that was set for earlier has looked already.
                if of_vehicle.timer == at {
                    of_vehicle.timer = NEVER;
                    self.mature(vehicle, why, &mut emit);
                }
            }
        }
        let MotionWork { vehicles, peers, providers, book, .. } = self;
        let is_own = |vehicle: VehicleKey, kind, time: i64| {
            let what = if kind == AlertKind::HarshBraking { What::Braking } else { What::Acceleration };
            let lists = vehicles.get((vehicle / *peers) as usize).into_iter().flat_map(|of| &of.lists);
            let mut runs = lists.filter(|list| list.what == what).flat_map(|list| &list.runs);
            runs.any(|run| run.started - SAME_WITHIN_MS <= time && time <= run.ended + SAME_WITHIN_MS)
        };
        providers.judge(book, is_own, &mut emit);
    }

    fn is_here(&self, vehicle: VehicleKey) -> bool {
        vehicle % self.peers == self.remainder
    }

    fn of_vehicle(&mut self, vehicle: VehicleKey) -> &mut OfVehicle {
        let place = (vehicle / self.peers) as usize;
        if self.vehicles.len() <= place {
            self.vehicles.resize_with(place + 1, OfVehicle::default);
        }
        &mut self.vehicles[place]
    }

    /// Rules, companies, fences and settings, and what the provider tells.
    fn obey(&mut self, control: &AlertControl, changes: &mut Changes) {
        let why = match control {
            AlertControl::Fence { seq, edit, .. } => Why { cause: edit.cause(), seq: *seq },
            AlertControl::Rule { seq, .. } | AlertControl::Company { seq, .. } => Why::first(*seq),
            AlertControl::Settings { seq, .. } => Why { cause: Cause::Settings, seq: *seq },
            AlertControl::Provider { seq, instant, alert } => {
                if self.is_here(alert.vehicle) {
                    self.providers.take(alert, *instant, Why::first(*seq));
                }
                return;
            }
            AlertControl::Tick { .. } => return,
        };
        match self.book.apply(control) {
            Some(Change::Rule { kind, whom, from }) => {
                self.providers.note_rule(kind, why);
                let Some(own) = KINDS.into_iter().find(|own| kind_key(*own) == kind) else { return };
                if own == AlertKind::DeviceOffline {
                    self.shortest_silence_ms = 0;
                }
                self.generation = self.generation.wrapping_add(1);
                let note = |vehicle| changes.note(vehicle, from, NEVER, why);
                match whom {
                    Whom::In(fence) => self.note_fence(fence, from, why, changes),
                    Whom::Vehicles(of) => of.into_iter().filter(|of| self.is_here(*of)).for_each(note),
                    Whom::All => self.all().for_each(note),
                }
            }
            // What it rests on is taken anew for this vehicle, and is as it was for all others.
            Some(Change::Company { vehicle, from }) if self.is_here(vehicle) => {
                self.providers.note(vehicle, why);
                changes.note(vehicle, from, NEVER, why);
            }
            Some(Change::Company { .. }) => {}
            Some(Change::Fence { fence, from }) => {
                if self.book.fences.has_limits(fence) {
                    self.generation = self.generation.wrapping_add(1);
                    self.note_fence(fence, from, why, changes);
                }
                self.note_corridor(fence, from, why, changes);
            }
            Some(Change::Schedules { from }) => {
                self.corridors.keys().for_each(|&fence| self.note_corridor(fence, from, why, changes));
            }
            None => {}
        }
    }

    fn all(&self) -> impl Iterator<Item = VehicleKey> + use<> {
        let (peers, remainder) = (self.peers, self.remainder);
        (0..self.vehicles.len() as u32).map(move |place| place * peers + remainder)
    }

    /// What a fence says from a time on is another thing.
    fn note_fence(&mut self, fence: FenceKey, from: i64, why: Why, changes: &mut Changes) {
        self.speaking.insert(fence);
        for vehicle in self.all() {
            self.tracks.presences_until_after(vehicle, from, |interval| {
                if interval.fence == fence {
                    changes.note(vehicle, interval.entered.max(from), interval.exited(), why);
                }
            });
        }
    }

    /// When a fence is in force from a time on is another time.
    fn note_corridor(&self, fence: FenceKey, from: i64, why: Why, changes: &mut Changes) {
        for &vehicle in self.corridors.get(&fence).into_iter().flatten() {
            let transits = self.trips.transits(vehicle).iter().filter(|transit| transit.corridor == fence);
            for transit in transits.filter(|transit| transit.until > from) {
                changes.note(vehicle, transit.departure.max(from), transit.until, why);
            }
        }
    }

    /// Presences and trips that came and went.
    fn take_in(&mut self, facts: &[Fact], changes: &mut Changes, emit: &mut impl FnMut(Delta<AlertFacts>)) {
        let mut presences = PresencesChanged::default();
        let mut trips = TripsChanged::default();
        for fact in facts {
            match fact {
                Fact::Trip(delta) => {
                    self.trips.change(&delta.row.detail, delta.diff, delta.why);
                    trips.note(delta);
                }
                Fact::Presence(delta) => {
                    let Derived::Presence { vehicle, fence, .. } = delta.row else { continue };
                    let is_corridor = || self.corridors.get(&fence).is_some_and(|of| of.contains(&vehicle));
                    if self.speaking.contains(&fence) || is_corridor() {
                        presences.note(delta);
                    }
                }
            }
        }
        presences.into_changes(changes);
        self.trips.take_changed();
        for (vehicle, (last_turn, why)) in trips.into_changes(changes) {
            self.of_vehicle(vehicle);
            let of_vehicle = &mut self.vehicles[(vehicle / self.peers) as usize];
            of_vehicle.last_turn = of_vehicle.last_turn.max(last_turn);
            let transits = self.trips.transits(vehicle);
            of_vehicle.put_on_their_way(vehicle, transits, self.instant, &mut |row, diff| {
                emit(Delta { row, diff, why });
            });
            for transit in transits {
                self.corridors.entry(transit.corridor).or_default().insert(vehicle);
            }
        }
    }

    /// Fixes that came and went. Gives the vehicles whose newest ones are so old that silence may be told.
    fn take_steps(
        &mut self,
        changes: &mut Changes,
        emit: &mut impl FnMut(Delta<AlertFacts>),
    ) -> BTreeSet<VehicleKey> {
        let mut late = BTreeSet::new();
        let tracks = self.tracks.clone();
        // All vehicles are waited for at once, and not one after the other.
        let mut touched = 0_i64;
        tracks.for_each_step(|step| {
            let of_vehicle = self.vehicles.get((step.vehicle / self.peers) as usize);
            touched = touched.wrapping_add(of_vehicle.map_or(0, OfVehicle::through));
        });
        std::hint::black_box(touched);
        tracks.for_each_step(|step| {
            let (generation, instant) = (self.generation, self.instant);
            let to = &step.to;
            let of_vehicle = self.of_vehicle(step.vehicle);
            match (step.why.cause, &step.from) {
                (Cause::First, Some(from)) => {
                    let mut newest = of_vehicle.note_newest(from, to, generation, instant);
                    // Where fences have a say, it matters where the vehicle is.
                    if let Newest::GoesOn(turns) = newest
                        && self.speaking.is_empty()
                    {
                        newest = self.go_on(step.vehicle, (from, to), turns, step.why, emit);
                    }
                    match newest {
                        Newest::Same => {}
                        Newest::SameButLate => {
                            late.insert(step.vehicle);
                        }
                        Newest::GoesOn(_) | Newest::Differs => {
                            changes.note(step.vehicle, to.time, NEVER, step.why);
                        }
                    }
                }
                (_, Some(from)) => changes.note(step.vehicle, from.time + 1, to.time, step.why),
                (_, None) => changes.note(step.vehicle, ALWAYS, to.time, step.why),
            }
        });
        late
    }

    /// Judges the newest fix of a vehicle that no fence has a say in, and all of whose runs are known up to it.
    fn go_on(
        &mut self,
        vehicle: VehicleKey,
        fixes: (&StepEnd, &StepEnd),
        turns: Turns,
        why: Why,
        emit: &mut impl FnMut(Delta<AlertFacts>),
    ) -> Newest {
        let MotionWork { book, trips, vehicles, providers, .. } = self;
        let shortest_silence_ms = self.shortest_silence_ms;
        let judge = Judge { vehicle, book, trips, there: &[], shortest_silence_ms };
        let of_vehicle = &mut vehicles[(vehicle / self.peers) as usize];
        let newest = of_vehicle.go_on(fixes, turns, &judge, self.instant, &mut |row, diff| {
            tell(providers, row, diff, why, emit);
        });
        self.arm(vehicle);
        newest
    }

    /// Judges a stretch of a vehicle's fixes anew.
    fn judge(&mut self, vehicle: VehicleKey, anew: &Anew, emit: &mut impl FnMut(Delta<AlertFacts>)) {
        self.of_vehicle(vehicle);
        self.look_around(vehicle, anew.from);
        let MotionWork { book, trips, vehicles, providers, tracks, there, .. } = self;
        let shortest_silence_ms = self.shortest_silence_ms;
        let judge = Judge { vehicle, book, trips, there, shortest_silence_ms };
        let now = (self.generation, self.instant);
        let place = (vehicle / self.peers) as usize;
        vehicles[place].judge_anew(anew, &judge, tracks, now, &mut |row, diff| {
            tell(providers, row, diff, anew.why, emit);
        });
    }

    /// Gathers the presences of a vehicle, from its last good fix before a time on, that make a difference.
    fn look_around(&mut self, vehicle: VehicleKey, from: i64) {
        let MotionWork { there, speaking, tracks, trips, .. } = self;
        there.clear();
        let transits = trips.transits(vehicle);
        if speaking.is_empty() && transits.is_empty() {
            return;
        }
        let is_corridor = |fence| transits.iter().any(|transit| transit.corridor == fence);
        let before = tracks.last_good_before(vehicle, from).map_or(ALWAYS, |before| before.time);
        tracks.presences_until_after(vehicle, before, |interval| {
            if speaking.contains(&interval.fence) || is_corridor(interval.fence) {
                there.push(*interval);
            }
        });
    }

    /// Tells what is long enough by now.
    fn mature(&mut self, vehicle: VehicleKey, why: Why, emit: &mut impl FnMut(Delta<AlertFacts>)) {
        let place = (vehicle / self.peers) as usize;
        self.look_around(vehicle, self.vehicles[place].through().saturating_add(1));
        let MotionWork { book, trips, vehicles, there, .. } = self;
        let judge = Judge { vehicle, book, trips, there, shortest_silence_ms: self.shortest_silence_ms };
        vehicles[place].mature(&judge, self.instant, &mut |row, diff| emit(Delta { row, diff, why }));
        self.arm(vehicle);
    }

    /// Sets a timer for the next instant that makes a difference, where none is set for an earlier one.
    fn arm(&mut self, vehicle: VehicleKey) {
        let of_vehicle = &mut self.vehicles[(vehicle / self.peers) as usize];
        let due_at = of_vehicle.due_at();
        if due_at < of_vehicle.timer {
            of_vehicle.timer = due_at;
            self.timers.entry(due_at).or_default().push(vehicle);
        }
    }
}

/// Tells a row; one of harsh driving may take the place of one of the provider's.
fn tell(
    providers: &mut Providers,
    row: AlertFacts,
    diff: i8,
    why: Why,
    emit: &mut impl FnMut(Delta<AlertFacts>),
) {
    let harsh = [AlertKind::HarshBraking, AlertKind::HarshAcceleration];
    if harsh.map(Subject::Vehicle).contains(&row.subject) {
        providers.note(row.vehicle, why);
    }
    emit(Delta { row, diff, why });
}

/// The operator of alerts that follow from fixes: presence and trip rows, controls and steps in, alerts out, each with
/// the reason of its change.
pub fn motion_alerts<'scope>(
    presences: VecCollection<'scope, u64, (Derived, Why), isize>,
    trips: VecCollection<'scope, u64, (TripOut, Why), isize>,
    (alert_controls, trip_controls): (
        StreamVec<'scope, u64, AlertControl>,
        StreamVec<'scope, u64, TripControl>,
    ),
    tracks: Tracks,
    settings: &GraphSettings,
    states: &States,
) -> VecCollection<'scope, u64, (AlertFacts, Why), isize> {
    tracks.tell_all_steps();
    let of_presence = |((row, why), _, diff): ((Derived, Why), u64, isize)| {
        Fact::Presence(Delta { row, diff: diff as i8, why })
    };
    let of_trip = |((row, why), _, diff): ((TripOut, Why), u64, isize)| {
        Fact::Trip(Delta { row, diff: diff as i8, why }.into())
    };
    let facts = presences.inner.map(of_presence).concat(trips.inner.map(of_trip));
    let told = alert_controls.map(Told::Alert).concat(trip_controls.map(Told::Trip));
    let (index, peers) = (told.scope().index(), told.scope().peers());
    let work = states.add("MotionAlerts", MotionWork::new(settings, tracks, index, peers));
    rows_each_tick("MotionAlerts", facts, Pipeline, told, move |told, facts, emit| {
        work.borrow_mut().tick(told, &facts, emit);
    })
}
