//! Reads topics from known places on.
//!
//! It joins no group: where to go on is known to whoever reads, from the journal. Offsets are committed all the same,
//! for those who watch how far a group is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::Place;

const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// How often new topics and partitions are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// What is fetched ahead.
const FETCHED_AHEAD_KIB: u32 = 16 << 10;

/// What is read.
#[derive(Clone, Debug)]
pub struct ConsumerOptions {
    /// `host:port`, with commas between several.
    pub brokers: String,
    /// The topics.
    pub topics: Vec<String>,
    /// Under which name offsets are committed.
    pub group: String,
    /// Where a partition of which nothing was read yet is begun: at its beginning, or with what comes.
    pub from_beginning: bool,
    /// Settings of librdkafka besides.
    pub properties: BTreeMap<String, String>,
}

/// A message as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where it is.
    pub place: Place,
    /// Its value, if it has one.
    pub value: Option<Vec<u8>>,
}

/// Why messages can't be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "Kafka's topics can't be read ({said}); see to its brokers and to sources.kafka of the configuration"
)]
pub struct ConsumerError {
    said: String,
}

impl From<KafkaError> for ConsumerError {
    fn from(error: KafkaError) -> ConsumerError {
        ConsumerError { said: error.to_string() }
    }
}

/// Reads the messages of some topics.
pub struct Consumer {
    client: BaseConsumer<Quiet>,
    options: ConsumerOptions,
    /// By topic and partition: the offset that comes next, of those that are read.
    next: BTreeMap<(String, i32), i64>,
    looked: Option<Instant>,
    /// Partitions that were there at the first look; later ones are read from their beginning.
    known_to: BTreeMap<String, i32>,
}

impl Consumer {
    /// `next`: by topic and partition, the offset to go on with.
    pub fn new(
        options: ConsumerOptions,
        next: BTreeMap<(String, i32), i64>,
    ) -> Result<Consumer, ConsumerError> {
        let mut config = ClientConfig::new();
        config.set("client.id", "watchtower").set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &options.properties {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &options.brokers)
            .set("group.id", &options.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB.to_string());
        config.set_log_level(RDKafkaLogLevel::Warning);
        let client = config.create_with_context(Quiet)?;
        Ok(Consumer { client, options, next, looked: None, known_to: BTreeMap::new() })
    }

    /// Waits for the next message; `None` if there was none meanwhile. An error may pass: it is worth trying again.
    pub fn next(&mut self, patience: Duration) -> Result<Option<Message>, ConsumerError> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_EVERY) {
            self.look_for_partitions()?;
            self.looked = Some(Instant::now());
        }
        let deadline = Instant::now() + patience;
        while let Some(message) = self.client.poll(deadline.saturating_duration_since(Instant::now())) {
            let message = message?;
            let place = Place {
                topic: message.topic().to_owned(),
                partition: message.partition(),
                offset: message.offset(),
            };
            let next = self.next.entry((place.topic.clone(), place.partition)).or_default();
            // Where a partition is read anew from its beginning, what was read already comes again.
            if place.offset >= *next {
                *next = place.offset + 1;
                return Ok(Some(Message { place, value: message.payload().map(<[u8]>::to_vec) }));
            }
        }
        Ok(None)
    }

    /// Commits how far was read, without waiting: by topic and partition, the offset that comes next.
    pub fn commit(&self, next: &BTreeMap<(String, i32), i64>) -> Result<(), ConsumerError> {
        let mut list = TopicPartitionList::new();
        for ((topic, partition), offset) in next {
            list.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        Ok(self.client.commit(&list, CommitMode::Async)?)
    }

    fn look_for_partitions(&mut self) -> Result<(), ConsumerError> {
        for topic in self.options.topics.clone() {
            let metadata = self.client.fetch_metadata(Some(&topic), ANSWER_PATIENCE)?;
            let of_topic = metadata.topics().iter().find(|of_topic| of_topic.name() == topic);
            let count = of_topic.map_or(0, |of_topic| of_topic.partitions().len());
            if count == 0 {
                tracing::warn!(topic, "there is no such topic of Kafka yet");
                continue;
            }
            let known = self.known_to.get(&topic).copied();
            for partition in known.unwrap_or(0)..i32::try_from(count).unwrap_or(i32::MAX) {
                let begin = self.begin(&topic, partition, known.is_some())?;
                let mut list = TopicPartitionList::new();
                list.add_partition_offset(&topic, partition, Offset::Offset(begin))?;
                self.client.incremental_assign(&list)?;
                self.known_to.insert(topic.clone(), partition + 1);
                tracing::info!(topic, partition, offset = begin, "reading a topic of Kafka");
            }
        }
        Ok(())
    }

    /// Where to begin a partition.
    fn begin(&self, topic: &str, partition: i32, is_new: bool) -> Result<i64, ConsumerError> {
        let (low, high) = self.client.fetch_watermarks(topic, partition, ANSWER_PATIENCE)?;
        let Some(next) = self.next.get(&(topic.to_owned(), partition)).copied() else {
            return Ok(if self.options.from_beginning || is_new { low } else { high });
        };
        if next < low {
            tracing::error!(
                topic,
                partition,
                lost = low - next,
                "Kafka deleted messages before they were read"
            );
            return Ok(low);
        }
        if next > high {
            let said = format!(
                "topic {topic}, partition {partition} ends with offset {high}, and was read to {next}: it was made \
                 anew. Give it another name"
            );
            return Err(ConsumerError { said });
        }
        Ok(next)
    }
}

/// What the library says besides its answers.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, "librdkafka: {text}");
    }

    fn error(&self, _: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {reason}");
    }
}

impl ConsumerContext for Quiet {}
