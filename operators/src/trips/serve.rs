//! Which visit serves which trip, and what becomes of the others.
//!
//! ```text
//!                 opens                S                     limit
//!   ----------------|------------------|---------------------|-------------->
//!                                       no later arrival at the pickup counts
//!        pickup |-------|   <- counts: departed after `opens`, and after `since`
//!                             delivery |------|   <- serves the first trip, in order, that it can
//!                                      the next `since`
//! ```

use std::collections::BTreeMap;

use super::control::TripKey;
use super::plans::{Plans, Trip};
use super::rows::{Outcome, Times};
use super::vehicle::{OfVehicle, Pickup, Rules, Serving};
use crate::fences::FenceKey;

/// A visit to a delivery.
struct Delivery<'a> {
    arrived: i64,
    fence_id: &'a str,
    fence: FenceKey,
    departed: Option<i64>,
}

impl OfVehicle {
    /// Serves trips anew by the visits that arrived at or after a time. Gives the number of servings before.
    pub fn serve_from(&mut self, from: i64, plans: &Plans, rules: &Rules) -> usize {
        self.reopen(from, plans);
        let kept = self.servings.len();
        let open: Vec<(TripKey, &Trip, FenceKey)> = self
            .open
            .iter()
            .filter_map(|&key| {
                let trip = plans.get(key)?;
                Some((key, trip, plans.fence_of(&trip.plan.delivery)?.key))
            })
            .collect();
        let fences: BTreeMap<FenceKey, &str> = open
            .iter()
            .filter_map(|(_, trip, _)| plans.fence_of(&trip.plan.delivery))
            .map(|fence| (fence.key, &*fence.id))
            .collect();
        let mut deliveries: Vec<Delivery<'_>> = Vec::new();
        for (&fence, &fence_id) in &fences {
            let visits = self.visits_to(fence, from);
            let delivery = |(arrived, departed)| Delivery { arrived, fence_id, fence, departed };
            deliveries.extend(visits.map(delivery));
        }
        deliveries.sort_unstable_by_key(|delivery| (delivery.arrived, delivery.fence_id));
        let mut is_served = vec![false; open.len()];
        for delivery in &deliveries {
            let arrived = delivery.arrived;
            let since = self.servings.last().map(|serving| serving.arrived);
            if let Some((at, pickup)) = self.first_served(delivery, &open, &is_served, since, plans, rules) {
                is_served[at] = true;
                let (trip, ..) = open[at];
                let serving = Serving { trip, arrived, departed: delivery.departed, pickup };
                self.auto.change_served(&serving);
                self.servings.push(serving);
            }
        }
        if self.servings.len() > kept {
            let mut served = open.iter().zip(&is_served).filter(|(_, is_served)| **is_served).peekable();
            // Both lists are in the order of trips.
            self.open.retain(|key| served.next_if(|((of, ..), _)| of == key).is_none());
        }
        kept
    }

    /// The first of a vehicle's open trips that a visit serves, and its pickup visits.
    fn first_served(
        &self,
        delivery: &Delivery<'_>,
        open: &[(TripKey, &Trip, FenceKey)],
        is_served: &[bool],
        since: Option<i64>,
        plans: &Plans,
        rules: &Rules,
    ) -> Option<(usize, Option<Pickup>)> {
        let arrived = delivery.arrived;
        let mut unobserved = None;
        for (at, (_, trip, fence)) in open.iter().enumerate() {
            if is_served[at] || *fence != delivery.fence || trip.is_ended_by_hand_at(arrived) {
                continue;
            }
            match self.pickup(trip, plans, rules, arrived, since) {
                Some(pickup) => {
                    let until = rules.no_arrival_at(trip, &pickup);
                    if rules.opens(trip) <= arrived && until.is_none_or(|until| arrived <= until) {
                        return Some((at, Some(pickup)));
                    }
                }
                None => {
                    let is_in_time =
                        trip.plan.schedule.departure.0 <= arrived && arrived <= rules.limit(trip);
                    if unobserved.is_none() && is_in_time {
                        unobserved = Some(at);
                    }
                }
            }
        }
        unobserved.map(|at| (at, None))
    }

    /// What has become of the trips that no visit served, in order, and the next instant, if any, that may make a
    /// difference to them.
    pub fn judge_open(
        &self,
        instant: i64,
        plans: &Plans,
        rules: &Rules,
        mut take: impl FnMut(TripKey, &Trip, Outcome),
    ) -> Option<i64> {
        let since = self.servings.last().map(|serving| serving.arrived);
        let mut has_current = false;
        let mut next: Option<i64> = None;
        for &key in &self.open {
            let Some(trip) = plans.get(key) else { continue };
            let pickup = self.pickup(trip, plans, rules, instant, since);
            let fails_at = match &pickup {
                Some(pickup) => rules.no_arrival_at(trip, pickup),
                None => Some(rules.limit(trip)),
            };
            let failed_at = fails_at.filter(|&at| instant > at);
            let outcome = match (trip.said.end, failed_at) {
                (Some((ended_at, _)), failed_at) if failed_at.is_none_or(|at| ended_at <= at) => {
                    Outcome::EndedByHand
                }
                (_, Some(at)) => Outcome::Failed { times: Times::of_pickup(pickup), at },
                _ if !has_current && rules.opens(trip) <= instant => {
                    has_current = true;
                    Outcome::Current { times: Times::of_pickup(pickup) }
                }
                _ => Outcome::Planned,
            };
            let pickup_fence = plans.fence_of(&trip.plan.pickup).map(|fence| fence.key);
            let arrives_next = pickup_fence.and_then(|fence| self.visits_to(fence, instant).next());
            let turns = [
                // A visit counts as soon as it is past.
                arrives_next.map(|(arrived, _)| arrived.saturating_add(1)),
                Some(rules.opens(trip)),
                Some(trip.plan.schedule.late_departure().0),
                trip.plan.schedule.arrival.map(|due| due.0.saturating_add(1)),
                fails_at.map(|at| at.saturating_add(1)),
            ];
            let turn = turns.into_iter().flatten().filter(|&at| at > instant).min();
            next = [next, turn].into_iter().flatten().min();
            take(key, trip, outcome);
        }
        next
    }
}

impl Serving {
    pub fn outcome(&self) -> Outcome {
        let Serving { arrived, departed, pickup, .. } = *self;
        let times = Times { arrival: Some(arrived), offload: departed, ..Times::of_pickup(pickup) };
        Outcome::Served { times, departure_unobserved: pickup.is_none() }
    }
}
