//! Trips that are late, and trucks that leave their way.

use super::{alerts, check, check_course, parse, with_places};

const LEAVES_LATE: &str = "trip_delay warning T1 08:00.. due 10:00 trip t {\"of\":\"departure\"}";

#[test]
fn a_trip_that_has_not_left_is_late_after_two_hours_and_critical_after_four() {
    check_course(
        "trip_delay",
        "trip t T1 depot shop 08:00",
        &[
            ("clock 09:59:59.999", ""),
            ("clock 10:00", LEAVES_LATE),
            ("T1 11:00 DEPOT\nclock 11:59:59.999", LEAVES_LATE),
            ("clock 12:00", &LEAVES_LATE.replace("warning", "critical")),
            ("T1 12:30 ROAD", "trip_delay critical T1 08:00..12:30 due 10:00 trip t {\"of\":\"departure\"}"),
        ],
    );
}

#[test]
fn who_leaves_just_in_time_is_not_late() {
    let leaves = |at: &str| format!("trip t T1 depot shop 08:00\nT1 07:50 DEPOT\nT1 {at} ROAD");
    check("trip_delay", &leaves("10:00"), "");
    check(
        "trip_delay",
        &leaves("10:00:00.001"),
        "trip_delay warning T1 08:00..10:00:00.001 due 10:00 trip t {\"of\":\"departure\"}",
    );
    check(
        "trip_delay",
        &leaves("12:00"),
        "trip_delay warning T1 08:00..12:00 due 10:00 trip t {\"of\":\"departure\"}",
    );
}

#[test]
fn an_arrival_is_late_once_its_time_has_passed() {
    check_course(
        "trip_delay",
        "trip t T1 depot shop 08:00 arrives 09:00\nT1 07:50 DEPOT\nT1 08:00 ROAD",
        &[
            ("clock 09:00", ""),
            ("clock 09:00:00.001", "trip_delay warning T1 09:00.. due 09:00 trip t {\"of\":\"arrival\"}"),
            ("clock 13:00", "trip_delay critical T1 09:00.. due 09:00 trip t {\"of\":\"arrival\"}"),
            // A late fix: it was there in time, or a little later.
            (
                "T1 09:30 SHOP\nT1 13:10 SHOP",
                "trip_delay warning T1 09:00..09:30 due 09:00 trip t {\"of\":\"arrival\"}",
            ),
            ("T1 09:00 SHOP", ""),
        ],
    );
}

#[test]
fn departure_and_arrival_are_two_things() {
    check(
        "trip_delay",
        "trip t T1 depot shop 08:00 arrives 09:00\nclock 10:30",
        "trip_delay warning T1 08:00.. due 10:00 trip t {\"of\":\"departure\"}
         trip_delay warning T1 09:00.. due 09:00 trip t {\"of\":\"arrival\"}",
    );
}

#[test]
fn an_arrival_counts_as_departed() {
    check("trip_delay", "trip t T1 depot shop 08:00\nT1 09:00 SHOP\nclock 12:00", "");
}

#[test]
fn a_trip_that_waits_for_its_turn_is_late_too() {
    check(
        "trip_delay",
        "trip s T1 depot shop 07:00\ntrip t T1 depot shop 08:00\nT1 06:50 DEPOT\nT1 07:10 ROAD\nclock 10:00",
        LEAVES_LATE,
    );
}

#[test]
fn a_trip_that_failed_was_late_until_then() {
    check(
        "trip_delay",
        "set trips.no_show_h 3\ntrip t T1 depot shop 08:00\nclock 20:00",
        "trip_delay warning T1 08:00..11:00 due 10:00 trip t {\"of\":\"departure\"}",
    );
    // At 10:00 it was late, and has failed since.
    let fails = |hours: &str| format!("set trips.no_show_h {hours}\ntrip t T1 depot shop 08:00\nclock 20:00");
    check(
        "trip_delay",
        &fails("2"),
        "trip_delay warning T1 08:00..10:00 due 10:00 trip t {\"of\":\"departure\"}",
    );
    check("trip_delay", &fails("1.9"), "");
}

#[test]
fn of_a_trip_that_was_ended_by_hand_nothing_is_known() {
    check_course(
        "trip_delay",
        "trip t T1 depot shop 08:00",
        &[
            ("clock 10:00", LEAVES_LATE),
            // It is still going on, whatever people call it.
            ("status t ongoing by ada", LEAVES_LATE),
            ("status t completed by ada", ""),
            ("status t inferred by ada", LEAVES_LATE),
        ],
    );
    // Unless it was served before.
    check(
        "trip_delay",
        "trip t T1 depot shop 08:00\nT1 07:50 DEPOT\nT1 10:30 ROAD\nT1 11:00 SHOP\nT1 11:10 SHOP
         status t completed by ada @11:10\nclock 12:00",
        "trip_delay warning T1 08:00..10:30 due 10:00 trip t {\"of\":\"departure\"}",
    );
}

#[test]
fn a_rule_may_take_the_place_of_both_severities() {
    check(
        "trip_delay",
        "rule trip_delay fleet severity info\ntrip t T1 depot shop 08:00\ntrip u T2 depot shop 08:00
         rule trip_delay vehicle T2 off always\nclock 13:00",
        "trip_delay info T1 08:00.. due 10:00 trip t {\"of\":\"departure\"}",
    );
}

/// The corridor is 200 m wide, from the depot to the shop; `aside` is a kilometre off it.
const CORRIDOR: &str = "fence way line 3,0 3.2,0 width 200\ntrip t T1 depot shop 08:00 along way
                        T1 08:00 DEPOT\nT1 08:30 3.05,0";

fn aside(text: &str) -> String {
    text.replace("ASIDE", "3.1,0.01")
}

#[test]
fn who_leaves_the_corridor_is_told_of_after_five_minutes() {
    check_course(
        "route_deviation",
        CORRIDOR,
        &[
            (&aside("T1 08:35 ASIDE"), ""),
            ("clock 08:39:59.999", ""),
            ("clock 08:40", "route_deviation warning T1 08:35.. due 08:40 fence way trip t"),
            ("T1 08:50 ROAD", "route_deviation warning T1 08:35..08:50 due 08:40 fence way trip t"),
        ],
    );
    check("route_deviation", &aside(&format!("{CORRIDOR}\nT1 08:35 ASIDE\nT1 08:39 ROAD\nclock 09:00")), "");
}

#[test]
fn beside_the_corridor_the_buffer_keeps() {
    // 111 m off its middle is inside of the buffer of 30 m.
    check("route_deviation", &format!("{CORRIDOR}\nT1 08:35 3.1,0.001\nclock 09:00"), "");
    check(
        "route_deviation",
        &aside(&format!("{CORRIDOR}\nT1 08:35 ASIDE\nT1 08:45 3.1,0.001\nT1 08:50 ROAD\nclock 09:00")),
        "route_deviation warning T1 08:35..08:50 due 08:40 fence way trip t",
    );
}

#[test]
fn only_a_trip_in_transit_has_a_way() {
    // Before it leaves, and after it has arrived, at the shop whose far end is out of the corridor.
    check(
        "route_deviation",
        "fence way line 3,0 3.2,0 width 200\ntrip t T1 depot shop 08:00 along way
         T1 07:00 3.1,0.01\nT1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 3.2,0.004\nclock 10:00",
        "",
    );
    // The arrival ends it.
    check(
        "route_deviation",
        &aside(&format!("{CORRIDOR}\nT1 08:40 ASIDE\nT1 09:00 3.2,0.004\nclock 10:00")),
        "route_deviation warning T1 08:40..09:00 due 08:45 fence way trip t",
    );
}

#[test]
fn a_trip_that_failed_has_no_way_any_more() {
    // It fails at 09:30, after which nothing was heard of it.
    let failed = |deviates: &str| {
        aside(&format!("set trips.no_arrival_h 1\n{CORRIDOR}\nT1 {deviates} ASIDE\nclock 12:00"))
    };
    check(
        "route_deviation",
        &failed("08:40"),
        "route_deviation warning T1 08:40..09:30 due 08:45 fence way trip t",
    );
    check("route_deviation", &failed("09:26"), "");
    check("route_deviation", &failed("09:31"), "");
}

#[test]
fn without_a_corridor_in_force_nobody_deviates() {
    let aside = aside("trip t T1 depot shop 08:00 along way\nT1 08:00 DEPOT\nT1 08:30 ASIDE\nclock 09:30");
    check("route_deviation", &aside, "");
    let way = "fence way line 3,0 3.2,0 width 200";
    check("route_deviation", &format!("{way} to 08:30\n{aside}"), "");
    check(
        "route_deviation",
        &format!("{way} to 09:00\n{aside}"),
        "route_deviation warning T1 08:30.. due 08:35 fence way trip t",
    );
}

#[test]
fn nothing_is_expected_of_a_trip_that_nobody_planned() {
    let drive = "location port at depot terminal\nlocation acme at shop client
                 T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 08:50 ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD\nclock 12:00";
    let told = |before: &str| alerts(&parse(&with_places(&format!("{before}\n{drive}"))), "");
    let of_a_plan = told("trip t T1 port acme 08:00");
    assert!(of_a_plan.iter().any(|line| line.ends_with("trip t")), "{of_a_plan:?}");
    assert_eq!(told("set trips.auto true"), told(""));
}
