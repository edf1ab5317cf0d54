//! The bytes of records of trips and locations.

use std::sync::Arc;

use model::{TimeMs, push_json_string};

use super::super::life::truck_name;
use super::super::world::World;
use super::{Act, Plan, SimTrip, TripAct};

/// Appends a record that creates the location of a place with a fence; `false` where the place has none.
pub(crate) fn push_location_upsert(
    records: &mut Vec<u8>,
    world: &World,
    place: u32,
    received: Option<TimeMs>,
) -> bool {
    let Some(fence) = world.places[place as usize].fence else {
        return false;
    };
    let label = &world.fences[fence as usize].label;
    push_head(records, "location", received, "upsert");
    push_text(records, ",\"location\":{\"id\":", &location_id(world, place));
    push_text(records, ",\"name\":", &label.name);
    push_text(records, ",\"type\":", label.kind.as_str());
    push_text(records, ",\"fence_id\":", &label.id);
    let (lon, lat) = world.places[place as usize].end.at.degrees();
    push_raw(records, &format!(",\"lon\":{lon:.7},\"lat\":{lat:.7}}}}}\n"));
    true
}

/// Appends the record of what somebody does to a trip.
pub(crate) fn push_trip_act(records: &mut Vec<u8>, world: &World, next: &TripAct, received: Option<TimeMs>) {
    let trip = &next.trip;
    match next.act() {
        Act::Plan(plan) => {
            push_head(records, "trip", received, "upsert");
            push_plan(records, world, trip, plan);
        }
        Act::SetStatus(status) => {
            push_head(records, "trip", received, "set_status");
            push_text(records, ",\"id\":", &trip.id);
            match status {
                Some(status) => push_text(records, ",\"status\":", status.as_str()),
                None => push_raw(records, ",\"status\":null"),
            }
            push_text(records, ",\"by\":", trip.by);
        }
        Act::Cancel => {
            push_head(records, "trip", received, "cancel");
            push_text(records, ",\"id\":", &trip.id);
            push_text(records, ",\"by\":", trip.by);
        }
    }
    records.extend_from_slice(b"}\n");
}

fn push_plan(records: &mut Vec<u8>, world: &World, trip: &SimTrip, plan: &Plan) {
    push_text(records, ",\"trip\":{\"id\":", &trip.id);
    push_text(records, ",\"vehicle_id\":", &truck_name(plan.truck));
    if let Some(client) = client(world, plan) {
        push_text(records, ",\"client\":", client);
    }
    push_text(records, ",\"pickup\":", &location_id(world, plan.pickup));
    push_text(records, ",\"delivery\":", &location_id(world, plan.delivery));
    push_text(records, ",\"container_no\":", &trip.cargo.container_no);
    push_text(records, ",\"cargo_type\":", trip.cargo.cargo_type);
    let weight = trip.cargo.weight_tenths_t;
    push_raw(records, &format!(",\"weight_t\":{}.{}", weight / 10, weight % 10));
    push_time(records, ",\"scheduled_departure\":", plan.scheduled_departure);
    if let Some(arrival) = plan.scheduled_arrival {
        push_time(records, ",\"scheduled_arrival\":", arrival);
    }
    push_raw(records, "}");
}

/// Whose load it is: that of the place where it is unloaded.
pub(crate) fn client<'a>(world: &'a World, plan: &Plan) -> Option<&'a Arc<str>> {
    let fence = world.places[plan.delivery as usize].fence?;
    Some(&world.fences[fence as usize].label.name)
}

/// A location's id is another than its fence's.
pub(crate) fn location_id(world: &World, place: u32) -> String {
    let fence = world.places[place as usize].fence.map(|fence| &world.fences[fence as usize].label.id);
    format!("site-{}", fence.map_or("", |id| id))
}

fn push_head(records: &mut Vec<u8>, kind: &str, received: Option<TimeMs>, op: &str) {
    push_text(records, "{\"type\":", kind);
    if let Some(received) = received {
        push_time(records, ",\"received_time\":", received);
    }
    push_text(records, ",\"op\":", op);
}

fn push_raw(records: &mut Vec<u8>, text: &str) {
    records.extend_from_slice(text.as_bytes());
}

fn push_text(records: &mut Vec<u8>, before: &str, text: &str) {
    push_raw(records, before);
    push_json_string(records, text);
}

fn push_time(records: &mut Vec<u8>, before: &str, time: TimeMs) {
    push_raw(records, before);
    records.push(b'"');
    time.write(records);
    records.push(b'"');
}
