//! The records of files, tick by tick.

use std::path::{Path, PathBuf};

use model::{ClosedTick, PositionRef, Record, RecordSink, TimeMs};
use sources::files::{FileError, FileInput, FileSink};

use super::{BadLine, Follower, ReplayError, ReplayOptions, TICK_RECORDS};
use crate::intake::Intake;

/// Reads all files once; reading them again gives the same ticks.
pub(super) struct Reader<'a> {
    options: &'a ReplayOptions,
    inputs: Vec<FileInput>,
    /// Which of them is read.
    at: usize,
    /// The sizes of those that were read.
    done_bytes: u64,
    all_bytes: u64,
    is_clock_due: bool,
    pub bad_lines: u64,
    pub cut_short: Vec<FileError>,
}

impl<'a> Reader<'a> {
    pub fn open(options: &'a ReplayOptions) -> Result<Reader<'a>, FileError> {
        let inputs = options.files.iter().map(|file| FileInput::open(file)).collect::<Result<Vec<_>, _>>()?;
        let (features, others): (Vec<_>, Vec<_>) = inputs.into_iter().partition(FileInput::is_geojson);
        let inputs: Vec<FileInput> = features.into_iter().chain(others).collect();
        Ok(Reader {
            options,
            at: 0,
            done_bytes: 0,
            all_bytes: inputs.iter().map(FileInput::size_bytes).sum(),
            inputs,
            is_clock_due: options.clock.is_some(),
            bad_lines: 0,
            cut_short: Vec::new(),
        })
    }

    /// Opens files that were read before: what comes through a pipe is gone.
    pub fn open_again(options: &'a ReplayOptions) -> Result<Reader<'a>, ReplayError> {
        let is_pipe = |file: &&PathBuf| !std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
        match options.files.iter().find(is_pipe) {
            Some(file) => Err(ReplayError::ReadOnce { file: file.clone() }),
            None => Ok(Reader::open(options)?),
        }
    }

    /// Reads until a tick is full, or to the end; `false` where the input had ended before.
    pub fn fill(&mut self, intake: &mut Intake, follower: &mut dyn Follower) -> Result<bool, ReplayError> {
        let before = intake.records();
        loop {
            let in_tick = (intake.records() - before) as usize;
            if in_tick >= TICK_RECORDS {
                return Ok(true);
            }
            if self.at == self.inputs.len() {
                break;
            }
            // With --strict one record at a time, so that nothing after the bad line counts.
            let wanted = if self.options.strict { 1 } else { TICK_RECORDS - in_tick };
            self.read_some(wanted, intake, follower)?;
        }
        if std::mem::take(&mut self.is_clock_due) {
            intake.record(self.options.clock, Record::Clock);
        }
        Ok(intake.records() > before)
    }

    fn read_some(
        &mut self,
        wanted: usize,
        intake: &mut Intake,
        follower: &mut dyn Follower,
    ) -> Result<(), ReplayError> {
        let input = &mut self.inputs[self.at];
        let path = input.path().to_owned();
        let mut sink = Incoming { intake, follower, file: &path, bad_lines: 0, first_bad: None };
        let outcome = input.read(wanted, &mut sink);
        let Incoming { bad_lines, first_bad, .. } = sink;
        self.bad_lines += bad_lines;
        for (record, text) in intake.take_warnings() {
            follower.warning(format!("{}: record {record} of the input: {text}", path.display()));
        }
        follower.progress(self.done_bytes + input.bytes_read(), self.all_bytes);
        let goes_on = match outcome {
            Ok(goes_on) => goes_on,
            Err(error) if error.exit_code() == 1 => {
                self.cut_short.push(error);
                false
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(bad) = first_bad.filter(|_| self.options.strict) {
            return Err(ReplayError::Strict(bad));
        }
        if !goes_on {
            self.done_bytes += input.size_bytes();
            self.at += 1;
        }
        Ok(())
    }
}

/// Where a file's records go.
struct Incoming<'a> {
    intake: &'a mut Intake,
    follower: &'a mut dyn Follower,
    file: &'a Path,
    bad_lines: u64,
    first_bad: Option<BadLine>,
}

impl RecordSink for Incoming<'_> {
    fn position(&mut self, received_time: Option<TimeMs>, position: PositionRef<'_>) {
        self.intake.position(received_time, position);
    }

    fn record(&mut self, received_time: Option<TimeMs>, record: Record) {
        self.intake.record(received_time, record);
    }
}

impl FileSink for Incoming<'_> {
    fn bad(&mut self, line: u64, reason: String, _bytes: &[u8]) {
        self.intake.malformed();
        self.bad_lines += 1;
        let bad = BadLine { file: self.file.to_owned(), line, reason };
        self.follower.bad_line(&bad);
        self.first_bad.get_or_insert(bad);
    }

    fn warning(&mut self, line: u64, text: String) {
        self.follower.warning(format!("{}:{line}: {text}", self.file.display()));
    }
}

/// Tells a follower how far a reading is, and nothing that it was told when the files were read first.
pub(super) struct OnlyProgress<'a>(pub &'a mut dyn Follower);

impl Follower for OnlyProgress<'_> {
    fn closed(&mut self, _: &ClosedTick) -> anyhow::Result<()> {
        Ok(())
    }

    fn bad_line(&mut self, _: &BadLine) {}

    fn warning(&mut self, _: String) {}

    fn progress(&mut self, done_bytes: u64, all_bytes: u64) {
        self.0.progress(done_bytes, all_bytes);
    }
}
