//! The state of one worker, and the operator that drives it.

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use model::{Cause, GraphSettings, Why};
use rustc_hash::FxHashMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::vec::Map;

use super::stays::{self, PieceChange, Rules, Stays};
use crate::control::Control;
use crate::fences::{ALWAYS, Edit, FenceKey, NEVER, SettingsBook};
use crate::presence::VehicleKey;
use crate::rows::{Delta, Derived, Keyed};
use crate::state::{States, state};
use crate::ticks::{deltas, each_tick};

/// Stays are forgotten in groups that ended within so long of each other.
const FORGET_EVERY_MS: i64 = 600_000;
/// Stays are kept for so long behind the edge of Reach: a stay may be joined over an absence, and absences
/// longer than this are taken into account where they are allowed.
const MIN_ABSENCE_KEPT_MS: i64 = 24 * 3_600_000;

/// Presences of one vehicle in one fence with short absences between them, be it a visit or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct StayFacts {
    /// Where.
    pub fence: FenceKey,
    /// Who.
    pub vehicle: VehicleKey,
    /// Start of the first presence.
    pub arrived: i64,
    /// End of the last presence; [`NEVER`] while it is open.
    pub departed: i64,
}

impl Keyed for StayFacts {
    type Key = (FenceKey, VehicleKey, i64);

    fn key(&self) -> (FenceKey, VehicleKey, i64) {
        (self.fence, self.vehicle, self.arrived)
    }
}

/// What a tick makes of stays.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub enum Judged {
    Visit(Delta),
    Stay(Delta<StayFacts>),
}

impl Judged {
    fn of(fence: FenceKey, vehicle: VehicleKey, judged: stays::Judged, diff: i8, why: Why) -> Judged {
        match judged {
            stays::Judged::Visit(visit) => {
                Judged::Visit(Delta { row: Derived::Visit { vehicle, fence, visit }, diff, why })
            }
            stays::Judged::Stay { arrived, departed } => {
                Judged::Stay(Delta { row: StayFacts { fence, vehicle, arrived, departed }, diff, why })
            }
        }
    }
}

/// The visits state of one worker: a pure state machine, for the operator and for benchmarks.
pub struct VisitsWork {
    settings: GraphSettings,
    book: SettingsBook,
    instant: i64,
    /// By fence.
    stays: Vec<FxHashMap<VehicleKey, Stays>>,
    /// Open stays by the instant at which they become visits.
    waiting: BTreeMap<i64, Vec<(FenceKey, VehicleKey, i64)>>,
    /// Stays by the time, in groups, at which a piece of them ended; only where history is limited.
    ended: BTreeMap<i64, Vec<(FenceKey, VehicleKey)>>,
    is_limited: bool,
    longest_absence_ms: i64,
    changes: Vec<KeyChange>,
    of_key: Vec<PieceChange>,
}

/// A change of a presence, by key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct KeyChange {
    fence: FenceKey,
    vehicle: VehicleKey,
    piece: PieceChange,
    why: Why,
}

impl KeyChange {
    fn of(delta: &Delta) -> Option<KeyChange> {
        let Derived::Presence { vehicle, fence, entered, end } = delta.row else { return None };
        let exited = end.map_or(NEVER, |(time, _)| time);
        let piece = PieceChange { entered, diff: delta.diff, exited };
        Some(KeyChange { fence, vehicle, piece, why: delta.why })
    }
}

state!(VisitsWork {
    settings, book, instant, waiting, ended, is_limited, longest_absence_ms,
} each { stays } without { changes, of_key });

struct FenceRules<'a> {
    book: &'a SettingsBook,
    defaults: &'a GraphSettings,
    fence: FenceKey,
}

impl Rules for FenceRules<'_> {
    fn for_start(&self, start: i64) -> (i64, i64) {
        self.book.visit_rules(self.fence, start, self.defaults)
    }
}

impl VisitsWork {
    /// An empty state.
    #[must_use]
    pub fn new(settings: GraphSettings) -> VisitsWork {
        VisitsWork {
            longest_absence_ms: settings.max_absence_ms.max(MIN_ABSENCE_KEPT_MS),
            settings,
            book: SettingsBook::default(),
            instant: 0,
            stays: Vec::new(),
            waiting: BTreeMap::new(),
            ended: BTreeMap::new(),
            is_limited: false,
            changes: Vec::new(),
            of_key: Vec::new(),
        }
    }

    /// Works on one tick: presences that came and went, in the order of their records, and every difference
    /// of stays and visits to `emit`.
    pub fn tick(
        &mut self,
        controls: &[Control],
        presences: impl Iterator<Item = Delta>,
        mut emit: impl FnMut(Judged),
    ) {
        let mut changes = std::mem::take(&mut self.changes);
        changes.clear();
        changes.extend(presences.filter_map(|delta| KeyChange::of(&delta)));
        let (mut last_seq, mut edge_at_end) = (0, ALWAYS);
        let mut done = 0;
        for control in controls {
            match control {
                Control::Tick { instant, last_seq: seq, edge } => {
                    self.instant = self.instant.max(*instant);
                    (last_seq, edge_at_end) = (*seq, *edge);
                    if *edge != ALWAYS {
                        self.limit_history();
                    }
                }
                Control::Fence { seq, edge, fence, edit } => {
                    // What ended before the edge is final as it was at this record: first what came before.
                    done += self.apply_before(*seq, &mut changes[done..], &mut emit);
                    self.settle(*fence, *edge);
                    self.book.apply(*fence, edit);
                    if let Edit::Upsert(upsert) = edit {
                        let absence_ms = upsert.settings.max_absence_ms.unwrap_or(0);
                        self.longest_absence_ms = self.longest_absence_ms.max(absence_ms);
                    }
                    done += self.apply_before(seq + 1, &mut changes[done..], &mut emit);
                    self.reconsider(*fence, Why { cause: edit.cause(), seq: *seq }, &mut emit);
                }
                Control::Settings { seq, edge, settings } => {
                    done += self.apply_before(*seq, &mut changes[done..], &mut emit);
                    let fences = 0..self.stays.len() as FenceKey;
                    fences.clone().for_each(|fence| self.settle(fence, *edge));
                    self.settings = (**settings).clone();
                    self.longest_absence_ms = self.longest_absence_ms.max(settings.max_absence_ms);
                    done += self.apply_before(seq + 1, &mut changes[done..], &mut emit);
                    let why = Why { cause: Cause::Settings, seq: *seq };
                    fences.for_each(|fence| self.reconsider(fence, why, &mut emit));
                }
            }
        }
        self.apply_changes(&mut changes[done..], &mut emit);
        self.changes = changes;
        self.fire_timers(last_seq, &mut emit);
        if edge_at_end != ALWAYS {
            self.forget_old(edge_at_end.saturating_sub(self.longest_absence_ms));
        }
    }

    /// Applies the changes that came of records before one; tells how many those are.
    fn apply_before(&mut self, seq: u64, changes: &mut [KeyChange], emit: &mut impl FnMut(Judged)) -> usize {
        let count = changes.partition_point(|change| change.why.seq < seq);
        self.apply_changes(&mut changes[..count], emit);
        count
    }

    fn apply_changes(&mut self, changes: &mut [KeyChange], emit: &mut impl FnMut(Judged)) {
        changes.sort_unstable();
        for of_key in changes.chunk_by(|a, b| (a.fence, a.vehicle) == (b.fence, b.vehicle)) {
            self.apply_key(of_key, emit);
        }
    }

    fn apply_key(&mut self, changes: &[KeyChange], emit: &mut impl FnMut(Judged)) {
        let KeyChange { fence, vehicle, .. } = changes[0];
        net_changes(changes, &mut self.of_key);
        if self.of_key.is_empty() {
            return;
        }
        let why = changes.iter().skip(1).fold(changes[0].why, |why, change| why.stronger(change.why));
        let rules = FenceRules { book: &self.book, defaults: &self.settings, fence };
        if self.stays.len() <= fence as usize {
            self.stays.resize_with(fence as usize + 1, FxHashMap::default);
        }
        let of_fence = &mut self.stays[fence as usize];
        let stays = of_fence.entry(vehicle).or_default();
        let waiting = &mut self.waiting;
        stays.apply(
            &self.of_key,
            self.instant,
            &rules,
            |judged, diff| emit(Judged::of(fence, vehicle, judged, diff, why)),
            |arrived, due| waiting.entry(due).or_default().push((fence, vehicle, arrived)),
        );
        if stays.is_empty() {
            of_fence.remove(&vehicle);
        }
        if self.is_limited {
            for change in self.of_key.iter().filter(|change| change.diff > 0 && change.exited != NEVER) {
                let group = change.exited.div_euclid(FORGET_EVERY_MS);
                self.ended.entry(group).or_default().push((fence, vehicle));
            }
        }
    }

    fn reconsider(&mut self, fence: FenceKey, why: Why, emit: &mut impl FnMut(Judged)) {
        let rules = FenceRules { book: &self.book, defaults: &self.settings, fence };
        let Some(of_fence) = self.stays.get_mut(fence as usize) else { return };
        let waiting = &mut self.waiting;
        for (&vehicle, stays) in of_fence {
            stays.reconsider(
                self.instant,
                &rules,
                |judged, diff| emit(Judged::of(fence, vehicle, judged, diff, why)),
                |arrived, due| waiting.entry(due).or_default().push((fence, vehicle, arrived)),
            );
        }
    }

    /// What the instant alone makes a visit is nothing out of the ordinary.
    fn fire_timers(&mut self, last_seq: u64, emit: &mut impl FnMut(Judged)) {
        let why = Why::first(last_seq);
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > self.instant {
                return;
            }
            for (fence, vehicle, arrived) in first.remove() {
                let rules = FenceRules { book: &self.book, defaults: &self.settings, fence };
                let Some(stays) = self.stays.get_mut(fence as usize).and_then(|f| f.get_mut(&vehicle)) else {
                    continue;
                };
                stays.ripen(arrived, self.instant, &rules, |judged, diff| {
                    emit(Judged::of(fence, vehicle, judged, diff, why));
                });
            }
        }
    }

    /// A correction of a fence makes its stays final that ended before the edge.
    fn settle(&mut self, fence: FenceKey, edge: i64) {
        if edge == ALWAYS {
            return;
        }
        if let Some(of_fence) = self.stays.get_mut(fence as usize) {
            of_fence.values_mut().for_each(|stays| stays.settle(edge));
            of_fence.retain(|_, stays| !stays.is_empty());
        }
    }

    /// Forgets the stays that ended so long ago that nothing can join them any more.
    fn forget_old(&mut self, before: i64) {
        while let Some(first) = self.ended.first_entry() {
            if (first.key() + 1) * FORGET_EVERY_MS > before {
                return;
            }
            for (fence, vehicle) in first.remove() {
                let Some(of_fence) = self.stays.get_mut(fence as usize) else { continue };
                let Some(stays) = of_fence.get_mut(&vehicle) else { continue };
                stays.forget_before(before);
                if stays.is_empty() {
                    of_fence.remove(&vehicle);
                    of_fence.shrink_to(of_fence.len() * 2);
                }
            }
        }
    }

    /// From now on history is limited: what is known already is looked at when the edge has passed it.
    fn limit_history(&mut self) {
        if !self.is_limited {
            self.is_limited = true;
            let group = self.instant.div_euclid(FORGET_EVERY_MS);
            let keys = (0..).zip(&self.stays).flat_map(|(fence, of)| of.keys().map(move |&v| (fence, v)));
            self.ended.entry(group).or_default().extend(keys);
        }
    }
}

/// What is left of one key's changes after those that cancel, by `entered`, -1 before +1.
fn net_changes(changes: &[KeyChange], net: &mut Vec<PieceChange>) {
    net.clear();
    net.extend(changes.iter().map(|change| change.piece));
    net.sort_unstable_by_key(|piece| (piece.entered, piece.exited));
    let mut kept = 0;
    let mut start = 0;
    while start < net.len() {
        let first = net[start];
        let same = net[start..].iter().take_while(|p| (p.entered, p.exited) == (first.entered, first.exited));
        let (count, sum) = same.fold((0, 0_i32), |(count, sum), p| (count + 1, sum + i32::from(p.diff)));
        debug_assert!(sum.abs() <= 1, "a presence comes and goes once");
        if sum != 0 {
            net[kept] = PieceChange { diff: sum.signum() as i8, ..first };
            kept += 1;
        }
        start += count;
    }
    net.truncate(kept);
    net.sort_unstable();
}

/// Rows that came and went, each with the reason.
type Rows<'scope, R> = VecCollection<'scope, u64, (R, Why), isize>;

/// The visits operator: presence rows and controls in, visit rows out, and the stays that they are chosen from.
pub fn visits<'scope>(
    presences: Rows<'scope, Derived>,
    controls: StreamVec<'scope, u64, Control>,
    settings: GraphSettings,
    states: &States,
) -> (Rows<'scope, Derived>, Rows<'scope, StayFacts>) {
    let work = states.add("Visits", VisitsWork::new(settings));
    let judged =
        each_tick("Visits", presences.inner, Pipeline, controls, move |tick, controls, presences, emit| {
            work.borrow_mut().tick(controls, deltas(presences), |judged| emit((judged, tick)));
        });
    let visits = judged.clone().flat_map(|(judged, tick)| match judged {
        Judged::Visit(Delta { row, diff, why }) => Some(((row, why), tick, isize::from(diff))),
        Judged::Stay(_) => None,
    });
    let stays = judged.flat_map(|(judged, tick)| match judged {
        Judged::Stay(Delta { row, diff, why }) => Some(((row, why), tick, isize::from(diff))),
        Judged::Visit(_) => None,
    });
    (visits.as_collection(), stays.as_collection())
}
