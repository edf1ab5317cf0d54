//! What a row is known by besides its key: the id of a visit, and the subject that a row is about.

use std::fmt;
use std::str::FromStr;

use xxhash_rust::xxh3::xxh3_64;

use crate::rows::push_ordered_text;
use crate::{Row, VisitRow};

/// The id of a visit: a hash of its key, the same wherever and whenever it is computed.
///
/// XXH3 (64 bits, seed 0) of the key's bytes ([`Row::key_bytes`]): `vehicle_id` and `fence_id` in UTF-8, each
/// with the bytes 0 and 1 behind it, then `arrived` in milliseconds since 1970 plus 2^63, big-endian. It is
/// written as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct VisitId(pub u64);

impl VisitId {
    /// The id of the visit that has this key.
    #[must_use]
    pub fn of_key(key_bytes: &[u8]) -> VisitId {
        VisitId(xxh3_64(key_bytes))
    }

    /// The id of a visit.
    #[must_use]
    pub fn of(visit: &VisitRow) -> VisitId {
        VisitId::of_key(&Row::Visit(visit.clone()).key_bytes())
    }
}

impl fmt::Display for VisitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not the id of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a visit; it has 16 hexadecimal digits, such as 00c0ffee00c0ffee")]
pub struct VisitIdError;

impl FromStr for VisitId {
    type Err = VisitIdError;

    fn from_str(text: &str) -> Result<VisitId, VisitIdError> {
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(VisitIdError);
        }
        u64::from_str_radix(text, 16).map(VisitId).map_err(|_| VisitIdError)
    }
}

/// The key of a trip's row, as bytes.
#[must_use]
pub fn trip_key(trip_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(trip_id.len() + 2);
    push_ordered_text(&mut out, trip_id);
    out
}

/// What the changes of a trip's or an alert's row are found by: XXH3 (64 bits, seed 0) of its key's bytes. No visit
/// has such a key, since those of visits have two texts and a time.
#[must_use]
pub fn trip_hash(key_bytes: &[u8]) -> u64 {
    xxh3_64(key_bytes)
}

/// What the rows about one vehicle in one fence have in common, as bytes: what their keys begin with.
#[must_use]
pub fn pair_subject(vehicle_id: &str, fence_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(vehicle_id.len() + fence_id.len() + 4);
    push_ordered_text(&mut out, vehicle_id);
    push_ordered_text(&mut out, fence_id);
    out
}

/// What the rows about one vehicle have in common, as bytes.
#[must_use]
pub fn vehicle_subject(vehicle_id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(vehicle_id.len() + 2);
    push_ordered_text(&mut out, vehicle_id);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TimeMs;

    fn visit(vehicle: &str, fence: &str, arrived: i64) -> VisitRow {
        VisitRow {
            vehicle_id: vehicle.into(),
            fence_id: fence.into(),
            arrived: TimeMs(arrived),
            departed: None,
            confirmed_at: TimeMs(arrived + 300_000),
            presences: 1,
        }
    }

    #[test]
    fn an_id_never_changes_and_is_of_the_key_only() {
        let first = visit("T1", "yard", 1_767_571_200_000);
        // Computed apart, by the reference implementation.
        assert_eq!(VisitId::of(&first).to_string(), "8defb3e6d8caf310");
        let ended = VisitRow { departed: Some(TimeMs(1_767_571_800_000)), presences: 3, ..first.clone() };
        assert_eq!(VisitId::of(&ended), VisitId::of(&first));
        let others = [visit("T1", "yard", 1), visit("T1y", "ard", 1), visit("T", "1yard", 1)];
        let ids: std::collections::BTreeSet<VisitId> =
            others.iter().chain([&first]).map(VisitId::of).collect();
        assert_eq!(ids.len(), 4);
    }

    #[test]
    fn ids_read_as_they_are_written() {
        for id in [VisitId(0), VisitId(0xc0ff_ee00), VisitId(u64::MAX)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for wrong in ["", "1", "+000000000000001", "00000000000000001", "000000000000000g", "00000000000000é"]
        {
            assert_eq!(wrong.parse::<VisitId>(), Err(VisitIdError), "{wrong:?}");
        }
    }

    #[test]
    fn keys_begin_with_their_subject() {
        let row = visit("T\u{0}1", "yard", 5);
        assert!(Row::Visit(row).key_bytes().starts_with(&pair_subject("T\u{0}1", "yard")));
        assert!(pair_subject("T1", "yard").starts_with(&vehicle_subject("T1")));
    }
}
