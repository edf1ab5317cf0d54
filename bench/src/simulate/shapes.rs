//! Outlines of places, and fences as the product reads them: GeoJSON features and `model::Fence`.

use std::sync::Arc;

use model::{Fence, FenceError, FenceSettings, Shape, push_json_string, ring_from_degrees};

use super::lagos::{Form, Kind};
use super::plane::{Area, LocalRing, Outline};
use super::prng::Prng;

/// What is particular to a fence; everything else is the product's default.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Terms {
    pub exit_buffer_m: Option<u32>,
    pub min_dwell_s: Option<u32>,
    pub max_absence_s: Option<u32>,
}

/// The product's defaults, which truth is computed with.
const DEFAULT_EXIT_BUFFER_M: u32 = 30;
const DEFAULT_MIN_DWELL_S: u32 = 300;
const DEFAULT_MAX_ABSENCE_S: u32 = 120;

impl Terms {
    /// A few kinds of places have terms of their own, so that these are exercised too.
    #[must_use]
    pub(crate) fn of(kind: Kind) -> Terms {
        match kind {
            Kind::Terminal => Terms { exit_buffer_m: Some(50), ..Terms::default() },
            Kind::Checkpoint => Terms { min_dwell_s: Some(120), ..Terms::default() },
            Kind::ServiceArea => Terms { max_absence_s: Some(300), ..Terms::default() },
            Kind::Depot | Kind::Client => Terms::default(),
        }
    }

    /// How far outside a truck has left, metres.
    #[must_use]
    pub(crate) fn exit_buffer_m(&self) -> f64 {
        f64::from(self.exit_buffer_m.unwrap_or(DEFAULT_EXIT_BUFFER_M))
    }

    /// How long a stay must be to be a visit.
    #[must_use]
    pub(crate) fn min_dwell_ms(&self) -> i64 {
        i64::from(self.min_dwell_s.unwrap_or(DEFAULT_MIN_DWELL_S)) * 1000
    }

    /// Absences up to this do not split a stay.
    #[must_use]
    pub(crate) fn max_absence_ms(&self) -> i64 {
        i64::from(self.max_absence_s.unwrap_or(DEFAULT_MAX_ABSENCE_S)) * 1000
    }
}

/// What a fence is called and what is particular to it.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub id: Arc<str>,
    pub name: Arc<str>,
    pub kind: Kind,
    pub terms: Terms,
}

/// An outline of this form and about this size.
#[must_use]
pub(crate) fn outline(form: Form, size_m: f64, prng: &mut Prng) -> Outline {
    let angle = prng.between(0.0, std::f64::consts::PI);
    match form {
        Form::Circle => Outline::Circle(size_m.round()),
        Form::Yard => {
            let half = (size_m, size_m * prng.between(0.6, 0.8));
            Outline::Parts(vec![vec![rectangle((0.0, 0.0), half, angle)]])
        }
        Form::Site => Outline::Parts(vec![vec![uneven(size_m, prng)]]),
        Form::Holed => {
            let around = uneven(size_m, prng);
            let off = turned((size_m * 0.25, 0.0), angle);
            let mut hole = rectangle(off, (size_m * 0.28, size_m * 0.24), angle);
            hole.reverse();
            Outline::Parts(vec![vec![around, hole]])
        }
        Form::Split => {
            let yard = |east: f64, north: f64, half: (f64, f64)| {
                let centre = turned((size_m * east, size_m * north), angle);
                vec![rectangle(centre, (size_m * half.0, size_m * half.1), angle)]
            };
            let mut parts = vec![yard(-0.62, 0.0, (0.42, 0.3)), yard(0.62, 0.0, (0.42, 0.34))];
            if prng.chance(0.5) {
                parts.push(yard(0.0, 0.85, (0.3, 0.25)));
            }
            Outline::Parts(parts)
        }
    }
}

fn turned((x, y): (f64, f64), angle: f64) -> (f64, f64) {
    let (sin, cos) = angle.sin_cos();
    (x * cos - y * sin, x * sin + y * cos)
}

fn rectangle(centre: (f64, f64), half: (f64, f64), angle: f64) -> LocalRing {
    let corners = [(-half.0, -half.1), (half.0, -half.1), (half.0, half.1), (-half.0, half.1)];
    corners
        .into_iter()
        .map(|corner| {
            let (x, y) = turned(corner, angle);
            (centre.0 + x, centre.1 + y)
        })
        .collect()
}

fn uneven(size_m: f64, prng: &mut Prng) -> LocalRing {
    let corners = prng.below(6, 11);
    (0..corners)
        .map(|corner| {
            let turn = (f64::from(corner) + prng.between(-0.25, 0.25)) / f64::from(corners);
            turned((size_m * prng.between(0.78, 1.1), 0.0), turn * std::f64::consts::TAU)
        })
        .collect()
}

/// The GeoJSON feature of an area, compact.
#[must_use]
pub(crate) fn feature_json(label: &Label, area: &Area) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(b"{\"type\":\"Feature\",\"id\":");
    push_json_string(&mut out, &label.id);
    out.extend_from_slice(b",\"properties\":{\"name\":");
    push_json_string(&mut out, &label.name);
    out.extend_from_slice(b",\"kind\":");
    push_json_string(&mut out, label.kind.as_str());
    if let Outline::Circle(radius_m) = area.outline {
        push_number(&mut out, "radius_m", radius_m as u32);
    }
    for (name, value) in [
        ("exit_buffer_m", label.terms.exit_buffer_m),
        ("min_dwell_s", label.terms.min_dwell_s),
        ("max_absence_s", label.terms.max_absence_s),
    ] {
        if let Some(value) = value {
            push_number(&mut out, name, value);
        }
    }
    out.extend_from_slice(b"},\"geometry\":{\"type\":");
    match &area.outline {
        Outline::Circle(_) => {
            out.extend_from_slice(b"\"Point\",\"coordinates\":");
            push_position(&mut out, area.centre.degrees());
        }
        Outline::Parts(parts) => {
            let several = parts.len() != 1;
            let head: &[u8] = if several { b"\"MultiPolygon\"" } else { b"\"Polygon\"" };
            out.extend_from_slice(head);
            out.extend_from_slice(b",\"coordinates\":");
            if several {
                out.push(b'[');
            }
            push_list(&mut out, parts, |out, part| {
                out.push(b'[');
                push_list(out, part, |out, ring| {
                    out.push(b'[');
                    let closed: Vec<_> = ring.iter().chain(ring.first()).copied().collect();
                    push_list(out, &closed, |out, &vertex| push_position(out, area.vertex_degrees(vertex)));
                    out.push(b']');
                });
                out.push(b']');
            });
            if several {
                out.push(b']');
            }
        }
    }
    out.extend_from_slice(b"}}");
    out
}

fn push_list<T>(out: &mut Vec<u8>, items: &[T], mut push: impl FnMut(&mut Vec<u8>, &T)) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push(out, item);
    }
}

fn push_number(out: &mut Vec<u8>, name: &str, value: u32) {
    out.extend_from_slice(format!(",\"{name}\":{value}").as_bytes());
}

fn push_position(out: &mut Vec<u8>, (lon, lat): (f64, f64)) {
    out.extend_from_slice(format!("[{lon:.7},{lat:.7}]").as_bytes());
}

/// The same fence as a value.
pub(crate) fn model_fence(label: &Label, area: &Area) -> Result<Fence, FenceError> {
    let shape = match &area.outline {
        Outline::Circle(radius_m) => Shape::Circle { centre: area.centre.coord(), radius_m: *radius_m },
        Outline::Parts(parts) => {
            let ring_of = |ring: &LocalRing| {
                let closed: Vec<_> =
                    ring.iter().chain(ring.first()).map(|&vertex| area.vertex_degrees(vertex)).collect();
                ring_from_degrees(&closed, true)
            };
            let parts =
                parts.iter().map(|part| part.iter().map(ring_of).collect()).collect::<Result<_, _>>()?;
            Shape::Polygon { parts }
        }
    };
    let settings = FenceSettings {
        exit_buffer_m: label.terms.exit_buffer_m.map(f64::from),
        min_dwell_ms: label.terms.min_dwell_s.map(|s| i64::from(s) * 1000),
        max_absence_ms: label.terms.max_absence_s.map(|s| i64::from(s) * 1000),
        ..FenceSettings::default()
    };
    let fence = Fence {
        id: label.id.clone(),
        name: label.name.clone(),
        shape,
        settings,
        valid_from: None,
        valid_to: None,
        feature_json: String::from_utf8_lossy(&feature_json(label, area)).into(),
    };
    fence.check()?;
    Ok(fence)
}

#[cfg(test)]
mod tests {
    use super::super::plane::Point;
    use super::*;

    #[test]
    fn every_form_is_a_valid_fence_and_json() {
        for (index, form) in
            [Form::Circle, Form::Yard, Form::Site, Form::Holed, Form::Split].into_iter().enumerate()
        {
            let mut prng = Prng::new(index as u64);
            let area = Area::new(Point::from_degrees(3.5, 6.7), outline(form, 400.0, &mut prng));
            let label = Label {
                id: "x".into(),
                name: "The \"X\"".into(),
                kind: Kind::Terminal,
                terms: Terms::of(Kind::Terminal),
            };
            let fence = model_fence(&label, &area).unwrap();
            let feature: serde_json::Value = serde_json::from_str(&fence.feature_json).unwrap();
            assert_eq!(feature["properties"]["exit_buffer_m"], 50);
            let geometry = feature["geometry"]["type"].as_str().unwrap();
            match form {
                Form::Circle => assert_eq!(geometry, "Point"),
                Form::Split => assert_eq!(geometry, "MultiPolygon"),
                _ => assert_eq!(geometry, "Polygon"),
            }
            if form == Form::Holed {
                assert_eq!(feature["geometry"]["coordinates"].as_array().unwrap().len(), 2);
            }
        }
    }
}
