//! The sink: reads the journal up to the tick that the changelog is at, and writes piece by piece.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use anyhow::anyhow;
use journal::{Log, RowsSnapshot, Tick};
use model::{RecordSink, Table, TimeMs};
use serde::Deserialize;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use super::edits;
use super::records::{Gathered, PositionRow};
use crate::live::{AsOf, Batch, LiveSink, Position, SinkError, Written};
use crate::postgres::PostgresConfig;
use crate::postgres::migrate::{NewerSchema, migrate_up};
use crate::postgres::types::PgTime;
use crate::postgres::waiting::{Failed, Waiting};

const DAY_MS: i64 = 86_400_000;
/// A transaction ends with the tick in which it has so many positions, or edits.
const POSITIONS_A_TRANSACTION: usize = 10_000;
/// Flags are renewed so many at a time.
const ROWS_A_CHUNK: usize = 10_000;
/// How far ahead of its arrival a position's time may be.
const MAX_AHEAD_MS: i64 = DAY_MS;

/// Gives the records of a journal entry: its source, its context and its payload.
pub type Decode = fn(u8, &str, &[u8], &mut dyn RecordSink);

/// Keeps fences, master data and positions in a database; see the module.
pub struct JournalSink {
    config: PostgresConfig,
    log: Arc<dyn Log>,
    changelog: journal::Changelog,
    decode: Decode,
    /// Dropped before the runtime that it belongs to.
    connection: Option<PgConnection>,
    waiting: Waiting,
    /// Taken with the first connection.
    epoch: Option<i64>,
    /// Where the database was found, or was brought since.
    at: Position,
    records: u64,
    /// Days whose partitions are there.
    days: HashSet<i64>,
}

impl JournalSink {
    /// A sink that is not connected yet.
    pub fn new(
        config: PostgresConfig,
        log: Arc<dyn Log>,
        changelog: journal::Changelog,
        decode: Decode,
    ) -> anyhow::Result<JournalSink> {
        let waiting = Waiting::new(config.timeout)?;
        Ok(JournalSink {
            config,
            log,
            changelog,
            decode,
            connection: None,
            waiting,
            epoch: None,
            at: Position::default(),
            records: 0,
            days: HashSet::new(),
        })
    }

    fn connect(&mut self) -> Result<Position, Failed> {
        self.connection = None;
        self.days.clear();
        let mut connection = self.waiting.until(PgConnection::connect_with(&self.config.options))?;
        self.waiting.until_done(migrate_up(&mut connection)).map_err(|error| {
            let error = error.context("the database's schema could not be brought up to date");
            Failed::Sink(if error.is::<NewerSchema>() {
                SinkError::Stopped(error)
            } else {
                SinkError::Away(error)
            })
        })?;
        let epoch = sqlx::query_scalar("SELECT epoch FROM watchtower.journal_as_of");
        let epoch: i64 = self.waiting.until(epoch.fetch_one(&mut connection))?;
        if let Some(ours) = self.epoch.filter(|ours| *ours < epoch) {
            return Err(self.fenced(ours, epoch));
        }
        if self.epoch != Some(epoch) {
            let sql = "UPDATE watchtower.journal_as_of SET epoch = $1 WHERE epoch = $2 RETURNING epoch";
            let claim = sqlx::query_scalar(sql).bind(self.epoch.unwrap_or(0).max(epoch) + 1).bind(epoch);
            self.epoch = Some(self.waiting.until(claim.fetch_one(&mut connection))?);
        }
        let sql = "SELECT tick, instant, journal, records FROM watchtower.journal_as_of";
        let row = self.waiting.until(sqlx::query(sql).fetch_one(&mut connection))?;
        let (tick, PgTime(TimeMs(instant_ms))) = (row.try_get::<i64, _>(0)?, row.try_get(1)?);
        self.records = row.try_get::<i64, _>(3)?.unsigned_abs();
        let as_of = AsOf { tick: tick.unsigned_abs(), instant_ms };
        self.at = Position { identity: row.try_get(2)?, as_of };
        self.connection = Some(connection);
        Ok(self.at.clone())
    }

    fn fenced(&self, ours: i64, theirs: i64) -> Failed {
        let target = self.config.target();
        let why = anyhow!(
            "another start of watchtower writes to {target} (epoch {theirs}, this one has {ours}); stop one of the two"
        );
        Failed::Sink(if theirs > ours { SinkError::Stopped(why) } else { SinkError::Away(why) })
    }

    /// Writes all ticks up to one, in as many transactions as it takes.
    fn catch_up(&mut self, identity: &str, to: AsOf) -> Result<Written, Failed> {
        let mut written = Written::default();
        // As of the end: of a long journal no days are written that go again.
        let oldest_ms = to.instant_ms.saturating_sub(self.config.positions_keep_ms);
        let mut gathered = Gathered { records: self.records, ..Gathered::default() };
        for tick in self.log.read(self.at.as_of.tick + 1, to.tick) {
            let tick = tick?;
            self.gather(&tick, &mut gathered);
            let size = gathered.positions.len().max(gathered.edits.len());
            if size >= POSITIONS_A_TRANSACTION && tick.number < to.tick {
                let as_of = AsOf { tick: tick.number, instant_ms: tick.instant_ms };
                written += self.transact(identity, as_of, &gathered, (&self.changelog.rows(), oldest_ms))?;
                gathered = Gathered { records: self.records, ..Gathered::default() };
            }
        }
        written += self.transact(identity, to, &gathered, (&self.changelog.rows(), oldest_ms))?;
        Ok(written)
    }

    fn gather(&self, tick: &Tick, gathered: &mut Gathered) {
        gathered.tick = tick.number;
        for entry in &tick.entries {
            gathered.received = TimeMs(entry.received_ms);
            (self.decode)(entry.source, &entry.context, &entry.payload, gathered);
        }
    }

    /// Moves the cursor and writes, in one transaction.
    fn transact(
        &mut self,
        identity: &str,
        as_of: AsOf,
        gathered: &Gathered,
        (rejects, oldest_ms): (&RowsSnapshot, i64),
    ) -> Result<Written, Failed> {
        let (Some(mut connection), Some(epoch)) = (self.connection.take(), self.epoch) else {
            return Err(Failed::Sink(SinkError::Away(anyhow!("it is not connected"))));
        };
        let waiting = &self.waiting;
        let mut transaction = waiting.until(connection.begin())?;
        let sql = "UPDATE watchtower.journal_as_of SET tick = $1, instant = $2, journal = $3, records = $4 \
                   WHERE epoch = $5 AND tick = $6 AND journal IS NOT DISTINCT FROM $7";
        let move_cursor = sqlx::query(sql)
            .bind(as_of.tick.cast_signed())
            .bind(PgTime(TimeMs(as_of.instant_ms)))
            .bind(identity)
            .bind(gathered.records.cast_signed())
            .bind(epoch)
            .bind(self.at.as_of.tick.cast_signed())
            .bind(self.at.identity.as_deref());
        if waiting.until(move_cursor.execute(&mut *transaction))?.rows_affected() != 1 {
            let theirs = sqlx::query_scalar("SELECT epoch FROM watchtower.journal_as_of");
            let theirs: i64 = waiting.until(theirs.fetch_one(&mut *transaction))?;
            if theirs == epoch {
                let why = anyhow!("what was written before the connection was lost is there by now");
                return Err(Failed::Sink(SinkError::Away(why)));
            }
            return Err(self.fenced(epoch, theirs));
        }
        let mut written = Written::default();
        for (tick, edit) in &gathered.edits {
            waiting.until(sqlx::query("SAVEPOINT edit").execute(&mut *transaction))?;
            match waiting.until(edits::write(&mut transaction, *tick, edit)) {
                Ok(()) => {
                    waiting.until(sqlx::query("RELEASE SAVEPOINT edit").execute(&mut *transaction))?;
                    written.rows += 1;
                }
                Err(error) => {
                    let error = error.of_geometry()?;
                    waiting.until(sqlx::query("ROLLBACK TO SAVEPOINT edit").execute(&mut *transaction))?;
                    tracing::warn!(tick, error, "PostgreSQL refused an edit of a fence or of master data");
                    written.dead_letters += 1;
                }
            }
        }
        let is_kept = |row: &&PositionRow| {
            let time = row.position.event_time.0;
            time >= oldest_ms && time <= row.received.0.saturating_add(MAX_AHEAD_MS)
        };
        let rows: Vec<&PositionRow> = gathered.positions.iter().filter(is_kept).collect();
        let mut days: Vec<i64> = rows.iter().map(|row| day_of(row.position.event_time)).collect();
        days.sort_unstable();
        days.dedup();
        for day in &days {
            if !self.days.contains(day) {
                waiting.until(make_partition(&mut transaction, *day))?;
            }
        }
        written.rows += waiting.until(add_positions(&mut transaction, &rows, &flags(&rows, rejects)?))?;
        if day_of(TimeMs(as_of.instant_ms)) != day_of(TimeMs(self.at.as_of.instant_ms)) {
            for name in waiting.until(drop_partitions(&mut transaction, day_of(TimeMs(oldest_ms))))? {
                tracing::info!(name, "a day of positions is not kept any more");
            }
            self.days.retain(|day| *day >= day_of(TimeMs(oldest_ms)));
        }
        waiting.until(transaction.commit())?;
        self.days.extend(days);
        self.at = Position { identity: Some(identity.to_owned()), as_of };
        self.records = gathered.records;
        self.connection = Some(connection);
        Ok(written)
    }

    /// Says of positions that are there already why they are not used, or that they are.
    fn set_flags<'a>(&mut self, flags: impl Iterator<Item = (&'a Reject, bool)>) -> Result<(), Failed> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let flag = |(reject, stands): (&'a Reject, bool)| {
            let vehicle_id = reject.vehicle_id.as_deref().filter(|vehicle_id| !vehicle_id.contains('\0'))?;
            let reason = stands.then_some(reject.reason.as_str());
            Some((vehicle_id, PgTime(reject.time()?), reject.seq.cast_signed(), reason))
        };
        let flags: Vec<_> = flags.filter_map(flag).collect();
        if flags.is_empty() {
            return Ok(());
        }
        let sql = "UPDATE watchtower.positions AS p SET flag = f.flag \
                   FROM unnest($1::text[], $2::timestamptz[], $3::bigint[], $4::text[]) \
                   AS f (vehicle_id, event_time, seq, flag) WHERE p.vehicle_id = f.vehicle_id \
                   AND p.event_time = f.event_time AND p.seq = f.seq AND p.flag IS DISTINCT FROM f.flag";
        let update = sqlx::query(sql)
            .bind(flags.iter().map(|flag| flag.0).collect::<Vec<&str>>())
            .bind(flags.iter().map(|flag| flag.1).collect::<Vec<_>>())
            .bind(flags.iter().map(|flag| flag.2).collect::<Vec<i64>>())
            .bind(flags.iter().map(|flag| flag.3).collect::<Vec<Option<&str>>>());
        self.waiting.until(update.execute(&mut *connection)).map(drop)
    }

    /// What a batch says of positions that are there already.
    fn update_flags(&mut self, batch: &Batch) -> Result<(), Failed> {
        batch.for_each_chunk(|changes| {
            // Of each record the last change counts.
            let mut flags = BTreeMap::new();
            for stored in changes.iter().filter(|stored| stored.change.table == Table::Rejects.code()) {
                let Ok(reject) = serde_json::from_slice::<Reject>(&stored.change.row) else { continue };
                flags.insert(reject.seq, (reject, stored.change.diff > 0));
            }
            self.set_flags(flags.values().map(|(reject, stands)| (reject, *stands)))
        })
    }

    /// The same, of all that is rejected.
    fn renew_flags(&mut self, rows: &RowsSnapshot) -> Result<(), Failed> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        let clear = sqlx::query("UPDATE watchtower.positions SET flag = NULL WHERE flag IS NOT NULL");
        self.waiting.until(clear.execute(&mut *connection))?;
        let mut kept = rows.iter(Table::Rejects.code());
        loop {
            let chunk: Vec<_> = kept.by_ref().take(ROWS_A_CHUNK).collect::<Result<_, _>>()?;
            if chunk.is_empty() {
                return Ok(());
            }
            let rejects: Vec<Reject> =
                chunk.iter().filter_map(|(_, json)| serde_json::from_slice(json).ok()).collect();
            self.set_flags(rejects.iter().map(|reject| (reject, true)))?;
        }
    }

    /// Forgets all that is there: it is of another journal.
    fn begin_anew(&mut self) -> Result<(), Failed> {
        let (Some(connection), Some(epoch)) = (&mut self.connection, self.epoch) else { return Ok(()) };
        let waiting = &self.waiting;
        let mut transaction = waiting.until(connection.begin())?;
        // It locks out whoever claims the tables meanwhile, and finds who has.
        let sql = "UPDATE watchtower.journal_as_of SET tick = 0, instant = 'epoch', journal = NULL, records = 0 \
                   WHERE epoch = $1";
        let begin = sqlx::query(sql).bind(epoch).execute(&mut *transaction);
        if waiting.until(begin)?.rows_affected() != 1 {
            let why = anyhow!("another start of watchtower writes to {} by now", self.config.target());
            return Err(Failed::Sink(SinkError::Away(why)));
        }
        let sql = "TRUNCATE watchtower.positions, watchtower.fence_timeline, watchtower.vehicles, watchtower.drivers, \
                   watchtower.organizations, watchtower.locations, watchtower.trip_plans, watchtower.assignments";
        waiting.until(sqlx::query(sql).execute(&mut *transaction))?;
        waiting.until(transaction.commit())?;
        (self.at, self.records) = (Position::default(), 0);
        Ok(())
    }
}

impl LiveSink for JournalSink {
    fn name(&self) -> &'static str {
        "postgres-journal"
    }

    fn position(&mut self) -> Result<Position, SinkError> {
        self.connect().map_err(Failed::into_sink_error)
    }

    fn apply(&mut self, batch: &Batch) -> Result<Written, SinkError> {
        // Before the cursor moves: where it does not, the batch comes again.
        self.update_flags(batch).map_err(Failed::into_sink_error)?;
        self.catch_up(batch.identity(), batch.to).map_err(Failed::into_sink_error)
    }

    fn resync(&mut self, identity: &str, rows: &RowsSnapshot) -> Result<Written, SinkError> {
        let (tick, instant_ms) = rows.last_tick().unwrap_or_default();
        // The changelog may have been trimmed; the journal goes on from where the tables are, if they are its own.
        let at = self.at.as_of;
        let is_own = self.at.identity.as_deref() == Some(identity)
            && at.tick <= tick
            && self
                .log
                .read(at.tick, at.tick)
                .next()
                .transpose()?
                .is_some_and(|tick| tick.instant_ms == at.instant_ms);
        if is_own {
            self.renew_flags(rows).map_err(Failed::into_sink_error)?;
        } else {
            self.begin_anew().map_err(Failed::into_sink_error)?;
        }
        self.catch_up(identity, AsOf { tick, instant_ms }).map_err(Failed::into_sink_error)
    }
}

#[derive(Deserialize)]
struct Reject {
    seq: u64,
    vehicle_id: Option<String>,
    event_time: Option<String>,
    reason: String,
}

impl Reject {
    fn time(&self) -> Option<TimeMs> {
        TimeMs::parse_rfc3339(self.event_time.as_deref()?).ok()
    }
}

/// Why each position is not used, or not in full.
fn flags(rows: &[&PositionRow], rejects: &RowsSnapshot) -> Result<Vec<Option<String>>, Failed> {
    let flag = |row: &&PositionRow| {
        let Some(json) = rejects.get(Table::Rejects.code(), &row.seq.to_be_bytes())? else { return Ok(None) };
        Ok(serde_json::from_slice::<Reject>(&json).ok().map(|reject| reject.reason))
    };
    rows.iter().map(flag).collect()
}

async fn add_positions(
    connection: &mut PgConnection,
    rows: &[&PositionRow],
    flags: &[Option<String>],
) -> sqlx::Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let numbers = |of: fn(&PositionRow) -> Option<f64>| rows.iter().map(|row| of(row)).collect::<Vec<_>>();
    let sql = "INSERT INTO watchtower.positions (vehicle_id, event_time, lon, lat, speed_kmh, heading, ignition, \
               accuracy_m, received_time, seq, flag) SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::float8[], \
               $4::float8[], $5::float8[], $6::float8[], $7::boolean[], $8::float8[], $9::timestamptz[], $10::bigint[], \
               $11::text[])";
    let query = sqlx::query(sql)
        .bind(rows.iter().map(|row| &*row.vehicle_id).collect::<Vec<&str>>())
        .bind(rows.iter().map(|row| PgTime(row.position.event_time)).collect::<Vec<_>>())
        .bind(numbers(|row| Some(row.position.lon)))
        .bind(numbers(|row| Some(row.position.lat)))
        .bind(numbers(|row| row.position.speed_kmh))
        .bind(numbers(|row| row.position.heading))
        .bind(rows.iter().map(|row| row.position.ignition).collect::<Vec<_>>())
        .bind(numbers(|row| row.position.accuracy_m))
        .bind(rows.iter().map(|row| PgTime(row.received)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.seq.cast_signed()).collect::<Vec<_>>())
        .bind(flags);
    Ok(query.execute(connection).await?.rows_affected())
}

fn day_of(time: TimeMs) -> i64 {
    time.0.div_euclid(DAY_MS)
}

/// The name of a day's partition: `positions_` with year, month and day.
fn partition_of(day: i64) -> String {
    let text = TimeMs(day * DAY_MS).to_string();
    format!("positions_{}", text[..10].replace('-', ""))
}

async fn make_partition(connection: &mut PgConnection, day: i64) -> sqlx::Result<()> {
    let (name, from, to) = (partition_of(day), TimeMs(day * DAY_MS), TimeMs((day + 1) * DAY_MS));
    let sql = format!(
        "CREATE TABLE IF NOT EXISTS watchtower.{name} PARTITION OF watchtower.positions \
         FOR VALUES FROM ('{from}') TO ('{to}')"
    );
    sqlx::query(AssertSqlSafe(sql)).execute(connection).await.map(drop)
}

/// Drops the partitions of days before one, and gives their names.
async fn drop_partitions(connection: &mut PgConnection, first_kept: i64) -> sqlx::Result<Vec<String>> {
    let sql = "SELECT c.relname::text FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid \
               WHERE i.inhparent = 'watchtower.positions'::regclass AND c.relname ~ '^positions_[0-9]{8}$' \
               AND c.relname < $1";
    let old = sqlx::query_scalar(sql).bind(partition_of(first_kept));
    let old: Vec<String> = old.fetch_all(&mut *connection).await?;
    for name in &old {
        let sql = format!("DROP TABLE watchtower.{name}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
    }
    Ok(old)
}
