//! NDJSON of records.

use std::io;

use model::{PositionRef, Record, RecordSink, TimeMs};

use super::FileSink;
use super::lines::{Input, Line, Lines, too_long};
use crate::json;
use crate::shape::{self, Origin};

/// Reads records, one a line.
pub(super) struct NdjsonReader {
    lines: Lines,
}

impl NdjsonReader {
    pub(super) fn new(input: Input) -> NdjsonReader {
        NdjsonReader { lines: Lines::new(input) }
    }

    pub(super) fn line(&self) -> u64 {
        self.lines.number()
    }

    /// Reads one record, a bad one too; `false` at the end.
    pub(super) fn step(&mut self, sink: &mut dyn FileSink) -> io::Result<bool> {
        loop {
            let was_record = self.lines.next(|number, line| match line {
                Line::TooLong(start) => {
                    sink.bad(number, too_long(), start);
                    true
                }
                Line::Whole(bytes) => {
                    let trimmed = bytes.trim_ascii();
                    if trimmed.is_empty() {
                        return false;
                    }
                    if let Err(reason) = record(number, trimmed, sink) {
                        sink.bad(number, reason, bytes);
                    }
                    true
                }
            })?;
            match was_record {
                None => return Ok(false),
                Some(true) => return Ok(true),
                Some(false) => {}
            }
        }
    }
}

fn record(line: u64, bytes: &[u8], sink: &mut dyn FileSink) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| json::not_utf8(&error))?;
    shape::decode_record(text, Origin::File, &mut Warning { line, sink })
}

/// Passes records on, fences and rules with a warning where they deserve one.
pub(super) struct Warning<'a> {
    pub(super) line: u64,
    pub(super) sink: &'a mut dyn FileSink,
}

impl RecordSink for Warning<'_> {
    fn position(&mut self, received_time: Option<TimeMs>, position: PositionRef<'_>) {
        self.sink.position(received_time, position);
    }

    fn record(&mut self, received_time: Option<TimeMs>, record: Record) {
        if let Record::FenceUpsert(fence) = &record {
            let crossing = shape::self_intersection(fence, &mut shape::INTERSECTION_BUDGET.clone());
            for warning in crossing.into_iter().chain(shape::ignored_schedule(fence)) {
                self.sink.warning(self.line, warning);
            }
        }
        let ignored = shape::ignored_rule(&record).or_else(|| shape::ignored_plan(&record));
        if let Some(warning) = ignored {
            self.sink.warning(self.line, warning);
        }
        self.sink.record(received_time, record);
    }
}
