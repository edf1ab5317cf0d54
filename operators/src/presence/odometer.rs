//! How far a vehicle went between two times, also where its fixes are not kept any more.
//!
//! ```text
//!   fixes dropped           | fixes kept
//!   ---m------m--------m----|F---o----o-----o---->     m: a presence began or ended
//!      marks: (time, millimetres so far)   legs are summed when asked
//! ```
//!
//! Visits begin and end where presences do: sums between such times are all that is ever asked for.

use super::fix::Fix;
use super::history::{History, Place};
use super::output::Interval;
use crate::fences::{ALWAYS, NEVER};
use crate::spatial::leg_mm;

/// The sums that are kept of fixes that are not.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Odometer {
    /// By time.
    marks: Vec<Mark>,
    /// No presence begins or ends anew before then.
    marked_until: i64,
    /// The time of the first good fix that is kept, and the millimetres up to it.
    kept_from: (i64, i64),
}

/// A time at which a presence began or ended; there may be no fix at it.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Mark {
    time: i64,
    /// Millimetres up to the last good fix at or before it.
    before_mm: i64,
    /// Millimetres up to the first good fix at or after it.
    after_mm: i64,
}

impl Default for Odometer {
    fn default() -> Self {
        Odometer { marks: Vec::new(), marked_until: ALWAYS, kept_from: (ALWAYS, 0) }
    }
}

impl Odometer {
    /// Keeps what will be asked of the fixes in the blocks before that of a good fix, which are about to be
    /// dropped, as are presences that ended by it.
    pub(crate) fn before_drop(&mut self, history: &History, kept: Place, intervals: &[Interval]) {
        let ends = intervals.iter().flat_map(|interval| [interval.entered, interval.exited()]);
        let mut times: Vec<i64> = ends.filter(|&time| self.marked_until <= time && time != NEVER).collect();
        times.sort_unstable();
        times.dedup();
        let last_mark = self.marks.last().map(|mark| mark.time);
        times.retain(|&time| Some(time) > last_mark);
        let mut times = times.into_iter().peekable();
        let mut sum_mm = self.kept_from.1;
        let mut last: Option<Fix> = None;
        let mut is_kept = false;
        for (place, fix) in good_fixes(history, history.first()).take_while(|&(place, _)| place <= kept) {
            let last_mm = sum_mm;
            sum_mm += last.map_or(0, |last| leg_mm(last.at, fix.at));
            while let Some(time) = times.next_if(|&time| time <= fix.time) {
                let before_mm = if time < fix.time { last_mm } else { sum_mm };
                self.marks.push(Mark { time, before_mm, after_mm: sum_mm });
            }
            if !is_kept {
                self.kept_from = (fix.time, sum_mm);
                is_kept = place.block == kept.block;
            }
            self.marked_until = fix.time;
            last = Some(fix);
        }
    }

    /// The time of a good fix that is kept, as are the presences that had not ended by it.
    pub(crate) fn forgotten_before(&self) -> i64 {
        self.marked_until
    }

    /// The mark of a time that is not behind `kept_from`.
    fn at(&self, time: i64) -> Mark {
        let mark = self.marks.partition_point(|mark| mark.time < time);
        let (kept_from, sum_mm) = self.kept_from;
        let last = Mark { time: kept_from, before_mm: sum_mm, after_mm: sum_mm };
        self.marks.get(mark).copied().unwrap_or(last)
    }
}

/// The legs between consecutive good fixes from one time to another, both included, each rounded to a
/// millimetre. Where a time is before the fixes that are kept, a presence began or ended then.
pub(crate) fn travelled_mm(odometer: Option<&Odometer>, history: &History, from: i64, to: i64) -> i64 {
    if to <= from {
        // It was still at the pickup when it came to the delivery: the two overlap.
        return 0;
    }
    match odometer.filter(|odometer| from <= odometer.kept_from.0) {
        None => legs_mm(history, from, to),
        Some(odometer) if to <= odometer.kept_from.0 => {
            (odometer.at(to).before_mm - odometer.at(from).after_mm).max(0)
        }
        Some(odometer) => {
            let (kept_from, sum_mm) = odometer.kept_from;
            sum_mm - odometer.at(from).after_mm + legs_mm(history, kept_from, to)
        }
    }
}

fn legs_mm(history: &History, from: i64, to: i64) -> i64 {
    let mut fixes = good_fixes(history, history.at_or_after(from)).map(|(_, fix)| fix);
    let Some(mut last) = fixes.next() else { return 0 };
    let mut sum_mm = 0;
    for fix in fixes.take_while(|fix| fix.time <= to) {
        sum_mm += leg_mm(last.at, fix.at);
        last = fix;
    }
    sum_mm
}

fn good_fixes(history: &History, from: Option<Place>) -> impl Iterator<Item = (Place, Fix)> {
    let places = std::iter::successors(from, |&place| history.next(place));
    places.map(|place| (place, history.get(place))).filter(|(_, fix)| !fix.is_jump)
}
