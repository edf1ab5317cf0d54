//! Presences, visits and rejects: pages of derived rows, as the files hold them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{RejectReason, Row, TimeMs};
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::{PresencePageDoc, ProblemDoc, RejectPageDoc, VisitPageDoc};
use super::params::{self, Params};
use super::{Shared, list, read_cursor};
use crate::problem::Problem;
use crate::views::{CursorWriter, Page, RejectFilter, SpanFilter, SpanKey, Stamp};

const PRESENCES: u8 = b'p';
const VISITS: u8 = b'v';
const REJECTS: u8 = b'r';

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

/// Which rejects.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RejectParams {
    /// Only of this vehicle.
    vehicle_id: Option<String>,
    /// Only for this reason, such as `jump`.
    reason: Option<String>,
    /// Only event times from this one on, RFC 3339.
    from: Option<String>,
    /// Only event times before this one, RFC 3339.
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
    let (filter, after, limit) = read_span_query(PRESENCES, &params)?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.presences.page(&filter, after.as_ref(), limit))
    };
    Ok(span_page(PRESENCES, stamp, page, Row::Presence))
}

/// Stays that were long enough to be visits, in order of vehicle, fence and `arrived`.
#[utoipa::path(get, path = "/api/v1/visits", tag = "derived rows", params(SpanParams), responses(
    (status = 200, body = VisitPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_visits(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<SpanParams>,
) -> Result<Response<Body>, Problem> {
    let (filter, after, limit) = read_span_query(VISITS, &params)?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.visits.page(&filter, after.as_ref(), limit))
    };
    Ok(span_page(VISITS, stamp, page, Row::Visit))
}

fn read_span_query(letter: u8, params: &SpanParams) -> Result<(SpanFilter, Option<SpanKey>, usize), Problem> {
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
    Ok((filter, after, params::limit(params.limit.as_deref(), 100)?))
}

fn span_page<R>(
    letter: u8,
    stamp: Stamp,
    page: Page<R, SpanKey>,
    as_row: impl Fn(R) -> Row,
) -> Response<Body> {
    let next = page.next.map(|key| {
        CursorWriter::new(letter)
            .text(&key.vehicle_id)
            .text(&key.fence_id)
            .number(key.start.0.cast_unsigned())
            .finish()
    });
    list(stamp, page.rows, |out, row| as_row(row).write_json(out), next)
}

/// Records that are not used, or (`bad_value`) not in full: the newest 100,000, in order of arrival.
#[utoipa::path(get, path = "/api/v1/rejects", tag = "derived rows", params(RejectParams), responses(
    (status = 200, body = RejectPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_rejects(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<RejectParams>,
) -> Result<Response<Body>, Problem> {
    let (from, to) = params::period(params.from.as_deref(), params.to.as_deref())?;
    let filter = RejectFilter {
        vehicle_id: params::shared_text(params.vehicle_id.as_deref()),
        reason: read_reason(params.reason.as_deref())?,
        from,
        to,
    };
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(REJECTS, params.cursor.as_deref(), |cursor| cursor.number())?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.rejects.page(&filter, after, limit))
    };
    let next = page.next.map(|seq| CursorWriter::new(REJECTS).number(seq).finish());
    Ok(list(stamp, page.rows, |out, row| Row::Reject(row).write_json(out), next))
}

fn read_reason(value: Option<&str>) -> Result<Option<RejectReason>, Problem> {
    let Some(name) = params::given(value) else { return Ok(None) };
    let found = RejectReason::ALL.into_iter().find(|reason| reason.as_str() == name);
    found.map(Some).ok_or_else(|| {
        let known = RejectReason::ALL.map(RejectReason::as_str).join(", ");
        Problem::bad_request(format!("reason must be one of {known}, and is {name:?}"))
    })
}
