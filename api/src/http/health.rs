//! Whether the service lives, whether it is ready, and its figures.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::http::header::{self, HeaderValue};

use super::openapi::ProblemDoc;
use super::{Shared, begin_object, json, now_ms};
use crate::problem::Problem;

/// Whether the process answers at all.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses(
    (status = 200, description = "It does."),
))]
pub(super) async fn healthz() -> Response<Body> {
    json(b"{\"alive\":true}".to_vec())
}

/// Whether the views are current and the journal takes records.
#[utoipa::path(get, path = "/readyz", tag = "operation", responses(
    (status = 200, description = "Ready."),
    (status = 503, description = "Not ready, and why.", body = ProblemDoc,
        content_type = "application/problem+json"),
))]
pub(super) async fn readyz(State(shared): State<Arc<Shared>>) -> Result<Response<Body>, Problem> {
    if shared.journal_failed.load(Ordering::Relaxed) {
        let detail =
            "the journal refuses to write; see the log, free disk space or replace the disk, and restart";
        return Err(Problem::unavailable(detail, 30));
    }
    if let Some(why) = shared.api.log.unavailable() {
        return Err(Problem::unavailable(format!("the journal can't be written for now: {why}"), 5));
    }
    let stamp = shared.api.views.stamp();
    if !shared.api.views.is_ready() {
        let last = shared.api.log.last_tick().map_or(0, |(tick, _)| tick);
        let detail =
            format!("starting: the views are at tick {}, the journal ends at tick {last}", stamp.tick);
        return Err(Problem::unavailable(detail, 1));
    }
    if *shared.stopping.borrow() {
        return Err(Problem::unavailable("stopping", 5));
    }
    let mut out = begin_object(stamp);
    out.extend_from_slice(b",\"ready\":true}");
    Ok(json(out))
}

/// The service's figures, as Prometheus reads them.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses(
    (status = 200, description = "Prometheus text format.", body = String, content_type = "text/plain"),
))]
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response<Body> {
    let text = shared.metrics.render(&shared, now_ms());
    let mut response = Response::new(Body::from(text));
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}
