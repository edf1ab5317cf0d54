//! One visit: what it is, what took its place, its story, and why it is so.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use journal::{Cursor, RowsSnapshot};
use model::{Row, VisitId, VisitRow};

use super::openapi::{LiveVisitDoc, ProblemDoc, VisitHistoryDoc};
use super::params::{self, Id, ListParams, LiveParams, Params};
use super::rows::write_visit;
use super::{
    Shared, begin_object, end_with_list, json, read_cursor, run_aside, stamp_of, unreadable, write_text,
    write_time,
};
use crate::ExplainError;
use crate::problem::Problem;
use crate::story::{self, Fate, Story, StoryEvent};
use crate::views::{BadCursor, CursorWriter};

const HISTORY: u8 = b's';

/// One visit, by its id. An id that a correction took back leads to the visit that stands in its place, with
/// the id that was asked for as `successor_of`.
#[utoipa::path(get, path = "/api/v1/visits/{id}", tag = "derived rows",
    params(("id" = String, Path, description = "The visit's id."), LiveParams), responses(
    (status = 200, body = LiveVisitDoc),
    (status = 410, description = "It was taken back, and nothing stands in its place.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_visit(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<LiveParams>,
) -> Result<Response<Body>, Problem> {
    let visit_id = read_id(&id)?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, fate) =
        read(&shared, move |snapshot| Ok((stamp_of(snapshot), story::fate(snapshot, visit_id)?))).await?;
    let (visit, successor_of) = match fate {
        Some(Fate::Stands(visit)) => (visit, None),
        Some(Fate::Replaced(visit)) => (visit, Some(visit_id.to_string())),
        Some(Fate::Gone { tick, why }) => {
            let cause = why.cause.as_str();
            return Err(Problem::gone(format!(
                "visit {visit_id} was taken back in tick {tick} ({cause}, record {}), and no other stands in \
                 its place; /api/v1/visits/{visit_id}/history tells more",
                why.seq
            )));
        }
        None => return Err(unknown(visit_id)),
    };
    let mut out = begin_object(stamp);
    out.push(b',');
    write_visit(&mut out, &visit);
    out.extend_from_slice(b",\"successor_of\":");
    write_text(&mut out, successor_of.as_deref());
    out.push(b'}');
    Ok(json(out))
}

/// What became of a visit, change by change, together with the visits that it took the place of, or that took
/// its place. It goes back as far as changes are kept.
#[utoipa::path(get, path = "/api/v1/visits/{id}/history", tag = "derived rows",
    params(("id" = String, Path, description = "The visit's id."), ListParams), responses(
    (status = 200, body = VisitHistoryDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_history(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    let visit_id = read_id(&id)?;
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(HISTORY, params.cursor.as_deref(), |cursor| {
        if cursor.number()? != visit_id.0 {
            return Err(BadCursor);
        }
        let (tick, index) = (cursor.number()?, cursor.number()?);
        Ok(Cursor { tick, index: u32::try_from(index).unwrap_or(u32::MAX) })
    })?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, story) =
        read(&shared, move |snapshot| Ok((stamp_of(snapshot), story::story(snapshot, visit_id)?))).await?;
    let Story { fate, events, is_complete } = story.ok_or_else(|| unknown(visit_id))?;
    let first = after.map_or(0, |after| events.partition_point(|event| event.cursor <= after));
    let rest = events.get(first..).unwrap_or_default();
    let page = rest.get(..limit).unwrap_or(rest);
    let next = page.last().filter(|_| page.len() < rest.len()).map(|last| {
        let cursor = last.cursor;
        CursorWriter::new(HISTORY).number(visit_id.0).number(cursor.tick).number(cursor.index.into()).finish()
    });
    let current = match &fate {
        Fate::Stands(visit) | Fate::Replaced(visit) => Some(VisitId::of(visit).to_string()),
        Fate::Gone { .. } => None,
    };
    let mut out = begin_object(stamp);
    out.extend_from_slice(format!(",\"id\":\"{visit_id}\",\"current\":").as_bytes());
    write_text(&mut out, current.as_deref());
    out.extend_from_slice(format!(",\"complete\":{is_complete}").as_bytes());
    end_with_list(&mut out, "items", page, write_story_event, next);
    Ok(json(out))
}

fn write_story_event(out: &mut Vec<u8>, event: &StoryEvent) {
    out.extend_from_slice(format!("{{\"tick\":{},\"instant\":", event.cursor.tick).as_bytes());
    write_time(out, Some(event.instant));
    let (change, id, why) = (event.name(), event.id, event.why);
    let middle = format!(
        ",\"change\":\"{change}\",\"id\":\"{id}\",\"cause\":\"{}\",\"seq\":{},\"old\":",
        why.cause.as_str(),
        why.seq
    );
    out.extend_from_slice(middle.as_bytes());
    write_row(out, event.old.as_ref());
    out.extend_from_slice(b",\"new\":");
    write_row(out, event.new.as_ref());
    out.extend_from_slice(b",\"successor\":");
    write_text(out, event.successor.map(|id| id.to_string()).as_deref());
    out.push(b'}');
}

fn write_row(out: &mut Vec<u8>, visit: Option<&VisitRow>) {
    match visit {
        Some(visit) => Row::Visit(visit.clone()).write_json(out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Why a visit is as it is: the fixes, the fence and the settings behind it, records around it that were not used,
/// and its story. All of the journal is read for it: one visit at a time is explained, and where that takes too
/// long, `watchtower explain visit` does it.
#[utoipa::path(get, path = "/api/v1/visits/{id}/explain", tag = "derived rows",
    params(("id" = String, Path, description = "The visit's id."), LiveParams), responses(
    (status = 200, description = "What `watchtower explain visit --json` prints.", body = Object),
    (status = 503, description = "Another visit is being explained, or it took too long.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn explain_visit(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<LiveParams>,
) -> Result<Response<Body>, Problem> {
    let visit_id = read_id(&id)?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    shared.check_indexed().await?;
    let Some(explain) = shared.api.explain.clone() else { return Err(unknown(visit_id)) };
    let slot = shared.explaining.clone().try_acquire_owned();
    let slot = slot.map_err(|_| Problem::unavailable("another visit is being explained; ask again", 5))?;
    // Time is left for the answer.
    let deadline = Instant::now() + shared.api.config.request_timeout * 2 / 3;
    let explained = run_aside(move || {
        // Held until the work is over, also where nobody waits for it any more.
        let _slot = slot;
        explain(visit_id, &|| Instant::now() < deadline)
    });
    match explained.await? {
        Ok(Some(explanation)) => Ok(json(explanation.to_string())),
        Ok(None) => Err(unknown(visit_id)),
        Err(ExplainError::GaveUp) => {
            let detail = format!(
                "the journal is too long to be read in time; `watchtower explain visit {visit_id}` on the \
                 service's machine takes the time that it needs"
            );
            Err(Problem::unavailable(detail, 60))
        }
        Err(ExplainError::Store(err)) => Err(unreadable(err)),
    }
}

/// Reads the kept rows where that holds up nobody.
async fn read<T: Send + 'static>(
    shared: &Shared,
    work: impl FnOnce(&RowsSnapshot) -> Result<T, journal::StoreError> + Send + 'static,
) -> Result<T, Problem> {
    shared.check_indexed().await?;
    let changelog = shared.api.changelog.clone();
    shared.reads.run(move || work(&changelog.rows())).await?.map_err(unreadable)
}

fn read_id(text: &str) -> Result<VisitId, Problem> {
    text.parse().map_err(|err| Problem::bad_request(format!("{text:?} is {err}")))
}

fn unknown(id: VisitId) -> Problem {
    Problem::not_found("visit", &id.to_string())
}
