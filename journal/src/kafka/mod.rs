//! The log on Apache Kafka.
//!
//! ```text
//!   PREFIX.raw     the entries, over its partitions: entry n in partition n mod their number
//!   PREFIX.ticks   one partition: what each tick has, and who writes (the manifest)
//! ```
//!
//! Entries and ticks are encoded as in the embedded log. The order of entries is that of their numbers, and which
//! entries count is said by the manifest: how they are spread over partitions means nothing.

mod client;
mod commit;
mod end;
mod manifest;
mod read;
mod topics;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use client::Cluster;
use commit::KafkaCommit;
use end::End;
use manifest::JournalId;
pub(crate) use manifest::Remembered;
use read::TickReader;
use topics::Topics;

use crate::clock::wall_clock_ms;
use crate::format::TickRecord;
use crate::queue::Queue;
use crate::writer::{LIVE_TICKS, Writer};
use crate::{AppendError, KafkaOptions, Log, Options, StoreError, Tick, Ticket};

/// What a record has besides the bytes that the queue counts.
const RECORD_OVERHEAD_BYTES: usize = 512;
/// How long a tick that the folder has seen may be missing.
const SETTLE_PATIENCE: Duration = Duration::from_secs(20);
/// How often a journal whose end is not settled is looked at again.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// What the folder knows of its journal, and how it is told.
pub(crate) struct Folder {
    pub remembered: Option<Remembered>,
    /// The last tick of its changelog; 0 if it has none.
    pub derived_tick: u64,
    pub remember: Box<Remember>,
}

type Remember = dyn Fn(&Remembered) -> Result<(), StoreError> + Send + Sync;

/// What readers and the writer share.
pub(crate) struct Journal {
    cluster: Cluster,
    topics: Topics,
    id: Mutex<Option<JournalId>>,
    remember: Box<Remember>,
}

impl Journal {
    /// Refuses another journal than the folder's own.
    fn check_id(&self, journal_id: JournalId) -> Result<(), StoreError> {
        let id = *self.id.lock().unwrap_or_else(PoisonError::into_inner);
        if id.is_none_or(|id| id == journal_id) {
            return Ok(());
        }
        Err(StoreError::Refused(format!(
            "the topics {:?} on Kafka are another journal's than this folder's: set kafka.brokers and \
             kafka.topic_prefix to those of its own, or choose another folder",
            self.cluster.options.topic_prefix
        )))
    }

    /// The journal's id; known once it was claimed.
    fn id(&self) -> JournalId {
        self.id.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or_default()
    }

    /// An id for a journal that has no records. One that had some is not begun anew.
    fn new_id(&self) -> Result<JournalId, StoreError> {
        if self.id.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return Err(self.gone());
        }
        let mut id = JournalId::default();
        getrandom::fill(&mut id)
            .map_err(|error| StoreError::Refused(format!("no random numbers: {error}")))?;
        Ok(id)
    }

    /// Notes in the folder which journal is its own.
    fn remember(&self, journal_id: JournalId) -> Result<(), StoreError> {
        let KafkaOptions { brokers, topic_prefix, .. } = self.cluster.options.clone();
        (self.remember)(&Remembered { journal_id, brokers, topic_prefix })?;
        *self.id.lock().unwrap_or_else(PoisonError::into_inner) = Some(journal_id);
        Ok(())
    }

    /// Refuses a journal that ends before a tick that this folder has seen.
    fn check_end(&self, last: Option<TickRecord>, seen_tick: u64) -> Result<(), StoreError> {
        let last_tick = last.map_or(0, |tick| tick.number);
        if last_tick >= seen_tick {
            return Ok(());
        }
        Err(StoreError::Refused(format!(
            "this folder has seen tick {seen_tick} of the journal {:?} on Kafka, which ends with tick {last_tick}: its \
             end is lost; restore its topics, or begin with a new folder to go on with what it has",
            self.cluster.options.topic_prefix
        )))
    }

    fn gone(&self) -> StoreError {
        StoreError::Refused(format!(
            "the journal {:?} on Kafka has no records, and this folder knows that it had: restore its topics, or \
             begin a new journal with another kafka.topic_prefix and another folder",
            self.cluster.options.topic_prefix
        ))
    }
}

/// The log on Kafka. When its last handle is dropped, it stops.
#[derive(Clone)]
pub struct KafkaLog {
    handle: Arc<LogHandle>,
}

struct LogHandle {
    journal: Arc<Journal>,
    queue: Arc<Queue>,
    heartbeat_ms: u64,
    is_started: Mutex<bool>,
}

impl Drop for LogHandle {
    fn drop(&mut self) {
        self.queue.stop();
    }
}

impl KafkaLog {
    /// Looks at the topics, makes them where there are none, and finds the last tick. Writes nothing.
    pub(crate) fn open(
        kafka: KafkaOptions,
        options: &Options,
        folder: Folder,
    ) -> Result<KafkaLog, StoreError> {
        let cluster = Cluster::new(kafka)?;
        let topics = topics::provide(&cluster, options.max_queued_bytes)?;
        let id = folder.remembered.map(|remembered| remembered.journal_id);
        let journal = Arc::new(Journal { cluster, topics, id: Mutex::new(id), remember: folder.remember });
        let end = settled_end(&journal, folder.derived_tick)?;
        match &end {
            Some(end) if id.is_none() => journal.remember(end.journal_id)?,
            Some(_) => {}
            None if id.is_some() => return Err(journal.gone()),
            None => {}
        }
        let last_tick = end.and_then(|end| end.last_tick);
        journal.check_end(last_tick, folder.derived_tick)?;
        let max_entry_bytes = topics.max_batch_bytes.saturating_sub(RECORD_OVERHEAD_BYTES);
        let queue = Arc::new(Queue::new(options, last_tick, max_entry_bytes));
        let is_started = Mutex::new(false);
        let handle = LogHandle { journal, queue, heartbeat_ms: options.heartbeat_ms, is_started };
        Ok(KafkaLog { handle: Arc::new(handle) })
    }

    pub(crate) fn queue(&self) -> &Queue {
        &self.handle.queue
    }
}

/// What the manifest ends with. Where the folder has seen a later tick, that one may be about to show: the brokers
/// promise a commit before readers see it.
fn settled_end(journal: &Journal, derived_tick: u64) -> Result<Option<End>, StoreError> {
    let began = Instant::now();
    loop {
        let end = end::seen_end(&journal.cluster)?;
        if let Some(end) = &end {
            journal.check_id(end.journal_id)?;
        }
        let seen_tick = end.as_ref().and_then(|end| end.last_tick).map_or(0, |tick| tick.number);
        if seen_tick >= derived_tick || began.elapsed() >= SETTLE_PATIENCE {
            return Ok(end);
        }
        std::thread::sleep(SETTLE_PAUSE);
    }
}

impl Log for KafkaLog {
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
        Box::new(TickReader::new(Arc::clone(&self.handle.journal), from_tick.max(1), to_tick.min(last)))
    }

    /// Takes the journal over from whoever writes it. Ticks that came since [`Log::last_tick`] was read arrive
    /// first.
    fn start(&self) -> Result<Receiver<Arc<Tick>>, StoreError> {
        let LogHandle { journal, queue, heartbeat_ms, is_started } = &*self.handle;
        let wall_ms = wall_clock_ms();
        queue.check_clock(wall_ms)?;
        if std::mem::replace(&mut *is_started.lock().unwrap_or_else(PoisonError::into_inner), true) {
            return Err(StoreError::Refused("the journal was started already".to_string()));
        }
        let (live, ticks) = crossbeam_channel::bounded(LIVE_TICKS);
        let known = queue.last_tick().map_or(0, |tick| tick.number);
        let (commit, last) = KafkaCommit::begin(journal, queue)?;
        let last_number = last.map_or(0, |tick| tick.number);
        journal.check_end(last, known)?;
        if let Some(last) = last {
            queue.set_last_tick(last);
        }
        let writer = Writer::new(queue, wall_ms, *heartbeat_ms, live, commit);
        let ahead = TickReader::new(Arc::clone(journal), known + 1, last_number);
        queue
            .begin(move || writer.run(Box::new(ahead)))
            .map_err(|source| StoreError::Io { path: "the writer's thread".into(), source })?;
        Ok(ticks)
    }

    fn failure(&self) -> Option<String> {
        self.handle.queue.failure()
    }

    fn unavailable(&self) -> Option<String> {
        self.handle.queue.unavailable()
    }

    fn is_stopped(&self) -> bool {
        self.handle.queue.is_stopped()
    }

    fn stop(&self) {
        self.handle.queue.stop();
    }
}
