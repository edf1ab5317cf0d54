//! What comes of steps, which are many: sums by bucket of time instead of parts.
//!
//! ```text
//!   fix to fix      o----------------o            good fixes +1, legs ended +1, distance
//!   rate            +1              -1            count += d, times += d * t
//!   bucket     |          |          |         |
//! ```

use serde::{Deserialize, Serialize};

use super::parts::Rate;
use crate::presence::{OFFLINE_AFTER_MS, Step, StepEnd, is_moving};

/// What trucks do from one fix to the next: the first of the rates.
pub(super) const DOINGS: usize = Rate::Offline as usize + 1;

/// What steps add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StepSums {
    pub good_fixes: i64,
    pub legs_ended: i64,
    pub distance_mm: i64,
    /// How many more do what from then on.
    pub counts: [i64; DOINGS],
    /// The sums of the times at which they begin, less those at which others end.
    pub times: [i64; DOINGS],
}

impl StepSums {
    pub fn add(&mut self, other: &StepSums) {
        self.good_fixes += other.good_fixes;
        self.legs_ended += other.legs_ended;
        self.distance_mm += other.distance_mm;
        for doing in 0..DOINGS {
            self.counts[doing] += other.counts[doing];
            self.times[doing] += other.times[doing];
        }
    }

    fn turn(&mut self, doing: Rate, time: i64, diff: i64) {
        self.counts[doing as usize] += diff;
        self.times[doing as usize] += diff * time;
    }
}

/// Sums by the beginning of their bucket of `MS` milliseconds. Those of the newest are at hand.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct StepBuckets<const MS: i64> {
    /// When the newest begins; `i64::MIN` where there is none.
    newest: i64,
    sums: StepSums,
    /// In order.
    older: Vec<(i64, StepSums)>,
}

impl<const MS: i64> Default for StepBuckets<MS> {
    fn default() -> Self {
        StepBuckets { newest: i64::MIN, sums: StepSums::default(), older: Vec::new() }
    }
}

impl<const MS: i64> StepBuckets<MS> {
    /// Counts a step that came or went.
    #[inline]
    pub fn add(&mut self, step: &Step) {
        let diff = i64::from(step.diff);
        let at_end = self.at(step.to.time);
        at_end.good_fixes += diff;
        let Some(from) = &step.from else { return };
        at_end.legs_ended += diff;
        at_end.distance_mm += diff * step.mm;
        let doing = doing(from, &step.to, step.mm);
        at_end.turn(doing, step.to.time, -diff);
        self.at(from.time).turn(doing, from.time, diff);
    }

    /// Gives what is before a time, and forgets it.
    pub fn take_before(&mut self, time: i64, mut take: impl FnMut(i64, &StepSums)) {
        let count = self.older.partition_point(|(start, _)| *start < time);
        self.older.drain(..count).for_each(|(start, sums)| take(start, &sums));
        if self.newest != i64::MIN && self.newest < time {
            take(std::mem::replace(&mut self.newest, i64::MIN), &std::mem::take(&mut self.sums));
        }
    }

    /// How many buckets are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.older.len() + usize::from(self.newest != i64::MIN)
    }

    #[inline]
    fn at(&mut self, time: i64) -> &mut StepSums {
        let start = time - time.rem_euclid(MS);
        if start < self.newest {
            return self.at_older(start);
        }
        if start > self.newest {
            let before = (std::mem::replace(&mut self.newest, start), std::mem::take(&mut self.sums));
            if before.0 != i64::MIN {
                self.older.push(before);
            }
        }
        &mut self.sums
    }

    fn at_older(&mut self, start: i64) -> &mut StepSums {
        let place = self.older.partition_point(|(older, _)| *older < start);
        if self.older.get(place).is_none_or(|(older, _)| *older != start) {
            self.older.insert(place, (start, StepSums::default()));
        }
        &mut self.older[place].1
    }
}

/// What a vehicle did from one good fix to the next.
pub(super) fn doing(from: &StepEnd, to: &StepEnd, mm: i64) -> Rate {
    let ms = to.time - from.time;
    match from.motion.ignition {
        _ if ms > OFFLINE_AFTER_MS => Rate::Offline,
        _ if is_moving(mm, ms) => Rate::Moving,
        Some(true) => Rate::Idle,
        Some(false) | None => Rate::Stopped,
    }
}
