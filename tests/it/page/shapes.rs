//! Fences of every kind of shape, what is dragged of each, and which values that may change.

use serde_json::{Value, json};

use crate::browser::Fence;

/// A fence, the ring and the point of it that are dragged, and the paths of what is another value then.
pub struct Shape {
    pub fence: Fence,
    pub feature: Value,
    pub moved: (usize, usize),
    pub changes: Vec<String>,
}

/// A circle, a corridor, areas with a hole, one across the antimeridian, and one of 5,000 points.
pub fn all() -> Vec<Shape> {
    let square = |lon: f64, lat: f64, half: f64| {
        let (west, east, south, north) = (lon - half, lon + half, lat - half, lat + half);
        json!([[west, south], [east, south], [east, north], [west, north], [west, south]])
    };
    let dateline =
        json!([[[179.99, 10.0], [-179.99, 10.0], [-179.99, 10.02], [179.99, 10.02], [179.99, 10.0]]]);
    let rings = json!([[square(3.3, 6.4, 0.01), square(3.3, 6.4, 0.004)], [square(3.33, 6.4, 0.005)]]);
    let line = json!([[3.5, 6.5], [3.51, 6.5], [3.52, 6.51]]);
    vec![
        // The second point of a circle is its radius.
        shape(
            "circle",
            json!({"radius_m": 250}),
            "Point",
            json!([3.6, 6.6]),
            (0, 1),
            &["properties.radius_m"],
        ),
        shape(
            "centre",
            json!({"radius_m": 250}),
            "Point",
            json!([3.7, 6.6]),
            (0, 0),
            &["geometry.coordinates.0"],
        ),
        shape("corridor", json!({"width_m": 80}), "LineString", line, (0, 1), &["geometry.coordinates.1.0"]),
        shape("hole", json!({}), "MultiPolygon", rings, (1, 2), &["geometry.coordinates.0.1.2.0"]),
        // The first point of a ring is its last one, too.
        shape(
            "dateline",
            json!({}),
            "Polygon",
            dateline,
            (0, 0),
            &["geometry.coordinates.0.0.0", "geometry.coordinates.0.4.0"],
        ),
        shape(
            "large",
            json!({}),
            "Polygon",
            json!([circle_of_points(5000)]),
            (0, 0),
            &["geometry.coordinates.0.0.0", "geometry.coordinates.0.5000.0"],
        ),
    ]
}

fn shape(
    id: &'static str,
    mut properties: Value,
    kind: &str,
    coordinates: Value,
    moved: (usize, usize),
    changes: &[&str],
) -> Shape {
    properties["name"] = id.into();
    let feature = json!({"type": "Feature", "id": id, "properties": properties,
        "geometry": {"type": kind, "coordinates": coordinates}});
    let changes = changes.iter().map(|path| (*path).to_owned()).collect();
    Shape { fence: Fence { id, name: id }, feature, moved, changes }
}

/// A closed ring around a place.
fn circle_of_points(count: usize) -> Value {
    let point = |i: usize| {
        let angle = std::f64::consts::TAU * (i % count) as f64 / count as f64;
        let round = |degrees: f64| (degrees * 1e7).round() / 1e7;
        json!([round(4.0 + 0.02 * angle.cos()), round(6.8 + 0.02 * angle.sin())])
    };
    (0..=count).map(point).collect()
}

/// The paths at which two features differ, in order.
pub fn differences(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for member in ["id", "properties", "geometry"] {
        compare(member.to_owned(), &old[member], &new[member], &mut found);
    }
    found
}

fn compare(path: String, old: &Value, new: &Value, found: &mut Vec<String>) {
    match (old, new) {
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                compare(format!("{path}.{i}"), a, b, found);
            }
        }
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for (name, a) in a {
                compare(format!("{path}.{name}"), a, &b[name], found);
            }
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        _ => found.push(path),
    }
}
