//! The live state, kept from closed ticks under one lock: written once a tick, read shortly.
//!
//! What a reader gets under one lock is exact for one tick. Long lists are cut into pages, and the work
//! of one page is bounded, so that neither a reader nor the writer waits long for another.

mod alerts;
mod entities;
mod fences;
mod kpis;
mod pages;
mod rejects;
mod rows;
mod trips;
mod trucks;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use model::state::{Loader, Saver, State as _, StateError};
use model::{
    AlertMarkRecord, ClosedTick, CrossingRow, GraphSettings, PresenceRow, RejectReason, Row, TimeMs,
    TimeZone, VisitRow,
};
use tokio::sync::watch;

pub(crate) use alerts::{AlertFate, AlertFilter, AlertView, Alerts};
pub(crate) use entities::{AssignmentFilter, AssignmentKey, AssignmentView, Entities, EntityKind, Standing};
pub(crate) use fences::{FenceView, Fences};
pub(crate) use kpis::{KpiFilter, KpiKey, KpiPoint, KpiView, Kpis, WeekBefore};
pub(crate) use pages::{BadCursor, CursorReader, CursorWriter, MAX_STEPS, Page};
pub(crate) use rejects::{ReasonCounts, RejectCounts};
pub(crate) use rows::{SpanFilter, SpanKey, SpanRow, SpanTable};
pub(crate) use trips::{KeptPlan, TripFilter, TripView, Trips};
pub(crate) use trucks::{Near, NearKey, TrackFix, TruckView, Trucks};

/// Which state an answer is exact for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Stamp {
    /// The last tick that is shown.
    pub tick: u64,
    /// Its instant.
    pub instant: TimeMs,
}

/// All tables.
pub(crate) struct State {
    pub stamp: Stamp,
    pub records: u64,
    pub presences: SpanTable<PresenceRow>,
    pub visits: SpanTable<VisitRow>,
    pub crossings: SpanTable<CrossingRow>,
    pub rejects: RejectCounts,
    pub trucks: Trucks,
    pub fences: Fences,
    pub trips: Trips,
    pub entities: Entities,
    pub alerts: Alerts,
    pub kpis: Kpis,
}

/// The live views of the service.
pub struct Views {
    state: RwLock<State>,
    shown: watch::Sender<Stamp>,
    ready: AtomicBool,
}

impl Views {
    /// Empty views; tracks keep fixes for `track_keep_ms` behind the instant.
    #[must_use]
    pub fn new(track_keep_ms: i64) -> Views {
        Views {
            state: RwLock::new(State::new(track_keep_ms, GraphSettings::default().zone)),
            shown: watch::Sender::new(Stamp::default()),
            ready: AtomicBool::new(false),
        }
    }

    /// The same views, still empty, with the zone whose days and weeks KPIs are of.
    #[must_use]
    pub fn with_zone(self, zone: TimeZone) -> Views {
        self.state.write().unwrap_or_else(PoisonError::into_inner).kpis = Kpis::new(zone);
        self
    }

    /// [`Views::apply_marked`] for a tick in which nobody said anything of an alert.
    pub fn apply(&self, closed: &ClosedTick) {
        self.apply_marked(closed, &[]);
    }

    /// Shows what became true with a closed tick and what people said in it of alerts, and wakes those who wait for
    /// it. Ticks come in order.
    pub fn apply_marked(&self, closed: &ClosedTick, marks: &[AlertMarkRecord]) {
        let stamp = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.apply(closed, marks);
            state.stamp
        };
        self.shown.send_replace(stamp);
    }

    /// Saves all that is shown.
    pub fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        self.read().save(to)
    }

    /// Shows what was saved; these views, made alike, have shown nothing yet, and do not where that fails.
    pub fn load(&self, from: &mut Loader<'_>) -> Result<(), StateError> {
        // Readers do not wait while it is read.
        let mut state = self.empty();
        state.load(from)?;
        let stamp = state.stamp;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        self.shown.send_replace(stamp);
        Ok(())
    }

    /// The newest event time of all fixes that tracks keep.
    #[must_use]
    pub fn newest_event(&self) -> Option<TimeMs> {
        self.read().trucks.newest_event()
    }

    /// Shows nothing any more, as at the beginning.
    pub fn forget(&self) {
        let empty = self.empty();
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = empty;
        self.shown.send_replace(Stamp::default());
    }

    /// What these views began with.
    fn empty(&self) -> State {
        let state = self.read();
        State::new(state.trucks.track_keep_ms(), state.kpis.zone().clone())
    }

    /// From now on the views are current: what was replayed at the start is shown.
    pub fn set_ready(&self) {
        self.ready.store(true, Ordering::Release);
    }

    /// Whether [`Views::set_ready`] was called.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        // A panic while writing is a defect that is reported where it happens; readers go on.
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn stamp(&self) -> Stamp {
        *self.shown.borrow()
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Stamp> {
        self.shown.subscribe()
    }

    /// Waits until a tick is shown; `false` when that took too long.
    pub(crate) async fn wait_for_tick(&self, tick: u64, at_most: Duration) -> bool {
        if self.stamp().tick >= tick {
            return true;
        }
        let mut shown = self.subscribe();
        let reached = shown.wait_for(|stamp| stamp.tick >= tick);
        matches!(tokio::time::timeout(at_most, reached).await, Ok(Ok(_)))
    }
}

impl model::state::State for State {
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        let State {
            stamp,
            records,
            presences,
            visits,
            crossings,
            rejects,
            trucks,
            fences,
            trips,
            entities,
            alerts,
            kpis,
        } = self;
        to.put(&(stamp, records, rejects, fences, trips, entities, alerts))?;
        presences.save(to)?;
        visits.save(to)?;
        crossings.save(to)?;
        trucks.save(to)?;
        kpis.save(to)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        (self.stamp, self.records, self.rejects, self.fences, self.trips, self.entities, self.alerts) =
            from.take()?;
        self.presences.load(from)?;
        self.visits.load(from)?;
        self.crossings.load(from)?;
        self.trucks.load(from)?;
        self.kpis.load(from)
    }
}

impl State {
    fn new(track_keep_ms: i64, zone: TimeZone) -> State {
        State {
            stamp: Stamp::default(),
            records: 0,
            presences: SpanTable::default(),
            visits: SpanTable::default(),
            crossings: SpanTable::default(),
            rejects: RejectCounts::default(),
            trucks: Trucks::new(track_keep_ms),
            fences: Fences::default(),
            trips: Trips::default(),
            entities: Entities::default(),
            alerts: Alerts::default(),
            kpis: Kpis::new(zone),
        }
    }

    fn apply(&mut self, closed: &ClosedTick, marks: &[AlertMarkRecord]) {
        debug_assert!(closed.tick > self.stamp.tick, "ticks come in order");
        for fix in &closed.fixes {
            let is_known = self.trucks.is_known(&fix.vehicle_id);
            self.trucks.add_fix(fix, closed.instant);
            if !is_known {
                self.show_presences_before(&fix.vehicle_id);
            }
        }
        for edit in &closed.fence_edits {
            self.fences.apply(edit);
        }
        for record in &closed.trip_records {
            self.trips.take_record(record);
        }
        for record in &closed.location_records {
            self.trips.take_location(record);
            self.entities.edit(EntityKind::Location, &record.json);
        }
        closed.entity_records.iter().for_each(|record| self.entities.take(record));
        for change in &closed.changes {
            let came = change.diff > 0;
            match &change.row {
                Row::Crossing(row) => self.crossings.apply(row, came),
                Row::Presence(row) => {
                    if row.end.is_none() {
                        self.trucks.set_present(&row.vehicle_id, &row.fence_id, row.entered, came);
                    }
                    self.presences.apply(row, came);
                }
                Row::Visit(row) => self.visits.apply(row, came),
                Row::Trip(row) => self.trips.apply(row, came),
                Row::Eta(row) => self.trips.apply_eta(row, came),
                // Alerts and KPIs are shown by what a tick as a whole changes of them.
                Row::Alert(_) | Row::Kpi(_) => {}
                Row::Reject(row) => {
                    if row.reason == RejectReason::Jump
                        && let Some((vehicle_id, event_time)) = &row.fix
                    {
                        self.trucks.flag_jump(vehicle_id, *event_time, row.seq, came);
                    }
                    self.rejects.apply(row, came);
                }
            }
        }
        self.alerts.apply(closed, marks);
        self.kpis.apply(&closed.changes, self.stamp.instant, closed.instant);
        self.trucks.trim(closed.instant);
        self.records = closed.records;
        self.stamp.tick = closed.tick;
        self.stamp.instant = closed.instant;
    }

    /// A truck that becomes known may have been in fences before, as far as a backfill has told.
    fn show_presences_before(&mut self, vehicle_id: &Arc<str>) {
        for presence in self.presences.open_ones_of(vehicle_id) {
            self.trucks.set_present(vehicle_id, &presence.fence_id, presence.entered, true);
        }
    }
}
