//! The journal's older part: files of Parquet that its ticks are moved to, a file a day.
//!
//! ```text
//!   DIR/archive/day=2026-01-05/ticks-1-86400.parquet      whole days of UTC, by the instants of their ticks
//!   DIR/archive/partial.parquet                           one that is being written
//! ```
//!
//! Invariants:
//! 1. Archived ticks are part of the journal: whoever reads it meets them, whole and in their order.
//! 2. A tick is taken from the database only after the file that has it was fsynced, read again and found to have what
//!    the database has, and after the database durably knows of the file. The last tick stays there.
//! 3. The database's list of files is the truth. A file that is not in it is none; one that is in it and not in the
//!    folder refuses the start.

mod file;
mod list;
mod read;
mod run;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::StoreError;
use crate::embedded::Db;
use file::FileTicks;
pub use list::ArchivedFile;
pub(crate) use list::end_in;
pub(crate) use read::LogReader;
pub use run::ArchivedDay;
pub(crate) use run::{Wanted, run};

/// The folder of archives within that of the store.
const FOLDER: &str = "archive";

/// The files of a store's archive.
pub(crate) struct Archive {
    folder: PathBuf,
    /// From tick 1 on, without gaps.
    files: RwLock<Vec<Arc<ArchivedFile>>>,
    /// Held by whoever moves ticks.
    running: Mutex<()>,
}

impl Archive {
    /// That of a folder, whose files must be there.
    pub fn open(dir: &Path, db: &Db) -> Result<Archive, StoreError> {
        let files = list::read(db)?;
        let folder = dir.join(FOLDER);
        for file in &files {
            let path = folder.join(&file.name);
            let found = std::fs::metadata(&path).map(|metadata| metadata.len());
            let flaw = match found {
                Ok(bytes) if bytes == file.bytes => continue,
                Ok(bytes) => format!("has {bytes} bytes, and not {}", file.bytes),
                Err(error) => format!("can't be read ({error})"),
            };
            return Err(StoreError::damaged(format!("{}, a part of the journal, {flaw}", path.display())));
        }
        let files = RwLock::new(files.into_iter().map(Arc::new).collect());
        Ok(Archive { folder, files, running: Mutex::default() })
    }

    pub fn files(&self) -> Vec<Arc<ArchivedFile>> {
        self.files.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The last tick that is archived; 0 where none is.
    fn last_tick(&self) -> u64 {
        self.files.read().unwrap_or_else(PoisonError::into_inner).last().map_or(0, |file| file.to_tick)
    }

    /// The ticks of the file that has a tick, from its first on, and the last of them.
    fn ticks_around(&self, tick: u64) -> Result<Option<(FileTicks, u64)>, StoreError> {
        let found = {
            let files = self.files.read().unwrap_or_else(PoisonError::into_inner);
            let at = files.partition_point(|file| file.to_tick < tick);
            files.get(at).filter(|file| file.from_tick <= tick).cloned()
        };
        let Some(file) = found else { return Ok(None) };
        Ok(Some((FileTicks::open(self.folder.join(&file.name), file.sum())?, file.to_tick)))
    }
}

#[cfg(test)]
mod tests;
