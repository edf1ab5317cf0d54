//! What operators behind presence may ask of the fixes that their worker keeps.

use std::cell::RefCell;
use std::rc::Rc;

use model::{Coord, Motion, Why};

use super::fix::{Fix, VehicleKey};
use super::operator::PresenceWork;
use super::output::Interval;
use crate::fences::FenceKey;
use crate::spatial::leg_mm;

/// A good fix at one end of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepEnd {
    /// Event time, ms.
    pub time: i64,
    /// Where.
    pub at: Coord,
    /// How it moves there.
    pub motion: Motion,
}

/// From one good fix to the next that came (+1) or went (-1). The steps of a vehicle that stand are those between
/// its good fixes, and one to the first of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Whose.
    pub vehicle: VehicleKey,
    /// The earlier fix; `None`: there is none.
    pub from: Option<StepEnd>,
    /// The later fix.
    pub to: StepEnd,
    /// How far it is: the geodesic, rounded to a millimetre; 0 to the first fix.
    pub mm: i64,
    /// +1 or -1.
    pub diff: i8,
    /// Why.
    pub why: Why,
}

impl From<&Fix> for StepEnd {
    fn from(fix: &Fix) -> StepEnd {
        StepEnd { time: fix.time, at: fix.at, motion: fix.motion }
    }
}

/// A vehicle that is silent for longer is offline.
pub(crate) const OFFLINE_AFTER_MS: i64 = 15 * 60_000;

/// Whether a vehicle moved over a leg, rather than stand, or be silent.
#[inline]
pub(crate) fn is_moving(mm: i64, ms: i64) -> bool {
    // 5 km/h are 25 mm in 18 ms.
    ms <= OFFLINE_AFTER_MS && mm * 18 >= ms * 25
}

/// What changed of steps in a tick.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    all: Vec<Step>,
    /// Whether those are told too that come of fixes in order.
    tells_all: bool,
}

impl Steps {
    pub(crate) fn clear(&mut self) {
        self.all.clear();
    }

    /// A good fix is the newest.
    #[inline]
    pub(crate) fn append(&mut self, vehicle: VehicleKey, from: Option<&Fix>, to: &Fix) {
        if self.tells_all {
            self.push(vehicle, from, to, 1, Why::first(to.seq));
        }
    }

    /// The step to a good fix was another one, or none, and is another one, or none.
    pub(crate) fn replace(
        &mut self,
        vehicle: VehicleKey,
        (old_from, old_to): (Option<&Fix>, Option<&Fix>),
        (from, to): (Option<&Fix>, Option<&Fix>),
        why: Why,
    ) {
        let key = |from: Option<&Fix>, to: Option<&Fix>| Some((from.map(|from| from.seq), to?.seq));
        if key(old_from, old_to) == key(from, to) {
            return;
        }
        if let Some(to) = old_to {
            self.push(vehicle, old_from, to, -1, why);
        }
        if let Some(to) = to {
            self.push(vehicle, from, to, 1, why);
        }
    }

    fn push(&mut self, vehicle: VehicleKey, from: Option<&Fix>, to: &Fix, diff: i8, why: Why) {
        let mm = from.map_or(0, |from| leg_mm(from.at, to.at));
        self.all.push(Step { vehicle, from: from.map(StepEnd::from), to: to.into(), mm, diff, why });
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

    /// The last step of a vehicle to a good fix before a time: its ends, and how far it is.
    #[must_use]
    pub fn last_step_before(
        &self,
        vehicle: VehicleKey,
        time: i64,
    ) -> Option<(Option<StepEnd>, StepEnd, i64)> {
        self.0.borrow().last_step_before(vehicle, time)
    }

    /// What stands for the place of a fence, as it is at a time.
    #[must_use]
    pub fn middle_of(&self, fence: FenceKey, time: i64) -> Option<Coord> {
        self.0.borrow().middle_of(fence, time)
    }

    /// Why fences may be others than before this tick.
    #[must_use]
    pub fn fences_edited(&self) -> Option<Why> {
        self.0.borrow().fences_edited()
    }

    /// A vehicle's good fixes at or after a time, in their order, as long as `take` asks for more.
    pub(crate) fn each_good_from(&self, vehicle: VehicleKey, time: i64, take: impl FnMut(StepEnd) -> bool) {
        self.0.borrow().each_good_from(vehicle, time, take);
    }

    /// A vehicle's last good fix before a time, of those that are kept.
    pub(crate) fn last_good_before(&self, vehicle: VehicleKey, time: i64) -> Option<StepEnd> {
        self.0.borrow().last_good_before(vehicle, time)
    }

    /// The time of a good fix before which fixes or presences of a vehicle were forgotten, where some were.
    pub(crate) fn forgotten_before(&self, vehicle: VehicleKey) -> Option<i64> {
        self.0.borrow().forgotten_before(vehicle)
    }

    /// A vehicle's presences that had not ended by a time, in the order in which they began.
    pub(crate) fn presences_until_after(&self, vehicle: VehicleKey, time: i64, take: impl FnMut(&Interval)) {
        self.0.borrow().presences(vehicle).iter().filter(|interval| interval.exited() > time).for_each(take);
    }

    /// From now on steps are told that come of fixes in order, too.
    pub fn tell_all_steps(&self) {
        self.0.borrow_mut().steps_mut().tells_all = true;
    }

    /// What changed of steps in this tick, in the order in which it did: where fixes came late, were corrected or
    /// judged anew, and, if [asked for](Tracks::tell_all_steps), where they came in order.
    pub fn for_each_step(&self, take: impl FnMut(&Step)) {
        self.0.borrow().steps().all.iter().for_each(take);
    }
}
