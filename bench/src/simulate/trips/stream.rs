//! What people do to trips in the order in which they do it, day by day.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use model::TimeMs;

use super::super::life::{day_start, local_day};
use super::super::world::World;
use super::{Act, HOUR_MS, Planning, SimTrip, of_day};

/// Days are drawn so long before they begin: nobody plans a trip earlier.
const PLANNED_BEFORE_MS: i64 = 8 * HOUR_MS;

/// Something that somebody does to a trip.
#[derive(Clone, Debug)]
pub(crate) struct TripAct {
    pub received: TimeMs,
    pub trip: Arc<SimTrip>,
    /// Which of the trip's acts it is.
    pub number: usize,
}

impl TripAct {
    /// What is done.
    #[must_use]
    pub(crate) fn act(&self) -> &Act {
        &self.trip.acts[self.number].1
    }

    /// Whether it is the plan that holds in the end, of a trip that is not cancelled: what can be told later as well.
    #[must_use]
    pub(crate) fn is_plan_that_holds(&self) -> bool {
        *self.act() == Act::Plan(self.trip.plan) && !self.trip.is_cancelled()
    }

    fn order(&self) -> (TimeMs, &str, usize) {
        (self.received, &self.trip.id, self.number)
    }
}

impl PartialEq for TripAct {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for TripAct {}

impl Ord for TripAct {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for TripAct {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// All acts of a fleet's trips, in order. Holds those of about two days.
pub(crate) struct TripStream {
    planning: Planning,
    next_day: i64,
    waiting: BinaryHeap<Reverse<TripAct>>,
}

impl TripStream {
    /// The stream from the beginning of the period.
    #[must_use]
    pub(crate) fn new(planning: Planning) -> TripStream {
        TripStream { planning, next_day: local_day(planning.from), waiting: BinaryHeap::new() }
    }

    /// The next act that is done no later than `time`.
    pub(crate) fn next_until(&mut self, world: &World, time: TimeMs) -> Option<TripAct> {
        while day_start(self.next_day).plus_ms(-PLANNED_BEFORE_MS) <= time {
            for truck in 0..self.planning.trucks {
                for trip in of_day(world, &self.planning, truck, self.next_day) {
                    self.wait_for(Arc::new(trip));
                }
            }
            self.next_day += 1;
        }
        let next = self.waiting.peek_mut().filter(|next| next.0.received <= time)?;
        Some(std::collections::binary_heap::PeekMut::pop(next).0)
    }

    fn wait_for(&mut self, trip: Arc<SimTrip>) {
        for (number, &(at, _)) in trip.acts.iter().enumerate() {
            let received = at.max(self.planning.from);
            if self.planning.by.is_none_or(|by| received <= by) {
                self.waiting.push(Reverse(TripAct { received, trip: trip.clone(), number }));
            }
        }
    }
}
