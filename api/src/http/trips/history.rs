//! The story of a trip: what its row was before, and why it changed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{Table, trip_key};

use crate::http::openapi::{ProblemDoc, TripHistoryDoc};
use crate::http::params::{Id, ListParams, Params};
use crate::http::{Shared, history};
use crate::problem::Problem;

/// What became of a trip's row, change by change, as far back as changes are kept.
#[utoipa::path(get, path = "/api/v1/trips/{id}/history", tag = "trips",
    params(("id" = String, Path, description = "The trip's id; a slash in it is written as %2F."), ListParams),
    responses(
    (status = 200, body = TripHistoryDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(in crate::http) async fn get_trip_history(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    let of = history::Of { table: Table::Trips, key: trip_key(&id), noun: "trip", id };
    history::answer(&shared, of, &params).await
}
