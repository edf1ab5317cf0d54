//! Alerts become `provider_alert` records.

use model::{MAX_ID_BYTES, RecordSink, TimeMs};
use serde_json::value::RawValue;

use super::push::Push;
use super::{Context, location, times};
use crate::json;
use crate::shape::{check_id, decode_provider_alert};

/// Decodes an alert and passes it on; on an error nothing was passed on.
pub(super) fn decode(
    object: &str,
    push: &Push<'_>,
    context: &Context<'_>,
    sink: &mut dyn RecordSink,
) -> Result<(), String> {
    let received = push.vehicle_number()?;
    let vehicle_id = location::vehicle_id(&received)?;
    let kind = push.kind.and_then(json::text).ok_or("kind must be text")?;
    check_id("kind", &kind)?;

    let time = |field: &str, raw: Option<&RawValue>| -> Option<TimeMs> {
        times::parse(field, &json::text(raw?)?, context.naive_timezone).ok()
    };
    let ended = time("inactive_event_time", push.inactive_event_time);
    let started = time("active_event_time", push.active_event_time)
        .or_else(|| time("event_time", push.event_time))
        .or_else(|| time("start_time", push.start_time))
        .or_else(|| if ended.is_none() { time("created_at", push.created_at) } else { None });

    let mut json = String::from("{\"type\":\"provider_alert\",\"vehicle_id\":");
    json::push_text(&mut json, &vehicle_id);
    if received != vehicle_id {
        json.push_str(",\"spelling\":");
        json::push_text(&mut json, &received);
    }
    json.push_str(",\"kind\":");
    json::push_text(&mut json, &kind);
    json.push_str(",\"provider_id\":");
    match push.id.and_then(provider_id) {
        Some(id) => json::push_text(&mut json, &id),
        None => json.push_str("null"),
    }
    json.push_str(",\"started\":");
    push_time(&mut json, started);
    json.push_str(",\"ended\":");
    push_time(&mut json, ended);
    json.push_str(",\"details\":");
    json::push_compact(&mut json, object)?;
    json.push('}');
    sink.record(None, decode_provider_alert(json)?);
    Ok(())
}

/// The provider's number of the alert as text. What is too long to be one stays in the details.
fn provider_id(raw: &RawValue) -> Option<String> {
    let id = if json::is_number(raw) { raw.get().to_owned() } else { json::text(raw)?.into_owned() };
    (!id.is_empty() && id.len() <= MAX_ID_BYTES).then_some(id)
}

fn push_time(json: &mut String, time: Option<TimeMs>) {
    match time {
        Some(time) => json::push_text(json, &time.to_string()),
        None => json.push_str("null"),
    }
}
