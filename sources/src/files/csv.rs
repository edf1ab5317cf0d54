//! CSV of positions.

use std::collections::VecDeque;
use std::io;

use memchr::memchr;
use model::{BadFields, Position, PositionRef};

use super::FileSink;
use super::lines::{Input, Line, Lines, too_long};
use crate::json;
use crate::shape::{Optionals, check_id, ignition_in_text, number_in_text, time_in_text};

/// The columns that are read; the first four are required.
const COLUMNS: [&str; 9] = [
    "vehicle_id",
    "event_time",
    "lon",
    "lat",
    "speed_kmh",
    "heading",
    "ignition",
    "accuracy_m",
    "received_time",
];
const REQUIRED: usize = 4;
/// How many lines a quoted field is followed over.
const MAX_QUOTED_LINES: usize = 100;
/// How many bytes a row may have that spans lines.
const MAX_QUOTED_BYTES: usize = 64 * 1024;

/// What the header says.
struct Header {
    /// For each field of a row, which of [`COLUMNS`] it is.
    columns: Vec<Option<usize>>,
}

/// Reads positions, one a row.
pub(super) struct CsvReader {
    lines: Lines,
    header: Header,
    warnings: Vec<String>,
    fields: Fields,
    /// Lines that were looked at for the end of a quoted field, and are still to be read.
    pending: VecDeque<(u64, Vec<u8>)>,
}

/// Why a CSV file can't be begun.
pub(super) enum HeaderError {
    Io(io::Error),
    Unusable(String),
}

/// What became of a line.
enum Seen {
    Record,
    Blank,
    /// A quoted field that goes on in the next line.
    Unfinished(u64, Vec<u8>),
}

impl CsvReader {
    /// Reads the header.
    pub(super) fn new(input: Input) -> Result<CsvReader, HeaderError> {
        let mut lines = Lines::new(input);
        let header = loop {
            let line = lines.next(|_, line| match line {
                Line::Whole(bytes) => Ok(bytes.to_vec()),
                Line::TooLong(_) => Err(too_long()),
            });
            match line.map_err(HeaderError::Io)? {
                Some(Ok(bytes)) if bytes.trim_ascii().is_empty() => {}
                Some(Ok(bytes)) => break bytes,
                Some(Err(reason)) => return Err(HeaderError::Unusable(reason)),
                None => {
                    let columns = COLUMNS[..REQUIRED].join(",");
                    return Err(HeaderError::Unusable(format!(
                        "it is empty; a header {columns} is required"
                    )));
                }
            }
        };
        let mut warnings = Vec::new();
        let header = Header::parse(&header, &mut warnings).map_err(HeaderError::Unusable)?;
        Ok(CsvReader { lines, header, warnings, fields: Fields::default(), pending: VecDeque::new() })
    }

    pub(super) fn line(&self) -> u64 {
        self.lines.number()
    }

    /// Reads one row, a bad one too; `false` at the end.
    pub(super) fn step(&mut self, sink: &mut dyn FileSink) -> io::Result<bool> {
        for warning in self.warnings.drain(..) {
            sink.warning(1, warning);
        }
        loop {
            let (header, fields) = (&self.header, &mut self.fields);
            let seen = match self.pending.pop_front() {
                Some((number, bytes)) => Some(header.line(number, &bytes, fields, sink)),
                None => self.lines.next(|number, line| match line {
                    Line::Whole(bytes) => header.line(number, bytes, fields, sink),
                    Line::TooLong(start) => {
                        sink.bad(number, too_long(), start);
                        Seen::Record
                    }
                })?,
            };
            match seen {
                None => return Ok(false),
                Some(Seen::Record) => return Ok(true),
                Some(Seen::Blank) => {}
                Some(Seen::Unfinished(number, first)) => {
                    self.quoted_over_lines(number, &first, sink)?;
                    return Ok(true);
                }
            }
        }
    }

    /// A row whose quoted field spans lines. If that does not end well, only the first line is bad, and the
    /// others are read on their own.
    fn quoted_over_lines(&mut self, number: u64, first: &[u8], sink: &mut dyn FileSink) -> io::Result<()> {
        let mut row = first.to_vec();
        for taken in 0..MAX_QUOTED_LINES {
            if self.pending.len() == taken {
                let next = self.lines.next(|number, line| match line {
                    Line::Whole(bytes) => Some((number, bytes.to_vec())),
                    Line::TooLong(start) => {
                        sink.bad(number, too_long(), start);
                        None
                    }
                })?;
                let Some(Some(line)) = next else { break };
                self.pending.push_back(line);
            }
            row.push(b'\n');
            row.extend_from_slice(&self.pending[taken].1);
            if row.len() > MAX_QUOTED_BYTES {
                break;
            }
            let Ok(text) = std::str::from_utf8(&row) else { break };
            if !self.fields.split_quoted(text) {
                continue;
            }
            if !self.fields.is_clean || self.header.row(self.fields.iter(), sink).is_err() {
                break;
            }
            self.pending.drain(..=taken);
            return Ok(());
        }
        sink.bad(number, "a quoted field is not closed".to_owned(), first);
        Ok(())
    }
}

impl Header {
    fn parse(line: &[u8], warnings: &mut Vec<String>) -> Result<Header, String> {
        let text = String::from_utf8_lossy(line);
        let mut fields = Fields::default();
        if !fields.split_quoted(&text) {
            return Err("a quoted name in the header is not closed".to_owned());
        }
        let mut seen = [false; COLUMNS.len()];
        let mut columns = Vec::new();
        for name in fields.iter() {
            let name = name.trim();
            let column = COLUMNS.iter().position(|known| *known == name);
            match column {
                Some(column) if seen[column] && column < REQUIRED => {
                    return Err(format!("the column {name} is named twice in the header"));
                }
                Some(column) if seen[column] => {
                    warnings.push(format!("the column {name} is named twice; the first one is read"));
                    columns.push(None);
                }
                _ => columns.push(column),
            }
            if let Some(column) = column {
                seen[column] = true;
            }
        }
        let missing: Vec<&str> = (0..REQUIRED).filter(|&i| !seen[i]).map(|i| COLUMNS[i]).collect();
        if !missing.is_empty() {
            let header = json::quoted(&text);
            return Err(format!("the header {header} lacks the column {}", missing.join(" and the column ")));
        }
        Ok(Header { columns })
    }

    /// Reads one line, unless a row begins in it that goes on.
    fn line(&self, number: u64, bytes: &[u8], fields: &mut Fields, sink: &mut dyn FileSink) -> Seen {
        if bytes.is_empty() {
            return Seen::Blank;
        }
        let result = match std::str::from_utf8(bytes) {
            Err(error) => Err(json::not_utf8(&error)),
            Ok(text) if memchr(b'"', bytes).is_none() => self.row(text.split(','), sink),
            Ok(text) if fields.split_quoted(text) => self.row(fields.iter(), sink),
            Ok(_) => return Seen::Unfinished(number, bytes.to_vec()),
        };
        if let Err(reason) = result {
            sink.bad(number, reason, bytes);
        }
        Seen::Record
    }

    fn row<'a>(&self, fields: impl Iterator<Item = &'a str>, sink: &mut dyn FileSink) -> Result<(), String> {
        let mut values = [""; COLUMNS.len()];
        let mut count = 0;
        for field in fields {
            if let Some(&Some(column)) = self.columns.get(count) {
                values[column] = field;
            }
            count += 1;
        }
        if count != self.columns.len() {
            return Err(format!("{count} fields, where the header has {}", self.columns.len()));
        }
        let [vehicle_id, event_time, lon, lat, speed_kmh, heading, ignition, accuracy_m, received_time] =
            values;
        check_id("vehicle_id", vehicle_id)?;
        let mut position = Position {
            event_time: time_in_text("event_time", event_time.trim_ascii())?,
            lon: coordinate("lon", lon)?,
            lat: coordinate("lat", lat)?,
            ..Position::default()
        };
        let optionals = Optionals {
            speed_kmh: number_in_text(speed_kmh),
            heading: number_in_text(heading),
            ignition: ignition_in_text(ignition),
            accuracy_m: number_in_text(accuracy_m),
        };
        optionals.fill(&mut position);
        let received = match received_time.trim_ascii() {
            "" => None,
            text => {
                let time = time_in_text("received_time", text).ok();
                if time.is_none() {
                    position.bad.add(BadFields::RECEIVED_TIME);
                }
                time
            }
        };
        sink.position(received, PositionRef { vehicle_id, spelling: None, position });
        Ok(())
    }
}

fn coordinate(name: &str, text: &str) -> Result<f64, String> {
    match text.trim_ascii().parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ if text.is_empty() => Err(format!("{name} is empty")),
        _ => Err(format!("{name} {} is not a finite number", json::quoted(text))),
    }
}

/// The fields of a row with quotes, unquoted; used again for each row.
#[derive(Default)]
struct Fields {
    text: String,
    ends: Vec<usize>,
    /// Whether every closing quote ends its field.
    is_clean: bool,
}

impl Fields {
    /// Splits a row; `false` if it ends within quotes. A quote counts only at the beginning of a field;
    /// within quotes, two are one; what follows the closing quote is kept as it is.
    fn split_quoted(&mut self, row: &str) -> bool {
        self.text.clear();
        self.ends.clear();
        self.is_clean = true;
        let mut rest = row;
        loop {
            if let Some(mut quoted) = rest.strip_prefix('"') {
                loop {
                    let Some(quote) = memchr(b'"', quoted.as_bytes()) else { return false };
                    self.text.push_str(&quoted[..quote]);
                    quoted = &quoted[quote + 1..];
                    match quoted.strip_prefix('"') {
                        Some(after_pair) => {
                            self.text.push('"');
                            quoted = after_pair;
                        }
                        None => break,
                    }
                }
                rest = quoted;
                self.is_clean &= rest.is_empty() || rest.starts_with(',');
            }
            let comma = memchr(b',', rest.as_bytes());
            self.text.push_str(&rest[..comma.unwrap_or(rest.len())]);
            self.ends.push(self.text.len());
            match comma {
                Some(comma) => rest = &rest[comma + 1..],
                None => return true,
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(self.ends.iter().copied()).map(|(start, end)| &self.text[start..end])
    }
}
