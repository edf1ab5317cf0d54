//! Keys and values as they are in the database: big-endian keys, and values with a version and a checksum.
//!
//! Checksums are seeded with the key, so that a value under a wrong key is found too.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{ChangeBytes, Cursor, DeadLetter, Entry, Index, StoredChange};

/// The format of the whole folder; kept in the meta keyspace. Format 1 had no index of the changelog.
pub(crate) const FORMAT_VERSION: u32 = 2;
/// The same, of a folder that has archives.
pub(crate) const ARCHIVED_FORMAT: u32 = 3;
/// The oldest format that is brought up to date when a folder is opened.
pub(crate) const OLDEST_FORMAT: u32 = 1;

const VALUE_VERSION: u8 = 1;
/// Of changes, which in version 1 had no cause, no record and no index.
const CHANGE_VERSION: u8 = 2;
const CHECKSUM_BYTES: usize = 8;

/// Seeds that keep the kinds of values apart.
const ENTRY_SEED: u64 = 0x656e_7472_7900_0000;
const TICK_SEED: u64 = 0x7469_636b_0000_0000;
const CHANGE_SEED: u64 = 0x6368_616e_6765_0000;
const LETTER_SEED: u64 = 0x6c65_7474_6572_0000;
/// Of what the journal on Kafka writes besides entries.
#[cfg(feature = "kafka")]
pub(crate) const MANIFEST_SEED: u64 = 0x6d61_6e69_6665_7374;
#[cfg(feature = "kafka")]
pub(crate) const REMEMBERED_SEED: u64 = 0x6b61_666b_6100_0000;
const ID_SEED: u64 = 0x6964_0000_0000_0000;

const UNKNOWN_VERSION: Flaw = "its version is unknown";

/// Why stored bytes are not what was written.
pub(crate) type Flaw = &'static str;

/// The checksum of some bytes that are no value of the database.
pub(crate) fn checksum(bytes: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

pub(crate) fn begin(out: &mut Vec<u8>) {
    begin_version(out, VALUE_VERSION);
}

fn begin_version(out: &mut Vec<u8>, version: u8) {
    out.clear();
    out.push(version);
}

pub(crate) fn finish(out: &mut Vec<u8>, seed: u64) {
    let sum = checksum(out, seed);
    out.extend_from_slice(&sum.to_be_bytes());
}

/// Takes fields off the front of a value.
pub(crate) struct Fields<'a> {
    pub(crate) rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Checks the checksum and the version of a value.
    pub(crate) fn open(value: &'a [u8], seed: u64) -> Result<Fields<'a>, Flaw> {
        match Fields::open_any(value, seed)? {
            (VALUE_VERSION, fields) => Ok(fields),
            _ => Err(UNKNOWN_VERSION),
        }
    }

    /// Checks the checksum of a value and tells its version.
    fn open_any(value: &'a [u8], seed: u64) -> Result<(u8, Fields<'a>), Flaw> {
        let body_bytes = value.len().checked_sub(CHECKSUM_BYTES).ok_or("it is too short")?;
        let (body, sum) = value.split_at(body_bytes);
        if sum != checksum(body, seed).to_be_bytes() {
            return Err("its checksum does not match");
        }
        let (&version, rest) = body.split_first().ok_or("it is too short")?;
        Ok((version, Fields { rest }))
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it is too short")?;
        self.rest = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or("it is too short")?;
        self.rest = rest;
        Ok(*taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Flaw> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Flaw> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Flaw> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Flaw> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn sized(&mut self) -> Result<&'a [u8], Flaw> {
        let count = self.u32()?;
        self.bytes(count as usize)
    }

    pub(crate) fn sized_text(&mut self) -> Result<&'a str, Flaw> {
        std::str::from_utf8(self.sized()?).map_err(|_| "its text is not UTF-8")
    }
}

pub(crate) fn push_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    let count = u32::try_from(bytes.len()).expect("sizes are limited before anything is encoded");
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// The key of an entry, a tick or a dead letter.
pub(crate) fn number_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The number in such a key.
pub(crate) fn read_number_key(key: &[u8]) -> Result<u64, Flaw> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| "its key has the wrong size")
}

pub(crate) fn encode_entry(out: &mut Vec<u8>, entry: &Entry) {
    begin(out);
    out.push(entry.source);
    out.extend_from_slice(&entry.received_ms.to_be_bytes());
    push_sized(out, entry.context.as_bytes());
    out.extend_from_slice(&entry.payload);
    finish(out, ENTRY_SEED ^ entry.offset);
}

pub(crate) fn decode_entry(key: &[u8], value: &[u8]) -> Result<Entry, Flaw> {
    let offset = read_number_key(key)?;
    let mut fields = Fields::open(value, ENTRY_SEED ^ offset)?;
    Ok(Entry {
        offset,
        source: fields.u8()?,
        received_ms: fields.i64()?,
        context: fields.sized_text()?.into(),
        payload: fields.rest.to_vec(),
    })
}

/// What is kept of a tick beside its entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TickRecord {
    pub number: u64,
    pub instant_ms: i64,
    /// Offset of its first entry, or the one that the next entry will get.
    pub first_offset: u64,
    pub entry_count: u32,
}

impl TickRecord {
    /// Size of an encoded value; with the checksum it tells tick records among other values.
    pub(crate) const VALUE_BYTES: usize = 1 + 8 + 8 + 4 + CHECKSUM_BYTES;

    /// The offset that the first entry after this tick gets.
    pub(crate) fn next_offset(&self) -> u64 {
        self.first_offset + u64::from(self.entry_count)
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        begin(out);
        out.extend_from_slice(&self.instant_ms.to_be_bytes());
        out.extend_from_slice(&self.first_offset.to_be_bytes());
        out.extend_from_slice(&self.entry_count.to_be_bytes());
        finish(out, TICK_SEED ^ self.number);
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<TickRecord, Flaw> {
        let number = read_number_key(key)?;
        let mut fields = Fields::open(value, TICK_SEED ^ number)?;
        let (instant_ms, first_offset, entry_count) = (fields.i64()?, fields.u64()?, fields.u32()?);
        if first_offset.checked_add(u64::from(entry_count)).is_none() {
            return Err("its offsets are out of range");
        }
        Ok(TickRecord { number, instant_ms, first_offset, entry_count })
    }
}

/// The key of a change.
pub(crate) fn change_key(cursor: Cursor) -> [u8; 12] {
    let mut key = [0; 12];
    key[..8].copy_from_slice(&cursor.tick.to_be_bytes());
    key[8..].copy_from_slice(&cursor.index.to_be_bytes());
    key
}

fn change_seed(cursor: Cursor) -> u64 {
    CHANGE_SEED ^ cursor.tick.rotate_left(32) ^ u64::from(cursor.index)
}

pub(crate) fn encode_change(out: &mut Vec<u8>, cursor: Cursor, instant_ms: i64, change: &ChangeBytes) {
    begin_version(out, CHANGE_VERSION);
    out.push(change.table);
    out.extend_from_slice(&change.diff.to_be_bytes());
    out.extend_from_slice(&instant_ms.to_be_bytes());
    push_sized(out, &change.key);
    out.push(change.cause);
    out.extend_from_slice(&change.seq.to_be_bytes());
    match &change.index {
        Index::None => out.push(0),
        Index::Row { subject } => {
            out.push(1);
            push_sized(out, subject);
        }
        Index::Story { subject, id } => {
            out.push(2);
            push_sized(out, subject);
            out.extend_from_slice(&id.to_be_bytes());
        }
    }
    out.extend_from_slice(&change.row);
    finish(out, change_seed(cursor));
}

pub(crate) fn decode_change(key: &[u8], value: &[u8]) -> Result<StoredChange, Flaw> {
    let cursor = read_change_key(key)?;
    let (version, mut fields) = Fields::open_any(value, change_seed(cursor))?;
    let table = fields.u8()?;
    let diff = i8::from_be_bytes(fields.array()?);
    let instant_ms = fields.i64()?;
    let key = fields.sized()?.to_vec();
    let (cause, seq, index) = match version {
        VALUE_VERSION => (0, 0, Index::None),
        CHANGE_VERSION => (fields.u8()?, fields.u64()?, read_index(&mut fields)?),
        _ => return Err(UNKNOWN_VERSION),
    };
    let change = ChangeBytes { table, diff, key, row: fields.rest.to_vec(), cause, seq, index };
    Ok(StoredChange { cursor, instant_ms, change })
}

/// The cursor in the key of a change.
pub(crate) fn read_change_key(key: &[u8]) -> Result<Cursor, Flaw> {
    let mut key = Fields { rest: key };
    Ok(Cursor { tick: key.u64()?, index: key.u32()? })
}

fn read_index(fields: &mut Fields<'_>) -> Result<Index, Flaw> {
    Ok(match fields.u8()? {
        0 => Index::None,
        1 => Index::Row { subject: fields.sized()?.to_vec() },
        2 => Index::Story { subject: fields.sized()?.to_vec(), id: fields.u64()? },
        _ => return Err("its index is of an unknown kind"),
    })
}

/// Where the row of an id is, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdRecord {
    /// The last change of the row.
    pub last: Cursor,
    pub table: u8,
    pub key: Vec<u8>,
}

pub(crate) fn encode_id(id: u64, record: &IdRecord) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    begin(&mut out);
    out.extend_from_slice(&change_key(record.last));
    out.push(record.table);
    out.extend_from_slice(&record.key);
    finish(&mut out, ID_SEED ^ id);
    out
}

pub(crate) fn decode_id(id: u64, value: &[u8]) -> Result<IdRecord, Flaw> {
    let mut fields = Fields::open(value, ID_SEED ^ id)?;
    let last = read_change_key(fields.bytes(12)?)?;
    Ok(IdRecord { last, table: fields.u8()?, key: fields.rest.to_vec() })
}

/// The key in the index of a row's id.
pub(crate) fn id_key(id: u64) -> Vec<u8> {
    let mut out = Vec::with_capacity(9);
    out.push(b'i');
    out.extend_from_slice(&id.to_be_bytes());
    out
}

/// What the keys in the index begin with of the rows of a subject; a row's own key follows.
pub(crate) fn subject_rows_key(table: u8, subject: &[u8]) -> Vec<u8> {
    subject_key(b'r', table, subject)
}

/// What the keys in the index begin with of the changes of a subject; a change's own key follows.
pub(crate) fn subject_changes_key(table: u8, subject: &[u8]) -> Vec<u8> {
    subject_key(b'c', table, subject)
}

fn subject_key(kind: u8, table: u8, subject: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(6 + subject.len() + 16);
    out.extend_from_slice(&[kind, table]);
    push_sized(&mut out, subject);
    out
}

/// The key of a current row.
pub(crate) fn row_key(table: u8, key: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + key.len());
    out.push(table);
    out.extend_from_slice(key);
    out
}

pub(crate) fn encode_dead_letter(out: &mut Vec<u8>, letter: &DeadLetter) {
    begin(out);
    out.extend_from_slice(&letter.received_ms.to_be_bytes());
    out.push(letter.source);
    push_sized(out, letter.context.as_bytes());
    push_sized(out, letter.reason.as_bytes());
    out.extend_from_slice(&letter.payload);
    finish(out, LETTER_SEED ^ letter.id);
}

pub(crate) fn decode_dead_letter(key: &[u8], value: &[u8]) -> Result<DeadLetter, Flaw> {
    let id = read_number_key(key)?;
    let mut fields = Fields::open(value, LETTER_SEED ^ id)?;
    Ok(DeadLetter {
        id,
        received_ms: fields.i64()?,
        source: fields.u8()?,
        context: fields.sized_text()?.to_string(),
        reason: fields.sized_text()?.to_string(),
        payload: fields.rest.to_vec(),
    })
}

/// A cell of the meta keyspace: a few numbers.
pub(crate) fn encode_cell<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

pub(crate) fn decode_cell<const N: usize>(value: &[u8]) -> Result<[u64; N], Flaw> {
    if value.len() != N * 8 {
        return Err("it has the wrong size");
    }
    let mut fields = Fields { rest: value };
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = fields.u64()?;
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_survive_and_flipped_bits_are_found(
            offset in 1u64.., source: u8, received_ms: i64, context in ".{0,20}",
            payload in prop::collection::vec(any::<u8>(), 0..200), flip: prop::sample::Index, bit in 0u8..8,
        ) {
            let entry = Entry { offset, source, received_ms, context: context.into(), payload };
            let mut value = Vec::new();
            encode_entry(&mut value, &entry);
            prop_assert_eq!(decode_entry(&number_key(offset), &value), Ok(entry));
            prop_assert!(decode_entry(&number_key(offset ^ 1), &value).is_err());
            let at = flip.index(value.len());
            value[at] ^= 1 << bit;
            prop_assert!(decode_entry(&number_key(offset), &value).is_err());
        }

        #[test]
        fn changes_survive(
            tick: u64, index: u32, instant_ms: i64, table: u8, diff: i8, cause: u8, seq: u64, id: u64, kind in 0..3,
            key in prop::collection::vec(any::<u8>(), 0..50), row in prop::collection::vec(any::<u8>(), 0..50),
            subject in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let cursor = Cursor { tick, index };
            let index = match kind {
                0 => Index::None,
                1 => Index::Row { subject },
                _ => Index::Story { subject, id },
            };
            let change = ChangeBytes { table, key, diff, row, cause, seq, index };
            let mut value = Vec::new();
            encode_change(&mut value, cursor, instant_ms, &change);
            let stored = StoredChange { cursor, instant_ms, change };
            prop_assert_eq!(decode_change(&change_key(cursor), &value), Ok(stored));
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(
            key in prop::collection::vec(any::<u8>(), 0..16), value in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            let _ = decode_entry(&key, &value);
            let _ = decode_change(&key, &value);
            let _ = decode_id(1, &value);
            let _ = decode_dead_letter(&key, &value);
            let _ = TickRecord::decode(&key, &value);
            let _ = decode_cell::<2>(&value);
        }
    }

    #[test]
    fn changes_of_the_first_version_are_read() {
        let cursor = Cursor { tick: 3, index: 1 };
        let mut value = Vec::new();
        begin(&mut value);
        value.push(2);
        value.extend_from_slice(&(-1i8).to_be_bytes());
        value.extend_from_slice(&50i64.to_be_bytes());
        push_sized(&mut value, b"key");
        value.extend_from_slice(b"row");
        finish(&mut value, change_seed(cursor));
        let change = ChangeBytes {
            table: 2,
            key: b"key".to_vec(),
            diff: -1,
            row: b"row".to_vec(),
            ..ChangeBytes::default()
        };
        let stored = StoredChange { cursor, instant_ms: 50, change };
        assert_eq!(decode_change(&change_key(cursor), &value), Ok(stored));
    }

    #[test]
    fn ids_survive_and_belong_to_their_key() {
        let record = IdRecord { last: Cursor { tick: 7, index: u32::MAX }, table: 2, key: b"key".to_vec() };
        let value = encode_id(5, &record);
        assert_eq!(decode_id(5, &value), Ok(record));
        assert!(decode_id(6, &value).is_err());
    }

    #[test]
    fn a_tick_record_has_its_size() {
        let record = TickRecord { number: 7, instant_ms: -3, first_offset: 9, entry_count: 2 };
        let mut value = Vec::new();
        record.encode(&mut value);
        assert_eq!(value.len(), TickRecord::VALUE_BYTES);
        assert_eq!(TickRecord::decode(&number_key(7), &value), Ok(record));
        assert_eq!(record.next_offset(), 11);
    }
}
