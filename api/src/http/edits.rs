//! Edits of fences and trips: judged by all that came before them, and made of what was read.

use std::time::Duration;

use axum::http::StatusCode;
use axum::http::header::{self, HeaderMap};

use super::Shared;
use crate::fingerprint::Fingerprint;
use crate::problem::Problem;

/// How long an edit that has the turn waits for what came before it. All others wait meanwhile.
pub(super) const WAIT_IN_TURN: Duration = Duration::from_secs(1);

/// The tags of `If-Match`, where it is given.
pub(super) fn tags_of_edited(headers: &HeaderMap) -> Result<Option<Vec<String>>, Problem> {
    if !headers.contains_key(header::IF_MATCH) {
        return Ok(None);
    }
    let mut tags = Vec::new();
    for value in headers.get_all(header::IF_MATCH) {
        let text = value.to_str().map_err(|_| Problem::bad_request("If-Match must be text"))?;
        tags.extend(text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()));
    }
    if tags.is_empty() {
        let detail = "If-Match is empty; give the ETag of what was read, or leave the header out";
        return Err(Problem::bad_request(detail));
    }
    Ok(Some(tags))
}

/// Whether what is there now is what one of the tags stands for.
pub(super) fn is_tagged(now: Option<Fingerprint>, tags: &[String]) -> bool {
    let matches = |tag: &String| now.is_some_and(|now| tag == "*" || tag.as_bytes() == now.etag().as_bytes());
    tags.iter().any(matches)
}

/// The answer where it is not.
pub(super) fn changed(detail: String) -> Problem {
    let title = "It is not what was edited";
    Problem::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", title, detail)
}

/// Waits until everything that is durable is shown: an edit that was acknowledged must count.
///
/// While a backfill is computed that takes long. So edits wait for it before they take the turn, all at once,
/// and in the turn only for what came meanwhile.
pub(super) async fn catch_up(shared: &Shared, at_most: Duration) -> Result<(), Problem> {
    shared.check_started()?;
    let Some((durable, _)) = shared.api.log.last_tick() else { return Ok(()) };
    if shared.api.views.wait_for_tick(durable, at_most).await {
        return Ok(());
    }
    let detail = format!(
        "what is durable up to tick {durable} is not shown yet, as while a backfill is computed, so the edit \
         cannot be judged; nothing was kept, try again"
    );
    Err(Problem::unavailable(detail, 1))
}
