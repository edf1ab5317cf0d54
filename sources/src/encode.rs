//! Records as lines of Watch Tower's own format, so that reading them gives the same records again.

use std::io::Write;

use model::{BadFields, PositionRef, Record, SettingValue, TimeMs, push_json_string};

/// What stands for an optional value that was received but could not be read.
const UNREADABLE: &[u8] = b"\"unreadable\"";

/// Appends a position as one line.
pub fn encode_position(out: &mut Vec<u8>, received: TimeMs, p: &PositionRef<'_>) {
    begin(out, "position", received);
    text_member(out, "vehicle_id", p.vehicle_id);
    if let Some(spelling) = p.spelling {
        text_member(out, "spelling", spelling);
    }
    let position = &p.position;
    time_member(out, "event_time", position.event_time);
    name(out, "lon");
    push_number(out, position.lon);
    name(out, "lat");
    push_number(out, position.lat);
    let bad = position.bad;
    for (field, value, flag) in [
        ("speed_kmh", position.speed_kmh, BadFields::SPEED),
        ("heading", position.heading, BadFields::HEADING),
        ("accuracy_m", position.accuracy_m, BadFields::ACCURACY),
    ] {
        match value {
            _ if bad.has(flag) => {
                name(out, field);
                out.extend_from_slice(UNREADABLE);
            }
            Some(value) => {
                name(out, field);
                push_number(out, value);
            }
            None => {}
        }
    }
    let ignition = match position.ignition {
        _ if bad.has(BadFields::IGNITION) => Some(UNREADABLE),
        Some(true) => Some(&b"true"[..]),
        Some(false) => Some(&b"false"[..]),
        None => None,
    };
    if let Some(ignition) = ignition {
        name(out, "ignition");
        out.extend_from_slice(ignition);
    }
    if position.exempt {
        name(out, "exempt");
        out.extend_from_slice(b"true");
    }
    out.extend_from_slice(b"}\n");
}

/// Appends any other record as one line.
pub fn encode_record(out: &mut Vec<u8>, received: TimeMs, r: &Record) {
    match r {
        Record::FenceUpsert(fence) => {
            begin(out, "fence", received);
            text_member(out, "op", "upsert");
            name(out, "feature");
            out.extend_from_slice(fence.feature_json.as_bytes());
        }
        Record::FenceDelete { id, at } => {
            begin(out, "fence", received);
            text_member(out, "op", "delete");
            text_member(out, "id", id);
            if let Some(at) = at {
                time_member(out, "at", *at);
            }
        }
        Record::Settings(values) => {
            begin(out, "settings", received);
            name(out, "values");
            push_settings(out, values.iter().map(|(name, value)| (name.as_str(), value)));
        }
        Record::Backfill { from, to } => {
            begin(out, "backfill", received);
            time_member(out, "from_time", *from);
            time_member(out, "to_time", *to);
        }
        Record::Clock => begin(out, "clock", received),
        Record::Trip { json, .. }
        | Record::Location { json, .. }
        | Record::Rule { json, .. }
        | Record::ProviderAlert { json, .. }
        | Record::AlertMark { json, .. }
        | Record::Vehicle { json, .. }
        | Record::Other { json, .. } => {
            // The type is among the object's own members.
            out.extend_from_slice(b"{\"received_time\":\"");
            received.write(out);
            out.push(b'"');
            let members = json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
            if !members.is_empty() {
                out.push(b',');
                out.extend_from_slice(members.as_bytes());
            }
        }
        Record::Undecodable { reason } => {
            begin(out, "undecodable", received);
            text_member(out, "reason", reason);
        }
    }
    out.extend_from_slice(b"}\n");
}

/// Appends setting names and values as a JSON object.
pub(crate) fn push_settings<'a>(
    out: &mut Vec<u8>,
    values: impl Iterator<Item = (&'a str, &'a SettingValue)>,
) {
    out.push(b'{');
    for (i, (name, value)) in values.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        push_json_string(out, name);
        out.push(b':');
        match value {
            SettingValue::Number(number) => push_number(out, *number),
            SettingValue::Text(text) => push_json_string(out, text),
            SettingValue::Bool(flag) => out.extend_from_slice(if *flag { b"true" } else { b"false" }),
        }
    }
    out.push(b'}');
}

fn begin(out: &mut Vec<u8>, kind: &str, received: TimeMs) {
    out.extend_from_slice(b"{\"type\":");
    push_json_string(out, kind);
    time_member(out, "received_time", received);
}

fn name(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    push_json_string(out, name);
    out.push(b':');
}

fn text_member(out: &mut Vec<u8>, member: &str, text: &str) {
    name(out, member);
    push_json_string(out, text);
}

fn time_member(out: &mut Vec<u8>, member: &str, time: TimeMs) {
    name(out, member);
    out.push(b'"');
    time.write(out);
    out.push(b'"');
}

/// The shortest digits that read back as the same double; what is not finite has no JSON and is `null`.
fn push_number(out: &mut Vec<u8>, value: f64) {
    let size = value.abs();
    let result = match value {
        _ if !value.is_finite() => write!(out, "null"),
        _ if size >= 1e16 || (size < 1e-6 && size != 0.0) => write!(out, "{value:e}"),
        _ => write!(out, "{value}"),
    };
    result.expect("writing to a vector can't fail");
}
