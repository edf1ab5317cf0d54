//! Which rule holds: by scope, and by time.
//!
//! ```text
//!   fence    |        |   off   |                 the narrowest scope that has a rule says whether it is on;
//!   vehicle  |             70           |         what a rule leaves open, the next wider scope says
//!   fleet    |   60   |       50        |
//!            |- 70 ---|- off ---|- 70 --|- 50     what holds
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{AlertKind, AlertRule, ProviderAlert, RuleScope, Severity, TimeMs, VehicleEdit};

use super::{Evidence, Vehicle};
use crate::oracle::timeline::valid_version_at;

/// A rule, and from when on it holds.
type Dated = (TimeMs, Arc<AlertRule>);

/// Whose a vehicle is, and from when on.
type Whose = (TimeMs, Option<Arc<str>>);

/// What all records so far have said of alerts.
#[derive(Default)]
pub(in crate::oracle) struct Said {
    /// By kind and scope, in the order of the times from which on they hold.
    rules: BTreeMap<(Arc<str>, RuleScope), Vec<Dated>>,
    /// By vehicle, whose it is, in the order of the times from which on that holds.
    companies: BTreeMap<String, Vec<Whose>>,
    /// In order of arrival, with their instants.
    pub(super) of_provider: Vec<(TimeMs, Arc<ProviderAlert>)>,
}

/// What rules come to; what none says is left to the kind.
#[derive(Clone, Debug)]
pub(super) struct Ruling {
    pub enabled: bool,
    pub threshold_milli: Option<i64>,
    pub duration_ms: Option<i64>,
    pub severity: Option<Severity>,
    /// The fence that the threshold is of.
    pub limiting_fence: Option<Arc<str>>,
}

impl Ruling {
    fn of_rule(rule: &AlertRule) -> Ruling {
        Ruling {
            enabled: rule.enabled,
            threshold_milli: rule.threshold_milli,
            duration_ms: rule.duration_ms,
            severity: rule.severity,
            limiting_fence: None,
        }
    }

    /// What this one leaves open, the wider one says.
    fn or(self, wider: &Ruling) -> Ruling {
        Ruling {
            threshold_milli: self.threshold_milli.or(wider.threshold_milli),
            duration_ms: self.duration_ms.or(wider.duration_ms),
            severity: self.severity.or(wider.severity),
            ..self
        }
    }
}

impl Said {
    /// A rule holds from its instant on. One that corrects history holds for all time that is in the reach of a
    /// correction.
    pub fn of_rule(&mut self, rule: &Arc<AlertRule>, instant: TimeMs, edge: Option<TimeMs>) {
        let from = if rule.correct_history { edge.unwrap_or(TimeMs(i64::MIN)) } else { instant };
        let versions = self.rules.entry((rule.kind.clone(), rule.scope.clone())).or_default();
        versions.retain(|(other_from, _)| *other_from < from);
        versions.push((from, rule.clone()));
    }

    /// A vehicle is whose its last record says, for all time that is in the reach of a correction.
    pub fn of_vehicle(&mut self, id: &str, edit: &VehicleEdit, edge: Option<TimeMs>) {
        let company = match edit {
            VehicleEdit::Upsert { company, .. } => company.clone(),
            VehicleEdit::Delete => None,
        };
        let from = edge.unwrap_or(TimeMs(i64::MIN));
        let versions = self.companies.entry(id.to_owned()).or_default();
        versions.retain(|(other_from, _)| *other_from < from);
        versions.push((from, company));
    }

    pub fn of_provider(&mut self, alert: &Arc<ProviderAlert>, instant: TimeMs) {
        self.of_provider.push((instant, alert.clone()));
    }

    fn rule_at(&self, kind: &str, scope: RuleScope, time: TimeMs) -> Option<Ruling> {
        let versions = self.rules.get(&(kind.into(), scope))?;
        versions.iter().rfind(|(from, _)| *from <= time).map(|(_, rule)| Ruling::of_rule(rule))
    }

    /// The company that a vehicle belongs to.
    fn company_at(&self, vehicle_id: &str, time: TimeMs) -> Option<Arc<str>> {
        let versions = self.companies.get(vehicle_id)?;
        versions.iter().rfind(|(from, _)| *from <= time).and_then(|(_, company)| company.clone())
    }
}

impl Evidence<'_> {
    /// What holds for a vehicle, where no fence has a say, or the one given.
    pub(super) fn ruling(
        &self,
        kind: &str,
        vehicle_id: &Arc<str>,
        of_fence: Option<Ruling>,
        time: TimeMs,
    ) -> Ruling {
        let company = self.admitted.alerts.company_at(vehicle_id, time).map(RuleScope::Company);
        let wider = [Some(RuleScope::Vehicle(vehicle_id.clone())), company, Some(RuleScope::Fleet)];
        let of_wider = wider.into_iter().flatten().map(|s| self.admitted.alerts.rule_at(kind, s, time));
        let narrowest_first = std::iter::once(of_fence).chain(of_wider).flatten();
        narrowest_first.reduce(|narrow, wide| narrow.or(&wide)).unwrap_or(Ruling {
            enabled: true,
            threshold_milli: None,
            duration_ms: None,
            severity: None,
            limiting_fence: None,
        })
    }

    /// What holds for a vehicle where it is. Of several fences one that is on speaks before one that is off, then
    /// the one with the lowest threshold, then the first by its id.
    pub(super) fn ruling_there(&self, kind: AlertKind, vehicle: &Vehicle, time: TimeMs) -> Ruling {
        let of_fences = vehicle
            .fences_at(time)
            .filter_map(|fence_id| Some((self.ruling_of_fence(kind, fence_id, time)?, fence_id)));
        let rank = |(ruling, fence_id): &(Ruling, &Arc<str>)| {
            (!ruling.enabled, ruling.threshold_milli.unwrap_or(i64::MAX), (*fence_id).clone())
        };
        let speaking = of_fences.min_by_key(rank).map(|(ruling, _)| ruling);
        self.ruling(kind.as_str(), &vehicle.id, speaking, time)
    }

    /// What a fence says: its rule, and of speed its own limit too.
    pub(super) fn ruling_of_fence(
        &self,
        kind: AlertKind,
        fence_id: &Arc<str>,
        time: TimeMs,
    ) -> Option<Ruling> {
        let rule = self.admitted.alerts.rule_at(kind.as_str(), RuleScope::Fence(fence_id.clone()), time);
        let version = valid_version_at(self.fences.at(fence_id, time), time);
        let limit_kmh = version.filter(|_| kind == AlertKind::Overspeed).and_then(|v| v.speed_limit_kmh);
        let limit = limit_kmh.map(|limit_kmh| Ruling {
            enabled: true,
            threshold_milli: Some((limit_kmh * 1000.0).round() as i64),
            duration_ms: None,
            severity: None,
            limiting_fence: None,
        });
        let ruling = match (rule, limit) {
            (Some(rule), Some(limit)) => rule.or(&limit),
            (rule, limit) => rule.or(limit)?,
        };
        let limiting_fence = ruling.threshold_milli.map(|_| fence_id.clone());
        Some(Ruling { limiting_fence, ..ruling })
    }
}
