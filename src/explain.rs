//! `watchtower explain`: why a derived row is as it is, for people or as JSON.

use std::io::Write;
use std::sync::Arc;

use anyhow::bail;
use api::story::{Fate, Story, StoryEvent};
use journal::Store;
use model::{Cause, TimeMs, VisitId, VisitRow, Why};
use pipeline::explain::{ExplainError, Explanation, FenceInForce, Rule, Sighting, Unused, UnusedReason};
use serde_json::{Value, json};

use crate::Outcome;

/// How many events of a story are told, the newest.
const MAX_EVENTS: usize = 100;

/// All that there is to say about a visit.
struct Told {
    id: VisitId,
    tick: u64,
    instant: TimeMs,
    story: Story,
    /// Of the visit that stands.
    explanation: Option<Explanation>,
}

/// Explains a visit.
pub fn visit(store: &Store, id: VisitId, as_json: bool, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    if !store.changelog().is_indexed()? {
        bail!(
            "an older release wrote this folder, and its visits have no ids yet; start the service on it once"
        );
    }
    let Some(told) = tell(store, id, &|| true)? else {
        bail!(
            "there is no visit {id}, or it went longer ago than changes are kept; \
             GET /api/v1/visits?vehicle_id= of the service lists visits with their ids"
        );
    };
    if as_json {
        serde_json::to_writer_pretty(&mut *out, &to_json(&told))?;
        writeln!(out)?;
    } else {
        write_text(out, &told)?;
    }
    Ok(Outcome::Done)
}

/// How a service explains visits over HTTP.
pub fn over_http(store: &Store) -> api::Explain {
    let store = store.clone();
    Arc::new(move |id: VisitId, may_go_on: &dyn Fn() -> bool| match tell(&store, id, may_go_on) {
        Ok(told) => Ok(told.as_ref().map(to_json)),
        Err(ExplainError::GaveUp) => Err(api::ExplainError::GaveUp),
        Err(ExplainError::Store(error)) => Err(api::ExplainError::Store(error)),
    })
}

fn tell(store: &Store, id: VisitId, may_go_on: &dyn Fn() -> bool) -> Result<Option<Told>, ExplainError> {
    let kept = store.changelog().rows();
    let Some(story) = api::story::story(&kept, id)? else { return Ok(None) };
    let explanation = match &story.fate {
        Fate::Stands(visit) | Fate::Replaced(visit) => {
            Some(pipeline::explain::explain_visit(&store.log(), &kept, visit, may_go_on)?)
        }
        Fate::Gone { .. } => None,
    };
    let (tick, instant_ms) = kept.last_tick().unwrap_or_default();
    Ok(Some(Told { id, tick, instant: TimeMs(instant_ms), story, explanation }))
}

fn write_text(out: &mut dyn Write, told: &Told) -> std::io::Result<()> {
    let Told { id, story, explanation, .. } = told;
    match &story.fate {
        Fate::Stands(_) => {}
        Fate::Replaced(visit) => {
            writeln!(out, "Visit {id} was taken back; {} stands in its place.\n", VisitId::of(visit))?;
        }
        Fate::Gone { tick, why } => {
            writeln!(
                out,
                "Visit {id} was taken back in tick {tick}: {}. Nothing came in its place.",
                words(*why)
            )?;
        }
    }
    if let Some(explanation) = explanation {
        write_explanation(out, explanation)?;
    }
    write_history(out, story)
}

fn write_explanation(out: &mut dyn Write, explained: &Explanation) -> std::io::Result<()> {
    let visit = &explained.visit;
    let named = explained.fence.as_ref().filter(|fence| *fence.name != *visit.fence_id);
    let name = named.map_or(String::new(), |fence| format!(" ({})", fence.name));
    writeln!(out, "Visit {} of {} in {}{name}", VisitId::of(visit), visit.vehicle_id, visit.fence_id)?;
    writeln!(out, "  arrived {}, {}", visit.arrived, departure(visit))?;
    writeln!(out, "  a visit since {}; exact for {}", visit.confirmed_at, explained.instant)?;

    writeln!(out, "\nThe fixes that make it so")?;
    let sightings =
        [("entered", &explained.entered), ("last inside", &explained.last_inside), ("left", &explained.left)];
    for (what, sighting) in sightings {
        if let Some(sighting) = sighting {
            writeln!(out, "  {what}: {}", place(sighting))?;
        }
    }
    if let Some(reason) = explained.end_reason.filter(|reason| *reason != model::EndReason::Exit) {
        writeln!(out, "  ended by the fence, not by a fix: {}", reason.as_str())?;
    }
    writeln!(out, "  {} fixes are used from its arrival on until it ended", explained.fixes_used)?;

    write_presences(out, explained)?;
    if let Some(fence) = &explained.fence {
        write_fence(out, fence)?;
    }
    write_unused(out, explained)
}

fn write_presences(out: &mut dyn Write, explained: &Explanation) -> std::io::Result<()> {
    writeln!(out, "\nPresences that it joins: {}", explained.visit.presences)?;
    let mut exited_before = None;
    for presence in &explained.presences {
        if let Some(exited) = exited_before {
            let (absent_s, rule) = (seconds(presence.entered.0 - exited), explained.max_absence);
            writeln!(
                out,
                "    absent for {absent_s} s; {} s and less end no stay, {}",
                rule.value,
                whose(rule)
            )?;
        }
        match presence.end {
            Some((exited, reason)) => {
                writeln!(out, "  {} to {exited} ({})", presence.entered, reason.as_str())?;
            }
            None => writeln!(out, "  {} until now", presence.entered)?,
        }
        exited_before = presence.end.map(|(exited, _)| exited.0);
    }
    let more = (explained.visit.presences as usize).saturating_sub(explained.presences.len());
    if more > 0 {
        writeln!(out, "  and {more} more")?;
    }
    let end = explained.visit.departed.unwrap_or(explained.instant);
    let dwell_s = seconds(end.0 - explained.visit.arrived.0);
    let rule = explained.min_dwell;
    writeln!(out, "  together {dwell_s} s; {} s make a visit, {}", rule.value, whose(rule))
}

fn write_fence(out: &mut dyn Write, fence: &FenceInForce) -> std::io::Result<()> {
    writeln!(out, "\nThe fence at its arrival")?;
    writeln!(out, "  {}, from record {}, received {}", fence.shape, fence.seq, fence.received)?;
    let valid = match (fence.from, fence.to) {
        (None, None) => "at all times".to_owned(),
        (Some(from), None) => format!("from {from} on"),
        (None, Some(to)) => format!("until {to}"),
        (Some(from), Some(to)) => format!("from {from} until {to}"),
    };
    let schedule = if fence.has_schedule { ", at the times of its schedule" } else { "" };
    let buffer = fence.exit_buffer;
    writeln!(
        out,
        "  valid {valid}{schedule}; left at more than {} m from it, {}",
        buffer.value,
        whose(buffer)
    )
}

fn write_unused(out: &mut dyn Write, explained: &Explanation) -> std::io::Result<()> {
    writeln!(out, "\nRecords around it that are not used: {}", explained.unused_count)?;
    for unused in &explained.unused {
        let why = match unused.reason {
            UnusedReason::Rejected(reason) => reason.as_str().to_owned(),
            UnusedReason::SupersededBy(seq) => format!("superseded by record {seq}"),
        };
        writeln!(out, "  {why}: {}", place(&unused.sighting))?;
    }
    let more = explained.unused_count - explained.unused.len();
    if more > 0 {
        writeln!(out, "  and {more} more")?;
    }
    Ok(())
}

fn write_history(out: &mut dyn Write, story: &Story) -> std::io::Result<()> {
    writeln!(out, "\nHistory")?;
    if !story.is_complete {
        writeln!(out, "  (what happened before is not kept any more)")?;
    }
    let skipped = story.events.len().saturating_sub(MAX_EVENTS);
    if skipped > 0 {
        writeln!(out, "  ({skipped} older events are left out)")?;
    }
    for event in story.events.iter().skip(skipped) {
        writeln!(out, "  tick {}, {}: {}", event.cursor.tick, event.instant, happened(event))?;
    }
    Ok(())
}

/// What happened, and why.
fn happened(event: &StoryEvent) -> String {
    let (id, why) = (event.id, words(event.why));
    match (&event.old, &event.new) {
        (Some(old), Some(new)) => {
            let mut changed = Vec::new();
            if old.departed != new.departed {
                changed.push(format!("{} becomes {}", departure(old), departure(new)));
            }
            if old.confirmed_at != new.confirmed_at {
                changed.push(format!("confirmed {} becomes {}", old.confirmed_at, new.confirmed_at));
            }
            if old.presences != new.presences {
                changed.push(format!("{} presences become {}", old.presences, new.presences));
            }
            format!("{id} changed, {}: {why}", changed.join(", "))
        }
        (Some(old), None) => {
            let successor = event.successor.map_or(String::new(), |id| format!(", {id} takes its place"));
            format!("{id} went, arrived {}, {}{successor}: {why}", old.arrived, departure(old))
        }
        (None, Some(new)) => format!("{id} came, arrived {}, {}: {why}", new.arrived, departure(new)),
        (None, None) => format!("{id}: {why}"),
    }
}

/// A cause for people.
fn words(Why { cause, seq }: Why) -> String {
    if seq == 0 {
        return format!("{}, by a record that was not noted", cause.as_str());
    }
    match cause {
        Cause::First => format!("as it went on, by record {seq}"),
        Cause::LateFix => format!("record {seq} is a fix that came late"),
        Cause::Superseded => format!("record {seq} took the place of a fix of the same time"),
        Cause::Cleaning => format!("the jump filter judges otherwise since record {seq}"),
        Cause::FenceEdit => format!("the fence was edited by record {seq}"),
        Cause::FenceEnd => format!("the fence ended by record {seq}"),
        Cause::Settings => format!("settings changed by record {seq}"),
        Cause::Backfill => format!("a period was computed anew by record {seq}"),
    }
}

fn departure(visit: &VisitRow) -> String {
    visit.departed.map_or("still there".to_owned(), |time| format!("departed {time}"))
}

fn whose(rule: Rule) -> &'static str {
    if rule.is_of_fence { "by the fence's own setting" } else { "by the fleet's setting" }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

fn place(sighting: &Sighting) -> String {
    let Sighting { seq, time, received, lon, lat, distance } = *sighting;
    let distance = match distance {
        None => "when no fence was valid".to_owned(),
        Some(distance) if distance.metres == 0.0 => "inside the fence".to_owned(),
        Some(distance) => {
            let side = if distance.metres <= distance.buffer_m { "within" } else { "beyond" };
            format!("{:.1} m outside, {side} the buffer of {} m", distance.metres, distance.buffer_m)
        }
    };
    format!("record {seq}, {time} at {lon}, {lat}, {distance}; received {received}")
}

fn to_json(told: &Told) -> Value {
    let Told { id, tick, instant, story, explanation } = told;
    let events: Vec<Value> = story.events.iter().map(event_json).collect();
    json!({
        "as_of": instant.to_string(),
        "tick": tick,
        "id": id.to_string(),
        "visit": explanation.as_ref().map(|explained| visit_json(&explained.visit)),
        "why": explanation.as_ref().map(explanation_json),
        "history": { "complete": story.is_complete, "events": events },
    })
}

fn explanation_json(explained: &Explanation) -> Value {
    let sighting = |sighting: &Option<Sighting>| sighting.as_ref().map(sighting_json);
    let presences = explained.presences.iter().map(|presence| {
        let (exited, reason) = presence.end.unzip();
        json!({
            "entered": presence.entered.to_string(),
            "exited": text(exited),
            "end_reason": reason.map(model::EndReason::as_str),
        })
    });
    json!({
        "entered": sighting(&explained.entered),
        "last_inside": sighting(&explained.last_inside),
        "left": sighting(&explained.left),
        "end_reason": explained.end_reason.map(model::EndReason::as_str),
        "fixes_used": explained.fixes_used,
        "presences": presences.collect::<Vec<Value>>(),
        "min_dwell_s": rule_json(explained.min_dwell),
        "max_absence_s": rule_json(explained.max_absence),
        "fence": explained.fence.as_ref().map(|fence| json!({
            "seq": fence.seq,
            "received": fence.received.to_string(),
            "name": fence.name,
            "shape": fence.shape,
            "valid_from": text(fence.from),
            "valid_to": text(fence.to),
            "has_schedule": fence.has_schedule,
            "exit_buffer_m": rule_json(fence.exit_buffer),
        })),
        "unused_count": explained.unused_count,
        "unused": explained.unused.iter().map(unused_json).collect::<Vec<Value>>(),
    })
}

fn unused_json(unused: &Unused) -> Value {
    let (reason, superseded_by) = match unused.reason {
        UnusedReason::Rejected(reason) => (reason.as_str(), None),
        UnusedReason::SupersededBy(seq) => ("superseded", Some(seq)),
    };
    json!({ "reason": reason, "superseded_by": superseded_by, "fix": sighting_json(&unused.sighting) })
}

fn sighting_json(sighting: &Sighting) -> Value {
    json!({
        "seq": sighting.seq,
        "event_time": sighting.time.to_string(),
        "received": sighting.received.to_string(),
        "lon": sighting.lon,
        "lat": sighting.lat,
        "distance_m": sighting.distance.map(|distance| (distance.metres * 100.0).round() / 100.0),
        "exit_buffer_m": sighting.distance.map(|distance| distance.buffer_m),
    })
}

fn rule_json(rule: Rule) -> Value {
    json!({ "value": rule.value, "set_by": if rule.is_of_fence { "fence" } else { "fleet" } })
}

fn event_json(event: &StoryEvent) -> Value {
    json!({
        "tick": event.cursor.tick,
        "instant": event.instant.to_string(),
        "change": event.name(),
        "id": event.id.to_string(),
        "cause": event.why.cause.as_str(),
        "seq": event.why.seq,
        "old": event.old.as_ref().map(visit_json),
        "new": event.new.as_ref().map(visit_json),
        "successor": event.successor.map(|id| id.to_string()),
    })
}

fn visit_json(visit: &VisitRow) -> Value {
    json!({
        "id": VisitId::of(visit).to_string(),
        "vehicle_id": *visit.vehicle_id,
        "fence_id": *visit.fence_id,
        "arrived": visit.arrived.to_string(),
        "departed": text(visit.departed),
        "confirmed_at": visit.confirmed_at.to_string(),
        "presences": visit.presences,
    })
}

fn text(time: Option<TimeMs>) -> Option<String> {
    time.map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use journal::Cursor;

    use super::*;

    fn visit(arrived_s: i64, departed_s: Option<i64>) -> VisitRow {
        VisitRow {
            vehicle_id: "T1".into(),
            fence_id: "yard".into(),
            arrived: TimeMs(arrived_s * 1000),
            departed: departed_s.map(|s| TimeMs(s * 1000)),
            confirmed_at: TimeMs((arrived_s + 300) * 1000),
            presences: 1,
        }
    }

    fn event(cause: Cause, seq: u64, old: Option<VisitRow>, new: Option<VisitRow>) -> StoryEvent {
        let id = VisitId(7);
        let cursor = Cursor { tick: 3, index: 0 };
        StoryEvent { cursor, instant: TimeMs(0), id, why: Why { cause, seq }, old, new, successor: None }
    }

    #[test]
    fn events_name_what_changed_and_the_record() {
        let told = |event: &StoryEvent| happened(event).replace("0000000000000007", "ID");
        let longer = VisitRow { presences: 2, ..visit(0, Some(2400)) };
        let changed = event(Cause::LateFix, 41, Some(visit(0, Some(3000))), Some(longer));
        assert_eq!(
            told(&changed),
            "ID changed, departed 1970-01-01T00:50:00Z becomes departed 1970-01-01T00:40:00Z, 1 presences become 2: \
             record 41 is a fix that came late"
        );
        let went = event(Cause::FenceEdit, 52, Some(visit(0, None)), None);
        let went = StoryEvent { successor: Some(VisitId(9)), ..went };
        assert_eq!(
            told(&went),
            "ID went, arrived 1970-01-01T00:00:00Z, still there, 0000000000000009 takes its place: \
             the fence was edited by record 52"
        );
        let came = event(Cause::First, 0, None, Some(visit(0, None)));
        assert_eq!(
            told(&came),
            "ID came, arrived 1970-01-01T00:00:00Z, still there: first, by a record that was not noted"
        );
    }
}
