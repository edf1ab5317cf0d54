//! What settings may be.

use model::{GraphSettings, SettingValue};

/// Checks every name and value.
pub(super) fn check(values: &[(String, SettingValue)]) -> Result<(), String> {
    let mut settings = GraphSettings::default();
    values.iter().try_for_each(|(name, value)| settings.apply(name, value)).map_err(|error| error.to_string())
}
