//! Data folders of earlier releases, kept in `tests/data-folders/`: this release starts on them, has every record and
//! every row, and goes on.
//!
//! Each release keeps one of its own: `WATCHTOWER_KEEP_DATA_FOLDER=1 cargo test --test it upgrade::` makes it anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use model::TimeMs;

use crate::common::{
    Client, NO_HEARTBEAT, Service, assert_same_lines, changes_until, export, fix, moves_by_marks, now_ms,
    replay, rows_in, rows_of_changes, rows_of_replay, succeed, tick_of, verify, watchtower,
};

const HOUR_MS: i64 = 3_600_000;
/// With it, the folder of this release is made anew.
const KEEP_VARIABLE: &str = "WATCHTOWER_KEEP_DATA_FOLDER";
/// What a folder is packed as, and what its tables are.
const FOLDER: &str = "folder.tar.zst";
const EXPECTED: &str = "expected.tar.zst";
/// The last tick of the folder, beside its tables.
const TICK: &str = "tick";
/// What a folder is from this release alone: another one computes its graph in another way.
const FOREIGN_RELEASE: &str = "a release of another graph";
const COMPRESSION: i32 = 19;

fn folders() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data-folders")
}

fn folder_of_this_release() -> PathBuf {
    folders().join(env!("CARGO_PKG_VERSION"))
}

/// Packs a folder into a file; sockets and locks are of no use to others.
fn pack(folder: &Path, file: &Path) {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--exclude=*.sock", "-cf", "-", "-C"]).arg(folder);
    let packed = zstd::encode_all(&succeed(tar.arg(".")).stdout[..], COMPRESSION).expect("it can be packed");
    fs::write(file, packed).expect("the file can be written");
}

fn unpack(file: &Path, folder: &Path) {
    fs::create_dir_all(folder).expect("a folder");
    let packed = fs::read(file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let plain = zstd::decode_all(&packed[..]).expect("it can be unpacked");
    let mut tar = Command::new("tar");
    let mut child = tar.args(["-xf", "-", "-C"]).arg(folder).stdin(Stdio::piped()).spawn().expect("tar");
    std::io::Write::write_all(&mut child.stdin.take().expect("a pipe"), &plain).expect("tar reads it");
    assert!(child.wait().expect("tar").success());
}

#[test]
fn folders_of_earlier_releases_are_read_and_go_on() {
    if std::env::var_os(KEEP_VARIABLE).is_some() {
        make_the_folder_of_this_release();
    }
    let kept =
        fs::read_dir(folders()).expect("folders are kept").map(|entry| entry.expect("a folder").path());
    let kept: Vec<PathBuf> = kept.collect();
    assert!(kept.contains(&folder_of_this_release()), "set {KEEP_VARIABLE} to keep one of this release");
    for folder in kept {
        println!("{}", folder.display());
        start_on(&folder);
    }
}

fn start_on(kept: &Path) {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, expected) = (dir.path().join("data"), dir.path().join("expected"));
    unpack(&kept.join(FOLDER), &data);
    unpack(&kept.join(EXPECTED), &expected);
    let tick = fs::read_to_string(expected.join(TICK)).expect("a tick").trim().parse().expect("a number");
    let expected = rows_in(&expected);

    // At rest.
    verify(&data);
    let exported = export(&data);
    for (table, rows) in rows_of_replay(&exported) {
        assert_same_lines("the replay of the export", &rows, &format!("of {table}"), &expected[table]);
    }

    // In use. The folder is of long ago, and its changes and dead letters are to be there all the same.
    let keep = ["changes.keep_days=36500", "dead_letters.keep_days=36500"].map(|set| ["--set", set]);
    let args = [&NO_HEARTBEAT[..], &["--accept-clock"], &keep.concat()].concat();
    let mut service = Service::start(&data, &args);
    let said = service.said();
    assert!(said.contains("a snapshot is left out: it was written by another release"), "{said}");
    let changes = rows_of_changes(&changes_until(service.address(), "0-0", tick));
    for (table, rows) in changes.iter().filter(|(table, _)| !moves_by_marks(table)) {
        assert_same_lines("the sum of the changes", rows, &format!("of {table}"), &expected[table]);
    }
    let listed = succeed(watchtower().args(["dead-letters", "list", "--data"]).arg(&data)).stdout;
    let listed = String::from_utf8(listed).expect("text");
    assert!(listed.contains("\n2 kept"), "{listed}");

    let mut client = service.client();
    let records: Vec<String> =
        (0..20).map(|i| fix("new", now_ms() - HOUR_MS + i * 60_000, 3.4, 6.5)).collect();
    let answer = client.post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
    let tick = tick_of(&answer, records.len());
    verify(&data);
    let again = export(&data);
    // All but the clock at the end.
    let before =
        exported.split_inclusive(|byte| *byte == b'\n').rev().skip(1).map(<[u8]>::len).sum::<usize>();
    assert_eq!(again[..before], exported[..before], "what the folder had is there as it was");
    service.tables(tick).assert_same("the service", &replay(&again), "the replay of its export");
    service.stop();
    verify(&data);
}

/// Posts lines, some hundreds at once; tells the last tick.
fn post_all(client: &mut Client, lines: &[&str]) -> u64 {
    let mut ticks = lines.chunks(300).map(|lines| {
        tick_of(&client.post("/api/v1/records", lines.join("\n").as_bytes()).expect("an answer"), lines.len())
    });
    let first = ticks.next().expect("some lines");
    ticks.last().unwrap_or(first)
}

/// Makes `tests/data-folders/VERSION/` of this release: fences and their edits, trips, alerts, late fixes, a backfill,
/// dead letters, and a snapshot that no later release can use.
fn make_the_folder_of_this_release() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, fleet, expected) =
        (dir.path().join("data"), dir.path().join("fleet"), dir.path().join("expected"));
    let now_ms = now_ms();
    let start = TimeMs((now_ms - 28 * HOUR_MS) / 60_000 * 60_000).to_string();
    let mut simulate = watchtower();
    simulate.args(["simulate", "--vehicles", "2", "--fences", "16", "--hours", "27", "--seed", "5"]);
    simulate.args(["--late", "0.1", "--duplicates", "0.05", "--edits", "0.3", "--start", &start, "--out"]);
    succeed(simulate.arg(&fleet));
    let records = fs::read_to_string(fleet.join("records.ndjson")).expect("records");
    let lines: Vec<&str> = records.lines().filter(|line| !line.contains(r#""type":"clock""#)).collect();

    let mut service = Service::start(&data, &[]);
    let mut client = service.client();
    post_all(&mut client, &lines);
    // One is good, two are dead letters.
    let mixed = format!("{}\nno record\n{{\"type\":\"position\"}}", fix("T-late", now_ms - 60_000, 3.4, 6.5));
    let answer = client.post("/api/v1/records", mixed.as_bytes()).expect("an answer");
    assert_eq!(answer.json()["refused"], 2, "{}", answer.text());
    let alerts = client.get("/api/v1/alerts?limit=1").expect("an answer").json();
    let trips = client.get("/api/v1/trips?limit=1").expect("an answer").json();
    let (alert, trip) = (&alerts["items"][0]["alert_id"], &trips["items"][0]["trip_id"]);
    assert!(alert.is_string() && trip.is_string(), "{alerts} {trips}");
    let and_more = [
        // A reject.
        fix("T-null", now_ms - 60_000, 0.0, 0.0),
        format!(r#"{{"type":"acknowledge","alert_id":{alert},"by":"ana"}}"#),
        format!(r#"{{"type":"trip","op":"set_status","id":{trip},"status":"completed","by":"ana"}}"#),
    ];
    post_all(&mut client, &and_more.each_ref().map(String::as_str));
    let to = TimeMs(now_ms - 24 * HOUR_MS).to_string();
    succeed(watchtower().args(["backfill", "--from", &start, "--to", &to, "--data"]).arg(&data));
    succeed(watchtower().args(["snapshots", "take", "--data"]).arg(&data));
    let tick = client.get("/readyz").expect("an answer").json()["tick"].as_u64().expect("a tick");
    let changes = rows_of_changes(&changes_until(service.address(), "0-0", tick));
    assert!(
        ["presences", "visits", "trips", "alerts", "rejects"].iter().all(|table| !changes[table].is_empty())
    );
    service.stop();

    for snapshot in fs::read_dir(data.join("snapshots")).expect("snapshots") {
        make_foreign(&snapshot.expect("a snapshot").path().join("manifest.json"));
    }
    verify(&data);
    let exported = export(&data);
    let file = dir.path().join("export.ndjson");
    fs::write(&file, &exported).expect("the export can be kept");
    succeed(watchtower().arg("replay").arg(&file).arg("--out").arg(&expected));
    fs::write(expected.join(TICK), last_tick(&data).to_string()).expect("the tick can be kept");
    let kept = folder_of_this_release();
    fs::create_dir_all(&kept).expect("a folder");
    pack(&data, &kept.join(FOLDER));
    pack(&expected, &kept.join(EXPECTED));
}

/// Gives a snapshot the look of one of another release, which is what it is to all later ones.
fn make_foreign(manifest: &Path) {
    let text = fs::read_to_string(manifest).expect("a manifest");
    let mut json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    json["release"] = FOREIGN_RELEASE.into();
    fs::write(manifest, json.to_string()).expect("the manifest can be written");
}

/// The last tick of a folder at rest.
fn last_tick(data: &Path) -> u64 {
    let report = succeed(watchtower().args(["verify", "--data"]).arg(data)).stdout;
    let report = String::from_utf8(report).expect("text");
    let tick = report.split("up to tick ").nth(1).unwrap_or_else(|| panic!("no tick in {report}"));
    let digits: String = tick.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("no tick in {report}"))
}
