//! Generic ingest: bodies of records in Watch Tower's own format.
//!
//! Reads: NDJSON (blank lines are skipped, a byte order mark and CRLF are fine), or one JSON array of
//! records. Refuses: `clock` and `undecodable`, which are for files; what is malformed; records of more than
//! [`MAX_RECORD_BYTES`](crate::MAX_RECORD_BYTES); and where [`Backfill`] is refused, `backfill` records and
//! `exempt` positions, since they reach into periods that are final. `received_time` is ignored: the server stamps
//! the arrival.
//!
//! Quirks: a single object that is spread over several lines is no NDJSON; put it in an array. In an array,
//! the number of a refused record is its place, from 1; in NDJSON it is its line.

mod check;
mod decode;
#[cfg(test)]
mod tests;

pub use check::{Backfill, check};
pub(crate) use decode::decode;

/// Whether a body is an array, not lines.
pub(crate) fn is_array(body: &[u8]) -> bool {
    body.trim_ascii_start().first() == Some(&b'[')
}

/// The lines of NDJSON that are not blank, with their numbers from 1.
pub(crate) fn lines(body: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let numbered = body.split(|&byte| byte == b'\n').enumerate();
    numbered.map(|(i, line)| (i + 1, line.trim_ascii())).filter(|(_, line)| !line.is_empty())
}
