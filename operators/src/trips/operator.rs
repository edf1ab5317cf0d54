//! The state of one worker, and the operator that drives it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use differential_dataflow::{AsCollection, VecCollection};
use model::{Cause, GraphSettings, LocationKind, Why};
use rustc_hash::{FxHashMap, FxHashSet};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::OkErr;

use super::control::{Place, Plan, TripControl, TripKey};
use super::detail::TripDetail;
use super::plans::{Plans, Trip};
use super::rows::{AutoTrip, Outcome, Told, TripFacts, TripOut};
use super::sites::Sites;
use super::vehicle::{OfVehicle, Rules};
use crate::fences::{ALWAYS, NEVER};
use crate::presence::{Tracks, VehicleKey};
use crate::rows::{Delta, Derived};
use crate::state::{States, state};
use crate::ticks::{deltas, rows_each_tick};

/// The trips state of one worker: a pure state machine, for the operator and for benchmarks.
pub struct TripsWork {
    rules: Rules,
    plans: Plans,
    sites: Sites,
    vehicles: FxHashMap<VehicleKey, OfVehicle>,
    /// The rows that are out, of this worker's vehicles.
    out: FxHashMap<TripKey, Out>,
    /// Vehicles by the instant at which one of their trips may change by itself.
    timers: BTreeMap<i64, Vec<VehicleKey>>,
    instant: i64,
    tracks: Tracks,
    /// Vehicle numbers are spread over workers by remainder.
    peers: u32,
    remainder: u32,
}

state!(TripsWork { rules, plans, sites, vehicles, out, timers, instant } each {} without { tracks, peers, remainder });

/// A row that is out.
#[derive(serde::Serialize, serde::Deserialize)]
struct Out {
    trip: TripOut,
    /// How far it is from its departure to its arrival, where both are known.
    road_mm: i64,
}

/// What of a vehicle is to be judged anew.
#[derive(Default)]
struct Changed {
    of: BTreeMap<VehicleKey, Reasons>,
    /// Why of trips of which something was said.
    said: FxHashMap<TripKey, Why>,
    /// Trips whose distance may have changed.
    roads: FxHashSet<TripKey>,
}

/// Why a vehicle's trips are judged anew.
#[derive(Clone, Copy)]
struct Reasons {
    /// Visits from then on may serve other trips; what no visit served is judged in any case.
    from: i64,
    /// What was seen, or time that passed, or settings; if any of it.
    evidence: Option<Why>,
    /// The strongest of that, and of what was said of trips and places.
    why: Why,
}

impl Changed {
    fn of(&mut self, vehicle: VehicleKey, from: i64, why: Why) -> &mut Reasons {
        let reasons = self.of.entry(vehicle).or_insert(Reasons { from, evidence: None, why });
        reasons.from = reasons.from.min(from);
        reasons.why = reasons.why.stronger(why);
        reasons
    }

    /// Something was seen of a vehicle, time passed, or settings changed.
    fn note(&mut self, vehicle: VehicleKey, from: i64, why: Why) {
        let reasons = self.of(vehicle, from, why);
        reasons.evidence = Some(reasons.evidence.map_or(why, |known| known.stronger(why)));
    }

    /// Something was said of a trip of a vehicle.
    fn note_said(&mut self, trip: TripKey, vehicle: VehicleKey, from: i64, why: Why) {
        self.of(vehicle, from, why);
        let known = self.said.entry(trip).or_insert(why);
        *known = known.stronger(why);
    }

    /// Why a row of a trip comes or goes: what was said of it, and what was seen unless it is its first row; of the
    /// other trips of its vehicle, all of that.
    fn why(&self, trip: TripKey, reasons: &Reasons, is_first: bool) -> Why {
        match (self.said.get(&trip), reasons.evidence) {
            (Some(&said), Some(evidence)) if !is_first => said.stronger(evidence),
            (Some(&said), _) => said,
            (None, _) => reasons.why,
        }
    }
}

impl From<&GraphSettings> for Rules {
    fn from(settings: &GraphSettings) -> Rules {
        Rules {
            early_window_ms: settings.early_window_ms,
            no_show_ms: settings.no_show_ms,
            no_arrival_ms: settings.no_arrival_ms,
            makes_trips: settings.auto_trips,
        }
    }
}

impl TripsWork {
    /// The state of worker `index` of `peers`, which asks `tracks` for distances.
    #[must_use]
    pub fn new(settings: &GraphSettings, tracks: Tracks, index: usize, peers: usize) -> TripsWork {
        TripsWork {
            rules: Rules::from(settings),
            plans: Plans::default(),
            sites: Sites::default(),
            vehicles: FxHashMap::default(),
            out: FxHashMap::default(),
            timers: BTreeMap::new(),
            instant: 0,
            tracks,
            peers: peers as u32,
            remainder: index as u32,
        }
    }

    /// Works on one tick: visits that came and went, and every difference of trips to `emit`.
    pub fn tick(
        &mut self,
        controls: &[TripControl],
        visits: impl Iterator<Item = Delta>,
        mut emit: impl FnMut(Delta<Told>),
    ) {
        let mut changed = Changed::default();
        let mut last_seq = 0;
        // First: a plan that is changed opens trips again that were served, whose distances are known.
        self.correct_roads(&mut changed);
        for delta in visits {
            let Derived::Visit { vehicle, fence, visit } = delta.row else { continue };
            let of_vehicle = self.vehicles.entry(vehicle).or_default();
            let site = if self.rules.makes_trips { self.sites.at(fence) } else { None };
            of_vehicle.note_visit(fence, &visit, delta.diff, site);
            if of_vehicle.has_trips() || site.is_some() {
                changed.note(vehicle, visit.arrived, delta.why);
            }
        }
        for control in controls {
            match control {
                TripControl::Tick { instant, last_seq: seq, .. } => {
                    self.instant = self.instant.max(*instant);
                    last_seq = *seq;
                }
                TripControl::Plan { seq, trip, plan } => {
                    self.plan(*trip, plan, Why::first(*seq), &mut changed, &mut emit);
                }
                TripControl::Status { seq, instant, trip, status, by } => {
                    self.plans.said_of(*trip).set(*status, *by, *instant);
                    self.note_trip(*trip, Why::first(*seq), &mut changed);
                }
                TripControl::Location { seq, location, fence, kind } => {
                    for trip in self.plans.locate(location.key, fence.clone()) {
                        self.note_trip(trip, Why::first(*seq), &mut changed);
                    }
                    let fence = fence.as_ref().and_then(Option::as_ref);
                    self.locate_site(location, fence, *kind, Why::first(*seq), &mut changed);
                }
                TripControl::Vehicle { .. } => {}
                TripControl::Settings { seq, settings, .. } => {
                    let rules = Rules::from(&**settings);
                    if rules != self.rules {
                        let makes_trips = rules.makes_trips;
                        if makes_trips != self.rules.makes_trips {
                            let turn = |of: &mut OfVehicle| of.turn_all(&self.sites, makes_trips);
                            self.vehicles.values_mut().for_each(turn);
                        }
                        // No plan is served otherwise for what is made besides.
                        let serves_alike = Rules { makes_trips, ..self.rules } == rules;
                        self.rules = rules;
                        let from = if serves_alike { NEVER } else { ALWAYS };
                        let why = Why { cause: Cause::Settings, seq: *seq };
                        self.vehicles.keys().for_each(|&vehicle| changed.note(vehicle, from, why));
                    }
                }
            }
        }
        while let Some(first) = self.timers.first_entry().filter(|first| *first.key() <= self.instant) {
            for vehicle in first.remove() {
                changed.note(vehicle, NEVER, Why::first(last_seq));
            }
        }
        for (&vehicle, reasons) in &changed.of {
            self.judge(vehicle, reasons, &changed, &mut emit);
        }
    }

    fn is_here(&self, vehicle: VehicleKey) -> bool {
        vehicle % self.peers == self.remainder
    }

    fn plan(
        &mut self,
        key: TripKey,
        plan: &Arc<Plan>,
        why: Why,
        changed: &mut Changed,
        emit: &mut impl FnMut(Delta<Told>),
    ) {
        let old_vehicle = self.plans.get(key).map(|trip| trip.plan.vehicle).filter(|&old| self.is_here(old));
        if let Some(old) = old_vehicle
            && let Some(of_vehicle) = self.vehicles.get_mut(&old)
        {
            let served_at = of_vehicle.remove(key, &self.plans);
            changed.note_said(key, old, served_at.unwrap_or(NEVER), why);
            if old != plan.vehicle
                && let Some(Out { trip, .. }) = self.out.remove(&key)
            {
                emit(Delta { row: Told::Planned(trip), diff: -1, why });
            }
        }
        self.plans.plan(key, plan.clone());
        if self.is_here(plan.vehicle) {
            self.vehicles.entry(plan.vehicle).or_default().insert_open(key, &self.plans);
            self.note_trip(key, why, changed);
        }
    }

    /// A location may stand for another fence, or another one for its fence.
    fn locate_site(
        &mut self,
        location: &Place,
        fence: Option<&Place>,
        kind: Option<LocationKind>,
        why: Why,
        changed: &mut Changed,
    ) {
        let TripsWork { sites, vehicles, rules, .. } = self;
        let moved = sites.locate(location, fence, kind);
        if !rules.makes_trips {
            return;
        }
        for (fence, old) in moved {
            for (&vehicle, of_vehicle) in vehicles.iter_mut() {
                if let Some(from) = of_vehicle.turn_anew((fence.key, &fence.id), sites, old) {
                    of_vehicle.auto.change_from(from);
                    changed.of(vehicle, NEVER, why);
                }
            }
        }
    }

    /// What is known of a trip changed: no earlier visit can tell the difference than one that could serve it.
    fn note_trip(&self, key: TripKey, why: Why, changed: &mut Changed) {
        if let Some(trip) = self.plans.get(key).filter(|trip| self.is_here(trip.plan.vehicle)) {
            changed.note_said(key, trip.plan.vehicle, self.rules.first_arrival(trip), why);
        }
    }

    /// Corrects the distances of trips on whose road fixes of the past have changed.
    fn correct_roads(&mut self, changed: &mut Changed) {
        let TripsWork { vehicles, out, tracks, .. } = self;
        tracks.for_each_step(|step| {
            // No trip has arrived at the newest fix yet.
            if step.why.cause == Cause::First {
                return;
            }
            let (Some(from), Some(of_vehicle)) = (step.from, vehicles.get_mut(&step.vehicle)) else { return };
            if of_vehicle.auto.correct_road(from.time, step.to.time, i64::from(step.diff) * step.mm) {
                changed.note(step.vehicle, NEVER, step.why);
            }
            let first = of_vehicle.servings.partition_point(|serving| serving.arrived < step.to.time);
            for serving in &of_vehicle.servings[first..] {
                let Some(Out { trip, road_mm }) = out.get_mut(&serving.trip) else { continue };
                let Some((departure, arrival)) = trip.row.times.on_the_road() else { continue };
                if step.to.time <= departure && departure <= arrival {
                    // No later road begins before this one has ended.
                    return;
                }
                if departure <= from.time && step.to.time <= arrival {
                    *road_mm += i64::from(step.diff) * step.mm;
                    changed.roads.insert(serving.trip);
                    changed.note(step.vehicle, NEVER, step.why);
                }
            }
        });
    }

    /// Judges a vehicle's trips anew: those that visits from a time on serve or served, those whose road has
    /// changed, and all that were not served; and then those that nobody planned.
    fn judge(
        &mut self,
        vehicle: VehicleKey,
        reasons: &Reasons,
        changed: &Changed,
        emit: &mut impl FnMut(Delta<Told>),
    ) {
        let TripsWork { plans, sites, rules, vehicles, out, tracks, timers, instant, .. } = self;
        let Some(of_vehicle) = vehicles.get_mut(&vehicle) else { return };
        if !of_vehicle.has_trips() && !of_vehicle.auto.has_trips() && !rules.makes_trips {
            return;
        }
        let kept = of_vehicle.serve_from(reasons.from, plans, rules);
        let mut put = |key: TripKey, trip: &Trip, outcome: &Outcome| {
            let known = out.get(&key);
            let known_road =
                known.and_then(|known| Some((known.trip.row.times.on_the_road()?, known.road_mm)));
            let (row, road_mm) = TripFacts::of(key, trip, outcome, *instant, |from, to| {
                // Whoever drives, these are its own times: a trip that changes its vehicle loses its row.
                let known_mm = known_road.filter(|(road, _)| *road == (from, to)).map(|(_, mm)| mm);
                known_mm.unwrap_or_else(|| tracks.travelled_mm(vehicle, from, to))
            });
            let trip = TripOut { row, detail: TripDetail::of(&row, trip, outcome, plans, rules) };
            let why = changed.why(key, reasons, known.is_none());
            if let Some(known) = known {
                if known.trip == trip {
                    return;
                }
                emit(Delta { row: Told::Planned(known.trip), diff: -1, why });
            }
            emit(Delta { row: Told::Planned(trip), diff: 1, why });
            out.insert(key, Out { trip, road_mm });
        };
        for (at, serving) in of_vehicle.servings.iter().enumerate() {
            if (at >= kept || changed.roads.contains(&serving.trip))
                && let Some(trip) = plans.get(serving.trip)
            {
                put(serving.trip, trip, &serving.outcome());
            }
        }
        let mut held = BTreeSet::new();
        let next = of_vehicle.judge_open(*instant, plans, rules, |key, trip, outcome| {
            let pickup = rules.makes_trips.then(|| plans.fence_of(&trip.plan.pickup)).flatten();
            held.extend(pickup.zip(outcome.pickup_held()).map(|(fence, (from, to))| (fence.key, from, to)));
            put(key, trip, &outcome);
        });
        of_vehicle.auto.hold(held);
        of_vehicle.auto.change_from(reasons.from);
        let travelled_mm = |from, to| tracks.travelled_mm(vehicle, from, to);
        of_vehicle.make_trips(vehicle, (plans, sites, rules), travelled_mm, |row, diff| {
            emit(Delta { row: Told::Auto(row), diff, why: reasons.why });
        });
        // A timer that is set for earlier looks again.
        if let Some(next) = next
            && of_vehicle.timer.is_none_or(|set| set > next || set <= *instant)
        {
            of_vehicle.timer = Some(next);
            timers.entry(next).or_default().push(vehicle);
        }
    }
}

/// The rows of trips, each with the reason of its change.
#[derive(Clone)]
pub struct Trips<'scope> {
    /// Of trips that were planned.
    pub planned: VecCollection<'scope, u64, (TripOut, Why), isize>,
    /// Of those that were not.
    pub auto: VecCollection<'scope, u64, (AutoTrip, Why), isize>,
}

/// The trips operator: visit rows and controls in, trip rows out.
pub fn trips<'scope>(
    visits: VecCollection<'scope, u64, (Derived, Why), isize>,
    controls: StreamVec<'scope, u64, TripControl>,
    tracks: Tracks,
    settings: &GraphSettings,
    states: &States,
) -> Trips<'scope> {
    let (index, peers) = (controls.scope().index(), controls.scope().peers());
    let work = states.add("Trips", TripsWork::new(settings, tracks, index, peers));
    let told = rows_each_tick("Trips", visits.inner, Pipeline, controls, move |controls, visits, emit| {
        work.borrow_mut().tick(controls, deltas(visits), emit);
    });
    let (planned, auto) = told.inner.ok_err(|((told, why), tick, diff)| match told {
        Told::Planned(trip) => Ok(((trip, why), tick, diff)),
        Told::Auto(trip) => Err(((trip, why), tick, diff)),
    });
    Trips { planned: planned.as_collection(), auto: auto.as_collection() }
}
