//! Feeds ticks to a graph and gets closed ones back, keeping the graph busy while the next is decoded.

use std::collections::{BTreeSet, VecDeque};

use journal::Tick;
use model::{AlertMarkRecord, ClosedTick, GraphSettings, PositionRef, Record, RecordSink, TimeMs};

use crate::dataflow::Computes;
use crate::graph::{Graph, GraphError};
use crate::intake::{Intake, TickInput};
use crate::periods::Period;
use crate::service::Observer;
use crate::snapshots::{Draft, Snapshot, SnapshotError};

/// An intake and its graph.
pub struct Driver {
    /// Where records enter.
    pub intake: Intake,
    graph: Graph,
    beginning: Beginning,
    /// What people said of alerts in ticks that are not closed yet: it changes no row, so it goes past the graph.
    marks: VecDeque<(u64, Vec<AlertMarkRecord>)>,
}

/// What a driver begins with.
#[derive(Clone)]
struct Beginning {
    settings: GraphSettings,
    pinned: BTreeSet<String>,
    keep_for_views: bool,
    workers: usize,
    computes: Computes,
}

impl Driver {
    /// Starts a graph; see [`Intake::new`] for the arguments.
    pub fn start(
        settings: GraphSettings,
        pinned: BTreeSet<String>,
        keep_for_views: bool,
        workers: usize,
    ) -> Result<Driver, GraphError> {
        let computes = Computes::All;
        Driver::begin(Beginning { settings, pinned, keep_for_views, workers, computes }, Vec::new())
    }

    /// Starts a graph that computes less: what is measured of it is what that costs.
    pub fn start_for(
        computes: Computes,
        settings: GraphSettings,
        workers: usize,
    ) -> Result<Driver, GraphError> {
        let (pinned, keep_for_views) = (BTreeSet::new(), false);
        Driver::begin(Beginning { settings, pinned, keep_for_views, workers, computes }, Vec::new())
    }

    /// Starts a graph for the records of a journal: it begins with the defaults of the product, since what is
    /// configured comes as a record, and knows beforehand which periods the first backfill records open.
    pub(crate) fn of_journal(
        periods: Vec<Period>,
        keep_for_views: bool,
        workers: usize,
    ) -> Result<Driver, GraphError> {
        let (settings, pinned) = (GraphSettings::default(), BTreeSet::new());
        let computes = Computes::All;
        Driver::begin(Beginning { settings, pinned, keep_for_views, workers, computes }, periods)
    }

    /// Saves all that is kept between ticks, and says of how many workers that is. All ticks are closed.
    pub(crate) fn save(&mut self, draft: &mut Draft<'_>) -> Result<usize, SnapshotError> {
        debug_assert_eq!(self.graph.in_flight(), 0);
        // Whoever wanted those of closed ticks has them.
        self.marks.clear();
        draft.write("intake", |to| to.put(&self.intake))?;
        self.graph.save(draft)?;
        Ok(self.beginning.workers)
    }

    /// One that goes on from a snapshot; `observer` is brought there, too.
    pub fn load(
        snapshot: &Snapshot,
        workers: usize,
        observer: &mut dyn Observer,
    ) -> Result<Driver, SnapshotError> {
        let mut driver = Driver::of_journal(Vec::new(), true, workers)?;
        snapshot.read("intake", |from| {
            driver.intake = from.take()?;
            Ok(())
        })?;
        driver.graph.begin_load(snapshot, &driver.intake)?;
        // The workers load theirs meanwhile.
        let loaded = snapshot.read("views", |from| observer.load(from));
        driver.graph.finish_load()?;
        loaded.map(|()| driver)
    }

    /// Another one that has seen nothing, and knows beforehand which periods backfill records will open.
    pub fn start_again(&self, periods: Vec<Period>) -> Result<Driver, GraphError> {
        Driver::begin(self.beginning.clone(), periods)
    }

    fn begin(beginning: Beginning, periods: Vec<Period>) -> Result<Driver, GraphError> {
        let Beginning { settings, pinned, keep_for_views, workers, computes } = beginning.clone();
        let intake = Intake::new(settings.clone(), pinned, keep_for_views).with_periods(periods);
        let graph = Graph::start(&intake, settings, workers, computes)?;
        Ok(Driver { intake, graph, beginning, marks: VecDeque::new() })
    }

    /// The record of a backfill that came with the last tick, where its period was not known beforehand. Then
    /// nothing more may be handed over: once that tick is closed, a driver that knows the period takes over,
    /// after all ticks from the first to that one.
    #[must_use]
    pub fn backfill_due(&self) -> Option<u64> {
        self.intake.unopened()
    }

    /// The same, when all ticks that were handed over are closed.
    #[must_use]
    pub fn backfill_begins(&self) -> Option<u64> {
        self.backfill_due().filter(|_| self.graph.in_flight() == 0)
    }

    /// Decodes a tick of the journal and hands it over; gives back a tick that had to be closed to make room.
    pub fn submit_journal_tick(&mut self, tick: &Tick) -> Result<Option<ClosedTick>, GraphError> {
        let mut records = WithMarks { intake: &mut self.intake, marks: Vec::new() };
        for entry in &tick.entries {
            records.intake.set_arrival(TimeMs(entry.received_ms));
            sources::decode(entry.source, &entry.context, &entry.payload, &mut records);
        }
        if !records.marks.is_empty() {
            self.marks.push_back((tick.number, records.marks));
        }
        let input = self.intake.finish_tick(Some(TimeMs(tick.instant_ms)));
        self.submit(tick.number, input)
    }

    /// What people said of alerts in a tick; what they said in ticks before it is let go.
    pub fn take_marks(&mut self, tick: u64) -> Vec<AlertMarkRecord> {
        let first_later = self.marks.partition_point(|(of_tick, _)| *of_tick <= tick);
        let last = self.marks.drain(..first_later).next_back();
        last.filter(|(of_tick, _)| *of_tick == tick).map_or(Vec::new(), |(_, marks)| marks)
    }

    /// Hands a tick over; gives back one that had to be closed to make room.
    pub fn submit(&mut self, tick: u64, input: TickInput) -> Result<Option<ClosedTick>, GraphError> {
        let closed = if self.graph.has_room() { None } else { self.graph.close_next()? };
        self.graph.submit(tick, input)?;
        Ok(closed)
    }

    /// Whether all ticks up to this one are closed, and no later one was handed over.
    pub(crate) fn is_after(&self, tick: u64) -> bool {
        self.graph.in_flight() == 0 && self.graph.last_tick() == tick
    }

    /// Whether a tick can be handed over without closing one.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.graph.has_room() && self.backfill_due().is_none()
    }

    /// Waits for the oldest tick in flight; `None` when there is none.
    pub fn close_next(&mut self) -> Result<Option<ClosedTick>, GraphError> {
        self.graph.close_next()
    }
}

/// Hands records on, and notes what people say of alerts.
struct WithMarks<'a> {
    intake: &'a mut Intake,
    marks: Vec<AlertMarkRecord>,
}

impl RecordSink for WithMarks<'_> {
    fn position(&mut self, received_time: Option<TimeMs>, position: PositionRef<'_>) {
        self.intake.position(received_time, position);
    }

    fn record(&mut self, received_time: Option<TimeMs>, record: Record) {
        if let Record::AlertMark { alert_id, mark, by, .. } = &record {
            self.marks.push(AlertMarkRecord { alert_id: alert_id.clone(), mark: *mark, by: by.clone() });
        }
        self.intake.record(received_time, record);
    }
}
