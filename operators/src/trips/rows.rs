//! The row of a trip whose outcome is known.

use model::{TimeMs, TripPhase, TripStatus, half_even};

use super::control::{PersonKey, TripKey};
use super::detail::TripDetail;
use super::plans::{Said, Trip};
use super::vehicle::Pickup;
use crate::fences::{FenceKey, NEVER};
use crate::presence::VehicleKey;
use crate::rows::{Delta, Keyed};

/// A trip's row inside the graph. Times are ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
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

/// A trip's row, and what is counted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct TripOut {
    pub row: TripFacts,
    pub detail: TripDetail,
}

/// A trip that nobody planned, made of visits to a terminal and a client. Times are ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct AutoTrip {
    /// Who drove.
    pub vehicle: VehicleKey,
    /// When it left the terminal. With the vehicle it is the key.
    pub departure: i64,
    /// Which location the terminal is.
    pub pickup: FenceKey,
    /// Which location the client is.
    pub delivery: FenceKey,
    /// When it had come to the terminal.
    pub pickup_arrival: i64,
    /// When it came to the client.
    pub arrival: i64,
    /// When it left the client; `None`: it is still there.
    pub offload: Option<i64>,
    /// From departure to arrival.
    pub distance_m: i64,
}

impl AutoTrip {
    /// From departure to offload, seconds.
    #[must_use]
    pub fn tat_s(&self) -> Option<i64> {
        self.offload.map(|offload| half_even(offload - self.departure, 1000))
    }

    /// When its vehicle was on it; it ends at [`NEVER`] while that is at the client.
    pub(crate) fn on_trip(&self) -> (i64, i64) {
        (self.departure, self.offload.unwrap_or(NEVER))
    }
}

/// What comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::large_enum_variant, reason = "nearly all are of planned trips, and none is kept")]
pub enum Told {
    /// Of a trip that was planned.
    Planned(TripOut),
    /// Of one that was not.
    Auto(AutoTrip),
}

impl Keyed for AutoTrip {
    type Key = (VehicleKey, i64);

    fn key(&self) -> Self::Key {
        (self.vehicle, self.departure)
    }
}

impl Keyed for TripFacts {
    type Key = TripKey;

    fn key(&self) -> TripKey {
        self.trip
    }
}

/// When a trip did what, as far as it is known; ms.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[allow(missing_docs)]
pub struct Times {
    pub pickup_arrival: Option<i64>,
    pub actual_departure: Option<i64>,
    pub arrival: Option<i64>,
    pub offload: Option<i64>,
}

/// What has become of a trip.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(super) enum Outcome {
    Served {
        times: Times,
        departure_unobserved: bool,
    },
    EndedByHand,
    /// By itself.
    Failed {
        times: Times,
        at: i64,
    },
    Current {
        times: Times,
    },
    Planned,
}

impl Outcome {
    /// The pickup visits of a trip that no visit served, where its row shows them.
    pub(super) fn pickup_held(&self) -> Option<(i64, i64)> {
        match self {
            Outcome::Failed { times, .. } | Outcome::Current { times } => {
                Some((times.pickup_arrival?, times.actual_departure.unwrap_or(NEVER)))
            }
            Outcome::Served { .. } | Outcome::EndedByHand | Outcome::Planned => None,
        }
    }
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
    pub(crate) fn on_the_road(&self) -> Option<(i64, i64)> {
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
            Outcome::Failed { times, .. } | Outcome::Current { times } => (times, false),
            Outcome::EndedByHand | Outcome::Planned => (Times::default(), false),
        };
        let Said { end, hand, .. } = &trip.said;
        let (end, hand) = (*end, *hand);
        let times = end.map_or(times, |(ended_at, _)| times.not_after(ended_at));
        let phase = match (outcome, end) {
            (Outcome::Failed { .. }, _) | (_, Some((_, TripStatus::Failed))) => TripPhase::Failed,
            (_, Some((_, TripStatus::Cancelled))) => TripPhase::Cancelled,
            _ => times.phase(),
        };
        let inferred = || {
            let (has_departed, has_arrived) = (times.actual_departure.is_some(), times.arrival.is_some());
            trip.plan.schedule.status(phase, has_departed, has_arrived, TimeMs(instant))
        };
        let status = hand.map_or_else(inferred, |(status, _)| status);
        let tat_ms = times.actual_departure.zip(times.offload).map(|(from, to)| to - from);
        let road_mm = times.on_the_road().map(|(from, to)| travelled_mm(from, to));
        let facts = TripFacts {
            trip: key,
            vehicle: trip.plan.vehicle,
            phase,
            status,
            status_by: hand.map(|(_, by)| by),
            times,
            tat_s: tat_ms.map(|ms| half_even(ms, 1000)),
            distance_m: road_mm.map(|mm| half_even(mm, 1000)),
            departure_unobserved,
        };
        (facts, road_mm.unwrap_or(0))
    }
}
