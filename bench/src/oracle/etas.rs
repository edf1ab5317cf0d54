//! When trips that are in transit are expected at their delivery.
//!
//! ```text
//!   departure              now = mark
//!   |----------------------|- - - - -low- - - -eta- - - - - - - -high- - >
//!      elapsed               what earlier trips that took longer still had to go;
//!                            where there are too few of them, the way that is left at the speed of late
//! ```

use std::sync::Arc;

use model::{EtaRow, TimeMs, TripPhase, geodesic_mm};

use super::admission::Fix;
use super::timeline::{Version, valid_version_at};
use super::trips::{AutoTrip, Course};

const HOP_MS: i64 = 300_000;
const DAY_MS: i64 = 24 * 3_600_000;
const LIKE_HOUR_MS: i64 = 2 * 3_600_000;
const ENOUGH_TRIPS: usize = 5;
const NEWEST_TRIPS: usize = 256;
const SPEED_OF_MS: i64 = 30 * 60_000;
const OFFLINE_AFTER_MS: i64 = 15 * 60_000;
const MIN_MOVING_MS: i64 = 60_000;

/// What there is to go by.
pub(super) struct Evidence<'a> {
    pub courses: &'a [Course],
    pub auto_trips: &'a [AutoTrip],
    pub fences: &'a [(Arc<str>, Vec<Version>)],
    /// By vehicle, in event-time order.
    pub good_fixes: &'a dyn Fn(&str) -> Vec<Fix>,
    pub instant: TimeMs,
    /// What is older may be forgotten.
    pub edge: Option<TimeMs>,
}

/// Times that a trip may take from a moment on: the 10th, 50th and 90th percentile.
type Quantiles = [i64; 3];

/// All of them, in the order of their keys.
pub(super) fn rows(evidence: &Evidence<'_>) -> Vec<EtaRow> {
    let in_transit = evidence.courses.iter().filter(|course| course.row.phase == TripPhase::InTransit);
    in_transit.filter_map(|course| evidence.row(course)).collect()
}

impl Evidence<'_> {
    fn row(&self, course: &Course) -> Option<EtaRow> {
        let mark = TimeMs(self.instant.0.div_euclid(HOP_MS) * HOP_MS);
        let departure = course.row.actual_departure?;
        let now = mark.max(departure);
        let left_ms = self
            .by_history(course, departure, now, mark)
            .or_else(|| self.by_road(course, mark))
            .map(|quantiles| quantiles.map(|ms| now.plus_ms(ms)))?;
        let [low, middle, high] = left_ms;
        let rounded = |time: TimeMs, up_ms: i64| TimeMs((time.0 + up_ms).div_euclid(HOP_MS) * HOP_MS);
        Some(EtaRow {
            trip_id: course.row.trip_id.clone(),
            eta: rounded(middle, HOP_MS / 2),
            eta_low: rounded(low, 0),
            eta_high: rounded(high, HOP_MS - 1),
        })
    }

    /// From earlier trips between the same places that took longer than this one has taken yet: those that left at a
    /// like hour, else all.
    fn by_history(&self, course: &Course, departure: TimeMs, now: TimeMs, mark: TimeMs) -> Option<Quantiles> {
        let places = |course: &Course| (course.plan.pickup.clone(), course.plan.delivery.clone());
        let planned = self.courses.iter().filter(|other| places(other) == places(course));
        let planned = planned.filter_map(|other| other.row.actual_departure.zip(other.row.arrival));
        let auto = self.auto_trips.iter();
        let auto = auto.filter(|other| (other.pickup.clone(), other.delivery.clone()) == places(course));
        let auto = auto.map(|other| (other.departure, other.arrival));
        let arrived = planned.chain(auto).filter(|(from, to)| from < to && *to < mark);
        let mut earlier: Vec<(TimeMs, i64)> = arrived.map(|(from, to)| (to, to.0 - from.0)).collect();
        earlier.sort_unstable();
        let earlier = &earlier[earlier.len().saturating_sub(NEWEST_TRIPS)..];
        let elapsed_ms = now.0 - departure.0;
        let is_like_hour = |&&(arrival, took_ms): &&(TimeMs, i64)| {
            let apart_ms = (arrival.0 - took_ms - departure.0).rem_euclid(DAY_MS);
            apart_ms.min(DAY_MS - apart_ms) <= LIKE_HOUR_MS
        };
        let left = |trips: Vec<&(TimeMs, i64)>| {
            let mut left_ms: Vec<i64> =
                trips.iter().map(|(_, took_ms)| took_ms - elapsed_ms).filter(|&ms| ms > 0).collect();
            left_ms.sort_unstable();
            let rank = |percent: usize| left_ms[(left_ms.len() * percent).div_ceil(100).max(1) - 1];
            (left_ms.len() >= ENOUGH_TRIPS).then(|| [10, 50, 90].map(rank))
        };
        left(earlier.iter().filter(is_like_hour).collect()).or_else(|| left(earlier.iter().collect()))
    }

    /// From how far it is in a straight line, and how fast the vehicle was of late while it moved.
    fn by_road(&self, course: &Course, mark: TimeMs) -> Option<Quantiles> {
        let fence_id = course.delivery_fence.as_ref()?;
        let (_, versions) = self.fences.iter().find(|(id, _)| id == fence_id)?;
        let to = valid_version_at(versions, mark)?.middle;
        let good_fixes = (self.good_fixes)(&course.row.vehicle_id);
        let before = &good_fixes[..good_fixes.partition_point(|fix| fix.time < mark)];
        let left_mm = geodesic_mm(before.last()?.at, to);
        let since = Some(mark.plus_ms(-SPEED_OF_MS)).max(self.edge).unwrap_or(mark);
        let (mut moved_mm, mut moved_ms) = (0, 0);
        for leg in before.windows(2).filter(|leg| leg[0].time >= since) {
            let (mm, ms) = (geodesic_mm(leg[0].at, leg[1].at), leg[1].time.0 - leg[0].time.0);
            // 5 km/h are 25 mm in 18 ms.
            if ms <= OFFLINE_AFTER_MS && mm * 18 >= ms * 25 {
                (moved_mm, moved_ms) = (moved_mm + mm, moved_ms + ms);
            }
        }
        // 30 km/h are 25 mm in 3 ms.
        let (mm, ms) = if moved_ms >= MIN_MOVING_MS { (moved_mm, moved_ms) } else { (25, 3) };
        let plain_ms = i64::try_from(i128::from(left_mm) * i128::from(ms) / i128::from(mm)).ok()?;
        Some([plain_ms * 3 / 5, plain_ms * 6 / 5, plain_ms * 7 / 2])
    }
}
