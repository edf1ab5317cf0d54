//! The story of a trip: what its row was before, and why it changed.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use journal::{Cursor, RowsSnapshot, StoreError};
use model::{Table, trip_key};

use crate::http::openapi::{ProblemDoc, TripHistoryDoc};
use crate::http::params::{self, Id, ListParams, Params};
use crate::http::{
    Shared, begin_object, end_with_list, json, read_cursor, stamp_of, unreadable, write_text, write_time,
};
use crate::problem::Problem;
use crate::story::trips::{TripEvent, TripStory, story};
use crate::views::{CursorWriter, Stamp};

const HISTORY: u8 = b'y';

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
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(HISTORY, params.cursor.as_deref(), |cursor| {
        let (tick, index) = (cursor.number()?, cursor.number()?);
        Ok(Cursor { tick, index: u32::try_from(index).unwrap_or(u32::MAX) })
    })?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    shared.check_indexed().await?;
    let (changelog, key) = (shared.api.changelog.clone(), trip_key(&id));
    let read = shared.reads.run(move || read(&changelog.rows(), &key));
    let (stamp, TripStory { is_known, is_complete, events }) = read.await?.map_err(unreadable)?;
    if !is_known {
        return Err(Problem::not_found("trip", &id));
    }
    let first = after.map_or(0, |after| events.partition_point(|event| event.cursor <= after));
    let rest = events.get(first..).unwrap_or_default();
    let page = rest.get(..limit).unwrap_or(rest);
    let next = page.last().filter(|_| page.len() < rest.len()).map(|last| {
        let cursor = last.cursor;
        CursorWriter::new(HISTORY).number(cursor.tick).number(cursor.index.into()).finish()
    });
    let mut out = begin_object(stamp);
    out.extend_from_slice(b",\"id\":");
    write_text(&mut out, Some(&id));
    out.extend_from_slice(format!(",\"complete\":{is_complete}").as_bytes());
    end_with_list(&mut out, "items", page, write_event, next);
    Ok(json(out))
}

fn read(snapshot: &RowsSnapshot, key: &[u8]) -> Result<(Stamp, TripStory), StoreError> {
    Ok((stamp_of(snapshot), story(snapshot, Table::Trips.code(), key)?))
}

fn write_event(out: &mut Vec<u8>, event: &TripEvent) {
    out.extend_from_slice(format!("{{\"tick\":{},\"instant\":", event.cursor.tick).as_bytes());
    write_time(out, Some(event.instant));
    let (change, why) = (event.name(), event.why);
    let middle =
        format!(",\"change\":\"{change}\",\"cause\":\"{}\",\"seq\":{},\"old\":", why.cause.as_str(), why.seq);
    out.extend_from_slice(middle.as_bytes());
    out.extend_from_slice(event.old.as_deref().unwrap_or(b"null"));
    out.extend_from_slice(b",\"new\":");
    out.extend_from_slice(event.new.as_deref().unwrap_or(b"null"));
    out.push(b'}');
}
