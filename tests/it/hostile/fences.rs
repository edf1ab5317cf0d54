//! Fences that are none, and fences that only look so.

use super::nested;
use crate::cli::process::{Ran, Replay};
use crate::common::circle;

/// A truck in the yard for half an hour.
const POSITIONS: &str =
    "vehicle_id,event_time,lon,lat\nT1,2026-01-05T08:00:00Z,3.4,6.5\nT1,2026-01-05T08:34:00Z,3.5,6.5\n";

/// Replays a FeatureCollection of the yard, a feature, and the yard's twin; gives the fences visited.
fn beside(feature: &str) -> (Ran, String) {
    let (yard, twin) = (circle("yard", 3.4, 6.5, 300.0), circle("twin", 3.4, 6.5, 300.0));
    let text = format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{yard},\n{feature},\n{twin}\n]}}");
    let replay = Replay::new().file("p.csv", POSITIONS).file("f.geojson", text);
    let ran = replay.run(&[]);
    let presences = replay.output("presences.ndjson");
    let ids = presences.lines().filter_map(|line| line.split('"').nth(7));
    (ran, ids.collect::<Vec<_>>().join(" "))
}

fn feature(properties: &str, geometry: &str) -> String {
    format!(r#"{{"type":"Feature","id":"odd","properties":{properties},"geometry":{geometry}}}"#)
}

fn polygon(ring: &str) -> String {
    feature("{}", &format!(r#"{{"type":"Polygon","coordinates":[[{ring}]]}}"#))
}

#[test]
fn features_that_are_no_fences_are_refused_alone() {
    let deep = nested(100_000);
    let point = r#"{"type":"Point","coordinates":[3.4,6.5]}"#;
    for (feature, reason) in [
        (polygon("[3,6],[4,6],[4,7],[3,7]"), "not closed"),
        (polygon("[3,6],[4,6],[3,6]"), "fewer than 3"),
        (polygon(""), "fewer than 3"),
        (polygon("[3,6],[4,6],[4,1e999],[3,6]"), ""),
        (polygon("[3,6],[4,6],[4,91],[3,6]"), "out of range"),
        (polygon("[3,6],[4,6],[4,NaN],[3,6]"), ""),
        (polygon("[3,6],[4,6],\"x\",[3,6]"), ""),
        (polygon("[3],[4],[4],[3]"), ""),
        (polygon("[-90,6],[90,6],[0,7],[-90,6]"), "180 degrees"),
        (polygon("[-120,60],[0,60],[120,60],[-120,60]"), "around a pole"),
        (polygon(&deep), ""),
        (feature("{}", r#"{"type":"Polygon","coordinates":[]}"#), ""),
        (feature("{}", r#"{"type":"Blob","coordinates":[3,6]}"#), "Blob"),
        (feature("{}", "null"), "geometry"),
        (feature("{}", point), "radius_m"),
        (feature(r#"{"radius_m":0}"#, point), "radius_m"),
        (feature(r#"{"radius_m":-5}"#, point), "radius_m"),
        (feature(r#"{"radius_m":1e308}"#, point), "radius_m"),
        (feature(r#"{"radius_m":1e999}"#, point), "radius_m"),
        (feature(r#"{"radius_m":"300"}"#, point), "radius_m"),
        (feature(r#"{"radius_m":300,"min_dwell_s":-1}"#, point), "min_dwell_s"),
        (feature(r#"{"radius_m":300,"exit_buffer_m":"far"}"#, point), "exit_buffer_m"),
        (
            feature(
                r#"{"radius_m":3,"valid_from":"2026-01-05T09:00:00Z","valid_to":"2026-01-05T09:00:00Z"}"#,
                point,
            ),
            "valid_to",
        ),
        (feature(r#"{"width_m":0}"#, r#"{"type":"LineString","coordinates":[[3,6],[4,7]]}"#), "width_m"),
        (feature(r#"{"width_m":9}"#, r#"{"type":"LineString","coordinates":[[3,6],[3,6]]}"#), "2 different"),
        (circle(&"y".repeat(257), 3.4, 6.5, 300.0), "id"),
        (circle("", 3.4, 6.5, 300.0), "id"),
        (circle("odd", 3.4, 6.5, 300.0).replace("\"id\":\"odd\",", ""), "id"),
        ("null".to_owned(), ""),
        ("7".to_owned(), ""),
        ("{}".to_owned(), ""),
    ] {
        let shown: String = feature.chars().take(120).collect();
        // Brackets that are not closed take the rest of the file with them, as 1 feature.
        let (ran, visited) = beside(&feature);
        if shown.contains("[[[[[[") {
            assert!(ran.code == 1 && visited == "yard", "{shown}: {visited}, {ran:?}");
        } else {
            ran.assert(0, &["f.geojson:3: ", reason, "(1 bad lines)"]);
            assert_eq!(visited, "twin yard", "{shown}");
        }
        assert!(ran.err.len() < 2_000, "{shown}: a reason of {} bytes", ran.err.len());
    }
}

#[test]
fn a_feature_as_deep_as_it_is_closed_is_refused_alone() {
    let deep = format!("{}{}", nested(100_000), "]".repeat(100_000));
    for feature in [polygon(&deep), feature(&format!(r#"{{"x":{deep}}}"#), "null")] {
        let (ran, visited) = beside(&feature);
        ran.assert(0, &["f.geojson:3: ", "(1 bad lines)"]);
        assert_eq!(visited, "twin yard");
    }
}

#[test]
fn fences_that_look_odd_are_fences() {
    for (feature, said) in [
        // Even-odd: the truck is in one of the bow tie's halves.
        (
            polygon("[3.39,6.49],[3.41,6.51],[3.41,6.49],[3.39,6.51],[3.39,6.49]")
                .replace("3.41,6.51", "3.42,6.53"),
            "crosses",
        ),
        (
            polygon("[3.41,6.49,12.5],[3.41,6.51,0],[3.39,6.51,0],[3.39,6.49,0],[3.41,6.49,12.5]"),
            "(0 bad lines)",
        ),
        (circle("odd", 3.4, 6.5, 9_999_999.0), "(0 bad lines)"),
        (circle("7", 3.4, 6.5, 300.0).replace("\"id\":\"7\"", "\"id\":7"), "(0 bad lines)"),
    ] {
        let (ran, visited) = beside(&feature);
        ran.assert(0, &[said, "(0 bad lines)"]);
        assert_eq!(visited.split(' ').count(), 3, "{feature}: {visited}");
    }
    // Of two features with one id the later one counts.
    let (ran, visited) = beside(&circle("yard", 9.4, 6.5, 300.0));
    ran.assert(0, &["(0 bad lines)"]);
    assert_eq!(visited, "twin");
}

#[test]
fn a_polygon_of_a_hundred_thousand_vertices_works() {
    let ring = |radius: f64| {
        let vertex = |i: u32| (f64::from(i % 100_000) / 100_000.0 * std::f64::consts::TAU).sin_cos();
        let vertices = (0..=100_000).map(vertex);
        let texts =
            vertices.map(|(sin, cos)| format!("[{:.7},{:.7}]", 3.4 + radius * cos, 6.5 + radius * sin));
        texts.collect::<Vec<_>>().join(",")
    };
    let fence =
        |radius: f64| format!(r#"{{"type":"FeatureCollection","features":[{}]}}"#, polygon(&ring(radius)));
    // A truck goes round on a circle in between: in the large fence all the time, never in the small one.
    let mut rows = "vehicle_id,event_time,lon,lat\n".to_owned();
    for i in 0..20_000 {
        let (sin, cos) = (f64::from(i) / 400.0).sin_cos();
        let (hour, minute, second) = (i / 3_600, i / 60 % 60, i % 60);
        let (lon, lat) = (3.4 + 0.0999 * cos, 6.5 + 0.0999 * sin);
        rows.push_str(&format!("T1,2026-01-05T{hour:02}:{minute:02}:{second:02}Z,{lon:.7},{lat:.7}\n"));
    }
    for (radius, presences) in [(0.1, 1), (0.09, 0)] {
        let replay = Replay::new().file("f.geojson", fence(radius)).file("p.csv", &rows);
        replay.run(&["--set", "cleaning.max_speed_kmh=0"]).assert(0, &["20001 records (0 bad lines)"]);
        let table = replay.output("presences.ndjson");
        assert_eq!(table.lines().count(), presences, "{table}");
    }
}

#[test]
fn a_collection_that_breaks_off_gives_what_came_before() {
    let yard = circle("yard", 3.4, 6.5, 300.0);
    for (rest, said) in [("", "ends before"), (",", "ends"), (" 7", "comma"), (",{\"a\":\"", "ends")] {
        let text = format!("{{\"type\":\"FeatureCollection\",\"features\":[\n{yard}{rest}");
        let replay = Replay::new().file("p.csv", POSITIONS).file("f.geojson", text);
        replay.run(&[]).assert(1, &["f.geojson", "line 2", said]);
        assert_eq!(replay.output("visits.ndjson").lines().count(), 1, "{rest}");
    }
}
