//! The story of a row that keeps its key, such as that of a trip or an alert: what it was, what it became, and why.

use journal::{Cursor, RowsSnapshot, StoreError, StoredChange};
use model::{TimeMs, Why};

use super::{MAX_CHANGES, why_of};

/// What happened to a row in one tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowEvent {
    /// Where it is in the changelog.
    pub cursor: Cursor,
    /// The instant of its tick.
    pub instant: TimeMs,
    /// Why.
    pub why: Why,
    /// The row before, as JSON; `None` where it came.
    pub old: Option<Vec<u8>>,
    /// The row since, as JSON; `None` where it went.
    pub new: Option<Vec<u8>>,
}

impl RowEvent {
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

/// All that is kept about a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowStory {
    /// Whether there is such a row, or a change of one.
    pub is_known: bool,
    /// Whether the events go back to where it came.
    pub is_complete: bool,
    /// Oldest first.
    pub events: Vec<RowEvent>,
}

/// The story of the row of a table that has this key.
pub fn story(snapshot: &RowsSnapshot, table: u8, key: &[u8]) -> Result<RowStory, StoreError> {
    // One more than is looked at: the oldest tick may be cut in two.
    let newest = snapshot.story(table, key, Cursor::default()).rev().take(MAX_CHANGES + 1);
    let mut changes = newest.collect::<Result<Vec<StoredChange>, StoreError>>()?;
    changes.reverse();
    let is_known = !changes.is_empty() || snapshot.get(table, key)?.is_some();
    let trimmed = snapshot.trimmed()?.tick;
    let oldest = changes.first().map(|change| change.cursor.tick);
    let is_cut = |tick| tick == trimmed || (changes.len() > MAX_CHANGES && Some(tick) == oldest);
    let ticks = changes.chunk_by(|a, b| a.cursor.tick == b.cursor.tick);
    let events: Vec<RowEvent> =
        ticks.filter_map(|of_tick| event(of_tick).filter(|event| !is_cut(event.cursor.tick))).collect();
    let is_complete = events.first().is_some_and(|first| first.old.is_none());
    Ok(RowStory { is_known, is_complete, events })
}

/// The changes of one tick as one event: a key has at most one row before and one after it.
fn event(of_tick: &[StoredChange]) -> Option<RowEvent> {
    let last = of_tick.last()?;
    let row = |diff: i8| of_tick.iter().find(|stored| stored.change.diff == diff);
    Some(RowEvent {
        cursor: last.cursor,
        instant: TimeMs(last.instant_ms),
        why: why_of(last),
        old: row(-1).map(|stored| stored.change.row.clone()),
        new: row(1).map(|stored| stored.change.row.clone()),
    })
}
