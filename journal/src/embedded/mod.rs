//! The embedded log: in the `fjall` database of the store's folder.
//!
//! ```text
//!   DIR/lock          held while a process has the folder open
//!   DIR/commit.mark   the newest acknowledged tick, to hold the database against
//!   DIR/db/           entries, ticks | changes, rows, index | dead_letters | meta
//!   DIR/archive/      older ticks (crate::archive)
//!   DIR/db.new/       a database that is being made; one that is left over was never finished
//! ```

mod commit;
mod database;
mod lock;
mod mark;
mod read;
mod recovery;
mod trim;
mod wal;

#[cfg(test)]
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use crossbeam_channel::Receiver;

use commit::EmbeddedCommit;
pub(crate) use database::Db;
use mark::MarkWriter;
pub(crate) use recovery::{Recovered, open};
pub(crate) use trim::trim;

use crate::clock::wall_clock_ms;
use crate::format::TickRecord;
use crate::queue::Queue;
use crate::writer::{LIVE_TICKS, Writer};
use crate::{AppendError, Log, Options, StoreError, Tick, Ticket};

/// The database writes the size of a value as 32 bits.
const MAX_ENTRY_BYTES: usize = u32::MAX as usize / 2;

/// What every handle shares. The database is closed before the lock is given back: fields drop in order.
pub(crate) struct StoreInner {
    pub db: Db,
    pub options: Options,
    _lock: lock::FolderLock,
}

impl StoreInner {
    pub(crate) fn new(db: Db, options: Options, lock: lock::FolderLock) -> StoreInner {
        StoreInner { db, options, _lock: lock }
    }
}

/// The log in an embedded database. When its last handle is dropped, it stops.
#[derive(Clone)]
pub struct EmbeddedLog {
    handle: Arc<LogHandle>,
}

struct LogHandle {
    store: Arc<StoreInner>,
    queue: Arc<Queue>,
    /// What the writer will own: taken by the start.
    parts: Mutex<Option<MarkWriter>>,
    #[cfg(test)]
    commits_fail: Arc<AtomicBool>,
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

impl EmbeddedLog {
    pub(crate) fn new(
        store: Arc<StoreInner>,
        last_tick: Option<TickRecord>,
        mark: MarkWriter,
    ) -> EmbeddedLog {
        let queue = Arc::new(Queue::new(&store.options, last_tick, MAX_ENTRY_BYTES));
        let handle = LogHandle {
            store,
            queue,
            parts: Mutex::new(Some(mark)),
            #[cfg(test)]
            commits_fail: Arc::default(),
        };
        EmbeddedLog { handle: Arc::new(handle) }
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.handle.queue
    }

    pub(crate) fn start_at(&self, wall_ms: i64) -> Result<Receiver<Arc<Tick>>, StoreError> {
        self.handle.queue.check_clock(wall_ms)?;
        let parts = self.handle.parts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let Some(mark) = parts else {
            return Err(StoreError::Refused("the journal was started already".to_string()));
        };
        let LogHandle { store, queue, .. } = &*self.handle;
        let (live, ticks) = crossbeam_channel::bounded(LIVE_TICKS);
        let commit = EmbeddedCommit {
            mark,
            store: Arc::clone(store),
            #[cfg(test)]
            fails: Arc::clone(&self.handle.commits_fail),
        };
        let writer = Writer::new(queue, wall_ms, store.options.heartbeat_ms, live, commit);
        queue
            .begin(move || writer.run(Box::new(std::iter::empty())))
            .map_err(|source| StoreError::Io { path: "the writer's thread".into(), source })?;
        Ok(ticks)
    }
}

impl Log for EmbeddedLog {
    fn append(&self, source: u8, context: &str, payload: Vec<u8>) -> Result<Ticket, AppendError> {
        self.handle.queue.push(source, context, payload)
    }

    fn last_tick(&self) -> Option<(u64, i64)> {
        self.handle.queue.last_tick().map(|tick| (tick.number, tick.instant_ms))
    }

    fn read(
        &self,
        from_tick: u64,
        to_tick: u64,
    ) -> Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send> {
        let last = self.handle.queue.last_tick().map_or(0, |tick| tick.number);
        Box::new(read::TickReader::new(Arc::clone(&self.handle.store), from_tick.max(1), to_tick.min(last)))
    }

    fn start(&self) -> Result<Receiver<Arc<Tick>>, StoreError> {
        self.start_at(wall_clock_ms())
    }

    fn failure(&self) -> Option<String> {
        self.handle.queue.failure()
    }

    fn is_stopped(&self) -> bool {
        self.handle.queue.is_stopped()
    }

    fn stop(&self) {
        self.handle.queue.stop();
    }
}

#[cfg(test)]
mod tests;
