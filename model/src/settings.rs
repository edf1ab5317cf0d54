//! The settings that the arithmetic of derived rows uses. They are part of the log.

use std::fmt;

use crate::{TimeZone, time_zone};

const MS_PER_HOUR: f64 = 3_600_000.0;

/// A value of one setting, as configuration files and `settings` records carry it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum SettingValue {
    Number(f64),
    Text(String),
    Bool(bool),
}

impl fmt::Display for SettingValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SettingValue::Number(n) => write!(f, "{n}"),
            SettingValue::Text(t) => write!(f, "{t:?}"),
            SettingValue::Bool(b) => write!(f, "{b}"),
        }
    }
}

/// Why a setting was refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs)]
pub enum SettingError {
    #[error("unknown setting {0:?}; known are {known}", known = GraphSettings::NAMES.join(", "))]
    Unknown(String),
    #[error("setting {name} cannot be {value}: it must be {expected}")]
    BadValue { name: String, value: String, expected: &'static str },
}

/// Settings of the derived rows; see the defaults in [`GraphSettings::default`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct GraphSettings {
    /// `cleaning.max_speed_kmh`: faster between two fixes is a jump; 0 switches the filter off.
    pub max_speed_kmh: f64,
    /// `cleaning.horizon_h`: how late a fix may be and still count.
    pub horizon_ms: i64,
    /// `presence.exit_buffer_m`: how far outside a fence a vehicle must be to have left it.
    pub exit_buffer_m: f64,
    /// `visits.min_dwell_s`: how long a stay must be to be a visit.
    pub min_dwell_ms: i64,
    /// `visits.max_absence_s`: absences up to this do not split a stay.
    pub max_absence_ms: i64,
    /// `trips.early_window_h`: how long before its scheduled departure a trip may begin.
    pub early_window_ms: i64,
    /// `trips.no_show_h`: how long after its scheduled departure a trip fails that nobody saw at the pickup.
    pub no_show_ms: i64,
    /// `trips.no_arrival_h`: how long after its departure, or its scheduled arrival, a trip fails that nobody
    /// saw at the delivery.
    pub no_arrival_ms: i64,
    /// `trips.auto`: whether trips are made of visits that no plan accounts for.
    pub auto_trips: bool,
    /// `history.keep_h`; `None` keeps all.
    pub keep_ms: Option<i64>,
    /// `zone`: of the calendar, and of schedules that name none; by its IANA name.
    #[serde(with = "crate::zone::by_name")]
    pub zone: TimeZone,
}

impl Default for GraphSettings {
    fn default() -> Self {
        GraphSettings {
            max_speed_kmh: 200.0,
            horizon_ms: 24 * 3_600_000,
            exit_buffer_m: 30.0,
            min_dwell_ms: 300_000,
            max_absence_ms: 120_000,
            early_window_ms: 12 * 3_600_000,
            no_show_ms: 24 * 3_600_000,
            no_arrival_ms: 72 * 3_600_000,
            auto_trips: false,
            keep_ms: None,
            zone: time_zone("Africa/Lagos").expect("the zone is built in"),
        }
    }
}

impl GraphSettings {
    /// All names, as TOML keys.
    pub const NAMES: [&'static str; 11] = [
        "cleaning.max_speed_kmh",
        "cleaning.horizon_h",
        "presence.exit_buffer_m",
        "visits.min_dwell_s",
        "visits.max_absence_s",
        "trips.early_window_h",
        "trips.no_show_h",
        "trips.no_arrival_h",
        "trips.auto",
        "history.keep_h",
        "zone",
    ];

    /// Sets one setting by its name.
    pub fn apply(&mut self, name: &str, value: &SettingValue) -> Result<(), SettingError> {
        let number = |max: f64, expected: &'static str| match value {
            SettingValue::Number(n) if (0.0..=max).contains(n) => Ok(*n),
            other => {
                Err(SettingError::BadValue { name: name.to_owned(), value: other.to_string(), expected })
            }
        };
        let hours =
            || number(1e6, "a number of hours from 0 to 1000000").map(|h| (h * MS_PER_HOUR).round() as i64);
        let seconds =
            || number(1e9, "a number of seconds from 0 to 1e9").map(|s| (s * 1000.0).round() as i64);
        match name {
            "cleaning.max_speed_kmh" => {
                self.max_speed_kmh = number(1e6, "a speed in km/h from 0 (off) to 1000000")?;
            }
            "cleaning.horizon_h" => self.horizon_ms = hours()?,
            "presence.exit_buffer_m" => {
                self.exit_buffer_m = number(1000.0, "a distance in metres from 0 to 1000")?;
            }
            "visits.min_dwell_s" => self.min_dwell_ms = seconds()?,
            "visits.max_absence_s" => self.max_absence_ms = seconds()?,
            "trips.early_window_h" => self.early_window_ms = hours()?,
            "trips.no_show_h" => self.no_show_ms = hours()?,
            "trips.no_arrival_h" => self.no_arrival_ms = hours()?,
            "trips.auto" => {
                let SettingValue::Bool(is_on) = value else {
                    let (name, value) = (name.to_owned(), value.to_string());
                    return Err(SettingError::BadValue { name, value, expected: "true or false" });
                };
                self.auto_trips = *is_on;
            }
            "history.keep_h" => {
                self.keep_ms = match value {
                    SettingValue::Text(t) if t == "unlimited" => None,
                    _ => Some(hours()?),
                };
            }
            "zone" => {
                let named = match value {
                    SettingValue::Text(name) => time_zone(name).ok(),
                    _ => None,
                };
                self.zone = named.ok_or_else(|| SettingError::BadValue {
                    name: name.to_owned(),
                    value: value.to_string(),
                    expected: "an IANA time zone such as Africa/Lagos",
                })?;
            }
            other => return Err(SettingError::Unknown(other.to_owned())),
        }
        Ok(())
    }

    /// All settings by name: what a `settings` record of them holds.
    #[must_use]
    pub fn values(&self) -> Vec<(&'static str, SettingValue)> {
        let hours = |ms: i64| SettingValue::Number(ms as f64 / MS_PER_HOUR);
        let seconds = |ms: i64| SettingValue::Number(ms as f64 / 1000.0);
        let values = [
            SettingValue::Number(self.max_speed_kmh),
            hours(self.horizon_ms),
            SettingValue::Number(self.exit_buffer_m),
            seconds(self.min_dwell_ms),
            seconds(self.max_absence_ms),
            hours(self.early_window_ms),
            hours(self.no_show_ms),
            hours(self.no_arrival_ms),
            SettingValue::Bool(self.auto_trips),
            self.keep_ms.map_or(SettingValue::Text("unlimited".to_owned()), hours),
            SettingValue::Text(self.zone.iana_name().unwrap_or("UTC").to_owned()),
        ];
        Self::NAMES.into_iter().zip(values).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_can_be_applied_again() {
        let mut changed = GraphSettings::default();
        changed.apply("cleaning.horizon_h", &SettingValue::Number(192.0)).unwrap();
        changed.apply("history.keep_h", &SettingValue::Number(0.1)).unwrap();
        changed.apply("trips.auto", &SettingValue::Bool(true)).unwrap();
        changed.apply("zone", &SettingValue::Text("europe/london".to_owned())).unwrap();
        let mut again = GraphSettings::default();
        for (name, value) in changed.values() {
            again.apply(name, &value).unwrap();
        }
        assert_eq!(again, changed);
        assert_eq!(again.zone.iana_name(), Some("Europe/London"));
    }

    #[test]
    fn refuses_by_name() {
        let mut settings = GraphSettings::default();
        let unknown = settings.apply("cleaning.speed", &SettingValue::Number(1.0)).unwrap_err();
        assert!(unknown.to_string().contains("cleaning.max_speed_kmh"), "{unknown}");
        assert!(settings.apply("visits.min_dwell_s", &SettingValue::Number(-1.0)).is_err());
        assert!(settings.apply("visits.min_dwell_s", &SettingValue::Number(f64::NAN)).is_err());
        assert!(settings.apply("zone", &SettingValue::Bool(true)).is_err());
        let number = settings.apply("trips.auto", &SettingValue::Number(1.0)).unwrap_err();
        assert!(number.to_string().contains("true or false"), "{number}");
        let nowhere = settings.apply("zone", &SettingValue::Text("Mars/Base".to_owned())).unwrap_err();
        assert!(nowhere.to_string().contains("IANA"), "{nowhere}");
        assert_eq!(settings, GraphSettings::default(), "what is refused changes nothing");
    }
}
