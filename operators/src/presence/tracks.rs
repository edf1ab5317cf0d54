//! What operators behind presence may ask of the fixes that their worker keeps.

use std::cell::RefCell;
use std::rc::Rc;

use model::{Coord, Why};

use super::fix::{Fix, VehicleKey};
use super::operator::PresenceWork;
use crate::spatial::leg_mm;

/// A good fix at one end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepEnd {
    /// Event time, ms.
    pub time: i64,
    /// Where.
    pub at: Coord,
}

/// From one good fix to the next that came (+1) or went (-1). The steps of a vehicle that stand are those between
/// its good fixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub vehicle: VehicleKey,
    /// The earlier fix.
    pub from: StepEnd,
    /// The later fix.
    pub to: StepEnd,
    /// How far it is: the geodesic, rounded to a millimetre.
    pub mm: i64,
    /// +1 or -1.
    pub diff: i8,
    /// Why.
    pub why: Why,
}

impl From<&Fix> for StepEnd {
    fn from(fix: &Fix) -> StepEnd {
        StepEnd { time: fix.time, at: fix.at }
    }
}

/// What changed of steps in a tick, but for those to fixes that came in order.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    all: Vec<Step>,
}

impl Steps {
    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    /// The step to a good fix was another one, or none, and is another one, or none.
    pub(crate) fn replace(
        &mut self,
        vehicle: VehicleKey,
        (old_from, old_to): (Option<&Fix>, Option<&Fix>),
        (from, to): (Option<&Fix>, Option<&Fix>),
        why: Why,
    ) {
        let (old, new) = (old_from.zip(old_to), from.zip(to));
        let key = |(from, to): (&Fix, &Fix)| (from.seq, to.seq);
        if old.map(key) == new.map(key) {
            return;
        }
        if let Some((from, to)) = old {
            self.push(vehicle, from, to, -1, why);
        }
        if let Some((from, to)) = new {
            self.push(vehicle, from, to, 1, why);
        }
    }

    fn push(&mut self, vehicle: VehicleKey, from: &Fix, to: &Fix, diff: i8, why: Why) {
        let mm = leg_mm(from.at, to.at);
        self.all.push(Step { vehicle, from: from.into(), to: to.into(), mm, diff, why });
    }
}

/// The fixes of a worker's vehicles as presence has left them at the tick that it worked on last. A worker is
/// given the next tick when all of its operators are done with one: so this is the tick that is asked about.
#[derive(Clone)]
pub struct Tracks(pub(super) Rc<RefCell<PresenceWork>>);

impl Tracks {
    /// The legs between consecutive good fixes of a vehicle from one time to another, both included, each
    /// rounded to a millimetre. Exact where presences of the vehicle began or ended at these times, or all
    /// fixes since are kept.
    #[must_use]
    pub fn travelled_mm(&self, vehicle: VehicleKey, from: i64, to: i64) -> i64 {
        self.0.borrow().travelled_mm(vehicle, from, to)
    }

    /// What changed of steps in this tick, in the order in which it did: where fixes came late, were corrected or
    /// judged anew.
    pub fn for_each_step(&self, take: impl FnMut(&Step)) {
        self.0.borrow().steps().all.iter().for_each(take);
    }
}
