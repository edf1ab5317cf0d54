//! `replay --changes`: the changelog sums to the tables, and holds its promises at every tick.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use model::TimeMs;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::process::{Replay, run};
use crate::common::{OTHERS, TABLES};

#[derive(Deserialize)]
struct Line<'a> {
    tick: u64,
    instant: &'a str,
    table: &'a str,
    diff: i64,
    #[serde(borrow)]
    row: &'a RawValue,
}

/// A key that sorts as the contract wants it: text by bytes, times as times.
type Key = (String, String, i64);

fn key(table: &str, row: &str) -> Key {
    let row: Value = serde_json::from_str(row).expect("a row");
    let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("{row} has no {name}")).to_owned();
    let time = |name: &str| TimeMs::parse_rfc3339(&text(name)).expect("a time").0;
    match table {
        "presences" => (text("vehicle_id"), text("fence_id"), time("entered")),
        "visits" => (text("vehicle_id"), text("fence_id"), time("arrived")),
        "alerts" => (text("alert_id"), String::new(), 0),
        "etas" | "trips" => (text("trip_id"), String::new(), 0),
        "kpis" => {
            // No id here sorts before what separates them.
            let span = text("span");
            let start = if ["day", "week"].contains(&span.as_str()) { time("start") } else { 0 };
            let of = format!("{}\0{}\0{}", text("slice"), text("slice_id"), text("metric"));
            (format!("{span}\0{start:020}\0{of}"), String::new(), 0)
        }
        _ => (String::new(), String::new(), row["seq"].as_i64().expect("a seq")),
    }
}

fn check(replay: &Replay) -> usize {
    let text = replay.output("changes.ndjson");
    let mut rows: BTreeMap<(&str, Key), &str> = BTreeMap::new();
    let (mut tick, mut instant, mut last) = (0, TimeMs(i64::MIN), None);
    let mut went: BTreeSet<(&str, Key)> = BTreeSet::new();
    for line in text.lines() {
        let change: Line<'_> = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        let at = TimeMs::parse_rfc3339(change.instant).expect("an instant");
        assert!(change.tick >= tick && at >= instant, "ticks and instants go up: {line}");
        assert!(change.tick == tick || change.tick > tick && at >= instant);
        assert!(change.tick != tick || at == instant, "a tick has one instant: {line}");
        let key = (change.table, key(change.table, change.row.get()));
        let place = (key.0, key.1.clone(), change.diff);
        if change.tick == tick {
            assert!(last.as_ref() < Some(&place), "by table, key, -1 before +1: {line}");
        } else {
            went.clear();
        }
        (tick, instant, last) = (change.tick, at, Some(place));
        match change.diff {
            1 => {
                // -1 comes before +1, so a key that has a row already has two at the tick's end.
                assert!(rows.insert(key, change.row.get()).is_none(), "a second row of a key: {line}");
            }
            -1 => {
                assert!(went.insert(key.clone()), "a key goes twice in a tick: {line}");
                assert_eq!(rows.remove(&key), Some(change.row.get()), "what goes has come: {line}");
            }
            _ => panic!("a row comes or goes once: {line}"),
        }
    }
    for table in TABLES.into_iter().chain(OTHERS) {
        let of_table = rows.iter().filter(|((name, _), _)| *name == table);
        let summed: String = of_table.map(|(_, row)| format!("{row}\n")).collect();
        assert!(summed == replay.output(&format!("{table}.ndjson")), "{table} is not the sum of its changes");
    }
    text.lines().count()
}

#[test]
fn changes_sum_to_the_tables_at_every_tick() {
    let mut replay = Replay::new();
    let dir = replay.dir.path().to_owned();
    let out = dir.to_str().expect("a path in UTF-8");
    let size = ["--vehicles", "6", "--fences", "60", "--hours", "48", "--seed", "11", "--out", out];
    let hard = ["--noise", "--late", "0.3", "--duplicates", "0.1", "--edits", "0.5"];
    run(["simulate"].into_iter().chain(size).chain(hard)).assert(0, &[]);
    let records = fs::read_to_string(dir.join("records.ndjson")).expect("records");
    // Settings change on the way, and back, and bad lines are among the records.
    let mut lines: Vec<String> = records.lines().map(str::to_owned).collect();
    let setting = |name: &str, value: f64| format!(r#"{{"type":"settings","values":{{"{name}":{value}}}}}"#);
    let third = lines.len() / 3;
    lines.insert(2 * third, setting("visits.min_dwell_s", 300.0));
    lines.insert(2 * third, setting("cleaning.max_speed_kmh", 200.0));
    lines.insert(2 * third, "no record".to_owned());
    lines.insert(third, setting("cleaning.max_speed_kmh", 40.0));
    lines.insert(third, setting("visits.min_dwell_s", 1200.0));
    lines.push(setting("presence.exit_buffer_m", 0.0));
    replay = replay.file("hard.ndjson", lines.join("\n"));
    let mut counts = Vec::new();
    for workers in ["1", "3"] {
        replay.run(&["--changes", "--workers", workers]).assert(0, &["(1 bad lines)"]);
        counts.push(check(&replay));
    }
    assert!(counts[0] > 200 && counts[0] == counts[1], "{counts:?}");

    // A prefix of the input gives a prefix of the changelog: no tick that is closed is taken back.
    let whole = replay.output("changes.ndjson");
    let mut prefix = Replay::new();
    prefix = prefix.file("hard.ndjson", lines[..2000].join("\n"));
    prefix.run(&["--changes"]).assert(0, &[]);
    check(&prefix);
    let changes = prefix.output("changes.ndjson");
    assert!(!changes.is_empty() && whole.starts_with(&changes), "two ticks are not the first two");
}
