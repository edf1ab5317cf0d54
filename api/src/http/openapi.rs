//! The OpenAPI 3.1 description, generated from the handlers, and the shapes of answers that it names.
//!
//! Answers are written by hand, since there are many rows; the shapes here only describe them, and a test
//! holds the two together.

// The fields are read by the generator only.
#![allow(dead_code)]

use std::sync::OnceLock;

use axum::body::{Body, Bytes};
use axum::http::Response;
use utoipa::{OpenApi, ToSchema};

use super::json;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Watch Tower",
        description = "Geofence visits of a fleet that stay right: late positions, edited fences and \
            corrections change every derived row that depended on them. Every live answer carries `as_of`, \
            the instant that it is exact for, and `tick`, its number.",
        license(name = "MIT OR Apache-2.0")
    ),
    tags(
        (name = "trucks", description = "Where trucks are and were."),
        (name = "fences", description = "The fences, as GeoJSON."),
        (name = "derived rows", description = "What follows from positions and fences."),
        (name = "trips", description = "Trips: planned, seen, corrected, and followed by a link."),
        (name = "master data", description = "Vehicles, drivers, organizations, locations, and who drives what."),
        (name = "alerts", description = "What is to be told to somebody, and what people said of it."),
        (name = "KPIs", description = "Figures of the fleet, its trucks, clients and locations, now and before."),
        (name = "changes", description = "Every change of derived rows, as it happens and since."),
        (name = "ingest", description = "Records in. Answered when they are durable."),
        (name = "dead letters", description = "What was refused at the door."),
        (name = "operation", description = "Whether the service works."),
    )
)]
struct Frame;

pub(super) fn frame() -> utoipa::openapi::OpenApi {
    let mut openapi = Frame::openapi();
    env!("CARGO_PKG_VERSION").clone_into(&mut openapi.info.version);
    openapi
}

/// The OpenAPI description of all routes.
#[must_use]
pub fn openapi_json() -> String {
    let (_, openapi) = super::documented_routes().split_for_parts();
    serde_json::to_string(&openapi).expect("a description made of texts and maps has a JSON form")
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "operation", responses(
    (status = 200, description = "OpenAPI 3.1.", body = Object),
))]
pub(super) async fn get_openapi() -> Response<Body> {
    static DESCRIPTION: OnceLock<Bytes> = OnceLock::new();
    json(DESCRIPTION.get_or_init(|| openapi_json().into()).clone())
}

/// An error, RFC 9457 (`application/problem+json`).
#[derive(ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDoc {
    /// What kind of error, such as `urn:watchtower:problem:bad-request`.
    r#type: String,
    title: String,
    status: u16,
    /// What is wrong, where, and what to do.
    detail: String,
}

/// What every truck and fix says of its position; all of it null where none is known.
#[derive(ToSchema)]
#[schema(as = Fix)]
pub(super) struct FixDoc {
    #[schema(format = DateTime)]
    event_time: Option<String>,
    /// Degrees, rounded to 1e-7.
    lon: Option<f64>,
    /// Degrees, rounded to 1e-7.
    lat: Option<f64>,
    speed_kmh: Option<f32>,
    /// Degrees clockwise from north.
    heading: Option<f32>,
    ignition: Option<bool>,
    accuracy_m: Option<f32>,
    /// Position of the record in the whole input.
    seq: Option<u64>,
    /// `jump`: too far from the fixes around it to be true.
    flag: Option<String>,
}

/// A fence that a truck is in.
#[derive(ToSchema)]
#[schema(as = PresentFence)]
pub(super) struct PresentFenceDoc {
    fence_id: String,
    #[schema(format = DateTime)]
    entered: String,
}

/// A truck and where it is: its newest fix, by event time, that is used.
#[derive(ToSchema)]
#[schema(as = TruckItem)]
pub(super) struct TruckItemDoc {
    vehicle_id: String,
    /// The spelling received, where it is another one than the id.
    spelling: Option<String>,
    #[schema(inline)]
    #[serde(flatten)]
    fix: FixDoc,
    /// When the last record of it came in.
    #[schema(format = DateTime)]
    last_received: Option<String>,
    fences: Vec<PresentFenceDoc>,
}

/// A truck that was searched for by place.
#[derive(ToSchema)]
#[schema(as = NearItem)]
pub(super) struct NearItemDoc {
    #[serde(flatten)]
    truck: TruckItemDoc,
    /// Geodesic distance on WGS 84, metres.
    distance_m: f64,
}

/// One truck.
#[derive(ToSchema)]
#[schema(as = Truck)]
pub(super) struct TruckDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    #[serde(flatten)]
    truck: TruckItemDoc,
}

/// Where a truck is.
#[derive(ToSchema)]
#[schema(as = Location)]
pub(super) struct LocationDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    vehicle_id: String,
    spelling: Option<String>,
    #[serde(flatten)]
    fix: FixDoc,
}

/// A vehicle in a fence, `[entered, exited)`.
#[derive(ToSchema)]
#[schema(as = Presence)]
pub(super) struct PresenceDoc {
    vehicle_id: String,
    fence_id: String,
    #[schema(format = DateTime)]
    entered: String,
    /// Null while inside.
    #[schema(format = DateTime)]
    exited: Option<String>,
    /// `exit`, `fence_deleted` or `fence_ended`; null while inside.
    end_reason: Option<String>,
}

/// A stay that was long enough.
#[derive(ToSchema)]
#[schema(as = Visit)]
pub(super) struct VisitDoc {
    #[serde(flatten)]
    row: VisitRowDoc,
    /// A hash of vehicle, fence and arrival; 16 hexadecimal digits.
    id: String,
}

/// One visit.
#[derive(ToSchema)]
#[schema(as = LiveVisit)]
pub(super) struct LiveVisitDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    #[serde(flatten)]
    visit: VisitDoc,
    /// The id that was asked for, where a correction took that visit back and this one stands in its place.
    successor_of: Option<String>,
}

/// A visit as it is in the files, without its id.
#[derive(ToSchema)]
#[schema(as = VisitRow)]
pub(super) struct VisitRowDoc {
    vehicle_id: String,
    fence_id: String,
    #[schema(format = DateTime)]
    arrived: String,
    /// Null while inside.
    #[schema(format = DateTime)]
    departed: Option<String>,
    #[schema(format = DateTime)]
    confirmed_at: String,
    /// How many presences it joins.
    presences: u32,
}

/// A visit that came, went, or became another of the same id.
#[derive(ToSchema)]
#[schema(as = VisitEvent)]
pub(super) struct VisitEventDoc {
    tick: u64,
    /// The instant of the tick.
    #[schema(format = DateTime)]
    instant: String,
    /// `came`, `went` or `replaced`.
    change: String,
    /// Which visit.
    id: String,
    /// `first`, `late_fix`, `superseded`, `cleaning`, `fence_edit`, `fence_end`, `backfill` or `settings`.
    cause: String,
    /// Place of the record that brought it in the whole input; 0 where an older release did not keep it.
    seq: u64,
    /// What it was before; null where it came.
    old: Option<VisitRowDoc>,
    /// What it is since; null where it went.
    new: Option<VisitRowDoc>,
    /// The visit that took the place of one that went.
    successor: Option<String>,
}

/// A page of a visit's story.
#[derive(ToSchema)]
#[schema(as = VisitHistory)]
pub(super) struct VisitHistoryDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    id: String,
    /// The visit that stands: this one, or the one in its place; null if there is none.
    current: Option<String>,
    /// Whether the story goes back to its beginning; changes are not kept for ever.
    complete: bool,
    items: Vec<VisitEventDoc>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// A vehicle that passed through a fence between two fixes, neither of which saw it there.
#[derive(ToSchema)]
#[schema(as = Crossing)]
pub(super) struct CrossingDoc {
    vehicle_id: String,
    fence_id: String,
    /// Event time of the fix before.
    #[schema(format = DateTime)]
    from_time: String,
    /// Event time of the fix after.
    #[schema(format = DateTime)]
    to_time: String,
    /// Interpolated.
    #[schema(format = DateTime)]
    at: String,
}

/// Counts by reason.
#[derive(ToSchema)]
#[schema(as = RejectsByReason)]
pub(super) struct ReasonCountsDoc {
    malformed: u64,
    out_of_range: u64,
    null_island: u64,
    future: u64,
    too_late: u64,
    jump: u64,
    bad_value: u64,
}

/// How many records of a vehicle are not used, or not in full.
#[derive(ToSchema)]
#[schema(as = RejectsOfVehicle)]
pub(super) struct VehicleRejectsDoc {
    vehicle_id: String,
    counts: ReasonCountsDoc,
}

/// A page of counts, in order of vehicles.
#[derive(ToSchema)]
#[schema(as = RejectCountsPage)]
pub(super) struct RejectCountsPageDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    /// Of all records, those included whose vehicle could not be read.
    totals: ReasonCountsDoc,
    items: Vec<VehicleRejectsDoc>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// A record that is not used, or (`bad_value`) not in full.
#[derive(ToSchema)]
#[schema(as = Reject)]
pub(super) struct RejectDoc {
    /// Position of the record in the whole input, from 1.
    seq: u64,
    vehicle_id: Option<String>,
    #[schema(format = DateTime)]
    event_time: Option<String>,
    reason: String,
    used: bool,
}

/// A dead letter, without its payload.
#[derive(ToSchema)]
#[schema(as = DeadLetterItem)]
pub(super) struct DeadLetterItemDoc {
    id: u64,
    #[schema(format = DateTime)]
    received_time: String,
    /// `records`, `loconav`, ...
    source: String,
    context: String,
    /// Why it was refused.
    reason: String,
    /// Size of the payload.
    bytes: u64,
    /// The beginning of the payload.
    excerpt: String,
}

/// A dead letter.
#[derive(ToSchema)]
#[schema(as = DeadLetter)]
pub(super) struct DeadLetterDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    #[serde(flatten)]
    letter: DeadLetterItemDoc,
    /// The payload as text.
    payload: String,
    /// Whether the payload is UTF-8, so that `payload` is all of it.
    payload_is_text: bool,
}

/// A GeoJSON feature. The shape is a Point with `radius_m`, a LineString with `width_m`, a Polygon or a
/// MultiPolygon.
#[derive(ToSchema)]
#[schema(as = Fence)]
pub(super) struct FeatureDoc {
    /// `Feature`.
    r#type: String,
    id: String,
    /// `name, radius_m, width_m, exit_buffer_m, min_dwell_s, max_absence_s, alert, crossed, valid_from,
    /// valid_to, active, active_zone, speed_limit_kmh`
    properties: serde_json::Value,
    geometry: serde_json::Value,
}

/// One fence.
#[derive(ToSchema)]
#[schema(as = LiveFence)]
pub(super) struct LiveFeatureDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    #[serde(flatten)]
    feature: FeatureDoc,
}

/// A GeoJSON FeatureCollection.
#[derive(ToSchema)]
#[schema(as = FencePage)]
pub(super) struct FencePageDoc {
    /// `FeatureCollection`.
    r#type: String,
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    features: Vec<FeatureDoc>,
    next_cursor: Option<String>,
}

macro_rules! page_doc {
    ($name:ident, $title:literal, $item:ty) => {
        #[doc = concat!("A page of a list: ", $title, ".")]
        #[derive(ToSchema)]
        #[schema(as = $name)]
        pub(in crate::http) struct $name {
            #[schema(format = DateTime)]
            as_of: String,
            tick: u64,
            items: Vec<$item>,
            /// Where the next page begins; null at the end.
            next_cursor: Option<String>,
        }
    };
}

mod alerts;
mod entities;
mod kpis;
mod trips;

pub(super) use alerts::{AlertHistoryDoc, AlertMarkDoc, AlertPageDoc, LiveAlertDoc};
pub(super) use entities::{AssignmentPageDoc, EntityPageDoc};
pub(super) use kpis::{AnalyticsPageDoc, KpiHistoryPageDoc, KpiPageDoc};
pub(super) use trips::{
    LiveTripDoc, PublicTrackingDoc, RuleProblemDoc, TrackingDoc, TrackingLinkDoc, TrackingLinkRequestDoc,
    TripChangeDoc, TripHistoryDoc, TripPageDoc, TripPlanDoc, TripReceiptDoc,
};

page_doc!(TruckPageDoc, "trucks", TruckItemDoc);
page_doc!(NearPageDoc, "trucks near a place", NearItemDoc);
page_doc!(PresencePageDoc, "presences", PresenceDoc);
page_doc!(VisitPageDoc, "visits", VisitDoc);
page_doc!(CrossingPageDoc, "crossings", CrossingDoc);
page_doc!(RejectPageDoc, "rejects", RejectDoc);
page_doc!(DeadLetterPageDoc, "dead letters", DeadLetterItemDoc);

/// A page of a track.
#[derive(ToSchema)]
#[schema(as = TrackPage)]
pub(super) struct TrackPageDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    vehicle_id: String,
    items: Vec<FixDoc>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// What became of a body, once the accepted part of it is durable.
#[derive(ToSchema)]
#[schema(as = Receipt)]
pub(in crate::http) struct ReceiptDoc {
    accepted: u64,
    refused: u64,
    /// The tick that holds the accepted records: `min_tick` waits for it.
    tick: u64,
    /// The first thousand refusals.
    errors: Vec<RefusalDoc>,
    /// What was accepted but looks wrong; absent when there is none.
    warnings: Option<Vec<String>>,
}

/// A refused record.
#[derive(ToSchema)]
#[schema(as = Refusal)]
pub(in crate::http) struct RefusalDoc {
    /// Line of NDJSON or element of an array, from 1.
    line: u64,
    reason: String,
}
