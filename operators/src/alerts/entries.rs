//! Entries into fences and exits from them, of a worker's vehicles.
//!
//! ```text
//!   stays       |----------|  max_absence      |------
//!   entry       |----------|...                |------       lasts as long as the stay
//!   exit                   |...................|             raised at the end of the dots, lasts until it is back
//! ```
//!
//! All stays are kept, since a trip may be planned at any time that makes an entry of the past worth telling. What is
//! told of a stay depends on its own times and on when the next one begins. So a change leaves all stays alone that
//! came before the one in front of it.

use std::collections::BTreeMap;

use model::{AlertKind, Cause, Severity, Why};
use rustc_hash::FxHashMap;

use super::control::kind_key;
use super::rows::{AlertFacts, Details, Subject};
use super::rules::{RuleBook, Whom};
use super::trips::TripBook;
use crate::fences::{ALWAYS, FenceKey, NEVER};
use crate::presence::VehicleKey;
use crate::rows::Delta;
use crate::trips::TripKey;
use crate::visits::StayFacts;

/// What entries and exits are judged by.
pub(super) struct Judges<'a> {
    pub rules: &'a RuleBook,
    pub trips: &'a TripBook,
    pub instant: i64,
}

/// A stay, and what is told of it.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Stay {
    arrived: i64,
    /// [`NEVER`] while it is open.
    departed: i64,
    /// Why it is known to have ended just then.
    left_by: Cause,
    /// Nothing can join it any more.
    is_over: bool,
    /// When time alone makes it so; [`NEVER`] while it is open.
    over_at: i64,
    entry: Option<Told>,
    exit: Option<Told>,
}

/// What is told of an entry or an exit, besides its times.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Told {
    severity: Severity,
    trip: Option<TripKey>,
}

/// Where, and who.
type Key = (FenceKey, VehicleKey);

#[derive(Default, serde::Serialize, serde::Deserialize)]
struct OfFence {
    /// By vehicle, in order.
    stays: FxHashMap<VehicleKey, Vec<Stay>>,
    /// Whether one of them began when no version was valid: the fleet's absence counts for it as it is now.
    has_unknown: bool,
}

/// Which stays of a key are judged anew: those that were there in `[from, until]`.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Again {
    from: i64,
    until: i64,
    why: Why,
}

/// The stays of a worker's vehicles.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Entries {
    /// By fence.
    fences: Vec<OfFence>,
    /// Where a vehicle has been, in order.
    fences_of: FxHashMap<VehicleKey, Vec<FenceKey>>,
    /// Stays that wait for the time at which they are over.
    timers: BTreeMap<i64, Vec<(Key, i64)>>,
    changed: BTreeMap<Key, Again>,
}

impl Stay {
    fn new(stay: &StayFacts, left_by: Cause) -> Stay {
        let StayFacts { arrived, departed, .. } = *stay;
        Stay { arrived, departed, left_by, is_over: false, over_at: NEVER, entry: None, exit: None }
    }

    fn judge(&mut self, (fence, vehicle): Key, next: Option<i64>, judges: &Judges<'_>) {
        let Judges { rules, trips, instant } = judges;
        self.over_at = match self.departed {
            NEVER => NEVER,
            departed => departed.saturating_add(rules.fences.max_absence_ms(fence, self.arrived)),
        };
        self.is_over = self.departed != NEVER && (next.is_some() || *instant >= self.over_at);
        let tells_of_all = rules.fences.valid(fence, self.arrived).is_some_and(|version| version.alert);
        let told = |kind: AlertKind, started: i64| {
            let trip = trips.trip_at_fence(vehicle, fence, started);
            if !tells_of_all && trip.is_none() {
                return None;
            }
            let of_fence = rules.ruling_of_fence(kind, fence, started);
            let ruling = rules.ruling(kind_key(kind), vehicle, of_fence, started);
            ruling.enabled.then(|| Told { severity: ruling.severity.unwrap_or(Severity::Info), trip })
        };
        self.entry = told(AlertKind::GeofenceEntry, self.arrived);
        self.exit = self.is_over.then(|| told(AlertKind::GeofenceExit, self.departed)).flatten();
    }

    /// What is told of it, where the next stay begins then.
    fn rows(&self, (fence, vehicle): Key, next: Option<i64>) -> impl Iterator<Item = AlertFacts> {
        let row = |kind: AlertKind, told: Option<Told>, started: i64, due_at: i64, ended: Option<i64>| {
            told.map(|Told { severity, trip }| AlertFacts {
                subject: Subject::Fence(kind, fence),
                vehicle,
                started,
                due_at,
                ended,
                severity,
                fence: Some(fence),
                trip,
                details: Details::None,
            })
        };
        let ended = self.is_over.then_some(self.departed);
        let entry = row(AlertKind::GeofenceEntry, self.entry, self.arrived, self.arrived, ended);
        let exit = row(AlertKind::GeofenceExit, self.exit, self.departed, self.over_at, next);
        entry.into_iter().chain(exit)
    }

    /// The instant that makes a difference by itself.
    fn waits_for(&self) -> Option<i64> {
        (!self.is_over && self.over_at != NEVER).then_some(self.over_at)
    }

    /// Why time alone makes an exit of it. What a fence's end or a correction has brought stays that, however late it
    /// shows.
    fn why_over(&self, last_seq: u64) -> Why {
        let cause = match self.left_by {
            Cause::Settings | Cause::Backfill | Cause::FenceEnd | Cause::FenceEdit => self.left_by,
            Cause::Cleaning | Cause::Superseded | Cause::LateFix | Cause::First => Cause::First,
        };
        Why { cause, seq: last_seq }
    }
}

/// What is told of stays that follow one another; `next` is when the one behind them begins.
fn rows(key: Key, stays: &[Stay], next: Option<i64>) -> Vec<AlertFacts> {
    let begins = stays.iter().skip(1).map(|stay| Some(stay.arrived)).chain([next]);
    let mut rows: Vec<AlertFacts> =
        stays.iter().zip(begins).flat_map(|(stay, next)| stay.rows(key, next)).collect();
    rows.sort_unstable();
    rows
}

impl Entries {
    fn note(&mut self, key: Key, from: i64, until: i64, why: Why) {
        let again = self.changed.entry(key).or_insert(Again { from, until, why });
        *again =
            Again { from: again.from.min(from), until: again.until.max(until), why: again.why.stronger(why) };
    }

    /// Trips of a vehicle, or rules for it, may be others from a time on.
    pub fn vehicle_changed(&mut self, vehicle: VehicleKey, from: i64, why: Why) {
        for fence in self.fences_of.get(&vehicle).cloned().unwrap_or_default() {
            self.note((fence, vehicle), from, NEVER, why);
        }
    }

    /// What is said of a fence changed from a time on.
    pub fn fence_changed(&mut self, fence: FenceKey, from: i64, why: Why) {
        let vehicles: Vec<VehicleKey> =
            self.fences.get(fence as usize).map_or_else(Vec::new, |of| of.stays.keys().copied().collect());
        for vehicle in vehicles {
            self.note((fence, vehicle), from, NEVER, why);
        }
    }

    /// A rule changed from a time on.
    pub fn rule_changed(&mut self, whom: &Whom, from: i64, why: Why) {
        match whom {
            Whom::In(fence) => self.fence_changed(*fence, from, why),
            Whom::Vehicles(of) => of.iter().for_each(|vehicle| self.vehicle_changed(*vehicle, from, why)),
            Whom::All => self.all_changed(from, why),
        }
    }

    fn all_changed(&mut self, from: i64, why: Why) {
        for fence in 0..self.fences.len() as FenceKey {
            self.fence_changed(fence, from, why);
        }
    }

    /// The fleet's absence changed from a time on, and where fences were unknown for all time.
    pub fn absence_changed(&mut self, from: i64, why: Why) {
        for fence in 0..self.fences.len() as FenceKey {
            let has_unknown = self.fences[fence as usize].has_unknown;
            self.fence_changed(fence, if has_unknown { ALWAYS } else { from }, why);
        }
    }

    /// Time has come to an instant.
    pub fn fire_timers(&mut self, instant: i64, last_seq: u64) {
        while let Some(first) = self.timers.first_entry().filter(|first| *first.key() <= instant) {
            for (key, arrived) in first.remove() {
                let stays = self.fences.get(key.0 as usize).and_then(|of| of.stays.get(&key.1));
                let stay = stays.and_then(|stays| {
                    stays.binary_search_by_key(&arrived, |stay| stay.arrived).ok().map(|at| stays[at])
                });
                if let Some(stay) = stay {
                    self.note(key, arrived, arrived, stay.why_over(last_seq));
                }
            }
        }
    }

    /// Takes the stays in that came and went, in order and without those that cancel, judges all anew that may be
    /// others, and tells what comes of it.
    pub fn judge(
        &mut self,
        stays: &[Delta<StayFacts>],
        judges: &Judges<'_>,
        emit: &mut impl FnMut(Delta<AlertFacts>),
    ) {
        for Delta { row, why, .. } in stays {
            self.note((row.fence, row.vehicle), row.arrived, row.arrived, *why);
        }
        let mut stays = stays;
        for (key, again) in std::mem::take(&mut self.changed) {
            let count = stays.iter().take_while(|delta| (delta.row.fence, delta.row.vehicle) == key).count();
            let (of_key, others) = stays.split_at(count);
            stays = others;
            self.judge_key(key, &again, of_key, judges, emit);
        }
    }

    fn judge_key(
        &mut self,
        key: Key,
        again: &Again,
        deltas: &[Delta<StayFacts>],
        judges: &Judges<'_>,
        emit: &mut impl FnMut(Delta<AlertFacts>),
    ) {
        let (fence, vehicle) = key;
        if self.fences.len() <= fence as usize {
            self.fences.resize_with(fence as usize + 1, OfFence::default);
        }
        let of_fence = &mut self.fences[fence as usize];
        let stays = of_fence.stays.entry(vehicle).or_default();
        // The one before may have ended later, and its exit lasts until the next one begins.
        let first = stays.partition_point(|stay| stay.arrived < again.from).saturating_sub(1);
        let last = stays.partition_point(|stay| stay.arrived <= again.until);
        let old = rows(key, &stays[first..last], stays.get(last).map(|next| next.arrived));
        for Delta { row, .. } in deltas.iter().filter(|delta| delta.diff < 0) {
            if let Ok(at) = stays.binary_search_by_key(&row.arrived, |stay| stay.arrived) {
                stays.remove(at);
            }
        }
        for Delta { row, why, .. } in deltas.iter().filter(|delta| delta.diff > 0) {
            let at = stays.partition_point(|stay| stay.arrived < row.arrived);
            if stays.len() == stays.capacity() {
                // Most vehicles are in a fence once; doubling begins with room for four.
                stays.reserve_exact(1 + stays.len() / 2);
            }
            stays.insert(at, Stay::new(row, why.cause));
        }
        let last = stays.partition_point(|stay| stay.arrived <= again.until);
        for at in first..last {
            let next = stays.get(at + 1).map(|next| next.arrived);
            let stay = &mut stays[at];
            let waited_for = stay.waits_for();
            stay.judge(key, next, judges);
            of_fence.has_unknown |= judges.rules.fences.valid(fence, stay.arrived).is_none();
            if let Some(over_at) = stay.waits_for().filter(|at| Some(*at) != waited_for) {
                self.timers.entry(over_at).or_default().push((key, stay.arrived));
            }
        }
        let new = rows(key, &stays[first..last], stays.get(last).map(|next| next.arrived));
        let fences_of_vehicle = self.fences_of.entry(vehicle).or_default();
        match (fences_of_vehicle.binary_search(&fence), stays.is_empty()) {
            (Err(at), false) => fences_of_vehicle.insert(at, fence),
            (Ok(at), true) => {
                fences_of_vehicle.remove(at);
            }
            _ => {}
        }
        if stays.is_empty() {
            of_fence.stays.remove(&vehicle);
        }
        let why = again.why;
        let gone = old.iter().filter(|row| new.binary_search(row).is_err());
        gone.for_each(|row| emit(Delta { row: *row, diff: -1, why }));
        let came = new.iter().filter(|row| old.binary_search(row).is_err());
        came.for_each(|row| emit(Delta { row: *row, diff: 1, why }));
    }
}
