//! Records of a file as bodies of requests.

use bytes::Bytes;
use model::{PositionRef, Record, RecordSink, TimeMs};
use sources::files::FileSink;
use sources::{encode_position, encode_record};

use super::loconav;

/// A body is sent before it is larger than this, whatever the batch.
const MAX_BODY_BYTES: usize = 1 << 20;

/// What bodies look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Records, one a line.
    Records,
    /// An array of LocoNav's live locations; other records have no such form.
    Loconav,
}

/// A body and how many records it holds.
#[derive(Debug)]
pub(crate) struct Batch {
    pub body: Bytes,
    pub records: u64,
}

/// Collects records of a file into batches.
pub(crate) struct Batcher {
    format: Format,
    batch: u64,
    body: Vec<u8>,
    records: u64,
    pub finished: Vec<Batch>,
    /// Records that the service does not take: clocks, what could not be decoded, and for LocoNav all but positions.
    pub skipped: u64,
    /// Lines of the file that are no records.
    pub bad_lines: u64,
    /// The first of them and why.
    pub first_bad: Option<String>,
}

impl Batcher {
    pub(crate) fn new(format: Format, batch: u64) -> Batcher {
        Batcher {
            format,
            batch,
            body: Vec::new(),
            records: 0,
            finished: Vec::new(),
            skipped: 0,
            bad_lines: 0,
            first_bad: None,
        }
    }

    /// Ends the batch that is being collected.
    pub(crate) fn finish(&mut self) {
        if self.records == 0 {
            return;
        }
        if self.format == Format::Loconav {
            self.body.push(b']');
        }
        let records = std::mem::take(&mut self.records);
        self.finished.push(Batch { body: std::mem::take(&mut self.body).into(), records });
    }

    fn added(&mut self) {
        self.records += 1;
        if self.records >= self.batch || self.body.len() >= MAX_BODY_BYTES {
            self.finish();
        }
    }
}

impl RecordSink for Batcher {
    fn position(&mut self, received_time: Option<TimeMs>, position: PositionRef<'_>) {
        match self.format {
            Format::Records => {
                let received = received_time.unwrap_or(position.position.event_time);
                encode_position(&mut self.body, received, &position);
            }
            Format::Loconav => {
                self.body.push(if self.records == 0 { b'[' } else { b',' });
                loconav::push_location(&mut self.body, position.vehicle_id, &position.position);
            }
        }
        self.added();
    }

    fn record(&mut self, received_time: Option<TimeMs>, record: Record) {
        let has_no_form = matches!(record, Record::Clock | Record::Undecodable { .. });
        if has_no_form || self.format == Format::Loconav {
            self.skipped += 1;
            return;
        }
        encode_record(&mut self.body, received_time.unwrap_or_default(), &record);
        self.added();
    }
}

impl FileSink for Batcher {
    fn bad(&mut self, line: u64, reason: String, _bytes: &[u8]) {
        self.bad_lines += 1;
        self.first_bad.get_or_insert_with(|| format!("line {line}: {reason}"));
    }

    fn warning(&mut self, _line: u64, _text: String) {}
}
