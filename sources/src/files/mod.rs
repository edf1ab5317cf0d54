//! Files: positions as CSV, records as NDJSON, fences as GeoJSON, each also compressed (`.gz`, `.zst`).
//!
//! Memory does not grow with a file: it is bounded by a line (1 MiB) or a GeoJSON feature (64 MiB).
//!
//! Reads, by suffix: `.csv`; `.ndjson` and `.jsonl`; `.geojson` and `.json`. Lines may end in CRLF, and a
//! byte order mark is skipped. Blank lines are no records, but they count as lines.
//!
//! Refuses a file ([`FileError::exit_code`] 2) that can't be opened, has another suffix, is a CSV without
//! usable header, or a GeoJSON file that is no FeatureCollection. Refuses a line or feature
//! ([`FileSink::bad`]) that is malformed, too long or not UTF-8; the rest goes on.
//!
//! Decisions and quirks:
//! - In CSV, blanks around times and numbers are ignored, those of a vehicle id are part of it. A quoted
//!   field may span lines; a quote that is not closed within 100 lines, or not properly, or whose row then has
//!   the wrong number of fields, costs only the line where it was opened. An optional column that is named
//!   twice is read from its first, with a warning.
//! - When a compressed file is cut short, its last line is not used: it may be cut in the middle of a number.
//! - A GeoJSON file that is broken as a whole still gives the features before that place.

mod csv;
mod geojson;
mod lines;
mod ndjson;
mod open;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use model::RecordSink;

pub use open::FileInput;

/// The longest line that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Where the records of a file go.
pub trait FileSink: RecordSink {
    /// A line or feature that was refused, why, and its bytes (of an overlong one only the beginning). It
    /// counts as a record.
    fn bad(&mut self, line: u64, reason: String, bytes: &[u8]);
    /// Something that was accepted but looks wrong.
    fn warning(&mut self, line: u64, text: String);
}

/// Why a file can't be used, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It can't be opened.
    #[error("can't open {path}: {error}", path = path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is not what its suffix says, or nothing that is read at all.
    #[error("can't use {path}: {reason}", path = path.display())]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// The compressed data end too early; what came before was read.
    #[error("{path} is cut short: its compressed data end early, after line {line}", path = path.display())]
    CutShort {
        /// Which file.
        path: PathBuf,
        /// The last whole line.
        line: u64,
    },
    /// It is damaged in the middle; what came before was read.
    #[error("{path} is damaged at line {line}: {reason}", path = path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: u64,
        /// How.
        reason: String,
    },
}

impl FileError {
    /// The exit status that the command line promises: 2 for a file that can't be used at all, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            FileError::Open { .. } | FileError::Unusable { .. } => 2,
            FileError::CutShort { .. } | FileError::Damaged { .. } => 1,
        }
    }
}
