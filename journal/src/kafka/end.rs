//! Looking into the manifest: its last record, and where a tick is.
//!
//! Offsets of the manifest are not numbers of ticks: claims are between them, and the brokers put a marker behind
//! each transaction, also behind one that was undone. The last offsets are never records.

use std::time::Instant;

use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;

use kafka_client::{ANSWER_PATIENCE, Heard, at, fetch_ends, passes};

use super::client::{Cluster, Reader, failed_with};
use super::manifest::{JournalId, ManifestRecord};
use super::topics::cut;
use crate::StoreError;
use crate::format::TickRecord;

/// How many offsets before the end are looked at first; four times as many if there is no record among them.
const FIRST_LOOK: i64 = 64;
/// So few offsets are not worth another look.
const FEW_OFFSETS: i64 = 200;

/// What the manifest ends with.
pub(crate) struct End {
    /// Which journal it is: that of its first record. Of two that claimed an empty one at the same moment, the later
    /// one could not see that.
    pub journal_id: JournalId,
    /// The last record of any kind.
    pub last: ManifestRecord,
    /// Where that is.
    pub offset: i64,
    pub last_tick: Option<TickRecord>,
}

/// What the manifest ends with, as far as it is to be seen: shortly after a broker is back that died, readers may
/// not see yet all that it promised.
pub(crate) fn seen_end(cluster: &Cluster) -> Result<Option<End>, StoreError> {
    let reader = cluster.consumer(0)?;
    let end = committed_end(cluster, &reader)?;
    end_of(cluster, &reader, end, None)
}

/// What the manifest has before a record that was committed at `offset`: waits until that one is to be seen, and
/// then nothing before it is missing.
pub(crate) fn end_before(cluster: &Cluster, offset: i64) -> Result<Option<End>, StoreError> {
    end_of(cluster, &cluster.consumer(0)?, offset, Some(offset))
}

fn end_of(
    cluster: &Cluster,
    reader: &Reader,
    end: i64,
    until: Option<i64>,
) -> Result<Option<End>, StoreError> {
    let mut look = FIRST_LOOK;
    loop {
        let from = (end - look).max(0);
        let (mut last, mut last_tick) = (None, None);
        let mut records = Records::begin(cluster, reader, from)?;
        while let Some((at, record)) = records.next(until.is_some())? {
            if until.is_some_and(|until| at >= until) {
                break;
            }
            last_tick = (!record.is_claim).then_some(record.tick).or(last_tick);
            last = Some((at, record));
        }
        if last_tick.is_some() || from == 0 {
            let Some((offset, last)) = last else { return Ok(None) };
            let first = Records::begin(cluster, reader, 0)?.next(false)?;
            let journal_id = first.map_or(last.journal_id, |(_, first)| first.journal_id);
            return Ok(Some(End { journal_id, last, offset, last_tick }));
        }
        look *= 4;
    }
}

/// An offset from which on the next record of a tick is `tick` or one shortly before it.
pub(crate) fn place_of(cluster: &Cluster, reader: &Reader, tick: u64) -> Result<i64, StoreError> {
    let (mut low, mut high) = (0, committed_end(cluster, reader)?);
    while high - low > FEW_OFFSETS {
        let middle = low + (high - low) / 2;
        let mut records = Records::begin(cluster, reader, middle)?;
        let mut found = records.next(false)?;
        while found.as_ref().is_some_and(|(_, record)| record.is_claim) {
            found = records.next(false)?;
        }
        match found {
            Some((at, record)) if record.tick.number < tick => low = at,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Where the records end that a reader sees.
fn committed_end(cluster: &Cluster, reader: &Reader) -> Result<i64, StoreError> {
    Ok(fetch_ends(reader, &cluster.ticks_topic, 0)?.1)
}

/// Records of the manifest from an offset up to what is committed.
struct Records<'a> {
    reader: &'a Reader,
    topic: &'a str,
}

impl<'a> Records<'a> {
    fn begin(cluster: &'a Cluster, reader: &'a Reader, from: i64) -> Result<Records<'a>, StoreError> {
        let topic = cluster.ticks_topic.as_str();
        let assigned = at(topic, 0, Offset::Offset(from)).and_then(|list| reader.assign(&list));
        assigned.map_err(|error| failed_with(DOING, error, reader.context()))?;
        Ok(Records { reader, topic })
    }

    /// The next record and its offset; `None` at the end, unless more is waited for.
    fn next(&mut self, is_waiting: bool) -> Result<Option<(i64, ManifestRecord)>, StoreError> {
        let deadline = Instant::now() + ANSWER_PATIENCE;
        loop {
            match self.reader.poll(deadline.saturating_duration_since(Instant::now())) {
                Some(Ok(message)) => return decode(&message).map(Some),
                Some(Err(KafkaError::PartitionEOF(_))) if is_waiting => {}
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
                Some(Err(error)) => give_up(error, self.topic, 0, self.reader.context())?,
                None => {}
            }
            if Instant::now() >= deadline {
                return Err(failed_with(DOING, "no answer", self.reader.context()));
            }
        }
    }
}

const DOING: &str = "read the journal";

/// The record of a message, and its offset.
pub(super) fn decode(
    message: &rdkafka::message::BorrowedMessage<'_>,
) -> Result<(i64, ManifestRecord), StoreError> {
    let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
    let record = ManifestRecord::decode(key, value);
    record.map(|record| (message.offset(), record)).map_err(|flaw| {
        let what = format!(
            "Kafka's topic {} has a record at offset {} that is not the journal's: {flaw}; restore the topic from a \
             copy, or begin a new journal with another kafka.topic_prefix and another folder",
            message.topic(),
            message.offset()
        );
        StoreError::Refused(what)
    })
}

/// Errors of a reader that do not pass by themselves.
pub(super) fn give_up(
    error: KafkaError,
    topic: &str,
    partition: i32,
    context: &Heard,
) -> Result<(), StoreError> {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Err(cut(topic, partition)),
        _ if passes(&error) => Ok(()),
        _ => Err(failed_with(DOING, error, context)),
    }
}
