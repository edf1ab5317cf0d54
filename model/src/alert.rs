//! Alerts: what is worth telling somebody, as rows.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::rows::{push_ordered_text, push_ordered_time, text_field, time_field};
use crate::{TimeMs, push_json_string};

/// The kinds of alerts that follow from positions, visits and trips. The provider's have others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum AlertKind {
    DeviceOffline,
    GeofenceEntry,
    GeofenceExit,
    HarshAcceleration,
    HarshBraking,
    Idle,
    Overspeed,
    RouteDeviation,
    TripDelay,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [AlertKind; 9] = [
        AlertKind::DeviceOffline,
        AlertKind::GeofenceEntry,
        AlertKind::GeofenceExit,
        AlertKind::HarshAcceleration,
        AlertKind::HarshBraking,
        AlertKind::Idle,
        AlertKind::Overspeed,
        AlertKind::RouteDeviation,
        AlertKind::TripDelay,
    ];

    /// The name in rows and rules.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            AlertKind::DeviceOffline => "device_offline",
            AlertKind::GeofenceEntry => "geofence_entry",
            AlertKind::GeofenceExit => "geofence_exit",
            AlertKind::HarshAcceleration => "harsh_acceleration",
            AlertKind::HarshBraking => "harsh_braking",
            AlertKind::Idle => "idle",
            AlertKind::Overspeed => "overspeed",
            AlertKind::RouteDeviation => "route_deviation",
            AlertKind::TripDelay => "trip_delay",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<AlertKind> {
        AlertKind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// How bad an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    /// All severities, the mildest first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// The name in rules and rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    /// The severity of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.as_str() == name)
    }
}

/// The id of an alert: a hash of its kind, its subject and its beginning, the same wherever and whenever it is
/// computed.
///
/// XXH3 (64 bits, seed 0) of these bytes: the kind and the parts of the subject in UTF-8, each with the byte 0 as
/// 0 and 255, and with 0 and 1 behind it; then `started` in milliseconds since 1970 plus 2^63, big-endian. It is
/// written as 16 hexadecimal digits. The parts of a subject are
///
/// | kind | parts |
/// |---|---|
/// | `geofence_entry`, `geofence_exit` | vehicle, fence |
/// | `trip_delay` | trip, `departure` or `arrival` |
/// | `route_deviation` | trip |
/// | the provider's | vehicle, `provider`, the provider's id or nothing |
/// | all others | vehicle |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct AlertId(pub u64);

impl AlertId {
    /// The id of the alert of a kind, about a subject, that began then.
    #[must_use]
    pub fn of(kind: &str, subject: &[&str], started: TimeMs) -> AlertId {
        let mut bytes = Vec::with_capacity(64);
        push_ordered_text(&mut bytes, kind);
        subject.iter().for_each(|part| push_ordered_text(&mut bytes, part));
        push_ordered_time(&mut bytes, started);
        AlertId(xxh3_64(&bytes))
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The text is not the id of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of an alert; it has 16 hexadecimal digits, such as 00c0ffee00c0ffee")]
pub struct AlertIdError;

impl FromStr for AlertId {
    type Err = AlertIdError;

    fn from_str(text: &str) -> Result<AlertId, AlertIdError> {
        if text.len() != 16 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(AlertIdError);
        }
        u64::from_str_radix(text, 16).map(AlertId).map_err(|_| AlertIdError)
    }
}

/// What is particular to an alert of some kinds; a row has it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum AlertDetails {
    /// Nothing: `{}`.
    None,
    /// Of `overspeed`.
    Overspeed {
        /// The limit at its first fix, thousandths of km/h.
        limit_milli: i64,
        /// The highest speed during it, tenths of km/h.
        max_speed_dkmh: u16,
    },
    /// Of `harsh_braking` and `harsh_acceleration`.
    Harsh {
        /// The speed before it, tenths of km/h.
        from_dkmh: u16,
        /// The speed at its end, tenths of km/h.
        to_dkmh: u16,
    },
    /// Of `trip_delay`.
    Delay(DelayOf),
    /// Of the provider's.
    Provider {
        /// The provider's own id.
        provider_id: Option<Arc<str>>,
        /// What was received, as a compact JSON object.
        received: Option<Arc<str>>,
    },
}

/// What of a trip is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[allow(missing_docs)]
pub enum DelayOf {
    Departure,
    Arrival,
}

impl DelayOf {
    /// The name in details and subjects.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            DelayOf::Departure => "departure",
            DelayOf::Arrival => "arrival",
        }
    }
}

impl AlertDetails {
    /// As a compact JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self {
            AlertDetails::None => "{}".to_owned(),
            AlertDetails::Overspeed { limit_milli, max_speed_dkmh } => {
                let (limit, max) = (decimal(*limit_milli), decimal(i64::from(*max_speed_dkmh) * 100));
                format!("{{\"limit_kmh\":{limit},\"max_speed_kmh\":{max}}}")
            }
            AlertDetails::Harsh { from_dkmh, to_dkmh } => {
                let speed = |dkmh: u16| decimal(i64::from(dkmh) * 100);
                format!("{{\"from_kmh\":{},\"to_kmh\":{}}}", speed(*from_dkmh), speed(*to_dkmh))
            }
            AlertDetails::Delay(of) => format!("{{\"of\":\"{}\"}}", of.as_str()),
            AlertDetails::Provider { provider_id, received } => {
                let id = provider_id.as_deref().map_or_else(|| "null".to_owned(), json_text);
                let received = received.as_deref().unwrap_or("null");
                format!("{{\"provider_id\":{id},\"received\":{received}}}")
            }
        }
    }
}

fn json_text(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_json_string(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

/// What the details of the provider's alerts begin with, and no others.
const PROVIDER_ID: &str = "{\"provider_id\":";

/// The text or word that compact JSON begins with.
fn first_json_value(json: &str) -> &str {
    let mut is_escaped = false;
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' if at > 0 => return json.get(..=at).unwrap_or(json),
            b',' if !json.starts_with('"') => return json.get(..at).unwrap_or(json),
            _ => {}
        }
    }
    json
}

/// Thousandths as the shortest decimal number.
fn decimal(thousandths: i64) -> String {
    let sign = if thousandths < 0 { "-" } else { "" };
    let (whole, rest) = (thousandths.unsigned_abs() / 1000, thousandths.unsigned_abs() % 1000);
    let text = format!("{sign}{whole}.{rest:03}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Something that is worth telling, `[started, ended)`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AlertRow {
    /// Key.
    pub alert_id: AlertId,
    /// An [`AlertKind`], or one of the provider's.
    pub kind: Arc<str>,
    /// How bad it is.
    pub severity: Severity,
    /// Whose.
    pub vehicle_id: Arc<str>,
    /// The fence that it is about, or whose limit was broken.
    pub fence_id: Option<Arc<str>>,
    /// The trip that it is about.
    pub trip_id: Option<Arc<str>>,
    /// When its condition began.
    pub started: TimeMs,
    /// When somebody who sees everything at once would have raised it.
    pub due_at: TimeMs,
    /// When it ended; `None` while it goes on.
    pub ended: Option<TimeMs>,
    /// A compact JSON object, see [`AlertDetails`].
    pub details: Arc<str>,
}

impl AlertRow {
    /// What the alert is about, as bytes: two alerts of one kind and subject have the same.
    ///
    /// They are the kind and the parts of the subject as in [`AlertId`], each with 0 and 1 behind it; only the
    /// provider's id is as it stands in `details`, which is JSON.
    #[must_use]
    pub fn subject_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        let mut push = |part: &str| push_ordered_text(&mut bytes, part);
        push(&self.kind);
        if let Some(rest) = self.details.strip_prefix(PROVIDER_ID) {
            push(&self.vehicle_id);
            push("provider");
            push(first_json_value(rest));
            return bytes;
        }
        let trip_id = self.trip_id.as_deref().unwrap_or_default();
        match AlertKind::from_name(&self.kind) {
            Some(AlertKind::GeofenceEntry | AlertKind::GeofenceExit) => {
                push(&self.vehicle_id);
                push(self.fence_id.as_deref().unwrap_or_default());
            }
            Some(AlertKind::TripDelay) => {
                push(trip_id);
                push(&self.details);
            }
            Some(AlertKind::RouteDeviation) => push(trip_id),
            _ => push(&self.vehicle_id),
        }
        bytes
    }

    /// Appends all of the row but the brace at its end.
    pub(crate) fn write_fields(&self, out: &mut Vec<u8>) {
        text_field(out, b"{\"alert_id\":", &self.alert_id.to_string());
        text_field(out, b",\"kind\":", &self.kind);
        text_field(out, b",\"severity\":", self.severity.as_str());
        text_field(out, b",\"vehicle_id\":", &self.vehicle_id);
        for (name, id) in [(&b",\"fence_id\":"[..], &self.fence_id), (b",\"trip_id\":", &self.trip_id)] {
            match id {
                Some(id) => text_field(out, name, id),
                None => out.extend_from_slice(&[name, b"null"].concat()),
            }
        }
        time_field(out, b",\"started\":", Some(self.started));
        time_field(out, b",\"due_at\":", Some(self.due_at));
        time_field(out, b",\"ended\":", self.ended);
        out.extend_from_slice(b",\"details\":");
        out.extend_from_slice(self.details.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Row, Table};

    fn alert(alert_id: u64) -> AlertRow {
        AlertRow {
            alert_id: AlertId(alert_id),
            kind: AlertKind::Idle.as_str().into(),
            severity: Severity::Warning,
            vehicle_id: "T \"1\"".into(),
            fence_id: None,
            trip_id: None,
            started: TimeMs(0),
            due_at: TimeMs(1_200_000),
            ended: None,
            details: AlertDetails::None.to_json().into(),
        }
    }

    #[test]
    fn subjects_are_those_of_ids() {
        let of =
            |kind: &str, vehicle: &str, fence: Option<&str>, trip: Option<&str>, details: AlertDetails| {
                let row = AlertRow {
                    kind: kind.into(),
                    vehicle_id: vehicle.into(),
                    fence_id: fence.map(Into::into),
                    trip_id: trip.map(Into::into),
                    details: details.to_json().into(),
                    ..alert(1)
                };
                row.subject_bytes()
            };
        let provider = |id: Option<&str>| AlertDetails::Provider {
            provider_id: id.map(Into::into),
            received: Some("{\"provider_id\":9}".into()),
        };
        let (own, a, b) = (AlertDetails::None, Some("a"), Some("b"));
        let delay = |of| AlertDetails::Delay(of);
        let harsh = AlertDetails::Harsh { from_dkmh: 900, to_dkmh: 1 };
        let overspeed = AlertDetails::Overspeed { limit_milli: 60_000, max_speed_dkmh: 700 };
        // Each line is one subject, with what does not count of it.
        let subjects = [
            vec![of("idle", "T1", None, None, own.clone())],
            vec![of("idle", "T2", None, None, own.clone())],
            vec![of("overspeed", "T1", a, None, overspeed), of("overspeed", "T1", b, a, own.clone())],
            vec![
                of("geofence_entry", "T1", a, None, own.clone()),
                of("geofence_entry", "T1", a, b, own.clone()),
            ],
            vec![of("geofence_entry", "T1", b, None, own.clone())],
            vec![of("geofence_exit", "T1", a, None, own.clone())],
            vec![
                of("trip_delay", "T1", None, a, delay(DelayOf::Departure)),
                of("trip_delay", "T2", None, a, delay(DelayOf::Departure)),
            ],
            vec![of("trip_delay", "T1", None, a, delay(DelayOf::Arrival))],
            vec![
                of("route_deviation", "T1", a, a, own.clone()),
                of("route_deviation", "T2", b, a, own.clone()),
            ],
            vec![of("harsh_braking", "T1", None, None, harsh), of("harsh_braking", "T1", None, None, own)],
            vec![of("harsh_braking", "T1", None, None, provider(None))],
            vec![of("harsh_braking", "T1", None, None, provider(a))],
            vec![of("harsh_braking", "T1", None, None, provider(Some("a\",\\")))],
            vec![of("harsh_braking", "T1", None, None, provider(Some("")))],
        ];
        let first: std::collections::BTreeSet<&Vec<u8>> = subjects.iter().map(|same| &same[0]).collect();
        assert_eq!(first.len(), subjects.len());
        for same in &subjects {
            assert!(same.iter().all(|subject| *subject == same[0]), "{same:?}");
        }
    }

    #[test]
    fn rows_are_the_contracts_bytes() {
        assert_eq!(
            Row::Alert(alert(0xc0ffee)).to_json(),
            r#"{"alert_id":"0000000000c0ffee","kind":"idle","severity":"warning","vehicle_id":"T \"1\"","fence_id":null,"trip_id":null,"started":"1970-01-01T00:00:00Z","due_at":"1970-01-01T00:20:00Z","ended":null,"details":{}}"#
        );
        let ended = AlertRow {
            kind: AlertKind::Overspeed.as_str().into(),
            severity: Severity::Critical,
            fence_id: Some("yard".into()),
            trip_id: Some("t".into()),
            ended: Some(TimeMs(1_200_001)),
            details: AlertDetails::Overspeed { limit_milli: 60_000, max_speed_dkmh: 834 }.to_json().into(),
            ..alert(u64::MAX)
        };
        assert_eq!(
            Row::Alert(ended).to_json(),
            r#"{"alert_id":"ffffffffffffffff","kind":"overspeed","severity":"critical","vehicle_id":"T \"1\"","fence_id":"yard","trip_id":"t","started":"1970-01-01T00:00:00Z","due_at":"1970-01-01T00:20:00Z","ended":"1970-01-01T00:20:00.001Z","details":{"limit_kmh":60,"max_speed_kmh":83.4}}"#
        );
    }

    #[test]
    fn details_are_json() {
        for (details, json) in [
            (
                AlertDetails::Overspeed { limit_milli: 45_050, max_speed_dkmh: 3000 },
                r#"{"limit_kmh":45.05,"max_speed_kmh":300}"#,
            ),
            (AlertDetails::Harsh { from_dkmh: 605, to_dkmh: 0 }, r#"{"from_kmh":60.5,"to_kmh":0}"#),
            (AlertDetails::Delay(DelayOf::Departure), r#"{"of":"departure"}"#),
            (AlertDetails::Delay(DelayOf::Arrival), r#"{"of":"arrival"}"#),
            (
                AlertDetails::Provider { provider_id: None, received: None },
                r#"{"provider_id":null,"received":null}"#,
            ),
            (
                AlertDetails::Provider {
                    provider_id: Some("7\"".into()),
                    received: Some("{\"speed\":1}".into()),
                },
                r#"{"provider_id":"7\"","received":{"speed":1}}"#,
            ),
        ] {
            assert_eq!(details.to_json(), json);
        }
        assert_eq!(
            [-1500, -5, 0, 7, 100, 12_000].map(decimal),
            ["-1.5", "-0.005", "0", "0.007", "0.1", "12"]
        );
    }

    #[test]
    fn the_key_is_the_id() {
        let rows = [0, 1, 255, 256, u64::MAX].map(|id| Row::Alert(alert(id)));
        assert!(rows.is_sorted_by(|a, b| a.cmp_key(b).is_lt()));
        let keys = rows.clone().map(|row| row.key_bytes());
        assert!(keys.is_sorted());
        let texts = rows.map(|row| row.to_json());
        assert!(texts.is_sorted(), "ids sort as their texts do");
        let other = Row::Alert(AlertRow { started: TimeMs(5), ..alert(1) });
        assert_eq!((other.key_bytes(), other.table()), (keys[1].clone(), Table::Alerts));
    }

    #[test]
    fn an_id_never_changes() {
        let started = TimeMs(1_767_571_200_000);
        let first = AlertId::of("overspeed", &["T1"], started);
        // Computed apart, by the reference implementation.
        assert_eq!(first.to_string(), "9c2f1f58df687e28");
        let others = [
            AlertId::of("idle", &["T1"], started),
            AlertId::of("overspeed", &["T", "1"], started),
            AlertId::of("overspeed", &["T1", ""], started),
            AlertId::of("overspeed", &["T1"], started.plus_ms(1)),
            AlertId::of("overspeedT", &["1"], started),
        ];
        let ids: std::collections::BTreeSet<AlertId> = others.into_iter().chain([first]).collect();
        assert_eq!(ids.len(), 6);
    }

    #[test]
    fn names_and_ids_read_as_they_are_written() {
        for kind in AlertKind::ALL {
            assert_eq!(AlertKind::from_name(kind.as_str()), Some(kind));
        }
        for severity in Severity::ALL {
            assert_eq!(Severity::from_name(severity.as_str()), Some(severity));
        }
        assert_eq!((AlertKind::from_name("crash"), Severity::from_name("")), (None, None));
        for id in [AlertId(0), AlertId(0xc0ff_ee00), AlertId(u64::MAX)] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for wrong in ["", "1", "+000000000000001", "00000000000000001", "000000000000000g"] {
            assert_eq!(wrong.parse::<AlertId>(), Err(AlertIdError), "{wrong:?}");
        }
    }
}
