//! Records that the graph has no use for yet: their fields are checked, and they are kept as they are. And
//! `backfill`, whose fields are checked like theirs.

use std::borrow::Cow;
use std::sync::Arc;

use model::{Record, TimeMs};

use super::{check_id, json_time};
use crate::json::{self, Members};

/// The types of records that are checked here.
const KINDS: [&str; 3] = ["driver", "organization", "assignment"];

/// Checks a record of the type `kind` and gives the type back as the constant that it is.
pub(super) fn check(kind: &str, record: &Members<'_>) -> Result<&'static str, String> {
    let Some(kind) = KINDS.into_iter().find(|known| *known == kind) else {
        return Err(format!("type {} is not known", json::quoted(kind)));
    };
    match kind {
        "assignment" => {
            required_id(record, "driver_id")?;
            required_id(record, "vehicle_id")?;
            period(record)?;
        }
        entity => match required_text(record, "op")?.as_ref() {
            "upsert" => {
                required_id(&nested(record, entity)?, "id")
                    .map_err(|reason| format!("{entity}: {reason}"))?;
            }
            "delete" => {
                required_id(record, "id")?;
            }
            other => return Err(unknown_op(other, "upsert and delete")),
        },
    }
    Ok(kind)
}

/// Decodes a `backfill` record.
pub(super) fn decode_backfill(record: &Members<'_>) -> Result<Record, String> {
    let (from, to) = period(record)?;
    Ok(Record::Backfill { from, to: to.ok_or("to_time is missing")? })
}

/// `from_time`, and `to_time` where it is there and after it.
fn period(record: &Members<'_>) -> Result<(TimeMs, Option<TimeMs>), String> {
    let from = required_time(record, "from_time")?;
    match optional_time(record, "to_time")? {
        Some(to) if to <= from => Err("to_time is not after from_time".to_owned()),
        to => Ok((from, to)),
    }
}

/// A member that must be there and be an object.
pub(super) fn nested<'a>(record: &Members<'a>, name: &str) -> Result<Members<'a>, String> {
    let raw = record.value(name).ok_or_else(|| format!("{name} is missing"))?;
    Members::parse(raw.get()).map_err(|reason| format!("{name}: {reason}"))
}

/// A text that must be there and be an identifier.
pub(super) fn required_id(record: &Members<'_>, name: &str) -> Result<Arc<str>, String> {
    let id = required_text(record, name)?;
    check_id(name, &id)?;
    Ok(id.into())
}

/// A text that must be there and not be empty.
pub(super) fn required_text<'a>(record: &Members<'a>, name: &str) -> Result<Cow<'a, str>, String> {
    let raw = record.value(name).ok_or_else(|| format!("{name} is missing"))?;
    let text = json::text(raw).ok_or_else(|| format!("{name} must be text"))?;
    if text.is_empty() { Err(format!("{name} is empty")) } else { Ok(text) }
}

/// A time that must be there.
pub(super) fn required_time(record: &Members<'_>, name: &str) -> Result<TimeMs, String> {
    optional_time(record, name)?.ok_or_else(|| format!("{name} is missing"))
}

/// A time that may be absent or `null`.
pub(super) fn optional_time(record: &Members<'_>, name: &str) -> Result<Option<TimeMs>, String> {
    record.value(name).map(|raw| json_time(name, raw)).transpose()
}

/// Checks that a text is one of those that are known.
pub(super) fn one_of(name: &str, value: &str, known: &[&str]) -> Result<(), String> {
    if known.contains(&value) {
        return Ok(());
    }
    Err(format!("{name} {} is not known; known are {}", json::quoted(value), known.join(", ")))
}

/// The reason for an `op` that a type of records does not have.
pub(super) fn unknown_op(op: &str, known: &str) -> String {
    format!("op {} is not known; {known} are", json::quoted(op))
}
