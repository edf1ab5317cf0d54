//! Geometry held against outcomes of other projects' test suites, where the folder with them is at hand:
//! `WATCHTOWER_DATA`. Only what plain geometry decides is used: positions in fences, and distances to
//! segments. Left out are distances on a sphere, bearings and odometers, which this project has not.

// The rule against I/O is for the operators; these tests read the vectors.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::disallowed_macros)]

use std::path::PathBuf;
use std::sync::Arc;

use model::{Coord, Shape, ring_from_degrees};
use operators::spatial::{FenceIndex, PreparedShape, edge_distance_m};
use serde_json::Value;

/// The vectors of one file; `None` where there are no data, which is not allowed in CI.
fn vectors(file: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("WATCHTOWER_DATA") else {
        let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!in_ci, "WATCHTOWER_DATA must name the folder with test data in CI");
        eprintln!("skipped: WATCHTOWER_DATA does not name a folder with vectors/{file}");
        return None;
    };
    let path = PathBuf::from(folder).join("vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let document: Value = serde_json::from_str(&text).unwrap();
    Some(document["vectors"].as_array().unwrap().clone())
}

/// A position of a vector; some give longitudes beyond 180 degrees.
fn point(value: &Value) -> (f64, f64) {
    let lon = value[0].as_f64().unwrap();
    let turns = if lon.abs() > 180.0 { (lon / 360.0).round() } else { 0.0 };
    (lon - turns * 360.0, value[1].as_f64().unwrap())
}

fn points(value: &Value) -> Vec<(f64, f64)> {
    value.as_array().unwrap().iter().map(point).collect()
}

fn coord((lon, lat): (f64, f64)) -> Coord {
    Coord::from_degrees(lon, lat).unwrap()
}

fn shape(fence: &Value) -> Shape {
    let coordinates = &fence["coordinates"];
    match fence["type"].as_str().unwrap() {
        "Point" => {
            Shape::Circle { centre: coord(point(coordinates)), radius_m: fence["radius_m"].as_f64().unwrap() }
        }
        "Polygon" => {
            let rings = coordinates.as_array().unwrap().iter();
            let rings = rings.map(|ring| ring_from_degrees(&points(ring), true).unwrap()).collect();
            Shape::Polygon { parts: vec![rings] }
        }
        "LineString" => Shape::Corridor {
            line: ring_from_degrees(&points(coordinates), false).unwrap(),
            // Theirs is the distance to the line, ours the full width.
            width_m: 2.0 * fence["buffer_m"].as_f64().unwrap(),
        },
        other => panic!("no such fence: {other}"),
    }
}

#[test]
fn inside_agrees_with_the_vectors() {
    let Some(vectors) = vectors("point_in_fence.json") else { return };
    assert!(vectors.len() >= 38, "only {} vectors", vectors.len());
    for vector in &vectors {
        let position = coord(point(&vector["point"]));
        let prepared = Arc::new(PreparedShape::new(&shape(&vector["fence"])));
        let expected = vector["inside"].as_bool().unwrap();
        assert_eq!(prepared.covers(position), expected, "{}", vector["id"]);
        let mut index = FenceIndex::default();
        index.insert(prepared);
        let mut found = false;
        index.covering(position, |_| found = true);
        assert_eq!(found, expected, "{} through the index", vector["id"]);
    }
}

#[test]
fn distances_to_segments_agree_with_the_vectors() {
    let Some(vectors) = vectors("distance.json") else { return };
    let mut checked = 0;
    for vector in vectors.iter().filter(|v| v["kind"] == "distance_to_segment") {
        let units = |value: &Value| {
            let coord = coord(point(value));
            (i64::from(coord.lon), i64::from(coord.lat))
        };
        let position = coord(point(&vector["point"]));
        let edge = (units(&vector["from"]), units(&vector["to"]));
        let (expected, tolerance) =
            (vector["meters"].as_f64().unwrap(), vector["tolerance_m"].as_f64().unwrap());
        let metres = edge_distance_m(position, edge);
        assert!((metres - expected).abs() <= tolerance, "{}: {metres}", vector["id"]);
        // The same through a fence: a corridor that is just wide enough, and one that is not.
        let line = ring_from_degrees(&[point(&vector["from"]), point(&vector["to"])], false).unwrap();
        for (half_width_m, inside) in [(metres + 0.02, true), (metres - 0.02, false)] {
            let corridor = Shape::Corridor { line: line.clone(), width_m: 2.0 * half_width_m };
            assert_eq!(PreparedShape::new(&corridor).covers(position), inside, "{}", vector["id"]);
        }
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} vectors");
}
