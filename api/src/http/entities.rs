//! Master data as records last gave it: vehicles, drivers, organizations, locations, and who drives what.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use model::TimeMs;
use serde::Deserialize;
use utoipa::IntoParams;

use super::openapi::{AssignmentPageDoc, EntityPageDoc, ProblemDoc};
use super::params::{self, ListParams, Params};
use super::{Shared, list, read_cursor, write_text, write_time};
use crate::problem::Problem;
use crate::views::{AssignmentFilter, AssignmentKey, AssignmentView, CursorWriter, EntityKind};

const ASSIGNMENTS: u8 = b'A';

/// Which letter stands for a list in its cursors.
fn letter(kind: EntityKind) -> u8 {
    match kind {
        EntityKind::Vehicle => b'V',
        EntityKind::Driver => b'D',
        EntityKind::Organization => b'O',
        EntityKind::Location => b'L',
    }
}

/// Vehicles as their records last gave them, in order of their ids. Trucks that only sent positions are in the list of
/// trucks.
#[utoipa::path(get, path = "/api/v1/vehicles", tag = "master data", params(ListParams), responses(
    (status = 200, body = EntityPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_vehicles(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    list_entities(&shared, EntityKind::Vehicle, &params).await
}

/// Drivers as their records last gave them, in order of their ids.
#[utoipa::path(get, path = "/api/v1/drivers", tag = "master data", params(ListParams), responses(
    (status = 200, body = EntityPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_drivers(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    list_entities(&shared, EntityKind::Driver, &params).await
}

/// Organizations as their records last gave them, in order of their ids.
#[utoipa::path(get, path = "/api/v1/organizations", tag = "master data", params(ListParams), responses(
    (status = 200, body = EntityPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_organizations(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    list_entities(&shared, EntityKind::Organization, &params).await
}

/// Locations as their records last gave them, in order of their ids.
#[utoipa::path(get, path = "/api/v1/locations", tag = "master data", params(ListParams), responses(
    (status = 200, body = EntityPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_locations(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<ListParams>,
) -> Result<Response<Body>, Problem> {
    list_entities(&shared, EntityKind::Location, &params).await
}

async fn list_entities(
    shared: &Shared,
    kind: EntityKind,
    params: &ListParams,
) -> Result<Response<Body>, Problem> {
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let after = read_cursor(letter(kind), params.cursor.as_deref(), |cursor| cursor.text())?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.entities.page(kind, after.as_deref(), limit))
    };
    let next = page.next.map(|id| CursorWriter::new(letter(kind)).text(&id).finish());
    let write = |out: &mut Vec<u8>, fields: Arc<str>| out.extend_from_slice(fields.as_bytes());
    Ok(list(stamp, page.rows, write, next))
}

/// Some of the assignments.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AssignmentParams {
    /// Of this vehicle.
    vehicle_id: Option<String>,
    /// Of this driver.
    driver_id: Option<String>,
    /// That hold at this time, RFC 3339.
    at: Option<String>,
    /// Rows a page, 1 to 1000; 100 if not given.
    #[param(value_type = Option<u32>)]
    limit: Option<String>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Wait (at most 5 s) until this tick is shown.
    #[param(value_type = Option<u64>)]
    min_tick: Option<String>,
}

/// Who drives what, and when; in the order of vehicles, beginnings and drivers.
#[utoipa::path(get, path = "/api/v1/assignments", tag = "master data", params(AssignmentParams), responses(
    (status = 200, body = AssignmentPageDoc),
    (status = "4XX", body = ProblemDoc, content_type = "application/problem+json"),
))]
pub(super) async fn list_assignments(
    State(shared): State<Arc<Shared>>,
    Params(params): Params<AssignmentParams>,
) -> Result<Response<Body>, Problem> {
    let limit = params::limit(params.limit.as_deref(), 100)?;
    let filter = AssignmentFilter {
        vehicle_id: params::shared_text(params.vehicle_id.as_deref()),
        driver_id: params::shared_text(params.driver_id.as_deref()),
        at: params::time("at", params.at.as_deref())?,
    };
    let after = read_cursor(ASSIGNMENTS, params.cursor.as_deref(), |cursor| {
        let (vehicle_id, from) = (cursor.text()?.into(), TimeMs(cursor.number()?.cast_signed()));
        Ok(AssignmentKey { vehicle_id, from, driver_id: cursor.text()?.into() })
    })?;
    shared.at_tick(params.min_tick.as_deref()).await?;
    let (stamp, page) = {
        let state = shared.api.views.read();
        (state.stamp, state.entities.assignment_page(&filter, after.as_ref(), limit))
    };
    let next = page.next.map(|AssignmentKey { vehicle_id, from, driver_id }| {
        let cursor = CursorWriter::new(ASSIGNMENTS).text(&vehicle_id);
        cursor.number(from.0.cast_unsigned()).text(&driver_id).finish()
    });
    Ok(list(stamp, page.rows, write_assignment, next))
}

fn write_assignment(out: &mut Vec<u8>, AssignmentView { key, to }: AssignmentView) {
    out.extend_from_slice(b"{\"vehicle_id\":");
    write_text(out, Some(&key.vehicle_id));
    out.extend_from_slice(b",\"driver_id\":");
    write_text(out, Some(&key.driver_id));
    out.extend_from_slice(b",\"from_time\":");
    write_time(out, Some(key.from));
    out.extend_from_slice(b",\"to_time\":");
    write_time(out, to);
    out.push(b'}');
}
