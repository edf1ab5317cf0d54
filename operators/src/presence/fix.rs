//! Fixes as the graph takes them in, and as a vehicle's history keeps them.

use model::Coord;

/// A vehicle's number; text ids are given numbers where records enter the graph.
pub type VehicleKey = u32;

/// A position that was admitted.
/// Serializable, because workers of other processes may own the vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FixIn {
    /// Whose.
    pub vehicle: VehicleKey,
    /// Whether an optional value of the record could not be read.
    pub bad_value: bool,
    /// Where.
    pub at: Coord,
    /// When, in milliseconds since the epoch.
    pub time: i64,
    /// Position of the record in the whole input; of two fixes at one time the higher one counts.
    pub seq: u64,
}

/// A fix in a vehicle's history: 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeptFix {
    pub(crate) time: i64,
    /// Sequence number; the two highest bits are flags.
    seq_and_flags: u64,
    pub(crate) at: Coord,
    /// The fences that the vehicle is in after this fix, as a number of the set table.
    pub(crate) set: u32,
}

const JUMP: u64 = 1 << 63;
const BAD_VALUE: u64 = 1 << 62;

impl KeptFix {
    pub(crate) fn new(fix: &FixIn) -> KeptFix {
        debug_assert!(fix.seq < BAD_VALUE);
        let flags = if fix.bad_value { BAD_VALUE } else { 0 };
        KeptFix { time: fix.time, seq_and_flags: fix.seq | flags, at: fix.at, set: 0 }
    }

    pub(crate) fn seq(&self) -> u64 {
        self.seq_and_flags & !(JUMP | BAD_VALUE)
    }

    pub(crate) fn is_jump(&self) -> bool {
        self.seq_and_flags & JUMP != 0
    }

    pub(crate) fn has_bad_value(&self) -> bool {
        self.seq_and_flags & BAD_VALUE != 0
    }

    pub(crate) fn set_jump(&mut self, jump: bool) {
        if jump {
            self.seq_and_flags |= JUMP;
        } else {
            self.seq_and_flags &= !JUMP;
        }
    }
}
