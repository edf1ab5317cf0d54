//! The door for generic ingest.

use model::RecordSink;

use super::{is_array, lines};
use crate::door::Collector;
use crate::json;
use crate::shape::{Origin, decode_record};
use crate::{BodyError, Checked};

const NOT_A_BODY: &str = "the body is neither NDJSON nor a JSON array of records";

/// Whether the sender may reach into periods that are final, with `backfill` records and `exempt` positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backfill {
    /// Anybody who posts records.
    Refused,
    /// The command that is made for it.
    Allowed,
}

/// Checks a body, inflated, and tells what of it goes to the journal.
pub fn check(body: &[u8], backfill: Backfill) -> Result<Checked, BodyError> {
    let origin = match backfill {
        Backfill::Refused => Origin::Posted,
        Backfill::Allowed => Origin::Backfill,
    };
    let judge = |text: &str, sink: &mut dyn RecordSink| decode_record(text, origin, sink);
    let content = json::without_bom(body);
    let mut collector = Collector::new();
    if is_array(content) {
        let text = std::str::from_utf8(content)
            .map_err(|error| BodyError::NotABody(format!("the body is {}", json::not_utf8(&error))))?;
        json::for_each_element(text, &mut |number, element| {
            collector.judge(number, element.get().as_bytes(), judge);
        })
        .map_err(|error| BodyError::NotABody(format!("{NOT_A_BODY}: {error}")))?;
        return Ok(collector.finish(body, String::new()));
    }
    let mut has_an_object = false;
    for (number, line) in lines(content) {
        has_an_object |= line.starts_with(b"{");
        collector.judge(number, line, judge);
    }
    if !has_an_object {
        return Err(BodyError::NotABody(NOT_A_BODY.to_owned()));
    }
    Ok(collector.finish(body, String::new()))
}
