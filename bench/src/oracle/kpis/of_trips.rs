//! What became of trips in a window.

use std::sync::Arc;

use model::{KpiSliceKind, TimeMs, Window};

use super::{Facts, Tallies, all, holds};
use crate::oracle::trips::{AutoTrip, Course};

/// A departure so long after its schedule is still on time. An arrival has to be there.
const DEPARTURE_TOLERANCE_MS: i64 = 30 * 60_000;

/// All moments of a trip that are counted.
pub(super) fn moments(trip: &Course) -> impl Iterator<Item = TimeMs> {
    let (row, moments) = (&trip.row, &trip.moments);
    let of_row = [row.actual_departure, row.arrival, row.offload];
    let others = [moments.delayed, moments.completed, moments.failed, moments.cancelled];
    of_row.into_iter().chain(others).flatten()
}

/// When its vehicle was on it: from the departure on until it was over.
pub(super) fn on_trip(trip: &Course) -> Option<Window> {
    let start = trip.row.actual_departure?;
    let end = trip.moments.over().unwrap_or(TimeMs(i64::MAX));
    (start < end).then_some(Window { start, end })
}

/// When its vehicle was on a trip that nobody planned: from the departure to the offload.
pub(super) fn on_auto_trip(trip: &AutoTrip) -> Window {
    Window { start: trip.departure, end: trip.row.offload.unwrap_or(TimeMs(i64::MAX)) }
}

/// What is counted of trips that nobody planned: they have no client, and no schedule.
pub(super) fn count_auto(facts: &Facts<'_>, kind: KpiSliceKind, passed: Window, tallies: &mut Tallies) {
    for trip in &facts.auto_trips {
        let slice_at = |place: &Arc<str>| match kind {
            KpiSliceKind::Fleet => Some(all()),
            KpiSliceKind::Client => None,
            KpiSliceKind::Location => Some(place.clone()),
            KpiSliceKind::Truck => Some(trip.row.vehicle_id.clone()),
        };
        if let Some(id) = slice_at(&trip.pickup).filter(|_| holds(passed, trip.departure)) {
            tallies.entry(id).or_default().started += 1;
        }
        if let Some(offload) = trip.row.offload
            && let Some(id) = slice_at(&trip.delivery).filter(|_| holds(passed, offload))
        {
            let tally = tallies.entry(id).or_default();
            tally.completed += 1;
            tally.tats_s.extend(trip.row.tat_s);
        }
    }
}

pub(super) fn count(facts: &Facts<'_>, kind: KpiSliceKind, passed: Window, tallies: &mut Tallies) {
    let is_in = |moment: Option<TimeMs>| moment.filter(|&time| holds(passed, time));
    for trip in &facts.trips {
        let (plan, row, moments) = (&trip.plan, &trip.row, &trip.moments);
        if let Some(id) = slice_of(trip, kind, &plan.pickup)
            && let Some(departure) = is_in(row.actual_departure)
        {
            let tally = tallies.entry(id).or_default();
            tally.started += 1;
            tally.departures.add(departure <= plan.scheduled_departure.plus_ms(DEPARTURE_TOLERANCE_MS));
        }
        let Some(id) = slice_of(trip, kind, &plan.delivery) else { continue };
        let mut tally = tallies.remove(&id).unwrap_or_default();
        for (count, moment) in [
            (&mut tally.completed, moments.completed),
            (&mut tally.delayed, moments.delayed),
            (&mut tally.failed, moments.failed),
            (&mut tally.cancelled, moments.cancelled),
        ] {
            *count += i64::from(is_in(moment).is_some());
        }
        if let (Some(arrival), Some(scheduled)) = (is_in(row.arrival), plan.scheduled_arrival) {
            tally.arrivals.add(arrival <= scheduled);
        }
        if is_in(row.offload).is_some() {
            tally.tats_s.extend(row.tat_s);
        }
        tallies.insert(id, tally);
    }
}

/// The slice in which a trip counts at one of its places.
fn slice_of(trip: &Course, kind: KpiSliceKind, place: &Arc<str>) -> Option<Arc<str>> {
    match kind {
        KpiSliceKind::Fleet => Some(all()),
        KpiSliceKind::Client => trip.plan.client.clone(),
        KpiSliceKind::Location => Some(place.clone()),
        KpiSliceKind::Truck => Some(trip.plan.vehicle_id.clone()),
    }
}
