//! The journal's clients, and what they say in words of the journal.

use std::time::Duration;

use kafka_client::{BrokerError, Heard, ProducerOptions};
use rdkafka::admin::AdminClient;

use crate::{KafkaOptions, StoreError};

pub(crate) use kafka_client::{Producer, Reader};

/// How long the brokers wait for the end of a tick's transaction before they undo it.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the brokers are, and what the topics are called.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub options: KafkaOptions,
    clients: kafka_client::Cluster,
    /// The topic of entries.
    pub raw_topic: String,
    /// The topic of ticks: the manifest.
    pub ticks_topic: String,
}

impl Cluster {
    pub(crate) fn new(options: KafkaOptions) -> Result<Cluster, StoreError> {
        let (brokers, properties) = (options.brokers.clone(), options.properties.clone());
        let clients = kafka_client::Cluster { brokers, properties };
        if let Some(own) = clients.refused_property() {
            let what = format!("kafka.properties: {own} is the journal's own and can't be set; take it out");
            return Err(StoreError::Refused(what));
        }
        let prefix = &options.topic_prefix;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if prefix.is_empty() || prefix.len() > 200 || !prefix.chars().all(is_plain) {
            let what =
                format!("kafka.topic_prefix {prefix:?}: take 1 to 200 letters, digits, '.', '_' and '-'");
            return Err(StoreError::Refused(what));
        }
        let (raw_topic, ticks_topic) = (format!("{prefix}.raw"), format!("{prefix}.ticks"));
        Ok(Cluster { options, clients, raw_topic, ticks_topic })
    }

    pub(crate) fn admin(&self) -> Result<AdminClient<Heard>, StoreError> {
        Ok(self.clients.admin()?)
    }

    /// A reader of what is committed, of partitions that it is given.
    pub(crate) fn consumer(&self, max_batch_bytes: usize) -> Result<Reader, StoreError> {
        Ok(self.clients.reader(&format!("{}.reader", self.options.topic_prefix), max_batch_bytes)?)
    }

    pub(super) fn producer(&self, max_batch_bytes: usize) -> Result<Producer, StoreError> {
        Ok(self.clients.producer(&ProducerOptions {
            transactional_id: &self.options.topic_prefix,
            timeout: TRANSACTION_TIMEOUT,
            max_message_bytes: max_batch_bytes,
            max_batch_bytes: None,
            is_one_by_one: false,
        })?)
    }
}

impl From<BrokerError> for StoreError {
    fn from(BrokerError { doing, said }: BrokerError) -> StoreError {
        StoreError::Kafka { doing, said }
    }
}

/// What failed, with what the client was told besides.
pub(crate) fn failed_with(doing: &'static str, error: impl std::fmt::Display, heard: &Heard) -> StoreError {
    BrokerError::heard(doing, error, heard).into()
}
