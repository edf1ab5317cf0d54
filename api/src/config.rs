//! Limits, names and secrets of the HTTP interface.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use model::TimeZone;

/// When a trip that is planned over HTTP needs a driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverRule {
    /// Where records have assigned anybody to any vehicle.
    #[default]
    WhereAssigned,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl DriverRule {
    /// The rule of that name in the configuration: `auto`, `always` or `never`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<DriverRule> {
        match name {
            "auto" => Some(DriverRule::WhereAssigned),
            "always" => Some(DriverRule::Always),
            "never" => Some(DriverRule::Never),
            _ => None,
        }
    }
}

/// Settings of the HTTP interface; see [`ApiConfig::default`].
#[derive(Clone)]
pub struct ApiConfig {
    /// The largest body, as received.
    pub max_body_bytes: usize,
    /// The largest body after decompression.
    pub max_inflated_bytes: usize,
    /// How many bytes all large bodies in work may hold together; what does not fit waits.
    pub max_bytes_in_work: usize,
    /// How LocoNav's bodies are read.
    pub loconav: sources::loconav::Config,
    /// Where the fields of positions are in messages of Kafka that are of another make: their dead letters are too.
    pub kafka_mapping: Option<sources::kafka::Mapping>,
    /// With it, bodies sent to the webhooks and to `/api/v1/records` must be signed.
    pub hmac_secret: Option<Vec<u8>>,
    /// Whether, with a secret, edits of fences and trips, marks of alerts, the making of tracking links, and work on
    /// dead letters must be signed too. `None` asks for it exactly when the service can be reached from other
    /// machines.
    pub sign_all_writes: Option<bool>,
    /// Host names that requests may address, besides those of the loopback interface. `*` allows any.
    pub allowed_hosts: Vec<String>,
    /// Open connections; more wait to be accepted.
    pub max_connections: usize,
    /// Clients that follow `/changes` at a time.
    pub max_sse_clients: usize,
    /// How long a request may take until its answer begins.
    pub request_timeout: Duration,
    /// After how long without anything to tell a client that follows `/changes` is sent a sign of life.
    pub sse_keep_alive: Duration,
    /// How long a connection may take to send a request's head; idle connections end so too.
    pub header_read_timeout: Duration,
    /// How far ahead of now a trip must be scheduled that is planned here, ms.
    pub trip_min_notice_ms: i64,
    /// Whether a trip that is planned here needs a driver.
    pub trip_driver: DriverRule,
    /// The zone of the day in ids of trips that are made here.
    pub zone: TimeZone,
    /// What tracking links are signed with, instead of the key in `tracking_key_file`.
    pub tracking_secret: Option<Vec<u8>>,
    /// Where the key of tracking links is kept, which is made at its first use. Without it, and without a secret,
    /// links end with the service.
    pub tracking_key_file: Option<PathBuf>,
    /// What tracking links begin with, such as `https://fleet.example.org`; without it they begin with the path.
    pub tracking_base_url: Option<String>,
}

impl Default for ApiConfig {
    fn default() -> Self {
        ApiConfig {
            max_body_bytes: 16 << 20,
            max_inflated_bytes: 64 << 20,
            max_bytes_in_work: 512 << 20,
            loconav: sources::loconav::Config::default(),
            kafka_mapping: None,
            hmac_secret: None,
            sign_all_writes: None,
            allowed_hosts: Vec::new(),
            max_connections: 10_000,
            max_sse_clients: 200,
            request_timeout: Duration::from_secs(30),
            sse_keep_alive: Duration::from_secs(15),
            header_read_timeout: Duration::from_secs(60),
            trip_min_notice_ms: 30 * 60_000,
            trip_driver: DriverRule::default(),
            zone: model::GraphSettings::default().zone,
            tracking_secret: None,
            tracking_key_file: None,
            tracking_base_url: None,
        }
    }
}

impl fmt::Debug for ApiConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiConfig")
            .field("max_body_bytes", &self.max_body_bytes)
            .field("max_inflated_bytes", &self.max_inflated_bytes)
            .field("hmac_secret", &self.hmac_secret.as_ref().map(|_| "***"))
            .field("tracking_secret", &self.tracking_secret.as_ref().map(|_| "***"))
            .field("sign_all_writes", &self.sign_all_writes)
            .field("allowed_hosts", &self.allowed_hosts)
            .field("max_connections", &self.max_connections)
            .field("max_sse_clients", &self.max_sse_clients)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_secret() {
        let config = ApiConfig {
            hmac_secret: Some(b"hunter2".to_vec()),
            tracking_secret: Some(b"hunter2".to_vec()),
            ..ApiConfig::default()
        };
        let shown = format!("{config:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("104"), "{shown}");
        assert!(shown.contains("***"));
    }
}
