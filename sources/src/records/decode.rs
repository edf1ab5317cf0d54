//! Bodies of generic ingest back to records.

use model::{Record, RecordSink};

use super::{Backfill, is_array, lines};
use crate::json;
use crate::shape::{Origin, decode_record};

/// Decodes one journal entry, of those who post records or of the command that may do more.
pub(crate) fn decode(payload: &[u8], backfill: Backfill, sink: &mut dyn RecordSink) {
    let origin = match backfill {
        Backfill::Refused => Origin::Journalled,
        Backfill::Allowed => Origin::Backfill,
    };
    let content = json::without_bom(payload);
    if !is_array(content) {
        for (_, line) in lines(content) {
            match std::str::from_utf8(line) {
                Ok(text) => decode_one(text, origin, sink),
                Err(error) => undecodable(json::not_utf8(&error), sink),
            }
        }
        return;
    }
    let result = match std::str::from_utf8(content) {
        Ok(text) => json::for_each_element(text, &mut |_, element| decode_one(element.get(), origin, sink))
            .map_err(|error| error.to_string()),
        Err(error) => Err(json::not_utf8(&error)),
    };
    if let Err(reason) = result {
        undecodable(reason, sink);
    }
}

fn decode_one(text: &str, origin: Origin, sink: &mut dyn RecordSink) {
    if let Err(reason) = decode_record(text, origin, sink) {
        undecodable(reason, sink);
    }
}

fn undecodable(reason: String, sink: &mut dyn RecordSink) {
    sink.record(None, Record::Undecodable { reason });
}
