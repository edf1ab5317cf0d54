//! Live locations become positions.

use std::borrow::Cow;

use model::{Position, PositionRef, RecordSink, normalise_vehicle_number};
use serde_json::value::RawValue;

use super::push::Push;
use super::{Context, times};
use crate::json;
use crate::shape::{self, Optionals, Reading};

/// Decodes a location and passes it on; on an error nothing was passed on.
///
/// The flags of harsh driving and the device's number are not passed on: the journal keeps them, and decoding
/// can be redone once something uses them.
pub(super) fn decode(
    push: &Push<'_>,
    context: &Context<'_>,
    sink: &mut dyn RecordSink,
) -> Result<(), String> {
    let received = push.vehicle_number()?;
    let vehicle_id = vehicle_id(&received)?;
    let gps_time = push.gps_time.ok_or("gpstime is missing")?;
    let gps_time = json::text(gps_time).ok_or("gpstime must be text")?;
    let mut position = Position {
        event_time: times::parse("gpstime", &gps_time, context.naive_timezone)?,
        lon: coordinate("longitude", push.longitude)?,
        lat: coordinate("latitude", push.latitude)?,
        ..Position::default()
    };
    let optionals = Optionals {
        speed_kmh: number(push.speed),
        heading: number(push.orientation),
        ignition: match push.ignition {
            Some(raw) if is_unknown(raw) => Reading::Absent,
            raw => shape::ignition_in_json(raw),
        },
        accuracy_m: Reading::Absent,
    };
    optionals.fill(&mut position);
    let spelling = Some(received.as_ref()).filter(|spelling| *spelling != vehicle_id);
    sink.position(None, PositionRef { vehicle_id: &vehicle_id, spelling, position });
    Ok(())
}

/// The identity of a vehicle number; copies only where it is spelled differently.
pub(super) fn vehicle_id(received: &str) -> Result<Cow<'_, str>, String> {
    let is_normal = |byte: u8| byte.is_ascii_graphic() && !byte.is_ascii_lowercase();
    if received.bytes().all(is_normal) && !received.ends_with('-') {
        return Ok(Cow::Borrowed(received));
    }
    let id = normalise_vehicle_number(received);
    shape::check_id("the vehicle number, in upper case and without blanks,", &id)?;
    Ok(Cow::Owned(id))
}

fn coordinate(name: &str, raw: Option<&RawValue>) -> Result<f64, String> {
    match number(raw) {
        Reading::Value(value) => Ok(value),
        Reading::Absent => Err(format!("{name} is missing")),
        Reading::Unreadable => {
            let received = raw.map_or("", RawValue::get);
            Err(format!("{name} must be a finite number, and is {}", json::quoted(received)))
        }
    }
}

/// A number, or a number as text.
fn number(raw: Option<&RawValue>) -> Reading<f64> {
    match raw {
        Some(raw) if is_unknown(raw) => Reading::Absent,
        Some(raw) if !json::is_number(raw) => match json::text(raw) {
            Some(text) => shape::number_in_text(&text),
            None => Reading::Unreadable,
        },
        raw => shape::number_in_json(raw),
    }
}

/// How the sender writes that it does not know.
fn is_unknown(raw: &RawValue) -> bool {
    matches!(raw.get(), "\"\"" | "\"N/A\"")
}
