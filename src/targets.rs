//! The sinks that are configured: started with the service, compared by `verify`, migrated by `migrate`.

use std::io::Write;
#[cfg(feature = "postgres")]
use std::sync::Arc;
use std::time::Duration;

use journal::{Changelog, Log, Store};
#[cfg(feature = "postgres")]
use model::Table;
use pipeline::config::{Config, Secret};
#[cfg(feature = "kafka")]
use sinks::kafka::{Cluster, KafkaConfig, KafkaSink};
use sinks::live::{BatchLimits, Comparison, LiveSink, LiveSource, RunningSink};
#[cfg(feature = "postgres")]
use sinks::postgres::{JournalSink, PostgresConfig, PostgresSink};

use crate::Usage;
#[cfg(feature = "kafka")]
use crate::journal_of;

/// How long a service that stops waits for its sinks; what they do not have by then, the next start gives them.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// A URL of a database, as errors name it.
const POSTGRES_URL: &str = "sinks.postgres.url";

/// Where rows go besides.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    #[cfg(feature = "postgres")]
    pub postgres: Option<PostgresConfig>,
    /// Whether what the journal says besides is kept there, too.
    #[cfg(feature = "postgres")]
    has_journal: bool,
    /// A database with PostGIS that `verify --postgis` may ask.
    #[cfg(feature = "postgres")]
    pub referee: Option<PostgresConfig>,
    #[cfg(feature = "kafka")]
    pub kafka: Option<KafkaConfig>,
}

impl Targets {
    /// Refuses what can't be one, and reaches out to nobody.
    pub fn new(config: &Config) -> anyhow::Result<Targets> {
        let mut targets = Targets::default();
        targets.add_postgres(config)?;
        targets.add_kafka(config)?;
        Ok(targets)
    }

    fn add_postgres(&mut self, config: &Config) -> anyhow::Result<()> {
        let postgres = &config.sinks.postgres;
        let keep_days = postgres.history_keep_days;
        if !(0.0..=100_000.0).contains(&keep_days) {
            let why = format!("sinks.postgres.history_keep_days must be 0 to 100000, and is {keep_days}");
            return Err(Usage(why).into());
        }
        if let Some(url) = &postgres.url {
            warn_of_literal(POSTGRES_URL, url, &url_of_database(POSTGRES_URL, url)?);
        }
        self.set_postgres(config)
    }

    #[cfg(feature = "postgres")]
    fn set_postgres(&mut self, config: &Config) -> anyhow::Result<()> {
        let database = |setting: &str, url: &Option<Secret>| {
            let Some(url) = url else { return Ok(None) };
            let database = PostgresConfig::from_url(&url_of_database(setting, url)?);
            let refused = |error| anyhow::Error::from(Usage(format!("{setting}: {error:#}")));
            database.map(Some).map_err(refused)
        };
        let of = &config.sinks.postgres;
        let postgres = database(POSTGRES_URL, &of.url)?;
        let gis = database("sources.postgis.url", &config.sources.postgis.url)?;
        self.has_journal = of.journal;
        self.referee = gis.or_else(|| postgres.clone());
        self.postgres = postgres.map(|database| {
            let kept = [
                (Table::Alerts, of.alerts_keep_days),
                (Table::Trips, of.trips_keep_days),
                (Table::Kpis, of.kpis_keep_days),
            ];
            let database = database.keeping_history_for_days(of.history_keep_days);
            let database = database.keeping_positions_for_days(of.positions_keep_days);
            kept.into_iter()
                .fold(database, |database, (table, days)| database.keeping_rows_for_days(table, days))
        });
        Ok(())
    }

    #[cfg(not(feature = "postgres"))]
    fn set_postgres(&mut self, config: &Config) -> anyhow::Result<()> {
        if config.sinks.postgres.url.is_none() {
            return Ok(());
        }
        Err(Usage(format!("{POSTGRES_URL} is set, and this watchtower was built without PostgreSQL")).into())
    }

    #[cfg(feature = "kafka")]
    fn add_kafka(&mut self, config: &Config) -> anyhow::Result<()> {
        let of = &config.sinks.kafka;
        let Some(topic_prefix) = of.topic_prefix.clone() else { return Ok(()) };
        let brokers = of.brokers.clone().unwrap_or_else(|| config.kafka.brokers.clone());
        let kafka = KafkaConfig {
            cluster: Cluster { brokers, properties: journal_of::properties(config)? },
            topic_prefix,
            partitions: of.partitions,
            replication_factor: of.replication_factor,
            min_insync_replicas: of.min_insync_replicas,
        };
        kafka.check().map_err(Usage)?;
        self.kafka = Some(kafka);
        Ok(())
    }

    #[cfg(not(feature = "kafka"))]
    fn add_kafka(&mut self, config: &Config) -> anyhow::Result<()> {
        if config.sinks.kafka.topic_prefix.is_none() {
            return Ok(());
        }
        let text = "sinks.kafka.topic_prefix: this program was built without Kafka (cargo feature kafka)";
        Err(Usage(text.to_owned()).into())
    }

    fn sinks(&self, store: &Store) -> anyhow::Result<Vec<Box<dyn LiveSink>>> {
        #[cfg_attr(not(any(feature = "postgres", feature = "kafka")), allow(unused_mut))]
        let mut sinks: Vec<Box<dyn LiveSink>> = Vec::new();
        #[cfg(feature = "postgres")]
        if let Some(config) = &self.postgres {
            tracing::info!(target = config.target(), "derived tables are kept in PostgreSQL");
            sinks.push(Box::new(PostgresSink::new(config.clone())?));
            if self.has_journal {
                let (log, changelog) = (Arc::new(store.log()), store.changelog());
                sinks.push(Box::new(JournalSink::new(config.clone(), log, changelog, sources::decode)?));
            }
        }
        #[cfg(feature = "kafka")]
        if let Some(config) = &self.kafka {
            tracing::info!(target = config.target(), "derived tables are kept in topics of Kafka");
            sinks.push(Box::new(KafkaSink::new(config.clone())?));
        }
        // Without a sink nobody reads.
        _ = store;
        Ok(sinks)
    }

    /// Starts a thread for each.
    pub fn start(&self, store: &Store) -> anyhow::Result<Vec<RunningSink>> {
        let start = |sink| {
            let log = store.log();
            let instant_of = move |tick| {
                let read = log.read(tick, tick).next().transpose()?;
                Ok(read.map(|tick| tick.instant_ms))
            };
            let source = LiveSource { changelog: store.changelog(), instant_of: Box::new(instant_of) };
            sinks::live::spawn(sink, source, BatchLimits::default())
        };
        self.sinks(store)?.into_iter().map(start).collect()
    }

    /// Compares what they hold with the changelog's rows, and says how many rows differ.
    pub fn compare(&self, store: &Store, most_printed: usize, out: &mut dyn Write) -> anyhow::Result<usize> {
        let mut differences = 0;
        for (name, comparison) in self.comparisons(&store.changelog())? {
            differences += print(name, &comparison, most_printed, out)?;
        }
        Ok(differences)
    }

    fn comparisons(&self, changelog: &Changelog) -> anyhow::Result<Vec<(&'static str, Comparison)>> {
        #[cfg_attr(not(any(feature = "postgres", feature = "kafka")), allow(unused_mut))]
        let mut comparisons = Vec::new();
        #[cfg(feature = "postgres")]
        if let Some(config) = &self.postgres {
            comparisons.push(("PostgreSQL", sinks::postgres::compare(config, changelog)?));
        }
        #[cfg(feature = "kafka")]
        if let Some(config) = &self.kafka {
            comparisons.push(("Kafka", sinks::kafka::compare(config, changelog)?));
        }
        // Without a sink there is nothing to hold against the folder.
        _ = changelog;
        Ok(comparisons)
    }
}

fn print(
    name: &str,
    comparison: &Comparison,
    most_printed: usize,
    out: &mut dyn Write,
) -> anyhow::Result<usize> {
    for difference in comparison.differences.iter().take(most_printed) {
        let table = difference.table.as_str();
        let shown = |row: &Option<String>| row.clone().unwrap_or_else(|| "no such row".to_owned());
        writeln!(out, "{table}, {name}: kept {}", shown(&difference.is))?;
        writeln!(out, "{table}, {name}: must be {}", shown(&difference.must_be))?;
    }
    let (differences, rows, tick) = (comparison.differences.len(), comparison.rows, comparison.as_of.tick);
    writeln!(out, "{differences} differences in {name}: {rows} rows compared as of its tick {tick}")?;
    Ok(differences)
}

/// Reads the URL of a database that a setting names.
pub fn url_of_database(setting: &str, secret: &Secret) -> anyhow::Result<String> {
    let url = secret.read().map_err(|error| Usage(format!("{setting}: {error}")))?;
    Ok(String::from_utf8(url).map_err(|_| Usage(format!("{setting} is not text")))?)
}

/// Warns of a password in the configuration itself.
pub fn warn_of_literal(setting: &str, secret: &Secret, url: &str) {
    if secret.is_literal() && has_password(url) {
        tracing::warn!("{setting} stands in the configuration with a password; env: or file: is safer");
    }
}

fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// Lets all take what is closed, and ends them.
pub fn stop(sinks: Vec<RunningSink>) {
    for sink in sinks {
        sink.stop(STOP_WITHIN);
    }
}
