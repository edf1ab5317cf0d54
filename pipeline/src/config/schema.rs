//! The shape of the configuration. Field names are the names of settings.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Secret;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Zone of calendar days and weeks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// The data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<PathBuf>,
    /// Threads of the graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
    /// Where HTTP is served.
    pub listen: Listen,
    /// Settings `cleaning.*`, checked by [`model::GraphSettings`].
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub cleaning: toml::Table,
    /// Settings `presence.*`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub presence: toml::Table,
    /// Settings `visits.*`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub visits: toml::Table,
    /// Settings `trips.*`; `trips.min_notice_min` and `trips.needs_driver` are none of the arithmetic.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub trips: toml::Table,
    /// Settings `history.*`.
    #[serde(skip_serializing_if = "toml::Table::is_empty")]
    pub history: toml::Table,
    /// Where records come from.
    pub sources: Sources,
    /// Where derived rows go besides.
    pub sinks: Sinks,
    /// The durable log.
    pub journal: Journal,
    /// Brokers of Kafka, and the journal's topics on them.
    pub kafka: Kafka,
    /// Bounds of requests.
    pub limits: Limits,
    /// Links by which others follow a trip.
    pub tracking: Tracking,
    /// What starts need not compute again.
    pub snapshots: Snapshots,
    /// The journal's older days.
    pub archive: Archive,
    /// The kept changelog.
    pub changes: Changes,
    /// What could not be used.
    pub dead_letters: DeadLetters,
    /// The program's own log.
    pub log: Log,
}

/// `listen.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Listen {
    /// Address and port.
    pub address: String,
    /// Serve on other addresses than loopback although nobody is asked who they are.
    pub allow_unauthenticated: bool,
    /// Host names that requests may name, besides loopback names and the address.
    pub allowed_hosts: Vec<String>,
}

impl Default for Listen {
    fn default() -> Self {
        Listen {
            address: "127.0.0.1:8090".to_owned(),
            allow_unauthenticated: false,
            allowed_hosts: Vec::new(),
        }
    }
}

/// `sources.*`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sources {
    /// LocoNav webhooks.
    pub loconav: Loconav,
    /// Topics of Kafka.
    pub kafka: KafkaInput,
    /// Fences of a table in PostGIS.
    pub postgis: PostgisInput,
}

/// `sources.postgis.*`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgisInput {
    /// The database; without it no table is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// The table, as `schema.table`.
    pub table: String,
    /// Whether the table and its trigger are made where they are missing.
    pub create_table: bool,
    /// How often the table is compared where nobody tells of changes, seconds.
    pub sweep_s: u64,
    /// Whether fences are deleted although most rows of the table went at once.
    pub allow_mass_delete: bool,
}

impl Default for PostgisInput {
    fn default() -> Self {
        PostgisInput {
            url: None,
            table: "watchtower_gis.fences".to_owned(),
            create_table: true,
            sweep_s: 60,
            allow_mass_delete: false,
        }
    }
}

/// `sources.kafka.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaInput {
    /// What is read; nothing without any.
    pub topics: Vec<String>,
    /// Under which name it is told how far they were read.
    pub group: String,
    /// Where a topic is begun of which nothing was read yet: `earliest` or `latest`.
    pub start: String,
    /// How mapped messages write times: `rfc3339`, `s` or `ms`.
    pub time: String,
    /// Where the fields of positions are in messages that are not Watch Tower's own records.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mapping: BTreeMap<String, String>,
}

impl Default for KafkaInput {
    fn default() -> Self {
        KafkaInput {
            topics: Vec::new(),
            group: "watchtower".to_owned(),
            start: "earliest".to_owned(),
            time: "rfc3339".to_owned(),
            mapping: BTreeMap::new(),
        }
    }
}

/// `sources.loconav.*`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Loconav {
    /// Webhooks and posted records must be signed with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hmac_secret: Option<Secret>,
    /// Zone of times without one.
    pub naive_timezone: String,
}

impl Default for Loconav {
    fn default() -> Self {
        Loconav { hmac_secret: None, naive_timezone: "Asia/Kolkata".to_owned() }
    }
}

/// `sinks.*`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sinks {
    /// Derived tables in PostgreSQL.
    pub postgres: Postgres,
    /// Derived tables as topics of Kafka.
    pub kafka: KafkaOutput,
}

/// `sinks.postgres.*`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Postgres {
    /// The database; without it there is no such sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// How long it is kept what corrected rows were, days.
    pub history_keep_days: f64,
    /// Whether fences, master data and positions are kept there, too.
    pub journal: bool,
    /// How long positions are kept, whole days.
    pub positions_keep_days: u32,
    /// How long alerts are kept that ended, whole days; 0 keeps them for ever.
    pub alerts_keep_days: u32,
    /// The same of trips that are over.
    pub trips_keep_days: u32,
    /// The same of figures of days and weeks.
    pub kpis_keep_days: u32,
}

impl Default for Postgres {
    fn default() -> Self {
        Postgres {
            url: None,
            history_keep_days: 90.0,
            journal: true,
            positions_keep_days: 30,
            alerts_keep_days: 90,
            trips_keep_days: 183,
            kpis_keep_days: 366,
        }
    }
}

/// `sinks.kafka.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaOutput {
    /// What the names of topics begin with; without it there is no such sink.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic_prefix: Option<String>,
    /// Where they are, if not at `kafka.brokers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brokers: Option<String>,
    /// Partitions of each table's topic, when it is made.
    pub partitions: u16,
    /// How many brokers keep what is written, when topics are made.
    pub replication_factor: u16,
    /// How many of them must have it before it counts, when topics are made.
    pub min_insync_replicas: u16,
}

impl Default for KafkaOutput {
    fn default() -> Self {
        KafkaOutput {
            topic_prefix: None,
            brokers: None,
            partitions: 4,
            replication_factor: 1,
            min_insync_replicas: 1,
        }
    }
}

/// `journal.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// `embedded` or `kafka`.
    pub kind: String,
    /// How long nothing must arrive for an empty tick to be minted, ms.
    pub heartbeat_ms: u64,
    /// How many bodies may wait to be written; more are answered 429.
    pub max_queued: usize,
    /// How many MiB of bodies may wait to be written.
    pub max_queued_mib: usize,
}

impl Default for Journal {
    fn default() -> Self {
        Journal { kind: "embedded".to_owned(), heartbeat_ms: 1000, max_queued: 8192, max_queued_mib: 64 }
    }
}

/// `kafka.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Kafka {
    /// `host:port`, with commas between several.
    pub brokers: String,
    /// What the names of the journal's topics begin with.
    pub topic_prefix: String,
    /// Partitions of the topic of entries, when it is made.
    pub partitions: u16,
    /// How many brokers keep what the journal has, when its topics are made.
    pub replication_factor: u16,
    /// How many of them must have a tick before it is acknowledged.
    pub min_insync_replicas: u16,
    /// Settings of librdkafka besides; some are secrets.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, Secret>,
}

impl Default for Kafka {
    fn default() -> Self {
        Kafka {
            brokers: "127.0.0.1:9092".to_owned(),
            topic_prefix: "watchtower".to_owned(),
            partitions: 4,
            replication_factor: 1,
            min_insync_replicas: 1,
            properties: BTreeMap::new(),
        }
    }
}

/// `limits.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest body as sent, MiB.
    pub max_body_mib: usize,
    /// Largest body after decompression, MiB.
    pub max_inflated_mib: usize,
    /// How long tracks are kept for the map, hours.
    pub track_keep_h: f64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_body_mib: 16, max_inflated_mib: 64, track_keep_h: 24.0 }
    }
}

/// `tracking.*`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tracking {
    /// What links are signed with, instead of a key in the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// What links begin with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
}

/// `snapshots.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Snapshots {
    /// How often one is taken while a service runs, minutes; 0 takes none at all.
    pub every_min: u32,
    /// How many are kept.
    pub keep: usize,
}

impl Default for Snapshots {
    fn default() -> Self {
        Snapshots { every_min: 10, keep: 2 }
    }
}

/// `archive.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Archive {
    /// Days that are so old are moved to files, days; 0 moves none.
    pub after_days: u32,
}

impl Default for Archive {
    fn default() -> Self {
        Archive { after_days: 7 }
    }
}

/// `changes.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Changes {
    /// How long the changelog can be resumed, days.
    pub keep_days: f64,
}

impl Default for Changes {
    fn default() -> Self {
        Changes { keep_days: 7.0 }
    }
}

/// `dead_letters.*`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLetters {
    /// How many are kept.
    pub max_count: u64,
    /// How many MiB are kept.
    pub max_mib: u64,
    /// How long they are kept, days.
    pub keep_days: f64,
}

impl Default for DeadLetters {
    fn default() -> Self {
        DeadLetters { max_count: 100_000, max_mib: 256, keep_days: 30.0 }
    }
}

/// `log.*`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// What is logged: `info`, `debug`, or a filter such as `info,api=debug`.
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Log { format: LogFormat::Text, level: "info".to_owned() }
    }
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum LogFormat {
    Text,
    Json,
}
