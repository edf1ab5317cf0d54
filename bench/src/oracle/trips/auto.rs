//! Trips of one vehicle that nobody planned: from a departure from a terminal to the next arrival at a client.
//!
//! ```text
//!   turns    at A    left A      at C     at D     left B   at B     at C
//!                      |<- trip ->|       none, C came first         none: it is at a terminal
//! ```

use std::sync::Arc;

use model::{AutoPlaces, LocationKind, TimeMs, TripPhase, TripRow, TripStatus, VisitRow};

use super::row::{Outcome, Times, thousandth, travelled_mm};
use super::{Admitted, Fix, Said, Trip};

/// A trip that nobody planned.
#[derive(Clone, Debug)]
pub(in crate::oracle) struct AutoTrip {
    pub row: TripRow,
    pub pickup: Arc<str>,
    pub delivery: Arc<str>,
    pub departure: TimeMs,
    pub arrival: TimeMs,
}

/// Where something begins or ends for a vehicle; of one time, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    LeftTerminal,
    AtClient,
    AtTerminal,
}

/// `visits` and `judged` are a vehicle's, and so are `good_fixes`, in event-time order.
pub(super) fn trips(
    visits: &[&VisitRow],
    judged: &[(&Trip<'_>, Outcome)],
    admitted: &Admitted,
    good_fixes: &[Fix],
) -> Vec<AutoTrip> {
    let mut turns: Vec<(TimeMs, Turn, &VisitRow, Arc<str>)> = Vec::new();
    for &visit in visits {
        match site(&admitted.said, &visit.fence_id) {
            Some((LocationKind::Terminal, location)) => {
                turns.push((visit.arrived, Turn::AtTerminal, visit, location.clone()));
                turns.extend(visit.departed.map(|left| (left, Turn::LeftTerminal, visit, location)));
            }
            Some((LocationKind::Client, location)) => {
                turns.push((visit.arrived, Turn::AtClient, visit, location));
            }
            _ => {}
        }
    }
    turns.sort_by_key(|(time, turn, visit, _)| (*time, *turn, visit.fence_id.clone()));
    let mut trips = Vec::new();
    for pair in turns.windows(2) {
        let [(departure, Turn::LeftTerminal, from, pickup), (arrival, Turn::AtClient, to, delivery)] = pair
        else {
            continue;
        };
        let is_in_time = *arrival <= departure.plus_ms(admitted.settings.no_arrival_ms);
        let is_planned = judged
            .iter()
            .any(|(trip, outcome)| has_pickup_visit(trip, outcome, from) || is_served_by(trip, outcome, to));
        if is_in_time && !is_planned {
            let (pickup, delivery) = (pickup.clone(), delivery.clone());
            let row = row(from, *departure, to, AutoPlaces { pickup, delivery }, good_fixes);
            let AutoPlaces { pickup, delivery } = row.auto.clone().expect("it has just been given some");
            trips.push(AutoTrip { row, pickup, delivery, departure: *departure, arrival: *arrival });
        }
    }
    trips
}

/// What stands for a fence: the first terminal there, else the first client.
fn site(said: &Said, fence_id: &str) -> Option<(LocationKind, Arc<str>)> {
    let at_fence = said.locations.iter().filter(|(_, (fence, _))| fence.as_deref() == Some(fence_id));
    let of_kind = |wanted: LocationKind| {
        let (id, _) = at_fence.clone().find(|(_, (_, kind))| *kind == Some(wanted))?;
        Some((wanted, Arc::from(id.as_str())))
    };
    of_kind(LocationKind::Terminal).or_else(|| of_kind(LocationKind::Client))
}

/// Whether a visit that is over is one to the pickup of a trip, and the trip shows it.
fn has_pickup_visit(trip: &Trip<'_>, outcome: &Outcome, visit: &VisitRow) -> bool {
    let (Outcome::Served { times, .. } | Outcome::Failed { times, .. } | Outcome::Current { times }) =
        outcome
    else {
        return false;
    };
    let Times { pickup_arrival: Some(first_arrived), actual_departure: last_departed, .. } = *times else {
        return false;
    };
    trip.pickup_fence.as_ref() == Some(&visit.fence_id)
        && visit.arrived >= first_arrived
        && last_departed.is_none_or(|last_departed| visit.departed <= Some(last_departed))
}

fn is_served_by(trip: &Trip<'_>, outcome: &Outcome, visit: &VisitRow) -> bool {
    let Outcome::Served { times, .. } = outcome else { return false };
    trip.delivery_fence.as_ref() == Some(&visit.fence_id) && times.arrival == Some(visit.arrived)
}

fn row(from: &VisitRow, departure: TimeMs, to: &VisitRow, places: AutoPlaces, good_fixes: &[Fix]) -> TripRow {
    let is_over = to.departed.is_some();
    TripRow {
        trip_id: format!("auto:{}:{}", from.vehicle_id, departure.0).into(),
        vehicle_id: from.vehicle_id.clone(),
        phase: if is_over { TripPhase::Done } else { TripPhase::AtDelivery },
        status: if is_over { TripStatus::Completed } else { TripStatus::Ongoing },
        status_by: TripRow::INFERRED.into(),
        pickup_arrival: Some(from.arrived),
        actual_departure: Some(departure),
        arrival: Some(to.arrived),
        offload: to.departed,
        tat_s: to.departed.map(|offload| thousandth(offload.0 - departure.0)),
        distance_m: Some(thousandth(travelled_mm(good_fixes, departure, to.arrived))),
        departure_unobserved: false,
        auto: Some(places),
    }
}
