//! The versions of one fence in time, after all its edits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{EndReason, Fence, GraphSettings, TimeMs};

use super::Geometry;
use super::admission::Edit;

/// What comes when a version ends. Of several at one time the first named here counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Then {
    /// The next version begins just there: nobody leaves.
    NextVersion,
    Deleted,
    Ended,
}

impl Then {
    /// The reason of presences that end with the version; `None` where nobody leaves.
    fn end_of_coverage(self) -> Option<EndReason> {
        match self {
            Then::NextVersion => None,
            Then::Deleted => Some(EndReason::FenceDeleted),
            Then::Ended => Some(EndReason::FenceEnded),
        }
    }
}

/// A fence as it was in `[from, until)`, with the settings that hold for it.
pub(super) struct Version {
    pub from: TimeMs,
    /// `None`: it holds for ever.
    pub until: Option<(TimeMs, Then)>,
    pub geometry: Geometry,
    pub exit_buffer_m: f64,
    pub min_dwell_ms: i64,
    pub max_absence_ms: i64,
    /// Whether it asks for crossings.
    pub crossed: bool,
}

impl Version {
    pub fn holds_at(&self, time: TimeMs) -> bool {
        self.from <= time && self.until.is_none_or(|(until, _)| time < until)
    }
}

/// The version that is valid at a time.
pub(super) fn version_at(versions: &[Version], time: TimeMs) -> Option<&Version> {
    versions.iter().find(|version| version.holds_at(time))
}

/// When, seen from a time at which there is a version, there is first none any more, and why.
pub(super) fn end_of_coverage(versions: &[Version], time: TimeMs) -> Option<(TimeMs, EndReason)> {
    let first = versions.iter().position(|version| version.holds_at(time))?;
    for version in &versions[first..] {
        let (at, then) = version.until?;
        if let Some(reason) = then.end_of_coverage() {
            return Some((at, reason));
        }
    }
    None
}

/// Why there is no version at a time, where there was one before.
pub(super) fn last_end_until(versions: &[Version], time: TimeMs) -> Option<EndReason> {
    let ended = versions.iter().filter_map(|version| version.until).filter(|&(at, _)| at <= time);
    let ends = ended.filter_map(|(at, then)| Some((at, then.end_of_coverage()?)));
    ends.max_by_key(|&(at, _)| at).map(|(_, reason)| reason)
}

/// Applies edits in order of arrival.
pub(super) fn versions(edits: &[Edit], settings: &GraphSettings) -> Vec<Version> {
    let mut history = History::default();
    for edit in edits {
        match edit {
            Edit::Upsert(fence) => history.upsert(fence),
            Edit::Delete { at } => history.delete(*at),
        }
    }
    let in_force = history.in_force();
    in_force
        .into_iter()
        .map(|(from, until, fence)| Version {
            from,
            until,
            geometry: Geometry::new(&fence.shape),
            exit_buffer_m: fence.settings.exit_buffer_m.unwrap_or(settings.exit_buffer_m),
            min_dwell_ms: fence.settings.min_dwell_ms.unwrap_or(settings.min_dwell_ms),
            max_absence_ms: fence.settings.max_absence_ms.unwrap_or(settings.max_absence_ms),
            crossed: fence.settings.crossed,
        })
        .collect()
}

/// What the edits so far have left: versions by their begin, and the times of deletes.
#[derive(Default)]
struct History {
    upserts: BTreeMap<TimeMs, Arc<Fence>>,
    deletes: BTreeSet<TimeMs>,
}

type InForce = (TimeMs, Option<(TimeMs, Then)>, Arc<Fence>);

impl History {
    fn upsert(&mut self, fence: &Arc<Fence>) {
        let begin = fence.valid_from.unwrap_or_else(|| {
            // A correction: all that was known before is forgotten.
            self.upserts.clear();
            self.deletes.clear();
            TimeMs(i64::MIN)
        });
        // What begins just where a delete is takes its place: nothing ends there, and nothing else ends there
        // if this version is dropped by a later delete.
        self.deletes.remove(&begin);
        self.upserts.insert(begin, fence.clone());
    }

    fn delete(&mut self, at: TimeMs) {
        // `>=`, not `>`: a version that ends just there by its `valid_to` is told to be deleted.
        let concerns_some = self.in_force().iter().any(|(_, until, _)| until.is_none_or(|u| u.0 >= at));
        if !concerns_some {
            return;
        }
        self.upserts.retain(|&begin, _| begin < at);
        self.deletes.insert(at);
    }

    /// Each version with its end: where the next one begins, at the first delete after its begin, or at
    /// its own `valid_to`, whichever is first.
    fn in_force(&self) -> Vec<InForce> {
        let with_end = |(&from, fence): (&TimeMs, &Arc<Fence>)| {
            let next = self.upserts.keys().find(|&&other| other > from);
            let delete = self.deletes.iter().find(|&&at| at > from);
            let ends = [
                next.map(|&at| (at, Then::NextVersion)),
                delete.map(|&at| (at, Then::Deleted)),
                fence.valid_to.map(|at| (at, Then::Ended)),
            ];
            (from, ends.into_iter().flatten().min(), fence.clone())
        };
        self.upserts.iter().map(with_end).collect()
    }
}
