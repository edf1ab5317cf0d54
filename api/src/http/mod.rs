//! The HTTP interface: routes, what handlers share, and how live answers are put together.

mod alerts;
mod analytics;
mod changes;
mod dead_letters;
mod edits;
mod entities;
mod fences;
mod guard;
mod health;
mod history;
mod ingest;
mod kpis;
mod openapi;
mod params;
mod rejects;
mod rows;
mod submit;
mod tracking;
mod trips;
mod trucks;
mod turns;
mod visits;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Body;
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, Response, Uri};
use axum::routing::get;
use journal::{RowsSnapshot, StoreError};
use model::{Row, TimeMs};
use tokio::sync::{Mutex, RwLock, Semaphore, watch};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::views::{CursorReader, Stamp};
use crate::{Api, page};

pub use openapi::openapi_json;
use turns::{Turns, run_aside};

/// How long `min_tick` waits.
const MIN_TICK_WAIT: Duration = Duration::from_secs(5);
/// How many pieces of work of one kind that hold megabytes, or read much, run in the background at a time.
const HEAVY_WORK: usize = 8;

/// What handlers share.
pub(crate) struct Shared {
    pub api: Api,
    pub metrics: Metrics,
    /// Kilobytes that large bodies may hold together.
    pub body_budget_kb: Arc<Semaphore>,
    pub sse_slots: Arc<Semaphore>,
    /// Answers that are read from what is kept on disk.
    pub reads: Turns,
    /// Bodies that are inflated.
    pub inflating: Turns,
    /// Large bodies that are checked.
    pub checks: Turns,
    /// Held while a visit is explained, which may read all of the journal: one at a time is enough.
    explaining: Arc<Semaphore>,
    /// Turns true when the service stops: endless answers end then.
    pub stopping: watch::Receiver<bool>,
    /// Whether every write must be signed, not only bodies of records.
    pub sign_all_writes: bool,
    /// Held alone while an edit of a fence or a trip is judged and appended, and together by others until theirs
    /// are durable: what is judged is judged by all that came before it, and nothing waits in the journal's queue
    /// meanwhile.
    edits: Arc<RwLock<()>>,
    /// Held while a dead letter is sent again or thrown away, so that each is sent again once.
    letter_work: Arc<Mutex<()>>,
    /// Set while the journal refuses to write.
    pub journal_failed: AtomicBool,
    /// What tracking links are signed with.
    link_key: tracking::LinkKey,
}

impl Shared {
    pub fn new(api: Api, stopping: watch::Receiver<bool>, reachable_from_elsewhere: bool) -> Arc<Shared> {
        let config = &api.config;
        let shared = Shared {
            metrics: Metrics::default(),
            body_budget_kb: Arc::new(Semaphore::new((config.max_bytes_in_work >> 10).max(1))),
            sse_slots: Arc::new(Semaphore::new(config.max_sse_clients)),
            reads: Turns::new(HEAVY_WORK),
            inflating: Turns::new(HEAVY_WORK),
            checks: Turns::new(HEAVY_WORK),
            explaining: Arc::new(Semaphore::new(1)),
            stopping,
            sign_all_writes: config.sign_all_writes.unwrap_or(reachable_from_elsewhere),
            edits: Arc::default(),
            letter_work: Arc::default(),
            journal_failed: AtomicBool::new(false),
            link_key: tracking::LinkKey::new(config),
            api,
        };
        Arc::new(shared)
    }

    /// Waits until the tick that `min_tick` names is shown.
    pub async fn at_tick(&self, min_tick: Option<&str>) -> Result<(), Problem> {
        let Some(tick) = params::whole_number("min_tick", min_tick)? else { return Ok(()) };
        if self.api.views.wait_for_tick(tick, MIN_TICK_WAIT).await {
            return Ok(());
        }
        let shown = self.api.views.stamp().tick;
        let detail = format!(
            "tick {tick} is not shown after {} s, the last one is {shown}; ask again, or without min_tick",
            MIN_TICK_WAIT.as_secs()
        );
        Err(Problem::unavailable(detail, 1))
    }

    /// Why nothing can be found by id or vehicle yet, while that is so: a folder that an older release wrote has
    /// no index until its first start with this one is over.
    pub async fn check_indexed(&self) -> Result<(), Problem> {
        let changelog = self.api.changelog.clone();
        if run_aside(move || changelog.is_indexed()).await?.map_err(unreadable)? {
            return Ok(());
        }
        let detail = "the rows of an older release are being indexed; ask again when /readyz answers 200";
        Err(Problem::unavailable(detail, 1))
    }

    /// Does work of several steps while it holds `turn`. It comes to its end even when the
    /// client goes or the time for an answer is over: half of it would be worse than none.
    pub async fn to_the_end<T: Send + 'static>(
        &self,
        turn: impl Send + 'static,
        work: impl Future<Output = Result<T, Problem>> + Send + 'static,
    ) -> Result<T, Problem> {
        let working = tokio::spawn(async move {
            let done = work.await;
            drop(turn);
            done
        });
        working
            .await
            .unwrap_or_else(|err| Err(Problem::internal(format!("a step of the work failed: {err}"))))
    }

    /// Why nothing can be written yet, while that is so.
    ///
    /// The first record of a start may be its settings, and what comes before them would be worked on with
    /// those of the last start.
    pub fn check_started(&self) -> Result<(), Problem> {
        if self.api.views.is_ready() {
            return Ok(());
        }
        let shown = self.api.views.stamp().tick;
        let last = self.api.log.last_tick().map_or(0, |(tick, _)| tick);
        let detail = format!(
            "starting: the views are at tick {shown}, the journal ends at tick {last}; nothing was kept, \
             send again when /readyz answers 200"
        );
        Err(Problem::unavailable(detail, 1))
    }

    pub fn note_journal(&self, works: bool) {
        if self.journal_failed.load(Ordering::Relaxed) == works {
            self.journal_failed.store(!works, Ordering::Relaxed);
        }
    }
}

/// All routes, guarded, for a service that is reached from this machine only.
///
/// The routes serve until they are dropped; [`crate::serve`] adds connection limits and an orderly end.
pub fn router(api: Api) -> Router {
    let (never_stops, stopping) = watch::channel(false);
    let shared = Shared::new(api, stopping, false);
    // The receiver only ever reads "false"; the sender may go.
    drop(never_stops);
    router_of(shared)
}

pub(crate) fn router_of(shared: Arc<Shared>) -> Router {
    let (routes, _) = documented_routes().split_for_parts();
    routes
        .merge(page::routes())
        .route("/track/{token}", get(tracking::get_page))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(guard::GuardLayer::new(shared.clone()))
        .with_state(shared)
}

/// The routes together with their descriptions: none can be there without the other.
fn documented_routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::with_openapi(openapi::frame())
        .routes(routes!(trucks::list_trucks))
        .routes(routes!(trucks::trucks_near))
        .routes(routes!(trucks::get_truck))
        .routes(routes!(trucks::get_location))
        .routes(routes!(trucks::get_track))
        .routes(routes!(fences::list_fences))
        .routes(routes!(fences::get_fence, fences::put_fence, fences::delete_fence))
        .routes(routes!(rows::list_presences))
        .routes(routes!(rows::list_visits))
        .routes(routes!(visits::get_visit))
        .routes(routes!(visits::get_history))
        .routes(routes!(visits::explain_visit))
        .routes(routes!(rows::list_crossings))
        .routes(routes!(trips::list_trips, trips::edit::post_trip))
        .routes(routes!(trips::get_trip, trips::edit::patch_trip))
        .routes(routes!(trips::history::get_trip_history))
        .routes(routes!(entities::list_vehicles))
        .routes(routes!(entities::list_drivers))
        .routes(routes!(entities::list_organizations))
        .routes(routes!(entities::list_locations))
        .routes(routes!(entities::list_assignments))
        .routes(routes!(alerts::list_alerts))
        .routes(routes!(alerts::get_alert))
        .routes(routes!(alerts::get_alert_history))
        .routes(routes!(alerts::marks::acknowledge_alert))
        .routes(routes!(alerts::marks::resolve_alert))
        .routes(routes!(kpis::list_kpis))
        .routes(routes!(kpis::list_kpi_history))
        .routes(routes!(kpis::stream::follow_kpi))
        .routes(routes!(analytics::daily))
        .routes(routes!(analytics::weekly))
        .routes(routes!(analytics::tat))
        .routes(routes!(analytics::utilization))
        .routes(routes!(analytics::truck))
        .routes(routes!(tracking::get_tracking))
        .routes(routes!(tracking::post_tracking_link))
        .routes(routes!(tracking::get_public_tracking))
        .routes(routes!(rejects::list_rejects))
        .routes(routes!(rejects::count_rejects))
        .routes(routes!(changes::follow_changes))
        .routes(routes!(dead_letters::list_dead_letters))
        .routes(routes!(dead_letters::get_dead_letter, dead_letters::delete_dead_letter))
        .routes(routes!(dead_letters::replay_dead_letter))
        .routes(routes!(ingest::post_records))
        .routes(routes!(ingest::loconav_any))
        .routes(routes!(ingest::loconav_location))
        .routes(routes!(ingest::loconav_alert))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(health::metrics))
        .routes(routes!(openapi::get_openapi))
}

async fn no_such_path(uri: Uri) -> Problem {
    let detail =
        format!("there is nothing at {:?}; /api/v1/openapi.json lists what there is", told_path(&uri));
    Problem::new(axum::http::StatusCode::NOT_FOUND, "not-found", "Not found", detail)
}

async fn no_such_method(method: Method, uri: Uri) -> Problem {
    let detail = format!("{method} is not possible at {:?}; the Allow header lists what is", told_path(&uri));
    let status = axum::http::StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method-not-allowed", "The method is not possible here", detail)
}

/// A path as answers repeat it: without what follows `track/`, the token of a tracking link, since answers may be kept
/// where paths are not.
fn told_path(uri: &Uri) -> &str {
    const BEFORE_TOKEN: &[u8] = b"/track/";
    let path = uri.path();
    let at =
        path.as_bytes().windows(BEFORE_TOKEN.len()).position(|part| part.eq_ignore_ascii_case(BEFORE_TOKEN));
    at.and_then(|at| path.get(..at + BEFORE_TOKEN.len())).unwrap_or(path)
}

/// Now, in milliseconds since 1970.
fn now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// An answer that holds JSON.
fn json(bytes: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(bytes.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Begins an object with what every live answer says of itself: `{"as_of":"...","tick":n`.
fn begin_object(stamp: Stamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    out.push(b'{');
    write_stamp(&mut out, stamp);
    out
}

fn write_stamp(out: &mut Vec<u8>, stamp: Stamp) {
    out.extend_from_slice(b"\"as_of\":");
    write_time(out, Some(stamp.instant));
    out.extend_from_slice(format!(",\"tick\":{}", stamp.tick).as_bytes());
}

fn write_time(out: &mut Vec<u8>, time: Option<TimeMs>) {
    match time {
        Some(time) => {
            out.push(b'"');
            time.write(out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

fn write_text(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => model::push_json_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// A text as one segment of a path.
fn path_segment(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode =
        |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// Appends what a row has within its braces, as the files have it.
fn write_row_members(out: &mut Vec<u8>, row: &Row) {
    let begin = out.len();
    row.write_json(out);
    // The braces are the caller's: there may be more members.
    out.pop();
    out.remove(begin);
}

/// The contract's list: `{"as_of":...,"tick":n,"items":[...],"next_cursor":...}`.
fn list<R>(
    stamp: Stamp,
    rows: impl IntoIterator<Item = R>,
    write: impl FnMut(&mut Vec<u8>, R),
    next_cursor: Option<String>,
) -> Response<Body> {
    let mut out = begin_object(stamp);
    end_with_list(&mut out, "items", rows, write, next_cursor);
    json(out)
}

/// Ends an object with a list and the cursor of the next page.
fn end_with_list<R>(
    out: &mut Vec<u8>,
    name: &str,
    rows: impl IntoIterator<Item = R>,
    write: impl FnMut(&mut Vec<u8>, R),
    next_cursor: Option<String>,
) {
    write_list(out, name, rows, write);
    out.extend_from_slice(b",\"next_cursor\":");
    write_text(out, next_cursor.as_deref());
    out.push(b'}');
}

/// A member that is a list, behind others.
fn write_list<R>(
    out: &mut Vec<u8>,
    name: &str,
    rows: impl IntoIterator<Item = R>,
    mut write: impl FnMut(&mut Vec<u8>, R),
) {
    out.extend_from_slice(format!(",\"{name}\":[").as_bytes());
    for (i, row) in rows.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, row);
    }
    out.push(b']');
}

/// Which state kept rows are exact for.
fn stamp_of(snapshot: &RowsSnapshot) -> Stamp {
    snapshot
        .last_tick()
        .map_or(Stamp::default(), |(tick, instant_ms)| Stamp { tick, instant: TimeMs(instant_ms) })
}

/// The answer where what is kept cannot be read.
fn unreadable(err: StoreError) -> Problem {
    tracing::error!(error = %err, "the changelog cannot be read");
    Problem::internal(format!("the changelog cannot be read: {err}"))
}

/// Reads a cursor of the list that `letter` stands for, if there is one.
fn read_cursor<K>(
    letter: u8,
    cursor: Option<&str>,
    read: impl FnOnce(&mut CursorReader) -> Result<K, crate::views::BadCursor>,
) -> Result<Option<K>, Problem> {
    let Some(text) = cursor.filter(|text| !text.is_empty()) else { return Ok(None) };
    let key = CursorReader::new(letter, text).and_then(|mut reader| {
        let key = read(&mut reader)?;
        reader.finish()?;
        Ok(key)
    });
    key.map(Some).map_err(|_| {
        Problem::bad_request(
            "cursor is not one of this list; take next_cursor of a page as it is, or leave it out",
        )
    })
}
