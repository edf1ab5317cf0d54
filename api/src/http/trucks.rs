//! Trucks: list, one, its location and track, and those near a place.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{Coord, TimeMs};
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::{LocationDoc, NearPageDoc, ProblemDoc, TrackPageDoc, TruckDoc, TruckPageDoc};
use super::params::{self, Id, ListParams, LiveParams, Params};
use super::{
    Shared, begin_object, end_with_list, json, list, read_cursor, write_list, write_text, write_time,
};
use crate::problem::Problem;
use crate::views::{CursorWriter, Near, NearKey, State as ViewState, TrackFix, TruckView};

const TRUCKS: u8 = b't';
const NEAR: u8 = b'n';
const TRACK: u8 = b'k';
/// More than half way round the earth.
const MAX_RADIUS_M: f64 = 20_100_000.0;

/// A search around a place.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NearParams {
    /// Latitude of the place, degrees.
    #[param(value_type = f64)]
    lat: Option<String>,
    /// Longitude of the place, degrees.
    #[param(value_type = f64)]
    lng: Option<String>,
    /// How far trucks may be, in `unit`.
    #[param(value_type = f64)]
    radius: Option<String>,
    /// `km` (if not given), `mi` or `m`.
    unit: Option<String>,
    /// Trucks a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// A part of a track.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TrackParams {
    /// Event times from this one on, RFC 3339.
    from: Option<String>,
    /// Event times before this one, RFC 3339.
    to: Option<String>,
    /// Fixes a page, 1 to 1000; 1000 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// All trucks, in order of their ids.
#[utoipa::path(get, path = "/api/v1/trucks", tag = "trucks", params(ListParams), responses(
    (status = 200, body = TruckPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_trucks(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(TRUCKS, params.cursor.as_deref(), |cursor| cursor.text())?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.trucks.page(after.as_deref(), limit))
    };
    let next = page.next.map(|id| CursorWriter::new(TRUCKS).text(&id).finish());
    let write = |out: &mut Vec<u8>, truck: TruckView| {
        out.push(b'{');
        write_truck(out, &truck);
        out.push(b'}');
    };
    Ok(list(stamp, page.rows, write, next))
}

/// One truck.
#[utoipa::path(get, path = "/api/v1/trucks/{id}", tag = "trucks",
    params(("id" = String, Path, description = "The truck's id."), LiveParams), responses(
    (status = 200, body = TruckDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_truck(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<LiveParams>,
) -> Result<Response<Body>, Problem> {
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, truck) = {
        let state = shared.api.views.read();
        (state.stamp, find_truck(&state, &id)?.clone())
    };
    let mut out = begin_object(stamp);
    out.push(b',');
    write_truck(&mut out, &truck);
    out.push(b'}');
    Ok(json(out))
}

/// Where a truck is: its newest fix, by event time, that is used.
#[utoipa::path(get, path = "/api/v1/trucks/{id}/location", tag = "trucks",
    params(("id" = String, Path, description = "The truck's id."), LiveParams), responses(
    (status = 200, body = LocationDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_location(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<LiveParams>,
) -> Result<Response<Body>, Problem> {
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, truck) = {
        let state = shared.api.views.read();
        (state.stamp, find_truck(&state, &id)?.clone())
    };
    let Some(location) = truck.location else {
        return Err(Problem::not_found("usable position of truck", &id));
    };
    let mut out = begin_object(stamp);
    out.extend_from_slice(b",\"vehicle_id\":");
    write_text(&mut out, Some(&truck.vehicle_id));
    out.extend_from_slice(b",\"spelling\":");
    write_text(&mut out, truck.spelling.as_deref());
    out.push(b',');
    write_fix(&mut out, &location);
    out.push(b'}');
    Ok(json(out))
}

/// The trucks within a distance of a place, nearest first.
#[utoipa::path(get, path = "/api/v1/trucks/near", tag = "trucks", params(NearParams), responses(
    (status = 200, body = NearPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn trucks_near(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<NearParams>,
) -> Result<Response<Body>, Problem> {
    let near = read_near(&params)?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, candidates) = {
        let state = shared.api.views.read();
        (state.stamp, state.trucks.candidates(&near))
    };
    let page = near.page(candidates);
    let next = page
        .next
        .map(|key| CursorWriter::new(NEAR).number(key.distance_m.to_bits()).text(&key.vehicle_id).finish());
    let write = |out: &mut Vec<u8>, (distance_m, truck): (f64, TruckView)| {
        out.push(b'{');
        write_truck(out, &truck);
        out.extend_from_slice(format!(",\"distance_m\":{distance_m:.3}}}").as_bytes());
    };
    Ok(list(stamp, page.rows, write, next))
}

fn read_near(params: &NearParams) -> Result<Near, Problem> {
    let missing =
        |name: &str| Problem::bad_request(format!("{name} is missing; near needs lat, lng and radius"));
    let lat = params::number_within("lat", params.lat.as_deref(), (-90.0, 90.0))?;
    let lng = params::number_within("lng", params.lng.as_deref(), (-180.0, 180.0))?;
    let (lat, lng) = (lat.ok_or_else(|| missing("lat"))?, lng.ok_or_else(|| missing("lng"))?);
    let metres_per_unit = match params::given(params.unit.as_deref()).unwrap_or("km") {
        "km" => 1000.0,
        "mi" => 1609.344,
        "m" => 1.0,
        other => return Err(Problem::bad_request(format!("unit must be km, mi or m, and is {other:?}"))),
    };
    let range = (0.0, MAX_RADIUS_M / metres_per_unit);
    let radius = params::number_within("radius", params.radius.as_deref(), range)?;
    let radius_m = radius.ok_or_else(|| missing("radius"))? * metres_per_unit;
    let after = read_cursor(NEAR, params.cursor.as_deref(), |cursor| {
        let distance_m = f64::from_bits(cursor.number()?);
        if !(0.0..=MAX_RADIUS_M).contains(&distance_m) {
            return Err(crate::views::BadCursor);
        }
        Ok(NearKey { distance_m, vehicle_id: cursor.text()?.into() })
    })?;
    let centre = Coord::from_degrees(lng, lat).map_err(|err| Problem::bad_request(err.to_string()))?;
    Ok(Near { centre, radius_m, limit: params::limit(params.limit.as_deref(), 100)?, after })
}

/// The recent fixes of a truck in order of event time, those that are flagged included.
#[utoipa::path(get, path = "/api/v1/trucks/{id}/track", tag = "trucks",
    params(("id" = String, Path, description = "The truck's id."), TrackParams), responses(
    (status = 200, body = TrackPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_track(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<TrackParams>,
) -> Result<Response<Body>, Problem> {
    let (from, to) = params::period(params.from.as_deref(), params.to.as_deref())?;
    let (from, to) = (from.unwrap_or(TimeMs(i64::MIN)), to.unwrap_or(TimeMs(i64::MAX)));
    let limit = params::limit(params.limit.as_deref(), 1000)?;
    let after =
        read_cursor(TRACK, params.cursor.as_deref(), |cursor| Ok(TimeMs(cursor.number()?.cast_signed())))?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, vehicle_id, page) = {
        let state = shared.api.views.read();
        let vehicle_id = find_truck(&state, &id)?.vehicle_id.clone();
        let page = state.trucks.track(&vehicle_id, (from, to), after, limit);
        (state.stamp, vehicle_id, page.ok_or_else(|| Problem::not_found("truck", &id))?)
    };
    let mut out = begin_object(stamp);
    out.extend_from_slice(b",\"vehicle_id\":");
    write_text(&mut out, Some(&vehicle_id));
    let next = page.next.map(|time| CursorWriter::new(TRACK).number(time.0.cast_unsigned()).finish());
    let write = |out: &mut Vec<u8>, fix: TrackFix| {
        out.push(b'{');
        write_fix(out, &fix);
        out.push(b'}');
    };
    end_with_list(&mut out, "items", page.rows, write, next);
    Ok(json(out))
}

/// Finds a truck by its id, or by a spelling of its number.
pub(super) fn find_truck<'a>(state: &'a ViewState, id: &str) -> Result<&'a TruckView, Problem> {
    let found = state.trucks.get(id).or_else(|| state.trucks.get(&model::normalise_vehicle_number(id)));
    found.ok_or_else(|| Problem::not_found("truck", id))
}

/// The fields of a truck, without braces.
fn write_truck(out: &mut Vec<u8>, truck: &TruckView) {
    out.extend_from_slice(b"\"vehicle_id\":");
    write_text(out, Some(&truck.vehicle_id));
    out.extend_from_slice(b",\"spelling\":");
    write_text(out, truck.spelling.as_deref());
    out.push(b',');
    match &truck.location {
        Some(location) => write_fix(out, location),
        None => out.extend_from_slice(NO_FIX),
    }
    out.extend_from_slice(b",\"last_received\":");
    write_time(out, Some(truck.last_received).filter(|time| time.0 != i64::MIN));
    write_list(out, "fences", &truck.fences, |out, (fence_id, entered)| {
        out.extend_from_slice(b"{\"fence_id\":");
        write_text(out, Some(fence_id));
        out.extend_from_slice(b",\"entered\":");
        write_time(out, Some(*entered));
        out.push(b'}');
    });
}

/// [`write_fix`] of a truck without a usable position.
const NO_FIX: &[u8] = b"\"event_time\":null,\"lon\":null,\"lat\":null,\"speed_kmh\":null,\"heading\":null,\
    \"ignition\":null,\"accuracy_m\":null,\"seq\":null,\"flag\":null";

/// The fields of a fix, without braces.
fn write_fix(out: &mut Vec<u8>, fix: &TrackFix) {
    out.extend_from_slice(b"\"event_time\":");
    write_time(out, Some(fix.event_time));
    let place = format!(",\"lon\":{},\"lat\":{}", fix.at.lon_degrees(), fix.at.lat_degrees());
    out.extend_from_slice(place.as_bytes());
    write_number(out, "speed_kmh", fix.speed_kmh());
    write_number(out, "heading", fix.heading());
    let ignition = match fix.ignition() {
        None => "null",
        Some(true) => "true",
        Some(false) => "false",
    };
    out.extend_from_slice(format!(",\"ignition\":{ignition}").as_bytes());
    write_number(out, "accuracy_m", fix.accuracy_m());
    let flag = if fix.is_jump() { "\"jump\"" } else { "null" };
    out.extend_from_slice(format!(",\"seq\":{},\"flag\":{flag}", fix.seq).as_bytes());
}

pub(super) fn write_number(out: &mut Vec<u8>, name: &str, value: Option<f32>) {
    let text = match value {
        Some(value) => format!(",\"{name}\":{value}"),
        None => format!(",\"{name}\":null"),
    };
    out.extend_from_slice(text.as_bytes());
}
