//! The versions of one fence in time, after all its edits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::{Coord, EndReason, Fence, GraphSettings, TimeMs};

use super::Geometry;
use super::admission::Edit;
use schedule::Schedule;

mod schedule;

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
    /// `None`: it is valid for ever.
    pub until: Option<(TimeMs, Then)>,
    /// `None`: it is in force as long as it is valid.
    active: Option<Schedule>,
    pub geometry: Geometry,
    pub exit_buffer_m: f64,
    pub min_dwell_ms: i64,
    pub max_absence_ms: i64,
    /// Whether it asks for crossings.
    pub crossed: bool,
    /// Whether every entry and exit is told.
    pub alert: bool,
    pub speed_limit_kmh: Option<f64>,
    /// A position that stands for all of it.
    pub middle: Coord,
}

impl Version {
    fn is_valid_at(&self, time: TimeMs) -> bool {
        self.from <= time && self.until.is_none_or(|(until, _)| time < until)
    }

    fn is_active_at(&self, time: TimeMs) -> bool {
        self.active.as_ref().is_none_or(|schedule| schedule.is_active(time))
    }

    /// Valid and active.
    fn holds_at(&self, time: TimeMs) -> bool {
        self.is_valid_at(time) && self.is_active_at(time)
    }

    /// The first time after one that is active at which it is not active, be it valid or not. `None`: it is
    /// always active.
    fn inactive_from(&self, time: TimeMs) -> Option<TimeMs> {
        self.active.as_ref()?.end_of_stretch(time)
    }

    /// Whether it is in force at both times and all between.
    pub fn holds_throughout(&self, first: TimeMs, last: TimeMs) -> bool {
        let is_active = self.inactive_from(first).is_none_or(|inactive_from| last < inactive_from);
        self.holds_at(first) && self.is_valid_at(last) && is_active
    }
}

/// The version that is in force at a time.
pub(super) fn version_at(versions: &[Version], time: TimeMs) -> Option<&Version> {
    versions.iter().find(|version| version.holds_at(time))
}

/// The version that is valid at a time, active or not.
pub(super) fn valid_version_at(versions: &[Version], time: TimeMs) -> Option<&Version> {
    versions.iter().find(|version| version.is_valid_at(time))
}

/// When, seen from a time at which a version is in force, there is first none any more, and why.
pub(super) fn end_of_coverage(versions: &[Version], time: TimeMs) -> Option<(TimeMs, EndReason)> {
    let first = versions.iter().position(|version| version.holds_at(time))?;
    let mut covered_until = time;
    for version in &versions[first..] {
        if !version.is_active_at(covered_until) {
            return Some((covered_until, EndReason::FenceEnded));
        }
        let inactive_from = version.inactive_from(covered_until);
        let Some((until, then)) = version.until else {
            return inactive_from.map(|at| (at, EndReason::FenceEnded));
        };
        if let Some(at) = inactive_from.filter(|&at| at < until) {
            return Some((at, EndReason::FenceEnded));
        }
        if let Some(reason) = then.end_of_coverage() {
            return Some((until, reason));
        }
        covered_until = until;
    }
    None
}

/// Why no version is in force at a time, where one was before.
pub(super) fn last_end_until(versions: &[Version], time: TimeMs) -> Option<EndReason> {
    versions.iter().rev().filter(|version| version.from <= time).find_map(|version| {
        let ended = version.until.filter(|&(until, _)| until <= time);
        let last = ended.map_or(time, |(until, _)| until);
        let schedule = version.active.as_ref();
        if schedule.is_some_and(|schedule| !schedule.is_ever_active(version.from, last)) {
            return None;
        }
        let covered_to_the_end = version.is_active_at(last.plus_ms(-1));
        let told = ended.filter(|_| covered_to_the_end).and_then(|(_, then)| then.end_of_coverage());
        Some(told.unwrap_or(EndReason::FenceEnded))
    })
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
            active: fence.settings.active.as_ref().map(|active| Schedule::new(active, &settings.zone)),
            geometry: Geometry::new(&fence.shape),
            exit_buffer_m: fence.settings.exit_buffer_m.unwrap_or(settings.exit_buffer_m),
            min_dwell_ms: fence.settings.min_dwell_ms.unwrap_or(settings.min_dwell_ms),
            max_absence_ms: fence.settings.max_absence_ms.unwrap_or(settings.max_absence_ms),
            crossed: fence.settings.crossed,
            alert: fence.settings.alert,
            speed_limit_kmh: fence.settings.speed_limit_kmh,
            middle: fence.shape.middle(),
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
