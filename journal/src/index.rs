//! The index of the changelog: rows and changes by what they are about, and rows by an id.
//!
//! It is written in the same batch as the changes, and trimmed in the same batch as they are. Current rows
//! stay in it as long as they stand.

use std::collections::BTreeMap;

use fjall::{Keyspace, OwnedWriteBatch, Readable, Snapshot};

use crate::embedded::Db;
use crate::format::{
    IdRecord, change_key, decode_id, encode_id, id_key, subject_changes_key, subject_rows_key,
};
use crate::{ChangeBytes, Cursor, StoreError, StoredChange};

/// How a change, and the row that it is about, are found beside by their places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Index {
    /// Not at all.
    #[default]
    None,
    /// The current row, among those of its subject.
    Row {
        /// What the row is about.
        subject: Vec<u8>,
    },
    /// The change, among those of its subject; and the row by its id, for as long as it is current or a
    /// change of it is kept.
    Story {
        /// What the row is about.
        subject: Vec<u8>,
        /// The row's id, a function of its key.
        id: u64,
    },
}

impl Index {
    pub(crate) fn subject(&self) -> Option<&[u8]> {
        match self {
            Index::None => None,
            Index::Row { subject } | Index::Story { subject, .. } => Some(subject),
        }
    }
}

/// What is written to the index: the last word on each of its keys.
#[derive(Default)]
pub(crate) struct IndexOps(BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl IndexOps {
    pub fn add(&mut self, cursor: Cursor, change: &ChangeBytes) {
        match &change.index {
            Index::None => {}
            Index::Row { subject } => {
                let mut key = subject_rows_key(change.table, subject);
                key.extend_from_slice(&change.key);
                self.0.insert(key, (change.diff > 0).then(Vec::new));
            }
            Index::Story { subject, id } => {
                self.0.insert(change_in_story(cursor, change.table, subject), Some(Vec::new()));
                let record = IdRecord { last: cursor, table: change.table, key: change.key.clone() };
                self.0.insert(id_key(*id), Some(encode_id(*id, &record)));
            }
        }
    }

    /// Adds a row that is current and whose changes are not in the index.
    pub fn add_row(&mut self, last: Cursor, table: u8, key: &[u8], index: &Index) {
        match index {
            Index::None => {}
            Index::Row { subject } => {
                let mut row_key = subject_rows_key(table, subject);
                row_key.extend_from_slice(key);
                self.0.insert(row_key, Some(Vec::new()));
            }
            Index::Story { id, .. } => {
                let record = IdRecord { last, table, key: key.to_vec() };
                self.0.insert(id_key(*id), Some(encode_id(*id, &record)));
            }
        }
    }

    pub fn write(self, batch: &mut OwnedWriteBatch, index: &Keyspace) {
        for (key, value) in self.0 {
            match value {
                Some(value) => batch.insert(index, key, value),
                None => batch.remove(index, key),
            }
        }
    }
}

/// Takes a change that is trimmed out of the index; its row's id too, if that went with it for good.
pub(crate) fn forget(batch: &mut OwnedWriteBatch, db: &Db, stored: &StoredChange) -> Result<(), StoreError> {
    let Index::Story { subject, id } = &stored.change.index else { return Ok(()) };
    batch.remove(&db.index, change_in_story(stored.cursor, stored.change.table, subject));
    if stored.change.diff < 0 {
        let record = find(&db.database.snapshot(), &db.index, *id)?;
        if record.is_some_and(|record| record.last == stored.cursor) {
            batch.remove(&db.index, id_key(*id));
        }
    }
    Ok(())
}

/// Where the row of an id is, or was.
pub(crate) fn find(snapshot: &Snapshot, index: &Keyspace, id: u64) -> Result<Option<IdRecord>, StoreError> {
    let value = snapshot.get(index, id_key(id)).map_err(StoreError::database("look up an id"))?;
    let record = value.map(|value| decode_id(id, &value)).transpose();
    record.map_err(|flaw| StoreError::damaged(format!("an id in the changelog's index: {flaw}")))
}

fn change_in_story(cursor: Cursor, table: u8, subject: &[u8]) -> Vec<u8> {
    let mut key = subject_changes_key(table, subject);
    key.extend_from_slice(&change_key(cursor));
    key
}
