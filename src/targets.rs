//! The sinks that are configured: started with the service, compared by `verify`, migrated by `migrate`.

use std::io::Write;
use std::time::Duration;

use journal::{Log, Store};
use pipeline::config::{Config, Secret};
use sinks::live::{BatchLimits, LiveSink, LiveSource, RunningSink};
#[cfg(feature = "postgres")]
use sinks::postgres::{PostgresConfig, PostgresSink};

use crate::Usage;

/// How long a service that stops waits for its sinks; what they do not have by then, the next start gives them.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// A URL of a database, as errors name it.
const POSTGRES_URL: &str = "sinks.postgres.url";

/// Where rows go besides.
#[derive(Clone, Debug, Default)]
pub struct Targets {
    #[cfg(feature = "postgres")]
    pub postgres: Option<PostgresConfig>,
}

impl Targets {
    /// Refuses what can't be one, and reaches out to nobody.
    pub fn new(config: &Config) -> anyhow::Result<Targets> {
        let postgres = &config.sinks.postgres;
        let keep_days = postgres.history_keep_days;
        if !(0.0..=100_000.0).contains(&keep_days) {
            let why = format!("sinks.postgres.history_keep_days must be 0 to 100000, and is {keep_days}");
            return Err(Usage(why).into());
        }
        let Some(url) = &postgres.url else { return Ok(Targets::default()) };
        let url = url.read().map_err(|error| Usage(format!("{POSTGRES_URL}: {error}")))?;
        if postgres.url.as_ref().is_some_and(Secret::is_literal) && has_password(&url) {
            tracing::warn!(
                "{POSTGRES_URL} stands in the configuration with a password; env: or file: is safer"
            );
        }
        let url = String::from_utf8(url).map_err(|_| Usage(format!("{POSTGRES_URL} is not text")))?;
        Targets::of_postgres(&url, keep_days)
    }

    #[cfg(feature = "postgres")]
    fn of_postgres(url: &str, keep_days: f64) -> anyhow::Result<Targets> {
        let config = PostgresConfig::from_url(url);
        let config = config.map_err(|error| Usage(format!("{POSTGRES_URL}: {error:#}")))?;
        Ok(Targets { postgres: Some(config.keeping_history_for_days(keep_days)) })
    }

    #[cfg(not(feature = "postgres"))]
    fn of_postgres(_url: &str, _keep_days: f64) -> anyhow::Result<Targets> {
        Err(Usage(format!("{POSTGRES_URL} is set, and this watchtower was built without PostgreSQL")).into())
    }

    fn sinks(&self) -> anyhow::Result<Vec<Box<dyn LiveSink>>> {
        #[cfg(feature = "postgres")]
        if let Some(config) = &self.postgres {
            tracing::info!(target = config.target(), "derived tables are kept in PostgreSQL");
            return Ok(vec![Box::new(PostgresSink::new(config.clone())?)]);
        }
        Ok(Vec::new())
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
        self.sinks()?.into_iter().map(start).collect()
    }

    /// Compares what they hold with the changelog's rows, and says how many rows differ.
    pub fn compare(&self, store: &Store, most_printed: usize, out: &mut dyn Write) -> anyhow::Result<usize> {
        #[cfg(feature = "postgres")]
        if let Some(config) = &self.postgres {
            let comparison = sinks::postgres::compare(config, &store.changelog())?;
            for difference in comparison.differences.iter().take(most_printed) {
                let table = difference.table.as_str();
                let shown = |row: &Option<String>| row.clone().unwrap_or_else(|| "no such row".to_owned());
                writeln!(out, "{table}, PostgreSQL: kept {}", shown(&difference.is))?;
                writeln!(out, "{table}, PostgreSQL: must be {}", shown(&difference.must_be))?;
            }
            let (differences, rows) = (comparison.differences.len(), comparison.rows);
            let tick = comparison.as_of.tick;
            writeln!(
                out,
                "{differences} differences in PostgreSQL: {rows} rows compared as of its tick {tick}"
            )?;
            return Ok(differences);
        }
        // Without a sink there is nothing to hold against the folder.
        _ = (store, most_printed, out);
        Ok(0)
    }
}

fn has_password(url: &[u8]) -> bool {
    let text = String::from_utf8_lossy(url);
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// Lets all take what is closed, and ends them.
pub fn stop(sinks: Vec<RunningSink>) {
    for sink in sinks {
        sink.stop(STOP_WITHIN);
    }
}
