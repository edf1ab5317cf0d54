//! The cursor's topic: where the sink is, and who writes.
//!
//! It has two keys: `cursor`, of which each transaction writes a record, and `writer`, of which each start does. Both
//! name the session, so that the last record tells who wrote last. It is a topic rather than an offset of a consumer
//! group: those expire, and who reads the rows can read this too.

use std::time::Instant;

use kafka_client::{ANSWER_PATIENCE, BrokerError, Reader, at, fetch_ends, passes};
use model::TimeMs;
use rdkafka::Offset;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use serde::{Deserialize, Serialize};

use super::topics::Ends;
use crate::live::{AsOf, Position};

pub(crate) const CURSOR_KEY: &[u8] = b"cursor";
pub(crate) const WRITER_KEY: &[u8] = b"writer";
/// How many offsets before the end are looked at first; four times as many if there is no cursor among them.
const FIRST_LOOK: i64 = 64;
const DOING: &str = "read its cursor";

/// Where the rows are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CursorRecord {
    /// The changelog that they came from.
    pub journal: String,
    pub tick: u64,
    /// The tick's instant.
    pub instant: String,
    /// What is committed before these offsets is the rows of that tick.
    pub ends: Ends,
    pub session: String,
}

impl CursorRecord {
    /// The tick and its instant; `None` where that is no time.
    pub fn as_of(&self) -> Option<AsOf> {
        let TimeMs(instant_ms) = TimeMs::parse_rfc3339(&self.instant).ok()?;
        Some(AsOf { tick: self.tick, instant_ms })
    }

    pub fn position(&self) -> Option<Position> {
        Some(Position { identity: Some(self.journal.clone()), as_of: self.as_of()? })
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct WriterRecord {
    pub session: String,
}

/// What the topic ends with.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The place of the last record, and whose it is.
    pub offset: i64,
    pub session: String,
    pub cursor: Option<CursorRecord>,
}

/// What the topic has before an offset, which is waited for: then nothing before it is missing. Without one, what is
/// to be seen.
pub(crate) fn look(reader: &Reader, topic: &str, until: Option<i64>) -> Result<Option<Seen>, BrokerError> {
    let (low, high) = fetch_ends(reader, topic, 0)?;
    let end = until.unwrap_or(high);
    let mut look = FIRST_LOOK;
    loop {
        let from = (end - look).max(low);
        let seen = look_from(reader, topic, from, until)?;
        if from <= low || seen.as_ref().is_some_and(|seen| seen.cursor.is_some()) {
            return Ok(seen);
        }
        look *= 4;
    }
}

fn look_from(
    reader: &Reader,
    topic: &str,
    from: i64,
    until: Option<i64>,
) -> Result<Option<Seen>, BrokerError> {
    let failed = |error: KafkaError| BrokerError::heard(DOING, error, reader.context());
    reader.assign(&at(topic, 0, Offset::Offset(from)).map_err(failed)?).map_err(failed)?;
    let mut seen: Option<Seen> = None;
    let deadline = Instant::now() + ANSWER_PATIENCE;
    loop {
        match reader.poll(deadline.saturating_duration_since(Instant::now())) {
            Some(Ok(message)) => {
                let (offset, value) = (message.offset(), message.payload().unwrap_or_default());
                if until.is_some_and(|until| offset >= until) {
                    return Ok(seen);
                }
                let before = seen.take().and_then(|seen| seen.cursor);
                seen = Some(read_record(message.key().unwrap_or_default(), value, offset, before)?);
            }
            Some(Err(KafkaError::PartitionEOF(_))) if until.is_none() => return Ok(seen),
            Some(Err(KafkaError::PartitionEOF(_))) => {}
            Some(Err(error)) if !passes(&error) => return Err(failed(error)),
            Some(Err(_)) | None => {}
        }
        if Instant::now() >= deadline {
            return Err(BrokerError::heard(DOING, "no answer", reader.context()));
        }
    }
}

fn read_record(
    key: &[u8],
    value: &[u8],
    offset: i64,
    before: Option<CursorRecord>,
) -> Result<Seen, BrokerError> {
    let wrong = |why: serde_json::Error| {
        BrokerError::new(DOING, format!("the record at offset {offset} is not the sink's: {why}"))
    };
    match key {
        CURSOR_KEY => {
            let cursor: CursorRecord = serde_json::from_slice(value).map_err(wrong)?;
            Ok(Seen { offset, session: cursor.session.clone(), cursor: Some(cursor) })
        }
        _ => {
            let WriterRecord { session } = serde_json::from_slice(value).map_err(wrong)?;
            Ok(Seen { offset, session, cursor: before })
        }
    }
}
