//! Inputs and rows to text.

use std::fmt::{self, Write};

use model::{
    AutoPlaces, BadFields, Fence, LocationEdit, Position, Ring, SettingValue, Shape, TimeMs, TripEdit,
    TripRow, TripStatus, UNITS_PER_DEGREE, VehicleEdit,
};

use super::words::{first_word, quoted, word};
use super::{DAY, NEXT_DAY, alerts};
use crate::oracle::{Input, Rows};

const HALF_TURN: i64 = 180 * UNITS_PER_DEGREE;
const BAD_FIELDS: [(BadFields, &str); 5] = [
    (BadFields::SPEED, "bad"),
    (BadFields::HEADING, "bad-heading"),
    (BadFields::IGNITION, "bad-ignition"),
    (BadFields::ACCURACY, "bad-accuracy"),
    (BadFields::RECEIVED_TIME, "bad-received"),
];

/// A scenario that [`parse`](fn@super::parse) reads as these inputs again, one line each.
#[must_use]
pub fn print_inputs(inputs: &[Input]) -> String {
    lines(|out| inputs.iter().try_for_each(|input| write_input(out, input)))
}

/// Rows as lines such as `T1 yard 08:00..08:34 exit`. Alerts are printed by [`print_alerts`](super::print_alerts).
#[must_use]
pub fn print_rows(rows: &Rows) -> String {
    lines(|out| write_rows(out, rows))
}

pub(super) fn lines(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    // Writing into a `String` cannot fail.
    let written = write(&mut out);
    debug_assert!(written.is_ok());
    out
}

fn write_input(out: &mut String, input: &Input) -> fmt::Result {
    match input {
        Input::Position { vehicle_id, position, .. } => {
            write!(out, "{} {}", first_word(vehicle_id), short(position.event_time))?;
            write_position(out, position)?;
        }
        Input::Fence { fence, .. } => write_fence(out, fence)?,
        Input::FenceDelete { id, at, .. } => {
            write!(out, "delete {}", word(id))?;
            if let Some(at) = at {
                write!(out, " at {}", short(*at))?;
            }
        }
        Input::Trip { id, edit, .. } => write_trip_edit(out, id, edit)?,
        Input::Location { id, edit, .. } => {
            write!(out, "location {} ", word(id))?;
            match edit {
                LocationEdit::Upsert { fence_id, kind } => {
                    match fence_id {
                        Some(fence_id) => write!(out, "at {}", word(fence_id))?,
                        None => out.push_str("nowhere"),
                    }
                    kind.map_or(Ok(()), |kind| write!(out, " {}", kind.as_str()))?;
                }
                LocationEdit::Delete => out.push_str("deleted"),
            }
        }
        Input::Rule { rule, .. } => alerts::write_rule(out, rule)?,
        Input::ProviderAlert { alert, .. } => alerts::write_provider(out, alert)?,
        Input::Vehicle { id, edit, .. } => match edit {
            VehicleEdit::Upsert { company, is_operational } => {
                let status = if *is_operational { "operational" } else { "maintenance" };
                write!(out, "vehicle {} {status}", word(id))?;
                write_value(out, "of", company.as_ref().map(|company| word(company)))?;
            }
            VehicleEdit::Delete => write!(out, "vehicle {} deleted", word(id))?,
        },
        Input::Settings { values, .. } => {
            out.push_str("set");
            for (name, value) in values {
                write!(out, " {} {}", word(name), setting_value(value))?;
            }
        }
        Input::Backfill { from, to, .. } => write!(out, "backfill {} {}", short(*from), short(*to))?,
        Input::Clock { .. } => out.push_str("clock"),
        Input::Malformed { .. } => out.push_str("malformed"),
        Input::Other { .. } => out.push_str("other"),
    }
    if let Some(received) = input.received() {
        let mark = if matches!(input, Input::Clock { .. }) { "" } else { "@" };
        write!(out, " {mark}{}", short(received))?;
    }
    writeln!(out)
}

fn write_trip_edit(out: &mut String, id: &str, edit: &TripEdit) -> fmt::Result {
    match edit {
        TripEdit::Plan(plan) => {
            let places = [&plan.vehicle_id, &plan.pickup, &plan.delivery].map(|id| word(id));
            write!(out, "trip {} {} {}", word(id), places.join(" "), short(plan.scheduled_departure))?;
            write_value(out, "arrives", plan.scheduled_arrival.map(short))?;
            write_value(out, "along", plan.corridor.as_deref().map(word))?;
            write_value(out, "for", plan.client.as_ref().map(|client| word(client)))?;
            plan.waypoints.iter().try_for_each(|place| write!(out, " via {}", word(place)))
        }
        TripEdit::SetStatus { status, by } => {
            let status = status.map_or(TripRow::INFERRED, TripStatus::as_str);
            write!(out, "status {} {status} by {}", word(id), word(by))
        }
    }
}

fn write_position(out: &mut String, position: &Position) -> fmt::Result {
    write!(out, " {},{}", position.lon, position.lat)?;
    for (field, name) in BAD_FIELDS {
        if position.bad.has(field) {
            write!(out, " {name}")?;
        }
    }
    write_value(out, "speed", position.speed_kmh)?;
    write_value(out, "heading", position.heading)?;
    write_value(out, "ignition", position.ignition.map(|is_on| if is_on { "on" } else { "off" }))?;
    write_value(out, "accuracy", position.accuracy_m)?;
    out.push_str(if position.exempt { " exempt" } else { "" });
    Ok(())
}

pub(super) fn write_value(out: &mut String, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    value.map_or(Ok(()), |value| write!(out, " {name} {value}"))
}

fn setting_value(value: &SettingValue) -> String {
    match value {
        SettingValue::Number(number) => number.to_string(),
        SettingValue::Bool(flag) => flag.to_string(),
        SettingValue::Text(text) => {
            let would_be_another = text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok();
            if would_be_another { quoted(text) } else { word(text) }
        }
    }
}

fn write_fence(out: &mut String, fence: &Fence) -> fmt::Result {
    write!(out, "fence {} ", word(&fence.id))?;
    match &fence.shape {
        Shape::Circle { centre, radius_m } => {
            write!(out, "circle {},{} {radius_m}", centre.lon_degrees(), centre.lat_degrees())?;
        }
        Shape::Corridor { line, width_m } => {
            write!(out, "line{} width {width_m}", positions(&line.vertices))?;
        }
        Shape::Polygon { parts } => match square(parts) {
            Some(corners) => write!(out, "square{}", positions(&corners))?,
            None => {
                for (i, part) in parts.iter().enumerate() {
                    for (j, ring) in part.iter().enumerate() {
                        let name = match (i, j) {
                            (0, 0) => "ring",
                            (_, 0) => " part",
                            _ => " hole",
                        };
                        let (_, unclosed) = ring.vertices.split_last().unwrap_or((&(0, 0), &[]));
                        write!(out, "{name}{}", positions(unclosed))?;
                    }
                }
            }
        },
    }
    let settings = &fence.settings;
    let seconds = |ms: i64| ms as f64 / 1000.0;
    write_value(out, "from", fence.valid_from.map(short))?;
    write_value(out, "to", fence.valid_to.map(short))?;
    write_value(out, "buffer", settings.exit_buffer_m)?;
    write_value(out, "dwell", settings.min_dwell_ms.map(seconds))?;
    write_value(out, "absence", settings.max_absence_ms.map(seconds))?;
    write_value(out, "limit", settings.speed_limit_kmh)?;
    out.push_str(if settings.crossed { " crossed" } else { "" });
    out.push_str(if settings.alert { " alert" } else { "" });
    let active = settings.active.as_ref();
    write_value(out, "active", active.map(|active| word(active.text())))?;
    let zone = active.and_then(|active| active.zone());
    write_value(out, "zone", zone.and_then(|zone| zone.iana_name()).map(word))?;
    write_value(out, "name", (fence.name != fence.id).then(|| word(&fence.name)))?;
    write_value(out, "json", (&*fence.feature_json != "{}").then(|| word(&fence.feature_json)))
}

/// South-west and north-east of a polygon that is written as a square.
fn square(parts: &[Vec<Ring>]) -> Option<[(i64, i64); 2]> {
    let [part] = parts else { return None };
    let [ring] = part.as_slice() else { return None };
    let [a, b, c, d, _] = ring.vertices.as_slice() else { return None };
    let is_square = a.1 == b.1 && b.0 == c.0 && c.1 == d.1 && d.0 == a.0;
    is_square.then_some([*a, *c])
}

/// Unwrapped longitudes as they are within half a turn.
fn positions(vertices: &[(i64, i64)]) -> String {
    let per_degree = UNITS_PER_DEGREE as f64;
    let wrapped = |lon: i64| match lon.abs() > HALF_TURN {
        true => (lon + HALF_TURN).rem_euclid(2 * HALF_TURN) - HALF_TURN,
        false => lon,
    };
    let position = |&(lon, lat): &(i64, i64)| {
        format!(" {},{}", wrapped(lon) as f64 / per_degree, lat as f64 / per_degree)
    };
    vertices.iter().map(position).collect()
}

/// The shortest spelling of a time.
pub(in crate::oracle) fn short(time: TimeMs) -> String {
    let full = time.to_string();
    let (sign, rest) = match (full.strip_prefix(DAY), full.strip_prefix(NEXT_DAY)) {
        (Some(rest), _) => ("", rest),
        (_, Some(rest)) => ("+", rest),
        _ => return full,
    };
    let clock = rest.trim_end_matches('Z');
    match clock.strip_suffix(":00").filter(|minutes| minutes.len() == 5) {
        Some(minutes) => format!("{sign}{minutes}"),
        None => format!("{sign}{clock}"),
    }
}

fn write_rows(out: &mut String, rows: &Rows) -> fmt::Result {
    let until = |time: Option<TimeMs>| time.map(short).unwrap_or_default();
    for row in &rows.presences {
        let (vehicle, fence) = (word(&row.vehicle_id), word(&row.fence_id));
        write!(out, "{vehicle} {fence} {}..{}", short(row.entered), until(row.end.map(|end| end.0)))?;
        writeln!(out, "{}", row.end.map_or(String::new(), |(_, reason)| format!(" {}", reason.as_str())))?;
    }
    for row in &rows.visits {
        let (vehicle, fence) = (word(&row.vehicle_id), word(&row.fence_id));
        let (from, to) = (short(row.arrived), until(row.departed));
        let confirmed = short(row.confirmed_at);
        writeln!(out, "visit {vehicle} {fence} {from}..{to} confirmed {confirmed} of {}", row.presences)?;
    }
    for row in &rows.crossings {
        let (vehicle, fence) = (word(&row.vehicle_id), word(&row.fence_id));
        let (from, to, at) = (short(row.from_time), short(row.to_time), short(row.at));
        writeln!(out, "cross {vehicle} {fence} {from}..{to} at {at}")?;
    }
    for row in &rows.rejects {
        let fix = row.fix.as_ref().map(|(vehicle, time)| format!(" {} {}", word(vehicle), short(*time)));
        writeln!(out, "reject {}{} {}", row.seq, fix.unwrap_or_default(), row.reason.as_str())?;
    }
    rows.trips.iter().try_for_each(|row| write_trip(out, row))
}

fn write_trip(out: &mut String, row: &TripRow) -> fmt::Result {
    let (trip, vehicle) = (word(&row.trip_id), word(&row.vehicle_id));
    match &row.auto {
        // Its id is its vehicle and its departure, which follow.
        Some(AutoPlaces { pickup, delivery }) => {
            write!(out, "trip auto {vehicle} {} {}", word(pickup), word(delivery))?;
        }
        None => write!(out, "trip {trip} {vehicle}")?,
    }
    write!(out, " {} {}", row.phase.as_str(), row.status.as_str())?;
    let is_by_hand = &*row.status_by != TripRow::INFERRED;
    write_value(out, "by", is_by_hand.then(|| word(&row.status_by)))?;
    write_value(out, "pickup", row.pickup_arrival.map(short))?;
    write_value(out, "departure", row.actual_departure.map(short))?;
    write_value(out, "arrival", row.arrival.map(short))?;
    write_value(out, "offload", row.offload.map(short))?;
    write_value(out, "tat", row.tat_s)?;
    write_value(out, "distance", row.distance_m)?;
    writeln!(out, "{}", if row.departure_unobserved { " unobserved" } else { "" })
}
