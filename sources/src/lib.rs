//! Sources: everything that knows how records look on the wire or in a file, and nothing of the graph.
//!
//! ```text
//!  HTTP body --inflate, verify--> check --accepted bytes--> journal --decode--> RecordSink
//!  file      ------------------------------------------------FileInput--------> RecordSink
//! ```
//!
//! Invariants:
//! 1. `check` decides what is journalled, `decode` reads it back: both run the same code, so that what was
//!    accepted decodes, to the same records in the same order, each time. Where a release gives a field a meaning,
//!    `decode` is more tolerant of it than `check`: an earlier release may have accepted anything there.
//! 2. `decode` is a function of the journal entry alone: no clock, no configuration. What decoding needs
//!    beside the bytes is in the entry's context.
//! 3. Bad input is a counted refusal with a reason. It never panics, and memory is bounded by a body, a line
//!    or a GeoJSON feature.
//!
//! There is one folder a source (`records`, `loconav`, `kafka`, `postgis`, `settings`, `files`), each with the same files:
//! `mod` says what it reads and refuses, `check` is the door, `decode` reads the journal. What they share is in
//! `shape` (the records of Watch Tower's own format) and `json`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod door;
mod encode;
pub mod files;
mod json;
pub mod kafka;
pub mod loconav;
pub mod postgis;
pub mod records;
pub mod settings;
mod shape;
pub mod signature;
#[cfg(test)]
mod testing;

use model::{Record, RecordSink};
use records::Backfill;

pub use door::{BodyError, Checked, MAX_RECORD_BYTES, Refused, inflate};
pub use encode::{encode_position, encode_record};

/// Numbers of the sources in journal entries and dead letters. They never change.
pub mod code {
    /// Settings that `run` writes at its start.
    pub const SETTINGS: u8 = 1;
    /// Generic ingest.
    pub const RECORDS: u8 = 2;
    /// LocoNav's webhooks.
    pub const LOCONAV: u8 = 3;
    /// Files; only dead letters name it, files are not journalled.
    pub const FILES: u8 = 4;
    /// What `watchtower backfill` writes: records like those of generic ingest, and of a backfill too.
    pub const BACKFILL: u8 = 5;
    /// Messages of topics of Kafka.
    pub const KAFKA: u8 = 6;
    /// Fences of a table in PostGIS.
    pub const POSTGIS: u8 = 7;
}

/// The name of a source in answers, logs and metrics.
#[must_use]
pub fn source_name(source: u8) -> &'static str {
    match source {
        code::SETTINGS => "settings",
        code::RECORDS => "records",
        code::LOCONAV => "loconav",
        code::FILES => "files",
        code::BACKFILL => "backfill",
        code::KAFKA => "kafka",
        code::POSTGIS => "postgis",
        _ => "unknown",
    }
}

/// Decodes one journal entry: the same records in the same order each time.
///
/// It never fails: what can't be decoded is a [`Record::Undecodable`]. `received_time` is always `None`,
/// since a journal entry has its own.
pub fn decode(source: u8, context: &str, payload: &[u8], sink: &mut dyn RecordSink) {
    match source {
        code::SETTINGS => settings::decode(payload, sink),
        code::RECORDS => records::decode(payload, Backfill::Refused, sink),
        code::BACKFILL => records::decode(payload, Backfill::Allowed, sink),
        code::LOCONAV => loconav::decode(context, payload, sink),
        code::KAFKA => kafka::decode(context, payload, sink),
        code::POSTGIS => postgis::decode(payload, sink),
        unknown => {
            let reason = format!("no decoder for source {unknown}; it was written by a later release");
            sink.record(None, Record::Undecodable { reason });
        }
    }
}
