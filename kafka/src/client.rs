//! Clients.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseProducer, DeliveryResult, ProducerContext};

use crate::BrokerError;

/// How long one question to the brokers may take.
pub const ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// What a fetch may bring besides one batch of the largest size.
const FETCH_BYTES: usize = 32 << 20;
/// What is fetched ahead of a reader, of each partition.
const FETCHED_AHEAD_KIB: usize = 16 << 10;
/// The largest size that the library takes.
const MAX_LIBRARY_BYTES: usize = 1_000_000_000;
/// What a batch may be where nobody says otherwise: the library's own bound.
const BATCH_BYTES: usize = 1_000_000;
/// Settings on which the promises of whoever uses a client rest.
const OWN_PROPERTIES: [&str; 14] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "message.max.bytes",
    "metadata.broker.list",
    "request.required.acks",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Where the brokers are, and what it takes to reach them.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    /// `host:port`, with commas between several.
    pub brokers: String,
    /// Settings of librdkafka besides.
    pub properties: BTreeMap<String, String>,
}

/// How a producer writes.
#[derive(Clone, Copy, Debug)]
pub struct ProducerOptions<'a> {
    /// Who is fenced by the next one of the same name.
    pub transactional_id: &'a str,
    /// How long the brokers wait for the end of a transaction before they undo it.
    pub timeout: Duration,
    /// The largest message.
    pub max_message_bytes: usize,
    /// The largest batch of several messages, if the library's own bound is too large.
    pub max_batch_bytes: Option<usize>,
    /// Each message alone, so that it is answered alone.
    pub is_one_by_one: bool,
}

impl Cluster {
    /// A property that is not for others to set, if there is one among them.
    #[must_use]
    pub fn refused_property(&self) -> Option<&'static str> {
        OWN_PROPERTIES.into_iter().find(|own| self.properties.contains_key(*own))
    }

    /// What all clients have.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("client.id", "watchtower");
        // A broker that is back is to be found soon.
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config.set("bootstrap.servers", &self.brokers);
        config.set_log_level(RDKafkaLogLevel::Warning);
        config
    }

    /// A client of any kind.
    pub fn create<T: FromClientConfigAndContext<Heard>>(
        &self,
        config: &ClientConfig,
    ) -> Result<T, BrokerError> {
        let heard = Heard { brokers: self.brokers.clone(), ..Heard::default() };
        config.create_with_context(heard).map_err(|error| {
            let said = match error {
                // The library would tell the value too, and that may be a secret.
                KafkaError::ClientConfig(_, _, name, _) => {
                    format!("the property {name} is not known to this build, or its value is none of those that it takes")
                }
                other => other.to_string(),
            };
            BrokerError::new("set up a client", said)
        })
    }

    /// A client that makes topics, and asks after their settings.
    pub fn admin(&self) -> Result<AdminClient<Heard>, BrokerError> {
        self.create(&self.config())
    }

    /// A reader of what is committed, of partitions that it is given. It joins no group; `group` is only its name.
    pub fn reader(&self, group: &str, max_batch_bytes: usize) -> Result<Reader, BrokerError> {
        let fetch_bytes = (max_batch_bytes + FETCH_BYTES).min(MAX_LIBRARY_BYTES / 2);
        let mut config = self.config();
        config
            .set("group.id", group)
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
        Ok(Arc::new(self.create(&config)?))
    }

    /// A producer of transactions. It makes no topics.
    pub fn producer(&self, options: &ProducerOptions<'_>) -> Result<Producer, BrokerError> {
        let timeout_ms = options.timeout.as_millis().to_string();
        let mut config = self.config();
        // What they are, unless somebody says otherwise.
        for (name, value) in [("compression.type", "zstd"), ("linger.ms", "0")] {
            if !self.properties.contains_key(name) {
                config.set(name, value);
            }
        }
        config
            .set("transactional.id", options.transactional_id)
            .set("transaction.timeout.ms", &timeout_ms)
            .set("message.timeout.ms", &timeout_ms)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("allow.auto.create.topics", "false")
            .set("message.max.bytes", options.max_message_bytes.min(MAX_LIBRARY_BYTES).to_string());
        if let Some(bytes) = options.max_batch_bytes.filter(|bytes| *bytes < BATCH_BYTES) {
            config.set("batch.size", bytes.max(1).to_string());
        }
        if options.is_one_by_one {
            config.set("batch.num.messages", "1");
        }
        self.create(&config)
    }
}

/// Reads partitions that it is given.
pub type Reader = Arc<BaseConsumer<Heard>>;
/// Writes transactions.
pub type Producer = BaseProducer<Heard>;

/// Where a message was put.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Which of what was sent.
    pub index: usize,
    /// In which partition.
    pub partition: i32,
    /// Its place, or why it has none.
    pub offset: Result<i64, KafkaError>,
}

/// Keeps what the library says besides its answers: the reason of a failure is often only there. It also takes
/// down where the brokers have put what was sent.
#[derive(Default)]
pub struct Heard {
    brokers: String,
    last_error: Mutex<Option<String>>,
    placed: Mutex<Vec<Placed>>,
}

impl Heard {
    fn placed(&self) -> MutexGuard<'_, Vec<Placed>> {
        self.placed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was answered since the last call, of what was sent.
    pub fn take_placed(&self) -> Vec<Placed> {
        std::mem::take(&mut *self.placed())
    }

    /// An error with whom it is of, and what was said last, where that was anything.
    pub fn explained(&self, error: impl std::fmt::Display) -> String {
        match self.last_error.lock().unwrap_or_else(PoisonError::into_inner).as_deref() {
            Some(said) => format!("{error} (brokers {}: {said})", self.brokers),
            None => format!("{error} (brokers {})", self.brokers),
        }
    }
}

impl ClientContext for Heard {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, "librdkafka: {text}");
    }

    fn error(&self, _: KafkaError, reason: &str) {
        tracing::debug!("librdkafka: {reason}");
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_string());
    }
}

impl ConsumerContext for Heard {}

impl ProducerContext for Heard {
    /// Which of what was sent.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let (message, offset) = match result {
            Ok(message) => (message, Ok(message.offset())),
            Err((error, message)) => (message, Err(error.clone())),
        };
        self.placed().push(Placed { index, partition: message.partition(), offset });
    }
}
