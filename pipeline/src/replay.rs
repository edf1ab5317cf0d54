//! Files through the graph: no service, no wall clock.

mod reader;

use std::collections::BTreeSet;
use std::path::PathBuf;

use model::{Change, ClosedTick, GraphSettings, Tables, TimeMs, Unfit};
use sources::files::FileError;

use crate::backfill::{self, Difference};
use crate::drive::Driver;
use crate::graph::GraphError;
use crate::periods::Period;
use reader::{OnlyProgress, Reader};

/// A tick is closed every this many records, and at the end.
pub const TICK_RECORDS: usize = 1000;

/// What to replay, and how.
pub struct ReplayOptions {
    /// CSV, NDJSON or GeoJSON files; GeoJSON ones are read first.
    pub files: Vec<PathBuf>,
    /// Settings to begin with.
    pub settings: GraphSettings,
    /// Names of settings that settings records do not change.
    pub pinned: BTreeSet<String>,
    /// A last record: time has passed until then.
    pub clock: Option<TimeMs>,
    /// Threads of the graph.
    pub workers: usize,
    /// Stop at the first bad line.
    pub strict: bool,
}

/// A line or feature that was refused.
#[derive(Clone, Debug)]
pub struct BadLine {
    /// Which file.
    pub file: PathBuf,
    /// Which line of it, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// What a replay came to.
#[derive(Debug, Default)]
pub struct ReplaySummary {
    /// Records, bad ones counted.
    pub records: u64,
    /// Bad lines.
    pub bad_lines: u64,
    /// Ticks closed.
    pub ticks: u64,
    /// The instant of the last tick.
    pub instant: TimeMs,
    /// Files that could be read in part only.
    pub cut_short: Vec<FileError>,
}

/// Why a replay failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ReplayError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("{file}:{line}: {reason} (stopped here because of --strict)", file = .0.file.display(),
        line = .0.line, reason = .0.reason)]
    Strict(BadLine),
    #[error(transparent)]
    Sink(anyhow::Error),
    #[error("the graph contradicts itself: {0}")]
    Unfit(#[from] Unfit),
    #[error("{} can't be read a second time, which its backfill record asks for; save it as a file, and replay that",
        file.display())]
    ReadOnce { file: PathBuf },
    #[error(
        "the files changed while they were replayed: the second reading, for a backfill record, gave other records"
    )]
    InputChanged,
}

/// Who follows a replay.
pub trait Follower {
    /// A tick closed.
    fn closed(&mut self, closed: &ClosedTick) -> anyhow::Result<()>;
    /// A line was refused.
    fn bad_line(&mut self, bad: &BadLine);
    /// Something deserves a word.
    fn warning(&mut self, text: String);
    /// Bytes read of all bytes to read.
    fn progress(&mut self, done_bytes: u64, all_bytes: u64);
}

/// Runs files through a fresh graph. Where a backfill record comes up, they are read again from the
/// beginning.
pub fn replay(options: &ReplayOptions, follower: &mut dyn Follower) -> Result<ReplaySummary, ReplayError> {
    let reader = Reader::open(options)?;
    let driver = Driver::start(options.settings.clone(), options.pinned.clone(), false, options.workers)?;
    let mut run = Run { options, reader, driver, tick: 0, standing: None };
    while run.reader.fill(&mut run.driver.intake, follower)? {
        run.end_tick(follower)?;
    }
    run.end(follower)?;
    while let Some(closed) = run.driver.close_next()? {
        run.take(closed, follower)?;
    }
    Ok(ReplaySummary {
        records: run.driver.intake.records(),
        bad_lines: run.reader.bad_lines,
        ticks: run.tick,
        instant: run.driver.intake.instant(),
        cut_short: run.reader.cut_short,
    })
}

struct Run<'a> {
    options: &'a ReplayOptions,
    reader: Reader<'a>,
    driver: Driver,
    /// The last one that was handed over.
    tick: u64,
    /// The rows as they were told; only after a first backfill, since most replays have none.
    standing: Option<Tables>,
}

impl Run<'_> {
    /// Behind all records: KPIs are of all of them, however they were split into ticks.
    fn end(&mut self, follower: &mut dyn Follower) -> Result<(), ReplayError> {
        self.tick += 1;
        let input = self.driver.intake.finish_last_tick();
        if let Some(closed) = self.driver.submit(self.tick, input)? {
            self.take(closed, follower)?;
        }
        Ok(())
    }

    fn end_tick(&mut self, follower: &mut dyn Follower) -> Result<(), ReplayError> {
        self.tick += 1;
        let input = self.driver.intake.finish_tick(None);
        if let Some(closed) = self.driver.submit(self.tick, input)? {
            self.take(closed, follower)?;
        }
        if self.driver.backfill_due().is_some() {
            while let Some(closed) = self.driver.close_next()? {
                self.take(closed, follower)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, mut closed: ClosedTick, follower: &mut dyn Follower) -> Result<(), ReplayError> {
        if let Some(seq) = self.driver.backfill_begins() {
            closed.changes = self.backfill(&closed, seq, follower)?;
        }
        if let Some(standing) = &mut self.standing {
            backfill::apply(standing, &closed)?;
        }
        follower.closed(&closed).map_err(ReplayError::Sink)
    }

    /// What a tick changes whose backfill opens what was closed before; from there all goes on as recomputed.
    fn backfill(
        &mut self,
        closed: &ClosedTick,
        seq: u64,
        follower: &mut dyn Follower,
    ) -> Result<Vec<Change>, ReplayError> {
        let periods = self.driver.intake.periods().to_vec();
        let is_of_tick = (self.driver.intake.records(), self.driver.intake.instant());
        if self.standing.is_none() {
            // This is the first backfill: nothing was opened before it.
            self.standing = Some(self.recompute(Vec::new(), closed.tick - 1, follower)?);
        }
        let rows = self.recompute(periods, closed.tick, follower)?;
        let intake = &self.driver.intake;
        if intake.unopened().is_some() || (intake.records(), intake.instant()) != is_of_tick {
            return Err(ReplayError::InputChanged);
        }
        let difference = Difference::new(&closed.changes, seq);
        let nothing = Tables::default();
        Ok(difference.between(self.standing.as_ref().unwrap_or(&nothing), &rows))
    }

    /// Reads the files again up to a tick, with a driver that knows these periods; gives the rows that stand
    /// then.
    fn recompute(
        &mut self,
        periods: Vec<Period>,
        to_tick: u64,
        follower: &mut dyn Follower,
    ) -> Result<Tables, ReplayError> {
        let mut reader = Reader::open_again(self.options)?;
        self.driver = self.driver.start_again(periods)?;
        let mut rows = Tables::default();
        for tick in 1..=to_tick {
            reader.fill(&mut self.driver.intake, &mut OnlyProgress(follower))?;
            let input = self.driver.intake.finish_tick(None);
            if let Some(closed) = self.driver.submit(tick, input)? {
                backfill::apply(&mut rows, &closed)?;
            }
        }
        while let Some(closed) = self.driver.close_next()? {
            backfill::apply(&mut rows, &closed)?;
        }
        self.driver.intake.take_warnings();
        Ok(rows)
    }
}
