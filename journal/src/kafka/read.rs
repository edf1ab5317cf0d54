//! Reads ticks again, while others are appended.
//!
//! ```text
//!   PREFIX.ticks      the tick and its ranges
//!   PREFIX.raw 0..n   the entries of each range; put in order by their numbers
//! ```
//!
//! What of the raw topic is in no range belongs to no tick: nobody was told that it is kept.

use std::collections::btree_map::{self, BTreeMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;

use super::Journal;
use kafka_client::{Heard, at};

use super::client::{Reader, failed_with};
use super::end::{decode, give_up, place_of};
use super::manifest::{ManifestRecord, RawRange};
use crate::format::decode_entry;
use crate::{Entry, StoreError, Tick};

const DOING: &str = "read the journal";
/// How long nothing may come of what is known to be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Streams ticks of which every one must be there.
pub(crate) struct TickReader {
    journal: Arc<Journal>,
    next_tick: u64,
    to_tick: u64,
    /// Unknown before the first tick.
    next_offset: Option<u64>,
    open: Option<Open>,
}

struct Open {
    ticks: Reader,
    raw: Reader,
    queues: BTreeMap<i32, PartitionQueue<Heard>>,
}

impl TickReader {
    pub(crate) fn new(journal: Arc<Journal>, from_tick: u64, to_tick: u64) -> TickReader {
        let next_offset = (from_tick == 1).then_some(1);
        TickReader { journal, next_tick: from_tick, to_tick, next_offset, open: None }
    }

    fn open(&self) -> Result<Open, StoreError> {
        let Journal { cluster, topics, .. } = &*self.journal;
        let from = match self.next_tick {
            1 => 0,
            tick => place_of(cluster, &cluster.consumer(0)?, tick)?,
        };
        let (ticks, raw) = (cluster.consumer(0)?, cluster.consumer(topics.max_batch_bytes)?);
        let assigned = at(&cluster.ticks_topic, 0, Offset::Offset(from)).and_then(|list| ticks.assign(&list));
        assigned.map_err(|error| failed_with(DOING, error, ticks.context()))?;
        Ok(Open { ticks, raw, queues: BTreeMap::new() })
    }

    fn read_next(&mut self) -> Result<Tick, StoreError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.open()?,
        };
        let record = self.next_record(&open)?;
        let tick = record.tick;
        if tick.number != self.next_tick {
            return Err(missing("tick", self.next_tick));
        }
        if self.next_offset.is_some_and(|expected| expected != tick.first_offset) {
            let what = format!("tick {} does not begin where the one before it ends", tick.number);
            return Err(StoreError::Refused(what));
        }
        let mut slots: Vec<Option<Entry>> = (0..tick.entry_count).map(|_| None).collect();
        for range in &record.ranges {
            self.read_range(&mut open, *range, tick.first_offset, &mut slots)?;
        }
        let mut entries = Vec::with_capacity(slots.len());
        for (offset, slot) in (tick.first_offset..).zip(slots) {
            entries.push(slot.ok_or_else(|| missing("entry", offset))?);
        }
        self.next_tick += 1;
        self.next_offset = Some(tick.next_offset());
        self.open = Some(open);
        Ok(Tick { number: tick.number, instant_ms: tick.instant_ms, entries })
    }

    /// The next record of a tick that was not read yet.
    fn next_record(&self, open: &Open) -> Result<ManifestRecord, StoreError> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match open.ticks.poll(PATIENCE) {
                Some(Ok(message)) => {
                    let (_, record) = decode(&message)?;
                    if !record.is_claim && record.tick.number >= self.next_tick {
                        self.journal.check_id(record.journal_id)?;
                        return Ok(record);
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => {
                    give_up(error, &self.journal.cluster.ticks_topic, 0, open.ticks.context())?;
                }
            }
        }
        Err(failed_with(DOING, "no answer", open.ticks.context()))
    }

    fn read_range(
        &self,
        open: &mut Open,
        range: RawRange,
        first_offset: u64,
        slots: &mut [Option<Entry>],
    ) -> Result<(), StoreError> {
        let topic = self.journal.cluster.raw_topic.as_str();
        let Open { raw, queues, .. } = open;
        // Events that are no messages are served there; messages are in the queues of their partitions.
        if let Some(Err(error)) = raw.poll(Duration::ZERO) {
            give_up(error, topic, range.partition, raw.context())?;
        }
        let queue = match queues.entry(range.partition) {
            btree_map::Entry::Occupied(begun) => begun.into_mut(),
            btree_map::Entry::Vacant(vacant) => vacant.insert(begin_partition(raw, topic, range)?),
        };
        let mut deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match queue.poll(PATIENCE) {
                Some(Ok(message)) => {
                    deadline = Instant::now() + PATIENCE;
                    let at = message.offset();
                    if at > range.last {
                        break;
                    }
                    if at < range.first {
                        continue;
                    }
                    let (key, value) =
                        (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
                    let entry = decode_entry(key, value).map_err(|flaw| {
                        damaged(format!("{topic}, partition {}, offset {at}: {flaw}", range.partition))
                    })?;
                    let index = entry.offset.checked_sub(first_offset).and_then(|i| usize::try_from(i).ok());
                    match index.and_then(|index| slots.get_mut(index)) {
                        Some(slot @ None) => *slot = Some(entry),
                        _ => return Err(damaged(format!("entry {} is not where it belongs", entry.offset))),
                    }
                    if at == range.last {
                        return Ok(());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) | None => {}
                Some(Err(error)) => give_up(error, topic, range.partition, raw.context())?,
            }
        }
        let what = format!("{topic}, partition {}, offset {} did not come", range.partition, range.last);
        Err(failed_with(DOING, what, raw.context()))
    }
}

/// The queue is taken before there is anything in it, so that nothing goes to the consumer's common one.
fn begin_partition(raw: &Reader, topic: &str, range: RawRange) -> Result<PartitionQueue<Heard>, StoreError> {
    let queue = raw.split_partition_queue(topic, range.partition).ok_or_else(|| {
        failed_with(DOING, format!("{topic} has no partition {}", range.partition), raw.context())
    })?;
    let assigned = at(topic, range.partition, Offset::Offset(range.first))
        .and_then(|list| raw.incremental_assign(&list));
    assigned.map_err(|error| failed_with(DOING, error, raw.context()))?;
    Ok(queue)
}

fn damaged(what: String) -> StoreError {
    StoreError::Refused(format!(
        "the journal on Kafka is damaged: {what}; restore its topics from a copy, or begin a new journal with another \
         kafka.topic_prefix and another folder"
    ))
}

fn missing(what: &str, number: u64) -> StoreError {
    damaged(format!("{what} {number} is missing"))
}

impl Iterator for TickReader {
    type Item = Result<Tick, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_tick > self.to_tick {
            // Its connections are not needed while the last tick is worked on.
            self.open = None;
            return None;
        }
        let result = self.read_next();
        if result.is_err() {
            self.to_tick = 0;
            self.open = None;
        }
        Some(result)
    }
}
