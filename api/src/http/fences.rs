//! Fences: read as GeoJSON, and edited through the journal like everything else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use axum::http::header;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::ingest::WriteHead;
use super::openapi::{FeatureDoc, FencePageDoc, LiveFeatureDoc, ProblemDoc, ReceiptDoc};
use super::params::{self, Id, ListParams, LiveParams, Params};
use super::submit::{Door, EditTurn, keep_unreadable, submit};
use super::{
    MIN_TICK_WAIT, Shared, begin_object, edits, end_with_list, ingest, json as json_answer, read_cursor,
    write_text,
};
use crate::problem::Problem;
use crate::views::{CursorWriter, FenceView};

const FENCES: u8 = b'f';
/// Members that answers add to a feature, and that come back when it is edited and sent again.
const ADDED_MEMBERS: [&str; 2] = ["as_of", "tick"];

/// How a fence is put.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PutParams {
    /// For an id that was deleted: the fence had never gone. Without it such an id needs `valid_from`.
    #[param(value_type = Option<bool>)]
    correct_history: Option<String>,
}

/// How a fence is deleted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteParams {
    /// From when on it is gone, RFC 3339; now if not given.
    at: Option<String>,
}

/// The fences that are valid now, in order of their ids. A page of large ones may hold fewer than `limit`.
#[utoipa::path(get, path = "/api/v1/fences", tag = "fences", params(ListParams), responses(
    (status = 200, body = FencePageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_fences(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(FENCES, params.cursor.as_deref(), |cursor| cursor.text())?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.fences.page(state.stamp.instant, after.as_deref(), limit))
    };
    let mut out = begin_object(stamp);
    out.extend_from_slice(b",\"type\":\"FeatureCollection\"");
    let features = page.rows.iter().map(Feature::of).collect::<Result<Vec<_>, _>>()?;
    let next = page.next.map(|id| CursorWriter::new(FENCES).text(&id).finish());
    let write = |out: &mut Vec<u8>, feature: Feature<'_>| {
        out.push(b'{');
        feature.write(out);
        out.push(b'}');
    };
    end_with_list(&mut out, "features", features, write, next);
    Ok(json_answer(out))
}

/// One fence that is valid now. Its `ETag` changes with every edit, of its past and future versions too.
#[utoipa::path(get, path = "/api/v1/fences/{id}", tag = "fences",
    params(("id" = String, Path, description = "The fence's id."), LiveParams), responses(
    (status = 200, body = LiveFeatureDoc, headers(("ETag" = String, description = "For `If-Match`."))),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn get_fence(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<LiveParams>,
) -> Result<Response<Body>, Problem> {
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, found) = {
        let state = shared.api.views.read();
        let (fences, instant) = (&state.fences, state.stamp.instant);
        (state.stamp, fences.get(&id, instant).zip(fences.fingerprint(&id, instant)))
    };
    let (fence, fingerprint) = found.ok_or_else(|| Problem::not_found("fence", &id))?;
    let mut out = begin_object(stamp);
    out.push(b',');
    Feature::of(&fence)?.write(&mut out);
    out.push(b'}');
    let mut answer = json_answer(out);
    answer.headers_mut().insert(header::ETAG, fingerprint.etag());
    Ok(answer)
}

/// A feature as it was received, but for its id, which is always at its place.
struct Feature<'a> {
    id: &'a str,
    members: FeatureMembers<'a>,
}

/// The members that every feature has.
#[derive(Deserialize)]
struct FeatureMembers<'a> {
    #[serde(borrow)]
    properties: Option<&'a RawValue>,
    #[serde(borrow)]
    geometry: Option<&'a RawValue>,
}

impl<'a> Feature<'a> {
    fn of(fence: &'a FenceView) -> Result<Feature<'a>, Problem> {
        let members = serde_json::from_str(&fence.feature_json)
            .map_err(|err| Problem::internal(format!("the kept feature of fence {:?}: {err}", fence.id)))?;
        Ok(Feature { id: &fence.id, members })
    }

    /// The members, without braces.
    fn write(&self, out: &mut Vec<u8>) {
        let raw = |value: Option<&'a RawValue>| value.map_or("null", RawValue::get).as_bytes();
        out.extend_from_slice(b"\"type\":\"Feature\",\"id\":");
        write_text(out, Some(self.id));
        out.extend_from_slice(b",\"properties\":");
        out.extend_from_slice(raw(self.members.properties));
        out.extend_from_slice(b",\"geometry\":");
        out.extend_from_slice(raw(self.members.geometry));
    }
}

/// Creates or replaces a fence. Without `valid_from` it corrects all of the fence's past.
#[utoipa::path(put, path = "/api/v1/fences/{id}", tag = "fences", request_body = FeatureDoc,
    params(("id" = String, Path, description = "The fence's id."), PutParams,
        ("If-Match" = Option<String>, Header, description = "`ETag` of the fence that the edit is made of.")),
    responses(
    (status = 200, description = "Durable.", body = ReceiptDoc),
    (status = 412, description = "The fence was changed since.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn put_fence(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<PutParams>,
    head: WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let correct_history = params::yes_or_no("correct_history", params.correct_history.as_deref())?;
    let edited = edits::tags_of_edited(&head.headers)?;
    let (body, held) = ingest::read_write(&shared, Door::Records, &head, body).await?;
    let feature = match read_feature(&id, &body) {
        Ok(feature) => feature,
        Err(reason) => {
            keep_unreadable(&shared, Door::Records, &body, &reason).await?;
            return Err(Problem::bad_body(reason));
        }
    };
    let has_valid_from = feature.pointer("/properties/valid_from").is_some_and(|time| !time.is_null());
    let may_come_back = has_valid_from || correct_history;
    let is_judged = edited.is_some() || !may_come_back;
    if is_judged {
        edits::catch_up(&shared, MIN_TICK_WAIT).await?;
    }
    let turn = shared.edits.clone().write_owned().await;
    let shared_too = shared.clone();
    let work = async move {
        let _held = held;
        if is_judged {
            edits::catch_up(&shared_too, edits::WAIT_IN_TURN).await?;
        }
        if let Some(tags) = edited {
            refuse_changed(&shared_too, &id, &tags)?;
        }
        if !may_come_back {
            refuse_deleted(&shared_too, &id)?;
        }
        let record = json!({"type": "fence", "op": "upsert", "feature": feature});
        submit(&shared_too, Door::Records, record.to_string().into(), EditTurn::Held).await
    };
    shared.to_the_end(turn, work).await
}

/// An edit made of one state of a fence must not take away what another edit has made of it since.
fn refuse_changed(shared: &Shared, id: &str, tags: &[String]) -> Result<(), Problem> {
    let now = {
        let state = shared.api.views.read();
        state.fences.fingerprint(id, state.stamp.instant)
    };
    if edits::is_tagged(now, tags) {
        return Ok(());
    }
    Err(edits::changed(match now {
        Some(_) => {
            format!("fence {id:?} was changed since it was read; read it again, and edit what it is now")
        }
        None => format!("fence {id:?} is not there any more; without If-Match, a PUT creates it anew"),
    }))
}

/// A deleted id comes back only on purpose.
fn refuse_deleted(shared: &Shared, id: &str) -> Result<(), Problem> {
    let is_deleted = {
        let state = shared.api.views.read();
        state.fences.is_deleted(id, state.stamp.instant)
    };
    if !is_deleted {
        return Ok(());
    }
    Err(Problem::conflict(format!(
        "fence {id:?} was deleted; give properties.valid_from, from when on it is there again, or \
         correct_history=true if it had never gone"
    )))
}

fn read_feature(id: &str, body: &[u8]) -> Result<Value, String> {
    let mut feature: Value =
        serde_json::from_slice(body).map_err(|err| format!("the body must be a GeoJSON Feature: {err}"))?;
    let Some(members) = feature.as_object_mut().filter(|m| m.get("type") == Some(&"Feature".into())) else {
        return Err("the body must be one GeoJSON Feature, an object with type \"Feature\"".to_owned());
    };
    let own_id = members.get("id").or_else(|| members.get("properties")?.get("id")).cloned();
    let own_id = match own_id {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text),
        Some(other) => Some(other.to_string()),
    };
    if let Some(own_id) = own_id.filter(|own_id| own_id != id) {
        return Err(format!(
            "the feature's id is {own_id:?}, the path's {id:?}; make them equal, or leave the feature's out"
        ));
    }
    members.insert("id".to_owned(), id.into());
    for name in ADDED_MEMBERS {
        members.remove(name);
    }
    Ok(feature)
}

/// Deletes a fence from a time on.
#[utoipa::path(delete, path = "/api/v1/fences/{id}", tag = "fences",
    params(("id" = String, Path, description = "The fence's id."), DeleteParams,
        ("If-Match" = Option<String>, Header, description = "`ETag` of the fence that is meant.")),
    responses(
    (status = 200, description = "Durable.", body = ReceiptDoc),
    (status = 412, description = "The fence was changed since.", body = ProblemDoc,
        content_type = "application/problem+json"),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn delete_fence(
    State(shared): State<Arc<Shared>>,
    Id(id): Id,
    Params(params): Params<DeleteParams>,
    head: WriteHead,
    body: Body,
) -> Result<Response<Body>, Problem> {
    let at = params::time("at", params.at.as_deref())?;
    let edited = edits::tags_of_edited(&head.headers)?;
    ingest::read_write(&shared, Door::Records, &head, body).await?;
    edits::catch_up(&shared, MIN_TICK_WAIT).await?;
    let turn = shared.edits.clone().write_owned().await;
    let shared_too = shared.clone();
    let work = async move {
        edits::catch_up(&shared_too, edits::WAIT_IN_TURN).await?;
        if let Some(tags) = edited {
            refuse_changed(&shared_too, &id, &tags)?;
        }
        if !shared_too.api.views.read().fences.is_known(&id) {
            return Err(Problem::not_found("fence", &id));
        }
        let mut record = json!({"type": "fence", "op": "delete", "id": id});
        if let Some(at) = at {
            record["at"] = at.to_string().into();
        }
        submit(&shared_too, Door::Records, record.to_string().into(), EditTurn::Held).await
    };
    shared.to_the_end(turn, work).await
}
