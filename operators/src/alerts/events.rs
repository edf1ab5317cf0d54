//! Alerts that follow from stays and trips: entries, exits and delays.
//!
//! ```text
//!   stays ± -------+
//!   trip rows ± ---+--> [ stays per fence and vehicle | trips | rules, fences | timers by instant ] --> alerts ±
//!   controls ------+
//!   rules, fences, settings, ids of trips
//! ```
//!
//! Frontiers: as for visits; a tick is worked on at once when all inputs have passed it. A vehicle's stays and trips
//! are on one worker; what is said of rules, fences and trips goes to all.
//!
//! Invariants:
//! 1. After a tick the entries, exits and delays are a function of all stays and trips, of the rules, of the fences as
//!    far as corrections reach, and of the instant.
//! 2. Nothing is done for a fix: only for stays, trips, rules and fences that changed, and at timers.
//! 3. What a trip gave up is told with its old vehicle's reasons, what it gained with its new one's: these may be on
//!    different workers.

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use model::{AlertKind, Cause, GraphSettings, Why};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

use super::control::{AlertControl, KindKey, kind_key};
use super::delays::Delays;
use super::entries::{Entries, Judges};
use super::rows::AlertFacts;
use super::rules::{Change, RuleBook};
use super::trips::TripBook;
use crate::presence::VehicleKey;
use crate::rows::{Delta, net};
use crate::state::{States, state};
use crate::ticks::each_tick;
use crate::trips::{TripControl, TripDetail, TripOut};
use crate::visits::StayFacts;

/// What the operator is given.
#[derive(Clone)]
enum Fact {
    Stay(Delta<StayFacts>),
    Trip(Box<Delta<TripDetail>>),
}

/// What it is told.
#[derive(Clone)]
enum Message {
    Alert(AlertControl),
    Trip(TripControl),
}

/// The state of one worker: a pure state machine.
struct EventsWork {
    rules: RuleBook,
    trips: TripBook,
    entries: Entries,
    delays: Delays,
    /// In this tick, vehicles that another company's rules are for: from when on, and why.
    moved: BTreeMap<VehicleKey, (i64, Why)>,
    max_absence_ms: i64,
    instant: i64,
}

state!(EventsWork { rules, trips, entries, delays, moved, max_absence_ms, instant } each {} without {});

impl EventsWork {
    fn new(settings: &GraphSettings) -> EventsWork {
        EventsWork {
            rules: RuleBook::new(settings),
            trips: TripBook::default(),
            entries: Entries::default(),
            delays: Delays::default(),
            moved: BTreeMap::new(),
            max_absence_ms: settings.max_absence_ms,
            instant: 0,
        }
    }

    /// Works on one tick: what came and went of stays and trips, and every difference of alerts to `emit`.
    fn tick(&mut self, messages: &[Message], facts: Vec<Fact>, mut emit: impl FnMut(Delta<AlertFacts>)) {
        let mut last_seq = 0;
        for message in messages {
            match message {
                Message::Trip(control) => self.trips.learn(control),
                Message::Alert(AlertControl::Tick { instant, last_seq: seq, .. }) => {
                    self.instant = self.instant.max(*instant);
                    last_seq = *seq;
                }
                Message::Alert(control) => self.apply(control),
            }
        }
        let mut stays = Vec::new();
        for fact in facts {
            match fact {
                Fact::Stay(delta) => stays.push(delta),
                Fact::Trip(delta) => {
                    let Delta { row: detail, diff, why } = *delta;
                    self.trips.change(&detail, diff, why);
                    self.delays.trip_changed(&detail, diff, why);
                }
            }
        }
        net(&mut stays);
        let EventsWork { rules, trips, entries, delays, moved, instant, .. } = self;
        if !moved.is_empty() {
            // Many at once: the trips are gone through once.
            delays.rules_changed(|vehicle| moved.get(&vehicle).copied());
        }
        for (vehicle, (from, why)) in std::mem::take(moved) {
            entries.vehicle_changed(vehicle, from, why);
        }
        for (vehicle, changed) in trips.take_changed() {
            entries.vehicle_changed(vehicle, changed.from, changed.why);
        }
        entries.fire_timers(*instant, last_seq);
        entries.judge(&stays, &Judges { rules, trips, instant: *instant }, &mut emit);
        delays.judge(rules, *instant, last_seq, &mut emit);
    }

    /// Takes a rule, a company, a fence or the settings in, and notes what is to be judged anew.
    fn apply(&mut self, control: &AlertControl) {
        let changed = self.rules.apply(control);
        match (control, changed) {
            (AlertControl::Rule { seq, .. }, Some(Change::Rule { kind, whom, from })) => {
                let why = Why::first(*seq);
                if is_one_of(kind, &[AlertKind::GeofenceEntry, AlertKind::GeofenceExit]) {
                    self.entries.rule_changed(&whom, from, why);
                } else if is_one_of(kind, &[AlertKind::TripDelay]) {
                    self.delays.rule_changed(&whom, from, why);
                }
            }
            (AlertControl::Company { seq, .. }, Some(Change::Company { vehicle, from })) => {
                let why = Why::first(*seq);
                let moved = self.moved.entry(vehicle).or_insert((from, why));
                *moved = (moved.0.min(from), moved.1.stronger(why));
            }
            (AlertControl::Fence { seq, edit, .. }, Some(Change::Fence { fence, from })) => {
                self.entries.fence_changed(fence, from, Why { cause: edit.cause(), seq: *seq });
            }
            (AlertControl::Settings { seq, edge, settings }, _)
                if settings.max_absence_ms != self.max_absence_ms =>
            {
                self.max_absence_ms = settings.max_absence_ms;
                let why = Why { cause: Cause::Settings, seq: *seq };
                self.entries.absence_changed(*edge, why);
            }
            _ => {}
        }
    }
}

fn is_one_of(kind: KindKey, kinds: &[AlertKind]) -> bool {
    kinds.iter().any(|own| kind_key(*own) == kind)
}

/// The operator of entries, exits and delays: stays, trips and controls in, alerts out, each with the reason of its
/// change.
pub fn event_alerts<'scope>(
    stays: VecCollection<'scope, u64, (StayFacts, Why), isize>,
    trips: VecCollection<'scope, u64, (TripOut, Why), isize>,
    trip_controls: StreamVec<'scope, u64, TripControl>,
    controls: StreamVec<'scope, u64, AlertControl>,
    settings: &GraphSettings,
    states: &States,
) -> VecCollection<'scope, u64, (AlertFacts, Why), isize> {
    let of_stay = |((row, why), _, diff): ((StayFacts, Why), u64, isize)| {
        Fact::Stay(Delta { row, diff: diff as i8, why })
    };
    let of_trip = |((row, why), _, diff): ((TripOut, Why), u64, isize)| {
        Fact::Trip(Box::new(Delta { row: row.detail, diff: diff as i8, why }))
    };
    let facts = stays.inner.map(of_stay).concat(trips.inner.map(of_trip));
    let messages = trip_controls.map(Message::Trip).concat(controls.map(Message::Alert));
    let work = states.add("EventAlerts", EventsWork::new(settings));
    each_tick("EventAlerts", facts, Pipeline, messages, move |tick, messages, facts, emit| {
        let mut work = work.borrow_mut();
        work.tick(messages, facts, |Delta { row, diff, why }| emit(((row, why), tick, isize::from(diff))));
    })
    .as_collection()
}
