//! What `simulate` knows must come of its records is what `replay` makes of them, byte for byte.

use std::fs;
use std::path::Path;

use super::process::{Replay, run};

/// Writes a simulated fleet with everything that makes replay hard.
fn simulate(out: &Path, seed: u64, extra: &[&str]) {
    let (seed, out) = (seed.to_string(), out.to_str().expect("a path in UTF-8"));
    let size =
        ["simulate", "--vehicles", "8", "--fences", "60", "--hours", "30", "--seed", &seed, "--out", out];
    run(size.into_iter().chain(extra.iter().copied())).assert(0, &["truth: "]);
}

fn truth(dir: &Path, table: &str) -> String {
    let text = fs::read_to_string(dir.join("truth").join(table)).expect("the truth");
    assert!(text.lines().count() >= 5, "{table}: too little to be worth comparing: {text}");
    text
}

#[track_caller]
fn assert_true(replay: &Replay, dir: &Path, what: &str) {
    for table in ["presences.ndjson", "visits.ndjson"] {
        assert!(replay.output(table) == truth(dir, table), "{what}: {table} is not the truth");
    }
    assert_eq!(replay.output("rejects.ndjson"), "", "{what}");
}

/// As [`assert_true`], where the trips' plans were replayed too.
#[track_caller]
fn assert_true_of_trips(replay: &Replay, dir: &Path, what: &str) {
    for table in ["trips.ndjson", "alerts.ndjson"] {
        let truth = fs::read_to_string(dir.join("truth").join(table)).expect("the truth");
        assert!(!truth.is_empty(), "{what}: nothing in {table}");
        assert!(replay.output(table) == truth, "{what}: {table} is not the truth");
    }
}

#[test]
fn a_replay_gives_the_truth_with_any_number_of_workers() {
    for seed in [1, 2, 3] {
        let mut replay = Replay::new();
        let dir = replay.dir.path().to_owned();
        simulate(&dir, seed, &["--late", "0.2", "--duplicates", "0.1", "--edits", "0.3"]);
        replay.files = vec![dir.join("records.ndjson")];
        let mut changes = Vec::new();
        for workers in ["1", "2", "4"] {
            replay.run(&["--workers", workers, "--changes", "--strict"]).assert(0, &["(0 bad lines)"]);
            let what = format!("seed {seed}, {workers} workers");
            assert_true(&replay, &dir, &what);
            assert_true_of_trips(&replay, &dir, &what);
            changes.push(replay.output("changes.ndjson"));
        }
        assert!(changes.iter().all(|c| *c == changes[0]), "seed {seed}: workers change the changelog");
    }
}

#[test]
fn records_may_be_split_over_files_and_packed() {
    let mut replay = Replay::new();
    let dir = replay.dir.path().to_owned();
    simulate(&dir, 4, &["--late", "0.2", "--edits", "0.3"]);
    let records = fs::read_to_string(dir.join("records.ndjson")).expect("the records");
    let lines: Vec<&str> = records.lines().collect();
    for (i, part) in lines.chunks(lines.len() / 3).enumerate() {
        let mut text = part.join("\n");
        if i % 2 == 0 {
            text.push('\n');
        }
        replay = replay.file(&format!("part{i}.ndjson"), text);
    }
    assert!(replay.files.len() >= 3);
    replay.run(&["--changes"]).assert(0, &["(0 bad lines)"]);
    assert_true(&replay, &dir, "in parts");
    assert_true_of_trips(&replay, &dir, "in parts");
    let in_parts = replay.output("changes.ndjson");

    let packed = crate::hostile::gzip(records.as_bytes());
    let packed = Replay::new().file("records.ndjson.gz", packed);
    packed.run(&["--changes"]).assert(0, &["(0 bad lines)"]);
    assert_true(&packed, &dir, "packed");
    assert!(packed.output("changes.ndjson") == in_parts, "the changelog is of records, not of files");
}

#[test]
fn tables_and_records_say_the_same() {
    let mut replay = Replay::new();
    let dir = replay.dir.path().to_owned();
    simulate(&dir, 5, &["--late", "0.2", "--duplicates", "0.1"]);
    // The positions bring their received times, so late ones are as late as in the records.
    replay.files = vec![dir.join("positions.csv"), dir.join("fences.geojson")];
    replay.run(&[]).assert(0, &["(0 bad lines)"]);
    assert_true(&replay, &dir, "positions.csv and fences.geojson");
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let (first, second, other) = (Replay::new(), Replay::new(), Replay::new());
    for (replay, seed) in [(&first, 6), (&second, 6), (&other, 7)] {
        simulate(replay.dir.path(), seed, &["--noise", "--late", "0.1"]);
    }
    let records = |replay: &Replay| fs::read(replay.dir.path().join("records.ndjson")).expect("records");
    assert!(records(&first) == records(&second) && records(&first) != records(&other));
}
