//! Devices that fall silent.

use super::{check, check_course};

/// In transit from 08:30, at the shop from 09:00 to 09:30.
const TRIP: &str =
    "trip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:10 DEPOT\nT1 08:20 DEPOT\nT1 08:30 ROAD";

#[test]
fn silence_is_told_after_two_hours() {
    check_course(
        "device_offline",
        "",
        &[
            ("T1 08:00 OUT", ""),
            ("clock 09:59:59.999", ""),
            ("clock 10:00", "device_offline warning T1 08:00.. due 10:00"),
            ("T1 10:30 OUT", "device_offline warning T1 08:00..10:30 due 10:00"),
        ],
    );
}

#[test]
fn a_gap_of_exactly_so_long_counts() {
    check("device_offline", "T1 08:00 OUT\nT1 10:00 OUT", "device_offline warning T1 08:00..10:00 due 10:00");
    check("device_offline", "T1 08:00 OUT\nT1 09:59:59.999 OUT", "");
}

#[test]
fn a_late_fix_says_that_it_was_not_silent() {
    let silent = "T1 08:00 OUT @08:00\nclock 10:10";
    check("device_offline", silent, "device_offline warning T1 08:00.. due 10:00");
    check("device_offline", &format!("{silent}\nT1 09:00 OUT @10:10"), "");
    // Or only that it was shorter.
    check(
        "device_offline",
        &format!("{silent}\nT1 10:05 OUT @10:10"),
        "device_offline warning T1 08:00..10:05 due 10:00",
    );
    // Or another one.
    check(
        "device_offline",
        &format!("{silent}\nT1 08:05 OUT @10:10"),
        "device_offline warning T1 08:05.. due 10:05",
    );
}

#[test]
fn a_stray_does_not_end_silence() {
    // 89 km within a second: a jump.
    check(
        "device_offline",
        "T1 08:00 OUT\nT1 08:00:01 4.4,0\nclock 10:00",
        "device_offline warning T1 08:00.. due 10:00",
    );
}

#[test]
fn on_a_trip_a_quarter_of_an_hour_is_enough() {
    check_course(
        "device_offline",
        TRIP,
        &[
            ("clock 08:44:59.999", ""),
            ("clock 08:45", "device_offline warning T1 08:30.. due 08:45 trip t"),
            ("T1 08:50 ROAD", "device_offline warning T1 08:30..08:50 due 08:45 trip t"),
        ],
    );
}

#[test]
fn a_vehicle_is_on_a_trip_from_its_departure_to_its_offload() {
    // Before the departure it is not: at the pickup it may be silent for longer.
    check("device_offline", "trip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:20 DEPOT\nclock 08:40", "");
    // At the delivery it still is.
    let unloading = format!("{TRIP}\nT1 08:40 ROAD\nT1 08:50 SHOP\nT1 09:00 SHOP");
    check(
        "device_offline",
        &format!("{unloading}\nT1 09:20 ROAD"),
        "device_offline warning T1 09:00..09:20 due 09:15 trip t",
    );
    // The fix with which it leaves the delivery is the first that is not on the trip.
    check("device_offline", &format!("{unloading}\nT1 09:10 ROAD\nT1 11:09 ROAD"), "");
}

#[test]
fn without_an_observed_departure_it_is_on_the_trip_from_its_arrival() {
    check(
        "device_offline",
        "trip t T1 depot shop 08:00\nT1 09:00 SHOP\nclock 09:20",
        "device_offline warning T1 09:00.. due 09:15 trip t",
    );
}

#[test]
fn a_trip_that_was_cancelled_or_has_failed_is_none_any_more() {
    // Nothing is known of the times of a trip that was cancelled on its way.
    check_course(
        "device_offline",
        TRIP,
        &[
            ("clock 08:50", "device_offline warning T1 08:30.. due 08:45 trip t"),
            ("status t cancelled by ada", ""),
            ("clock 10:30", "device_offline warning T1 08:30.. due 10:30"),
        ],
    );
    // It fails at 09:30: silence before it is that of a trip, after it not.
    check(
        "device_offline",
        &format!("set trips.no_arrival_h 1\n{TRIP}\nT1 09:20 ROAD\nT1 09:40 ROAD\nT1 10:30 ROAD"),
        "device_offline warning T1 08:30..09:20 due 08:45 trip t
         device_offline warning T1 09:20..09:40 due 09:35 trip t",
    );
}

#[test]
fn a_rule_says_how_long_on_a_trip_or_not() {
    check(
        "device_offline",
        &format!("rule device_offline fleet for 1800\n{TRIP}\nT1 08:59 ROAD\nT1 09:29 ROAD"),
        "device_offline warning T1 08:59..09:29 due 09:29 trip t",
    );
    check(
        "device_offline",
        "rule device_offline fleet for 1800\nT1 08:00 OUT\nclock 08:30",
        "device_offline warning T1 08:00.. due 08:30",
    );
}

#[test]
fn where_it_was_last_seen_decides() {
    // In the basement of the depot nobody expects to hear of it.
    let basement = "rule device_offline fence depot off\nT1 08:00 DEPOT";
    check("device_offline", &format!("{basement}\nT1 12:00 OUT"), "");
    check(
        "device_offline",
        &format!("{basement}\nT1 08:10 ROAD\nT1 12:00 DEPOT"),
        "device_offline warning T1 08:10..12:00 due 10:10",
    );
}
