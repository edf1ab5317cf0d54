//! Fixes in the order in which they arrive: on time, in a burst after a dead zone, late, or twice.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::TimeMs;

use super::life::{Fix, TruckLife};
use super::prng::{key, unit};
use super::world::World;

/// How many fixes may be waiting for their arrival. When so many are, a fix that would be late is on time.
const MAX_WAITING: usize = 3_000_000;
/// Late fixes are between 2 minutes and 20 hours late: well within the horizon of 24 hours.
const SHORTEST_LATENESS_MS: f64 = 120_000.0;
const LONGEST_LATENESS_MS: f64 = 20.0 * 3_600_000.0;
/// A repeat comes up to this long after the first.
const REPEAT_WITHIN_MS: f64 = 600_000.0;

/// How fixes arrive.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ArrivalRules {
    /// Share of fixes that are late.
    pub late: f64,
    /// Share of fixes that arrive twice.
    pub duplicates: f64,
    /// Blurred positions and spikes, and no margins to borders.
    pub noise: bool,
    /// Everything has arrived by then.
    pub all_by: Option<TimeMs>,
}

/// A fix and its arrival; ordered by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub received: TimeMs,
    pub truck: u32,
    /// Whether it is a repeat.
    pub again: bool,
    pub fix: Fix,
}

impl Arrived {
    fn order(&self) -> (TimeMs, u32, TimeMs, bool) {
        (self.received, self.truck, self.fix.time, self.again)
    }
}

impl Ord for Arrived {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl PartialOrd for Arrived {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// How many fixes did what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ArrivalCounts {
    pub fixes: u64,
    pub late: u64,
    pub silent: u64,
    pub repeats: u64,
}

/// A fleet whose fixes are taken slice of time by slice of time.
pub(crate) struct Arrivals {
    lives: Vec<TruckLife>,
    rules: ArrivalRules,
    waiting: BinaryHeap<Reverse<Arrived>>,
    pub counts: ArrivalCounts,
}

impl Arrivals {
    /// The first `trucks` trucks of the world, from `from` on.
    #[must_use]
    pub(crate) fn new(world: &World, trucks: u32, from: TimeMs, rules: ArrivalRules) -> Arrivals {
        let lives = (0..trucks).map(|truck| TruckLife::starting(world, truck, from)).collect();
        Arrivals { lives, rules, waiting: BinaryHeap::new(), counts: ArrivalCounts::default() }
    }

    /// Appends what arrives before `end`, in order, given that the last call ended where this slice begins.
    pub(crate) fn until(&mut self, world: &World, end: TimeMs, arrived: &mut Vec<Arrived>) {
        let first = arrived.len();
        for truck in 0..self.lives.len() {
            while let Some(sample) = self.lives[truck].next_before(world, end) {
                let Some((fix, _)) = sample.observe(world, self.rules.noise) else {
                    continue;
                };
                let received = self.received(sample.time, sample.silent_until, sample.hash);
                self.counts.fixes += 1;
                let once = Arrived { received, truck: truck as u32, again: false, fix };
                self.put(once, end, arrived);
                if self.rules.duplicates > 0.0 && unit(key(sample.hash, 12)) < self.rules.duplicates {
                    let after_ms = 1_000.0 + unit(key(sample.hash, 13)) * REPEAT_WITHIN_MS;
                    let received = self.bounded(received.plus_ms(after_ms as i64));
                    self.counts.repeats += 1;
                    self.put(Arrived { received, again: true, ..once }, end, arrived);
                }
            }
        }
        while self.waiting.peek().is_some_and(|Reverse(next)| next.received < end) {
            arrived.extend(self.waiting.pop().map(|Reverse(next)| next));
        }
        arrived[first..].sort_unstable();
    }

    /// Everything that is still waiting.
    pub(crate) fn rest(&mut self, arrived: &mut Vec<Arrived>) {
        let first = arrived.len();
        arrived.extend(self.waiting.drain().map(|Reverse(next)| next));
        arrived[first..].sort_unstable();
    }

    fn put(&mut self, next: Arrived, end: TimeMs, arrived: &mut Vec<Arrived>) {
        if next.received < end {
            arrived.push(next);
        } else {
            self.waiting.push(Reverse(next));
        }
    }

    fn received(&mut self, time: TimeMs, silent_until: Option<TimeMs>, hash: u64) -> TimeMs {
        let on_time = time.plus_ms(800 + (hash >> 32 & 0xfff) as i64);
        if self.rules.late > 0.0 && unit(key(hash, 10)) < self.rules.late && self.waiting.len() < MAX_WAITING
        {
            self.counts.late += 1;
            let ratio = LONGEST_LATENESS_MS / SHORTEST_LATENESS_MS;
            let lateness_ms = SHORTEST_LATENESS_MS * ratio.powf(unit(key(hash, 11)));
            return self.bounded(time.plus_ms(lateness_ms as i64));
        }
        let Some(end) = silent_until else {
            return self.bounded(on_time);
        };
        self.counts.silent += 1;
        self.bounded(end.plus_ms(2_000 + (hash >> 32 & 0x3fff) as i64))
    }

    fn bounded(&self, received: TimeMs) -> TimeMs {
        self.rules.all_by.map_or(received, |latest| received.min(latest))
    }
}
