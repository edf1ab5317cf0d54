//! What trucks did in a window: how far and how long they drove, and how long they were on trips.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{KpiSliceKind, Window};

use super::legs::{Doing, legs, overlap_ms};
use super::tally::Tally;
use super::{Facts, Tallies, all, holds, of_trips};

pub(super) fn count(facts: &Facts<'_>, kind: KpiSliceKind, passed: Window, tallies: &mut Tallies) {
    for vehicle_id in vehicle_ids(facts) {
        let id: Arc<str> = match kind {
            KpiSliceKind::Fleet => all(),
            KpiSliceKind::Truck => vehicle_id.into(),
            KpiSliceKind::Client | KpiSliceKind::Location => return,
        };
        let tally = tallies.entry(id).or_default();
        count_legs(facts, vehicle_id, passed, tally);
        count_trips(facts, vehicle_id, passed, tally);
    }
}

/// All vehicles that there are.
pub(super) fn vehicle_ids<'a>(facts: &'a Facts<'_>) -> BTreeSet<&'a str> {
    facts.good_fixes.keys().copied().chain(facts.admitted.vehicles.ids()).collect()
}

fn count_legs(facts: &Facts<'_>, vehicle_id: &str, passed: Window, tally: &mut Tally) {
    let Some(good_fixes) = facts.good_fixes.get(vehicle_id) else { return };
    tally.good_fixes += good_fixes.iter().filter(|fix| holds(passed, fix.time)).count() as i64;
    for leg in legs(good_fixes) {
        if holds(passed, leg.time.end) {
            tally.legs_ended += 1;
            tally.distance_mm += leg.length_mm;
        }
        let sum_ms = match leg.doing {
            Doing::Moving => &mut tally.moving_ms,
            Doing::Idle => &mut tally.idle_ms,
            Doing::Stopped => &mut tally.stopped_ms,
            Doing::Offline => &mut tally.offline_ms,
        };
        *sum_ms += overlap_ms(leg.time, passed);
    }
}

/// Time in which it could drive, and in which it was on a trip besides.
fn count_trips(facts: &Facts<'_>, vehicle_id: &str, passed: Window, tally: &mut Tally) {
    let of_it = facts.trips.iter().filter(|trip| *trip.plan.vehicle_id == *vehicle_id);
    let auto = facts.auto_trips.iter().filter(|trip| *trip.row.vehicle_id == *vehicle_id);
    let on_trips = of_it.filter_map(of_trips::on_trip).chain(auto.map(of_trips::on_auto_trip));
    let on_trips = joined(on_trips.collect());
    let first_fix = facts.good_fixes.get(vehicle_id).map(|fixes| fixes[0].time);
    for period in facts.admitted.vehicles.periods(vehicle_id, first_fix) {
        if period.is_operational {
            let operational =
                Window { start: period.from.max(passed.start), end: period.until.min(passed.end) };
            tally.operational_ms += overlap_ms(operational, passed);
            tally.on_trip_ms += on_trips.iter().map(|on_trip| overlap_ms(*on_trip, operational)).sum::<i64>();
        }
    }
}

/// What overlaps becomes one: on two trips at a time, a truck is busy once.
fn joined(mut times: Vec<Window>) -> Vec<Window> {
    times.sort_unstable();
    let mut joined: Vec<Window> = Vec::new();
    for time in times {
        match joined.last_mut() {
            Some(last) if time.start <= last.end => last.end = last.end.max(time.end),
            _ => joined.push(time),
        }
    }
    joined
}
