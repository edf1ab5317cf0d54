//! Makes ticks durable on Kafka: entries and the tick's record in one transaction.
//!
//! ```text
//!   claim -> begin -> entries to PREFIX.raw -> their places are known -> the tick to PREFIX.ticks -> commit
//!     ^                                                                                               |
//!     +------------------------- any failure: a new producer, which ends what was under way <---------+
//! ```
//!
//! 1. A tick is there with all its entries, or nothing of it is to be seen.
//! 2. After a failure it is not known whether the tick was committed. The next producer of the same transactional
//!    id has it settled either way. It commits a claim first: when that is to be seen, all before it is, and the
//!    last tick before it is the journal's last. What is merely seen may end earlier, where a broker has just come
//!    back.
//! 3. A writer goes on only while the record before its claim is its own session's. Another one is another writer's,
//!    who may have minted: this one has to stop. Without that look the two would fence each other for ever.
//! 4. While the brokers are away the tick is tried again; what comes meanwhile waits in the queue, and is refused
//!    after a while. A stop waits a while, too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _};

use super::{Journal, SETTLE_PATIENCE};
use kafka_client::ANSWER_PATIENCE;

use super::client::Producer;
use super::end::{End, end_before, seen_end};
use super::manifest::{ManifestRecord, NO_TICK, RawRange};
use crate::format::{TickRecord, encode_entry, number_key};
use crate::queue::Queue;
use crate::writer::Commit;
use crate::{Entry, StoreError};

/// When appends are refused because nothing could be committed for so long.
const UNAVAILABLE_AFTER: Duration = Duration::from_secs(10);
/// How long a stop waits for brokers that are away.
const STOP_PATIENCE: Duration = Duration::from_secs(10);
/// A transaction that takes so long is given up, and the tick begun anew.
const TRANSACTION_PATIENCE: Duration = Duration::from_secs(20);
/// How long one call may keep the writer from looking at the time.
const CALL_PATIENCE: Duration = Duration::from_secs(2);
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// The library's poll takes all the time that it is given.
const POLL: Duration = Duration::from_micros(200);

/// Kafka as the writer sees it.
pub(crate) struct KafkaCommit {
    journal: Arc<Journal>,
    queue: Arc<Queue>,
    session: u64,
    /// `None` after a failure.
    producer: Option<Producer>,
    /// Where this session's last record is that is known to be committed.
    written_at: Option<i64>,
    /// Since when readers see less than that.
    unsettled_since: Option<Instant>,
}

/// Why a tick was not committed.
enum Failure {
    /// It may be tried again.
    ForNow(String),
    ForGood(StoreError),
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Failure {
        Failure::ForNow(error.to_string())
    }
}

/// Questions that were not answered are asked again; what can't be right does not become right.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        match error {
            StoreError::Kafka { .. } => Failure::ForNow(error.to_string()),
            other => Failure::ForGood(other),
        }
    }
}

impl KafkaCommit {
    /// Begins to write: ends what another writer had under way, claims the journal, and gives its last tick.
    pub(crate) fn begin(
        journal: &Arc<Journal>,
        queue: &Arc<Queue>,
    ) -> Result<(KafkaCommit, Option<TickRecord>), StoreError> {
        let mut commit = KafkaCommit {
            journal: Arc::clone(journal),
            queue: Arc::clone(queue),
            session: random_u64()?,
            producer: None,
            written_at: None,
            unsettled_since: None,
        };
        let mut patience = Patience::of_start(queue);
        let last = match commit.claim(&mut patience) {
            Ok(before) => before.and_then(|before| before.last_tick),
            Err(Failure::ForGood(error)) => return Err(error),
            Err(Failure::ForNow(said)) => return Err(StoreError::Kafka { doing: "begin to write", said }),
        };
        Ok((commit, last))
    }

    /// Makes a producer, and commits that it writes from now on. Gives what was there before.
    fn claim(&mut self, patience: &mut Patience<'_>) -> Result<Option<End>, Failure> {
        let seen = seen_end(&self.journal.cluster)?;
        if let Some(seen) = &seen {
            self.journal.check_id(seen.journal_id)?;
        }
        let journal_id = match &seen {
            Some(seen) => seen.journal_id,
            None => self.journal.new_id()?,
        };
        let producer = self.new_producer(patience)?;
        let record = ManifestRecord {
            is_claim: true,
            journal_id,
            session: self.session,
            tick: NO_TICK,
            ranges: Vec::new(),
        };
        let offset = self.transact(&producer, record, &[], patience)?;
        let before = end_before(&self.journal.cluster, offset)?;
        // Another one may have begun it meanwhile: what was drawn here is void then.
        let journal_id = before.as_ref().map_or(journal_id, |before| before.journal_id);
        self.journal.check_id(journal_id)?;
        self.journal.remember(journal_id)?;
        self.written_at = Some(offset);
        self.producer = Some(producer);
        Ok(before)
    }

    fn new_producer(&self, patience: &mut Patience<'_>) -> Result<Producer, Failure> {
        let producer = self.journal.cluster.producer(self.journal.topics.max_batch_bytes)?;
        retried(&producer, patience, || producer.init_transactions(CALL_PATIENCE))?;
        Ok(producer)
    }

    /// One try. `Ok` when the tick is committed.
    fn attempt(
        &mut self,
        tick: &TickRecord,
        entries: &[Entry],
        patience: &mut Patience<'_>,
    ) -> Result<(), Failure> {
        if self.producer.is_none() && self.resume(tick, patience)? {
            return Ok(());
        }
        let Some(producer) = &self.producer else { return Ok(()) };
        let record = ManifestRecord {
            is_claim: false,
            journal_id: self.journal.id(),
            session: self.session,
            tick: *tick,
            ranges: Vec::new(),
        };
        self.written_at = Some(self.transact(producer, record, entries, patience)?);
        Ok(())
    }

    /// Makes a new producer after a failure. `true` when the tick was committed all the same.
    fn resume(&mut self, tick: &TickRecord, patience: &mut Patience<'_>) -> Result<bool, Failure> {
        // Before anything that would fence another writer.
        self.check_settled(seen_end(&self.journal.cluster)?.as_ref())?;
        let before = self.claim(patience)?;
        self.check_mine(before.as_ref())?;
        match before.and_then(|before| before.last_tick).unwrap_or(NO_TICK) {
            last if last == *tick => Ok(true),
            last if last.number + 1 == tick.number => Ok(false),
            last => {
                let what = format!(
                    "the journal on Kafka ends with tick {}, and tick {} was to follow: its end is lost, or somebody \
                     else writes into its topics",
                    last.number, tick.number
                );
                Err(Failure::ForGood(StoreError::Refused(what)))
            }
        }
    }

    /// The same of what is seen, which may be less than what is there: just after a broker came back that was killed,
    /// the last record that shows may be one of an earlier writer.
    fn check_settled(&mut self, end: Option<&End>) -> Result<(), Failure> {
        let is_settled = end.map(|end| end.offset) >= self.written_at;
        let since = *self.unsettled_since.get_or_insert_with(Instant::now);
        if !is_settled && since.elapsed() < SETTLE_PATIENCE {
            return Err(Failure::ForNow("the brokers do not show yet what they have committed".to_string()));
        }
        self.unsettled_since = None;
        self.check_mine(end)
    }

    /// Whether no other writer has claimed the journal.
    fn check_mine(&self, end: Option<&End>) -> Result<(), Failure> {
        let why = match end {
            Some(end) if end.last.session == self.session => return Ok(()),
            Some(_) => format!(
                "another writer has taken over the journal {:?} on Kafka, so this one stops; what it acknowledged is \
                 in the journal. Run one service on a journal",
                self.journal.cluster.options.topic_prefix
            ),
            None => "the journal's records on Kafka are gone; what this writer goes on from is not there"
                .to_string(),
        };
        Err(Failure::ForGood(StoreError::Refused(why)))
    }

    /// Commits a record of the manifest, and entries whose places it names. Gives the record's own place.
    fn transact(
        &self,
        producer: &Producer,
        mut record: ManifestRecord,
        entries: &[Entry],
        patience: &mut Patience<'_>,
    ) -> Result<i64, Failure> {
        let cluster = &self.journal.cluster;
        let deadline = Instant::now() + TRANSACTION_PATIENCE;
        producer.begin_transaction()?;
        let mut scratch = Vec::new();
        let partitions = u64::from(self.journal.topics.raw_partitions.cast_unsigned()).max(1);
        let partition_of = |entry: &Entry| (entry.offset % partitions) as i32;
        for (index, entry) in entries.iter().enumerate() {
            encode_entry(&mut scratch, entry);
            let key = number_key(entry.offset);
            let mut unsent = BaseRecord::with_opaque_to(&cluster.raw_topic, index)
                .partition(partition_of(entry))
                .key(&key[..])
                .payload(&scratch[..]);
            while let Err((error, record)) = producer.send(unsent) {
                if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                    return Err(error.into());
                }
                unsent = record;
                wait_a_little(producer, deadline, patience)?;
            }
        }
        let placed = delivered(producer, deadline, patience)?;
        if placed.len() != entries.len() {
            return Err(Failure::ForNow("some entries were not answered".to_string()));
        }
        let mut ranges = std::collections::BTreeMap::<i32, RawRange>::new();
        for (index, at) in placed {
            let partition = partition_of(&entries[index]);
            let range = ranges.entry(partition).or_insert(RawRange { partition, first: at, last: at });
            (range.first, range.last) = (range.first.min(at), range.last.max(at));
        }
        record.ranges = ranges.into_values().collect();
        let (key, value) = (record.key(), record.encode());
        let to_send = BaseRecord::with_opaque_to(&cluster.ticks_topic, 0).partition(0);
        producer.send(to_send.key(&key[..]).payload(&value)).map_err(|(error, _)| error)?;
        let Some((_, offset)) = delivered(producer, deadline, patience)?.pop() else {
            return Err(Failure::ForNow("the tick was not answered".to_string()));
        };
        retried(producer, patience, || producer.commit_transaction(CALL_PATIENCE))?;
        Ok(offset)
    }
}

impl Commit for KafkaCommit {
    fn commit(&mut self, tick: &TickRecord, entries: &[Entry]) -> Result<(), StoreError> {
        let queue = Arc::clone(&self.queue);
        let mut patience = Patience::of_tick(&queue);
        let mut is_told = false;
        loop {
            let said = match self.attempt(tick, entries, &mut patience) {
                Ok(()) => {
                    if is_told {
                        tracing::info!(tick = tick.number, "the journal on Kafka is written again");
                    }
                    queue.set_unavailable(None);
                    return Ok(());
                }
                Err(Failure::ForGood(error)) => return Err(error),
                Err(Failure::ForNow(said)) => said,
            };
            self.producer = None;
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!(
                    said,
                    tick = tick.number,
                    "the journal on Kafka can't be written; it is tried again"
                );
            }
            if let Err(Failure::ForGood(error)) = patience.look(&said) {
                return Err(error);
            }
            if queue.stopped().recv_timeout(RETRY_PAUSE) == Err(RecvTimeoutError::Disconnected) {
                std::thread::sleep(RETRY_PAUSE);
            }
        }
    }
}

/// Waits until everything is answered that was sent; gives the offsets.
fn delivered(
    producer: &Producer,
    deadline: Instant,
    patience: &mut Patience<'_>,
) -> Result<Vec<(usize, i64)>, Failure> {
    let mut offsets = Vec::new();
    loop {
        let is_last = producer.in_flight_count() == 0;
        for placed in producer.context().take_placed() {
            offsets.push((placed.index, placed.offset?));
        }
        if is_last {
            return Ok(offsets);
        }
        wait_a_little(producer, deadline, patience)?;
    }
}

fn wait_a_little(producer: &Producer, deadline: Instant, patience: &mut Patience<'_>) -> Result<(), Failure> {
    producer.poll(POLL);
    if let Some((_, said)) = producer.client().fatal_error() {
        return Err(Failure::ForNow(said));
    }
    let said = || producer.context().explained("the brokers do not answer");
    if Instant::now() >= deadline {
        return Err(Failure::ForNow(said()));
    }
    if patience.is_due() { patience.look(&said()) } else { Ok(()) }
}

/// Calls again what the library says may be called again.
fn retried(
    producer: &Producer,
    patience: &mut Patience<'_>,
    mut call: impl FnMut() -> Result<(), KafkaError>,
) -> Result<(), Failure> {
    let deadline = Instant::now() + TRANSACTION_PATIENCE;
    loop {
        match call() {
            Ok(()) => return Ok(()),
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {
                patience.look(&producer.context().explained(error))?;
            }
            Err(error) => return Err(Failure::ForNow(producer.context().explained(error))),
        }
    }
}

/// How long a tick is tried.
struct Patience<'a> {
    queue: &'a Queue,
    began: Instant,
    /// A start tells whoever waits for it.
    is_start: bool,
    stop_seen: Option<Instant>,
}

impl<'a> Patience<'a> {
    fn of_tick(queue: &'a Queue) -> Patience<'a> {
        Patience { queue, began: Instant::now(), is_start: false, stop_seen: None }
    }

    fn of_start(queue: &'a Queue) -> Patience<'a> {
        Patience { is_start: true, ..Patience::of_tick(queue) }
    }

    /// Whether it is worth a look: the clock is cheap, the rest is not.
    fn is_due(&self) -> bool {
        self.began.elapsed() >= UNAVAILABLE_AFTER || self.queue.is_stopped()
    }

    /// Has appends refused after a while; an error when it is time to give up.
    fn look(&mut self, said: &str) -> Result<(), Failure> {
        let is_long = self.began.elapsed() >= UNAVAILABLE_AFTER;
        if self.is_start && self.began.elapsed() >= ANSWER_PATIENCE * 3 {
            return Err(Failure::ForNow(said.to_string()));
        }
        if is_long && !self.is_start {
            self.queue.set_unavailable(Some(said.to_string()));
        }
        if self.queue.is_stopped()
            && self.stop_seen.get_or_insert_with(Instant::now).elapsed() >= STOP_PATIENCE
        {
            let doing = "write the last tick before the stop; whether it was kept shows at the next start";
            return Err(Failure::ForGood(StoreError::Kafka { doing, said: said.to_string() }));
        }
        Ok(())
    }
}

/// Tells writers and journals apart; nothing is derived from it.
fn random_u64() -> Result<u64, StoreError> {
    getrandom::u64().map_err(|error| StoreError::Refused(format!("no random numbers: {error}")))
}
