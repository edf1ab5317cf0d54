//! Maximal runs of fixes at which something holds, be they alerts or not.
//!
//! ```text
//!   fixes        o   x   x   -   x   o   x   o        x: it holds, o: it does not, -: says nothing
//!   runs             |===============|   |===|
//!                                ^
//!                  just before here the first one is open, and what it had come to by then is known
//! ```

use std::ops::Range;

use model::{AlertKind, Severity};

use super::terms::{Judge, Terms, is_harsh, milli};
use crate::alerts::rows::{AlertFacts, Details, Subject};
use crate::alerts::rules::Ruling;
use crate::alerts::trips::Transit;
use crate::fences::{FenceKey, NEVER};
use crate::presence::{StepEnd, VehicleKey};
use crate::trips::TripKey;

const OVERSPEED_MS: i64 = 30_000;
const IDLE_MS: i64 = 20 * 60_000;
const DEVIATION_MS: i64 = 5 * 60_000;
pub(super) const HARSH_WITHIN_MS: i64 = 5_000;

/// What runs are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum What {
    Overspeed,
    Idle,
    /// Legs on which it brakes; a run ends with the last of them.
    Braking,
    /// Legs on which it accelerates.
    Acceleration,
    /// From one fix to the next; only those are kept that are long enough.
    Offline,
    /// A trip that is outside of its corridor.
    Deviation(Transit),
}

/// A run of fixes.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Run {
    pub started: i64,
    /// [`NEVER`] while it is open.
    pub ended: i64,
    pub duration_ms: i64,
    severity: Severity,
    fence: Option<FenceKey>,
    trip: Option<TripKey>,
    /// Whether its row is out.
    pub told: bool,
    course: Course,
}

/// What a run came to in its course.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
enum Course {
    Plain,
    /// The times at which it was faster than ever in this run, and how fast.
    Overspeed {
        limit_milli: i64,
        peaks: Vec<(i64, u16)>,
    },
    Harsh {
        from_dkmh: u16,
        to_dkmh: u16,
    },
}

/// All runs of one sort, in their order.
#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct List {
    pub what: What,
    pub runs: Vec<Run>,
}

impl Run {
    fn begin(started: i64, ruling: &Ruling, usual_ms: i64) -> Run {
        Run {
            started,
            ended: NEVER,
            duration_ms: ruling.duration_ms.unwrap_or(usual_ms),
            severity: ruling.severity.unwrap_or(Severity::Warning),
            fence: None,
            trip: None,
            told: false,
            course: Course::Plain,
        }
    }

    fn is_open(&self) -> bool {
        self.ended == NEVER
    }

    /// How fast it was at most up to a time.
    pub fn peak_until(&self, time: i64) -> Option<u16> {
        let Course::Overspeed { peaks, .. } = &self.course else { return None };
        peaks.iter().rfind(|(at, _)| *at <= time).map(|(_, dkmh)| *dkmh)
    }

    /// Whether at a time two runs had come to the same.
    fn is_as(&self, other: &Run, time: i64) -> bool {
        let is_same_course = match (&self.course, &other.course) {
            (Course::Overspeed { limit_milli: a, .. }, Course::Overspeed { limit_milli: b, .. }) => {
                a == b && self.peak_until(time) == other.peak_until(time)
            }
            (Course::Harsh { from_dkmh: a, .. }, Course::Harsh { from_dkmh: b, .. }) => a == b,
            _ => true,
        };
        let terms = |run: &Run| (run.started, run.duration_ms, run.severity, run.fence, run.trip);
        terms(self) == terms(other) && is_same_course
    }

    /// Goes on as another one that had come to the same at a time.
    fn go_on_as(&mut self, other: &Run, time: i64) {
        self.ended = other.ended;
        match (&mut self.course, &other.course) {
            (Course::Overspeed { peaks, .. }, Course::Overspeed { peaks: others, .. }) => {
                peaks.extend(others.iter().filter(|(at, _)| *at > time));
            }
            (Course::Harsh { to_dkmh, .. }, Course::Harsh { to_dkmh: other, .. }) => *to_dkmh = *other,
            _ => {}
        }
    }
}

impl List {
    pub fn new(what: What) -> List {
        List { what, runs: Vec::new() }
    }

    /// The last run, if it goes on.
    pub fn last_open(&self) -> Option<&Run> {
        self.runs.last().filter(|run| run.is_open())
    }

    fn end_of(&self, run: &Run) -> i64 {
        match self.what {
            What::Deviation(transit) => run.ended.min(transit.until),
            _ => run.ended,
        }
    }

    pub fn lasts(&self, run: &Run, instant: i64) -> bool {
        let end = self.end_of(run);
        let until = if end == NEVER { instant } else { end };
        until - run.started >= run.duration_ms
    }

    /// When the last run, if it is open and not told, will be long enough.
    pub fn due_at(&self) -> Option<i64> {
        let run = self.runs.last().filter(|run| !run.told && self.end_of(run) == NEVER)?;
        Some(run.started.saturating_add(run.duration_ms))
    }

    pub fn facts(&self, vehicle: VehicleKey, run: &Run) -> AlertFacts {
        let end = self.end_of(run);
        let subject = match self.what {
            What::Overspeed => Subject::Vehicle(AlertKind::Overspeed),
            What::Idle => Subject::Vehicle(AlertKind::Idle),
            What::Braking => Subject::Vehicle(AlertKind::HarshBraking),
            What::Acceleration => Subject::Vehicle(AlertKind::HarshAcceleration),
            What::Offline => Subject::Vehicle(AlertKind::DeviceOffline),
            What::Deviation(transit) => Subject::Deviation(transit.trip),
        };
        let details = match run.course {
            Course::Plain => Details::None,
            Course::Harsh { from_dkmh, to_dkmh } => Details::Harsh { from_dkmh, to_dkmh },
            Course::Overspeed { limit_milli, ref peaks } => {
                let max_speed_dkmh = peaks.last().map_or(0, |(_, dkmh)| *dkmh);
                Details::Overspeed { limit_milli, max_speed_dkmh }
            }
        };
        AlertFacts {
            subject,
            vehicle,
            started: run.started,
            due_at: run.started.saturating_add(run.duration_ms),
            ended: (end != NEVER).then_some(end),
            severity: run.severity,
            fence: run.fence,
            trip: run.trip,
            details,
        }
    }

    /// The list as it was just before a time: gives the runs that may not be so any more, and how many are left as they
    /// were. `before` is the last good fix before it.
    pub fn cut(&mut self, from: i64, before: Option<&StepEnd>) -> (Vec<Run>, usize) {
        let is_before = |started: i64| match self.what {
            What::Offline => before.is_some_and(|before| started < before.time),
            What::Braking | What::Acceleration => before.is_some_and(|before| started <= before.time),
            _ => started < from,
        };
        let mut kept = self.runs.partition_point(|run| is_before(run.started));
        let mut cut = self.runs.split_off(kept);
        let is_harsh = matches!(self.what, What::Braking | What::Acceleration);
        let goes_on = |run: &&mut Run| match before {
            Some(before) if is_harsh => run.ended >= before.time,
            _ => run.ended >= from && self.what != What::Offline,
        };
        if let Some(run) = self.runs.last_mut().filter(goes_on) {
            cut.insert(0, run.clone());
            kept -= 1;
            run.ended = NEVER;
            match (&mut run.course, before) {
                (Course::Overspeed { peaks, .. }, _) => peaks.retain(|(at, _)| *at < from),
                (Course::Harsh { to_dkmh, .. }, Some(before)) => {
                    run.ended = before.time;
                    *to_dkmh = before.motion.speed_dkmh.unwrap_or(*to_dkmh);
                }
                _ => {}
            }
        }
        (cut, kept)
    }

    /// The run that goes on just after a fix.
    fn going_on(&self, runs: &[Run], time: i64) -> Option<usize> {
        let begun = runs.partition_point(|run| run.started <= time);
        let last = begun.checked_sub(1)?;
        let goes_on = match self.what {
            What::Braking | What::Acceleration => time <= runs[last].ended,
            What::Offline => false,
            _ => time < runs[last].ended,
        };
        goes_on.then_some(last)
    }

    /// Whether all is as it was just after a fix.
    pub fn is_as_it_was(&self, old: &[Run], time: i64) -> bool {
        match (self.going_on(&self.runs, time), self.going_on(old, time)) {
            (None, None) => true,
            (Some(now), Some(then)) => self.runs[now].is_as(&old[then], time),
            _ => false,
        }
    }

    /// Goes on as it was just after a fix. Gives how many runs there are that are new, and leaves in `old` those in
    /// whose place they are.
    pub fn rejoin(&mut self, old: &mut Vec<Run>, time: i64) -> usize {
        let is_past = |run: &Run| match self.what {
            What::Offline => run.started < time,
            _ => run.started <= time,
        };
        if let (Some(now), Some(then)) = (self.going_on(&self.runs, time), self.going_on(old, time)) {
            self.runs[now].go_on_as(&old[then], time);
        }
        let end = self.runs.len();
        self.runs.extend(old.split_off(old.partition_point(is_past)));
        end
    }

    /// Tells which rows went, those of `old`, and which came in their place.
    pub fn retell(
        &mut self,
        vehicle: VehicleKey,
        (new, old): (Range<usize>, &[Run]),
        instant: i64,
        emit: &mut impl FnMut(AlertFacts, i8),
    ) {
        for i in new.clone() {
            self.runs[i].told = self.lasts(&self.runs[i], instant);
        }
        let told = |runs: &[Run]| -> Vec<AlertFacts> {
            runs.iter().filter(|run| run.told).map(|run| self.facts(vehicle, run)).collect()
        };
        let (came, went) = (told(&self.runs[new]), told(old));
        went.iter().filter(|row| came.binary_search(row).is_err()).for_each(|row| emit(*row, -1));
        came.iter().filter(|row| went.binary_search(row).is_err()).for_each(|row| emit(*row, 1));
    }

    /// Takes a fix in that is behind all others, and tells the rows that went and came: those of the run that was
    /// last before, or of one that begins. `from` is the good fix before it.
    pub fn go_on(
        &mut self,
        (from, to): (&StepEnd, &StepEnd),
        terms: &Terms,
        judge: &Judge<'_>,
        instant: i64,
        emit: &mut impl FnMut(AlertFacts, i8),
    ) {
        let last = self.runs.len().saturating_sub(1);
        let was = self.runs.last().filter(|run| run.told).map(|run| self.facts(judge.vehicle, run));
        self.step(Some(from), to, terms, judge);
        let mut went = was;
        for i in last..self.runs.len() {
            self.runs[i].told = self.lasts(&self.runs[i], instant);
            let row = self.runs[i].told.then(|| self.facts(judge.vehicle, &self.runs[i]));
            if row != went {
                went.into_iter().for_each(|row| emit(row, -1));
                row.into_iter().for_each(|row| emit(row, 1));
            }
            went = None;
        }
    }

    /// Tells all rows that are out.
    pub fn tell_all(&self, vehicle: VehicleKey, diff: i8, emit: &mut impl FnMut(AlertFacts, i8)) {
        let told = self.runs.iter().filter(|run| run.told);
        told.for_each(|run| emit(self.facts(vehicle, run), diff));
    }

    /// Takes a fix in that is behind all others. `before` is the good one before it.
    pub fn step(&mut self, before: Option<&StepEnd>, fix: &StepEnd, terms: &Terms, judge: &Judge<'_>) {
        let time = fix.time;
        let speed_dkmh = fix.motion.speed_dkmh;
        match self.what {
            What::Overspeed => match speed_dkmh {
                None if terms.overspeed.enabled => {}
                Some(dkmh) if milli(dkmh) > terms.limit_milli() => self.speed(time, dkmh, terms),
                _ => self.end(time),
            },
            What::Idle => {
                let is_moving = speed_dkmh.map(|dkmh| milli(dkmh) >= terms.moving_milli());
                match (fix.motion.ignition, is_moving) {
                    _ if !terms.idle.enabled => self.end(time),
                    (Some(false), _) | (_, Some(true)) => self.end(time),
                    (Some(true), Some(false)) => self.begin(|| Run::begin(time, &terms.idle, IDLE_MS)),
                    (None, _) | (_, None) => {}
                }
            }
            What::Braking => self.leg(before, fix, -1, &terms.braking, terms.braking_by_36()),
            What::Acceleration => {
                self.leg(before, fix, 1, &terms.acceleration, terms.acceleration_by_36());
            }
            What::Offline => {
                if let Some(before) = before {
                    self.silence(before.time, time, true, judge);
                }
            }
            What::Deviation(transit) => self.deviate(transit, time, judge),
        }
    }

    fn open(&mut self) -> Option<&mut Run> {
        self.runs.last_mut().filter(|run| run.is_open())
    }

    fn begin(&mut self, run: impl FnOnce() -> Run) {
        if self.open().is_none() {
            self.runs.push(run());
        }
    }

    fn end(&mut self, time: i64) {
        if let Some(run) = self.open() {
            run.ended = time;
        }
    }

    fn speed(&mut self, time: i64, dkmh: u16, terms: &Terms) {
        self.begin(|| Run {
            fence: terms.overspeed.limiting_fence,
            course: Course::Overspeed { limit_milli: terms.limit_milli(), peaks: Vec::new() },
            ..Run::begin(time, &terms.overspeed, OVERSPEED_MS)
        });
        if let Some(Run { course: Course::Overspeed { peaks, .. }, .. }) = self.open()
            && peaks.last().is_none_or(|(_, peak)| *peak < dkmh)
        {
            peaks.push((time, dkmh));
        }
    }

    fn leg(
        &mut self,
        before: Option<&StepEnd>,
        fix: &StepEnd,
        sign: i64,
        ruling: &Ruling,
        threshold_by_36: i64,
    ) {
        let Some(before) = before else { return };
        let (Some(from_dkmh), Some(to)) = (before.motion.speed_dkmh, fix.motion.speed_dkmh) else { return };
        let elapsed_ms = fix.time - before.time;
        let change_dkmh = sign * (i64::from(to) - i64::from(from_dkmh));
        if elapsed_ms > HARSH_WITHIN_MS
            || !ruling.enabled
            || !is_harsh(change_dkmh, elapsed_ms, threshold_by_36)
        {
            return;
        }
        match self.runs.last_mut().filter(|run| run.ended == before.time) {
            Some(run) => {
                run.ended = fix.time;
                if let Course::Harsh { to_dkmh, .. } = &mut run.course {
                    *to_dkmh = to;
                }
            }
            None => self.runs.push(Run {
                ended: fix.time,
                duration_ms: 0,
                course: Course::Harsh { from_dkmh, to_dkmh: to },
                ..Run::begin(fix.time, ruling, 0)
            }),
        }
    }

    /// Nothing came after a fix until a time, at which the next one came, or which is the instant.
    pub fn silence(&mut self, after: i64, until: i64, is_over: bool, judge: &Judge<'_>) {
        if until - after < judge.shortest_silence_ms {
            return;
        }
        let ruling = judge.ruling(AlertKind::DeviceOffline, after);
        let (duration_ms, trip) = judge.silence(&ruling, after);
        if until - after >= duration_ms {
            let ended = if is_over { until } else { NEVER };
            self.runs.push(Run { ended, trip, ..Run::begin(after, &ruling, duration_ms) });
        }
    }

    fn deviate(&mut self, transit: Transit, time: i64, judge: &Judge<'_>) {
        let Transit { corridor, trip, .. } = transit;
        let is_outside = transit.holds(time)
            && !judge.is_in(corridor, time)
            && judge.book.fences.is_in_force(corridor, time);
        let ruling = is_outside.then(|| judge.ruling(AlertKind::RouteDeviation, time));
        match ruling.filter(|ruling| ruling.enabled) {
            Some(ruling) => self.begin(|| Run {
                fence: Some(corridor),
                trip: Some(trip),
                ..Run::begin(time, &ruling, DEVIATION_MS)
            }),
            None => self.end(time),
        }
    }
}
