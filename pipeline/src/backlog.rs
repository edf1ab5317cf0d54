//! The ticks of a service, in order: live ones, and those that it let go of.
//!
//! While a backfill is computed nothing is handed over. Ticks that come meanwhile are let go of, so that the
//! journal goes on committing and acknowledging, and they are read from it again afterwards:
//!
//! ```text
//!   the backfill's tick          let go of             in the channel
//!   ---------- given_to ]-------------------- let_go_to ]----------->
//!                        <---- distance ---->
//! ```
//!
//! Invariants:
//! 1. Each tick is given out once, in order.
//! 2. While a backfill is due or computed, all that comes is let go of; what comes while its rows are written to the
//!    changelog waits in the channel.
//! 3. While it is caught up with, no more than seven ticks are let go of for every eight that are given out. So
//!    the distance comes to its end, however much is posted: what is too much stays in the channel, the journal
//!    waits for room there, and its bounds hold.

use std::sync::Arc;

use crossbeam_channel::{Receiver, TryRecvError};
use journal::{Log, StoreError, Tick};

/// By how much, in eighths, the distance has to shrink for each tick that is given out.
const TICK_EIGHTHS: u64 = 8;

type TicksOfJournal = Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send>;

pub(crate) struct Backlog<'a> {
    log: &'a dyn Log,
    /// The ticks that are minted; `None` before the journal is started.
    live: Option<Receiver<Arc<Tick>>>,
    /// The last tick that was given out.
    given_to: u64,
    /// The last tick that was let go of; while it is later than what was given out, the service is behind.
    let_go_to: u64,
    /// How great the distance may be, in eighths of a tick.
    may_be_behind: u64,
    /// Ticks that were let go of, from the journal.
    read_again: TicksOfJournal,
}

impl<'a> Backlog<'a> {
    /// Of a journal that is not started yet.
    pub fn new(log: &'a dyn Log) -> Backlog<'a> {
        let read_again = Box::new(std::iter::empty());
        Backlog { log, live: None, given_to: 0, let_go_to: 0, may_be_behind: 0, read_again }
    }

    /// Starts the journal.
    pub fn start(&mut self) -> Result<(), StoreError> {
        self.live = Some(self.log.start()?);
        Ok(())
    }

    /// Lets go of all ticks that wait. `false` when the work on a backfill is to end: no more ticks will come.
    pub fn let_go_of_all(&mut self) -> bool {
        let Some(live) = &self.live else { return !self.log.is_stopped() };
        let goes_on = loop {
            match live.try_recv() {
                Ok(tick) => self.let_go_to = tick.number,
                Err(TryRecvError::Empty) => break true,
                Err(TryRecvError::Disconnected) => break false,
            }
        };
        self.may_be_behind = self.distance() * TICK_EIGHTHS;
        goes_on
    }

    /// Lets go of as many ticks as may be while those before them are caught up with. Where no more will come, all
    /// that was let go of is worked on all the same.
    pub fn let_go_of_some(&mut self) {
        let Some(live) = &self.live else { return };
        while self.let_go_to > self.given_to
            && (self.let_go_to + 1 - self.given_to) * TICK_EIGHTHS <= self.may_be_behind
            && let Ok(tick) = live.try_recv()
        {
            self.let_go_to = tick.number;
        }
    }

    /// The next tick, if there is one.
    pub fn next(&mut self) -> Result<Option<Arc<Tick>>, StoreError> {
        let next = if self.distance() > 0 {
            self.may_be_behind = self.may_be_behind.saturating_sub(1);
            Some(Arc::new(self.again()?))
        } else {
            self.live.as_ref().and_then(|live| live.try_recv().ok())
        };
        Ok(next.inspect(|tick| self.given_to = tick.number))
    }

    /// Waits for the next tick of a service that is not behind; `None` when no more will come.
    pub fn wait(&mut self) -> Option<Arc<Tick>> {
        let next = self.live.as_ref().and_then(|live| live.recv().ok());
        next.inspect(|tick| self.given_to = tick.number)
    }

    fn distance(&self) -> u64 {
        self.let_go_to.saturating_sub(self.given_to)
    }

    fn again(&mut self) -> Result<Tick, StoreError> {
        if let Some(tick) = self.read_again.next() {
            return tick;
        }
        let next = self.given_to + 1;
        self.read_again = self.log.read(next, self.let_go_to);
        let gone =
            || StoreError::Damaged { what: format!("tick {next} was minted, and is not in the journal") };
        self.read_again.next().unwrap_or_else(|| Err(gone()))
    }
}
