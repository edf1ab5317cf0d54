//! A graph in this process that is given records by hand: no files, no journal, no HTTP.

use std::collections::BTreeSet;

use model::{GraphSettings, Position, PositionRef, Record, RecordSink};
use pipeline::Driver;

/// Positions a tick, unless a benchmark says otherwise.
pub(super) const TICK: usize = 1000;

/// An intake and its graph, and what came out so far.
pub(super) struct BareGraph {
    driver: Driver,
    tick: u64,
    changes: usize,
}

impl BareGraph {
    pub fn start(settings: GraphSettings, workers: usize) -> anyhow::Result<BareGraph> {
        let driver = Driver::start(settings, BTreeSet::new(), false, workers)?;
        Ok(BareGraph { driver, tick: 0, changes: 0 })
    }

    /// How many rows came and went in ticks that are closed.
    pub fn changes(&self) -> usize {
        self.changes
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
        if let Some(closed) = self.driver.submit(self.tick, input)? {
            self.changes += closed.changes.len();
        }
        Ok(())
    }

    /// Waits until all ticks handed over are closed.
    pub fn close_all(&mut self) -> anyhow::Result<()> {
        while let Some(closed) = self.driver.close_next()? {
            self.changes += closed.changes.len();
        }
        Ok(())
    }
}
