//! What the source tells of itself.

use std::sync::atomic::{AtomicBool, AtomicU64};

/// Figures for whoever asks.
#[derive(Debug, Default)]
pub struct Status {
    /// Whether the database is there.
    pub is_up: AtomicBool,
    /// Fences that this source has sent and not deleted.
    pub fences: AtomicU64,
    /// Rows that are refused.
    pub refused_rows: AtomicU64,
    /// Fences whose rows are gone and that are not deleted, since too many went at once.
    pub held_deletes: AtomicU64,
    /// Fences sent since the start.
    pub upserts: AtomicU64,
    /// Fences deleted since the start.
    pub deletes: AtomicU64,
    /// How often the table was compared since the start.
    pub sweeps: AtomicU64,
    /// Failures since the start; each is tried again.
    pub failures: AtomicU64,
}
