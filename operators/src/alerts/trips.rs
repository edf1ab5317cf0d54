//! A worker's trips, as alerts ask for them: which one a vehicle was on, which one had a fence at a time, and which
//! ones were on their way.
//!
//! ```text
//!                opens    arrival          offload
//!   served  t1     |---------|---------------|
//!   served  t2        |......|---------------------|        not before the visit that served t1
//!   open    t3        |............................|------  not before the last visit that served a trip
//! ```

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Why;
use rustc_hash::FxHashMap;

use crate::fences::{ALWAYS, FenceKey, NEVER};
use crate::presence::VehicleKey;
use crate::trips::{Place, Plan, TripControl, TripDetail, TripKey};

/// The trips of a worker's vehicles as the trips operator tells them.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct TripBook {
    /// Ids of trips, which order those of one schedule.
    ids: FxHashMap<TripKey, Arc<str>>,
    /// Ids of fences, which order deliveries of one time.
    fence_ids: FxHashMap<FenceKey, Arc<str>>,
    vehicles: FxHashMap<VehicleKey, OfVehicle>,
    changed: BTreeMap<VehicleKey, TripsChanged>,
}

/// From when on the trips of a vehicle may answer otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct TripsChanged {
    /// No answer for an earlier time is another one.
    pub from: i64,
    /// The strongest of what brought it.
    pub why: Why,
}

/// A trip on its way: it is to be in its corridor in `[departure, until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub(super) struct Transit {
    /// When it left its pickup.
    pub departure: i64,
    /// Which.
    pub trip: TripKey,
    /// Where it is to stay.
    pub corridor: FenceKey,
    /// Its arrival, or when it failed; [`NEVER`] as long as neither is known.
    pub until: i64,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct OfVehicle {
    /// Trips that a visit served, each from `opens` on until its offload or its end by hand, that time included; in
    /// the order of the visits.
    served: Spans,
    /// Those visits, in their order.
    deliveries: Vec<Rank>,
    /// The others, until they failed, that time included, or were ended by hand.
    open: Spans,
    /// When the vehicle was on which trip; in the order of trips.
    driven: Spans,
    /// In the order of departures.
    transits: Vec<Transit>,
}

/// What orders: a time, and of one time an id.
type Rank = (i64, Arc<str>);

/// A trip and a time of its own, the end included.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
struct Span {
    from: i64,
    rank: Rank,
    until: i64,
    trip: TripKey,
    fences: [Option<FenceKey>; 2],
}

/// Spans by their beginning.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Spans {
    list: Vec<Span>,
    /// By span, the latest end of it and those before.
    latest: Vec<i64>,
}

impl Span {
    fn goes_to(&self, fence: FenceKey) -> bool {
        self.fences.contains(&Some(fence))
    }
}

impl Spans {
    fn change(&mut self, span: Span, diff: i8) {
        let at = self.list.partition_point(|other| *other < span);
        if diff > 0 {
            self.list.insert(at, span);
        } else if self.list.get(at) == Some(&span) {
            self.list.remove(at);
        }
        self.latest.truncate(at);
        let mut latest = self.latest.last().copied().unwrap_or(ALWAYS);
        for span in &self.list[at..] {
            latest = latest.max(span.until);
            self.latest.push(latest);
        }
    }

    /// All that a time is in.
    fn at(&self, time: i64) -> impl Iterator<Item = &Span> {
        let begun = self.list.partition_point(|span| span.from <= time);
        let may_hold = self.list[..begun].iter().zip(&self.latest).rev();
        let may_hold = may_hold.take_while(move |(_, latest)| **latest >= time).map(|(span, _)| span);
        may_hold.filter(move |span| span.until >= time)
    }

    fn begin(&self) -> i64 {
        self.list.first().map_or(NEVER, |span| span.from)
    }
}

/// The earliest of what ends something; [`NEVER`] where nothing does.
fn first_of<const N: usize>(ends: [Option<i64>; N]) -> i64 {
    ends.into_iter().flatten().min().unwrap_or(NEVER)
}

/// The last millisecond before an end.
fn before(end: i64) -> i64 {
    if end == NEVER { NEVER } else { end.saturating_sub(1) }
}

impl OfVehicle {
    /// A trip came or went. Gives the first time whose answers may be others.
    fn change(&mut self, detail: &TripDetail, id: &Arc<str>, delivery_id: Arc<str>, diff: i8) -> i64 {
        let TripDetail { trip, times, opens, ended_by_hand_at, failed_by_itself_at, .. } = *detail;
        let fences = [detail.pickup_fence, detail.delivery_fence];
        let rank = (detail.scheduled_departure, id.clone());
        let span = |from: i64, until: i64, rank: Rank| Span { from, rank, until, trip, fences };
        let mut from = opens;
        if let Some(begins) = times.actual_departure.or(times.arrival) {
            let ends = first_of([times.offload, ended_by_hand_at, failed_by_itself_at]);
            self.driven.change(span(begins, before(ends), rank.clone()), diff);
            from = from.min(begins);
        }
        match times.arrival {
            Some(arrival) => {
                let delivery = (arrival, delivery_id);
                let at = self.deliveries.partition_point(|other| *other < delivery);
                // What comes after it has its time from this arrival on, or from the one before.
                let since = at.checked_sub(1).map(|last| self.deliveries[last].0);
                from = from.min(since.unwrap_or_else(|| self.served.begin().min(self.open.begin())));
                let until = first_of([times.offload, ended_by_hand_at]);
                self.served.change(span(opens, until, delivery.clone()), diff);
                if diff > 0 {
                    self.deliveries.insert(at, delivery);
                } else if self.deliveries.get(at) == Some(&delivery) {
                    self.deliveries.remove(at);
                }
            }
            None => {
                let until = first_of([ended_by_hand_at.map(before), failed_by_itself_at]);
                self.open.change(span(opens, until, rank), diff);
            }
        }
        if let Some(transit) = Transit::of(detail) {
            let at = self.transits.partition_point(|other| *other < transit);
            if diff > 0 {
                self.transits.insert(at, transit);
            } else if self.transits.get(at) == Some(&transit) {
                self.transits.remove(at);
            }
            from = from.min(transit.departure);
        }
        from
    }

    /// When the trip was served that was served before another.
    fn since(&self, delivery: &Rank) -> Option<i64> {
        let at = self.deliveries.partition_point(|other| other < delivery);
        at.checked_sub(1).map(|last| self.deliveries[last].0)
    }
}

impl Transit {
    fn of(detail: &TripDetail) -> Option<Transit> {
        let until = detail.times.arrival.or(detail.failed_by_itself_at).unwrap_or(NEVER);
        let (departure, corridor) = detail.times.actual_departure.zip(detail.corridor)?;
        Some(Transit { departure, trip: detail.trip, corridor, until })
    }

    /// Whether it is on its way then.
    pub fn holds(&self, time: i64) -> bool {
        self.departure <= time && time < self.until
    }
}

impl TripBook {
    /// Learns ids. Call it for all controls of a tick before its trips are [changed](TripBook::change).
    pub fn learn(&mut self, control: &TripControl) {
        match control {
            TripControl::Plan { trip, plan, .. } => {
                let Plan { id, pickup, delivery, .. } = &**plan;
                self.ids.insert(*trip, id.clone());
                self.learn_fence(pickup);
                self.learn_fence(delivery);
            }
            TripControl::Location { fence: Some(Some(fence)), .. } => self.learn_fence(fence),
            _ => {}
        }
    }

    fn learn_fence(&mut self, place: &Place) {
        self.fence_ids.entry(place.key).or_insert_with(|| place.id.clone());
    }

    /// A trip came (+1) or went (-1).
    pub fn change(&mut self, detail: &TripDetail, diff: i8, why: Why) {
        let id = self.ids.entry(detail.trip).or_default();
        let delivery_id = detail.delivery_fence.and_then(|fence| self.fence_ids.get(&fence).cloned());
        let of_vehicle = self.vehicles.entry(detail.vehicle).or_default();
        let from = of_vehicle.change(detail, id, delivery_id.unwrap_or_default(), diff);
        let changed = self.changed.entry(detail.vehicle).or_insert(TripsChanged { from, why });
        *changed = TripsChanged { from: changed.from.min(from), why: changed.why.stronger(why) };
    }

    /// The vehicles whose trips have changed since they were asked for last.
    pub fn take_changed(&mut self) -> BTreeMap<VehicleKey, TripsChanged> {
        std::mem::take(&mut self.changed)
    }

    /// The trip that a vehicle was on: from the departure, or the arrival where nobody saw that, to the offload, or
    /// until it was over otherwise.
    pub fn on_trip_at(&self, vehicle: VehicleKey, time: i64) -> Option<TripKey> {
        let on = self.vehicles.get(&vehicle)?.driven.at(time);
        on.min_by(|a, b| a.rank.cmp(&b.rank)).map(|span| span.trip)
    }

    /// The trip that has a fence for its pickup or delivery, and is served or current at a time.
    pub fn trip_at_fence(&self, vehicle: VehicleKey, fence: FenceKey, time: i64) -> Option<TripKey> {
        let of_vehicle = self.vehicles.get(&vehicle)?;
        let is_its_time = |span: &&Span| {
            of_vehicle.since(&span.rank).is_none_or(|since| since <= time) && span.goes_to(fence)
        };
        let served = of_vehicle.served.at(time).filter(is_its_time);
        if let Some(served) = served.min_by(|a, b| a.rank.cmp(&b.rank)) {
            return Some(served.trip);
        }
        let since = of_vehicle.deliveries.last().map(|(arrival, _)| *arrival);
        if since.is_some_and(|since| time < since) {
            return None;
        }
        let current = of_vehicle.open.at(time).min_by(|a, b| a.rank.cmp(&b.rank));
        current.filter(|span| span.goes_to(fence)).map(|span| span.trip)
    }

    /// A vehicle's trips that were, or are, on their way in a corridor, in the order of their departures.
    pub fn transits(&self, vehicle: VehicleKey) -> &[Transit] {
        self.vehicles.get(&vehicle).map_or(&[], |of_vehicle| &of_vehicle.transits)
    }
}
