//! How fast a vehicle went of late, while it moved.

use std::collections::VecDeque;

use crate::presence::{Step, Tracks, VehicleKey, is_moving};
use crate::spatial::leg_mm;

/// From one good fix to the next, while it moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
struct Leg {
    to: i64,
    from: i64,
    mm: i64,
}

/// The legs of one vehicle that begin at a time or later, and what they come to. Steps keep it up to date, so that
/// nobody walks over fixes again each time that the mark moves.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Pace {
    since: i64,
    /// In their order.
    legs: VecDeque<Leg>,
    mm: i64,
    ms: i64,
}

impl Pace {
    /// By the fixes that are kept. The steps of this tick are in them.
    pub fn of(vehicle: VehicleKey, since: i64, tracks: &Tracks) -> Pace {
        let mut pace = Pace { since, legs: VecDeque::new(), mm: 0, ms: 0 };
        let mut before = None;
        tracks.each_good_from(vehicle, since, |fix| {
            if let Some((from, at)) = before.replace((fix.time, fix.at)) {
                pace.change(Leg { to: fix.time, from, mm: leg_mm(at, fix.at) }, 1);
            }
            true
        });
        pace
    }

    /// A step came or went.
    pub fn step(&mut self, step: &Step) {
        if let Some(from) = &step.from {
            self.change(Leg { to: step.to.time, from: from.time, mm: step.mm }, step.diff);
        }
    }

    fn change(&mut self, leg: Leg, diff: i8) {
        if leg.from < self.since || !is_moving(leg.mm, leg.to - leg.from) {
            return;
        }
        let place = match self.legs.back() {
            Some(last) if *last >= leg => self.legs.partition_point(|other| *other < leg),
            _ => self.legs.len(),
        };
        if diff > 0 {
            self.legs.insert(place, leg);
        } else if self.legs.get(place) == Some(&leg) {
            self.legs.remove(place);
        } else {
            debug_assert!(false, "a leg goes that is not there");
            return;
        }
        self.add(leg, diff.into());
    }

    fn add(&mut self, leg: Leg, sign: i64) {
        self.mm += sign * leg.mm;
        self.ms += sign * (leg.to - leg.from);
    }

    /// How far it went on legs that began at a time or later and ended before the mark, mm, and how long they took, ms.
    pub fn between(&mut self, since: i64, mark: i64) -> (i64, i64) {
        debug_assert!(since >= self.since, "neither marks nor the edge go back");
        self.since = since;
        while let Some(leg) = self.legs.front().copied().filter(|leg| leg.from < since) {
            self.legs.pop_front();
            self.add(leg, -1);
        }
        let ahead = self.legs.iter().rev().take_while(|leg| leg.to >= mark);
        ahead.fold((self.mm, self.ms), |(mm, ms), leg| (mm - leg.mm, ms - (leg.to - leg.from)))
    }
}
