//! Fixes as the graph takes them in, and as its operators look at them.

use model::{Coord, Motion};

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
    /// How it moves, as far as that is known.
    pub motion: Motion,
    /// When, in milliseconds since the epoch.
    pub time: i64,
    /// Position of the record in the whole input; of two fixes at one time the higher one counts.
    pub seq: u64,
}

/// A fix of a vehicle's history, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Fix {
    pub(crate) time: i64,
    pub(crate) seq: u64,
    pub(crate) at: Coord,
    pub(crate) motion: Motion,
    pub(crate) is_jump: bool,
    pub(crate) has_bad_value: bool,
}

impl From<&FixIn> for Fix {
    fn from(fix: &FixIn) -> Fix {
        Fix {
            time: fix.time,
            seq: fix.seq,
            at: fix.at,
            motion: fix.motion,
            is_jump: false,
            has_bad_value: fix.bad_value,
        }
    }
}
