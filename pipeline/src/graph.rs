//! The workers of the dataflow, and the ticks that they work on.
//!
//! Ticks are worked on in order; up to [`MAX_IN_FLIGHT`] are handed over before the first is closed, so
//! that decoding and the graph overlap. A tick is closed when every worker's probe has passed it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender};
use model::{
    AutoPlaces, Change, ClosedTick, CrossingRow, EtaRow, GraphSettings, PresenceRow, RejectRow, Row, Table,
    TimeMs, TripPhase, TripRow, TripStatus, VisitRow, Why,
};
use operators::etas::EtaFacts;
use operators::presence::FixIn;
use operators::trips::{AutoTrip, TripFacts};
use operators::{Control, Derived, net};
use timely::WorkerConfig;

use crate::alert_rows::alert_row;
use crate::dataflow::{Computes, Given};
use crate::intake::{Intake, TickInput};
use crate::kpi_rows;
use crate::names::{AllNames, Guards};
use crate::snapshots::{Draft, Snapshot, SnapshotError};
use crate::worker::{Bell, Done, Task, Work, run_worker};

/// With fewer fixes a vehicle in a tick they are left in the order in which they came.
const FIXES_A_VEHICLE: usize = 2;

/// How many ticks may be with the workers at once.
const MAX_IN_FLIGHT: usize = 8;

/// Why the graph stopped.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A worker is gone: a defect, told in the log by its panic.
    #[error("a worker of the graph stopped; the log says why, and the journal still has everything")]
    WorkerGone,
    /// The workers could not be started.
    #[error("the graph's workers could not be started: {0}")]
    Start(String),
}

/// What waits for the workers to close a tick.
struct Pending {
    rejects: Vec<RejectRow>,
    /// The tick, without the changes that the workers make of it.
    unchanged: ClosedTick,
}

/// A running graph.
pub(crate) struct Graph {
    tasks: Vec<Sender<Task>>,
    done: Receiver<Done>,
    /// What workers gave back for ticks that not all of them have closed, oldest first.
    given: Vec<VecDeque<Given>>,
    pending: VecDeque<Pending>,
    last_tick: u64,
    names: AllNames,
    broken: Arc<AtomicBool>,
    runner: Option<JoinHandle<()>>,
}

impl Graph {
    /// Starts `workers` workers for what `intake` will bring.
    pub fn start(
        intake: &Intake,
        settings: GraphSettings,
        workers: usize,
        computes: Computes,
    ) -> Result<Graph, GraphError> {
        let (done_tx, done) = crossbeam_channel::unbounded();
        let mut tasks = Vec::new();
        let mut inboxes = Vec::new();
        for _ in 0..workers.max(1) {
            let (tx, rx) = crossbeam_channel::bounded::<Task>(MAX_IN_FLIGHT);
            tasks.push(tx);
            inboxes.push(Some(rx));
        }
        let given = vec![VecDeque::new(); inboxes.len()];
        let inboxes = Arc::new(Mutex::new(inboxes));
        let broken = Arc::new(AtomicBool::new(false));
        let seen_broken = broken.clone();
        let config = timely::Config {
            communication: if workers <= 1 {
                timely::CommunicationConfig::Thread
            } else {
                timely::CommunicationConfig::Process(workers)
            },
            worker: WorkerConfig::default(),
        };
        let run = move || {
            let guards = timely::execute(config, move |worker| {
                let inbox = {
                    let mut inboxes = inboxes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    inboxes[worker.index()].take()
                };
                if let Some(inbox) = inbox {
                    let bell = Bell { done: done_tx.clone(), broken: seen_broken.clone() };
                    run_worker(worker, &settings, computes, &inbox, &bell);
                }
            });
            match guards {
                Ok(guards) => drop(guards),
                Err(error) => tracing::error!(%error, "the graph's workers could not be started"),
            }
        };
        let runner = std::thread::Builder::new()
            .name("graph".to_owned())
            .spawn(run)
            .map_err(|error| GraphError::Start(error.to_string()))?;
        Ok(Graph {
            tasks,
            done,
            given,
            pending: VecDeque::new(),
            last_tick: 0,
            names: intake.names(),
            broken,
            runner: Some(runner),
        })
    }

    /// Ticks that are not closed yet.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending.len()
    }

    /// The last tick that was handed over.
    #[must_use]
    pub fn last_tick(&self) -> u64 {
        self.last_tick
    }

    /// Whether another tick can be handed over without waiting.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.pending.len() < MAX_IN_FLIGHT
    }

    /// Hands a tick over; `tick` numbers go up. Call only when there is room.
    pub fn submit(&mut self, tick: u64, input: TickInput) -> Result<(), GraphError> {
        debug_assert!(tick > self.last_tick && self.has_room());
        self.last_tick = tick;
        let TickInput { fixes, controls, trip_controls, alert_controls, rejects, .. } = input;
        let unchanged = ClosedTick {
            tick,
            instant: input.instant,
            records: input.records,
            changes: Vec::new(),
            fixes: input.view_fixes,
            fence_edits: input.fence_edits,
            trip_records: input.trip_records,
            location_records: input.location_records,
            entity_records: input.entity_records,
        };
        self.pending.push_back(Pending { rejects, unchanged });
        let (peers, vehicles) = (self.tasks.len(), self.names.read().vehicles.len());
        let mut parts = vec![Vec::new(); peers];
        if peers == 1 {
            parts[0] = fixes;
        } else {
            // Handing a fix to the worker that owns the vehicle spares the exchange a hop.
            for fix in fixes {
                parts[fix.vehicle as usize % peers].push(fix);
            }
        }
        for (sender, mut fixes) in self.tasks.iter().zip(parts) {
            if fixes.len() * peers >= FIXES_A_VEHICLE * vehicles {
                put_by_vehicle(&mut fixes, &controls);
            }
            let (controls, trip_controls) = (controls.clone(), trip_controls.clone());
            let work = Work { tick, fixes, controls, trip_controls, alert_controls: alert_controls.clone() };
            sender.send(Task::Tick(work)).map_err(|_| GraphError::WorkerGone)?;
        }
        Ok(())
    }

    /// Saves what the workers keep, each to a file. No tick may be in flight.
    pub fn save(&mut self, draft: &mut Draft<'_>) -> Result<(), SnapshotError> {
        for (worker, task) in self.tasks.iter().enumerate() {
            let file = draft.path_of(&file_of(worker));
            task.send(Task::Save(file)).map_err(|_| GraphError::WorkerGone)?;
        }
        let mut saved = Ok(());
        // All of them answer, also where one has failed.
        for _ in 0..self.tasks.len() {
            match self.done.recv() {
                Ok(Done::Saved { worker, saved: of_worker }) => {
                    saved = saved.and(of_worker.map(|sum| draft.add(&file_of(worker), sum)));
                }
                Ok(_) | Err(_) => return Err(GraphError::WorkerGone.into()),
            }
        }
        saved
    }

    /// Lets the workers load what such ones kept, before the first tick. Names are those of an intake that was loaded.
    pub fn begin_load(&mut self, snapshot: &Snapshot, intake: &Intake) -> Result<(), SnapshotError> {
        self.names = intake.names();
        self.last_tick = snapshot.manifest.tick;
        for (worker, task) in self.tasks.iter().enumerate() {
            let (file, sum) = snapshot.file(&file_of(worker))?;
            task.send(Task::Load(file, sum)).map_err(|_| GraphError::WorkerGone)?;
        }
        Ok(())
    }

    /// Waits until they have.
    pub fn finish_load(&mut self) -> Result<(), SnapshotError> {
        let mut loaded = Ok(());
        for _ in 0..self.tasks.len() {
            match self.done.recv() {
                Ok(Done::Loaded(of_worker)) => loaded = loaded.and(of_worker),
                Ok(_) | Err(_) => return Err(GraphError::WorkerGone.into()),
            }
        }
        loaded
    }

    /// Waits until the oldest tick in flight is closed; `None` when there is none.
    pub fn close_next(&mut self) -> Result<Option<ClosedTick>, GraphError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        while self.given.iter().any(VecDeque::is_empty) {
            match self.done.recv() {
                Ok(Done::Tick { worker, given }) => self.given[worker].push_back(given),
                Ok(_) | Err(_) => return Err(GraphError::WorkerGone),
            }
        }
        let mut given = self.given.iter_mut().filter_map(VecDeque::pop_front);
        let mut all = given.next().unwrap_or_default();
        for Given { deltas, trips, auto_trips, etas, kpis, alerts } in given {
            all.deltas.extend(deltas);
            all.trips.extend(trips);
            all.auto_trips.extend(auto_trips);
            all.etas.extend(etas);
            all.kpis.extend(kpis);
            all.alerts.extend(alerts);
        }
        // A trip that changed its vehicle may have changed its worker.
        net(&mut all.trips);
        net(&mut all.etas);
        net(&mut all.alerts);
        Ok(self.pending.pop_front().map(|pending| self.close(pending, all)))
    }

    fn close(&self, pending: Pending, given: Given) -> ClosedTick {
        let Given { deltas, trips, auto_trips, etas, kpis, alerts } = given;
        let of_graph = deltas.len() + trips.len() + auto_trips.len() + etas.len() + alerts.len();
        let mut changes: Vec<Change> = Vec::with_capacity(of_graph + pending.rejects.len());
        let names = self.names.read();
        for delta in deltas {
            let row = row_with_names(&delta.row, &names);
            changes.push(Change { diff: delta.diff, row, why: delta.why });
        }
        for delta in trips {
            let row = Row::Trip(trip_row(&delta.row, &names));
            changes.push(Change { diff: delta.diff, row, why: delta.why });
        }
        for delta in auto_trips {
            let row = Row::Trip(auto_trip_row(&delta.row, &names));
            changes.push(Change { diff: delta.diff, row, why: delta.why });
        }
        for delta in etas {
            let row = Row::Eta(eta_row(&delta.row, &names));
            changes.push(Change { diff: delta.diff, row, why: delta.why });
        }
        for delta in alerts {
            let row = Row::Alert(alert_row(&delta.row, &names));
            changes.push(Change { diff: delta.diff, row, why: delta.why });
        }
        for reject in pending.rejects {
            let why = Why::first(reject.seq);
            changes.push(Change { diff: 1, row: Row::Reject(reject), why });
        }
        changes.sort_by(Change::cmp_in_tick);
        let behind_kpis =
            changes.split_off(changes.partition_point(|change| change.row.table() < Table::Kpis));
        changes.reserve_exact(kpis.len() + behind_kpis.len());
        kpi_rows::push_changes(kpis, &names, &mut changes);
        changes.extend(behind_kpis);
        ClosedTick { changes, ..pending.unchanged }
    }
}

/// Where a worker's part of a snapshot is.
fn file_of(worker: usize) -> String {
    format!("worker-{worker}")
}

/// Orders fixes by vehicle, those of one as they came, and none over a control. What is kept of a vehicle is far from
/// what is kept of others, in each operator: so its fixes follow each other.
fn put_by_vehicle(fixes: &mut [FixIn], controls: &[Control]) {
    let mut rest = fixes;
    for control in controls {
        let before = rest.partition_point(|fix| fix.seq < control.seq());
        let (now, later) = rest.split_at_mut(before);
        now.sort_by_key(|fix| fix.vehicle);
        rest = later;
    }
    rest.sort_by_key(|fix| fix.vehicle);
}

/// A row of the graph with the texts of its numbers, all of which were given out before the row came to be.
fn row_with_names(derived: &Derived, names: &Guards<'_>) -> Row {
    let Guards { vehicles, fences, .. } = names;
    match *derived {
        Derived::Crossing { vehicle, fence, from, to, at } => Row::Crossing(CrossingRow {
            vehicle_id: vehicles[vehicle as usize].clone(),
            fence_id: fences[fence as usize].clone(),
            from_time: TimeMs(from),
            to_time: TimeMs(to),
            at: TimeMs(at),
        }),
        Derived::Presence { vehicle, fence, entered, end } => Row::Presence(PresenceRow {
            vehicle_id: vehicles[vehicle as usize].clone(),
            fence_id: fences[fence as usize].clone(),
            entered: TimeMs(entered),
            end: end.map(|(time, reason)| (TimeMs(time), reason)),
        }),
        Derived::Visit { vehicle, fence, visit } => Row::Visit(VisitRow {
            vehicle_id: vehicles[vehicle as usize].clone(),
            fence_id: fences[fence as usize].clone(),
            arrived: TimeMs(visit.arrived),
            departed: visit.departed.map(TimeMs),
            confirmed_at: TimeMs(visit.confirmed_at),
            presences: visit.presences,
        }),
        Derived::Reject { seq, vehicle, time, reason } => Row::Reject(RejectRow {
            seq,
            fix: Some((vehicles[vehicle as usize].clone(), TimeMs(time))),
            reason,
        }),
    }
}

fn trip_row(facts: &TripFacts, names: &Guards<'_>) -> TripRow {
    let by = facts.status_by.map_or_else(|| TripRow::INFERRED.into(), |by| names.people[by as usize].clone());
    TripRow {
        trip_id: names.trips[facts.trip as usize].clone(),
        vehicle_id: names.vehicles[facts.vehicle as usize].clone(),
        phase: facts.phase,
        status: facts.status,
        status_by: by,
        pickup_arrival: facts.times.pickup_arrival.map(TimeMs),
        actual_departure: facts.times.actual_departure.map(TimeMs),
        arrival: facts.times.arrival.map(TimeMs),
        offload: facts.times.offload.map(TimeMs),
        tat_s: facts.tat_s,
        distance_m: facts.distance_m,
        departure_unobserved: facts.departure_unobserved,
        auto: None,
    }
}

fn auto_trip_row(trip: &AutoTrip, names: &Guards<'_>) -> TripRow {
    let vehicle_id = names.vehicles[trip.vehicle as usize].clone();
    let (pickup, delivery) =
        (names.fences[trip.pickup as usize].clone(), names.fences[trip.delivery as usize].clone());
    let (phase, status) = match trip.offload {
        Some(_) => (TripPhase::Done, TripStatus::Completed),
        None => (TripPhase::AtDelivery, TripStatus::Ongoing),
    };
    TripRow {
        phase,
        status,
        pickup_arrival: Some(TimeMs(trip.pickup_arrival)),
        actual_departure: Some(TimeMs(trip.departure)),
        arrival: Some(TimeMs(trip.arrival)),
        offload: trip.offload.map(TimeMs),
        tat_s: trip.tat_s(),
        distance_m: Some(trip.distance_m),
        auto: Some(AutoPlaces { pickup, delivery }),
        ..TripRow::planned(TripRow::auto_id(&vehicle_id, TimeMs(trip.departure)), vehicle_id)
    }
}

fn eta_row(facts: &EtaFacts, names: &Guards<'_>) -> EtaRow {
    EtaRow {
        trip_id: names.trips[facts.trip as usize].clone(),
        eta: TimeMs(facts.eta),
        eta_low: TimeMs(facts.eta_low),
        eta_high: TimeMs(facts.eta_high),
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.tasks.clear();
        if self.broken.load(Ordering::Acquire) {
            // Its peers never finish their dataflow; the process is about to end.
            return;
        }
        if let Some(runner) = self.runner.take()
            && runner.join().is_err()
        {
            tracing::error!("a worker of the graph had panicked");
        }
    }
}
