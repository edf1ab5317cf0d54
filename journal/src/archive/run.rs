//! Moves ticks to the archive.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use super::file::{FileSum, FileTicks, FileWriter};
use super::{Archive, ArchivedFile, list};
use crate::embedded::Db;
use crate::{Log, StoreError, Tick};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const PARTIAL: &str = "partial.parquet";
/// A day with more entries has several files.
const FILE_ENTRIES: u64 = 8_000_000;

/// Ticks of a day that were moved to a file, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedDay {
    /// The file; in a rehearsal without a length and a checksum.
    pub file: ArchivedFile,
    /// The bodies of its entries, in bytes.
    pub payload_bytes: u64,
}

/// What is to be moved.
pub(crate) struct Wanted {
    /// Ticks of whole days before this instant, in milliseconds since 1970.
    pub before_ms: i64,
    /// Only to be told.
    pub is_rehearsal: bool,
}

/// Moves the ticks of whole days before an instant; all but the last tick of the log. `goes_on` is told after which tick
/// it is: where it says no, what was moved by then stays so.
pub(crate) fn run(
    archive: &Archive,
    db: &Db,
    log: &dyn Log,
    wanted: &Wanted,
    goes_on: &mut dyn FnMut(u64) -> bool,
    moved: &mut dyn FnMut(&ArchivedFile) -> Result<(), StoreError>,
) -> Result<Vec<ArchivedDay>, StoreError> {
    let _one_at_a_time = archive.running.lock().unwrap_or_else(PoisonError::into_inner);
    let cut_ms = wanted.before_ms.div_euclid(DAY_MS).saturating_mul(DAY_MS);
    let (archived_tick, mut next_offset) = list::end_in(db)?;
    let last_tick = log.last_tick().map_or(0, |(tick, _)| tick);
    let mut days = Vec::new();
    let mut draft: Option<Draft> = None;
    for tick in log.read(archived_tick + 1, last_tick.saturating_sub(1)) {
        let tick = tick?;
        if tick.instant_ms >= cut_ms {
            break;
        }
        if !goes_on(tick.number) {
            // A day that is not whole would get a second file for no reason.
            return Ok(days);
        }
        if let Some(full) = draft.take_if(|draft| !draft.takes(&tick)) {
            days.push(full.finish(archive, db, log, moved)?);
        }
        let draft = match &mut draft {
            Some(draft) => draft,
            None => draft.insert(Draft::begin(archive, &tick, next_offset, wanted)?),
        };
        next_offset += tick.entries.len() as u64;
        draft.put(tick)?;
    }
    if let Some(draft) = draft {
        days.push(draft.finish(archive, db, log, moved)?);
    }
    Ok(days)
}

/// A file that is being written.
struct Draft {
    day: ArchivedDay,
    /// `None` in a rehearsal.
    writer: Option<FileWriter>,
}

impl Draft {
    fn begin(
        archive: &Archive,
        first: &Tick,
        first_offset: u64,
        wanted: &Wanted,
    ) -> Result<Draft, StoreError> {
        let writer = if wanted.is_rehearsal { None } else { Some(create(archive)?) };
        let file = ArchivedFile {
            name: String::new(),
            from_tick: first.number,
            to_tick: first.number,
            from_instant_ms: first.instant_ms,
            to_instant_ms: first.instant_ms,
            first_offset,
            entries: 0,
            bytes: 0,
            xxh3: 0,
        };
        Ok(Draft { day: ArchivedDay { file, payload_bytes: 0 }, writer })
    }

    fn takes(&self, tick: &Tick) -> bool {
        let file = &self.day.file;
        tick.instant_ms.div_euclid(DAY_MS) == file.from_instant_ms.div_euclid(DAY_MS)
            && file.entries < FILE_ENTRIES
    }

    fn put(&mut self, tick: Tick) -> Result<(), StoreError> {
        let ArchivedDay { file, payload_bytes } = &mut self.day;
        file.to_tick = tick.number;
        file.to_instant_ms = tick.instant_ms;
        file.entries += tick.entries.len() as u64;
        *payload_bytes += tick.entries.iter().map(|entry| entry.payload.len() as u64).sum::<u64>();
        self.writer.as_mut().map_or(Ok(()), |writer| writer.put(tick))
    }

    fn finish(
        self,
        archive: &Archive,
        db: &Db,
        log: &dyn Log,
        moved: &mut dyn FnMut(&ArchivedFile) -> Result<(), StoreError>,
    ) -> Result<ArchivedDay, StoreError> {
        let Draft { mut day, writer } = self;
        let file = &mut day.file;
        let day_name = format!("day={}", date(file.from_instant_ms));
        file.name = format!("{day_name}/ticks-{}-{}.parquet", file.from_tick, file.to_tick);
        let Some(writer) = writer else { return Ok(day) };
        let sum = writer.finish()?;
        let partial = archive.folder.join(PARTIAL);
        check(&partial, sum, file, log)?;
        let (day_folder, path) = (archive.folder.join(day_name), archive.folder.join(&file.name));
        let put_in_place = || {
            fs::create_dir_all(&day_folder)?;
            fs::rename(&partial, &path)?;
            // Each folder on the way to it is new at some time.
            let store = archive.folder.parent().unwrap_or(&archive.folder);
            [day_folder.as_path(), &archive.folder, store]
                .into_iter()
                .try_for_each(|folder| File::open(folder)?.sync_all())
        };
        put_in_place().map_err(StoreError::io(&path))?;
        (file.bytes, file.xxh3) = (sum.bytes, sum.xxh3);
        list::add(db, file)?;
        archive.files.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(file.clone()));
        moved(file)?;
        Ok(day)
    }
}

/// In the place of one that came to nothing.
fn create(archive: &Archive) -> Result<FileWriter, StoreError> {
    let path = archive.folder.join(PARTIAL);
    fs::create_dir_all(&archive.folder).map_err(StoreError::io(&archive.folder))?;
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(StoreError::Io { path, source: error });
        }
        Ok(()) | Err(_) => {}
    }
    FileWriter::create(path)
}

/// Whether a file has what the log has.
fn check(path: &Path, sum: FileSum, file: &ArchivedFile, log: &dyn Log) -> Result<(), StoreError> {
    let mut archived = FileTicks::open(path.to_owned(), sum)?;
    for tick in log.read(file.from_tick, file.to_tick) {
        let tick = tick?;
        if archived.next()?.as_ref() != Some(&tick) {
            let what = format!("{} has not what the journal has of tick {}", path.display(), tick.number);
            return Err(StoreError::Refused(what));
        }
    }
    match archived.next()? {
        None => Ok(()),
        Some(_) => Err(StoreError::Refused(format!("{} has more than the journal", path.display()))),
    }
}

/// A day of UTC, as 2026-01-05 (Howard Hinnant's `civil_from_days`).
fn date(instant_ms: i64) -> String {
    crate::clock::rfc3339(instant_ms).chars().take_while(|c| *c != 'T').collect()
}
