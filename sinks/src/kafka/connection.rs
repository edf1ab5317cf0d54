//! What a sink has of its brokers: a producer, the topics, and where they end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_client::{ANSWER_PATIENCE, BrokerError, Producer, ProducerOptions, Reader, fetch_all_ends};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, Producer as _};

use super::KafkaConfig;
use super::cursor::{CursorRecord, Seen, WRITER_KEY, WriterRecord, look};
use super::outbox::{Letter, begin, commit};
use super::read::read_topic;
use super::topics::{Ends, LETTERS, Topic, Topics};

/// How long the brokers wait for the end of a batch before they undo it.
const BATCH_TIMEOUT: Duration = Duration::from_secs(300);
/// The same for a comparison of everything: the longest that brokers allow by default.
const RESYNC_TIMEOUT: Duration = Duration::from_secs(900);
/// How often a topic that ends too early is asked again.
const PAUSE: Duration = Duration::from_millis(100);
const POLL: Duration = Duration::from_micros(200);

/// What a producer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Batches,
    /// Each message is answered alone.
    OneByOne,
    Resync,
}

/// A connection that may write.
pub(crate) struct Connection {
    pub producer: Producer,
    pub pace: Pace,
    pub topics: Topics,
    pub ends: Ends,
    /// Keys of the dead letters that are there.
    pub letters: BTreeSet<Vec<u8>>,
}

/// Makes a producer, which fences the one before it.
pub(crate) fn producer(config: &KafkaConfig, topics: &Topics, pace: Pace) -> Result<Producer, BrokerError> {
    let sizes = || topics.all.iter().map(|topic| topic.max_message_bytes);
    let producer = config.cluster.producer(&ProducerOptions {
        transactional_id: &config.transactional_id(),
        timeout: if pace == Pace::Batches { BATCH_TIMEOUT } else { RESYNC_TIMEOUT },
        max_message_bytes: sizes().max().unwrap_or_default(),
        max_batch_bytes: sizes().min(),
        is_one_by_one: pace == Pace::OneByOne,
    })?;
    begin(&producer)?;
    Ok(producer)
}

/// Commits that this session writes from now on, and gives the place of that record.
pub(crate) fn claim(producer: &Producer, topic: &str, session: &str) -> Result<i64, BrokerError> {
    const DOING: &str = "claim its topics";
    let failed = |error: String| BrokerError::heard(DOING, error, producer.context());
    let value = serde_json::to_vec(&WriterRecord { session: session.to_owned() });
    let value = value.map_err(|error| failed(error.to_string()))?;
    producer.begin_transaction().map_err(|error| failed(error.to_string()))?;
    let record = BaseRecord::with_opaque_to(topic, 0).partition(0).key(WRITER_KEY).payload(&value);
    producer.send(record).map_err(|(error, _)| failed(error.to_string()))?;
    let deadline = Instant::now() + ANSWER_PATIENCE;
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        producer.poll(POLL);
    }
    let placed = producer.context().take_placed().pop();
    let placed = placed.ok_or_else(|| failed("no answer".to_owned()))?;
    let offset = placed.offset.map_err(|error| failed(error.to_string()))?;
    commit(producer)?;
    Ok(offset)
}

/// What the cursor's topic ends with, once that is not before `known`: just after a broker came back that was killed,
/// readers may see less than it has promised.
pub(crate) fn settled_end(reader: &Reader, topic: &str, known: i64) -> Result<Option<Seen>, BrokerError> {
    let began = Instant::now();
    loop {
        let seen = look(reader, topic, None)?;
        let is_settled = seen.as_ref().is_some_and(|seen| seen.offset >= known);
        if is_settled || began.elapsed() > ANSWER_PATIENCE {
            return Ok(seen.filter(|_| is_settled));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Where all topics end; and why they are not those that the cursor is of, if they are not.
pub(crate) fn find_ends(
    reader: &Reader,
    topics: &Topics,
    cursor: Option<&CursorRecord>,
) -> Result<(Ends, Option<String>), BrokerError> {
    let partitions: Vec<(&str, i32)> =
        topics.all.iter().map(|topic| (&*topic.name, topic.partitions)).collect();
    let began = Instant::now();
    loop {
        let found = fetch_all_ends(reader, &partitions)?;
        let all = topics.all.iter().zip(&found);
        let mut flaws = all.clone().filter_map(|(topic, ends)| flaw(topic, ends, cursor));
        // Just after a broker came back that was killed, readers may see less than it has promised.
        let (flaw, may_settle) = match flaws.next() {
            Some((flaw, may_settle)) => (Some(flaw), may_settle && flaws.all(|(_, may_settle)| may_settle)),
            None => (None, false),
        };
        if !may_settle || began.elapsed() > ANSWER_PATIENCE {
            let high = |ends: &Vec<(i64, i64)>| ends.iter().map(|(_, high)| *high).collect();
            return Ok((all.map(|(topic, ends)| (topic.short.to_owned(), high(ends))).collect(), flaw));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Why a topic is not the one that the cursor is of, and whether time may mend that.
fn flaw(topic: &Topic, ends: &[(i64, i64)], cursor: Option<&CursorRecord>) -> Option<(String, bool)> {
    let name = &topic.name;
    let Some(cursor) = cursor else {
        let has_messages = ends.iter().any(|(low, high)| high > low);
        return has_messages
            .then(|| (format!("Kafka's topic {name} has messages, and there is no cursor"), false));
    };
    let known = cursor.ends.get(topic.short).map_or(&[][..], Vec::as_slice);
    if known.len() != ends.len() {
        return Some((format!("Kafka's topic {name} has another number of partitions than before"), false));
    }
    let is_short = ends.iter().zip(known).any(|((_, high), known)| high < known);
    // An empty topic is a new one.
    let may_settle = ends.iter().any(|(low, high)| high > low);
    is_short.then(|| (format!("Kafka's topic {name} ends before what was written to it"), may_settle))
}

/// The keys of the dead letters; and whether one of them was refused by a limit that is higher now.
pub(crate) fn read_letters(
    reader: &Reader,
    topics: &Topics,
) -> Result<(BTreeSet<Vec<u8>>, bool), BrokerError> {
    let topic = &topics.all[LETTERS];
    let mut letters = std::collections::BTreeMap::<Vec<u8>, bool>::new();
    read_topic(reader, &topic.name, topic.partitions, None, |message| {
        let key = message.key().unwrap_or_default().to_vec();
        match message.payload() {
            None => _ = letters.remove(&key),
            Some(value) => {
                let letter: Option<Letter> = serde_json::from_slice(value).ok();
                let may_fit = letter.is_some_and(|letter| {
                    let of_table = topics.all.iter().find(|topic| topic.short == letter.table);
                    let limit_bytes = of_table.map_or(0, |topic| topic.max_message_bytes);
                    limit_bytes >= letter.bytes && letter.limit_bytes.is_some_and(|was| limit_bytes > was)
                });
                letters.insert(key, may_fit);
            }
        }
        Ok::<(), BrokerError>(())
    })?;
    let any_fits = letters.values().any(|may_fit| *may_fit);
    Ok((letters.into_keys().collect(), any_fits))
}
