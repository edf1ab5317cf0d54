//! Vehicles: what the arithmetic needs of them is read, and the whole record is kept.

use std::sync::Arc;

use model::{Record, VehicleEdit};

use super::entity::{nested, required_id, required_text, unknown_op};
use super::{Origin, check_id};
use crate::json::{self, Members};

/// What `status` may say. Such texts are typed by people: their case does not matter.
const OPERATIONAL: &str = "operational";
const MAINTENANCE: &str = "maintenance";

/// Decodes a `vehicle` record.
pub(super) fn decode_vehicle(record: &Members<'_>, origin: Origin) -> Result<Record, String> {
    let (id, edit) = match required_text(record, "op")?.as_ref() {
        "upsert" => {
            let vehicle = nested(record, "vehicle")?;
            upsert(&vehicle, origin).map_err(|reason| format!("vehicle: {reason}"))?
        }
        "delete" => (required_id(record, "id")?, VehicleEdit::Delete),
        other => return Err(unknown_op(other, "upsert and delete")),
    };
    Ok(Record::Vehicle { id, edit, json: record.compact_without("received_time")? })
}

fn upsert(vehicle: &Members<'_>, origin: Origin) -> Result<(Arc<str>, VehicleEdit), String> {
    let id = required_id(vehicle, "id")?;
    let company = optional_id(vehicle, "company", origin)?;
    let is_operational = match (is_operational(vehicle), origin) {
        (Err(_), Origin::Journalled | Origin::File) => true,
        (is_operational, _) => is_operational?,
    };
    Ok((id, VehicleEdit::Upsert { company, is_operational }))
}

/// A vehicle of which nothing else is said can drive.
fn is_operational(vehicle: &Members<'_>) -> Result<bool, String> {
    let Some(status) = vehicle.value("status") else { return Ok(true) };
    let status = json::text(status).ok_or("status must be text")?;
    let is = |name: &str| status.trim().eq_ignore_ascii_case(name);
    if is(OPERATIONAL) || is(MAINTENANCE) {
        return Ok(is(OPERATIONAL));
    }
    let status = json::quoted(&status);
    Err(format!("status {status} is not known; known are {OPERATIONAL} and {MAINTENANCE}"))
}

/// A text that may be absent, and is an identifier. Earlier releases gave the member back like any other: what
/// they accepted, and is none, is taken for absent.
pub(super) fn optional_id(
    members: &Members<'_>,
    name: &str,
    origin: Origin,
) -> Result<Option<Arc<str>>, String> {
    let Some(raw) = members.value(name) else { return Ok(None) };
    let id = json::text(raw).ok_or_else(|| format!("{name} must be text"));
    let id = id.and_then(|id| check_id(name, &id).map(|()| id.into()));
    match (id, origin) {
        (Err(_), Origin::Journalled | Origin::File) => Ok(None),
        (id, _) => id.map(Some),
    }
}
