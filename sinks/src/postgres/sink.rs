//! The sink: a connection, an epoch, and batches in transactions.

use anyhow::anyhow;
use journal::RowsSnapshot;
use model::TimeMs;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use super::changes::net_effect;
use super::migrate::{NewerSchema, migrate_up};
use super::retention::Removed;
use super::types::PgTime;
use super::waiting::{Failed, Waiting};
use super::writer::Writer;
use super::{PostgresConfig, resync};
use crate::live::{AsOf, Batch, LiveSink, Position, SinkError, Written};

/// How far the instant moves between two looks for what is old enough to go.
const PURGE_EVERY_MS: i64 = 3_600_000;
/// How much of it one batch removes at most.
const PURGE_ROWS: i64 = 20_000;

/// Another start writes to the database.
#[derive(Debug, thiserror::Error)]
#[error(
    "another start of watchtower writes to {target} (epoch {theirs}, this one has {ours}); stop one of the two, and \
     start the other one anew"
)]
struct Fenced {
    target: String,
    ours: i64,
    theirs: i64,
}

/// Keeps derived tables in a database; see the module.
pub struct PostgresSink {
    config: PostgresConfig,
    /// Dropped before the runtime that it belongs to.
    connection: Option<PgConnection>,
    waiting: Waiting,
    /// Taken with the first connection.
    epoch: Option<i64>,
    /// Where the database was found, or was brought since.
    at: Position,
    has_dead_letters: bool,
    /// Rows that are not in their tables for their age.
    removed: Removed,
    next_purge_ms: i64,
}

impl PostgresSink {
    /// A sink that is not connected yet.
    pub fn new(config: PostgresConfig) -> anyhow::Result<PostgresSink> {
        let waiting = Waiting::new(config.timeout)?;
        Ok(PostgresSink {
            config,
            connection: None,
            waiting,
            epoch: None,
            at: Position::default(),
            has_dead_letters: false,
            removed: Removed::default(),
            next_purge_ms: i64::MIN,
        })
    }

    fn connect(&mut self) -> Result<Position, Failed> {
        self.connection = None;
        let mut connection = self.waiting.until(PgConnection::connect_with(&self.config.options))?;
        let ran = self.waiting.until_done(migrate_up(&mut connection)).map_err(of_migration)?;
        for name in ran {
            tracing::info!(sink = "postgres", name, "migrated the database");
        }
        let position = self.claim(&mut connection)?;
        self.at = position.clone();
        let letters = sqlx::query_scalar("SELECT EXISTS (SELECT FROM watchtower.dead_letters)");
        self.has_dead_letters = self.waiting.until(letters.fetch_one(&mut connection))?;
        self.removed = self.waiting.until(Removed::of(&mut connection))?;
        self.connection = Some(connection);
        Ok(position)
    }

    /// Reads the cursor; the first time it makes this start the one that may write.
    fn claim(&mut self, connection: &mut PgConnection) -> Result<Position, Failed> {
        let epoch = sqlx::query_scalar("SELECT epoch FROM watchtower.as_of");
        let epoch: i64 = self.waiting.until(epoch.fetch_one(&mut *connection))?;
        if let Some(ours) = self.epoch.filter(|ours| *ours < epoch) {
            return Err(self.fenced(ours, epoch));
        }
        // An epoch below ours is one of tables that were made anew, or of a backup: they are ours as well.
        if self.epoch != Some(epoch) {
            let sql = "UPDATE watchtower.as_of SET epoch = $1 WHERE epoch = $2 RETURNING epoch";
            let claim = sqlx::query_scalar(sql).bind(self.epoch.unwrap_or(0).max(epoch) + 1).bind(epoch);
            // Where another start was faster there is no such row, and the next try sees its epoch.
            self.epoch = Some(self.waiting.until(claim.fetch_one(&mut *connection))?);
        }
        let position = sqlx::query("SELECT tick, instant, journal FROM watchtower.as_of");
        let row = self.waiting.until(position.fetch_one(connection))?;
        let (tick, PgTime(TimeMs(instant_ms))) = (row.try_get::<i64, _>(0)?, row.try_get(1)?);
        Ok(Position { identity: row.try_get(2)?, as_of: AsOf { tick: tick.unsigned_abs(), instant_ms } })
    }

    fn fenced(&self, ours: i64, theirs: i64) -> Failed {
        let fenced = Fenced { target: self.config.target(), ours, theirs };
        // Tables that were made anew are claimed with the next connection.
        Failed::Sink(if theirs > ours {
            SinkError::Stopped(fenced.into())
        } else {
            SinkError::Away(fenced.into())
        })
    }

    /// Moves the cursor and writes, in one transaction.
    fn transact(
        &mut self,
        identity: &str,
        as_of: AsOf,
        is_careful: bool,
        write: impl FnOnce(&Waiting, &mut Writer<'_>) -> Result<(), Failed>,
    ) -> Result<Written, Failed> {
        let (Some(mut connection), Some(epoch)) = (self.connection.take(), self.epoch) else {
            return Err(Failed::Sink(SinkError::Away(anyhow!("it is not connected"))));
        };
        let waiting = &self.waiting;
        let mut transaction = waiting.until(connection.begin())?;
        // Whoever has a newer epoch has locked this row, or has changed it; and so may a transaction of our own whose
        // end was not heard of: what it wrote is not to be written again.
        let sql = "UPDATE watchtower.as_of SET tick = $1, instant = $2, journal = $3 \
                   WHERE epoch = $4 AND tick = $5 AND journal IS NOT DISTINCT FROM $6";
        let move_cursor = sqlx::query(sql)
            .bind(as_of.tick.cast_signed())
            .bind(PgTime(TimeMs(as_of.instant_ms)))
            .bind(identity)
            .bind(epoch)
            .bind(self.at.as_of.tick.cast_signed())
            .bind(self.at.identity.as_deref());
        if waiting.until(move_cursor.execute(&mut *transaction))?.rows_affected() != 1 {
            let theirs = sqlx::query_scalar("SELECT epoch FROM watchtower.as_of");
            let theirs = waiting.until(theirs.fetch_one(&mut *transaction))?;
            if theirs == epoch {
                let why = anyhow!("what was written before the connection was lost is there by now");
                return Err(Failed::Sink(SinkError::Away(why)));
            }
            return Err(self.fenced(epoch, theirs));
        }
        let mut writer = Writer::new(&mut transaction, is_careful, self.has_dead_letters);
        let written = match write(waiting, &mut writer) {
            Ok(()) => writer.written,
            Err(error) => {
                if matches!(error, Failed::Data(_)) {
                    // The connection is as good as before.
                    waiting.until(transaction.rollback())?;
                    self.connection = Some(connection);
                }
                return Err(error);
            }
        };
        waiting.until(transaction.commit())?;
        self.at = Position { identity: Some(identity.to_owned()), as_of };
        self.has_dead_letters |= written.dead_letters > 0;
        self.connection = Some(connection);
        Ok(written)
    }

    /// Removes some of what is too old, in a transaction of its own, and says whether more is left.
    fn purge(&mut self, now: TimeMs) -> Result<bool, SinkError> {
        let (Some(mut connection), Some(epoch)) = (self.connection.take(), self.epoch) else {
            return Ok(false);
        };
        let mut removed = self.removed.clone();
        let config = &self.config;
        let is_more = self.waiting.until(async {
            let mut transaction = connection.begin().await?;
            sqlx::query("SET LOCAL statement_timeout = '30s'").execute(&mut *transaction).await?;
            let sql = "SELECT epoch FROM watchtower.as_of WHERE epoch = $1 FOR UPDATE";
            // Where another start writes by now, the next batch says so.
            if sqlx::query(sql).bind(epoch).fetch_optional(&mut *transaction).await?.is_none() {
                return Ok(false);
            }
            let is_of_rows = removed.purge(&mut transaction, config, now).await?;
            let replaced_before = TimeMs(now.0.saturating_sub(config.history_keep_ms));
            let purged = purge_history(&mut transaction, replaced_before).await?;
            transaction.commit().await?;
            Ok(is_of_rows || purged == PURGE_ROWS.unsigned_abs())
        });
        // After a failure the connection is made anew, and says what is removed.
        let is_more = is_more.map_err(Failed::into_sink_error)?;
        self.removed = removed;
        self.connection = Some(connection);
        Ok(is_more)
    }

    /// Runs a transaction, and once more with care where a row of it is refused.
    fn transact_around_poison(
        &mut self,
        identity: &str,
        as_of: AsOf,
        mut write: impl FnMut(&Waiting, &mut Writer<'_>) -> Result<(), Failed>,
    ) -> Result<Written, SinkError> {
        let first = match self.transact(identity, as_of, false, &mut write) {
            Err(Failed::Data(_)) => self.transact(identity, as_of, true, write),
            other => other,
        };
        first.map_err(Failed::into_sink_error)
    }
}

fn of_migration(error: anyhow::Error) -> Failed {
    let error = error.context("the database's schema could not be brought up to date");
    Failed::Sink(if error.is::<NewerSchema>() { SinkError::Stopped(error) } else { SinkError::Away(error) })
}

impl LiveSink for PostgresSink {
    fn name(&self) -> &'static str {
        "postgres"
    }

    fn position(&mut self) -> Result<Position, SinkError> {
        self.connect().map_err(Failed::into_sink_error)
    }

    fn apply(&mut self, batch: &Batch) -> Result<Written, SinkError> {
        let instant_ms = batch.to.instant_ms;
        let removed = self.removed.clone();
        let written = self.transact_around_poison(batch.identity(), batch.to, |waiting, writer| {
            batch.for_each_chunk(|changes| {
                let mut work = net_effect(changes);
                work.tables.iter_mut().for_each(|table| removed.keep_out(table));
                waiting.until(writer.write(&work))
            })
        })?;
        if instant_ms >= self.next_purge_ms {
            let is_more = self.purge(TimeMs(instant_ms)).unwrap_or_else(|error| {
                // Rows that stay too long harm nobody; the batch is there.
                tracing::warn!(sink = "postgres", %error, "old rows were not removed; it is tried again later");
                false
            });
            if !is_more {
                self.next_purge_ms = instant_ms.saturating_add(PURGE_EVERY_MS);
            }
        }
        Ok(written)
    }

    fn resync(&mut self, identity: &str, rows: &RowsSnapshot) -> Result<Written, SinkError> {
        let (tick, instant_ms) = rows.last_tick().unwrap_or_default();
        let as_of = AsOf { tick, instant_ms };
        let is_other = self.at.identity.as_deref() != Some(identity);
        let removed = if is_other { Removed::default() } else { self.removed.clone() };
        let written = self.transact_around_poison(identity, as_of, |waiting, writer| {
            if is_other {
                // That was another journal's past.
                waiting.until(Removed::forget(writer.connection()))?;
            }
            resync::run(waiting, writer, rows, &removed)
        })?;
        self.removed = removed;
        Ok(written)
    }
}

/// Removes history that is old enough.
async fn purge_history(connection: &mut PgConnection, before: TimeMs) -> sqlx::Result<u64> {
    let sql = "DELETE FROM watchtower.history WHERE id IN \
               (SELECT id FROM watchtower.history WHERE replaced_at < $1 ORDER BY replaced_at LIMIT $2)";
    let query = sqlx::query(sql).bind(PgTime(before)).bind(PURGE_ROWS);
    Ok(query.execute(connection).await?.rows_affected())
}
