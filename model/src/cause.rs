//! Why rows change.

use std::cmp::Ordering;

/// What a change of a derived row came of; where several apply, the first of this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Cause {
    /// A setting of the arithmetic changed.
    Settings,
    /// A period was computed anew, with what had come too late.
    Backfill,
    /// A fence was deleted, or its validity ended.
    FenceEnd,
    /// A fence was created or changed.
    FenceEdit,
    /// The jump filter judges another fix otherwise than before.
    Cleaning,
    /// A fix took the place of one of the same vehicle and time.
    Superseded,
    /// A fix came after a later one of its vehicle.
    LateFix,
    /// It was new: a fix in its order, a record of a trip, a location or a vehicle, or time that passed.
    First,
}

impl Cause {
    /// All causes, in the order in which they apply.
    pub const ALL: [Cause; 8] = [
        Cause::Settings,
        Cause::Backfill,
        Cause::FenceEnd,
        Cause::FenceEdit,
        Cause::Cleaning,
        Cause::Superseded,
        Cause::LateFix,
        Cause::First,
    ];

    /// The name in answers and events.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Settings => "settings",
            Cause::Backfill => "backfill",
            Cause::FenceEnd => "fence_end",
            Cause::FenceEdit => "fence_edit",
            Cause::Cleaning => "cleaning",
            Cause::Superseded => "superseded",
            Cause::LateFix => "late_fix",
            Cause::First => "first",
        }
    }

    /// A number that never changes for the cause: it is part of what is kept on disk.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8 + 1
    }

    /// The inverse of [`Cause::code`].
    #[must_use]
    pub fn from_code(code: u8) -> Option<Cause> {
        Cause::ALL.get(usize::from(code).checked_sub(1)?).copied()
    }
}

/// Why a row changed: what it came of, and the record that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Why {
    /// What it came of.
    pub cause: Cause,
    /// Position of that record in the whole input, from 1; where time alone passed, of the last record.
    pub seq: u64,
}

impl Why {
    /// Nothing out of the ordinary, by this record.
    #[must_use]
    pub fn first(seq: u64) -> Why {
        Why { cause: Cause::First, seq }
    }

    /// Of two reasons for one change the one that applies first; of two alike the later record.
    #[must_use]
    pub fn stronger(self, other: Why) -> Why {
        match self.cause.cmp(&other.cause) {
            Ordering::Less => self,
            Ordering::Greater => other,
            Ordering::Equal => Why { seq: self.seq.max(other.seq), ..self },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_codes_of_their_own() {
        for cause in Cause::ALL {
            assert_eq!(Cause::from_code(cause.code()), Some(cause));
        }
        assert_eq!((Cause::from_code(0), Cause::from_code(9)), (None, None));
    }
}
