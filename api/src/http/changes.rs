//! `/api/v1/changes`: the changelog as server-sent events, from any cursor on.
//!
//! History and the present come the same way: batches are read from the changelog, and when there is nothing
//! more the stream waits for a tick to be shown. So nothing is missed or repeated where one turns into the
//! other. The stream is pulled by the connection: a slow client delays its own next batch, and one batch is
//! all that is held for it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Response;
use axum::http::header::{self, HeaderMap, HeaderValue};
use futures_util::stream;
use journal::{Changelog, Cursor, ReadError, StoredChange};
use model::{Table, TimeMs};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use utoipa::IntoParams;

use super::openapi::ProblemDoc;
use super::params::{self, Params};
use super::{Shared, unreadable, write_time};
use crate::problem::Problem;
use crate::story::why_of;
use crate::views::Stamp;

/// Changes a read: what a client that does not take them costs in memory.
const BATCH: usize = 64;
/// How many reads in a row may find nothing that a client wants before others get their turn.
const READS_IN_A_ROW: usize = 64;
/// `tick` events come no faster.
const TICK_EVENT_PERIOD: Duration = Duration::from_secs(1);
/// Ticks may close thousands of times a second; a client that has caught up reads no faster than this.
const LIVE_PERIOD: Duration = Duration::from_millis(20);

/// A sign of life that is no event.
const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// In this order nothing is lost between the tables and the stream.
const BEGIN_ANEW: &str = "to begin anew, first take a cursor (follow without one: the id of the first event, \
                          tick), then read the tables with min_tick= its tick, then follow from that cursor";

/// Where the stream begins.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChangesParams {
    /// After this cursor, the `id` of an event; `0-0` is the beginning. Without it, and without the header
    /// `Last-Event-ID`, which wins over it, the stream begins now.
    cursor: Option<String>,
    /// Only changes of these tables, with commas between them, such as `alerts,trips`.
    tables: Option<String>,
}

/// Every change of derived rows, as server-sent events.
///
/// `id` is a cursor, `event` the table, `data` an object of `tick`, `instant`, `table`, `diff` (+1, -1), `row`,
/// `cause` (`first`, `late_fix`, `superseded`, `cleaning`, `fence_edit`, `fence_end`, `backfill`, `settings`) and
/// `seq`, the place of the record that brought it in the whole input. When all is sent, an event `tick` (at most one a second) tells how far that is.
#[utoipa::path(get, path = "/api/v1/changes", tag = "changes", params(ChangesParams,
    ("Last-Event-ID" = Option<String>, Header, description = "The id of the last event received.")
), responses(
    (status = 200, description = "A stream without an end.", body = String,
        content_type = "text/event-stream"),
    (status = 410, description = "Changes after the cursor are no longer kept.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn follow_changes(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<ChangesParams>,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let wanted = wanted_tables(params.tables.as_deref())?;
    let given = params::given(params.cursor.as_deref());
    let cursor = match asked_cursor(&shared, given, &headers)? {
        Some(cursor) => cursor,
        None => {
            let tick = shared.api.changelog.last_tick().map_or(0, |(tick, _)| tick);
            Cursor { tick, index: u32::MAX }
        }
    };
    follow(&shared, cursor, wanted, &[]).await
}

fn wanted_tables(names: Option<&str>) -> Result<Wanted, Problem> {
    let Some(names) = params::given(names) else { return Ok(Arc::new(|_| true)) };
    let code = |name: &str| {
        let known = Table::ALL.map(Table::as_str).join(", ");
        let refusal = || Problem::bad_request(format!("tables must be out of {known}, and has {name:?}"));
        Table::from_name(name).map(Table::code).ok_or_else(refusal)
    };
    let codes = names.split(',').map(|name| code(name.trim())).collect::<Result<Vec<u8>, Problem>>()?;
    Ok(Arc::new(move |stored| codes.contains(&stored.change.table)))
}

/// Which changes a client wants.
pub(super) type Wanted = Arc<dyn Fn(&StoredChange) -> bool + Send + Sync>;

/// Changes after a cursor as events, for ever, and before them what `first` holds.
pub(super) async fn follow(
    shared: &Shared,
    cursor: Cursor,
    wanted: Wanted,
    first: &[u8],
) -> Result<Response<Body>, Problem> {
    let slot = shared.sse_slots.clone().try_acquire_owned().map_err(|_| {
        let clients = shared.api.config.max_sse_clients;
        Problem::unavailable(format!("{clients} clients follow the changes already; try again later"), 30)
    })?;
    let mut feed = Feed {
        changelog: shared.api.changelog.clone(),
        cursor,
        wanted,
        shown: shared.api.views.subscribe(),
        stopping: shared.stopping.clone(),
        is_behind: true,
        told: (cursor.tick, None),
        last_sent: Instant::now(),
        keep_alive: shared.api.config.sse_keep_alive,
        _slot: slot,
    };
    // The first batch tells whether the cursor can be used at all.
    let mut beginning = b"retry: 2000\n\n".to_vec();
    beginning.extend_from_slice(first);
    feed.read_batch(&mut beginning).await?;
    let rest = stream::unfold(feed, |mut feed| async move {
        let chunk = feed.next_chunk().await?;
        Some((Ok::<_, Infallible>(chunk), feed))
    });
    let first = stream::once(async move { Ok::<_, Infallible>(Bytes::from(beginning)) });
    let mut response = Response::new(Body::from_stream(stream::StreamExt::chain(first, rest)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Proxies that buffer would hold events back.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The cursor that a client comes with, if any: its header wins over its query.
pub(super) fn asked_cursor(
    shared: &Shared,
    given: Option<&str>,
    headers: &HeaderMap,
) -> Result<Option<Cursor>, Problem> {
    let last_event_id = headers.get("last-event-id").and_then(|value| value.to_str().ok());
    let Some(text) = params::given(last_event_id).or(given) else { return Ok(None) };
    let cursor: Cursor =
        text.parse().map_err(|err| Problem::bad_request(format!("the cursor {text:?} is {err}")))?;
    // The changelog may be behind the journal for a while, but never has ticks that the journal has not.
    let newest = shared.api.log.last_tick().map_or(0, |(tick, _)| tick);
    let newest = newest.max(shared.api.changelog.last_tick().map_or(0, |(tick, _)| tick));
    if cursor.tick > newest {
        return Err(Problem::gone(format!(
            "the cursor {text:?} is of a tick that is not in this journal, whose last is {newest}; {BEGIN_ANEW}"
        )));
    }
    Ok(Some(cursor))
}

/// One client's place in the changelog.
struct Feed {
    changelog: Changelog,
    cursor: Cursor,
    wanted: Wanted,
    shown: watch::Receiver<Stamp>,
    stopping: watch::Receiver<bool>,
    /// Whether there may be changes after the cursor in ticks that are shown.
    is_behind: bool,
    /// The last tick that the client was told of, and when.
    told: (u64, Option<Instant>),
    last_sent: Instant,
    keep_alive: Duration,
    _slot: OwnedSemaphorePermit,
}

impl Feed {
    /// What to send next, in due time; `None` ends the stream.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            if *self.stopping.borrow() {
                return None;
            }
            // Before the read: whatever had happened by this tick is in the changelog, which alone knows
            // whether that is anything. A tick's changes there may be more than those that the views show.
            let stamp = *self.shown.borrow_and_update();
            if self.is_behind || self.changelog.last_change_tick() > self.cursor.tick {
                let mut out = Vec::new();
                if self.read_batch(&mut out).await.is_err() {
                    // The client comes back with its last id, and is told why.
                    return None;
                }
                if !out.is_empty() {
                    return Some(self.sent(out));
                }
                if self.is_behind {
                    // Nothing of what was read is wanted; there may be much of it.
                    if self.last_sent.elapsed() < self.keep_alive {
                        continue;
                    }
                    return Some(self.sent(KEEP_ALIVE.to_vec()));
                }
            }
            let end_of_tick = Cursor { tick: stamp.tick, index: u32::MAX };
            self.cursor = self.cursor.max(end_of_tick);
            if let Some(event) = self.tick_event(stamp) {
                return Some(self.sent(event));
            }
            if !self.wait(stamp).await {
                return Some(self.sent(KEEP_ALIVE.to_vec()));
            }
        }
    }

    fn sent(&mut self, chunk: Vec<u8>) -> Bytes {
        self.last_sent = Instant::now();
        chunk.into()
    }

    /// Appends the next changes that are wanted as events. Without any change the client is no longer behind.
    async fn read_batch(&mut self, out: &mut Vec<u8>) -> Result<(), Problem> {
        let (changelog, wanted, mut cursor) = (self.changelog.clone(), self.wanted.clone(), self.cursor);
        let read = move || {
            for _ in 0..READS_IN_A_ROW {
                let mut changes = changelog.after(cursor, BATCH)?;
                let Some(last) = changes.last() else { return Ok((changes, cursor, false)) };
                cursor = last.cursor;
                changes.retain(|change| wanted(change));
                if !changes.is_empty() {
                    return Ok((changes, cursor, true));
                }
            }
            Ok((Vec::new(), cursor, true))
        };
        let read = tokio::task::spawn_blocking(read).await;
        let read = read.map_err(|err| Problem::internal(format!("reading the changelog failed: {err}")))?;
        let (changes, reached, is_behind) = read.map_err(read_problem)?;
        changes.iter().for_each(|change| write_event(out, change));
        (self.cursor, self.is_behind) = (reached, is_behind);
        Ok(())
    }

    /// Tells how far everything is sent, if that is news and not too soon.
    fn tick_event(&mut self, stamp: Stamp) -> Option<Vec<u8>> {
        let is_due = self.told.1.is_none_or(|at| at.elapsed() >= TICK_EVENT_PERIOD);
        if !self.has_news(stamp) || !is_due {
            return None;
        }
        self.told = (stamp.tick, Some(Instant::now()));
        let id = Cursor { tick: stamp.tick, index: u32::MAX };
        let mut out =
            format!("id: {id}\nevent: tick\ndata: {{\"tick\":{},\"instant\":", stamp.tick).into_bytes();
        write_time(&mut out, Some(stamp.instant));
        out.extend_from_slice(b"}\n\n");
        Some(out)
    }

    /// A client that came with a cursor ahead of what is shown is told nothing until that is reached.
    fn has_news(&self, stamp: Stamp) -> bool {
        let is_first = self.told.1.is_none() && stamp.tick == self.told.0 && stamp.tick > 0;
        let is_all_sent = self.cursor.tick <= stamp.tick;
        is_all_sent && (stamp.tick > self.told.0 || is_first)
    }

    /// Waits for something to do; `false` when nothing was sent for so long that the connection needs a
    /// sign of life.
    async fn wait(&mut self, stamp: Stamp) -> bool {
        let keep_alive_at = self.last_sent + self.keep_alive;
        let wake_at = match self.told.1 {
            Some(at) if self.has_news(stamp) => keep_alive_at.min(at + TICK_EVENT_PERIOD),
            _ => keep_alive_at,
        };
        tokio::select! {
            changed = self.shown.changed() => {
                if changed.is_ok() {
                    tokio::time::sleep(LIVE_PERIOD).await;
                } else {
                    tokio::time::sleep_until(keep_alive_at).await;
                }
                true
            }
            // An error means that nobody can ask for a stop any more.
            Ok(()) = self.stopping.changed() => true,
            () = tokio::time::sleep_until(wake_at) => wake_at < keep_alive_at,
        }
    }
}

fn read_problem(err: ReadError) -> Problem {
    match err {
        ReadError::Gone { .. } => Problem::gone(format!("{err}; {BEGIN_ANEW}")),
        ReadError::Store(err) => unreadable(err),
    }
}

fn write_event(out: &mut Vec<u8>, stored: &StoredChange) {
    let table = Table::from_code(stored.change.table).map_or("unknown", Table::as_str);
    let (cursor, tick) = (stored.cursor, stored.cursor.tick);
    let head = format!("id: {cursor}\nevent: {table}\ndata: {{\"tick\":{tick},\"instant\":");
    out.extend_from_slice(head.as_bytes());
    write_time(out, Some(TimeMs(stored.instant_ms)));
    let middle = format!(",\"table\":\"{table}\",\"diff\":{},\"row\":", stored.change.diff);
    out.extend_from_slice(middle.as_bytes());
    out.extend_from_slice(&stored.change.row);
    let why = why_of(stored);
    let end = format!(",\"cause\":\"{}\",\"seq\":{}}}\n\n", why.cause.as_str(), why.seq);
    out.extend_from_slice(end.as_bytes());
}
