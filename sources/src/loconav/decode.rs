//! Webhook bodies back to records.

use model::{Record, RecordSink};
use serde_json::value::RawValue;

use super::push::Push;
use super::{Context, Endpoint, alert, location};
use crate::json;

/// Decodes one journal entry: an object, an array, or the accepted objects of either, one a line.
pub(crate) fn decode(context: &str, payload: &[u8], sink: &mut dyn RecordSink) {
    let context = Context::parse(context);
    let text = match std::str::from_utf8(json::without_bom(payload)) {
        Ok(text) => text.trim_ascii(),
        Err(error) => return undecodable(json::not_utf8(&error), sink),
    };
    if text.starts_with('[') {
        let result = json::for_each_element(text, &mut |_, element| {
            if let Err(reason) = decode_object(element.get(), &context, sink) {
                undecodable(reason, sink);
            }
        });
        if let Err(error) = result {
            undecodable(error.to_string(), sink);
        }
        return;
    }
    // Most entries are a single object, which is read in one pass.
    if decode_object(text, &context, sink).is_ok() {
        return;
    }
    for object in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let result = match object {
            Ok(object) => decode_object(object.get(), &context, sink),
            Err(error) => Err(error.to_string()),
        };
        if let Err(reason) = result {
            undecodable(reason, sink);
        }
    }
}

/// Decodes one object and passes it on; on an error nothing was passed on.
pub(super) fn decode_object(
    object: &str,
    context: &Context<'_>,
    sink: &mut dyn RecordSink,
) -> Result<(), String> {
    let push = Push::parse(object)?;
    match (push.kind, context.endpoint) {
        (None, Endpoint::Any | Endpoint::Location) => location::decode(&push, context, sink),
        (Some(_), Endpoint::Any | Endpoint::Alert) => alert::decode(object, &push, context, sink),
        (None, Endpoint::Alert) => {
            Err("not an alert, since it has no kind; this endpoint takes alerts".to_owned())
        }
        (Some(kind), Endpoint::Location) => Err(format!(
            "an alert, since it has the kind {}; this endpoint takes locations",
            json::quoted(kind.get())
        )),
    }
}

fn undecodable(reason: String, sink: &mut dyn RecordSink) {
    sink.record(None, Record::Undecodable { reason });
}
