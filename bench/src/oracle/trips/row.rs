//! The row of a trip whose outcome is known.

use model::{TimeMs, TripPhase, TripRow, TripStatus, geodesic_m};

use super::{Pickup, Trip};
use crate::oracle::admission::Fix;

pub(super) const DELAYED_AFTER_MS: i64 = 2 * 3_600_000;

/// What has become of a trip.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Served {
        times: Times,
        departure_unobserved: bool,
    },
    EndedByHand,
    /// By itself.
    Failed {
        times: Times,
        at: TimeMs,
    },
    Current {
        times: Times,
    },
    Planned,
}

/// When a trip did what, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub pickup_arrival: Option<TimeMs>,
    pub actual_departure: Option<TimeMs>,
    pub arrival: Option<TimeMs>,
    pub offload: Option<TimeMs>,
}

impl Times {
    pub fn of_pickup(pickup: Option<Pickup>) -> Times {
        Times {
            pickup_arrival: pickup.map(|pickup| pickup.arrival),
            actual_departure: pickup.and_then(|pickup| pickup.departure),
            ..Times::default()
        }
    }

    fn not_after(self, end: TimeMs) -> Times {
        let cut = |time: Option<TimeMs>| time.filter(|&time| time <= end);
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
}

/// `good_fixes` are those of the trip's vehicle, in event-time order.
pub(super) fn row(trip: &Trip<'_>, outcome: &Outcome, instant: TimeMs, good_fixes: &[Fix]) -> TripRow {
    let (times, departure_unobserved) = match *outcome {
        Outcome::Served { times, departure_unobserved } => (times, departure_unobserved),
        Outcome::Failed { times, .. } | Outcome::Current { times } => (times, false),
        Outcome::EndedByHand | Outcome::Planned => (Times::default(), false),
    };
    let times = trip.end.map_or(times, |(ended_at, _)| times.not_after(ended_at));
    let phase = match (outcome, trip.end) {
        (Outcome::Failed { .. }, _) | (_, Some((_, TripStatus::Failed))) => TripPhase::Failed,
        (_, Some((_, TripStatus::Cancelled))) => TripPhase::Cancelled,
        _ => times.phase(),
    };
    let (status, status_by) = match &trip.hand {
        Some((status, by)) => (*status, by.clone()),
        None => (inferred(trip, &times, phase, instant), TripRow::INFERRED.into()),
    };
    let span = |from: Option<TimeMs>, to: Option<TimeMs>| Some((from?, to?));
    TripRow {
        trip_id: trip.id.into(),
        vehicle_id: trip.plan.vehicle_id.clone(),
        phase,
        status,
        status_by,
        pickup_arrival: times.pickup_arrival,
        actual_departure: times.actual_departure,
        arrival: times.arrival,
        offload: times.offload,
        tat_s: span(times.actual_departure, times.offload).map(|(from, to)| thousandth(to.0 - from.0)),
        distance_m: span(times.actual_departure, times.arrival)
            .map(|(from, to)| thousandth(travelled_mm(good_fixes, from, to))),
        departure_unobserved,
        auto: None,
    }
}

fn inferred(trip: &Trip<'_>, times: &Times, phase: TripPhase, instant: TimeMs) -> TripStatus {
    let has_arrived = times.arrival.is_some();
    let has_departed = times.actual_departure.is_some() || has_arrived;
    let leaves_late = !has_departed && instant >= trip.plan.scheduled_departure.plus_ms(DELAYED_AFTER_MS);
    let arrives_late = !has_arrived && trip.plan.scheduled_arrival.is_some_and(|due| instant > due);
    match phase {
        TripPhase::Failed => TripStatus::Failed,
        TripPhase::Done => TripStatus::Completed,
        _ if leaves_late || arrives_late => TripStatus::Delayed,
        _ if has_departed => TripStatus::Ongoing,
        _ => TripStatus::Scheduled,
    }
}

/// The legs between consecutive fixes of a period, both its ends included, each rounded to a millimetre.
pub(super) fn travelled_mm(good_fixes: &[Fix], from: TimeMs, to: TimeMs) -> i64 {
    let of_period: Vec<&Fix> = good_fixes.iter().filter(|fix| from <= fix.time && fix.time <= to).collect();
    of_period.windows(2).map(|leg| (geodesic_m(leg[0].at, leg[1].at) * 1000.0).round() as i64).sum()
}

/// Thousandths to whole ones, half to even.
pub(super) fn thousandth(thousandths: i64) -> i64 {
    let (whole, rest) = (thousandths.div_euclid(1000), thousandths.rem_euclid(1000));
    let is_up = rest > 500 || (rest == 500 && whole % 2 != 0);
    whole + i64::from(is_up)
}

#[cfg(test)]
mod tests {
    use super::thousandth;

    #[test]
    fn halves_go_to_the_even_neighbour() {
        let rounded = [(499, 0), (500, 0), (501, 1), (1499, 1), (1500, 2), (2500, 2), (-500, 0), (-1500, -2)];
        for (thousandths, expected) in rounded {
            assert_eq!(thousandth(thousandths), expected, "{thousandths}");
        }
    }
}
