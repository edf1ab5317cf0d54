//! Configuration: a TOML file, the environment and `--set`, in rising order of precedence.
//!
//! Unknown names are errors that name the key (and the line, in a file). Secrets are never printed.

mod example;
mod schema;
mod secret;

use std::path::Path;

use model::{GraphSettings, SettingValue};

pub use example::EXAMPLE;
pub use schema::{
    Archive, Changes, Config, DeadLetters, Journal, Kafka, KafkaInput, KafkaOutput, Limits, Listen, Loconav,
    Log, LogFormat, PostgisInput, Postgres, Sinks, Sources, Tracking,
};
pub use secret::Secret;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {error}")]
    Unreadable { path: String, error: std::io::Error },
    #[error("{path}: {message}")]
    File { path: String, message: String },
    #[error("--set {0:?}: write it as NAME=VALUE, for example --set visits.min_dwell_s=600")]
    SetShape(String),
    #[error("{origin}: {message}")]
    Value { origin: String, message: String },
}

/// How far ahead of now a trip must be planned over HTTP, minutes: a rule of the door, which no record holds.
const MIN_NOTICE: &str = "min_notice_min";
const DEFAULT_MIN_NOTICE_MIN: i64 = 30;
const MAX_MIN_NOTICE_MIN: i64 = 100_000;
/// When a trip that is planned over HTTP needs a driver: a rule of the door, too.
const NEEDS_DRIVER: &str = "needs_driver";
const NEEDS_DRIVER_NAMES: [&str; 3] = ["auto", "always", "never"];

/// Prefix of environment variables: `WATCHTOWER__VISITS__MIN_DWELL_S=600`.
const ENVIRONMENT_PREFIX: &str = "WATCHTOWER__";

impl Config {
    /// Reads a configuration: the file if any, then `environment`, then `sets` (`NAME=VALUE`).
    pub fn load(
        file: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Config, ConfigError> {
        let mut table = match file {
            Some(path) => read_file(path)?,
            None => toml::Table::new(),
        };
        let mut variables: Vec<(String, String)> =
            environment.filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX)).collect();
        variables.sort();
        for (name, value) in variables {
            let key = name[ENVIRONMENT_PREFIX.len()..].to_lowercase().replace("__", ".");
            merge(&mut table, &format!("environment variable {name}"), &key, &value)?;
        }
        for set in sets {
            let (key, value) = set.split_once('=').ok_or_else(|| ConfigError::SetShape(set.clone()))?;
            merge(&mut table, &format!("--set {}", key.trim()), key.trim(), value)?;
        }
        let config: Config = table.try_into().map_err(|error: toml::de::Error| ConfigError::Value {
            origin: "configuration".to_owned(),
            message: one_line(error.message()),
        })?;
        config.graph_settings()?;
        config.trip_min_notice_min()?;
        config.trip_needs_driver()?;
        Ok(config)
    }

    /// `trips.min_notice_min`.
    pub fn trip_min_notice_min(&self) -> Result<i64, ConfigError> {
        let Some(value) = self.trips.get(MIN_NOTICE) else { return Ok(DEFAULT_MIN_NOTICE_MIN) };
        let minutes = value.as_integer().filter(|minutes| (0..=MAX_MIN_NOTICE_MIN).contains(minutes));
        minutes.ok_or_else(|| ConfigError::Value {
            origin: format!("setting trips.{MIN_NOTICE}"),
            message: format!("it must be whole minutes from 0 to {MAX_MIN_NOTICE_MIN}, and is {value}"),
        })
    }

    /// `trips.needs_driver`: `auto`, `always` or `never`.
    pub fn trip_needs_driver(&self) -> Result<&'static str, ConfigError> {
        let [default, ..] = NEEDS_DRIVER_NAMES;
        let Some(value) = self.trips.get(NEEDS_DRIVER) else { return Ok(default) };
        let known = NEEDS_DRIVER_NAMES.into_iter().find(|name| value.as_str() == Some(name));
        known.ok_or_else(|| ConfigError::Value {
            origin: format!("setting trips.{NEEDS_DRIVER}"),
            message: format!("it must be one of {}, and is {value}", NEEDS_DRIVER_NAMES.join(", ")),
        })
    }

    /// The settings of the arithmetic, defaults included.
    pub fn graph_settings(&self) -> Result<GraphSettings, ConfigError> {
        let mut settings = GraphSettings::default();
        for (name, value) in self.graph_values() {
            settings.apply(&name, &value).map_err(|error| ConfigError::Value {
                origin: format!("setting {name}"),
                message: error.to_string(),
            })?;
        }
        Ok(settings)
    }

    /// [`Config::graph_settings`] of a service, which keeps history for as long as fixes may be late unless it
    /// is told otherwise.
    pub fn service_settings(&self) -> Result<GraphSettings, ConfigError> {
        let mut settings = self.graph_settings()?;
        if !self.history.contains_key("keep_h") {
            settings.keep_ms = Some(settings.horizon_ms);
        }
        Ok(settings)
    }

    /// The settings of the arithmetic that were given explicitly.
    #[must_use]
    pub fn graph_values(&self) -> Vec<(String, SettingValue)> {
        let mut values = Vec::new();
        let sections = [
            ("cleaning", &self.cleaning),
            ("presence", &self.presence),
            ("visits", &self.visits),
            ("trips", &self.trips),
            ("history", &self.history),
        ];
        for (section, table) in sections {
            let is_of_the_door = |key: &str| section == "trips" && [MIN_NOTICE, NEEDS_DRIVER].contains(&key);
            for (key, value) in table.iter().filter(|(key, _)| !is_of_the_door(key)) {
                values.push((format!("{section}.{key}"), setting_value(value)));
            }
        }
        if let Some(zone) = &self.zone {
            values.push(("zone".to_owned(), SettingValue::Text(zone.clone())));
        }
        values
    }

    /// The configuration as TOML with the defaults that are in force, secrets masked.
    #[must_use]
    pub fn to_masked_toml(&self) -> String {
        let mut shown = self.clone();
        for (name, value) in self.service_settings().map_or_else(|_| Vec::new(), |s| s.values()) {
            shown.show_setting(name, &value);
        }
        let min_notice_min = self.trip_min_notice_min().unwrap_or(DEFAULT_MIN_NOTICE_MIN);
        shown.trips.insert(MIN_NOTICE.to_owned(), min_notice_min.into());
        let needs_driver = self.trip_needs_driver().unwrap_or(NEEDS_DRIVER_NAMES[0]);
        shown.trips.insert(NEEDS_DRIVER.to_owned(), needs_driver.into());
        toml::to_string_pretty(&shown).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
    }

    fn show_setting(&mut self, name: &str, value: &SettingValue) {
        let (section, key) = name.split_once('.').unwrap_or(("", name));
        let table = match section {
            "cleaning" => &mut self.cleaning,
            "presence" => &mut self.presence,
            "visits" => &mut self.visits,
            "trips" => &mut self.trips,
            "history" => &mut self.history,
            _ => {
                debug_assert_eq!(name, "zone");
                if let SettingValue::Text(zone) = value {
                    self.zone = Some(zone.clone());
                }
                return;
            }
        };
        table.entry(key).or_insert_with(|| toml_value(value));
    }
}

fn toml_value(value: &SettingValue) -> toml::Value {
    match value {
        SettingValue::Number(n) if n.fract() == 0.0 && n.abs() < 1e15 => toml::Value::Integer(*n as i64),
        SettingValue::Number(n) => toml::Value::Float(*n),
        SettingValue::Bool(b) => toml::Value::Boolean(*b),
        SettingValue::Text(text) => toml::Value::String(text.clone()),
    }
}

fn setting_value(value: &toml::Value) -> SettingValue {
    match value {
        toml::Value::Integer(n) => SettingValue::Number(*n as f64),
        toml::Value::Float(n) => SettingValue::Number(*n),
        toml::Value::Boolean(b) => SettingValue::Bool(*b),
        toml::Value::String(s) => SettingValue::Text(s.clone()),
        other => SettingValue::Text(other.to_string()),
    }
}

fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: shown.clone(), error })?;
    // Parsed once into the schema for errors that point at the line, once into a table to be merged.
    let at_fault = |error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = 1 + text[..start].matches('\n').count();
        // The span may be the value's, which may be a secret: only what the line begins with is shown.
        let whole_line = text.lines().nth(line - 1).unwrap_or_default().trim();
        let key = whole_line.split(['=', ' ', '\t']).next().unwrap_or_default();
        let message = format!("line {line}: {} (at {key:?})", one_line(error.message()));
        ConfigError::File { path: shown.clone(), message }
    };
    let config: Config = toml::from_str(&text).map_err(at_fault)?;
    for (name, value) in config.graph_values() {
        if let Err(error) = GraphSettings::default().apply(&name, &value) {
            let key = name.rsplit('.').next().unwrap_or(&name);
            let line = text.lines().position(|l| l.trim_start().starts_with(key)).map_or(0, |l| l + 1);
            return Err(ConfigError::File { path: shown, message: format!("line {line}: {error}") });
        }
    }
    toml::from_str(&text).map_err(at_fault)
}

/// Puts a dotted key into a table; the value is read as TOML where it can be, else as text.
fn merge(table: &mut toml::Table, origin: &str, key: &str, value: &str) -> Result<(), ConfigError> {
    let refuse = |message: String| Err(ConfigError::Value { origin: origin.to_owned(), message });
    if key.is_empty() || key.split('.').any(|part| part.is_empty()) {
        return refuse(format!("{key:?} is not a setting's name"));
    }
    let parsed = toml::from_str::<toml::Table>(&format!("value = {value}"))
        .ok()
        .and_then(|mut t| t.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let mut at = &mut *table;
    for part in parts {
        let next = at.entry(part).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        let toml::Value::Table(next) = next else {
            return refuse(format!("{part:?} in {key:?} is a value, not a section"));
        };
        at = next;
    }
    let before = at.insert(last.to_owned(), parsed);
    // A value that must be text may look like a number or a date: keep the text if the schema wants it.
    if table.clone().try_into::<Config>().is_err() {
        let mut as_text = table.clone();
        set_dotted(&mut as_text, key, toml::Value::String(value.to_owned()));
        if as_text.clone().try_into::<Config>().is_ok() {
            *table = as_text;
            return Ok(());
        }
        let error = table.clone().try_into::<Config>().err();
        let message = error.map(|e| one_line(e.message())).unwrap_or_default();
        if let Some(before) = before {
            set_dotted(table, key, before);
        }
        return refuse(message);
    }
    Ok(())
}

fn set_dotted(table: &mut toml::Table, key: &str, value: toml::Value) {
    let mut at = table;
    let mut parts = key.split('.').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            at.insert(part.to_owned(), value);
            return;
        }
        match at.get_mut(part) {
            Some(toml::Value::Table(next)) => at = next,
            _ => return,
        }
    }
}

fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)], sets: &[&str]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        Config::load(Some(&path), environment, &sets)
    }

    #[test]
    fn the_example_is_the_defaults() {
        let example = load(EXAMPLE, &[], &[]).unwrap();
        let nothing = Config::load(None, std::iter::empty(), &[]).unwrap();
        assert_eq!(example.graph_settings().unwrap(), nothing.graph_settings().unwrap());
        let of_service = nothing.service_settings().unwrap();
        assert_eq!(of_service.keep_ms, Some(of_service.horizon_ms), "a service keeps what may be late");
        assert_eq!(example.listen, nothing.listen);
        assert_eq!(example.journal, nothing.journal);
        assert_eq!(example.kafka, nothing.kafka);
        assert_eq!(example.sources.kafka, nothing.sources.kafka);
        let postgis = |config: &Config| {
            let of = &config.sources.postgis;
            (of.table.clone(), of.create_table, of.sweep_s, of.allow_mass_delete)
        };
        assert_eq!(postgis(&example), postgis(&nothing));
        assert_eq!(example.limits, nothing.limits);
        for (name, _) in GraphSettings::default().values() {
            let key = name.rsplit('.').next().unwrap();
            assert!(EXAMPLE.contains(key), "the example does not show {name}");
        }
    }

    #[test]
    fn later_sources_win() {
        let config = load(
            "[visits]\nmin_dwell_s = 60\nmax_absence_s = 10\n",
            &[("WATCHTOWER__VISITS__MIN_DWELL_S", "70"), ("HOME", "/root")],
            &["visits.max_absence_s=20", "cleaning.horizon_h=192"],
        );
        let settings = config.unwrap().graph_settings().unwrap();
        assert_eq!(settings.min_dwell_ms, 70_000);
        assert_eq!(settings.max_absence_ms, 20_000);
        assert_eq!(settings.horizon_ms, 192 * 3_600_000);
    }

    #[test]
    fn errors_name_the_key_and_the_line() {
        let said = |r: Result<Config, ConfigError>| r.unwrap_err().to_string();
        let unknown = said(load("zone = \"Africa/Lagos\"\n\n[visit]\nmin_dwell_s = 1\n", &[], &[]));
        assert!(unknown.contains("line 3") && unknown.contains("visit"), "{unknown}");
        let inner = said(load("[visits]\n\nmin_dwel_s = 1\n", &[], &[]));
        assert!(inner.contains("line 3") && inner.contains("min_dwel_s"), "{inner}");
        let value = said(load("[visits]\nmin_dwell_s = -1\n", &[], &[]));
        assert!(value.contains("line 2") && value.contains("min_dwell_s"), "{value}");
        let set = said(load("", &[], &["visits.min=1"]));
        assert!(set.contains("visits.min"), "{set}");
        assert!(said(load("", &[], &["listen.adress=1"])).contains("adress"));
        assert!(said(load("", &[], &["nonsense"])).contains("NAME=VALUE"));
        assert!(said(load("", &[("WATCHTOWER__NO__SUCH", "1")], &[])).contains("WATCHTOWER__NO__SUCH"));
    }

    #[test]
    fn the_notice_of_trips_is_no_setting_of_the_arithmetic() {
        let config = load(EXAMPLE, &[], &["trips.min_notice_min=45"]).unwrap();
        assert_eq!(config.trip_min_notice_min().unwrap(), 45);
        assert!(config.graph_values().iter().all(|(name, _)| !name.contains("notice")));
        assert!(config.to_masked_toml().contains("min_notice_min = 45"));
        let nothing = Config::load(None, std::iter::empty(), &[]).unwrap();
        let of_example = load(EXAMPLE, &[], &[]).unwrap().trip_min_notice_min().unwrap();
        assert_eq!(of_example, nothing.trip_min_notice_min().unwrap());
        for wrong in ["-1", "0.5", "soon", "100001"] {
            let error = load("", &[], &[&format!("trips.min_notice_min={wrong}")]).unwrap_err().to_string();
            assert!(error.contains("trips.min_notice_min") && error.contains("whole minutes"), "{error}");
        }
    }

    #[test]
    fn whether_trips_need_a_driver_is_no_setting_of_the_arithmetic() {
        let config = load(EXAMPLE, &[], &["trips.needs_driver=always"]).unwrap();
        assert_eq!(config.trip_needs_driver().unwrap(), "always");
        assert!(config.graph_values().iter().all(|(name, _)| !name.contains("driver")));
        assert!(config.to_masked_toml().contains("needs_driver = \"always\""));
        assert_eq!(load(EXAMPLE, &[], &[]).unwrap().trip_needs_driver().unwrap(), "auto");
        for wrong in ["true", "Always", "\"\""] {
            let error = load("", &[], &[&format!("trips.needs_driver={wrong}")]).unwrap_err().to_string();
            assert!(error.contains("trips.needs_driver") && error.contains("auto, always, never"), "{error}");
        }
    }

    #[test]
    fn secrets_are_masked() {
        let config = load(
            "[sources.loconav]\nhmac_secret = \"open sesame\"\n[tracking]\nsecret = \"sesame too\"\n",
            &[],
            &[],
        )
        .unwrap();
        assert!(!config.to_masked_toml().contains("sesame"));
        assert!(!format!("{config:?}").contains("sesame"));
        let secret = config.sources.loconav.hmac_secret.unwrap();
        assert_eq!(secret.read().unwrap(), b"open sesame");
        assert!(secret.is_literal());
    }
}
