//! The tracking provider's kinds of alerts, under our names.
//!
//! LocoNav has up to four names for one kind: that of webhooks, of its REST API, of subscriptions and of its list of
//! what is supported. A name is read in any casing, with or without underscores and the word `Alert` at its end.

use std::sync::Arc;

use model::Severity;

/// What becomes of the provider's name of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProviderKind {
    pub(super) kind: Arc<str>,
    pub(super) severity: Severity,
    /// It is told of once, and has no end.
    pub(super) is_instant: bool,
}

type Known = (&'static [&'static str], &'static str, Severity, bool);

/// Names as they are looked up, our name, how bad it is, and whether it has no length. What follows from positions
/// and trips here, too, has a name of its own, so that nothing is counted twice.
const KNOWN: [Known; 26] = [
    (&["antitheft"], "anti_theft", Severity::Critical, true),
    (&["crash", "crashduringoverspeed"], "crash", Severity::Critical, true),
    (&["devicelowbattery"], "device_low_battery", Severity::Warning, false),
    (&["deviceoffline"], "provider_device_offline", Severity::Warning, false),
    (&["deviceremoval", "deviceremoved"], "device_removed", Severity::Critical, false),
    (&["driverdistracted"], "driver_distracted", Severity::Warning, false),
    (&["drivermobileuse"], "driver_mobile_use", Severity::Warning, false),
    (&["dtc"], "dtc", Severity::Warning, false),
    (&["fatigue"], "fatigue", Severity::Warning, false),
    (&["fueltheft", "possiblefueltheft"], "fuel_theft", Severity::Critical, true),
    (&["entryexit", "geofence", "geofenceentry"], "provider_geofence_entry", Severity::Info, false),
    (&["geofenceexit"], "provider_geofence_exit", Severity::Info, false),
    (&["harshacceleration", "suddenacceleration"], "harsh_acceleration", Severity::Warning, true),
    (&["harshbraking", "suddenbraking"], "harsh_braking", Severity::Warning, true),
    (&["idle", "idling", "vehicleidle"], "provider_idle", Severity::Warning, false),
    (&["ignition"], "ignition", Severity::Info, false),
    (&["lowbattery", "vehiclelowbatteryvoltage"], "low_battery", Severity::Warning, false),
    (&["movement"], "movement", Severity::Warning, false),
    (&["overrev"], "over_rev", Severity::Warning, false),
    (&["overspeed"], "provider_overspeed", Severity::Warning, false),
    (&["refueling"], "refueling", Severity::Info, true),
    (&["routedeviation"], "provider_route_deviation", Severity::Warning, false),
    (&["sharpturn"], "sharp_turn", Severity::Warning, true),
    (&["sos"], "sos", Severity::Critical, false),
    (&["tripdelay"], "provider_trip_delay", Severity::Warning, false),
    (&["unwantedmovement"], "unwanted_movement", Severity::Warning, false),
];

/// Looks a name up. `event_key` tells the two sorts of geofence alerts apart. An unknown kind keeps its name.
pub(super) fn provider_kind(name: &str, event_key: Option<&str>) -> ProviderKind {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' '));
    let folded: String = letters.map(|c| c.to_ascii_lowercase()).collect();
    let looked_up = match folded.strip_suffix("alert").unwrap_or(&folded) {
        "geofence" if event_key == Some("geofence_exit") => "geofenceexit",
        other => other,
    };
    match KNOWN.iter().find(|(names, ..)| names.contains(&looked_up)) {
        Some(&(_, kind, severity, is_instant)) => ProviderKind { kind: kind.into(), severity, is_instant },
        None => ProviderKind { kind: name.into(), severity: Severity::Warning, is_instant: false },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_provider_has_many_names_for_one_kind() {
        let kind = |name: &str| provider_kind(name, None).kind.to_string();
        for (ours, names) in [
            (
                "harsh_braking",
                &["SuddenBrakingAlert", "sudden_braking", "SuddenBraking", "harsh_braking"][..],
            ),
            ("provider_idle", &["IdlingAlert", "VehicleIdleAlert", "vehicle_idle", "VehicleIdle", "idle"]),
            ("crash", &["CrashDuringOverspeedAlert", "CrashAlert", "crash_during_overspeed", "Crash"]),
            ("fuel_theft", &["PossibleFuelTheftAlert", "fuel_theft", "FuelTheft"]),
            ("provider_geofence_entry", &["GeofenceAlert", "Geofence", "entry_exit", "EntryExit"]),
            ("over_rev", &["OverrevAlert", "over_rev", "OverRev"]),
            ("NeverHeardOfAlert", &["NeverHeardOfAlert"]),
            ("provider_overspeed", &["OverspeedAlert", "provider_overspeed"]),
        ] {
            names.iter().for_each(|name| assert_eq!(kind(name), ours, "{name}"));
        }
        let exit = |key| provider_kind("GeofenceAlert", Some(key)).kind.to_string();
        assert_eq!(exit("geofence_exit"), "provider_geofence_exit");
        assert_eq!(exit("geofence_enter"), "provider_geofence_entry");
    }

    #[test]
    fn our_own_kinds_but_the_harsh_ones_are_not_the_providers() {
        for kind in model::AlertKind::ALL {
            let named = provider_kind(kind.as_str(), None).kind;
            let is_harsh = kind.as_str().starts_with("harsh_");
            assert_eq!(&*named == kind.as_str(), is_harsh, "{named}");
        }
    }

    #[test]
    fn unknown_kinds_are_warnings_that_last() {
        let unknown = provider_kind("Moon", None);
        assert_eq!((unknown.severity, unknown.is_instant), (Severity::Warning, false));
        let crash = provider_kind("crash", None);
        assert_eq!((crash.severity, crash.is_instant), (Severity::Critical, true));
        let names: Vec<&str> = KNOWN.iter().flat_map(|(names, ..)| names.iter().copied()).collect();
        let different: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(different.len(), names.len(), "each name is that of one kind");
    }
}
