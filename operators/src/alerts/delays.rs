//! Trips that leave or arrive late.
//!
//! ```text
//!                S          S + 2 h           S + 4 h
//!   departure    |-------------|----------------|-------------|
//!                started       due_at           critical      departed, or arrived: ended
//!   arrival             |-----------------------------|------------|
//!                       scheduled: started            + 4 h        arrived: ended
//!                       and due_at                    critical
//! ```

use std::collections::BTreeMap;

use model::{AlertKind, DelayOf, Severity, Why};
use rustc_hash::FxHashMap;

use super::control::kind_key;
use super::rows::{AlertFacts, Details, Subject};
use super::rules::{RuleBook, Whom};
use crate::fences::{ALWAYS, NEVER};
use crate::presence::VehicleKey;
use crate::rows::Delta;
use crate::trips::{TripDetail, TripKey};

const DEPARTURE_MS: i64 = 2 * 3_600_000;
const CRITICAL_MS: i64 = 4 * 3_600_000;

/// What of a trip decides how late it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Course {
    vehicle: VehicleKey,
    scheduled_departure: i64,
    scheduled_arrival: Option<i64>,
    /// Its departure, or its arrival if that is earlier.
    departed: Option<i64>,
    arrived: Option<i64>,
    failed: Option<i64>,
    /// It was ended by hand, and not served: no times are known.
    is_void: bool,
}

/// How long a trip was, or is, late.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Until {
    /// Something happened just then: at that very instant it was not late any more.
    Event(i64),
    /// It failed after that.
    Failure(i64),
    /// It still is.
    Instant(i64),
}

/// A departure or an arrival that is scheduled.
#[derive(serde::Serialize, serde::Deserialize)]
struct Due {
    of: DelayOf,
    scheduled: i64,
    due_at: i64,
    until: Until,
}

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct OfTrip {
    course: Option<Course>,
    /// How bad its late departure and its late arrival are told to be.
    told: [Option<Severity>; 2],
    /// When a timer looks at it.
    timer: Option<i64>,
}

/// The trips of a worker's vehicles.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Delays {
    trips: FxHashMap<Key, OfTrip>,
    timers: BTreeMap<i64, Vec<Key>>,
    /// Trips that may be late otherwise than they were, why, and what was told of them so far.
    changed: BTreeMap<Key, (Why, Told)>,
}

/// A trip and its vehicle: with another one it is judged apart, since that may be on another worker.
type Key = (TripKey, VehicleKey);

/// Of the departure, and of the arrival.
type Told = [Option<AlertFacts>; 2];

impl Until {
    /// Whether it was late at a time, as somebody saw it then.
    fn includes(self, time: i64) -> bool {
        match self {
            Until::Event(at) => time < at,
            Until::Failure(at) | Until::Instant(at) => time <= at,
        }
    }

    fn ended(self) -> Option<i64> {
        match self {
            Until::Event(at) | Until::Failure(at) => Some(at),
            Until::Instant(_) => None,
        }
    }
}

impl Course {
    fn of(detail: &TripDetail) -> Course {
        let TripDetail { times, failed_by_itself_at: failed, ended_by_hand_at, .. } = *detail;
        Course {
            vehicle: detail.vehicle,
            scheduled_departure: detail.scheduled_departure,
            scheduled_arrival: detail.scheduled_arrival,
            departed: [times.actual_departure, times.arrival].into_iter().flatten().min(),
            arrived: times.arrival,
            failed,
            is_void: times.arrival.is_none() && failed.is_none() && ended_by_hand_at.is_some(),
        }
    }

    /// Its departure, and its arrival where that is scheduled.
    fn dues(&self, instant: i64) -> [Option<Due>; 2] {
        let until = |event: Option<i64>| {
            event.map(Until::Event).or(self.failed.map(Until::Failure)).unwrap_or(Until::Instant(instant))
        };
        let departure = Due {
            of: DelayOf::Departure,
            scheduled: self.scheduled_departure,
            due_at: self.scheduled_departure.saturating_add(DEPARTURE_MS),
            until: until(self.departed),
        };
        let arrival = |scheduled: i64| Due {
            of: DelayOf::Arrival,
            scheduled,
            due_at: scheduled,
            until: until(self.arrived),
        };
        let of_arrival = self.scheduled_arrival.map(arrival);
        [Some(departure).filter(|_| !self.is_void), of_arrival.filter(|_| !self.is_void)]
    }
}

impl Due {
    fn critical_from(&self) -> i64 {
        self.scheduled.saturating_add(CRITICAL_MS)
    }

    /// Who departs two hours late is late then; who is to arrive at a time is late after it.
    fn is_late(&self) -> bool {
        match (self.of, self.until) {
            (DelayOf::Departure, until) => until.includes(self.due_at),
            (DelayOf::Arrival, Until::Event(at) | Until::Failure(at) | Until::Instant(at)) => {
                self.due_at < at
            }
        }
    }

    /// How bad it is, where it is late.
    fn severity(&self, vehicle: VehicleKey, rules: &RuleBook) -> Option<Severity> {
        if !self.is_late() {
            return None;
        }
        let ruling = rules.ruling(kind_key(AlertKind::TripDelay), vehicle, None, self.scheduled);
        let is_critical = self.until.includes(self.critical_from());
        let usual = if is_critical { Severity::Critical } else { Severity::Warning };
        ruling.enabled.then(|| ruling.severity.unwrap_or(usual))
    }

    /// The next instant that makes a difference by itself.
    fn next_turn(&self) -> Option<i64> {
        let Until::Instant(instant) = self.until else { return None };
        let late_from = match self.of {
            DelayOf::Departure => self.due_at,
            DelayOf::Arrival => self.due_at.saturating_add(1),
        };
        [late_from, self.critical_from()].into_iter().find(|&at| at > instant)
    }

    fn row(&self, trip: TripKey, vehicle: VehicleKey, severity: Severity) -> AlertFacts {
        AlertFacts {
            subject: Subject::Delay(trip, self.of),
            vehicle,
            started: self.scheduled,
            due_at: self.due_at,
            ended: self.until.ended(),
            severity,
            fence: None,
            trip: Some(trip),
            details: Details::Delay(self.of),
        }
    }
}

impl OfTrip {
    /// What is told of it.
    fn rows(&self, trip: TripKey) -> Told {
        let Some(course) = &self.course else { return [None, None] };
        // Of what still goes on the instant is not told.
        let [departure, arrival] = course.dues(NEVER);
        let row = |due: Option<Due>, told: Option<Severity>| {
            due.zip(told).map(|(due, severity)| due.row(trip, course.vehicle, severity))
        };
        [row(departure, self.told[0]), row(arrival, self.told[1])]
    }
}

impl Delays {
    /// What is told of a trip so far is remembered before anything of it changes.
    fn note(&mut self, key: Key, why: Why) -> &mut OfTrip {
        let of_trip = self.trips.entry(key).or_default();
        let (known, _) = self.changed.entry(key).or_insert_with(|| (why, of_trip.rows(key.0)));
        *known = known.stronger(why);
        of_trip
    }

    /// A trip came (+1) or went (-1).
    pub fn trip_changed(&mut self, detail: &TripDetail, diff: i8, why: Why) {
        self.note((detail.trip, detail.vehicle), why).course = (diff > 0).then(|| Course::of(detail));
    }

    /// A rule changed from a time on.
    pub fn rule_changed(&mut self, whom: &Whom, from: i64, why: Why) {
        self.rules_changed(|vehicle| {
            let is_for_it = match whom {
                Whom::In(_) => false,
                Whom::Vehicles(of) => of.binary_search(&vehicle).is_ok(),
                Whom::All => true,
            };
            is_for_it.then_some((from, why))
        });
    }

    /// Rules changed; `of` says for a vehicle from when on, and why.
    pub fn rules_changed(&mut self, of: impl Fn(VehicleKey) -> Option<(i64, Why)>) {
        let concerned = |(key, of_trip): (&Key, &OfTrip)| {
            let course = of_trip.course.as_ref()?;
            let (from, why) = of(course.vehicle)?;
            let last = course.scheduled_departure.max(course.scheduled_arrival.unwrap_or(ALWAYS));
            (last >= from).then_some((*key, why))
        };
        let all: Vec<(Key, Why)> = self.trips.iter().filter_map(concerned).collect();
        for (key, why) in all {
            self.note(key, why);
        }
    }

    /// Judges all anew that may be others, and those that the instant makes others; tells what comes of it.
    pub fn judge(
        &mut self,
        rules: &RuleBook,
        instant: i64,
        last_seq: u64,
        emit: &mut impl FnMut(Delta<AlertFacts>),
    ) {
        while let Some(first) = self.timers.first_entry().filter(|first| *first.key() <= instant) {
            for key in first.remove() {
                self.note(key, Why::first(last_seq));
            }
        }
        for (key, (why, old)) in std::mem::take(&mut self.changed) {
            let Some(of_trip) = self.trips.get_mut(&key) else { continue };
            if let Some(course) = &of_trip.course {
                let dues = course.dues(instant);
                let next = dues.iter().flatten().filter_map(Due::next_turn).min();
                of_trip.told = dues.map(|due| due.and_then(|due| due.severity(course.vehicle, rules)));
                if let Some(next) = next.filter(|_| of_trip.timer != next) {
                    of_trip.timer = Some(next);
                    self.timers.entry(next).or_default().push(key);
                }
            }
            for (old, new) in old.into_iter().zip(of_trip.rows(key.0)).filter(|(old, new)| old != new) {
                old.into_iter().for_each(|row| emit(Delta { row, diff: -1, why }));
                new.into_iter().for_each(|row| emit(Delta { row, diff: 1, why }));
            }
            if of_trip.course.is_none() {
                self.trips.remove(&key);
            }
        }
    }
}
