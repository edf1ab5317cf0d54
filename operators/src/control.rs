//! What every worker is told beside the fixes.

use std::sync::Arc;

use model::GraphSettings;

use crate::fences::{Edit, FenceKey};

/// A message to every worker within a tick.
#[derive(Clone, Debug)]
pub enum Control {
    /// The tick's instant: timers up to it fire. Comes first in its tick.
    Instant(i64),
    /// A fence edit.
    Fence(FenceKey, Edit),
    /// The settings that hold from this tick on, for all of the past.
    Settings(Arc<GraphSettings>),
}
