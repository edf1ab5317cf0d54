//! A graph in this process that is given records by hand: no files, no journal, no HTTP.

use model::{ClosedTick, GraphSettings, Position, PositionRef, Record, RecordSink, Row, VisitRow};
use pipeline::{Computes, Driver};

/// Positions a tick, unless a benchmark says otherwise.
pub(super) const TICK: usize = 1000;

/// An intake and its graph, and what came out so far.
pub(super) struct BareGraph {
    driver: Driver,
    tick: u64,
    changes: usize,
    kpi_changes: usize,
    /// Those that came and were over, where they are asked for.
    visits: Option<Vec<VisitRow>>,
}

impl BareGraph {
    pub fn start_for(
        computes: Computes,
        settings: GraphSettings,
        workers: usize,
    ) -> anyhow::Result<BareGraph> {
        Ok(BareGraph::of(Driver::start_for(computes, settings, workers)?))
    }

    fn of(driver: Driver) -> BareGraph {
        BareGraph { driver, tick: 0, changes: 0, kpi_changes: 0, visits: None }
    }

    /// From now on visits that are over are kept.
    pub fn keep_visits(&mut self) {
        self.visits = Some(Vec::new());
    }

    /// Those that were kept, in the order in which they were over.
    pub fn into_visits(self) -> Vec<VisitRow> {
        self.visits.unwrap_or_default()
    }

    /// How many rows came and went in ticks that are closed.
    pub fn changes(&self) -> usize {
        self.changes
    }

    /// How many of them were of KPIs.
    pub fn kpi_changes(&self) -> usize {
        self.kpi_changes
    }

    /// Puts a position into the tick that is open.
    pub fn position(&mut self, vehicle_id: &str, position: Position) {
        self.driver.intake.position(None, PositionRef { vehicle_id, spelling: None, position });
    }

    /// Puts another record into the tick that is open.
    pub fn record(&mut self, record: Record) {
        self.driver.intake.record(None, record);
    }

    /// Ends the tick that is open and hands it to the graph, which works on several at once.
    pub fn end_tick(&mut self) -> anyhow::Result<()> {
        self.tick += 1;
        let input = self.driver.intake.finish_tick(None);
        let closed = self.driver.submit(self.tick, input)?;
        closed.iter().for_each(|closed| self.note(closed));
        Ok(())
    }

    fn note(&mut self, closed: &ClosedTick) {
        self.changes += closed.changes.len();
        self.kpi_changes += closed.changes.iter().filter(|change| matches!(change.row, Row::Kpi(_))).count();
        if let Some(visits) = &mut self.visits {
            let came = closed.changes.iter().filter(|change| change.diff > 0);
            visits.extend(came.filter_map(|change| match &change.row {
                Row::Visit(visit) => visit.departed.map(|_| visit.clone()),
                _ => None,
            }));
        }
    }

    /// Waits until all ticks handed over are closed.
    pub fn close_all(&mut self) -> anyhow::Result<()> {
        while let Some(closed) = self.driver.close_next()? {
            self.note(&closed);
        }
        Ok(())
    }
}
