//! Positions: what is required, and which optional values are tolerated.

use std::borrow::Cow;

use model::{BadFields, MAX_ID_BYTES, Position, PositionRef, RecordSink};
use serde_json::value::RawValue;

use super::{Envelope, Origin, json_time, not_posted};
use crate::json;

/// Faster than this is no speed of a road vehicle.
const MAX_SPEED_KMH: f64 = 300.0;
const FULL_TURN_DEGREES: f64 = 360.0;

/// An optional value as found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Reading<T> {
    /// Not given.
    Absent,
    /// Given, but not readable.
    Unreadable,
    /// Readable.
    Value(T),
}

/// The optional values of a position as found.
pub(crate) struct Optionals {
    pub(crate) speed_kmh: Reading<f64>,
    pub(crate) heading: Reading<f64>,
    pub(crate) ignition: Reading<bool>,
    pub(crate) accuracy_m: Reading<f64>,
}

impl Optionals {
    /// Sets what can be used, and notes what can't.
    pub(crate) fn fill(self, position: &mut Position) {
        let bad = &mut position.bad;
        position.speed_kmh = usable(self.speed_kmh, MAX_SPEED_KMH, BadFields::SPEED, bad);
        position.heading = usable(self.heading, FULL_TURN_DEGREES, BadFields::HEADING, bad);
        position.accuracy_m = usable(self.accuracy_m, f64::MAX, BadFields::ACCURACY, bad);
        position.ignition = match self.ignition {
            Reading::Value(on) => Some(on),
            Reading::Absent => None,
            Reading::Unreadable => {
                bad.add(BadFields::IGNITION);
                None
            }
        };
    }
}

fn usable(reading: Reading<f64>, max: f64, field: BadFields, bad: &mut BadFields) -> Option<f64> {
    match reading {
        Reading::Absent => None,
        Reading::Value(value) if (0.0..=max).contains(&value) => Some(value),
        Reading::Value(_) | Reading::Unreadable => {
            bad.add(field);
            None
        }
    }
}

/// A number in a text field; empty is absent.
pub(crate) fn number_in_text(text: &str) -> Reading<f64> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Reading::Absent;
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Reading::Value(value),
        _ => Reading::Unreadable,
    }
}

/// A JSON number.
pub(crate) fn number_in_json(raw: Option<&RawValue>) -> Reading<f64> {
    match raw {
        None => Reading::Absent,
        Some(raw) => json::number(raw).map_or(Reading::Unreadable, Reading::Value),
    }
}

/// `true`, `false`, `0`, `1`, `on`, `off` in any case; empty is absent.
pub(crate) fn ignition_in_text(text: &str) -> Reading<bool> {
    let text = text.trim_ascii();
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match text {
        "" => Reading::Absent,
        "1" => Reading::Value(true),
        "0" => Reading::Value(false),
        _ if is("true") || is("on") => Reading::Value(true),
        _ if is("false") || is("off") => Reading::Value(false),
        _ => Reading::Unreadable,
    }
}

/// The same words as text, or a JSON boolean or number.
pub(crate) fn ignition_in_json(raw: Option<&RawValue>) -> Reading<bool> {
    let Some(raw) = raw else { return Reading::Absent };
    match raw.get() {
        "true" => return Reading::Value(true),
        "false" => return Reading::Value(false),
        _ => {}
    }
    if let Some(number) = json::number(raw) {
        return match number {
            1.0 => Reading::Value(true),
            0.0 => Reading::Value(false),
            _ => Reading::Unreadable,
        };
    }
    match json::text(raw).map(|text| ignition_in_text(&text)) {
        Some(Reading::Value(on)) => Reading::Value(on),
        _ => Reading::Unreadable,
    }
}

/// Checks an identifier: some text, not too much of it.
pub(crate) fn check_id(name: &str, id: &str) -> Result<(), String> {
    if id.is_empty() {
        return Err(format!("{name} is empty"));
    }
    if id.len() > MAX_ID_BYTES {
        return Err(format!("{name} has {} bytes; at most {MAX_ID_BYTES} are allowed", id.len()));
    }
    Ok(())
}

/// A required JSON number; the reason names the field.
fn coordinate(name: &str, raw: Option<&RawValue>) -> Result<f64, String> {
    let raw = raw.ok_or_else(|| format!("{name} is missing"))?;
    json::number(raw).ok_or_else(|| match json::is_number(raw) {
        true => format!("{name} {} is not a finite number", json::quoted(raw.get())),
        false => format!("{name} must be a JSON number, and is {}", json::quoted(raw.get())),
    })
}

pub(super) fn decode(fields: &Envelope<'_>, origin: Origin, sink: &mut dyn RecordSink) -> Result<(), String> {
    let vehicle_id = id_of_json("vehicle_id", fields.vehicle_id)?;
    let event_time = json_time("event_time", fields.event_time.ok_or("event_time is missing")?)?;
    let mut position = Position {
        event_time,
        lon: coordinate("lon", fields.lon)?,
        lat: coordinate("lat", fields.lat)?,
        exempt: exempt(fields, origin)?,
        ..Position::default()
    };
    let optionals = Optionals {
        speed_kmh: number_in_json(fields.speed_kmh),
        heading: number_in_json(fields.heading),
        ignition: ignition_in_json(fields.ignition),
        accuracy_m: number_in_json(fields.accuracy_m),
    };
    optionals.fill(&mut position);
    let received = fields.received_time.filter(|_| origin == Origin::File).and_then(|raw| {
        let time = json_time("received_time", raw).ok();
        if time.is_none() {
            position.bad.add(BadFields::RECEIVED_TIME);
        }
        time
    });
    let spelling = match fields.spelling {
        Some(raw) => Some(id_of_json("spelling", Some(raw))?).filter(|spelling| *spelling != vehicle_id),
        None => None,
    };
    let position = PositionRef { vehicle_id: &vehicle_id, spelling: spelling.as_deref(), position };
    sink.position(received, position);
    Ok(())
}

/// Whether it belongs to a backfill.
fn exempt(fields: &Envelope<'_>, origin: Origin) -> Result<bool, String> {
    match origin {
        Origin::Journalled => Ok(false),
        Origin::Posted if json::flag("exempt", fields.exempt)? => {
            Err(not_posted("a position that is exempt"))
        }
        Origin::Posted => Ok(false),
        Origin::Backfill | Origin::File => json::flag("exempt", fields.exempt),
    }
}

fn id_of_json<'a>(name: &str, raw: Option<&'a RawValue>) -> Result<Cow<'a, str>, String> {
    let raw = raw.ok_or_else(|| format!("{name} is missing"))?;
    let id =
        json::text(raw).ok_or_else(|| format!("{name} must be text, and is {}", json::quoted(raw.get())))?;
    check_id(name, &id)?;
    Ok(id)
}
