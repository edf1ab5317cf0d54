//! What trucks did: how far, how long, and how much of it on trips.

use super::check;

#[test]
fn a_leg_is_moving_idle_stopped_or_offline() {
    // Moving for 10 minutes, idle for 10, stopped for 15, offline for a millisecond more than 15.
    check(
        "? day truck
         T1 08:00 3,0 ignition on\nT1 08:10 3.1,0 ignition on\nT1 08:20 3.1,0 ignition off
         T1 08:35 3.1,0\nT1 08:50:00.001 3.1,0 ignition on\nclock 09:00",
        "kpi day 00:00 truck T1 distance_m 11132
         kpi day 00:00 truck T1 idle_s 600
         kpi day 00:00 truck T1 moving_s 600
         kpi day 00:00 truck T1 offline_s 900
         kpi day 00:00 truck T1 stopped_s 900
         kpi day 00:00 truck T1 utilization_bp 0",
    );
}

#[test]
fn a_truck_that_drives_far_while_nobody_hears_of_it_is_offline() {
    check(
        "? day fleet distance_m\n? day fleet *_s\n? day fleet moving_s\n? day fleet offline_s
         T1 08:00 3,0\nT1 08:16 3.1,0\nclock 08:17",
        "kpi day 00:00 fleet distance_m 11132
         kpi day 00:00 fleet moving_s 0
         kpi day 00:00 fleet offline_s 960",
    );
}

#[test]
fn moving_begins_at_5_kmh() {
    // In 10 minutes these are 833333.3 mm: 74859 units of a coordinate are 833326 mm, 74860 are 833337.
    let to = |lon: &str| format!("? day fleet moving_s\nT1 08:00 3,0\nT1 08:10 {lon},0\nclock 08:11");
    check(&to("3.0074859"), "kpi day 00:00 fleet moving_s 0");
    check(&to("3.0074860"), "kpi day 00:00 fleet moving_s 600");
}

#[test]
fn idle_takes_the_ignition_at_the_beginning() {
    let idle = |first: &str, second: &str| {
        format!("? day fleet idle_s\nT1 08:00 3,0 {first}\nT1 08:10 3,0 {second}\nclock 08:11")
    };
    check(&idle("ignition on", "ignition off"), "kpi day 00:00 fleet idle_s 600");
    check(&idle("ignition off", "ignition on"), "kpi day 00:00 fleet idle_s 0");
    check(&idle("", "ignition on"), "kpi day 00:00 fleet idle_s 0");
    check(&idle("bad-ignition", ""), "kpi day 00:00 fleet idle_s 0");
    // A repeat says nothing new; a fix elsewhere takes its place, be it by a centimetre.
    let again = format!("{}\nT1 08:00 3,0 ignition on\nclock 08:12", idle("ignition off", ""));
    check(&again, "kpi day 00:00 fleet idle_s 0");
    check(&again.replace("3,0 ignition on", "3.0000001,0 ignition on"), "kpi day 00:00 fleet idle_s 600");
}

#[test]
fn a_leg_over_midnight_is_split_and_its_distance_is_of_the_later_day() {
    check(
        "? day fleet moving_s\n? day truck moving_s\n? day distance_m
         T1 23:56 3,0\nT1 +00:05 3.1,0\nclock +00:15",
        "kpi day 00:00 fleet moving_s 240
         kpi day 00:00 truck T1 moving_s 240
         kpi day +00:00 fleet distance_m 11132
         kpi day +00:00 fleet moving_s 300
         kpi day +00:00 truck T1 distance_m 11132
         kpi day +00:00 truck T1 moving_s 300",
    );
}

#[test]
fn a_leg_that_ends_at_midnight_is_of_the_day_before_and_its_distance_is_not() {
    check(
        "? day fleet moving_s\n? day fleet distance_m\nT1 23:50 3,0\nT1 +00:00 3.1,0\nclock +00:01",
        "kpi day 00:00 fleet moving_s 600
         kpi day +00:00 fleet distance_m 11132",
    );
}

#[test]
fn a_leg_is_split_at_the_ends_of_rolling_windows() {
    // At 09:00 the window begins within one leg and ends within another.
    check(
        "? 1h fleet moving_s\n? 1h fleet stopped_s\n? 1h fleet distance_m
         T1 07:55 3,0\nT1 08:05 3.1,0\nT1 08:15 3.1,0\nT1 08:30 3.1,0\nT1 08:45 3.1,0\nT1 08:59:30 3.1,0
         T1 09:00:30 3.11,0\nclock 09:00:45",
        // 5 minutes and 30 seconds; of 08:05, 0.1 degrees, and nothing yet of what ends after 09:00.
        "kpi 1h 08:00 fleet distance_m 11132
         kpi 1h 08:00 fleet moving_s 330
         kpi 1h 08:00 fleet stopped_s 3270",
    );
}

#[test]
fn silence_counts_once_it_is_over() {
    let silent = "? day fleet offline_s\nT1 08:00 3,0\nclock 12:00";
    check(silent, "");
    check(&format!("{silent}\nT1 12:00 3,0\nclock 12:01"), "kpi day 00:00 fleet offline_s 14400");
}

#[test]
fn legs_are_those_of_good_fixes() {
    // The jump is 89 km away.
    check(
        "? day fleet distance_m\nT1 08:00 3,0\nT1 08:10 3.1,0\nT1 08:15 3.9,0\nT1 08:20 3.2,0\nclock 08:21",
        "kpi day 00:00 fleet distance_m 22264",
    );
}

#[test]
fn distances_are_sums_of_millimetres_rounded_half_to_even() {
    // 0.1421 degrees are 15818.500 m, three times that are 47455.500 m.
    check(
        "? day fleet distance_m\nT1 08:00 3,0\nT1 08:10 3.1421,0\nclock 08:11",
        "kpi day 00:00 fleet distance_m 15818",
    );
    check(
        "? day distance_m\nT1 08:00 3,0\nT1 08:10 3.1421,0\nT2 08:00 3,0\nT2 08:10 3.1421,0\nT2 08:15 3.1421,0
         T2 08:20 3,0\nclock 08:30",
        "kpi day 00:00 fleet distance_m 47456
         kpi day 00:00 truck T1 distance_m 15818
         kpi day 00:00 truck T2 distance_m 31637",
    );
}

#[test]
fn utilization_is_time_on_trips_over_operational_time() {
    let trip = "? day fleet utilization_bp\ntrip t T1 depot shop 08:00";
    let drive = "T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD\nclock 10:00";
    // One hour of the two since its first fix.
    check(&format!("{trip}\n{drive}"), "kpi day 00:00 fleet utilization_bp 5000");
    // One of the ten of the day, since it is known to be there all along.
    check(&format!("{trip}\nvehicle T1 operational\n{drive}"), "kpi day 00:00 fleet utilization_bp 1000");
    // Its record came later: it was there since its first fix.
    check(&format!("{trip}\n{drive}\nvehicle T1 operational"), "kpi day 00:00 fleet utilization_bp 5000");
    // A truck that is known, and was not heard of, could have driven for ten hours: one of twelve.
    check(&format!("{trip}\nvehicle T2 operational\n{drive}"), "kpi day 00:00 fleet utilization_bp 833");
    // Another truck was there, and drove nothing: one hour of four.
    check(
        &format!("{trip}\n{drive}\nT2 08:00 DEPOT\nclock 10:00"),
        "kpi day 00:00 fleet utilization_bp 2500",
    );
}

#[test]
fn a_truck_that_is_still_on_its_trip_is_busy() {
    // An hour and a half of two.
    check(
        "? day utilization_bp\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD\nclock 10:00",
        "kpi day 00:00 fleet utilization_bp 7500
         kpi day 00:00 truck T1 utilization_bp 7500",
    );
    // Until it fails, at 09:30.
    check(
        "? day fleet utilization_bp\nset trips.no_arrival_h 1\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT
         T1 08:30 ROAD\nclock 10:00",
        "kpi day 00:00 fleet utilization_bp 5000",
    );
    // Until somebody says that it is completed, at 09:10: 40 minutes of 120.
    check(
        "? day fleet utilization_bp\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP
         status t completed by ada @09:10\nclock 10:00",
        "kpi day 00:00 fleet utilization_bp 3333",
    );
}

#[test]
fn a_truck_on_two_trips_is_busy_once() {
    // The dock is in the shop: the second trip departs at 09:10, the first one ends at 09:30. From 08:30 to 10:30 of
    // the three hours since 08:00.
    check(
        "? day fleet utilization_bp\nfence dock square 3.195,-0.005 3.199,0.005
         trip t1 T1 depot shop 08:00\ntrip t2 T1 dock mall 09:00
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 3.197,0\nT1 09:10 3.203,0\nT1 09:30 LANE\nT1 10:00 MALL
         T1 10:30 LANE\nclock 11:00",
        "kpi day 00:00 fleet utilization_bp 6667",
    );
}

#[test]
fn maintenance_counts_from_its_record_on() {
    // T1 is there for 2 hours and on a trip for 1; T2 is operational for 1.
    let until_9 = |said: &str| {
        format!(
            "? day fleet utilization_bp\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT\nvehicle T2 operational @08:00
             T1 08:30 ROAD\nT1 09:00 SHOP\nvehicle T2 {said} @09:00\nT1 09:30 ROAD\nclock 10:00"
        )
    };
    check(&until_9("maintenance"), "kpi day 00:00 fleet utilization_bp 3333");
    check(&until_9("deleted"), "kpi day 00:00 fleet utilization_bp 3333");
    check(&until_9("operational of VPC"), "kpi day 00:00 fleet utilization_bp 2500");
    // It is operational again from 09:30 on: an hour and a half.
    let again = until_9("maintenance").replace("clock 10:00", "vehicle T2 operational @09:30\nclock 10:00");
    check(&again, "kpi day 00:00 fleet utilization_bp 2857");
}

#[test]
fn the_first_record_of_a_vehicle_holds_from_the_beginning() {
    // It was in maintenance before anybody said so: nothing is operational.
    check(
        "? day utilization_bp\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD
         vehicle T1 maintenance @09:00\nclock 10:00",
        "",
    );
    // Repaired at 09:30, it is on its trip for all of the half an hour.
    check(
        "? day utilization_bp\ntrip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD
         vehicle T1 maintenance @09:00\nvehicle T1 operational @09:30\nclock 10:00",
        "kpi day 00:00 fleet utilization_bp 10000
         kpi day 00:00 truck T1 utilization_bp 10000",
    );
}

#[test]
fn of_trucks_that_nobody_heard_of_nothing_is_said() {
    check("? utilization_bp\nvehicle T1 operational\nclock 10:00", "");
    check(
        "? day utilization_bp\nvehicle T1 deleted\nvehicle T1 deleted\nT1 08:00 3,0\nT1 08:10 3,0\nclock 08:15",
        "kpi day 00:00 fleet utilization_bp 0
         kpi day 00:00 truck T1 utilization_bp 0",
    );
}
