//! Where the database is.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use model::Table;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

const DAY_MS: i64 = 86_400_000;

/// Configuration of the sink.
#[derive(Clone)]
pub struct PostgresConfig {
    pub(crate) options: PgConnectOptions,
    /// How long a connection may take to be made, and a statement to be answered.
    pub(crate) timeout: Duration,
    /// How long corrected rows are kept, by the instant of their correction.
    pub(crate) history_keep_ms: i64,
    /// How long rows are kept after what they tell was over; those of tables that are not named, for ever.
    pub(crate) keep_ms: BTreeMap<Table, i64>,
    /// How long positions are kept, by their event times.
    pub(crate) positions_keep_ms: i64,
}

impl std::fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.target())
    }
}

impl PostgresConfig {
    /// From a URL such as `postgres://user:password@host:5432/database`. What is wrong with one is told without it.
    pub fn from_url(url: &str) -> anyhow::Result<PostgresConfig> {
        let is_ours = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
        anyhow::ensure!(is_ours, "it must begin with postgres:// or postgresql://");
        let options = PgConnectOptions::from_str(url).context("it is not a URL of a database")?;
        Ok(PostgresConfig::from_options(options))
    }

    /// From what a URL says.
    #[must_use]
    pub fn from_options(options: PgConnectOptions) -> PostgresConfig {
        // A transaction of ours whose connection died unheard must not hold its rows until the server's keepalive ends.
        let idle = [("idle_in_transaction_session_timeout", "150s")];
        let options = options.application_name("watchtower").options(idle).disable_statement_logging();
        PostgresConfig {
            options,
            timeout: Duration::from_secs(120),
            history_keep_ms: 90 * DAY_MS,
            keep_ms: BTreeMap::new(),
            positions_keep_ms: 30 * DAY_MS,
        }
    }

    /// With another time for which corrected rows are kept.
    #[must_use]
    pub fn keeping_history_for_days(mut self, days: f64) -> PostgresConfig {
        self.history_keep_ms = (days * DAY_MS as f64) as i64;
        self
    }

    /// With a time for which rows of a table are kept after what they tell was over; 0 keeps them for ever.
    #[must_use]
    pub fn keeping_rows_for_days(mut self, table: Table, days: u32) -> PostgresConfig {
        match days {
            0 => _ = self.keep_ms.remove(&table),
            _ => _ = self.keep_ms.insert(table, i64::from(days) * DAY_MS),
        }
        self
    }

    /// With another time for which positions are kept.
    #[must_use]
    pub fn keeping_positions_for_days(mut self, days: u32) -> PostgresConfig {
        self.positions_keep_ms = i64::from(days) * DAY_MS;
        self
    }

    /// Host, port and database, for the log.
    #[must_use]
    pub fn target(&self) -> String {
        let options = &self.options;
        let database = options.get_database().unwrap_or_else(|| options.get_username());
        format!("{}:{}/{database}", options.get_host(), options.get_port())
    }
}
