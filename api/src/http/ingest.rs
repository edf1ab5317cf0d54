//! Records in: generic ingest and the vendors' webhooks.
//!
//! Order of work: size limit, authentication over the bytes as received, kind of body, decompression,
//! check, append. A body that fails early costs little.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequestParts, State};
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::request::Parts;
use axum::http::{Method, Request, Response, Uri};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sources::BodyError;
use sources::loconav::Endpoint;
use tokio::sync::OwnedSemaphorePermit;

use super::openapi::{ProblemDoc, ReceiptDoc};
use super::submit::{Door, EditTurn, keep_unreadable, submit};
use super::{Shared, now_ms};
use crate::metrics::Refusal;
use crate::problem::Problem;

static TIMESTAMP: HeaderName = HeaderName::from_static("x-watchtower-timestamp");
static SIGNATURE: HeaderName = HeaderName::from_static("x-watchtower-signature");

/// Bodies up to this size need no part of the budget: connections are limited, and so their sum is.
const SMALL_BODY_BYTES: usize = 32 << 10;

/// Takes records as NDJSON or as a JSON array. Answered when they are durable.
#[utoipa::path(post, path = "/api/v1/records", tag = "ingest",
    request_body(content = String, content_type = "application/x-ndjson",
        description = "One record a line, or a JSON array; gzip and zstd as Content-Encoding."),
    responses(
        (status = 200, description = "At least one record is good, and durable.", body = ReceiptDoc),
        (status = 422, description = "No record is good.", body = ProblemDoc,
            content_type = "application/problem+json"),
        (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
    ))]
pub(super) async fn post_records(
    State(shared): State<Arc<Shared>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    take(&shared, Door::Records, request).await
}

/// LocoNav's webhook for positions and alerts alike.
#[utoipa::path(post, path = "/webhooks/loconav", tag = "ingest",
    request_body(content = Object, description = "As LocoNav sends it, an object or an array."), responses(
    (status = 200, description = "Durable.", body = ReceiptDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn loconav_any(
    State(shared): State<Arc<Shared>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    take(&shared, Door::Loconav(Endpoint::Any), request).await
}

/// LocoNav's webhook for positions.
#[utoipa::path(post, path = "/webhooks/loconav/location", tag = "ingest",
    request_body(content = Object, description = "As LocoNav sends it, an object or an array."), responses(
    (status = 200, description = "Durable.", body = ReceiptDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn loconav_location(
    State(shared): State<Arc<Shared>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    take(&shared, Door::Loconav(Endpoint::Location), request).await
}

/// LocoNav's webhook for alerts.
#[utoipa::path(post, path = "/webhooks/loconav/alert", tag = "ingest",
    request_body(content = Object, description = "As LocoNav sends it, an object or an array."), responses(
    (status = 200, description = "Durable.", body = ReceiptDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn loconav_alert(
    State(shared): State<Arc<Shared>>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    take(&shared, Door::Loconav(Endpoint::Alert), request).await
}

/// The whole request comes in, since a copy of its headers would cost as much as the rest of the work.
async fn take(shared: &Arc<Shared>, door: Door, request: Request<Body>) -> Result<Response<Body>, Problem> {
    let (head, body) = request.into_parts();
    // Wherever there is a secret, records must be signed.
    let (body, _held) = read(shared, door, &head.headers, body, Signed::Body).await?;
    submit(shared, door, body, EditTurn::NotHeld).await
}

/// A body as bytes, and the part of the budget that it takes.
type Read = (Bytes, Vec<OwnedSemaphorePermit>);

/// What an operator's write says beside its body.
pub(super) struct WriteHead {
    method: Method,
    uri: Uri,
    pub headers: HeaderMap,
}

impl<S: Sync> FromRequestParts<S> for WriteHead {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Ok(WriteHead { method: parts.method.clone(), uri: parts.uri.clone(), headers: parts.headers.clone() })
    }
}

/// What a signature must be over.
#[derive(Clone, Copy)]
enum Signed<'a> {
    Nothing,
    /// The formula of webhooks, which their senders know.
    Body,
    /// Method and path too: a write without a body must not be good for another path.
    Write(&'a Method, &'a Uri),
}

/// Reads the body of an operator's write: signed only where the configuration asks for it.
pub(super) async fn read_write(
    shared: &Arc<Shared>,
    door: Door,
    head: &WriteHead,
    body: Body,
) -> Result<Read, Problem> {
    let signed =
        if shared.sign_all_writes { Signed::Write(&head.method, &head.uri) } else { Signed::Nothing };
    read(shared, door, &head.headers, body, signed).await
}

/// Holds the signature against the bytes as received, where there is a secret.
fn verify(shared: &Shared, headers: &HeaderMap, signed: Signed<'_>, received: &[u8]) -> Result<(), String> {
    let Some(secret) = &shared.api.config.hmac_secret else { return Ok(()) };
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (timestamp, signature, now_s) = (text(&TIMESTAMP), text(&SIGNATURE), now_ms() / 1000);
    match signed {
        Signed::Nothing => Ok(()),
        Signed::Body => sources::signature::verify(secret, timestamp, signature, received, now_s),
        Signed::Write(method, uri) => {
            let path_and_query = uri.path_and_query().map_or(uri.path(), |path| path.as_str());
            let write = sources::signature::Write { method: method.as_str(), path_and_query, body: received };
            sources::signature::verify_write(secret, timestamp, signature, write, now_s)
        }
    }
}

async fn read(
    shared: &Arc<Shared>,
    door: Door,
    headers: &HeaderMap,
    body: Body,
    signed: Signed<'_>,
) -> Result<Read, Problem> {
    let (received, mut held) = collect(shared, door, headers, body).await?;
    verify(shared, headers, signed, &received).map_err(|reason| {
        shared.metrics.refused(door.source(), Refusal::Unauthorized, 1);
        Problem::unauthorized(reason)
    })?;
    let encoding = check_kind(headers).inspect_err(|_| {
        shared.metrics.refused(door.source(), Refusal::Unsupported, 1);
    })?;
    let Some(encoding) = encoding else { return Ok((received, held)) };
    let inflated = inflate(shared, door, &received, encoding).await?;
    held.extend(hold_more(shared, inflated.len())?);
    Ok((inflated, held))
}

async fn collect(shared: &Arc<Shared>, door: Door, headers: &HeaderMap, body: Body) -> Result<Read, Problem> {
    let limit = shared.api.config.max_body_bytes;
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    let has_body = declared.is_some() || headers.contains_key(header::TRANSFER_ENCODING);
    if !has_body {
        return Ok((Bytes::new(), Vec::new()));
    }
    let too_large = || {
        shared.metrics.refused(door.source(), Refusal::TooLarge, 1);
        Problem::too_large(limit)
    };
    if declared.is_some_and(|bytes| bytes > limit) {
        return Err(too_large());
    }
    // A body without a declared length may turn out as large as any.
    let held = hold(shared, declared.unwrap_or(limit)).await?;
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok((collected.to_bytes(), held.into_iter().collect())),
        Err(err) if err.is::<LengthLimitError>() => Err(too_large()),
        Err(err) => Err(Problem::bad_body(format!("the body ended early: {err}")).closing()),
    }
}

/// Takes a part of the budget of large bodies, waiting for it if need be.
async fn hold(shared: &Arc<Shared>, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Problem> {
    if bytes <= SMALL_BODY_BYTES {
        return Ok(None);
    }
    let budget_kb = shared.api.config.max_bytes_in_work >> 10;
    let wanted_kb = (bytes >> 10).clamp(1, budget_kb.max(1));
    let wanted = u32::try_from(wanted_kb).unwrap_or(u32::MAX);
    match shared.body_budget_kb.clone().acquire_many_owned(wanted).await {
        Ok(permit) => Ok(Some(permit)),
        Err(_) => Err(Problem::unavailable("the service is stopping; send again in a while", 5)),
    }
}

/// [`hold`] for a request that has a part already. It must not wait: all could hold a part and wait for more.
fn hold_more(shared: &Arc<Shared>, bytes: usize) -> Result<Option<OwnedSemaphorePermit>, Problem> {
    if bytes <= SMALL_BODY_BYTES {
        return Ok(None);
    }
    let wanted = u32::try_from(bytes >> 10).unwrap_or(u32::MAX);
    match shared.body_budget_kb.clone().try_acquire_many_owned(wanted) {
        Ok(permit) => Ok(Some(permit)),
        Err(_) => Err(Problem::too_many("too many large bodies are in work; send again in a while", 1)),
    }
}

/// Refuses what cannot be a body of records; returns its encoding, if it has one.
fn check_kind(headers: &HeaderMap) -> Result<Option<Encoding>, Problem> {
    if let Some(content_type) = headers.get(header::CONTENT_TYPE) {
        let essence = content_type.to_str().unwrap_or("?").split(';').next().unwrap_or_default().trim();
        if !is_text_of_records(&essence.to_ascii_lowercase()) {
            return Err(Problem::unsupported(format!(
                "Content-Type is {essence:?}; send application/json or application/x-ndjson"
            )));
        }
    }
    let Some(encoding) = headers.get(header::CONTENT_ENCODING) else { return Ok(None) };
    match encoding.to_str().unwrap_or("?").trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(None),
        "gzip" | "x-gzip" => Ok(Some("gzip")),
        "zstd" => Ok(Some("zstd")),
        other => Err(Problem::unsupported(format!("Content-Encoding is {other:?}; send gzip, zstd or none"))),
    }
}

type Encoding = &'static str;

/// Senders' habits are wide; what is JSON is decided by the check. Forms are what curl says of any body.
fn is_text_of_records(essence: &str) -> bool {
    let subtype = essence.strip_prefix("application/").unwrap_or_default();
    let is_json = subtype.ends_with("json") || subtype.ends_with("jsonl") || subtype.ends_with("jsonlines");
    is_json
        || matches!(essence, "" | "text/plain" | "text/json")
        || matches!(subtype, "octet-stream" | "x-www-form-urlencoded")
}

async fn inflate(
    shared: &Arc<Shared>,
    door: Door,
    received: &Bytes,
    encoding: Encoding,
) -> Result<Bytes, Problem> {
    let limit = shared.api.config.max_inflated_bytes;
    let body = received.clone();
    let inflated = shared
        .inflating
        .run(move || sources::inflate(&body, Some(encoding), limit).map(|inflated| inflated.into_owned()))
        .await?;
    match inflated {
        Ok(inflated) => Ok(inflated.into()),
        Err(BodyError::TooLarge { limit }) => {
            shared.metrics.refused(door.source(), Refusal::TooLarge, 1);
            Err(Problem::too_large(limit))
        }
        Err(BodyError::NotABody(reason) | BodyError::Unauthorized(reason)) => {
            keep_unreadable(shared, door, received, &reason).await?;
            Err(Problem::bad_body(reason))
        }
    }
}
