//! The shapes of answers about trips.

use utoipa::ToSchema;

use super::ReceiptDoc;

/// Where a trip is, by the visits of its vehicle and by hand, as it is in the files.
#[derive(ToSchema)]
#[schema(as = TripRow)]
pub(in crate::http) struct TripRowDoc {
    trip_id: String,
    vehicle_id: String,
    /// `planned`, `at_pickup`, `in_transit`, `at_delivery`, `done`, `cancelled` or `failed`.
    phase: String,
    /// `scheduled`, `ongoing`, `delayed`, `completed`, `cancelled` or `failed`; one that was set by hand goes before.
    status: String,
    /// Who set the status by hand; `inferred` where nobody did.
    status_by: String,
    #[schema(format = DateTime)]
    pickup_arrival: Option<String>,
    #[schema(format = DateTime)]
    actual_departure: Option<String>,
    #[schema(format = DateTime)]
    arrival: Option<String>,
    #[schema(format = DateTime)]
    offload: Option<String>,
    /// From `actual_departure` to `offload`, seconds.
    tat_s: Option<i64>,
    /// From `actual_departure` to `arrival`, metres.
    distance_m: Option<i64>,
    /// It was served, and nobody saw its vehicle at the pickup.
    departure_unobserved: bool,
    /// `auto`: it is made of visits, and nobody planned it. Planned trips do not have this and the next two.
    source: Option<String>,
    /// The terminal that it left.
    pickup: Option<String>,
    /// The client that it came to.
    delivery: Option<String>,
}

/// A trip: its row, and what is planned.
#[derive(ToSchema)]
#[schema(as = Trip)]
pub(in crate::http) struct TripDoc {
    #[serde(flatten)]
    row: TripRowDoc,
    /// When it is expected at its delivery; null unless it is in transit and that can be told.
    #[schema(format = DateTime)]
    eta: Option<String>,
    /// Hardly before.
    #[schema(format = DateTime)]
    eta_low: Option<String>,
    /// Hardly after.
    #[schema(format = DateTime)]
    eta_high: Option<String>,
    /// The status by what is seen, where another one was set by hand; else null.
    inferred_status: Option<String>,
    /// The last plan, with all fields that it was given; null where nobody planned it.
    plan: Option<serde_json::Value>,
}

/// One trip.
#[derive(ToSchema)]
#[schema(as = LiveTrip)]
pub(in crate::http) struct LiveTripDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    #[serde(flatten)]
    trip: TripDoc,
    /// Of a trip on the road: metres since `actual_departure`; null where the track does not go back so far.
    distance_so_far_m: Option<i64>,
}

page_doc!(TripPageDoc, "trips", TripDoc);

/// A trip's row that came, went, or became another.
#[derive(ToSchema)]
#[schema(as = TripEvent)]
pub(in crate::http) struct TripEventDoc {
    tick: u64,
    /// The instant of the tick.
    #[schema(format = DateTime)]
    instant: String,
    /// `came`, `went` or `replaced`.
    change: String,
    /// `first`, `late_fix`, `superseded`, `cleaning`, `fence_edit`, `fence_end`, `backfill` or `settings`.
    cause: String,
    /// Place of the record that brought it in the whole input.
    seq: u64,
    /// What it was before; null where it came.
    old: Option<TripRowDoc>,
    /// What it is since; null where it went.
    new: Option<TripRowDoc>,
}

/// A page of a trip's story.
#[derive(ToSchema)]
#[schema(as = TripHistory)]
pub(in crate::http) struct TripHistoryDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    id: String,
    /// Whether the story goes back to its beginning; changes are not kept for ever.
    complete: bool,
    items: Vec<TripEventDoc>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

/// What is planned. Further fields are kept and given back.
#[derive(ToSchema)]
#[schema(as = TripPlan)]
pub(in crate::http) struct TripPlanDoc {
    /// Made of the day, the vehicle and the container if not given.
    id: Option<String>,
    vehicle_id: String,
    /// A location with a fence, or a fence.
    pickup: String,
    /// A location with a fence, or a fence.
    delivery: String,
    #[schema(format = DateTime)]
    scheduled_departure: String,
    #[schema(format = DateTime)]
    scheduled_arrival: Option<String>,
    /// Locations on the way.
    waypoints: Option<Vec<String>>,
    /// Who drives, where it is not who is assigned to the vehicle.
    driver_id: Option<String>,
    /// The container's number.
    container_no: Option<String>,
    /// Who plans it; stays beside the plan.
    by: Option<String>,
}

/// What is to become another; null takes a field away.
#[derive(ToSchema)]
#[schema(as = TripChange)]
pub(in crate::http) struct TripChangeDoc {
    vehicle_id: Option<String>,
    pickup: Option<String>,
    delivery: Option<String>,
    #[schema(format = DateTime)]
    scheduled_departure: Option<String>,
    #[schema(format = DateTime)]
    scheduled_arrival: Option<String>,
    /// Who drives.
    driver_id: Option<String>,
    /// The status by hand, with `by`; null goes back to the inferred one.
    status: Option<String>,
    /// True is the status `cancelled`.
    cancel: Option<bool>,
    /// Who changes it; needed with `status` and `cancel`.
    by: Option<String>,
}

/// What became of a new trip.
#[derive(ToSchema)]
#[schema(as = TripReceipt)]
pub(in crate::http) struct TripReceiptDoc {
    /// The trip's id.
    id: String,
    #[serde(flatten)]
    receipt: ReceiptDoc,
}

/// A trip breaks a rule.
#[derive(ToSchema)]
#[schema(as = RuleProblem)]
pub(in crate::http) struct RuleProblemDoc {
    r#type: String,
    title: String,
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// `readable`, `vehicle_known`, `truck_operational`, `driver_assigned`, `place_has_fence`, `min_notice`,
    /// `new_trip` or `signed_status`.
    rule: String,
    /// Which field; null where that cannot be told.
    field: Option<String>,
}

/// Where a vehicle was.
#[derive(ToSchema)]
#[schema(as = TrackingPosition)]
pub(in crate::http) struct TrackingPositionDoc {
    #[schema(format = DateTime)]
    event_time: String,
    /// Degrees.
    lon: f64,
    /// Degrees.
    lat: f64,
    speed_kmh: Option<f32>,
    /// Degrees clockwise from north.
    heading: Option<f32>,
}

/// A point of a track with fewer points than there are fixes.
#[derive(ToSchema)]
#[schema(as = TrackingPoint)]
pub(in crate::http) struct TrackingPointDoc {
    #[schema(format = DateTime)]
    event_time: String,
    lon: f64,
    lat: f64,
}

/// What all may see of a trip who may see it.
#[derive(ToSchema)]
#[schema(as = TrackingRest)]
pub(in crate::http) struct TrackingRestDoc {
    trip_id: String,
    phase: String,
    status: String,
    /// The status by what is seen, where another one was set by hand; else null.
    inferred_status: Option<String>,
    /// Of the location, where it has a name.
    pickup_name: Option<String>,
    /// Of the location, where it has a name.
    delivery_name: Option<String>,
    /// Null where nobody planned it.
    #[schema(format = DateTime)]
    scheduled_departure: Option<String>,
    #[schema(format = DateTime)]
    scheduled_arrival: Option<String>,
    #[schema(format = DateTime)]
    pickup_arrival: Option<String>,
    #[schema(format = DateTime)]
    actual_departure: Option<String>,
    #[schema(format = DateTime)]
    arrival: Option<String>,
    #[schema(format = DateTime)]
    offload: Option<String>,
    position: Option<TrackingPositionDoc>,
    /// At most 500 points, from the departure to the offload.
    track: Vec<TrackingPointDoc>,
}

/// Where a trip is.
#[derive(ToSchema)]
#[schema(as = Tracking)]
pub(in crate::http) struct TrackingDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    vehicle_id: String,
    #[serde(flatten)]
    rest: TrackingRestDoc,
}

/// What a tracking link shows. `position` is null before the departure, after the offload, and of a trip that was
/// ended otherwise.
#[derive(ToSchema)]
#[schema(as = PublicTracking)]
pub(in crate::http) struct PublicTrackingDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    #[schema(format = DateTime)]
    expires_at: String,
    #[serde(flatten)]
    rest: TrackingRestDoc,
}

/// How long a link is good.
#[derive(ToSchema)]
#[schema(as = TrackingLinkRequest)]
pub(in crate::http) struct TrackingLinkRequestDoc {
    /// 60 to 2592000, which is 30 days; a day if not given.
    expires_in_s: Option<u64>,
}

/// A tracking link.
#[derive(ToSchema)]
#[schema(as = TrackingLink)]
pub(in crate::http) struct TrackingLinkDoc {
    #[schema(format = DateTime)]
    as_of: String,
    tick: u64,
    /// Begins with `tracking.base_url` where that is configured, else with the path.
    url: String,
    #[schema(format = DateTime)]
    expires_at: String,
}
