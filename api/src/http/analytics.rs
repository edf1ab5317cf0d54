//! Tables of figures by day or week, for reports: KPIs that belong together, in one row.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{KpiMetric, KpiSlice, KpiSliceKind, KpiSpan, TimeMs};
use serde::Deserialize;
use utoipa::IntoParams;

use super::kpis::{read_slice, write_beside};
use super::openapi::{AnalyticsPageDoc, ProblemDoc};
use super::params::{self, Id, Params};
use super::{Shared, begin_object, end_with_list, json, read_cursor, write_text, write_time};
use crate::problem::Problem;
use crate::views::{CursorWriter, KpiView};

const TABLE: u8 = b'w';
const DAY_MS: i64 = 24 * 3_600_000;

/// Of what, and when.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TableParams {
    /// Of what: `fleet`, which is meant where it is not given, `client`, `location` or `truck`.
    slice: Option<String>,
    /// Of which of them.
    slice_id: Option<String>,
    /// Windows that begin at this time, RFC 3339, or later. Without it, the last 30 days, or 26 weeks.
    from: Option<String>,
    /// Windows that begin before this time, RFC 3339.
    to: Option<String>,
    /// Rows a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// Of what, when, and by what.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SpannedTableParams {
    /// A row a `day`, which is meant where it is not given, or a `week`.
    span: Option<String>,
    /// Of what: `fleet`, which is meant where it is not given, `client`, `location` or `truck`.
    slice: Option<String>,
    /// Of which of them.
    slice_id: Option<String>,
    /// Windows that begin at this time, RFC 3339, or later. Without it, the last 30 days, or 26 weeks.
    from: Option<String>,
    /// Windows that begin before this time, RFC 3339.
    to: Option<String>,
    /// Rows a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// When, and by what.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TruckTableParams {
    /// A row a `day`, which is meant where it is not given, or a `week`.
    span: Option<String>,
    /// Windows that begin at this time, RFC 3339, or later. Without it, the last 30 days, or 26 weeks.
    from: Option<String>,
    /// Windows that begin before this time, RFC 3339.
    to: Option<String>,
    /// Rows a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

impl SpannedTableParams {
    fn split(self) -> (Option<String>, TableParams) {
        let SpannedTableParams { span, slice, slice_id, from, to, limit, cursor, min_tick } = self;
        (span, TableParams { slice, slice_id, from, to, limit, cursor, min_tick })
    }
}

/// All figures, a row a day, oldest first.
#[utoipa::path(get, path = "/api/v1/analytics/daily", tag = "KPIs", params(TableParams), responses(
    (status = 200, body = AnalyticsPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn daily(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<TableParams>,
) -> Result<Response<Body>, Problem> {
    let slice = read_slice(params.slice.as_deref(), params.slice_id.as_deref())?;
    table(&shared, KpiSpan::Day, slice, &params, |_| true).await
}

/// All figures, a row a week from Monday on, oldest first.
#[utoipa::path(get, path = "/api/v1/analytics/weekly", tag = "KPIs", params(TableParams), responses(
    (status = 200, body = AnalyticsPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn weekly(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<TableParams>,
) -> Result<Response<Body>, Problem> {
    let slice = read_slice(params.slice.as_deref(), params.slice_id.as_deref())?;
    table(&shared, KpiSpan::Week, slice, &params, |_| true).await
}

/// How long trips took, and whether they were on time; a row a day or week, oldest first.
#[utoipa::path(get, path = "/api/v1/analytics/tat", tag = "KPIs", params(SpannedTableParams), responses(
    (status = 200, body = AnalyticsPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn tat(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<SpannedTableParams>,
) -> Result<Response<Body>, Problem> {
    let (span, params) = params.split();
    let span = read_span(span.as_deref())?;
    let slice = read_slice(params.slice.as_deref(), params.slice_id.as_deref())?;
    let wanted = |metric: &KpiMetric| {
        use KpiMetric::{
            OnTimeArrivalBp, OnTimeDepartureBp, TatMeanS, TatP50S, TatP90S, TripsCompleted, TripsDelayed,
        };
        matches!(
            metric,
            TripsCompleted
                | TripsDelayed
                | TatMeanS
                | TatP50S
                | TatP90S
                | OnTimeDepartureBp
                | OnTimeArrivalBp
        )
    };
    table(&shared, span, slice, &params, wanted).await
}

/// How trucks spent their time, and how far they went; a row a day or week, oldest first.
#[utoipa::path(get, path = "/api/v1/analytics/utilization", tag = "KPIs", params(SpannedTableParams), responses(
    (status = 200, body = AnalyticsPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn utilization(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<SpannedTableParams>,
) -> Result<Response<Body>, Problem> {
    let (span, params) = params.split();
    let span = read_span(span.as_deref())?;
    let slice = read_slice(params.slice.as_deref(), params.slice_id.as_deref())?;
    let wanted = |metric: &KpiMetric| {
        use KpiMetric::{DistanceM, IdleS, MovingS, OfflineS, StoppedS, UtilizationBp};
        matches!(metric, DistanceM | MovingS | IdleS | StoppedS | OfflineS | UtilizationBp)
    };
    table(&shared, span, slice, &params, wanted).await
}

/// All figures of a truck, a row a day or week, oldest first.
#[utoipa::path(get, path = "/api/v1/analytics/trucks/{id}", tag = "KPIs",
    params(("id" = String, Path, description = "Any spelling of its number."), TruckTableParams), responses(
    (status = 200, body = AnalyticsPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn truck(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<TruckTableParams>,
) -> Result<Response<Body>, Problem> {
    let TruckTableParams { span, from, to, limit, cursor, min_tick } = params;
    let span = read_span(span.as_deref())?;
    shared.at_tick(min_tick.as_deref()).await?;
    let vehicle_id = super::trucks::find_truck(&shared.api.views.read(), &id)?.vehicle_id.clone();
    let slice = KpiSlice { kind: KpiSliceKind::Truck, id: vehicle_id };
    let params = TableParams { slice: None, slice_id: None, from, to, limit, cursor, min_tick };
    table(&shared, span, slice, &params, |_| true).await
}

fn read_span(value: Option<&str>) -> Result<KpiSpan, Problem> {
    let known = [KpiSpan::Day, KpiSpan::Week];
    let find = |name: &str| known.into_iter().find(|span| span.as_str() == name);
    Ok(params::named("span", value, &known.map(KpiSpan::as_str), find)?.unwrap_or(KpiSpan::Day))
}

async fn table(
    shared: &Shared,
    span: KpiSpan,
    slice: KpiSlice,
    params: &TableParams,
    wanted: impl Fn(&KpiMetric) -> bool,
) -> Result<Response<Body>, Problem> {
    let (from, to) = params::period(params.from.as_deref(), params.to.as_deref())?;
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after =
        read_cursor(TABLE, params.cursor.as_deref(), |cursor| Ok(TimeMs(cursor.number()?.cast_signed())))?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        let days = if span == KpiSpan::Day { 30 } else { 26 * 7 };
        let from = from.unwrap_or_else(|| to.unwrap_or(state.stamp.instant).plus_ms(-days * DAY_MS));
        let from = after.map_or(from, |after| from.max(after.plus_ms(1)));
        let period = (from, to.unwrap_or(TimeMs(i64::MAX)));
        (state.stamp, state.kpis.table(span, &slice, wanted, period, limit))
    };
    let mut out = begin_object(stamp);
    let (span, kind) = (span.as_str(), slice.kind.as_str());
    out.extend_from_slice(format!(",\"span\":\"{span}\",\"slice\":\"{kind}\",\"slice_id\":").as_bytes());
    write_text(&mut out, Some(&slice.id));
    let next = page.next.map(|start| CursorWriter::new(TABLE).number(start.0.cast_unsigned()).finish());
    end_with_list(&mut out, "items", page.rows, write_window, next);
    Ok(json(out))
}

/// Writes the figures of a day or week.
fn write_window(out: &mut Vec<u8>, (start, views): (TimeMs, Vec<KpiView>)) {
    out.extend_from_slice(b"{\"start\":");
    write_time(out, Some(start));
    let is_final = views.iter().all(|view| view.point.is_final);
    out.extend_from_slice(format!(",\"final\":{is_final},\"metrics\":{{").as_bytes());
    for (n, view) in views.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_text(out, Some(&view.key.metric.name()));
        out.extend_from_slice(format!(":{{\"value\":{}", view.point.value).as_bytes());
        write_beside(out, view);
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
}
