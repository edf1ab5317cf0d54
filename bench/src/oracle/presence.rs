//! Presences of one vehicle in one fence, and the stays that they make.

use std::sync::Arc;

use model::{EndReason, GraphSettings, PresenceRow, TimeMs, VisitRow};

use super::admission::Fix;
use super::reach::Base;
use super::timeline::{Version, end_of_coverage, last_end_until, valid_version_at, version_at};

/// `[entered, exited)`, never empty; `end` is `None` while inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Presence {
    pub entered: TimeMs,
    pub end: Option<(TimeMs, EndReason)>,
}

/// Presences with short absences between them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stay {
    pub arrived: TimeMs,
    pub departed: Option<TimeMs>,
    pub presences: u32,
    /// Where it lasted long enough to be a visit.
    pub confirmed_at: Option<TimeMs>,
}

impl Presence {
    pub fn holds(&self, time: TimeMs) -> bool {
        self.entered <= time && self.end.is_none_or(|(exited, _)| time < exited)
    }

    pub fn into_row(self, vehicle_id: &Arc<str>, fence_id: &Arc<str>) -> PresenceRow {
        let (vehicle_id, fence_id) = (vehicle_id.clone(), fence_id.clone());
        PresenceRow { vehicle_id, fence_id, entered: self.entered, end: self.end }
    }
}

impl Stay {
    /// A visit, where it is one.
    pub fn into_row(self, vehicle_id: &Arc<str>, fence_id: &Arc<str>) -> Option<VisitRow> {
        Some(VisitRow {
            vehicle_id: vehicle_id.clone(),
            fence_id: fence_id.clone(),
            arrived: self.arrived,
            departed: self.departed,
            confirmed_at: self.confirmed_at?,
            presences: self.presences,
        })
    }
}

/// The walk of one vehicle through one fence, fix by fix.
struct Walk<'a> {
    versions: &'a [Version],
    /// What ended before this is final. `None`: nothing is.
    edge: Option<TimeMs>,
    /// Nothing begins before the end of the last final presence.
    earliest: Option<TimeMs>,
    done: Vec<Presence>,
    inside: Option<Inside>,
}

#[derive(Clone, Copy)]
struct Inside {
    entered: TimeMs,
    /// A time at which the vehicle was inside and a version was in force, the last that matters.
    covered_at: TimeMs,
    /// It would not have begun but for a correction.
    begun_by_correction: bool,
}

/// All presences, in order, as far as they are final or follow from the fixes; `good_fixes` are in event-time
/// order.
pub(super) fn presences(
    good_fixes: &[Fix],
    versions: &[Version],
    instant: TimeMs,
    base: &Base,
) -> Vec<Presence> {
    let done = base.final_presences.clone();
    let earliest = done.iter().filter_map(|presence| Some(presence.end?.0)).max();
    let mut walk = Walk { versions, edge: base.edge, earliest, done, inside: None };
    walk.begin(base);
    for fix in base.later(good_fixes) {
        walk.leave_where_coverage_ends(fix.time);
        walk.judge(fix, false);
    }
    // No good fix has reached the fence's end, or the presence would be over. Has the instant?
    walk.leave_where_coverage_ends(instant);
    if let Some(Inside { entered, .. }) = walk.inside {
        walk.done.push(Presence { entered, end: None });
    }
    walk.done
}

impl Walk<'_> {
    /// Judges the state at the edge by the last good fix before it.
    fn begin(&mut self, base: &Base) {
        let Some(start) = base.start else {
            return;
        };
        let Some(entered) = base.entered else {
            self.judge(&start, true);
            return;
        };
        self.inside = Some(Inside { entered, covered_at: start.time, begun_by_correction: false });
        if version_at(self.versions, start.time).is_some() {
            self.judge(&start, true);
        } else {
            let reason = last_end_until(self.versions, start.time).unwrap_or(EndReason::Exit);
            self.leave(start.time, reason);
        }
    }

    fn judge(&mut self, fix: &Fix, begun_by_correction: bool) {
        let Some(version) = version_at(self.versions, fix.time) else {
            return;
        };
        match self.inside {
            None if version.geometry.covers(fix.at) => {
                let entered = self.earliest.map_or(fix.time, |earliest| earliest.max(fix.time));
                self.inside = Some(Inside { entered, covered_at: fix.time, begun_by_correction });
            }
            Some(_) if version.geometry.is_farther_than(fix.at, version.exit_buffer_m) => {
                self.leave(fix.time, EndReason::Exit);
            }
            _ => {}
        }
    }

    fn leave_where_coverage_ends(&mut self, reached: TimeMs) {
        if let Some(inside) = self.inside
            && let Some((at, reason)) = end_of_coverage(self.versions, inside.covered_at)
            && at <= reached
        {
            self.leave(at, reason);
        }
    }

    fn leave(&mut self, at: TimeMs, reason: EndReason) {
        let Some(Inside { entered, begun_by_correction, .. }) = self.inside.take() else {
            return;
        };
        let is_empty = at <= entered;
        let is_new_before_edge = begun_by_correction && self.edge.is_some_and(|edge| at < edge);
        if !is_empty && !is_new_before_edge {
            self.done.push(Presence { entered, end: Some((at, reason)) });
        }
    }
}

/// Joins presences into stays and judges them; those that are final stay as they are.
pub(super) fn stays(
    presences: &[Presence],
    versions: &[Version],
    settings: &GraphSettings,
    instant: TimeMs,
    base: &Base,
) -> Vec<Stay> {
    let mut stays = base.final_stays.clone();
    let settled = stays.iter().filter_map(|stay| stay.departed).max();
    let open_to_join = presences.iter().filter(|presence| settled.is_none_or(|end| presence.entered >= end));
    let open_to_join: Vec<Presence> = open_to_join.copied().collect();
    let mut rest = open_to_join.as_slice();
    while let Some(first) = rest.first() {
        let arrived = first.entered;
        let version = valid_version_at(versions, arrived);
        let min_dwell_ms = version.map_or(settings.min_dwell_ms, |version| version.min_dwell_ms);
        let max_absence_ms = version.map_or(settings.max_absence_ms, |version| version.max_absence_ms);
        let mut count = 1;
        while count < rest.len()
            && let Some((exited, _)) = rest[count - 1].end
            && (base.has_joined(arrived, &rest[count]) || rest[count].entered.0 - exited.0 <= max_absence_ms)
        {
            count += 1;
        }
        let departed = rest[count - 1].end.map(|(at, _)| at);
        let lasted_ms = departed.unwrap_or(instant).0 - arrived.0;
        stays.push(Stay {
            arrived,
            departed,
            presences: u32::try_from(count).unwrap_or(u32::MAX),
            confirmed_at: (lasted_ms >= min_dwell_ms).then(|| arrived.plus_ms(min_dwell_ms)),
        });
        rest = &rest[count..];
    }
    stays
}
