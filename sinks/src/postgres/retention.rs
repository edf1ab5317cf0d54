//! Takes rows out of the tables for their age.
//!
//! A row is as old as the time at which what it tells was over; one that goes on has no age. What is removed is told by
//! an instant a table, which is kept beside the rows and never goes back: a table has the rows that stand and that were
//! not over before it. So it stays a function of the changelog, and can be compared.

use std::collections::BTreeMap;

use anyhow::Context;
use model::{Table, TimeMs};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::PostgresConfig;
use super::cells::{Cell, read_row};
use super::changes::TableWork;
use super::migrate::{applied_version, newest_version};
use super::tables::columns;
use super::types::PgTime;
use super::waiting::Waiting;

/// How many rows of a table one batch removes at most.
const ROWS_A_PURGE: i64 = 20_000;
/// Phases in which a trip is over.
const OVER: [&str; 3] = ["done", "cancelled", "failed"];
/// Spans of which each row is kept.
const CALENDAR: [&str; 2] = ["day", "week"];

/// Up to when rows are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Removed(BTreeMap<Table, TimeMs>);

impl Removed {
    /// What the database says of itself; nothing, where its schema is older.
    pub async fn of(connection: &mut PgConnection) -> sqlx::Result<Removed> {
        let is_there = sqlx::query_scalar("SELECT to_regclass('watchtower.retention') IS NOT NULL");
        if !is_there.fetch_one(&mut *connection).await? {
            return Ok(Removed::default());
        }
        let sql = "SELECT table_name, removed_before FROM watchtower.retention";
        let kept: Vec<(String, PgTime)> = sqlx::query_as(sql).fetch_all(connection).await?;
        let of_name = |name: &str| Table::ALL.into_iter().find(|table| table.as_str() == name);
        Ok(Removed(kept.into_iter().filter_map(|(name, before)| Some((of_name(&name)?, before.0))).collect()))
    }

    /// Nothing is removed any more.
    pub async fn forget(connection: &mut PgConnection) -> sqlx::Result<()> {
        sqlx::query("DELETE FROM watchtower.retention").execute(connection).await.map(drop)
    }

    /// Whether a row is not to be in its table.
    pub fn has(&self, table: Table, cells: &[Cell<'_>]) -> bool {
        let before = self.0.get(&table);
        before.is_some_and(|before| over_at(table, cells).is_some_and(|over| over < *before))
    }

    /// The same of a row as JSON.
    pub fn has_json(&self, table: Table, json: &[u8]) -> bool {
        self.0.contains_key(&table) && read_row(table, json).is_ok_and(|cells| self.has(table, &cells))
    }

    /// Rows that are not to be there go, whatever they were before.
    pub fn keep_out(&self, work: &mut TableWork<'_>) {
        if self.0.contains_key(&work.table) {
            let table = work.table;
            work.deletes.extend(work.upserts.extract_if(.., |row| self.has(table, &row.cells)));
        }
    }

    /// Removes what is too old by now, some of each table, and says whether more is left.
    pub async fn purge(
        &mut self,
        connection: &mut PgConnection,
        config: &PostgresConfig,
        now: TimeMs,
    ) -> sqlx::Result<bool> {
        let mut is_more = false;
        for (table, over) in OVER_SQL {
            let Some(keep_ms) = config.keep_ms.get(&table) else { continue };
            let wanted = TimeMs(now.0.saturating_sub(*keep_ms));
            let before = match self.nth_oldest(connection, table, over, wanted).await? {
                Some(before) => {
                    is_more = true;
                    before
                }
                None => wanted,
            };
            if self.0.get(&table).is_some_and(|removed| *removed >= before) {
                continue;
            }
            let name = table.as_str();
            let sql = format!("DELETE FROM watchtower.{name} WHERE {over} < $1");
            sqlx::query(AssertSqlSafe(sql)).bind(PgTime(before)).execute(&mut *connection).await?;
            let sql = "INSERT INTO watchtower.retention VALUES ($1, $2) \
                       ON CONFLICT (table_name) DO UPDATE SET removed_before = excluded.removed_before";
            sqlx::query(sql).bind(name).bind(PgTime(before)).execute(&mut *connection).await?;
            self.0.insert(table, before);
        }
        Ok(is_more)
    }

    /// Until when there are as many rows as one batch removes; `None` where all are fewer.
    async fn nth_oldest(
        &self,
        connection: &mut PgConnection,
        table: Table,
        over: &str,
        wanted: TimeMs,
    ) -> sqlx::Result<Option<TimeMs>> {
        let name = table.as_str();
        let sql =
            format!("SELECT {over} FROM watchtower.{name} WHERE {over} < $1 ORDER BY 1 OFFSET $2 LIMIT 1");
        let nth = sqlx::query_scalar(AssertSqlSafe(sql)).bind(PgTime(wanted)).bind(ROWS_A_PURGE);
        let nth: Option<PgTime> = nth.fetch_optional(connection).await?;
        // Rows that were over at the same time go together.
        Ok(nth.map(|PgTime(nth)| TimeMs(nth.0 + 1).min(wanted)).filter(|before| *before < wanted))
    }
}

/// Rows of a table that are old enough to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OldRows {
    /// The table.
    pub table: &'static str,
    /// Whatever was over before it goes.
    pub before: TimeMs,
    /// How many are still there.
    pub rows: u64,
}

/// Counts what is old enough to go by now, the instant of the database's tick, and removes nothing.
pub fn old_rows(config: &PostgresConfig) -> anyhow::Result<(TimeMs, Vec<OldRows>)> {
    let counted = Waiting::new(config.timeout)?.until_done(count_old(config));
    counted.with_context(|| format!("the tables in PostgreSQL at {} could not be read", config.target()))
}

async fn count_old(config: &PostgresConfig) -> anyhow::Result<(TimeMs, Vec<OldRows>)> {
    let mut connection = PgConnection::connect_with(&config.options).await?;
    anyhow::ensure!(
        applied_version(&mut connection).await? == newest_version(),
        "its schema is of another release"
    );
    let now = sqlx::query_scalar("SELECT instant FROM watchtower.as_of").fetch_one(&mut connection).await?;
    let PgTime(now) = now;
    let of_tables = OVER_SQL
        .iter()
        .filter_map(|(table, over)| Some((table.as_str(), *over, *config.keep_ms.get(table)?)));
    let besides = [
        ("positions", "event_time", config.positions_keep_ms),
        ("history", "replaced_at", config.history_keep_ms),
    ];
    let mut old = Vec::new();
    for (table, over, keep_ms) in of_tables.chain(besides) {
        let before = TimeMs(now.0.saturating_sub(keep_ms));
        let sql = format!("SELECT count(*) FROM watchtower.{table} WHERE {over} < $1");
        let count = sqlx::query_scalar(AssertSqlSafe(sql)).bind(PgTime(before));
        let rows: i64 = count.fetch_one(&mut connection).await?;
        old.push(OldRows { table, before, rows: rows.unsigned_abs() });
    }
    Ok((now, old))
}

/// When what a row tells was over, in SQL: as [`over_at`].
const OVER_SQL: [(Table, &str); 3] = [
    (Table::Alerts, "ended"),
    (
        Table::Trips,
        "CASE WHEN phase IN ('done', 'cancelled', 'failed') \
         THEN greatest(pickup_arrival, actual_departure, arrival, offload) END",
    ),
    (Table::Kpis, "CASE WHEN span IN ('day', 'week') THEN start END"),
];

/// When what a row tells was over; `None` where it goes on, or has no time.
fn over_at(table: Table, cells: &[Cell<'_>]) -> Option<TimeMs> {
    let cell = |field: &str| {
        let at = columns(table).iter().position(|column| column.field == field)?;
        cells.get(at)
    };
    let is_one_of = |field: &str, texts: &[&str]| {
        cell(field).and_then(Cell::as_text).is_some_and(|text| texts.contains(&text))
    };
    let time = |field: &str| cell(field).and_then(Cell::as_time);
    match table {
        Table::Alerts => time("ended"),
        Table::Trips if is_one_of("phase", &OVER) => {
            ["pickup_arrival", "actual_departure", "arrival", "offload"].into_iter().filter_map(time).max()
        }
        Table::Kpis if is_one_of("span", &CALENDAR) => time("start"),
        _ => None,
    }
}
