//! The operator that counts, and those that show.

use differential_dataflow::{AsCollection, VecCollection};
use model::{Cause, GraphSettings, Why};
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::vec::Map;
use timely::dataflow::operators::{Concat, OkErr};

use super::board::{At, Board, KpiFacts};
use super::gather::{DueAlert, Gather};
use super::parts::{BUCKET_MS, Part, SliceKey, consolidate};
use super::present::{Newests, Present};
use super::steps::{StepBuckets, StepSums};
use super::trucks::Trucks;
use crate::alerts::AlertFacts;
use crate::presence::{Step, Tracks, VehicleKey};
use crate::rows::{Delta, Derived};
use crate::state::{States, state};
use crate::ticks::each_tick;
use crate::trips::{AutoTrip, TripControl, TripOut, Trips};

/// What the counting operator is given.
#[derive(Clone)]
enum Fact {
    Visit(Delta),
    Trip(Box<Delta<TripOut>>),
    AutoTrip(Delta<AutoTrip>),
    Alert(Delta<DueAlert>),
}

/// What a worker adds to a slice.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Share {
    Part(Part),
    /// Of the fleet, in the bucket that begins then.
    Steps(i64, StepSums, Why),
    /// Of the fleet, at the mark.
    Present(Present),
}

impl Share {
    /// All shares of a slice go to one worker.
    fn route(&self) -> u64 {
        match self {
            Share::Part(part) => match part.slice {
                SliceKey::Fleet => 0,
                SliceKey::Client(key) | SliceKey::Location(key) | SliceKey::Truck(key) => u64::from(key),
            },
            Share::Steps(..) | Share::Present(_) => 0,
        }
    }
}

/// The counting state of one worker: a pure state machine.
struct CountWork {
    gather: Gather,
    newests: Newests,
    /// What steps of this tick add up to.
    fleet: StepBuckets<BUCKET_MS>,
    instant: i64,
    is_last: bool,
    /// The last mark of the present.
    present: Option<i64>,
    /// Vehicle numbers are spread over workers by remainder.
    peers: u32,
    remainder: u32,
}

state!(CountWork { gather, newests, fleet, instant, is_last, present } each {} without { peers, remainder });

impl CountWork {
    /// The state of worker `index` of `peers`.
    fn new(index: usize, peers: usize) -> CountWork {
        CountWork {
            gather: Gather::new(peers),
            newests: Newests::default(),
            fleet: StepBuckets::default(),
            instant: 0,
            is_last: false,
            present: None,
            peers: peers as u32,
            remainder: index as u32,
        }
    }

    fn tick(
        &mut self,
        controls: &[TripControl],
        facts: &[Fact],
        tracks: &Tracks,
        emit: &mut dyn FnMut(Share),
    ) {
        self.apply(controls);
        let mut why_of_steps: Option<Why> = None;
        tracks.for_each_step(|step| {
            self.step(step);
            why_of_steps = Some(why_of_steps.map_or(step.why, |why| why.stronger(step.why)));
        });
        if let Some(why) = why_of_steps {
            self.fleet.take_before(i64::MAX, |bucket, sums| emit(Share::Steps(bucket, *sums, why)));
        }
        let gather = &mut self.gather;
        for fact in facts {
            match fact {
                Fact::Visit(delta) => {
                    if let Derived::Visit { vehicle, fence, visit } = delta.row {
                        gather.visit(vehicle, fence, &visit, delta.diff, delta.why);
                    }
                }
                Fact::Trip(delta) => gather.trip(&delta.row.detail, delta.diff, delta.why),
                Fact::AutoTrip(delta) => gather.auto_trip(&delta.row, delta.diff, delta.why),
                Fact::Alert(delta) => gather.alert(&delta.row, delta.diff, delta.why),
            }
        }
        gather.count_periods();
        consolidate(&mut gather.parts);
        gather.parts.drain(..).for_each(|part| emit(Share::Part(part)));
        let mark = Present::mark(self.instant);
        if self.present.is_none_or(|last| last < mark || self.is_last) {
            self.present = Some(mark);
            let here = (self.peers, self.remainder);
            let present = self.newests.at(mark, &self.gather.trucks, tracks, here);
            emit(Share::Present(present));
        }
    }

    /// Takes in the controls of a tick.
    fn apply(&mut self, controls: &[TripControl]) {
        let gather = &mut self.gather;
        for control in controls {
            match control {
                TripControl::Tick { instant, is_last, .. } => {
                    (self.instant, self.is_last) = (self.instant.max(*instant), *is_last);
                }
                TripControl::Location { seq, location, fence, .. } => {
                    let fence = fence.as_ref().map(|fence| fence.as_ref().map(|place| place.key));
                    gather.locate(location.key, fence, Why::first(*seq));
                }
                // Each worker counts its own.
                TripControl::Vehicle { seq, instant, vehicle, is_operational }
                    if vehicle % self.peers == self.remainder =>
                {
                    gather.vehicle(*vehicle, *instant, *is_operational, Why::first(*seq));
                }
                _ => {}
            }
        }
    }

    /// A step came or went.
    #[inline]
    fn step(&mut self, step: &Step) {
        self.gather.step(step);
        self.newests.step((step.vehicle / self.peers) as usize, step);
        self.fleet.add(step);
    }
}

/// The KPI operators: visits, trips, alerts, controls and steps in, rows out, each with the reason of its change.
pub fn kpis<'scope>(
    visits: VecCollection<'scope, u64, (Derived, Why), isize>,
    trips: Trips<'scope>,
    alerts: VecCollection<'scope, u64, (AlertFacts, Why), isize>,
    controls: StreamVec<'scope, u64, TripControl>,
    tracks: Tracks,
    settings: &GraphSettings,
    states: &States,
) -> VecCollection<'scope, u64, (KpiFacts, Why), isize> {
    tracks.tell_all_steps();
    let of_visit = |((row, why), _, diff): ((Derived, Why), u64, isize)| {
        Fact::Visit(Delta { row, diff: diff as i8, why })
    };
    let of_trip = |((row, why), _, diff): ((TripOut, Why), u64, isize)| {
        Fact::Trip(Delta { row, diff: diff as i8, why }.into())
    };
    let of_auto_trip = |((row, why), _, diff): ((AutoTrip, Why), u64, isize)| {
        Fact::AutoTrip(Delta { row, diff: diff as i8, why })
    };
    let of_alert = |((row, why), _, diff): ((AlertFacts, Why), u64, isize)| {
        Fact::Alert(Delta { row: row.into(), diff: diff as i8, why })
    };
    let facts = visits.inner.map(of_visit).concat(trips.planned.inner.map(of_trip));
    let facts = facts.concat(trips.auto.inner.map(of_auto_trip)).concat(alerts.inner.map(of_alert));
    let shares = count(facts, controls.clone(), tracks.clone(), states);
    let (of_trucks, shares) = shares.ok_err(|share| match share {
        Share::Part(part @ Part { slice: SliceKey::Truck(vehicle), .. }) => Ok((vehicle, part)),
        share => Err(share),
    });
    let trucks = show_trucks(of_trucks, controls.clone(), tracks, settings, states);
    show(shares, controls, settings, states).concat(trucks).as_collection()
}

/// Counts what happened on a worker.
fn count<'scope>(
    facts: StreamVec<'scope, u64, Fact>,
    controls: StreamVec<'scope, u64, TripControl>,
    tracks: Tracks,
    states: &States,
) -> StreamVec<'scope, u64, Share> {
    let (index, peers) = (controls.scope().index(), controls.scope().peers());
    let work = states.add("KpiCounts", CountWork::new(index, peers));
    each_tick("KpiCounts", facts, Pipeline, controls, move |_, controls, facts, emit| {
        work.borrow_mut().tick(controls, &facts, &tracks, emit);
    })
}

/// Takes in what the controls of a tick say of settings. Gives what it says of itself.
fn obey(controls: &[TripControl], mut change_settings: impl FnMut(&GraphSettings, bool, Why)) -> Option<At> {
    let mut of_tick = None;
    for control in controls {
        match control {
            TripControl::Tick { instant, last_seq, is_last, .. } => {
                of_tick = Some(At { instant: *instant, last_seq: *last_seq, is_last: *is_last });
            }
            TripControl::Settings { seq, settings, is_first, .. } => {
                change_settings(settings, *is_first, Why { cause: Cause::Settings, seq: *seq });
            }
            _ => {}
        }
    }
    of_tick
}

/// Shows the trucks of a worker.
fn show_trucks<'scope>(
    parts: StreamVec<'scope, u64, (VehicleKey, Part)>,
    controls: StreamVec<'scope, u64, TripControl>,
    tracks: Tracks,
    settings: &GraphSettings,
    states: &States,
) -> StreamVec<'scope, u64, ((KpiFacts, Why), u64, isize)> {
    let (index, peers) = (controls.scope().index(), controls.scope().peers());
    let trucks = states.add("KpiTrucks", Trucks::new(settings, index, peers));
    each_tick("KpiTrucks", parts, Pipeline, controls, move |tick, controls, parts, emit| {
        let mut trucks = trucks.borrow_mut();
        let of_tick =
            obey(controls, |settings, is_first, why| trucks.change_settings(settings, is_first, why));
        tracks.for_each_step(|step| trucks.step(step));
        parts.iter().for_each(|(vehicle, part)| trucks.add(*vehicle, part));
        if let Some(at) = of_tick {
            trucks.show(at, |Delta { row, diff, why }| {
                emit(((row, why), tick, isize::from(diff)));
            });
        }
    })
}

/// Shows fleet, clients and locations, each on one worker.
fn show<'scope>(
    shares: StreamVec<'scope, u64, Share>,
    controls: StreamVec<'scope, u64, TripControl>,
    settings: &GraphSettings,
    states: &States,
) -> StreamVec<'scope, u64, ((KpiFacts, Why), u64, isize)> {
    let board = states.add("KpiRows", Board::new(settings));
    let by_slice = Exchange::new(Share::route);
    each_tick("KpiRows", shares, by_slice, controls, move |tick, controls, shares, emit| {
        let mut board = board.borrow_mut();
        let of_tick =
            obey(controls, |settings, is_first, why| board.change_settings(settings, is_first, why));
        let mut present: Option<Present> = None;
        for share in &shares {
            match share {
                Share::Part(part) => board.add_part(part),
                Share::Steps(bucket, sums, why) => board.add_steps(*bucket, sums, *why),
                Share::Present(of_worker) => present.get_or_insert_default().add(of_worker),
            }
        }
        present.iter().for_each(|present| board.set_present(present));
        if let Some(at) = of_tick {
            board.show(at, |Delta { row, diff, why }| {
                emit(((row, why), tick, isize::from(diff)));
            });
        }
    })
}
