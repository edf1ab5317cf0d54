//! Dead letters: what was refused at the door can be listed, read, thrown away, and sent again.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use journal::{DeadLetter, StoreError};
use model::TimeMs;

use super::ingest::WriteHead;
use super::openapi::{DeadLetterDoc, DeadLetterPageDoc, ProblemDoc, ReceiptDoc};
use super::params::{self, Id, ListParams, Params};
use sources::code;

use super::submit::{Door, EditTurn, Undone, append_checked};
use super::{Shared, begin_object, ingest, json, list, read_cursor, run_aside, write_text, write_time};
use crate::problem::Problem;
use crate::views::CursorWriter;

const LETTERS: u8 = b'd';
/// How much of a payload a list shows.
const EXCERPT_BYTES: usize = 200;
/// How many letters are in memory, whole, at a time.
const LETTERS_AT_ONCE: usize = 16;

/// A letter without most of its payload.
struct Summary {
    letter: DeadLetter,
    bytes: usize,
}

/// What was refused at the door, oldest first.
#[utoipa::path(get, path = "/api/v1/dead-letters", tag = "dead letters", params(ListParams), responses(
    (status = 200, body = DeadLetterPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_dead_letters(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(LETTERS, params.cursor.as_deref(), |cursor| cursor.number())?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let letters = shared.api.dead_letters.clone();
    let found = shared.reads.run(move || read_page(&letters, after.unwrap_or(0), limit)).await?;
    let (rows, next) = found.map_err(store_problem)?;
    let next = next.map(|id| CursorWriter::new(LETTERS).number(id).finish());
    let write = |out: &mut Vec<u8>, summary: Summary| {
        out.push(b'{');
        write_letter(out, &summary.letter, summary.bytes);
        out.push(b'}');
    };
    Ok(list(shared.api.views.stamp(), rows, write, next))
}

/// Reads few letters at a time, since each may have a megabyte, and keeps their beginnings.
fn read_page(
    letters: &journal::DeadLetters,
    mut after_id: u64,
    limit: usize,
) -> Result<(Vec<Summary>, Option<u64>), StoreError> {
    let mut rows: Vec<Summary> = Vec::new();
    loop {
        let batch = letters.list(after_id, LETTERS_AT_ONCE)?;
        if batch.is_empty() {
            return Ok((rows, None));
        }
        for mut letter in batch {
            if rows.len() == limit {
                return Ok((rows, Some(after_id)));
            }
            after_id = letter.id;
            let bytes = letter.payload.len();
            letter.payload.truncate(EXCERPT_BYTES);
            letter.payload.shrink_to_fit();
            rows.push(Summary { letter, bytes });
        }
    }
}

/// One dead letter, with its payload.
#[utoipa::path(get, path = "/api/v1/dead-letters/{id}", tag = "dead letters",
    params(("id" = u64, Path, description = "The letter's id.")), responses(
    (status = 200, body = DeadLetterDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_dead_letter(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
) -> Result<Response<Body>, Problem> {
    let letter = find(&shared, &id).await?;
    let mut out = begin_object(shared.api.views.stamp());
    out.push(b',');
    write_letter(&mut out, &letter, letter.payload.len());
    out.extend_from_slice(b",\"payload\":");
    write_text(&mut out, Some(&String::from_utf8_lossy(&letter.payload)));
    let is_text = std::str::from_utf8(&letter.payload).is_ok();
    out.extend_from_slice(format!(",\"payload_is_text\":{is_text}}}").as_bytes());
    Ok(json(out))
}

/// Throws a dead letter away.
#[utoipa::path(delete, path = "/api/v1/dead-letters/{id}", tag = "dead letters",
    params(("id" = u64, Path, description = "The letter's id.")), responses(
    (status = 204, description = "It is gone."),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn delete_dead_letter(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    head: WriteHead,
    body: Body,
) -> Result<StatusCode, Problem> {
    ingest::read_write(&shared, Door::Records, &head, body).await?;
    let number = letter_id(&id)?;
    let turn = shared.letter_work.clone().lock_owned().await;
    let shared_too = shared.clone();
    let removed = shared.to_the_end(turn, async move { remove(&shared_too, number).await }).await?;
    if removed { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("dead letter", &id)) }
}

/// Sends a dead letter through the check that refused it once more, or a corrected body in its place.
/// When something of it is good, the letter is gone; what is still bad in it becomes new dead letters.
#[utoipa::path(post, path = "/api/v1/dead-letters/{id}/replay", tag = "dead letters",
    params(("id" = u64, Path, description = "The letter's id.")),
    request_body(content = Option<String>, content_type = "application/json",
        description = "The corrected body; without one the letter is sent as it is."),
    responses(
        (status = 200, description = "Durable.", body = ReceiptDoc),
        (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
    ))]
pub(super) async fn replay_dead_letter(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    head: WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let (corrected, held) = ingest::read_write(&shared, Door::Records, &head, body).await?;
    let turn = shared.letter_work.clone().lock_owned().await;
    let shared_too = shared.clone();
    let work = async move {
        let _held = held;
        send_again(&shared_too, &id, corrected).await
    };
    shared.to_the_end(turn, work).await
}

/// Nobody else may work on letters meanwhile: between the look and the removal a second one would find the
/// letter, too.
async fn send_again(shared: &Arc<Shared>, id: &str, corrected: Bytes) -> Result<Response<Body>, Problem> {
    let letter = find(shared, id).await?;
    let Some(door) = Door::of_letter(letter.source, &letter.context) else {
        let source = sources::source_name(letter.source);
        return Err(Problem::conflict(format!(
            "a dead letter of source {source} cannot be sent again; delete it"
        )));
    };
    let mut body = if corrected.is_empty() { Bytes::from(letter.payload) } else { corrected };
    if let (code::KAFKA, Some(mapping)) = (letter.source, &shared.api.config.kafka_mapping) {
        body = sources::kafka::to_records(&body, mapping).map_err(Problem::bad_body)?.into();
    }
    let receipt = match append_checked(shared, door, &body, EditTurn::NotHeld).await {
        Ok(receipt) => receipt,
        Err(Undone::NotABody(reason)) => return Err(Problem::bad_body(reason)),
        Err(Undone::Problem(problem)) => return Err(problem),
    };
    // Nothing of it is good: it stays, and does not breed.
    receipt.answer(door)?;
    let mut receipt = receipt.keep_refused(shared, door).await?;
    // After the append, so that a letter is never lost; and it stays where what is bad in it is kept nowhere
    // else.
    if receipt.failures.is_empty() && remove(shared, letter.id).await.is_err() {
        receipt.failures.push("the letter could not be removed; do not send it again".to_owned());
    }
    receipt.answer(door)
}

fn letter_id(id: &str) -> Result<u64, Problem> {
    id.parse().map_err(|_| Problem::not_found("dead letter", id))
}

async fn find(shared: &Shared, id: &str) -> Result<DeadLetter, Problem> {
    let number = letter_id(id)?;
    let letters = shared.api.dead_letters.clone();
    let found = run_aside(move || letters.get(number)).await?.map_err(store_problem)?;
    found.ok_or_else(|| Problem::not_found("dead letter", id))
}

async fn remove(shared: &Shared, id: u64) -> Result<bool, Problem> {
    let letters = shared.api.dead_letters.clone();
    run_aside(move || letters.remove(id)).await?.map_err(store_problem)
}

fn store_problem(err: StoreError) -> Problem {
    tracing::error!(error = %err, "the store of dead letters failed");
    Problem::internal(format!("the store of dead letters failed: {err}"))
}

/// The fields of a letter, without braces and payload.
fn write_letter(out: &mut Vec<u8>, letter: &DeadLetter, bytes: usize) {
    out.extend_from_slice(format!("\"id\":{},\"received_time\":", letter.id).as_bytes());
    write_time(out, Some(TimeMs(letter.received_ms)));
    out.extend_from_slice(b",\"source\":");
    write_text(out, Some(sources::source_name(letter.source)));
    out.extend_from_slice(b",\"context\":");
    write_text(out, Some(&letter.context));
    out.extend_from_slice(b",\"reason\":");
    write_text(out, Some(&letter.reason));
    out.extend_from_slice(format!(",\"bytes\":{bytes},\"excerpt\":").as_bytes());
    let beginning = &letter.payload[..letter.payload.len().min(EXCERPT_BYTES)];
    write_text(out, Some(&String::from_utf8_lossy(beginning)));
}
