//! What is true of a truck's trips at the end, by construction: which visits are its loading and its
//! unloading, the truck's life says.

use std::sync::Arc;

use model::{TimeMs, TripPhase, TripRow, TripStatus, VisitRow, geodesic_m};

use super::super::life::{TruckLife, local_day};
use super::super::truth::Observation;
use super::super::world::World;
use super::{Act, Fate, HOUR_MS, Planning, SimTrip, covers, of_day};

/// Not to have left so long after the schedule is a delay.
const DELAYED_AFTER_MS: i64 = 2 * HOUR_MS;

/// All trips of a truck whose records have come by the end of the period, in the order of their schedules.
#[must_use]
pub(crate) fn trips_of(world: &World, planning: &Planning, truck: u32, end: TimeMs) -> Vec<SimTrip> {
    // Tomorrow's trips are planned in the evening.
    let days = local_day(planning.from)..=local_day(end) + 1;
    let mut trips: Vec<SimTrip> = days.flat_map(|day| of_day(world, planning, truck, day)).collect();
    trips.sort_by(|a, b| (a.plan.scheduled_departure, &a.id).cmp(&(b.plan.scheduled_departure, &b.id)));
    trips
}

/// What became of a trip.
#[derive(Clone, Debug)]
pub(crate) struct Outcome<'a> {
    pub trip: &'a SimTrip,
    pub row: TripRow,
    /// The end that somebody set, and as what.
    pub ended_by_hand: Option<(TimeMs, TripStatus)>,
    /// Nobody came to the pickup until then.
    pub failed_at: Option<TimeMs>,
}

/// What became of a truck's trips, which are in the order of their schedules. `visits` are all of its visits.
#[must_use]
pub(crate) fn of_truck<'a>(
    world: &World,
    name: &Arc<str>,
    trips: &'a [SimTrip],
    visits: &[VisitRow],
    seen: &Observation,
) -> Vec<Outcome<'a>> {
    let mut has_current = false;
    let outcome = |trip: &'a SimTrip| {
        let hand = ByHand::of(trip, seen);
        let mut times = Times::of(world, trip, visits);
        let is_served = times.arrival.is_some_and(|arrival| hand.end.is_none_or(|end| end.0 > arrival));
        let has_failed =
            !is_served && hand.end.is_none() && times.pickup_arrival.is_none() && seen.instant > trip.limit();
        if !is_served {
            // What the truck does now belongs to the first trip that may be under way.
            let may_be_current = hand.end.is_none() && !has_failed && trip.opens() <= seen.instant;
            if has_current || !may_be_current {
                times = Times::default();
            }
            has_current |= may_be_current;
        }
        if let Some((ended_at, _)) = hand.end {
            times = times.until(ended_at);
        }
        let phase = match hand.end {
            _ if has_failed => TripPhase::Failed,
            Some((_, TripStatus::Failed)) => TripPhase::Failed,
            Some((_, TripStatus::Cancelled)) => TripPhase::Cancelled,
            _ => times.phase(),
        };
        let (departure, arrival) = (times.actual_departure, times.arrival);
        let row = TripRow {
            trip_id: trip.id.clone(),
            vehicle_id: name.clone(),
            phase,
            status: hand.status.unwrap_or_else(|| times.status(trip, phase, seen.instant)),
            status_by: hand.status.map_or(TripRow::INFERRED, |_| trip.by).into(),
            pickup_arrival: times.pickup_arrival,
            actual_departure: departure,
            arrival,
            offload: times.offload,
            tat_s: departure.zip(times.offload).map(|(from, to)| thousandth(to.0 - from.0)),
            distance_m: departure
                .zip(arrival)
                .map(|(from, to)| thousandth(travelled_mm(world, trip.truck, (from, to), seen.noise))),
            departure_unobserved: is_served && matches!(trip.fate, Fate::PickupUnseen { .. }),
            auto: None,
        };
        Outcome { trip, row, ended_by_hand: hand.end, failed_at: has_failed.then(|| trip.limit()) }
    };
    trips.iter().map(outcome).collect()
}

/// What people have set.
struct ByHand {
    /// The first of the ends that nothing undid: when, and as what.
    end: Option<(TimeMs, TripStatus)>,
    /// The last status, unless it was taken back.
    status: Option<TripStatus>,
}

impl ByHand {
    fn of(trip: &SimTrip, seen: &Observation) -> ByHand {
        let mut hand = ByHand { end: None, status: None };
        for &(at, act) in trip.acts.iter().filter(|act| act.0 <= seen.to) {
            // What was done before the beginning is told at the beginning, and dated so.
            let at = at.max(seen.from);
            hand.status = match act {
                Act::Plan(_) => continue,
                Act::Cancel => Some(TripStatus::Cancelled),
                Act::SetStatus(status) => status,
            };
            let ending = hand.status.filter(|status| {
                matches!(status, TripStatus::Cancelled | TripStatus::Completed | TripStatus::Failed)
            });
            hand.end = ending.map(|status| hand.end.unwrap_or((at, status)));
        }
        hand
    }
}

/// When a trip did what.
#[derive(Clone, Copy, Default)]
struct Times {
    pickup_arrival: Option<TimeMs>,
    actual_departure: Option<TimeMs>,
    arrival: Option<TimeMs>,
    offload: Option<TimeMs>,
}

impl Times {
    /// The visits at the moments at which the truck leaves the one place and stops at the other.
    fn of(world: &World, trip: &SimTrip, visits: &[VisitRow]) -> Times {
        let Some((pickup, delivery)) = trip.fences(world) else {
            return Times::default();
        };
        let visit_at = |fence: u32, time: TimeMs| {
            let id = &world.fences[fence as usize].label.id;
            visits.iter().find(|visit| visit.fence_id == *id && covers(visit, time))
        };
        let (loading, unloading) = match trip.fate {
            Fate::Driven { leave, unloading } => (visit_at(pickup, leave), visit_at(delivery, unloading)),
            Fate::PickupUnseen { unloading } => (None, visit_at(delivery, unloading)),
            Fate::NotDriven => (None, None),
        };
        Times {
            pickup_arrival: loading.map(|visit| visit.arrived),
            actual_departure: loading.and_then(|visit| visit.departed),
            arrival: unloading.map(|visit| visit.arrived),
            offload: unloading.and_then(|visit| visit.departed),
        }
    }

    fn until(self, end: TimeMs) -> Times {
        let cut = |time: Option<TimeMs>| time.filter(|&time| time <= end);
        Times {
            pickup_arrival: cut(self.pickup_arrival),
            actual_departure: cut(self.actual_departure),
            arrival: cut(self.arrival),
            offload: cut(self.offload),
        }
    }

    fn phase(&self) -> TripPhase {
        if self.offload.is_some() {
            TripPhase::Done
        } else if self.arrival.is_some() {
            TripPhase::AtDelivery
        } else if self.actual_departure.is_some() {
            TripPhase::InTransit
        } else if self.pickup_arrival.is_some() {
            TripPhase::AtPickup
        } else {
            TripPhase::Planned
        }
    }

    /// As it follows from the evidence.
    fn status(&self, trip: &SimTrip, phase: TripPhase, instant: TimeMs) -> TripStatus {
        let has_left = self.actual_departure.is_some() || self.arrival.is_some();
        let plan = &trip.plan;
        let is_late = (!has_left && instant >= plan.scheduled_departure.plus_ms(DELAYED_AFTER_MS))
            || (self.arrival.is_none() && plan.scheduled_arrival.is_some_and(|due| instant > due));
        match phase {
            TripPhase::Failed => TripStatus::Failed,
            TripPhase::Done => TripStatus::Completed,
            _ if is_late => TripStatus::Delayed,
            _ if has_left => TripStatus::Ongoing,
            _ => TripStatus::Scheduled,
        }
    }
}

/// What the fixes of a period, both its ends included, say a truck drove.
fn travelled_mm(world: &World, truck: u32, (from, to): (TimeMs, TimeMs), noise: bool) -> i64 {
    let mut life = TruckLife::starting(world, truck, from);
    let mut travelled_mm = 0;
    let mut before = None;
    while let Some(sample) = life.next_before(world, to.plus_ms(1)) {
        let Some((fix, _)) = sample.observe(world, noise) else {
            continue;
        };
        let at = if noise { sample.at.coord() } else { fix.at };
        if let Some(before) = before.replace(at) {
            travelled_mm += (geodesic_m(before, at) * 1000.0).round() as i64;
        }
    }
    travelled_mm
}

/// Thousandths to whole ones, half to even.
pub(crate) fn thousandth(thousandths: i64) -> i64 {
    (thousandths as f64 / 1000.0).round_ties_even() as i64
}
