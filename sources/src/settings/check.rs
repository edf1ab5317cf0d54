//! What settings may be.

use jiff::tz::TimeZone;
use model::{GraphSettings, SettingValue};

/// Checks every name and value.
pub(super) fn check(values: &[(String, SettingValue)]) -> Result<(), String> {
    let mut settings = GraphSettings::default();
    for (name, value) in values {
        settings.apply(name, value).map_err(|error| error.to_string())?;
    }
    TimeZone::get(&settings.zone).map(drop).map_err(|_| {
        format!("zone {} is not an IANA time zone such as Africa/Lagos", crate::json::quoted(&settings.zone))
    })
}
