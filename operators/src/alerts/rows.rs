//! Alerts inside the graph.

use model::{AlertKind, DelayOf, Severity};

use super::control::{KindKey, TextKey, kind_key};
use crate::fences::FenceKey;
use crate::presence::VehicleKey;
use crate::rows::Keyed;
use crate::trips::TripKey;

/// What an alert is about, besides its vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Subject {
    /// Nothing else.
    Vehicle(AlertKind),
    /// An entry into a fence, or an exit from it.
    Fence(AlertKind, FenceKey),
    /// A trip that is late.
    Delay(TripKey, DelayOf),
    /// A trip whose corridor was left.
    Deviation(TripKey),
    /// What the provider tells: its kind, and the provider's id.
    Provider(KindKey, Option<TextKey>),
}

impl Subject {
    /// The kind of such alerts.
    #[must_use]
    pub fn kind(self) -> KindKey {
        match self {
            Subject::Vehicle(kind) | Subject::Fence(kind, _) => kind_key(kind),
            Subject::Delay(..) => kind_key(AlertKind::TripDelay),
            Subject::Deviation(_) => kind_key(AlertKind::RouteDeviation),
            Subject::Provider(kind, _) => kind,
        }
    }
}

/// What is particular to an alert of some kinds, as [`AlertDetails`](model::AlertDetails) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum Details {
    None,
    Overspeed { limit_milli: i64, max_speed_dkmh: u16 },
    Harsh { from_dkmh: u16, to_dkmh: u16 },
    Delay(DelayOf),
    Provider { received: Option<TextKey> },
}

/// An alert's row inside the graph. Times are ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct AlertFacts {
    pub subject: Subject,
    pub started: i64,
    pub vehicle: VehicleKey,
    pub due_at: i64,
    /// `None`: it goes on.
    pub ended: Option<i64>,
    pub severity: Severity,
    /// The fence that it is about, or whose limit was broken.
    pub fence: Option<FenceKey>,
    /// The trip that it names.
    pub trip: Option<TripKey>,
    pub details: Details,
}

impl Keyed for AlertFacts {
    type Key = (Subject, i64, Option<VehicleKey>);

    /// What is about a trip is that, whoever drives: a trip that changes its vehicle may change its worker, too.
    fn key(&self) -> (Subject, i64, Option<VehicleKey>) {
        let of_trip = matches!(self.subject, Subject::Delay(..) | Subject::Deviation(_));
        (self.subject, self.started, (!of_trip).then_some(self.vehicle))
    }
}
