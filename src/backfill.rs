//! `watchtower backfill`: puts a period right after the fact.
//!
//! Positions of the files go into the journal first, marked as exempt, and then the record that opens the
//! period. Where a service has the folder, both are sent through its control socket; else the folder is
//! opened here.

mod writer;

use std::io::Write;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use journal::{Store, StoreError};
use model::{PositionRef, Record, RecordSink, TimeMs, range_ok};
use sources::MAX_RECORD_BYTES;
use sources::files::{FileError, FileInput, FileSink};

use crate::args::BackfillArgs;
use crate::control::{Request, Upload};
use crate::folder;
use crate::journal_of;
use crate::progress;
use crate::{Outcome, Usage};

pub use writer::receive;
use writer::{Plan, Writer};

/// Positions are written together up to about so many bytes.
const BATCH_BYTES: usize = 256 * 1024;
/// Bad lines are printed one by one up to this many; all are counted.
const MAX_BAD_LINES_PRINTED: u64 = 20;

/// A period of event times, `[from, to)`.
#[derive(Clone, Copy)]
struct Period {
    from: TimeMs,
    to: TimeMs,
}

pub fn run(args: &BackfillArgs) -> anyhow::Result<Outcome> {
    let period = Period { from: args.from, to: args.to };
    if period.to <= period.from {
        return Err(Usage(format!("--to {} is not after --from {}", period.to, period.from)).into());
    }
    folder::check(&args.data)?;
    let files = args.files.iter().map(|file| open(file)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut out = std::io::stdout().lock();
    let outcome = match Store::open(&args.data, journal_of::options_of_command(false)?) {
        Ok(store) => into_folder(&store, period, files, &mut out)?,
        Err(StoreError::InUse { .. }) => {
            let request = Request::Backfill { from_ms: period.from.0, to_ms: period.to.0 };
            let mut upload = Upload::begin(folder::service_of(&args.data)?, &request)?;
            // Where the service gives up, its answer says why.
            let is_cut_short = match send(period, files, &mut |batch| upload.send(&batch).map_err(Into::into))
            {
                Ok(sent) => {
                    sent.tell(&mut out)?;
                    !sent.cut_short.is_empty()
                }
                Err(error) if error.is::<std::io::Error>() => false,
                Err(error) => return Err(error),
            };
            let answered = upload.finish(&mut out)?;
            if is_cut_short { Outcome::Failed } else { answered }
        }
        Err(error) => return Err(error.into()),
    };
    out.flush()?;
    Ok(outcome)
}

/// A file of positions; one that cannot be used at all is wrong usage.
fn open(path: &Path) -> anyhow::Result<FileInput> {
    let file = FileInput::open(path).map_err(|error| match error.exit_code() {
        2 => anyhow::Error::from(Usage(error.to_string())),
        _ => error.into(),
    })?;
    if file.is_geojson() {
        let text = format!("{} has fences; a backfill takes positions only", path.display());
        return Err(Usage(text).into());
    }
    Ok(file)
}

fn into_folder(
    store: &Store,
    period: Period,
    files: Vec<FileInput>,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let log = store.log();
    log.check_clock()?;
    let plan = Plan::new(&log, period.from)?;
    let writer = Writer::alone(&log)?;
    let sent = send(period, files, &mut |batch| writer.positions(batch))?;
    sent.tell(out)?;
    writeln!(out, "{plan}")?;
    out.flush()?;
    let tick = writer.backfill(period.from, period.to)?;
    writeln!(out, "tick {tick} is in the journal; the next start of the service computes the period")?;
    Ok(if sent.cut_short.is_empty() { Outcome::Done } else { Outcome::Failed })
}

/// What was read of the files.
#[derive(Default)]
struct Sent {
    positions: u64,
    used: u64,
    outside: u64,
    refused: u64,
    bad_lines: u64,
    cut_short: Vec<FileError>,
}

impl Sent {
    fn tell(&self, out: &mut dyn Write) -> anyhow::Result<()> {
        let Sent { positions, used, outside, refused, bad_lines, cut_short } = self;
        if *bad_lines > MAX_BAD_LINES_PRINTED {
            eprintln!("... and {} more bad lines", bad_lines - MAX_BAD_LINES_PRINTED);
        }
        for error in cut_short {
            eprintln!("watchtower: {error}");
        }
        writeln!(
            out,
            "{positions} positions read: {used} used, {outside} outside of the period, {refused} refused; \
             {bad_lines} bad lines"
        )?;
        // Before the wait for the service.
        Ok(out.flush()?)
    }
}

/// Reads the files, and gives their positions of the period out in batches.
fn send(
    period: Period,
    files: Vec<FileInput>,
    give: &mut dyn FnMut(Vec<u8>) -> anyhow::Result<()>,
) -> anyhow::Result<Sent> {
    let all_bytes = files.iter().map(FileInput::size_bytes).sum();
    let bar = progress::bar(all_bytes, progress::BYTES);
    let mut batch =
        Batch { period, bar: &bar, file: PathBuf::new(), bytes: Vec::new(), sent: Sent::default() };
    let mut done_bytes = 0;
    for mut file in files {
        batch.file = file.path().to_owned();
        loop {
            // One by one: a record may be long, and a batch is bounded.
            let read = file.read(1, &mut batch);
            if batch.bytes.len() >= BATCH_BYTES {
                bar.set_position(done_bytes + file.bytes_read());
                give(std::mem::take(&mut batch.bytes))?;
            }
            match read {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    batch.sent.cut_short.push(error);
                    break;
                }
            }
        }
        done_bytes += file.size_bytes();
    }
    if !batch.bytes.is_empty() {
        give(batch.bytes)?;
    }
    bar.finish_and_clear();
    Ok(batch.sent)
}

/// Positions as lines, and what was not put there.
struct Batch<'a> {
    period: Period,
    bar: &'a ProgressBar,
    file: PathBuf,
    bytes: Vec<u8>,
    sent: Sent,
}

impl RecordSink for Batch<'_> {
    fn position(&mut self, _: Option<TimeMs>, mut decoded: PositionRef<'_>) {
        self.sent.positions += 1;
        let position = &mut decoded.position;
        if !(self.period.from..self.period.to).contains(&position.event_time) {
            self.sent.outside += 1;
            return;
        }
        position.exempt = true;
        // The journal has a time of arrival of its own.
        let (at, place) = (position.event_time, range_ok(position.lon, position.lat, position.event_time));
        let before = self.bytes.len();
        sources::encode_position(&mut self.bytes, at, &decoded);
        if self.bytes.len() - before > MAX_RECORD_BYTES {
            self.bytes.truncate(before);
            return self.bad_line(None, "a position is too long for the journal");
        }
        match place {
            Ok(()) => self.sent.used += 1,
            // It shows among the rejects, as any other.
            Err(_) => self.sent.refused += 1,
        }
    }

    fn record(&mut self, _: Option<TimeMs>, _: Record) {
        self.bad_line(None, "a backfill takes positions only");
    }
}

impl FileSink for Batch<'_> {
    fn bad(&mut self, line: u64, reason: String, _: &[u8]) {
        self.bad_line(Some(line), &reason);
    }

    fn warning(&mut self, line: u64, text: String) {
        self.bar.suspend(|| eprintln!("warning: {}:{line}: {text}", self.file.display()));
    }
}

impl Batch<'_> {
    fn bad_line(&mut self, line: Option<u64>, reason: &str) {
        self.sent.bad_lines += 1;
        if self.sent.bad_lines <= MAX_BAD_LINES_PRINTED {
            let place = line.map_or(String::new(), |line| format!(":{line}"));
            self.bar.suspend(|| eprintln!("{}{place}: {reason}", self.file.display()));
        }
    }
}
