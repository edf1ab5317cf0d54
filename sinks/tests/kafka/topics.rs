//! Topics of a test's own, and what a reader of them sees.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use kafka_client::{Cluster, limits, wait_for};
use rdkafka::admin::{AdminClient, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde::Deserialize;
use sinks::kafka::KafkaConfig;

const VARIABLE: &str = "WATCHTOWER_KAFKA_BROKERS";
const SHORT_NAMES: [&str; 10] = [
    "alerts",
    "crossings",
    "etas",
    "kpis",
    "presences",
    "rejects",
    "trips",
    "visits",
    "dead_letters",
    "cursor",
];
static TESTS: AtomicU32 = AtomicU32::new(0);

/// Dropped with its topics.
pub struct Topics {
    pub config: KafkaConfig,
}

/// A message as a reader of what is committed sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    pub partition: i32,
    pub offset: i64,
    pub key: String,
    pub value: Option<String>,
    pub headers: BTreeMap<String, String>,
}

/// The cursor, as its readers find it.
#[derive(Clone, Debug, Deserialize)]
pub struct Cursor {
    pub tick: u64,
    pub ends: BTreeMap<String, Vec<i64>>,
}

impl Topics {
    /// `None`, after a word, where there is no broker.
    pub fn new() -> Option<Topics> {
        let Some(brokers) = std::env::var(VARIABLE).ok().filter(|brokers| !brokers.is_empty()) else {
            let why = format!("set {VARIABLE} to a broker of Kafka: cargo xtask services up starts one");
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
            eprintln!("skipped: {why}");
            return None;
        };
        let number = TESTS.fetch_add(1, Ordering::Relaxed);
        let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let topic_prefix = format!("sink-{}-{}-{number}", since_1970.as_millis(), std::process::id());
        let cluster = Cluster { brokers, properties: BTreeMap::new() };
        let (replication_factor, min_insync_replicas) = (1, 1);
        Some(Topics {
            config: KafkaConfig {
                cluster,
                topic_prefix,
                partitions: 3,
                replication_factor,
                min_insync_replicas,
            },
        })
    }

    pub fn name(&self, short: &str) -> String {
        format!("{}.{short}", self.config.topic_prefix)
    }

    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.config.cluster.brokers);
        config
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    pub fn delete(&self, short: &str) {
        let name = self.name(short);
        for gone in wait_for(self.admin().delete_topics(&[&name], &limits())).unwrap().unwrap() {
            gone.unwrap();
        }
    }

    pub fn make(&self, short: &str, partitions: i32) {
        let name = self.name(short);
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        for made in wait_for(self.admin().create_topics([&topic], &limits())).unwrap().unwrap() {
            made.unwrap();
        }
    }

    /// Adds partitions to a topic.
    pub fn widen(&self, short: &str, partitions: usize) {
        let name = self.name(short);
        let wider = rdkafka::admin::NewPartitions::new(&name, partitions);
        for made in wait_for(self.admin().create_partitions([&wider], &limits())).unwrap().unwrap() {
            made.unwrap();
        }
    }

    pub fn set(&self, short: &str, setting: &str, value: &str) {
        let name = self.name(short);
        let config = AlterConfig::new(ResourceSpecifier::Topic(&name)).set(setting, value);
        for set in wait_for(self.admin().alter_configs([&config], &limits())).unwrap().unwrap() {
            set.unwrap();
        }
    }

    /// What somebody else writes.
    pub fn send(&self, short: &str, partition: i32, key: &str, value: Option<&str>) {
        let producer: BaseProducer = self.client().create().unwrap();
        let name = self.name(short);
        let mut record = BaseRecord::<str, str>::to(&name).partition(partition).key(key);
        if let Some(value) = value {
            record = record.payload(value);
        }
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(Duration::from_secs(20)).unwrap();
    }

    /// All that is committed, of each partition in its order.
    pub fn read(&self, short: &str) -> Vec<Seen> {
        let name = self.name(short);
        let mut config = self.client();
        config.set("group.id", "test").set("isolation.level", "read_committed");
        config
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "20");
        let consumer: BaseConsumer = config.create().unwrap();
        let metadata = consumer.fetch_metadata(Some(&name), Duration::from_secs(10)).unwrap();
        let mut open = metadata.topics()[0].partitions().len();
        let mut list = TopicPartitionList::new();
        for partition in 0..open {
            let partition = i32::try_from(partition).unwrap();
            list.add_partition_offset(&name, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut seen = Vec::new();
        while open > 0 {
            match consumer.poll(Duration::from_secs(20)).unwrap() {
                Ok(message) => {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    let headers = message.headers().map(|headers| {
                        let text = |value: Option<&[u8]>| text(value.unwrap());
                        headers.iter().map(|header| (header.key.to_owned(), text(header.value))).collect()
                    });
                    seen.push(Seen {
                        partition: message.partition(),
                        offset: message.offset(),
                        key: text(message.key().unwrap()),
                        value: message.payload().map(text),
                        headers: headers.unwrap_or_default(),
                    });
                }
                Err(KafkaError::PartitionEOF(_)) => open -= 1,
                Err(error) => panic!("{error}"),
            }
        }
        seen
    }

    /// All cursors that were committed.
    pub fn cursors(&self) -> Vec<Cursor> {
        let read = self.read("cursor");
        read.iter()
            .filter(|seen| seen.key == "cursor")
            .map(|seen| serde_json::from_str(seen.value.as_deref().unwrap()).unwrap())
            .collect()
    }
}

/// The last value of each key, up to some ends. Where a topic was given more partitions, a key may be in two of them,
/// in one as a tombstone.
pub fn rows_of(seen: &[Seen], ends: Option<&[i64]>) -> BTreeMap<(i32, String), String> {
    let mut rows = BTreeMap::new();
    for message in seen {
        let end = ends.map_or(i64::MAX, |ends| ends[usize::try_from(message.partition).unwrap()]);
        if message.offset >= end {
            continue;
        }
        let key = (message.partition, message.key.clone());
        match &message.value {
            Some(value) => rows.insert(key, value.clone()),
            None => rows.remove(&key),
        };
    }
    rows
}

impl Drop for Topics {
    fn drop(&mut self) {
        let names = SHORT_NAMES.map(|short| self.name(short));
        let names = names.each_ref().map(String::as_str);
        _ = wait_for(self.admin().delete_topics(&names, &limits()));
    }
}
