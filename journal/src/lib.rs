//! The durable ordered log of Watch Tower, and what is kept beside it in the same folder: the changelog
//! that the graph writes, and the dead letters.
//!
//! Invariants of this crate:
//!
//! 1. It knows no meaning: payloads, contexts, keys and rows are bytes to it.
//! 2. Nothing is acknowledged before an fsync that came after its write has succeeded.
//! 3. Offsets and tick numbers begin at 1 and have no gaps; the instant of a tick never goes back.
//! 4. What was acknowledged is there after a restart, or the start is refused with the reason.
//! 5. Queues, groups, histories and answers are bounded.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod changelog;
mod clock;
mod dead_letters;
mod embedded;
mod error;
mod format;
mod index;
mod log;
mod options;
mod snapshot;

pub use changelog::{ChangeBytes, Changelog, Cursor, CursorError, StoredChange};
pub use dead_letters::{DeadLetter, DeadLetterCounts, DeadLetters, NewDeadLetter};
pub use embedded::{EmbeddedLog, Store};
pub use error::{AppendError, ReadError, StoreError};
pub use index::Index;
pub use log::{Appended, Entry, Log, Tick, Ticket};
pub use options::Options;
pub use snapshot::{FoundRow, KeyAndRow, RowsSnapshot};
