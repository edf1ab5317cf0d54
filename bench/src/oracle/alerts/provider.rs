//! The provider's own alerts: the halves of each are put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{AlertDetails, AlertId, AlertKind, AlertRow, ProviderAlert, TimeMs};

use super::Evidence;

/// An own alert this near to one of the provider's is of the same thing.
const SAME_WITHIN_MS: i64 = 5_000;

/// What the halves of an alert have in common, besides vehicle and kind.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Common {
    Id(Arc<str>),
    /// Without an id: when it began; when it ended, where only that is known; else when it arrived.
    Time(TimeMs),
}

/// One half, and its instant.
type Half<'a> = (TimeMs, &'a ProviderAlert);
/// Vehicle, kind, and what else the halves of one alert share.
type Shared<'a> = (&'a Arc<str>, &'a Arc<str>, Common);

impl Evidence<'_> {
    /// `own` are all other alerts.
    pub(super) fn of_provider(&self, own: &[AlertRow]) -> Vec<AlertRow> {
        let mut alerts: BTreeMap<Shared<'_>, Vec<Half<'_>>> = BTreeMap::new();
        for (instant, half) in &self.admitted.alerts.of_provider {
            let common = match &half.provider_id {
                Some(id) => Common::Id(id.clone()),
                None => Common::Time(half.started.or(half.ended).unwrap_or(*instant)),
            };
            alerts.entry((&half.vehicle_id, &half.kind, common)).or_default().push((*instant, half));
        }
        let rows = alerts.values().filter_map(|halves| self.of_halves(halves));
        rows.filter(|row| !own.iter().any(|own| is_same(own, row))).collect()
    }

    /// `halves` are in order of arrival.
    fn of_halves(&self, halves: &[Half<'_>]) -> Option<AlertRow> {
        let (_, alert) = halves.first()?;
        let times = |of: fn(&ProviderAlert) -> Option<TimeMs>| halves.iter().filter_map(move |h| of(h.1));
        let arrived = halves.iter().map(|(instant, _)| *instant).min();
        let started = times(|h| h.started).min().or(times(|h| h.ended).min()).or(arrived)?;
        let ended = match alert.is_instant {
            true => Some(started),
            false => times(|h| h.ended).max().map(|ended| ended.max(started)),
        };
        let ruling = self.ruling(&alert.kind, &alert.vehicle_id, None, started);
        let provider_id = alert.provider_id.clone();
        let received = halves.iter().rev().find_map(|(_, half)| half.details.clone());
        let subject = [&*alert.vehicle_id, "provider", provider_id.as_deref().unwrap_or_default()];
        let alert_id = AlertId::of(&alert.kind, &subject, started);
        ruling.enabled.then(|| AlertRow {
            alert_id,
            kind: alert.kind.clone(),
            severity: ruling.severity.unwrap_or(alert.severity),
            vehicle_id: alert.vehicle_id.clone(),
            fence_id: None,
            trip_id: None,
            started,
            due_at: started,
            ended,
            details: AlertDetails::Provider { provider_id, received }.to_json().into(),
        })
    }
}

/// Whether the fixes show what the provider tells of: only harsh driving has one name here and there.
fn is_same(own: &AlertRow, of_provider: &AlertRow) -> bool {
    let is_harsh = [AlertKind::HarshBraking, AlertKind::HarshAcceleration]
        .iter()
        .any(|kind| kind.as_str() == &*of_provider.kind);
    let from = own.started.plus_ms(-SAME_WITHIN_MS);
    let to = own.ended.unwrap_or(own.started).plus_ms(SAME_WITHIN_MS);
    is_harsh
        && own.kind == of_provider.kind
        && own.vehicle_id == of_provider.vehicle_id
        && (from..=to).contains(&of_provider.started)
}
