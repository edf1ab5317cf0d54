//! The embedded log and its store: one `fjall` database in a folder of its own.
//!
//! ```text
//!   DIR/lock          held while a process has the folder open
//!   DIR/commit.mark   the newest acknowledged tick, to hold the database against
//!   DIR/db/           entries, ticks | changes, rows, index | dead_letters | meta
//!   DIR/db.new/       a database that is being made; one that is left over was never finished
//! ```

mod database;
mod lock;
mod mark;
mod queue;
mod read;
mod recovery;
mod wal;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::Receiver;

pub(crate) use database::Db;
use mark::MarkWriter;
use queue::Queue;
use writer::Writer;

use crate::clock::{Clock, check, wall_clock_ms};
use crate::format::TickRecord;
use crate::{AppendError, Changelog, DeadLetters, Log, Options, StoreError, Tick, Ticket};

/// How many ticks may wait for the reader of the live channel.
const LIVE_TICKS: usize = 32;

/// What every handle shares. The database is closed before the lock is given back: fields drop in order.
pub(crate) struct StoreInner {
    pub db: Db,
    pub options: Options,
    _lock: lock::FolderLock,
}

/// A folder with a log, a changelog and dead letters. Cheap to clone; closed when the last handle is gone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<StoreInner>,
    log: EmbeddedLog,
    changelog: Changelog,
    dead_letters: DeadLetters,
}

impl Store {
    /// Opens the folder, creating it if it is new. One that lost acknowledged ticks is refused.
    pub fn open(dir: &Path, options: Options) -> Result<Store, StoreError> {
        let recovered = recovery::open(dir)?;
        let inner = Arc::new(StoreInner { db: recovered.db, options, _lock: recovered.lock });
        let changelog = Changelog::open(Arc::clone(&inner))?;
        let (logged, derived) = (recovered.last_tick.map_or(0, |tick| tick.number), changelog.last_tick());
        if let Some((derived, _)) = derived.filter(|(tick, _)| *tick > logged) {
            let what = format!("the changelog ends with tick {derived}, but the journal with tick {logged}");
            return Err(StoreError::damaged(what));
        }
        let dead_letters = DeadLetters::open(Arc::clone(&inner))?;
        let log = EmbeddedLog::new(Arc::clone(&inner), recovered.last_tick, recovered.mark);
        Ok(Store { inner, log, changelog, dead_letters })
    }

    /// The log of this store.
    #[must_use]
    pub fn log(&self) -> EmbeddedLog {
        self.log.clone()
    }

    /// The changelog of this store.
    #[must_use]
    pub fn changelog(&self) -> Changelog {
        self.changelog.clone()
    }

    /// The dead letters of this store.
    #[must_use]
    pub fn dead_letters(&self) -> DeadLetters {
        self.dead_letters.clone()
    }

    /// How many bytes the store has on disk.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.inner.db.database.disk_space().map_err(StoreError::database("measure its files"))
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
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

impl EmbeddedLog {
    fn new(store: Arc<StoreInner>, last_tick: Option<TickRecord>, mark: MarkWriter) -> EmbeddedLog {
        let queue = Arc::new(Queue::new(&store.options, last_tick));
        EmbeddedLog { handle: Arc::new(LogHandle { store, queue, parts: Mutex::new(Some(mark)) }) }
    }

    /// How many entries are durable.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.handle.queue.last_tick().map_or(0, |tick| tick.next_offset() - 1)
    }

    /// Refuses a wall clock that is far from the journal's last instant. [`Log::start`] asks this too; a
    /// service that replays first asks it before.
    pub fn check_clock(&self) -> Result<(), StoreError> {
        self.check_clock_at(wall_clock_ms())
    }

    fn check_clock_at(&self, wall_ms: i64) -> Result<(), StoreError> {
        let last_ms = self.last_tick().map(|(_, instant_ms)| instant_ms);
        check(wall_ms, last_ms, self.handle.store.options.accept_clock)
    }

    pub(crate) fn start_at(&self, wall_ms: i64) -> Result<Receiver<Arc<Tick>>, StoreError> {
        self.check_clock_at(wall_ms)?;
        let parts = self.handle.parts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        let Some(mark) = parts else {
            return Err(StoreError::Refused("the journal was started already".to_string()));
        };
        let last = self.handle.queue.last_tick();
        let (live, ticks) = crossbeam_channel::bounded(LIVE_TICKS);
        let writer = Writer {
            store: Arc::clone(&self.handle.store),
            queue: Arc::clone(&self.handle.queue),
            clock: Clock::anchored(wall_ms, last.map(|tick| tick.instant_ms)),
            next_tick: last.map_or(1, |tick| tick.number + 1),
            next_offset: last.map_or(1, |tick| tick.next_offset()),
            mark,
            heartbeat: Duration::from_millis(self.handle.store.options.heartbeat_ms.max(1)),
            live,
        };
        self.handle
            .queue
            .begin(writer)
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
