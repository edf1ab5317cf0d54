//! What changes rows that stand: also those of days that are over.

use super::{DRIVE, check};

#[test]
fn a_late_fix_corrects_yesterday() {
    let departed = "? day fleet trips_started\ntrip t T1 depot shop 22:00\nT1 22:00 DEPOT\nT1 +00:20 ROAD";
    check(
        &format!("{departed}\nclock +00:30"),
        "kpi day 00:00 fleet trips_started 0
         kpi day +00:00 fleet trips_started 1",
    );
    check(
        &format!("{departed}\nT1 23:40 ROAD\nclock +00:30"),
        "kpi day 00:00 fleet trips_started 1
         kpi day +00:00 fleet trips_started 0",
    );
}

#[test]
fn a_late_fix_splits_a_leg() {
    let legs =
        "? day fleet offline_s\n? day fleet moving_s\n? day fleet distance_m\nT1 08:00 3,0\nT1 08:20 3,0";
    check(
        &format!("{legs}\nclock 08:30"),
        "kpi day 00:00 fleet distance_m 0
         kpi day 00:00 fleet moving_s 0
         kpi day 00:00 fleet offline_s 1200",
    );
    check(
        &format!("{legs}\nT1 08:10 3.1,0\nclock 08:30"),
        "kpi day 00:00 fleet distance_m 22264
         kpi day 00:00 fleet moving_s 1200
         kpi day 00:00 fleet offline_s 0",
    );
}

#[test]
fn a_trip_that_is_planned_anew_moves_between_clients() {
    let trip = format!("? day client trips_*\ntrip t T1 depot shop 08:00 for acme\n{DRIVE}\nclock 09:31");
    check(
        &trip,
        "kpi day 00:00 client acme trips_completed 1
         kpi day 00:00 client acme trips_started 1",
    );
    check(
        &format!("{trip}\ntrip t T1 depot shop 08:00 for bolt"),
        "kpi day 00:00 client bolt trips_completed 1
         kpi day 00:00 client bolt trips_started 1",
    );
    check(&format!("{trip}\ntrip t T1 depot shop 08:00"), "");
}

#[test]
fn a_trip_that_is_planned_anew_moves_between_trucks_and_days() {
    let trip = "? day trips_delayed\ntrip t T1 depot shop 08:00\nclock +12:00";
    check(
        trip,
        "kpi day 00:00 fleet trips_delayed 1
         kpi day 00:00 location shop trips_delayed 1
         kpi day 00:00 truck T1 trips_delayed 1
         kpi day +00:00 fleet trips_delayed 0",
    );
    check(
        &format!("{trip}\ntrip t T2 depot mall +08:00"),
        "kpi day +00:00 fleet trips_delayed 1
         kpi day +00:00 location mall trips_delayed 1
         kpi day +00:00 truck T2 trips_delayed 1",
    );
}

#[test]
fn a_location_that_moves_takes_its_visits_along() {
    let visits = format!("? day location visits\nlocation yard at depot\n{DRIVE}\nclock 09:31");
    check(
        &visits,
        "kpi day 00:00 location shop visits 1
         kpi day 00:00 location yard visits 1",
    );
    check(
        &format!("{visits}\nlocation yard at shop"),
        "kpi day 00:00 location depot visits 1
         kpi day 00:00 location yard visits 1",
    );
}

#[test]
fn days_are_those_of_the_zone_before_the_first_thing_that_counts() {
    let shows = "? day fleet stopped_s";
    let fixes = "T1 23:55 3,0\nT1 +00:05 3,0\nclock +00:06";
    let in_utc = "kpi day 00:00 fleet stopped_s 300\nkpi day +00:00 fleet stopped_s 300";
    let in_lagos = "kpi day 23:00 fleet stopped_s 600";
    let lagos = "set zone Africa/Lagos";
    check(&format!("{shows}\n{fixes}"), in_utc);
    check(&format!("{shows}\n{lagos}\n{fixes}"), in_lagos);
    // Fences, and positions that are refused, are not counted.
    let fence = "fence lot circle 3.5,0 100\nT2 10:00 0,0\nT2 08:00 200,0";
    check(&format!("{shows}\n{fence}\nset zone Asia/Tokyo\n{lagos}\n{fixes}"), in_lagos);
    // From then on it stays.
    check(&format!("{shows}\n{fixes}\n{lagos}"), in_utc);
    let vehicle = "vehicle T1 operational @08:00";
    check(&format!("{shows}\n{vehicle}\n{lagos}\n{fixes}"), in_utc);
    let trip = "trip t T1 depot shop 22:00";
    check(&format!("{shows}\n{trip}\n{lagos}\n{fixes}"), in_utc);
    let alert = "provider T1 dtc started 22:00";
    check(&format!("{shows}\n{alert}\n{lagos}\n{fixes}"), in_utc);
}

#[test]
fn a_final_day_is_still_corrected() {
    let trip = format!(
        "? day fleet trips_completed\ntrip t T1 depot mall 08:00\n{DRIVE}\nclock 2026-01-08T00:00:00Z"
    );
    check(&trip, "kpi day 00:00 fleet trips_completed 0 final");
    check(&format!("{trip}\ntrip t T1 depot shop 08:00"), "kpi day 00:00 fleet trips_completed 1 final");
}

#[test]
fn a_deleted_fence_ends_visits() {
    check(
        "? day fleet visits\n? day fleet dwell_p90_s\nT1 08:00 DEPOT\ndelete depot at 08:20\nT1 08:30 DEPOT\nclock 08:31",
        "kpi day 00:00 fleet dwell_p90_s 1200
         kpi day 00:00 fleet visits 1",
    );
}
