//! LocoNav's webhooks: live locations and alerts.
//!
//! Reads: one JSON object or an array of them. An object with a `kind` is an alert, one without is a
//! location. Names are read in any casing, with or without underscores (`vehiclenumber`, `vehicle_number`,
//! `vehicleNumber`); of a name that comes twice, the last value that is not null counts.
//!
//! - A **location** becomes a position. Its vehicle id is the number in upper case, without blanks and
//!   trailing hyphens; the spelling received is kept where it is another one.
//! - An **alert** of any kind, known or not, becomes a `provider_alert` with all that was received in its
//!   `details`. It makes no position, even if it has coordinates: they are those of an event, often an old one.
//!
//! Refuses, one by one: what is no object; a location without vehicle number, readable time, latitude or
//! longitude; an alert without vehicle number or kind; what comes to the endpoint of the other sort.
//!
//! Quirks of the sender, all of them seen or documented:
//! - Times come in four spellings, two without a zone; then [`Config::naive_timezone`] holds. Where clocks
//!   are set back, such a time is ambiguous and read as the earlier of the two; where they are set forward,
//!   it is read as if they had not been yet.
//! - A bad time never fails an alert: it stays in the details. `started` is the first readable of
//!   `active_event_time`, `event_time`, `start_time`; else, where there is no end either, `created_at`.
//!   `ended` is `inactive_event_time`.
//! - Flags are "0" and "1", numbers sometimes text, and what is not known may be absent, null, "" or "N/A".
//! - No signature, no delivery id, no order.

mod alert;
mod check;
mod decode;
mod location;
mod push;
#[cfg(test)]
mod tests;
mod times;

pub use check::check;
pub(crate) use decode::decode;

/// What an endpoint takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Locations and alerts, told apart by `kind`.
    Any,
    /// Locations only.
    Location,
    /// Alerts only.
    Alert,
}

impl Endpoint {
    const ALL: [Endpoint; 3] = [Endpoint::Any, Endpoint::Location, Endpoint::Alert];

    fn as_str(self) -> &'static str {
        match self {
            Endpoint::Any => "any",
            Endpoint::Location => "location",
            Endpoint::Alert => "alert",
        }
    }
}

/// What decoding needs to know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// IANA name of the zone of times that come without one.
    pub naive_timezone: String,
}

impl Default for Config {
    fn default() -> Config {
        Config { naive_timezone: "Asia/Kolkata".to_owned() }
    }
}

impl Config {
    /// Takes an IANA zone name, or says that it is none.
    pub fn new(naive_timezone: &str) -> Result<Config, String> {
        times::zone(naive_timezone)?;
        Ok(Config { naive_timezone: naive_timezone.to_owned() })
    }
}

/// A journal entry's context: what decoding needs beside the bytes.
struct Context<'a> {
    endpoint: Endpoint,
    naive_timezone: &'a str,
}

impl<'a> Context<'a> {
    fn to_text(&self) -> String {
        format!("tz={};endpoint={}", self.naive_timezone, self.endpoint.as_str())
    }

    /// Reads what [`Context::to_text`] wrote; what is missing is the default, and an unknown zone shows when
    /// it is needed.
    fn parse(text: &'a str) -> Context<'a> {
        let mut context = Context { endpoint: Endpoint::Any, naive_timezone: "" };
        for (key, value) in text.split(';').filter_map(|item| item.split_once('=')) {
            match key {
                "tz" => context.naive_timezone = value,
                "endpoint" => {
                    let known = Endpoint::ALL.into_iter().find(|endpoint| endpoint.as_str() == value);
                    context.endpoint = known.unwrap_or(Endpoint::Any);
                }
                _ => {}
            }
        }
        context
    }
}
