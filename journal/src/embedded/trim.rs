//! Takes ticks that are archived out of the database.

use fjall::{Keyspace, Readable};

use super::Db;
use crate::StoreError;
use crate::format::number_key;

const KEYS_A_BATCH: usize = 10_000;
/// A keyspace that is so small is written anew at once, for its space; a larger one gives it back bit by bit.
const COMPACT_BYTES: u64 = 256 * 1024 * 1024;

/// Removes ticks up to one, and entries before an offset. What a crash left of an earlier call goes too.
pub(crate) fn trim(db: &Db, to_tick: u64, next_offset: u64) -> Result<(), StoreError> {
    let ticks = remove_below(db, &db.ticks, to_tick + 1)?;
    let entries = remove_below(db, &db.entries, next_offset)?;
    for (keyspace, removed) in [(&db.ticks, ticks), (&db.entries, entries)] {
        if removed > 0 && keyspace.disk_space() < COMPACT_BYTES {
            keyspace.major_compact().map_err(StoreError::database("compact the journal"))?;
        }
    }
    Ok(())
}

fn remove_below(db: &Db, keyspace: &Keyspace, end: u64) -> Result<u64, StoreError> {
    let failed = StoreError::database("trim the journal");
    let mut from = number_key(0).to_vec();
    let mut removed = 0;
    loop {
        let mut batch = db.database.batch();
        // A view of its own each time: one holds back the cleaning of what is removed.
        for guard in
            db.database.snapshot().range(keyspace, from.clone()..number_key(end).to_vec()).take(KEYS_A_BATCH)
        {
            let key = guard.key().map_err(&failed)?;
            from.clear();
            from.extend_from_slice(&key);
            // Each was written once.
            batch.remove_weak(keyspace, key);
        }
        let in_batch = batch.len();
        if in_batch == 0 {
            return Ok(removed);
        }
        batch.commit().map_err(&failed)?;
        removed += in_batch as u64;
    }
}
