//! The state of one worker, and the operator that drives it.

use std::collections::BTreeMap;

use differential_dataflow::{AsCollection, VecCollection};
use model::GraphSettings;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::generic::operator::Operator;

use super::fix::FixIn;
use super::vehicle::{Output, Scratch, Vehicle};
use super::world::World;
use crate::control::Control;
use crate::rows::Derived;
use crate::spatial::Rect;

/// With more touched rectangles than this, all vehicles are judged anew without asking which are near.
const MAX_RECTS_TO_ASK: usize = 64;

/// The presence state of one worker: a pure state machine, for the operator and for benchmarks.
pub struct PresenceWork {
    world: World,
    vehicles: Vec<Vehicle>,
    /// Vehicle numbers are spread over workers by remainder; this worker keeps every `peers`-th.
    peers: u32,
    remainder: u32,
    scratch: Scratch,
    output: Output,
}

impl PresenceWork {
    /// The state of worker `index` of `peers`.
    #[must_use]
    pub fn new(settings: GraphSettings, index: usize, peers: usize) -> PresenceWork {
        PresenceWork {
            world: World::new(settings),
            vehicles: Vec::new(),
            peers: peers as u32,
            remainder: index as u32,
            scratch: Scratch::default(),
            output: Output::default(),
        }
    }

    /// Works on one tick and gives every difference of rows to `emit`.
    pub fn tick(
        &mut self,
        controls: &[Control],
        fixes: impl Iterator<Item = FixIn>,
        mut emit: impl FnMut(Derived, isize),
    ) {
        let mut ended = Vec::new();
        let mut touched: Vec<Rect> = Vec::new();
        let mut all_touched = false;
        for control in controls {
            match control {
                Control::Instant(instant) => ended.extend(self.world.advance(*instant)),
                Control::Fence(fence, edit) => self.world.edit(*fence, edit, &mut touched),
                Control::Settings(settings) => {
                    let world = &mut self.world;
                    all_touched |= world.settings.max_speed_kmh != settings.max_speed_kmh
                        || world.settings.exit_buffer_m != settings.exit_buffer_m;
                    world.settings = (**settings).clone();
                }
            }
        }
        if all_touched || !touched.is_empty() {
            all_touched |= touched.len() > MAX_RECTS_TO_ASK;
            self.recompute(|vehicle| all_touched || vehicle.may_meet(&touched));
        }
        for fix in fixes {
            debug_assert_eq!(fix.vehicle % self.peers, self.remainder);
            let place = (fix.vehicle / self.peers) as usize;
            if place >= self.vehicles.len() {
                self.vehicles.resize_with(place + 1, Vehicle::default);
            }
            self.vehicles[place].apply(&fix, &mut self.world, &mut self.scratch, &mut self.output);
        }
        if !ended.is_empty() {
            self.end_tails(&ended);
        }
        for (vehicle, interval, diff) in self.output.presences.drain(..) {
            emit(Derived::presence(vehicle, &interval), isize::from(diff));
        }
        for (vehicle, time, seq, reason, diff) in self.output.rejects.drain(..) {
            emit(Derived::Reject { seq, vehicle, time, reason }, isize::from(diff));
        }
    }

    /// How many fixes are kept.
    #[must_use]
    pub fn kept_fixes(&self) -> usize {
        self.vehicles.iter().map(Vehicle::fix_count).sum()
    }

    fn recompute(&mut self, concerned: impl Fn(&Vehicle) -> bool) {
        for (place, vehicle) in self.vehicles.iter_mut().enumerate() {
            if vehicle.fix_count() > 0 && concerned(vehicle) {
                let key = place as u32 * self.peers + self.remainder;
                vehicle.recompute(key, &mut self.world, &mut self.scratch, &mut self.output);
            }
        }
    }

    fn end_tails(&mut self, ended: &[u32]) {
        for (place, vehicle) in self.vehicles.iter_mut().enumerate() {
            let members = self.world.sets.members(vehicle.last_set());
            if members.iter().any(|fence| ended.contains(fence)) {
                let key = place as u32 * self.peers + self.remainder;
                vehicle.end_tail(key, &self.world, &mut self.scratch, &mut self.output);
            }
        }
    }
}

/// What came for a tick that the inputs have not passed yet.
type Waiting<C> = (C, Vec<Vec<FixIn>>, Vec<Control>);

/// The presence operator: fixes and controls in, presence and reject rows out.
pub fn presence<'scope>(
    fixes: StreamVec<'scope, u64, FixIn>,
    controls: StreamVec<'scope, u64, Control>,
    settings: GraphSettings,
) -> VecCollection<'scope, u64, Derived, isize> {
    let (index, peers) = (fixes.scope().index(), fixes.scope().peers());
    let by_vehicle = Exchange::new(move |fix: &FixIn| u64::from(fix.vehicle % peers as u32));
    fixes
        .binary_frontier(controls, by_vehicle, Pipeline, "Presence", move |_capability, _info| {
            let mut work = PresenceWork::new(settings, index, peers);
            let mut waiting: BTreeMap<u64, Waiting<_>> = BTreeMap::new();
            move |(fixes, fix_frontier), (controls, control_frontier), output| {
                fixes.for_each_time(|time, batches| {
                    let tick = *time.time();
                    let entry = waiting
                        .entry(tick)
                        .or_insert_with(|| (time.retain(output.output_index()), Vec::new(), Vec::new()));
                    entry.1.extend(batches.map(std::mem::take));
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
                    if fix_frontier.less_equal(&tick) || control_frontier.less_equal(&tick) {
                        break;
                    }
                    let (capability, fixes, controls) = first.remove();
                    let mut session = output.session(&capability);
                    work.tick(&controls, fixes.into_iter().flatten(), |row, diff| {
                        session.give((row, tick, diff));
                    });
                }
            }
        })
        .as_collection()
}
