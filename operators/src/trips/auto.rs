//! Trips that nobody planned, made of visits to terminals and clients.
//!
//! ```text
//!   turns    at A    left A      at C     at D     left B   at B     at C
//!                      |<- trip ->|       none, C came first         none: it is at a terminal
//! ```
//!
//! A trip is an arrival at a client whose last turn before it was a departure from a terminal, unless a plan accounts
//! for that departure or that arrival. So what is made of an arrival depends on one turn before it: after a change
//! at a time, trips that arrived earlier stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{LocationKind, half_even};

use super::plans::Plans;
use super::rows::AutoTrip;
use super::sites::{Site, Sites};
use super::vehicle::{OfVehicle, Pickup, Rules, Serving};
use crate::fences::{ALWAYS, FenceKey, NEVER};
use crate::presence::VehicleKey;

/// What a vehicle does where something begins or ends. Of one time, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
enum Turn {
    LeftTerminal,
    AtClient,
    AtTerminal,
}

/// The id of the fence orders turns of one time and kind.
type TurnKey = (i64, Turn, Arc<str>);

/// A visit by its fence and its `arrived`.
type VisitKey = (FenceKey, i64);

/// A trip whose row is out.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Made {
    row: AutoTrip,
    /// How far it is from departure to arrival.
    road_mm: i64,
}

/// What of one vehicle makes trips that nobody planned. All of it is empty where none are made.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Auto {
    turns: BTreeMap<TurnKey, VisitKey>,
    /// In their order: each has arrived before the next departs.
    made: Vec<Made>,
    /// Pickup visits of plans that no visit served: fence, arrival of the first, departure of the last, [`NEVER`]
    /// while the vehicle is there.
    held: BTreeSet<(FenceKey, i64, i64)>,
    /// Trips that arrived then or later may be others.
    changed_from: Option<i64>,
}

impl Auto {
    /// Whether a trip is out.
    pub fn has_trips(&self) -> bool {
        !self.made.is_empty()
    }

    /// Something changed of visits that arrived then or later, or of the plans that account for them.
    pub fn change_from(&mut self, from: i64) {
        self.changed_from = Some(self.changed_from.map_or(from, |known| known.min(from)));
    }

    /// A plan was served, or is not any more.
    pub fn change_served(&mut self, serving: &Serving) {
        self.change_from(serving.pickup.map_or(serving.arrived, |pickup| pickup.arrival));
    }

    /// The pickup visits of plans that no visit served are these now.
    pub fn hold(&mut self, held: BTreeSet<(FenceKey, i64, i64)>) {
        if let Some(from) = self.held.symmetric_difference(&held).map(|(_, arrived, _)| *arrived).min() {
            self.change_from(from);
            self.held = held;
        }
    }

    /// A step between two fixes came or went; gives whether it is on the road of a trip.
    pub fn correct_road(&mut self, from: i64, to: i64, mm: i64) -> bool {
        let at = self.made.partition_point(|made| made.row.arrival < to);
        let Some(made) = self.made.get_mut(at).filter(|made| made.row.departure <= from) else {
            return false;
        };
        made.road_mm += mm;
        let arrival = made.row.arrival;
        self.change_from(arrival);
        true
    }

    /// A visit to a terminal or client is there, or is gone.
    pub fn turn(&mut self, (site, fence_id): (Site, &Arc<str>), visit: VisitKey, departed: i64, came: bool) {
        let arrives = if site.kind == LocationKind::Terminal { Turn::AtTerminal } else { Turn::AtClient };
        let leaves = (site.kind == LocationKind::Terminal && departed != NEVER)
            .then_some((departed, Turn::LeftTerminal));
        for (time, turn) in [Some((visit.1, arrives)), leaves].into_iter().flatten() {
            let key = (time, turn, fence_id.clone());
            if came {
                self.turns.insert(key, visit);
            } else {
                self.turns.remove(&key);
            }
        }
    }
}

impl OfVehicle {
    /// Trips are made of visits from now on, or not any more.
    pub fn turn_all(&mut self, sites: &Sites, makes_trips: bool) {
        self.auto.change_from(ALWAYS);
        self.auto.turns.clear();
        self.auto.held.clear();
        if makes_trips {
            for (&visit, &departed) in &self.visits {
                if let Some(site) = sites.at(visit.0) {
                    self.auto.turn(site, visit, departed, true);
                }
            }
        }
    }

    /// Something else stands for a fence. Gives when the vehicle was first there, if ever.
    pub fn turn_anew(
        &mut self,
        fence: (FenceKey, &Arc<str>),
        sites: &Sites,
        old: Option<Site>,
    ) -> Option<i64> {
        let OfVehicle { visits, auto, .. } = self;
        let (fence, fence_id) = fence;
        let mut first = None;
        for (&visit, &departed) in visits.range((fence, i64::MIN)..=(fence, NEVER)) {
            first = first.or(Some(visit.1));
            if let Some(old) = old {
                auto.turn((old, fence_id), visit, departed, false);
            }
            if let Some(site) = sites.at(fence) {
                auto.turn(site, visit, departed, true);
            }
        }
        first
    }

    /// Makes trips anew of what has changed since they were made. Each that goes is given before those that come.
    pub fn make_trips(
        &mut self,
        vehicle: VehicleKey,
        (plans, sites, rules): (&Plans, &Sites, &Rules),
        travelled_mm: impl Fn(i64, i64) -> i64,
        mut give: impl FnMut(AutoTrip, i8),
    ) {
        let Some(from) = self.auto.changed_from.take() else { return };
        if self.auto.turns.is_empty() && self.auto.made.is_empty() {
            return;
        }
        let kept = self.auto.made.partition_point(|made| made.row.arrival < from);
        let old = self.auto.made.split_off(kept);
        let begin: TurnKey = (from, Turn::LeftTerminal, "".into());
        let mut before = self.auto.turns.range(..&begin).next_back();
        let mut new: Vec<Made> = Vec::new();
        for turn in self.auto.turns.range(&begin..) {
            if let Some(before) = before
                && let Some(trip) = self.made_of(vehicle, before, turn, (plans, sites, rules))
            {
                let known =
                    old.binary_search_by_key(&trip.departure, |old| old.row.departure).map(|at| old[at]);
                let known = known.ok().filter(|known| known.row.arrival == trip.arrival);
                let road_mm =
                    known.map_or_else(|| travelled_mm(trip.departure, trip.arrival), |known| known.road_mm);
                new.push(Made { row: AutoTrip { distance_m: half_even(road_mm, 1000), ..trip }, road_mm });
            }
            before = Some(turn);
        }
        let rows = |all: &[Made]| all.iter().map(|made| made.row).collect::<BTreeSet<AutoTrip>>();
        let (old, now) = (rows(&old), rows(&new));
        old.difference(&now).for_each(|row| give(*row, -1));
        now.difference(&old).for_each(|row| give(*row, 1));
        self.auto.made.extend(new);
    }

    /// The trip, but for its distance, of two turns of which one follows the other, if they make one.
    fn made_of(
        &self,
        vehicle: VehicleKey,
        (&(departure, left, _), &from): (&TurnKey, &VisitKey),
        (&(arrival, came, _), &to): (&TurnKey, &VisitKey),
        (plans, sites, rules): (&Plans, &Sites, &Rules),
    ) -> Option<AutoTrip> {
        if (left, came) != (Turn::LeftTerminal, Turn::AtClient)
            || arrival > departure.saturating_add(rules.no_arrival_ms)
            || self.is_pickup_of_a_plan(from, departure, plans)
            || self.is_delivery_of_a_plan(to, plans)
        {
            return None;
        }
        let location = |visit: VisitKey| sites.at(visit.0).map(|(site, _)| site.location);
        Some(AutoTrip {
            vehicle,
            departure,
            pickup: location(from)?,
            delivery: location(to)?,
            pickup_arrival: from.1,
            arrival,
            offload: self.visits.get(&to).copied().filter(|departed| *departed != NEVER),
            distance_m: 0,
        })
    }

    /// Whether a visit counts as one to the pickup of a planned trip.
    fn is_pickup_of_a_plan(&self, (fence, arrived): VisitKey, departed: i64, plans: &Plans) -> bool {
        let counts = |first: i64, last: i64| first <= arrived && departed <= last;
        let held = self.auto.held.range((fence, i64::MIN, i64::MIN)..=(fence, arrived, NEVER));
        if held.rev().any(|&(_, first, last)| counts(first, last)) {
            return true;
        }
        // It counts for no trip that arrived before it, and for none after the first that arrived since it ended.
        let first = self.servings.partition_point(|serving| serving.arrived <= arrived);
        let last = self.servings.partition_point(|serving| serving.arrived <= departed);
        self.servings.iter().take(last + 1).skip(first).any(|serving| {
            let Some(Pickup { arrival, departure }) = serving.pickup else { return false };
            let pickup = plans.get(serving.trip).and_then(|trip| plans.fence_of(&trip.plan.pickup));
            pickup.is_some_and(|pickup| pickup.key == fence) && counts(arrival, departure.unwrap_or(NEVER))
        })
    }

    /// Whether a visit served a planned trip.
    fn is_delivery_of_a_plan(&self, (fence, arrived): VisitKey, plans: &Plans) -> bool {
        let first = self.servings.partition_point(|serving| serving.arrived < arrived);
        self.servings[first..].iter().take_while(|serving| serving.arrived == arrived).any(|serving| {
            let delivery = plans.get(serving.trip).and_then(|trip| plans.fence_of(&trip.plan.delivery));
            delivery.is_some_and(|delivery| delivery.key == fence)
        })
    }
}
