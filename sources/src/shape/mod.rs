//! Records of Watch Tower's own format: one JSON object each, `{"type": T, "received_time": time?, ...}`.
//!
//! Decisions where the format leaves a choice:
//! - A field of the record that is named twice is malformed; further down, serde's rule (last wins) holds,
//!   except in entities and settings, which refuse it too.
//! - Unknown fields are kept in entities, trips and other records that the graph has no use for yet, and
//!   ignored in all others.
//! - `null` is the same as absent, but for the `status` of a trip.
//! - A `clock` without a `received_time` is malformed: it would say nothing.
//! - What a field means that earlier releases ignored, the door asks and the journal does not: what was accepted
//!   is no worse for a later release. So a schedule that is not understood is none there, a location whose
//!   `fence_id` can be no id has no fence, a trip whose `corridor` can be no id has none, a `company`, `client` or
//!   `status` that is none is absent, `exempt` is ignored, and a `backfill` and a rule that is not understood are
//!   records that say nothing. An export has them as that.

mod alert;
#[cfg(test)]
mod alert_tests;
mod entity;
mod fence;
mod position;
mod provider;
mod ring;
#[cfg(test)]
mod tests;
mod trip;
#[cfg(test)]
mod trip_tests;
mod vehicle;
#[cfg(test)]
mod vehicle_tests;

use model::{Record, RecordSink, TimeMs};
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use alert::{decode_provider_alert, ignored_rule};
pub(crate) use fence::{BadSchedule, fence_of_feature, ignored_schedule};
pub(crate) use position::{
    Optionals, Reading, check_id, ignition_in_json, ignition_in_text, number_in_json, number_in_text,
};
pub(crate) use ring::{INTERSECTION_BUDGET, self_intersection};
pub(crate) use trip::ignored_plan;

use crate::json;

/// Where a record comes from, which decides what it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A POST, at the door: the server stamps the arrival, so `received_time` is ignored and `clock` refused. It
    /// does not reach into periods that are final.
    Posted,
    /// A POST, in the journal, that this release or an earlier one accepted.
    Journalled,
    /// `watchtower backfill`, at the door and in the journal.
    Backfill,
    /// A file, whose records bring their own times; it may be an export.
    File,
}

/// Why something of a backfill is refused at the door.
fn not_posted(what: &str) -> String {
    format!("{what} can't be posted; use `watchtower backfill`, which marks what it sends")
}

/// The fields that decide what a record is, and those of positions: there are many more of them than of all
/// others, so they are read in one pass and without copies.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<&'a RawValue>,
    received_time: Option<&'a RawValue>,
    #[serde(borrow)]
    vehicle_id: Option<&'a RawValue>,
    event_time: Option<&'a RawValue>,
    lon: Option<&'a RawValue>,
    lat: Option<&'a RawValue>,
    speed_kmh: Option<&'a RawValue>,
    heading: Option<&'a RawValue>,
    ignition: Option<&'a RawValue>,
    accuracy_m: Option<&'a RawValue>,
    spelling: Option<&'a RawValue>,
    exempt: Option<&'a RawValue>,
}

/// Decodes one record and passes it on; on an error nothing was passed on.
pub(crate) fn decode_record(line: &str, origin: Origin, sink: &mut dyn RecordSink) -> Result<(), String> {
    let envelope: Envelope<'_> = json::object(line)?;
    let kind = envelope.kind.ok_or("type is missing")?;
    let kind = json::text(kind).ok_or("type must be text")?;
    if kind == "position" {
        return position::decode(&envelope, origin, sink);
    }
    let of_arrival = envelope.received_time.filter(|_| origin == Origin::File);
    let received = of_arrival.map(|raw| json_time("received_time", raw)).transpose()?;
    let members = json::Members::parse(line)?;
    let record = match (kind.as_ref(), origin) {
        ("fence", _) => fence::decode_edit(&members, origin)?,
        ("settings", _) => {
            let values = members.value("values").ok_or("values is missing")?;
            Record::Settings(crate::settings::values_of_json(values.get())?)
        }
        ("clock", Origin::File) => {
            received.ok_or("clock needs a received_time")?;
            Record::Clock
        }
        ("undecodable", Origin::File) => {
            Record::Undecodable { reason: entity::required_text(&members, "reason")?.into_owned() }
        }
        ("clock" | "undecodable", _) => return Err(format!("{kind} is for files, it can't be posted")),
        ("backfill", Origin::Posted) => return Err(not_posted("a backfill")),
        ("backfill", Origin::Journalled) => Record::Clock,
        ("backfill", Origin::Backfill | Origin::File) => entity::decode_backfill(&members)?,
        ("trip", _) => trip::decode_trip(&members, origin)?,
        ("rule" | "provider_alert" | "acknowledge" | "resolve", _) => alert::decode(&kind, &members, origin)?,
        ("vehicle", _) => vehicle::decode_vehicle(&members, origin)?,
        ("location", _) => trip::decode_location(&members, origin)?,
        (other, _) => Record::Other {
            kind: entity::check(other, &members)?,
            json: members.compact_without("received_time")?,
        },
    };
    sink.record(received, record);
    Ok(())
}

/// Reads an RFC 3339 time; the reason names the field.
pub(crate) fn time_in_text(name: &str, text: &str) -> Result<TimeMs, String> {
    let time =
        TimeMs::parse_rfc3339(text).map_err(|error| format!("{name} {}: {error}", json::quoted(text)))?;
    in_printable_years(name, time)
}

/// A time whose offset moves it out of the years 0 to 9999 could not be printed and read again.
pub(crate) fn in_printable_years(name: &str, time: TimeMs) -> Result<TimeMs, String> {
    const YEAR_0_MS: i64 = -62_167_219_200_000;
    const YEAR_10000_MS: i64 = 253_402_300_800_000;
    if (YEAR_0_MS..YEAR_10000_MS).contains(&time.0) {
        return Ok(time);
    }
    Err(format!("{name} is outside of the years 0 to 9999 in UTC"))
}

/// Reads a time from a JSON value; the reason names the field.
pub(crate) fn json_time(name: &str, raw: &RawValue) -> Result<TimeMs, String> {
    let text = json::text(raw).ok_or_else(|| format!("{name} must be text, an RFC 3339 time"))?;
    time_in_text(name, &text)
}
