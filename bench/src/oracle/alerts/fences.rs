//! Entries into fences and exits from them, where somebody wants to know.
//!
//! ```text
//!   stays       |----------|  max_absence      |------
//!   entry       |----------|...                |------       lasts as long as the stay
//!   exit                   |...................|             raised at the end of the dots, lasts until it is back
//! ```

use std::sync::Arc;

use model::{AlertId, AlertKind, AlertRow, Severity, TimeMs};

use super::{Evidence, Vehicle, alert};
use crate::oracle::presence::Stay;
use crate::oracle::timeline::valid_version_at;

impl Evidence<'_> {
    pub(super) fn at_fences(&self, vehicle: &Vehicle) -> Vec<AlertRow> {
        let of_fence = |fence_id: &Arc<str>, stays: &[Stay]| {
            let next = |i: usize| stays.get(i + 1).map(|next| next.arrived);
            let each = stays.iter().enumerate();
            each.flat_map(|(i, stay)| self.of_stay(vehicle, fence_id, stay, next(i))).collect::<Vec<_>>()
        };
        vehicle.in_fences.iter().flat_map(|(fence_id, judged)| of_fence(fence_id, &judged.stays)).collect()
    }

    /// `next` is the beginning of the next stay.
    fn of_stay(
        &self,
        vehicle: &Vehicle,
        fence_id: &Arc<str>,
        stay: &Stay,
        next: Option<TimeMs>,
    ) -> impl Iterator<Item = AlertRow> {
        let version = valid_version_at(self.fences.at(fence_id, stay.arrived), stay.arrived);
        let of_settings = self.admitted.settings.max_absence_ms;
        let max_absence_ms = version.map_or(of_settings, |version| version.max_absence_ms);
        let is_told_of_all = version.is_some_and(|version| version.alert);
        // It is over when nothing can join it any more.
        let is_over = |departed: TimeMs| next.is_some() || self.instant() >= departed.plus_ms(max_absence_ms);
        let departed = stay.departed.filter(|&departed| is_over(departed));
        let told = |kind: AlertKind, times: (TimeMs, i64, Option<TimeMs>)| {
            let started = times.0;
            let of_fence = self.ruling_of_fence(kind, fence_id, started);
            let ruling = self.ruling(kind.as_str(), &vehicle.id, of_fence, started);
            let trip_id = self.trip_at_fence(&vehicle.id, fence_id, started);
            let is_wanted = ruling.enabled && (is_told_of_all || trip_id.is_some());
            is_wanted.then(|| AlertRow {
                alert_id: AlertId::of(kind.as_str(), &[&vehicle.id, fence_id], started),
                severity: ruling.severity.unwrap_or(Severity::Info),
                fence_id: Some(fence_id.clone()),
                trip_id,
                ..alert(kind, &vehicle.id, &ruling, times)
            })
        };
        let entry = told(AlertKind::GeofenceEntry, (stay.arrived, 0, departed));
        let exit = departed.and_then(|at| told(AlertKind::GeofenceExit, (at, max_absence_ms, next)));
        entry.into_iter().chain(exit)
    }
}
