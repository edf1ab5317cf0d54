//! What of a truck is worth telling, by construction: how its driver drove, where its device was silent, and what
//! became of its trips.
//!
//! The rules are the product's defaults, which no simulated record changes. A trip's fences are never edited, and
//! no fence tells of everybody. So alerts here are those of [semantics](../../../docs/semantics.md#alerts) without
//! corridors, which trips are not planned with, and without the provider's.

use std::sync::Arc;

use model::{AlertDetails, AlertId, AlertKind, AlertRow, DelayOf, Severity, TimeMs};

use super::life::Fix;
use super::trips::Outcome;
use super::truth::{Observation, Stay, TruckTruth};
use super::world::World;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const SPEED_LIMIT_KMH: u16 = 60;
const OVERSPEED_MS: i64 = 30_000;
const STANDS_BELOW_KMH: u16 = 5;
const IDLE_MS: i64 = 20 * MINUTE_MS;
const SILENT_ON_TRIP_MS: i64 = 15 * MINUTE_MS;
const SILENT_MS: i64 = 2 * HOUR_MS;
const HARSH_WITHIN_MS: i64 = 5_000;
const BRAKING_M_S2: f64 = 8.0;
const ACCELERATION_M_S2: f64 = 7.0;
const LATE_DEPARTURE_MS: i64 = 2 * HOUR_MS;
const CRITICAL_MS: i64 = 4 * HOUR_MS;

/// What there is to know of a truck.
pub(super) struct Known<'a> {
    pub world: &'a World,
    pub name: &'a Arc<str>,
    pub truth: &'a TruckTruth,
    /// In the order of their schedules.
    pub trips: &'a [Outcome<'a>],
    pub seen: &'a Observation,
}

/// `[started, ended)`, and how long it takes until it is worth telling.
struct Times {
    started: TimeMs,
    told_after_ms: i64,
    ended: Option<TimeMs>,
}

impl Known<'_> {
    /// All alerts of the truck.
    pub(super) fn alerts(&self) -> Vec<AlertRow> {
        let mut rows = self.driving();
        rows.extend(self.silences());
        rows.extend(self.harsh(AlertKind::HarshBraking, BRAKING_M_S2, -1));
        rows.extend(self.harsh(AlertKind::HarshAcceleration, ACCELERATION_M_S2, 1));
        rows.extend(self.trips.iter().flat_map(|trip| self.delays(trip)));
        for (number, stay) in self.truth.stays.iter().enumerate() {
            let next = self.truth.stays.get(number + 1).filter(|next| next.fence == stay.fence);
            rows.extend(self.at_fence(stay, next.map(|next| next.arrived)));
        }
        rows
    }

    fn alert(&self, kind: AlertKind, times: &Times) -> AlertRow {
        AlertRow {
            alert_id: AlertId::of(kind.as_str(), &[self.name], times.started),
            kind: kind.as_str().into(),
            severity: Severity::Warning,
            vehicle_id: self.name.clone(),
            fence_id: None,
            trip_id: None,
            started: times.started,
            due_at: times.started.plus_ms(times.told_after_ms),
            ended: times.ended,
            details: AlertDetails::None.to_json().into(),
        }
    }

    /// Whether something lasted until it is worth telling.
    fn is_told(&self, times: &Times) -> bool {
        times.ended.unwrap_or(self.seen.instant).0 - times.started.0 >= times.told_after_ms
    }

    /// Spells in which the driver was too fast, or stood with the engine on.
    fn driving(&self) -> Vec<AlertRow> {
        let is_fast = |fix: &Fix| fix.speed_tenths > SPEED_LIMIT_KMH * 10;
        let stands_running = |fix: &Fix| fix.ignition && fix.speed_tenths < STANDS_BELOW_KMH * 10;
        let mut rows = Vec::new();
        for (spell, ended) in spells(&self.truth.fixes, is_fast) {
            let times = Times { started: spell[0].time, told_after_ms: OVERSPEED_MS, ended };
            let max_speed_dkmh = spell.iter().map(|fix| fix.speed_tenths).max().unwrap_or_default();
            let limit_milli = i64::from(SPEED_LIMIT_KMH) * 1000;
            let details = AlertDetails::Overspeed { limit_milli, max_speed_dkmh }.to_json().into();
            let row = AlertRow { details, ..self.alert(AlertKind::Overspeed, &times) };
            rows.extend(self.is_told(&times).then_some(row));
        }
        for (spell, ended) in spells(&self.truth.fixes, stands_running) {
            let times = Times { started: spell[0].time, told_after_ms: IDLE_MS, ended };
            rows.extend(self.is_told(&times).then(|| self.alert(AlertKind::Idle, &times)));
        }
        rows
    }

    /// Where the device reported nothing for long, or nothing more.
    fn silences(&self) -> Vec<AlertRow> {
        let fixes = &self.truth.fixes;
        let after = |(number, fix): (usize, &Fix)| {
            let trip = self.trips.iter().find(|trip| is_driven_at(trip, fix.time));
            let told_after_ms = if trip.is_some() { SILENT_ON_TRIP_MS } else { SILENT_MS };
            let ended = fixes.get(number + 1).map(|next| next.time);
            let times = Times { started: fix.time, told_after_ms, ended };
            let trip_id = trip.map(|trip| trip.trip.id.clone());
            let row = || AlertRow { trip_id, ..self.alert(AlertKind::DeviceOffline, &times) };
            self.is_told(&times).then(row)
        };
        fixes.iter().enumerate().filter_map(after).collect()
    }

    /// Spells of changes of speed within seconds; `sign` is that of the change.
    fn harsh(&self, kind: AlertKind, threshold_m_s2: f64, sign: i32) -> Vec<AlertRow> {
        let is_harsh = |from: &Fix, to: &Fix| {
            let elapsed_ms = to.time.0 - from.time.0;
            // Tenths of km/h in ms; 36 tenths of km/h are a metre a second.
            let change = sign * (i32::from(to.speed_tenths) - i32::from(from.speed_tenths));
            let m_s2 = f64::from(change) / 36.0 * 1000.0 / elapsed_ms as f64;
            elapsed_ms <= HARSH_WITHIN_MS && m_s2 >= threshold_m_s2
        };
        let mut rows = Vec::new();
        let mut before: Option<&Fix> = None;
        let mut spell: Option<(&Fix, &Fix, &Fix)> = None;
        let ends = self.truth.fixes.iter().map(Some).chain([None]);
        for fix in ends {
            let shows = before.zip(fix).is_some_and(|(from, to)| is_harsh(from, to));
            spell = match (spell, before.zip(fix)) {
                (None, Some((from, to))) if shows => Some((from, to, to)),
                (Some((from, first, _)), Some((_, to))) if shows => Some((from, first, to)),
                (open, _) => {
                    rows.extend(open.map(|(from, first, last)| {
                        let (from_dkmh, to_dkmh) = (from.speed_tenths, last.speed_tenths);
                        let details = AlertDetails::Harsh { from_dkmh, to_dkmh }.to_json().into();
                        let times = Times { started: first.time, told_after_ms: 0, ended: Some(last.time) };
                        AlertRow { details, ..self.alert(kind, &times) }
                    }));
                    None
                }
            };
            before = fix;
        }
        rows
    }

    /// A trip that left late, or arrived late. What somebody ended before it arrived was never late.
    fn delays(&self, trip: &Outcome<'_>) -> Vec<AlertRow> {
        let row = &trip.row;
        if trip.ended_by_hand.is_some() && row.arrival.is_none() {
            return Vec::new();
        }
        let plan = &trip.trip.plan;
        let departed = row.actual_departure.or(row.arrival);
        let of_departure =
            self.delay(trip, DelayOf::Departure, (plan.scheduled_departure, LATE_DEPARTURE_MS), departed);
        let of_arrival = plan.scheduled_arrival.and_then(|due| {
            let until = row.arrival.or(trip.failed_at).unwrap_or(self.seen.instant);
            (until > due).then(|| self.delay(trip, DelayOf::Arrival, (due, 0), row.arrival)).flatten()
        });
        of_departure.into_iter().chain(of_arrival).collect()
    }

    /// `happened`: what ended the delay, unless the trip failed.
    fn delay(
        &self,
        trip: &Outcome<'_>,
        of: DelayOf,
        (due, told_after_ms): (TimeMs, i64),
        happened: Option<TimeMs>,
    ) -> Option<AlertRow> {
        // At the moment at which it happens it is late no more; at that of the failure it still is.
        let is_late_at = |time: TimeMs| match happened {
            Some(at) => time < at,
            None => time <= trip.failed_at.unwrap_or(self.seen.instant),
        };
        let times = Times { started: due, told_after_ms, ended: happened.or(trip.failed_at) };
        let is_critical = is_late_at(due.plus_ms(CRITICAL_MS));
        is_late_at(due.plus_ms(told_after_ms)).then(|| AlertRow {
            alert_id: AlertId::of(AlertKind::TripDelay.as_str(), &[&trip.trip.id, of.as_str()], due),
            severity: if is_critical { Severity::Critical } else { Severity::Warning },
            trip_id: Some(trip.trip.id.clone()),
            details: AlertDetails::Delay(of).to_json().into(),
            ..self.alert(AlertKind::TripDelay, &times)
        })
    }

    /// The entry and the exit of a stay, at the places of the trip of that time. `next`: when it came back.
    fn at_fence(&self, stay: &Stay, next: Option<TimeMs>) -> impl Iterator<Item = AlertRow> {
        let label = &self.world.fences[stay.fence as usize].label;
        let max_absence_ms = label.terms.max_absence_ms();
        let is_over = |left: &TimeMs| next.is_some() || left.plus_ms(max_absence_ms) <= self.seen.instant;
        let left = stay.departed.filter(is_over);
        let told = |kind: AlertKind, times: &Times| {
            let trip = self.trip_at(stay.fence, times.started)?;
            Some(AlertRow {
                alert_id: AlertId::of(kind.as_str(), &[self.name, &label.id], times.started),
                severity: Severity::Info,
                fence_id: Some(label.id.clone()),
                trip_id: Some(trip.trip.id.clone()),
                ..self.alert(kind, times)
            })
        };
        let entry = Times { started: stay.arrived, told_after_ms: 0, ended: left };
        let exit = left.map(|left| Times { started: left, told_after_ms: max_absence_ms, ended: next });
        let exit = exit.and_then(|exit| told(AlertKind::GeofenceExit, &exit));
        told(AlertKind::GeofenceEntry, &entry).into_iter().chain(exit)
    }

    /// The trip that goes to a fence and has its time then: first those that arrived, one after another, each until it
    /// has unloaded, then the first of the others.
    fn trip_at(&self, fence: u32, time: TimeMs) -> Option<&Outcome<'_>> {
        let goes_there = |trip: &&Outcome<'_>| {
            trip.trip.fences(self.world).is_some_and(|(pickup, delivery)| [pickup, delivery].contains(&fence))
        };
        let mut arrived: Vec<&Outcome<'_>> =
            self.trips.iter().filter(|trip| trip.row.arrival.is_some()).collect();
        arrived.sort_by_key(|trip| trip.row.arrival);
        let mut since = None;
        for trip in arrived {
            let until = trip.row.offload.into_iter().chain(trip.ended_by_hand.map(|end| end.0)).min();
            let is_its_time = trip.trip.opens().max(since.unwrap_or(trip.trip.opens())) <= time
                && until.is_none_or(|until| time <= until);
            if is_its_time && goes_there(&trip) {
                return Some(trip);
            }
            since = trip.row.arrival;
        }
        if since.is_some_and(|since| time < since) {
            return None;
        }
        let may_be_under_way = |trip: &&Outcome<'_>| {
            trip.row.arrival.is_none()
                && trip.trip.opens() <= time
                && trip.ended_by_hand.is_none_or(|end| time < end.0)
                && trip.failed_at.is_none_or(|failed_at| time <= failed_at)
        };
        self.trips.iter().find(may_be_under_way).filter(goes_there)
    }
}

/// Whether the truck carries a trip's load: from its departure, or its arrival where nobody saw that, until it is over.
fn is_driven_at(trip: &Outcome<'_>, time: TimeMs) -> bool {
    let begins = trip.row.actual_departure.or(trip.row.arrival);
    let ends = trip.row.offload.into_iter().chain(trip.ended_by_hand.map(|end| end.0)).chain(trip.failed_at);
    begins.is_some_and(|begins| begins <= time) && ends.min().is_none_or(|ends| time < ends)
}

/// The longest spells of fixes that something holds at, and the fix behind each at which it does not.
fn spells(fixes: &[Fix], holds: impl Fn(&Fix) -> bool) -> impl Iterator<Item = (&[Fix], Option<TimeMs>)> {
    let mut rest = fixes;
    std::iter::from_fn(move || {
        let start = rest.iter().position(&holds)?;
        let length = rest[start..].iter().take_while(|fix| holds(fix)).count();
        let (spell, behind) = rest[start..].split_at(length);
        rest = behind;
        Some((spell, behind.first().map(|fix| fix.time)))
    })
}

#[cfg(test)]
mod tests {
    use model::Coord;

    use super::*;
    use crate::simulate::{Layout, WorldOptions};

    fn fix(second: i64, speed_kmh: u16, ignition: bool) -> Fix {
        let (time, at) = (TimeMs(second * 1000), Coord::default());
        Fix { time, at, speed_tenths: speed_kmh * 10, heading: 0, ignition }
    }

    /// Kind, seconds from and to, seconds until it is due.
    fn told(fixes: Vec<Fix>, instant_s: i64) -> Vec<(String, i64, Option<i64>, i64)> {
        let options = WorldOptions { fences: 1, seed: 1, layout: Layout::Lagos, edits: None };
        let seen =
            Observation { from: TimeMs(0), to: TimeMs(0), instant: TimeMs(instant_s * 1000), noise: false };
        let truth = TruckTruth { fixes, ..TruckTruth::default() };
        let known = Known {
            world: &World::new(&options),
            name: &"T1".into(),
            truth: &truth,
            trips: &[],
            seen: &seen,
        };
        let seconds = |time: TimeMs| time.0 / 1000;
        let short = |row: AlertRow| {
            let due_s = seconds(row.due_at) - seconds(row.started);
            (row.kind.to_string(), seconds(row.started), row.ended.map(seconds), due_s)
        };
        known.alerts().into_iter().map(short).collect()
    }

    #[test]
    fn what_simulated_drivers_seldom_do_is_told() {
        let kmh = |speeds: &[u16]| -> Vec<Fix> {
            (0..).zip(speeds).map(|(second, &speed)| fix(second, speed, true)).collect()
        };
        let braking = "harsh_braking".to_owned();
        // 30 km/h a second are more than 8 m/s², 28 are less.
        assert_eq!(
            told(kmh(&[100, 70, 40, 38, 8]), 4),
            [(braking.clone(), 1, Some(2), 0), (braking, 4, Some(4), 0)]
        );
        assert_eq!(told(kmh(&[0, 26, 26]), 2), [("harsh_acceleration".to_owned(), 1, Some(1), 0)]);
        assert_eq!(told(kmh(&[60, 32, 7]), 2), []);
        assert_eq!(told(vec![fix(0, 60, true), fix(6, 0, true)], 6), [], "nobody saw when it braked");
    }

    #[test]
    fn what_goes_on_lasts_until_the_instant() {
        let idle = ("idle".to_owned(), 100, None, 1200);
        let fixes = |seconds: &[i64]| seconds.iter().map(|&second| fix(second, 3, true)).collect::<Vec<_>>();
        assert_eq!(told(fixes(&[100, 700, 1299]), 1299), []);
        assert_eq!(told(fixes(&[100, 700, 1300]), 1300), [idle]);
        let fast = |to: i64| vec![fix(0, 61, true), fix(to, 60, true)];
        assert_eq!(told(fast(29), 29), []);
        assert_eq!(told(fast(30), 30), [("overspeed".to_owned(), 0, Some(30), 30)]);
        assert_eq!(told(fast(30), 7229), [("overspeed".to_owned(), 0, Some(30), 30)]);
        assert_eq!(told(vec![fix(30, 0, false)], 7230), [("device_offline".to_owned(), 30, None, 7200)]);
    }
}
