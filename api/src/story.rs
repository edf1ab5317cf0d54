//! The story of a visit, as the changelog tells it: what took its place, what it was before, and why.
//!
//! Visits of one vehicle in one fence follow each other in ticks. Where one went, its successor is the one that
//! came or changed in the same tick and has most of its time in common with it; without any, the nearest in
//! time, if that is within an hour. Where one came, its predecessor is found likewise among those that
//! went, or whose known end changed. A visit's story is that of all visits so linked.

use std::collections::{BTreeMap, BTreeSet};

use journal::{Cursor, RowsSnapshot, StoreError, StoredChange};
use model::{Cause, Table, TimeMs, VisitId, VisitRow, Why};
use serde::Deserialize;

/// Visits that are farther from each other are not each other's successors.
const NEAREST_MS: i64 = 3_600_000;
/// How many of a vehicle's and fence's changes a story looks at, the newest.
const MAX_CHANGES: usize = 20_000;
/// How many successors are followed; each went in a later tick than the one before it.
const MAX_SUCCESSORS: usize = 1_000;

/// What became of a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stands.
    Stands(VisitRow),
    /// It went, and this one stands in its place.
    Replaced(VisitRow),
    /// It went, and nothing came in its place.
    Gone {
        /// In which tick.
        tick: u64,
        /// Why.
        why: Why,
    },
}

/// A visit that came, went, or became another of the same id, in one tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryEvent {
    /// Where it is in the changelog.
    pub cursor: Cursor,
    /// The instant of its tick.
    pub instant: TimeMs,
    /// Which visit.
    pub id: VisitId,
    /// Why.
    pub why: Why,
    /// What it was before; `None` where it came.
    pub old: Option<VisitRow>,
    /// What it is since; `None` where it went.
    pub new: Option<VisitRow>,
    /// What took the place of one that went.
    pub successor: Option<VisitId>,
}

impl StoryEvent {
    /// `came`, `went` or `replaced`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (&self.old, &self.new) {
            (None, _) => "came",
            (_, None) => "went",
            _ => "replaced",
        }
    }
}

/// All that is kept about a visit and those that it is linked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Story {
    /// What became of the visit.
    pub fate: Fate,
    /// Oldest first.
    pub events: Vec<StoryEvent>,
    /// Whether the events go back to where each of the visits came.
    pub is_complete: bool,
}

/// Why a change was; of one that an older release kept, which did not say why, it is nothing special.
#[must_use]
pub fn why_of(stored: &StoredChange) -> Why {
    let cause = Cause::from_code(stored.change.cause).unwrap_or(Cause::First);
    Why { cause, seq: stored.change.seq }
}

/// What became of a visit; `None` for an id of which nothing is kept.
pub fn fate(snapshot: &RowsSnapshot, id: VisitId) -> Result<Option<Fate>, StoreError> {
    let table = Table::Visits.code();
    let mut asked = id;
    let mut went = None;
    for _ in 0..MAX_SUCCESSORS {
        let Some(found) = snapshot.find(asked.0)?.filter(|found| found.table == table) else { break };
        if let Some(row) = &found.row {
            let visit = read_visit(row)?;
            return Ok(Some(if asked == id { Fate::Stands(visit) } else { Fate::Replaced(visit) }));
        }
        let last = found.last_change;
        let changes = match found.key.split_last_chunk::<8>() {
            Some((subject, _)) => changes_of_tick(snapshot, subject, last.tick)?,
            None => Vec::new(),
        };
        let events = events_of_tick(&changes);
        let Some(event) = events.iter().find(|event| event.id == asked && event.new.is_none()) else { break };
        went.get_or_insert(Fate::Gone { tick: last.tick, why: event.why });
        let Some(successor) = event.successor else { break };
        asked = successor;
    }
    Ok(went)
}

/// The story of a visit; `None` for an id of which nothing is kept.
pub fn story(snapshot: &RowsSnapshot, id: VisitId) -> Result<Option<Story>, StoreError> {
    let Some(fate) = fate(snapshot, id)? else { return Ok(None) };
    let Some(found) = snapshot.find(id.0)? else { return Ok(None) };
    let Some((subject, _)) = found.key.split_last_chunk::<8>() else { return Ok(None) };
    let newest = snapshot.story(Table::Visits.code(), subject, Cursor::default()).rev().take(MAX_CHANGES);
    let mut changes = newest.map(|stored| read_change(&stored?)).collect::<Result<Vec<_>, _>>()?;
    changes.reverse();
    let all: Vec<(StoryEvent, BTreeSet<VisitId>)> =
        changes.chunk_by(|a, b| a.cursor.tick == b.cursor.tick).flat_map(linked_events).collect();
    let linked = linked_with(id, &all);
    let events: Vec<StoryEvent> =
        all.into_iter().map(|(event, _)| event).filter(|event| linked.contains(&event.id)).collect();
    let mut begun = BTreeSet::new();
    let came = |event: &StoryEvent| !begun.insert(event.id) || event.old.is_none();
    let is_complete = events.iter().map(came).fold(!events.is_empty(), |all, came| all && came);
    Ok(Some(Story { fate, events, is_complete }))
}

/// The visits that are linked with one, itself included.
fn linked_with(id: VisitId, events: &[(StoryEvent, BTreeSet<VisitId>)]) -> BTreeSet<VisitId> {
    let mut links: BTreeMap<VisitId, BTreeSet<VisitId>> = BTreeMap::new();
    for (event, others) in events {
        for other in others {
            links.entry(event.id).or_default().insert(*other);
            links.entry(*other).or_default().insert(event.id);
        }
    }
    let mut linked = BTreeSet::from([id]);
    let mut to_follow = vec![id];
    while let Some(from) = to_follow.pop() {
        for other in links.get(&from).into_iter().flatten() {
            if linked.insert(*other) {
                to_follow.push(*other);
            }
        }
    }
    linked
}

/// A change of one visit.
struct VisitChange {
    cursor: Cursor,
    instant: TimeMs,
    came: bool,
    visit: VisitRow,
    why: Why,
}

fn changes_of_tick(
    snapshot: &RowsSnapshot,
    subject: &[u8],
    tick: u64,
) -> Result<Vec<VisitChange>, StoreError> {
    let before = Cursor { tick: tick.saturating_sub(1), index: u32::MAX };
    let mut changes = Vec::new();
    for stored in snapshot.story(Table::Visits.code(), subject, before) {
        let stored = stored?;
        if stored.cursor.tick > tick {
            break;
        }
        changes.push(read_change(&stored)?);
    }
    Ok(changes)
}

fn events_of_tick(changes: &[VisitChange]) -> Vec<StoryEvent> {
    linked_events(changes).into_iter().map(|(event, _)| event).collect()
}

/// What happened to the visits of one vehicle and fence in one tick, each with those that it is linked with.
fn linked_events(changes: &[VisitChange]) -> Vec<(StoryEvent, BTreeSet<VisitId>)> {
    let mut by_arrival: BTreeMap<TimeMs, StoryEvent> = BTreeMap::new();
    for change in changes {
        let event = by_arrival.entry(change.visit.arrived).or_insert_with(|| StoryEvent {
            cursor: change.cursor,
            instant: change.instant,
            id: VisitId::of(&change.visit),
            why: change.why,
            old: None,
            new: None,
            successor: None,
        });
        let side = if change.came { &mut event.new } else { &mut event.old };
        *side = Some(change.visit.clone());
        event.cursor = change.cursor;
        event.why = change.why;
    }
    let events: Vec<StoryEvent> = by_arrival.into_values().collect();
    let after: Vec<&VisitRow> = events.iter().filter_map(|event| event.new.as_ref()).collect();
    // An open visit that now has an end went on as expected: nothing else comes of it.
    let is_corrected = |event: &&StoryEvent| match (&event.old, &event.new) {
        (Some(old), Some(_)) => old.departed.is_some(),
        _ => true,
    };
    let before: Vec<&VisitRow> =
        events.iter().filter(is_corrected).filter_map(|event| event.old.as_ref()).collect();
    let linked = events.iter().map(|event| {
        let mut event = event.clone();
        let link = match (&event.old, &event.new) {
            (Some(old), None) => nearest(old, &after),
            (None, Some(new)) => nearest(new, &before),
            _ => None,
        };
        let link = link.map(VisitId::of);
        if event.new.is_none() {
            event.successor = link;
        }
        (event, link.into_iter().collect())
    });
    linked.collect()
}

/// The visit that has most time in common with one, or is nearest to it.
fn nearest<'a>(visit: &VisitRow, among: &[&'a VisitRow]) -> Option<&'a VisitRow> {
    let end = |visit: &VisitRow| visit.departed.map_or(i64::MAX, |time| time.0);
    let common_ms =
        |other: &VisitRow| end(visit).min(end(other)).saturating_sub(visit.arrived.0.max(other.arrived.0));
    let near = among.iter().filter(|other| common_ms(other) >= -NEAREST_MS);
    near.max_by_key(|other| (common_ms(other), std::cmp::Reverse(other.arrived))).copied()
}

fn read_change(stored: &StoredChange) -> Result<VisitChange, StoreError> {
    Ok(VisitChange {
        cursor: stored.cursor,
        instant: TimeMs(stored.instant_ms),
        came: stored.change.diff > 0,
        visit: read_visit(&stored.change.row)?,
        why: why_of(stored),
    })
}

/// A visit as its row is kept.
#[derive(Deserialize)]
struct KeptVisit {
    vehicle_id: String,
    fence_id: String,
    arrived: String,
    departed: Option<String>,
    confirmed_at: String,
    presences: u32,
}

/// Reads the row of a visit back.
pub fn read_visit(row: &[u8]) -> Result<VisitRow, StoreError> {
    let damaged = |why: String| {
        let what = format!("the row of a visit can't be read ({why}): {}", String::from_utf8_lossy(row));
        StoreError::Damaged { what }
    };
    let kept: KeptVisit = serde_json::from_slice(row).map_err(|err| damaged(err.to_string()))?;
    let time = |text: &str| TimeMs::parse_rfc3339(text).map_err(|err| damaged(err.to_string()));
    Ok(VisitRow {
        vehicle_id: kept.vehicle_id.into(),
        fence_id: kept.fence_id.into(),
        arrived: time(&kept.arrived)?,
        departed: kept.departed.as_deref().map(time).transpose()?,
        confirmed_at: time(&kept.confirmed_at)?,
        presences: kept.presences,
    })
}
