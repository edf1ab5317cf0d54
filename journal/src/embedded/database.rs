//! The embedded database: its settings, its keyspaces, and the checks that it does not do itself.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::wal;
use crate::StoreError;
use crate::format::{ARCHIVED_FORMAT, FORMAT_VERSION, OLDEST_FORMAT};

const MIB: u64 = 1024 * 1024;

/// Blocks kept in memory, of all keyspaces.
const CACHE_BYTES: u64 = 64 * MIB;
/// Above it, keyspaces that hold up the removal of old files are flushed. It bounds the time that a restart
/// takes to read the files again.
const MAX_WAL_BYTES: u64 = 128 * MIB;

/// Names of the keyspaces, and how much of each is kept in memory before it is flushed. Entries are many and
/// each is written once; ticks and meta are small and would otherwise be flushed only for the removal of
/// old files.
const ENTRIES: (&str, u64) = ("entries", 32 * MIB);
const TICKS: (&str, u64) = ("ticks", 4 * MIB);
const CHANGES: (&str, u64) = ("changes", 16 * MIB);
const ROWS: (&str, u64) = ("rows", 16 * MIB);
const INDEX: (&str, u64) = ("index", 8 * MIB);
const DEAD_LETTERS: (&str, u64) = ("dead_letters", 8 * MIB);
const META: (&str, u64) = ("meta", MIB);

const FORMAT_CELL: &str = "format";

/// The database and its keyspaces.
pub(crate) struct Db {
    pub database: Database,
    pub entries: Keyspace,
    pub ticks: Keyspace,
    pub changes: Keyspace,
    pub rows: Keyspace,
    pub index: Keyspace,
    pub dead_letters: Keyspace,
    pub meta: Keyspace,
}

/// Whether there is a database in the folder.
pub(crate) fn exists(db_dir: &Path) -> Result<bool, StoreError> {
    let path = db_dir.join("version");
    path.try_exists().map_err(StoreError::io(&path))
}

/// Checks that the files are there without which the database would silently begin anew: it deletes a
/// keyspace whose `current` is missing, and all of them when its own table of keyspaces is gone.
pub(crate) fn check_layout(db_dir: &Path) -> Result<(), StoreError> {
    let missing = |path: &Path| StoreError::damaged(format!("{} is missing", path.display()));
    let version = db_dir.join("version");
    if !exists(db_dir)? {
        return Err(missing(&version));
    }
    if wal::list_files(db_dir)?.is_empty() {
        return Err(missing(&db_dir.join("*.jnl")));
    }
    let keyspaces = db_dir.join("keyspaces");
    let table_of_keyspaces = keyspaces.join("0");
    if !table_of_keyspaces.join("current").is_file() {
        return Err(missing(&table_of_keyspaces.join("current")));
    }
    for dir_entry in std::fs::read_dir(&keyspaces).map_err(StoreError::io(&keyspaces))? {
        let path = dir_entry.map_err(StoreError::io(&keyspaces))?.path();
        if path.is_dir() && !path.join("current").is_file() {
            return Err(missing(&path.join("current")));
        }
    }
    Ok(())
}

impl Db {
    /// Opens or creates the database. With `must_be_complete`, nothing that is missing is created.
    pub(crate) fn open(dir: &Path, db_dir: &Path, must_be_complete: bool) -> Result<Db, StoreError> {
        // The database holds assertions about its own files; a damaged file must be an error, not a panic.
        let opened = catch_unwind(AssertUnwindSafe(|| {
            Database::builder(db_dir).cache_size(CACHE_BYTES).max_journaling_size(MAX_WAL_BYTES).open()
        }));
        let database = match opened {
            Ok(Ok(database)) => database,
            Ok(Err(fjall::Error::Io(source))) => {
                return Err(StoreError::Io { path: db_dir.to_path_buf(), source });
            }
            Ok(Err(error)) => {
                let what = format!("the database in {} can't be opened ({error})", db_dir.display());
                return Err(StoreError::damaged(what));
            }
            Err(_) => {
                let what = format!("the database in {} can't be opened (see above)", db_dir.display());
                return Err(StoreError::damaged(what));
            }
        };
        let options = |memtable_bytes| KeyspaceCreateOptions::default().max_memtable_size(memtable_bytes);
        let is_older = read_format(&database, options)? == Some(OLDEST_FORMAT);
        let keyspace = |(name, memtable_bytes): (&str, u64)| {
            let may_be_new = !must_be_complete || (is_older && name == INDEX.0);
            if !may_be_new && !database.keyspace_exists(name) {
                let what = format!("the keyspace {name:?} is missing in {}", db_dir.display());
                return Err(StoreError::damaged(what));
            }
            database
                .keyspace(name, || options(memtable_bytes))
                .map_err(StoreError::database("open a keyspace"))
        };
        // Meta comes last: its format cell is written when all others are there.
        let db = Db {
            entries: keyspace(ENTRIES)?,
            ticks: keyspace(TICKS)?,
            changes: keyspace(CHANGES)?,
            rows: keyspace(ROWS)?,
            index: keyspace(INDEX)?,
            dead_letters: keyspace(DEAD_LETTERS)?,
            meta: keyspace(META)?,
            database: database.clone(),
        };
        db.check_format(dir, must_be_complete)?;
        Ok(db)
    }

    fn check_format(&self, dir: &Path, must_be_complete: bool) -> Result<(), StoreError> {
        let Some(cell) = self.meta.get(FORMAT_CELL).map_err(StoreError::database("read its format"))? else {
            if must_be_complete {
                return Err(StoreError::damaged(format!("the format of {} is missing", dir.display())));
            }
            return self.write_format();
        };
        let Ok(found) = <[u8; 4]>::try_from(&*cell).map(u32::from_be_bytes) else {
            return Err(StoreError::damaged(format!("the format of {} can't be read", dir.display())));
        };
        match found {
            FORMAT_VERSION | ARCHIVED_FORMAT => Ok(()),
            OLDEST_FORMAT => self.write_format(),
            _ => Err(StoreError::Format { dir: dir.to_path_buf(), found, known: ARCHIVED_FORMAT }),
        }
    }

    fn write_format(&self) -> Result<(), StoreError> {
        let mut batch = self.database.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&self.meta, FORMAT_CELL, FORMAT_VERSION.to_be_bytes());
        batch.commit().map_err(StoreError::database("write its format"))
    }

    /// Says that ticks are in archives, which older releases do not look for.
    pub(crate) fn mark_archived(&self, batch: &mut OwnedWriteBatch) {
        batch.insert(&self.meta, FORMAT_CELL, ARCHIVED_FORMAT.to_be_bytes());
    }

    #[cfg(test)]
    pub(crate) fn set_format(&self, version: u32) {
        self.meta.insert(FORMAT_CELL, version.to_be_bytes()).unwrap();
    }
}

/// The format that a database says it has, if it says any; before its keyspaces are checked.
fn read_format(
    database: &Database,
    options: impl Fn(u64) -> KeyspaceCreateOptions,
) -> Result<Option<u32>, StoreError> {
    let (name, memtable_bytes) = META;
    if !database.keyspace_exists(name) {
        return Ok(None);
    }
    let failed = StoreError::database("read its format");
    let meta = database.keyspace(name, || options(memtable_bytes)).map_err(&failed)?;
    let cell = meta.get(FORMAT_CELL).map_err(&failed)?;
    Ok(cell.and_then(|cell| <[u8; 4]>::try_from(&*cell).ok()).map(u32::from_be_bytes))
}
