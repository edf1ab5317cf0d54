//! What every worker is told for the sake of alerts.

use std::sync::Arc;

use model::{AlertKind, AlertRule, GraphSettings, Severity};

use crate::fences::{Edit, FenceKey};
use crate::presence::VehicleKey;

/// The number of a kind of alerts: of ours first, in the order of [`AlertKind::ALL`], then of the provider's as they
/// are seen.
pub type KindKey = u32;
/// The number of a text of the provider's: of an id, or of details.
pub type TextKey = u32;

/// The number of a company.
pub type CompanyKey = u32;

/// The number of one of our kinds.
#[must_use]
pub fn kind_key(kind: AlertKind) -> KindKey {
    kind as KindKey
}

/// What a rule is about; of several the first named here wins over those behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum ScopeKey {
    Fence(FenceKey),
    Vehicle(VehicleKey),
    Company(CompanyKey),
    Fleet,
}

/// An alert, or a half of one, as the provider tells it. Times are ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderIn {
    /// Whose.
    pub vehicle: VehicleKey,
    /// Our name of its kind, or the provider's.
    pub kind: KindKey,
    /// How bad it is, unless a rule says otherwise.
    pub severity: Severity,
    /// It ends as it begins.
    pub is_instant: bool,
    /// The provider's own.
    pub provider_id: Option<TextKey>,
    /// When it began, where this half says it.
    pub started: Option<i64>,
    /// When it ended, where this half says it.
    pub ended: Option<i64>,
    /// What else was received.
    pub received: Option<TextKey>,
}

/// A message to every worker within a tick, in the order of records.
#[derive(Clone, Debug)]
pub enum AlertControl {
    /// The tick itself. Comes first.
    Tick {
        /// Its instant, ms: timers up to it fire.
        instant: i64,
        /// The last record up to and with this tick.
        last_seq: u64,
        /// The edge of Reach: what no correction can reach any more may be forgotten.
        edge: i64,
    },
    /// A fence edit.
    Fence {
        /// Its record.
        seq: u64,
        /// The edge of Reach: what is older keeps the versions by which it was judged.
        edge: i64,
        /// Which fence.
        fence: FenceKey,
        /// What becomes of it.
        edit: Edit,
    },
    /// The settings that hold from this record on.
    Settings {
        /// Their record.
        seq: u64,
        /// The edge of Reach.
        edge: i64,
        /// All of them.
        settings: Arc<GraphSettings>,
    },
    /// A rule.
    Rule {
        /// Its record.
        seq: u64,
        /// The first time that it holds for, ms; what was said of its kind and scope for times from there on is gone.
        from: i64,
        /// Of which kind.
        kind: KindKey,
        /// About what.
        scope: ScopeKey,
        /// What it says.
        rule: Arc<AlertRule>,
    },
    /// Whose a vehicle is.
    Company {
        /// Its record.
        seq: u64,
        /// The edge of Reach: what is older keeps the company by which it was judged.
        edge: i64,
        /// Which vehicle.
        vehicle: VehicleKey,
        /// `None`: no company's.
        company: Option<CompanyKey>,
    },
    /// The provider tells of something.
    Provider {
        /// Its record.
        seq: u64,
        /// The record's instant, ms.
        instant: i64,
        /// What it tells.
        alert: ProviderIn,
    },
}
