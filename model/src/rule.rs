//! What alerts are made of besides positions, visits and trips: rules, the provider's own alerts, and what people
//! say of an alert.

use std::sync::Arc;

use crate::{Severity, TimeMs};

/// What a rule is about; of several the first named here wins over those behind it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum RuleScope {
    /// One fence.
    Fence(Arc<str>),
    /// One vehicle.
    Vehicle(Arc<str>),
    /// The vehicles of a company.
    Company(Arc<str>),
    /// All vehicles.
    Fleet,
}

impl RuleScope {
    /// The names of all scopes, widest first.
    pub const NAMES: [&str; 4] = ["fleet", "company", "vehicle", "fence"];

    /// The scope of that name; all but the fleet have an id.
    #[must_use]
    pub fn from_parts(name: &str, id: Option<Arc<str>>) -> Option<RuleScope> {
        match (name, id) {
            ("fleet", None) => Some(RuleScope::Fleet),
            ("company", Some(id)) => Some(RuleScope::Company(id)),
            ("vehicle", Some(id)) => Some(RuleScope::Vehicle(id)),
            ("fence", Some(id)) => Some(RuleScope::Fence(id)),
            _ => None,
        }
    }

    /// Its name in records, and its id.
    #[must_use]
    pub fn parts(&self) -> (&'static str, Option<&Arc<str>>) {
        match self {
            RuleScope::Fleet => ("fleet", None),
            RuleScope::Company(id) => ("company", Some(id)),
            RuleScope::Vehicle(id) => ("vehicle", Some(id)),
            RuleScope::Fence(id) => ("fence", Some(id)),
        }
    }
}

/// When alerts of a kind are raised. What it leaves open, a wider scope says, and in the end the default.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AlertRule {
    /// Of which kind of alerts; kinds that nothing raises are kept.
    pub kind: Arc<str>,
    /// What it is about.
    pub scope: RuleScope,
    /// A limit in thousandths of the kind's unit: km/h, m/s².
    pub threshold_milli: Option<i64>,
    /// How long the condition must hold.
    pub duration_ms: Option<i64>,
    /// How bad it is.
    pub severity: Option<Severity>,
    /// Whether alerts are raised at all.
    pub enabled: bool,
    /// It holds for all time, and not from its instant on.
    pub correct_history: bool,
}

/// An alert as the tracking provider tells it; its beginning and its end may come apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderAlert {
    /// Whose.
    pub vehicle_id: Arc<str>,
    /// Our name of its kind; the provider's where we have none.
    pub kind: Arc<str>,
    /// How bad it is, unless a rule says otherwise.
    pub severity: Severity,
    /// It has no length: it ends as it begins.
    pub is_instant: bool,
    /// The provider's own id, the same in both halves.
    pub provider_id: Option<Arc<str>>,
    /// When it began, where this half says it.
    pub started: Option<TimeMs>,
    /// When it ended, where this half says it.
    pub ended: Option<TimeMs>,
    /// What else was received, as a compact JSON object of at most [`ProviderAlert::MAX_DETAILS_BYTES`].
    pub details: Option<Arc<str>>,
}

impl ProviderAlert {
    /// Longer details stay in the record: rows are kept many times over.
    pub const MAX_DETAILS_BYTES: usize = 4096;
}

/// What somebody says of an alert. It changes no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum AlertMark {
    /// Somebody cares for it.
    Acknowledge,
    /// It is dealt with.
    Resolve,
}

impl AlertMark {
    /// Both marks.
    pub const ALL: [AlertMark; 2] = [AlertMark::Acknowledge, AlertMark::Resolve];

    /// The type of its records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AlertMark::Acknowledge => "acknowledge",
            AlertMark::Resolve => "resolve",
        }
    }

    /// The mark of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<AlertMark> {
        AlertMark::ALL.into_iter().find(|mark| mark.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_read_as_they_are_written() {
        for name in RuleScope::NAMES {
            let id = (name != "fleet").then(|| Arc::from("x"));
            let scope = RuleScope::from_parts(name, id.clone()).unwrap();
            assert_eq!(scope.parts(), (name, id.as_ref()));
            let other_id = if id.is_none() { Some("x".into()) } else { None };
            assert_eq!(RuleScope::from_parts(name, other_id), None);
        }
        assert_eq!(RuleScope::from_parts("moon", None), None);
    }

    #[test]
    fn marks_read_as_they_are_written() {
        for mark in AlertMark::ALL {
            assert_eq!(AlertMark::from_name(mark.as_str()), Some(mark));
        }
        assert_eq!(AlertMark::from_name("forget"), None);
    }
}
