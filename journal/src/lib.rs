//! The durable ordered log of Watch Tower, in a folder or on Kafka, and what is kept beside it in that folder: the
//! changelog that the graph writes, and the dead letters.
//!
//! Invariants of this crate:
//!
//! 1. It knows no meaning: payloads, contexts, keys and rows are bytes to it.
//! 2. Nothing is acknowledged before it is durable: an fsync that came after its write has succeeded, or Kafka's
//!    brokers have committed it.
//! 3. Offsets and tick numbers begin at 1 and have no gaps; the instant of a tick never goes back.
//! 4. What was acknowledged is there after a restart, or the start is refused with the reason.
//! 5. Queues, groups, histories and answers are bounded.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod archive;
mod backup;
mod changelog;
mod clock;
mod dead_letters;
mod embedded;
mod error;
mod format;
mod index;
#[cfg(feature = "kafka")]
mod kafka;
mod log;
mod options;
mod queue;
mod snapshot;
mod store;
mod writer;

pub use archive::{ArchivedDay, ArchivedFile};
pub use backup::{BackedUp, BackupError, restore_backup, write_backup};
pub use changelog::{ChangeBytes, Changelog, Cursor, CursorError, StoredChange};
pub use dead_letters::{DeadLetter, DeadLetterCounts, DeadLetters, NewDeadLetter};
pub use embedded::EmbeddedLog;
pub use error::{AppendError, ReadError, StoreError};
pub use index::Index;
#[cfg(feature = "kafka")]
pub use kafka::KafkaLog;
pub use log::{Appended, Entry, Log, Tick, Ticket};
pub use options::{JournalKind, KafkaOptions, Options};
pub use snapshot::{FoundRow, KeyAndRow, RowsSnapshot};
pub use store::{Store, StoreLog};
