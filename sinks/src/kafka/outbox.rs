//! What one transaction sends: rows, tombstones, dead letters, and the cursor with the ends that they make.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use journal::{ReadError, StoreError};
use kafka_client::{BrokerError, Heard, Placed, Producer};
use model::{Table, TimeMs};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xxhash_rust::xxh3::Xxh3;

use super::changes::Origin;
use super::cursor::{CURSOR_KEY, CursorRecord};
use super::keys::key_json;
use super::partition::partition_of;
use super::topics::{Ends, LETTERS, Topics};
use crate::live::{AsOf, SinkError, Written};

/// So many messages are sent before all are answered: what is kept of them stays small.
const MESSAGES_AT_ONCE: usize = 20_000;
/// How long no message may be answered.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one call may take.
const CALL_PATIENCE: Duration = Duration::from_secs(2);
/// The library's poll takes all the time that it is given.
const POLL: Duration = Duration::from_micros(200);
/// What is sent for the cursor, among the numbers of messages.
const CURSOR: usize = usize::MAX;

/// Why a message is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub said: String,
    /// What the topic takes, where that is the reason.
    limit_bytes: Option<usize>,
}

/// Messages that brokers refuse, by [`fingerprint`].
pub(crate) type Refused = HashMap<u128, Refusal>;

/// Why a transaction did not become one.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Messages are refused for what they hold: it goes without them.
    Refused(Refused),
    /// Anything else.
    Sink(SinkError),
}

impl Failed {
    pub fn away(error: impl Into<anyhow::Error>) -> Failed {
        Failed::Sink(SinkError::Away(error.into()))
    }
}

impl From<ReadError> for Failed {
    fn from(error: ReadError) -> Failed {
        Failed::Sink(error.into())
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed::Sink(error.into())
    }
}

impl From<BrokerError> for Failed {
    fn from(error: BrokerError) -> Failed {
        Failed::away(error)
    }
}

/// A row that is not in its topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Letter {
    pub table: String,
    pub key: Box<RawValue>,
    pub reason: String,
    /// Of key and row.
    pub bytes: usize,
    /// What the topic took when it was refused, where that was the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_bytes: Option<usize>,
    pub tick: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
}

/// A message on its way.
struct Sent {
    topic: usize,
    /// Its [`fingerprint`].
    what: u128,
    bytes: usize,
}

/// The messages of a transaction.
pub(crate) struct Outbox<'a> {
    producer: &'a Producer,
    topics: &'a Topics,
    refused: &'a Refused,
    /// Keys of the dead letters that are there, and which come and go.
    letters: &'a BTreeSet<Vec<u8>>,
    pub letter_changes: BTreeMap<Vec<u8>, bool>,
    pub ends: Ends,
    /// Messages that are not answered yet.
    sent: Vec<Sent>,
    pub written: Written,
    cursor_offset: Option<i64>,
}

impl<'a> Outbox<'a> {
    pub fn new(
        producer: &'a Producer,
        topics: &'a Topics,
        refused: &'a Refused,
        letters: &'a BTreeSet<Vec<u8>>,
        ends: Ends,
    ) -> Outbox<'a> {
        Outbox {
            producer,
            topics,
            refused,
            letters,
            letter_changes: BTreeMap::new(),
            ends,
            sent: Vec::new(),
            written: Written::default(),
            cursor_offset: None,
        }
    }

    /// A row that stands, or one that does not any more.
    pub fn change(&mut self, table: Table, row: &[u8], stands: bool, origin: Origin) -> Result<(), Failed> {
        let Some(key) = key_json(table, row) else {
            let text = String::from_utf8_lossy(row);
            return Err(Failed::away(anyhow!(
                "a row of {} has not the fields of its key: {text}",
                table.as_str()
            )));
        };
        if stands { self.put(table, &key, row, origin) } else { self.remove(table, None, &key, origin) }
    }

    /// A row that stands.
    pub fn put(&mut self, table: Table, key: &[u8], row: &[u8], origin: Origin) -> Result<(), Failed> {
        let (index, topic) = self.topics.of(table);
        let (bytes, limit_bytes) = (key.len() + row.len(), topic.max_message_bytes);
        let refusal = if bytes > limit_bytes {
            let said = format!("it has {bytes} bytes, and the topic takes {limit_bytes}");
            Some(Refusal { said, limit_bytes: Some(limit_bytes) })
        } else {
            self.refused.get(&fingerprint(index, key, Some(row))).cloned()
        };
        match refusal {
            Some(refusal) => self.bury(table, key, bytes, refusal, origin),
            None => {
                self.forget_letter(table, key)?;
                self.written.rows += 1;
                self.send(index, None, key, Some(row), Some(origin))
            }
        }
    }

    /// A tombstone, in the key's own partition or another one.
    pub fn remove(
        &mut self,
        table: Table,
        partition: Option<i32>,
        key: &[u8],
        origin: Origin,
    ) -> Result<(), Failed> {
        self.forget_letter(table, key)?;
        self.send_tombstone(table, partition, key, origin)
    }

    /// Of a key that is refused itself there is no row.
    fn send_tombstone(
        &mut self,
        table: Table,
        partition: Option<i32>,
        key: &[u8],
        origin: Origin,
    ) -> Result<(), Failed> {
        let (index, topic) = self.topics.of(table);
        if key.len() > topic.max_message_bytes || self.refused.contains_key(&fingerprint(index, key, None)) {
            return Ok(());
        }
        self.written.rows += 1;
        self.send(index, partition, key, None, Some(origin))
    }

    /// Puts a row among the dead letters, and a tombstone in its place: what stood there is not true any more.
    fn bury(
        &mut self,
        table: Table,
        key: &[u8],
        bytes: usize,
        refusal: Refusal,
        origin: Origin,
    ) -> Result<(), Failed> {
        let (_, topic) = self.topics.of(table);
        let Refusal { said: reason, limit_bytes } = refusal;
        tracing::warn!(table = topic.short, tick = origin.tick, reason, "Kafka refuses a row");
        self.send_tombstone(table, None, key, origin)?;
        let text = String::from_utf8_lossy(key).into_owned();
        let letter = Letter {
            table: topic.short.to_owned(),
            key: RawValue::from_string(text).map_err(Failed::away)?,
            reason,
            bytes,
            limit_bytes,
            tick: origin.tick,
            cause: origin.cause.map(str::to_owned),
            seq: origin.seq,
        };
        let value = serde_json::to_vec(&letter).map_err(Failed::away)?;
        let key = letter_key(table, key);
        self.send(LETTERS, None, &key, Some(&value), None)?;
        self.letter_changes.insert(key, true);
        self.written.dead_letters += 1;
        Ok(())
    }

    fn forget_letter(&mut self, table: Table, key: &[u8]) -> Result<(), Failed> {
        if self.letters.is_empty() && self.letter_changes.is_empty() {
            return Ok(());
        }
        let key = letter_key(table, key);
        let is_there = self.letter_changes.get(&key).copied().unwrap_or_else(|| self.letters.contains(&key));
        if is_there { self.remove_letter(key) } else { Ok(()) }
    }

    /// Takes all dead letters out: whatever is refused is refused again.
    pub fn forget_letters(&mut self) -> Result<(), Failed> {
        for key in self.letters {
            self.remove_letter(key.clone())?;
        }
        Ok(())
    }

    fn remove_letter(&mut self, key: Vec<u8>) -> Result<(), Failed> {
        self.send(LETTERS, None, &key, None, None)?;
        self.letter_changes.insert(key, false);
        Ok(())
    }

    fn send(
        &mut self,
        index: usize,
        partition: Option<i32>,
        key: &[u8],
        value: Option<&[u8]>,
        origin: Option<Origin>,
    ) -> Result<(), Failed> {
        let topics = self.topics;
        let topic = &topics.all[index];
        let partition = partition.unwrap_or_else(|| partition_of(key, topic.partitions));
        let number = self.sent.len();
        let bytes = key.len() + value.map_or(0, <[u8]>::len);
        self.sent.push(Sent { topic: index, what: fingerprint(index, key, value), bytes });
        let mut record = BaseRecord::with_opaque_to(&topic.name, number).partition(partition).key(key);
        if let Some(value) = value {
            record = record.payload(value);
        }
        if let Some(origin) = origin {
            record = record.headers(headers(origin));
        }
        self.queue(record)?;
        if self.sent.len() >= MESSAGES_AT_ONCE { self.drain() } else { Ok(()) }
    }

    fn queue(&self, mut record: BaseRecord<'_, [u8], [u8], usize>) -> Result<(), Failed> {
        let deadline = Instant::now() + PATIENCE;
        while let Err((error, unsent)) = self.producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) || Instant::now() > deadline {
                return Err(Failed::away(BrokerError::heard(DOING, error, self.heard())));
            }
            record = unsent;
            self.producer.poll(POLL);
        }
        Ok(())
    }

    fn heard(&self) -> &'a Heard {
        self.producer.context()
    }

    /// Waits until all that was sent is answered.
    pub fn drain(&mut self) -> Result<(), Failed> {
        let (mut refused, mut failed) = (Refused::new(), None);
        let (mut unanswered, mut deadline) = (i32::MAX, Instant::now() + PATIENCE);
        loop {
            let left = self.producer.in_flight_count();
            for placed in self.heard().take_placed() {
                match &placed.offset {
                    Ok(offset) => self.place(&placed, *offset)?,
                    Err(error) if is_about_row(error) && placed.index != CURSOR => {
                        let (what, bytes) = (self.sent[placed.index].what, self.sent[placed.index].bytes);
                        let is_size = error.rdkafka_error_code() != Some(RDKafkaErrorCode::InvalidRecord);
                        // It may have been lowered since it was asked for.
                        let limit_bytes = is_size.then_some(bytes.saturating_sub(1));
                        refused.insert(what, Refusal { said: error.to_string(), limit_bytes });
                    }
                    Err(error) => failed = failed.or_else(|| Some(error.clone())),
                }
            }
            if left == 0 {
                break;
            }
            if left < unanswered {
                (unanswered, deadline) = (left, Instant::now() + PATIENCE);
            }
            self.producer.poll(POLL);
            let fatal = self.producer.client().fatal_error().map(|(_, said)| said);
            let silent = (Instant::now() > deadline).then(|| "the brokers do not answer".to_owned());
            if let Some(said) = fatal.or(silent) {
                return Err(Failed::away(BrokerError::heard(DOING, said, self.heard())));
            }
        }
        if !refused.is_empty() {
            return Err(Failed::Refused(refused));
        }
        if let Some(error) = failed {
            return Err(Failed::away(BrokerError::heard(DOING, error, self.heard())));
        }
        self.sent.clear();
        Ok(())
    }

    fn place(&mut self, placed: &Placed, offset: i64) -> Result<(), Failed> {
        if placed.index == CURSOR {
            self.cursor_offset = Some(offset);
            return Ok(());
        }
        let topic = &self.topics.all[self.sent[placed.index].topic];
        let ends = self.ends.entry(topic.short.to_owned()).or_default();
        let end = usize::try_from(placed.partition).ok().and_then(|partition| ends.get_mut(partition));
        match end {
            Some(end) if offset >= *end => {
                *end = offset + 1;
                Ok(())
            }
            _ => Err(Failed::away(anyhow!("Kafka's topic {} was made anew", topic.name))),
        }
    }

    /// Sends the cursor behind all else, and commits. Gives the cursor's place.
    pub fn commit(&mut self, journal: &str, as_of: AsOf, session: &str) -> Result<i64, Failed> {
        self.drain()?;
        let cursor = CursorRecord {
            journal: journal.to_owned(),
            tick: as_of.tick,
            instant: TimeMs(as_of.instant_ms).to_string(),
            ends: self.ends.clone(),
            session: session.to_owned(),
        };
        let value = serde_json::to_vec(&cursor).map_err(Failed::away)?;
        let record = BaseRecord::with_opaque_to(&self.topics.cursor, CURSOR).partition(0);
        self.queue(record.key(CURSOR_KEY).payload(&value))?;
        self.drain()?;
        let Some(offset) = self.cursor_offset else { return Err(Failed::away(anyhow!("no answer"))) };
        commit(self.producer)?;
        Ok(offset)
    }
}

const DOING: &str = "write derived rows";

/// Ends a transaction of which all messages are answered: then the library does not wait for the next poll.
pub(crate) fn commit(producer: &Producer) -> Result<(), BrokerError> {
    retried(producer, "commit derived rows", || producer.commit_transaction(CALL_PATIENCE))
}

/// Ends what another one of the same name has under way, and begins to write.
pub(crate) fn begin(producer: &Producer) -> Result<(), BrokerError> {
    retried(producer, "begin to write derived rows", || producer.init_transactions(CALL_PATIENCE))
}

/// Calls again what the library says may be called again.
fn retried(
    producer: &Producer,
    doing: &'static str,
    mut call: impl FnMut() -> Result<(), KafkaError>,
) -> Result<(), BrokerError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call() {
            Ok(()) => return Ok(()),
            Err(KafkaError::Transaction(error)) if error.is_retriable() && Instant::now() < deadline => {}
            Err(error) => return Err(BrokerError::heard(doing, error, producer.context())),
        }
    }
}

/// Whether an error is about what a message holds, so that the same message fails again.
fn is_about_row(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::InvalidRecord)
    )
}

fn headers(origin: Origin) -> OwnedHeaders {
    let tick = origin.tick.to_string();
    let mut headers = OwnedHeaders::new_with_capacity(3).insert(Header { key: "tick", value: Some(&tick) });
    if let Some(cause) = origin.cause {
        headers = headers.insert(Header { key: "cause", value: Some(cause) });
    }
    if let Some(seq) = origin.seq {
        headers = headers.insert(Header { key: "seq", value: Some(&seq.to_string()) });
    }
    headers
}

fn letter_key(table: Table, key: &[u8]) -> Vec<u8> {
    [b"[\"", table.as_str().as_bytes(), b"\",", key, b"]"].concat()
}

/// Tells messages apart.
pub(crate) fn fingerprint(topic: usize, key: &[u8], value: Option<&[u8]>) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&(topic as u64).to_le_bytes());
    hash.update(&(key.len() as u64).to_le_bytes());
    hash.update(key);
    hash.update(value.unwrap_or_default());
    hash.digest128()
}
