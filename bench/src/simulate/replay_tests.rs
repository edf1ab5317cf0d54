//! Holds a replay against the simulator's truth: the whole way of records through files, decoding and graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use model::{ClosedTick, GraphSettings, Table, TimeMs, TripPhase, TripStatus};
use pipeline::{BadLine, Follower, ReplayOptions, replay};

use super::{DEFAULT_START, Options, run_seen_at};

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

/// What `truth/kpis.ndjson` tells: nothing of fixes, of trucks, of schedules, and of what moves along.
fn is_told(row: &str) -> bool {
    let row: serde_json::Value = serde_json::from_str(row).unwrap();
    let of_schedules = ["trips_delayed", "on_time_departure_bp", "on_time_arrival_bp"];
    let of_fixes = ["distance_m", "moving_s", "idle_s", "stopped_s", "offline_s", "utilization_bp"];
    let is_of_those = of_schedules.iter().chain(&of_fixes).any(|metric| row["metric"] == *metric);
    row["span"] == "day" && row["slice"] != "truck" && !is_of_those
}

/// What was told of trips, alerts and days.
#[derive(Default)]
struct Told {
    trips: String,
    alerts: String,
    kpis: String,
}

const HOUR_MS: i64 = 3_600_000;

/// Simulates, replays, compares; gives back the truth. `later`: as seen at the next full hour, at which all KPIs move.
/// What comes behind the last minute that is reached, they do not show yet.
fn replayed_truth(options: &Options, later: bool) -> Told {
    let mut clock = None;
    let seen_at = |last: TimeMs| {
        clock = later.then_some(TimeMs((last.0.div_euclid(HOUR_MS) + 1) * HOUR_MS));
        clock.unwrap_or(last)
    };
    let summary = run_seen_at(options, seen_at, &|_, _| {}).unwrap();
    let replayed = ReplayOptions {
        files: vec![options.out.join("records.ndjson")],
        settings: GraphSettings::default(),
        pinned: BTreeSet::new(),
        clock,
        workers: 1,
        strict: true,
    };
    let mut rows = Rows::default();
    assert_eq!(replay(&replayed, &mut rows).unwrap().records, summary.records + u64::from(later));
    let truth = |name: &str| fs::read_to_string(options.out.join("truth").join(name)).unwrap();
    let same = |rows: &str, truth: &str| {
        for (row, truth) in rows.lines().zip(truth.lines()) {
            assert_eq!(row, truth, "seed {}", options.seed);
        }
        assert_eq!(rows.lines().count(), truth.lines().count(), "seed {}", options.seed);
    };
    assert_eq!(rows.text(Table::Rejects), "");
    let told =
        Told { trips: truth("trips.ndjson"), alerts: truth("alerts.ndjson"), kpis: truth("kpis.ndjson") };
    same(&rows.text(Table::Presences), &truth("presences.ndjson"));
    same(&rows.text(Table::Visits), &truth("visits.ndjson"));
    same(&rows.text(Table::Trips), &told.trips);
    same(&rows.text(Table::Alerts), &told.alerts);
    if later {
        let kpis = rows.text(Table::Kpis);
        let kpis: String = kpis.lines().filter(|row| is_told(row)).map(|row| format!("{row}\n")).collect();
        same(&kpis, &told.kpis);
    }
    told
}

#[test]
fn a_replay_gives_the_truth() {
    for (seed, vehicles, fences, edits) in [(1, 12, 58, 0.0), (2, 8, 400, 0.5), (3, 3, 10, 1.0)] {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            vehicles,
            fences,
            hours: 40.0,
            seed,
            out: dir.path().to_owned(),
            late: 0.1,
            duplicates: 0.05,
            edits,
            ..Options::default()
        };
        replayed_truth(&options, seed == 1);
    }
}

#[test]
fn trips_end_in_all_ways_at_any_hour() {
    let mut all = Told::default();
    for seed in 10..16 {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
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
        };
        let told = replayed_truth(&options, seed % 3 != 0);
        all.trips += &told.trips;
        all.alerts += &told.alerts;
        all.kpis += &told.kpis;
    }
    let wanted = TripPhase::ALL.map(|phase| format!("\"phase\":\"{}\"", phase.as_str()));
    let statuses = TripStatus::ALL.map(|status| format!("\"status\":\"{}\"", status.as_str()));
    let others = ["\"departure_unobserved\":true", "\"status\":\"completed\",\"status_by\":\"inferred\""];
    for wanted in wanted.iter().chain(&statuses).map(String::as_str).chain(others) {
        assert!(all.trips.contains(wanted), "no {wanted}");
    }
    let kinds = ["overspeed", "device_offline", "trip_delay", "geofence_entry", "geofence_exit"];
    for kind in kinds {
        assert!(all.alerts.contains(&format!("\"kind\":\"{kind}\"")), "no {kind}");
    }
    for details in ["\"severity\":\"critical\"", "\"of\":\"departure\"", "\"of\":\"arrival\""] {
        assert!(all.alerts.contains(details), "no {details}");
    }
    for metric in ["trips_failed", "trips_cancelled", "tat_p50_s", "dwell_p90_s", "alerts:trip_delay"] {
        assert!(all.kpis.contains(&format!("\"metric\":\"{metric}\"")), "no {metric}");
    }
    assert!(all.kpis.contains("\"final\":true") && all.kpis.contains("\"final\":false"));
    assert!(all.trips.lines().any(|row| row.contains("\"phase\":\"done\"") && !row.contains("\"inferred\"")));
}
