//! KPIs: the figures of now, and what they were before.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{KpiMetric, KpiSlice, KpiSliceKind, KpiSpan, Row, TimeMs};
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::{KpiHistoryPageDoc, KpiPageDoc, ProblemDoc};
use super::params::{self, Params};
use super::{Shared, list, read_cursor, write_row_members, write_time};
use crate::problem::Problem;
use crate::views::{BadCursor, CursorReader, CursorWriter, KpiFilter, KpiKey, KpiView, WeekBefore};

pub(super) mod stream;

const KPIS: u8 = b'm';
const HISTORY: u8 = b'h';

/// Which figures.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KpiParams {
    /// Only over this time: `now`, `15m`, `1h`, `24h`, `7d`, `day` or `week`.
    span: Option<String>,
    /// Only of such slices: `fleet`, `client`, `location` or `truck`.
    slice: Option<String>,
    /// Only of this one of them; the fleet is `all`.
    slice_id: Option<String>,
    /// Only this figure, such as `visits` or `alerts:overspeed`.
    metric: Option<String>,
    /// Figures a page, 1 to 1000; 100 if not given. A page of a narrow filter may hold fewer, and still have
    /// a `next_cursor`.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// Which values of figures.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct KpiHistoryParams {
    /// Over which time: `day`, `week`, or one of the others, whose last values are held.
    #[param(value_type = String)]
    span: Option<String>,
    /// Only of such slices: `fleet`, `client`, `location` or `truck`.
    slice: Option<String>,
    /// Only of this one of them; the fleet is `all`.
    slice_id: Option<String>,
    /// Only this figure, such as `visits` or `alerts:overspeed`.
    metric: Option<String>,
    /// Only windows that begin at this time, RFC 3339, or later.
    from: Option<String>,
    /// Only windows that begin before this time, RFC 3339.
    to: Option<String>,
    /// Values a page, 1 to 1000; 100 if not given. A page of a narrow filter may hold fewer, and still have
    /// a `next_cursor`.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// The figures of now, in order of span, slice and metric; of days and weeks, those that are not over.
#[utoipa::path(get, path = "/api/v1/kpis", tag = "KPIs", params(KpiParams), responses(
    (status = 200, body = KpiPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_kpis(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<KpiParams>,
) -> Result<Response<Body>, Problem> {
    let KpiParams { span, slice, slice_id, metric, .. } = &params;
    let filter = read_filter([span, slice, slice_id, metric])?;
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(KPIS, params.cursor.as_deref(), read_key)?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.kpis.page(&filter, state.stamp.instant, after.as_ref(), limit))
    };
    let next = page.next.map(|key| write_key(CursorWriter::new(KPIS), &key).finish());
    Ok(list(stamp, page.rows, write_kpi, next))
}

/// What figures were, in order of figure and time: of days and weeks all that is kept; of the other spans the last
/// values, one a minute (`now`, `15m`), 5 min (`1h`), 15 min (`24h`) or hour (`7d`), since the last start at most.
#[utoipa::path(get, path = "/api/v1/kpis/history", tag = "KPIs", params(KpiHistoryParams), responses(
    (status = 200, body = KpiHistoryPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_kpi_history(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<KpiHistoryParams>,
) -> Result<Response<Body>, Problem> {
    let KpiHistoryParams { span, slice, slice_id, metric, .. } = &params;
    let filter = read_filter([span, slice, slice_id, metric])?;
    if filter.span.is_none() {
        return Err(Problem::bad_request(format!("span is missing; it is one of {}", spans().join(", "))));
    }
    let period = params::period(params.from.as_deref(), params.to.as_deref())?;
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(HISTORY, params.cursor.as_deref(), |cursor| {
        Ok((read_key(cursor)?, TimeMs(cursor.number()?.cast_signed())))
    })?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.kpis.history(&filter, period, after.as_ref(), limit))
    };
    let next = page.next.map(|(key, time)| {
        write_key(CursorWriter::new(HISTORY), &key).number(time.0.cast_unsigned()).finish()
    });
    let write = |out: &mut Vec<u8>, view: KpiView| {
        write_kpi(out, view.clone());
        out.pop();
        out.extend_from_slice(b",\"shown_at\":");
        write_time(out, Some(view.point.shown_at));
        out.push(b'}');
    };
    Ok(list(stamp, page.rows, write, next))
}

fn spans() -> [&'static str; 7] {
    KpiSpan::ALL.map(KpiSpan::as_str)
}

/// Reads `span`, `slice`, `slice_id` and `metric`.
fn read_filter([span, slice, slice_id, metric]: [&Option<String>; 4]) -> Result<KpiFilter, Problem> {
    let slice = read_slice_kind(slice.as_deref())?;
    let slice_id = params::shared_text(slice_id.as_deref());
    if slice_id.is_some() && slice.is_none() {
        return Err(Problem::bad_request("slice_id is there, and slice is not: say what it is the id of"));
    }
    Ok(KpiFilter {
        span: params::named("span", span.as_deref(), &spans(), KpiSpan::from_name)?,
        slice,
        slice_id,
        metric: read_metric(metric.as_deref())?,
    })
}

pub(super) fn read_slice_kind(value: Option<&str>) -> Result<Option<KpiSliceKind>, Problem> {
    let kinds = KpiSliceKind::ALL.map(KpiSliceKind::as_str);
    params::named("slice", value, &kinds, KpiSliceKind::from_name)
}

/// One slice: the fleet, unless another one is named.
pub(super) fn read_slice(kind: Option<&str>, id: Option<&str>) -> Result<KpiSlice, Problem> {
    let (kind, id) = (read_slice_kind(kind)?, params::shared_text(id));
    match (kind, id) {
        (None | Some(KpiSliceKind::Fleet), None) => Ok(KpiSlice::fleet()),
        (Some(kind), Some(id)) => Ok(KpiSlice { kind, id }),
        (Some(_), None) => Err(Problem::bad_request("slice_id is missing: which of them")),
        (None, Some(_)) => {
            Err(Problem::bad_request("slice_id is there, and slice is not: say what it is the id of"))
        }
    }
}

fn read_metric(value: Option<&str>) -> Result<Option<KpiMetric>, Problem> {
    let Some(name) = params::given(value) else { return Ok(None) };
    KpiMetric::from_name(name).map(Some).ok_or_else(|| {
        let named = KpiMetric::NAMED.map(|metric| metric.name()).join(", ");
        Problem::bad_request(format!(
            "metric must be alerts: and a kind, trucks: and a status, or one of {named}, and is {name:?}"
        ))
    })
}

fn write_key(cursor: CursorWriter, key: &KpiKey) -> CursorWriter {
    let KpiKey { span, slice, metric } = key;
    cursor.text(span.as_str()).text(slice.kind.as_str()).text(&slice.id).text(&metric.name())
}

fn read_key(cursor: &mut CursorReader) -> Result<KpiKey, BadCursor> {
    let span = KpiSpan::from_name(&cursor.text()?).ok_or(BadCursor)?;
    let kind = KpiSliceKind::from_name(&cursor.text()?).ok_or(BadCursor)?;
    let slice = KpiSlice { kind, id: cursor.text()?.into() };
    let metric = KpiMetric::from_name(&cursor.text()?).ok_or(BadCursor)?;
    Ok(KpiKey { span, slice, metric })
}

/// Writes a figure: its row, and behind it what was corrected, and what it was a week before.
fn write_kpi(out: &mut Vec<u8>, view: KpiView) {
    out.push(b'{');
    write_kpi_members(out, &view);
    out.push(b'}');
}

fn write_kpi_members(out: &mut Vec<u8>, view: &KpiView) {
    write_row_members(out, &Row::Kpi(view.point.row(&view.key)));
    write_beside(out, view);
}

/// What stands beside a value wherever it is shown.
pub(super) fn write_beside(out: &mut Vec<u8>, view: &KpiView) {
    out.extend_from_slice(b",\"corrected\":");
    match view.point.correction {
        None => out.extend_from_slice(b"null"),
        Some(correction) => {
            out.extend_from_slice(format!("{{\"was\":{},\"at\":", correction.was).as_bytes());
            write_time(out, Some(correction.at));
            out.extend_from_slice(format!(",\"cause\":\"{}\"}}", correction.cause.as_str()).as_bytes());
        }
    }
    out.extend_from_slice(b",\"week_before\":");
    match view.week_before {
        None => out.extend_from_slice(b"null"),
        Some(WeekBefore { value, change, change_bp }) => {
            let change_bp = change_bp.map_or("null".to_owned(), |bp| bp.to_string());
            let members = format!("{{\"value\":{value},\"change\":{change},\"change_bp\":{change_bp}}}");
            out.extend_from_slice(members.as_bytes());
        }
    }
}
