use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use model::{BadFields, Record};
use proptest::prelude::*;
use tempfile::TempDir;

use super::{FileError, FileInput, MAX_LINE_BYTES};
use crate::testing::{Gather, Got, gzip};

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn read_path(path: &Path) -> (Gather, Result<(), FileError>) {
    let mut gather = Gather::default();
    let mut input = match FileInput::open(path) {
        Ok(input) => input,
        Err(error) => return (gather, Err(error)),
    };
    loop {
        match input.read(7, &mut gather) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => return (gather, Err(error)),
        }
    }
    assert!(!input.read(1, &mut gather).unwrap(), "the end stays the end");
    assert_eq!(input.bytes_read(), input.size_bytes());
    (gather, Ok(()))
}

fn read(name: &str, bytes: &[u8]) -> (Gather, Result<(), FileError>) {
    let folder = TempDir::new().unwrap();
    read_path(&write(&folder, name, bytes))
}

fn good(name: &str, text: &str) -> Gather {
    let (gather, result) = read(name, text.as_bytes());
    assert!(result.is_ok(), "{result:?}");
    gather
}

/// The exit status and the text of the error.
fn error(name: &str, bytes: &[u8]) -> (u8, String) {
    let error = read(name, bytes).1.unwrap_err();
    (error.exit_code(), error.to_string())
}

const HEADER: &str = "vehicle_id,event_time,lon,lat";
const ROW: &str = "T1,2026-03-04T06:12:09Z,3.3,6.4";

#[test]
fn csv_columns_in_any_order_with_others_between() {
    let text = "\u{feff}lat,note,lon,ignition,vehicle_id,speed_kmh,event_time,heading,accuracy_m,received_time\r\n\
        6.4,\"a, \"\"b\"\"\",3.3,On,T 1,42,2026-03-04T07:12:09+01:00,90.5,3,2026-03-04T06:12:10Z\r\n\
        \r\n\
        -6.4,,-3.3e0,,T2,,2026-03-04T06:12:09.5Z,,,";
    let gather = good("a.csv", text);
    let Got::Position { received, vehicle_id, spelling: None, position } = &gather.got[0] else { panic!() };
    assert_eq!(
        (vehicle_id.as_str(), received.unwrap().to_string().as_str()),
        ("T 1", "2026-03-04T06:12:10Z")
    );
    assert_eq!((position.lon, position.lat, position.speed_kmh), (3.3, 6.4, Some(42.0)));
    assert_eq!(
        (position.heading, position.ignition, position.accuracy_m),
        (Some(90.5), Some(true), Some(3.0))
    );
    let (id, second) = gather.positions()[1];
    assert_eq!((id, second.lon, second.ignition, second.bad), ("T2", -3.3, None, BadFields::default()));
    assert_eq!(second.event_time.to_string(), "2026-03-04T06:12:09.500Z");
    assert_eq!((gather.got.len(), gather.bad.len()), (2, 0));
}

#[test]
fn csv_that_can_not_be_used_is_exit_2() {
    for (text, word) in [
        ("", "empty"),
        ("\u{feff}\r\n\n", "empty"),
        ("vehicle_id,event_time,lon\nT1,2026-03-04T06:12:09Z,3.3", "lacks the column lat"),
        ("vehicle_id,event_time,lon,lat,lon\n", "lon is named twice"),
        ("Vehicle_id,event_time,lon,lat\n", "vehicle_id"),
        ("\"vehicle_id,event_time,lon,lat\n", "not closed"),
    ] {
        let (status, text) = error("a.csv", text.as_bytes());
        assert!(status == 2 && text.contains(word) && text.contains("a.csv"), "{text}");
    }
    assert_eq!(error("a.csv", &vec![b'x'; 3 * MAX_LINE_BYTES]).0, 2);
    assert!(good("a.csv", HEADER).got.is_empty());
    let twice = good("a.csv", &format!("{HEADER},heading,heading\n{ROW},1,2"));
    assert_eq!((twice.positions()[0].1.heading, twice.warnings.len()), (Some(1.0), 1));
}

#[test]
fn bad_csv_rows_cost_only_themselves() {
    let rows = [
        "T1,2026-03-04T06:12:09Z,3.3",
        "T1,2026-03-04T06:12:09Z,3.3,6.4,",
        ",2026-03-04T06:12:09Z,3.3,6.4",
        "T1,2026-03-04 noon,3.3,6.4",
        "T1,,3.3,6.4",
        "T1,2026-03-04T06:12:09Z,,6.4",
        "T1,2026-03-04T06:12:09Z,NaN,6.4",
        "T1,2026-03-04T06:12:09Z,inf,6.4",
        "T1,2026-03-04T06:12:09Z,3.3,1e999",
        "T1,2026-03-04T06:12:09Z,3.3,north",
        " ",
        "\"T1\"\"",
    ];
    for row in rows {
        let gather = good("a.csv", &format!("{HEADER}\n{ROW}\n{row}\n{ROW}\n"));
        assert_eq!((gather.got.len(), gather.bad.len()), (2, 1), "{row}: {:?}", gather.bad);
        assert_eq!((gather.bad[0].0, gather.bad_bytes[0].as_slice()), (3, row.as_bytes()));
    }
    let mut bytes = format!("{HEADER}\n{ROW}\n").into_bytes();
    bytes.extend_from_slice(b"T\xff,2026-03-04T06:12:09Z,3.3,6.4\n\0\n");
    bytes.extend_from_slice(ROW.as_bytes());
    let gather = read("a.csv", &bytes).0;
    assert_eq!((gather.got.len(), gather.bad.len()), (2, 2));
    assert!(gather.bad[0].1.contains("UTF-8"));
    let kept = good("a.csv", &format!("{HEADER},speed_kmh,ignition,received_time\n{ROW},nan,maybe,now\n"));
    assert_eq!(kept.positions()[0].1.bad, BadFields(1 | 4 | 16));
    let far = good("a.csv", &format!("{HEADER}\nT1,2026-03-04T06:12:09Z,1e308,-6.4\n"));
    assert_eq!(far.positions()[0].1.lon, 1e308);
}

#[test]
fn csv_lines_that_are_too_long_are_passed_over() {
    let long = "x".repeat(5 * MAX_LINE_BYTES);
    let gather = good("a.csv", &format!("{HEADER}\n{ROW}\n{long}\n{ROW}"));
    assert_eq!((gather.got.len(), gather.bad[0].0), (2, 3));
    assert!(gather.bad[0].1.contains("longer") && gather.bad_bytes[0].len() < 10_000);
}

#[test]
fn quoted_fields_may_span_lines_and_stray_quotes_cost_one_line() {
    let header = format!("{HEADER},note");
    let gather = good("a.csv", &format!("{header}\n{ROW},\"two\nlines\"\n{ROW},\"x\"\n"));
    assert_eq!((gather.got.len(), gather.bad.len()), (2, 0));

    let mut text = format!("{header}\n{ROW},\"oops\n");
    for _ in 0..300 {
        writeln!(text, "{ROW},fine").unwrap();
    }
    let gather = good("a.csv", &text);
    assert_eq!((gather.got.len(), gather.bad.len(), gather.bad[0].0), (300, 1, 2));

    // The second stray quote closes what the first opened, but that is no row.
    let gather = good("a.csv", &format!("{header}\n{ROW},\"a\n{ROW},b\n{ROW},\"c\n{ROW},d\n"));
    assert_eq!(gather.bad.iter().map(|bad| bad.0).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(gather.got.len(), 2);

    let many_quotes = format!("{header}\n{}", format!("{ROW},\"\n").repeat(20_000));
    assert!(good("a.csv", &many_quotes).got.len() <= 20_000);
}

#[test]
fn ndjson_records_with_blank_lines_and_bad_ones() {
    let position =
        r#"{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z","lon":3.3,"lat":6.4}"#;
    let tie = r#"{"type":"fence","op":"upsert","feature":{"type":"Feature","id":"tie","geometry":{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}}}"#;
    let clock = r#"{"type":"clock","received_time":"2026-03-04T07:00:00Z"}"#;
    let lost = r#"{"type":"undecodable","reason":"x","received_time":"2026-03-04T07:00:00Z"}"#;
    let deep = "[".repeat(300_000);
    let long = format!("{{\"x\":\"{}\"}}", "x".repeat(2 * MAX_LINE_BYTES));
    let text = format!(
        "\u{feff}{position}\r\n\n  \n{tie}\n{deep}\n{clock}\n[{position}]\n{long}\n{lost}\n{position}"
    );
    let gather = good("a.ndjson", &text);
    assert_eq!(gather.bad.iter().map(|bad| bad.0).collect::<Vec<_>>(), [5, 7, 8]);
    assert_eq!((gather.got.len(), gather.positions().len(), gather.warnings.len()), (5, 2, 1));
    assert_eq!(gather.undecodable(), 1);
    assert!(matches!(gather.got[2], Got::Record { received: Some(_), record: Record::Clock }));
    let (gather, result) = read("a.jsonl", b"\xff\n{\"type\":\"fence\",\"op\":\"delete\",\"id\":\"\xff\"}\n");
    assert_eq!((gather.bad.len(), gather.got.len(), result.is_ok()), (2, 0, true));
    assert!(good("a.ndjson", "").got.is_empty());
}

fn square(id: &str) -> String {
    format!(
        r#"{{"type":"Feature","id":"{id}","geometry":{{"type":"Polygon","coordinates":[[[0,0],[1,0],[1,1],[0,0]]]}},"properties":{{"name":"}}]\" {id}"}}}}"#
    )
}

fn collection(features: &str) -> String {
    format!(
        r#"{{"type":"FeatureCollection","crs":{{"a":["]",{{}}]}},"features":[{features}],"bbox":[0,0,1,1]}}"#
    )
}

#[test]
fn geojson_features_one_by_one() {
    let features = format!("{},\n 7,\n{{\"type\":\"Feature\", tru}} ,\n{}", square("a"), square("b"));
    let gather = good("a.geojson", &format!("\u{feff} {} \n", collection(&features)));
    let ids: Vec<&str> = gather
        .got
        .iter()
        .map(|got| match got {
            Got::Record { received: None, record: Record::FenceUpsert(fence) } => fence.id.as_ref(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(gather.bad.iter().map(|bad| bad.0).collect::<Vec<_>>(), [2, 3]);
    assert!(gather.bad[0].1.starts_with("feature 2: "));
    assert_eq!(gather.bad_bytes[0], b"7");
    assert!(good("a.json", &collection("")).got.is_empty());
    let tie = r#"{"type":"Feature","id":"tie","geometry":{"type":"Polygon","coordinates":[[[0,0],[1,1],[1,0],[0,1],[0,0]]]}}"#;
    assert_eq!(good("a.geojson", &collection(tie)).warnings.len(), 1);
    let folder = TempDir::new().unwrap();
    assert!(FileInput::open(&write(&folder, "a.geojson", collection("").as_bytes())).unwrap().is_geojson());
}

#[test]
fn geojson_that_is_broken_as_a_whole() {
    for text in [
        "",
        "[]",
        "hello",
        "{",
        "{}",
        r#"{"type":"FeatureCollection"}"#,
        r#"{"type":"FeatureCollection","features":{}}"#,
        r#"{"type":"Feature","geometry":null}"#,
        r#"{"type" "FeatureCollection","features":[]}"#,
        r#"{"type":"FeatureCollection" "features":[]}"#,
        r#"{"type":"FeatureCollection",}"#,
        r#"{,"features":[]}"#,
    ] {
        let (status, text) = error("a.geojson", text.as_bytes());
        assert!(status == 2 && text.contains("a.geojson"), "{text}");
    }
    let whole = collection(&format!("{},{}", square("a"), square("b")));
    let end_of_first = whole.find(&square("b")).unwrap();
    for text in [
        whole[..end_of_first + 30].to_owned(),
        whole[..end_of_first].to_owned(),
        whole[..end_of_first - 1].to_owned(),
        format!("{}{}", &whole[..end_of_first - 1], &whole[end_of_first..]),
        whole.replacen("}},{", "}}},{", 1),
    ] {
        let (gather, result) = read("a.geojson", text.as_bytes());
        let error = result.unwrap_err();
        assert_eq!((error.exit_code(), gather.got.len()), (1, 1), "{text}");
        assert!(error.to_string().contains("line 1, byte"), "{error}");
    }
    for end in ["", "x", "}", ",\"features\":[7]}", "]"] {
        let text = whole.trim_end_matches('}').to_owned() + end;
        let (gather, result) = read("a.geojson", text.as_bytes());
        assert_eq!(gather.got.len(), 2);
        match end {
            "}" => assert!(result.is_ok()),
            ",\"features\":[7]}" => assert!(result.is_ok() && gather.bad.len() == 1),
            _ => assert_eq!(result.unwrap_err().exit_code(), 1, "{end}"),
        }
    }
}

#[test]
fn geojson_with_a_hundred_thousand_vertices() {
    let mut ring = String::new();
    for i in 0..100_000 {
        let (sin, cos) = (f64::from(i) / 100_000.0 * std::f64::consts::TAU).sin_cos();
        write!(ring, "[{},{}],", 3.0 + cos, 6.0 + sin).unwrap();
    }
    let geometry = format!(r#"{{"type":"Polygon","coordinates":[[{ring}[4,6]]]}}"#);
    let text =
        collection(&format!(r#"{{"type":"Feature","id":"big","geometry":{geometry},"properties":null}}"#));
    let started = std::time::Instant::now();
    let gather = good("a.geojson", &text);
    assert_eq!((gather.got.len(), gather.bad.len(), gather.warnings.len()), (1, 0, 0), "{:?}", gather.bad);
    assert!(started.elapsed().as_secs() < 10);
}

fn rows(count: usize) -> String {
    let mut text = format!("{HEADER}\n");
    for i in 0..count {
        writeln!(text, "T{i},2026-03-04T06:12:09Z,{}.{},6.4", i % 180, i * 7919 % 10_007).unwrap();
    }
    text
}

#[test]
fn compressed_files_read_as_they_are() {
    let text = rows(1000);
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("a.csv.gz", gzip(text.as_bytes())), ("A.CSV.ZST", zstd.clone())] {
        let (gather, result) = read(name, &bytes);
        assert_eq!((gather.got.len(), result.is_ok()), (1000, true), "{name}");
    }
    let two_members = [gzip(&text.as_bytes()[..5000]), gzip(&text.as_bytes()[5000..])].concat();
    assert_eq!(read("a.csv.gz", &two_members).0.got.len(), 1000);
    for name in ["a.csv.gz", "a.csv.zst"] {
        assert_eq!(error(name, b"").0, 2, "{name}");
        assert_eq!(error(name, text.as_bytes()).0, 2, "{name} that is not compressed");
    }
    assert_eq!(read("a.geojson.gz", &gzip(collection(&square("a")).as_bytes())).0.got.len(), 1);
}

#[test]
fn cut_short_files_give_what_can_be_read() {
    let text = rows(60_000);
    let all = good("a.csv", &text);
    for (name, bytes) in
        [("a.csv.gz", gzip(text.as_bytes())), ("a.csv.zst", zstd::encode_all(text.as_bytes(), 1).unwrap())]
    {
        for length in [bytes.len() - 1, bytes.len() * 3 / 4, bytes.len() / 2] {
            let (gather, result) = read(name, &bytes[..length]);
            let error = result.unwrap_err();
            assert!(matches!(&error, FileError::CutShort { .. }), "{name} {length}: {error}");
            assert!(error.exit_code() == 1 && error.to_string().contains(name));
            assert!(gather.bad.is_empty() && gather.got == all.got[..gather.got.len()], "{name} {length}");
            let whole_rows = gather.got.len();
            assert!(whole_rows * 3 > all.got.len(), "{name} {length}: {whole_rows}");
        }
        let error = error(name, &bytes[..5]);
        assert_eq!(error.0, 1, "{}", error.1);
    }
    let mut damaged = gzip(text.as_bytes());
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0xff);
    assert_eq!(read("a.csv.gz", &damaged).1.unwrap_err().exit_code(), 1);
    let packed = gzip(collection(&format!("{},{}", square("a"), square("b"))).as_bytes());
    let error = read("a.geojson.gz", &packed[..packed.len() - 9]).1.unwrap_err();
    assert!(matches!(error, FileError::CutShort { .. }), "{error}");
}

#[test]
fn names_that_say_nothing_are_exit_2() {
    for name in ["a.txt", "csv", "a", "a.gz", "a.parquet", ".csv.bz2"] {
        let (status, text) = error(name, b"x");
        assert!(status == 2 && text.contains(".ndjson"), "{text}");
    }
    let missing = FileInput::open(Path::new("/nowhere/a.csv")).unwrap_err();
    assert!(missing.exit_code() == 2 && missing.to_string().contains("/nowhere/a.csv"));
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("a.csv");
    std::fs::create_dir(&inner).unwrap();
    assert_eq!(FileInput::open(&inner).unwrap_err().exit_code(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn arbitrary_files_never_panic(
        parts in prop::collection::vec(
            prop_oneof![
                3 => prop::sample::select(vec![
                    "\"", ",", "\n", "\r\n", "{", "}", "[", "]", ":", "\\", "\"features\":[", "\"type\":",
                    "\"FeatureCollection\"", ROW, "{\"type\":\"clock\"}", "null", "1e999", "\u{feff}",
                ]).prop_map(|text| text.as_bytes().to_vec()),
                1 => prop::collection::vec(any::<u8>(), 0..20),
            ],
            0..30,
        ),
        start in prop::sample::select(vec!["", "vehicle_id,event_time,lon,lat\n", "{\"features\":["]),
        name in prop::sample::select(vec!["a.csv", "a.ndjson", "a.geojson", "a.csv.gz", "a.ndjson.zst"]),
    ) {
        let bytes = [start.as_bytes(), &parts.concat()].concat();
        let (gather, _) = read(name, &bytes);
        prop_assert_eq!(gather.bad.len(), gather.bad_bytes.len());
    }

    #[test]
    fn csv_and_ndjson_agree(
        lon in "-?[0-9]{1,3}(\\.[0-9]{0,20})?", speed in "-?[0-9]{1,3}(\\.[0-9]{1,5})?", ignition in "(true|OFF|1|0|x)",
    ) {
        let csv = good("a.csv", &format!("{HEADER},speed_kmh,ignition\nT1,2026-03-04T06:12:09Z,{lon},6.4,{speed},{ignition}\n"));
        let number = |text: &str| text.parse::<f64>().unwrap();
        let line = format!(
            r#"{{"type":"position","vehicle_id":"T1","event_time":"2026-03-04T06:12:09Z","lon":{:?},"lat":6.4,"speed_kmh":{:?},"ignition":"{ignition}"}}"#,
            number(&lon), number(&speed),
        );
        prop_assert_eq!(csv.got, good("a.ndjson", &line).got);
    }
}
