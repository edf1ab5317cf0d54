//! `commit.mark`: the newest tick that was durable, kept outside the database.
//!
//! The database cuts an incomplete tail of its write-ahead log when it opens, and can't know whether that
//! tail had been acknowledged. The mark knows. It is written after every commit and before the
//! acknowledgement, so it survives a killed process up to the last acknowledged tick; it is fsynced once a
//! second and at a stop, so that after a power cut it may be older. It is only ever a lower bound.
//!
//! Two slots are written in turn, so that a torn write leaves the other one.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::StoreError;
use crate::format::{TickRecord, checksum};

const FILE_NAME: &str = "commit.mark";
const MAGIC: &[u8; 8] = b"WTMARK1\n";
const SLOT_BYTES: usize = 48;
/// Slots are in different sectors of the disk.
const SLOT_DISTANCE: u64 = 4096;
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A position in the log that was durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The newest durable tick; 0 before the first.
    pub tick: u64,
    /// The offset of the last durable entry; 0 before the first.
    pub offset: u64,
    /// The instant of that tick.
    pub instant_ms: i64,
}

/// What the mark's file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MarkFile {
    /// There is none: a new folder, or somebody deleted it.
    Missing,
    /// There is one, but neither slot can be read.
    Unreadable,
    /// The newer of its slots.
    Read(Mark),
}

impl From<TickRecord> for Mark {
    fn from(record: TickRecord) -> Mark {
        Mark { tick: record.number, offset: record.next_offset() - 1, instant_ms: record.instant_ms }
    }
}

impl Mark {
    fn encode(self) -> [u8; SLOT_BYTES] {
        let mut slot = [0; SLOT_BYTES];
        slot[..8].copy_from_slice(MAGIC);
        slot[8..16].copy_from_slice(&self.tick.to_be_bytes());
        slot[16..24].copy_from_slice(&self.offset.to_be_bytes());
        slot[24..32].copy_from_slice(&self.instant_ms.to_be_bytes());
        let sum = checksum(&slot[..40], 0);
        slot[40..].copy_from_slice(&sum.to_be_bytes());
        slot
    }

    fn decode(slot: &[u8; SLOT_BYTES]) -> Option<Mark> {
        let number = |at: usize| slot[at..].first_chunk::<8>().map(|bytes| u64::from_be_bytes(*bytes));
        if &slot[..8] != MAGIC || number(40)? != checksum(&slot[..40], 0) {
            return None;
        }
        Some(Mark { tick: number(8)?, offset: number(16)?, instant_ms: number(24)?.cast_signed() })
    }
}

/// Reads the mark of a folder.
pub(crate) fn load(dir: &Path) -> Result<MarkFile, StoreError> {
    let path = dir.join(FILE_NAME);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(MarkFile::Missing),
        Err(source) => return Err(StoreError::Io { path, source }),
    };
    let mut newest: Option<Mark> = None;
    for slot_index in 0..2 {
        let mut slot = [0; SLOT_BYTES];
        file.seek(SeekFrom::Start(slot_index * SLOT_DISTANCE)).map_err(StoreError::io(&path))?;
        match file.read_exact(&mut slot) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => continue,
            Err(source) => return Err(StoreError::Io { path, source }),
        }
        if let Some(mark) = Mark::decode(&slot)
            && newest.is_none_or(|other| mark.tick > other.tick)
        {
            newest = Some(mark);
        }
    }
    Ok(newest.map_or(MarkFile::Unreadable, MarkFile::Read))
}

/// Keeps the mark of an open folder.
pub(crate) struct MarkWriter {
    file: File,
    synced: Instant,
}

impl MarkWriter {
    /// Opens the mark, creating it with `now` where there is none that can be read.
    pub(crate) fn open(dir: &Path, now: Mark) -> Result<MarkWriter, StoreError> {
        let path = dir.join(FILE_NAME);
        let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(StoreError::io(&path))?;
        let mut writer = MarkWriter { file, synced: Instant::now() };
        // Both slots: the file gets its full size, and no slot of an unreadable file stays.
        let write = |writer: &mut MarkWriter| {
            writer.write_slot(0, now)?;
            writer.write_slot(1, now)?;
            writer.file.sync_all()?;
            File::open(dir)?.sync_all()
        };
        write(&mut writer).map_err(StoreError::io(&path))?;
        Ok(writer)
    }

    fn write_slot(&mut self, slot_index: u64, mark: Mark) -> std::io::Result<()> {
        self.file.seek(SeekFrom::Start(slot_index * SLOT_DISTANCE))?;
        self.file.write_all(&mark.encode())
    }

    /// Notes a durable tick; call it before the tick is acknowledged.
    pub(crate) fn note(&mut self, mark: Mark) -> std::io::Result<()> {
        self.write_slot(mark.tick % 2, mark)
    }

    /// Brings the mark to the disk when that is due.
    pub(crate) fn sync_if_due(&mut self) -> std::io::Result<()> {
        if self.synced.elapsed() < SYNC_EVERY {
            return Ok(());
        }
        self.sync()
    }

    /// Brings the mark to the disk.
    pub(crate) fn sync(&mut self) -> std::io::Result<()> {
        self.synced = Instant::now();
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(tick: u64) -> Mark {
        Mark { tick, offset: tick * 3, instant_ms: -5 }
    }

    #[test]
    fn a_damaged_slot_leaves_the_other() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()).unwrap(), MarkFile::Missing);
        let mut writer = MarkWriter::open(dir.path(), Mark::default()).unwrap();
        assert_eq!(load(dir.path()).unwrap(), MarkFile::Read(Mark::default()));
        writer.note(mark(7)).unwrap();
        writer.note(mark(8)).unwrap();
        assert_eq!(load(dir.path()).unwrap(), MarkFile::Read(mark(8)));

        let path = dir.path().join(FILE_NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[12] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(load(dir.path()).unwrap(), MarkFile::Read(mark(7)));
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(load(dir.path()).unwrap(), MarkFile::Unreadable);
    }
}
