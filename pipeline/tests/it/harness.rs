//! Feeds inputs to the graph in ticks, and compares what stands with what the oracle says.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use bench::oracle::scenario::parse;
use bench::oracle::{self, Input, recompute_kpis_after, recompute_kpis_after_each, recompute_prefix};
use model::{
    Change, ClosedTick, GraphSettings, KpiRow, PositionRef, Record, RecordSink, Row, SettingValue, Table,
    Tables, TimeMs,
};
use pipeline::{Driver, Intake, Observer, Snapshots, snapshots};

/// Hands one input to the intake.
pub fn feed(intake: &mut Intake, input: &Input) {
    match input {
        Input::Position { received, vehicle_id, position } => {
            let position = PositionRef { vehicle_id, spelling: None, position: *position };
            intake.position(*received, position);
        }
        Input::Fence { received, fence } => intake.record(*received, Record::FenceUpsert(fence.clone())),
        Input::FenceDelete { received, id, at } => {
            intake.record(*received, Record::FenceDelete { id: id.as_str().into(), at: *at });
        }
        Input::Trip { received, id, edit } => {
            let (id, edit) = (id.as_str().into(), edit.clone());
            intake.record(*received, Record::Trip { id, edit, json: "{}".to_owned() });
        }
        Input::Location { received, id, edit } => {
            let (id, edit) = (id.as_str().into(), edit.clone());
            intake.record(*received, Record::Location { id, edit, json: "{}".to_owned() });
        }
        Input::Rule { received, rule } => {
            intake.record(*received, Record::Rule { rule: rule.clone(), json: "{}".to_owned() });
        }
        Input::ProviderAlert { received, alert } => {
            intake.record(*received, Record::ProviderAlert { alert: alert.clone(), json: "{}".to_owned() });
        }
        Input::Vehicle { received, id, edit } => {
            let (id, edit) = (id.as_str().into(), edit.clone());
            intake.record(*received, Record::Vehicle { id, edit, json: "{}".to_owned() });
        }
        Input::Settings { received, values } => intake.record(*received, Record::Settings(values.clone())),
        Input::Backfill { received, from, to } => {
            intake.record(*received, Record::Backfill { from: *from, to: *to });
        }
        Input::Clock { received } => intake.record(*received, Record::Clock),
        Input::Malformed { received } => {
            intake.record(*received, Record::Undecodable { reason: "bad".to_owned() });
        }
        Input::Other { received } => {
            let other = Record::Other { kind: "driver", json: "{}".to_owned() };
            intake.record(*received, other);
        }
    }
}

/// The rows after each tick, ticks having `sizes` records in turn; `at_tick` is told the records so far.
pub fn run(
    inputs: &[Input],
    sizes: &[usize],
    workers: usize,
    settings: &GraphSettings,
    mut at_tick: impl FnMut(usize, &Tables),
) -> Tables {
    let mut driver = Driver::start(settings.clone(), BTreeSet::new(), false, workers).unwrap();
    let mut tables = Tables::default();
    let ticks = ticks(inputs, sizes);
    let mut closed_ticks = ticks.iter();
    let mut take = |tables: &mut Tables, closed: Option<ClosedTick>| {
        if let Some(closed) = closed {
            apply(tables, &closed);
            at_tick(closed_ticks.next().unwrap().end, tables);
        }
    };
    for (tick, records) in (1..).zip(&ticks) {
        take(&mut tables, submit(&mut driver, tick, &inputs[records.clone()]));
        if driver.backfill_due().is_none() {
            // Some go on from a snapshot, each at a tick of its own.
            if inputs.len().is_multiple_of(3) && tick as usize == 1 + inputs.len() / 3 % ticks.len() {
                while let Some(closed) = driver.close_next().unwrap() {
                    take(&mut tables, Some(closed));
                }
                driver = through_a_snapshot(driver, tick, workers);
            }
            continue;
        }
        // What the tick itself closes as is told by the second pass.
        while let Some(closed) = driver.close_next().unwrap() {
            take(&mut tables, Some(closed).filter(|_| driver.backfill_begins().is_none()));
        }
        driver = driver.start_again(driver.intake.periods().to_vec()).unwrap();
        tables = rows_after(&mut driver, inputs, &ticks[..tick as usize]);
        take(&mut tables, Some(ClosedTick::default()));
    }
    while let Some(closed) = driver.close_next().unwrap() {
        take(&mut tables, Some(closed));
    }
    tables
}

/// A driver that goes on from what this one had saved.
fn through_a_snapshot(mut driver: Driver, tick: u64, workers: usize) -> Driver {
    // Where there is memory to write to: nobody pulls the plug in between.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { memory } else { Path::new(env!("CARGO_TARGET_TMPDIR")) };
    let folder = tempfile::tempdir_in(folder).unwrap();
    let snapshots = Snapshots::of(folder.path(), 1);
    snapshots::save(&snapshots, &mut driver, &Nobody, (tick, 0)).unwrap();
    drop(driver);
    let [saved] = &snapshots.usable(workers).unwrap()[..] else { panic!("there is one") };
    Driver::load(saved, workers, &mut Nobody).unwrap()
}

struct Nobody;

impl Observer for Nobody {
    fn closed(&mut self, _: &ClosedTick, _: bool) {}
    fn replayed(&mut self, _: u64, _: u64) {}
    fn ready(&mut self) {}
}

/// Which inputs are of which tick, ticks having `sizes` records in turn.
pub fn ticks(inputs: &[Input], sizes: &[usize]) -> Vec<Range<usize>> {
    let mut begin = 0;
    let size = |size: &usize| {
        let end = (begin + size).min(inputs.len());
        let tick = begin..end;
        begin = end;
        tick
    };
    sizes.iter().cycle().map(size).take_while(|tick| !tick.is_empty()).collect()
}

fn submit(driver: &mut Driver, tick: u64, inputs: &[Input]) -> Option<ClosedTick> {
    inputs.iter().for_each(|input| feed(&mut driver.intake, input));
    let input = driver.intake.finish_tick(None);
    driver.submit(tick, input).unwrap()
}

/// The rows that a driver gives after these ticks, which are its first.
fn rows_after(driver: &mut Driver, inputs: &[Input], ticks: &[Range<usize>]) -> Tables {
    let mut tables = Tables::default();
    for (tick, records) in (1..).zip(ticks) {
        let closed = submit(driver, tick, &inputs[records.clone()]);
        closed.iter().for_each(|closed| apply(&mut tables, closed));
    }
    while let Some(closed) = driver.close_next().unwrap() {
        apply(&mut tables, &closed);
    }
    assert_eq!(driver.backfill_due(), None, "all periods were told beforehand");
    tables
}

fn apply(tables: &mut Tables, closed: &ClosedTick) {
    for change in &closed.changes {
        tables.apply(change).expect("every change fits what stands");
    }
}

/// Alerts that rest on fixes and on trips: when a trip changes, those of which the fixes are forgotten may stay.
const FORGOTTEN_KINDS: [&str; 2] = ["device_offline", "route_deviation"];

/// Where the graph first differs from the oracle at the end of a tick, in words.
pub fn disagreement(
    inputs: &[Input],
    sizes: &[usize],
    workers: usize,
    settings: &GraphSettings,
) -> Option<String> {
    let mut wrong = None;
    let mut ticks = Vec::new();
    let mut has_forgotten = false;
    let last = run(inputs, sizes, workers, settings, |end, tables| {
        ticks.push(end);
        if wrong.is_none() {
            let truth = recompute_prefix(inputs, end, settings);
            let forgotten_before = forgotten_before(&inputs[..end]);
            wrong = difference_since(forgotten_before, tables, &truth)
                .map(|text| format!("after {end} records: {text}"));
            has_forgotten |= tables.file_bytes(Table::Alerts) != truth.alerts;
        }
    });
    if wrong.is_none() {
        let (mut got, mut expected) = (kpis(&last), recompute_kpis_after(inputs, &ticks, settings));
        if has_forgotten {
            // Alerts that stayed as they were are counted as they are.
            let is_sure = |text: &str| FORGOTTEN_KINDS.iter().all(|kind| !text.contains(kind));
            got.retain(|line| is_sure(line));
            expected.retain(|row| is_sure(&row.metric.name()));
        }
        let of_kpis = kpi_difference(&got, expected);
        wrong = of_kpis.map(|text| format!("after ticks that end with {ticks:?}: {text}"));
    }
    wrong
}

/// Where the graph's KPIs first differ from the oracle's at the end of a tick, in words. The inputs have no
/// backfills: what they correct, they correct at their own tick.
pub fn kpi_disagreement(
    inputs: &[Input],
    sizes: &[usize],
    workers: usize,
    settings: &GraphSettings,
) -> Option<String> {
    let (mut ticks, mut shown) = (Vec::new(), Vec::new());
    run(inputs, sizes, workers, settings, |end, tables| {
        ticks.push(end);
        shown.push(kpis(tables));
    });
    let expected = recompute_kpis_after_each(inputs, &ticks, settings);
    let mut of_ticks = ticks.iter().zip(shown).zip(expected);
    of_ticks.find_map(|((end, got), expected)| {
        kpi_difference(&got, expected).map(|text| format!("after {end} records: {text}"))
    })
}

fn kpis(tables: &Tables) -> BTreeSet<String> {
    tables.table(Table::Kpis).values().map(Row::to_json).collect()
}

fn kpi_difference(got: &BTreeSet<String>, expected: Vec<KpiRow>) -> Option<String> {
    let expected: BTreeSet<String> = expected.into_iter().map(|row| Row::Kpi(row).to_json()).collect();
    if *got == expected {
        return None;
    }
    let list = |set: Vec<&String>| set.into_iter().take(12).cloned().collect::<Vec<_>>().join("\n    ");
    Some(format!(
        "kpis:\n  only in the graph:\n    {}\n  only in the oracle:\n    {}",
        list(got.difference(&expected).collect()),
        list(expected.difference(got).collect())
    ))
}

/// What differs from the oracle, in words; `None` when all files are the same bytes.
pub fn difference(tables: &Tables, truth: &oracle::Tables) -> Option<String> {
    difference_since(None, tables, truth)
}

/// The same, but for alerts that what was forgotten says of trips: they may stay as they were when a trip changes.
fn difference_since(
    forgotten_before: Option<TimeMs>,
    tables: &Tables,
    truth: &oracle::Tables,
) -> Option<String> {
    let is_forgotten = |line: &str| {
        let is_of_trip = FORGOTTEN_KINDS.iter().any(|kind| line.contains(&format!("\"kind\":\"{kind}\"")));
        let started = line.split("\"started\":\"").nth(1);
        is_of_trip
            && forgotten_before.zip(started).is_some_and(|(before, started)| *started < *before.to_string())
    };
    let files = [
        (Table::Crossings, &truth.crossings),
        (Table::Etas, &truth.etas),
        (Table::Presences, &truth.presences),
        (Table::Visits, &truth.visits),
        (Table::Trips, &truth.trips),
        (Table::Alerts, &truth.alerts),
        (Table::Rejects, &truth.rejects),
    ];
    for (table, expected) in files {
        let got = tables.file_bytes(table);
        if got == *expected {
            continue;
        }
        let lines = |bytes: &[u8]| -> BTreeSet<String> {
            let lines = String::from_utf8_lossy(bytes);
            lines.lines().filter(|line| !is_forgotten(line)).map(str::to_owned).collect()
        };
        let (got, expected) = (lines(&got), lines(expected));
        if got == expected {
            continue;
        }
        let list = |set: Vec<&String>| set.into_iter().take(6).cloned().collect::<Vec<_>>().join("\n    ");
        return Some(format!(
            "{}:\n  only in the graph:\n    {}\n  only in the oracle:\n    {}",
            table.as_str(),
            list(got.difference(&expected).collect()),
            list(expected.difference(&got).collect())
        ));
    }
    None
}

/// The changes of a table that come of a scenario in ticks of so many records, with their ticks.
pub fn changes(lines: &str, size: usize, table: Table) -> Vec<(u64, Change)> {
    let inputs = parse(lines).unwrap();
    let mut driver = Driver::start(GraphSettings::default(), BTreeSet::new(), false, 1).unwrap();
    let mut all = Vec::new();
    for (tick, records) in (1..).zip(inputs.chunks(size)) {
        let closed = submit(&mut driver, tick, records);
        let rest = std::iter::from_fn(|| driver.close_next().unwrap());
        let of_tick = closed.into_iter().chain(rest).flat_map(|closed| closed.changes);
        let of_table = of_tick.filter(|change| change.row.table() == table);
        all.extend(of_table.map(|change| (tick, change)));
    }
    all
}

/// Where less than all history is kept, a time which no edge is after.
fn forgotten_before(inputs: &[Input]) -> Option<TimeMs> {
    let mut reach_ms: Option<i64> = None;
    let mut last = TimeMs(0);
    for input in inputs {
        if let Input::Position { position, .. } = input {
            last = last.max(position.event_time);
        }
        last = input.received().map_or(last, |received| last.max(received));
        let Input::Settings { values, .. } = input else { continue };
        let hours = values.iter().filter_map(|(name, value)| match value {
            SettingValue::Number(hours) if name == "history.keep_h" => Some(hours * 3_600_000.0),
            _ => None,
        });
        reach_ms = reach_ms.into_iter().chain(hours.map(|ms| ms as i64)).min();
    }
    reach_ms.map(|reach_ms| last.plus_ms(-reach_ms))
}
