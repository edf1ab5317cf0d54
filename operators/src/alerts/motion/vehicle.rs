//! One vehicle's runs: the newest fix in a few comparisons, all else judged anew from a time on.

use model::{AlertKind, Why};

use super::runs::{HARSH_WITHIN_MS, List, Run, What};
use super::terms::{Judge, Terms, is_harsh, milli};
use crate::alerts::rows::AlertFacts;
use crate::alerts::trips::Transit;
use crate::fences::{ALWAYS, NEVER};
use crate::presence::{StepEnd, Tracks, VehicleKey};

/// Where the list of silences is; those of trips are behind it.
const OFFLINE: usize = 4;

/// A time from which on fixes are to be judged anew, up to another one at least.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anew {
    pub from: i64,
    pub to: i64,
    pub why: Why,
}

/// What the next fix is compared with, as long as nothing changes but that it comes.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Ahead {
    /// Of the rules that this rests on.
    generation: u32,
    is_speeding: bool,
    peak_dkmh: u16,
    is_idle: bool,
    /// A trip is on its way and not in its corridor.
    is_outside: bool,
    /// An alert of the silence after the last fix is out.
    is_offline: bool,
    /// The first time that it does not hold for.
    until: i64,
    limit_milli: i64,
    moving_milli: i64,
    braking_by_36: i64,
    acceleration_by_36: i64,
    /// For so long nothing may come.
    silence_ms: i64,
}

#[derive(serde::Serialize, serde::Deserialize)]
pub(super) struct OfVehicle {
    ahead: Ahead,
    /// The last good fix that was judged.
    through: i64,
    /// When a timer is set for it.
    pub timer: i64,
    /// No trip begins or ends after this.
    pub last_turn: i64,
    pub lists: Vec<List>,
}

/// By list of legs and fixes, in their order, whether a fix begins, changes or ends a run of it.
pub(super) type Turns = [bool; OFFLINE];

/// What becomes of a fix that is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Newest {
    /// It makes no difference.
    Same,
    /// It makes none, but the silence after it may be long by now.
    SameButLate,
    /// It begins, changes or ends runs, and all before it is as it was judged.
    GoesOn(Turns),
    /// It is to be judged.
    Differs,
}

impl Default for OfVehicle {
    fn default() -> OfVehicle {
        let what = [What::Overspeed, What::Idle, What::Braking, What::Acceleration, What::Offline];
        OfVehicle {
            ahead: Ahead {
                generation: 0,
                is_speeding: false,
                peak_dkmh: 0,
                is_idle: false,
                is_outside: false,
                is_offline: false,
                until: ALWAYS,
                limit_milli: 0,
                moving_milli: 0,
                braking_by_36: 0,
                acceleration_by_36: 0,
                silence_ms: NEVER,
            },
            through: ALWAYS,
            timer: NEVER,
            last_turn: ALWAYS,
            lists: what.map(List::new).into(),
        }
    }
}

impl OfVehicle {
    /// The last good fix that was judged.
    pub fn through(&self) -> i64 {
        self.through
    }

    /// A good fix is the newest.
    #[inline]
    pub fn note_newest(&mut self, from: &StepEnd, to: &StepEnd, generation: u32, instant: i64) -> Newest {
        let Ahead { silence_ms, .. } = self.ahead;
        let ahead = &self.ahead;
        let elapsed_ms = to.time - from.time;
        let is_known = ahead.generation == generation
            && self.through == from.time
            && to.time < ahead.until
            && !ahead.is_outside
            && !ahead.is_offline
            && elapsed_ms < silence_ms
            && self.timer <= to.time.saturating_add(silence_ms);
        if !is_known {
            return Newest::Differs;
        }
        let turns = ahead.turns(from, to, elapsed_ms);
        if turns.contains(&true) {
            // Where a trip has a corridor, more is to be looked at.
            return if self.lists.len() == OFFLINE + 1 { Newest::GoesOn(turns) } else { Newest::Differs };
        }
        self.through = to.time;
        self.at_its_end(instant)
    }

    /// What the newest fix leaves to do, as it made no difference, or all of it is judged.
    fn at_its_end(&self, instant: i64) -> Newest {
        let is_late = self.through.saturating_add(self.ahead.silence_ms) <= instant;
        if is_late { Newest::SameButLate } else { Newest::Same }
    }

    /// Judges a good fix that is the newest, and that begins, changes or ends runs, as [`Newest::GoesOn`] says. What
    /// holds there held for the fix before it, too.
    pub fn go_on(
        &mut self,
        (from, to): (&StepEnd, &StepEnd),
        turns: Turns,
        judge: &Judge<'_>,
        instant: i64,
        emit: &mut impl FnMut(AlertFacts, i8),
    ) -> Newest {
        let terms = judge.terms(to.time);
        for (list, _) in self.lists.iter_mut().zip(turns).filter(|(_, turns)| *turns) {
            list.go_on((from, to), &terms, judge, instant, emit);
            match list.what {
                What::Overspeed => {
                    let open = list.last_open();
                    self.ahead.is_speeding = open.is_some();
                    self.ahead.peak_dkmh = open.and_then(|run| run.peak_until(NEVER)).unwrap_or(0);
                }
                What::Idle => self.ahead.is_idle = list.last_open().is_some(),
                _ => {}
            }
        }
        self.through = to.time;
        self.at_its_end(instant)
    }

    /// Judges fixes anew, and tells the rows that went and came.
    pub fn judge_anew(
        &mut self,
        anew: &Anew,
        judge: &Judge<'_>,
        tracks: &Tracks,
        (generation, instant): (u32, i64),
        emit: &mut impl FnMut(AlertFacts, i8),
    ) {
        let vehicle = judge.vehicle;
        // What is older than what is kept stays as it was judged.
        let forgotten_before = tracks.forgotten_before(vehicle);
        let from = anew.from.max(forgotten_before.unwrap_or(ALWAYS));
        let mut before = tracks.last_good_before(vehicle, from);
        let (mut before_legs, mut before_silence) = (before, before);
        if forgotten_before.is_some_and(|forgotten_before| from <= forgotten_before) {
            // What was before this fix is known by its fixes at best, and not by where they were.
            before_silence = None;
            tracks.each_good_from(vehicle, from, |first| {
                before_silence = Some(first);
                false
            });
            before_legs = before.or(before_silence);
        }
        let mut cuts: Vec<(usize, Vec<Run>, usize)> = Vec::new();
        for (i, list) in self.lists.iter_mut().enumerate() {
            let before = match list.what {
                What::Deviation(transit) if transit.until < from => continue,
                What::Offline => before_silence,
                _ => before_legs,
            };
            let (old, kept) = list.cut(from, before.as_ref());
            cuts.push((i, old, kept));
        }
        let mut terms: Option<Terms> = None;
        let mut settled_at = None;
        tracks.each_good_from(vehicle, from, |fix| {
            let time = fix.time;
            let terms = match &mut terms {
                Some(terms) if time < terms.until => terms,
                terms => terms.insert(judge.terms(time)),
            };
            for (i, ..) in &cuts {
                let list = &mut self.lists[*i];
                let before = if list.what == What::Offline { &before_silence } else { &before };
                list.step(before.as_ref().filter(|before| before.time < time), &fix, terms, judge);
            }
            (before, before_silence) = (Some(fix), Some(fix));
            let may_settle = time > anew.to && time <= self.through;
            if may_settle && cuts.iter().all(|(i, old, _)| self.lists[*i].is_as_it_was(old, time)) {
                settled_at = Some(time);
            }
            settled_at.is_none()
        });
        if settled_at.is_none() {
            self.through = before.map_or(ALWAYS, |last| last.time);
            if before.is_some() {
                self.lists[OFFLINE].silence(self.through, instant, false, judge);
            }
        }
        for (i, mut old, kept) in cuts {
            let list = &mut self.lists[i];
            let end = settled_at.map_or(list.runs.len(), |time| list.rejoin(&mut old, time));
            list.retell(judge.vehicle, (kept..end, &old), instant, emit);
        }
        if settled_at.is_none()
            && let Some(last) = before
        {
            self.look_ahead(&last, terms, judge, generation);
        }
    }

    /// All runs are known up to the last fix: what the next one is compared with.
    fn look_ahead(&mut self, last: &StepEnd, terms: Option<Terms>, judge: &Judge<'_>, generation: u32) {
        let time = last.time;
        let terms = terms.filter(|terms| time < terms.until).unwrap_or_else(|| judge.terms(time));
        let open = |what: What| {
            let list = self.lists[..=OFFLINE].iter().find(|list| list.what == what);
            list.and_then(List::last_open)
        };
        let is_outside = |transit: &Transit| transit.holds(time) && !judge.is_in(transit.corridor, time);
        let (silence_ms, _) = judge.silence(&judge.ruling(AlertKind::DeviceOffline, time), time);
        let ahead = Ahead {
            generation,
            is_speeding: open(What::Overspeed).is_some(),
            peak_dkmh: open(What::Overspeed).and_then(|run| run.peak_until(NEVER)).unwrap_or(0),
            is_idle: open(What::Idle).is_some(),
            is_outside: self.transits().any(is_outside),
            is_offline: open(What::Offline).is_some(),
            until: if time < self.last_turn { time + 1 } else { terms.until },
            limit_milli: terms.limit_milli(),
            moving_milli: terms.moving_milli(),
            braking_by_36: terms.braking_by_36(),
            acceleration_by_36: terms.acceleration_by_36(),
            silence_ms,
        };
        self.ahead = ahead;
    }

    /// The time has come for what was not long enough: tells the rows that came.
    pub fn mature(&mut self, judge: &Judge<'_>, instant: i64, emit: &mut impl FnMut(AlertFacts, i8)) {
        let Ahead { silence_ms, is_offline, .. } = self.ahead;
        if !is_offline && self.through != ALWAYS && self.through.saturating_add(silence_ms) <= instant {
            self.lists[OFFLINE].silence(self.through, instant, false, judge);
            self.ahead.is_offline = true;
        }
        for list in &mut self.lists {
            if list.due_at().is_some_and(|due_at| due_at <= instant) {
                let last = list.runs.len() - 1;
                list.retell(judge.vehicle, (last..last + 1, &[]), instant, emit);
            }
        }
    }

    /// The next instant that makes a difference.
    pub fn due_at(&self) -> i64 {
        let Ahead { silence_ms, is_offline, .. } = self.ahead;
        let is_silent = !is_offline && self.through != ALWAYS;
        let of_silence = if is_silent { self.through.saturating_add(silence_ms) } else { NEVER };
        self.lists.iter().filter_map(List::due_at).min().unwrap_or(NEVER).min(of_silence)
    }

    fn transits(&self) -> impl Iterator<Item = &Transit> {
        self.lists.iter().filter_map(|list| match &list.what {
            What::Deviation(transit) => Some(transit),
            _ => None,
        })
    }

    /// The trips of the vehicle that are on their way in a corridor are these now. One whose corridor is another one is
    /// to be judged from its beginning; tells the rows that went and came.
    pub fn put_on_their_way(
        &mut self,
        vehicle: VehicleKey,
        transits: &[Transit],
        instant: i64,
        emit: &mut impl FnMut(AlertFacts, i8),
    ) {
        let mut known: Vec<List> = self.lists.split_off(OFFLINE + 1);
        for transit in transits {
            let is_of_trip =
                |list: &List| matches!(list.what, What::Deviation(of) if of.trip == transit.trip);
            let mut list = match known.iter().position(is_of_trip) {
                Some(at) => known.remove(at),
                None => List::new(What::Deviation(*transit)),
            };
            if let What::Deviation(was) = list.what
                && was != *transit
            {
                list.tell_all(vehicle, -1, emit);
                if was.corridor != transit.corridor {
                    list.runs.clear();
                }
                list.what = What::Deviation(*transit);
                list.runs.iter_mut().for_each(|run| run.told = false);
                let end = list.runs.len();
                list.retell(vehicle, (0..end, &[]), instant, emit);
            }
            self.lists.push(list);
        }
        known.iter().for_each(|list| list.tell_all(vehicle, -1, emit));
    }
}

impl Ahead {
    /// Of which lists a fix begins, changes or ends a run.
    #[inline]
    fn turns(&self, from: &StepEnd, to: &StepEnd, elapsed_ms: i64) -> Turns {
        let Some(dkmh) = to.motion.speed_dkmh else {
            let ends_speeding = self.is_speeding && self.limit_milli == i64::MAX;
            let ends_idle = self.is_idle && to.motion.ignition == Some(false);
            return [ends_speeding, ends_idle, false, false];
        };
        let is_speeding = milli(dkmh) > self.limit_milli;
        let turns_speeding = is_speeding != self.is_speeding || (is_speeding && dkmh > self.peak_dkmh);
        let is_moving = milli(dkmh) >= self.moving_milli;
        let is_idle = match to.motion.ignition {
            _ if is_moving => false,
            Some(is_on) => is_on,
            None => self.is_idle,
        };
        let [brakes, accelerates] = match from.motion.speed_dkmh {
            Some(before) if elapsed_ms <= HARSH_WITHIN_MS => {
                let change_dkmh = i64::from(dkmh) - i64::from(before);
                [(-change_dkmh, self.braking_by_36), (change_dkmh, self.acceleration_by_36)]
                    .map(|(change_dkmh, by_36)| is_harsh(change_dkmh, elapsed_ms, by_36))
            }
            _ => [false; 2],
        };
        [turns_speeding, is_idle != self.is_idle, brakes, accelerates]
    }
}
