//! GeoJSON feature collections, one feature at a time.
//!
//! A small scanner finds where each element of `features` begins and ends, by its brackets and strings; only
//! that text is held and parsed. So a file may be larger than memory, and a feature that is malformed within
//! its brackets spoils no other.

use std::io::{self, BufRead};
use std::sync::Arc;

use model::{Record, RecordSink};

use super::FileSink;
use super::lines::{Input, fill};
use super::ndjson::Warning;
use crate::json;
use crate::shape::{BadSchedule, fence_of_feature};

/// The largest feature that is read.
const MAX_FEATURE_BYTES: usize = 64 * 1024 * 1024;
/// How much of any other text (names, the collection's type) is looked at.
const MAX_NAME_BYTES: usize = 1024;
const KEPT_BYTES: usize = 4 * 1024;

/// Why reading stopped.
pub(super) enum ScanError {
    Io(io::Error),
    /// The JSON as a whole is broken, or it is no FeatureCollection.
    Broken(String),
}

impl From<io::Error> for ScanError {
    fn from(error: io::Error) -> ScanError {
        ScanError::Io(error)
    }
}

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the first element of `features`.
    FirstFeature,
    /// After an element.
    NextFeature,
    End,
}

/// Reads fences, one a feature.
pub(super) struct FeatureReader {
    input: Input,
    /// The line being read, from 1.
    line: u64,
    /// How many bytes were read.
    offset: u64,
    /// How many features were begun.
    features: u64,
    place: Place,
    /// The text of the value that was scanned last.
    value: Vec<u8>,
}

impl FeatureReader {
    /// Reads up to the first feature.
    pub(super) fn new(input: Input) -> Result<FeatureReader, ScanError> {
        let mut reader =
            FeatureReader { input, line: 1, offset: 0, features: 0, place: Place::End, value: Vec::new() };
        if fill(&mut reader.input)?.starts_with(b"\xef\xbb\xbf") {
            reader.consume(3);
        }
        match reader.peek()? {
            Some(b'{') => reader.consume(1),
            Some(_) => return Err(reader.broken("it does not begin with {, as a FeatureCollection does")),
            None => {
                return Err(reader.broken("it is empty; write a FeatureCollection, perhaps without features"));
            }
        }
        if !reader.seek_features(true)? {
            return Err(reader.broken("it has no features; a FeatureCollection is read"));
        }
        Ok(reader)
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// Reads one feature, a bad one too; `false` at the end.
    pub(super) fn step(&mut self, sink: &mut dyn FileSink) -> Result<bool, ScanError> {
        while self.place != Place::End {
            match (self.peek()?, self.place) {
                (Some(b']'), _) => {
                    self.consume(1);
                    if !self.seek_features(false)? {
                        self.place = Place::End;
                    }
                    continue;
                }
                (Some(_), Place::FirstFeature) => {}
                (Some(b','), _) => {
                    self.consume(1);
                    self.peek()?;
                }
                (Some(_), _) => return Err(self.broken("a comma or ] is missing after a feature")),
                (None, _) => return Err(self.broken("it ends before the features do")),
            }
            let line = self.line;
            self.features += 1;
            let is_whole = self.scan_value(MAX_FEATURE_BYTES)?;
            self.place = Place::NextFeature;
            self.feature(line, is_whole, sink);
            return Ok(true);
        }
        Ok(false)
    }

    fn feature(&self, line: u64, is_whole: bool, sink: &mut dyn FileSink) {
        let fence = match std::str::from_utf8(&self.value) {
            _ if !is_whole => Err(format!("it is larger than {MAX_FEATURE_BYTES} bytes")),
            Ok(text) => fence_of_feature(text, BadSchedule::Refused),
            Err(error) => Err(json::not_utf8(&error)),
        };
        match fence {
            Ok(fence) => Warning { line, sink }.record(None, Record::FenceUpsert(Arc::new(fence))),
            Err(reason) => {
                let kept = if is_whole { self.value.len() } else { KEPT_BYTES };
                sink.bad(line, format!("feature {}: {reason}", self.features), &self.value[..kept]);
            }
        }
    }

    /// Reads members of the collection up to the beginning of `features`; `false` if the collection ended.
    fn seek_features(&mut self, mut is_first: bool) -> Result<bool, ScanError> {
        loop {
            match self.peek()? {
                Some(b'}') => {
                    self.consume(1);
                    return match self.peek()? {
                        None => Ok(false),
                        Some(_) => Err(self.broken("something follows the collection's end")),
                    };
                }
                Some(b',') if !is_first => self.consume(1),
                Some(_) if is_first => {}
                Some(_) => return Err(self.broken("a comma or } is missing")),
                None => return Err(self.broken("it ends before the collection does")),
            }
            is_first = false;
            let name = self.member_name()?;
            if name == "features" {
                return match self.peek()? {
                    Some(b'[') => {
                        self.consume(1);
                        self.place = Place::FirstFeature;
                        Ok(true)
                    }
                    _ => Err(self.broken("features is not an array")),
                };
            }
            self.scan_value(MAX_NAME_BYTES)?;
            if name == "type" && self.value != b"\"FeatureCollection\"" {
                let found = String::from_utf8_lossy(&self.value);
                return Err(self.broken(&format!("its type is {found}; a FeatureCollection is read")));
            }
        }
    }

    fn member_name(&mut self) -> Result<String, ScanError> {
        if self.peek()? != Some(b'"') {
            return Err(self.broken("a member's name is missing"));
        }
        self.scan_value(MAX_NAME_BYTES)?;
        let name = serde_json::from_slice(&self.value).unwrap_or_default();
        if self.peek()? != Some(b':') {
            return Err(self.broken("a colon is missing after a member's name"));
        }
        self.consume(1);
        Ok(name)
    }

    /// Reads one value into `self.value`, of which at most `limit` bytes are kept; `false` if there are more.
    fn scan_value(&mut self, limit: usize) -> Result<bool, ScanError> {
        self.value.clear();
        let is_bare = match self.peek()? {
            Some(b'{' | b'[' | b'"') => false,
            Some(b',' | b':' | b']' | b'}') => return Err(self.broken("a value is missing")),
            Some(_) => true,
            None => return Err(self.broken("it ends where a value should be")),
        };
        let mut scan = Scan::default();
        let mut is_whole = true;
        loop {
            let chunk = fill(&mut self.input)?;
            if chunk.is_empty() {
                return if is_bare {
                    Ok(is_whole)
                } else {
                    Err(self.broken("it ends in the middle of a value"))
                };
            }
            let (used, done) = if is_bare { bare_end(chunk) } else { scan.end(chunk) };
            let room = limit.saturating_sub(self.value.len());
            is_whole &= used <= room;
            self.value.extend_from_slice(&chunk[..used.min(room)]);
            self.consume(used);
            if done {
                return Ok(is_whole);
            }
        }
    }

    /// The next byte that is no blank; it is not consumed.
    fn peek(&mut self) -> Result<Option<u8>, ScanError> {
        loop {
            let chunk = fill(&mut self.input)?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let blanks = chunk.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r')).count();
            let next = chunk.get(blanks).copied();
            self.consume(blanks);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Consumes bytes that are in the buffer.
    fn consume(&mut self, count: usize) {
        let lines = memchr::memchr_iter(b'\n', &self.input.buffer()[..count]).count();
        self.line += lines as u64;
        self.offset += count as u64;
        self.input.consume(count);
    }

    fn broken(&self, what: &str) -> ScanError {
        ScanError::Broken(format!("{what} (line {}, byte {})", self.line, self.offset + 1))
    }
}

/// The state between chunks of a value in brackets or quotes.
#[derive(Default)]
struct Scan {
    depth: u64,
    in_string: bool,
    escaped: bool,
}

impl Scan {
    /// How many bytes of the chunk belong to the value, and whether it ends with them.
    fn end(&mut self, chunk: &[u8]) -> (usize, bool) {
        for (i, &byte) in chunk.iter().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                if !self.in_string && self.depth == 0 {
                    return (i + 1, true);
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return (i + 1, true);
                    }
                }
                _ => {}
            }
        }
        (chunk.len(), false)
    }
}

/// The same for a number or a word, which ends before what can't be part of it.
fn bare_end(chunk: &[u8]) -> (usize, bool) {
    let is_end = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\n' | b'\r');
    match chunk.iter().position(is_end) {
        Some(end) => (end, true),
        None => (chunk.len(), false),
    }
}
