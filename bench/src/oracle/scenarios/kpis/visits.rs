//! Dwell times at places.

use super::{DRIVE, check};

#[test]
fn a_visit_counts_when_it_is_over() {
    let at = |clock: &str| {
        format!("? 1h dwell*\n? 1h visits\nT1 08:00 DEPOT\nT1 08:30 DEPOT\nT1 09:00 ROAD\nclock {clock}")
    };
    check(&at("09:00:59"), "");
    check(
        &at("09:01"),
        "kpi 1h 08:01 fleet dwell_mean_s 3600
         kpi 1h 08:01 fleet dwell_p90_s 3600
         kpi 1h 08:01 fleet visits 1
         kpi 1h 08:01 location depot dwell_mean_s 3600
         kpi 1h 08:01 location depot dwell_p90_s 3600
         kpi 1h 08:01 location depot visits 1",
    );
}

#[test]
fn visits_are_those_of_all_places_with_or_without_trips() {
    // 30 minutes at the depot and at the shop, 90 at the mall: mean 3000, and the third of three.
    check(
        &format!("? day dwell*\n? day visits\n{DRIVE}\nT1 10:00 MALL\nT1 11:30 LANE\nclock 11:31"),
        "kpi day 00:00 fleet dwell_mean_s 3000
         kpi day 00:00 fleet dwell_p90_s 5400
         kpi day 00:00 fleet visits 3
         kpi day 00:00 location depot dwell_mean_s 1800
         kpi day 00:00 location depot dwell_p90_s 1800
         kpi day 00:00 location depot visits 1
         kpi day 00:00 location mall dwell_mean_s 5400
         kpi day 00:00 location mall dwell_p90_s 5400
         kpi day 00:00 location mall visits 1
         kpi day 00:00 location shop dwell_mean_s 1800
         kpi day 00:00 location shop dwell_p90_s 1800
         kpi day 00:00 location shop visits 1",
    );
}

#[test]
fn a_visit_counts_at_all_locations_of_its_fence() {
    check(
        "? day visits\nlocation gate at depot\nlocation yard at depot\nT1 08:00 DEPOT\nT1 08:30 ROAD\nclock 08:31",
        "kpi day 00:00 fleet visits 1
         kpi day 00:00 location gate visits 1
         kpi day 00:00 location yard visits 1",
    );
    // A fence is no place where its id is that of a location elsewhere.
    check(
        "? day visits\nlocation depot at mall\nT1 08:00 DEPOT\nT1 08:30 ROAD\nclock 08:31",
        "kpi day 00:00 fleet visits 1",
    );
}

#[test]
fn dwell_times_are_in_seconds_half_to_even() {
    let departs =
        |departed: &str| format!("? day fleet dwell_p90_s\nT1 08:00 DEPOT\nT1 {departed} ROAD\nclock 09:00");
    check(&departs("08:10:00.500"), "kpi day 00:00 fleet dwell_p90_s 600");
    check(&departs("08:10:01.500"), "kpi day 00:00 fleet dwell_p90_s 602");
}

#[test]
fn short_stays_are_no_visits() {
    check("? day visits\nT1 08:00 DEPOT\nT1 08:04:59 ROAD\nclock 08:30", "");
}
