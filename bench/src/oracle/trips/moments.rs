//! When a trip became what, in hindsight.
//!
//! ```text
//!   status shown   scheduled | delayed        | ongoing  | delayed     | completed
//!   ---------------|---------|----------------|----------|-------------|-----------
//!                            S + 2 h          departure  scheduled     offload
//!                            became delayed,             arrival
//!                            once
//! ```

use model::{TimeMs, TripPhase, TripRow, TripStatus};

use super::Trip;
use super::row::{DELAYED_AFTER_MS, Outcome};

/// The moments of a trip that its row does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::oracle) struct Moments {
    /// When it first showed that it is delayed; it may be ahead of the instant.
    pub delayed: Option<TimeMs>,
    /// The offload, else when somebody said that it is completed.
    pub completed: Option<TimeMs>,
    pub failed: Option<TimeMs>,
    pub cancelled: Option<TimeMs>,
}

impl Moments {
    /// From when on its vehicle is not on it any more; `None`: it still is, if it has departed.
    pub fn over(&self) -> Option<TimeMs> {
        [self.completed, self.failed, self.cancelled].into_iter().flatten().min()
    }
}

/// `row` is what follows from the outcome.
pub(super) fn moments(trip: &Trip<'_>, outcome: &Outcome, row: &TripRow) -> Moments {
    let by_hand = |ending: TripStatus| trip.end.filter(|(_, end)| *end == ending).map(|(at, _)| at);
    let by_itself = match *outcome {
        Outcome::Failed { at, .. } => Some(at),
        _ => None,
    };
    let completed_by_hand = by_hand(TripStatus::Completed).filter(|_| row.phase != TripPhase::Failed);
    let cancelled = by_hand(TripStatus::Cancelled).filter(|_| row.phase == TripPhase::Cancelled);
    Moments {
        delayed: delayed(trip, row, by_itself),
        completed: row.offload.or(completed_by_hand),
        failed: by_itself.or(by_hand(TripStatus::Failed)),
        cancelled,
    }
}

/// The first time at which the status that people see is `delayed`.
fn delayed(trip: &Trip<'_>, row: &TripRow, failed: Option<TimeMs>) -> Option<TimeMs> {
    let leaves_late_from = trip.plan.scheduled_departure.plus_ms(DELAYED_AFTER_MS);
    let arrives_late_from = trip.plan.scheduled_arrival;
    let is_by = |moment: Option<TimeMs>, time: TimeMs| moment.is_some_and(|moment| moment <= time);
    let inferred = |time: TimeMs| {
        let has_arrived = is_by(row.arrival, time);
        let has_departed = is_by(row.actual_departure, time) || has_arrived;
        let is_late =
            (!has_departed && leaves_late_from <= time) || (!has_arrived && is_by(arrives_late_from, time));
        is_late && !is_by(failed, time)
    };
    let shown = |time: &TimeMs| {
        let set = trip.set_by_hand.iter().rfind(|set| set.at <= *time).and_then(|set| set.status);
        set.map_or_else(|| inferred(*time), |status| status == TripStatus::Delayed)
    };
    let set_at = trip.set_by_hand.iter().map(|set| set.at);
    set_at.chain(arrives_late_from).chain([leaves_late_from]).filter(shown).min()
}
