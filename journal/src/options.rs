//! Limits and periods of a store.

const MIB: usize = 1024 * 1024;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Limits and periods of a [`crate::Store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many entries may wait for their commit; above it an append is refused as full.
    pub max_queued_entries: usize,
    /// How many bytes may wait for their commit; also the limit of one entry.
    pub max_queued_bytes: usize,
    /// How many entries one tick may have.
    pub max_group_entries: usize,
    /// How many bytes one tick may have (one entry alone may be larger).
    pub max_group_bytes: usize,
    /// An empty tick is minted when nothing was committed for so long.
    pub heartbeat_ms: u64,
    /// Begin although the wall clock is far from the journal's last instant.
    pub accept_clock: bool,
    /// Changes older than this, by the instants of their ticks, are trimmed; 0 keeps all.
    pub changes_keep_ms: i64,
    /// How many dead letters are kept; the oldest go first.
    pub dead_letters_max_count: u64,
    /// How many bytes of dead letters are kept; the newest one always is.
    pub dead_letters_max_bytes: u64,
    /// How long a dead letter is kept.
    pub dead_letters_keep_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_queued_entries: 8192,
            max_queued_bytes: 64 * MIB,
            max_group_entries: 1024,
            max_group_bytes: 4 * MIB,
            heartbeat_ms: 1000,
            accept_clock: false,
            changes_keep_ms: 7 * DAY_MS,
            dead_letters_max_count: 100_000,
            dead_letters_max_bytes: 256 * MIB as u64,
            dead_letters_keep_ms: 30 * DAY_MS,
        }
    }
}
