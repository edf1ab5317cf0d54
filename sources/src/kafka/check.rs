//! The door for messages of Kafka.

use model::RecordSink;

use super::decode::{Objects, decode_mapped};
use super::{Context, Mapping, Place};
use crate::door::Collector;
use crate::records::{self, Backfill};
use crate::{BodyError, Checked, Refused};

/// Checks a message's value and tells what of it goes to the journal. A value of which nothing can be used is
/// refused as a whole, and goes there without bytes.
#[must_use]
pub fn check(value: &[u8], place: &Place, mapping: Option<&Mapping>) -> Checked {
    let context = Context { place: place.clone(), mapping: mapping.cloned() }.to_text();
    let checked = match mapping {
        None => records::check(value, Backfill::Refused),
        Some(mapping) => check_mapped(value, mapping),
    };
    match checked {
        Ok(checked) => Checked { payload: Some(checked.payload.unwrap_or_default()), context, ..checked },
        Err(BodyError::NotABody(reason)) => refused(value, context, reason),
        Err(other) => refused(value, context, other.to_string()),
    }
}

/// The same for a message that has no value.
#[must_use]
pub fn check_missing(place: &Place, mapping: Option<&Mapping>) -> Checked {
    let context = Context { place: place.clone(), mapping: mapping.cloned() }.to_text();
    refused(&[], context, "the message has no value".to_owned())
}

fn refused(value: &[u8], context: String, reason: String) -> Checked {
    let refused = Refused { line: 0, reason, bytes: value.to_vec() };
    Checked {
        payload: Some(Vec::new()),
        context,
        refused: vec![refused],
        refused_count: 1,
        ..Checked::default()
    }
}

fn check_mapped(value: &[u8], mapping: &Mapping) -> Result<Checked, BodyError> {
    let judge = |text: &str, sink: &mut dyn RecordSink| decode_mapped(text, mapping, sink);
    let mut collector = Collector::new();
    let mut count = 0;
    let ended = Objects::of(value).and_then(|objects| {
        objects.each(&mut |number, object| {
            count += 1;
            collector.judge(number, object, judge);
        })
    });
    ended.map_err(BodyError::NotABody)?;
    if count == 0 {
        return Err(BodyError::NotABody("the message has no object".to_owned()));
    }
    Ok(collector.finish(value, String::new()))
}
