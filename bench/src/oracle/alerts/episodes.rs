//! Alerts that follow from one vehicle's fixes: speed, idling, silence, and harsh driving.

use std::sync::Arc;

use model::{AlertDetails, AlertKind, AlertRow, TimeMs};

use super::{Evidence, Vehicle, alert};
use crate::oracle::admission::Fix;

const SPEED_LIMIT_MILLI: i64 = 60_000;
const OVERSPEED_MS: i64 = 30_000;
const MOVING_MILLI: i64 = 5_000;
const IDLE_MS: i64 = 20 * 60_000;
const OFFLINE_ON_TRIP_MS: i64 = 15 * 60_000;
const OFFLINE_MS: i64 = 2 * 3_600_000;
const BRAKING_MILLI: i64 = 8_000;
const ACCELERATION_MILLI: i64 = 7_000;
const HARSH_WITHIN_MS: i64 = 5_000;

/// What a fix says of a condition.
pub(super) enum Verdict<T> {
    Holds(T),
    Denies,
    SaysNothing,
}

/// A maximal run of fixes at which a condition holds; those that say nothing are left out.
pub(super) struct Run<T> {
    pub holding: Vec<T>,
    pub started: TimeMs,
    /// The first fix that denies it.
    pub ended: Option<TimeMs>,
}

/// `fixes` are in event-time order.
pub(super) fn runs<T>(fixes: &[Fix], verdict: impl Fn(&Fix) -> Verdict<T>) -> Vec<Run<T>> {
    let mut runs: Vec<Run<T>> = Vec::new();
    for fix in fixes {
        let open = runs.last_mut().filter(|run| run.ended.is_none());
        match (verdict(fix), open) {
            (Verdict::Holds(what), Some(run)) => run.holding.push(what),
            (Verdict::Holds(what), None) => {
                runs.push(Run { holding: vec![what], started: fix.time, ended: None });
            }
            (Verdict::Denies, Some(run)) => run.ended = Some(fix.time),
            (Verdict::Denies, None) | (Verdict::SaysNothing, _) => {}
        }
    }
    runs
}

/// Tenths in thousandths.
fn milli(tenths: u16) -> i64 {
    i64::from(tenths) * 100
}

impl Evidence<'_> {
    pub(super) fn overspeed(&self, vehicle: &Vehicle) -> Vec<AlertRow> {
        let kind = AlertKind::Overspeed;
        let too_fast = |fix: &Fix| {
            let ruling = self.ruling_there(kind, vehicle, fix.time);
            let limit_milli = ruling.threshold_milli.unwrap_or(SPEED_LIMIT_MILLI);
            match fix.motion.speed_dkmh {
                _ if !ruling.enabled => Verdict::Denies,
                None => Verdict::SaysNothing,
                Some(speed_dkmh) if milli(speed_dkmh) > limit_milli => {
                    Verdict::Holds((speed_dkmh, limit_milli, ruling.limiting_fence))
                }
                Some(_) => Verdict::Denies,
            }
        };
        let row = |run: Run<(u16, i64, Option<Arc<str>>)>| {
            let ruling = self.ruling_there(kind, vehicle, run.started);
            let duration_ms = ruling.duration_ms.unwrap_or(OVERSPEED_MS);
            let (_, limit_milli, fence_id) = run.holding.first()?.clone();
            let max_speed_dkmh = run.holding.iter().map(|(speed_dkmh, ..)| *speed_dkmh).max()?;
            let details = AlertDetails::Overspeed { limit_milli, max_speed_dkmh }.to_json().into();
            let times = (run.started, duration_ms, run.ended);
            let row = AlertRow { fence_id, details, ..alert(kind, &vehicle.id, &ruling, times) };
            (self.lasted_ms(run.started, run.ended) >= duration_ms).then_some(row)
        };
        runs(&vehicle.good_fixes, too_fast).into_iter().filter_map(row).collect()
    }

    pub(super) fn idle(&self, vehicle: &Vehicle) -> Vec<AlertRow> {
        let kind = AlertKind::Idle;
        let stands_running = |fix: &Fix| {
            let ruling = self.ruling_there(kind, vehicle, fix.time);
            let moving_milli = ruling.threshold_milli.unwrap_or(MOVING_MILLI);
            let is_moving = fix.motion.speed_dkmh.map(|speed_dkmh| milli(speed_dkmh) >= moving_milli);
            match (fix.motion.ignition, is_moving) {
                _ if !ruling.enabled => Verdict::Denies,
                (Some(false), _) | (_, Some(true)) => Verdict::Denies,
                (Some(true), Some(false)) => Verdict::Holds(()),
                (None, _) | (_, None) => Verdict::SaysNothing,
            }
        };
        let row = |run: Run<()>| {
            let ruling = self.ruling_there(kind, vehicle, run.started);
            let duration_ms = ruling.duration_ms.unwrap_or(IDLE_MS);
            let row = alert(kind, &vehicle.id, &ruling, (run.started, duration_ms, run.ended));
            (self.lasted_ms(run.started, run.ended) >= duration_ms).then_some(row)
        };
        runs(&vehicle.good_fixes, stands_running).into_iter().filter_map(row).collect()
    }

    /// Silence from one fix to the next. Where the vehicle was at its last fix says how long is too long.
    pub(super) fn offline(&self, vehicle: &Vehicle) -> Vec<AlertRow> {
        let kind = AlertKind::DeviceOffline;
        let after = |(i, last): (usize, &Fix)| {
            let ruling = self.ruling_there(kind, vehicle, last.time);
            let trip_id = self.on_trip_at(&vehicle.id, last.time);
            let usual_ms = if trip_id.is_some() { OFFLINE_ON_TRIP_MS } else { OFFLINE_MS };
            let duration_ms = ruling.duration_ms.unwrap_or(usual_ms);
            let ended = vehicle.good_fixes.get(i + 1).map(|next| next.time);
            let is_offline = ruling.enabled && self.lasted_ms(last.time, ended) >= duration_ms;
            let times = (last.time, duration_ms, ended);
            is_offline.then(|| AlertRow { trip_id, ..alert(kind, &vehicle.id, &ruling, times) })
        };
        vehicle.good_fixes.iter().enumerate().filter_map(after).collect()
    }

    pub(super) fn harsh(&self, vehicle: &Vehicle) -> Vec<AlertRow> {
        let of = |kind, usual_milli, sign| self.harsh_of(vehicle, kind, usual_milli, sign);
        let braking = of(AlertKind::HarshBraking, BRAKING_MILLI, -1);
        let acceleration = of(AlertKind::HarshAcceleration, ACCELERATION_MILLI, 1);
        braking.into_iter().chain(acceleration).collect()
    }

    /// Runs of legs on which the speed changes too much, each shown by its later fix.
    fn harsh_of(&self, vehicle: &Vehicle, kind: AlertKind, usual_milli: i64, sign: i64) -> Vec<AlertRow> {
        let is_harsh = |leg: &[Fix]| {
            let (before, after) = (&leg[0], &leg[1]);
            let (Some(from), Some(to)) = (before.motion.speed_dkmh, after.motion.speed_dkmh) else {
                return None;
            };
            let elapsed_ms = after.time.0 - before.time.0;
            if elapsed_ms > HARSH_WITHIN_MS {
                return None;
            }
            let ruling = self.ruling_there(kind, vehicle, after.time);
            let threshold_milli = ruling.threshold_milli.unwrap_or(usual_milli).abs();
            // A tenth of km/h is 1/36 m/s.
            let change = sign * (i64::from(to) - i64::from(from)) * 1_000_000;
            let is_harsh = ruling.enabled && change >= threshold_milli * 36 * elapsed_ms;
            is_harsh.then_some((from, after.time, to))
        };
        let legs: Vec<_> = vehicle.good_fixes.windows(2).map(is_harsh).collect();
        let row = |run: &[Option<(u16, TimeMs, u16)>]| {
            let (from_dkmh, started, _) = (*run.first()?)?;
            let (_, ended, to_dkmh) = (*run.last()?)?;
            let ruling = self.ruling_there(kind, vehicle, started);
            let details = AlertDetails::Harsh { from_dkmh, to_dkmh }.to_json().into();
            Some(AlertRow { details, ..alert(kind, &vehicle.id, &ruling, (started, 0, Some(ended))) })
        };
        legs.split(Option::is_none).filter_map(row).collect()
    }
}
