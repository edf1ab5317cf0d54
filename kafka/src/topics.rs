//! Topics: made, counted, and asked after their settings.

use std::future::Future;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use crate::{ANSWER_PATIENCE, BrokerError, Heard, Reader};

/// How often is asked again what has no answer yet.
const PAUSE: Duration = Duration::from_millis(50);

/// A setting of a topic and its value.
pub type Setting<'a> = (&'a str, &'a str);

/// How many partitions a topic has; 0 where there is no such topic.
pub fn partition_count(reader: &Reader, topic: &str) -> Result<i32, BrokerError> {
    const DOING: &str = "find its topics";
    let metadata = reader.fetch_metadata(Some(topic), ANSWER_PATIENCE);
    let metadata = metadata.map_err(|error| BrokerError::heard(DOING, error, reader.context()))?;
    let of_topic = metadata.topics().iter().find(|of_topic| of_topic.name() == topic);
    let count = |of_topic: &MetadataTopic| i32::try_from(of_topic.partitions().len()).unwrap_or(i32::MAX);
    match of_topic.map(|of_topic| (of_topic.error(), count(of_topic))) {
        None | Some((Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART), _)) => Ok(0),
        Some((Some(error), _)) => Err(BrokerError::new(DOING, RDKafkaErrorCode::from(error))),
        Some((None, count)) => Ok(count),
    }
}

/// Where a partition begins and ends, for a reader of what is committed. A topic that was just made has no leader yet.
pub fn fetch_ends(reader: &Reader, topic: &str, partition: i32) -> Result<(i64, i64), BrokerError> {
    let deadline = Instant::now() + ANSWER_PATIENCE;
    loop {
        let error = match reader.fetch_watermarks(topic, partition, ANSWER_PATIENCE) {
            Ok(ends) => return Ok(ends),
            Err(error) => error,
        };
        if !is_new(&error) || Instant::now() > deadline {
            return Err(BrokerError::heard(ENDS, error, reader.context()));
        }
        std::thread::sleep(PAUSE);
    }
}

/// The same of all partitions of topics, each with their number, by two questions.
pub fn fetch_all_ends(reader: &Reader, topics: &[(&str, i32)]) -> Result<Vec<Vec<(i64, i64)>>, BrokerError> {
    let ask = |what: Offset| -> Result<TopicPartitionList, BrokerError> {
        let failed = |error: KafkaError| BrokerError::heard(ENDS, error, reader.context());
        let mut list = TopicPartitionList::new();
        for (topic, partitions) in topics {
            for partition in 0..*partitions {
                list.add_partition_offset(topic, partition, what).map_err(failed)?;
            }
        }
        let deadline = Instant::now() + ANSWER_PATIENCE;
        loop {
            // Of one partition, or of the whole question.
            let error = match reader.offsets_for_times(list.clone(), ANSWER_PATIENCE) {
                Ok(found) => match found.elements().iter().find_map(|element| element.error().err()) {
                    None => return Ok(found),
                    Some(error) => error,
                },
                Err(error) => error,
            };
            if !is_new(&error) || Instant::now() > deadline {
                return Err(failed(error));
            }
            std::thread::sleep(PAUSE);
        }
    };
    let (low, high) = (ask(Offset::Beginning)?, ask(Offset::End)?);
    let place = |list: &TopicPartitionList, topic: &str, partition| {
        let found = list.find_partition(topic, partition).and_then(|element| element.offset().to_raw());
        found.ok_or_else(|| BrokerError::new(ENDS, format!("no answer of {topic}, partition {partition}")))
    };
    topics
        .iter()
        .map(|(topic, partitions)| {
            (0..*partitions).map(|at| Ok((place(&low, topic, at)?, place(&high, topic, at)?))).collect()
        })
        .collect()
}

const ENDS: &str = "say where a topic begins and ends";

/// Of a topic that was just made, and has no leader yet.
fn is_new(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(error.rdkafka_error_code(), Some(Code::NotLeaderForPartition | Code::LeaderNotAvailable))
}

/// A topic that is to be made.
#[must_use]
pub fn make_topic<'a>(
    name: &'a str,
    partitions: i32,
    replication_factor: u16,
    settings: &[Setting<'a>],
) -> NewTopic<'a> {
    let replication = TopicReplication::Fixed(i32::from(replication_factor));
    let topic = NewTopic::new(name, partitions, replication);
    settings.iter().fold(topic, |topic, (name, value)| topic.set(name, value))
}

/// Makes topics, and gives the names of those that were not made by another one meanwhile.
pub fn create_topics(
    admin: &AdminClient<Heard>,
    topics: &[NewTopic<'_>],
) -> Result<Vec<String>, BrokerError> {
    const DOING: &str = "make its topics";
    let made = wait_for(admin.create_topics(topics, &limits()))?
        .map_err(|error| BrokerError::heard(DOING, error, admin.inner().context()))?;
    let mut names = Vec::new();
    for topic in made {
        match topic {
            Ok(name) => names.push(name),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, error)) => return Err(BrokerError::new(DOING, format!("{name}: {error}"))),
        }
    }
    Ok(names)
}

/// The values of some settings of topics, by topic and setting, in their order.
pub fn settings(
    admin: &AdminClient<Heard>,
    topics: &[&str],
    names: &[&str],
) -> Result<Vec<Vec<Option<String>>>, BrokerError> {
    const DOING: &str = "read the settings of its topics";
    let asked: Vec<_> = topics.iter().map(|topic| ResourceSpecifier::Topic(topic)).collect();
    let described = wait_for(admin.describe_configs(&asked, &limits()))?
        .map_err(|error| BrokerError::heard(DOING, error, admin.inner().context()))?;
    let mut all = Vec::new();
    for (described, topic) in described.into_iter().zip(topics) {
        let described = described.map_err(|error| BrokerError::new(DOING, format!("{topic}: {error}")))?;
        let value = |name: &&str| described.get(name).and_then(|entry| entry.value.clone());
        all.push(names.iter().map(value).collect());
    }
    Ok(all)
}

/// How long such questions may take.
#[must_use]
pub fn limits() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_PATIENCE)).operation_timeout(Some(ANSWER_PATIENCE))
}

/// Waits for an answer that comes on a thread of the client's.
pub fn wait_for<T>(answer: impl Future<Output = T>) -> Result<T, BrokerError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| BrokerError::new("wait for an answer", error))?;
    Ok(runtime.block_on(answer))
}
