//! What was said of trips and locations.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::TripStatus;
use rustc_hash::FxHashMap;

use super::control::{PersonKey, Place, Plan, TripKey};
use crate::fences::FenceKey;

/// A trip that has a plan.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Trip {
    pub plan: Arc<Plan>,
    pub said: Said,
}

/// What was set by hand.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Said {
    /// The end, and the instant of it: the first of those that nothing undid.
    pub end: Option<(i64, TripStatus)>,
    /// The last status, unless that is the inferred one.
    pub hand: Option<(TripStatus, PersonKey)>,
    /// All statuses with their instants, in order of arrival.
    pub set: Vec<(i64, Option<TripStatus>)>,
}

impl Trip {
    /// Trips of a vehicle are in this order.
    pub fn order(&self) -> (i64, &str) {
        (self.plan.schedule.departure.0, &self.plan.id)
    }

    pub fn is_ended_by_hand_at(&self, time: i64) -> bool {
        self.said.end.is_some_and(|(ended_at, _)| ended_at <= time)
    }
}

impl Said {
    /// The first end counts; another status after it undoes it.
    pub fn set(&mut self, status: Option<TripStatus>, by: PersonKey, instant: i64) {
        self.end = match status {
            Some(end @ (TripStatus::Completed | TripStatus::Failed | TripStatus::Cancelled)) => {
                self.end.or(Some((instant, end)))
            }
            _ => None,
        };
        self.hand = status.map(|status| (status, by));
        self.set.push((instant, status));
    }
}

/// The plans, statuses and locations that there are.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Plans {
    /// By trip.
    trips: FxHashMap<TripKey, Trip>,
    /// What was said of trips before their plan.
    early: FxHashMap<TripKey, Said>,
    locations: FxHashMap<FenceKey, Option<Place>>,
    /// Trips whose plan names a place, or did so once.
    named_by: FxHashMap<FenceKey, BTreeSet<TripKey>>,
}

impl Plans {
    pub fn get(&self, trip: TripKey) -> Option<&Trip> {
        self.trips.get(&trip)
    }

    /// Takes a plan in, in the place of the one before.
    pub fn plan(&mut self, key: TripKey, plan: Arc<Plan>) {
        for place in [&plan.pickup, &plan.delivery] {
            self.named_by.entry(place.key).or_default().insert(key);
        }
        match self.trips.get_mut(&key) {
            Some(trip) => trip.plan = plan,
            None => {
                let said = self.early.remove(&key).unwrap_or_default();
                self.trips.insert(key, Trip { plan, said });
            }
        }
    }

    pub fn said_of(&mut self, trip: TripKey) -> &mut Said {
        match self.trips.get_mut(&trip) {
            Some(trip) => &mut trip.said,
            None => self.early.entry(trip).or_default(),
        }
    }

    /// Takes a location in; gives the trips that may name it.
    pub fn locate(&mut self, location: FenceKey, fence: Option<Option<Place>>) -> Vec<TripKey> {
        match fence {
            Some(fence) => self.locations.insert(location, fence),
            None => self.locations.remove(&location),
        };
        self.named_by.get(&location).map_or_else(Vec::new, |trips| trips.iter().copied().collect())
    }

    /// The fence of a location; where no location has that id, it is that of a fence. `None`: a location
    /// without a fence.
    pub fn fence_of<'a>(&'a self, place: &'a Place) -> Option<&'a Place> {
        self.locations.get(&place.key).map_or(Some(place), Option::as_ref)
    }
}
