//! The operators that count, and those that show.

use differential_dataflow::{AsCollection, VecCollection};
use model::{Cause, GraphSettings, Why};
use serde::{Deserialize, Serialize};
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::{Exchange, Pipeline};
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::Map;

use super::board::{Board, KpiFacts};
use super::gather::{DueAlert, Gather};
use super::parts::{BUCKET_MS, Part, SliceKey, consolidate};
use super::present::{Newests, Present};
use super::steps::{StepBuckets, StepSums};
use super::trucks::Trucks;
use crate::alerts::AlertFacts;
use crate::presence::{Step, Tracks};
use crate::rows::{Delta, Derived};
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

/// What it gives.
#[derive(Clone)]
enum Counted {
    Share(Share),
    Row(Delta<KpiFacts>, u64),
}

/// What a worker adds to a slice that is not its own.
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
    trucks: Trucks,
    newests: Newests,
    /// What steps of this tick add up to.
    fleet: StepBuckets<BUCKET_MS>,
    instant: i64,
    /// The last mark of the present.
    present: Option<i64>,
    /// Vehicle numbers are spread over workers by remainder.
    peers: u32,
    remainder: u32,
}

impl CountWork {
    /// The state of worker `index` of `peers`.
    fn new(settings: &GraphSettings, index: usize, peers: usize) -> CountWork {
        CountWork {
            gather: Gather::new(peers),
            trucks: Trucks::new(settings, index, peers),
            newests: Newests::default(),
            fleet: StepBuckets::default(),
            instant: 0,
            present: None,
            peers: peers as u32,
            remainder: index as u32,
        }
    }

    fn tick(
        &mut self,
        tick: u64,
        controls: &[TripControl],
        facts: &[Fact],
        tracks: &Tracks,
        emit: &mut dyn FnMut(Counted),
    ) {
        let last_seq = self.apply(controls);
        let mut why_of_steps: Option<Why> = None;
        tracks.for_each_step(|step| {
            self.step(step);
            why_of_steps = Some(why_of_steps.map_or(step.why, |why| why.stronger(step.why)));
        });
        if let Some(why) = why_of_steps {
            let share = |bucket: i64, sums: &StepSums| Counted::Share(Share::Steps(bucket, *sums, why));
            self.fleet.take_before(i64::MAX, |bucket, sums| emit(share(bucket, sums)));
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
        for part in gather.parts.drain(..) {
            match part.slice {
                SliceKey::Truck(vehicle) => self.trucks.add(vehicle, &part),
                _ => emit(Counted::Share(Share::Part(part))),
            }
        }
        let mark = Present::mark(self.instant);
        if self.present.is_none_or(|last| last < mark) {
            self.present = Some(mark);
            let here = (self.peers, self.remainder);
            let present = self.newests.at(mark, &self.gather.trucks, tracks, here);
            emit(Counted::Share(Share::Present(present)));
        }
        self.trucks.show(self.instant, last_seq, |delta| emit(Counted::Row(delta, tick)));
    }

    /// Takes in the controls of a tick; tells its last record.
    fn apply(&mut self, controls: &[TripControl]) -> u64 {
        let mut last_seq = 0;
        let gather = &mut self.gather;
        for control in controls {
            match control {
                TripControl::Tick { instant, last_seq: seq, .. } => {
                    self.instant = self.instant.max(*instant);
                    last_seq = *seq;
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
                TripControl::Settings { seq, settings, is_first, .. } => {
                    let why = Why { cause: Cause::Settings, seq: *seq };
                    self.trucks.change_settings(settings, *is_first, why);
                }
                TripControl::Vehicle { .. } | TripControl::Plan { .. } | TripControl::Status { .. } => {}
            }
        }
        last_seq
    }

    /// A step came or went.
    #[inline]
    fn step(&mut self, step: &Step) {
        self.gather.step(step);
        self.trucks.step(step);
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
    let counted = count(facts, controls.clone(), tracks, settings);
    let of_trucks = counted.clone().flat_map(|counted| match counted {
        Counted::Row(delta, tick) => Some(((delta.row, delta.why), tick, isize::from(delta.diff))),
        Counted::Share(_) => None,
    });
    let shares = counted.flat_map(|counted| match counted {
        Counted::Share(share) => Some(share),
        Counted::Row(..) => None,
    });
    show(shares, controls, settings).concat(of_trucks).as_collection()
}

/// Counts what happened on a worker, and shows its trucks.
fn count<'scope>(
    facts: StreamVec<'scope, u64, Fact>,
    controls: StreamVec<'scope, u64, TripControl>,
    tracks: Tracks,
    settings: &GraphSettings,
) -> StreamVec<'scope, u64, Counted> {
    let (index, peers) = (controls.scope().index(), controls.scope().peers());
    let mut work = CountWork::new(settings, index, peers);
    each_tick("KpiCounts", facts, Pipeline, controls, move |tick, controls, facts, emit| {
        work.tick(tick, controls, &facts, &tracks, emit);
    })
}

/// Shows fleet, clients and locations, each on one worker.
fn show<'scope>(
    shares: StreamVec<'scope, u64, Share>,
    controls: StreamVec<'scope, u64, TripControl>,
    settings: &GraphSettings,
) -> StreamVec<'scope, u64, ((KpiFacts, Why), u64, isize)> {
    let mut board = Board::new(settings);
    let mut instant = 0;
    let by_slice = Exchange::new(Share::route);
    each_tick("KpiRows", shares, by_slice, controls, move |tick, controls, shares, emit| {
        let mut last_seq = 0;
        for control in controls {
            match control {
                TripControl::Tick { instant: of_tick, last_seq: seq, .. } => {
                    instant = instant.max(*of_tick);
                    last_seq = *seq;
                }
                TripControl::Settings { seq, settings, is_first, .. } => {
                    let why = Why { cause: Cause::Settings, seq: *seq };
                    board.change_settings(settings, *is_first, why);
                }
                _ => {}
            }
        }
        let mut present: Option<Present> = None;
        for share in &shares {
            match share {
                Share::Part(part) => board.add_part(part),
                Share::Steps(bucket, sums, why) => board.add_steps(*bucket, sums, *why),
                Share::Present(of_worker) => present.get_or_insert_default().add(of_worker),
            }
        }
        present.iter().for_each(|present| board.set_present(present));
        board.show(instant, last_seq, |Delta { row, diff, why }| emit(((row, why), tick, isize::from(diff))));
    })
}
