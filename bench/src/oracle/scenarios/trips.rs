//! Trips.
//!
//! About the places: they lie on the equator, a tenth of a degree apart: 11131.949079 m, which is
//! 6378137 m x pi / 1800. `DEPOT`, `SHOP` and `MALL` are the middles of fences of that name; `ROAD` is half-way
//! between the first two, `LANE` between the last two. A visit is confirmed after 5 minutes, and a trip is
//! delayed 2 hours, fails 24 hours after its schedule, and opens 12 hours before, where nothing else is said.

use model::GraphSettings;

use super::parse;
use crate::oracle::recompute_rows;
use crate::oracle::scenario::print_rows;

mod auto;
mod by_hand;
mod corrections;

const FENCES: &str = "fence depot square 2.995,-0.005 3.005,0.005
                      fence shop square 3.195,-0.005 3.205,0.005
                      fence mall square 3.395,-0.005 3.405,0.005";
/// From the depot to the shop and back.
const DRIVE: &str = "T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD";
/// What the drive makes of a trip, by the names in its row.
const DRIVEN: &str =
    "done completed pickup 08:00 departure 08:30 arrival 09:00 offload 09:30 tat 3600 distance 11132";

/// Runs a scenario and compares the rows of trips.
#[track_caller]
fn check(scenario: &str, expected: &str) {
    let places =
        [("DEPOT", "3,0"), ("ROAD", "3.1,0"), ("SHOP", "3.2,0"), ("LANE", "3.3,0"), ("MALL", "3.4,0")];
    let scenario = places.iter().fold(format!("{FENCES}\n{scenario}"), |text, (name, place)| {
        text.replace(&format!(" {name}"), &format!(" {place}"))
    });
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let got = print_rows(&recompute_rows(&parse(&scenario), &GraphSettings::default()));
    let trips: Vec<&str> = got.lines().filter(|line| line.starts_with("trip ")).collect();
    assert_eq!(trips, expected, "\nscenario:\n{scenario}\nall rows:\n{got}");
}

/// Runs a scenario line by line; after each line the row of its only trip is as said beside it.
#[track_caller]
fn check_course(before: &str, course: &[(&str, &str)]) {
    for step in 0..course.len() {
        let lines: Vec<&str> = course[..=step].iter().map(|(line, _)| *line).collect();
        check(&format!("{before}\n{}", lines.join("\n")), &format!("trip t T1 {}", course[step].1));
    }
}

#[test]
fn a_trip_from_its_plan_to_its_offload() {
    check_course(
        "trip t T1 depot shop 08:00 arrives 10:00",
        &[
            ("clock 06:00", "planned scheduled"),
            // The visit to the depot is not confirmed yet.
            ("T1 07:50 DEPOT", "planned scheduled"),
            ("clock 07:55", "at_pickup scheduled pickup 07:50"),
            ("T1 08:30 ROAD", "in_transit ongoing pickup 07:50 departure 08:30"),
            ("T1 09:00 SHOP", "in_transit ongoing pickup 07:50 departure 08:30"),
            ("clock 09:05", "at_delivery ongoing pickup 07:50 departure 08:30 arrival 09:00 distance 11132"),
            (
                "T1 09:30 ROAD",
                "done completed pickup 07:50 departure 08:30 arrival 09:00 offload 09:30 tat 3600 distance 11132",
            ),
            // It stays so, late or not.
            (
                "clock +10:00",
                "done completed pickup 07:50 departure 08:30 arrival 09:00 offload 09:30 tat 3600 distance 11132",
            ),
        ],
    );
}

#[test]
fn a_visit_is_of_its_vehicle() {
    check(
        &format!("trip t T2 depot shop 08:00\ntrip u T9 depot shop 08:00\n{DRIVE}"),
        "trip t T2 planned scheduled
         trip u T9 planned scheduled",
    );
}

#[test]
fn trips_are_in_order_of_schedule_and_id_and_each_visit_serves_one() {
    let trips = "trip b T1 depot shop 08:00\ntrip a T1 depot shop 08:00\ntrip c T1 depot shop 07:00";
    check(
        &format!("{trips}\n{DRIVE}"),
        &format!("trip a T1 planned scheduled\ntrip b T1 planned scheduled\ntrip c T1 {DRIVEN}"),
    );
    check(
        &format!("{trips}\n{DRIVE}\nT1 10:00 DEPOT\nT1 10:30 ROAD\nT1 11:00 SHOP\nT1 11:30 ROAD"),
        &format!(
            "trip a T1 done completed pickup 10:00 departure 10:30 arrival 11:00 offload 11:30 tat 3600 distance 11132
             trip b T1 planned delayed
             trip c T1 {DRIVEN}"
        ),
    );
}

#[test]
fn a_trip_that_was_not_driven_holds_up_nobody() {
    // At 09:00 the first trip could be one whose departure was not observed, but the second was observed.
    check(
        &format!("trip t1 T1 mall shop 07:00\ntrip t2 T1 depot shop 08:00\n{DRIVE}"),
        &format!("trip t1 T1 planned delayed\ntrip t2 T1 {DRIVEN}"),
    );
}

#[test]
fn what_was_shown_is_corrected_when_a_later_trip_proves_to_be_driven() {
    let trips = "trip t1 T1 depot shop 08:00\ntrip t2 T1 depot mall 08:30\nT1 08:00 DEPOT";
    check(
        &format!("{trips}\nclock 08:10"),
        "trip t1 T1 at_pickup scheduled pickup 08:00
         trip t2 T1 planned scheduled",
    );
    // 22263.898 m and 11131.949 m.
    check(
        &format!("{trips}\nT1 08:30 ROAD\nT1 08:50 LANE\nT1 09:10 MALL\nclock 09:15"),
        "trip t1 T1 planned scheduled
         trip t2 T1 at_delivery ongoing pickup 08:00 departure 08:30 arrival 09:10 distance 33396",
    );
}

#[test]
fn nothing_counts_before_a_trip_opens() {
    // It opens at 20:00: who left the depot before that did not leave for it.
    let until = |departed: &str| {
        format!("trip t T1 depot shop +08:00\nT1 19:00 DEPOT\nT1 {departed} ROAD\nT1 20:30 SHOP\nclock 20:35")
    };
    check(
        &until("20:00"),
        "trip t T1 at_delivery ongoing pickup 19:00 departure 20:00 arrival 20:30 distance 11132",
    );
    check(&until("19:59:59.999"), "trip t T1 planned scheduled");
    // An arrival before that is not its arrival, though the vehicle is in the large fence of the pickup.
    let arrives = |arrived: &str| {
        format!(
            "fence town square 3.15,-0.05 3.25,0.05\ntrip t T1 town shop +08:00
             T1 19:00 3.24,0\nT1 {arrived} SHOP\nclock 20:30"
        )
    };
    check(&arrives("20:00"), "trip t T1 at_delivery ongoing pickup 19:00 arrival 20:00");
    check(&arrives("19:59:59.999"), "trip t T1 at_pickup scheduled pickup 19:00");
}

#[test]
fn a_trip_is_current_once_it_opens() {
    check_course(
        "trip t T1 depot shop +08:00",
        &[
            ("T1 07:00 DEPOT", "planned scheduled"),
            ("clock 19:59:59.999", "planned scheduled"),
            ("clock 20:00", "at_pickup scheduled pickup 07:00"),
        ],
    );
}

#[test]
fn an_arrival_at_the_pickup_after_the_limit_does_not_count() {
    let arrives = |arrived: &str| {
        format!("set trips.no_show_h 1\ntrip t T1 depot shop 08:00\nT1 {arrived} DEPOT\nT1 09:30 ROAD")
    };
    check(&arrives("09:00"), "trip t T1 in_transit ongoing pickup 09:00 departure 09:30");
    check(&arrives("09:00:00.001"), "trip t T1 failed failed");
}

#[test]
fn a_vehicle_that_was_not_seen_at_the_pickup_fails_at_the_limit() {
    check_course(
        "set trips.no_show_h 3\ntrip t T1 depot shop 08:00",
        &[
            ("clock 09:59:59.999", "planned scheduled"),
            ("clock 10:00", "planned delayed"),
            ("clock 11:00", "planned delayed"),
            ("clock 11:00:00.001", "failed failed"),
        ],
    );
}

#[test]
fn a_vehicle_that_does_not_arrive_fails_and_keeps_what_was_seen() {
    let departed = "set trips.no_arrival_h 1\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD";
    check_course(
        departed,
        &[
            ("clock 09:30", "in_transit ongoing pickup 08:00 departure 08:30"),
            ("clock 09:30:00.001", "failed failed pickup 08:00 departure 08:30"),
        ],
    );
    let arrived = "trip t T1 at_delivery ongoing pickup 08:00 departure 08:30 arrival";
    check(&format!("{departed}\nT1 09:30 SHOP\nclock 09:40"), &format!("{arrived} 09:30 distance 11132"));
    // Too late, and with a pickup visit it is not one whose departure was unobserved.
    check(
        &format!("{departed}\nT1 09:30:00.001 SHOP\nclock 09:40"),
        "trip t T1 failed failed pickup 08:00 departure 08:30",
    );
    // The later of departure and scheduled arrival counts.
    let scheduled = departed.replace("shop 08:00", "shop 08:00 arrives 10:00");
    check(&format!("{scheduled}\nT1 11:00 SHOP\nclock 11:10"), &format!("{arrived} 11:00 distance 11132"));
    check(
        &format!("{scheduled}\nT1 11:00:00.001 SHOP\nclock 11:10"),
        "trip t T1 failed failed pickup 08:00 departure 08:30",
    );
}

#[test]
fn a_vehicle_that_waits_at_the_pickup_does_not_fail() {
    check(
        "trip t T1 depot shop 08:00 arrives 10:00\nT1 08:00 DEPOT\nclock 2026-02-05T00:00:00Z",
        "trip t T1 at_pickup delayed pickup 08:00",
    );
}

#[test]
fn delays_are_of_the_departure_and_of_the_arrival() {
    check_course(
        "trip t T1 depot shop 08:00 arrives 12:00\nT1 09:50 DEPOT",
        &[
            ("clock 09:59:59.999", "at_pickup scheduled pickup 09:50"),
            ("clock 10:00", "at_pickup delayed pickup 09:50"),
            ("T1 10:30 ROAD", "in_transit ongoing pickup 09:50 departure 10:30"),
            ("clock 12:00", "in_transit ongoing pickup 09:50 departure 10:30"),
            ("clock 12:00:00.001", "in_transit delayed pickup 09:50 departure 10:30"),
            // It has arrived, late as it is.
            (
                "T1 12:30 SHOP\nclock 12:35",
                "at_delivery ongoing pickup 09:50 departure 10:30 arrival 12:30 distance 11132",
            ),
        ],
    );
    check_course(
        "trip t T1 depot shop 08:00 arrives 09:00",
        &[("clock 09:00", "planned scheduled"), ("clock 09:00:00.001", "planned delayed")],
    );
}

#[test]
fn a_departure_may_be_unobserved() {
    let arrives = |arrived: &str| {
        format!("set trips.no_show_h 1\ntrip t T1 depot shop 09:00\nT1 {arrived} SHOP\nclock 10:30")
    };
    check(&arrives("09:00"), "trip t T1 at_delivery ongoing arrival 09:00 unobserved");
    check(&arrives("10:00"), "trip t T1 at_delivery ongoing arrival 10:00 unobserved");
    // Before the schedule, and after the limit, it says nothing.
    check(&arrives("08:59:59.999"), "trip t T1 failed failed");
    check(&arrives("10:00:00.001"), "trip t T1 failed failed");
}

#[test]
fn an_arrival_counts_as_departed() {
    check(
        "trip t T1 depot shop 08:00\nT1 09:00 SHOP\nclock 11:00",
        "trip t T1 at_delivery ongoing arrival 09:00 unobserved",
    );
    check(
        "trip t T1 depot shop 08:00\nT1 09:00 SHOP\nT1 11:00 ROAD",
        "trip t T1 done completed arrival 09:00 offload 11:00 unobserved",
    );
}

#[test]
fn unobserved_departures_are_in_order_too() {
    check(
        "trip t2 T1 depot shop 08:30\ntrip t1 T1 mall shop 08:00\nT1 09:00 SHOP\nT1 09:30 ROAD\nT1 10:00 SHOP
         clock 10:10",
        "trip t1 T1 done completed arrival 09:00 offload 09:30 unobserved
         trip t2 T1 at_delivery ongoing arrival 10:00 unobserved",
    );
}

#[test]
fn a_pickup_that_ended_before_the_last_delivery_is_used_up() {
    // One load for two deliveries, as two trips.
    check(
        "trip t1 T1 depot shop 08:00\ntrip t2 T1 depot mall 08:00
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 LANE\nT1 10:00 MALL\nT1 10:30 LANE",
        &format!(
            "trip t1 T1 {DRIVEN}
             trip t2 T1 done completed arrival 10:00 offload 10:30 unobserved"
        ),
    );
}

#[test]
fn waypoints_make_one_trip_of_a_load_for_two_deliveries() {
    check(
        "trip t T1 depot mall 08:00 via shop
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 LANE\nT1 10:00 MALL\nT1 10:30 LANE",
        "trip t T1 done completed pickup 08:00 departure 08:30 arrival 10:00 offload 10:30 tat 7200 distance 33396",
    );
}

#[test]
fn a_visit_may_end_one_trip_and_begin_the_next() {
    check(
        "trip t1 T1 depot shop 08:00\ntrip t2 T1 shop mall 09:00
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 LANE\nT1 10:00 MALL\nT1 10:30 LANE",
        &format!(
            "trip t1 T1 {DRIVEN}
             trip t2 T1 done completed pickup 09:00 departure 09:30 arrival 10:00 offload 10:30 tat 3600 distance 11132"
        ),
    );
    // It counts also where it ended just as the other began: the yard is left by the fix that is in the mall.
    check(
        "fence yard square 3.195,-0.005 3.235,0.005\nfence mall square 3.24,-0.005 3.27,0.005
         trip t1 T1 depot mall 08:00\ntrip t2 T1 yard mall 08:00
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 3.25,0\nT1 10:00 LANE",
        "trip t1 T1 done completed pickup 08:00 departure 08:30 arrival 09:30 offload 10:00 tat 5400 distance 16698
         trip t2 T1 in_transit ongoing pickup 09:00 departure 09:30",
    );
}

#[test]
fn a_visit_that_serves_no_trip_uses_up_nothing() {
    check(
        &format!(
            "trip t1 T1 depot shop 08:00\ntrip t2 T1 depot mall 10:00\n{DRIVE}
             T1 10:00 DEPOT\nT1 10:30 ROAD\nT1 11:00 SHOP\nT1 11:30 LANE\nT1 12:00 MALL\nclock 12:05"
        ),
        &format!(
            "trip t1 T1 {DRIVEN}
             trip t2 T1 at_delivery ongoing pickup 10:00 departure 10:30 arrival 12:00 distance 33396"
        ),
    );
}

#[test]
fn arrivals_at_one_time_are_taken_by_fence() {
    // `a` and `b` are one place. The visit to `a` comes first and uses the pickup up.
    check(
        "fence a square 3.195,-0.005 3.205,0.005\nfence b square 3.195,-0.005 3.205,0.005
         trip t1 T1 depot b 08:00\ntrip t2 T1 depot a 08:00
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nclock 09:05",
        "trip t1 T1 at_delivery ongoing arrival 09:00 unobserved
         trip t2 T1 at_delivery ongoing pickup 08:00 departure 08:30 arrival 09:00 distance 11132",
    );
}

#[test]
fn the_first_arrival_at_the_pickup_and_the_last_departure_count() {
    check(
        "trip t T1 depot shop 08:00\nT1 07:00 DEPOT\nT1 07:20 ROAD\nT1 07:30 DEPOT\nT1 07:50 ROAD\nT1 08:00 DEPOT\nT1 08:30 ROAD
         T1 09:00 SHOP\nT1 09:30 ROAD",
        "trip t T1 done completed pickup 07:00 departure 08:30 arrival 09:00 offload 09:30 tat 3600 distance 11132",
    );
    // Back at the depot it has not departed.
    check(
        "trip t T1 depot shop 08:00\nT1 07:00 DEPOT\nT1 07:20 ROAD\nT1 08:00 DEPOT\nclock 08:10",
        "trip t T1 at_pickup scheduled pickup 07:00",
    );
}

#[test]
fn a_round_trip_ends_where_it_began() {
    let trip = "trip t T1 depot depot 08:00";
    check(
        &format!("{trip}\nT1 07:50 DEPOT\nT1 08:30 ROAD\nT1 09:30 DEPOT\nT1 10:00 ROAD"),
        "trip t T1 done completed pickup 07:50 departure 08:30 arrival 09:30 offload 10:00 tat 5400 distance 11132",
    );
    // Who comes after the schedule might just be back.
    check(
        &format!("{trip}\nT1 08:10 DEPOT\nT1 08:30 ROAD"),
        "trip t T1 done completed arrival 08:10 offload 08:30 unobserved",
    );
}

#[test]
fn a_pickup_visit_begins_before_what_it_is_seen_from() {
    // Both fences are entered by one fix.
    let town = "fence town square 3.15,-0.05 3.25,0.05\ntrip t T1 town shop 08:00";
    check(
        &format!("{town}\nT1 09:00 SHOP\nclock 09:05"),
        "trip t T1 at_delivery ongoing arrival 09:00 unobserved",
    );
    check_course(
        "set visits.min_dwell_s 0\ntrip t T1 depot shop 08:00",
        &[
            ("T1 08:00 DEPOT", "planned scheduled"),
            ("clock 08:00:00.001", "at_pickup scheduled pickup 08:00"),
        ],
    );
    // It may end after the arrival: the numbers say so.
    check(
        &format!("{town}\nT1 07:50 3.16,0\nT1 08:30 SHOP\nT1 09:00 3.16,0\nT1 09:30 ROAD"),
        "trip t T1 done completed pickup 07:50 departure 09:30 arrival 08:30 offload 09:00 tat -1800 distance 0",
    );
}

#[test]
fn what_is_known_has_happened() {
    // It is 08:30, and a fix of 08:34 says that it has left.
    check(
        "trip t T1 depot shop 08:00\nT1 08:00 DEPOT @08:00\nT1 08:34 ROAD @08:30",
        "trip t T1 in_transit ongoing pickup 08:00 departure 08:34",
    );
}

#[test]
fn the_way_is_that_of_the_good_fixes() {
    // The jump is 89 km away within 15 minutes.
    check(
        "trip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD\nT1 08:45 3.9,0\nT1 09:00 SHOP\nclock 09:05",
        "trip t T1 at_delivery ongoing pickup 08:00 departure 08:30 arrival 09:00 distance 11132",
    );
    // A departure between two fixes: the way begins at the later one.
    check(
        "trip t T1 depot shop 08:00\nT1 08:00 DEPOT\ndelete depot at 08:15\nT1 08:30 ROAD\nT1 09:00 SHOP
         clock 09:05",
        "trip t T1 at_delivery ongoing pickup 08:00 departure 08:15 arrival 09:00 distance 11132",
    );
}

#[test]
fn legs_are_rounded_to_the_millimetre_and_their_sum_to_the_metre_half_to_even() {
    // 0.1421 degrees are 15818.499642 m, and so 15818.500 m. One leg is rounded down to the even metre.
    check(
        "trip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 3.0579,0\nT1 09:00 SHOP\nclock 09:05",
        "trip t T1 at_delivery ongoing pickup 08:00 departure 08:30 arrival 09:00 distance 15818",
    );
    // Three are 47455.500 m: up, where 47455.498925 m would go down.
    check(
        "trip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 3.0579,0\nT1 08:40 2.9158,0\nT1 08:50 3.0579,0
         T1 09:00 SHOP\nclock 09:05",
        "trip t T1 at_delivery ongoing pickup 08:00 departure 08:30 arrival 09:00 distance 47456",
    );
}

#[test]
fn the_turnaround_is_in_seconds_half_to_even() {
    let departs = |departed: &str, tat_s: &str| {
        check(
            &format!(
                "trip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 {departed} ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD"
            ),
            &format!(
                "trip t T1 done completed pickup 08:00 departure {departed} arrival 09:00 offload 09:30 \
                 tat {tat_s} distance 11132"
            ),
        );
    };
    departs("08:30:00.500", "3600");
    departs("08:30:01.500", "3598");
    departs("08:30:01.499", "3599");
}
