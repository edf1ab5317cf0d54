//! The journal as records of the product's own format: what `replay` reads back to the same rows.

use std::io::{self, Write};

use journal::{Log, StoreError};
use model::{PositionRef, Record, RecordSink, TimeMs};

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ExportError {
    #[error(transparent)]
    Journal(#[from] StoreError),
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
}

/// Writes every record up to and with tick `to_tick`, one a line, and a `clock` of that tick's instant.
/// Tells how many lines there are.
pub fn export(log: &dyn Log, to_tick: u64, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut lines = Lines { buffer: Vec::with_capacity(1 << 16), received: TimeMs(0), count: 0 };
    let mut instant = TimeMs(0);
    for tick in log.read(1, to_tick) {
        let tick = tick?;
        for entry in &tick.entries {
            lines.received = TimeMs(entry.received_ms);
            sources::decode(entry.source, &entry.context, &entry.payload, &mut lines);
        }
        instant = TimeMs(tick.instant_ms);
        if lines.buffer.len() >= 1 << 16 {
            out.write_all(&lines.buffer)?;
            lines.buffer.clear();
        }
    }
    if to_tick > 0 {
        lines.received = instant;
        lines.record(None, Record::Clock);
    }
    out.write_all(&lines.buffer)?;
    out.flush()?;
    Ok(lines.count)
}

struct Lines {
    buffer: Vec<u8>,
    received: TimeMs,
    count: u64,
}

impl Lines {
    fn end_line(&mut self) {
        if self.buffer.last() != Some(&b'\n') {
            self.buffer.push(b'\n');
        }
        self.count += 1;
    }
}

impl RecordSink for Lines {
    fn position(&mut self, _: Option<TimeMs>, position: PositionRef<'_>) {
        sources::encode_position(&mut self.buffer, self.received, &position);
        self.end_line();
    }

    fn record(&mut self, _: Option<TimeMs>, record: Record) {
        sources::encode_record(&mut self.buffer, self.received, &record);
        self.end_line();
    }
}
