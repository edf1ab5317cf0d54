//! The journal's two topics: made where there are none, refused where they would lose records.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr;

use super::client::{ANSWER_PATIENCE, Cluster, Reader, failed_with};
use crate::StoreError;

/// What topics must have, and what it means.
const KEPT_FOR_EVER: [(&str, &str); 3] =
    [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
/// The size of a batch that a topic takes which says nothing of it.
const DEFAULT_BATCH_BYTES: usize = 1 << 20;
/// Brokers take no larger requests unless they are told to.
const MAX_BATCH_BYTES: usize = 95 << 20;
/// What a batch has besides one entry.
const BATCH_OVERHEAD_BYTES: usize = 64 << 10;
/// How often a topic is asked after that was just made.
const PAUSE: Duration = Duration::from_millis(50);

/// The topics as they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Topics {
    pub raw_partitions: i32,
    pub max_batch_bytes: usize,
}

/// Makes the topics unless they are there, and looks at them.
pub(crate) fn provide(cluster: &Cluster, max_entry_bytes: usize) -> Result<Topics, StoreError> {
    let consumer = cluster.consumer(0)?;
    let (mut raw, mut ticks) =
        (partitions(&consumer, &cluster.raw_topic)?, partitions(&consumer, &cluster.ticks_topic)?);
    if raw == 0 && ticks == 0 {
        make(cluster, max_entry_bytes)?;
        let began = Instant::now();
        while (raw == 0 || ticks == 0) && began.elapsed() < ANSWER_PATIENCE {
            std::thread::sleep(PAUSE);
            raw = partitions(&consumer, &cluster.raw_topic)?;
            ticks = partitions(&consumer, &cluster.ticks_topic)?;
        }
    }
    let names = [(&cluster.raw_topic, raw), (&cluster.ticks_topic, ticks)];
    if let Some((missing, _)) = names.iter().find(|(_, partitions)| *partitions == 0) {
        let what = format!(
            "Kafka's topic {missing} is missing, and the journal's other topic is there: restore it, or choose \
             another kafka.topic_prefix"
        );
        return Err(StoreError::Refused(what));
    }
    if ticks != 1 {
        let what = format!(
            "Kafka's topic {} has {ticks} partitions, and the order of ticks needs one: choose another \
             kafka.topic_prefix",
            cluster.ticks_topic
        );
        return Err(StoreError::Refused(what));
    }
    let max_batch_bytes = look_at_settings(cluster)?;
    for (topic, partitions) in names {
        for partition in 0..partitions {
            let marks = consumer.fetch_watermarks(topic, partition, ANSWER_PATIENCE);
            let (low, _) =
                marks.map_err(|error| failed_with("read where a topic begins", error, consumer.context()))?;
            if low != 0 {
                return Err(cut(topic, partition));
            }
        }
    }
    Ok(Topics { raw_partitions: raw, max_batch_bytes })
}

pub(super) fn cut(topic: &str, partition: i32) -> StoreError {
    StoreError::Refused(format!(
        "the beginning of Kafka's topic {topic}, partition {partition}, was deleted, so the journal is not whole: \
         restore the topic from a copy and set its retention.ms and retention.bytes to -1, or begin a new journal \
         with another kafka.topic_prefix and another folder"
    ))
}

/// How many partitions a topic has; 0 where there is no such topic.
fn partitions(consumer: &Reader, topic: &str) -> Result<i32, StoreError> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_PATIENCE);
    let metadata = metadata.map_err(|error| failed_with("find its topics", error, consumer.context()))?;
    let of_topic = metadata.topics().iter().find(|of_topic| of_topic.name() == topic);
    let count = |of_topic: &MetadataTopic| i32::try_from(of_topic.partitions().len()).unwrap_or(i32::MAX);
    match of_topic.map(|of_topic| (of_topic.error(), count(of_topic))) {
        None | Some((Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), _)) => Ok(0),
        Some((Some(error), _)) => {
            let said = RDKafkaErrorCode::from(error).to_string();
            Err(StoreError::Kafka { doing: "find its topics", said })
        }
        Some((None, count)) => Ok(count),
    }
}

fn make(cluster: &Cluster, max_entry_bytes: usize) -> Result<(), StoreError> {
    let options = &cluster.options;
    let min_insync = options.min_insync_replicas.to_string();
    let batch_bytes = (max_entry_bytes + BATCH_OVERHEAD_BYTES).min(MAX_BATCH_BYTES).to_string();
    let topic = |name, partitions| {
        let replication = TopicReplication::Fixed(i32::from(options.replication_factor));
        let mut topic = NewTopic::new(name, partitions, replication);
        for (key, value) in KEPT_FOR_EVER {
            topic = topic.set(key, value);
        }
        topic.set("min.insync.replicas", &min_insync).set("max.message.bytes", &batch_bytes)
    };
    let topics = [topic(&cluster.raw_topic, i32::from(options.partitions)), topic(&cluster.ticks_topic, 1)];
    let (admin, limits) = (cluster.admin()?, limits());
    let made = wait_for(admin.create_topics(&topics, &limits))?
        .map_err(|error| failed_with("make its topics", error, admin.inner().context()))?;
    for topic in made {
        match topic {
            Ok(name) => tracing::info!(topic = name, "made a topic of the journal"),
            // By another one that starts: what it made is looked at like any other.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, error)) => {
                return Err(StoreError::Kafka { doing: "make its topics", said: format!("{name}: {error}") });
            }
        }
    }
    Ok(())
}

/// Refuses topics that forget; gives the largest batch that both take.
fn look_at_settings(cluster: &Cluster) -> Result<usize, StoreError> {
    let admin = cluster.admin()?;
    let limits = limits();
    let topics = [&cluster.raw_topic, &cluster.ticks_topic].map(|topic| ResourceSpecifier::Topic(topic));
    let described = wait_for(admin.describe_configs(&topics, &limits))?
        .map_err(|error| failed_with("read the settings of its topics", error, admin.inner().context()))?;
    let mut max_batch_bytes = usize::MAX;
    for (described, topic) in described.into_iter().zip([&cluster.raw_topic, &cluster.ticks_topic]) {
        let described = described.map_err(|error| StoreError::Kafka {
            doing: "read the settings of its topics",
            said: format!("{topic}: {error}"),
        })?;
        let value = |name| described.get(name).and_then(|entry| entry.value.as_deref());
        for (name, kept) in KEPT_FOR_EVER {
            let found = value(name).unwrap_or_default();
            if found != kept {
                let what = format!(
                    "Kafka's topic {topic} has {name}={found}, so that the journal would lose its beginning: set \
                     {name}={kept}, or choose another kafka.topic_prefix"
                );
                return Err(StoreError::Refused(what));
            }
        }
        let batch_bytes = value("max.message.bytes").and_then(|bytes| bytes.parse().ok());
        max_batch_bytes = max_batch_bytes.min(batch_bytes.unwrap_or(DEFAULT_BATCH_BYTES));
    }
    Ok(max_batch_bytes)
}

fn limits() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_PATIENCE)).operation_timeout(Some(ANSWER_PATIENCE))
}

/// Waits for an answer that comes on a thread of the client's.
fn wait_for<T>(answer: impl Future<Output = T>) -> Result<T, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|source| StoreError::Io { path: "the async runtime".into(), source })?;
    Ok(runtime.block_on(answer))
}
