//! Backfills: periods that were never too late, and never out of reach, for the records up to a backfill's
//! own.
//!
//! ```text
//!   record   1   2   3   backfill [a, b)   5   6
//!            |-- reach back to a, ------|   |-- as without it
//!                and take [a, b) in
//! ```

use model::TimeMs;

use super::Input;

/// A backfill record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backfill {
    seq: u64,
    from: TimeMs,
    to: TimeMs,
}

/// The backfill records of an input.
pub(super) fn backfills(input: &[Input]) -> Vec<Backfill> {
    let backfill = |(seq, record): (u64, &Input)| match *record {
        Input::Backfill { from, to, .. } => Some(Backfill { seq, from, to }),
        _ => None,
    };
    (1..).zip(input).filter_map(backfill).collect()
}

/// What backfills open for one record.
pub(super) struct Opening<'a> {
    seq: u64,
    backfills: &'a [Backfill],
    /// The edge of Reach that is left. `None`: there is none.
    pub edge: Option<TimeMs>,
}

impl<'a> Opening<'a> {
    /// For a record whose edge it would be without them.
    pub fn of_record(seq: u64, edge: Option<TimeMs>, backfills: &'a [Backfill]) -> Opening<'a> {
        let mut opening = Opening { seq, backfills, edge };
        let earliest = opening.still_to_come().map(|backfill| backfill.from).min();
        opening.edge = edge.map(|edge| earliest.map_or(edge, |from| edge.min(from)));
        opening
    }

    /// Whether a time is never too late.
    pub fn holds(&self, time: TimeMs) -> bool {
        self.still_to_come().any(|backfill| backfill.from <= time && time < backfill.to)
    }

    fn still_to_come(&self) -> impl Iterator<Item = &Backfill> {
        self.backfills.iter().filter(|backfill| backfill.seq >= self.seq)
    }
}
