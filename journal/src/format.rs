//! Keys and values as they are in the database: big-endian keys, and values with a version and a checksum.
//!
//! Checksums are seeded with the key, so that a value under a wrong key is found too.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{ChangeBytes, Cursor, DeadLetter, Entry, StoredChange};

/// The format of the whole folder; kept in the meta keyspace.
pub(crate) const FORMAT_VERSION: u32 = 1;

const VALUE_VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// Seeds that keep the kinds of values apart.
const ENTRY_SEED: u64 = 0x656e_7472_7900_0000;
const TICK_SEED: u64 = 0x7469_636b_0000_0000;
const CHANGE_SEED: u64 = 0x6368_616e_6765_0000;
const LETTER_SEED: u64 = 0x6c65_7474_6572_0000;

/// Why stored bytes are not what was written.
pub(crate) type Flaw = &'static str;

/// The checksum of some bytes that are no value of the database.
pub(crate) fn checksum(bytes: &[u8], seed: u64) -> u64 {
    xxh3_64_with_seed(bytes, seed)
}

fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.push(VALUE_VERSION);
}

fn finish(out: &mut Vec<u8>, seed: u64) {
    let sum = checksum(out, seed);
    out.extend_from_slice(&sum.to_be_bytes());
}

/// Takes fields off the front of a value.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Checks the checksum and the version of a value.
    fn open(value: &'a [u8], seed: u64) -> Result<Fields<'a>, Flaw> {
        let body_bytes = value.len().checked_sub(CHECKSUM_BYTES).ok_or("it is too short")?;
        let (body, sum) = value.split_at(body_bytes);
        if sum != checksum(body, seed).to_be_bytes() {
            return Err("its checksum does not match");
        }
        match body.split_first() {
            Some((&VALUE_VERSION, rest)) => Ok(Fields { rest }),
            Some(_) => Err("its version is unknown"),
            None => Err("it is too short"),
        }
    }

    fn bytes(&mut self, count: usize) -> Result<&'a [u8], Flaw> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("it is too short")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or("it is too short")?;
        self.rest = rest;
        Ok(*taken)
    }

    fn u8(&mut self) -> Result<u8, Flaw> {
        Ok(self.array::<1>()?[0])
    }

    fn u32(&mut self) -> Result<u32, Flaw> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, Flaw> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, Flaw> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    fn sized(&mut self) -> Result<&'a [u8], Flaw> {
        let count = self.u32()?;
        self.bytes(count as usize)
    }

    fn sized_text(&mut self) -> Result<&'a str, Flaw> {
        std::str::from_utf8(self.sized()?).map_err(|_| "its text is not UTF-8")
    }
}

fn push_sized(out: &mut Vec<u8>, bytes: &[u8]) {
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
    begin(out);
    out.push(change.table);
    out.extend_from_slice(&change.diff.to_be_bytes());
    out.extend_from_slice(&instant_ms.to_be_bytes());
    push_sized(out, &change.key);
    out.extend_from_slice(&change.row);
    finish(out, change_seed(cursor));
}

pub(crate) fn decode_change(key: &[u8], value: &[u8]) -> Result<StoredChange, Flaw> {
    let mut key = Fields { rest: key };
    let cursor = Cursor { tick: key.u64()?, index: key.u32()? };
    let mut fields = Fields::open(value, change_seed(cursor))?;
    let table = fields.u8()?;
    let diff = i8::from_be_bytes(fields.array()?);
    let instant_ms = fields.i64()?;
    let change = ChangeBytes { table, diff, key: fields.sized()?.to_vec(), row: fields.rest.to_vec() };
    Ok(StoredChange { cursor, instant_ms, change })
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
            tick: u64, index: u32, instant_ms: i64, table: u8, diff: i8,
            key in prop::collection::vec(any::<u8>(), 0..50), row in prop::collection::vec(any::<u8>(), 0..50),
        ) {
            let cursor = Cursor { tick, index };
            let change = ChangeBytes { table, key, diff, row };
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
            let _ = decode_dead_letter(&key, &value);
            let _ = TickRecord::decode(&key, &value);
            let _ = decode_cell::<2>(&value);
        }
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
