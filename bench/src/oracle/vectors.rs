//! The oracle's geometry held against outcomes of other projects' test suites, where the folder with them
//! is at hand: `WATCHTOWER_DATA`.

use std::path::PathBuf;

use model::{Coord, Shape, ring_from_degrees};
use serde_json::Value;

use super::Geometry;
use super::geometry::distance_to_edge_m;

/// The vectors of one file; `None` where there is no data, which is not allowed in CI.
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
    let Some(vectors) = vectors("point_in_fence.json") else {
        return;
    };
    assert!(vectors.len() >= 38, "only {} vectors", vectors.len());
    for vector in &vectors {
        let position = coord(point(&vector["point"]));
        let inside = Geometry::new(&shape(&vector["fence"])).covers(position);
        assert_eq!(Some(inside), vector["inside"].as_bool(), "{}", vector["id"]);
    }
}

#[test]
fn distances_to_segments_agree_with_the_vectors() {
    let Some(vectors) = vectors("distance.json") else {
        return;
    };
    let mut checked = 0;
    for vector in vectors.iter().filter(|v| v["kind"] == "distance_to_segment") {
        let edge = (point(&vector["from"]), point(&vector["to"]));
        let metres = distance_to_edge_m(point(&vector["point"]), edge);
        let (expected, tolerance) =
            (vector["meters"].as_f64().unwrap(), vector["tolerance_m"].as_f64().unwrap());
        assert!((metres - expected).abs() <= tolerance, "{}: {metres}", vector["id"]);
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} vectors");
}
