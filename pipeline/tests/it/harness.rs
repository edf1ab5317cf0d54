//! Feeds inputs to the graph in ticks, and compares what stands with what the oracle says.

use std::collections::BTreeSet;

use bench::oracle::{self, Input, recompute_prefix};
use model::{GraphSettings, PositionRef, Record, RecordSink, Table, Tables};
use pipeline::{Driver, Intake};

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
        Input::Settings { received, values } => intake.record(*received, Record::Settings(values.clone())),
        Input::Clock { received } => intake.record(*received, Record::Clock),
        Input::Malformed { received } => {
            intake.record(*received, Record::Undecodable { reason: "bad".to_owned() });
        }
        Input::Other { received } => {
            let other = Record::Other { kind: "vehicle", json: "{}".to_owned() };
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
    let mut rest = inputs;
    let mut sizes = sizes.iter().copied().cycle();
    let mut ends = std::collections::VecDeque::new();
    let mut tick = 0;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        now.iter().for_each(|input| feed(&mut driver.intake, input));
        rest = later;
        tick += 1;
        ends.push_back(inputs.len() - rest.len());
        let input = driver.intake.finish_tick(None);
        if let Some(closed) = driver.submit(tick, input).unwrap() {
            apply(&mut tables, &closed, ends.pop_front().unwrap(), &mut at_tick);
        }
    }
    while let Some(closed) = driver.close_next().unwrap() {
        apply(&mut tables, &closed, ends.pop_front().unwrap(), &mut at_tick);
    }
    tables
}

fn apply(
    tables: &mut Tables,
    closed: &model::ClosedTick,
    end: usize,
    at_tick: &mut impl FnMut(usize, &Tables),
) {
    for change in &closed.changes {
        tables.apply(change).expect("every change fits what stands");
    }
    at_tick(end, tables);
}

/// Where the graph first differs from the oracle at the end of a tick, in words.
pub fn disagreement(
    inputs: &[Input],
    sizes: &[usize],
    workers: usize,
    settings: &GraphSettings,
) -> Option<String> {
    let mut wrong = None;
    run(inputs, sizes, workers, settings, |end, tables| {
        if wrong.is_none() {
            let truth = recompute_prefix(inputs, end, settings);
            wrong = difference(tables, &truth).map(|text| format!("after {end} records: {text}"));
        }
    });
    wrong
}

/// What differs from the oracle, in words; `None` when all files are the same bytes.
pub fn difference(tables: &Tables, truth: &oracle::Tables) -> Option<String> {
    let files = [
        (Table::Crossings, &truth.crossings),
        (Table::Presences, &truth.presences),
        (Table::Visits, &truth.visits),
        (Table::Rejects, &truth.rejects),
    ];
    for (table, expected) in files {
        let got = tables.file_bytes(table);
        if got == *expected {
            continue;
        }
        let lines = |bytes: &[u8]| -> BTreeSet<String> {
            String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect()
        };
        let (got, expected) = (lines(&got), lines(expected));
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
