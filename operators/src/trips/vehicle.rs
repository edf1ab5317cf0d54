//! One vehicle's trips and visits.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::auto::Auto;
use super::control::TripKey;
use super::plans::{Plans, Trip};
use super::sites::Site;
use crate::fences::{FenceKey, NEVER};
use crate::rows::Visit;

/// The settings of trips, ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Rules {
    pub early_window_ms: i64,
    pub no_show_ms: i64,
    pub no_arrival_ms: i64,
    /// Whether trips are made of visits alone, too.
    pub makes_trips: bool,
}

impl Rules {
    pub fn opens(&self, trip: &Trip) -> i64 {
        trip.plan.schedule.departure.0.saturating_sub(self.early_window_ms)
    }

    pub fn limit(&self, trip: &Trip) -> i64 {
        trip.plan.schedule.departure.0.saturating_add(self.no_show_ms)
    }

    /// No visit that arrived before this serves a trip.
    pub fn first_arrival(&self, trip: &Trip) -> i64 {
        self.opens(trip).min(trip.plan.schedule.departure.0)
    }

    /// Until when a trip may arrive; `None`: as long as it has not left.
    pub fn no_arrival_at(&self, trip: &Trip, pickup: &Pickup) -> Option<i64> {
        let departure = pickup.departure?;
        let latest = trip.plan.schedule.arrival.map_or(departure, |scheduled| scheduled.0.max(departure));
        Some(latest.saturating_add(self.no_arrival_ms))
    }
}

/// The visits to a trip's pickup that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Pickup {
    /// Of the first.
    pub arrival: i64,
    /// Of the last; `None`: the vehicle is still there.
    pub departure: Option<i64>,
}

/// A trip that a visit served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Serving {
    pub trip: TripKey,
    /// Of the visit.
    pub arrived: i64,
    /// Of the visit; `None`: the vehicle is still there.
    pub departed: Option<i64>,
    /// `None`: nobody saw it there.
    pub pickup: Option<Pickup>,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct OfVehicle {
    /// By (fence, `arrived`): `departed`, [`NEVER`] while it is there.
    pub visits: BTreeMap<(FenceKey, i64), i64>,
    /// In the order of visits.
    pub servings: Vec<Serving>,
    /// Trips that no visit served, in the order of trips.
    pub open: Vec<TripKey>,
    /// When a timer is set for it.
    pub timer: Option<i64>,
    /// The trips that nobody planned.
    pub auto: Auto,
}

impl OfVehicle {
    pub fn has_trips(&self) -> bool {
        !self.open.is_empty() || !self.servings.is_empty()
    }

    /// A visit came (+1) or went (-1), in the order of causes: only what stood goes. `site`: where trips are made of
    /// visits, what stands for the fence.
    pub fn note_visit(&mut self, fence: FenceKey, visit: &Visit, diff: i8, site: Option<(Site, &Arc<str>)>) {
        let key = (fence, visit.arrived);
        let departed = visit.departed.unwrap_or(NEVER);
        let went = if diff > 0 {
            self.visits.insert(key, departed)
        } else if self.visits.get(&key) == Some(&departed) {
            self.visits.remove(&key)
        } else {
            return;
        };
        let Some(site) = site else { return };
        if let Some(went) = went {
            self.auto.turn(site, key, went, false);
        }
        if diff > 0 {
            self.auto.turn(site, key, departed, true);
        }
    }

    /// Visits to a fence that arrived at or after a time: (`arrived`, `departed`).
    pub fn visits_to(&self, fence: FenceKey, from: i64) -> impl Iterator<Item = (i64, Option<i64>)> {
        let of_fence = self.visits.range((fence, from)..=(fence, NEVER));
        of_fence.map(|(&(_, arrived), &departed)| (arrived, (departed != NEVER).then_some(departed)))
    }

    /// The visits to a trip's pickup, seen from a later time. `since`: when a visit last served a trip.
    pub fn pickup(
        &self,
        trip: &Trip,
        plans: &Plans,
        rules: &Rules,
        seen_from: i64,
        since: Option<i64>,
    ) -> Option<Pickup> {
        let fence = plans.fence_of(&trip.plan.pickup)?.key;
        let arrived_before = seen_from.min(rules.limit(trip).saturating_add(1));
        let left_after = since.map_or(rules.opens(trip), |since| since.max(rules.opens(trip)));
        // Visits to one fence do not overlap: later ones depart later.
        let in_time = self.visits.range((fence, i64::MIN)..(fence, arrived_before));
        let mut counting = in_time.rev().take_while(|(_, departed)| **departed >= left_after);
        let (&(_, arrived), &departed) = counting.next()?;
        let arrival = counting.last().map_or(arrived, |(&(_, arrived), _)| arrived);
        Some(Pickup { arrival, departure: (departed != NEVER).then_some(departed) })
    }

    /// Puts a trip among those that no visit served.
    pub fn insert_open(&mut self, trip: TripKey, plans: &Plans) {
        let order = |key: &TripKey| plans.get(*key).map(Trip::order);
        let at = self.open.partition_point(|other| order(other) < order(&trip));
        self.open.insert(at, trip);
    }

    /// Takes a trip out. Gives the time of the visit that served it: what was served since is open again.
    pub fn remove(&mut self, trip: TripKey, plans: &Plans) -> Option<i64> {
        if let Some(at) = self.open.iter().position(|other| *other == trip) {
            self.open.remove(at);
            return None;
        }
        let arrived = self.servings.iter().find(|serving| serving.trip == trip)?.arrived;
        self.reopen(arrived, plans);
        self.open.retain(|other| *other != trip);
        Some(arrived)
    }

    /// What visits that arrived at or after a time have served is open again.
    pub fn reopen(&mut self, from: i64, plans: &Plans) {
        let kept = self.servings.partition_point(|serving| serving.arrived < from);
        for serving in self.servings.split_off(kept) {
            self.auto.change_served(&serving);
            self.insert_open(serving.trip, plans);
        }
    }
}
