//! Settings entries back to records.

use model::{Record, RecordSink, SettingValue};
use serde_json::value::RawValue;

use super::check;
use crate::json;

/// Decodes one journal entry.
pub(crate) fn decode(payload: &[u8], sink: &mut dyn RecordSink) {
    let values = match std::str::from_utf8(payload) {
        Ok(text) => values_of_json(text),
        Err(error) => Err(json::not_utf8(&error)),
    };
    let record = match values {
        Ok(values) => Record::Settings(values),
        Err(reason) => Record::Undecodable { reason },
    };
    sink.record(None, record);
}

/// Reads and checks a JSON object of setting names and values.
pub(crate) fn values_of_json(object: &str) -> Result<Vec<(String, SettingValue)>, String> {
    let members = json::Members::parse(object).map_err(|reason| format!("settings: {reason}"))?;
    let values: Vec<(String, SettingValue)> = members
        .iter()
        .map(|(name, raw)| Ok((name.to_owned(), value_of_json(name, raw)?)))
        .collect::<Result<_, String>>()?;
    check::check(&values)?;
    Ok(values)
}

fn value_of_json(name: &str, raw: &RawValue) -> Result<SettingValue, String> {
    let flag = match raw.get() {
        "true" => Some(SettingValue::Bool(true)),
        "false" => Some(SettingValue::Bool(false)),
        _ => None,
    };
    let number = || json::number(raw).map(SettingValue::Number);
    let text = || json::text(raw).map(|text| SettingValue::Text(text.into_owned()));
    flag.or_else(number)
        .or_else(text)
        .ok_or_else(|| format!("setting {} must be a number, a text, true or false", json::quoted(name)))
}
