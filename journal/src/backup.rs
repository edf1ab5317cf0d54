//! A backup: all that a folder has and that cannot be made of something else, as one stream of bytes.
//!
//! ```text
//!   MAGIC | frame ... | end        frame: kind u8, number u64, length u32, value     end: ticks u64, letters u64
//! ```
//!
//! Values are as the database has them, each with a checksum that is seeded with its number: what is restored is what
//! was kept, or the restoring fails. The entries of a tick come before it. The changelog is not in it: it is a function
//! of the ticks, and the next start derives it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fjall::PersistMode;

use crate::embedded::{self, Recovered, StoreInner};
use crate::format::{
    TickRecord, decode_dead_letter, decode_entry, encode_dead_letter, encode_entry, number_key,
};
use crate::{DeadLetters, Log, NewDeadLetter, Options, Store, StoreError};

const MAGIC: &[u8] = b"watchtower backup 1\n";
const ENTRY: u8 = 1;
const TICK: u8 = 2;
const LETTER: u8 = 3;
const END: u8 = 4;
/// Entries are bodies, which are far smaller.
const MAX_VALUE_BYTES: u32 = 1 << 30;
const LETTERS_A_READ: usize = 100;
/// Ticks that are restored between two waits for the disk.
const TICKS_A_SYNC: u64 = 10_000;

/// Why a backup could not be written or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The folder failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stream failed.
    #[error("the backup cannot be written: {0}")]
    Write(#[source] std::io::Error),
    /// The stream failed, or ended too early.
    #[error("the backup cannot be read, or is cut short: {0}")]
    Read(#[source] std::io::Error),
    /// It is no backup, or not what was written.
    #[error("{0}")]
    Damaged(String),
    /// There is something where the folder is to be.
    #[error("{} is there already; restore into a folder that is not", .0.display())]
    Exists(PathBuf),
    /// A folder could not be made or named.
    #[error("{}: {source}", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
}

/// What a backup has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackedUp {
    /// Ticks, and so the number of the last.
    pub ticks: u64,
    /// Entries of all of them.
    pub entries: u64,
    /// Dead letters.
    pub letters: u64,
    /// The instant of the last tick, in milliseconds since 1970.
    pub instant_ms: i64,
}

/// Writes all ticks that are durable at the call, and the dead letters. The store may be in use.
pub fn write_backup(
    store: &Store,
    out: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<BackedUp, BackupError> {
    let log = store.log();
    let last = log.last_tick().map_or(0, |(tick, _)| tick);
    let mut frames = Frames { out, value: Vec::new() };
    frames.out.write_all(MAGIC).map_err(BackupError::Write)?;
    let mut done = BackedUp::default();
    for tick in log.read(1, last) {
        let tick = tick?;
        let record = TickRecord {
            number: tick.number,
            instant_ms: tick.instant_ms,
            first_offset: done.entries + 1,
            entry_count: u32::try_from(tick.entries.len()).unwrap_or(u32::MAX),
        };
        for entry in &tick.entries {
            frames.put(ENTRY, entry.offset, |value| encode_entry(value, entry))?;
        }
        frames.put(TICK, tick.number, |value| record.encode(value))?;
        done.ticks = tick.number;
        done.entries += tick.entries.len() as u64;
        done.instant_ms = tick.instant_ms;
        progress(done.ticks, last);
    }
    let mut after_id = 0;
    loop {
        let letters = store.dead_letters().list(after_id, LETTERS_A_READ)?;
        let Some(last) = letters.last() else { break };
        after_id = last.id;
        for letter in &letters {
            frames.put(LETTER, letter.id, |value| encode_dead_letter(value, letter))?;
            done.letters += 1;
        }
    }
    frames.put(END, done.ticks, |value| {
        value.clear();
        value.extend_from_slice(&done.letters.to_be_bytes());
    })?;
    frames.out.flush().map_err(BackupError::Write)?;
    Ok(done)
}

struct Frames<'a> {
    out: &'a mut dyn Write,
    value: Vec<u8>,
}

impl Frames<'_> {
    fn put(&mut self, kind: u8, number: u64, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), BackupError> {
        encode(&mut self.value);
        let length = u32::try_from(self.value.len()).ok().filter(|length| *length <= MAX_VALUE_BYTES);
        let length = length.ok_or_else(|| BackupError::Damaged(format!("entry {number} is too large")))?;
        let mut head = [kind; 13];
        head[1..9].copy_from_slice(&number.to_be_bytes());
        head[9..].copy_from_slice(&length.to_be_bytes());
        let written = self.out.write_all(&head).and_then(|()| self.out.write_all(&self.value));
        written.map_err(BackupError::Write)
    }
}

/// Makes a folder of a backup. It has its name only once it is whole.
pub fn restore_backup(
    dir: &Path,
    from: &mut dyn Read,
    progress: &mut dyn FnMut(u64),
) -> Result<BackedUp, BackupError> {
    if dir.try_exists().map_err(|source| BackupError::Folder { path: dir.to_owned(), source })? {
        return Err(BackupError::Exists(dir.to_owned()));
    }
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".restoring");
    let unfinished = dir.with_file_name(name);
    match fs::remove_dir_all(&unfinished) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            return Err(BackupError::Folder { path: unfinished, source });
        }
        Ok(()) | Err(_) => {}
    }
    let restored = restore_into(&unfinished, from, progress)?;
    fs::rename(&unfinished, dir).map_err(|source| BackupError::Folder { path: dir.to_owned(), source })?;
    Ok(restored)
}

fn restore_into(
    dir: &Path,
    from: &mut dyn Read,
    progress: &mut dyn FnMut(u64),
) -> Result<BackedUp, BackupError> {
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic).map_err(BackupError::Read)?;
    if magic != MAGIC {
        return Err(BackupError::Damaged("this is no backup of a data folder".to_owned()));
    }
    let Recovered { lock, db, mut mark, .. } = embedded::open(dir)?;
    // What the other folder had is kept, whatever its limits were.
    let options = Options {
        dead_letters_max_count: u64::MAX,
        dead_letters_max_bytes: u64::MAX,
        dead_letters_keep_ms: i64::MAX,
        ..Options::default()
    };
    let inner = Arc::new(StoreInner::new(db, options, lock));
    let letters = DeadLetters::open(Arc::clone(&inner))?;
    let db = &inner.db;
    let failed = StoreError::database("restore a backup");
    let mut done = BackedUp::default();
    let mut batch = db.database.batch();
    let mut entries_of_tick = 0;
    let mut last = None;
    loop {
        let (kind, number, value) = next_frame(from)?;
        let damaged = |flaw: &str| BackupError::Damaged(format!("the backup, at number {number}: {flaw}"));
        match kind {
            ENTRY => {
                decode_entry(&number_key(number), &value).map_err(damaged)?;
                if number != done.entries + 1 {
                    return Err(damaged("an entry is missing"));
                }
                batch.insert(&db.entries, number_key(number), value);
                done.entries += 1;
                entries_of_tick += 1;
            }
            TICK => {
                let record = TickRecord::decode(&number_key(number), &value).map_err(damaged)?;
                let first_offset = done.entries + 1 - entries_of_tick;
                if number != done.ticks + 1
                    || (record.first_offset, u64::from(record.entry_count)) != (first_offset, entries_of_tick)
                {
                    return Err(damaged("a tick is missing, or has other entries"));
                }
                batch.insert(&db.ticks, number_key(number), value);
                batch.commit().map_err(&failed)?;
                batch = db.database.batch();
                entries_of_tick = 0;
                (done.ticks, done.instant_ms, last) = (number, record.instant_ms, Some(record));
                if number.is_multiple_of(TICKS_A_SYNC) {
                    db.database.persist(PersistMode::SyncData).map_err(&failed)?;
                }
                progress(number);
            }
            LETTER => {
                let letter = decode_dead_letter(&number_key(number), &value).map_err(damaged)?;
                letters.add_all(&[NewDeadLetter {
                    received_ms: letter.received_ms,
                    source: letter.source,
                    context: &letter.context,
                    reason: &letter.reason,
                    payload: &letter.payload,
                }])?;
                done.letters += 1;
            }
            END if number == done.ticks && value == done.letters.to_be_bytes() && entries_of_tick == 0 => {
                break;
            }
            END => return Err(damaged("it ends before all of it was there")),
            _ => return Err(damaged("it has what this release does not know")),
        }
    }
    db.database.persist(PersistMode::SyncAll).map_err(&failed)?;
    if let Some(record) = last {
        let noted = mark.note(record.into()).and_then(|()| mark.sync());
        noted.map_err(|source| BackupError::Folder { path: dir.to_owned(), source })?;
    }
    Ok(done)
}

fn next_frame(from: &mut dyn Read) -> Result<(u8, u64, Vec<u8>), BackupError> {
    let mut head = [0; 13];
    from.read_exact(&mut head).map_err(BackupError::Read)?;
    let [kind, rest @ ..] = head;
    let (number, length) = rest.split_at(8);
    let number = number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    let length = length.iter().fold(0, |length, byte| length << 8 | u32::from(*byte));
    if length > MAX_VALUE_BYTES {
        return Err(BackupError::Damaged(format!("the backup, at number {number}: a value is too long")));
    }
    let mut value = Vec::new();
    let read = from.take(length.into()).read_to_end(&mut value).map_err(BackupError::Read)?;
    if read as u64 != u64::from(length) {
        return Err(BackupError::Read(ErrorKind::UnexpectedEof.into()));
    }
    Ok((kind, number, value))
}
