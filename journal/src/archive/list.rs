//! What the database knows of the files of an archive.

use fjall::{PersistMode, Readable};

use super::file::FileSum;
use crate::StoreError;
use crate::embedded::Db;
use crate::format::{Fields, Flaw, begin, finish, number_key, push_sized, read_number_key};

/// Cells of the files, by their first ticks.
const CELLS: &str = "archive.";
const SEED: u64 = 0x6172_6368_6976_6500;

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchivedFile {
    /// Its name below the folder of archives.
    pub name: String,
    /// Its first tick.
    pub from_tick: u64,
    /// Its last.
    pub to_tick: u64,
    /// The instant of its first tick, in milliseconds since 1970.
    pub from_instant_ms: i64,
    /// That of its last.
    pub to_instant_ms: i64,
    /// The offset of its first entry, or that which the next one has.
    pub first_offset: u64,
    /// How many entries it has.
    pub entries: u64,
    /// How long it is.
    pub bytes: u64,
    /// XXH3 of it.
    pub xxh3: u64,
}

impl ArchivedFile {
    pub(super) fn sum(&self) -> FileSum {
        FileSum { bytes: self.bytes, xxh3: self.xxh3 }
    }

    /// The offset of the first entry behind it.
    pub(crate) fn next_offset(&self) -> u64 {
        self.first_offset + self.entries
    }

    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out);
        for number in [self.to_tick, self.first_offset, self.entries, self.bytes, self.xxh3] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        for instant_ms in [self.from_instant_ms, self.to_instant_ms] {
            out.extend_from_slice(&instant_ms.to_be_bytes());
        }
        push_sized(&mut out, self.name.as_bytes());
        finish(&mut out, SEED ^ self.from_tick);
        out
    }

    fn decode(key: &[u8], value: &[u8]) -> Result<ArchivedFile, Flaw> {
        let from_tick = read_number_key(key)?;
        let mut fields = Fields::open(value, SEED ^ from_tick)?;
        Ok(ArchivedFile {
            from_tick,
            to_tick: fields.u64()?,
            first_offset: fields.u64()?,
            entries: fields.u64()?,
            bytes: fields.u64()?,
            xxh3: fields.u64()?,
            from_instant_ms: fields.i64()?,
            to_instant_ms: fields.i64()?,
            name: fields.sized_text()?.to_owned(),
        })
    }
}

fn cell(from_tick: u64) -> Vec<u8> {
    [CELLS.as_bytes(), &number_key(from_tick)].concat()
}

/// All files, in the order of their ticks, which have no gaps.
pub(super) fn read(db: &Db) -> Result<Vec<ArchivedFile>, StoreError> {
    let failed = StoreError::database("read the list of archives");
    let mut files: Vec<ArchivedFile> = Vec::new();
    for guard in db.database.snapshot().prefix(&db.meta, CELLS) {
        let (key, value) = guard.into_inner().map_err(&failed)?;
        let damaged = |flaw| StoreError::damaged(format!("the list of archives: {flaw}"));
        let file = ArchivedFile::decode(&key[CELLS.len()..], &value).map_err(damaged)?;
        let (next_tick, next_offset) =
            files.last().map_or((1, 1), |last| (last.to_tick + 1, last.next_offset()));
        if (file.from_tick, file.first_offset) != (next_tick, next_offset) {
            return Err(damaged("a file is missing in it"));
        }
        files.push(file);
    }
    Ok(files)
}

/// Where the archive of a database ends: its last tick, and the offset of the first entry behind it.
pub(crate) fn end_in(db: &Db) -> Result<(u64, u64), StoreError> {
    Ok(read(db)?.last().map_or((0, 1), |last| (last.to_tick, last.next_offset())))
}

/// Adds a file, durably.
pub(super) fn add(db: &Db, file: &ArchivedFile) -> Result<(), StoreError> {
    let mut batch = db.database.batch().durability(Some(PersistMode::SyncAll));
    batch.insert(&db.meta, cell(file.from_tick), file.encode());
    db.mark_archived(&mut batch);
    batch.commit().map_err(StoreError::database("note an archive"))
}
