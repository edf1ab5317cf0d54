//! The oracle's geometry held against outcomes of other projects' test suites.

use super::Geometry;
use super::geometry::distance_to_edge_m;
use crate::vectors::{coord, point, read, shape};

#[test]
fn inside_agrees_with_the_vectors() {
    let Some(vectors) = read("point_in_fence.json") else {
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
    let Some(vectors) = read("distance.json") else {
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
