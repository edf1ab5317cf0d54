//! Opening a folder: what must be true before anything is appended to it.
//!
//! Steps: lock; read the mark; make a database where there is neither; look at its files before the database
//! does, and cut a torn tail; open it; hold its last tick against its own entries, against the write-ahead
//! log and against the mark; write the mark.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom};
use std::path::Path;

use fjall::Readable;

use super::database::{self, Db};
use super::lock::FolderLock;
use super::mark::{self, Mark, MarkFile, MarkWriter};
use super::wal::{self, TornTail, WalSummary};
use crate::format::{TickRecord, number_key, read_number_key};
use crate::{StoreError, archive};

/// A folder that was opened and found sound.
pub(crate) struct Recovered {
    pub lock: FolderLock,
    pub db: Db,
    pub last_tick: Option<TickRecord>,
    pub mark: MarkWriter,
}

pub(crate) fn open(dir: &Path) -> Result<Recovered, StoreError> {
    std::fs::create_dir_all(dir).map_err(StoreError::io(dir))?;
    let lock = FolderLock::acquire(dir)?;
    let mark_file = mark::load(dir)?;
    let marked = match mark_file {
        MarkFile::Read(mark) => mark,
        MarkFile::Missing | MarkFile::Unreadable => Mark::default(),
    };

    let db_dir = dir.join("db");
    let had_mark = mark_file != MarkFile::Missing;
    if had_mark {
        database::check_layout(&db_dir)?;
    } else if !db_dir.try_exists().map_err(StoreError::io(&db_dir))? {
        make_database(dir, &db_dir)?;
    }
    let wal =
        if database::exists(&db_dir)? { wal::inspect(&db_dir, marked.tick)? } else { WalSummary::default() };
    if let Some(torn) = &wal.torn {
        cut(dir, torn, &wal)?;
    }
    // The mark is made when the database is complete; without it, ticks say the same.
    let must_be_complete = had_mark || wal.first_tick.is_some();
    if must_be_complete && !had_mark {
        database::check_layout(&db_dir)?;
    }

    let db = Db::open(dir, &db_dir, must_be_complete)?;
    // Of a journal on Kafka no tick was ever in the database; of one in it, the last always is.
    let archived = match db.ticks.first_key_value() {
        Some(_) => archive::end_in(&db)?,
        None => (0, 1),
    };
    let last_tick = last_tick(&db, archived)?;
    check_against_wal(&db, &wal, archived)?;
    check_against_mark(dir, marked, last_tick)?;
    if mark_file != MarkFile::Read(marked) && last_tick.is_some() {
        tracing::warn!(
            dir = %dir.display(),
            "commit.mark was missing or unreadable; it is written anew, but a cut of the newest ticks could not be seen"
        );
    }
    let mark = MarkWriter::open(dir, last_tick.map_or(Mark::default(), Mark::from))?;
    Ok(Recovered { lock, db, last_tick, mark })
}

/// Makes the database beside its place, and moves it there when it is whole. A process that is killed
/// meanwhile leaves nothing that passes for a database: one that is half made can't be opened.
fn make_database(dir: &Path, db_dir: &Path) -> Result<(), StoreError> {
    let unfinished = dir.join("db.new");
    match std::fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(StoreError::Io { path: unfinished, source: error });
        }
        Ok(()) | Err(_) => {}
    }
    drop(Db::open(dir, &unfinished, false)?);
    let moved = || {
        std::fs::rename(&unfinished, db_dir)?;
        File::open(dir)?.sync_all()
    };
    moved().map_err(StoreError::io(db_dir))
}

/// Cuts a torn tail. The database would do it too, but not every one: some make it refuse to open. What is cut
/// is kept beside the database, since only what is read later can tell whether it was more than a torn write.
fn cut(dir: &Path, torn: &TornTail, wal: &WalSummary) -> Result<(), StoreError> {
    let name = torn.file.file_name().unwrap_or_default().to_string_lossy();
    let kept = dir.join(format!("cut-{name}-{}", torn.at));
    let cut = || {
        let mut file = OpenOptions::new().read(true).write(true).open(&torn.file)?;
        file.seek(SeekFrom::Start(torn.at))?;
        let mut tail = File::create(&kept)?;
        std::io::copy(&mut file, &mut tail)?;
        tail.sync_all()?;
        file.set_len(torn.at)?;
        file.sync_all()
    };
    cut().map_err(StoreError::io(&torn.file))?;
    tracing::warn!(
        kept = %kept.display(),
        file = %torn.file.display(),
        at_byte = torn.at,
        bytes = torn.bytes,
        last_tick = wal.last_tick.map_or(0, |tick| tick.number),
        "cut an incomplete write off the journal's end; no acknowledged entry was in it"
    );
    Ok(())
}

/// The last tick, once its entries are found to be there or archived, and nothing behind them.
fn last_tick(db: &Db, (_, next_offset): (u64, u64)) -> Result<Option<TickRecord>, StoreError> {
    let snapshot = db.database.snapshot();
    let failed = StoreError::database("read the last tick");
    let last_offset = match snapshot.last_key_value(&db.entries) {
        Some(guard) => {
            let key = guard.key().map_err(&failed)?;
            read_number_key(&key).map_err(|flaw| StoreError::damaged(format!("the last entry: {flaw}")))?
        }
        None => 0,
    };
    let last_offset = last_offset.max(next_offset - 1);
    let record = match snapshot.last_key_value(&db.ticks) {
        Some(guard) => {
            let (key, value) = guard.into_inner().map_err(&failed)?;
            let record = TickRecord::decode(&key, &value);
            Some(record.map_err(|flaw| StoreError::damaged(format!("the last tick: {flaw}")))?)
        }
        None => None,
    };
    let promised_offset = record.map_or(0, |record| record.next_offset() - 1);
    if last_offset != promised_offset {
        let what =
            format!("the last tick ends with entry {promised_offset}, the last entry is {last_offset}");
        return Err(StoreError::damaged(what));
    }
    Ok(record)
}

/// What comes just before the write-ahead log's first tick must be in the tables: a file of the write-ahead
/// log that is gone too early leaves a gap there.
fn check_against_wal(
    db: &Db,
    wal: &WalSummary,
    (archived_tick, next_offset): (u64, u64),
) -> Result<(), StoreError> {
    let Some(first) = wal.first_tick else { return Ok(()) };
    let failed = StoreError::database("read a tick");
    let missing = |what: &str, number: u64| StoreError::damaged(format!("{what} {number} is missing"));
    if first.number - 1 > archived_tick {
        let key = number_key(first.number - 1);
        let value = db.ticks.get(key).map_err(&failed)?;
        let value = value.ok_or_else(|| missing("tick", first.number - 1))?;
        let before = TickRecord::decode(&key, &value)
            .map_err(|flaw| StoreError::damaged(format!("tick {}: {flaw}", first.number - 1)))?;
        if before.next_offset() != first.first_offset {
            return Err(missing("a tick before tick", first.number));
        }
    }
    let offset_before = first.first_offset.saturating_sub(1);
    if offset_before >= next_offset && !db.entries.contains_key(number_key(offset_before)).map_err(&failed)? {
        return Err(missing("entry", offset_before));
    }
    Ok(())
}

fn check_against_mark(dir: &Path, marked: Mark, last: Option<TickRecord>) -> Result<(), StoreError> {
    let last = last.map_or(Mark::default(), Mark::from);
    if last.tick < marked.tick || last.offset < marked.offset {
        let what = format!(
            "the journal in {} ends with tick {}, but tick {} was acknowledged: its end is lost",
            dir.display(),
            last.tick,
            marked.tick
        );
        return Err(StoreError::damaged(what));
    }
    Ok(())
}
