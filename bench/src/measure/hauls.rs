//! Trips for a benchmark's fleet: each vehicle hauls something from where it stops to where it stops next.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Fence, GraphSettings, Record, TimeMs, TripEdit, TripPlan, VisitRow};
use pipeline::Computes;

use super::bare::{BareGraph, TICK};
use crate::simulate::FleetPosition;

const CLIENTS: usize = 20;
const HOUR_MS: i64 = 3_600_000;

/// A trip that is planned when its vehicle comes to the pickup.
pub(super) struct Haul {
    pub planned: TimeMs,
    pub record: Record,
}

/// The trips between the visits that these fixes make, by the time at which they are planned. Each vehicle has one at
/// any time, nearly.
pub(super) fn hauls(
    fences: &[Arc<Fence>],
    ids: &[Arc<str>],
    fixes: &[FleetPosition],
) -> anyhow::Result<Vec<Haul>> {
    let mut graph = BareGraph::start_for(Computes::Visits, GraphSettings::default(), 1)?;
    graph.keep_visits();
    fences.iter().for_each(|fence| graph.record(Record::FenceUpsert(fence.clone())));
    for chunk in fixes.chunks(TICK) {
        chunk.iter().for_each(|fix| graph.position(&ids[fix.vehicle as usize], fix.position));
        graph.end_tick()?;
    }
    graph.close_all()?;
    let begins = fixes.first().map_or(TimeMs(0), |fix| fix.position.event_time);
    let mut by_vehicle: BTreeMap<Arc<str>, Vec<VisitRow>> =
        ids.iter().map(|id| (id.clone(), Vec::new())).collect();
    for visit in graph.into_visits() {
        by_vehicle.entry(visit.vehicle_id.clone()).or_default().push(visit);
    }
    let mut hauls = Vec::new();
    for (number, (vehicle_id, visits)) in by_vehicle.iter_mut().enumerate() {
        visits.sort_by_key(|visit| visit.arrived);
        let mut stops = visits.iter().map(|visit| (visit.fence_id.clone(), visit.arrived));
        // Who stops nowhere is late all the time.
        let somewhere = || (fences[number % fences.len()].id.clone(), begins);
        let mut next = stops.next().or_else(|| Some(somewhere()));
        while let Some((pickup, planned)) = next {
            next = stops.find(|(place, _)| *place != pickup);
            let elsewhere = || fences[(number + 1) % fences.len()].id.clone();
            let delivery = next.as_ref().map_or_else(elsewhere, |(place, _)| place.clone());
            let plan = TripPlan {
                vehicle_id: vehicle_id.clone(),
                pickup,
                delivery,
                client: Some(format!("client {}", number % CLIENTS).into()),
                waypoints: Vec::new(),
                corridor: None,
                scheduled_departure: planned.plus_ms(HOUR_MS),
                scheduled_arrival: Some(planned.plus_ms(6 * HOUR_MS)),
            };
            hauls.push(Haul::of(plan, hauls.len(), planned));
        }
    }
    hauls.sort_by_key(|haul| haul.planned);
    Ok(hauls)
}

impl Haul {
    fn of(plan: TripPlan, number: usize, planned: TimeMs) -> Haul {
        let edit = TripEdit::Plan(plan.into());
        let record = Record::Trip { id: format!("haul {number}").into(), edit, json: "{}".to_owned() };
        Haul { planned, record }
    }
}
