//! What a vehicle's fixes are held against.

use model::AlertKind;

use crate::alerts::rules::{RuleBook, Ruling};
use crate::alerts::trips::TripBook;
use crate::fences::{FenceKey, NEVER};
use crate::presence::{Interval, VehicleKey};
use crate::trips::TripKey;

/// The kinds that follow from a vehicle's fixes.
pub(super) const KINDS: [AlertKind; 6] = [
    AlertKind::DeviceOffline,
    AlertKind::HarshAcceleration,
    AlertKind::HarshBraking,
    AlertKind::Idle,
    AlertKind::Overspeed,
    AlertKind::RouteDeviation,
];

const SPEED_LIMIT_MILLI: i64 = 60_000;
const MOVING_MILLI: i64 = 5_000;
const BRAKING_MILLI: i64 = 8_000;
const ACCELERATION_MILLI: i64 = 7_000;
pub(super) const OFFLINE_ON_TRIP_MS: i64 = 15 * 60_000;
const OFFLINE_MS: i64 = 2 * 3_600_000;
/// A tenth of km/h a millisecond is this many thousandths of m/s², 36 times.
const MILLI_BY_36: i64 = 1_000_000;

/// What is known of one vehicle besides its fixes.
pub(super) struct Judge<'a> {
    pub vehicle: VehicleKey,
    pub book: &'a RuleBook,
    pub trips: &'a TripBook,
    /// The vehicle's presences in fences that have a say, or that are a corridor of it.
    pub there: &'a [Interval],
    /// No silence that is shorter is an alert.
    pub shortest_silence_ms: i64,
}

/// What holds for a vehicle from a time until another.
pub(super) struct Terms {
    pub until: i64,
    pub overspeed: Ruling,
    pub idle: Ruling,
    pub braking: Ruling,
    pub acceleration: Ruling,
}

impl Judge<'_> {
    pub fn is_in(&self, fence: FenceKey, time: i64) -> bool {
        self.there.iter().any(|interval| interval.fence == fence && interval.holds(time))
    }

    /// What holds at the time of one of its fixes.
    pub fn ruling(&self, kind: AlertKind, time: i64) -> Ruling {
        let fences = self.there.iter().filter(|interval| interval.holds(time)).map(|interval| interval.fence);
        self.book.ruling_there(kind, self.vehicle, fences, time)
    }

    /// What holds from a time on.
    pub fn terms(&self, time: i64) -> Terms {
        let ends = self.there.iter().flat_map(|interval| [interval.entered, interval.exited()]);
        let here = self.there.iter().filter(|interval| interval.holds(time));
        let versions = here.filter_map(|interval| self.book.fences.next_version_after(interval.fence, time));
        let turns =
            ends.filter(|&at| at > time).chain(versions).chain(self.book.next_date_after(self.vehicle, time));
        Terms {
            until: turns.min().unwrap_or(NEVER),
            overspeed: self.ruling(AlertKind::Overspeed, time),
            idle: self.ruling(AlertKind::Idle, time),
            braking: self.ruling(AlertKind::HarshBraking, time),
            acceleration: self.ruling(AlertKind::HarshAcceleration, time),
        }
    }

    /// For how long nothing may come after a fix; [`NEVER`] where nobody wants to know. And the trip that it is on.
    pub fn silence(&self, ruling: &Ruling, time: i64) -> (i64, Option<TripKey>) {
        let trip = self.trips.on_trip_at(self.vehicle, time);
        let usual_ms = if trip.is_some() { OFFLINE_ON_TRIP_MS } else { OFFLINE_MS };
        let duration_ms = ruling.duration_ms.unwrap_or(usual_ms);
        (if ruling.enabled { duration_ms } else { NEVER }, trip)
    }
}

impl Terms {
    /// Faster is too fast.
    pub fn limit_milli(&self) -> i64 {
        let limit_milli = self.overspeed.threshold_milli.unwrap_or(SPEED_LIMIT_MILLI);
        if self.overspeed.enabled { limit_milli } else { i64::MAX }
    }

    /// Whoever is not slower moves.
    pub fn moving_milli(&self) -> i64 {
        let moving_milli = self.idle.threshold_milli.unwrap_or(MOVING_MILLI);
        if self.idle.enabled { moving_milli } else { i64::MIN }
    }

    pub fn braking_by_36(&self) -> i64 {
        by_36(&self.braking, BRAKING_MILLI)
    }

    pub fn acceleration_by_36(&self) -> i64 {
        by_36(&self.acceleration, ACCELERATION_MILLI)
    }
}

fn by_36(ruling: &Ruling, usual_milli: i64) -> i64 {
    let threshold_milli = ruling.threshold_milli.unwrap_or(usual_milli).saturating_abs();
    if ruling.enabled { threshold_milli.saturating_mul(36) } else { i64::MAX }
}

/// Whether a change of speed within a time reaches a threshold, 36 times its thousandths.
#[inline]
pub(super) fn is_harsh(change_dkmh: i64, elapsed_ms: i64, threshold_by_36: i64) -> bool {
    change_dkmh * MILLI_BY_36 >= threshold_by_36.saturating_mul(elapsed_ms)
}

/// Tenths in thousandths.
#[inline]
pub(super) fn milli(tenths: u16) -> i64 {
    i64::from(tenths) * 100
}
