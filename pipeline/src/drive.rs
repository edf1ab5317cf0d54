//! Feeds ticks to a graph and gets closed ones back, keeping the graph busy while the next is decoded.

use std::collections::BTreeSet;

use journal::Tick;
use model::{ClosedTick, GraphSettings, TimeMs};

use crate::graph::{Graph, GraphError};
use crate::intake::{Intake, TickInput};

/// An intake and its graph.
pub struct Driver {
    /// Where records enter.
    pub intake: Intake,
    graph: Graph,
}

impl Driver {
    /// Starts a graph; see [`Intake::new`] for the arguments.
    pub fn start(
        settings: GraphSettings,
        pinned: BTreeSet<String>,
        keep_view_fixes: bool,
        workers: usize,
    ) -> Result<Driver, GraphError> {
        let intake = Intake::new(settings.clone(), pinned, keep_view_fixes);
        let graph = Graph::start(&intake, settings, workers)?;
        Ok(Driver { intake, graph })
    }

    /// Decodes a tick of the journal and hands it over; gives back a tick that had to be closed to make room.
    pub fn submit_journal_tick(&mut self, tick: &Tick) -> Result<Option<ClosedTick>, GraphError> {
        for entry in &tick.entries {
            self.intake.set_arrival(TimeMs(entry.received_ms));
            sources::decode(entry.source, &entry.context, &entry.payload, &mut self.intake);
        }
        let input = self.intake.finish_tick(Some(TimeMs(tick.instant_ms)));
        self.submit(tick.number, input)
    }

    /// Hands a tick over; gives back one that had to be closed to make room.
    pub fn submit(&mut self, tick: u64, input: TickInput) -> Result<Option<ClosedTick>, GraphError> {
        let closed = if self.graph.has_room() { None } else { self.graph.close_next()? };
        self.graph.submit(tick, input)?;
        Ok(closed)
    }

    /// Whether a tick can be handed over without closing one.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.graph.has_room()
    }

    /// Waits for the oldest tick in flight; `None` when there is none.
    pub fn close_next(&mut self) -> Result<Option<ClosedTick>, GraphError> {
        self.graph.close_next()
    }
}
