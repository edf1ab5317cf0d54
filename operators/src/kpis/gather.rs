//! What happened and comes seldom, as parts: of visits, trips, alerts and vehicles.

use std::collections::{BTreeMap, BTreeSet};

use model::{Why, half_even};
use rustc_hash::FxHashMap;

use super::parts::{Field, Part, Rate, Sample, SliceKey, Sum};
use super::places::Places;
use crate::alerts::{AlertFacts, KindKey};
use crate::fences::{FenceKey, NEVER};
use crate::presence::{Step, VehicleKey};
use crate::rows::Visit;
use crate::trips::{AutoTrip, TripDetail, TripKey};

/// `[from, until)`.
type Period = (i64, i64);

/// An alert, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct DueAlert {
    pub kind: KindKey,
    pub vehicle: VehicleKey,
    pub fence: Option<FenceKey>,
    pub due_at: i64,
}

impl From<AlertFacts> for DueAlert {
    fn from(row: AlertFacts) -> DueAlert {
        let AlertFacts { subject, vehicle, fence, due_at, .. } = row;
        DueAlert { kind: subject.kind(), vehicle, fence, due_at }
    }
}

/// A vehicle, as far as time is counted by what it may do.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Truck {
    first_fix: Option<i64>,
    /// In order of arrival: from when on it is operational; `None`: it is gone.
    said: Vec<(i64, Option<bool>)>,
    trips: BTreeSet<TripKey>,
    /// When it was on trips that nobody planned.
    on_auto_trips: BTreeSet<Period>,
    /// What was counted of it.
    operational: Vec<Period>,
    on_trip: Vec<Period>,
}

/// What a worker has counted, of its vehicles.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct Gather {
    /// By place on the worker.
    pub trucks: Vec<Truck>,
    /// Vehicle numbers are spread over workers by remainder.
    peers: u32,
    trips: FxHashMap<TripKey, TripDetail>,
    /// `departed` by fence, vehicle and `arrived`; [`NEVER`] of those that go on.
    visits: BTreeMap<(FenceKey, VehicleKey, i64), i64>,
    /// How many there are by fence, `due_at` and kind.
    alerts: BTreeMap<(FenceKey, i64, KindKey), i64>,
    places: Places,
    /// What changed in this tick.
    pub parts: Vec<Part>,
    /// Vehicles whose time on trips may have changed, and why.
    changed: BTreeMap<VehicleKey, Why>,
}

impl Gather {
    /// That of one of so many workers.
    pub fn new(peers: usize) -> Gather {
        Gather {
            trucks: Vec::new(),
            peers: peers as u32,
            trips: FxHashMap::default(),
            visits: BTreeMap::new(),
            alerts: BTreeMap::new(),
            places: Places::default(),
            parts: Vec::new(),
            changed: BTreeMap::new(),
        }
    }

    fn truck(&mut self, vehicle: VehicleKey) -> &mut Truck {
        let place = (vehicle / self.peers) as usize;
        if self.trucks.len() <= place {
            self.trucks.resize_with(place + 1, Truck::default);
        }
        &mut self.trucks[place]
    }

    /// A step came or went: a vehicle is there from its first fix on.
    #[inline]
    pub fn step(&mut self, step: &Step) {
        if step.from.is_none() {
            let truck = self.truck(step.vehicle);
            let is_known = |at: &i64| *at != step.to.time;
            truck.first_fix =
                if step.diff > 0 { Some(step.to.time) } else { truck.first_fix.filter(is_known) };
            self.note(step.vehicle, step.why);
        }
    }

    /// A visit came or went.
    pub fn visit(&mut self, vehicle: VehicleKey, fence: FenceKey, visit: &Visit, diff: i8, why: Why) {
        let key = (fence, vehicle, visit.arrived);
        let departed = visit.departed.unwrap_or(NEVER);
        if diff > 0 {
            self.visits.insert(key, departed);
        } else if self.visits.get(&key) == Some(&departed) {
            self.visits.remove(&key);
        }
        let diff = i64::from(diff);
        self.visit_parts(SliceKey::Fleet, visit.arrived, departed, diff, why);
        for place in self.places.at(fence) {
            self.visit_parts(SliceKey::Location(place), visit.arrived, departed, diff, why);
        }
    }

    fn visit_parts(&mut self, slice: SliceKey, arrived: i64, departed: i64, diff: i64, why: Why) {
        let mut add = |time: i64, field: Field, amount: i64| {
            self.parts.push(Part::new(slice, time, field, amount, why));
        };
        if slice != SliceKey::Fleet {
            add(arrived, Field::Rate(Rate::Present), diff);
        }
        if departed != NEVER {
            add(departed, Field::Sample(Sample::Dwell, half_even(departed - arrived, 1000)), diff);
            if slice != SliceKey::Fleet {
                add(departed, Field::Rate(Rate::Present), -diff);
            }
        }
    }

    /// An alert came or went.
    pub fn alert(&mut self, alert: &DueAlert, diff: i8, why: Why) {
        let DueAlert { kind, vehicle, fence, due_at } = *alert;
        let diff = i64::from(diff);
        let mut add = |slice: SliceKey| {
            self.parts.push(Part::new(slice, due_at, Field::Alerts(kind), diff, why));
        };
        add(SliceKey::Fleet);
        add(SliceKey::Truck(vehicle));
        let Some(fence) = fence else { return };
        self.places.at(fence).into_iter().for_each(|place| add(SliceKey::Location(place)));
        let key = (fence, due_at, kind);
        let count = self.alerts.entry(key).or_default();
        *count += diff;
        if *count == 0 {
            self.alerts.remove(&key);
        }
    }

    /// A location gets a fence, loses it, or is gone: visits and alerts are counted elsewhere.
    pub fn locate(&mut self, location: FenceKey, fence: Option<Option<FenceKey>>, why: Why) {
        let concerned = self.places.concerned(location, fence);
        let before: Vec<(FenceKey, Vec<FenceKey>)> =
            concerned.iter().map(|&fence| (fence, self.places.at(fence))).collect();
        self.places.locate(location, fence);
        for (fence, before) in before {
            let after = self.places.at(fence);
            if before == after {
                continue;
            }
            let visits: Vec<(i64, i64)> = self
                .visits
                .range((fence, 0, i64::MIN)..=(fence, VehicleKey::MAX, NEVER))
                .map(|(&(_, _, arrived), &departed)| (arrived, departed))
                .collect();
            let alerts: Vec<(i64, KindKey, i64)> = self
                .alerts
                .range((fence, i64::MIN, 0)..=(fence, i64::MAX, KindKey::MAX))
                .map(|(&(_, due_at, kind), &count)| (due_at, kind, count))
                .collect();
            for (places, diff) in [(before, -1), (after, 1)] {
                for slice in places.into_iter().map(SliceKey::Location) {
                    for &(arrived, departed) in &visits {
                        self.visit_parts(slice, arrived, departed, diff, why);
                    }
                    self.parts.extend(alerts.iter().map(|&(due_at, kind, count)| {
                        Part::new(slice, due_at, Field::Alerts(kind), count * diff, why)
                    }));
                }
            }
        }
    }

    /// What is known of a trip came or went.
    pub fn trip(&mut self, detail: &TripDetail, diff: i8, why: Why) {
        self.trip_parts(detail, i64::from(diff), why);
        if diff > 0 {
            self.truck(detail.vehicle).trips.insert(detail.trip);
            self.trips.insert(detail.trip, *detail);
        } else if self.trips.get(&detail.trip) == Some(detail) {
            self.truck(detail.vehicle).trips.remove(&detail.trip);
            self.trips.remove(&detail.trip);
        }
        self.note(detail.vehicle, why);
    }

    fn trip_parts(&mut self, detail: &TripDetail, diff: i64, why: Why) {
        let client = detail.client.map(SliceKey::Client);
        let of = |place: FenceKey| {
            let slices = [
                Some(SliceKey::Fleet),
                client,
                Some(SliceKey::Location(place)),
                Some(SliceKey::Truck(detail.vehicle)),
            ];
            slices.into_iter().flatten()
        };
        let parts = &mut self.parts;
        let mut add = |slice: SliceKey, time: Option<i64>, field: Field, amount: i64| {
            if let Some(time) = time {
                parts.push(Part::new(slice, time, field, amount, why));
            }
        };
        let departure = detail.times.actual_departure;
        for slice in of(detail.pickup) {
            add(slice, departure, Field::Sum(Sum::Started), diff);
            add(slice, departure, Field::Sum(Sum::Departures), diff);
            let on_time = i64::from(detail.is_departure_on_time);
            add(slice, departure, Field::Sum(Sum::DeparturesOnTime), on_time * diff);
        }
        for slice in of(detail.delivery) {
            add(slice, detail.moments.completed, Field::Sum(Sum::Completed), diff);
            add(slice, detail.moments.delayed, Field::Sum(Sum::Delayed), diff);
            add(slice, detail.moments.failed, Field::Sum(Sum::Failed), diff);
            add(slice, detail.moments.cancelled, Field::Sum(Sum::Cancelled), diff);
            if let Some(is_on_time) = detail.is_arrival_on_time {
                add(slice, detail.times.arrival, Field::Sum(Sum::Arrivals), diff);
                add(
                    slice,
                    detail.times.arrival,
                    Field::Sum(Sum::ArrivalsOnTime),
                    i64::from(is_on_time) * diff,
                );
            }
            if let Some(tat_s) = detail.tat_s {
                add(slice, detail.times.offload, Field::Sample(Sample::Tat, tat_s), diff);
            }
        }
    }

    /// A trip that nobody planned came or went: it has no client, and no schedule to be on time by.
    pub fn auto_trip(&mut self, trip: &AutoTrip, diff: i8, why: Why) {
        let AutoTrip { vehicle, departure, pickup, delivery, offload, .. } = *trip;
        let on_auto_trips = &mut self.truck(vehicle).on_auto_trips;
        if diff > 0 {
            on_auto_trips.insert(trip.on_trip());
        } else {
            on_auto_trips.remove(&trip.on_trip());
        }
        self.note(vehicle, why);
        let of = |place| [SliceKey::Fleet, SliceKey::Location(place), SliceKey::Truck(vehicle)];
        let diff = i64::from(diff);
        let mut add = |slice: SliceKey, time: i64, field: Field| {
            self.parts.push(Part::new(slice, time, field, diff, why));
        };
        for slice in of(pickup) {
            add(slice, departure, Field::Sum(Sum::Started));
        }
        if let Some((offload, tat_s)) = offload.zip(trip.tat_s()) {
            for slice in of(delivery) {
                add(slice, offload, Field::Sum(Sum::Completed));
                add(slice, offload, Field::Sample(Sample::Tat, tat_s));
            }
        }
    }

    /// Somebody says whether a vehicle is operational; `None`: it is gone.
    pub fn vehicle(&mut self, vehicle: VehicleKey, instant: i64, is_operational: Option<bool>, why: Why) {
        let truck = self.truck(vehicle);
        // Deleting what is unknown does nothing.
        if is_operational.is_some() || !truck.said.is_empty() {
            truck.said.push((instant, is_operational));
            self.note(vehicle, why);
        }
    }

    fn note(&mut self, vehicle: VehicleKey, why: Why) {
        let known = self.changed.entry(vehicle).or_insert(why);
        *known = known.stronger(why);
    }

    /// Counts anew for how long vehicles were operational and on trips, where that may have changed.
    pub fn count_periods(&mut self) {
        for (vehicle, why) in std::mem::take(&mut self.changed) {
            let Some(truck) = self.trucks.get_mut((vehicle / self.peers) as usize) else { continue };
            let operational: Vec<Period> = truck
                .periods()
                .filter(|(_, is_operational)| *is_operational)
                .map(|(period, _)| period)
                .collect();
            let on_trips = truck.trips.iter().filter_map(|trip| self.trips.get(trip)?.on_trip());
            let on_trips = on_trips.chain(truck.on_auto_trips.iter().copied()).collect();
            let on_trip = common(&joined(on_trips), &operational);
            let known = [
                (
                    Rate::Operational,
                    std::mem::replace(&mut truck.operational, operational.clone()),
                    operational,
                ),
                (Rate::OnTrip, std::mem::replace(&mut truck.on_trip, on_trip.clone()), on_trip),
            ];
            for (rate, before, after) in known {
                if before == after {
                    continue;
                }
                for (periods, diff) in [(before, -1), (after, 1)] {
                    for (from, until) in periods {
                        for slice in [SliceKey::Fleet, SliceKey::Truck(vehicle)] {
                            self.parts.push(Part::new(slice, from, Field::Rate(rate), diff, why));
                            if until != NEVER {
                                self.parts.push(Part::new(slice, until, Field::Rate(rate), -diff, why));
                            }
                        }
                    }
                }
            }
        }
    }
}

impl Truck {
    /// Whether it was operational just before a time; `None`: it was not there.
    #[inline]
    pub fn is_operational_before(&self, time: i64) -> Option<bool> {
        if self.said.is_empty() {
            return self.first_fix.filter(|&first| first < time).map(|_| true);
        }
        let is_then = |((from, until), _): &(Period, bool)| *from < time && time <= *until;
        self.periods().find(is_then).map(|(_, is_operational)| is_operational)
    }

    /// When it was there, in order, and whether it was operational.
    fn periods(&self) -> impl Iterator<Item = (Period, bool)> {
        let begins = [self.said.first().map(|first| first.0), self.first_fix].into_iter().flatten().min();
        let first = self.said.first().map_or(Some(true), |first| first.1);
        let later = self.said.iter().skip(1).copied().chain([(NEVER, None)]);
        begins
            .into_iter()
            .flat_map(move |begins| {
                later.clone().scan((begins, first), |state, (until, next)| {
                    let (from, is_operational) = std::mem::replace(state, (until, next));
                    Some(is_operational.filter(|_| from < until).map(|is| ((from, until), is)))
                })
            })
            .flatten()
    }
}

/// What overlaps becomes one: on two trips at a time, a truck is busy once.
fn joined(mut periods: Vec<Period>) -> Vec<Period> {
    periods.sort_unstable();
    let mut joined: Vec<Period> = Vec::new();
    for (from, until) in periods {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => joined.push((from, until)),
        }
    }
    joined
}

/// What is in both; each is in order, and overlaps nowhere.
fn common(some: &[Period], others: &[Period]) -> Vec<Period> {
    let both = |a: &Period, b: &Period| (a.0.max(b.0), a.1.min(b.1));
    let pairs = some.iter().flat_map(|a| others.iter().map(move |b| both(a, b)));
    pairs.filter(|(from, until)| from < until).collect()
}
