//! Trips: listed, one, its story; planned and changed through the journal like everything else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::http::header;
use model::{Row, TimeMs, TripPhase, TripRow, TripStatus, geodesic_mm, half_even};
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::{LiveTripDoc, ProblemDoc, TripPageDoc};
use super::params::{self, Id, LiveParams, Params};
use super::{Shared, begin_object, json, list, read_cursor, write_row_members, write_text, write_time};
use crate::problem::Problem;
use crate::views::{CursorWriter, State as ViewState, TrackFix, TripFilter, TripView};

pub(super) mod edit;
pub(super) mod history;
mod rules;

const TRIPS: u8 = b'i';

/// Which trips.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TripParams {
    /// Only of this vehicle.
    vehicle_id: Option<String>,
    /// Only in this phase: `planned`, `at_pickup`, `in_transit`, `at_delivery`, `done`, `cancelled` or `failed`.
    phase: Option<String>,
    /// Only with this status, inferred or by hand: `scheduled`, `ongoing`, `delayed`, `completed`, `cancelled` or
    /// `failed`.
    status: Option<String>,
    /// Only from this location or fence.
    pickup: Option<String>,
    /// Only to this location or fence.
    delivery: Option<String>,
    /// Only with a scheduled departure, or an actual one where nothing was planned, at this time, RFC 3339, or later.
    from: Option<String>,
    /// Only with such a departure before this time, RFC 3339.
    to: Option<String>,
    /// `true`: only those that are not over and are delayed, by what is seen or by hand.
    #[param(value_type = Option<bool>)]
    late: Option<String>,
    /// Trips a page, 1 to 1000; 100 if not given. A page of a narrow filter may hold fewer, and still have
    /// a `next_cursor`.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// Trips, in order of their ids: where each is, and what is planned.
#[utoipa::path(get, path = "/api/v1/trips", tag = "trips", params(TripParams), responses(
    (status = 200, body = TripPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_trips(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<TripParams>,
) -> Result<Response<Body>, Problem> {
    let (from, to) = params::period(params.from.as_deref(), params.to.as_deref())?;
    let phases = TripPhase::ALL.map(TripPhase::as_str);
    let statuses = TripStatus::ALL.map(TripStatus::as_str);
    let filter = TripFilter {
        vehicle_id: params::shared_text(params.vehicle_id.as_deref()),
        phase: params::named("phase", params.phase.as_deref(), &phases, TripPhase::from_name)?,
        status: params::named("status", params.status.as_deref(), &statuses, TripStatus::from_name)?,
        pickup: params::shared_text(params.pickup.as_deref()),
        delivery: params::shared_text(params.delivery.as_deref()),
        from,
        to,
        is_late: params::yes_or_no("late", params.late.as_deref())?,
    };
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(TRIPS, params.cursor.as_deref(), |cursor| cursor.text())?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.trips.page(&filter, state.stamp.instant, after.as_deref(), limit))
    };
    let next = page.next.map(|id| CursorWriter::new(TRIPS).text(&id).finish());
    let write = |out: &mut Vec<u8>, trip: TripView| {
        out.push(b'{');
        write_trip(out, &trip, stamp.instant);
        out.push(b'}');
    };
    Ok(list(stamp, page.rows, write, next))
}

/// One trip: where it is, what is planned, and how far it has driven so far. Its `ETag` changes with every edit by
/// people, and not with what is seen of it.
#[utoipa::path(get, path = "/api/v1/trips/{id}", tag = "trips",
    params(("id" = String, Path, description = "The trip's id; a slash in it is written as %2F."), LiveParams),
    responses(
    (status = 200, body = LiveTripDoc, headers(("ETag" = String, description = "For `If-Match`."))),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_trip(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<LiveParams>,
) -> Result<Response<Body>, Problem> {
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, trip, driven) = {
        let state = shared.api.views.read();
        let trip = find_trip(&state, &id)?;
        let driven = since_departure(&state, &trip.row);
        (state.stamp, trip, driven)
    };
    let so_far_m =
        super::run_aside(move || driven.and_then(|(from, fixes)| distance_since_m(from, &fixes))).await?;
    let mut out = begin_object(stamp);
    out.push(b',');
    write_trip(&mut out, &trip, stamp.instant);
    let so_far_m = so_far_m.map_or("null".to_owned(), |metres| metres.to_string());
    out.extend_from_slice(format!(",\"distance_so_far_m\":{so_far_m}}}").as_bytes());
    let mut answer = json(out);
    answer.headers_mut().insert(header::ETAG, trip.fingerprint().etag());
    Ok(answer)
}

/// The trip with that id.
pub(super) fn find_trip(state: &ViewState, id: &str) -> Result<TripView, Problem> {
    state.trips.get(id).ok_or_else(|| Problem::not_found("trip", id))
}

/// Writes the members of a trip: those of its row, and behind them its ETA, its other status and its plan.
fn write_trip(out: &mut Vec<u8>, trip: &TripView, as_of: TimeMs) {
    write_row_members(out, &Row::Trip(trip.row.clone()));
    let eta = trip.eta.as_ref();
    let times = [
        ("eta", eta.map(|eta| eta.eta)),
        ("eta_low", eta.map(|eta| eta.eta_low)),
        ("eta_high", eta.map(|eta| eta.eta_high)),
    ];
    for (name, time) in times {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        write_time(out, time);
    }
    out.extend_from_slice(b",\"inferred_status\":");
    write_text(out, hidden_status(trip, as_of).map(TripStatus::as_str));
    out.extend_from_slice(b",\"plan\":");
    out.extend_from_slice(trip.plan.as_ref().map_or("null", |plan| &*plan.json).as_bytes());
}

/// The status by the evidence, where another one was set by hand.
pub(super) fn hidden_status(trip: &TripView, as_of: TimeMs) -> Option<TripStatus> {
    trip.row.is_set_by_hand().then(|| trip.inferred_status(as_of))
}

/// The fixes since the departure of a trip that is on the road, those that are flagged left out.
fn since_departure(state: &ViewState, row: &TripRow) -> Option<(TimeMs, Vec<TrackFix>)> {
    let departure = row.actual_departure.filter(|_| row.phase == TripPhase::InTransit)?;
    let page = state.trucks.track(&row.vehicle_id, (departure, TimeMs(i64::MAX)), None, usize::MAX)?;
    Some((departure, page.rows.into_iter().filter(|fix| !fix.is_jump()).collect()))
}

/// How far a vehicle went, as `distance_m` is summed; `None` where its track does not go back to the departure.
fn distance_since_m(departure: TimeMs, fixes: &[TrackFix]) -> Option<i64> {
    fixes.first().filter(|first| first.event_time == departure)?;
    let legs_mm = fixes.windows(2).map(|leg| geodesic_mm(leg[0].at, leg[1].at));
    Some(half_even(legs_mm.sum(), 1000))
}
