//! What all checks at the door share: the result, its limits, and how accepted and refused parts of a body
//! are gathered.

use std::borrow::Cow;
use std::io::Read;

use model::{PositionRef, Record, RecordSink, TimeMs};

use crate::shape;

/// The longest record that a body may hold. A little less than the longest line of a file, so that every
/// accepted record can be exported and replayed.
pub const MAX_RECORD_BYTES: usize = crate::files::MAX_LINE_BYTES - 8 * 1024;
/// How many refused parts of one body are kept one by one; the rest share the last one.
const MAX_REFUSED_APART: usize = 10_000;

/// What a check at the door found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// What goes to the journal: the body as received when nothing was refused, else the accepted records
    /// as NDJSON; `None` when there is none.
    pub payload: Option<Vec<u8>>,
    /// The journal entry's context.
    pub context: String,
    /// How many records were accepted.
    pub accepted: usize,
    /// What was refused, in order. At most 10,000 one by one: further ones are gathered in the last, as
    /// NDJSON, so that a hostile body can't multiply its size in memory.
    pub refused: Vec<Refused>,
    /// How many records were refused.
    pub refused_count: usize,
    /// What was accepted but looks wrong.
    pub warnings: Vec<String>,
    /// Whether something that people edit, and that edits are judged by, may become another with it.
    pub edits_entities: bool,
}

/// A refused part of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Line of NDJSON or element of an array, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
    /// The part as received.
    pub bytes: Vec<u8>,
}

/// Why a whole body was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is not what the endpoint reads (status 400).
    #[error("{0}")]
    NotABody(String),
    /// It is larger than the limit, as received or inflated (status 413).
    #[error("the body is larger than {limit} bytes; send smaller batches")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The sender did not prove who it is (status 401).
    #[error("{0}")]
    Unauthorized(String),
}

/// Undoes the body's content encoding; never holds more than `limit` bytes.
pub fn inflate<'a>(
    body: &'a [u8],
    content_encoding: Option<&str>,
    limit: usize,
) -> Result<Cow<'a, [u8]>, BodyError> {
    if body.len() > limit {
        return Err(BodyError::TooLarge { limit });
    }
    let encoding = content_encoding.unwrap_or_default().trim().to_ascii_lowercase();
    match encoding.as_str() {
        "" | "identity" => Ok(Cow::Borrowed(body)),
        "gzip" | "x-gzip" => read_limited(flate2::bufread::MultiGzDecoder::new(body), limit, "gzip"),
        "zstd" => match zstd::stream::read::Decoder::with_buffer(body) {
            Ok(decoder) => read_limited(decoder, limit, "zstd"),
            Err(error) => Err(BodyError::NotABody(format!("the body can't be read as zstd: {error}"))),
        },
        other => {
            let name = crate::json::quoted(other);
            Err(BodyError::NotABody(format!("content encoding {name} is not known; send gzip, zstd or none")))
        }
    }
}

fn read_limited(decoder: impl Read, limit: usize, name: &str) -> Result<Cow<'static, [u8]>, BodyError> {
    let mut inflated = Vec::new();
    let one_more_than_allowed = limit as u64 + 1;
    match decoder.take(one_more_than_allowed).read_to_end(&mut inflated) {
        Ok(_) if inflated.len() > limit => Err(BodyError::TooLarge { limit }),
        Ok(_) => Ok(Cow::Owned(inflated)),
        Err(error) => Err(BodyError::NotABody(format!("the body can't be read as {name}: {error}"))),
    }
}

/// Gathers the parts of one body.
pub(crate) struct Collector<'a> {
    /// The accepted parts, as they lie in the body: they are copied only where something was refused, since
    /// a body that is good as a whole is journalled as it is.
    accepted: Vec<&'a [u8]>,
    refused: Vec<Refused>,
    refused_count: usize,
    sink: DoorSink,
}

impl<'a> Collector<'a> {
    pub(crate) fn new() -> Collector<'a> {
        Collector { accepted: Vec::new(), refused: Vec::new(), refused_count: 0, sink: DoorSink::new() }
    }

    /// Judges one part of the body by decoding it.
    pub(crate) fn judge(
        &mut self,
        line: usize,
        part: &'a [u8],
        decode: impl FnOnce(&str, &mut dyn RecordSink) -> Result<(), String>,
    ) {
        if part.len() > MAX_RECORD_BYTES {
            let reason = format!("the record has {} bytes; at most {MAX_RECORD_BYTES} are read", part.len());
            return self.refuse(line, reason, part);
        }
        let text = match std::str::from_utf8(part) {
            Ok(text) => text,
            Err(error) => return self.refuse(line, crate::json::not_utf8(&error), part),
        };
        match decode(text, &mut self.sink) {
            Ok(()) => self.accepted.push(part),
            Err(reason) => self.refuse(line, reason, part),
        }
    }

    pub(crate) fn has_refused(&self) -> bool {
        self.refused_count > 0
    }

    fn refuse(&mut self, line: usize, reason: String, part: &[u8]) {
        self.refused_count += 1;
        if self.refused_count <= MAX_REFUSED_APART {
            self.refused.push(Refused { line, reason, bytes: part.to_vec() });
            return;
        }
        let more = self.refused_count - MAX_REFUSED_APART;
        if let Some(last) = self.refused.last_mut() {
            if more == 1 {
                last.bytes.push(b'\n');
            }
            push_as_line(&mut last.bytes, part);
            last.reason = format!("{} or more records of one body were refused", MAX_REFUSED_APART + 1);
        }
    }

    /// The result; `body` is what was checked, as received.
    pub(crate) fn finish(self, body: &[u8], context: String) -> Checked {
        let payload = match (self.accepted.len(), self.refused_count) {
            (0, _) => None,
            (_, 0) => Some(body.to_vec()),
            _ => Some(as_lines(&self.accepted)),
        };
        Checked {
            payload,
            context,
            accepted: self.accepted.len(),
            refused: self.refused,
            refused_count: self.refused_count,
            warnings: self.sink.warnings,
            edits_entities: self.sink.edits_entities,
        }
    }
}

fn as_lines(parts: &[&[u8]]) -> Vec<u8> {
    let bytes = parts.iter().map(|part| part.len() + 1).sum();
    let mut lines = Vec::with_capacity(bytes);
    for part in parts {
        push_as_line(&mut lines, part);
    }
    lines
}

/// Appends JSON as one line: line breaks in it, which can only be between tokens, become blanks.
fn push_as_line(out: &mut Vec<u8>, part: &[u8]) {
    let start = out.len();
    out.extend_from_slice(part);
    for byte in &mut out[start..] {
        if matches!(*byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
    out.push(b'\n');
}

/// Swallows records; only remembers what to warn of, and whether anything is edited that people edit.
pub(crate) struct DoorSink {
    pub(crate) warnings: Vec<String>,
    edits_entities: bool,
    geometry_budget: u64,
}

impl DoorSink {
    pub(crate) fn new() -> DoorSink {
        DoorSink { warnings: Vec::new(), edits_entities: false, geometry_budget: shape::INTERSECTION_BUDGET }
    }
}

impl RecordSink for DoorSink {
    fn position(&mut self, _received_time: Option<TimeMs>, _position: PositionRef<'_>) {}

    fn record(&mut self, _received_time: Option<TimeMs>, record: Record) {
        self.edits_entities |= matches!(
            record,
            Record::FenceUpsert(_)
                | Record::FenceDelete { .. }
                | Record::Location { .. }
                | Record::Trip { .. }
                | Record::Vehicle { .. }
                | Record::Other { kind: "driver" | "assignment", .. }
        );
        if let Record::FenceUpsert(fence) = record {
            self.warnings.extend(shape::self_intersection(&fence, &mut self.geometry_budget));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::gzip;

    #[test]
    fn inflates_what_is_small_enough() {
        let packed = gzip(b"hello");
        assert_eq!(inflate(&packed, Some("gzip"), 100).unwrap().as_ref(), b"hello");
        assert_eq!(inflate(&packed, Some(" GZIP "), 100).unwrap().as_ref(), b"hello");
        assert_eq!(inflate(b"hello", None, 5).unwrap().as_ref(), b"hello");
        let twice = [packed.clone(), packed].concat();
        assert_eq!(inflate(&twice, Some("gzip"), 100).unwrap().as_ref(), b"hellohello");
        let zstd = zstd::encode_all(&b"hello"[..], 1).unwrap();
        assert_eq!(inflate(&zstd, Some("zstd"), 100).unwrap().as_ref(), b"hello");
    }

    #[test]
    fn stops_at_bombs_and_rubbish() {
        let bomb = gzip(&vec![b'a'; 10_000_000]);
        assert!(bomb.len() < 20_000);
        assert_eq!(inflate(&bomb, Some("gzip"), 20_000), Err(BodyError::TooLarge { limit: 20_000 }));
        assert_eq!(inflate(b"hello", None, 4), Err(BodyError::TooLarge { limit: 4 }));
        for (body, encoding) in
            [(&b"hello"[..], "gzip"), (&bomb[..50], "gzip"), (b"hello", "zstd"), (b"x", "br")]
        {
            let error = inflate(body, Some(encoding), 20_000_000).unwrap_err();
            assert!(matches!(&error, BodyError::NotABody(why) if why.contains(encoding)), "{error:?}");
        }
    }

    #[test]
    fn a_flood_of_bad_parts_is_counted_but_not_multiplied() {
        let mut collector = Collector::new();
        for line in 1..=MAX_REFUSED_APART + 3 {
            collector.judge(line, b"1", |_, _| Err("bad".to_owned()));
        }
        let checked = collector.finish(b"", String::new());
        assert_eq!(
            (checked.refused_count, checked.refused.len()),
            (MAX_REFUSED_APART + 3, MAX_REFUSED_APART)
        );
        assert_eq!(checked.refused.last().unwrap().bytes, b"1\n1\n1\n1\n");
        assert_eq!(checked.payload, None);
    }
}
