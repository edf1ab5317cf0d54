//! What the demo's people plan: for the days that are filled in, for today, and for tomorrow.

use model::TimeMs;

use super::TRUCKS;
use crate::simulate::{Planning, TripAct, TripStream, World, local_day};

/// The acts still to come.
pub(super) struct Plans {
    stream: TripStream,
}

impl Plans {
    /// What is to be posted of the time from `oldest` up to `live_from`, and what comes after. Of that,
    /// everything up to `last_known` has been posted by an earlier run.
    pub(super) fn until(
        world: &World,
        oldest: TimeMs,
        live_from: TimeMs,
        last_known: Option<TimeMs>,
    ) -> (Plans, Vec<TripAct>) {
        let planning = Planning { trucks: TRUCKS, noise: false, from: oldest, by: None };
        let mut plans = Plans { stream: TripStream::new(planning) };
        let today = local_day(live_from);
        let mut made = plans.next_until(world, live_from);
        made.retain(|act| last_known.is_none_or(|known| act.received > known) && can_be_told_now(act, today));
        (plans, made)
    }

    /// The acts up to `time`.
    pub(super) fn next_until(&mut self, world: &World, time: TimeMs) -> Vec<TripAct> {
        std::iter::from_fn(|| self.stream.next_until(world, time)).collect()
    }
}

/// A service dates what is set by hand by its arrival. So of trips of earlier days only the plan is told that
/// holds in the end, and nothing of those that were cancelled.
fn can_be_told_now(act: &TripAct, today: i64) -> bool {
    act.trip.day >= today || act.is_plan_that_holds()
}
