//! The service with Kafka: as its journal, as an input, and as a sink.
//!
//! Tests find a broker through `WATCHTOWER_KAFKA_BROKERS`; the one that kills a broker starts its own, from what is
//! in `WATCHTOWER_KAFKA_HOME`.

pub mod broker;
mod input;
mod journal;
mod sink;

use std::collections::{BTreeMap, BTreeSet};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::common::{LIMIT, skip};

/// Brokers, and a name for topics that no other test has. They are deleted at the end.
struct Topics {
    brokers: String,
    prefix: String,
    names: Vec<String>,
}

impl Topics {
    /// Topics of the broker that tests share; without one the test is skipped with a word.
    fn of_shared_broker(test: &str) -> Option<Topics> {
        match std::env::var("WATCHTOWER_KAFKA_BROKERS") {
            Ok(brokers) => Some(Topics::at(brokers, test)),
            Err(_) => {
                skip("WATCHTOWER_KAFKA_BROKERS names no broker: cargo xtask services up starts one");
                None
            }
        }
    }

    fn at(brokers: String, test: &str) -> Topics {
        let prefix = format!("{test}-{}-{}", crate::common::now_ms(), std::process::id());
        let names = vec![format!("{prefix}.raw"), format!("{prefix}.ticks")];
        Topics { brokers, prefix, names }
    }

    /// Settings of a service whose journal is there.
    fn journal_settings(&self) -> Vec<String> {
        let settings = [
            "journal.kind=kafka".to_owned(),
            format!("kafka.brokers={}", self.brokers),
            format!("kafka.topic_prefix={}", self.prefix),
            "kafka.partitions=3".to_owned(),
        ];
        settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect()
    }

    /// Makes another topic.
    fn make(&mut self, name: &str, partitions: i32) -> String {
        let topic = format!("{}.{name}", self.prefix);
        let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
        block_on(self.admin().create_topics([&new], &AdminOptions::new())).expect("the topic can be made");
        self.names.push(topic.clone());
        topic
    }

    /// What somebody else writes.
    fn write(&self, name: &str, key: &str, value: &str) {
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create().expect("a producer");
        let topic = format!("{}.{name}", self.prefix);
        let record = BaseRecord::<str, str>::to(&topic).key(key).payload(value);
        producer.send(record).map_err(|(error, _)| error).expect("the message can be queued");
        producer.flush(LIMIT).expect("the message is delivered");
    }

    /// The last committed value of each key.
    fn read_rows(&self, name: &str) -> Vec<String> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("group.id", "test");
        config.set("isolation.level", "read_committed").set("enable.partition.eof", "true");
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let topic = format!("{}.{name}", self.prefix);
        let metadata = consumer.fetch_metadata(Some(&topic), LIMIT).expect("the topic is there");
        let partitions = metadata.topics()[0].partitions().iter().map(|partition| partition.id());
        let mut list = TopicPartitionList::new();
        let mut open: BTreeSet<i32> = partitions.collect();
        for partition in &open {
            list.add_partition_offset(&topic, *partition, Offset::Beginning).expect("a place");
        }
        consumer.assign(&list).expect("it can be read");
        let mut rows = BTreeMap::new();
        while !open.is_empty() {
            match consumer.poll(LIMIT).expect("an answer") {
                Ok(message) => {
                    let key = message.key().expect("a key").to_vec();
                    match message.payload() {
                        Some(row) => rows.insert(key, String::from_utf8(row.to_vec()).expect("JSON")),
                        None => rows.remove(&key),
                    };
                }
                Err(KafkaError::PartitionEOF(partition)) => _ = open.remove(&partition),
                Err(error) => panic!("{error}"),
            }
        }
        rows.into_values().collect()
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.brokers).create().expect("a client")
    }
}

impl Drop for Topics {
    fn drop(&mut self) {
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let limits = AdminOptions::new().request_timeout(Some(std::time::Duration::from_secs(5)));
        // A broker of the test's own is gone by now.
        let _ = block_on(self.admin().delete_topics(&names, &limits));
    }
}

fn block_on<T>(answer: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(answer)
}

fn as_args(settings: &[String]) -> Vec<&str> {
    settings.iter().map(String::as_str).collect()
}
