//! Which rule holds: by scope, and by time.
//!
//! ```text
//!   fence    |        |   off   |                 the narrowest scope that has a rule says whether it is on;
//!   vehicle  |             70           |         what a rule leaves open, the next wider scope says; a company's
//!   fleet    |   60   |       50        |         is between vehicle and fleet
//!            |- 70 ---|- off ---|- 70 --|- 50     what holds
//! ```

use std::sync::Arc;

use model::{AlertKind, AlertRule, GraphSettings, Severity};
use rustc_hash::FxHashMap;

use super::companies::Companies;
use super::control::{AlertControl, KindKey, ScopeKey, kind_key};
use super::fences::FenceBook;
use crate::fences::{Edit, FenceKey};
use crate::presence::VehicleKey;

/// What rules come to; what none says is left to the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ruling {
    pub enabled: bool,
    pub threshold_milli: Option<i64>,
    pub duration_ms: Option<i64>,
    pub severity: Option<Severity>,
    /// The fence that the threshold is of.
    pub limiting_fence: Option<FenceKey>,
}

impl Ruling {
    /// Where nobody says anything.
    const NONE: Ruling = Ruling {
        enabled: true,
        threshold_milli: None,
        duration_ms: None,
        severity: None,
        limiting_fence: None,
    };

    fn of_rule(rule: &AlertRule) -> Ruling {
        Ruling {
            enabled: rule.enabled,
            threshold_milli: rule.threshold_milli,
            duration_ms: rule.duration_ms,
            severity: rule.severity,
            limiting_fence: None,
        }
    }

    fn of_limit(limit_kmh: f64) -> Ruling {
        Ruling { threshold_milli: Some((limit_kmh * 1000.0).round() as i64), ..Ruling::NONE }
    }

    /// What this one leaves open, the wider one says.
    fn or(self, wider: Ruling) -> Ruling {
        Ruling {
            threshold_milli: self.threshold_milli.or(wider.threshold_milli),
            duration_ms: self.duration_ms.or(wider.duration_ms),
            severity: self.severity.or(wider.severity),
            ..self
        }
    }
}

/// A rule, and from when on it holds.
type Dated = (i64, Arc<AlertRule>);

/// For whom a rule is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// Whoever is in a fence.
    In(FenceKey),
    /// These, in order.
    Vehicles(Vec<VehicleKey>),
    All,
}

/// What changed of rules, companies and fences, and the first time for which it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// What is said of a kind, and for whom.
    Rule { kind: KindKey, whom: Whom, from: i64 },
    /// The versions of a fence.
    Fence { fence: FenceKey, from: i64 },
    /// Whose a vehicle is, where a rule is about that.
    Company { vehicle: VehicleKey, from: i64 },
    /// When fences are active.
    Schedules { from: i64 },
}

/// What all records so far have said of rules, of companies and of fences.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct RuleBook {
    /// In the order of the times from which on they hold.
    rules: FxHashMap<(KindKey, ScopeKey), Vec<Dated>>,
    /// All those times, in order.
    dates: Vec<i64>,
    companies: Companies,
    pub fences: FenceBook,
}

impl RuleBook {
    pub fn new(settings: &GraphSettings) -> RuleBook {
        RuleBook {
            rules: FxHashMap::default(),
            dates: Vec::new(),
            companies: Companies::default(),
            fences: FenceBook::new(settings),
        }
    }

    /// Takes in what a control says of rules, companies and fences; tells what to judge anew.
    pub fn apply(&mut self, control: &AlertControl) -> Option<Change> {
        match control {
            AlertControl::Rule { from, kind, scope, rule, .. } => {
                let versions = self.rules.entry((*kind, *scope)).or_default();
                versions.retain(|(other_from, _)| other_from < from);
                versions.push((*from, rule.clone()));
                if let Err(at) = self.dates.binary_search(from) {
                    self.dates.insert(at, *from);
                }
                let whom = match *scope {
                    ScopeKey::Fence(fence) => Whom::In(fence),
                    ScopeKey::Vehicle(vehicle) => Whom::Vehicles(vec![vehicle]),
                    ScopeKey::Company(company) => Whom::Vehicles(self.companies.rule(company)),
                    ScopeKey::Fleet => Whom::All,
                };
                Some(Change::Rule { kind: *kind, whom, from: *from })
            }
            AlertControl::Company { edge, vehicle, company, .. } => {
                let matters = self.companies.change(*vehicle, *company, *edge);
                matters.then_some(Change::Company { vehicle: *vehicle, from: *edge })
            }
            AlertControl::Fence { edge, fence, edit, .. } => {
                self.fences.edit(*fence, edit, *edge);
                let from = match edit {
                    Edit::Upsert(upsert) => upsert.valid_from.map_or(*edge, |from| from.0.max(*edge)),
                    Edit::Delete(at) => at.0.max(*edge),
                };
                Some(Change::Fence { fence: *fence, from })
            }
            AlertControl::Settings { edge, settings, .. } => {
                let from = *edge;
                self.fences.change_settings(settings, from).then_some(Change::Schedules { from })
            }
            AlertControl::Tick { .. } | AlertControl::Provider { .. } => None,
        }
    }

    fn rule_at(&self, kind: KindKey, scope: ScopeKey, time: i64) -> Option<Ruling> {
        let versions = self.rules.get(&(kind, scope))?;
        versions.iter().rfind(|(from, _)| *from <= time).map(|(_, rule)| Ruling::of_rule(rule))
    }

    /// What holds for a vehicle, where no fence has a say, or the one given.
    pub fn ruling(&self, kind: KindKey, vehicle: VehicleKey, of_fence: Option<Ruling>, time: i64) -> Ruling {
        if self.rules.is_empty() {
            return of_fence.unwrap_or(Ruling::NONE);
        }
        let company = self.companies.at(vehicle, time).map(ScopeKey::Company);
        let wider = [Some(ScopeKey::Vehicle(vehicle)), company, Some(ScopeKey::Fleet)];
        let of_wider = wider.into_iter().flatten().map(|scope| self.rule_at(kind, scope, time));
        let narrowest_first = std::iter::once(of_fence).chain(of_wider).flatten();
        narrowest_first.reduce(Ruling::or).unwrap_or(Ruling::NONE)
    }

    /// What holds for a vehicle in these fences. Of several one that is on speaks before one that is off, then the one
    /// with the lowest threshold, then the first by its id.
    pub fn ruling_there(
        &self,
        kind: AlertKind,
        vehicle: VehicleKey,
        fences: impl Iterator<Item = FenceKey>,
        time: i64,
    ) -> Ruling {
        let of_fences = fences.filter_map(|fence| Some((self.ruling_of_fence(kind, fence, time)?, fence)));
        let rank = |(ruling, fence): &(Ruling, FenceKey)| {
            (!ruling.enabled, ruling.threshold_milli.unwrap_or(i64::MAX), self.fences.id(*fence))
        };
        let speaking = of_fences.min_by_key(rank).map(|(ruling, _)| ruling);
        self.ruling(kind_key(kind), vehicle, speaking, time)
    }

    /// What a fence says: its rule, and of speed its own limit too.
    pub fn ruling_of_fence(&self, kind: AlertKind, fence: FenceKey, time: i64) -> Option<Ruling> {
        let rule = self.rule_at(kind_key(kind), ScopeKey::Fence(fence), time);
        let limit_kmh = match kind {
            AlertKind::Overspeed if self.fences.has_limits(fence) => {
                self.fences.valid(fence, time).and_then(|settings| settings.speed_limit_kmh)
            }
            _ => None,
        };
        let limit = limit_kmh.map(Ruling::of_limit);
        let ruling = match (rule, limit) {
            (Some(rule), Some(limit)) => rule.or(limit),
            (rule, limit) => rule.or(limit)?,
        };
        Some(Ruling { limiting_fence: ruling.threshold_milli.map(|_| fence), ..ruling })
    }

    /// The first time after one from which on another rule may hold for a vehicle, wherever it is.
    pub fn next_date_after(&self, vehicle: VehicleKey, time: i64) -> Option<i64> {
        let of_rules = self.dates.get(self.dates.partition_point(|from| *from <= time)).copied();
        of_rules.into_iter().chain(self.companies.next_after(vehicle, time)).min()
    }
}
