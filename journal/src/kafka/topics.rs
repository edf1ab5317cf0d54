//! The journal's two topics: made where there are none, refused where they would lose records.

use std::time::{Duration, Instant};

use kafka_client::{ANSWER_PATIENCE, create_topics, fetch_ends, make_topic, partition_count, settings};

use super::client::Cluster;
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
        (partition_count(&consumer, &cluster.raw_topic)?, partition_count(&consumer, &cluster.ticks_topic)?);
    if raw == 0 && ticks == 0 {
        make(cluster, max_entry_bytes)?;
        let began = Instant::now();
        while (raw == 0 || ticks == 0) && began.elapsed() < ANSWER_PATIENCE {
            std::thread::sleep(PAUSE);
            raw = partition_count(&consumer, &cluster.raw_topic)?;
            ticks = partition_count(&consumer, &cluster.ticks_topic)?;
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
            let (low, _) = fetch_ends(&consumer, topic, partition)?;
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

fn make(cluster: &Cluster, max_entry_bytes: usize) -> Result<(), StoreError> {
    let options = &cluster.options;
    let min_insync = options.min_insync_replicas.to_string();
    let batch_bytes = (max_entry_bytes + BATCH_OVERHEAD_BYTES).min(MAX_BATCH_BYTES).to_string();
    let of_both = [("min.insync.replicas", &*min_insync), ("max.message.bytes", &*batch_bytes)];
    let of_both: Vec<_> = KEPT_FOR_EVER.into_iter().chain(of_both).collect();
    let topic = |name, partitions| make_topic(name, partitions, options.replication_factor, &of_both);
    let topics = [topic(&cluster.raw_topic, i32::from(options.partitions)), topic(&cluster.ticks_topic, 1)];
    // What another one made that starts is looked at like any other.
    for topic in create_topics(&cluster.admin()?, &topics)? {
        tracing::info!(topic, "made a topic of the journal");
    }
    Ok(())
}

/// Refuses topics that forget; gives the largest batch that both take.
fn look_at_settings(cluster: &Cluster) -> Result<usize, StoreError> {
    let topics = [&*cluster.raw_topic, &*cluster.ticks_topic];
    let names = KEPT_FOR_EVER.map(|(name, _)| name).into_iter().chain(["max.message.bytes"]);
    let names: Vec<&str> = names.collect();
    let mut max_batch_bytes = usize::MAX;
    for (values, topic) in settings(&cluster.admin()?, &topics, &names)?.into_iter().zip(topics) {
        let value = |name| {
            let at = names.iter().position(|known| *known == name);
            at.and_then(|at| values.get(at)).and_then(Option::as_deref)
        };
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
