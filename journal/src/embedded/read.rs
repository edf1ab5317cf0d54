//! Reads ticks again, one at a time, while others are appended.

use std::sync::Arc;

use fjall::{Iter, Readable};

use super::StoreInner;
use crate::format::{TickRecord, decode_entry, number_key};
use crate::{StoreError, Tick};

/// Ticks and entries read from one view of the database. A view holds back its cleaning, so a long read
/// takes a new one now and then.
const VIEW_BUDGET: u64 = 100_000;

/// Streams ticks of which every one must be there.
pub(crate) struct TickReader {
    store: Arc<StoreInner>,
    next_tick: u64,
    to_tick: u64,
    /// Unknown before the first tick.
    next_offset: Option<u64>,
    view: Option<View>,
}

struct View {
    ticks: Iter,
    entries: Iter,
    budget: u64,
}

impl TickReader {
    pub(crate) fn new(store: Arc<StoreInner>, from_tick: u64, to_tick: u64) -> TickReader {
        let next_offset = (from_tick == 1).then_some(1);
        TickReader { store, next_tick: from_tick, to_tick, next_offset, view: None }
    }

    fn open_view(&self) -> Result<View, StoreError> {
        let db = &self.store.db;
        let snapshot = db.database.snapshot();
        let first_offset = match self.next_offset {
            Some(offset) => offset,
            None => {
                let key = number_key(self.next_tick);
                let value = snapshot.get(&db.ticks, key).map_err(StoreError::database("read a tick"))?;
                let value = value.ok_or_else(|| missing("tick", self.next_tick))?;
                decode_tick(self.next_tick, &key, &value)?.first_offset
            }
        };
        Ok(View {
            ticks: snapshot.range(&db.ticks, number_key(self.next_tick)..=number_key(self.to_tick)),
            entries: snapshot.range(&db.entries, number_key(first_offset)..),
            budget: VIEW_BUDGET,
        })
    }

    fn read_next(&mut self) -> Result<Tick, StoreError> {
        let mut view = match self.view.take() {
            Some(view) => view,
            None => self.open_view()?,
        };
        let failed = StoreError::database("read the journal");
        let guard = view.ticks.next().ok_or_else(|| missing("tick", self.next_tick))?;
        let (key, value) = guard.into_inner().map_err(&failed)?;
        let record = decode_tick(self.next_tick, &key, &value)?;
        if record.number != self.next_tick {
            return Err(missing("tick", self.next_tick));
        }
        if self.next_offset.is_some_and(|expected| expected != record.first_offset) {
            let what = format!("tick {} does not begin where the one before it ends", record.number);
            return Err(StoreError::damaged(what));
        }
        let mut entries = Vec::new();
        for offset in record.first_offset..record.next_offset() {
            let guard = view.entries.next().ok_or_else(|| missing("entry", offset))?;
            let (key, value) = guard.into_inner().map_err(&failed)?;
            let entry = decode_entry(&key, &value)
                .map_err(|flaw| StoreError::damaged(format!("entry {offset} of the journal: {flaw}")))?;
            if entry.offset != offset {
                return Err(missing("entry", offset));
            }
            entries.push(entry);
        }
        self.next_tick += 1;
        self.next_offset = Some(record.next_offset());
        let cost = 1 + u64::from(record.entry_count);
        if view.budget > cost {
            view.budget -= cost;
            self.view = Some(view);
        }
        Ok(Tick { number: record.number, instant_ms: record.instant_ms, entries })
    }
}

fn decode_tick(expected: u64, key: &[u8], value: &[u8]) -> Result<TickRecord, StoreError> {
    let damaged = |flaw| StoreError::damaged(format!("tick {expected} of the journal: {flaw}"));
    TickRecord::decode(key, value).map_err(damaged)
}

fn missing(what: &str, number: u64) -> StoreError {
    StoreError::damaged(format!("{what} {number} of the journal is missing"))
}

impl Iterator for TickReader {
    type Item = Result<Tick, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_tick > self.to_tick {
            return None;
        }
        let result = self.read_next();
        if result.is_err() {
            self.to_tick = 0;
            self.view = None;
        }
        Some(result)
    }
}
