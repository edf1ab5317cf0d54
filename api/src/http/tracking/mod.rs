//! Where a trip is: for those who work here, and by a link for those who wait for it.
//!
//! What a link shows is that trip alone: no id but the trip's own, and no position of before its departure or after
//! its offload. Its token is in the path, and paths are not logged.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{self, HeaderValue};
use axum::http::{Response, StatusCode};
use model::{TimeMs, TripPhase, TripRow, TripStatus};
use serde::Deserialize;

use super::ingest::{self, WriteHead};
use super::openapi::{ProblemDoc, PublicTrackingDoc, TrackingDoc, TrackingLinkDoc, TrackingLinkRequestDoc};
use super::params::{Id, LiveParams, Params};
use super::submit::Door;
use super::trips::{find_trip, hidden_status};
use super::{
    Shared, begin_object, json, now_ms, path_segment, run_aside, trucks, write_list, write_text, write_time,
};
use crate::page;
use crate::problem::Problem;
use crate::views::{Stamp, State as ViewState, TrackFix, TripView};
use simplify::{Point, simplified};
use token::Link;

mod key;
mod simplify;
mod token;

pub(super) use key::LinkKey;

const MIN_EXPIRY_S: u64 = 60;
const MAX_EXPIRY_S: u64 = 30 * 86_400;
const DEFAULT_EXPIRY_S: u64 = 86_400;

/// Where a trip is: its vehicle's position, its times, and the track since the departure, with fewer points.
#[utoipa::path(get, path = "/api/v1/trips/{id}/tracking", tag = "trips",
    params(("id" = String, Path, description = "The trip's id; a slash in it is written as %2F."), LiveParams),
    responses(
    (status = 200, body = TrackingDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_tracking(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<LiveParams>,
) -> Result<Response<Body>, Problem> {
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (tracking, position) = {
        let state = shared.api.views.read();
        let tracking = Tracking::of(&state, &id)?;
        let truck = state.trucks.get(&tracking.trip.row.vehicle_id);
        (tracking, truck.and_then(|truck| truck.location))
    };
    let mut out = begin_object(tracking.stamp);
    out.extend_from_slice(b",\"vehicle_id\":");
    write_text(&mut out, Some(&tracking.trip.row.vehicle_id));
    tracking.write_rest(&mut out, position).await?;
    Ok(json(out))
}

/// How long a link is good.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkRequest {
    expires_in_s: Option<u64>,
}

/// Makes a link by which anybody who has it sees where the trip is, until it expires. It cannot be taken back, but by
/// another key for all links.
#[utoipa::path(post, path = "/api/v1/trips/{id}/tracking-link", tag = "trips",
    request_body = TrackingLinkRequestDoc,
    params(("id" = String, Path, description = "The trip's id; a slash in it is written as %2F.")), responses(
    (status = 200, body = TrackingLinkDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn post_tracking_link(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    head: WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let (body, _held) = ingest::read_write(&shared, Door::Records, &head, body).await?;
    let request: LinkRequest = match body.trim_ascii() {
        b"" => LinkRequest { expires_in_s: None },
        text => serde_json::from_slice(text).map_err(|err| {
            Problem::bad_body(format!("the body must be {{\"expires_in_s\": seconds}}: {err}"))
        })?,
    };
    let expires_in_s = request.expires_in_s.unwrap_or(DEFAULT_EXPIRY_S);
    if !(MIN_EXPIRY_S..=MAX_EXPIRY_S).contains(&expires_in_s) {
        return Err(Problem::bad_request(format!(
            "expires_in_s must be from {MIN_EXPIRY_S} to {MAX_EXPIRY_S}, and is {expires_in_s}"
        )));
    }
    let (stamp, trip) = {
        let state = shared.api.views.read();
        (state.stamp, find_trip(&state, &id)?)
    };
    let expires_unix_s = (now_ms() / 1000).cast_unsigned() + expires_in_s;
    let link = Link { trip_id: trip.row.trip_id.to_string(), expires_unix_s };
    let shared_too = shared.clone();
    let token = run_aside(move || Ok(token::sign(shared_too.link_key.to_sign()?, &link))).await?;
    let token = token.map_err(|err| key_problem(&shared.link_key, &err))?;
    let base_url = shared.api.config.tracking_base_url.as_deref().unwrap_or_default().trim_end_matches('/');
    let mut out = begin_object(stamp);
    out.extend_from_slice(b",\"url\":");
    write_text(&mut out, Some(&format!("{base_url}/track/{}", path_segment(&token))));
    out.extend_from_slice(b",\"expires_at\":");
    write_time(&mut out, Some(seconds(expires_unix_s)));
    out.push(b'}');
    Ok(json(out))
}

/// What a tracking link shows, as JSON.
#[utoipa::path(get, path = "/api/v1/track/{token}", tag = "trips",
    params(("token" = String, Path, description = "The last part of a tracking link.")), responses(
    (status = 200, body = PublicTrackingDoc),
    (status = 404, description = "It is no token of this service.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = 410, description = "It has expired.", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_public_tracking(
    State(shared): State<Arc<Shared>>,
    Id(token): Id,
) -> Result<Response<Body>, Problem> {
    let link = read_link(&shared, token).await?;
    let is_ready = shared.api.views.is_ready();
    let tracking = Tracking::of(&shared.api.views.read(), &link.trip_id).map_err(|_| match is_ready {
        true => no_link(),
        false => Problem::unavailable("starting: trips are read; ask again in a moment", 1),
    })?;
    let position = tracking.fixes.last().copied();
    let mut out = begin_object(tracking.stamp);
    out.extend_from_slice(b",\"expires_at\":");
    write_time(&mut out, Some(seconds(link.expires_unix_s)));
    tracking.write_rest(&mut out, position).await?;
    let mut answer = json(out);
    hide_from_robots(&mut answer);
    Ok(answer)
}

/// The page of a tracking link. Where the token is no good, it is the same page, which says so.
pub(super) async fn get_page(State(shared): State<Arc<Shared>>, Id(token): Id) -> Response<Body> {
    let mut answer = page::tracking_page();
    if let Err(problem) = read_link(&shared, token).await {
        *answer.status_mut() = problem.status();
    }
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    hide_from_robots(&mut answer);
    answer
}

fn hide_from_robots(answer: &mut Response<Body>) {
    answer.headers_mut().insert("x-robots-tag", HeaderValue::from_static("noindex, nofollow"));
}

/// The link of a token that is good now.
async fn read_link(shared: &Arc<Shared>, token: String) -> Result<Link, Problem> {
    let shared_too = shared.clone();
    let verified = run_aside(move || {
        let key = shared_too.link_key.to_check()?;
        Ok(key.and_then(|key| token::verify(key, &token)))
    });
    let link = verified.await?.map_err(|err| key_problem(&shared.link_key, &err))?.ok_or_else(no_link)?;
    if link.expires_unix_s <= (now_ms() / 1000).cast_unsigned() {
        let detail =
            format!("the link expired at {}; ask who gave it for another one", seconds(link.expires_unix_s));
        return Err(Problem::gone(detail));
    }
    Ok(link)
}

/// Says nothing of the token: an answer may be kept where paths are not.
fn no_link() -> Problem {
    let detail = "this is no tracking link of this service; check that all of it was copied";
    Problem::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
}

fn key_problem(key: &LinkKey, err: &io::Error) -> Problem {
    if key.is_to_be_told() {
        tracing::error!(error = %err, "the key of tracking links cannot be used; this is said once");
    }
    Problem::internal("the key of tracking links cannot be used; the log tells more")
}

fn seconds(unix_s: u64) -> TimeMs {
    TimeMs(i64::try_from(unix_s).unwrap_or(i64::MAX).saturating_mul(1000))
}

/// A trip, and the fixes of its vehicle that belong to it.
struct Tracking {
    stamp: Stamp,
    trip: TripView,
    pickup_name: Option<String>,
    delivery_name: Option<String>,
    fixes: Vec<TrackFix>,
}

impl Tracking {
    fn of(state: &ViewState, id: &str) -> Result<Tracking, Problem> {
        let trip = find_trip(state, id)?;
        let page = time_of(&trip.row).and_then(|span| {
            let track = state.trucks.track(&trip.row.vehicle_id, span, None, usize::MAX)?;
            Some(track.rows)
        });
        let mut fixes = page.unwrap_or_default();
        fixes.retain(|fix| !fix.is_jump());
        let name = |place: &str| state.trips.location(place).and_then(|location| location.name.as_deref());
        let (pickup, delivery) = trip.places().unzip();
        let named = |place: Option<&Arc<str>>| place.and_then(|place| name(place)).map(str::to_owned);
        let (pickup_name, delivery_name) = (named(pickup), named(delivery));
        Ok(Tracking { stamp: state.stamp, trip, pickup_name, delivery_name, fixes })
    }

    /// Writes what all may see of it, and ends the object.
    async fn write_rest(self, out: &mut Vec<u8>, position: Option<TrackFix>) -> Result<(), Problem> {
        let TripRow { trip_id, phase, status, pickup_arrival, actual_departure, arrival, offload, .. } =
            &self.trip.row;
        let schedule = self.trip.plan.as_ref().map(|plan| plan.schedule);
        let hidden = hidden_status(&self.trip, self.stamp.instant).map(TripStatus::as_str);
        let texts = [
            ("trip_id", Some(&**trip_id)),
            ("phase", Some(phase.as_str())),
            ("status", Some(status.as_str())),
            ("inferred_status", hidden),
            ("pickup_name", self.pickup_name.as_deref()),
            ("delivery_name", self.delivery_name.as_deref()),
        ];
        for (name, text) in texts {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            write_text(out, text);
        }
        let times = [
            ("scheduled_departure", schedule.map(|schedule| schedule.departure)),
            ("scheduled_arrival", schedule.and_then(|schedule| schedule.arrival)),
            ("pickup_arrival", *pickup_arrival),
            ("actual_departure", *actual_departure),
            ("arrival", *arrival),
            ("offload", *offload),
        ];
        for (name, time) in times {
            out.extend_from_slice(format!(",\"{name}\":").as_bytes());
            write_time(out, time);
        }
        out.extend_from_slice(b",\"position\":");
        match position {
            Some(fix) => write_position(out, &fix),
            None => out.extend_from_slice(b"null"),
        }
        let fixes = self.fixes;
        let track = run_aside(move || simplified(&fixes)).await?;
        write_list(out, "track", track, |out, Point { event_time, lon, lat }| {
            out.extend_from_slice(b"{\"event_time\":");
            write_time(out, Some(event_time));
            out.extend_from_slice(format!(",\"lon\":{lon},\"lat\":{lat}}}").as_bytes());
        });
        out.push(b'}');
        Ok(())
    }
}

/// From the departure to the offload, as far as they are known; where nobody saw the departure, from the arrival.
/// `None` before, and for a trip that was ended otherwise than by its offload: nothing says until when.
fn time_of(row: &TripRow) -> Option<(TimeMs, TimeMs)> {
    let is_done = row.phase == TripPhase::Done;
    let is_ended = matches!(row.phase, TripPhase::Cancelled | TripPhase::Failed)
        || matches!(row.status, TripStatus::Completed | TripStatus::Cancelled | TripStatus::Failed);
    if is_ended && !is_done {
        return None;
    }
    Some((row.actual_departure.or(row.arrival)?, row.offload.unwrap_or(TimeMs(i64::MAX))))
}

fn write_position(out: &mut Vec<u8>, fix: &TrackFix) {
    out.extend_from_slice(b"{\"event_time\":");
    write_time(out, Some(fix.event_time));
    let place = format!(",\"lon\":{},\"lat\":{}", fix.at.lon_degrees(), fix.at.lat_degrees());
    out.extend_from_slice(place.as_bytes());
    trucks::write_number(out, "speed_kmh", fix.speed_kmh());
    trucks::write_number(out, "heading", fix.heading());
    out.push(b'}');
}
