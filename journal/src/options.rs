//! Limits and periods of a store, and where its journal is.

use std::collections::BTreeMap;

const MIB: usize = 1024 * 1024;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Where the journal of a [`crate::Store`] is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JournalKind {
    /// Where the folder says; in a new folder, there.
    #[default]
    AsTheFolderSays,
    /// In the folder.
    Embedded,
    /// On Kafka; the folder has the changelog and the dead letters, and remembers the journal.
    Kafka(KafkaOptions),
}

/// A journal on Kafka.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KafkaOptions {
    /// Where brokers are: `host:port`, with commas between several.
    pub brokers: String,
    /// What the names of its topics begin with; also the transactional id of its writer.
    pub topic_prefix: String,
    /// How many partitions the topic of entries gets when it is made.
    pub partitions: u16,
    /// How many brokers keep each partition of the topics that are made.
    pub replication_factor: u16,
    /// How many of them must have a tick before it is acknowledged.
    pub min_insync_replicas: u16,
    /// Settings of librdkafka besides, for example how to log in.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        KafkaOptions {
            brokers: "127.0.0.1:9092".to_string(),
            topic_prefix: "watchtower".to_string(),
            partitions: 4,
            replication_factor: 1,
            min_insync_replicas: 1,
            properties: BTreeMap::new(),
        }
    }
}

/// Limits and periods of a [`crate::Store`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Where the journal is.
    pub journal: JournalKind,
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
            journal: JournalKind::default(),
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
