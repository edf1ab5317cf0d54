//! Alerts.

use super::check;

/// Entries and exits of a gate are told.
const GATE: &str = "fence gate square 3.595,-0.005 3.605,0.005 alert absence 120";

#[test]
fn an_alert_counts_when_it_is_due() {
    // Idle from 08:00 on is due at 08:20.
    let at = |clock: &str| {
        format!(
            "? 1h alerts:idle\nT1 08:00 ROAD ignition on speed 0\nT1 08:30 ROAD ignition on speed 0\nclock {clock}"
        )
    };
    check(&at("08:30"), "kpi 1h 07:30 fleet alerts:idle 1");
    check(&at("09:20"), "kpi 1h 08:20 fleet alerts:idle 1");
    check(&at("09:21"), "");
    // By the minute of the mark it is not over.
    let until =
        |clock: &str| format!("? day fleet alerts:idle\nT1 08:00 ROAD ignition on speed 0\nclock {clock}");
    check(&until("08:20:59.999"), "");
    check(&until("08:21"), "kpi day 00:00 fleet alerts:idle 1");
}

#[test]
fn alerts_are_those_of_their_truck_and_of_the_places_at_their_fence() {
    check(
        &format!(
            "{GATE}\n? day alerts:geofence*\nlocation yard at gate\nlocation berth at gate
             T1 08:00 3.6,0\nT1 08:03 3.61,0\nT2 08:10 3.6,0\nclock 09:00"
        ),
        "kpi day 00:00 fleet alerts:geofence_entry 2
         kpi day 00:00 fleet alerts:geofence_exit 1
         kpi day 00:00 location berth alerts:geofence_entry 2
         kpi day 00:00 location berth alerts:geofence_exit 1
         kpi day 00:00 location yard alerts:geofence_entry 2
         kpi day 00:00 location yard alerts:geofence_exit 1
         kpi day 00:00 truck T1 alerts:geofence_entry 1
         kpi day 00:00 truck T1 alerts:geofence_exit 1
         kpi day 00:00 truck T2 alerts:geofence_entry 1",
    );
}

#[test]
fn alerts_move_with_the_location_at_their_fence() {
    let then = |lines: &str| format!("{GATE}\n? 1h location alerts:*\nT1 08:00 3.6,0\n{lines}\nclock 08:10");
    check(&then(""), "kpi 1h 07:10 location gate alerts:geofence_entry 1");
    check(&then("location yard at gate"), "kpi 1h 07:10 location yard alerts:geofence_entry 1");
    check(&then("location yard at gate\nlocation gate at depot\nlocation yard at depot"), "");
}

#[test]
fn an_alert_that_is_none_any_more_counts_no_more() {
    let then =
        |line: &str| format!("{GATE}\n? day fleet alerts:geofence*\nT1 08:00 3.6,0\n{line}\nclock 08:30");
    check(&then(""), "kpi day 00:00 fleet alerts:geofence_entry 1");
    check(&then("rule geofence_entry fleet off always"), "");
}

#[test]
fn the_providers_kinds_count_as_they_are_named() {
    check(
        "? day alerts:*\nprovider T1 crash started 08:00 instant\nprovider T1 tow_away started 09:00 id 7
         provider T2 tow_away started 09:30 id 7\nprovider T1 tow_away ended 10:00 id 7\nclock 12:00",
        "kpi day 00:00 fleet alerts:crash 1
         kpi day 00:00 fleet alerts:tow_away 2
         kpi day 00:00 truck T1 alerts:crash 1
         kpi day 00:00 truck T1 alerts:tow_away 1
         kpi day 00:00 truck T2 alerts:tow_away 1",
    );
}

#[test]
fn what_is_due_ahead_of_the_mark_counts_later() {
    let at = |clock: &str| format!("? 15m alerts:*\nprovider T1 dtc started 08:10 @08:00\nclock {clock}");
    check(&at("08:10"), "");
    check(&at("08:10:10"), "kpi 15m 07:55:10 fleet alerts:dtc 1");
    check(&at("08:25"), "kpi 15m 08:10 fleet alerts:dtc 1");
    check(&at("08:25:10"), "");
}
