//! Files through the graph: no service, no wall clock.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::{ClosedTick, GraphSettings, PositionRef, Record, RecordSink, TimeMs};
use sources::files::{FileError, FileInput, FileSink};

use crate::drive::Driver;
use crate::graph::GraphError;

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

/// Runs files through a fresh graph.
pub fn replay(options: &ReplayOptions, follower: &mut dyn Follower) -> Result<ReplaySummary, ReplayError> {
    let mut inputs = open_all(&options.files)?;
    let all_bytes: u64 = inputs.iter().map(FileInput::size_bytes).sum();
    let driver = Driver::start(options.settings.clone(), options.pinned.clone(), false, options.workers)?;
    let mut run = Run { driver, in_tick: 0, next_tick: 1, summary: ReplaySummary::default() };
    let mut done_bytes = 0;
    for input in &mut inputs {
        loop {
            let (more, first_bad) = run.read_some(input, options.strict, follower)?;
            follower.progress(done_bytes + input.bytes_read(), all_bytes);
            if let Some(bad) = first_bad {
                return Err(ReplayError::Strict(bad));
            }
            if !more {
                break;
            }
        }
        done_bytes += input.size_bytes();
    }
    if let Some(clock) = options.clock {
        run.driver.intake.record(Some(clock), Record::Clock);
        run.in_tick += 1;
    }
    if run.in_tick > 0 || run.next_tick == 1 {
        run.end_tick(follower)?;
    }
    while let Some(closed) = run.driver.close_next()? {
        follower.closed(&closed).map_err(ReplayError::Sink)?;
    }
    run.summary.records = run.driver.intake.records();
    run.summary.ticks = run.next_tick - 1;
    run.summary.instant = run.driver.intake.instant();
    Ok(run.summary)
}

fn open_all(files: &[PathBuf]) -> Result<Vec<FileInput>, FileError> {
    let inputs = files.iter().map(|f| FileInput::open(f)).collect::<Result<Vec<_>, _>>()?;
    let (features, others): (Vec<_>, Vec<_>) = inputs.into_iter().partition(FileInput::is_geojson);
    Ok(features.into_iter().chain(others).collect())
}

struct Run {
    driver: Driver,
    in_tick: usize,
    next_tick: u64,
    summary: ReplaySummary,
}

impl Run {
    /// Reads up to the end of the tick; tells whether the file goes on, and the first bad line if that ends all.
    fn read_some(
        &mut self,
        input: &mut FileInput,
        strict: bool,
        follower: &mut dyn Follower,
    ) -> Result<(bool, Option<BadLine>), ReplayError> {
        let path = input.path().to_owned();
        let before = self.driver.intake.records();
        let mut sink =
            Incoming { driver: &mut self.driver, follower, file: &path, bad_lines: 0, first_bad: None };
        // With --strict one record at a time, so that nothing after the bad line counts.
        let wanted = if strict { 1 } else { TICK_RECORDS - self.in_tick };
        let outcome = input.read(wanted, &mut sink);
        let Incoming { bad_lines, first_bad, .. } = sink;
        self.summary.bad_lines += bad_lines;
        self.in_tick += (self.driver.intake.records() - before) as usize;
        for (record, text) in self.driver.intake.take_warnings() {
            follower.warning(format!("{}: record {record} of the input: {text}", path.display()));
        }
        let more = match outcome {
            Ok(more) => more,
            Err(error) if error.exit_code() == 1 => {
                self.summary.cut_short.push(error);
                false
            }
            Err(error) => return Err(error.into()),
        };
        if self.in_tick >= TICK_RECORDS {
            self.end_tick(follower)?;
        }
        Ok((more, first_bad.filter(|_| strict)))
    }

    fn end_tick(&mut self, follower: &mut dyn Follower) -> Result<(), ReplayError> {
        let input = self.driver.intake.finish_tick(None);
        if let Some(closed) = self.driver.submit(self.next_tick, input)? {
            follower.closed(&closed).map_err(ReplayError::Sink)?;
        }
        self.next_tick += 1;
        self.in_tick = 0;
        Ok(())
    }
}

/// Where a file's records go.
struct Incoming<'a> {
    driver: &'a mut Driver,
    follower: &'a mut dyn Follower,
    file: &'a Path,
    bad_lines: u64,
    first_bad: Option<BadLine>,
}

impl RecordSink for Incoming<'_> {
    fn position(&mut self, received_time: Option<TimeMs>, position: PositionRef<'_>) {
        self.driver.intake.position(received_time, position);
    }

    fn record(&mut self, received_time: Option<TimeMs>, record: Record) {
        self.driver.intake.record(received_time, record);
    }
}

impl FileSink for Incoming<'_> {
    fn bad(&mut self, line: u64, reason: String, _bytes: &[u8]) {
        self.driver.intake.malformed();
        self.bad_lines += 1;
        let bad = BadLine { file: self.file.to_owned(), line, reason };
        self.follower.bad_line(&bad);
        self.first_bad.get_or_insert(bad);
    }

    fn warning(&mut self, line: u64, text: String) {
        self.follower.warning(format!("{}:{line}: {text}", self.file.display()));
    }
}
