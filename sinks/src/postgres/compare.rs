//! Holds the tables against the changelog's rows, for `verify`.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use journal::{Changelog, Cursor};
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
use crate::live::AsOf;

/// Changes are read this many at a time.
const CHANGES_A_READ: usize = 10_000;

/// A row of the database that is not the changelog's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowDifference {
    /// Which table.
    pub table: Table,
    /// What the database has, as JSON.
    pub is: Option<String>,
    /// What it must have.
    pub must_be: Option<String>,
}

/// What a comparison found.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// What the database's rows are exact for.
    pub as_of: AsOf,
    /// Rows that must be there.
    pub rows: u64,
    /// What differs.
    pub differences: Vec<RowDifference>,
}

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// Compares each row of the database with the one that stood at the database's tick.
pub fn compare(config: &PostgresConfig, changelog: &Changelog) -> anyhow::Result<Comparison> {
    let waiting = Waiting::new(config.timeout)?;
    let (as_of, identity, present, removed) = waiting
        .until_done(read_all(config))
        .with_context(|| format!("the tables in PostgreSQL at {} could not be read", config.target()))?;
    if identity.as_deref().is_some_and(|identity| identity != changelog.identity()) {
        bail!("the tables in PostgreSQL at {} are of another journal", config.target());
    }
    let mut must_be = rows_at(changelog, as_of.tick)?;
    must_be.retain(|(table, _), json| !removed.has_json(*table, json));
    let mut comparison = Comparison { as_of, rows: must_be.len() as u64, differences: Vec::new() };
    let text = |json: Vec<u8>| String::from_utf8_lossy(&json).into_owned();
    for ((table, key), is) in present {
        let wanted = must_be.remove(&(table, key));
        if wanted.as_ref() != Some(&is) {
            let difference = RowDifference { table, is: Some(text(is)), must_be: wanted.map(text) };
            comparison.differences.push(difference);
        }
    }
    let missing = must_be.into_iter().map(|((table, _), json)| RowDifference {
        table,
        is: None,
        must_be: Some(text(json)),
    });
    comparison.differences.extend(missing);
    Ok(comparison)
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

/// The rows that stood after a tick: those that stand now, and what later ticks changed undone.
fn rows_at(changelog: &Changelog, tick: u64) -> anyhow::Result<Rows> {
    let kept = changelog.rows();
    let last = kept.last_tick().map_or(0, |(last, _)| last);
    if last < tick {
        bail!(
            "the tables in PostgreSQL are at tick {tick}, the changelog at {last}; wait for the service to catch up"
        );
    }
    let mut rows = Rows::new();
    for table in Table::ALL {
        for row in kept.iter(table.code()) {
            let (key, json) = row?;
            rows.insert((table, key), json);
        }
    }
    // Of each key the first later change tells what stood before it.
    let mut before: BTreeMap<(Table, Vec<u8>), Option<Vec<u8>>> = BTreeMap::new();
    let mut cursor = Cursor { tick, index: u32::MAX };
    loop {
        let changes = changelog.after(cursor, CHANGES_A_READ)?;
        let Some(newest) = changes.last().map(|change| change.cursor) else { break };
        cursor = newest;
        for stored in changes.into_iter().filter(|stored| stored.cursor.tick <= last) {
            let change = stored.change;
            let Some(table) = Table::from_code(change.table) else { continue };
            before.entry((table, change.key)).or_insert((change.diff < 0).then_some(change.row));
        }
    }
    for (key, row) in before {
        match row {
            Some(row) => rows.insert(key, row),
            None => rows.remove(&key),
        };
    }
    Ok(rows)
}
