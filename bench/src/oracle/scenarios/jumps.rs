//! The filter of implausible jumps.

use super::check_yard;

// AWAY is a degree of longitude, 110.6 km, east of IN; FAR another one.
#[track_caller]
fn check_jumps(scenario: &str, expected: &str) {
    let away = scenario.replace("AWAY", "4.305,6.405").replace("FAR", "5.305,6.405");
    check_yard(&away, expected);
}

#[test]
fn one_outlier_is_flagged_and_not_used() {
    check_jumps("T1 08:00 IN\nT1 08:01 AWAY\nT1 08:02 IN", "T1 yard 08:00..\nreject 3 T1 08:01 jump");
}

#[test]
fn the_limit_is_200_m_and_the_distance_at_200_kmh() {
    // A second allows 255.6 m: 221.3 m pass, 265.5 m do not.
    check_jumps("T1 08:00 3.31,6.405\nT1 08:00:01 3.312,6.405", "T1 yard 08:00..08:00:01 exit");
    check_jumps(
        "T1 08:00 3.31,6.405\nT1 08:00:01 3.3124,6.405",
        "T1 yard 08:00..\nreject 3 T1 08:00:01 jump",
    );
    check_jumps(
        "T1 08:00 3.31,6.405\nT1 08:00:01 3.3124,6.405\nset cleaning.max_speed_kmh 250",
        "T1 yard 08:00..08:00:01 exit",
    );
    check_jumps("T1 08:00 IN\nT1 08:01 AWAY\nset cleaning.max_speed_kmh 0", "T1 yard 08:00..08:01 exit");
}

#[test]
fn lets_go_at_the_third_fix_that_follows_two_flagged_ones() {
    check_jumps(
        "T1 08:00 IN\nT1 08:01 AWAY\nT1 08:02 AWAY\nT1 08:03 AWAY\nT1 08:04 AWAY\nT1 08:05 IN",
        "T1 yard 08:00..08:03 exit
         reject 3 T1 08:01 jump
         reject 4 T1 08:02 jump
         reject 7 T1 08:05 jump",
    );
    // Two flagged ones that do not follow each other do not count.
    check_jumps(
        "T1 08:00 IN\nT1 08:01 AWAY\nT1 08:02 FAR\nT1 08:03 FAR\nT1 08:04 FAR",
        "T1 yard 08:00..08:04 exit
         reject 3 T1 08:01 jump
         reject 4 T1 08:02 jump
         reject 5 T1 08:03 jump",
    );
    // Nor does one that does not follow the two.
    check_jumps(
        "T1 08:00 IN\nT1 08:01 AWAY\nT1 08:02 AWAY\nT1 08:03 FAR",
        "T1 yard 08:00..
         reject 3 T1 08:01 jump
         reject 4 T1 08:02 jump
         reject 5 T1 08:03 jump",
    );
    // A good one between two flagged ones: they are not directly before.
    check_jumps(
        "T1 08:00 IN\nT1 08:01 AWAY\nT1 08:02 IN\nT1 08:03 AWAY\nT1 08:04 AWAY",
        "T1 yard 08:00..
         reject 3 T1 08:01 jump
         reject 5 T1 08:03 jump
         reject 6 T1 08:04 jump",
    );
}

#[test]
fn recovers_after_more_than_30_minutes() {
    check_jumps(
        "T1 08:00 IN\nT1 08:30 AWAY",
        "T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:05 of 1
         reject 3 T1 08:30 jump",
    );
    check_jumps(
        "T1 08:00 IN\nT1 08:30:00.001 AWAY",
        "T1 yard 08:00..08:30:00.001 exit
         visit T1 yard 08:00..08:30:00.001 confirmed 08:05 of 1",
    );
}

#[test]
fn the_first_fix_is_good_until_an_earlier_one_comes() {
    check_jumps("T1 08:00 AWAY\nT1 08:01 IN\nT1 08:02 IN", "reject 3 T1 08:01 jump\nreject 4 T1 08:02 jump");
    check_jumps(
        "T1 08:00 AWAY\nT1 08:01 IN\nT1 08:02 IN\nT1 07:59 IN",
        "T1 yard 07:59..\nreject 2 T1 08:00 jump",
    );
}

#[test]
fn a_jump_takes_the_place_of_a_bad_value() {
    check_jumps(
        "T1 08:00 IN\nT1 08:01 AWAY bad\nT1 08:02 IN bad",
        "T1 yard 08:00..\nreject 3 T1 08:01 jump\nreject 4 T1 08:02 bad_value",
    );
}

#[test]
fn what_ends_by_a_deleted_fence_is_not_reached_by_a_flagged_fix() {
    check_jumps(
        "T1 08:00 IN @08:00\ndelete yard at 08:02 @08:00\nT1 08:03 AWAY @08:00",
        "T1 yard 08:00..\nreject 4 T1 08:03 jump",
    );
}
