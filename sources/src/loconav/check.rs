//! The door for LocoNav's webhooks.

use serde_json::value::RawValue;

use super::decode::decode_object;
use super::{Config, Context, Endpoint};
use crate::door::Collector;
use crate::json;
use crate::{BodyError, Checked};

/// Checks a body, inflated, and tells what of it goes to the journal.
pub fn check(endpoint: Endpoint, body: &[u8], config: &Config) -> Result<Checked, BodyError> {
    let not_a_body = |why: &dyn std::fmt::Display| {
        BodyError::NotABody(format!("the body is not a JSON object or an array of objects: {why}"))
    };
    let content = json::without_bom(body);
    let text =
        std::str::from_utf8(content).map_err(|error| not_a_body(&json::not_utf8(&error)))?.trim_ascii();
    let context = Context { endpoint, naive_timezone: &config.naive_timezone };
    let mut collector = Collector::new();
    match text.as_bytes().first() {
        Some(b'{') => {
            collector.judge(1, text.as_bytes(), |object, sink| decode_object(object, &context, sink));
            if collector.has_refused() {
                // Broken JSON is the body's fault, all else the record's.
                serde_json::from_str::<&RawValue>(text).map_err(|error| not_a_body(&error))?;
            }
        }
        Some(b'[') => {
            json::for_each_element(text, &mut |number, element| {
                collector.judge(number, element.get().as_bytes(), |object, sink| {
                    decode_object(object, &context, sink)
                });
            })
            .map_err(|error| not_a_body(&error))?;
        }
        Some(_) => return Err(not_a_body(&json::quoted(text))),
        None => return Err(not_a_body(&"it is empty")),
    }
    Ok(collector.finish(body, context.to_text()))
}
