//! The row of a trip whose outcome is known.

use model::{TripPhase, TripStatus};

use super::control::{PersonKey, TripKey};
use super::plans::{Said, Trip};
use super::vehicle::Pickup;
use crate::presence::VehicleKey;
use crate::rows::{Delta, Keyed};

const DELAYED_AFTER_MS: i64 = 2 * 3_600_000;

/// A trip's row inside the graph. Times are ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct TripFacts {
    pub trip: TripKey,
    pub vehicle: VehicleKey,
    pub phase: TripPhase,
    pub status: TripStatus,
    /// `None`: it is inferred.
    pub status_by: Option<PersonKey>,
    pub times: Times,
    pub tat_s: Option<i64>,
    pub distance_m: Option<i64>,
    pub departure_unobserved: bool,
}

/// A trip's row that came or went.
pub type TripDelta = Delta<TripFacts>;

impl Keyed for TripFacts {
    type Key = TripKey;

    fn key(&self) -> TripKey {
        self.trip
    }
}

/// When a trip did what, as far as it is known; ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub struct Times {
    pub pickup_arrival: Option<i64>,
    pub actual_departure: Option<i64>,
    pub arrival: Option<i64>,
    pub offload: Option<i64>,
}

/// What has become of a trip.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Served { times: Times, departure_unobserved: bool },
    EndedByHand,
    Failed { times: Times },
    Current { times: Times },
    Planned,
}

impl Times {
    pub(super) fn of_pickup(pickup: Option<Pickup>) -> Times {
        Times {
            pickup_arrival: pickup.map(|pickup| pickup.arrival),
            actual_departure: pickup.and_then(|pickup| pickup.departure),
            ..Times::default()
        }
    }

    fn not_after(self, end: i64) -> Times {
        let cut = |time: Option<i64>| time.filter(|&time| time <= end);
        Times {
            pickup_arrival: cut(self.pickup_arrival),
            actual_departure: cut(self.actual_departure),
            arrival: cut(self.arrival),
            offload: cut(self.offload),
        }
    }

    fn phase(&self) -> TripPhase {
        match self {
            Times { offload: Some(_), .. } => TripPhase::Done,
            Times { arrival: Some(_), .. } => TripPhase::AtDelivery,
            Times { actual_departure: Some(_), .. } => TripPhase::InTransit,
            Times { pickup_arrival: Some(_), .. } => TripPhase::AtPickup,
            _ => TripPhase::Planned,
        }
    }

    /// The time on the road that distance is summed over, when both of its ends are known.
    pub(super) fn on_the_road(&self) -> Option<(i64, i64)> {
        Some((self.actual_departure?, self.arrival?))
    }
}

impl TripFacts {
    /// The row, and how far it is from departure to arrival as `travelled_mm` tells it; 0 if that is not known.
    pub(super) fn of(
        key: TripKey,
        trip: &Trip,
        outcome: &Outcome,
        instant: i64,
        travelled_mm: impl FnOnce(i64, i64) -> i64,
    ) -> (TripFacts, i64) {
        let (times, departure_unobserved) = match *outcome {
            Outcome::Served { times, departure_unobserved } => (times, departure_unobserved),
            Outcome::Failed { times } | Outcome::Current { times } => (times, false),
            Outcome::EndedByHand | Outcome::Planned => (Times::default(), false),
        };
        let Said { end, hand, .. } = trip.said;
        let times = end.map_or(times, |(ended_at, _)| times.not_after(ended_at));
        let phase = match (outcome, end) {
            (Outcome::Failed { .. }, _) | (_, Some((_, TripStatus::Failed))) => TripPhase::Failed,
            (_, Some((_, TripStatus::Cancelled))) => TripPhase::Cancelled,
            _ => times.phase(),
        };
        let status = hand.map_or_else(|| inferred(trip, &times, phase, instant), |(status, _)| status);
        let tat_ms = times.actual_departure.zip(times.offload).map(|(from, to)| to - from);
        let road_mm = times.on_the_road().map(|(from, to)| travelled_mm(from, to));
        let facts = TripFacts {
            trip: key,
            vehicle: trip.plan.vehicle,
            phase,
            status,
            status_by: hand.map(|(_, by)| by),
            times,
            tat_s: tat_ms.map(thousandth),
            distance_m: road_mm.map(thousandth),
            departure_unobserved,
        };
        (facts, road_mm.unwrap_or(0))
    }
}

fn inferred(trip: &Trip, times: &Times, phase: TripPhase, instant: i64) -> TripStatus {
    let has_arrived = times.arrival.is_some();
    let has_departed = times.actual_departure.is_some() || has_arrived;
    let leaves_late = !has_departed && instant >= late_departure(trip);
    let arrives_late = !has_arrived && trip.plan.scheduled_arrival.is_some_and(|due| instant > due);
    match phase {
        TripPhase::Failed => TripStatus::Failed,
        TripPhase::Done => TripStatus::Completed,
        _ if leaves_late || arrives_late => TripStatus::Delayed,
        _ if has_departed => TripStatus::Ongoing,
        _ => TripStatus::Scheduled,
    }
}

/// Since when a trip is delayed that has not departed.
pub(super) fn late_departure(trip: &Trip) -> i64 {
    trip.plan.scheduled_departure.saturating_add(DELAYED_AFTER_MS)
}

/// Thousandths to whole ones, half to even.
fn thousandth(thousandths: i64) -> i64 {
    let (whole, rest) = (thousandths.div_euclid(1000), thousandths.rem_euclid(1000));
    let is_up = rest > 500 || (rest == 500 && whole % 2 != 0);
    whole + i64::from(is_up)
}

#[cfg(test)]
mod tests {
    use super::thousandth;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (thousandths, whole) in
            [(499, 0), (500, 0), (501, 1), (1500, 2), (2500, 2), (-500, 0), (-1500, -2)]
        {
            assert_eq!(thousandth(thousandths), whole, "{thousandths}");
        }
    }
}
