//! Crossings: a vehicle went through a fence between two fixes, and neither saw it there.

use std::sync::Arc;

use model::{CrossingRow, TimeMs};

use super::admission::Fix;
use super::presence::Presence;
use super::reach::Base;
use super::timeline::Version;

const LONGEST_LEG_MS: i64 = 300 * 1000;

/// Between the fixes of `from_time` and `to_time`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Crossing {
    pub from_time: TimeMs,
    pub to_time: TimeMs,
    pub at: TimeMs,
}

impl Crossing {
    pub fn into_row(self, vehicle_id: &Arc<str>, fence_id: &Arc<str>) -> CrossingRow {
        CrossingRow {
            vehicle_id: vehicle_id.clone(),
            fence_id: fence_id.clone(),
            from_time: self.from_time,
            to_time: self.to_time,
            at: self.at,
        }
    }
}

/// All crossings, in order; `good_fixes` are in event-time order.
pub(super) fn crossings(
    good_fixes: &[Fix],
    versions: &[Version],
    presences: &[Presence],
    base: &Base,
) -> Vec<Crossing> {
    let mut crossings = base.final_crossings.clone();
    let walked: Vec<&Fix> = base.start.iter().chain(base.later(good_fixes)).collect();
    crossings.extend(walked.windows(2).filter_map(|leg| crossing(leg[0], leg[1], versions, presences)));
    crossings
}

fn crossing(from: &Fix, to: &Fix, versions: &[Version], presences: &[Presence]) -> Option<Crossing> {
    if to.time.0 - from.time.0 > LONGEST_LEG_MS {
        return None;
    }
    let version = versions.iter().find(|version| version.holds_throughout(from.time, to.time))?;
    let is_there = |fix: &Fix| {
        version.geometry.covers(fix.at) || presences.iter().any(|presence| presence.holds(fix.time))
    };
    if !version.crossed || is_there(from) || is_there(to) {
        return None;
    }
    let at = version.geometry.crossed_at((from.time, from.at), (to.time, to.at))?;
    Some(Crossing { from_time: from.time, to_time: to.time, at })
}
