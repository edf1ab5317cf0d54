//! Derived tables in PostgreSQL: rows and cursor in one transaction, so that whoever reads `watchtower.as_of` and
//! any tables in one REPEATABLE READ transaction sees one tick.
//!
//! ```text
//!   batch -> changes: net effect by key -> statements: one array a column -> one transaction with as_of
//!                                            | a row is refused for what it holds
//!                                            `-> again with care: halves of halves, until the row is alone
//!                                                among the dead letters and all else is written
//! ```
//!
//! 1. `as_of.epoch` is the newest start's. A batch of an older one finds another epoch, and that sink stops for good.
//! 2. What is written is a function of the changelog and does not depend on how ticks were batched; only rows that a
//!    comparison wrote (cause `resync`) have the tick of the comparison.

mod cells;
mod changes;
mod compare;
mod config;
mod journal;
mod migrate;
pub mod referee;
mod resync;
mod retention;
mod sink;
mod statements;
mod tables;
mod types;
mod waiting;
mod writer;

pub use compare::compare;
pub use config::PostgresConfig;
pub use journal::{Decode, JournalSink};
pub use migrate::{MigrationStatus, NewerSchema, newest_version};
pub use retention::{OldRows, old_rows};
pub use sink::PostgresSink;
pub use types::PgTime;

/// Looks at the schema, or changes it, for a command.
pub mod schema {
    use sqlx::Connection;
    use sqlx::postgres::PgConnection;

    use super::migrate::{self, MigrationStatus};
    use super::waiting::Waiting;
    use super::{PostgresConfig, newest_version};

    /// Which migrations the database has.
    pub fn status(config: &PostgresConfig) -> anyhow::Result<Vec<MigrationStatus>> {
        Waiting::new(config.timeout)?.until_done(async {
            let mut connection = PgConnection::connect_with(&config.options).await?;
            migrate::status(&mut connection).await
        })
    }

    /// Brings the schema to a version, the newest one if none is named, and gives the names of what was run.
    pub fn migrate_to(config: &PostgresConfig, version: Option<u32>) -> anyhow::Result<Vec<&'static str>> {
        Waiting::new(config.timeout)?.until_done(async {
            let mut connection = PgConnection::connect_with(&config.options).await?;
            migrate::migrate_to(&mut connection, version.unwrap_or(newest_version())).await
        })
    }
}
