//! The door for rows: each becomes a record of Watch Tower's own format, or is refused with a reason.

use crate::records::{self, Backfill};
use crate::{MAX_RECORD_BYTES, json};

/// A row as the database gives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub id: String,
    /// What geometry it has, as `ST_GeometryType` names it; `None` where it has none.
    pub kind: Option<String>,
    /// The geometry's reference system.
    pub srid: i32,
    /// Whether the geometry has no position.
    pub is_empty: bool,
    /// How many positions it has.
    pub points: i32,
    /// The geometry as GeoJSON, where it is of a kind that can be a fence and not far too large.
    pub geometry: Option<String>,
    /// The other columns as a JSON object, without those that are null.
    pub properties: String,
    /// What the database said instead, where it could not tell.
    pub unreadable: Option<String>,
    /// The reason that the row bears since it was looked at last.
    pub noted_error: Option<String>,
    /// The tick that it bears.
    pub noted_tick: Option<i64>,
    /// What tells this state of it from others.
    pub digest: i64,
}

/// Why a row is no fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong with it.
    pub reason: String,
    /// What was judged, as far as it was read.
    pub bytes: Vec<u8>,
}

/// The record of a row, and what looks wrong although it is accepted.
pub fn check(row: &Row) -> Result<(String, Vec<String>), Refusal> {
    let record = record(row);
    let refused = |reason: String| Refusal { reason, bytes: record.clone().into_bytes() };
    if let Some(reason) = flaw(row) {
        return Err(refused(reason));
    }
    match records::check(record.as_bytes(), Backfill::Refused) {
        Ok(checked) if checked.accepted == 1 && checked.refused_count == 0 => Ok((record, checked.warnings)),
        Ok(checked) => {
            let reason = checked.refused.into_iter().next().map(|refused| refused.reason);
            Err(refused(reason.unwrap_or_else(|| "the row is no fence".to_owned())))
        }
        Err(error) => Err(refused(error.to_string())),
    }
}

/// The record that deletes a fence, as of its arrival.
#[must_use]
pub fn delete_record(id: &str) -> String {
    let mut record = r#"{"type":"fence","op":"delete","id":"#.to_owned();
    json::push_text(&mut record, id);
    record.push('}');
    record
}

fn record(row: &Row) -> String {
    let mut record = r#"{"type":"fence","op":"upsert","feature":{"type":"Feature","id":"#.to_owned();
    json::push_text(&mut record, &row.id);
    record.push_str(r#","geometry":"#);
    record.push_str(row.geometry.as_deref().unwrap_or("null"));
    record.push_str(r#","properties":"#);
    record.push_str(&row.properties);
    record.push_str("}}");
    record
}

/// What is wrong with a row before it is a record.
fn flaw(row: &Row) -> Option<String> {
    if let Some(said) = &row.unreadable {
        return Some(format!("PostGIS can't tell its geometry: {said}"));
    }
    let Some(kind) = &row.kind else { return Some("geom is null".to_owned()) };
    if row.srid != 4326 {
        return Some(format!("geom has SRID {}; it must be 4326 (ST_Transform, or ST_SetSRID)", row.srid));
    }
    if row.is_empty {
        return Some("geom is empty".to_owned());
    }
    match &row.geometry {
        // Numbers of GeoJSON have no such letters; its names have other ones.
        Some(geometry) if ["nan", "NaN", "inf", "Inf"].iter().any(|word| geometry.contains(word)) => {
            Some("geom has a coordinate that is not a finite number".to_owned())
        }
        Some(_) => None,
        None if crate::postgis::table::KINDS.contains(&kind.as_str()) => Some(format!(
            "geom has {} positions; a record of a fence has at most {MAX_RECORD_BYTES} bytes",
            row.points
        )),
        None => Some(format!("geom is a {kind}; points, lines, polygons and multipolygons are fences")),
    }
}
