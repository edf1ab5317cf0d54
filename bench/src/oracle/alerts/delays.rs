//! Trips that leave or arrive late.

use model::{AlertDetails, AlertId, AlertKind, AlertRow, DelayOf, Severity, TimeMs};

use super::{Evidence, alert};
use crate::oracle::trips::Course;

const DEPARTURE_MS: i64 = 2 * 3_600_000;
const CRITICAL_MS: i64 = 4 * 3_600_000;

/// How long a trip was, or is, late.
enum Until {
    /// Something happened just then: at that very instant it was not late any more.
    Event(TimeMs),
    /// It failed after that.
    Failure(TimeMs),
    /// It still is.
    Instant(TimeMs),
}

impl Until {
    /// Whether it was late at a time, as somebody saw it then.
    fn includes(&self, time: TimeMs) -> bool {
        match *self {
            Until::Event(at) => time < at,
            Until::Failure(at) | Until::Instant(at) => time <= at,
        }
    }

    fn ended(&self) -> Option<TimeMs> {
        match *self {
            Until::Event(at) | Until::Failure(at) => Some(at),
            Until::Instant(_) => None,
        }
    }
}

impl Evidence<'_> {
    pub(super) fn delays(&self, course: &Course) -> Vec<AlertRow> {
        let row = &course.row;
        // Of a trip that was ended by hand and not served, no times are known.
        if row.arrival.is_none() && course.failed_at.is_none() && course.ended_at.is_some() {
            return Vec::new();
        }
        let until = |event: Option<TimeMs>| {
            let failed = course.failed_at.map(Until::Failure);
            event.map(Until::Event).or(failed).unwrap_or(Until::Instant(self.instant()))
        };
        let departed = [row.actual_departure, row.arrival].into_iter().flatten().min();
        let scheduled = course.plan.scheduled_departure;
        let of_departure = self.delay(course, DelayOf::Departure, scheduled, DEPARTURE_MS, &until(departed));
        let of_arrival = course.plan.scheduled_arrival.and_then(|scheduled| {
            let until = until(row.arrival);
            // It is late once the time has passed, not when it comes.
            let is_late = until.ended().unwrap_or(self.instant()) > scheduled;
            is_late.then(|| self.delay(course, DelayOf::Arrival, scheduled, 0, &until)).flatten()
        });
        of_departure.into_iter().chain(of_arrival).collect()
    }

    fn delay(
        &self,
        course: &Course,
        of: DelayOf,
        scheduled: TimeMs,
        duration_ms: i64,
        until: &Until,
    ) -> Option<AlertRow> {
        let kind = AlertKind::TripDelay;
        let ruling = self.ruling(kind.as_str(), &course.row.vehicle_id, None, scheduled);
        let is_critical = until.includes(scheduled.plus_ms(CRITICAL_MS));
        let usual = if is_critical { Severity::Critical } else { Severity::Warning };
        let row = AlertRow {
            alert_id: AlertId::of(kind.as_str(), &[&course.row.trip_id, of.as_str()], scheduled),
            severity: ruling.severity.unwrap_or(usual),
            trip_id: Some(course.row.trip_id.clone()),
            details: AlertDetails::Delay(of).to_json().into(),
            ..alert(kind, &course.row.vehicle_id, &ruling, (scheduled, duration_ms, until.ended()))
        };
        (ruling.enabled && until.includes(scheduled.plus_ms(duration_ms))).then_some(row)
    }
}
