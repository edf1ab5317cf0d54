//! Holds a replay against the simulator's truth: the whole way of records through files, decoding and graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use model::{ClosedTick, GraphSettings, Table, TripPhase, TripStatus};
use pipeline::{BadLine, Follower, ReplayOptions, replay};

use super::{DEFAULT_START, Options, run};

/// Keeps the rows that are left when all changes are summed.
#[derive(Default)]
struct Rows(BTreeMap<(Table, Vec<u8>), String>);

impl Follower for Rows {
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        for change in &closed.changes {
            let key = (change.row.table(), change.row.key_bytes());
            if change.diff > 0 {
                assert_eq!(self.0.insert(key, change.row.to_json()), None);
            } else {
                assert_eq!(self.0.remove(&key), Some(change.row.to_json()));
            }
        }
        Ok(())
    }

    fn bad_line(&mut self, bad: &BadLine) {
        panic!("{}:{}: {}", bad.file.display(), bad.line, bad.reason);
    }

    fn warning(&mut self, text: String) {
        panic!("{text}");
    }

    fn progress(&mut self, _done_bytes: u64, _all_bytes: u64) {}
}

impl Rows {
    fn text(&self, table: Table) -> String {
        self.0.iter().filter(|row| row.0.0 == table).map(|row| row.1.clone() + "\n").collect()
    }
}

/// Simulates, replays, compares; gives back the truth about trips.
fn truth_of_trips(options: &Options) -> String {
    let summary = run(options, &|_, _| {}).unwrap();
    let replayed = ReplayOptions {
        files: vec![options.out.join("records.ndjson")],
        settings: GraphSettings::default(),
        pinned: BTreeSet::new(),
        clock: None,
        workers: 1,
        strict: true,
    };
    let mut rows = Rows::default();
    assert_eq!(replay(&replayed, &mut rows).unwrap().records, summary.records);
    let truth = |name: &str| fs::read_to_string(options.out.join("truth").join(name)).unwrap();
    assert_eq!(rows.text(Table::Rejects), "");
    assert_eq!(rows.text(Table::Presences), truth("presences.ndjson"));
    assert_eq!(rows.text(Table::Visits), truth("visits.ndjson"));
    let trips = truth("trips.ndjson");
    for (row, truth) in rows.text(Table::Trips).lines().zip(trips.lines()) {
        assert_eq!(row, truth, "seed {}", options.seed);
    }
    assert_eq!(rows.text(Table::Trips), trips);
    trips
}

#[test]
fn a_replay_gives_the_truth() {
    for (seed, vehicles, fences, edits) in [(1, 12, 58, 0.0), (2, 8, 400, 0.5), (3, 3, 10, 1.0)] {
        let dir = tempfile::tempdir().unwrap();
        truth_of_trips(&Options {
            vehicles,
            fences,
            hours: 40.0,
            seed,
            out: dir.path().to_owned(),
            late: 0.1,
            duplicates: 0.05,
            edits,
            ..Options::default()
        });
    }
}

#[test]
fn trips_end_in_all_ways_at_any_hour() {
    let mut all = String::new();
    for seed in 10..16 {
        let dir = tempfile::tempdir().unwrap();
        all += &truth_of_trips(&Options {
            vehicles: 30,
            fences: 70,
            // To the morning, to noon, to the evening; from Saturday on, so that trucks rest.
            hours: 43.3 + 5.0 * seed as f64,
            seed,
            out: dir.path().to_owned(),
            start: DEFAULT_START.plus_ms(-48 * 3_600_000),
            late: 0.05,
            duplicates: 0.02,
            edits: if seed % 2 == 0 { 0.0 } else { 0.2 },
            ..Options::default()
        });
    }
    let wanted = TripPhase::ALL.map(|phase| format!("\"phase\":\"{}\"", phase.as_str()));
    let statuses = TripStatus::ALL.map(|status| format!("\"status\":\"{}\"", status.as_str()));
    let others = ["\"departure_unobserved\":true", "\"status\":\"completed\",\"status_by\":\"inferred\""];
    for wanted in wanted.iter().chain(&statuses).map(String::as_str).chain(others) {
        assert!(all.contains(wanted), "no {wanted}");
    }
    assert!(all.lines().any(|row| row.contains("\"phase\":\"done\"") && !row.contains("\"inferred\"")));
}
