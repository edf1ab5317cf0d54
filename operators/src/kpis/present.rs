//! What trucks do at the mark, and how long ago they were heard of.
//!
//! Of each truck the last two good fixes are kept at hand: the mark is behind the last one, or between them, nearly
//! always. Where it is not, or something came late, the truck's fixes are asked for.

use model::{KpiSliceKind, KpiSpan, LiveStatus, TimeMs, half_even};
use serde::{Deserialize, Serialize};

use super::gather::Truck;
use super::parts::Rate;
use super::steps::doing;
use super::tally::MetricKey;
use crate::presence::{OFFLINE_AFTER_MS, Step, StepEnd, Tracks, VehicleKey};

const STATUSES: usize = LiveStatus::ALL.len();
/// Ages of fixes that are no longer than silence may be, whole seconds.
const AGES: usize = (OFFLINE_AFTER_MS / 1000) as usize + 1;

/// A good fix, and what a truck does that was heard of last then.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Seen {
    /// [`NONE`]: there is none.
    time: i64,
    status: LiveStatus,
}

/// Before all times.
const NONE: Seen = Seen { time: i64::MIN, status: LiveStatus::Offline };

/// The last fixes of a truck.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Newest {
    last: Seen,
    before: Seen,
    /// Something else has changed than that a newer fix came.
    is_stale: bool,
}

/// See the module. By place on the worker.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Newests(Vec<Newest>);

/// The present of some trucks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Present {
    trucks: [i64; STATUSES],
    /// How many were heard of so many seconds ago; those that are none are left out.
    ages_s: Vec<(i64, i64)>,
}

impl Seen {
    fn of(from: Option<&StepEnd>, to: &StepEnd, mm: i64) -> Seen {
        let is_moving = from.is_some_and(|from| doing(from, to, mm) == Rate::Moving);
        let status = match (is_moving, to.motion.ignition) {
            (true, _) => LiveStatus::EnRoute,
            (false, Some(true)) => LiveStatus::Idle,
            (false, _) => LiveStatus::Stopped,
        };
        Seen { time: to.time, status }
    }

    fn before(time: i64, vehicle: VehicleKey, tracks: &Tracks) -> Seen {
        let step = tracks.last_step_before(vehicle, time);
        step.map_or(NONE, |(from, to, mm)| Seen::of(from.as_ref(), &to, mm))
    }
}

impl Newests {
    /// A step came or went, of the truck at a place.
    #[inline]
    pub fn step(&mut self, place: usize, step: &Step) {
        if self.0.len() <= place {
            self.0.resize(place + 1, Newest { last: NONE, before: NONE, is_stale: false });
        }
        let newest = &mut self.0[place];
        let follows = step.from.map_or(NONE.time, |from| from.time) == newest.last.time;
        if step.diff > 0 && follows && !newest.is_stale {
            newest.before = newest.last;
            newest.last = Seen::of(step.from.as_ref(), &step.to, step.mm);
        } else if step.to.time >= newest.before.time {
            newest.is_stale = true;
        }
    }

    /// The present of a mark, `peers` and `remainder` being those of the worker.
    pub fn at(
        &mut self,
        mark: i64,
        trucks: &[Truck],
        tracks: &Tracks,
        (peers, remainder): (u32, u32),
    ) -> Present {
        let mut present = Present::default();
        let mut ages_s = [0; AGES];
        for (place, truck) in (0..).zip(trucks) {
            let Some(is_operational) = truck.is_operational_before(mark) else { continue };
            let vehicle = place * peers + remainder;
            let seen = self.0.get_mut(place as usize).map_or(NONE, |of| of.before(mark, vehicle, tracks));
            let is_online = seen.time >= mark - OFFLINE_AFTER_MS;
            if is_online {
                ages_s[half_even(mark - seen.time, 1000) as usize] += 1;
            }
            let status = match (is_operational, is_online) {
                (false, _) => LiveStatus::Maintenance,
                (true, false) => LiveStatus::Offline,
                (true, true) => seen.status,
            };
            present.trucks[status as usize] += 1;
        }
        present.ages_s = (0..).zip(ages_s).filter(|(_, count)| *count > 0).collect();
        present
    }
}

impl Newest {
    /// The last fix before a mark.
    #[inline]
    fn before(&mut self, mark: i64, vehicle: VehicleKey, tracks: &Tracks) -> Seen {
        if self.is_stale {
            self.last = Seen::before(i64::MAX, vehicle, tracks);
            self.before = Seen::before(self.last.time, vehicle, tracks);
            self.is_stale = false;
        }
        match (self.last.time < mark, self.before.time < mark) {
            (true, _) => self.last,
            (false, true) => self.before,
            (false, false) => Seen::before(mark, vehicle, tracks),
        }
    }
}

impl Present {
    /// The mark of an instant.
    pub fn mark(instant: i64) -> i64 {
        KpiSpan::Now.mark(KpiSliceKind::Fleet, TimeMs(instant)).0
    }

    /// Adds that of another worker's trucks.
    pub fn add(&mut self, other: &Present) {
        self.trucks.iter_mut().zip(other.trucks).for_each(|(sum, count)| *sum += count);
        self.ages_s.extend(&other.ages_s);
        self.ages_s.sort_unstable();
    }

    /// The figures of the present, none where there are no trucks.
    pub fn figures(&self) -> Vec<(MetricKey, i64)> {
        let counts = LiveStatus::ALL.into_iter().zip(self.trucks).filter(|(_, count)| *count > 0);
        let trucks = counts.map(|(status, count)| (MetricKey::Trucks(status), count));
        let freshness = [(MetricKey::FreshnessP50S, 50), (MetricKey::FreshnessP99S, 99)]
            .into_iter()
            .filter_map(|(metric, percent)| Some((metric, self.age_s(percent)?)));
        trucks.chain(freshness).collect()
    }

    /// The smallest age that at least so many percent do not exceed.
    fn age_s(&self, percent: i64) -> Option<i64> {
        let all: i64 = self.ages_s.iter().map(|(_, count)| count).sum();
        let mut seen = 0;
        let is_reached = |(_, count): &&(i64, i64)| {
            seen += count;
            seen * 100 >= percent * all
        };
        self.ages_s.iter().find(is_reached).map(|(age_s, _)| *age_s)
    }
}
