//! Makes ticks durable in the embedded database.
//!
//! ```text
//!   one atomic batch -> fsync -> mark
//! ```

use std::sync::Arc;

use fjall::PersistMode;

use super::StoreInner;
use super::mark::{Mark, MarkWriter};
use crate::format::{TickRecord, encode_entry, number_key};
use crate::writer::Commit;
use crate::{Entry, StoreError};

/// The embedded database as the writer sees it. Syncs the mark, then lets go of the folder: fields drop in order.
pub(crate) struct EmbeddedCommit {
    pub mark: MarkWriter,
    pub store: Arc<StoreInner>,
    #[cfg(test)]
    pub fails: Arc<std::sync::atomic::AtomicBool>,
}

impl EmbeddedCommit {
    fn write(&self, record: &TickRecord, entries: &[Entry]) -> Result<(), StoreError> {
        let db = &self.store.db;
        // The batch is written to the log file, flushed to the system and fsynced under one lock, before it
        // becomes visible. SyncData is enough: the file's size and blocks are brought along where reading
        // the data back needs them.
        let mut batch = db.database.batch().durability(Some(PersistMode::SyncData));
        let mut scratch = Vec::new();
        for entry in entries {
            encode_entry(&mut scratch, entry);
            batch.insert(&db.entries, number_key(entry.offset), scratch.as_slice());
        }
        record.encode(&mut scratch);
        batch.insert(&db.ticks, number_key(record.number), scratch.as_slice());
        #[cfg(test)]
        if self.fails.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(StoreError::database("commit a tick")(fjall::Error::Poisoned));
        }
        batch.commit().map_err(StoreError::database("commit a tick"))
    }
}

impl Commit for EmbeddedCommit {
    fn commit(&mut self, record: &TickRecord, entries: &[Entry]) -> Result<(), StoreError> {
        self.write(record, entries)?;
        // Before the acknowledgement: a process that is killed now has it in the mark.
        warn_of_mark(self.mark.note(Mark::from(*record)));
        Ok(())
    }

    fn tend(&mut self) {
        warn_of_mark(self.mark.sync_if_due());
    }
}

impl Drop for EmbeddedCommit {
    fn drop(&mut self) {
        warn_of_mark(self.mark.sync());
    }
}

/// The mark is a second net: without it everything goes on, but a loss might not be seen at the next start.
fn warn_of_mark(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "commit.mark can't be written; check the disk");
    }
}
