//! Rows of alerts with the texts of their numbers.

use std::sync::Arc;

use model::{AlertDetails, AlertId, AlertRow, TimeMs};
use operators::alerts::{AlertFacts, Details, Subject};

use crate::names::Guards;

pub(crate) fn alert_row(facts: &AlertFacts, names: &Guards<'_>) -> AlertRow {
    let vehicle_id = &names.vehicles[facts.vehicle as usize];
    let fence_id = |key: u32| &names.fences[key as usize];
    let trip_id = |key: u32| &names.trips[key as usize];
    let text = |key: u32| names.texts[key as usize].clone();
    let started = TimeMs(facts.started);
    let of = |kind: &str, subject: &[&str]| (Arc::from(kind), AlertId::of(kind, subject, started));
    let (kind, alert_id) = match facts.subject {
        Subject::Vehicle(kind) => of(kind.as_str(), &[vehicle_id]),
        Subject::Fence(kind, fence) => of(kind.as_str(), &[vehicle_id, fence_id(fence)]),
        Subject::Delay(trip, which) => of("trip_delay", &[trip_id(trip), which.as_str()]),
        Subject::Deviation(trip) => of("route_deviation", &[trip_id(trip)]),
        Subject::Provider(kind, id) => {
            let kind = &names.kinds[kind as usize];
            let id = id.map_or("", |id| &*names.texts[id as usize]);
            (kind.clone(), AlertId::of(kind, &[vehicle_id, "provider", id], started))
        }
    };
    let provider_id = match facts.subject {
        Subject::Provider(_, id) => id.map(text),
        _ => None,
    };
    let details = match facts.details {
        Details::None => AlertDetails::None,
        Details::Overspeed { limit_milli, max_speed_dkmh } => {
            AlertDetails::Overspeed { limit_milli, max_speed_dkmh }
        }
        Details::Harsh { from_dkmh, to_dkmh } => AlertDetails::Harsh { from_dkmh, to_dkmh },
        Details::Delay(of) => AlertDetails::Delay(of),
        Details::Provider { received } => {
            AlertDetails::Provider { provider_id, received: received.map(text) }
        }
    };
    AlertRow {
        alert_id,
        kind,
        severity: facts.severity,
        vehicle_id: vehicle_id.clone(),
        fence_id: facts.fence.map(|key| fence_id(key).clone()),
        trip_id: facts.trip.map(|key| trip_id(key).clone()),
        started,
        due_at: TimeMs(facts.due_at),
        ended: facts.ended.map(TimeMs),
        details: details.to_json().into(),
    }
}
