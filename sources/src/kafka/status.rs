//! What the input tells of itself.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

/// Figures of the input, for whoever asks.
#[derive(Debug, Default)]
pub struct InputStatus {
    is_up: AtomicBool,
    messages: AtomicU64,
    lag: AtomicI64,
}

impl InputStatus {
    /// Whether the brokers answered when they were last asked.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Relaxed)
    }

    /// Messages that were read since the start.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Offsets of the topics that were not read when it was last counted. Markers of transactions are among them.
    #[must_use]
    pub fn lag(&self) -> i64 {
        self.lag.load(Ordering::Relaxed)
    }

    /// Notes whether the brokers answer.
    pub fn set_up(&self, is_up: bool) {
        self.is_up.store(is_up, Ordering::Relaxed);
    }

    /// Counts a message.
    pub fn count_message(&self) {
        self.messages.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes how far behind it is.
    pub fn set_lag(&self, offsets: i64) {
        self.lag.store(offsets, Ordering::Relaxed);
    }
}
