//! From when to when, and how often.

use super::{DRIVE, check};

#[test]
fn a_window_has_its_beginning_and_not_its_end() {
    // It departs at 08:30 and offloads at 09:30.
    let at = |clock: &str| format!("? 1h fleet trips_*\ntrip t T1 depot shop 08:00\n{DRIVE}\nclock {clock}");
    check(&at("09:30"), "kpi 1h 08:30 fleet trips_started 1");
    check(&at("09:31"), "kpi 1h 08:31 fleet trips_completed 1");
    check(&at("10:30"), "kpi 1h 09:30 fleet trips_completed 1");
    check(&at("10:31"), "");
}

#[test]
fn rows_move_by_hops() {
    let at =
        |clock: &str| format!("? fleet trips_completed\ntrip t T1 depot shop 08:00\n{DRIVE}\nclock {clock}");
    // It offloads at 09:30. The multiples are 09:30:00, and 09:00 for the 7 days.
    check(
        &at("09:30:09.999"),
        "kpi day 00:00 fleet trips_completed 0
         kpi week 00:00 fleet trips_completed 0",
    );
    // 09:30:10 for the quarter of an hour.
    check(
        &at("09:30:59.999"),
        "kpi 15m 09:15:50 fleet trips_completed 1
         kpi day 00:00 fleet trips_completed 0
         kpi week 00:00 fleet trips_completed 0",
    );
    // 09:31.
    check(
        &at("09:44:59"),
        "kpi 15m 09:29:50 fleet trips_completed 1
         kpi 1h 08:44 fleet trips_completed 1
         kpi day 00:00 fleet trips_completed 1
         kpi week 00:00 fleet trips_completed 1",
    );
    // 09:45 for the 24 hours.
    check(
        &at("09:46"),
        "kpi 1h 08:46 fleet trips_completed 1
         kpi 24h 2026-01-04T09:45:00Z fleet trips_completed 1
         kpi day 00:00 fleet trips_completed 1
         kpi week 00:00 fleet trips_completed 1",
    );
    // 10:00 for the 7 days.
    check(
        &at("10:59:59"),
        "kpi 24h 2026-01-04T10:45:00Z fleet trips_completed 1
         kpi 7d 2025-12-29T10:00:00Z fleet trips_completed 1
         kpi day 00:00 fleet trips_completed 1
         kpi week 00:00 fleet trips_completed 1",
    );
}

#[test]
fn trucks_have_days_and_weeks_that_move_by_quarters_of_an_hour() {
    let at = |clock: &str| {
        format!(
            "? truck trips_started\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD\nclock {clock}"
        )
    };
    check(&at("08:44:59"), "");
    check(
        &at("08:45"),
        "kpi day 00:00 truck T1 trips_started 1
         kpi week 00:00 truck T1 trips_started 1",
    );
}

#[test]
fn days_are_those_of_the_zone() {
    // In Lagos it is an hour later.
    let departs = |departed: &str| {
        format!(
            "? day fleet trips_started\nset zone Africa/Lagos\ntrip t T1 depot shop 22:00
             T1 22:00 DEPOT\nT1 {departed} ROAD\nclock 23:30"
        )
    };
    check(&departs("22:59:59.999"), "kpi day 2026-01-04T23:00:00Z fleet trips_started 1");
    check(
        &departs("23:00"),
        "kpi day 2026-01-04T23:00:00Z fleet trips_started 0
         kpi day 23:00 fleet trips_started 1",
    );
}

#[test]
fn weeks_begin_on_monday() {
    // They are delayed two hours after they should depart: on Sunday, and on Monday.
    check(
        "? week fleet trips_delayed
         trip t T1 depot shop 2026-01-11T21:59:59.999Z\ntrip u T1 depot shop 2026-01-11T22:00:00Z
         clock 2026-01-12T00:01:00Z",
        "kpi week 00:00 fleet trips_delayed 1
         kpi week 2026-01-12T00:00:00Z fleet trips_delayed 1",
    );
}

#[test]
fn a_day_on_which_clocks_are_set_forward_has_23_hours() {
    check(
        "? day fleet offline_s\nset zone Europe/London
         T1 2026-03-28T23:00:00Z DEPOT\nT1 2026-03-30T01:00:00Z DEPOT\nclock 2026-03-30T02:00:00Z",
        "kpi day 2026-03-28T00:00:00Z fleet offline_s 3600 final
         kpi day 2026-03-29T00:00:00Z fleet offline_s 82800
         kpi day 2026-03-29T23:00:00Z fleet offline_s 7200",
    );
}

#[test]
fn a_day_on_which_clocks_are_set_back_has_25_hours() {
    check(
        "? day fleet offline_s\n? week fleet offline_s\nset zone Europe/London
         T1 2026-10-24T22:00:00Z DEPOT\nT1 2026-10-26T01:00:00Z DEPOT\nclock 2026-10-26T01:01:00Z",
        "kpi day 2026-10-23T23:00:00Z fleet offline_s 3600 final
         kpi day 2026-10-24T23:00:00Z fleet offline_s 90000
         kpi day 2026-10-26T00:00:00Z fleet offline_s 3600
         kpi week 2026-10-18T23:00:00Z fleet offline_s 93600
         kpi week 2026-10-26T00:00:00Z fleet offline_s 3600",
    );
}

#[test]
fn utilization_is_over_what_has_passed_of_a_day_of_23_hours() {
    // The truck is there since 1970; it is on the trip from 10:00 on. At 13:00 in London, 12 hours have passed.
    let trip = "? day fleet utilization_bp\nset zone Europe/London\nvehicle T1 operational
                trip t T1 depot shop 2026-03-29T10:00:00Z
                T1 2026-03-29T09:00:00Z DEPOT\nT1 2026-03-29T10:00:00Z ROAD";
    check(
        &format!("{trip}\nclock 2026-03-29T12:00:00Z"),
        "kpi day 2026-03-29T00:00:00Z fleet utilization_bp 1667",
    );
    // When it is over, 13 of 23 hours.
    check(
        &format!("{trip}\nclock 2026-03-29T23:00:00Z"),
        "kpi day 2026-03-29T00:00:00Z fleet utilization_bp 5652",
    );
}

#[test]
fn a_day_is_final_when_it_ended_longer_ago_than_the_horizon() {
    let at = |clock: &str| {
        format!("? day fleet trips_started\n? week fleet trips_started\nT1 08:00 DEPOT\nclock {clock}")
    };
    let week = "kpi week 00:00 fleet trips_started 0";
    check(&at("2026-01-07T00:00:59Z"), &format!("kpi day 00:00 fleet trips_started 0\n{week}"));
    check(&at("2026-01-07T00:01:00Z"), &format!("kpi day 00:00 fleet trips_started 0 final\n{week}"));
    check(
        &format!("{}\nset cleaning.horizon_h 48", at("2026-01-07T00:01:00Z")),
        &format!("kpi day 00:00 fleet trips_started 0\n{week}"),
    );
    check(
        &at("2026-01-13T00:01:00Z"),
        "kpi day 00:00 fleet trips_started 0 final\nkpi week 00:00 fleet trips_started 0 final",
    );
}

#[test]
fn rows_of_trucks_are_final_when_they_are_brought_up_to_date() {
    let at = |clock: &str| format!("? day truck stopped_s\nT1 08:00 DEPOT\nT1 08:10 DEPOT\nclock {clock}");
    check(&at("2026-01-07T00:14:59Z"), "kpi day 00:00 truck T1 stopped_s 600");
    check(&at("2026-01-07T00:15:00Z"), "kpi day 00:00 truck T1 stopped_s 600 final");
}

#[test]
fn rolling_windows_are_never_final() {
    check(
        "? 1h fleet stopped_s\nset cleaning.horizon_h 0\nT1 08:00 DEPOT\nT1 08:10 DEPOT\nclock 08:20:59",
        "kpi 1h 07:20 fleet stopped_s 600",
    );
}

#[test]
fn where_nothing_is_to_be_counted_there_are_no_rows() {
    check("? *\nclock 12:00", "");
    // It happened at the mark, not before it.
    check("? *\nT1 08:00 DEPOT", "");
    check("? *\nT1 08:00 DEPOT @08:00:00.500", "");
}

#[test]
fn a_day_with_a_fix_has_all_counts_of_trips() {
    check(
        "? fleet trips_*\nT1 08:00 DEPOT\nT1 2026-01-08T08:00:00Z DEPOT\nclock 2026-01-08T08:01:00Z",
        "kpi day 00:00 fleet trips_cancelled 0 final
         kpi day 00:00 fleet trips_completed 0 final
         kpi day 00:00 fleet trips_delayed 0 final
         kpi day 00:00 fleet trips_failed 0 final
         kpi day 00:00 fleet trips_started 0 final
         kpi day 2026-01-08T00:00:00Z fleet trips_cancelled 0
         kpi day 2026-01-08T00:00:00Z fleet trips_completed 0
         kpi day 2026-01-08T00:00:00Z fleet trips_delayed 0
         kpi day 2026-01-08T00:00:00Z fleet trips_failed 0
         kpi day 2026-01-08T00:00:00Z fleet trips_started 0
         kpi week 00:00 fleet trips_cancelled 0
         kpi week 00:00 fleet trips_completed 0
         kpi week 00:00 fleet trips_delayed 0
         kpi week 00:00 fleet trips_failed 0
         kpi week 00:00 fleet trips_started 0",
    );
}

#[test]
fn so_has_a_day_with_nothing_but_a_trip_that_failed() {
    // It is delayed from 10:00 on, and fails on the next day at 08:00.
    check(
        "? day fleet trips_*\n? day client\ntrip t T1 depot shop 08:00 for acme\nclock +08:01",
        "kpi day 00:00 client acme trips_delayed 1
         kpi day 00:00 fleet trips_cancelled 0
         kpi day 00:00 fleet trips_completed 0
         kpi day 00:00 fleet trips_delayed 1
         kpi day 00:00 fleet trips_failed 0
         kpi day 00:00 fleet trips_started 0
         kpi day +00:00 client acme trips_failed 1
         kpi day +00:00 fleet trips_cancelled 0
         kpi day +00:00 fleet trips_completed 0
         kpi day +00:00 fleet trips_delayed 0
         kpi day +00:00 fleet trips_failed 1
         kpi day +00:00 fleet trips_started 0",
    );
}
