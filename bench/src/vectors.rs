//! Outcomes of other projects' test suites about geometry, as tests read them: the folder with them is named by
//! `WATCHTOWER_DATA`. Only what plain geometry decides is there to be used: positions in fences, and distances
//! to segments.
//!
//! For tests, the oracle's and the product's: what is wrong with a file is a panic.

use std::path::PathBuf;

use model::{Coord, Shape, ring_from_degrees};
use serde_json::Value;

/// The vectors of one file; `None` where there are no data, which is not allowed in CI.
///
/// # Panics
/// When the file is not what it should be, or the folder is not named where `CI=true`.
#[must_use]
pub fn read(file: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os("WATCHTOWER_DATA") else {
        let in_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!in_ci, "WATCHTOWER_DATA must name the folder with test data in CI");
        eprintln!("skipped: WATCHTOWER_DATA does not name a folder with vectors/{file}");
        return None;
    };
    let path = PathBuf::from(folder).join("vectors").join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let document: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    Some(document["vectors"].as_array().expect("there is a list of vectors").clone())
}

/// A number of a vector.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

/// A position of a vector; some give longitudes beyond 180 degrees.
#[must_use]
pub fn point(value: &Value) -> (f64, f64) {
    let lon = number(&value[0]);
    let turns = if lon.abs() > 180.0 { (lon / 360.0).round() } else { 0.0 };
    (lon - turns * 360.0, number(&value[1]))
}

/// Rounds a position.
///
/// # Panics
/// When it is out of range.
#[must_use]
pub fn coord((lon, lat): (f64, f64)) -> Coord {
    Coord::from_degrees(lon, lat).expect("a position on the globe")
}

/// The fence of a vector.
///
/// # Panics
/// When it is no fence.
#[must_use]
pub fn shape(fence: &Value) -> Shape {
    let coordinates = &fence["coordinates"];
    let positions = |list: &Value| -> Vec<(f64, f64)> {
        list.as_array().expect("a list of positions").iter().map(point).collect()
    };
    match fence["type"].as_str() {
        Some("Point") => {
            Shape::Circle { centre: coord(point(coordinates)), radius_m: number(&fence["radius_m"]) }
        }
        Some("Polygon") => {
            let rings = coordinates.as_array().expect("a list of rings").iter();
            let rings = rings.map(|ring| ring_from_degrees(&positions(ring), true).expect("a ring"));
            Shape::Polygon { parts: vec![rings.collect()] }
        }
        Some("LineString") => Shape::Corridor {
            line: ring_from_degrees(&positions(coordinates), false).expect("a line"),
            // Theirs is the distance to the line, ours the full width.
            width_m: 2.0 * number(&fence["buffer_m"]),
        },
        other => panic!("no such fence: {other:?}"),
    }
}
