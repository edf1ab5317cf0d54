//! Reach: how far back corrections go, and from where a vehicle is judged after one.
//!
//! ```text
//!   final rows, as they were       |   judged anew, as if all had always been so
//!   ----------------------- g0 ----|---- fixes ---------------------------------> time
//!                                 edge
//! ```
//!
//! The *edge* after a record is the largest of "instant - max(keep, horizon)" of all records so far, with the
//! settings in force before and after each; there is none while all history is kept. A *correction* is an edit of a fence, for
//! that fence, or a settings record that changes something, for all. Rows that ended before the correction's
//! edge are final from then on. All else is computed anew from `g0`, the last good fix before the edge.

use model::{GraphSettings, TimeMs};

use super::admission::Fix;
use super::crossing::Crossing;
use super::presence::{Presence, Stay};

/// The edge over time: it never goes back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Edge(Option<TimeMs>);

impl Edge {
    /// After all records so far.
    pub fn now(self) -> Option<TimeMs> {
        self.0
    }

    /// Time comes to an instant with these settings; gives the edge.
    pub fn advance(&mut self, instant: TimeMs, settings: &GraphSettings) -> Option<TimeMs> {
        let reach_ms = settings.keep_ms.map(|keep_ms| keep_ms.max(settings.horizon_ms));
        // `None` is less than any time.
        self.0 = self.0.max(reach_ms.map(|reach_ms| instant.plus_ms(-reach_ms)));
        self.0
    }
}

/// What all corrections so far have left of one vehicle and fence: what is final, and where judging begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Base {
    /// That of the last correction. `None`: there was none that left anything final.
    pub edge: Option<TimeMs>,
    /// The last good fix before the edge.
    pub start: Option<Fix>,
    /// Since when the vehicle was inside, where a presence covers the edge.
    pub entered: Option<TimeMs>,
    pub final_presences: Vec<Presence>,
    pub final_stays: Vec<Stay>,
    pub final_crossings: Vec<Crossing>,
    covering_stay: Option<CoveringStay>,
}

/// A stay that began before the edge and did not end before it: what it had joined by then it keeps.
#[derive(Clone, Copy, Debug)]
struct CoveringStay {
    arrived: TimeMs,
    /// Of the last presence that began before the edge.
    last_entered: TimeMs,
}

/// What is known of one vehicle and fence.
pub(super) struct Judged {
    pub presences: Vec<Presence>,
    pub stays: Vec<Stay>,
    pub crossings: Vec<Crossing>,
}

impl Base {
    /// After a correction with this edge, before which it was as `judged` by these fixes.
    pub fn new(edge: TimeMs, judged: &Judged, good_fixes: &[Fix]) -> Base {
        let ended_before = |end: Option<TimeMs>| end.is_some_and(|end| end < edge);
        let exited = |presence: &Presence| presence.end.map(|(at, _)| at);
        let (final_presences, others): (Vec<Presence>, Vec<Presence>) =
            judged.presences.iter().partition(|presence| ended_before(exited(presence)));
        let (final_stays, open_stays): (Vec<Stay>, Vec<Stay>) =
            judged.stays.iter().partition(|stay| ended_before(stay.departed));
        let covering_stay = open_stays.iter().find(|stay| stay.arrived < edge).and_then(|stay| {
            let entered = judged.presences.iter().map(|presence| presence.entered);
            let last_entered = entered.filter(|&entered| entered >= stay.arrived && entered < edge).max()?;
            Some(CoveringStay { arrived: stay.arrived, last_entered })
        });
        Base {
            edge: Some(edge),
            start: good_fixes.iter().rfind(|fix| fix.time < edge).copied(),
            entered: others.iter().map(|presence| presence.entered).find(|&entered| entered < edge),
            final_presences,
            final_stays,
            final_crossings: judged.crossings.iter().filter(|c| c.to_time < edge).copied().collect(),
            covering_stay,
        }
    }

    /// The fixes that are judged after the one with which judging begins.
    pub fn later<'a>(&self, good_fixes: &'a [Fix]) -> impl Iterator<Item = &'a Fix> {
        let start = self.start.map(|fix| fix.time);
        good_fixes.iter().filter(move |fix| start.is_none_or(|start| fix.time > start))
    }

    /// Whether a presence was part of the stay that began then when the edge was drawn.
    pub fn has_joined(&self, arrived: TimeMs, presence: &Presence) -> bool {
        self.covering_stay
            .is_some_and(|stay| stay.arrived == arrived && presence.entered <= stay.last_entered)
    }
}
