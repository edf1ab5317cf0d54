//! What people say of an alert becomes a record, sent through the one way into the journal.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::{AlertMark, MAX_ID_BYTES};
use serde::Deserialize;
use serde_json::json;

use super::read_id;
use crate::http::Shared;
use crate::http::ingest::{self, WriteHead};
use crate::http::openapi::{AlertMarkDoc, ProblemDoc, ReceiptDoc};
use crate::http::params::Id;
use crate::http::submit::{Door, EditTurn, submit};
use crate::problem::Problem;

/// Who says it. A name that is not known may be a mistake, and is refused: nothing else of it would be kept.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkBody {
    by: String,
}

/// Somebody cares for an alert. It holds for all alerts that take its place, too; who said it first stays.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/acknowledge", tag = "alerts", request_body = AlertMarkDoc,
    params(("id" = String, Path, description = "16 hexadecimal digits.")), responses(
    (status = 200, description = "Durable.", body = ReceiptDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(in crate::http) async fn acknowledge_alert(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    head: WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    mark(&shared, &id, AlertMark::Acknowledge, &head, body).await
}

/// An alert is dealt with. It holds for all alerts that take its place, too; who said it first stays.
#[utoipa::path(post, path = "/api/v1/alerts/{id}/resolve", tag = "alerts", request_body = AlertMarkDoc,
    params(("id" = String, Path, description = "16 hexadecimal digits.")), responses(
    (status = 200, description = "Durable.", body = ReceiptDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(in crate::http) async fn resolve_alert(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    head: WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    mark(&shared, &id, AlertMark::Resolve, &head, body).await
}

async fn mark(
    shared: &Arc<Shared>,
    id: &str,
    mark: AlertMark,
    head: &WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let (body, _held) = ingest::read_write(shared, Door::Records, head, body).await?;
    let by = read_by(&body)?;
    shared.check_started()?;
    // Nothing an alert does can make a mark of it wrong, so nothing that comes meanwhile is waited for.
    let alert_id = read_id(id)?;
    if shared.api.views.read().alerts.fate(alert_id).is_none() {
        return Err(Problem::not_found("alert", id));
    }
    let record = json!({"type": mark.as_str(), "alert_id": alert_id.to_string(), "by": by});
    submit(shared, Door::Records, record.to_string().into(), EditTurn::NotHeld).await
}

fn read_by(body: &[u8]) -> Result<String, Problem> {
    let MarkBody { by } = serde_json::from_slice(body).map_err(|err| {
        Problem::bad_body(format!("the body must be a JSON object with by, who says it: {err}"))
    })?;
    let why = if by.trim().is_empty() {
        "by is empty; it says who does it".to_owned()
    } else if by.len() > MAX_ID_BYTES {
        format!("by has {} bytes; at most {MAX_ID_BYTES} are possible", by.len())
    } else {
        return Ok(by);
    };
    Err(Problem::bad_body(why))
}
