//! The story of a visit, as the changelog tells it: what took its place, what it was before, and why.
//!
//! Visits of one vehicle in one fence follow each other in ticks. Where one went, its successor is the one that
//! came or changed in the same tick and has most of its time in common with it; without any, the nearest in
//! time, if that is within an hour. Where what stands in its place changes later, the choice is made anew among
//! the visits of that tick, still by the time of the one that went. Where one came, its predecessor is found
//! likewise among those that went, or whose known end changed. A visit's story is that of all visits so linked.

pub mod row;

use std::collections::{BTreeMap, BTreeSet};

use journal::{Cursor, RowsSnapshot, StoreError, StoredChange};
use model::{Cause, Table, TimeMs, VisitId, VisitRow, Why};
use serde::Deserialize;

/// Visits that are farther from each other are not each other's successors.
const NEAREST_MS: i64 = 3_600_000;
/// How many of a vehicle's and fence's changes a story looks at, the newest.
const MAX_CHANGES: usize = 20_000;
/// How many changes of what stands in a visit's place are followed, each in a later tick than the one before.
const MAX_STEPS: usize = 1_000;

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
    Ok(follow(snapshot, id)?.map(|followed| followed.fate))
}

/// What became of a visit, and by way of which others.
struct Followed {
    fate: Fate,
    /// The visit itself, and those that stood in its place one after the other.
    ids: BTreeSet<VisitId>,
}

fn follow(snapshot: &RowsSnapshot, id: VisitId) -> Result<Option<Followed>, StoreError> {
    let table = Table::Visits.code();
    let Some(asked) = snapshot.find(id.0)?.filter(|found| found.table == table) else { return Ok(None) };
    let mut ids = BTreeSet::from([id]);
    if let Some(row) = &asked.row {
        return Ok(Some(Followed { fate: Fate::Stands(read_visit(row)?), ids }));
    }
    let Some((subject, _)) = asked.key.split_last_chunk::<8>() else { return Ok(None) };
    let mut tick = asked.last_change.tick;
    if snapshot.trimmed()?.tick == tick {
        // What came in its place may be trimmed already.
        return Ok(None);
    }
    let went = events_of_tick(&changes_of_tick(snapshot, subject, tick)?);
    let went = went.into_iter().find(|event| event.id == id && event.new.is_none());
    let Some(StoryEvent { old: Some(old), why, instant, successor, .. }) = went else { return Ok(None) };
    let (time, gone) = (TimeTaken::of(&old, instant), Fate::Gone { tick, why });
    let (mut standing, mut steps) = (successor, 0);
    while let Some(successor) = standing {
        ids.insert(successor);
        let Some(found) = snapshot.find(successor.0)? else { break };
        let may_have_changed = found.last_change.tick > tick && steps < MAX_STEPS;
        let next = if may_have_changed { next_change(snapshot, subject, tick, successor)? } else { None };
        let Some(next) = next else {
            let row = found.row.as_deref().map(read_visit).transpose()?;
            return Ok(Some(Followed { fate: row.map_or(gone, Fate::Replaced), ids }));
        };
        (tick, steps) = (next.cursor.tick, steps + 1);
        let events = events_of_tick(&changes_of_tick(snapshot, subject, tick)?);
        let after: Vec<&VisitRow> = events.iter().filter_map(|event| event.new.as_ref()).collect();
        standing = time.nearest(&after, next.instant).map(VisitId::of);
    }
    Ok(Some(Followed { fate: gone, ids }))
}

/// The first change of a visit after a tick.
fn next_change(
    snapshot: &RowsSnapshot,
    subject: &[u8],
    after_tick: u64,
    id: VisitId,
) -> Result<Option<VisitChange>, StoreError> {
    let after = Cursor { tick: after_tick, index: u32::MAX };
    for stored in snapshot.story(Table::Visits.code(), subject, after).take(MAX_CHANGES) {
        let change = read_change(&stored?)?;
        if VisitId::of(&change.visit) == id {
            return Ok(Some(change));
        }
    }
    Ok(None)
}

/// The story of a visit; `None` for an id of which nothing is kept.
pub fn story(snapshot: &RowsSnapshot, id: VisitId) -> Result<Option<Story>, StoreError> {
    let Some(Followed { fate, ids }) = follow(snapshot, id)? else { return Ok(None) };
    let Some(found) = snapshot.find(id.0)? else { return Ok(None) };
    let Some((subject, _)) = found.key.split_last_chunk::<8>() else { return Ok(None) };
    // One more than is looked at, which tells whether there are more.
    let newest = snapshot.story(Table::Visits.code(), subject, Cursor::default()).rev().take(MAX_CHANGES + 1);
    let mut changes = newest.map(|stored| read_change(&stored?)).collect::<Result<Vec<_>, _>>()?;
    changes.reverse();
    let whole = whole_ticks(&changes, snapshot.trimmed()?);
    let all: Vec<(StoryEvent, BTreeSet<VisitId>)> =
        whole.chunk_by(|a, b| a.cursor.tick == b.cursor.tick).flat_map(linked_events).collect();
    let linked = linked_with(ids, &all);
    let events: Vec<StoryEvent> =
        all.into_iter().map(|(event, _)| event).filter(|event| linked.contains(&event.id)).collect();
    let mut begun = BTreeSet::new();
    let came = |event: &StoryEvent| !begun.insert(event.id) || event.old.is_none();
    let begins_with_all = events.iter().map(came).fold(!events.is_empty(), |all, came| all && came);
    let is_complete = begins_with_all && whole.len() == changes.len();
    Ok(Some(Story { fate, events, is_complete }))
}

/// The changes without their oldest tick, where that may have begun with others: half of a tick tells of a
/// visit that became another as if it came.
fn whole_ticks(changes: &[VisitChange], trimmed: Cursor) -> &[VisitChange] {
    let Some(oldest) = changes.first().map(|change| change.cursor.tick) else { return changes };
    let is_cut = changes.len() > MAX_CHANGES || oldest == trimmed.tick;
    let first = if is_cut { changes.partition_point(|change| change.cursor.tick == oldest) } else { 0 };
    changes.get(first..).unwrap_or_default()
}

/// The visits that are linked with some, themselves included.
fn linked_with(ids: BTreeSet<VisitId>, events: &[(StoryEvent, BTreeSet<VisitId>)]) -> BTreeSet<VisitId> {
    let mut links: BTreeMap<VisitId, BTreeSet<VisitId>> = BTreeMap::new();
    for (event, others) in events {
        for other in others {
            links.entry(event.id).or_default().insert(*other);
            links.entry(*other).or_default().insert(event.id);
        }
    }
    let mut to_follow: Vec<VisitId> = ids.iter().copied().collect();
    let mut linked = ids;
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
            (Some(old), None) => TimeTaken::of(old, event.instant).nearest(&after, event.instant),
            (None, Some(new)) => TimeTaken::of(new, event.instant).nearest(&before, event.instant),
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

/// The time that a visit takes, as of a tick.
#[derive(Clone, Copy)]
struct TimeTaken {
    from: TimeMs,
    to: TimeMs,
}

impl TimeTaken {
    /// An open visit lasts until the instant.
    fn of(visit: &VisitRow, instant: TimeMs) -> TimeTaken {
        TimeTaken { from: visit.arrived, to: visit.departed.unwrap_or(instant).max(visit.arrived) }
    }

    /// The visit that has most time in common with this, or is nearest to it.
    fn nearest<'a>(self, among: &[&'a VisitRow], instant: TimeMs) -> Option<&'a VisitRow> {
        let common_ms = |visit: &VisitRow| {
            let other = TimeTaken::of(visit, instant);
            self.to.min(other.to).0.saturating_sub(self.from.max(other.from).0)
        };
        let near = among.iter().filter(|visit| common_ms(visit) >= -NEAREST_MS);
        near.max_by_key(|visit| (common_ms(visit), std::cmp::Reverse(visit.arrived))).copied()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_tick_that_is_trimmed_is_not_told() {
        let visit = VisitRow {
            vehicle_id: "T1".into(),
            fence_id: "yard".into(),
            arrived: TimeMs(0),
            departed: None,
            confirmed_at: TimeMs(300_000),
            presences: 1,
        };
        let change = |(tick, index): (u64, u32)| VisitChange {
            cursor: Cursor { tick, index },
            instant: TimeMs(0),
            came: true,
            visit: visit.clone(),
            why: Why::first(1),
        };
        let changes: Vec<VisitChange> = [(3, 7), (3, 8), (4, 0)].map(change).into();
        let told = |trimmed: (u64, u32)| {
            let trimmed = Cursor { tick: trimmed.0, index: trimmed.1 };
            whole_ticks(&changes, trimmed).iter().map(|change| change.cursor.tick).collect::<Vec<_>>()
        };
        assert_eq!(told((0, 0)), [3, 3, 4], "nothing is trimmed");
        assert_eq!(told((2, 9)), [3, 3, 4]);
        assert_eq!(told((3, 6)), [4]);
        assert!(whole_ticks(&[], Cursor::default()).is_empty());
    }
}
