//! How clients of the brokers are made, and what is done with what they say.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::{KafkaOptions, StoreError};

/// How long one question to the brokers may take.
pub(crate) const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// How long the brokers wait for the end of a tick's transaction before they undo it.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);
/// What a fetch may bring besides one batch of the largest size.
const FETCH_BYTES: usize = 32 << 20;
/// What is fetched ahead of the reader, of each partition.
const FETCHED_AHEAD_KIB: usize = 16 << 10;
/// The largest size that the library takes.
const MAX_LIBRARY_BYTES: usize = 1_000_000_000;
/// Settings on which the journal's promises rest.
const OWN_PROPERTIES: [&str; 12] = [
    "acks",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.idempotence",
    "enable.partition.eof",
    "auto.offset.reset",
    "group.id",
    "isolation.level",
    "metadata.broker.list",
    "request.required.acks",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Where the brokers are, and what the topics are called.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub options: KafkaOptions,
    /// The topic of entries.
    pub raw_topic: String,
    /// The topic of ticks: the manifest.
    pub ticks_topic: String,
}

impl Cluster {
    pub(crate) fn new(options: KafkaOptions) -> Result<Cluster, StoreError> {
        if let Some(own) = OWN_PROPERTIES.iter().find(|own| options.properties.contains_key(**own)) {
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
        Ok(Cluster { options, raw_topic, ticks_topic })
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("compression.type", "zstd").set("linger.ms", "0");
        config.set("client.id", "watchtower");
        // A broker that is back is to be found soon.
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &self.options.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.options.brokers);
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    fn context(&self) -> Quiet {
        Quiet { brokers: self.options.brokers.clone(), ..Quiet::default() }
    }

    fn create<T: FromClientConfigAndContext<Quiet>>(
        &self,
        config: &ClientConfig,
        context: Quiet,
    ) -> Result<T, StoreError> {
        config.create_with_context(context).map_err(|error| failed("set up a client", &error))
    }

    pub(crate) fn admin(&self) -> Result<AdminClient<Quiet>, StoreError> {
        self.create(&self.config(), self.context())
    }

    /// A reader of what is committed, of partitions that it is given. It joins no group.
    pub(crate) fn consumer(&self, max_batch_bytes: usize) -> Result<Reader, StoreError> {
        let fetch_bytes = (max_batch_bytes + FETCH_BYTES).min(MAX_LIBRARY_BYTES / 2);
        let mut config = self.config();
        config
            .set("group.id", format!("{}.reader", self.options.topic_prefix))
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("fetch.max.bytes", fetch_bytes.to_string())
            .set("receive.message.max.bytes", (fetch_bytes * 2).to_string())
            .set("queued.max.messages.kbytes", FETCHED_AHEAD_KIB.to_string())
            // An answer with less than this is waited for; there is no reader to whom it matters more.
            .set("fetch.wait.max.ms", "50");
        Ok(Arc::new(self.create(&config, self.context())?))
    }

    pub(super) fn producer(&self, max_batch_bytes: usize) -> Result<Producer, StoreError> {
        let mut config = self.config();
        let timeout_ms = TRANSACTION_TIMEOUT.as_millis().to_string();
        config
            .set("transactional.id", &self.options.topic_prefix)
            .set("transaction.timeout.ms", &timeout_ms)
            .set("message.timeout.ms", &timeout_ms)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.max.bytes", max_batch_bytes.min(MAX_LIBRARY_BYTES).to_string());
        self.create(&config, self.context())
    }
}

pub(crate) type Reader = Arc<BaseConsumer<Quiet>>;
pub(super) type Producer = BaseProducer<Quiet>;

/// Keeps what the library says besides its answers: the reason of a failure is often only there. It also takes
/// down where the brokers have put what was sent.
#[derive(Default)]
pub(crate) struct Quiet {
    brokers: String,
    last_error: Mutex<Option<String>>,
    placed: Mutex<Vec<(usize, Result<i64, KafkaError>)>>,
}

impl Quiet {
    pub(super) fn take_placed(&self) -> Vec<(usize, Result<i64, KafkaError>)> {
        std::mem::take(&mut *self.placed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// An error with whom it is of, and what was said last, where that was anything.
    pub(super) fn explained(&self, error: impl std::fmt::Display) -> String {
        match self.last_error.lock().unwrap_or_else(PoisonError::into_inner).as_deref() {
            Some(said) => format!("{error} (brokers {}: {said})", self.brokers),
            None => format!("{error} (brokers {})", self.brokers),
        }
    }
}

impl ClientContext for Quiet {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, "librdkafka: {text}");
    }

    fn error(&self, _: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {reason}");
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
    }
}

impl ConsumerContext for Quiet {}

impl ProducerContext for Quiet {
    /// Which of what was sent.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let placed = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        self.placed.lock().unwrap_or_else(PoisonError::into_inner).push((index, placed));
    }
}

pub(crate) fn failed(doing: &'static str, error: &KafkaError) -> StoreError {
    StoreError::Kafka { doing, said: error.to_string() }
}

/// The same, with what the client was told besides.
pub(crate) fn failed_with(doing: &'static str, error: impl std::fmt::Display, context: &Quiet) -> StoreError {
    StoreError::Kafka { doing, said: context.explained(error) }
}

/// One partition and where to begin in it.
pub(super) fn at(topic: &str, partition: i32, offset: i64) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    Ok(list)
}
