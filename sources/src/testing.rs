//! What the tests of this crate share.

use std::io::Write;

use model::{Position, PositionRef, Record, RecordSink, TimeMs};

use crate::files::FileSink;

/// A record of any kind, owned.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Got {
    Position { received: Option<TimeMs>, vehicle_id: String, spelling: Option<String>, position: Position },
    Record { received: Option<TimeMs>, record: Record },
}

impl Got {
    /// The numbers, of a position.
    pub(crate) fn position(&self) -> Option<Position> {
        match self {
            Got::Position { position, .. } => Some(*position),
            Got::Record { .. } => None,
        }
    }
}

/// Collects all that it is given.
#[derive(Debug, Default)]
pub(crate) struct Gather {
    pub(crate) got: Vec<Got>,
    pub(crate) bad: Vec<(u64, String)>,
    pub(crate) bad_bytes: Vec<Vec<u8>>,
    pub(crate) warnings: Vec<String>,
}

impl Gather {
    pub(crate) fn positions(&self) -> Vec<(&str, Position)> {
        let position = |got| match got {
            &Got::Position { ref vehicle_id, position, .. } => Some((vehicle_id.as_str(), position)),
            Got::Record { .. } => None,
        };
        self.got.iter().filter_map(position).collect()
    }

    pub(crate) fn undecodable(&self) -> usize {
        let is_undecodable =
            |got: &&Got| matches!(got, Got::Record { record: Record::Undecodable { .. }, .. });
        self.got.iter().filter(is_undecodable).count()
    }
}

impl RecordSink for Gather {
    fn position(&mut self, received: Option<TimeMs>, p: PositionRef<'_>) {
        self.got.push(Got::Position {
            received,
            vehicle_id: p.vehicle_id.to_owned(),
            spelling: p.spelling.map(str::to_owned),
            position: p.position,
        });
    }

    fn record(&mut self, received: Option<TimeMs>, record: Record) {
        self.got.push(Got::Record { received, record });
    }
}

impl FileSink for Gather {
    fn bad(&mut self, line: u64, reason: String, bytes: &[u8]) {
        self.bad.push((line, reason));
        self.bad_bytes.push(bytes.to_vec());
    }

    fn warning(&mut self, _line: u64, text: String) {
        self.warnings.push(text);
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The records of one journal entry.
pub(crate) fn decoded(source: u8, context: &str, payload: &[u8]) -> Vec<Got> {
    let mut gather = Gather::default();
    crate::decode(source, context, payload, &mut gather);
    gather.got
}
