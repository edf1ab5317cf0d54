//! Holds the tables against the changelog's rows, for `verify`.

use anyhow::{Context, bail};
use journal::Changelog;
use model::{Table, TimeMs};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use super::PostgresConfig;
use super::cells::{key_bytes, write_row};
use super::migrate::applied_version;
use super::retention::Removed;
use super::statements::{read_cells, select_sql};
use super::types::PgTime;
use super::waiting::Waiting;
use crate::live::{AsOf, Comparison, Rows, rows_at};

/// Compares each row of the database with the one that stood at the database's tick.
pub fn compare(config: &PostgresConfig, changelog: &Changelog) -> anyhow::Result<Comparison> {
    let waiting = Waiting::new(config.timeout)?;
    let (as_of, identity, present, removed) = waiting
        .until_done(read_all(config))
        .with_context(|| format!("the tables in PostgreSQL at {} could not be read", config.target()))?;
    if identity.as_deref().is_some_and(|identity| identity != changelog.identity()) {
        bail!("the tables in PostgreSQL at {} are of another journal", config.target());
    }
    let mut must_be =
        rows_at(changelog, as_of.tick, &format!("the tables in PostgreSQL at {}", config.target()))?;
    must_be.retain(|(table, _), json| !removed.has_json(*table, json));
    Ok(Comparison::of(as_of, present, must_be))
}

/// All rows of the database as of one moment.
async fn read_all(config: &PostgresConfig) -> anyhow::Result<(AsOf, Option<String>, Rows, Removed)> {
    let mut connection = PgConnection::connect_with(&config.options).await?;
    if applied_version(&mut connection).await? == 0 {
        return Ok((AsOf::default(), None, Rows::new(), Removed::default()));
    }
    let mut transaction = connection.begin().await?;
    let isolation = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
    sqlx::query(isolation).execute(&mut *transaction).await?;
    let at = sqlx::query("SELECT tick, instant, journal FROM watchtower.as_of");
    let at = at.fetch_one(&mut *transaction).await?;
    let (tick, PgTime(TimeMs(instant_ms))) = (at.try_get::<i64, _>(0)?.unsigned_abs(), at.try_get(1)?);
    let removed = Removed::of(&mut transaction).await?;
    let mut rows = Rows::new();
    for table in Table::ALL {
        let select = sqlx::query(AssertSqlSafe(select_sql(table)));
        for row in select.fetch_all(&mut *transaction).await? {
            let cells = read_cells(table, &row)?;
            let mut json = Vec::with_capacity(160);
            write_row(table, &cells, &mut json);
            // A row whose key is none of ours is told under its JSON.
            let key = key_bytes(table, &cells).unwrap_or_else(|| json.clone());
            rows.insert((table, key), json);
        }
    }
    Ok((AsOf { tick, instant_ms }, at.try_get(2)?, rows, removed))
}
