//! Derived tables as compacted topics of Kafka: a topic a table, the last message of a key is its row.
//!
//! ```text
//!   batch -> net effect by key -> rows and tombstones -> places are known -> cursor with the ends -> commit
//!               |  a row is refused for what it holds          (one transaction)
//!               `-> again one by one, without it: a tombstone in its place, and a dead letter
//! ```
//!
//! 1. All messages of a batch of whole ticks and the cursor are one transaction. The cursor says where each partition
//!    ends for it: what is committed before these ends is the rows of one tick.
//! 2. A start claims the cursor's topic: its producer fences the one before, and its session is in the last record.
//!    A sink that finds another session there, behind its own claim, stops for good.
//! 3. A key is in one partition, which follows from its bytes as Java's clients have it by default. Where topics have
//!    another number of partitions than the cursor says, or end before, everything is compared.

mod changes;
mod compare;
mod config;
mod connection;
mod cursor;
mod keys;
mod outbox;
mod partition;
mod read;
mod resync;
mod sink;
mod topics;

pub use compare::compare;
pub use config::KafkaConfig;
pub use kafka_client::Cluster;
pub use keys::{key_bytes, key_json};
pub use partition::partition_of;
pub use sink::KafkaSink;
