//! Files of positions and records.

use super::{gzip, gzip_bomb, nested, zstd};
use crate::cli::process::{Ran, Replay, run};
use crate::common::circle;

const HEADER: &str = "vehicle_id,event_time,lon,lat\n";
/// The good records: a truck arrives in the yard, and leaves.
const ARRIVES: &str = "T1,2026-01-05T08:00:00Z,3.4,6.5\n";
const LEAVES: &str = "T1,2026-01-05T08:34:00Z,3.5,6.5\n";
const ARRIVES_JSON: &str =
    r#"{"type":"position","vehicle_id":"T1","event_time":"2026-01-05T08:00:00Z","lon":3.4,"lat":6.5}"#;
const LEAVES_JSON: &str =
    r#"{"type":"position","vehicle_id":"T1","event_time":"2026-01-05T08:34:00Z","lon":3.5,"lat":6.5}"#;
const VISIT: &str = "{\"vehicle_id\":\"T1\",\"fence_id\":\"yard\",\"arrived\":\"2026-01-05T08:00:00Z\",\
    \"departed\":\"2026-01-05T08:34:00Z\",\"confirmed_at\":\"2026-01-05T08:05:00Z\",\"presences\":1}\n";

fn yard() -> String {
    format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, circle("yard", 3.4, 6.5, 300.0))
}

/// Replays a file beside the yard; the good records' visit must be there, and nobody else's.
#[track_caller]
fn visited(name: &str, bytes: &[u8], code: i32, said: &[&str]) -> (Ran, Replay) {
    let replay = Replay::new().file("yard.geojson", yard()).file(name, bytes);
    let ran = replay.run(&[]);
    ran.assert(code, said);
    assert_eq!(replay.output("visits.ndjson"), VISIT, "{ran:#?}");
    (ran, replay)
}

/// A CSV row between the good ones is refused as line 3, for a reason.
#[track_caller]
fn bad_row(row: &[u8], reason: &str) {
    let bytes = [HEADER.as_bytes(), ARRIVES.as_bytes(), row, b"\n", LEAVES.as_bytes()].concat();
    let (ran, replay) = visited("p.csv", &bytes, 0, &["p.csv:3: ", reason, "4 records (1 bad lines)"]);
    let reject =
        "{\"seq\":3,\"vehicle_id\":null,\"event_time\":null,\"reason\":\"malformed\",\"used\":false}\n";
    assert_eq!(replay.output("rejects.ndjson"), reject);
    assert!(ran.err.len() < 2_000, "a reason is short, whatever the line: {} bytes", ran.err.len());
}

#[test]
fn rows_that_are_no_positions_are_refused_alone() {
    for (row, reason) in [
        ("T1,2026-01-05T08:10:00Z,NaN,6.5", "lon"),
        ("T1,2026-01-05T08:10:00Z,3.4,inf", "lat"),
        ("T1,2026-01-05T08:10:00Z,1e999,6.5", "lon"),
        ("T1,2026-01-05T08:10:00Z,-1e999,6.5", "lon"),
        ("T1,2026-01-05T08:10:00Z,0x3,6.5", "lon"),
        ("T1,2026-01-05T08:10:00Z,,6.5", "lon is empty"),
        ("T1,2026-01-05T08:10:00Z,3.4", "3 fields"),
        ("T1,2026-01-05T08:10:00Z,3.4,6.5,7", "5 fields"),
        (",2026-01-05T08:10:00Z,3.4,6.5", "vehicle_id is empty"),
        ("T1,yesterday,3.4,6.5", "event_time"),
        ("T1,2026-01-05T08:10:00,3.4,6.5", "zone"),
        ("T1,2026-02-30T08:10:00Z,3.4,6.5", "event_time"),
        ("T1,10000-01-01T00:00:00Z,3.4,6.5", "event_time"),
        ("T1,-001-01-01T00:00:00Z,3.4,6.5", "event_time"),
        ("T1,9999-12-31T23:59:59-23:59,3.4,6.5", "event_time"),
        ("\"T1,2026-01-05T08:10:00Z,3.4,6.5", "quoted"),
        ("{\"type\":\"position\"}", "1 fields"),
        ("\u{0}", "1 fields"),
    ] {
        bad_row(row.as_bytes(), reason);
    }
    bad_row(b"T\xff1,2026-01-05T08:10:00Z,3.4,6.5", "UTF-8");
    bad_row(&[b'x'; 10 << 20], "longer than");
    bad_row(nested(100_000).as_bytes(), "fields");
    bad_row([b','; 1 << 20].as_slice(), "fields");
    bad_row(format!("{},2026-01-05T08:10:00Z,3.4,6.5", "V".repeat(257)).as_bytes(), "vehicle_id");
}

#[test]
fn positions_out_of_this_world_are_rejects_with_a_reason() {
    for (row, event_time, reason) in [
        ("T2,2026-01-05T08:10:00Z,1e308,6.5", "2026-01-05T08:10:00Z", "out_of_range"),
        ("T2,2026-01-05T08:10:00Z,3.4,-90.0000001", "2026-01-05T08:10:00Z", "out_of_range"),
        ("T2,2026-01-05T08:10:00Z,1e-5,-1e-320", "2026-01-05T08:10:00Z", "null_island"),
        ("T2,0001-01-01T00:00:00Z,3.4,6.5", "0001-01-01T00:00:00Z", "out_of_range"),
        ("T2,9999-12-31T23:59:59.999Z,3.4,6.5", "9999-12-31T23:59:59.999Z", "out_of_range"),
        ("T2,1999-12-31T23:59:59Z,3.4,6.5", "1999-12-31T23:59:59Z", "out_of_range"),
        ("T2,2000-01-01T00:00:00Z,3.4,6.5", "2000-01-01T00:00:00Z", "too_late"),
    ] {
        let text = format!("{HEADER}{ARRIVES}{row}\n{LEAVES}");
        let (_, replay) =
            visited("p.csv", text.as_bytes(), 0, &["4 records (0 bad lines)", "up to 2026-01-05T08:34"]);
        assert_eq!(
            replay.output("rejects.ndjson"),
            format!(
                "{{\"seq\":3,\"vehicle_id\":\"T2\",\"event_time\":\"{event_time}\",\"reason\":\"{reason}\",\"used\":false}}\n"
            ),
            "{row}"
        );
    }
}

#[test]
fn optional_values_that_cannot_be_read_cost_only_themselves() {
    let header = "vehicle_id,event_time,lon,lat,speed_kmh,heading,ignition,accuracy_m,received_time\n";
    for optional in [
        "NaN,,,,",
        "1e999,,,,",
        "301,,,,",
        "-1,,,,",
        ",x,,,",
        ",,perhaps,,",
        ",,,1e999,",
        ",,,,yesterday",
        "x,x,x,x,x",
    ] {
        let rows =
            format!("T1,2026-01-05T08:00:00Z,3.4,6.5,{optional}\nT1,2026-01-05T08:34:00Z,3.5,6.5,,,,,\n");
        let (_, replay) = visited("p.csv", format!("{header}{rows}").as_bytes(), 0, &["(0 bad lines)"]);
        let reject = r#"{"seq":2,"vehicle_id":"T1","event_time":"2026-01-05T08:00:00Z","reason":"bad_value","used":true}"#;
        assert_eq!(replay.output("rejects.ndjson"), format!("{reject}\n"), "{optional}");
    }
}

#[test]
fn records_that_are_none_are_refused_alone() {
    let position = |vehicle: &str, lon: &str| {
        format!(
            r#"{{"type":"position","vehicle_id":{vehicle},"event_time":"2026-01-05T08:10:00Z","lon":{lon},"lat":6.5}}"#
        )
    };
    let id = |id: String| position(&format!("\"{id}\""), "3.4");
    let deep = nested(100_000);
    for (line, reason) in [
        ("x".to_owned(), "JSON"),
        ("[]".to_owned(), "JSON object"),
        ("{}".to_owned(), "type"),
        ("{\"type\":7}".to_owned(), "type"),
        ("{\"type\":\"teapot\"}".to_owned(), "teapot"),
        ("{\"type\":\"clock\"}".to_owned(), "received_time"),
        (position("\"T1\"", "NaN"), "JSON"),
        (position("\"T1\"", "1e999"), "lon"),
        (position("\"T1\"", "\"3.4\""), "lon"),
        (position("\"T1\"", "null"), "lon"),
        (position("\"T1\"", "[3.4]"), "lon"),
        (position("7", "3.4"), "vehicle_id"),
        (id(String::new()), "vehicle_id"),
        (id("V".repeat(257)), "vehicle_id"),
        (id("V".repeat(2 << 20)), "longer than"),
        (deep.clone(), "JSON"),
        (position("\"T1\"", &deep), "JSON"),
        (format!("{{\"a\":{}", "{\"a\":".repeat(100_000)), "JSON"),
        (
            format!(
                r#"{{"type":"vehicle","op":"upsert","vehicle":{{"id":"T1","x":{deep}{}}}}}"#,
                "]".repeat(100_000)
            ),
            "",
        ),
        (r#"{"type":"fence","op":"upsert","feature":null}"#.to_owned(), "feature"),
        (r#"{"type":"fence","op":"delete"}"#.to_owned(), "id"),
        (r#"{"type":"fence","op":"delete","id":"yard","at":"noon"}"#.to_owned(), "at"),
        (r#"{"type":"settings","values":{"visits.min_dwell_s":1e999}}"#.to_owned(), "min_dwell_s"),
        (r#"{"type":"settings","values":{"visits.nonsense":1}}"#.to_owned(), "nonsense"),
        (format!("{ARRIVES_JSON}{LEAVES_JSON}"), "JSON"),
    ] {
        let shown: String = line.chars().take(90).collect();
        let text = format!("{ARRIVES_JSON}\n\n{line}\n{LEAVES_JSON}\n");
        // Blank lines count as lines, not as records.
        let (ran, replay) =
            visited("r.ndjson", text.as_bytes(), 0, &["r.ndjson:3: ", reason, "(1 bad lines)"]);
        assert!(replay.output("rejects.ndjson").starts_with("{\"seq\":3,\"vehicle_id\":null"), "{shown}");
        assert!(ran.err.len() < 2_000, "{shown}: a reason of {} bytes", ran.err.len());
    }
}

#[test]
fn ids_may_be_strange() {
    let long = "é".repeat(128);
    for (id, written) in [
        ("T\\u0000\\u001f\\n1", "T\\u0000\\u001f\\n1"),
        ("\\ud83d\\ude9a", "🚚"),
        ("../../etc/passwd", "../../etc/passwd"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("\\u202e\\ufeff ", "\u{202e}\u{feff} "),
        (long.as_str(), long.as_str()),
    ] {
        let text = format!("{ARRIVES_JSON}\n{LEAVES_JSON}\n").replace("T1", id);
        let replay = Replay::new().file("yard.geojson", yard()).file("r.ndjson", text);
        replay.run(&["--changes"]).assert(0, &["(0 bad lines)"]);
        assert_eq!(replay.output("visits.ndjson"), VISIT.replace("T1", written));
    }
}

#[test]
fn headers_decide_whether_a_table_can_be_used() {
    let good = |header: &str| format!("{header}{ARRIVES}{LEAVES}");
    for (text, code, said) in [
        (String::new(), 2, "empty"),
        ("\n\n".to_owned(), 2, "empty"),
        ("\u{feff}".to_owned(), 2, "empty"),
        (good("vehicle_id,event_time,lon\n"), 2, "lacks the column lat"),
        (good("vehicle_id,lon,lon,lat\n"), 2, "lon is named twice"),
        (good("VEHICLE_ID,event_time,lon,lat\n"), 2, "vehicle_id"),
        (good(""), 2, "lacks the column"),
        (good("\"vehicle_id,event_time,lon,lat\n"), 2, "quoted"),
        ("x".repeat(2 << 20), 2, "longer than"),
        (HEADER.to_owned(), 0, "0 records"),
        (HEADER.trim_end().to_owned(), 0, "0 records"),
    ] {
        let ran = Replay::new().file("p.csv", &text).run(&[]);
        ran.assert(code, &[said, if code == 2 { "p.csv" } else { "" }]);
    }
    let doubled = "vehicle_id,event_time,lon,lat,heading,heading\n";
    let rows = format!("{ARRIVES}{LEAVES}").replace('\n', ",1,2\n");
    visited("p.csv", format!("{doubled}{rows}").as_bytes(), 0, &["warning: ", "heading is named twice"]);
    let shuffled = "lat,note,lon,vehicle_id,event_time\n6.5,\"a, \"\"b\"\"\",3.4,T1,2026-01-05T08:00:00Z\n\
        6.5,,3.5,\"T1\",2026-01-05T08:34:00Z";
    visited("p.csv", shuffled.as_bytes(), 0, &["(0 bad lines)"]);
    let windows = format!("\u{feff}{HEADER}{ARRIVES}{LEAVES}").replace('\n', "\r\n");
    visited("p.csv", windows.as_bytes(), 0, &["3 records (0 bad lines)"]);
    let windows = format!("\u{feff}{ARRIVES_JSON}\r\n\r\n{LEAVES_JSON}\r\n");
    visited("r.jsonl", windows.as_bytes(), 0, &["3 records (0 bad lines)"]);
}

#[test]
fn files_that_cannot_be_used_are_exit_2_before_anything_is_done() {
    let dir = tempfile::TempDir::new().expect("a folder");
    let path = |name: &str| dir.path().join(name).into_os_string().into_string().expect("a path in UTF-8");
    std::fs::create_dir(path("folder.csv")).expect("a folder");
    for (name, bytes) in [
        ("good.csv", format!("{HEADER}{ARRIVES}").into_bytes()),
        ("what.xlsx", b"x".to_vec()),
        ("noname", b"x".to_vec()),
        ("garbage.csv.gz", b"this is no gzip".to_vec()),
        ("garbage.ndjson.zst", b"this is no zstd".to_vec()),
        ("empty.csv.gz", Vec::new()),
        ("list.geojson", b"[]".to_vec()),
        ("feature.geojson", circle("yard", 3.4, 6.5, 300.0).into_bytes()),
        ("empty.geojson", Vec::new()),
        ("deep.geojson", nested(100_000).into_bytes()),
    ] {
        std::fs::write(path(name), bytes).expect("a file");
    }
    let out = path("out");
    for name in [
        "folder.csv",
        "nowhere.csv",
        "what.xlsx",
        "noname",
        "garbage.csv.gz",
        "empty.csv.gz",
        "list.geojson",
        "feature.geojson",
        "empty.geojson",
        "deep.geojson",
    ] {
        let ran = run(["replay", &path("good.csv"), &path(name), "--out", &out]);
        ran.assert(2, &[name]);
    }
    // What shows only when it is read comes after its beginning was opened.
    let late = run(["replay", &path("garbage.ndjson.zst"), "--out", &out]);
    assert!(late.code != 0 && late.err.contains("garbage.ndjson.zst"), "{late:?}");
    run(["replay", &path("good.csv"), "--out", &path("good.csv")]).assert(1, &["good.csv"]);
}

#[test]
fn a_packed_file_that_is_cut_short_counts_as_far_as_it_goes() {
    let mut rows = format!("{HEADER}{ARRIVES}{LEAVES}");
    let mut noise = 1_u64;
    while rows.len() < 400_000 {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        rows.push_str(&format!(
            "T{},2026-01-05T08:40:00Z,5.{},7.{}\n",
            noise % 997,
            noise >> 40,
            noise >> 44
        ));
    }
    for (name, packed) in [("p.csv.gz", gzip(rows.as_bytes())), ("p.csv.zst", zstd(rows.as_bytes()))] {
        visited(name, &packed, 0, &["(0 bad lines)"]);
        for kept in [packed.len() / 2, packed.len() - 1] {
            let (ran, _) = visited(name, &packed[..kept], 1, &[name, "cut short"]);
            assert!(ran.err.contains("(0 bad lines)"), "the line that was cut is no record: {ran:?}");
        }
        run_cut_at_its_beginning(name, &packed[..12]);
        let mut bent = packed.clone();
        let middle = bent.len() / 2;
        bent[middle..middle + 8].iter_mut().for_each(|byte| *byte ^= 0x5a);
        let ran = Replay::new().file(name, &bent).run(&[]);
        // In blocks that are not packed, damage is nothing but other text.
        assert!(ran.code == 1 || name.ends_with("zst"), "{ran:?}");
    }
}

fn run_cut_at_its_beginning(name: &str, bytes: &[u8]) {
    let ran = Replay::new().file(name, bytes).run(&[]);
    assert!(ran.code != 0 && ran.err.contains(name), "{ran:?}");
}

#[test]
fn little_that_unpacks_to_much_costs_no_memory() {
    for (name, byte) in
        [("p.csv.gz", b'x'), ("r.ndjson.gz", b'['), ("p.csv.gz", b'\n'), ("r.ndjson.gz", b' ')]
    {
        let start = if name.starts_with('p') {
            format!("{HEADER}{ARRIVES}{LEAVES}")
        } else {
            format!("{ARRIVES_JSON}\n{LEAVES_JSON}\n")
        };
        let packed = [gzip(start.as_bytes()), gzip_bomb(byte, 320)].concat();
        let bad = if byte == b'\n' || byte == b' ' { 0 } else { 1 };
        let said = if byte == b' ' { "bad lines" } else { &format!("({bad} bad lines)") };
        visited(name, &packed, 0, &[said]);
    }
}

#[test]
fn the_same_record_a_thousand_times_is_one() {
    let text = format!("{HEADER}{}{}", ARRIVES.repeat(1_500), LEAVES.repeat(1_500));
    let (_, replay) = visited("p.csv", text.as_bytes(), 0, &["3001 records (0 bad lines)"]);
    assert_eq!(replay.output("rejects.ndjson"), "");
}
