//! Where the topics are, and how they are made.

use kafka_client::Cluster;

/// How many letters of a prefix there may be, so that names of topics are not too long.
const MAX_PREFIX_BYTES: usize = 200;

/// Configuration of the sink.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// The brokers.
    pub cluster: Cluster,
    /// What the names of topics begin with.
    pub topic_prefix: String,
    /// Partitions of each table's topic, when it is made.
    pub partitions: u16,
    /// How many brokers keep what is written, when topics are made.
    pub replication_factor: u16,
    /// How many of them must have it before it counts, when topics are made.
    pub min_insync_replicas: u16,
}

impl KafkaConfig {
    /// Refuses what can't be used, in words of the configuration.
    pub fn check(&self) -> Result<(), String> {
        if let Some(own) = self.cluster.refused_property() {
            return Err(format!("kafka.properties: {own} is the sink's own and can't be set; take it out"));
        }
        let prefix = &self.topic_prefix;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if prefix.is_empty() || prefix.len() > MAX_PREFIX_BYTES || !prefix.chars().all(is_plain) {
            return Err(format!(
                "sinks.kafka.topic_prefix {prefix:?}: take 1 to {MAX_PREFIX_BYTES} letters, digits, '.', '_' and '-'"
            ));
        }
        if self.partitions == 0 || self.replication_factor == 0 || self.min_insync_replicas == 0 {
            let why = "sinks.kafka.partitions, .replication_factor and .min_insync_replicas begin with 1";
            return Err(why.to_owned());
        }
        Ok(())
    }

    /// Brokers and topics, for the log.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{} at {}", self.topic_prefix, self.cluster.brokers)
    }

    /// What fences the sink of an older start.
    pub(super) fn transactional_id(&self) -> String {
        format!("{}.sink", self.topic_prefix)
    }

    /// The name under which topics are read.
    pub(super) fn reader_name(&self) -> String {
        format!("{}.reader", self.topic_prefix)
    }
}
