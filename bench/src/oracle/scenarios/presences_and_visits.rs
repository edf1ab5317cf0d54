//! Presences, stays and visits.

use super::{check, check_yard, with_places};

#[test]
fn a_visit() {
    check_yard(
        "T1 07:50 OUT
         T1 08:00 IN
         T1 08:34 OUT",
        "T1 yard 08:00..08:34 exit
         visit T1 yard 08:00..08:34 confirmed 08:05 of 1",
    );
}

#[test]
fn silence_ends_nothing_and_each_vehicle_and_fence_is_its_own() {
    check_yard(
        "fence all square 3.0,6.0 4.0,7.0
         T1 08:00 IN
         T2 08:01 IN
         T2 08:02 OUT
         clock +07:59",
        "T1 all 08:00..
         T1 yard 08:00..
         T2 all 08:01..
         T2 yard 08:01..08:02 exit
         visit T1 all 08:00.. confirmed 08:05 of 1
         visit T1 yard 08:00.. confirmed 08:05 of 1
         visit T2 all 08:01.. confirmed 08:06 of 1",
    );
}

#[test]
fn hysteresis_between_border_and_buffer_the_state_stays() {
    // NEAR neither enters nor leaves; 33 m do leave.
    check_yard(
        "T1 08:00 NEAR
         T1 08:01 IN
         T1 08:02 NEAR
         T1 08:03 3.3103,6.405
         T1 08:04 NEAR",
        "T1 yard 08:01..08:03 exit",
    );
}

#[test]
fn the_buffer_is_the_fences_own_then_the_fleets() {
    check_yard(
        "fence tight square 3.30,6.40 3.31,6.41 buffer 0
         fence wide square 3.30,6.40 3.31,6.41 buffer 300
         T1 08:00 3.31,6.405      # on the border
         T1 08:01 3.3100001,6.405 # 11 mm off
         T1 08:02 NEAR
         T1 08:03 OUT
         set presence.exit_buffer_m 20",
        "T1 tight 08:00..08:01 exit
         T1 wide 08:00..
         T1 yard 08:00..08:02 exit",
    );
}

#[test]
fn circles_have_a_buffer_too() {
    // The circle's rim is 5 m, then 38 m away.
    check(
        "fence c circle 3.30,6.40 1100
         T1 08:00 3.30,6.405
         T1 08:01 3.31,6.40
         T1 08:02 3.3103,6.40
         T1 08:03 3.31,6.40",
        "T1 c 08:00..08:02 exit",
    );
}

#[test]
fn an_absence_up_to_the_maximum_joins() {
    check_yard(
        "T1 08:00 IN
         T1 08:03 OUT
         T1 08:05 IN
         T1 08:06 OUT",
        "T1 yard 08:00..08:03 exit
         T1 yard 08:05..08:06 exit
         visit T1 yard 08:00..08:06 confirmed 08:05 of 2",
    );
}

#[test]
fn a_longer_absence_splits() {
    check_yard(
        "T1 08:00 IN
         T1 08:03 OUT
         T1 08:05:00.001 IN
         T1 08:06 OUT",
        "T1 yard 08:00..08:03 exit
         T1 yard 08:05:00.001..08:06 exit",
    );
    check(
        &with_places(
            "fence yard square 3.30,6.40 3.31,6.41 absence 0 dwell 60
             T1 08:00 IN
             T1 08:01 OUT
             T1 08:02 IN
             T1 08:04 OUT",
        ),
        "T1 yard 08:00..08:01 exit
         T1 yard 08:02..08:04 exit
         visit T1 yard 08:00..08:01 confirmed 08:01 of 1
         visit T1 yard 08:02..08:04 confirmed 08:03 of 1",
    );
}

#[test]
fn the_dwell_is_reached_exactly() {
    check_yard(
        "T1 08:00 IN
         T1 08:05 OUT
         T2 08:00 IN
         T2 08:04:59.999 OUT",
        "T1 yard 08:00..08:05 exit
         T2 yard 08:00..08:04:59.999 exit
         visit T1 yard 08:00..08:05 confirmed 08:05 of 1",
    );
    // An open stay lasts until the instant.
    check_yard("T1 08:00 IN\nclock 08:04:59.999", "T1 yard 08:00..");
    check_yard(
        "T1 08:00 IN\nclock 08:05",
        "T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:05 of 1",
    );
    // It does so too when fixes are ahead of the instant.
    check_yard(
        "T1 08:00 IN @08:00
         T1 08:05 IN @08:00",
        "T1 yard 08:00..",
    );
}

#[test]
fn settings_hold_for_the_past_too() {
    check_yard(
        "set visits.min_dwell_s 600
         T1 08:00 IN
         T1 08:02 OUT
         T1 08:05 IN
         T1 08:06 OUT
         set visits.min_dwell_s 60
         set visits.max_absence_s 180",
        "T1 yard 08:00..08:02 exit
         T1 yard 08:05..08:06 exit
         visit T1 yard 08:00..08:06 confirmed 08:01 of 2",
    );
}

#[test]
fn a_hole_is_outside_but_its_rim_is_not() {
    check(
        "fence y ring 3.30,6.40 3.31,6.40 3.31,6.41 3.30,6.41 hole 3.304,6.404 3.306,6.404 3.306,6.406 3.304,6.406
         T1 08:00 3.305,6.405
         T1 08:01 3.306,6.405
         T1 08:02 3.3058,6.405 # 22 m in the hole
         T1 08:03 3.305,6.405  # 110 m in the hole
         T1 08:04 3.301,6.401",
        "T1 y 08:01..08:03 exit
         T1 y 08:04..",
    );
}

#[test]
fn over_the_antimeridian() {
    check(
        "fence fiji square 179.99,-17.0 180,-16.9
         fence across ring 179.99,-17 -179.99,-17 -179.99,-16.9 179.99,-16.9
         T1 08:00 179.98,-16.95
         T1 08:02 -180,-16.95
         T1 08:03 -179.9999,-16.95 # 11 m east of the antimeridian
         T1 08:04 -179.995,-16.95
         T1 08:06 -179.98,-16.95",
        "T1 across 08:02..08:06 exit
         T1 fiji 08:02..08:04 exit",
    );
}

#[test]
fn corridors_are_left_by_half_the_width_and_the_buffer() {
    // 44 m, 55 m, 77 m, 88 m beside a line of 100 m width.
    check(
        "fence road line 3.30,6.40 3.40,6.40 width 100
         T1 08:00 3.35,6.4005
         T1 08:01 3.35,6.4004
         T1 08:02 3.35,6.4005
         T1 08:03 3.35,6.4007
         T1 08:04 3.35,6.4008",
        "T1 road 08:01..08:04 exit",
    );
}
