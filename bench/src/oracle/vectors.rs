//! The oracle's geometry held against outcomes of other projects' test suites.

use std::sync::Arc;

use model::{Fence, FenceSettings, GraphSettings, Position, SettingValue, Shape, TimeMs, ring_from_degrees};
use serde_json::Value;

use super::geometry::distance_to_edge_m;
use super::{Geometry, Input, Rows, recompute_rows};
use crate::vectors::{coord, number, point, read, shape};

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

/// Whether a way from one position to another meets a shape, and if so how long after its beginning it does in
/// the middle; it takes 1000 ms.
fn crossed_after_ms(geometry: &Geometry, from: &Value, to: &Value) -> Option<i64> {
    let (from, to) = (coord(point(from)), coord(point(to)));
    geometry.crossed_at((TimeMs(0), from), (TimeMs(1000), to)).map(|at| at.0)
}

/// The shape of a vector; a line without a width is one of 2 mm, which is to say one that is met or not.
fn shape_with_width(fence: &Value) -> Shape {
    let is_bare_line = fence["type"] == "LineString" && fence["buffer_m"].as_f64().unwrap_or(0.0) == 0.0;
    if !is_bare_line {
        return shape(fence);
    }
    let positions: Vec<(f64, f64)> = fence["coordinates"].as_array().unwrap().iter().map(point).collect();
    Shape::Corridor { line: ring_from_degrees(&positions, false).unwrap(), width_m: 0.002 }
}

#[test]
fn segments_agree_with_the_vectors() {
    let Some(vectors) = read("segment_fence.json") else {
        return;
    };
    let (mut segments, mut objects) = (0, 0);
    for vector in &vectors {
        let geometry = Geometry::new(&shape_with_width(&vector["fence"]));
        let expected = vector["intersects"].as_bool().unwrap();
        if vector["kind"] == "segment_fence" {
            let crossed = crossed_after_ms(&geometry, &vector["from"], &vector["to"]);
            assert_eq!(crossed.is_some(), expected, "{}", vector["id"]);
            segments += 1;
            continue;
        }
        // A polygon against a polygon: they meet where one of its sides does, as none holds the other's holes.
        let sides = vector["object"]["coordinates"][0].as_array().unwrap().windows(2);
        let met: Vec<Option<i64>> =
            sides.map(|side| crossed_after_ms(&geometry, &side[0], &side[1])).collect();
        assert_eq!(met.iter().any(Option::is_some), expected, "{}", vector["id"]);
        if vector["within"] == true {
            assert_eq!(met, [Some(500); 4], "{}", vector["id"]);
        }
        objects += 1;
    }
    assert!((segments, objects) == (14, 3), "{segments} segments and {objects} objects");
}

/// Fixes a minute apart, all good; the outcomes are turned by a degree of longitude, which changes nothing but
/// keeps them off the null island.
fn rows_of(fences: &[(&str, &Value)], fixes: &Value) -> Rows {
    let eastward = |position: &Value| serde_json::json!([number(&position[0]) + 1.0, position[1]]);
    let everywhere = |value: &Value| -> Value {
        match &value["coordinates"] {
            centre if centre[0].is_number() => eastward(centre),
            rings => {
                let turned = |ring: &Value| ring.as_array().unwrap().iter().map(eastward).collect();
                Value::Array(rings.as_array().unwrap().iter().map(turned).collect())
            }
        }
    };
    let off = vec![("cleaning.max_speed_kmh".to_owned(), SettingValue::Number(0.0))];
    let mut inputs = vec![Input::Settings { received: None, values: off }];
    for (id, fence) in fences {
        let mut turned = (*fence).clone();
        turned["coordinates"] = everywhere(fence);
        let settings = FenceSettings { crossed: true, ..FenceSettings::default() };
        let (id, json): (Arc<str>, Arc<str>) = ((*id).into(), "{}".into());
        let fence = Fence {
            name: id.clone(),
            id,
            shape: shape(&turned),
            settings,
            valid_from: None,
            valid_to: None,
            feature_json: json,
        };
        inputs.push(Input::Fence { received: None, fence: Arc::new(fence) });
    }
    for (i, fix) in (0..).zip(fixes.as_array().unwrap()) {
        let (lon, lat) = point(&eastward(fix));
        let position = Position { event_time: minute(i), lon, lat, ..Position::default() };
        inputs.push(Input::Position { received: None, vehicle_id: "V".to_owned(), position });
    }
    recompute_rows(&inputs, &GraphSettings::default())
}

fn minute(i: i64) -> TimeMs {
    TimeMs::EARLIEST_EVENT.plus_ms(i * 60_000)
}

/// `enter`, `exit` and `cross` are rows here; `inside` and `outside` accompany each fix. `proximity` of two
/// vehicles is nothing that a fence knows.
#[test]
fn sequences_agree_with_the_vectors() {
    let Some(vectors) = read("fence_sequences.json") else {
        return;
    };
    let mut checked = 0;
    for vector in vectors.iter().filter(|vector| vector["kind"] == "sequence") {
        let rows = rows_of(&[("F", &vector["fence"])], &vector["fixes"]);
        let is_inside = |i: i64| {
            rows.presences.iter().any(|p| p.entered <= minute(i) && p.end.is_none_or(|e| minute(i) < e.0))
        };
        for (i, _) in (0..).zip(vector["fixes"].as_array().unwrap()) {
            let happens = [
                ("enter", rows.presences.iter().any(|presence| presence.entered == minute(i))),
                ("exit", rows.presences.iter().any(|p| p.end.is_some_and(|end| end.0 == minute(i)))),
                ("cross", rows.crossings.iter().any(|crossing| crossing.to_time == minute(i))),
                ("inside", is_inside(i)),
                ("outside", !is_inside(i)),
            ];
            for (event, happens) in happens {
                let is_told = vector["detect"] == "all"
                    || vector["detect"].as_array().unwrap().iter().any(|told| told == event);
                let expected = vector["expected"].as_array().unwrap().iter();
                let is_expected = expected.clone().any(|e| e[0] == i && e[1] == event);
                assert!(!is_told || happens == is_expected, "{}: {event} at {i}", vector["id"]);
            }
        }
        checked += 1;
    }
    assert_eq!(checked, 4);
}

#[test]
fn a_sequence_over_several_fences_agrees_with_the_vectors() {
    let Some(vectors) = read("fence_sequences.json") else {
        return;
    };
    let vector = vectors.iter().find(|vector| vector["kind"] == "multi_fence_sequence").unwrap();
    let fences = vector["fences"].as_object().unwrap();
    let fences: Vec<(&str, &Value)> = fences.iter().map(|(id, fence)| (id.as_str(), fence)).collect();
    let rows = rows_of(&fences, &vector["fixes"]);
    for event in vector["expected_second_fix"].as_array().unwrap() {
        let (event, id) = event.as_str().unwrap().split_once(':').unwrap();
        let presence = rows.presences.iter().find(|presence| &*presence.fence_id == id).unwrap();
        let exited = presence.end.map(|end| end.0);
        let expected = match event {
            "exit" | "outside" => (minute(0), Some(minute(1))),
            "enter" | "inside" => (minute(1), None),
            other => panic!("{other}"),
        };
        assert_eq!((presence.entered, exited), expected, "{event} of {id}");
    }
}
