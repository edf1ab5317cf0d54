//! Reads topics from known places on.
//!
//! It joins no group: where to go on is known to whoever reads, from the journal. Offsets are committed all the same,
//! for those who watch how far a group is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_client::{BrokerError, Cluster, Reader, at, fetch_all_ends, fetch_ends};
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

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

impl From<BrokerError> for ConsumerError {
    fn from(error: BrokerError) -> ConsumerError {
        ConsumerError { said: error.to_string() }
    }
}

impl From<KafkaError> for ConsumerError {
    fn from(error: KafkaError) -> ConsumerError {
        ConsumerError { said: error.to_string() }
    }
}

/// What is known of a topic's partitions.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// So many are read.
    begun: i32,
    /// All that were there at the first look are. What comes later is new, and read from its beginning.
    is_looked_at: bool,
}

/// Reads the messages of some topics.
pub struct Consumer {
    client: Reader,
    options: ConsumerOptions,
    /// By topic and partition: the offset that comes next, of those that are read.
    next: BTreeMap<(String, i32), i64>,
    looked: Option<Instant>,
    known: BTreeMap<String, Known>,
    /// Where partitions were begun of which nothing had been read.
    begun: Vec<Place>,
}

impl Consumer {
    /// `next`: by topic and partition, the offset to go on with.
    pub fn new(
        options: ConsumerOptions,
        next: BTreeMap<(String, i32), i64>,
    ) -> Result<Consumer, ConsumerError> {
        let (brokers, properties) = (options.brokers.clone(), options.properties.clone());
        let cluster = Cluster { brokers, properties };
        let mut config = cluster.config();
        config
            .set("group.id", &options.group)
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", "read_committed")
            .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB.to_string());
        let client = Reader::new(cluster.create(&config)?);
        let (looked, known, begun) = (None, BTreeMap::new(), Vec::new());
        Ok(Consumer { client, options, next, looked, known, begun })
    }

    /// Where partitions were begun since the last call, of which nothing had been read before. Whoever keeps these
    /// places goes on there, also where a partition was silent.
    pub fn take_begun(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.begun)
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

    /// Offsets that are there and were not read.
    pub fn lag(&self) -> Result<i64, ConsumerError> {
        let topics: Vec<(&str, i32)> =
            self.known.iter().map(|(topic, known)| (&**topic, known.begun)).collect();
        let mut lag = 0;
        for ((topic, _), ends) in topics.iter().zip(fetch_all_ends(&self.client, &topics)?) {
            for (partition, (low, high)) in (0..).zip(ends) {
                let next = self.next.get(&((*topic).to_owned(), partition)).copied().unwrap_or(low);
                lag += (high - next.max(low)).max(0);
            }
        }
        Ok(lag)
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
            }
            let Known { begun, is_looked_at } = self.known.get(&topic).copied().unwrap_or_default();
            for partition in begun..i32::try_from(count).unwrap_or(i32::MAX) {
                let begin = self.begin(&topic, partition, is_looked_at)?;
                self.client.incremental_assign(&at(&topic, partition, Offset::Offset(begin))?)?;
                // A look that fails goes on here.
                self.known.insert(topic.clone(), Known { begun: partition + 1, is_looked_at });
                tracing::info!(topic, partition, offset = begin, "reading a topic of Kafka");
            }
            self.known.entry(topic).or_default().is_looked_at = true;
        }
        Ok(())
    }

    /// Where to begin a partition.
    fn begin(&mut self, topic: &str, partition: i32, is_new: bool) -> Result<i64, ConsumerError> {
        let (low, high) = fetch_ends(&self.client, topic, partition)?;
        let Some(next) = self.next.get(&(topic.to_owned(), partition)).copied() else {
            let offset = if self.options.from_beginning || is_new { low } else { high };
            self.next.insert((topic.to_owned(), partition), offset);
            self.begun.push(Place { topic: topic.to_owned(), partition, offset });
            return Ok(offset);
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
