//! Crossings. `gate` is a square of 0.01 degrees like `yard`; `WEST` and `EAST` are as far from its middle, on both
//! sides, 0.01 degrees.

use super::check;

#[track_caller]
fn check_gate(scenario: &str, expected: &str) {
    let gate = "fence gate square 3.30,6.40 3.31,6.41 crossed\n";
    check(&with_sides(&format!("{gate}{scenario}")), &with_sides(expected));
}

fn with_sides(text: &str) -> String {
    text.replace("WEST", "3.295,6.405").replace("EAST", "3.315,6.405").replace("IN", "3.305,6.405")
}

#[test]
fn a_gate_is_crossed_between_two_fixes_that_did_not_see_it() {
    check_gate("T1 08:00 WEST\nT1 08:04 EAST", "cross T1 gate 08:00..08:04 at 08:02");
    // The middle of first entering (a quarter of the way) and last leaving (at the half).
    check_gate("T1 08:00 WEST\nT1 08:04 3.315,6.415", "cross T1 gate 08:00..08:04 at 08:01:30");
    check_gate("T1 08:00 3.29,6.405\nT1 08:04 3.33,6.405", "cross T1 gate 08:00..08:04 at 08:01:30");
    // Past it.
    check_gate("T1 08:00 WEST\nT1 08:04 3.295,6.416\nT1 08:05 3.315,6.416\nT1 08:06 EAST", "");
}

#[test]
fn only_a_fence_that_asks_is_crossed() {
    check(&with_sides("fence gate square 3.30,6.40 3.31,6.41\nT1 08:00 WEST\nT1 08:04 EAST"), "");
}

#[test]
fn fixes_may_be_300_s_apart() {
    check_gate("T1 08:00 WEST\nT1 08:05 EAST", "cross T1 gate 08:00..08:05 at 08:02:30");
    check_gate("T1 08:00 WEST\nT1 08:05:00.001 EAST", "");
}

#[test]
fn a_point_of_the_fence_is_enough() {
    // Over the corner in the north-west, and 1 cm past it.
    check_gate("T1 08:00 3.295,6.405\nT1 08:04 3.305,6.415", "cross T1 gate 08:00..08:04 at 08:02");
    check_gate("T1 08:00 3.2949999,6.405\nT1 08:04 3.3049999,6.415", "");
    // Along its northern side.
    check_gate("T1 08:00 3.295,6.41\nT1 08:04 3.315,6.41", "cross T1 gate 08:00..08:04 at 08:02");
}

#[test]
fn times_are_rounded_to_the_millisecond_half_to_even() {
    check_gate("T1 08:00 WEST\nT1 08:01:00.001 EAST", "cross T1 gate 08:00..08:01:00.001 at 08:00:30");
    check_gate("T1 08:00 WEST\nT1 08:01:00.003 EAST", "cross T1 gate 08:00..08:01:00.003 at 08:00:30.002");
    // It is the time that is even, not how long it took to it.
    check_gate(
        "T1 08:00:00.001 WEST\nT1 08:01:00.002 EAST",
        "cross T1 gate 08:00:00.001..08:01:00.002 at 08:00:30.002",
    );
}

#[test]
fn a_fix_inside_is_a_presence_and_no_crossing() {
    check_gate("T1 08:00 WEST\nT1 08:02 IN\nT1 08:04 EAST", "T1 gate 08:02..08:04 exit");
    // The border is inside.
    check_gate("T1 08:00 WEST\nT1 08:02 3.31,6.405\nT1 08:04 EAST", "T1 gate 08:02..08:04 exit");
}

#[test]
fn within_the_buffer_a_presence_goes_on_and_nothing_is_crossed() {
    // 22 m east of it, within the buffer; then 22 m west of it.
    let (near_east, near_west) = ("3.3102,6.405", "3.2998,6.405");
    check_gate(
        &format!("T1 08:00 IN\nT1 08:01 {near_east}\nT1 08:02 {near_west}\nT1 08:03 WEST\nT1 08:04 EAST"),
        "T1 gate 08:00..08:03 exit
         cross T1 gate 08:03..08:04 at 08:03:30",
    );
    // Without a presence the buffer means nothing.
    check_gate(
        &format!("T1 08:01 {near_east}\nT1 08:02 {near_west}"),
        "cross T1 gate 08:01..08:02 at 08:01:30",
    );
}

#[test]
fn the_fix_at_which_a_presence_ends_is_not_in_it() {
    check_gate(
        "T1 08:00 IN\nT1 08:02 EAST\nT1 08:04 WEST\nT1 08:06 IN",
        "T1 gate 08:00..08:02 exit
         T1 gate 08:06..
         cross T1 gate 08:02..08:04 at 08:03",
    );
}

#[test]
fn both_fixes_must_be_under_one_version() {
    let enlarged = "fence gate square 3.299,6.399 3.311,6.411 from 08:02 crossed\n";
    check_gate(&format!("{enlarged} T1 08:00 WEST\nT1 08:03 EAST"), "");
    check_gate(&format!("{enlarged} T1 08:02 WEST\nT1 08:03 EAST"), "cross T1 gate 08:02..08:03 at 08:02:30");
    // Its end is not part of a version.
    check_gate(&format!("{enlarged} T1 08:00 WEST\nT1 08:02 EAST"), "");
    check_gate("T1 08:00 WEST\nT1 08:02 EAST\ndelete gate at 08:02", "");
    check_gate(
        "T1 08:00 WEST\nT1 08:02 EAST\ndelete gate at 08:02:00.001",
        "cross T1 gate 08:00..08:02 at 08:01",
    );
    // The new version asks no more.
    check_gate(
        "fence gate square 3.30,6.40 3.31,6.41 from 08:02\nT1 08:00 WEST\nT1 08:01 EAST\nT1 08:02 WEST\nT1 08:03 EAST",
        "cross T1 gate 08:00..08:01 at 08:00:30",
    );
}

#[test]
fn a_late_fix_takes_a_crossing_back_or_makes_two() {
    let two = "T1 08:00 WEST\nT1 08:04 EAST\n";
    check_gate(&format!("{two}T1 08:02 IN"), "T1 gate 08:02..08:04 exit");
    // North around it, with a crossing less; over its corner, with one more.
    check_gate(&format!("{two}T1 08:01 3.295,6.416\nT1 08:03 3.315,6.416"), "");
    check_gate(
        &format!("{two}T1 08:02 3.305,6.415"),
        "cross T1 gate 08:00..08:02 at 08:01
         cross T1 gate 08:02..08:04 at 08:03",
    );
    check_gate(
        "T1 08:00 WEST\nT1 08:05:30 WEST\nT1 08:03 EAST",
        "cross T1 gate 08:00..08:03 at 08:01:30
         cross T1 gate 08:03..08:05:30 at 08:04:15",
    );
}

#[test]
fn fixes_that_are_no_good_cross_nothing() {
    check_gate(
        "T1 08:00 WEST\nT1 08:00:01 3.295,8.405\nT1 08:01 EAST",
        "cross T1 gate 08:00..08:01 at 08:00:30
         reject 3 T1 08:00:01 jump",
    );
}

#[test]
fn circles_corridors_and_the_antimeridian() {
    check(
        "fence circle circle 3.305,6.405 200 crossed
         fence road line 3.305,6.30 3.305,6.50 width 100 crossed
         fence across ring 179.99,-17 -179.99,-17 -179.99,-16.9 179.99,-16.9 crossed
         T1 08:00 3.295,6.405
         T1 08:04 3.315,6.405
         T1 08:05 3.315,6.404
         T2 08:00 179.98,-16.95
         T2 08:04 -179.98,-16.95
         T2 08:08 179.98,-16.95",
        "cross T1 circle 08:00..08:04 at 08:02
         cross T1 road 08:00..08:04 at 08:02
         cross T2 across 08:00..08:04 at 08:02
         cross T2 across 08:04..08:08 at 08:06",
    );
}
