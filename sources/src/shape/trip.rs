//! Trips and locations: what the arithmetic needs of them is read, and the whole record is kept.

use std::sync::Arc;

use model::{LocationEdit, LocationKind, Record, TripEdit, TripPlan, TripRow, TripStatus};

use super::Origin;
use super::entity::{nested, optional_time, required_id, required_text, required_time, unknown_op};
use super::fence::id_text;
use super::vehicle::optional_id;
use crate::json::{self, Members};

/// Decodes a `trip` record.
pub(super) fn decode_trip(record: &Members<'_>, origin: Origin) -> Result<Record, String> {
    let (id, edit) = match required_text(record, "op")?.as_ref() {
        "upsert" => {
            let trip = nested(record, "trip")?;
            plan(&trip, origin).map_err(|reason| format!("trip: {reason}"))?
        }
        "set_status" => {
            let id = required_id(record, "id")?;
            let by = who(record, origin)?;
            (id, TripEdit::SetStatus { status: status(record)?, by })
        }
        "cancel" => {
            let id = required_id(record, "id")?;
            let by = who(record, origin)?;
            (id, TripEdit::SetStatus { status: Some(TripStatus::Cancelled), by })
        }
        other => return Err(unknown_op(other, "upsert, set_status and cancel")),
    };
    let json = record.compact_without("received_time")?;
    if matches!(edit, TripEdit::Plan(_))
        && let Err(reason) = is_for_plans(&id)
    {
        return match origin {
            Origin::Journalled | Origin::File => Ok(Record::Other { kind: "trip", json }),
            Origin::Posted | Origin::Backfill => Err(reason),
        };
    }
    Ok(Record::Trip { id, edit, json })
}

/// Earlier releases took any id. Such a plan is a record that says nothing since: its id is another trip's.
fn is_for_plans(id: &str) -> Result<(), String> {
    let reserved = TripRow::AUTO_ID;
    if !id.starts_with(reserved) {
        return Ok(());
    }
    let id = json::quoted(id);
    Err(format!("trip: id {id}: ids that begin with {reserved} are those of trips that nobody planned"))
}

/// What is wrong with a plan that is kept and has no effect.
pub(crate) fn ignored_plan(record: &Record) -> Option<String> {
    let Record::Other { kind: "trip", json } = record else { return None };
    let record = Members::parse(json).ok()?;
    let id = required_id(&nested(&record, "trip").ok()?, "id").ok()?;
    Some(format!("the plan has no effect: {}", is_for_plans(&id).err()?))
}

/// Who sets a status. Earlier releases took any text, so only the door is strict.
fn who(record: &Members<'_>, origin: Origin) -> Result<Arc<str>, String> {
    let by = required_text(record, "by")?;
    if origin == Origin::Posted {
        super::check_id("by", &by)?;
        if by == TripRow::INFERRED {
            return Err(format!("by must not be {}: that stands for nobody", json::quoted(&by)));
        }
    }
    Ok(by.into())
}

/// The id of a trip and what is planned.
fn plan(trip: &Members<'_>, origin: Origin) -> Result<(Arc<str>, TripEdit), String> {
    let id = required_id(trip, "id")?;
    let plan = TripPlan {
        vehicle_id: required_id(trip, "vehicle_id")?,
        pickup: required_id(trip, "pickup")?,
        delivery: required_id(trip, "delivery")?,
        client: optional_id(trip, "client", origin)?,
        waypoints: waypoints(trip)?,
        corridor: fence_of(trip, "corridor", origin)?,
        scheduled_departure: required_time(trip, "scheduled_departure")?,
        scheduled_arrival: optional_time(trip, "scheduled_arrival")?,
    };
    Ok((id, TripEdit::Plan(Arc::new(plan))))
}

fn waypoints(trip: &Members<'_>) -> Result<Vec<Arc<str>>, String> {
    let Some(waypoints) = trip.value("waypoints") else { return Ok(Vec::new()) };
    let ids: Vec<String> = serde_json::from_str(waypoints.get())
        .map_err(|_| "waypoints must be an array of location ids".to_owned())?;
    ids.iter().try_for_each(|id| super::check_id("a waypoint", id))?;
    Ok(ids.into_iter().map(Into::into).collect())
}

/// The status that is set: it must be there, and may be `null`.
fn status(record: &Members<'_>) -> Result<Option<TripStatus>, String> {
    let status = record.get("status").ok_or("status is missing (null goes back to the inferred one)")?;
    if json::is_null(status) {
        return Ok(None);
    }
    let name = required_text(record, "status")?;
    TripStatus::from_name(&name).map(Some).ok_or_else(|| {
        let known = TripStatus::ALL.map(TripStatus::as_str).join(", ");
        format!("status {} is not known; known are {known}", json::quoted(&name))
    })
}

/// Decodes a `location` record.
pub(super) fn decode_location(record: &Members<'_>, origin: Origin) -> Result<Record, String> {
    let (id, edit) = match required_text(record, "op")?.as_ref() {
        "upsert" => {
            let location = nested(record, "location")?;
            located(&location, origin).map_err(|reason| format!("location: {reason}"))?
        }
        "delete" => (required_id(record, "id")?, LocationEdit::Delete),
        other => return Err(unknown_op(other, "upsert and delete")),
    };
    Ok(Record::Location { id, edit, json: record.compact_without("received_time")? })
}

/// The id of a location, its fence and its kind.
fn located(location: &Members<'_>, origin: Origin) -> Result<(Arc<str>, LocationEdit), String> {
    let id = required_id(location, "id")?;
    let fence_id = fence_of(location, "fence_id", origin)?;
    let kind = match (location_kind(location), origin) {
        (Err(_), Origin::Journalled | Origin::File) => None,
        (kind, _) => kind?,
    };
    Ok((id, LocationEdit::Upsert { fence_id, kind }))
}

/// What a location is for. Such texts are typed by people: their case does not matter. Earlier releases gave the
/// member back like any other.
fn location_kind(location: &Members<'_>) -> Result<Option<LocationKind>, String> {
    let Some(raw) = location.value("type") else { return Ok(None) };
    let name = json::text(raw).ok_or("type must be text")?;
    LocationKind::from_name(&name.trim().to_ascii_lowercase()).map(Some).ok_or_else(|| {
        let known = LocationKind::ALL.map(LocationKind::as_str).join(", ");
        format!("type {} is not known; known are {known}", json::quoted(&name))
    })
}

/// A member that is the id of a fence; numbers become text, as in fences. Earlier releases gave it back like any
/// other member.
fn fence_of(entity: &Members<'_>, name: &str, origin: Origin) -> Result<Option<Arc<str>>, String> {
    match (entity.value(name).map(|raw| id_text(name, raw).map(Into::into)).transpose(), origin) {
        (Err(_), Origin::Journalled | Origin::File) => Ok(None),
        (fence_id, _) => fence_id,
    }
}
