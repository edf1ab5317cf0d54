//! Alerts: the rows that stand and went, with what people said of them and how they hang together.

use std::sync::Arc;

use model::{AlertId, AlertMarkRecord, ClosedTick, Severity, TimeMs};
use sinks::telling::{Alert, AlertState, Marked, Telling, Told};

use super::pages::{MAX_STEPS, Page};

/// An alert as a reader gets it.
#[derive(Clone, Debug)]
pub(crate) struct AlertView {
    pub id: AlertId,
    pub alert: Alert,
    pub state: AlertState,
    pub acknowledged: Option<Marked>,
    pub resolved: Option<Marked>,
    /// When people would have been told of its episode.
    pub told_at: Option<TimeMs>,
    /// Those that went, and whose place it has taken.
    pub supersedes: Vec<AlertId>,
}

/// Which alerts are wanted; all that is given must hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlertFilter {
    pub state: Option<AlertState>,
    pub kind: Option<Arc<str>>,
    pub severity: Option<Severity>,
    pub vehicle_id: Option<Arc<str>>,
    pub trip_id: Option<Arc<str>>,
    pub fence_id: Option<Arc<str>>,
    /// Alerts whose time meets `[from, to)`.
    pub from: Option<TimeMs>,
    pub to: Option<TimeMs>,
    pub is_late: Option<bool>,
}

impl AlertFilter {
    fn meets(&self, told: Told<'_>) -> bool {
        let row = &told.alert.row;
        let is_of = |wanted: &Option<Arc<str>>, id: &Option<Arc<str>>| wanted.is_none() || wanted == id;
        self.state.is_none_or(|wanted| wanted == told.episode.state())
            && self.kind.as_ref().is_none_or(|wanted| *wanted == row.kind)
            && self.severity.is_none_or(|wanted| wanted == row.severity)
            && self.vehicle_id.as_ref().is_none_or(|wanted| *wanted == row.vehicle_id)
            && is_of(&self.trip_id, &row.trip_id)
            && is_of(&self.fence_id, &row.fence_id)
            && self.to.is_none_or(|to| row.started < to)
            && self.from.is_none_or(|from| row.started >= from || row.ended.is_none_or(|end| end > from))
            && self.is_late.is_none_or(|wanted| wanted == told.alert.is_late)
    }
}

/// What became of an alert.
pub(crate) enum AlertFate {
    /// It stands.
    Stands(AlertView),
    /// It went, and this one stands in its place.
    Replaced(AlertView),
    /// It went, and nothing stands in its place.
    Gone,
}

/// All alerts that are kept.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Alerts {
    telling: Telling,
}

impl Alerts {
    pub fn apply(&mut self, closed: &ClosedTick, marks: &[AlertMarkRecord]) {
        // Whom to tell is the affair of sinks; what would be told is part of what is kept.
        self.telling.apply(closed, marks);
    }

    pub fn len(&self) -> usize {
        self.telling.len()
    }

    fn view(&self, told: Told<'_>) -> AlertView {
        AlertView {
            id: told.id,
            alert: told.alert.clone(),
            state: told.episode.state(),
            acknowledged: told.episode.acknowledged.clone(),
            resolved: told.episode.resolved.clone(),
            told_at: told.episode.told_at,
            supersedes: self.telling.superseded_by(told),
        }
    }

    /// What became of an alert; `None` for one of which nothing is kept.
    pub fn fate(&self, id: AlertId) -> Option<AlertFate> {
        let asked = self.telling.get(id)?;
        if asked.alert.stands {
            return Some(AlertFate::Stands(self.view(asked)));
        }
        // Each takes the place of another that went before, so there are no circles but by coming back; of an
        // episode not more are kept than these steps.
        let mut last = asked;
        for _ in 0..asked.episode.alerts.len() {
            let Some(next) = last.alert.superseded_by.and_then(|id| self.telling.get(id)) else { break };
            if next.alert.stands {
                return Some(AlertFate::Replaced(self.view(next)));
            }
            last = next;
        }
        Some(AlertFate::Gone)
    }

    /// Up to `limit` alerts that stand and meet the filter, the newest `due_at` first, after a place in that order.
    pub fn page(
        &self,
        filter: &AlertFilter,
        after: Option<(TimeMs, AlertId)>,
        limit: usize,
    ) -> Page<AlertView, (TimeMs, AlertId)> {
        let mut rows = Vec::new();
        let mut last_seen = None;
        for (step, told) in self.telling.newest(after).enumerate() {
            if step == MAX_STEPS {
                return Page { rows, next: last_seen };
            }
            if filter.meets(told) {
                if rows.len() == limit {
                    return Page { rows, next: last_seen };
                }
                rows.push(self.view(told));
            }
            last_seen = Some((told.alert.row.due_at, told.id));
        }
        Page { rows, next: None }
    }
}
