//! A day of a fleet, replayed, against the naive oracle: every row of every table.
//!
//! ```text
//!   simulated records, and trips between any two stops --replay--> rows \
//!                                    \--by vehicle--> oracle -----> rows  > none may differ
//! ```
//!
//! Fixes are blurred, with spikes, some late and some twice. The trips that are planned besides the simulator's own
//! are ambiguous: the truck may have been at the pickup before, serve another one on its way, or go there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use model::{
    Change, ClosedTick, GraphSettings, PositionRef, Record, RecordSink, Row, Table, Tables, TimeMs, TripEdit,
    Why,
};
use pipeline::{BadLine, Follower, ReplayOptions};
use serde_json::{Value, json};
use sources::files::{FileInput, FileSink};

use super::Options;
use super::report::{Figure, Report};
use crate::oracle::{Collector, Fleet, Input, OfVehicle};
use crate::simulate;

/// Trips a truck that are planned besides the simulator's.
const PLANS_A_TRUCK: usize = 2;
const HOUR_MS: f64 = 3_600_000.0;
/// A last clock comes an hour later, at which all KPIs move: those of what comes last behind a hop do not show before.
const AFTER_MS: i64 = HOUR_MS as i64;
/// Lines of a file that are read at a time.
const LINES: usize = 10_000;

/// How large a fleet is.
struct Case {
    trucks: u32,
    hours: f64,
    seed: u64,
}

/// What was compared, and how long it took.
struct Compared {
    records: u64,
    trips: usize,
    /// Of all tables.
    rows: usize,
    replay_seconds: f64,
    oracle_seconds: f64,
}

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    report.note(
        "oracle: blurred fixes with spikes, 5 % late, 2 % twice; every row of a replay against a recomputation",
    );
    for trucks in if options.quick { vec![84] } else { vec![84, 10_000] } {
        let compared = compare(&Case { trucks, hours: 24.0, seed: 7 })?;
        for (figure, unit, value) in [
            ("rows, of which none differs", "rows", compared.rows as f64),
            ("replay", "s", compared.replay_seconds),
            ("oracle", "s", compared.oracle_seconds),
        ] {
            let params = vec![
                ("vehicles", json!(trucks)),
                ("records", json!(compared.records)),
                ("trips", json!(compared.trips)),
            ];
            report.add(&Figure { bench: "oracle", figure, unit, params, runs: vec![value] });
        }
    }
    Ok(())
}

/// Simulates, replays, recomputes. A row that differs is an error.
fn compare(case: &Case) -> anyhow::Result<Compared> {
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let fleet = simulate::Options {
        vehicles: case.trucks,
        hours: case.hours,
        seed: case.seed,
        out: dir.path().to_owned(),
        late: 0.05,
        duplicates: 0.02,
        noise: true,
        ..simulate::Options::default()
    };
    simulate::run(&fleet, &|_, _| {})?;
    let plans = dir.path().join("plans.ndjson");
    write_plans(&dir.path().join("truth").join("visits.ndjson"), fleet.start, &plans)?;
    let files = [plans, dir.path().join("records.ndjson")];
    let clock = fleet.start.plus_ms((case.hours * HOUR_MS).round() as i64 + AFTER_MS);
    let started = Instant::now();
    let (replayed, records) = replay(&files, clock)?;
    let replay_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    let expected = recompute(&files, clock)?;
    let oracle_seconds = started.elapsed().as_secs_f64();
    let mut rows = 0;
    for table in Table::ALL {
        differ_nowhere(table, &replayed, &expected)?;
        rows += expected.table(table).len();
    }
    let trips = expected.table(Table::Trips).len();
    Ok(Compared { records, trips, rows, replay_seconds, oracle_seconds })
}

/// Plans trips from where trucks stopped to where they stopped next.
fn write_plans(visits: &Path, received: TimeMs, plans: &Path) -> anyhow::Result<()> {
    let text = fs::read_to_string(visits).with_context(|| format!("cannot read {}", visits.display()))?;
    let mut by_vehicle: BTreeMap<String, Vec<[String; 3]>> = BTreeMap::new();
    for line in text.lines() {
        let visit: Value = serde_json::from_str(line)?;
        let field = |name: &str| visit[name].as_str().unwrap_or_default().to_owned();
        let stop = [field("arrived"), field("departed"), field("fence_id")];
        by_vehicle.entry(field("vehicle_id")).or_default().push(stop);
    }
    let mut out = Vec::new();
    for (vehicle_id, mut stops) in by_vehicle {
        stops.sort_unstable();
        let ways = stops.windows(2).filter(|way| way[0][2] != way[1][2] && !way[0][1].is_empty());
        for (number, way) in ways.take(PLANS_A_TRUCK).enumerate() {
            let [(_, departed, pickup), (arrived, _, delivery)] =
                [&way[0], &way[1]].map(|[arrived, departed, fence]| (arrived, departed, fence));
            let trip = json!({
                "id": format!("way {number} of {vehicle_id}"), "vehicle_id": vehicle_id, "client": delivery,
                "pickup": pickup, "delivery": delivery,
                "scheduled_departure": departed, "scheduled_arrival": arrived,
            });
            let record =
                json!({"type": "trip", "op": "upsert", "received_time": received.to_string(), "trip": trip});
            writeln!(out, "{record}")?;
        }
    }
    fs::write(plans, out).with_context(|| format!("cannot write {}", plans.display()))
}

/// Rows as they stand.
#[derive(Default)]
struct Standing(Tables);

impl Follower for Standing {
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        closed.changes.iter().try_for_each(|change| Ok(self.0.apply(change)?))
    }
    fn bad_line(&mut self, _: &BadLine) {}
    fn warning(&mut self, _: String) {}
    fn progress(&mut self, _: u64, _: u64) {}
}

fn replay(files: &[PathBuf], clock: TimeMs) -> anyhow::Result<(Tables, u64)> {
    let options = ReplayOptions {
        files: files.to_vec(),
        settings: GraphSettings::default(),
        pinned: BTreeSet::new(),
        clock: Some(clock),
        workers: 1,
        strict: true,
    };
    let mut standing = Standing::default();
    let records = pipeline::replay(&options, &mut standing)?.records;
    Ok((standing.0, records))
}

/// Records of files, each with its place among all, in order.
#[derive(Default)]
struct Shard {
    seqs: Vec<u64>,
    records: Vec<Input>,
}

impl Shard {
    /// Brings those in between that are given, which are in order themselves.
    fn merge(&mut self, others: Vec<(u64, Input)>) {
        let own = std::mem::take(&mut self.seqs).into_iter().zip(std::mem::take(&mut self.records));
        let mut all: Vec<(u64, Input)> = own.chain(others).collect();
        all.sort_by_key(|(seq, _)| *seq);
        (self.seqs, self.records) = all.into_iter().unzip();
    }
}

/// Puts the records of files to whom they are about.
#[derive(Default)]
struct Shards {
    seq: u64,
    common: Shard,
    by_vehicle: BTreeMap<String, Shard>,
    /// In order, until it is known whose they are.
    of_trips: Vec<(u64, Input)>,
    bad_lines: u64,
}

impl RecordSink for Shards {
    fn position(&mut self, received: Option<TimeMs>, position: PositionRef<'_>) {
        if !self.by_vehicle.contains_key(position.vehicle_id) {
            self.by_vehicle.insert(position.vehicle_id.to_owned(), Shard::default());
        }
        self.seq += 1;
        let Some(shard) = self.by_vehicle.get_mut(position.vehicle_id) else { return };
        let mut records = Collector(std::mem::take(&mut shard.records));
        records.position(received, position);
        shard.records = records.0;
        shard.seqs.push(self.seq);
    }

    fn record(&mut self, received: Option<TimeMs>, record: Record) {
        self.seq += 1;
        let is_of_trip = matches!(record, Record::Trip { .. });
        let mut collected = Collector::default();
        collected.record(received, record);
        if is_of_trip {
            self.of_trips.extend(collected.0.into_iter().map(|input| (self.seq, input)));
        } else {
            self.common.seqs.push(self.seq);
            self.common.records.append(&mut collected.0);
        }
    }
}

impl FileSink for Shards {
    fn bad(&mut self, _: u64, _: String, _: &[u8]) {
        self.bad_lines += 1;
    }
    fn warning(&mut self, _: u64, _: String) {}
}

impl Shards {
    /// The last plan of a trip says whose it is.
    fn give_trips(&mut self) {
        let mut whose: BTreeMap<String, Arc<str>> = BTreeMap::new();
        for (_, input) in &self.of_trips {
            if let Input::Trip { id, edit: TripEdit::Plan(plan), .. } = input {
                whose.insert(id.clone(), plan.vehicle_id.clone());
            }
        }
        let mut of_vehicles: BTreeMap<Arc<str>, Vec<(u64, Input)>> = BTreeMap::new();
        for (seq, input) in std::mem::take(&mut self.of_trips) {
            let Input::Trip { id, .. } = &input else { continue };
            let Some(vehicle_id) = whose.get(id) else { continue };
            of_vehicles.entry(vehicle_id.clone()).or_default().push((seq, input));
        }
        for (vehicle_id, records) in of_vehicles {
            self.by_vehicle.entry(vehicle_id.to_string()).or_default().merge(records);
        }
    }
}

/// As of a clock that comes behind all records.
fn recompute(files: &[PathBuf], clock: TimeMs) -> anyhow::Result<Tables> {
    let mut shards = Shards::default();
    for file in files {
        let mut file = FileInput::open(file)?;
        while file.read(LINES, &mut shards)? {}
    }
    ensure!(shards.bad_lines == 0, "{} lines are bad", shards.bad_lines);
    shards.give_trips();
    let Shards { common, by_vehicle, .. } = shards;
    let fleet = Fleet { common: common.records, instant: clock, defaults: GraphSettings::default() };
    let shards: Vec<Shard> = by_vehicle.into_values().collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let of_vehicles: Vec<OfVehicle> = std::thread::scope(|scope| {
        let work = |shards| {
            let (fleet, common_seqs) = (&fleet, &common.seqs);
            scope.spawn(move || of_shards(fleet, common_seqs, shards))
        };
        let parts: Vec<_> = shards.chunks(shards.len().div_ceil(threads).max(1)).map(work).collect();
        let ended = |part: std::thread::ScopedJoinHandle<'_, _>| {
            part.join().map_err(|_| anyhow::anyhow!("the oracle panicked"))
        };
        parts.into_iter().map(ended).collect::<anyhow::Result<Vec<Vec<OfVehicle>>>>()
    })?
    .into_iter()
    .flatten()
    .collect();
    let mut expected = Tables::default();
    for OfVehicle { rows, .. } in &of_vehicles {
        put(&mut expected, rows.alerts.iter().cloned().map(Row::Alert))?;
        put(&mut expected, rows.crossings.iter().cloned().map(Row::Crossing))?;
        put(&mut expected, rows.presences.iter().cloned().map(Row::Presence))?;
        put(&mut expected, rows.rejects.iter().cloned().map(Row::Reject))?;
        put(&mut expected, rows.trips.iter().cloned().map(Row::Trip))?;
        put(&mut expected, rows.visits.iter().cloned().map(Row::Visit))?;
    }
    let (etas, kpis) = fleet.etas_and_kpis(of_vehicles);
    put(&mut expected, etas.into_iter().map(Row::Eta))?;
    put(&mut expected, kpis.into_iter().map(Row::Kpi))?;
    Ok(expected)
}

/// Rejects are told by their places among all records.
fn of_shards(fleet: &Fleet, common_seqs: &[u64], shards: &[Shard]) -> Vec<OfVehicle> {
    let of_shard = |shard: &Shard| {
        let mut of_vehicle = fleet.vehicle(&shard.records);
        let place = |seq: u64| common_seqs.iter().chain(&shard.seqs).nth(seq as usize - 1);
        for reject in &mut of_vehicle.rows.rejects {
            reject.seq = place(reject.seq).copied().unwrap_or_default();
        }
        of_vehicle
    };
    shards.iter().map(of_shard).collect()
}

fn put(tables: &mut Tables, rows: impl Iterator<Item = Row>) -> anyhow::Result<()> {
    for row in rows {
        tables.apply(&Change { diff: 1, row, why: Why::first(0) })?;
    }
    Ok(())
}

fn differ_nowhere(table: Table, replayed: &Tables, expected: &Tables) -> anyhow::Result<()> {
    let (replayed, expected) = (replayed.table(table), expected.table(table));
    if replayed == expected {
        return Ok(());
    }
    let only = |of: &BTreeMap<Vec<u8>, Row>, others: &BTreeMap<Vec<u8>, Row>| {
        let rows = of.iter().filter(|(key, row)| others.get(*key) != Some(*row));
        rows.take(5).map(|(_, row)| format!("\n  {}", row.to_json())).collect::<String>()
    };
    bail!(
        "{} differ; only in the replay:{}\nonly in the oracle:{}",
        table.as_str(),
        only(replayed, expected),
        only(expected, replayed)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_a_fleet_is_that_of_the_oracle() {
        let compared = compare(&Case { trucks: 84, hours: 24.0, seed: 3 }).unwrap();
        assert!(compared.trips > 150 && compared.rows > 10_000, "{} rows", compared.rows);
    }

    #[test]
    fn vehicle_by_vehicle_is_as_all_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fleet = simulate::Options {
            vehicles: 6,
            hours: 30.0,
            out: dir.path().to_owned(),
            late: 0.05,
            noise: true,
            ..simulate::Options::default()
        };
        simulate::run(&fleet, &|_, _| {}).unwrap();
        let file = dir.path().join("records.ndjson");
        let clock = fleet.start.plus_ms(31 * 3_600_000);
        let by_vehicle = recompute(std::slice::from_ref(&file), clock).unwrap();
        let mut all = ReadAll::default();
        let mut input = FileInput::open(&file).unwrap();
        while input.read(LINES, &mut all).unwrap() {}
        all.0.0.push(Input::Clock { received: Some(clock) });
        let settings = GraphSettings::default();
        let tables = crate::oracle::recompute(&all.0.0, &settings);
        for (table, expected) in [
            (Table::Alerts, tables.alerts),
            (Table::Crossings, tables.crossings),
            (Table::Etas, tables.etas),
            (Table::Presences, tables.presences),
            (Table::Visits, tables.visits),
            (Table::Rejects, tables.rejects),
            (Table::Trips, tables.trips),
        ] {
            assert!(by_vehicle.file_bytes(table) == expected, "{}", table.as_str());
        }
        let kpis = crate::oracle::recompute_kpis(&all.0.0, &settings).into_iter().map(Row::Kpi);
        assert!(by_vehicle.table(Table::Kpis).values().cloned().eq(kpis));
        assert!(!by_vehicle.table(Table::Rejects).is_empty() && !by_vehicle.table(Table::Trips).is_empty());
    }

    #[derive(Default)]
    struct ReadAll(Collector);

    impl RecordSink for ReadAll {
        fn position(&mut self, received: Option<TimeMs>, position: PositionRef<'_>) {
            self.0.position(received, position);
        }
        fn record(&mut self, received: Option<TimeMs>, record: Record) {
            self.0.record(received, record);
        }
    }

    impl FileSink for ReadAll {
        fn bad(&mut self, line: u64, reason: String, _: &[u8]) {
            panic!("{line}: {reason}");
        }
        fn warning(&mut self, _: u64, _: String) {}
    }
}
