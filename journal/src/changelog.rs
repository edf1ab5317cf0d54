//! The changelog: what the graph changed in each tick, and the rows that are current after the last one.
//!
//! Written without an fsync: it is a function of the log, and what a power cut takes is derived again. It
//! never runs ahead of the log, because both share one write-ahead log and a tick is logged first.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fjall::Readable;

use crate::embedded::{Db, StoreInner};
use crate::format::{change_key, decode_cell, decode_change, encode_cell, encode_change, row_key};
use crate::index::{Index, IndexOps};
use crate::{ReadError, RowsSnapshot, StoreError};

/// Keys are limited by the database.
const MAX_KEY_BYTES: usize = 32 * 1024;
const LAST_CELL: &str = "changelog.last";
const TRIMMED_CELL: &str = "changelog.trimmed";
const IDENTITY_CELL: &str = "changelog.identity";
/// There where the index has every current row.
const INDEXED_CELL: &str = "changelog.indexed";
/// How many current rows one batch brings into the index.
const INDEX_PER_BATCH: usize = 10_000;
/// Old changes are looked for when the instant has moved so far.
const TRIM_EVERY_MS: i64 = 60_000;
/// How many old changes one append removes at most.
const TRIM_PER_APPEND: u64 = 20_000;
/// How many old changes one batch removes.
const TRIM_PER_BATCH: u64 = 10_000;

/// A change of one derived row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeBytes {
    /// Which table.
    pub table: u8,
    /// The row's key within the table.
    pub key: Vec<u8>,
    /// +1: the row is there now; -1: it is not any more.
    pub diff: i8,
    /// The row as compact JSON.
    pub row: Vec<u8>,
    /// What it came of, as a number; 0 where that is not known.
    pub cause: u8,
    /// The record that brought it; 0 where that is not known.
    pub seq: u64,
    /// How it is found beside by its place.
    pub index: Index,
}

/// A place between changes: after the change `index` of a tick. With `u32::MAX`, after all of that tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// The tick.
    pub tick: u64,
    /// Which of the tick's changes, from 0.
    pub index: u32,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.tick, self.index)
    }
}

/// The text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor; it is a tick and an index such as 12-3")]
pub struct CursorError;

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Cursor, CursorError> {
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let (tick, index) = text.split_once('-').filter(|(a, b)| plain(a) && plain(b)).ok_or(CursorError)?;
        let (tick, index) = (tick.parse().map_err(|_| CursorError)?, index.parse().map_err(|_| CursorError)?);
        Ok(Cursor { tick, index })
    }
}

/// A change as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredChange {
    /// Where it is: reading after this cursor goes on behind it.
    pub cursor: Cursor,
    /// The instant of its tick.
    pub instant_ms: i64,
    /// The change itself.
    pub change: ChangeBytes,
}

#[derive(Default)]
struct State {
    last: Option<(u64, i64)>,
    /// Everything up to here was trimmed.
    trimmed: Cursor,
    /// When old changes are looked for again.
    next_trim_ms: i64,
}

/// What is known without waiting for an append: written only once a commit has succeeded.
struct Published {
    last: RwLock<Option<(u64, i64)>>,
    last_change_tick: AtomicU64,
}

/// The changelog of a store. Cheap to clone.
#[derive(Clone)]
pub struct Changelog {
    store: Arc<StoreInner>,
    state: Arc<Mutex<State>>,
    published: Arc<Published>,
    identity: Arc<str>,
}

impl Changelog {
    pub(crate) fn open(store: Arc<StoreInner>) -> Result<Changelog, StoreError> {
        let read = |cell: &'static str| -> Result<Option<[u64; 2]>, StoreError> {
            let value =
                store.db.meta.get(cell).map_err(StoreError::database("read the changelog's state"))?;
            let Some(value) = value else { return Ok(None) };
            let numbers = decode_cell::<2>(&value);
            numbers.map(Some).map_err(|flaw| StoreError::damaged(format!("the cell {cell:?}: {flaw}")))
        };
        let last = read(LAST_CELL)?.map(|[tick, instant]| (tick, instant.cast_signed()));
        let trimmed = read(TRIMMED_CELL)?.map_or(Cursor::default(), decode_cursor);
        let last_change_tick = last_change_kept(&store)?.map_or(trimmed.tick, |cursor| cursor.tick);
        let identity = begin(&store, last.is_none())?;
        let state = State { last, trimmed, next_trim_ms: i64::MIN };
        let published =
            Published { last: RwLock::new(last), last_change_tick: AtomicU64::new(last_change_tick) };
        Ok(Changelog { state: Arc::new(Mutex::new(state)), published: Arc::new(published), identity, store })
    }

    /// Which changelog this is: drawn when the folder was made. Whoever keeps a cursor elsewhere keeps this beside
    /// it, because ticks of another changelog have the same numbers. A copy of the folder has the same identity.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state changes only after a commit has succeeded, in single assignments.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a tick's changes, ordered -1 before +1 for each key, and brings the current rows up to date:
    /// all of it or nothing. A tick without changes costs one cell. Changes that do not fit the rows kept
    /// are an error: then the graph and the changelog disagree.
    pub fn append(&self, tick: u64, instant_ms: i64, changes: &[ChangeBytes]) -> Result<(), StoreError> {
        let mut state = self.state();
        if let Some((last, _)) = state.last.filter(|(last, _)| tick <= *last) {
            let what = format!("changes of tick {tick} come after those of tick {last}");
            return Err(StoreError::Refused(what));
        }
        let db = &self.store.db;
        let mut batch = db.database.batch();
        let mut scratch = Vec::new();
        let mut index_ops = IndexOps::default();
        for (index, change) in changes.iter().enumerate() {
            let index = u32::try_from(index).ok().filter(|index| *index < u32::MAX);
            let index =
                index.ok_or_else(|| StoreError::Refused("too many changes in one tick".to_string()))?;
            let cursor = Cursor { tick, index };
            encode_change(&mut scratch, cursor, instant_ms, change);
            batch.insert(&db.changes, change_key(cursor), scratch.as_slice());
            index_ops.add(cursor, change);
        }
        index_ops.write(&mut batch, &db.index);
        for ((table, key), row) in self.rows_after(tick, changes)? {
            match row {
                Some(row) => batch.insert(&db.rows, row_key(table, key), row),
                None => batch.remove(&db.rows, row_key(table, key)),
            }
        }
        batch.insert(&db.meta, LAST_CELL, encode_cell([tick, instant_ms.cast_unsigned()]));
        batch.commit().map_err(StoreError::database("append to the changelog"))?;
        state.last = Some((tick, instant_ms));
        self.publish(tick, instant_ms, !changes.is_empty());
        self.trim_in_passing(&mut state, instant_ms)
    }

    /// The rows that a tick touches, as they are after it.
    fn rows_after<'a>(&self, tick: u64, changes: &'a [ChangeBytes]) -> Result<RowsAfter<'a>, StoreError> {
        let mut rows = RowsAfter::new();
        for change in changes {
            let key = (change.table, change.key.as_slice());
            let key_bytes = change.key.len() + change.index.subject().map_or(0, <[u8]>::len);
            if key_bytes > MAX_KEY_BYTES {
                let what = format!("a row's key of {key_bytes} bytes is over the limit of {MAX_KEY_BYTES}");
                return Err(StoreError::Refused(what));
            }
            let kept = match rows.get(&key) {
                Some(row) => row.map(<[u8]>::to_vec),
                None => {
                    let kept = self.store.db.rows.get(row_key(change.table, &change.key));
                    kept.map_err(StoreError::database("read a current row"))?.map(|row| row.to_vec())
                }
            };
            let fits = match change.diff {
                1 => kept.is_none(),
                -1 => kept.as_deref() == Some(change.row.as_slice()),
                other => return Err(StoreError::Refused(format!("a change by {other}; it is +1 or -1"))),
            };
            if !fits {
                return Err(disagreement(tick, change, kept.as_deref()));
            }
            rows.insert(key, (change.diff == 1).then_some(change.row.as_slice()));
        }
        Ok(rows)
    }

    fn publish(&self, tick: u64, instant_ms: i64, has_changes: bool) {
        if has_changes {
            self.published.last_change_tick.store(tick, Ordering::Release);
        }
        *self.published.last.write().unwrap_or_else(PoisonError::into_inner) = Some((tick, instant_ms));
    }

    /// The newest tick appended, and its instant. Never waits for the disk.
    #[must_use]
    pub fn last_tick(&self) -> Option<(u64, i64)> {
        *self.published.last.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest tick that has changes; 0 if there never was one. Never waits for the disk.
    ///
    /// Only the changelog can tell: what is appended for a tick may be more than the graph changed in it,
    /// where a new release corrects what an older one had derived.
    #[must_use]
    pub fn last_change_tick(&self) -> u64 {
        self.published.last_change_tick.load(Ordering::Acquire)
    }

    /// The current rows, as of one tick, whatever is appended meanwhile.
    #[must_use]
    pub fn rows(&self) -> RowsSnapshot {
        // An append holds the state from before its commit until the last tick is known.
        let state = self.state();
        let snapshot = self.store.db.database.snapshot();
        RowsSnapshot::new(Arc::clone(&self.store), snapshot, state.last)
    }

    /// Whether every current row is in the index; not so in a folder of an older release, until
    /// [`Changelog::index_rows`].
    pub fn is_indexed(&self) -> Result<bool, StoreError> {
        let cell = self.store.db.meta.get(INDEXED_CELL);
        Ok(cell.map_err(StoreError::database("read the changelog's state"))?.is_some())
    }

    /// Brings current rows into the index that were appended by a release which had none. The stories of
    /// their subjects begin now.
    pub fn index_rows(&self, rows: impl IntoIterator<Item = (u8, Vec<u8>, Index)>) -> Result<(), StoreError> {
        // Nothing may be appended meanwhile that is older than what is known here.
        let state = self.state();
        let db = &self.store.db;
        let failed = StoreError::database("index the current rows");
        let last = Cursor { tick: state.last.map_or(0, |(tick, _)| tick), index: u32::MAX };
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let mut ops = IndexOps::default();
            for (table, key, index) in rows.by_ref().take(INDEX_PER_BATCH) {
                ops.add_row(last, table, &key, &index);
            }
            let mut batch = db.database.batch();
            ops.write(&mut batch, &db.index);
            batch.commit().map_err(&failed)?;
        }
        db.meta.insert(INDEXED_CELL, []).map_err(failed)
    }

    /// Up to `limit` changes after a cursor, oldest first. A cursor in the future gets none.
    pub fn after(&self, cursor: Cursor, limit: usize) -> Result<Vec<StoredChange>, ReadError> {
        let db = &self.store.db;
        let failed = StoreError::database("read the changelog");
        let snapshot = db.database.snapshot();
        // From the same view, so that no trim comes in between.
        let trimmed = read_trimmed(&snapshot, db)?;
        if cursor < trimmed {
            return Err(ReadError::Gone { asked: cursor, oldest: trimmed });
        }
        let Some(from) = next_key(cursor) else { return Ok(Vec::new()) };
        let mut changes = Vec::new();
        for guard in snapshot.range(&db.changes, from..).take(limit) {
            let (key, value) = guard.into_inner().map_err(&failed)?;
            changes.push(decode_change(&key, &value).map_err(damaged_change)?);
        }
        Ok(changes)
    }

    /// Removes the changes of ticks before an instant, and says how many. Current rows stay.
    pub fn trim(&self, before_instant_ms: i64) -> Result<u64, StoreError> {
        let mut removed = 0;
        loop {
            // Appends go on between the batches.
            let batch = self.trim_batch(&mut self.state(), before_instant_ms)?;
            removed += batch;
            if batch < TRIM_PER_BATCH {
                return Ok(removed);
            }
        }
    }

    /// The oldest cursor that can be resumed from.
    #[must_use]
    pub fn oldest(&self) -> Cursor {
        self.state().trimmed
    }

    fn trim_in_passing(&self, state: &mut State, instant_ms: i64) -> Result<(), StoreError> {
        let keep_ms = self.store.options.changes_keep_ms;
        if keep_ms <= 0 || instant_ms < state.next_trim_ms {
            return Ok(());
        }
        let mut removed = 0;
        while removed < TRIM_PER_APPEND {
            let batch = self.trim_batch(state, instant_ms.saturating_sub(keep_ms))?;
            removed += batch;
            if batch < TRIM_PER_BATCH {
                state.next_trim_ms = instant_ms.saturating_add(TRIM_EVERY_MS);
                break;
            }
        }
        Ok(())
    }

    /// Removes up to one batch of old changes.
    fn trim_batch(&self, state: &mut State, before_instant_ms: i64) -> Result<u64, StoreError> {
        let db = &self.store.db;
        let Some(from) = next_key(state.trimmed) else { return Ok(0) };
        let failed = StoreError::database("trim the changelog");
        let mut batch = db.database.batch();
        let mut removed = 0;
        let mut trimmed = state.trimmed;
        for guard in db.database.snapshot().range(&db.changes, from..) {
            let (key, value) = guard.into_inner().map_err(&failed)?;
            let change = decode_change(&key, &value).map_err(damaged_change)?;
            if change.instant_ms >= before_instant_ms || removed == TRIM_PER_BATCH {
                break;
            }
            batch.remove(&db.changes, key);
            crate::index::forget(&mut batch, db, &change)?;
            trimmed = change.cursor;
            removed += 1;
        }
        if removed == 0 {
            return Ok(0);
        }
        batch.insert(&db.meta, TRIMMED_CELL, encode_cell([trimmed.tick, u64::from(trimmed.index)]));
        batch.commit().map_err(failed)?;
        state.trimmed = trimmed;
        Ok(removed)
    }
}

/// Rows by table and key; `None` where there is none any more.
type RowsAfter<'a> = BTreeMap<(u8, &'a [u8]), Option<&'a [u8]>>;

/// What a changelog begins with, in one batch; gives its identity, which folders of older releases get here.
fn begin(store: &StoreInner, is_new: bool) -> Result<Arc<str>, StoreError> {
    let failed = StoreError::database("begin the changelog");
    let mut batch = store.db.database.batch();
    if is_new {
        // Whatever comes is indexed.
        batch.insert(&store.db.meta, INDEXED_CELL, []);
    }
    let kept = store.db.meta.get(IDENTITY_CELL).map_err(&failed)?;
    let identity = match &kept {
        Some(kept) => String::from_utf8_lossy(kept).into_owned(),
        None => {
            let mut drawn = [0; 16];
            getrandom::fill(&mut drawn)
                .map_err(|error| StoreError::Refused(format!("no identity could be drawn: {error}")))?;
            let identity = format!("{:032x}", u128::from_be_bytes(drawn));
            batch.insert(&store.db.meta, IDENTITY_CELL, identity.as_bytes());
            identity
        }
    };
    if is_new || kept.is_none() {
        batch.commit().map_err(failed)?;
    }
    Ok(identity.into())
}

/// Up to where changes are trimmed.
pub(crate) fn read_trimmed(snapshot: &fjall::Snapshot, db: &Db) -> Result<Cursor, StoreError> {
    let cell = snapshot.get(&db.meta, TRIMMED_CELL).map_err(StoreError::database("read the changelog"))?;
    let trimmed = cell.map(|cell| decode_cell::<2>(&cell).map(decode_cursor)).transpose();
    Ok(trimmed.map_err(damaged_change)?.unwrap_or_default())
}

fn decode_cursor([tick, index]: [u64; 2]) -> Cursor {
    Cursor { tick, index: u32::try_from(index).unwrap_or(u32::MAX) }
}

/// Where the newest change is that was not trimmed.
fn last_change_kept(store: &StoreInner) -> Result<Option<Cursor>, StoreError> {
    let Some(guard) = store.db.changes.last_key_value() else { return Ok(None) };
    let (key, value) = guard.into_inner().map_err(StoreError::database("read the newest change"))?;
    decode_change(&key, &value).map(|change| Some(change.cursor)).map_err(damaged_change)
}

/// The key of the first change that may come after a cursor.
fn next_key(cursor: Cursor) -> Option<[u8; 12]> {
    let next = match cursor.index.checked_add(1) {
        Some(index) => Cursor { tick: cursor.tick, index },
        None => Cursor { tick: cursor.tick.checked_add(1)?, index: 0 },
    };
    Some(change_key(next))
}

pub(crate) fn damaged_change(flaw: &str) -> StoreError {
    StoreError::damaged(format!("a change in the changelog: {flaw}"))
}

fn disagreement(tick: u64, change: &ChangeBytes, kept: Option<&[u8]>) -> StoreError {
    let table = change.table;
    let key = change.key.escape_ascii();
    let change = if change.diff > 0 { "adds the row" } else { "removes another row" };
    let kept = kept.map_or("there is none".to_string(), |row| format!("{} is kept", row.escape_ascii()));
    let what =
        format!("tick {tick} {change} of table {table}, key {key}, but {kept}: the changelog disagrees");
    StoreError::damaged(what)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Options, Store};

    fn change(key: u8) -> ChangeBytes {
        ChangeBytes { table: 1, key: vec![key], diff: 1, row: b"{}".to_vec(), ..ChangeBytes::default() }
    }

    fn open(folder: &std::path::Path) -> Result<Changelog, StoreError> {
        let store = Store::open(folder, Options { changes_keep_ms: 0, ..Options::default() })?;
        Changelog::open(store.changelog().store)
    }

    #[test]
    fn the_last_tick_with_changes_is_known_at_once_and_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let changelog = open(folder.path()).unwrap();
        assert_eq!(changelog.last_change_tick(), 0);
        changelog.append(3, 30, &[]).unwrap();
        assert_eq!(changelog.last_change_tick(), 0);
        changelog.append(4, 40, &[change(1), change(2)]).unwrap();
        changelog.append(5, 50, &[]).unwrap();
        assert_eq!((changelog.last_change_tick(), changelog.last_tick()), (4, Some((5, 50))));
        let reopened = |changelog: &Changelog| Changelog::open(Arc::clone(&changelog.store)).unwrap();
        assert_eq!(reopened(&changelog).identity(), changelog.identity());
        assert_eq!(reopened(&changelog).last_change_tick(), 4);
        assert_eq!(reopened(&changelog).last_tick(), Some((5, 50)));
        assert_eq!(changelog.rows().trimmed().unwrap(), Cursor::default());
        assert_eq!(changelog.trim(1000).unwrap(), 2);
        assert_eq!(changelog.rows().trimmed().unwrap(), Cursor { tick: 4, index: 1 });
        assert_eq!(reopened(&changelog).last_change_tick(), 4, "what is trimmed was there");
    }

    #[test]
    fn figures_do_not_wait_for_an_append() {
        let folder = tempfile::tempdir().unwrap();
        let changelog = open(folder.path()).unwrap();
        changelog.append(1, 10, &[change(1)]).unwrap();
        // As an append does from before its commit on.
        let appending = changelog.state();
        let (tell, told) = std::sync::mpsc::channel();
        let reader = changelog.clone();
        let reading = std::thread::spawn(move || tell.send((reader.last_tick(), reader.last_change_tick())));
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok((Some((1, 10)), 1)));
        drop(appending);
        reading.join().unwrap().unwrap();
    }
}
