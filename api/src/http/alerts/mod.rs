//! Alerts: what is to be told, with what people said of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{AlertId, Row, Severity, Table, TimeMs};
use serde::Deserialize;
use sinks::telling::{AlertState, Marked};
use utoipa::IntoParams;

use super::history;
use super::openapi::{AlertHistoryDoc, AlertPageDoc, LiveAlertDoc, ProblemDoc};
use super::params::{self, Id, ListParams, LiveParams, Params};
use super::{Shared, begin_object, json, list, read_cursor, write_row_members, write_text, write_time};
use crate::problem::Problem;
use crate::views::{AlertFate, AlertFilter, AlertView, CursorWriter};

pub(super) mod marks;

const ALERTS: u8 = b'a';

/// Which alerts.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AlertParams {
    /// Only those of which people said so: `open`, where they said nothing, `acknowledged` or `resolved`.
    state: Option<String>,
    /// Only of this kind, such as `overspeed`; the provider has kinds of its own.
    kind: Option<String>,
    /// Only of this severity: `info`, `warning` or `critical`.
    severity: Option<String>,
    /// Only of this vehicle.
    vehicle_id: Option<String>,
    /// Only about this trip.
    trip_id: Option<String>,
    /// Only about this fence.
    fence_id: Option<String>,
    /// Only what had not ended by this time, RFC 3339.
    from: Option<String>,
    /// Only what began before this time, RFC 3339.
    to: Option<String>,
    /// `true`: only those that were learned more than 15 min after they were due; `false`: only the others.
    #[param(value_type = Option<bool>)]
    late: Option<String>,
    /// Alerts a page, 1 to 1000; 100 if not given. A page of a narrow filter may hold fewer, and still have
    /// a `next_cursor`.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// Alerts that stand, the newest `due_at` first. Those that ended more than 90 days ago are not shown.
#[utoipa::path(get, path = "/api/v1/alerts", tag = "alerts", params(AlertParams), responses(
    (status = 200, body = AlertPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_alerts(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<AlertParams>,
) -> Result<Response<Body>, Problem> {
    let (from, to) = params::period(params.from.as_deref(), params.to.as_deref())?;
    let states = AlertState::ALL.map(AlertState::as_str);
    let severities = Severity::ALL.map(Severity::as_str);
    let filter = AlertFilter {
        state: params::named("state", params.state.as_deref(), &states, AlertState::from_name)?,
        kind: params::shared_text(params.kind.as_deref()),
        severity: params::named("severity", params.severity.as_deref(), &severities, Severity::from_name)?,
        vehicle_id: params::shared_text(params.vehicle_id.as_deref()),
        trip_id: params::shared_text(params.trip_id.as_deref()),
        fence_id: params::shared_text(params.fence_id.as_deref()),
        from,
        to,
        is_late: params::true_or_false("late", params.late.as_deref())?,
    };
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(ALERTS, params.cursor.as_deref(), |cursor| {
        Ok((TimeMs(cursor.number()?.cast_signed()), AlertId(cursor.number()?)))
    })?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.alerts.page(&filter, after, limit))
    };
    let next = page
        .next
        .map(|(due_at, id)| CursorWriter::new(ALERTS).number(due_at.0.cast_unsigned()).number(id.0).finish());
    let write = |out: &mut Vec<u8>, alert: AlertView| {
        out.push(b'{');
        write_alert(out, &alert);
        out.push(b'}');
    };
    Ok(list(stamp, page.rows, write, next))
}

/// One alert; where a correction took it back, the one that stands in its place.
#[utoipa::path(get, path = "/api/v1/alerts/{id}", tag = "alerts",
    params(("id" = String, Path, description = "16 hexadecimal digits."), LiveParams), responses(
    (status = 200, body = LiveAlertDoc),
    (status = 410, description = "It was taken back, and nothing stands in its place.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_alert(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<LiveParams>,
) -> Result<Response<Body>, Problem> {
    shared.at_tick(params.min_tick.as_deref()).await?;
    let asked = read_id(&id)?;
    let (stamp, fate) = {
        let state = shared.api.views.read();
        (state.stamp, state.alerts.fate(asked))
    };
    let alert = match fate {
        None => return Err(Problem::not_found("alert", &id)),
        Some(AlertFate::Gone) => {
            let detail = format!(
                "alert {id:?} was taken back, and nothing stands in its place; /alerts/{id}/history tells why"
            );
            return Err(Problem::gone(detail));
        }
        Some(AlertFate::Stands(alert) | AlertFate::Replaced(alert)) => alert,
    };
    let mut out = begin_object(stamp);
    out.push(b',');
    write_alert(&mut out, &alert);
    out.extend_from_slice(b",\"successor_of\":");
    write_id(&mut out, (alert.id != asked).then_some(asked));
    out.push(b'}');
    Ok(json(out))
}

/// What became of an alert's row, change by change, as far back as changes are kept.
#[utoipa::path(get, path = "/api/v1/alerts/{id}/history", tag = "alerts",
    params(("id" = String, Path, description = "16 hexadecimal digits."), ListParams), responses(
    (status = 200, body = AlertHistoryDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_alert_history(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    let key = read_id(&id)?.0.to_be_bytes().to_vec();
    let of = history::Of { table: Table::Alerts, key, noun: "alert", id };
    history::answer(&shared, of, &params).await
}

/// What is no id of an alert is of no alert.
fn read_id(id: &str) -> Result<AlertId, Problem> {
    id.parse().map_err(|_| Problem::not_found("alert", id))
}

/// Writes the members of an alert: those of its row, and behind them what is known besides.
fn write_alert(out: &mut Vec<u8>, view: &AlertView) {
    let alert = &view.alert;
    write_row_members(out, &Row::Alert(alert.row.clone()));
    out.extend_from_slice(format!(",\"state\":\"{}\"", view.state.as_str()).as_bytes());
    for (name, marked) in [("acknowledged", &view.acknowledged), ("resolved", &view.resolved)] {
        out.extend_from_slice(format!(",\"{name}\":").as_bytes());
        write_marked(out, marked.as_ref());
    }
    out.extend_from_slice(b",\"learned_at\":");
    write_time(out, Some(alert.learned_at));
    let (is_late, revision) = (alert.is_late, alert.revision);
    out.extend_from_slice(format!(",\"late\":{is_late},\"told_at\":").as_bytes());
    write_time(out, view.told_at);
    out.extend_from_slice(format!(",\"revision\":{revision},\"episode\":").as_bytes());
    write_id(out, Some(alert.episode));
    out.extend_from_slice(b",\"supersedes\":[");
    for (n, id) in view.supersedes.iter().enumerate() {
        if n > 0 {
            out.push(b',');
        }
        write_id(out, Some(*id));
    }
    out.push(b']');
}

fn write_marked(out: &mut Vec<u8>, marked: Option<&Marked>) {
    let Some(Marked { by, at }) = marked else { return out.extend_from_slice(b"null") };
    out.extend_from_slice(b"{\"by\":");
    write_text(out, Some(by));
    out.extend_from_slice(b",\"at\":");
    write_time(out, Some(*at));
    out.push(b'}');
}

fn write_id(out: &mut Vec<u8>, id: Option<AlertId>) {
    write_text(out, id.map(|id| id.to_string()).as_deref());
}
