//! Dead letters: input that could not be used, kept with the reason so that it can be mended and sent again.
//!
//! Bounded in count, bytes and age; what goes is counted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use fjall::{OwnedWriteBatch, PersistMode, Readable};

use crate::StoreError;
use crate::embedded::StoreInner;
use crate::format::{decode_cell, decode_dead_letter, encode_cell, encode_dead_letter, number_key};

const MAX_PAYLOAD_BYTES: usize = 1024 * 1024;
const MAX_REASON_BYTES: usize = 4096;
const MAX_CONTEXT_BYTES: usize = 4096;
/// How many letters become durable together.
const MAX_BATCH_LETTERS: usize = 1000;
/// How many bytes become durable together, and how many one answer has.
const MAX_BATCH_BYTES: usize = 16 * 1024 * 1024;
/// How many old letters one new letter removes at most.
const MAX_DROPS_PER_LETTER: u64 = 100;
const STATE_CELL: &str = "dead_letters";

/// A dead letter as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// From 1; never used twice.
    pub id: u64,
    /// When it was received, in milliseconds since 1970.
    pub received_ms: i64,
    /// Which source it came from.
    pub source: u8,
    /// What decoding needs beside the bytes, or where it was (file and line).
    pub context: String,
    /// Why it is dead.
    pub reason: String,
    /// The bytes as received, cut at 1 MiB.
    pub payload: Vec<u8>,
}

/// A dead letter to be kept.
#[derive(Clone, Copy, Debug)]
pub struct NewDeadLetter<'a> {
    /// When it was received, in milliseconds since 1970.
    pub received_ms: i64,
    /// Which source it came from.
    pub source: u8,
    /// What decoding needs beside the bytes, or where it was.
    pub context: &'a str,
    /// Why it is dead.
    pub reason: &'a str,
    /// The bytes as received.
    pub payload: &'a [u8],
}

/// How many dead letters there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterCounts {
    /// Letters that are kept.
    pub kept: u64,
    /// Bytes that are kept.
    pub bytes: u64,
    /// Letters that went because of a limit, ever.
    pub dropped_total: u64,
}

#[derive(Clone, Copy)]
struct State {
    next_id: u64,
    /// No letter before it is kept: spares a walk over what was removed.
    first_id: u64,
    counts: DeadLetterCounts,
}

impl State {
    fn encode(&self) -> Vec<u8> {
        let counts = self.counts;
        encode_cell([self.next_id, self.first_id, counts.kept, counts.bytes, counts.dropped_total])
    }
}

/// The dead letters of a store. Cheap to clone.
#[derive(Clone)]
pub struct DeadLetters {
    store: Arc<StoreInner>,
    state: Arc<Mutex<State>>,
    /// What is known without waiting for a commit: written only once one has succeeded.
    counts: Arc<RwLock<DeadLetterCounts>>,
}

impl DeadLetters {
    pub(crate) fn open(store: Arc<StoreInner>) -> Result<DeadLetters, StoreError> {
        let cell =
            store.db.meta.get(STATE_CELL).map_err(StoreError::database("read the dead letters' state"))?;
        let state = match cell {
            None => State { next_id: 1, first_id: 1, counts: DeadLetterCounts::default() },
            Some(cell) => {
                let numbers = decode_cell::<5>(&cell);
                let [next_id, first_id, kept, bytes, dropped_total] = numbers
                    .map_err(|flaw| StoreError::damaged(format!("the state of the dead letters: {flaw}")))?;
                State { next_id, first_id, counts: DeadLetterCounts { kept, bytes, dropped_total } }
            }
        };
        let counts = Arc::new(RwLock::new(state.counts));
        Ok(DeadLetters { store, state: Arc::new(Mutex::new(state)), counts })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state changes only after a commit has succeeded, in one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn committed(&self, state: &mut State, next: State) {
        *state = next;
        *self.counts.write().unwrap_or_else(PoisonError::into_inner) = next.counts;
    }

    /// Keeps a letter; durable when it returns. A payload over 1 MiB is cut, and the reason says so.
    pub fn add(
        &self,
        received_ms: i64,
        source: u8,
        context: &str,
        reason: &str,
        payload: &[u8],
    ) -> Result<u64, StoreError> {
        let ids = self.add_all(&[NewDeadLetter { received_ms, source, context, reason, payload }])?;
        Ok(ids.start)
    }

    /// Keeps several letters, with one fsync where they are few. Their ids follow each other.
    pub fn add_all(&self, letters: &[NewDeadLetter<'_>]) -> Result<std::ops::Range<u64>, StoreError> {
        let mut state = self.state();
        let first_id = state.next_id;
        let mut rest = letters;
        while !rest.is_empty() {
            let taken = self.add_batch(&mut state, rest)?;
            rest = &rest[taken..];
        }
        Ok(first_id..state.next_id)
    }

    /// Commits as many letters as one batch may have, and says how many.
    fn add_batch(&self, state: &mut State, letters: &[NewDeadLetter<'_>]) -> Result<usize, StoreError> {
        let db = &self.store.db;
        let mut batch = db.database.batch().durability(Some(PersistMode::SyncData));
        let mut next = *state;
        let mut value = Vec::new();
        let (mut taken, mut batch_bytes) = (0, 0);
        // No batch exceeds the limits by itself, so that removing older letters always suffices.
        let options = &self.store.options;
        let max_letters = bounded_usize(options.dead_letters_max_count).clamp(1, MAX_BATCH_LETTERS);
        let max_bytes = bounded_usize(options.dead_letters_max_bytes).min(MAX_BATCH_BYTES);
        for letter in letters.iter().take(max_letters) {
            encode_dead_letter(&mut value, &bounded(next.next_id, letter));
            if taken > 0 && batch_bytes + value.len() > max_bytes {
                break;
            }
            batch.insert(&db.dead_letters, number_key(next.next_id), value.as_slice());
            next.next_id += 1;
            next.counts.kept += 1;
            next.counts.bytes += value.len() as u64;
            batch_bytes += value.len();
            taken += 1;
        }
        let newest_ms = letters[..taken].iter().map(|letter| letter.received_ms).max().unwrap_or(i64::MIN);
        self.drop_oldest(&mut batch, &mut next, state.next_id, newest_ms, taken as u64)?;
        batch.insert(&db.meta, STATE_CELL, next.encode());
        batch.commit().map_err(StoreError::database("keep a dead letter"))?;
        self.committed(state, next);
        Ok(taken)
    }

    /// Removes the oldest letters while a limit is exceeded. Letters from `fresh_id` on are in the batch and
    /// stay: the newest one is always kept.
    fn drop_oldest(
        &self,
        batch: &mut OwnedWriteBatch,
        next: &mut State,
        fresh_id: u64,
        newest_ms: i64,
        fresh: u64,
    ) -> Result<(), StoreError> {
        let (db, options) = (&self.store.db, &self.store.options);
        let failed = StoreError::database("read the oldest dead letters");
        let oldest_ms = newest_ms.saturating_sub(options.dead_letters_keep_ms.max(0));
        let mut drops_left = fresh.saturating_mul(MAX_DROPS_PER_LETTER);
        let old =
            db.database.snapshot().range(&db.dead_letters, number_key(next.first_id)..number_key(fresh_id));
        for guard in old {
            let (key, value) = guard.into_inner().map_err(&failed)?;
            let letter = decode_dead_letter(&key, &value).map_err(damaged_letter)?;
            next.first_id = letter.id;
            let over = next.counts.kept > options.dead_letters_max_count
                || next.counts.bytes > options.dead_letters_max_bytes
                || letter.received_ms < oldest_ms;
            if !over || drops_left == 0 {
                return Ok(());
            }
            batch.remove(&db.dead_letters, key);
            next.first_id = letter.id + 1;
            next.counts.kept = next.counts.kept.saturating_sub(1);
            next.counts.bytes = next.counts.bytes.saturating_sub(value.len() as u64);
            next.counts.dropped_total += 1;
            drops_left -= 1;
        }
        Ok(())
    }

    /// Letters after an id, oldest first: up to `limit`, or fewer when they are large (an empty answer is the
    /// end).
    pub fn list(&self, after_id: u64, limit: usize) -> Result<Vec<DeadLetter>, StoreError> {
        let from = after_id.saturating_add(1).max(self.state().first_id);
        let db = &self.store.db;
        let mut letters = Vec::new();
        let mut bytes = 0;
        for guard in db.database.snapshot().range(&db.dead_letters, number_key(from)..).take(limit) {
            let (key, value) = guard.into_inner().map_err(StoreError::database("list the dead letters"))?;
            letters.push(decode_dead_letter(&key, &value).map_err(damaged_letter)?);
            bytes += value.len();
            if bytes > MAX_BATCH_BYTES {
                break;
            }
        }
        Ok(letters)
    }

    /// One letter, if it is kept.
    pub fn get(&self, id: u64) -> Result<Option<DeadLetter>, StoreError> {
        let key = number_key(id);
        let value =
            self.store.db.dead_letters.get(key).map_err(StoreError::database("read a dead letter"))?;
        value.map(|value| decode_dead_letter(&key, &value)).transpose().map_err(damaged_letter)
    }

    /// Removes a letter, durably; false if it was not kept.
    pub fn remove(&self, id: u64) -> Result<bool, StoreError> {
        let failed = StoreError::database("remove a dead letter");
        let db = &self.store.db;
        let mut state = self.state();
        let Some(value_bytes) = db.dead_letters.size_of(number_key(id)).map_err(&failed)? else {
            return Ok(false);
        };
        let mut next = *state;
        next.counts.kept = next.counts.kept.saturating_sub(1);
        next.counts.bytes = next.counts.bytes.saturating_sub(u64::from(value_bytes));
        let mut batch = db.database.batch().durability(Some(PersistMode::SyncData));
        batch.remove(&db.dead_letters, number_key(id));
        batch.insert(&db.meta, STATE_CELL, next.encode());
        batch.commit().map_err(failed)?;
        self.committed(&mut state, next);
        Ok(true)
    }

    /// How many there are. Never waits for the disk.
    #[must_use]
    pub fn counts(&self) -> DeadLetterCounts {
        *self.counts.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bounded_usize(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn damaged_letter(flaw: &str) -> StoreError {
    StoreError::damaged(format!("a dead letter: {flaw}"))
}

/// A letter within the limits of one.
fn bounded(id: u64, letter: &NewDeadLetter<'_>) -> DeadLetter {
    let mut reason = cut_text(letter.reason, MAX_REASON_BYTES).to_string();
    let payload = &letter.payload[..letter.payload.len().min(MAX_PAYLOAD_BYTES)];
    if payload.len() < letter.payload.len() {
        reason.push_str(&format!(" (payload of {} bytes, cut at {MAX_PAYLOAD_BYTES})", letter.payload.len()));
    }
    DeadLetter {
        id,
        received_ms: letter.received_ms,
        source: letter.source,
        context: cut_text(letter.context, MAX_CONTEXT_BYTES).to_string(),
        reason,
        payload: payload.to_vec(),
    }
}

/// The longest start of a text that is no longer than `max_bytes`.
fn cut_text(text: &str, max_bytes: usize) -> &str {
    let mut end = max_bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{Options, Store};

    #[test]
    fn figures_do_not_wait_for_a_commit() {
        let folder = tempfile::tempdir().unwrap();
        let letters = Store::open(folder.path(), Options::default()).unwrap().dead_letters();
        letters.add(1, 2, "", "bad", b"one").unwrap();
        let gone = letters.add(1, 2, "", "bad", b"two").unwrap();
        letters.remove(gone).unwrap();
        // As a commit does until it is durable.
        let committing = letters.state();
        let (tell, told) = std::sync::mpsc::channel();
        let reader = letters.clone();
        let reading = std::thread::spawn(move || tell.send(reader.counts()));
        assert_eq!(told.recv_timeout(Duration::from_secs(20)), Ok(committing.counts));
        assert_eq!(committing.counts.kept, 1);
        drop(committing);
        reading.join().unwrap().unwrap();
    }
}
