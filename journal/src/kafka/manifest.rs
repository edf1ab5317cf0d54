//! Records of the manifest, the topic `PREFIX.ticks`: which entries each tick has, and who writes.
//!
//! ```text
//!   claim | tick 1 | tick 2 | ... | claim | tick 8 | ...
//!     a writer's first record       the next writer's
//! ```
//!
//! Each is committed in a transaction of the journal's one transactional id. So a writer whose claim is not the
//! last one can't commit any more.

use crate::format::{
    Fields, Flaw, MANIFEST_SEED, REMEMBERED_SEED, TickRecord, begin, finish, number_key, push_sized,
    read_number_key,
};

const CLAIM: u8 = 0;
const TICK: u8 = 1;
/// The most partitions that a tick may have entries in; a damaged count is not to take all memory.
const MAX_RANGES: u32 = 100_000;

/// Which journal it is, wherever its topics are: drawn once, at its beginning.
pub(crate) type JournalId = [u8; 16];

/// Where some of a tick's entries are: the ones that are visible from the first of these places to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawRange {
    pub partition: i32,
    pub first: i64,
    pub last: i64,
}

/// A record of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManifestRecord {
    /// A writer begins, and has committed nothing yet.
    pub is_claim: bool,
    pub journal_id: JournalId,
    /// Drawn by each writer when it begins.
    pub session: u64,
    /// The tick; of a claim [`NO_TICK`].
    pub tick: TickRecord,
    /// By partition; empty for a heartbeat or a claim.
    pub ranges: Vec<RawRange>,
}

/// What a claim has instead.
pub(crate) const NO_TICK: TickRecord =
    TickRecord { number: 0, instant_ms: 0, first_offset: 1, entry_count: 0 };

impl ManifestRecord {
    pub(crate) fn key(&self) -> [u8; 8] {
        number_key(self.tick.number)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(80 + self.ranges.len() * 20);
        begin(&mut out);
        out.push(if self.is_claim { CLAIM } else { TICK });
        out.extend_from_slice(&self.journal_id);
        out.extend_from_slice(&self.session.to_be_bytes());
        out.extend_from_slice(&self.tick.instant_ms.to_be_bytes());
        out.extend_from_slice(&self.tick.first_offset.to_be_bytes());
        out.extend_from_slice(&self.tick.entry_count.to_be_bytes());
        let count = u32::try_from(self.ranges.len()).expect("there are far fewer partitions");
        out.extend_from_slice(&count.to_be_bytes());
        for range in &self.ranges {
            out.extend_from_slice(&range.partition.cast_unsigned().to_be_bytes());
            out.extend_from_slice(&range.first.to_be_bytes());
            out.extend_from_slice(&range.last.to_be_bytes());
        }
        finish(&mut out, MANIFEST_SEED ^ self.tick.number);
        out
    }

    pub(crate) fn decode(key: &[u8], value: &[u8]) -> Result<ManifestRecord, Flaw> {
        let number = read_number_key(key)?;
        let mut fields = Fields::open(value, MANIFEST_SEED ^ number)?;
        let is_claim = match fields.u8()? {
            CLAIM => true,
            TICK => false,
            _ => return Err("its kind is unknown"),
        };
        let (journal_id, session) = (fields.array()?, fields.u64()?);
        let (instant_ms, first_offset, entry_count) = (fields.i64()?, fields.u64()?, fields.u32()?);
        if first_offset == 0 || first_offset.checked_add(u64::from(entry_count)).is_none() {
            return Err("its offsets are out of range");
        }
        let count = fields.u32()?;
        if count > MAX_RANGES.min(entry_count) {
            return Err("it has more ranges than entries");
        }
        let mut ranges = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let partition = fields.u32()?.cast_signed();
            ranges.push(RawRange { partition, first: fields.i64()?, last: fields.i64()? });
        }
        let tick = TickRecord { number, instant_ms, first_offset, entry_count };
        Ok(ManifestRecord { is_claim, journal_id, session, tick, ranges })
    }
}

/// What a folder remembers of its journal: another one is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remembered {
    pub journal_id: JournalId,
    pub brokers: String,
    pub topic_prefix: String,
}

impl Remembered {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&mut out);
        out.extend_from_slice(&self.journal_id);
        push_sized(&mut out, self.brokers.as_bytes());
        push_sized(&mut out, self.topic_prefix.as_bytes());
        finish(&mut out, REMEMBERED_SEED);
        out
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Remembered, Flaw> {
        let mut fields = Fields::open(value, REMEMBERED_SEED)?;
        Ok(Remembered {
            journal_id: fields.array()?,
            brokers: fields.sized_text()?.to_owned(),
            topic_prefix: fields.sized_text()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> ManifestRecord {
        let tick = TickRecord { number: 7, instant_ms: -3, first_offset: 40, entry_count: 9 };
        let ranges = [(0, 5, 9), (3, 0, 0)];
        let ranges = ranges.map(|(partition, first, last)| RawRange { partition, first, last }).to_vec();
        ManifestRecord { is_claim: false, journal_id: [9; 16], session: u64::MAX, tick, ranges }
    }

    #[test]
    fn records_read_as_they_were_written_and_not_when_a_bit_is_wrong() {
        let claim = ManifestRecord { is_claim: true, tick: NO_TICK, ranges: Vec::new(), ..record() };
        for record in [record(), claim] {
            let (key, value) = (record.key(), record.encode());
            assert_eq!(ManifestRecord::decode(&key, &value), Ok(record.clone()));
            for at in 0..value.len() {
                let mut flipped = value.clone();
                flipped[at] ^= 1;
                assert!(ManifestRecord::decode(&key, &flipped).is_err(), "byte {at}");
                assert!(ManifestRecord::decode(&key, &value[..at]).is_err(), "cut at {at}");
            }
            assert!(ManifestRecord::decode(&number_key(8), &value).is_err(), "a record of another tick");
        }
    }

    #[test]
    fn a_folder_remembers_its_journal() {
        let remembered = Remembered {
            journal_id: [1; 16],
            brokers: "a:1,b:2".to_owned(),
            topic_prefix: "fleet".to_owned(),
        };
        assert_eq!(Remembered::decode(&remembered.encode()), Ok(remembered));
    }
}
