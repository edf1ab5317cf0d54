//! Settings of the arithmetic, which are part of the log: `run` writes them at its start when they differ
//! from the last, and a `settings` record may carry them.
//!
//! Reads: a JSON object of setting names and values. Refuses: unknown names, values out of their range, a
//! name that comes twice, a zone that is not in the IANA database; then all of the record, since half of a
//! change is another change.

mod check;
mod decode;
#[cfg(test)]
mod tests;

use model::SettingValue;

pub(crate) use decode::{decode, values_of_json};

/// The payload of a settings entry.
#[must_use]
pub fn encode(values: &[(&str, SettingValue)]) -> Vec<u8> {
    let mut out = Vec::new();
    crate::encode::push_settings(&mut out, values.iter().map(|(name, value)| (*name, value)));
    out
}
