//! The present: what trucks do, where they are, and how fresh that is.
//!
//! ```text
//!             o ------------------ o
//!             the leg: en_route?   the last fix: idle or stopped?   | mark
//!                                  |--- offline, if longer ---------|
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{KpiMetric, KpiSliceKind, LiveStatus, TimeMs};

use super::arithmetic::{quantile, rounded};
use super::legs::{Doing, OFFLINE_AFTER_MS, legs};
use super::work::vehicle_ids;
use super::{Facts, all};
use crate::oracle::admission::Fix;

/// The figures of the present, each with the id of its slice.
pub(super) fn figures(
    facts: &Facts<'_>,
    kind: KpiSliceKind,
    mark: TimeMs,
) -> Vec<(Arc<str>, (KpiMetric, i64))> {
    match kind {
        KpiSliceKind::Fleet => of_fleet(facts, mark).into_iter().map(|figure| (all(), figure)).collect(),
        KpiSliceKind::Location => of_places(facts, mark),
        KpiSliceKind::Client | KpiSliceKind::Truck => Vec::new(),
    }
}

fn of_fleet(facts: &Facts<'_>, mark: TimeMs) -> Vec<(KpiMetric, i64)> {
    let mut counts: BTreeMap<LiveStatus, i64> = BTreeMap::new();
    let mut ages_s = Vec::new();
    for vehicle_id in vehicle_ids(facts) {
        let good_fixes = facts.good_fixes.get(vehicle_id).map_or([].as_slice(), Vec::as_slice);
        let first_fix = good_fixes.first().map(|fix| fix.time);
        let periods = facts.admitted.vehicles.periods(vehicle_id, first_fix);
        let Some(period) = periods.iter().find(|period| period.from < mark && mark <= period.until) else {
            continue;
        };
        let before: Vec<Fix> = good_fixes.iter().filter(|fix| fix.time < mark).copied().collect();
        let age_ms = before.last().map(|fix| mark.0 - fix.time.0);
        let is_online = age_ms.is_some_and(|age_ms| age_ms <= OFFLINE_AFTER_MS);
        ages_s.extend(age_ms.filter(|_| is_online).map(|age_ms| rounded(age_ms, 1000)));
        let status = match (period.is_operational, is_online) {
            (false, _) => LiveStatus::Maintenance,
            (true, false) => LiveStatus::Offline,
            (true, true) => online(&before),
        };
        *counts.entry(status).or_default() += 1;
    }
    let trucks = counts.into_iter().map(|(status, count)| (KpiMetric::Trucks(status), count));
    let freshness = [(KpiMetric::FreshnessP50S, 50), (KpiMetric::FreshnessP99S, 99)]
        .into_iter()
        .filter_map(|(metric, percent)| Some((metric, quantile(&ages_s, percent)?)));
    trucks.chain(freshness).collect()
}

/// What a truck does that was heard of lately.
fn online(good_fixes: &[Fix]) -> LiveStatus {
    let is_moving = legs(good_fixes).last().is_some_and(|leg| leg.doing == Doing::Moving);
    let is_on = good_fixes.last().is_some_and(|fix| fix.motion.ignition == Some(true));
    match (is_moving, is_on) {
        (true, _) => LiveStatus::EnRoute,
        (false, true) => LiveStatus::Idle,
        (false, false) => LiveStatus::Stopped,
    }
}

/// Visits that go on, by place.
fn of_places(facts: &Facts<'_>, mark: TimeMs) -> Vec<(Arc<str>, (KpiMetric, i64))> {
    let mut counts: BTreeMap<Arc<str>, i64> = BTreeMap::new();
    for visit in &facts.visits {
        if visit.arrived < mark && visit.departed.is_none_or(|departed| departed >= mark) {
            for place in facts.admitted.said.places_at(&visit.fence_id) {
                *counts.entry(place).or_default() += 1;
            }
        }
    }
    counts.into_iter().map(|(place, count)| (place, (KpiMetric::TrucksAt, count))).collect()
}
