//! The present.

use super::check;

#[test]
fn trucks_are_en_route_idle_stopped_offline_or_in_maintenance() {
    check(
        "? now fleet
         vehicle T5 maintenance\nvehicle T6 operational
         T4 07:45 3,0
         T1 08:00 3,0\nT2 08:00 3,0\nT3 08:00 3,0
         T1 08:01 3.005,0\nT2 08:01 3,0 ignition on\nT5 08:01 3,0 ignition on\nclock 08:01:19",
        // T3 was heard of 70 seconds ago, T1, T2 and T5 10 seconds; T4 16 minutes ago, T6 never.
        "kpi now fleet freshness_p50_s 10
         kpi now fleet freshness_p99_s 70
         kpi now fleet trucks:en_route 1
         kpi now fleet trucks:idle 1
         kpi now fleet trucks:maintenance 1
         kpi now fleet trucks:offline 2
         kpi now fleet trucks:stopped 1",
    );
}

#[test]
fn a_truck_is_offline_after_more_than_15_minutes() {
    let at = |clock: &str| format!("? now fleet\nT1 08:00 3,0\nclock {clock}");
    check(
        &at("08:15:09"),
        "kpi now fleet freshness_p50_s 900
         kpi now fleet freshness_p99_s 900
         kpi now fleet trucks:stopped 1",
    );
    check(&at("08:15:10"), "kpi now fleet trucks:offline 1");
    // With a fix it is back, and says what its engine does.
    check(
        "? now trucks:*\nT1 08:00 3,0\nT1 08:30 3.1,0 ignition on\nclock 08:30:10",
        "kpi now fleet trucks:idle 1",
    );
}

#[test]
fn what_is_ahead_of_the_mark_has_not_happened() {
    // The truck moves from 08:01 on, and is seen moving at 08:01:05.
    check(
        "? now fleet trucks:*\nT1 08:00 3,0\nT1 08:01 3,0\nT1 08:01:05 3.0005,0 @08:01:05\nclock 08:01:05",
        "kpi now fleet trucks:stopped 1",
    );
    check(
        "? now fleet trucks:*\nT1 08:00 3,0\nT1 08:01 3,0\nT1 08:01:05 3.0005,0 @08:01:05\nclock 08:01:10",
        "kpi now fleet trucks:en_route 1",
    );
}

#[test]
fn vehicles_that_were_deleted_are_no_trucks() {
    check(
        "? now fleet trucks:*\nvehicle T1 operational @08:00\nT1 08:00 3,0\nvehicle T1 deleted @08:01
         T1 08:02 3,0\nT2 08:02 3,0\nclock 08:03",
        "kpi now fleet trucks:stopped 1",
    );
}

#[test]
fn freshness_is_of_trucks_that_are_not_offline_half_to_even() {
    check(
        "? now freshness*\nT1 07:00 3,0\nT2 08:00:08.500 3,0\nT3 08:00:09.500 3,0\nclock 08:00:10",
        "kpi now fleet freshness_p50_s 0
         kpi now fleet freshness_p99_s 2",
    );
}

#[test]
fn trucks_are_at_a_place_while_their_visit_goes_on() {
    let at = |clock: &str| {
        format!("? trucks_at\nlocation yard at depot\nT1 08:00 DEPOT\nT2 08:10 DEPOT\nclock {clock}")
    };
    // The second visit is not one yet.
    check(&at("08:14:59"), "kpi now location yard trucks_at 1");
    check(&at("08:15"), "kpi now location yard trucks_at 2");
    let left = "T1 08:30 ROAD";
    check(&format!("{}\n{left}\nclock 08:30:09", at("08:15")), "kpi now location yard trucks_at 2");
    check(&format!("{}\n{left}\nclock 08:30:10", at("08:15")), "kpi now location yard trucks_at 1");
}
