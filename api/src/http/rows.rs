//! Presences, visits and crossings: pages of derived rows, as the files hold them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{Row, TimeMs, VisitId, VisitRow};
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::{CrossingPageDoc, PresencePageDoc, ProblemDoc, VisitPageDoc};
use super::params::{self, Params};
use super::{Shared, list, read_cursor, write_row_members};
use crate::problem::Problem;
use crate::views::{CursorWriter, SpanFilter, SpanKey, SpanRow, SpanTable, State as ViewState};

const PRESENCES: u8 = b'p';
const VISITS: u8 = b'v';
const CROSSINGS: u8 = b'x';

/// Which spans of time.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SpanParams {
    /// Only of this vehicle.
    vehicle_id: Option<String>,
    /// Only of this fence.
    fence_id: Option<String>,
    /// Only what had not ended by this time, RFC 3339.
    from: Option<String>,
    /// Only what began before this time, RFC 3339.
    to: Option<String>,
    /// Rows a page, 1 to 1000; 100 if not given. A page of a narrow filter may hold fewer, and still have
    /// a `next_cursor`.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// When each vehicle was in each fence, in order of vehicle, fence and `entered`.
#[utoipa::path(get, path = "/api/v1/presences", tag = "derived rows", params(SpanParams), responses(
    (status = 200, body = PresencePageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_presences(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<SpanParams>,
) -> Result<Response<Body>, Problem> {
    let write = |out: &mut Vec<u8>, row| Row::Presence(row).write_json(out);
    list_spans(&shared, PRESENCES, &params, |state| &state.presences, write).await
}

/// Stays that were long enough to be visits, in order of vehicle, fence and `arrived`. Each has its `id` behind
/// the fields of its row.
#[utoipa::path(get, path = "/api/v1/visits", tag = "derived rows", params(SpanParams), responses(
    (status = 200, body = VisitPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_visits(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<SpanParams>,
) -> Result<Response<Body>, Problem> {
    let write = |out: &mut Vec<u8>, visit| {
        out.push(b'{');
        write_visit(out, &visit);
        out.push(b'}');
    };
    list_spans(&shared, VISITS, &params, |state| &state.visits, write).await
}

/// Vehicles that passed through fences between two fixes, in order of vehicle, fence and `from_time`.
#[utoipa::path(get, path = "/api/v1/crossings", tag = "derived rows", params(SpanParams), responses(
    (status = 200, body = CrossingPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_crossings(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<SpanParams>,
) -> Result<Response<Body>, Problem> {
    let write = |out: &mut Vec<u8>, row| Row::Crossing(row).write_json(out);
    list_spans(&shared, CROSSINGS, &params, |state| &state.crossings, write).await
}

/// Writes the members of a visit: those of its row, and its id behind them.
pub(super) fn write_visit(out: &mut Vec<u8>, visit: &VisitRow) {
    write_row_members(out, &Row::Visit(visit.clone()));
    out.extend_from_slice(format!(",\"id\":\"{}\"", VisitId::of(visit)).as_bytes());
}

async fn list_spans<R: SpanRow>(
    shared: &Shared,
    letter: u8,
    params: &SpanParams,
    table: impl FnOnce(&ViewState) -> &SpanTable<R>,
    write: impl FnMut(&mut Vec<u8>, R),
) -> Result<Response<Body>, Problem> {
    let (from, to) = params::period(params.from.as_deref(), params.to.as_deref())?;
    let filter = SpanFilter {
        vehicle_id: params::shared_text(params.vehicle_id.as_deref()),
        fence_id: params::shared_text(params.fence_id.as_deref()),
        from,
        to,
    };
    let after = read_cursor(letter, params.cursor.as_deref(), |cursor| {
        Ok(SpanKey {
            vehicle_id: cursor.text()?.into(),
            fence_id: cursor.text()?.into(),
            start: TimeMs(cursor.number()?.cast_signed()),
        })
    })?;
    let limit = params::limit(params.limit.as_deref(), 100)?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, table(&state).page(&filter, after.as_ref(), limit))
    };
    let next = page.next.map(|key| {
        let cursor = CursorWriter::new(letter).text(&key.vehicle_id).text(&key.fence_id);
        cursor.number(key.start.0.cast_unsigned()).finish()
    });
    Ok(list(stamp, page.rows, write, next))
}
