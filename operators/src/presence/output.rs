//! What a vehicle's changes amount to, and the rows it is made of.

use model::{Cause, EndReason, RejectReason, Why};

use super::fix::{Fix, VehicleKey};
use crate::fences::{FenceKey, NEVER};
use crate::rows::{Delta, Derived};

/// A presence of a vehicle, 24 bytes. Ordered by (`entered`, `fence`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// First fix inside.
    pub entered: i64,
    /// Which fence.
    pub fence: FenceKey,
    /// Means nothing while it is open.
    reason: EndReason,
    /// When it ended; [`NEVER`] while it is open.
    exited: i64,
}

impl Interval {
    pub(crate) fn open(entered: i64, fence: FenceKey) -> Interval {
        Interval { entered, fence, reason: EndReason::Exit, exited: NEVER }
    }

    /// When and why it ended.
    #[must_use]
    pub fn end(&self) -> Option<(i64, EndReason)> {
        (self.exited != NEVER).then_some((self.exited, self.reason))
    }

    pub(crate) fn exited(&self) -> i64 {
        self.exited
    }

    pub(crate) fn is_open(&self) -> bool {
        self.exited == NEVER
    }

    pub(crate) fn with_end(self, end: Option<(i64, EndReason)>) -> Interval {
        let (exited, reason) = end.unwrap_or((NEVER, EndReason::Exit));
        Interval { exited, reason, ..self }
    }

    /// Whether the vehicle is in the fence just after a fix at that time.
    pub(crate) fn holds(&self, time: i64) -> bool {
        self.entered <= time && time < self.exited
    }
}

/// A passage through a fence between two fixes. Ordered by (`from`, `fence`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Crossing {
    /// Time of the fix before.
    pub from: i64,
    /// Which fence.
    pub fence: FenceKey,
    /// Time of the fix after.
    pub to: i64,
    /// The middle of the passage.
    pub at: i64,
}

/// A row that is put under a vehicle's number when it goes out.
pub(crate) trait OfVehicle: Ord + Copy {
    fn row(&self, vehicle: VehicleKey) -> Derived;

    /// Why it came or went, where these rows stood before and those after; both are in order.
    fn why(&self, _before: &[Self], _after: &[Self], why: Why) -> Why {
        why
    }
}

impl OfVehicle for Interval {
    fn row(&self, vehicle: VehicleKey) -> Derived {
        Derived::presence(vehicle, self)
    }

    /// A fence's end that closes a presence and closed none of the vehicle before is a cause of its own.
    fn why(&self, before: &[Interval], after: &[Interval], why: Why) -> Why {
        let key = |i: &Interval| (i.entered, i.fence);
        let at = after.partition_point(|i| key(i) < key(self));
        let now = after.get(at).filter(|now| key(now) == key(self));
        let Some((exited, reason)) = now.and_then(Interval::end) else { return why };
        // Presences in one fence do not overlap: only the last that began by then can have ended then.
        let begun = &before[..before.partition_point(|i| i.entered < exited)];
        let was_last = begun.iter().rfind(|i| i.fence == self.fence);
        let is_known = was_last.and_then(Interval::end) == Some((exited, reason));
        if is_known { why } else { ended_by_fence(reason, why) }
    }
}

impl OfVehicle for Crossing {
    fn row(&self, vehicle: VehicleKey) -> Derived {
        Derived::crossing(vehicle, self)
    }
}

/// The differences of rows of one tick, as they come.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) deltas: Vec<Delta>,
}

impl Output {
    pub(crate) fn came(&mut self, vehicle: VehicleKey, row: &impl OfVehicle, why: Why) {
        self.deltas.push(Delta { row: row.row(vehicle), diff: 1, why });
    }

    pub(crate) fn went(&mut self, vehicle: VehicleKey, row: &impl OfVehicle, why: Why) {
        self.deltas.push(Delta { row: row.row(vehicle), diff: -1, why });
    }

    pub(crate) fn bad_value(&mut self, vehicle: VehicleKey, fix: &Fix, why: Why) {
        self.reject(vehicle, fix, RejectReason::BadValue, 1, why);
    }

    /// A fix is a jump now, or not any more: one row a record, the refusal wins over a bad value.
    pub(crate) fn jump(&mut self, vehicle: VehicleKey, fix: &Fix, is_jump: bool, why: Why) {
        let diff = if is_jump { 1 } else { -1 };
        self.reject(vehicle, fix, RejectReason::Jump, diff, why);
        if fix.has_bad_value {
            self.reject(vehicle, fix, RejectReason::BadValue, -diff, why);
        }
    }

    fn reject(&mut self, vehicle: VehicleKey, fix: &Fix, reason: RejectReason, diff: i8, why: Why) {
        let row = Derived::Reject { seq: fix.seq, vehicle, time: fix.time, reason };
        self.deltas.push(Delta { row, diff, why });
    }

    /// Adds what differs between two sorted lists.
    pub(crate) fn difference<R: OfVehicle>(&mut self, vehicle: VehicleKey, old: &[R], new: &[R], why: Why) {
        let (mut o, mut n) = (old.iter().peekable(), new.iter().peekable());
        loop {
            match (o.peek(), n.peek()) {
                (Some(a), Some(b)) if a == b => {
                    o.next();
                    n.next();
                }
                (Some(&a), Some(&b)) if a < b => {
                    self.went(vehicle, a, a.why(old, new, why));
                    o.next();
                }
                (Some(&a), None) => {
                    self.went(vehicle, a, a.why(old, new, why));
                    o.next();
                }
                (_, Some(&b)) => {
                    self.came(vehicle, b, b.why(old, new, why));
                    n.next();
                }
                (None, None) => return,
            }
        }
    }
}

/// The cause of a row that a fence's own end closes, whatever led to its being looked at.
pub(crate) fn ended_by_fence(reason: EndReason, why: Why) -> Why {
    match reason {
        EndReason::Exit => why,
        EndReason::FenceDeleted | EndReason::FenceEnded => {
            why.stronger(Why { cause: Cause::FenceEnd, ..why })
        }
    }
}
