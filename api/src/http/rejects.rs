//! Records that are not used: their rows, read from the changelog where all of them are, and their counts.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use journal::{KeyAndRow, RowsSnapshot, StoreError};
use model::{RejectReason, Table, TimeMs, vehicle_subject};
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::{ProblemDoc, RejectCountsPageDoc, RejectPageDoc};
use super::params::{self, Params};
use super::{Shared, begin_object, end_with_list, json, list, read_cursor, stamp_of, write_text};
use crate::problem::Problem;
use crate::views::{CursorWriter, MAX_STEPS, Page, ReasonCounts};

const REJECTS: u8 = b'r';
const COUNTS: u8 = b'c';

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

/// Whose rejects are counted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CountParams {
    /// Only this vehicle.
    vehicle_id: Option<String>,
    /// Only vehicles that have rejects for this reason, such as `jump`.
    reason: Option<String>,
    /// Vehicles a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// Records that are not used, or (`bad_value`) not in full, in order of arrival: all that there ever were.
#[utoipa::path(get, path = "/api/v1/rejects", tag = "derived rows", params(RejectParams), responses(
    (status = 200, body = RejectPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_rejects(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<RejectParams>,
) -> Result<Response<Body>, Problem> {
    let (from, to) = params::period(params.from.as_deref(), params.to.as_deref())?;
    let reason = read_reason(params.reason.as_deref())?;
    let filter = RejectFilter { reason, from, to };
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(REJECTS, params.cursor.as_deref(), |cursor| cursor.number())?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let vehicle_id = params::shared_text(params.vehicle_id.as_deref());
    if vehicle_id.is_some() {
        shared.check_indexed().await?;
    }
    let changelog = shared.api.changelog.clone();
    let read = shared.reads.run(move || {
        let snapshot = changelog.rows();
        let page = page_of(&snapshot, vehicle_id.as_deref(), &filter, after.unwrap_or(0), limit);
        page.map(|page| (stamp_of(&snapshot), page))
    });
    let (stamp, page) = read.await?.map_err(super::unreadable)?;
    let next = page.next.map(|seq| CursorWriter::new(REJECTS).number(seq).finish());
    Ok(list(stamp, page.rows, |out, row| out.extend_from_slice(&row), next))
}

/// How many records of each vehicle are not used, or (`bad_value`) not in full, by reason; and of all together.
#[utoipa::path(get, path = "/api/v1/rejects/counts", tag = "derived rows", params(CountParams), responses(
    (status = 200, body = RejectCountsPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn count_rejects(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<CountParams>,
) -> Result<Response<Body>, Problem> {
    let reason = read_reason(params.reason.as_deref())?;
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(COUNTS, params.cursor.as_deref(), |cursor| cursor.text())?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, totals, page) = {
        let state = shared.api.views.read();
        let page = match params::given(params.vehicle_id.as_deref()) {
            None => state.rejects.page(reason, after.as_deref(), limit),
            Some(vehicle_id) => {
                let found = state.rejects.of_vehicle(vehicle_id);
                let is_wanted = |counts: &ReasonCounts| {
                    reason.is_none_or(|wanted| counts.iter().any(|(known, n)| known == wanted && n > 0))
                };
                Page { rows: found.into_iter().filter(|(_, counts)| is_wanted(counts)).collect(), next: None }
            }
        };
        (state.stamp, state.rejects.totals(), page)
    };
    let next = page.next.map(|id| CursorWriter::new(COUNTS).text(&id).finish());
    let mut out = begin_object(stamp);
    out.extend_from_slice(b",\"totals\":");
    write_counts(&mut out, totals);
    let write = |out: &mut Vec<u8>, (vehicle_id, counts): (Arc<str>, ReasonCounts)| {
        out.extend_from_slice(b"{\"vehicle_id\":");
        write_text(out, Some(&vehicle_id));
        out.extend_from_slice(b",\"counts\":");
        write_counts(out, counts);
        out.push(b'}');
    };
    end_with_list(&mut out, "items", page.rows, write, next);
    Ok(json(out))
}

/// Writes every reason, in the order in which they are tested.
fn write_counts(out: &mut Vec<u8>, counts: ReasonCounts) {
    for (i, (reason, count)) in counts.iter().enumerate() {
        let before = if i > 0 { ',' } else { '{' };
        out.extend_from_slice(format!("{before}\"{}\":{count}", reason.as_str()).as_bytes());
    }
    out.push(b'}');
}

fn read_reason(value: Option<&str>) -> Result<Option<RejectReason>, Problem> {
    let Some(name) = params::given(value) else { return Ok(None) };
    let found = RejectReason::ALL.into_iter().find(|reason| reason.as_str() == name);
    found.map(Some).ok_or_else(|| {
        let known = RejectReason::ALL.map(RejectReason::as_str).join(", ");
        Problem::bad_request(format!("reason must be one of {known}, and is {name:?}"))
    })
}

/// Which rejects are wanted; all that is given must hold.
#[derive(Debug, Default)]
struct RejectFilter {
    reason: Option<RejectReason>,
    /// Rejects whose event time is in `[from, to)`.
    from: Option<TimeMs>,
    to: Option<TimeMs>,
}

/// What the filter looks at of a reject as it is kept.
#[derive(Deserialize)]
struct KeptReject<'a> {
    event_time: Option<&'a str>,
    reason: &'a str,
}

impl RejectFilter {
    fn meets(&self, row: &[u8]) -> Result<bool, StoreError> {
        if self.reason.is_none() && self.from.is_none() && self.to.is_none() {
            return Ok(true);
        }
        let kept: KeptReject<'_> = serde_json::from_slice(row).map_err(|err| StoreError::Damaged {
            what: format!("the row of a reject can't be read ({err}): {}", String::from_utf8_lossy(row)),
        })?;
        let event_time = kept.event_time.and_then(|text| TimeMs::parse_rfc3339(text).ok());
        Ok(self.reason.is_none_or(|wanted| kept.reason == wanted.as_str())
            && self.from.is_none_or(|from| event_time.is_some_and(|time| time >= from))
            && self.to.is_none_or(|to| event_time.is_some_and(|time| time < to)))
    }
}

/// Up to `limit` rows that meet the filter, after a sequence number; a page looks at a bounded number of them.
fn page_of(
    snapshot: &RowsSnapshot,
    vehicle_id: Option<&str>,
    filter: &RejectFilter,
    after: u64,
    limit: usize,
) -> Result<Page<Vec<u8>, u64>, StoreError> {
    let (table, after) = (Table::Rejects.code(), after.to_be_bytes());
    let rows: Box<dyn Iterator<Item = Result<KeyAndRow, StoreError>>> = match vehicle_id {
        Some(vehicle_id) => Box::new(snapshot.of_subject(table, &vehicle_subject(vehicle_id), &after)),
        None => Box::new(snapshot.after(table, &after)),
    };
    let mut page = Page { rows: Vec::new(), next: None };
    let mut last_seen = None;
    for (step, row) in rows.enumerate() {
        if step == MAX_STEPS || page.rows.len() == limit {
            page.next = last_seen;
            break;
        }
        let (key, row) = row?;
        last_seen = key.try_into().ok().map(u64::from_be_bytes);
        if filter.meets(&row)? {
            page.rows.push(row);
        }
    }
    Ok(page)
}
