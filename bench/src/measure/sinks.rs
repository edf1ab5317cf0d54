//! Rows a second into PostgreSQL: the sink, from a changelog on disk, beside a bare loop of the same statements from
//! memory, in turns, into the same tables. Neither has a spatial index.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use journal::{ChangeBytes, Changelog, Options as StoreOptions, Store};
use model::{Cause, Row, TimeMs, VisitRow};
use serde_json::json;
use sinks::live::{BatchLimits, LiveSource, spawn};
use sinks::postgres::{PgTime, PostgresConfig, PostgresSink, schema};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::runtime::Runtime;

use super::Options;
use super::report::{Figure, Report};

const URL_VARIABLE: &str = "WATCHTOWER_POSTGRES_URL";
const CHANGES_A_TICK: usize = 1_000;
/// As the sink's statements.
const ROWS_A_STATEMENT: usize = 10_000;
const BEGINNING_MS: i64 = 1_767_225_600_000;
const MINUTE_MS: i64 = 60_000;
const FENCES: usize = 100;

/// A database that goes when this does.
struct Scratch {
    runtime: Runtime,
    server: PgConnectOptions,
    name: String,
}

impl Scratch {
    fn new(url: &str) -> anyhow::Result<Scratch> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let name = format!("watchtower_bench_{}", std::process::id());
        let scratch = Scratch { runtime, server: url.parse()?, name };
        scratch.on_server(&format!("CREATE DATABASE {}", scratch.name))?;
        Ok(scratch)
    }

    fn on_server(&self, sql: &str) -> anyhow::Result<()> {
        self.runtime.block_on(async {
            let mut connection = PgConnection::connect_with(&self.server).await?;
            connection.execute(AssertSqlSafe(sql)).await?;
            connection.close().await?;
            Ok(())
        })
    }

    fn connect(&self) -> anyhow::Result<PgConnection> {
        let options = self.server.clone().database(&self.name);
        Ok(self.runtime.block_on(PgConnection::connect_with(&options))?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.on_server(&format!("DROP DATABASE {} WITH (FORCE)", self.name)) {
            eprintln!("the database {} is left over: {error:#}", self.name);
        }
    }
}

fn visit(number: usize, is_over: bool) -> VisitRow {
    let arrived = TimeMs(BEGINNING_MS + (number as i64 / 977) * MINUTE_MS);
    VisitRow {
        vehicle_id: format!("T{:05}LA", number % 10_007).into(),
        fence_id: format!("client-{}", number % FENCES).into(),
        arrived,
        departed: is_over.then(|| arrived.plus_ms(30 * MINUTE_MS)),
        confirmed_at: arrived.plus_ms(5 * MINUTE_MS),
        presences: 1,
    }
}

fn change(diff: i8, row: &Row, seq: usize) -> ChangeBytes {
    ChangeBytes {
        table: row.table().code(),
        key: row.key_bytes(),
        diff,
        row: row.to_json().into_bytes(),
        cause: Cause::First.code(),
        seq: seq as u64,
        ..ChangeBytes::default()
    }
}

/// Visits that begin, and then end; gives the tick between the two.
fn fill(changelog: &Changelog, rows: usize) -> anyhow::Result<u64> {
    let mut tick = 0;
    let mut append = |changes: &[ChangeBytes]| {
        tick += 1;
        changelog.append(tick, BEGINNING_MS + tick.cast_signed() * 1000, changes).map(|()| tick)
    };
    let mut between = 0;
    for is_update in [false, true] {
        for from in (0..rows).step_by(CHANGES_A_TICK) {
            let mut changes = Vec::new();
            for number in from..rows.min(from + CHANGES_A_TICK) {
                let open = Row::Visit(visit(number, false));
                if is_update {
                    changes.push(change(-1, &open, number));
                    changes.push(change(1, &Row::Visit(visit(number, true)), number));
                } else {
                    changes.push(change(1, &open, number));
                }
            }
            changes.sort_by(|a, b| (&a.key, a.diff).cmp(&(&b.key, b.diff)));
            let at = append(&changes)?;
            if !is_update {
                between = at;
            }
        }
    }
    Ok(between)
}

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let url = std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty());
    let url = url.with_context(|| {
        format!("set {URL_VARIABLE} to a PostgreSQL whose user may make databases: cargo xtask services up starts one")
    })?;
    let (rows, runs) = if options.quick { (100_000, 1) } else { (400_000, 5) };
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let store = Store::open(folder.path(), StoreOptions { changes_keep_ms: 0, ..StoreOptions::default() })?;
    let changelog = store.changelog();
    let between = fill(&changelog, rows)?;
    let scratch = Scratch::new(&url)?;
    let options = scratch.server.clone().database(&scratch.name);
    let config = PostgresConfig::from_options(options);
    let mut rates = [[Vec::new(), Vec::new()], [Vec::new(), Vec::new()]];
    for run in 0..runs {
        // In turns, so that neither always finds what the other one left.
        for is_sink in if run % 2 == 0 { [true, false] } else { [false, true] } {
            schema::migrate_to(&config, Some(0))?;
            schema::migrate_to(&config, None)?;
            let took = if is_sink { with_sink(&config, &changelog, between)? } else { bare(&scratch, rows)? };
            for (phase, seconds) in took.into_iter().enumerate() {
                rates[phase][usize::from(is_sink)].push(rows as f64 / seconds);
            }
        }
    }
    for ([bare, sink], what) in rates.into_iter().zip(["insert", "update"]) {
        let ratios = sink.iter().zip(&bare).map(|(sink, bare)| sink / bare).collect();
        for (figure, unit, runs) in
            [("sink", "rows/s", sink), ("bare_unnest", "rows/s", bare), ("sink_to_bare", "ratio", ratios)]
        {
            let params = vec![
                ("rows", json!(rows)),
                ("table", json!("visits")),
                ("what", json!(what)),
                ("spatial_index", json!(false)),
            ];
            report.add(&Figure { bench: "sinks", figure, unit, params, runs });
        }
    }
    Ok(())
}

/// Seconds for the changes up to `between`, and for those after it.
fn with_sink(config: &PostgresConfig, changelog: &Changelog, between: u64) -> anyhow::Result<[f64; 2]> {
    let source = LiveSource { changelog: changelog.clone(), instant_of: Box::new(|_| Ok(None)) };
    let started = Instant::now();
    let running = spawn(Box::new(PostgresSink::new(config.clone())?), source, BatchLimits::default())?;
    let status = running.status();
    // A batch may reach over the middle, by less than a twentieth of either half.
    let wait_for = |tick: u64| loop {
        let report = status.report();
        if report.as_of.tick >= tick {
            break Ok(started.elapsed().as_secs_f64());
        }
        if let Some(error) = report.last_error {
            break Err(anyhow!("the sink failed: {error}"));
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let last = changelog.last_tick().map_or(0, |(tick, _)| tick);
    let half_s = wait_for(between)?;
    let all_s = wait_for(last)?;
    running.stop(Duration::ZERO);
    Ok([half_s, all_s - half_s])
}

fn bare(scratch: &Scratch, rows: usize) -> anyhow::Result<[f64; 2]> {
    let mut connection = scratch.connect()?;
    let mut took = [0.0; 2];
    for is_update in [false, true] {
        let visits: Vec<VisitRow> = (0..rows).map(|number| visit(number, is_update)).collect();
        let started = Instant::now();
        for (seq, visits) in visits.chunks(ROWS_A_STATEMENT).enumerate() {
            scratch.runtime.block_on(upsert(&mut connection, seq as i64, visits))?;
        }
        took[usize::from(is_update)] = started.elapsed().as_secs_f64();
    }
    Ok(took)
}

async fn upsert(connection: &mut PgConnection, seq: i64, visits: &[VisitRow]) -> sqlx::Result<()> {
    let texts = |text: fn(&VisitRow) -> &str| visits.iter().map(text).collect::<Vec<&str>>();
    let times =
        |time: fn(&VisitRow) -> TimeMs| visits.iter().map(|visit| PgTime(time(visit))).collect::<Vec<_>>();
    let departed: Vec<Option<PgTime>> = visits.iter().map(|visit| visit.departed.map(PgTime)).collect();
    let presences: Vec<i64> = visits.iter().map(|visit| i64::from(visit.presences)).collect();
    let mut transaction = connection.begin().await?;
    sqlx::query(
        "INSERT INTO watchtower.visits \
         (vehicle_id, fence_id, arrived, departed, confirmed_at, presences, tick, cause, cause_seq) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[], \
                              $6::bigint[], $7::bigint[], $8::text[], $9::bigint[]) \
         ON CONFLICT (vehicle_id, fence_id, arrived) DO UPDATE SET departed = excluded.departed, \
         confirmed_at = excluded.confirmed_at, presences = excluded.presences, tick = excluded.tick, \
         cause = excluded.cause, cause_seq = excluded.cause_seq",
    )
    .bind(texts(|visit| &visit.vehicle_id))
    .bind(texts(|visit| &visit.fence_id))
    .bind(times(|visit| visit.arrived))
    .bind(departed)
    .bind(times(|visit| visit.confirmed_at))
    .bind(presences)
    .bind(vec![seq; visits.len()])
    .bind(vec!["first"; visits.len()])
    .bind(vec![seq; visits.len()])
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await
}
