//! Where the journal is, as the configuration says.

use std::collections::BTreeMap;

use journal::{JournalKind, KafkaOptions, Options};
use pipeline::config::Config;

use crate::Usage;
use crate::args::load_config;

const DAY_MS: f64 = 86_400_000.0;
const MIB: usize = 1 << 20;
const KINDS: [&str; 2] = ["embedded", "kafka"];
/// A tick on Kafka costs milliseconds however small it is, so it may be larger than one in the folder.
const MAX_KAFKA_GROUP_ENTRIES: usize = 8192;
const MAX_KAFKA_GROUP_BYTES: usize = 16 * MIB;

/// The store's options of a service.
pub fn options(config: &Config, accept_clock: bool) -> anyhow::Result<Options> {
    let journal = kind(config)?;
    let mut options = Options {
        max_queued_entries: config.journal.max_queued,
        max_queued_bytes: config.journal.max_queued_mib * MIB,
        heartbeat_ms: config.journal.heartbeat_ms,
        accept_clock,
        changes_keep_ms: (config.changes.keep_days * DAY_MS) as i64,
        dead_letters_max_count: config.dead_letters.max_count,
        dead_letters_max_bytes: config.dead_letters.max_mib * MIB as u64,
        dead_letters_keep_ms: (config.dead_letters.keep_days * DAY_MS) as i64,
        ..Options::default()
    };
    if matches!(journal, JournalKind::Kafka(_)) {
        options.max_group_entries = MAX_KAFKA_GROUP_ENTRIES;
        options.max_group_bytes = MAX_KAFKA_GROUP_BYTES;
    }
    Ok(Options { journal, ..options })
}

/// The options of a command that opens a folder by itself: the folder knows where its journal is. Where it takes
/// more to reach the brokers, the environment says so, as it does to a service.
pub fn options_of_command(accept_clock: bool) -> anyhow::Result<Options> {
    let config = load_config(None, &[])?;
    let journal = match kind(&config)? {
        kafka @ JournalKind::Kafka(_) => kafka,
        _ => JournalKind::AsTheFolderSays,
    };
    Ok(Options { journal, accept_clock, ..Options::default() })
}

fn kind(config: &Config) -> anyhow::Result<JournalKind> {
    match config.journal.kind.as_str() {
        "embedded" => Ok(JournalKind::Embedded),
        "kafka" => Ok(JournalKind::Kafka(kafka(config)?)),
        other => {
            let text = format!("journal.kind {other:?} is not known; it is one of {}", KINDS.join(", "));
            Err(Usage(text).into())
        }
    }
}

fn kafka(config: &Config) -> anyhow::Result<KafkaOptions> {
    let of = &config.kafka;
    if of.partitions == 0 || of.replication_factor == 0 || of.min_insync_replicas == 0 {
        let text = "kafka.partitions, kafka.replication_factor and kafka.min_insync_replicas begin with 1";
        return Err(Usage(text.to_owned()).into());
    }
    Ok(KafkaOptions {
        brokers: of.brokers.clone(),
        topic_prefix: of.topic_prefix.clone(),
        partitions: of.partitions,
        replication_factor: of.replication_factor,
        min_insync_replicas: of.min_insync_replicas,
        properties: properties(config)?,
    })
}

/// `kafka.properties`, with the secrets that they name.
pub fn properties(config: &Config) -> anyhow::Result<BTreeMap<String, String>> {
    let read = |(name, value): (&String, &pipeline::config::Secret)| {
        let refused = |why: String| Usage(format!("kafka.properties.{name:?}: {why}"));
        let bytes = value.read().map_err(|error| refused(error.to_string()))?;
        let text = String::from_utf8(bytes).map_err(|_| refused("it is not UTF-8".to_owned()))?;
        Ok((name.clone(), text))
    };
    config.kafka.properties.iter().map(read).collect()
}
