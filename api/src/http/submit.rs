//! The one way into the journal: check, append, wait until durable, keep what was refused, answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::Response;
use journal::{AppendError, NewDeadLetter};
use serde_json::{Value, json};
use sources::loconav::Endpoint;
use sources::records::Backfill;
use sources::{BodyError, Checked, Refused, code};

use super::{Shared, json as json_answer, now_ms, run_aside};
use crate::metrics::Refusal;
use crate::problem::Problem;

/// How many refusals an answer names.
const MAX_ERRORS: usize = 1000;
/// Bodies larger than this are checked where they hold up nobody.
const MAX_INLINE_CHECK_BYTES: usize = 64 << 10;
/// How much of a body is kept as a dead letter; the store cuts there too.
const MAX_LETTER_BYTES: usize = 1 << 20;

/// Which check a body goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Records,
    Loconav(Endpoint),
}

impl Door {
    pub fn source(self) -> u8 {
        match self {
            Door::Records => code::RECORDS,
            Door::Loconav(_) => code::LOCONAV,
        }
    }

    /// What a dead letter says of the door, so that it can be sent through the same one again.
    fn context(self) -> &'static str {
        match self {
            Door::Records => "",
            Door::Loconav(Endpoint::Any) => "any",
            Door::Loconav(Endpoint::Location) => "location",
            Door::Loconav(Endpoint::Alert) => "alert",
        }
    }

    /// The door that a dead letter came through. Lines of files are records, and so are
    /// messages of Kafka, where they are no objects of another make.
    pub fn of_letter(source: u8, context: &str) -> Option<Door> {
        match (source, context) {
            (code::RECORDS | code::FILES | code::KAFKA, _) => Some(Door::Records),
            (code::LOCONAV, "location") => Some(Door::Loconav(Endpoint::Location)),
            (code::LOCONAV, "alert") => Some(Door::Loconav(Endpoint::Alert)),
            (code::LOCONAV, _) => Some(Door::Loconav(Endpoint::Any)),
            _ => None,
        }
    }

    fn check(self, body: &[u8], config: &sources::loconav::Config) -> Result<Checked, BodyError> {
        match self {
            Door::Records => sources::records::check(body, Backfill::Refused),
            Door::Loconav(endpoint) => sources::loconav::check(endpoint, body, config),
        }
    }
}

/// What became of a body that could be read as one.
pub(super) struct Receipt {
    pub accepted: usize,
    pub refused: Vec<Refused>,
    refused_count: usize,
    warnings: Vec<String>,
    /// The tick that holds what was accepted.
    tick: Option<u64>,
    /// What else went wrong, though something was accepted.
    pub failures: Vec<String>,
}

/// Whether the sender has the turn for edits of fences and trips.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EditTurn {
    /// Alone: its edit was judged by what is there.
    Held,
    /// It is taken where the body edits fences, locations or trips.
    NotHeld,
}

/// Sends a body through its door; what is refused becomes dead letters.
pub(super) async fn submit(
    shared: &Arc<Shared>,
    door: Door,
    body: Bytes,
    turn: EditTurn,
) -> Result<Response<Body>, Problem> {
    let receipt = match append_checked(shared, door, &body, turn).await {
        Ok(receipt) => receipt,
        Err(Undone::NotABody(reason)) => {
            keep_letters(shared, door, vec![whole_body(&body, &reason)]).await?;
            return Err(Problem::bad_body(reason));
        }
        Err(Undone::Problem(problem)) => return Err(problem),
    };
    receipt.keep_refused(shared, door).await?.answer(door)
}

/// Why nothing was appended.
pub(super) enum Undone {
    /// The body is not what the door reads.
    NotABody(String),
    Problem(Problem),
}

impl From<Problem> for Undone {
    fn from(problem: Problem) -> Undone {
        Undone::Problem(problem)
    }
}

/// Checks a body and appends the good part of it. Dead letters are the caller's business.
pub(super) async fn append_checked(
    shared: &Arc<Shared>,
    door: Door,
    body: &Bytes,
    turn: EditTurn,
) -> Result<Receipt, Undone> {
    let checked = check(shared, door, body).await?;
    let Checked { payload, context, accepted, refused, refused_count, warnings, edits_entities } = checked;
    let tick = match payload {
        None => None,
        Some(payload) if edits_entities && turn == EditTurn::NotHeld => {
            Some(append_among_edits(shared, door, context, payload).await?)
        }
        Some(payload) => Some(append(shared, door, &context, payload).await?),
    };
    // What the journal did not take comes again, and counts then.
    note(shared, door, (accepted, refused_count), &warnings);
    Ok(Receipt { accepted, refused, refused_count, warnings, tick, failures: Vec::new() })
}

fn note(shared: &Shared, door: Door, (accepted, refused): (usize, usize), warnings: &[String]) {
    shared.metrics.accepted(door.source(), accepted);
    if refused > 0 {
        shared.metrics.refused(door.source(), Refusal::Record, refused);
    }
    if let Some(warning) = warnings.first() {
        tracing::warn!(source = sources::source_name(door.source()), warnings = warnings.len(), "{warning}");
    }
}

async fn check(shared: &Arc<Shared>, door: Door, body: &Bytes) -> Result<Checked, Undone> {
    let checked = if body.len() <= MAX_INLINE_CHECK_BYTES {
        door.check(body, &shared.api.config.loconav)
    } else {
        let (shared_too, body) = (shared.clone(), body.clone());
        shared.checks.run(move || door.check(&body, &shared_too.api.config.loconav)).await?
    };
    checked.map_err(|err| match err {
        BodyError::NotABody(reason) => {
            shared.metrics.refused(door.source(), Refusal::NotABody, 1);
            Undone::NotABody(reason)
        }
        BodyError::TooLarge { limit } => {
            shared.metrics.refused(door.source(), Refusal::TooLarge, 1);
            Undone::Problem(Problem::too_large(limit))
        }
        BodyError::Unauthorized(reason) => {
            shared.metrics.refused(door.source(), Refusal::Unauthorized, 1);
            Undone::Problem(Problem::unauthorized(reason))
        }
    })
}

/// [`append`] for what was not judged by what is there. It goes together with others of its kind, and never
/// while an edit is judged: that one would not know of it.
async fn append_among_edits(
    shared: &Arc<Shared>,
    door: Door,
    context: String,
    payload: Vec<u8>,
) -> Result<u64, Problem> {
    let turn = shared.edits.clone().read_owned().await;
    let shared_too = shared.clone();
    shared.to_the_end(turn, async move { append(&shared_too, door, &context, payload).await }).await
}

async fn append(shared: &Shared, door: Door, context: &str, payload: Vec<u8>) -> Result<u64, Problem> {
    shared.check_started().inspect_err(|_| shared.metrics.refused(door.source(), Refusal::Unavailable, 1))?;
    let began = Instant::now();
    let appended = match shared.api.log.append(door.source(), context, payload) {
        Ok(ticket) => ticket.wait().await,
        Err(err) => Err(err),
    };
    match appended {
        Ok(appended) => {
            shared.metrics.append_took(began.elapsed());
            shared.note_journal(true);
            Ok(appended.tick)
        }
        Err(err) => Err(append_problem(shared, door, err)),
    }
}

fn append_problem(shared: &Shared, door: Door, err: AppendError) -> Problem {
    let refusal = match &err {
        AppendError::Full { .. } => Refusal::QueueFull,
        AppendError::TooLarge { .. } => Refusal::TooLarge,
        AppendError::Unavailable { .. } | AppendError::Stopped | AppendError::Failed(_) => {
            Refusal::Unavailable
        }
    };
    shared.metrics.refused(door.source(), refusal, 1);
    match err {
        AppendError::Full { retry_after_s } => Problem::too_many(err.to_string(), retry_after_s.max(1)),
        AppendError::TooLarge { limit, .. } => Problem::too_large(limit),
        // It may be back at any moment; until then `/readyz` tells.
        AppendError::Unavailable { retry_after_s, .. } => {
            Problem::unavailable(err.to_string(), retry_after_s)
        }
        AppendError::Stopped => Problem::unavailable("the service is stopping; send again in a while", 5),
        AppendError::Failed(_) => {
            shared.note_journal(false);
            tracing::error!(error = %err, "the journal refuses to write");
            let detail = format!("{err}; nothing was kept, send again when /readyz answers 200");
            Problem::unavailable(detail, 30)
        }
    }
}

fn whole_body(body: &[u8], reason: &str) -> Refused {
    let bytes = body[..body.len().min(MAX_LETTER_BYTES + 1)].to_vec();
    Refused { line: 0, reason: reason.to_owned(), bytes }
}

/// A body that could not even be inflated becomes a dead letter as it came.
pub(super) async fn keep_unreadable(
    shared: &Arc<Shared>,
    door: Door,
    body: &[u8],
    reason: &str,
) -> Result<(), Problem> {
    shared.metrics.refused(door.source(), Refusal::NotABody, 1);
    keep_letters(shared, door, vec![whole_body(body, reason)]).await
}

/// Keeps refused parts of a body; durable when it returns.
pub(super) async fn keep_letters(
    shared: &Arc<Shared>,
    door: Door,
    refused: Vec<Refused>,
) -> Result<(), Problem> {
    let letters_of = shared.api.dead_letters.clone();
    let received_ms = now_ms();
    let kept = run_aside(move || {
        let letters: Vec<NewDeadLetter<'_>> = refused
            .iter()
            .map(|part| NewDeadLetter {
                received_ms,
                source: door.source(),
                context: door.context(),
                reason: &part.reason,
                payload: &part.bytes,
            })
            .collect();
        letters_of.add_all(&letters)
    })
    .await?;
    match kept {
        Ok(_) => Ok(()),
        Err(err) => {
            shared.metrics.letters_lost.fetch_add(1, Ordering::Relaxed);
            tracing::error!(error = %err, "refused records could not be kept as dead letters");
            Err(Problem::internal(
                "nothing was accepted, and what was refused could not be kept as dead letters",
            ))
        }
    }
}

impl Receipt {
    /// Keeps what was refused as dead letters.
    pub async fn keep_refused(mut self, shared: &Arc<Shared>, door: Door) -> Result<Receipt, Problem> {
        if self.refused.is_empty() {
            return Ok(self);
        }
        // Only the bytes go: the answer needs lines and reasons.
        let letters = self.refused.iter_mut().map(|part| Refused {
            line: part.line,
            reason: part.reason.clone(),
            bytes: std::mem::take(&mut part.bytes),
        });
        let letters = letters.collect();
        let kept = keep_letters(shared, door, letters).await;
        self.note_letters(kept)
    }

    /// What was accepted is durable and must not come again: then letters that were not kept are a failure
    /// to tell of, not one of the request.
    fn note_letters(mut self, kept: Result<(), Problem>) -> Result<Receipt, Problem> {
        match kept {
            Err(_) if self.accepted > 0 => {
                let not_kept = "what was refused could not be kept as dead letters; its sender must keep it";
                self.failures.push(not_kept.to_owned());
                Ok(self)
            }
            Err(problem) => Err(problem),
            Ok(()) => Ok(self),
        }
    }

    /// 200 when something was good, or there was nothing to do; 422 otherwise.
    pub fn answer(&self, door: Door) -> Result<Response<Body>, Problem> {
        let nothing_to_do = self.refused_count == 0 && door != Door::Records;
        if self.accepted == 0 && !nothing_to_do {
            return Err(self.refusal());
        }
        let tick = self.tick.map_or_else(|| "null".to_owned(), |tick| tick.to_string());
        let (accepted, refused) = (self.accepted, self.refused_count);
        let mut out = format!("{{\"accepted\":{accepted},\"refused\":{refused},\"tick\":{tick},\"errors\":");
        out.push_str(&self.errors().to_string());
        if !self.warnings.is_empty() {
            out.push_str(&format!(",\"warnings\":{}", json!(self.warnings)));
        }
        out.push('}');
        Ok(json_answer(out.into_bytes()))
    }

    fn refusal(&self) -> Problem {
        let detail = match self.refused.first() {
            None => "the body holds no record".to_owned(),
            Some(first) => format!(
                "all {} records were refused, the first one because: {}; they are kept as dead letters",
                self.refused_count, first.reason
            ),
        };
        Problem::refused(detail)
            .with("accepted", 0)
            .with("refused", self.refused_count)
            .with("errors", self.errors())
    }

    fn errors(&self) -> Value {
        let refused = self.refused.iter().take(MAX_ERRORS);
        let refused = refused.map(|part| json!({"line": part.line, "reason": part.reason}));
        refused.chain(self.failures.iter().map(|reason| json!({"line": 0, "reason": reason}))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt(accepted: usize) -> Receipt {
        let refused = vec![Refused { line: 2, reason: "bad".to_owned(), bytes: b"x".to_vec() }];
        let (warnings, failures) = (Vec::new(), Vec::new());
        Receipt { accepted, refused, refused_count: 1, warnings, tick: Some(7), failures }
    }

    #[tokio::test]
    async fn what_is_durable_is_acknowledged_though_its_letters_are_lost() {
        let lost = || Err(Problem::internal("no space"));
        let answer =
            receipt(1).note_letters(lost()).and_then(|receipt| receipt.answer(Door::Records)).unwrap();
        assert_eq!(answer.status(), 200);
        let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            (&answer["accepted"], &answer["refused"], &answer["tick"]),
            (&json!(1), &json!(1), &json!(7))
        );
        assert_eq!(answer["errors"][0], json!({"line": 2, "reason": "bad"}));
        assert!(answer["errors"][1]["reason"].as_str().unwrap().contains("could not be kept"), "{answer}");
        assert!(receipt(0).note_letters(lost()).is_err(), "nothing was kept at all");
    }
}
