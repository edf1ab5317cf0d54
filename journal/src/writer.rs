//! The writer's thread: takes what has queued, commits it as one tick, acknowledges it, hands it on.
//!
//! ```text
//!   queue -> stamp -> commit: durable -> last_tick -> tickets -> live channel
//! ```
//!
//! 1. A group is whatever has queued while the last one was being written, up to the limits: large under
//!    load, one entry when it is quiet.
//! 2. Tickets complete after the commit, never without it. The first failed commit ends the writer; a store that
//!    may come back tries again within its commit.
//! 3. A full live channel blocks the writer, and so does a reader that holds ticks of too many bytes; then the
//!    queue fills, then appends are refused. Only a stop wakes it: then the rest is committed first and
//!    handed on afterwards.
//! 4. Without a reader nothing is acknowledged: what is durable but never worked on would be a silent loss.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, select};

use crate::clock::Clock;
use crate::format::TickRecord;
use crate::queue::{Pending, Queue, Work};
use crate::{AppendError, Appended, Entry, StoreError, Tick};

/// How many ticks may wait for the reader of the live channel.
pub(crate) const LIVE_TICKS: usize = 32;
/// How often a writer that waits for its reader looks again.
const READER_PAUSE: Duration = Duration::from_micros(500);
const NOBODY_FOLLOWS: &str = "nobody follows the journal's ticks; see the log, and restart";

/// Where ticks are made durable. Dropped at the end, before whoever waits for that goes on.
pub(crate) trait Commit: Send + 'static {
    /// Makes a tick durable with its entries, all of it or nothing. An error is final.
    fn commit(&mut self, record: &TickRecord, entries: &[Entry]) -> Result<(), StoreError>;

    /// Called after each tick, once it is handed on.
    fn tend(&mut self) {}
}

/// Ticks that are durable already and that the reader has not got yet, in order.
pub(crate) type Ahead = Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send>;

pub(crate) struct Writer<C> {
    queue: Arc<Queue>,
    clock: Clock,
    next_tick: u64,
    next_offset: u64,
    heartbeat: Duration,
    live: Sender<Arc<Tick>>,
    commit: C,
}

impl<C: Commit> Writer<C> {
    /// A writer that goes on behind the queue's last tick.
    pub(crate) fn new(
        queue: &Arc<Queue>,
        wall_ms: i64,
        heartbeat_ms: u64,
        live: Sender<Arc<Tick>>,
        commit: C,
    ) -> Writer<C> {
        let last = queue.last_tick();
        Writer {
            queue: Arc::clone(queue),
            clock: Clock::anchored(wall_ms, last.map(|tick| tick.instant_ms)),
            next_tick: last.map_or(1, |tick| tick.number + 1),
            next_offset: last.map_or(1, |tick| tick.next_offset()),
            heartbeat: Duration::from_millis(heartbeat_ms.max(1)),
            live,
            commit,
        }
    }

    /// Hands on what is ahead, then mints until it is stopped.
    pub(crate) fn run(self, ahead: Ahead) {
        let queue = Arc::clone(&self.queue);
        if catch_unwind(AssertUnwindSafe(|| self.write_until_stopped(ahead))).is_err() {
            queue.fail("the writer's thread panicked; see the log, and restart");
        }
    }

    /// Hands on what was durable before the start; `false` if that can't be done.
    fn deliver_ahead(&self, ahead: Ahead, undelivered: &mut VecDeque<Arc<Tick>>) -> bool {
        for tick in ahead {
            let delivered = tick.map(|tick| self.deliver(Arc::new(tick), undelivered));
            let why = match delivered {
                Ok(true) => continue,
                Ok(false) => NOBODY_FOLLOWS.to_owned(),
                Err(error) => error.to_string(),
            };
            tracing::error!(why, "the journal stops before it has minted");
            self.queue.fail(&why);
            return false;
        }
        true
    }

    fn write_until_stopped(mut self, ahead: Ahead) {
        let mut undelivered = VecDeque::new();
        if !self.deliver_ahead(ahead, &mut undelivered) {
            return;
        }
        let mut outstanding = Outstanding::default();
        let mut committed = Instant::now();
        loop {
            self.wait_for_reader(&mut outstanding);
            let pending = match self.queue.take(committed + self.heartbeat) {
                Work::Commit(pending) => pending,
                Work::Heartbeat => Vec::new(),
                Work::Stop => break,
            };
            match self.write(pending) {
                Ok(tick) => {
                    outstanding.add(&tick);
                    if !self.deliver(tick, &mut undelivered) {
                        tracing::error!("the journal stops: nobody follows its ticks any more");
                        self.queue.fail(NOBODY_FOLLOWS);
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the journal stops: a commit failed");
                    return;
                }
            }
            committed = Instant::now();
            self.commit.tend();
        }
        let Writer { commit, queue, live, .. } = self;
        // Whoever waits for the end may open the journal anew.
        drop(commit);
        queue.end();
        for tick in undelivered {
            if live.send(tick).is_err() {
                return;
            }
        }
    }

    /// Makes a tick durable and acknowledges its entries; or fails them, and whatever is appended later.
    fn write(&mut self, pending: Vec<Pending>) -> Result<Arc<Tick>, StoreError> {
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

        if let Err(error) = self.commit.commit(&record, &entries) {
            let failed = AppendError::Failed(error.to_string());
            self.queue.fail(&error.to_string());
            for (acknowledge, _) in tickets {
                // Whoever gave up waiting does not want to know.
                let _ = acknowledge.send(Err(failed.clone()));
            }
            return Err(error);
        }
        self.queue.set_last_tick(record);
        self.next_tick += 1;
        self.next_offset = record.next_offset();
        for (acknowledge, appended) in tickets {
            let _ = acknowledge.send(Ok(appended));
        }
        Ok(Arc::new(Tick { number: record.number, instant_ms, entries }))
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
