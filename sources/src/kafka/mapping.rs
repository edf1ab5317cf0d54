//! Finds the fields of a position in an object of somebody else's making.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::TimeMs;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json;

/// Fields of a position, and whether it is none without them.
const FIELDS: [(&str, bool); 8] = [
    ("vehicle_id", true),
    ("event_time", true),
    ("lon", true),
    ("lat", true),
    ("speed_kmh", false),
    ("heading", false),
    ("ignition", false),
    ("accuracy_m", false),
];
/// The longest path: it is in the context of every entry.
const MAX_PATH_BYTES: usize = 200;

/// How times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// As text of RFC 3339.
    #[default]
    Rfc3339,
    /// As a number: seconds since 1970.
    S,
    /// As a number: milliseconds since 1970.
    Ms,
}

impl TimeFormat {
    /// The format of a name in the configuration: `rfc3339`, `s` or `ms`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<TimeFormat> {
        match name {
            "rfc3339" => Some(TimeFormat::Rfc3339),
            "s" => Some(TimeFormat::S),
            "ms" => Some(TimeFormat::Ms),
            _ => None,
        }
    }
}

/// Where the fields of a position are: names of members, with dots between those of objects in objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    fields: BTreeMap<String, String>,
    #[serde(default)]
    time: TimeFormat,
}

impl Mapping {
    /// Takes a path for each field, or says what is wrong with them.
    pub fn new(fields: BTreeMap<String, String>, time: TimeFormat) -> Result<Mapping, String> {
        if let Some(unknown) = fields.keys().find(|name| !FIELDS.iter().any(|(known, _)| known == name)) {
            let known = FIELDS.map(|(name, _)| name).join(", ");
            return Err(format!("{unknown:?} is no field of a position; it is one of {known}"));
        }
        if let Some((missing, _)) =
            FIELDS.iter().find(|(name, needed)| *needed && !fields.contains_key(*name))
        {
            return Err(format!("{missing} is missing: a position needs it"));
        }
        let is_path =
            |path: &String| path.len() <= MAX_PATH_BYTES && path.split('.').all(|member| !member.is_empty());
        if let Some((name, path)) = fields.iter().find(|(_, path)| !is_path(path)) {
            return Err(format!(
                "the path {path:?} of {name} is none; write for example device.position.lon"
            ));
        }
        Ok(Mapping { fields, time })
    }

    /// The record of Watch Tower's own format.
    pub(super) fn record(&self, object: &str) -> Result<String, String> {
        let mut record = r#"{"type":"position""#.to_owned();
        for (name, path) in &self.fields {
            let Some(value) = find(object, path)? else { continue };
            record.push_str(&format!(",\"{name}\":"));
            match name.as_str() {
                "vehicle_id" if json::is_number(value) => json::push_text(&mut record, value.get()),
                "event_time" if self.time != TimeFormat::Rfc3339 => self.push_time(&mut record, value)?,
                _ => record.push_str(value.get()),
            }
        }
        record.push('}');
        Ok(record)
    }

    fn push_time(&self, record: &mut String, value: &RawValue) -> Result<(), String> {
        let factor = if self.time == TimeFormat::S { 1000.0 } else { 1.0 };
        let ms = json::number(value).map(|number| (number * factor).floor());
        match ms.filter(|ms| ms.abs() < 1e15) {
            Some(ms) => {
                json::push_text(record, &TimeMs(ms as i64).to_string());
                Ok(())
            }
            None => Err(format!("event_time is no number of a time: {}", json::quoted(value.get()))),
        }
    }
}

/// The value at a path; `None` where a member is missing or null.
fn find<'a>(object: &'a str, path: &str) -> Result<Option<&'a RawValue>, String> {
    let mut inside = object;
    let mut members = path.split('.').peekable();
    while let Some(member) = members.next() {
        let found: BTreeMap<Cow<'_, str>, &RawValue> = json::object(inside)?;
        let Some(value) = found.get(member).copied().filter(|value| !json::is_null(value)) else {
            return Ok(None);
        };
        if members.peek().is_none() {
            return Ok(Some(value));
        }
        inside = value.get();
    }
    Ok(None)
}
