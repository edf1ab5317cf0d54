//! The state of one worker, and the operator that drives it.

use std::collections::{BTreeMap, BTreeSet};

use differential_dataflow::VecCollection;
use model::{TripPhase, Why};
use rustc_hash::FxHashMap;
use timely::dataflow::StreamVec;
use timely::dataflow::channels::pact::Pipeline;
use timely::dataflow::operators::Concat;
use timely::dataflow::operators::vec::{Broadcast, Map};

use super::HOP_MS;
use super::history::{History, Places, Quantiles, Took};
use super::pace::Pace;
use crate::fences::{ALWAYS, FenceKey};
use crate::presence::{Tracks, VehicleKey};
use crate::rows::{Delta, Keyed};
use crate::spatial::leg_mm;
use crate::state::{States, state};
use crate::ticks::rows_each_tick;
use crate::trips::{AutoTrip, TripControl, TripKey, TripOut, Trips};

/// Speed is that of so long.
const SPEED_OF_MS: i64 = 30 * 60_000;
/// Who moved for less has no speed.
const MIN_MOVING_MS: i64 = 60_000;
/// 30 km/h, in millimetres in so many milliseconds.
const USUAL_SPEED: (i64, i64) = (25, 3);

/// An ETA inside the graph. Times are ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub struct EtaFacts {
    pub trip: TripKey,
    pub eta: i64,
    pub eta_low: i64,
    pub eta_high: i64,
}

impl Keyed for EtaFacts {
    type Key = TripKey;

    fn key(&self) -> TripKey {
        self.trip
    }
}

/// What the operator is given.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
enum Fact {
    /// A trip of this worker is in transit, or is not any more.
    InTransit { trip: TripKey, transit: Transit, diff: i8, why: Why },
    /// A trip of any worker arrived, or it turns out that it did not.
    Arrived { places: Places, took: Took, diff: i8, why: Why },
}

/// A trip that has departed, and not arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Transit {
    vehicle: VehicleKey,
    places: Places,
    /// Where its delivery is.
    to: Option<FenceKey>,
    departure: i64,
}

/// A trip that is, or was, in transit.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Known {
    transit: Option<Transit>,
    row: Option<EtaFacts>,
    /// The vehicle on whose fixes the row depends, if it does on any.
    on_road: Option<VehicleKey>,
}

/// A vehicle whose trip's row depends on its fixes.
#[derive(serde::Serialize, serde::Deserialize)]
struct OnRoad {
    trip: TripKey,
    pace: Pace,
}

/// Why rows are computed anew.
#[derive(Default)]
struct Changed(BTreeMap<TripKey, Why>);

impl Changed {
    fn note(&mut self, trip: TripKey, why: Why) {
        let known = self.0.entry(trip).or_insert(why);
        *known = known.stronger(why);
    }
}

/// The ETA state of one worker: a pure state machine.
struct EtaWork {
    tracks: Tracks,
    history: History,
    trips: BTreeMap<TripKey, Known>,
    by_places: FxHashMap<Places, BTreeSet<TripKey>>,
    /// Vehicles whose trip's row depends on fixes and fences.
    by_road: FxHashMap<VehicleKey, OnRoad>,
    mark: i64,
    /// That of Reach: older fixes may be forgotten.
    edge: i64,
}

state!(EtaWork { history, trips, by_places, by_road, mark, edge } each {} without { tracks });

impl EtaWork {
    fn new(tracks: Tracks) -> EtaWork {
        EtaWork {
            tracks,
            history: History::default(),
            trips: BTreeMap::new(),
            by_places: FxHashMap::default(),
            by_road: FxHashMap::default(),
            mark: ALWAYS,
            edge: ALWAYS,
        }
    }

    fn tick(&mut self, controls: &[TripControl], facts: Vec<Fact>, emit: &mut dyn FnMut(Delta<EtaFacts>)) {
        let mut changed = Changed::default();
        for control in controls {
            if let TripControl::Tick { instant, last_seq, edge, .. } = control {
                let has_edge_moved = std::mem::replace(&mut self.edge, *edge) != *edge;
                if has_edge_moved && *edge > self.mark.saturating_sub(SPEED_OF_MS) {
                    self.by_road.values().for_each(|on| changed.note(on.trip, Why::first(*last_seq)));
                }
                let mark = instant.div_euclid(HOP_MS) * HOP_MS;
                if mark > self.mark {
                    self.mark = mark;
                    self.trips.keys().for_each(|&trip| changed.note(trip, Why::first(*last_seq)));
                }
            }
        }
        for fact in facts {
            match fact {
                Fact::InTransit { trip, transit, diff, why } => {
                    self.note_transit(trip, transit, diff);
                    changed.note(trip, why);
                }
                Fact::Arrived { places, took, diff, why } => {
                    self.history.note(places, took, diff);
                    self.by_places
                        .get(&places)
                        .into_iter()
                        .flatten()
                        .for_each(|&trip| changed.note(trip, why));
                }
            }
        }
        if !self.by_road.is_empty() {
            self.tracks.for_each_step(|step| {
                if let Some(on) = self.by_road.get_mut(&step.vehicle) {
                    on.pace.step(step);
                    if step.to.time < self.mark {
                        changed.note(on.trip, step.why);
                    }
                }
            });
            if let Some(why) = self.tracks.fences_edited() {
                self.by_road.values().for_each(|on| changed.note(on.trip, why));
            }
        }
        for (trip, why) in changed.0 {
            self.show(trip, why, emit);
        }
    }

    fn note_transit(&mut self, trip: TripKey, transit: Transit, diff: i8) {
        let known = self.trips.entry(trip).or_default();
        let of_places = self.by_places.entry(transit.places).or_default();
        if diff > 0 {
            known.transit = Some(transit);
            of_places.insert(trip);
        } else if known.transit == Some(transit) {
            known.transit = None;
            of_places.remove(&trip);
        }
        if of_places.is_empty() {
            self.by_places.remove(&transit.places);
        }
    }

    /// Brings the row of a trip up to date.
    fn show(&mut self, trip: TripKey, why: Why, emit: &mut dyn FnMut(Delta<EtaFacts>)) {
        let Some(known) = self.trips.get(&trip) else { return };
        let (transit, was_on_road) = (known.transit, known.on_road);
        let (row, on_road) = transit.map_or((None, None), |transit| self.row(trip, &transit));
        if let Some(vehicle) = was_on_road.filter(|_| on_road != was_on_road)
            && self.by_road.get(&vehicle).is_some_and(|on| on.trip == trip)
        {
            self.by_road.remove(&vehicle);
        }
        let Some(known) = self.trips.get_mut(&trip) else { return };
        known.on_road = on_road;
        let before = std::mem::replace(&mut known.row, row);
        if transit.is_none() {
            self.trips.remove(&trip);
        }
        if before == row {
            return;
        }
        for (row, diff) in [(before, -1), (row, 1)] {
            row.into_iter().for_each(|row| emit(Delta { row, diff, why }));
        }
    }

    /// The row of a trip in transit, and the vehicle on whose fixes it depends.
    fn row(&mut self, trip: TripKey, transit: &Transit) -> (Option<EtaFacts>, Option<VehicleKey>) {
        let Transit { vehicle, places, to, departure } = *transit;
        let now = self.mark.max(departure);
        let by_history = self.history.left_ms(places, departure, now - departure, self.mark);
        let on_road = by_history.is_none().then_some(vehicle);
        let left_ms = by_history.or_else(|| self.left_by_road_ms(trip, vehicle, to?));
        let row = left_ms.map(|left_ms| {
            let [low, middle, high] = left_ms.map(|left_ms| now.saturating_add(left_ms));
            let rounded = |time: i64, up_ms: i64| time.saturating_add(up_ms).div_euclid(HOP_MS) * HOP_MS;
            EtaFacts {
                trip,
                eta: rounded(middle, HOP_MS / 2),
                eta_low: rounded(low, 0),
                eta_high: rounded(high, HOP_MS - 1),
            }
        });
        (row, on_road)
    }

    /// By how far it is in a straight line, and how fast the vehicle was of late while it moved. Roads are longer, and
    /// there are stops: the factors are those of simulated trucks and of real buses.
    fn left_by_road_ms(&mut self, trip: TripKey, vehicle: VehicleKey, to: FenceKey) -> Option<Quantiles> {
        let EtaWork { tracks, by_road, mark, edge, .. } = self;
        let since = mark.saturating_sub(SPEED_OF_MS).max(*edge);
        let pace_of = || OnRoad { trip, pace: Pace::of(vehicle, since, tracks) };
        let on = by_road.entry(vehicle).or_insert_with(pace_of);
        on.trip = trip;
        let (moved_mm, moved_ms) = on.pace.between(since, *mark);
        let to = tracks.middle_of(to, *mark)?;
        let last = tracks.last_good_before(vehicle, *mark)?;
        let (mm, ms) = if moved_ms >= MIN_MOVING_MS { (moved_mm, moved_ms) } else { USUAL_SPEED };
        let left_mm = leg_mm(last.at, to);
        let plain_ms = i64::try_from(i128::from(left_mm) * i128::from(ms) / i128::from(mm)).ok()?;
        Some([plain_ms * 3 / 5, plain_ms * 6 / 5, plain_ms * 7 / 2])
    }
}

impl Fact {
    /// What a row of a trip says of trips in transit.
    fn of_transit((TripOut { row, detail }, why): (TripOut, Why), diff: isize) -> Option<Fact> {
        let departure = row.times.actual_departure.filter(|_| row.phase == TripPhase::InTransit)?;
        let places = (detail.pickup, detail.delivery);
        let transit = Transit { vehicle: row.vehicle, places, to: detail.delivery_fence, departure };
        Some(Fact::InTransit { trip: row.trip, transit, diff: diff as i8, why })
    }

    /// What it says of how long trips took.
    fn of_arrival((TripOut { row, detail }, why): (TripOut, Why), diff: isize) -> Option<Fact> {
        Fact::arrived((detail.pickup, detail.delivery), row.times.on_the_road()?, diff, why)
    }

    /// What a trip that nobody planned says of it.
    fn of_auto_arrival((trip, why): (AutoTrip, Why), diff: isize) -> Option<Fact> {
        Fact::arrived((trip.pickup, trip.delivery), (trip.departure, trip.arrival), diff, why)
    }

    fn arrived(places: Places, (departure, arrival): (i64, i64), diff: isize, why: Why) -> Option<Fact> {
        let took = Took { arrival, took_ms: arrival - departure };
        (departure < arrival).then_some(Fact::Arrived { places, took, diff: diff as i8, why })
    }
}

/// The ETA operator: trip rows and controls in, ETAs out, each with the reason of its change.
pub fn etas<'scope>(
    trips: Trips<'scope>,
    controls: StreamVec<'scope, u64, TripControl>,
    tracks: Tracks,
    states: &States,
) -> VecCollection<'scope, u64, (EtaFacts, Why), isize> {
    tracks.tell_all_steps();
    let Trips { planned, auto } = trips;
    let transits = planned.clone().inner.flat_map(|(trip, _, diff)| Fact::of_transit(trip, diff));
    let arrivals = planned.inner.flat_map(|(trip, _, diff)| Fact::of_arrival(trip, diff));
    let auto_arrivals = auto.inner.flat_map(|(trip, _, diff)| Fact::of_auto_arrival(trip, diff));
    let arrivals = arrivals.concat(auto_arrivals).broadcast();
    let work = states.add("Etas", EtaWork::new(tracks));
    rows_each_tick("Etas", transits.concat(arrivals), Pipeline, controls, move |controls, facts, emit| {
        work.borrow_mut().tick(controls, facts, emit);
    })
}
