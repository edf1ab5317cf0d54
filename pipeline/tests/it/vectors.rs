//! The operators' geometry held against outcomes of other projects' test suites: it stands here, since reading
//! those is shared with the oracle, of which the operators know nothing.

use std::sync::Arc;

use bench::vectors::{coord, point, read, shape};
use model::{Shape, ring_from_degrees};
use operators::spatial::{FenceIndex, PreparedShape, edge_distance_m};
use serde_json::Value;

#[test]
fn inside_agrees_with_the_vectors() {
    let Some(vectors) = read("point_in_fence.json") else { return };
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
    let Some(vectors) = read("distance.json") else { return };
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

/// Lines of the plane are corridors of a hand's breadth.
fn shape_of(fence: &Value) -> Shape {
    if fence["type"] != "LineString" || fence["buffer_m"].is_number() {
        return shape(fence);
    }
    let positions: Vec<(f64, f64)> = fence["coordinates"].as_array().unwrap().iter().map(point).collect();
    Shape::Corridor { line: ring_from_degrees(&positions, false).unwrap(), width_m: 0.1 }
}

#[test]
fn segments_meet_what_the_vectors_say() {
    let Some(vectors) = read("segment_fence.json") else { return };
    assert!(vectors.len() >= 17, "only {} vectors", vectors.len());
    for vector in &vectors {
        let prepared = PreparedShape::new(&shape_of(&vector["fence"]));
        let expected = vector["intersects"].as_bool().unwrap();
        let meets = |from: &Value, to: &Value| {
            let (from, to) = (coord(point(from)), coord(point(to)));
            let at = prepared.crossed_at((0, from), (1_000, to));
            let back = prepared.crossed_at((0, to), (1_000, from));
            assert_eq!(at.is_some(), back.is_some(), "{} and back", vector["id"]);
            assert!(at.is_none_or(|at| (0..=1_000).contains(&at)), "{}: {at:?}", vector["id"]);
            at.is_some()
        };
        let found = match vector["kind"].as_str() {
            Some("segment_fence") => meets(&vector["from"], &vector["to"]),
            // None of these polygons holds the whole fence: so they meet it where their border does.
            Some("polygon_polygon") => {
                let border = vector["object"]["coordinates"][0].as_array().unwrap();
                border.windows(2).any(|edge| meets(&edge[0], &edge[1]))
            }
            other => panic!("{}: no such kind: {other:?}", vector["id"]),
        };
        assert_eq!(found, expected, "{}", vector["id"]);
    }
}
