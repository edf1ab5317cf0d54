//! Generated inputs as records of the product's own format.

use bench::oracle::Input;
use model::{
    AlertRule, Coord, Fence, LocationEdit, LocationKind, PositionRef, ProviderAlert, Record, Ring, Severity,
    Shape, TimeMs, TripEdit, TripStatus, VehicleEdit,
};
use serde_json::{Value, json};

/// The same inputs, each with the time of its arrival, as a journal stamps them. A position that no file can
/// hold is malformed.
pub fn stamped(inputs: &[Input]) -> Vec<Input> {
    let mut now = TimeMs(0);
    inputs.iter().map(|input| stamp(input, &mut now)).collect()
}

fn stamp(input: &Input, now: &mut TimeMs) -> Input {
    let own_time = match input {
        Input::Position { position, .. } if model::range_ok(0.1, 0.1, position.event_time).is_ok() => {
            Some(position.event_time)
        }
        _ => None,
    };
    *now = input.received().or(own_time).unwrap_or(*now).max(*now);
    let mut input = input.clone();
    match &mut input {
        Input::Position { position, .. } if !position.lat.is_finite() => {
            return Input::Malformed { received: Some(*now) };
        }
        Input::Position { received, .. }
        | Input::Fence { received, .. }
        | Input::FenceDelete { received, .. }
        | Input::Trip { received, .. }
        | Input::Location { received, .. }
        | Input::Rule { received, .. }
        | Input::ProviderAlert { received, .. }
        | Input::Vehicle { received, .. }
        | Input::Settings { received, .. }
        | Input::Backfill { received, .. }
        | Input::Clock { received }
        | Input::Malformed { received }
        | Input::Other { received } => *received = Some(*now),
    }
    input
}

/// A stamped input as a line.
pub fn line(input: &Input) -> Vec<u8> {
    let received = input.received().expect("it is stamped");
    let record = match input {
        Input::Position { vehicle_id, position, .. } => {
            let mut line = Vec::new();
            let position = PositionRef { vehicle_id, spelling: None, position: *position };
            sources::encode_position(&mut line, received, &position);
            return line;
        }
        Input::Fence { fence, .. } => {
            let feature_json = feature(fence).to_string().into();
            Record::FenceUpsert(Fence { feature_json, ..Fence::clone(fence) }.into())
        }
        Input::FenceDelete { id, at, .. } => Record::FenceDelete { id: id.as_str().into(), at: *at },
        Input::Trip { id, edit, .. } => {
            Record::Trip { id: id.as_str().into(), edit: edit.clone(), json: trip(id, edit).to_string() }
        }
        Input::Location { id, edit, .. } => Record::Location {
            id: id.as_str().into(),
            edit: edit.clone(),
            json: location(id, edit).to_string(),
        },
        Input::Rule { rule, .. } => Record::Rule { rule: rule.clone(), json: rule_json(rule).to_string() },
        Input::ProviderAlert { alert, .. } => {
            Record::ProviderAlert { alert: alert.clone(), json: provider_alert(alert).to_string() }
        }
        Input::Vehicle { id, edit, .. } => Record::Vehicle {
            id: id.as_str().into(),
            edit: edit.clone(),
            json: vehicle(id, edit).to_string(),
        },
        Input::Settings { values, .. } => Record::Settings(values.clone()),
        Input::Backfill { from, to, .. } => Record::Backfill { from: *from, to: *to },
        Input::Clock { .. } | Input::Other { .. } => {
            let json = r#"{"type":"driver","op":"delete","id":"D"}"#.to_owned();
            Record::Other { kind: "driver", json }
        }
        Input::Malformed { .. } => Record::Undecodable { reason: "spoilt".to_owned() },
    };
    let mut line = Vec::new();
    sources::encode_record(&mut line, received, &record);
    line
}

fn trip(id: &str, edit: &TripEdit) -> Value {
    match edit {
        TripEdit::Plan(plan) => {
            let trip = json!({
                "id": id,
                "vehicle_id": *plan.vehicle_id,
                "pickup": *plan.pickup,
                "delivery": *plan.delivery,
                "corridor": plan.corridor.as_deref(),
                "client": plan.client.as_deref(),
                "waypoints": plan.waypoints.iter().map(|id| &**id).collect::<Vec<_>>(),
                "scheduled_departure": plan.scheduled_departure.to_string(),
                "scheduled_arrival": plan.scheduled_arrival.map(|time| time.to_string()),
            });
            json!({"type": "trip", "op": "upsert", "trip": trip})
        }
        TripEdit::SetStatus { status, by } => {
            let status = status.map(TripStatus::as_str);
            json!({"type": "trip", "op": "set_status", "id": id, "status": status, "by": **by})
        }
    }
}

fn location(id: &str, edit: &LocationEdit) -> Value {
    match edit {
        LocationEdit::Upsert { fence_id, kind } => {
            let kind = kind.map(LocationKind::as_str);
            let location = json!({"id": id, "fence_id": fence_id.as_deref(), "type": kind});
            json!({"type": "location", "op": "upsert", "location": location})
        }
        LocationEdit::Delete => json!({"type": "location", "op": "delete", "id": id}),
    }
}

fn rule_json(rule: &AlertRule) -> Value {
    let (scope, scope_id) = rule.scope.parts();
    let units = |milli: Option<i64>| milli.map(|milli| milli as f64 / 1000.0);
    json!({
        "type": "rule",
        "kind": *rule.kind,
        "scope": scope,
        "scope_id": scope_id.map(|id| &**id),
        "threshold": units(rule.threshold_milli),
        "duration_s": units(rule.duration_ms),
        "severity": rule.severity.map(Severity::as_str),
        "enabled": rule.enabled,
        "correct_history": rule.correct_history,
    })
}

fn provider_alert(alert: &ProviderAlert) -> Value {
    let details: Option<Value> =
        alert.details.as_deref().map(|json| serde_json::from_str(json).expect("JSON"));
    json!({
        "type": "provider_alert",
        "vehicle_id": *alert.vehicle_id,
        "kind": *alert.kind,
        "provider_id": alert.provider_id.as_deref(),
        "started": alert.started.map(|time| time.to_string()),
        "ended": alert.ended.map(|time| time.to_string()),
        "details": details,
    })
}

fn vehicle(id: &str, edit: &VehicleEdit) -> Value {
    match edit {
        VehicleEdit::Upsert { company, is_operational } => {
            let status = if *is_operational { "operational" } else { "maintenance" };
            let vehicle = json!({"id": id, "company": company.as_deref(), "status": status});
            json!({"type": "vehicle", "op": "upsert", "vehicle": vehicle})
        }
        VehicleEdit::Delete => json!({"type": "vehicle", "op": "delete", "id": id}),
    }
}

fn feature(fence: &Fence) -> Value {
    let degrees = |units: i64| units as f64 / 1e7;
    let place = |at: &(i64, i64)| json!([degrees(at.0), degrees(at.1)]);
    let places = |ring: &Ring| ring.vertices.iter().map(place).collect::<Vec<_>>();
    let closed = |ring: &Ring| {
        let mut places = places(ring);
        places.extend(places.first().cloned());
        places
    };
    let seconds = |ms: Option<i64>| ms.map(|ms| ms as f64 / 1000.0);
    let settings = &fence.settings;
    let mut properties = json!({
        "exit_buffer_m": settings.exit_buffer_m,
        "min_dwell_s": seconds(settings.min_dwell_ms),
        "max_absence_s": seconds(settings.max_absence_ms),
        "alert": settings.alert,
        "crossed": settings.crossed,
        "speed_limit_kmh": settings.speed_limit_kmh,
        "active": settings.active.as_ref().map(|schedule| schedule.text()),
        "active_zone": settings.active.as_ref().and_then(|schedule| schedule.zone()?.iana_name()),
        "valid_from": fence.valid_from.map(|time| time.to_string()),
        "valid_to": fence.valid_to.map(|time| time.to_string()),
    });
    let geometry = match &fence.shape {
        Shape::Circle { centre: Coord { lon, lat }, radius_m } => {
            properties["radius_m"] = json!(radius_m);
            json!({"type": "Point", "coordinates": place(&(i64::from(*lon), i64::from(*lat)))})
        }
        Shape::Corridor { line, width_m } => {
            properties["width_m"] = json!(width_m);
            json!({"type": "LineString", "coordinates": places(line)})
        }
        Shape::Polygon { parts } => {
            let parts: Vec<Vec<_>> = parts.iter().map(|part| part.iter().map(closed).collect()).collect();
            json!({"type": "MultiPolygon", "coordinates": parts})
        }
    };
    json!({"type": "Feature", "id": *fence.id, "properties": properties, "geometry": geometry})
}
