//! Fences: a GeoJSON feature becomes a [`Fence`].

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use model::{
    Coord, Fence, FenceError, FenceSettings, Record, Ring, Schedule, Shape, TimeMs, ring_from_degrees,
    time_zone,
};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Origin, check_id, json_time};
use crate::json::{self, Members};

const MAX_EXIT_BUFFER_M: f64 = 1000.0;
const MAX_DURATION_S: f64 = 1e9;
const MAX_SPEED_LIMIT_KMH: f64 = 1000.0;

#[derive(Deserialize)]
struct Feature<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    id: Option<&'a RawValue>,
    geometry: Option<&'a RawValue>,
    properties: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Geometry<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    coordinates: Option<&'a RawValue>,
}

/// What becomes of the properties `active` and `active_zone` where they are no schedule: earlier releases gave them
/// back like any other property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadSchedule {
    /// The feature is refused.
    Refused,
    /// The fence has no schedule.
    Ignored,
}

/// The properties that mean something; others are only kept in the fence's text.
#[derive(Default, Deserialize)]
struct Properties<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    name: Option<&'a RawValue>,
    radius_m: Option<&'a RawValue>,
    width_m: Option<&'a RawValue>,
    exit_buffer_m: Option<&'a RawValue>,
    min_dwell_s: Option<&'a RawValue>,
    max_absence_s: Option<&'a RawValue>,
    alert: Option<&'a RawValue>,
    crossed: Option<&'a RawValue>,
    valid_from: Option<&'a RawValue>,
    valid_to: Option<&'a RawValue>,
    speed_limit_kmh: Option<&'a RawValue>,
    active: Option<&'a RawValue>,
    active_zone: Option<&'a RawValue>,
}

/// A GeoJSON position: longitude and latitude; an altitude, and whatever follows, is ignored.
struct LonLat(f64, f64);

impl<'de> Deserialize<'de> for LonLat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LonLat, D::Error> {
        struct LonLatVisitor;
        impl<'de> Visitor<'de> for LonLatVisitor {
            type Value = LonLat;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a position: [longitude, latitude]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<LonLat, A::Error> {
                let (Some(lon), Some(lat)) = (numbers.next_element()?, numbers.next_element()?) else {
                    return Err(serde::de::Error::invalid_length(1, &self));
                };
                while numbers.next_element::<IgnoredAny>()?.is_some() {}
                Ok(LonLat(lon, lat))
            }
        }
        deserializer.deserialize_seq(LonLatVisitor)
    }
}

/// Decodes a `fence` record.
pub(super) fn decode_edit(members: &Members<'_>, origin: Origin) -> Result<Record, String> {
    let bad_schedule = match origin {
        Origin::Posted | Origin::Backfill => BadSchedule::Refused,
        Origin::Journalled | Origin::File => BadSchedule::Ignored,
    };
    let op = super::entity::required_text(members, "op")?;
    match op.as_ref() {
        "upsert" => {
            let feature = members.value("feature").ok_or("feature is missing")?;
            Ok(Record::FenceUpsert(Arc::new(fence_of_feature(feature.get(), bad_schedule)?)))
        }
        "delete" => {
            let id = members.value("id").ok_or("id is missing")?;
            let at = members.value("at").map(|raw| json_time("at", raw)).transpose()?;
            Ok(Record::FenceDelete { id: id_text("id", id)?.into(), at })
        }
        other => Err(format!("op {} is not known; upsert and delete are", json::quoted(other))),
    }
}

/// Reads and checks a GeoJSON feature; the reason names the fence as far as it has a name.
pub(crate) fn fence_of_feature(feature_text: &str, bad_schedule: BadSchedule) -> Result<Fence, String> {
    let feature: Feature<'_> = json::object(feature_text)?;
    if feature.kind.and_then(json::text).as_deref() != Some("Feature") {
        return Err("the feature's type must be \"Feature\"".to_owned());
    }
    let properties: Properties<'_> = match feature.properties {
        None => Properties::default(),
        Some(raw) => json::object(raw.get()).map_err(|reason| format!("properties: {reason}"))?,
    };
    let id = match (feature.id, properties.id) {
        (Some(raw), _) => id_text("id", raw)?,
        (None, Some(raw)) => id_text("properties.id", raw)?,
        (None, None) => return Err("the feature has no id, and no properties.id".to_owned()),
    };
    build(&id, feature_text, &feature, &properties, bad_schedule)
        .map_err(|reason| format!("fence {}: {reason}", json::quoted(&id)))
}

/// Tells of a schedule that a fence names and has not, since it is not understood.
pub(crate) fn ignored_schedule(fence: &Fence) -> Option<String> {
    if fence.settings.active.is_some() {
        return None;
    }
    let feature: Feature<'_> = json::object(&fence.feature_json).ok()?;
    let properties: Properties<'_> = json::object(feature.properties?.get()).ok()?;
    let reason = schedule(properties.active, properties.active_zone).err()?;
    Some(format!("fence {} is always active: {reason}", json::quoted(&fence.id)))
}

fn build(
    id: &str,
    feature_text: &str,
    feature: &Feature<'_>,
    properties: &Properties<'_>,
    bad_schedule: BadSchedule,
) -> Result<Fence, String> {
    let active = match (schedule(properties.active, properties.active_zone), bad_schedule) {
        (Err(_), BadSchedule::Ignored) => None,
        (schedule, _) => schedule?.map(Arc::new),
    };
    let shape = shape_of(feature.geometry.ok_or("geometry is missing")?, properties)?;
    let settings = FenceSettings {
        exit_buffer_m: number("exit_buffer_m", properties.exit_buffer_m, MAX_EXIT_BUFFER_M)?,
        min_dwell_ms: duration_ms("min_dwell_s", properties.min_dwell_s)?,
        max_absence_ms: duration_ms("max_absence_s", properties.max_absence_s)?,
        alert: json::flag("alert", properties.alert)?,
        crossed: json::flag("crossed", properties.crossed)?,
        speed_limit_kmh: number("speed_limit_kmh", properties.speed_limit_kmh, MAX_SPEED_LIMIT_KMH)?,
        active,
    };
    let name = properties.name.and_then(label_text).filter(|name| !name.is_empty());
    let mut feature_json = String::new();
    json::push_compact(&mut feature_json, feature_text)?;
    let fence = Fence {
        id: id.into(),
        name: name.as_deref().unwrap_or(id).into(),
        shape,
        settings,
        valid_from: time("valid_from", properties.valid_from)?,
        valid_to: time("valid_to", properties.valid_to)?,
        feature_json: feature_json.into(),
    };
    fence.check().map_err(|error| error.to_string())?;
    Ok(fence)
}

fn shape_of(geometry: &RawValue, properties: &Properties<'_>) -> Result<Shape, String> {
    let geometry: Geometry<'_> =
        json::object(geometry.get()).map_err(|reason| format!("geometry: {reason}"))?;
    let kind = geometry.kind.and_then(json::text).ok_or("geometry.type is missing")?;
    let coordinates = geometry.coordinates.map_or("null", RawValue::get);
    match kind.as_ref() {
        "Point" => {
            let LonLat(lon, lat) = positions(coordinates)?;
            let centre = Coord::from_degrees(lon, lat).map_err(|error| error.to_string())?;
            Ok(Shape::Circle { centre, radius_m: extent("radius_m", "a Point", properties.radius_m)? })
        }
        "LineString" => {
            let line = ring(&positions::<Vec<LonLat>>(coordinates)?, false).map_err(|e| e.to_string())?;
            Ok(Shape::Corridor { line, width_m: extent("width_m", "a LineString", properties.width_m)? })
        }
        "Polygon" => Ok(Shape::Polygon { parts: vec![part(&positions::<Vec<Vec<LonLat>>>(coordinates)?)?] }),
        "MultiPolygon" => {
            let parts: Vec<Vec<Vec<LonLat>>> = positions(coordinates)?;
            Ok(Shape::Polygon { parts: parts.iter().map(|rings| part(rings)).collect::<Result<_, _>>()? })
        }
        other => Err(format!(
            "geometry {} is no fence; Point, LineString, Polygon and MultiPolygon are",
            json::quoted(other)
        )),
    }
}

fn positions<'a, T: Deserialize<'a>>(coordinates: &'a str) -> Result<T, String> {
    serde_json::from_str(coordinates).map_err(|error| format!("geometry.coordinates: {error}"))
}

fn part(rings: &[Vec<LonLat>]) -> Result<Vec<Ring>, String> {
    let numbered = rings.iter().enumerate();
    numbered.map(|(i, r)| ring(r, true).map_err(|error| format!("ring {}: {error}", i + 1))).collect()
}

fn ring(line: &[LonLat], closed: bool) -> Result<Ring, FenceError> {
    let degrees: Vec<(f64, f64)> = line.iter().map(|&LonLat(lon, lat)| (lon, lat)).collect();
    ring_from_degrees(&degrees, closed)
}

/// Text, or a number as text.
fn label_text(raw: &RawValue) -> Option<Cow<'_, str>> {
    if json::is_number(raw) { Some(Cow::Borrowed(raw.get())) } else { json::text(raw) }
}

/// An identifier that is text or a number.
pub(super) fn id_text(name: &str, raw: &RawValue) -> Result<String, String> {
    let id = label_text(raw).ok_or_else(|| format!("{name} must be text or a number"))?;
    check_id(name, &id)?;
    Ok(id.into_owned())
}

/// How far a shape without an area reaches. That it is positive is checked with the whole fence.
fn extent(name: &str, shape: &str, raw: Option<&RawValue>) -> Result<f64, String> {
    let raw = raw.ok_or_else(|| format!("{shape} needs properties.{name}"))?;
    json::number(raw).ok_or_else(|| format!("{name} must be a number, and is {}", json::quoted(raw.get())))
}

fn number(name: &str, raw: Option<&RawValue>, max: f64) -> Result<Option<f64>, String> {
    let Some(raw) = raw else { return Ok(None) };
    match json::number(raw) {
        Some(value) if (0.0..=max).contains(&value) => Ok(Some(value)),
        _ => Err(format!("{name} must be a number from 0 to {max}, and is {}", json::quoted(raw.get()))),
    }
}

fn duration_ms(name: &str, raw: Option<&RawValue>) -> Result<Option<i64>, String> {
    Ok(number(name, raw, MAX_DURATION_S)?.map(|seconds| (seconds * 1000.0).round() as i64))
}

/// When the fence is in force, in a zone of its own where it names one.
fn schedule(active: Option<&RawValue>, zone: Option<&RawValue>) -> Result<Option<Schedule>, String> {
    let zone = match zone {
        None => None,
        Some(raw) => {
            let named = json::text(raw).and_then(|name| time_zone(&name).ok());
            Some(named.ok_or_else(|| {
                format!(
                    "active_zone must be an IANA time zone such as Africa/Lagos, and is {}",
                    json::quoted(raw.get())
                )
            })?)
        }
    };
    let Some(raw) = active else { return Ok(None) };
    let text = json::text(raw).ok_or_else(|| {
        format!("active must be text such as \"Mo-Fr 06:00-18:00\", and is {}", json::quoted(raw.get()))
    })?;
    let schedule =
        Schedule::parse(&text).map_err(|error| format!("active {}: {error}", json::quoted(&text)))?;
    Ok(Some(match zone {
        Some(zone) => schedule.in_zone(zone),
        None => schedule,
    }))
}

fn time(name: &str, raw: Option<&RawValue>) -> Result<Option<TimeMs>, String> {
    raw.map(|raw| json_time(name, raw)).transpose()
}
