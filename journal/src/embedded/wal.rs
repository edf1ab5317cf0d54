//! Inspects the database's write-ahead log before the database opens it.
//!
//! ```text
//!   N.jnl:  batch batch batch ... batch [torn batch] zeros        N is highest: written to
//!   batch:  start(1) count:u32 seqno:u64 | item(2) .. or clear(4) .. x count | end(3) checksum:u64 "FJL\3"
//! ```
//!
//! When the database opens, it cuts the newest file at the first tag that it does not know, whatever
//! follows, and says so only at debug level. That is right for a batch that a crash left half written, and
//! wrong for a byte that the disk flipped in the middle; and a half written batch whose sizes or checksum are
//! wrong makes it refuse to open. So everything is read here first, and what can't be
//! a torn tail is an error while the files are still untouched:
//!
//! 1. Files are numbered without gaps, and only the newest may end in something else than batches and zeros.
//! 2. Sequence numbers of batches rise; the numbers and offsets of ticks have no gaps.
//! 3. A tail is cut only if no acknowledged tick is in it or behind it. Tick N was written after N - 1 was
//!    acknowledged, so a whole tick N behind a flaw proves that N - 1 must be before it; and the mark proves
//!    the tick that it names.

use std::fs::File;
use std::hash::Hasher;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use crate::StoreError;
use crate::format::TickRecord;

const TAG_START: u8 = 1;
const TAG_ITEM: u8 = 2;
const TAG_END: u8 = 3;
const TAG_CLEAR: u8 = 4;
const TRAILER: &[u8; 4] = b"FJL\x03";
/// No database lives long enough to reach it.
const MAX_SEQNO: u64 = 1 << 60;

/// What the write-ahead log holds.
#[derive(Debug, Default)]
pub(crate) struct WalSummary {
    pub first_tick: Option<TickRecord>,
    pub last_tick: Option<TickRecord>,
    /// What the database is going to cut off.
    pub torn: Option<TornTail>,
}

/// An incomplete end of the write-ahead log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TornTail {
    pub file: PathBuf,
    pub at: u64,
    pub bytes: u64,
}

struct Batch {
    seqno: u64,
    tick: Option<TickRecord>,
    bytes: u64,
}

enum Parsed {
    Batch(Batch),
    /// No batch begins here: the end of the file, or preallocated zeros.
    Nothing,
    Broken,
}

/// Inspects the write-ahead log in `db_dir`. `marked_tick` is known to have been acknowledged.
pub(crate) fn inspect(db_dir: &Path, marked_tick: u64) -> Result<WalSummary, StoreError> {
    let files = list_files(db_dir)?;
    let mut inspection = Inspection { marked_tick, last_seqno: None, summary: WalSummary::default() };
    for (index, path) in files.iter().enumerate() {
        inspection.file(path, index + 1 == files.len())?;
    }
    Ok(inspection.summary)
}

/// The files of the write-ahead log, oldest first.
pub(crate) fn list_files(db_dir: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let mut numbered = Vec::new();
    for dir_entry in std::fs::read_dir(db_dir).map_err(StoreError::io(db_dir))? {
        let path = dir_entry.map_err(StoreError::io(db_dir))?.path();
        if path.extension().is_none_or(|extension| extension != "jnl") {
            continue;
        }
        let number =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        let Some(number) = number else {
            let what = format!("{} does not belong into the database's folder", path.display());
            return Err(StoreError::damaged(what));
        };
        numbered.push((number, path));
    }
    numbered.sort();
    for pair in numbered.windows(2) {
        if pair[0].0 + 1 != pair[1].0 {
            let (missing, dir) = (pair[0].0 + 1, db_dir.display());
            return Err(StoreError::damaged(format!("the file {missing}.jnl is missing in {dir}")));
        }
    }
    Ok(numbered.into_iter().map(|(_, path)| path).collect())
}

struct Inspection {
    marked_tick: u64,
    last_seqno: Option<u64>,
    summary: WalSummary,
}

impl Inspection {
    fn file(&mut self, path: &Path, is_newest: bool) -> Result<(), StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        let size = file.metadata().map_err(StoreError::io(path))?.len();
        let mut reader = BufReader::with_capacity(256 * 1024, file);
        let mut scratch = Vec::new();
        let mut at = 0;
        loop {
            match parse_batch(&mut reader, size - at, &mut scratch).map_err(StoreError::io(path))? {
                Parsed::Batch(batch) if self.last_seqno.is_none_or(|last| batch.seqno > last) => {
                    self.last_seqno = Some(batch.seqno);
                    self.note_tick(path, batch.tick)?;
                    at += batch.bytes;
                }
                Parsed::Batch(_) => {
                    // No crash leaves a whole batch behind a later one: a number, which no checksum covers, is not
                    // as it was written.
                    let what =
                        format!("{} at byte {at} is damaged: batches are out of order", path.display());
                    return Err(StoreError::damaged(what));
                }
                Parsed::Nothing | Parsed::Broken => break,
            }
        }
        reader.seek(SeekFrom::Start(at)).map_err(StoreError::io(path))?;
        let tail = read_tail(&mut reader).map_err(StoreError::io(path))?;
        if tail.is_empty() {
            return Ok(());
        }
        self.judge_tail(path, at, &tail, is_newest)
    }

    fn note_tick(&mut self, path: &Path, tick: Option<TickRecord>) -> Result<(), StoreError> {
        let Some(tick) = tick else { return Ok(()) };
        if let Some(last) = self.summary.last_tick
            && (tick.number != last.number + 1 || tick.first_offset != last.next_offset())
        {
            let (from, to) = (last.number, tick.number);
            let what =
                format!("entries between tick {from} and tick {to} are missing before {}", path.display());
            return Err(StoreError::damaged(what));
        }
        self.summary.first_tick.get_or_insert(tick);
        self.summary.last_tick = Some(tick);
        Ok(())
    }

    /// Something that is neither a batch nor zeros is at `at`: may it be cut?
    fn judge_tail(&mut self, path: &Path, at: u64, tail: &[u8], is_newest: bool) -> Result<(), StoreError> {
        let place = format!("{} at byte {at}", path.display());
        if !is_newest {
            return Err(StoreError::damaged(format!("{place} is damaged, and a newer file follows")));
        }
        let proven_behind = newest_tick_in(tail).map_or(0, |tick| tick.number - 1);
        let acknowledged = self.marked_tick.max(proven_behind);
        let lost = match self.summary.last_tick {
            Some(last) => last.number < acknowledged,
            // The ticks before are in the database's tables: the mark is held against them after opening.
            None => proven_behind > 0,
        };
        if lost {
            let kept = self.summary.last_tick.map_or(0, |last| last.number);
            return Err(StoreError::damaged(format!(
                "{place} is damaged: ticks {} to {acknowledged} were acknowledged and can't be read",
                kept + 1
            )));
        }
        self.summary.torn = Some(TornTail { file: path.to_path_buf(), at, bytes: tail.len() as u64 });
        Ok(())
    }
}

/// The rest of a file, without the zeros at its end.
fn read_tail(reader: &mut impl Read) -> std::io::Result<Vec<u8>> {
    let mut tail = Vec::new();
    let mut pending_zeros = 0;
    let mut chunk = vec![0; 256 * 1024];
    loop {
        let count = reader.read(&mut chunk)?;
        if count == 0 {
            return Ok(tail);
        }
        let used = chunk[..count].iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if used > 0 {
            tail.resize(tail.len() + pending_zeros, 0);
            tail.extend_from_slice(&chunk[..used]);
            pending_zeros = 0;
        }
        pending_zeros += count - used;
    }
}

/// The newest tick among the whole batches that can be found anywhere in `bytes`.
fn newest_tick_in(bytes: &[u8]) -> Option<TickRecord> {
    let mut newest: Option<TickRecord> = None;
    let mut scratch = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&byte| byte == TAG_START) {
        at += found;
        let mut candidate = &bytes[at..];
        match parse_batch(&mut candidate, (bytes.len() - at) as u64, &mut scratch) {
            Ok(Parsed::Batch(batch)) => {
                let newer = batch.tick.filter(|tick| newest.is_none_or(|other| tick.number > other.number));
                newest = newer.or(newest);
                at = bytes.len() - candidate.len();
            }
            Ok(Parsed::Nothing | Parsed::Broken) | Err(_) => at += 1,
        }
    }
    newest
}

/// Reads parts of one batch, and never past the end of the file.
struct BatchReader<'a, R> {
    reader: &'a mut R,
    remaining: u64,
    taken: u64,
    scratch: &'a mut Vec<u8>,
}

impl<R: Read> BatchReader<'_, R> {
    fn take<const N: usize>(&mut self) -> std::io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        if !self.reserve(N as u64) {
            return Ok(None);
        }
        self.reader.read_exact(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Takes `count` bytes into the scratch buffer.
    fn take_into_scratch(&mut self, count: usize) -> std::io::Result<bool> {
        if !self.reserve(count as u64) {
            return Ok(false);
        }
        self.scratch.resize(count, 0);
        self.reader.read_exact(self.scratch)?;
        Ok(true)
    }

    fn reserve(&mut self, count: u64) -> bool {
        if count > self.remaining {
            return false;
        }
        self.remaining -= count;
        self.taken += count;
        true
    }
}

/// Reads the next batch; `remaining` is what the file has left.
fn parse_batch<R: Read>(reader: &mut R, remaining: u64, scratch: &mut Vec<u8>) -> std::io::Result<Parsed> {
    let mut input = BatchReader { reader, remaining, taken: 0, scratch };
    match input.take::<1>()? {
        None | Some([0]) => return Ok(Parsed::Nothing),
        Some([TAG_START]) => {}
        Some(_) => return Ok(Parsed::Broken),
    }
    let (Some(count), Some(seqno)) = (input.take::<4>()?, input.take::<8>()?) else {
        return Ok(Parsed::Broken);
    };
    let seqno = u64::from_le_bytes(seqno);
    if seqno > MAX_SEQNO {
        return Ok(Parsed::Broken);
    }
    let mut hasher = Xxh3::new();
    let mut tick = None;
    for _ in 0..u32::from_le_bytes(count) {
        match input.take::<1>()? {
            Some([TAG_ITEM]) => {
                hasher.update(&[TAG_ITEM]);
                let Some(record) = parse_item(&mut input, &mut hasher)? else { return Ok(Parsed::Broken) };
                tick = record.or(tick);
            }
            Some([TAG_CLEAR]) => {
                let Some(keyspace) = input.take::<8>()? else { return Ok(Parsed::Broken) };
                hasher.update(&[TAG_CLEAR]);
                hasher.update(&keyspace);
            }
            _ => return Ok(Parsed::Broken),
        }
    }
    let end = (input.take::<1>()?, input.take::<8>()?, input.take::<4>()?);
    let (Some([TAG_END]), Some(sum), Some(trailer)) = end else { return Ok(Parsed::Broken) };
    if u64::from_le_bytes(sum) != hasher.finish() || &trailer != TRAILER {
        return Ok(Parsed::Broken);
    }
    Ok(Parsed::Batch(Batch { seqno, tick, bytes: input.taken }))
}

/// Reads an item behind its tag: `None` if it is broken, else the tick record that it may be.
fn parse_item<R: Read>(
    input: &mut BatchReader<'_, R>,
    hasher: &mut Xxh3,
) -> std::io::Result<Option<Option<TickRecord>>> {
    // value type, compression, keyspace:u64, key size:u16, value size:u32, size on disk:u32
    let Some(header) = input.take::<20>()? else { return Ok(None) };
    hasher.update(&header);
    let (value_type, compression) = (header[0], header[1]);
    let key_bytes = usize::from(u16::from_le_bytes([header[10], header[11]]));
    let disk_bytes = u32::from_le_bytes([header[16], header[17], header[18], header[19]]) as usize;
    if value_type > 4 || compression > 1 || !input.take_into_scratch(key_bytes + disk_bytes)? {
        return Ok(None);
    }
    hasher.update(input.scratch);
    let (key, value) = input.scratch.split_at(key_bytes);
    // The tick's checksum is seeded with its kind and number: no other value passes for one.
    let may_be_tick = compression == 0 && value.len() == TickRecord::VALUE_BYTES;
    Ok(Some(if may_be_tick { TickRecord::decode(key, value).ok() } else { None }))
}
