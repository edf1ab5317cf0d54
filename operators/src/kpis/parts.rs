//! What is summed, and in parts of what size.
//!
//! What is counted and comes seldom, visits, trips, alerts and periods, is told as a part: of a slice, in a bucket of time as
//! long as the shortest hop, of one field. What comes of steps is told as sums of a bucket ([`StepSums`]). Both add
//! up, and what is taken back is the same with the other sign; so it does not matter in which order they come, nor
//! which worker they are from.

use model::{KpiSliceKind, Why};
use serde::{Deserialize, Serialize};

use super::steps::StepSums;
use crate::alerts::KindKey;
use crate::fences::FenceKey;
use crate::presence::VehicleKey;
use crate::trips::ClientKey;

/// Every window begins and ends at a multiple of this.
pub(super) const BUCKET_MS: i64 = 10_000;

/// Of whom a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum SliceKey {
    Fleet,
    Client(ClientKey),
    /// By the number of its id, or of the fence that stands for itself.
    Location(FenceKey),
    Truck(VehicleKey),
}

impl SliceKey {
    /// What it is one of.
    #[must_use]
    pub fn kind(self) -> KpiSliceKind {
        match self {
            SliceKey::Fleet => KpiSliceKind::Fleet,
            SliceKey::Client(_) => KpiSliceKind::Client,
            SliceKey::Location(_) => KpiSliceKind::Location,
            SliceKey::Truck(_) => KpiSliceKind::Truck,
        }
    }
}

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(super) enum Sum {
    Started,
    Completed,
    Delayed,
    Failed,
    Cancelled,
    Departures,
    DeparturesOnTime,
    /// Of trips with a scheduled arrival.
    Arrivals,
    ArrivalsOnTime,
    GoodFixes,
    LegsEnded,
    DistanceMm,
}

pub(super) const SUMS: usize = Sum::DistanceMm as usize + 1;

/// What goes on from one time to another: parts say how many more go on from a time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(super) enum Rate {
    Moving,
    Idle,
    Stopped,
    Offline,
    /// Of operational trucks.
    OnTrip,
    Operational,
    /// Visits.
    Present,
}

pub(super) const RATES: usize = Rate::Present as usize + 1;

/// Values whose mean and quantiles are asked for, seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[allow(missing_docs)]
pub(super) enum Sample {
    Tat,
    Dwell,
}

pub(super) const SAMPLES: usize = Sample::Dwell as usize + 1;

/// What a part is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Field {
    Sum(Sum),
    /// The part's amount is how many more have this value.
    Sample(Sample, i64),
    Rate(Rate),
    /// Alerts of a kind.
    Alerts(KindKey),
}

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Part {
    pub slice: SliceKey,
    /// When its bucket begins, ms.
    pub bucket: i64,
    pub field: Field,
    pub amount: i64,
    /// Of a rate: the amount times its time since the bucket's beginning, ms.
    pub moment: i64,
    /// The strongest reason of what it is made of.
    pub why: Why,
}

/// What is added to windows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Piece<'a> {
    Part(&'a Part),
    /// Of the bucket that begins then.
    Steps(i64, &'a StepSums),
}

impl Piece<'_> {
    /// When its bucket begins; no window begins or ends within it.
    pub fn bucket(self) -> i64 {
        match self {
            Piece::Part(part) => part.bucket,
            Piece::Steps(bucket, _) => bucket,
        }
    }
}

impl Part {
    pub fn new(slice: SliceKey, time: i64, field: Field, amount: i64, why: Why) -> Part {
        let within_ms = time.rem_euclid(BUCKET_MS);
        let moment = if matches!(field, Field::Rate(_)) { amount * within_ms } else { 0 };
        Part { slice, bucket: time - within_ms, field, amount, moment, why }
    }
}

/// Adds parts of the same slice, bucket and field up, and leaves out what cancels.
pub(super) fn consolidate(parts: &mut Vec<Part>) {
    parts.sort_unstable_by_key(|part| (part.slice, part.bucket, part.field));
    let mut kept = 0;
    let mut start = 0;
    while start < parts.len() {
        let mut sum = parts[start];
        let key = |part: &Part| (part.slice, part.bucket, part.field);
        let mut end = start + 1;
        while end < parts.len() && key(&parts[end]) == key(&sum) {
            sum.amount += parts[end].amount;
            sum.moment += parts[end].moment;
            sum.why = sum.why.stronger(parts[end].why);
            end += 1;
        }
        if sum.amount != 0 || sum.moment != 0 {
            parts[kept] = sum;
            kept += 1;
        }
        start = end;
    }
    parts.truncate(kept);
}
