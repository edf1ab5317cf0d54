//! Presences of one vehicle in one fence, and the stays and visits that they make.

use std::sync::Arc;

use model::{EndReason, PresenceRow, TimeMs, VisitRow};

use super::admission::Fix;
use super::timeline::{Version, end_of_coverage, version_at};

/// `[entered, exited)`; `end` is `None` while inside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Presence {
    pub entered: TimeMs,
    pub end: Option<(TimeMs, EndReason)>,
}

/// A stay that is a visit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Visit {
    arrived: TimeMs,
    departed: Option<TimeMs>,
    confirmed_at: TimeMs,
    presences: u32,
}

impl Presence {
    pub fn into_row(self, vehicle_id: &Arc<str>, fence_id: &Arc<str>) -> PresenceRow {
        let (vehicle_id, fence_id) = (vehicle_id.clone(), fence_id.clone());
        PresenceRow { vehicle_id, fence_id, entered: self.entered, end: self.end }
    }
}

impl Visit {
    pub fn into_row(self, vehicle_id: &Arc<str>, fence_id: &Arc<str>) -> VisitRow {
        VisitRow {
            vehicle_id: vehicle_id.clone(),
            fence_id: fence_id.clone(),
            arrived: self.arrived,
            departed: self.departed,
            confirmed_at: self.confirmed_at,
            presences: self.presences,
        }
    }
}

/// All presences, in order; `good_fixes` are in event-time order.
pub(super) fn presences(good_fixes: &[Fix], versions: &[Version], instant: TimeMs) -> Vec<Presence> {
    let mut done = Vec::new();
    let mut entered: Option<TimeMs> = None;
    for fix in good_fixes {
        if let Some(since) = entered
            && let Some(end) = end_of_coverage(versions, since)
            && end.0 <= fix.time
        {
            done.push(Presence { entered: since, end: Some(end) });
            entered = None;
        }
        let Some(version) = version_at(versions, fix.time) else {
            continue;
        };
        match entered {
            None if version.geometry.covers(fix.at) => entered = Some(fix.time),
            Some(since) if version.geometry.is_farther_than(fix.at, version.exit_buffer_m) => {
                done.push(Presence { entered: since, end: Some((fix.time, EndReason::Exit)) });
                entered = None;
            }
            _ => {}
        }
    }
    if let Some(since) = entered {
        // No good fix has reached the fence's end, or the presence would be over. Has the instant?
        let end = end_of_coverage(versions, since).filter(|&(at, _)| at <= instant);
        done.push(Presence { entered: since, end });
    }
    done
}

/// Joins presences into stays, and keeps the stays that last long enough.
pub(super) fn visits(presences: &[Presence], versions: &[Version], instant: TimeMs) -> Vec<Visit> {
    let mut visits = Vec::new();
    let mut rest = presences;
    while let Some(first) = rest.first() {
        let arrived = first.entered;
        let Some(version) = version_at(versions, arrived) else {
            // Cannot be: a vehicle enters at a fix, by the version that is valid at that fix.
            debug_assert!(false, "entered {arrived} where no version is valid");
            break;
        };
        let mut count = 1;
        while count < rest.len()
            && let Some((exited, _)) = rest[count - 1].end
            && rest[count].entered.0 - exited.0 <= version.max_absence_ms
        {
            count += 1;
        }
        let departed = rest[count - 1].end.map(|(at, _)| at);
        let lasted_ms = departed.unwrap_or(instant).0 - arrived.0;
        if lasted_ms >= version.min_dwell_ms {
            visits.push(Visit {
                arrived,
                departed,
                confirmed_at: arrived.plus_ms(version.min_dwell_ms),
                presences: u32::try_from(count).unwrap_or(u32::MAX),
            });
        }
        rest = &rest[count..];
    }
    visits
}
