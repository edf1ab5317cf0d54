//! Derived rows inside the graph: vehicles and fences are numbers here.

use model::{Cause, EndReason, RejectReason, Why};

use crate::fences::FenceKey;
use crate::presence::{Crossing, Interval, VehicleKey};

/// A derived row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Derived {
    Crossing { vehicle: VehicleKey, fence: FenceKey, from: i64, to: i64, at: i64 },
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

/// A row that came (+1) or went (-1), and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Delta<R = Derived> {
    /// The row.
    pub row: R,
    /// +1 or -1; within a tick a row may come and go several times.
    pub diff: i8,
    /// Why.
    pub why: Why,
}

/// A row with a key: of rows that stand no two have the same.
pub trait Keyed: Ord + Copy + std::fmt::Debug {
    /// What a key is made of.
    type Key: PartialEq;

    /// Rows that have the same are next to each other in their order.
    fn key(&self) -> Self::Key;
}

impl Keyed for Derived {
    /// (table, vehicle or record, fence, time)
    type Key = (u8, u64, FenceKey, i64);

    fn key(&self) -> Self::Key {
        match *self {
            Derived::Crossing { vehicle, fence, from, .. } => (0, vehicle.into(), fence, from),
            Derived::Presence { vehicle, fence, entered, .. } => (1, vehicle.into(), fence, entered),
            Derived::Visit { vehicle, fence, visit } => (2, vehicle.into(), fence, visit.arrived),
            Derived::Reject { seq, .. } => (3, seq, 0, 0),
        }
    }
}

impl Derived {
    pub(crate) fn presence(vehicle: VehicleKey, interval: &Interval) -> Derived {
        Derived::Presence { vehicle, fence: interval.fence, entered: interval.entered, end: interval.end() }
    }

    pub(crate) fn crossing(vehicle: VehicleKey, crossing: &Crossing) -> Derived {
        let Crossing { from, to, fence, at } = *crossing;
        Derived::Crossing { vehicle, fence, from, to, at }
    }
}

/// What is left of a tick's changes after those that cancel, by row: each with the cause that applies first
/// among all that touched the row, or the one that it takes the place of, and of those records the last.
pub fn net<R: Keyed>(deltas: &mut Vec<Delta<R>>) {
    deltas.sort_unstable();
    let mut kept = 0;
    let mut start = 0;
    while start < deltas.len() {
        let row = deltas[start].row;
        let mut end = start;
        let mut sum = 0_i32;
        let mut why = Why { cause: Cause::First, seq: 0 };
        while end < deltas.len() && deltas[end].row == row {
            sum += i32::from(deltas[end].diff);
            why = why.stronger(deltas[end].why);
            end += 1;
        }
        debug_assert!(sum.abs() <= 1, "a row comes or goes once a tick: {row:?}");
        if sum != 0 {
            deltas[kept] = Delta { row, diff: sum.signum() as i8, why };
            kept += 1;
        }
        start = end;
    }
    deltas.truncate(kept);
    for same_key in deltas.chunk_by_mut(|a, b| a.row.key() == b.row.key()) {
        let why = same_key[1..].iter().fold(same_key[0].why, |why, delta| why.stronger(delta.why));
        same_key.iter_mut().for_each(|delta| delta.why = why);
    }
}
