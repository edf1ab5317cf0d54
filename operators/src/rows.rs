//! Derived rows inside the graph: vehicles and fences are numbers here.

use model::{EndReason, RejectReason};

use crate::fences::FenceKey;
use crate::presence::{Interval, VehicleKey};

/// A derived row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Derived {
    Presence { vehicle: VehicleKey, fence: FenceKey, entered: i64, end: Option<(i64, EndReason)> },
    Visit { vehicle: VehicleKey, fence: FenceKey, visit: Visit },
    Reject { seq: u64, vehicle: VehicleKey, time: i64, reason: RejectReason },
}

/// A stay that is long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// Start of the first presence.
    pub arrived: i64,
    /// End of the last presence, `None` while it is open.
    pub departed: Option<i64>,
    /// `arrived` and the dwell that makes a visit.
    pub confirmed_at: i64,
    /// How many presences it joins.
    pub presences: u32,
}

impl Derived {
    pub(crate) fn presence(vehicle: VehicleKey, interval: &Interval) -> Derived {
        Derived::Presence { vehicle, fence: interval.fence, entered: interval.entered, end: interval.end }
    }
}
