//! Planning a trip and changing it. What people send becomes records, judged by the rules and sent through the one
//! way into the journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use model::{MAX_ID_BYTES, TripRow, TripStatus};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use super::rules::{self, Broken};
use crate::http::ingest::{self, WriteHead};
use crate::http::openapi::{
    ProblemDoc, ReceiptDoc, RuleProblemDoc, TripChangeDoc, TripPlanDoc, TripReceiptDoc,
};
use crate::http::params::Id;
use crate::http::submit::{Door, EditTurn, submit};
use crate::http::{MIN_TICK_WAIT, Shared, edits, now_ms};
use crate::problem::Problem;
use crate::views::{KeptPlan, State as ViewState, TripView};

/// The fields of a trip, as they came.
type Fields = BTreeMap<String, Box<RawValue>>;

/// Plans a trip. Without an `id` it is given one of the day of its departure, its vehicle and its container, such as
/// `01/Apr/2025-T11985LA-CA60`. A trip that breaks a rule is refused, and nothing is kept of it.
#[utoipa::path(post, path = "/api/v1/trips", tag = "trips", request_body = TripPlanDoc, responses(
    (status = 201, description = "Planned and durable.", body = TripReceiptDoc),
    (status = 409, description = "There is such a trip.", body = ProblemDoc, content_type = "application/problem+json"),
    (status = 422, description = "It breaks a rule.", body = RuleProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(in crate::http) async fn post_trip(
    State(shared): State<Arc<Shared>>,
    head: WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let (body, held) = ingest::read_write(&shared, Door::Records, &head, body).await?;
    let mut fields = read_fields(&body)?;
    let by = take_by(&mut fields)?;
    edits::catch_up(&shared, MIN_TICK_WAIT).await?;
    let turn = shared.edits.clone().write_owned().await;
    let shared_too = shared.clone();
    let work = async move {
        let _held = held;
        edits::catch_up(&shared_too, edits::WAIT_IN_TURN).await?;
        let id = judge_new(&shared_too, &mut fields)?;
        let record = upsert_record(&fields, by.as_deref());
        let receipt = submit(&shared_too, Door::Records, record.into(), EditTurn::Held).await?;
        with_id(receipt, &id).await
    };
    shared.to_the_end(turn, work).await
}

/// Holds a new trip against the rules, and completes its fields. Gives its id.
fn judge_new(shared: &Shared, fields: &mut Fields) -> Result<String, Problem> {
    for name in ["status", "cancel"] {
        if fields.contains_key(name) {
            let why = "a new trip has no status that was set by hand; plan it first, then change it";
            return Err(Broken::of("new_trip", name, why).problem());
        }
    }
    let state = shared.api.views.read();
    let own_id = fields.get("id").filter(|raw| raw.get() != "null").is_some();
    if !own_id {
        // The id is made of what is read.
        fields.insert("id".to_owned(), raw_text("-"));
    }
    name_vehicle(&state, fields)?;
    let (mut id, plan) = rules::read_plan(&upsert_record(fields, None)).map_err(Broken::problem)?;
    if !own_id {
        id = rules::made_id(&plan, container_of(fields).as_deref(), &shared.api.config.zone);
        fields.insert("id".to_owned(), raw_text(&id));
    }
    refuse_odd_id(&id, if own_id { "id" } else { "container_no" })?;
    if state.trips.get(&id).is_some() {
        let detail = format!("there is a trip {id:?}; PATCH it, or give an id of its own");
        return Err(Problem::conflict(detail));
    }
    let driver_id = driver_of(fields).map_err(Broken::problem)?;
    let judged = rules::vehicle_is_known(&state, &plan)
        .and_then(|()| rules::truck_is_operational(&state, &plan))
        .and_then(|()| {
            rules::driver_is_assigned(&state, &plan, driver_id.as_deref(), shared.api.config.trip_driver)
        })
        .and_then(|()| rules::place_has_fence(&state, "pickup", &plan.pickup, &plan))
        .and_then(|()| rules::place_has_fence(&state, "delivery", &plan.delivery, &plan))
        .and_then(|()| rules::is_ahead(&plan, shared.api.config.trip_min_notice_ms, now_ms()));
    judged.map_err(Broken::problem)?;
    Ok(id)
}

/// Changes a trip: the fields that are named, with null to take one away; and its status by hand, with `by`. A plan
/// corrects all of the trip's past; a status holds from now on.
#[utoipa::path(patch, path = "/api/v1/trips/{id}", tag = "trips", request_body = TripChangeDoc,
    params(("id" = String, Path, description = "The trip's id; a slash in it is written as %2F."),
        ("If-Match" = Option<String>, Header, description = "`ETag` of the trip that the change is made of.")),
    responses(
    (status = 200, description = "Durable.", body = ReceiptDoc),
    (status = 409, description = "Nobody planned it.", body = ProblemDoc, content_type = "application/problem+json"),
    (status = 412, description = "The trip was changed since.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = 422, description = "It breaks a rule.", body = RuleProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(in crate::http) async fn patch_trip(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    head: WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let edited = edits::tags_of_edited(&head.headers)?;
    let (body, held) = ingest::read_write(&shared, Door::Records, &head, body).await?;
    let mut changes = read_fields(&body)?;
    let by = take_by(&mut changes)?;
    let status = take_status(&mut changes)?;
    refuse_other_id(&mut changes, &id)?;
    if changes.is_empty() && status.is_none() {
        return Err(Problem::bad_body(
            "the body names nothing to change: a field of the plan, or status with by",
        ));
    }
    if status.is_some() && by.is_none() {
        let why = "by is missing: who sets a status by hand is told with it";
        return Err(Broken::of("signed_status", "by", why).problem());
    }
    edits::catch_up(&shared, MIN_TICK_WAIT).await?;
    let turn = shared.edits.clone().write_owned().await;
    let shared_too = shared.clone();
    let work = async move {
        let _held = held;
        edits::catch_up(&shared_too, edits::WAIT_IN_TURN).await?;
        let trip = super::find_trip(&shared_too.api.views.read(), &id)?;
        let plan = trip.plan.clone().ok_or_else(|| nobody_planned(&id))?;
        if let Some(tags) = edited {
            refuse_changed(&trip, &id, &tags)?;
        }
        let mut records = Vec::new();
        if !changes.is_empty() {
            let fields = judge_changed(&shared_too, &trip, &plan, changes)?;
            records.push(upsert_record(&fields, by.as_deref()));
        }
        if let (Some(status), Some(by)) = (status, by) {
            let status = status.map(TripStatus::as_str);
            let record = json!({"type": "trip", "op": "set_status", "id": id, "status": status, "by": by});
            records.push(record.to_string());
        }
        submit(&shared_too, Door::Records, records.join("\n").into(), EditTurn::Held).await
    };
    shared.to_the_end(turn, work).await
}

/// Holds a changed plan against the rules: only what becomes another is judged.
fn judge_changed(
    shared: &Shared,
    trip: &TripView,
    before: &KeptPlan,
    changes: Fields,
) -> Result<Fields, Problem> {
    let mut fields = serde_json::from_str::<Fields>(&before.json)
        .map_err(|err| Problem::internal(format!("the kept plan of {:?}: {err}", trip.row.trip_id)))?;
    let names_vehicle = changes.contains_key("vehicle_id");
    let names_driver = changes.contains_key("driver_id");
    for (name, value) in changes {
        if value.get() == "null" {
            fields.remove(&name);
        } else {
            fields.insert(name, value);
        }
    }
    let state = shared.api.views.read();
    if names_vehicle {
        name_vehicle(&state, &mut fields)?;
    }
    let (_, plan) = rules::read_plan(&upsert_record(&fields, None)).map_err(Broken::problem)?;
    let driver_id = match driver_of(&fields) {
        // Nobody read it when it was kept.
        Err(_) if !names_driver => None,
        driver_id => driver_id.map_err(Broken::problem)?,
    };
    let judge = || {
        let now = now_ms();
        let is_of_the_past = plan.scheduled_departure.0 <= now;
        let is_of_another_time = plan.scheduled_departure != before.schedule.departure;
        let is_of_another_vehicle = plan.vehicle_id != trip.row.vehicle_id;
        if is_of_another_vehicle {
            rules::vehicle_is_known(&state, &plan)?;
        }
        // What is known of a truck and its driver is of the present.
        if is_of_another_vehicle && !is_of_the_past {
            rules::truck_is_operational(&state, &plan)?;
        }
        if (is_of_another_vehicle || is_of_another_time || names_driver) && !is_of_the_past {
            let rule = shared.api.config.trip_driver;
            rules::driver_is_assigned(&state, &plan, driver_id.as_deref(), rule)?;
        }
        if plan.pickup != before.pickup {
            rules::place_has_fence(&state, "pickup", &plan.pickup, &plan)?;
        }
        if plan.delivery != before.delivery {
            rules::place_has_fence(&state, "delivery", &plan.delivery, &plan)?;
        }
        if is_of_another_time && !is_of_the_past {
            rules::is_ahead(&plan, shared.api.config.trip_min_notice_ms, now)?;
        }
        Ok(())
    };
    judge().map_err(Broken::problem)?;
    Ok(fields)
}

/// A trip that is made of visits is what was seen, until a plan accounts for it.
fn nobody_planned(id: &str) -> Problem {
    Problem::conflict(format!(
        "nobody planned trip {id:?}: it is made of visits, so there is nothing to change; post a trip record to \
         /api/v1/records that plans one for its vehicle, its places and its time, and this one gives way to that"
    ))
}

/// A change made of one state of a trip must not take away what another one has made of it since.
fn refuse_changed(trip: &TripView, id: &str, tags: &[String]) -> Result<(), Problem> {
    if edits::is_tagged(Some(trip.fingerprint()), tags) {
        return Ok(());
    }
    Err(edits::changed(format!(
        "trip {id:?} was changed since it was read; read it again, and change what it is now"
    )))
}

fn read_fields(body: &[u8]) -> Result<Fields, Problem> {
    let fields: Fields = serde_json::from_slice(body).map_err(|err| {
        Problem::bad_body(format!("the body must be a JSON object of a trip's fields: {err}"))
    })?;
    Ok(fields.into_iter().map(|(name, value)| (name, on_one_line(value))).collect())
}

/// A record is a line. In JSON, line breaks are nothing but space: within texts they are escaped.
fn on_one_line(value: Box<RawValue>) -> Box<RawValue> {
    let breaks = ['\n', '\r'];
    if !value.get().contains(breaks) {
        return value;
    }
    RawValue::from_string(value.get().replace(breaks, " ")).unwrap_or(value)
}

fn raw_text(text: &str) -> Box<RawValue> {
    to_raw_value(text).expect("a text has a JSON form")
}

fn text_of(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// Who sends it stands beside the plan, not in it.
fn take_by(fields: &mut Fields) -> Result<Option<String>, Problem> {
    let Some(raw) = fields.remove("by").filter(|raw| raw.get() != "null") else { return Ok(None) };
    let broken = |why: String| Err(Broken::of("readable", "by", why).problem());
    match text_of(&raw).filter(|by| !by.trim().is_empty()) {
        Some(by) if by == TripRow::INFERRED => {
            broken(format!("by must not be {:?}: that stands for nobody", TripRow::INFERRED))
        }
        Some(by) if by.len() > MAX_ID_BYTES => {
            broken(format!("by has {} bytes; at most {MAX_ID_BYTES} are possible", by.len()))
        }
        Some(by) => Ok(Some(by)),
        None => broken("by must be text, who sends it".to_owned()),
    }
}

/// The status that is set by hand, where one is: `Some(None)` goes back to the inferred one.
fn take_status(fields: &mut Fields) -> Result<Option<Option<TripStatus>>, Problem> {
    let (status, cancel) = (fields.remove("status"), fields.remove("cancel"));
    let is_cancelled = match cancel.as_ref().map(|raw| raw.get()) {
        None | Some("null" | "false") => false,
        Some("true") => true,
        Some(_) => return Err(Broken::of("readable", "cancel", "cancel must be true or false").problem()),
    };
    let Some(raw) = status else { return Ok(is_cancelled.then_some(Some(TripStatus::Cancelled))) };
    if is_cancelled {
        let why = "give either status or cancel; cancel is the status cancelled";
        return Err(Broken::of("readable", "cancel", why).problem());
    }
    if raw.get() == "null" {
        return Ok(Some(None));
    }
    let found = text_of(&raw).and_then(|name| TripStatus::from_name(&name));
    found.map(|status| Some(Some(status))).ok_or_else(|| {
        let known = TripStatus::ALL.map(TripStatus::as_str).join(", ");
        let why = format!("status must be null, which goes back to the inferred one, or one of {known}");
        Broken::of("readable", "status", why).problem()
    })
}

fn refuse_other_id(fields: &mut Fields, id: &str) -> Result<(), Problem> {
    let Some(own_id) = fields.remove("id") else { return Ok(()) };
    if text_of(&own_id).as_deref() == Some(id) {
        return Ok(());
    }
    Err(Problem::bad_body(format!("the id in the body is not {id:?}; a trip keeps its id: leave it out")))
}

/// Ids stand in addresses and are shown to people: some that a record may have are of no use there.
fn refuse_odd_id(id: &str, field: &str) -> Result<(), Problem> {
    let why = if id.len() > MAX_ID_BYTES {
        format!("the trip's id has {} bytes; at most {MAX_ID_BYTES} are possible", id.len())
    } else if id.chars().any(char::is_control) || matches!(id.trim(), "" | "." | "..") {
        format!("{id:?} can't be a trip's id: it needs something to read, and no control characters")
    } else {
        return Ok(());
    };
    Err(Broken::of("readable", field, why).problem())
}

/// People spell a truck's number as they like; the trip is that of the truck that is known by it.
fn name_vehicle(state: &ViewState, fields: &mut Fields) -> Result<(), Problem> {
    let Some(spelled) = fields.get("vehicle_id").and_then(|raw| text_of(raw)) else { return Ok(()) };
    let number = model::normalise_vehicle_number(&spelled);
    // A truck that drives is meant rather than one that master data alone knows.
    let is_known_by_number = if state.trucks.is_known(&spelled) || state.trucks.is_known(&number) {
        !state.trucks.is_known(&spelled)
    } else {
        !rules::is_known(state, &spelled) && rules::is_known(state, &number)
    };
    if is_known_by_number {
        fields.insert("vehicle_id".to_owned(), raw_text(&number));
    }
    Ok(())
}

/// Who drives, where the plan says it.
fn driver_of(fields: &Fields) -> Result<Option<String>, Broken> {
    let Some(raw) = fields.get("driver_id").filter(|raw| raw.get() != "null") else { return Ok(None) };
    match text_of(raw).filter(|driver| !driver.trim().is_empty()) {
        Some(driver) => Ok(Some(driver)),
        None => Err(Broken::of("readable", "driver_id", "driver_id must be the text of a driver's id")),
    }
}

fn container_of(fields: &Fields) -> Option<String> {
    match serde_json::from_str(fields.get("container_no")?.get()).ok()? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn upsert_record(fields: &Fields, by: Option<&str>) -> String {
    let trip = serde_json::to_string(fields).expect("texts and JSON values have a JSON form");
    let by = by.map_or(String::new(), |by| format!(",\"by\":{}", Value::from(by)));
    format!("{{\"type\":\"trip\",\"op\":\"upsert\",\"trip\":{trip}{by}}}")
}

/// The receipt of a new trip says which one it is.
async fn with_id(receipt: Response<Body>, id: &str) -> Result<Response<Body>, Problem> {
    let (mut parts, body) = receipt.into_parts();
    let unread = |why: String| Problem::internal(format!("the receipt cannot be completed: {why}"));
    let bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(|err| unread(err.to_string()))?;
    let members = bytes.strip_prefix(b"{").ok_or_else(|| unread("it is no object".to_owned()))?;
    let mut out = format!("{{\"id\":{},", Value::from(id)).into_bytes();
    out.extend_from_slice(members);
    parts.status = StatusCode::CREATED;
    parts.headers.remove(header::CONTENT_LENGTH);
    let location = format!("/api/v1/trips/{}", crate::http::path_segment(id));
    if let Ok(value) = HeaderValue::from_str(&location) {
        parts.headers.insert(header::LOCATION, value);
    }
    Ok(Response::from_parts(parts, Body::from(out)))
}
