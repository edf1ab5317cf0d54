//! What a piece of the journal comes to: positions, and edits of fences and master data.

use std::sync::Arc;

use model::{Fence, Position, PositionRef, Record, RecordSink, TimeMs};
use serde_json::Value;

/// A position as it is written.
#[derive(Clone, Debug)]
pub(super) struct PositionRow {
    pub vehicle_id: Box<str>,
    pub position: Position,
    pub received: TimeMs,
    pub seq: u64,
}

/// A table of master data whose rows are bodies by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntityTable {
    pub name: &'static str,
    pub key: &'static str,
}

/// What becomes of something that people edit.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    FenceUpsert(Arc<Fence>),
    FenceDelete { id: Box<str>, at: TimeMs },
    Upsert { table: EntityTable, id: String, body: String },
    Delete { table: EntityTable, id: String },
    Assignment { driver_id: String, vehicle_id: String, from: TimeMs, to: Option<TimeMs> },
}

/// Gathers what ticks bring.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub positions: Vec<PositionRow>,
    pub edits: Vec<(u64, Edit)>,
    /// The records of all ticks so far, those before this piece included.
    pub records: u64,
    pub tick: u64,
    /// When the entry that is read was received.
    pub received: TimeMs,
}

impl Gathered {
    fn edit(&mut self, edit: Option<Edit>) {
        self.edits.extend(edit.map(|edit| (self.tick, edit)));
    }
}

impl RecordSink for Gathered {
    fn position(&mut self, _: Option<TimeMs>, decoded: PositionRef<'_>) {
        self.records += 1;
        let (lon, lat) = (decoded.position.lon, decoded.position.lat);
        // What no text there can have, and no map.
        if decoded.vehicle_id.contains('\0') || !(lon.abs() <= 180.0 && lat.abs() <= 90.0) {
            return;
        }
        self.positions.push(PositionRow {
            vehicle_id: decoded.vehicle_id.into(),
            position: decoded.position,
            received: self.received,
            seq: self.records,
        });
    }

    fn record(&mut self, _: Option<TimeMs>, record: Record) {
        self.records += 1;
        match &record {
            Record::FenceUpsert(fence) => self.edit(Some(Edit::FenceUpsert(fence.clone()))),
            Record::FenceDelete { id, at } => {
                let at = at.unwrap_or(self.received);
                self.edit(Some(Edit::FenceDelete { id: (**id).into(), at }));
            }
            Record::Vehicle { json, .. }
            | Record::Location { json, .. }
            | Record::Trip { json, .. }
            | Record::Other { json, .. } => self.edit(entity(json)),
            _ => {}
        }
    }
}

/// The edit that a record of master data is, if it is one of its body.
fn entity(json: &str) -> Option<Edit> {
    let record: Value = serde_json::from_str(json).ok()?;
    let text = |name: &str| record[name].as_str().map(str::to_owned);
    let kind = record["type"].as_str()?;
    let table = |name, key| EntityTable { name, key };
    let table = match kind {
        "vehicle" => table("vehicles", "vehicle_id"),
        "driver" => table("drivers", "driver_id"),
        "organization" => table("organizations", "organization_id"),
        "location" => table("locations", "location_id"),
        "trip" => table("trip_plans", "trip_id"),
        "assignment" => {
            let time = |name: &str| TimeMs::parse_rfc3339(record[name].as_str()?).ok();
            return Some(Edit::Assignment {
                driver_id: text_or_number(&record["driver_id"])?,
                vehicle_id: text_or_number(&record["vehicle_id"])?,
                from: time("from_time")?,
                to: time("to_time"),
            });
        }
        _ => return None,
    };
    match text("op")?.as_str() {
        "upsert" => {
            let id = text_or_number(&record[kind]["id"])?;
            Some(Edit::Upsert { table, id, body: record[kind].to_string() })
        }
        "delete" => Some(Edit::Delete { table, id: text_or_number(&record["id"])? }),
        // What happens to a trip is in `trips`.
        _ => None,
    }
}

/// Ids may be numbers.
fn text_or_number(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_master_data_are_edits_of_their_tables() {
        let told = |json: &str| format!("{:?}", entity(json));
        let vehicle = told(r#"{"type":"vehicle","op":"upsert","vehicle":{"id":"T1","company":"VPC"}}"#);
        assert!(
            vehicle.contains("vehicles") && vehicle.contains("T1") && vehicle.contains("VPC"),
            "{vehicle}"
        );
        assert!(told(r#"{"type":"driver","op":"delete","id":7}"#).contains("Delete"));
        let assigned = told(
            r#"{"type":"assignment","driver_id":"D1","vehicle_id":"T1","from_time":"2026-01-05T00:00:00Z"}"#,
        );
        assert!(assigned.contains("Assignment") && assigned.contains("to: None"), "{assigned}");
        for other in [
            r#"{"type":"trip","op":"set_status","id":"1","status":"completed"}"#,
            r#"{"type":"rule","kind":"idle"}"#,
            "[]",
        ] {
            assert_eq!(told(other), "None", "{other}");
        }
    }
}
