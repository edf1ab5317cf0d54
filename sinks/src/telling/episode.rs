//! Alerts with what is known beside their rows, and the episodes that they are of.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{AlertId, AlertRow, TimeMs};

/// An episode remembers so many alerts; beyond that, those that went first are let go.
const MAX_ALERTS: usize = 64;

/// Some time, `[from, to)`, never empty: what has no length takes a millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Times {
    pub from: TimeMs,
    pub to: TimeMs,
}

impl Times {
    /// Of a row that stands.
    pub fn of(row: &AlertRow) -> Times {
        Times { from: row.started, to: row.ended.unwrap_or(TimeMs(i64::MAX)).max(row.started.plus_ms(1)) }
    }

    /// Of a row that was shown until an instant.
    pub fn shown(row: &AlertRow, until: TimeMs) -> Times {
        Times { from: row.started, to: row.ended.unwrap_or(until).max(row.started.plus_ms(1)) }
    }

    pub fn meet(self, other: Times) -> bool {
        self.from < other.to && other.from < self.to
    }

    pub fn with(self, other: Times) -> Times {
        Times { from: self.from.min(other.from), to: self.to.max(other.to) }
    }
}

/// An alert, with what is known beside its row.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Alert {
    /// The row; of an alert that went, the last one.
    pub row: AlertRow,
    /// Whether the row stands.
    pub stands: bool,
    /// The instant at which it came first.
    pub learned_at: TimeMs,
    /// It was learned long after it was due.
    pub is_late: bool,
    /// 1 as it came; then how often its row changed.
    pub revision: u32,
    /// The alert that took its place when it went.
    pub superseded_by: Option<AlertId>,
    /// Its episode, by the id of that one's first alert.
    pub episode: AlertId,
    /// When it was said to be, by rows that do not stand any more.
    pub(super) shown: Option<Times>,
}

impl Alert {
    pub(super) fn new(row: &AlertRow, learned_at: TimeMs, is_late: bool, episode: AlertId) -> Alert {
        Alert {
            row: row.clone(),
            stands: false,
            learned_at,
            is_late,
            revision: 0,
            superseded_by: None,
            episode,
            shown: None,
        }
    }

    pub(super) fn begin_version(&mut self, row: &AlertRow) {
        self.row = row.clone();
        self.stands = true;
        self.revision += 1;
        self.superseded_by = None;
    }
}

/// What people say of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum AlertState {
    /// Nothing yet.
    Open,
    /// Somebody cares for it.
    Acknowledged,
    /// It is dealt with.
    Resolved,
}

impl AlertState {
    /// All states.
    pub const ALL: [AlertState; 3] = [AlertState::Open, AlertState::Acknowledged, AlertState::Resolved];

    /// The name in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Open => "open",
            AlertState::Acknowledged => "acknowledged",
            AlertState::Resolved => "resolved",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<AlertState> {
        AlertState::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Who said something of an alert, and when.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Marked {
    /// Who.
    pub by: Arc<str>,
    /// The instant of the tick that brought it.
    pub at: TimeMs,
}

/// Alerts of one kind and subject whose times meet.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct Episode {
    /// Its alerts, those included that went.
    pub alerts: Vec<AlertId>,
    /// When people were told of it; `None` where they were not.
    pub told_at: Option<TimeMs>,
    /// How often its message was sent.
    pub revision: u32,
    /// Who cares for it.
    pub acknowledged: Option<Marked>,
    /// Who dealt with it.
    pub resolved: Option<Marked>,
    pub(super) number: u64,
    pub(super) subject: Arc<[u8]>,
    /// When its alerts are and were, without what those take that go on.
    pub(super) times: Times,
    /// It came of an edit, and is never told.
    pub(super) is_muted: bool,
    /// Its end, where it does not go on.
    pub(super) end: Option<TimeMs>,
}

impl Episode {
    pub(super) fn new(number: u64, subject: Arc<[u8]>, times: Times, is_muted: bool) -> Episode {
        Episode {
            alerts: Vec::new(),
            told_at: None,
            revision: 0,
            acknowledged: None,
            resolved: None,
            number,
            subject,
            times: Times { to: times.from.plus_ms(1), ..times },
            is_muted,
            end: None,
        }
    }

    /// What people said of it, the most that they said.
    #[must_use]
    pub fn state(&self) -> AlertState {
        match (&self.acknowledged, &self.resolved) {
            (_, Some(_)) => AlertState::Resolved,
            (Some(_), None) => AlertState::Acknowledged,
            (None, None) => AlertState::Open,
        }
    }

    /// Another one proves to be part of it.
    pub(super) fn take_in(&mut self, other: Episode) {
        self.alerts.extend(other.alerts);
        self.acknowledged = earlier(self.acknowledged.take(), other.acknowledged);
        self.resolved = earlier(self.resolved.take(), other.resolved);
        self.is_muted |= other.is_muted;
    }
}

fn earlier(a: Option<Marked>, b: Option<Marked>) -> Option<Marked> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
        (a, b) => a.or(b),
    }
}

/// An alert takes the place of those of its episode that went, and that it meets.
pub(super) fn supersede(alerts: &mut BTreeMap<AlertId, Alert>, of: &[AlertId], by: AlertId, times: Times) {
    for id in of.iter().filter(|id| **id != by) {
        let Some(alert) = alerts.get_mut(id) else { continue };
        let is_met = alert.shown.is_some_and(|shown| shown.meet(times));
        if !alert.stands && alert.superseded_by.is_none() && is_met {
            alert.superseded_by = Some(by);
        }
    }
}

/// Lets go of the first of too many alerts that went. Those whose place one of them took are then superseded by
/// what took its place.
pub(super) fn shorten(alerts: &mut BTreeMap<AlertId, Alert>, of: &mut Vec<AlertId>) {
    while of.len() > MAX_ALERTS {
        let went = |id: &AlertId| alerts.get(id).is_none_or(|alert| !alert.stands);
        let Some(at) = of.iter().position(went) else { return };
        let dropped = of.remove(at);
        let next = alerts.remove(&dropped).and_then(|alert| alert.superseded_by);
        for id in of.iter() {
            if let Some(alert) = alerts.get_mut(id).filter(|alert| alert.superseded_by == Some(dropped)) {
                alert.superseded_by = next;
            }
        }
    }
}
