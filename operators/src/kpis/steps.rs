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

/// Sums by the beginning of their bucket of `MS` milliseconds, the newest last.
#[derive(Debug, Default)]
pub(super) struct StepBuckets<const MS: i64> {
    buckets: Vec<(i64, StepSums)>,
}

impl<const MS: i64> StepBuckets<MS> {
    /// Counts a step that came or went.
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
        let count = self.buckets.partition_point(|(start, _)| *start < time);
        self.buckets.drain(..count).for_each(|(start, sums)| take(start, &sums));
    }

    /// How many buckets are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    #[inline]
    fn at(&mut self, time: i64) -> &mut StepSums {
        let start = time - time.rem_euclid(MS);
        let place = match self.buckets.last() {
            Some((last, _)) if *last == start => self.buckets.len() - 1,
            Some((last, _)) if *last > start => match self.buckets.binary_search_by_key(&start, |of| of.0) {
                Ok(place) => place,
                Err(place) => {
                    self.buckets.insert(place, (start, StepSums::default()));
                    place
                }
            },
            _ => {
                self.buckets.push((start, StepSums::default()));
                self.buckets.len() - 1
            }
        };
        &mut self.buckets[place].1
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
