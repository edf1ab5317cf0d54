//! Messages of Kafka back to records.

use model::{Record, RecordSink};

use super::{Context, Mapping};
use crate::json;
use crate::records::{self, Backfill, is_array, lines};
use crate::shape::{Origin, decode_record};

/// Decodes one journal entry.
pub(crate) fn decode(context: &str, payload: &[u8], sink: &mut dyn RecordSink) {
    let context: Context = match serde_json::from_str(context) {
        Ok(context) => context,
        Err(error) => return undecodable(format!("the context of a message can't be read: {error}"), sink),
    };
    let Some(mapping) = context.mapping else { return records::decode(payload, Backfill::Refused, sink) };
    let ended = Objects::of(payload).and_then(|objects| {
        objects.each(&mut |_, object| {
            let decoded = std::str::from_utf8(object)
                .map_err(|error| json::not_utf8(&error))
                .and_then(|object| decode_mapped(object, &mapping, sink));
            if let Err(reason) = decoded {
                undecodable(reason, sink);
            }
        })
    });
    if let Err(reason) = ended {
        undecodable(reason, sink);
    }
}

/// The objects of a mapped message as records of Watch Tower's own format, one a line.
pub fn to_records(value: &[u8], mapping: &Mapping) -> Result<Vec<u8>, String> {
    let (mut records, mut flaw) = (Vec::new(), None);
    Objects::of(value)?.each(&mut |number, object| {
        let record = std::str::from_utf8(object).map_err(|error| json::not_utf8(&error));
        match record.and_then(|object| mapping.record(object)) {
            Ok(record) => {
                records.extend_from_slice(record.as_bytes());
                records.push(b'\n');
            }
            Err(reason) => _ = flaw.get_or_insert(format!("object {number}: {reason}")),
        }
    })?;
    flaw.map_or(Ok(records), Err)
}

/// Decodes one object and passes it on; on an error nothing was passed on.
pub(super) fn decode_mapped(
    object: &str,
    mapping: &Mapping,
    sink: &mut dyn RecordSink,
) -> Result<(), String> {
    decode_record(&mapping.record(object)?, Origin::Journalled, sink)
}

/// The objects of a value: elements of an array, or lines.
pub(super) enum Objects<'a> {
    Elements(&'a str),
    Lines(&'a [u8]),
}

impl<'a> Objects<'a> {
    pub(super) fn of(value: &'a [u8]) -> Result<Objects<'a>, String> {
        let content = json::without_bom(value);
        if !is_array(content) {
            return Ok(Objects::Lines(content));
        }
        std::str::from_utf8(content).map(Objects::Elements).map_err(|error| json::not_utf8(&error))
    }

    /// Calls `each` with every object and its number, from 1. On an error, those before it have been seen.
    pub(super) fn each(self, each: &mut dyn FnMut(usize, &'a [u8])) -> Result<(), String> {
        match self {
            Objects::Elements(array) => {
                json::for_each_element(array, &mut |number, element| each(number, element.get().as_bytes()))
                    .map_err(|error| error.to_string())
            }
            Objects::Lines(content) => {
                lines(content).for_each(|(number, line)| each(number, line));
                Ok(())
            }
        }
    }
}

fn undecodable(reason: String, sink: &mut dyn RecordSink) {
    sink.record(None, Record::Undecodable { reason });
}
