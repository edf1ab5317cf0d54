//! The journal as a whole: archived ticks, and those behind them.

use std::sync::Arc;

use super::Archive;
use super::file::FileTicks;
use crate::{StoreError, Tick};

type Ticks = Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send>;

/// Streams ticks of which every one must be there, from wherever each is by then: what is archived while it reads is
/// found in the archive.
pub(crate) struct LogReader {
    archive: Arc<Archive>,
    /// Reads ticks that are not archived.
    behind: Box<dyn Fn(u64, u64) -> Ticks + Send>,
    next_tick: u64,
    to_tick: u64,
    /// Unknown before the first entry.
    next_offset: Option<u64>,
    from: From,
}

enum From {
    Nowhere,
    /// A file, and its last tick.
    Archive(Box<FileTicks>, u64),
    Behind(Ticks),
}

impl LogReader {
    /// From tick to tick, both included.
    pub fn new(
        archive: Arc<Archive>,
        (from_tick, to_tick): (u64, u64),
        behind: impl Fn(u64, u64) -> Ticks + Send + 'static,
    ) -> LogReader {
        let next_offset = (from_tick == 1).then_some(1);
        let behind = Box::new(behind);
        LogReader { archive, behind, next_tick: from_tick, to_tick, next_offset, from: From::Nowhere }
    }

    fn read_next(&mut self) -> Result<Tick, StoreError> {
        loop {
            match &mut self.from {
                From::Nowhere => {
                    self.from = match self.archive.ticks_around(self.next_tick)? {
                        Some((ticks, last_tick)) => From::Archive(Box::new(ticks), last_tick),
                        None => From::Behind((self.behind)(self.next_tick, self.to_tick)),
                    };
                }
                From::Archive(ticks, last_tick) => match ticks.next()? {
                    Some(tick) if tick.number < self.next_tick => {}
                    Some(tick) => return self.checked(tick),
                    None if *last_tick < self.next_tick => self.from = From::Nowhere,
                    None => return Err(self.missing()),
                },
                From::Behind(ticks) => match ticks.next() {
                    Some(Ok(tick)) => return self.checked(tick),
                    Some(Err(_)) if self.next_tick <= self.archive.last_tick() => self.from = From::Nowhere,
                    Some(Err(error)) => return Err(error),
                    None => return Err(self.missing()),
                },
            }
        }
    }

    fn missing(&self) -> StoreError {
        StoreError::damaged(format!("tick {} of the journal is missing", self.next_tick))
    }

    /// A tick that must be the next.
    fn checked(&mut self, tick: Tick) -> Result<Tick, StoreError> {
        if tick.number != self.next_tick {
            return Err(self.missing());
        }
        for entry in &tick.entries {
            if self.next_offset.is_some_and(|expected| expected != entry.offset) {
                let what = format!("tick {} of the journal has not the entry that comes next", tick.number);
                return Err(StoreError::damaged(what));
            }
            self.next_offset = Some(entry.offset + 1);
        }
        self.next_tick += 1;
        Ok(tick)
    }
}

impl Iterator for LogReader {
    type Item = Result<Tick, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_tick > self.to_tick {
            return None;
        }
        let result = self.read_next();
        if result.is_err() {
            self.to_tick = 0;
            self.from = From::Nowhere;
        }
        Some(result)
    }
}
