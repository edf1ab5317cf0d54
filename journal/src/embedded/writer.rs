//! The writer's thread: takes what has queued, commits it as one tick, acknowledges it, hands it on.
//!
//! ```text
//!   queue -> stamp -> one atomic batch -> fsync -> mark -> last_tick -> tickets -> live channel
//! ```
//!
//! 1. A group is whatever has queued while the last one was being written, up to the limits: large under
//!    load, one entry when it is quiet.
//! 2. Tickets complete after the fsync, never without it. The first failed commit ends the writer.
//! 3. A full live channel blocks the writer, and so does a reader that holds ticks of too many bytes; then the
//!    queue fills, then appends are refused. Only a stop wakes it: then the rest is committed first and
//!    handed on afterwards.
//! 4. Without a reader nothing is acknowledged: what is durable but never worked on would be a silent loss.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, select};
use fjall::PersistMode;

use super::StoreInner;
use super::mark::{Mark, MarkWriter};
use super::queue::{Pending, Queue, Work};
use crate::clock::Clock;
use crate::format::{TickRecord, encode_entry, number_key};
use crate::{AppendError, Appended, Entry, StoreError, Tick};

/// How often a writer that waits for its reader looks again.
const READER_PAUSE: Duration = Duration::from_micros(500);

pub(crate) struct Writer {
    pub store: Arc<StoreInner>,
    pub queue: Arc<Queue>,
    pub clock: Clock,
    pub next_tick: u64,
    pub next_offset: u64,
    pub mark: MarkWriter,
    pub heartbeat: Duration,
    pub live: Sender<Arc<Tick>>,
}

impl Writer {
    pub(crate) fn run(self) {
        let queue = Arc::clone(&self.queue);
        if catch_unwind(AssertUnwindSafe(|| self.write_until_stopped())).is_err() {
            queue.fail("the writer's thread panicked; see the log, and restart");
        }
    }

    fn write_until_stopped(mut self) {
        let mut undelivered = VecDeque::new();
        let mut outstanding = Outstanding::default();
        let mut committed = Instant::now();
        loop {
            self.wait_for_reader(&mut outstanding);
            let pending = match self.queue.take(committed + self.heartbeat) {
                Work::Commit(pending) => pending,
                Work::Heartbeat => Vec::new(),
                Work::Stop => break,
            };
            match self.commit(pending) {
                Ok(tick) => {
                    outstanding.add(&tick);
                    if !self.deliver(tick, &mut undelivered) {
                        tracing::error!("the journal stops: nobody follows its ticks any more");
                        self.queue.fail("nobody follows the journal's ticks; see the log, and restart");
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the journal stops: a commit failed");
                    return;
                }
            }
            committed = Instant::now();
            let synced = self.mark.sync_if_due();
            warn_of_mark(synced);
        }
        warn_of_mark(self.mark.sync());
        let Writer { store, queue, live, .. } = self;
        // Whoever waits for the end may open the folder anew.
        drop(store);
        queue.end();
        for tick in undelivered {
            if live.send(tick).is_err() {
                return;
            }
        }
    }

    /// Makes a tick durable and acknowledges its entries; or fails them, and whatever is appended later.
    fn commit(&mut self, pending: Vec<Pending>) -> Result<Arc<Tick>, StoreError> {
        let mut entries = Vec::with_capacity(pending.len());
        let mut tickets = Vec::with_capacity(pending.len());
        for (offset, pending) in (self.next_offset..).zip(pending) {
            let received_ms = self.clock.now_ms();
            let Pending { source, context, payload, acknowledge, .. } = pending;
            entries.push(Entry { offset, source, received_ms, context, payload });
            tickets.push((acknowledge, Appended { tick: self.next_tick, offset, received_ms }));
        }
        let instant_ms = entries.last().map_or_else(|| self.clock.now_ms(), |last: &Entry| last.received_ms);
        let entry_count = u32::try_from(entries.len()).expect("a group has far fewer entries");
        let record =
            TickRecord { number: self.next_tick, instant_ms, first_offset: self.next_offset, entry_count };

        if let Err(error) = self.write(&record, &entries) {
            let failed = AppendError::Failed(error.to_string());
            self.queue.fail(&error.to_string());
            for (acknowledge, _) in tickets {
                // Whoever gave up waiting does not want to know.
                let _ = acknowledge.send(Err(failed.clone()));
            }
            return Err(error);
        }
        // Before the acknowledgement: a process that is killed now has it in the mark.
        let noted = self.mark.note(Mark::from(record));
        warn_of_mark(noted);
        self.queue.set_last_tick(record);
        self.next_tick += 1;
        self.next_offset = record.next_offset();
        for (acknowledge, appended) in tickets {
            let _ = acknowledge.send(Ok(appended));
        }
        Ok(Arc::new(Tick { number: record.number, instant_ms, entries }))
    }

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
        if self.queue.fail_commits.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(StoreError::database("commit a tick")(fjall::Error::Poisoned));
        }
        batch.commit().map_err(StoreError::database("commit a tick"))
    }

    /// Waits while the reader holds ticks of too many bytes, unless a stop is asked for.
    fn wait_for_reader(&self, outstanding: &mut Outstanding) {
        while outstanding.bytes() > self.queue.max_bytes() {
            // Disconnected by a stop; else this is a pause: the reader does not tell when it lets go.
            let pause = self.queue.stopped().recv_timeout(READER_PAUSE);
            if pause == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    }

    /// Hands a tick on; `false` if there is nobody to take it.
    fn deliver(&self, tick: Arc<Tick>, undelivered: &mut VecDeque<Arc<Tick>>) -> bool {
        if !undelivered.is_empty() {
            undelivered.push_back(tick);
            return true;
        }
        let unsent = Arc::clone(&tick);
        select! {
            send(self.live, tick) -> sent => sent.is_ok(),
            recv(self.queue.stopped()) -> _ => {
                undelivered.push_back(unsent);
                true
            }
        }
    }
}

/// Ticks that the reader has not let go of, oldest first.
#[derive(Default)]
struct Outstanding {
    ticks: VecDeque<(Weak<Tick>, usize)>,
    bytes: usize,
}

impl Outstanding {
    fn add(&mut self, tick: &Arc<Tick>) {
        let bytes = tick.entries.iter().map(|e| e.payload.len()).sum();
        self.ticks.push_back((Arc::downgrade(tick), bytes));
        self.bytes += bytes;
    }

    fn bytes(&mut self) -> usize {
        while let Some((tick, bytes)) = self.ticks.front() {
            if tick.strong_count() > 0 {
                break;
            }
            self.bytes -= bytes;
            self.ticks.pop_front();
        }
        self.bytes
    }
}

/// The mark is a second net: without it everything goes on, but a loss might not be seen at the next start.
fn warn_of_mark(outcome: std::io::Result<()>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "commit.mark can't be written; check the disk");
    }
}
