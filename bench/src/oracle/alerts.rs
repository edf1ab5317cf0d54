//! Alerts: what is worth telling, from fixes, fences, trips and the provider.
//!
//! ```text
//!   good fixes      o   o   x   x   -   x   x   o      x: the condition holds, o: it does not, -: says nothing
//!   episode                 |---------------|
//!                           started         ended      raised where it lasts as long as the rule asks for
//! ```
//!
//! An episode that is still open lasts until the instant, as a stay does. Every row is a function of the records and
//! the instant: who was told of it, and when, is none of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{AlertDetails, AlertId, AlertKind, AlertRow, Severity, TimeMs};

use super::admission::{Admitted, Fix};
use super::reach::Judged;
use super::timeline::Version;
use super::trips::Course;
use rules::Ruling;

mod delays;
mod episodes;
mod fences;
mod on_trips;
mod provider;
mod rules;

pub(super) use rules::Said;

/// All that alerts are made of.
pub(super) struct Evidence<'a> {
    pub admitted: &'a Admitted,
    pub vehicles: Vec<Vehicle>,
    pub fences: Fences<'a>,
    pub courses: Vec<Course>,
}

/// A vehicle's fixes, and what follows from them for each fence.
pub(super) struct Vehicle {
    pub id: Arc<str>,
    /// In event-time order.
    good_fixes: Vec<Fix>,
    /// By fix, the fences that it is in a presence of.
    fences_by_fix: Vec<Vec<Arc<str>>>,
    in_fences: Vec<(Arc<str>, Judged)>,
}

/// The versions of all fences.
pub(super) struct Fences<'a> {
    pub now: &'a [(Arc<str>, Vec<Version>)],
    pub before: &'a Before,
}

/// By fence, the versions as they were before each correction, and its edge: a correction does not reach what is
/// older.
pub(super) type Before = BTreeMap<String, Vec<(TimeMs, Vec<Version>)>>;

impl Fences<'_> {
    /// The versions of a fence by which a time is judged.
    fn at(&self, fence_id: &str, time: TimeMs) -> &[Version] {
        let before = self.before.get(fence_id).map_or([].as_slice(), Vec::as_slice);
        let out_of_reach = before.iter().find(|(edge, _)| time < *edge).map(|(_, versions)| versions);
        let now = || self.now.iter().find(|(id, _)| &**id == fence_id).map(|(_, versions)| versions);
        out_of_reach.or_else(now).map_or(&[], Vec::as_slice)
    }
}

impl Vehicle {
    pub fn new(id: Arc<str>, good_fixes: Vec<Fix>, in_fences: Vec<(Arc<str>, Judged)>) -> Vehicle {
        let mut fences_by_fix = vec![Vec::new(); good_fixes.len()];
        for (fence_id, judged) in &in_fences {
            for presence in &judged.presences {
                let from = good_fixes.partition_point(|fix| fix.time < presence.entered);
                let held = good_fixes[from..].iter().take_while(|fix| presence.holds(fix.time)).count();
                fences_by_fix[from..from + held].iter_mut().for_each(|fences| fences.push(fence_id.clone()));
            }
        }
        Vehicle { id, good_fixes, fences_by_fix, in_fences }
    }

    /// The fences that it is in a presence of at the time of one of its fixes.
    fn fences_at(&self, time: TimeMs) -> impl Iterator<Item = &Arc<str>> {
        let fix = self.good_fixes.binary_search_by_key(&time, |fix| fix.time);
        debug_assert!(fix.is_ok(), "only fixes are asked for");
        fix.map_or(&[][..], |i| &self.fences_by_fix[i]).iter()
    }
}

/// All alerts, in the order of their keys.
pub(super) fn rows(evidence: &Evidence<'_>) -> Vec<AlertRow> {
    let mut rows = Vec::new();
    for vehicle in &evidence.vehicles {
        rows.extend(evidence.overspeed(vehicle));
        rows.extend(evidence.idle(vehicle));
        rows.extend(evidence.offline(vehicle));
        rows.extend(evidence.harsh(vehicle));
        rows.extend(evidence.at_fences(vehicle));
    }
    for course in &evidence.courses {
        rows.extend(evidence.deviations(course));
        rows.extend(evidence.delays(course));
    }
    let of_provider = evidence.of_provider(&rows);
    rows.extend(of_provider);
    rows.sort_by_key(|row| row.alert_id);
    rows
}

impl Evidence<'_> {
    fn instant(&self) -> TimeMs {
        self.admitted.instant()
    }

    /// How long something has lasted that may not be over.
    fn lasted_ms(&self, started: TimeMs, ended: Option<TimeMs>) -> i64 {
        ended.unwrap_or(self.instant()).0 - started.0
    }
}

/// An alert of one vehicle, about nothing else.
fn alert(
    kind: AlertKind,
    vehicle_id: &Arc<str>,
    ruling: &Ruling,
    (started, duration_ms, ended): (TimeMs, i64, Option<TimeMs>),
) -> AlertRow {
    AlertRow {
        alert_id: AlertId::of(kind.as_str(), &[vehicle_id], started),
        kind: kind.as_str().into(),
        severity: ruling.severity.unwrap_or(Severity::Warning),
        vehicle_id: vehicle_id.clone(),
        fence_id: None,
        trip_id: None,
        started,
        due_at: started.plus_ms(duration_ms),
        ended,
        details: AlertDetails::None.to_json().into(),
    }
}
