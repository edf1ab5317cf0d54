//! The current rows, and the kept changes of a subject, as of one tick.

use std::ops::Bound;
use std::sync::Arc;

use fjall::{Readable, Snapshot};

use crate::changelog::{damaged_change, read_trimmed};
use crate::embedded::StoreInner;
use crate::format::{
    change_key, decode_change, read_change_key, row_key, subject_changes_key, subject_rows_key,
};
use crate::{Cursor, StoreError, StoredChange, index};

/// The current rows as of one tick.
pub struct RowsSnapshot {
    snapshot: Snapshot,
    store: Arc<StoreInner>,
    last: Option<(u64, i64)>,
}

/// A row that was found by its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundRow {
    /// Its table.
    pub table: u8,
    /// Its key.
    pub key: Vec<u8>,
    /// The row, if it is current.
    pub row: Option<Vec<u8>>,
    /// Its last change.
    pub last_change: Cursor,
}

/// A key of a table, and its row.
pub type KeyAndRow = (Vec<u8>, Vec<u8>);

impl RowsSnapshot {
    pub(crate) fn new(store: Arc<StoreInner>, snapshot: Snapshot, last: Option<(u64, i64)>) -> RowsSnapshot {
        RowsSnapshot { snapshot, store, last }
    }

    /// The tick, and its instant, that these rows are exact for.
    #[must_use]
    pub fn last_tick(&self) -> Option<(u64, i64)> {
        self.last
    }

    /// Up to where changes are trimmed, which may be in the middle of a tick.
    pub fn trimmed(&self) -> Result<Cursor, StoreError> {
        read_trimmed(&self.snapshot, &self.store.db)
    }

    /// The keys and rows of a table, in the order of the keys' bytes.
    pub fn iter(&self, table: u8) -> impl Iterator<Item = Result<KeyAndRow, StoreError>> + Send + use<> {
        self.starting_with(table, &[])
    }

    /// The keys and rows of a table whose keys begin with these bytes, in the order of the keys' bytes.
    pub fn starting_with(
        &self,
        table: u8,
        beginning: &[u8],
    ) -> impl Iterator<Item = Result<KeyAndRow, StoreError>> + Send + use<> {
        self.snapshot.prefix(&self.store.db.rows, row_key(table, beginning)).map(key_and_row)
    }

    /// The keys and rows of a table after a key, in the order of the keys' bytes.
    pub fn after(
        &self,
        table: u8,
        key: &[u8],
    ) -> impl Iterator<Item = Result<KeyAndRow, StoreError>> + Send + use<> {
        let range = (Bound::Excluded(row_key(table, key)), end_of(vec![table]));
        self.snapshot.range(&self.store.db.rows, range).map(key_and_row)
    }

    /// The row of a key.
    pub fn get(&self, table: u8, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let row = self.snapshot.get(&self.store.db.rows, row_key(table, key));
        Ok(row.map_err(StoreError::database("read a current row"))?.map(|row| row.to_vec()))
    }

    /// The keys and rows of a subject ([`crate::Index::Row`]) after a key, in the order of the keys' bytes.
    pub fn of_subject(
        &self,
        table: u8,
        subject: &[u8],
        after_key: &[u8],
    ) -> impl Iterator<Item = Result<KeyAndRow, StoreError>> + use<'_> {
        let beginning = subject_rows_key(table, subject);
        let from = [beginning.as_slice(), after_key].concat();
        let skip = beginning.len();
        let keys = self.snapshot.range(&self.store.db.index, (Bound::Excluded(from), end_of(beginning)));
        keys.map(move |guard| {
            let (key, _) = guard.into_inner().map_err(StoreError::database("read the index of rows"))?;
            let key = key.get(skip..).unwrap_or_default().to_vec();
            let row = self.get(table, &key)?;
            let row = row.ok_or_else(|| StoreError::damaged("a row is in the index, and is not kept"))?;
            Ok((key, row))
        })
    }

    /// The row of an id ([`crate::Index::Story`]): current, or gone for no longer than changes are kept.
    pub fn find(&self, id: u64) -> Result<Option<FoundRow>, StoreError> {
        let Some(record) = index::find(&self.snapshot, &self.store.db.index, id)? else { return Ok(None) };
        let row = self.get(record.table, &record.key)?;
        Ok(Some(FoundRow { table: record.table, key: record.key, row, last_change: record.last }))
    }

    /// The kept changes of a subject ([`crate::Index::Story`]) after a cursor, oldest first.
    pub fn story(
        &self,
        table: u8,
        subject: &[u8],
        after: Cursor,
    ) -> impl DoubleEndedIterator<Item = Result<StoredChange, StoreError>> + use<'_> {
        let beginning = subject_changes_key(table, subject);
        let from = [beginning.as_slice(), &change_key(after)].concat();
        let skip = beginning.len();
        let keys = self.snapshot.range(&self.store.db.index, (Bound::Excluded(from), end_of(beginning)));
        keys.map(move |guard| {
            let (key, _) = guard.into_inner().map_err(StoreError::database("read the index of changes"))?;
            let cursor = read_change_key(key.get(skip..).unwrap_or_default()).map_err(damaged_change)?;
            let key = change_key(cursor);
            let value = self.snapshot.get(&self.store.db.changes, key);
            let value = value.map_err(StoreError::database("read a change"))?;
            let value = value.ok_or_else(|| damaged_change("it is in the index, and is not kept"))?;
            decode_change(&key, &value).map_err(damaged_change)
        })
    }
}

fn key_and_row(guard: fjall::Guard) -> Result<KeyAndRow, StoreError> {
    let (key, row) = guard.into_inner().map_err(StoreError::database("read the current rows"))?;
    Ok((key.get(1..).unwrap_or_default().to_vec(), row.to_vec()))
}

/// The end of the keys that begin with these bytes.
fn end_of(mut beginning: Vec<u8>) -> Bound<Vec<u8>> {
    while let Some(last) = beginning.pop() {
        if let Some(next) = last.checked_add(1) {
            beginning.push(next);
            return Bound::Excluded(beginning);
        }
    }
    Bound::Unbounded
}
