//! What is counted of a trip, in hindsight, and what alerts are made of.
//!
//! ```text
//!   status shown   scheduled | delayed        | ongoing  | delayed     | completed
//!   ---------------|---------|----------------|----------|-------------|-----------
//!                            S + 2 h          departure  scheduled     offload
//!                            became delayed,             arrival
//!                            once
//! ```

use model::{TripPhase, TripStatus};

use super::control::{ClientKey, TripKey};
use super::plans::{Plans, Trip};
use super::rows::{Outcome, Times, TripFacts};
use super::vehicle::Rules;
use crate::fences::{FenceKey, NEVER};
use crate::presence::VehicleKey;

/// A departure so long after its schedule is still on time. An arrival has to be there.
const DEPARTURE_TOLERANCE_MS: i64 = 30 * 60_000;

/// When a trip became what; ms.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct Moments {
    /// When it first showed that it is delayed; it may be ahead of the instant.
    pub delayed: Option<i64>,
    /// The offload, else when somebody said that it is completed.
    pub completed: Option<i64>,
    /// By itself, or by hand.
    pub failed: Option<i64>,
    /// By hand.
    pub cancelled: Option<i64>,
}

/// What is counted of a trip, and what alerts about it are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct TripDetail {
    /// Which.
    pub trip: TripKey,
    /// Who drives.
    pub vehicle: VehicleKey,
    /// Whose load it is.
    pub client: Option<ClientKey>,
    /// As its plan names it.
    pub pickup: FenceKey,
    /// As its plan names it.
    pub delivery: FenceKey,
    /// Those of its row.
    pub times: Times,
    /// That of its row.
    pub tat_s: Option<i64>,
    /// Whether it departed no later than half an hour after its schedule.
    pub is_departure_on_time: bool,
    /// Whether it arrived by its schedule, where it has one and arrived.
    pub is_arrival_on_time: Option<bool>,
    /// When it became what.
    pub moments: Moments,
    /// When it is to leave its pickup.
    pub scheduled_departure: i64,
    /// When it is to be at its delivery.
    pub scheduled_arrival: Option<i64>,
    /// No earlier departure counts.
    pub opens: i64,
    /// That of its pickup, where that is anywhere.
    pub pickup_fence: Option<FenceKey>,
    /// That of its delivery, where that is anywhere.
    pub delivery_fence: Option<FenceKey>,
    /// The fence that it is to stay inside of on its way.
    pub corridor: Option<FenceKey>,
    /// When somebody ended it, served or not.
    pub ended_by_hand_at: Option<i64>,
    /// When it failed, if it did so by itself.
    pub failed_by_itself_at: Option<i64>,
}

impl TripDetail {
    pub(super) fn of(
        row: &TripFacts,
        trip: &Trip,
        outcome: &Outcome,
        plans: &Plans,
        rules: &Rules,
    ) -> TripDetail {
        let plan = &trip.plan;
        let fence_of = |place| plans.fence_of(place).map(|fence| fence.key);
        let failed_by_itself_at = match *outcome {
            Outcome::Failed { at, .. } => Some(at),
            _ => None,
        };
        let times = row.times;
        let on_time_until = plan.schedule.departure.0.saturating_add(DEPARTURE_TOLERANCE_MS);
        TripDetail {
            trip: row.trip,
            vehicle: row.vehicle,
            client: plan.client,
            pickup: plan.pickup.key,
            delivery: plan.delivery.key,
            times,
            tat_s: row.tat_s,
            is_departure_on_time: times.actual_departure.is_some_and(|departure| departure <= on_time_until),
            is_arrival_on_time: times
                .arrival
                .zip(plan.schedule.arrival)
                .map(|(at, scheduled)| at <= scheduled.0),
            moments: moments(row, trip, failed_by_itself_at),
            scheduled_departure: plan.schedule.departure.0,
            scheduled_arrival: plan.schedule.arrival.map(|due| due.0),
            opens: rules.opens(trip),
            pickup_fence: fence_of(&plan.pickup),
            delivery_fence: fence_of(&plan.delivery),
            corridor: plan.corridor,
            ended_by_hand_at: trip.said.end.map(|(at, _)| at),
            failed_by_itself_at,
        }
    }

    /// When its vehicle was on it: from the departure on until it was over, [`NEVER`] where it is not.
    pub(crate) fn on_trip(&self) -> Option<(i64, i64)> {
        let from = self.times.actual_departure?;
        let Moments { completed, failed, cancelled, .. } = self.moments;
        let until = [completed, failed, cancelled].into_iter().flatten().min().unwrap_or(NEVER);
        (from < until).then_some((from, until))
    }
}

fn moments(row: &TripFacts, trip: &Trip, by_itself: Option<i64>) -> Moments {
    let by_hand = |ending: TripStatus| trip.said.end.filter(|(_, end)| *end == ending).map(|(at, _)| at);
    let completed_by_hand = by_hand(TripStatus::Completed).filter(|_| row.phase != TripPhase::Failed);
    Moments {
        delayed: delayed(row, trip, by_itself),
        completed: row.times.offload.or(completed_by_hand),
        failed: by_itself.or(by_hand(TripStatus::Failed)),
        cancelled: by_hand(TripStatus::Cancelled).filter(|_| row.phase == TripPhase::Cancelled),
    }
}

/// The first time at which the status that people see is `delayed`.
fn delayed(row: &TripFacts, trip: &Trip, failed: Option<i64>) -> Option<i64> {
    let leaves_late_from = trip.plan.schedule.late_departure().0;
    let arrives_late_from = trip.plan.schedule.arrival.map(|due| due.0);
    let is_by = |moment: Option<i64>, time: i64| moment.is_some_and(|moment| moment <= time);
    let inferred = |time: i64| {
        let has_arrived = is_by(row.times.arrival, time);
        let has_departed = is_by(row.times.actual_departure, time) || has_arrived;
        let is_late =
            (!has_departed && leaves_late_from <= time) || (!has_arrived && is_by(arrives_late_from, time));
        is_late && !is_by(failed, time)
    };
    let shown = |time: &i64| {
        let set = trip.said.set.iter().rfind(|(at, _)| at <= time).and_then(|(_, status)| *status);
        set.map_or_else(|| inferred(*time), |status| status == TripStatus::Delayed)
    };
    let set_at = trip.said.set.iter().map(|(at, _)| *at);
    set_at.chain(arrives_late_from).chain([leaves_late_from]).filter(shown).min()
}
