//! The state of one worker, and the operator that drives it.

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use model::GraphSettings;
use rustc_hash::FxHashMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::generic::operator::Operator;

use super::stays::{PieceChange, Rules, Stays};
use crate::control::Control;
use crate::fences::{FenceKey, NEVER, SettingsBook};
use crate::presence::VehicleKey;
use crate::rows::Derived;

/// The visits state of one worker: a pure state machine, for the operator and for benchmarks.
pub struct VisitsWork {
    settings: GraphSettings,
    book: SettingsBook,
    instant: i64,
    stays: FxHashMap<FenceKey, FxHashMap<VehicleKey, Stays>>,
    /// Open stays by the instant at which they become visits.
    waiting: BTreeMap<i64, Vec<(FenceKey, VehicleKey, i64)>>,
    changes: Vec<(FenceKey, VehicleKey, PieceChange)>,
    of_key: Vec<PieceChange>,
}

/// What came for a tick that the inputs have not passed yet.
type Waiting<C> = (C, Vec<(Derived, isize)>, Vec<Control>);

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
            settings,
            book: SettingsBook::default(),
            instant: 0,
            stays: FxHashMap::default(),
            waiting: BTreeMap::new(),
            changes: Vec::new(),
            of_key: Vec::new(),
        }
    }

    /// Works on one tick: presences that came and went, and every difference of visits to `emit`.
    pub fn tick(
        &mut self,
        controls: &[Control],
        presences: impl Iterator<Item = (Derived, isize)>,
        mut emit: impl FnMut(Derived, isize),
    ) {
        let mut edited: Vec<FenceKey> = Vec::new();
        let mut all_edited = false;
        for control in controls {
            match control {
                Control::Instant(instant) => self.instant = self.instant.max(*instant),
                Control::Fence(fence, edit) => {
                    self.book.apply(*fence, edit);
                    edited.push(*fence);
                }
                Control::Settings(settings) => {
                    self.settings = (**settings).clone();
                    all_edited = true;
                }
            }
        }
        self.apply_presences(presences, &mut emit);
        if all_edited {
            edited = self.stays.keys().copied().collect();
        }
        edited.sort_unstable();
        edited.dedup();
        for fence in edited {
            self.reconsider(fence, &mut emit);
        }
        self.fire_timers(&mut emit);
    }

    fn apply_presences(
        &mut self,
        presences: impl Iterator<Item = (Derived, isize)>,
        emit: &mut impl FnMut(Derived, isize),
    ) {
        self.changes.clear();
        for (row, diff) in presences {
            let Derived::Presence { vehicle, fence, entered, end } = row else { continue };
            let exited = end.map_or(NEVER, |(time, _)| time);
            self.changes.push((fence, vehicle, PieceChange { entered, diff: diff as i8, exited }));
        }
        self.changes.sort_unstable();
        let mut changes = std::mem::take(&mut self.changes);
        for key_changes in changes.chunk_by_mut(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let (fence, vehicle, _) = key_changes[0];
            self.apply_key(fence, vehicle, key_changes, emit);
        }
        changes.clear();
        self.changes = changes;
    }

    fn apply_key(
        &mut self,
        fence: FenceKey,
        vehicle: VehicleKey,
        changes: &mut [(FenceKey, VehicleKey, PieceChange)],
        emit: &mut impl FnMut(Derived, isize),
    ) {
        net_changes(changes, &mut self.of_key);
        if self.of_key.is_empty() {
            return;
        }
        let rules = FenceRules { book: &self.book, defaults: &self.settings, fence };
        let of_fence = self.stays.entry(fence).or_default();
        let stays = of_fence.entry(vehicle).or_default();
        let waiting = &mut self.waiting;
        stays.apply(
            &self.of_key,
            self.instant,
            &rules,
            |visit, diff| emit(Derived::Visit { vehicle, fence, visit }, isize::from(diff)),
            |arrived, due| waiting.entry(due).or_default().push((fence, vehicle, arrived)),
        );
        if stays.is_empty() {
            of_fence.remove(&vehicle);
        }
    }

    fn reconsider(&mut self, fence: FenceKey, emit: &mut impl FnMut(Derived, isize)) {
        let rules = FenceRules { book: &self.book, defaults: &self.settings, fence };
        let Some(of_fence) = self.stays.get_mut(&fence) else { return };
        let waiting = &mut self.waiting;
        for (&vehicle, stays) in of_fence {
            stays.reconsider(
                self.instant,
                &rules,
                |visit, diff| emit(Derived::Visit { vehicle, fence, visit }, isize::from(diff)),
                |arrived, due| waiting.entry(due).or_default().push((fence, vehicle, arrived)),
            );
        }
    }

    fn fire_timers(&mut self, emit: &mut impl FnMut(Derived, isize)) {
        while let Some(first) = self.waiting.first_entry() {
            if *first.key() > self.instant {
                return;
            }
            for (fence, vehicle, arrived) in first.remove() {
                let rules = FenceRules { book: &self.book, defaults: &self.settings, fence };
                let Some(stays) = self.stays.get_mut(&fence).and_then(|f| f.get_mut(&vehicle)) else {
                    continue;
                };
                stays.ripen(arrived, self.instant, &rules, |visit, diff| {
                    emit(Derived::Visit { vehicle, fence, visit }, isize::from(diff));
                });
            }
        }
    }
}

/// What is left of one key's changes after those that cancel, by `entered`, -1 before +1.
fn net_changes(changes: &mut [(FenceKey, VehicleKey, PieceChange)], net: &mut Vec<PieceChange>) {
    net.clear();
    changes.sort_unstable_by_key(|(_, _, c)| (c.entered, c.exited));
    for same in changes.chunk_by(|a, b| (a.2.entered, a.2.exited) == (b.2.entered, b.2.exited)) {
        let sum: i32 = same.iter().map(|(_, _, c)| i32::from(c.diff)).sum();
        debug_assert!(sum.abs() <= 1, "a presence comes and goes once");
        if sum != 0 {
            net.push(PieceChange { diff: sum.signum() as i8, ..same[0].2 });
        }
    }
    net.sort_unstable();
}

/// The visits operator: presence rows and controls in, visit rows out.
pub fn visits<'scope>(
    presences: VecCollection<'scope, u64, Derived, isize>,
    controls: StreamVec<'scope, u64, Control>,
    settings: GraphSettings,
) -> VecCollection<'scope, u64, Derived, isize> {
    presences
        .inner
        .binary_frontier(controls, Pipeline, Pipeline, "Visits", move |_capability, _info| {
            let mut work = VisitsWork::new(settings);
            let mut waiting: BTreeMap<u64, Waiting<_>> = BTreeMap::new();
            move |(presences, presence_frontier), (controls, control_frontier), output| {
                presences.for_each_time(|time, batches| {
                    let tick = *time.time();
                    let entry = waiting
                        .entry(tick)
                        .or_insert_with(|| (time.retain(output.output_index()), Vec::new(), Vec::new()));
                    for batch in batches {
                        entry.1.extend(batch.drain(..).map(|(row, _, diff)| (row, diff)));
                    }
                });
                controls.for_each_time(|time, batches| {
                    let tick = *time.time();
                    let entry = waiting
                        .entry(tick)
                        .or_insert_with(|| (time.retain(output.output_index()), Vec::new(), Vec::new()));
                    entry.2.extend(batches.flat_map(|batch| batch.drain(..)));
                });
                while let Some(first) = waiting.first_entry() {
                    let tick = *first.key();
                    if presence_frontier.less_equal(&tick) || control_frontier.less_equal(&tick) {
                        break;
                    }
                    let (capability, presences, controls) = first.remove();
                    let mut session = output.session(&capability);
                    work.tick(&controls, presences.into_iter(), |row, diff| {
                        session.give((row, tick, diff));
                    });
                }
            }
        })
        .as_collection()
}
