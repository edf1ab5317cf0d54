//! What operators behind presence may ask of the fixes that their worker keeps.

use std::cell::RefCell;
use std::rc::Rc;

use model::Why;

use super::fix::VehicleKey;
use super::operator::PresenceWork;

/// Good fixes of the past changed: legs between two times are not what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoadChange {
    /// Whose.
    pub vehicle: VehicleKey,
    /// Not before this.
    pub from: i64,
    /// Not after this.
    pub to: i64,
    /// Why.
    pub why: Why,
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

    /// What changed of the past in this tick, in the order in which it did.
    pub fn for_each_road_change(&self, take: impl FnMut(&RoadChange)) {
        self.0.borrow().road_changes().iter().for_each(take);
    }
}
