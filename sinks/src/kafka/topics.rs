//! The sink's topics: a compacted one for each table, one of dead letters, and the cursor's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kafka_client::{
    ANSWER_PATIENCE, BrokerError, Reader, create_topics, make_topic, partition_count, settings,
};
use model::Table;

use super::KafkaConfig;

/// Which topic: those of [`Table::ALL`] in their order, and then this one.
pub(crate) const LETTERS: usize = Table::ALL.len();
/// What a topic takes that says nothing of it.
const DEFAULT_MESSAGE_BYTES: usize = 1 << 20;
/// For so long after it was written a message that was replaced is kept: who reads a cursor can read up to its ends.
const COMPACTION_LAG_MS: &str = "600000";
/// How often a topic is asked after that was just made.
const PAUSE: Duration = Duration::from_millis(50);

/// By a topic's short name: the offset behind the last message that counts, of each partition.
pub(crate) type Ends = BTreeMap<String, Vec<i64>>;

/// A topic as it is.
#[derive(Clone, Debug)]
pub(crate) struct Topic {
    /// The name without the prefix: a table's, or `dead_letters`.
    pub short: &'static str,
    pub name: String,
    pub partitions: i32,
    /// The largest message that it takes.
    pub max_message_bytes: usize,
}

/// All of them.
#[derive(Clone, Debug)]
pub(crate) struct Topics {
    pub all: Vec<Topic>,
    pub cursor: String,
    /// What is to be said of how they are made.
    pub warnings: Vec<String>,
}

impl Topics {
    pub fn of(&self, table: Table) -> (usize, &Topic) {
        // In the order of `Table::ALL`, which is that of the variants.
        (table as usize, &self.all[table as usize])
    }
}

/// The short names, in the order of their numbers.
pub(crate) fn short_names() -> impl Iterator<Item = &'static str> {
    Table::ALL.into_iter().map(Table::as_str).chain(["dead_letters"])
}

pub(crate) fn full_name(config: &KafkaConfig, short: &str) -> String {
    format!("{}.{short}", config.topic_prefix)
}

/// Makes those that are not there, and looks at all.
pub(crate) fn provide(config: &KafkaConfig, reader: &Reader) -> Result<Topics, BrokerError> {
    let shorts: Vec<&str> = short_names().chain(["cursor"]).collect();
    let names: Vec<String> = shorts.iter().map(|short| full_name(config, short)).collect();
    let count = || -> Result<Vec<i32>, BrokerError> {
        names.iter().map(|name| partition_count(reader, name)).collect()
    };
    let mut partitions = count()?;
    let admin = config.cluster.admin()?;
    if partitions.contains(&0) {
        let min_insync = config.min_insync_replicas.to_string();
        let of_each = [
            ("cleanup.policy", "compact"),
            ("min.compaction.lag.ms", COMPACTION_LAG_MS),
            ("min.insync.replicas", &*min_insync),
        ];
        let missing = names.iter().enumerate().filter(|(index, _)| partitions[*index] == 0);
        let topics: Vec<_> = missing
            .map(|(index, name)| {
                let partitions = if index < LETTERS { i32::from(config.partitions) } else { 1 };
                make_topic(name, partitions, config.replication_factor, &of_each)
            })
            .collect();
        for topic in create_topics(&admin, &topics)? {
            tracing::info!(topic, "made a topic of derived rows");
        }
        let began = Instant::now();
        while partitions.contains(&0) {
            if began.elapsed() > ANSWER_PATIENCE {
                return Err(BrokerError::new("make its topics", "they are made, and not to be seen yet"));
            }
            std::thread::sleep(PAUSE);
            partitions = count()?;
        }
    }
    let names_text: Vec<&str> = names.iter().map(String::as_str).collect();
    let values = settings(&admin, &names_text, &["cleanup.policy", "max.message.bytes"])?;
    let mut topics = Topics { all: Vec::new(), cursor: names[LETTERS + 1].clone(), warnings: Vec::new() };
    for (index, values) in values.into_iter().enumerate() {
        let value = |at: usize| values.get(at).and_then(Option::as_deref);
        if let Some(policy) = value(0).filter(|policy| *policy != "compact") {
            topics.warnings.push(format!(
                "Kafka's topic {} has cleanup.policy={policy}, so that rows which do not change are lost to its readers \
                 in time: set cleanup.policy=compact",
                names[index]
            ));
        }
        if index <= LETTERS {
            topics.all.push(Topic {
                short: shorts[index],
                name: names[index].clone(),
                partitions: partitions[index],
                max_message_bytes: value(1)
                    .and_then(|bytes| bytes.parse().ok())
                    .unwrap_or(DEFAULT_MESSAGE_BYTES),
            });
        }
    }
    if partitions[LETTERS + 1] != 1 {
        let said =
            format!("{} has {} partitions, and a cursor needs one", topics.cursor, partitions[LETTERS + 1]);
        return Err(BrokerError::new("use its topics", said));
    }
    Ok(topics)
}
