//! What every worker is told beside the fixes.

use std::sync::Arc;

use model::GraphSettings;

use crate::fences::{Edit, FenceKey};

/// A message to every worker within a tick. Corrections carry the position of their record in the input,
/// which orders them among the fixes of the tick, and the edge of Reach at that record: rows that ended
/// before it are final ([`ALWAYS`](crate::fences::ALWAYS) where history is kept without limit).
#[derive(Clone, Debug)]
pub enum Control {
    /// The tick itself. Comes first.
    Tick {
        /// Its instant, ms: timers up to it fire.
        instant: i64,
        /// The last record up to and with this tick.
        last_seq: u64,
        /// The edge of Reach at that record: what no correction can reach any more may be forgotten.
        edge: i64,
    },
    /// A fence edit.
    Fence {
        /// Its record.
        seq: u64,
        /// The edge of Reach.
        edge: i64,
        /// Which fence.
        fence: FenceKey,
        /// What becomes of it.
        edit: Edit,
    },
    /// The settings that hold from this record on, for all of the reachable past.
    Settings {
        /// Their record.
        seq: u64,
        /// The edge of Reach.
        edge: i64,
        /// All of them.
        settings: Arc<GraphSettings>,
    },
}

impl Control {
    /// The record that brought it; 0 for the tick itself.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Control::Tick { .. } => 0,
            Control::Fence { seq, .. } | Control::Settings { seq, .. } => *seq,
        }
    }
}
