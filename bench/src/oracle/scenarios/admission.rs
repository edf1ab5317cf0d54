//! What is refused, and which of several fixes counts.

use super::{check, check_yard};

#[test]
fn a_later_arrival_of_the_same_time_wins() {
    check_yard("T1 08:00 IN\nT1 08:00 OUT", "");
    check_yard("T1 08:00 OUT\nT1 08:00 IN", "T1 yard 08:00..");
    check_yard("T1 08:00 IN\nT1 08:00 OUT\nT1 08:00 IN", "T1 yard 08:00..");
}

#[test]
fn an_exact_repeat_changes_nothing_and_is_no_reject() {
    // The jump is reported of the record that counts: the first of equal ones, the last of others.
    check_yard(
        "T1 08:00 IN
         T1 08:01 4.3,6.4
         T1 08:01 4.30000002,6.4 # rounds to the same
         T1 08:01 4.3,6.4",
        "T1 yard 08:00..
         reject 3 T1 08:01 jump",
    );
    check_yard(
        "T1 08:00 IN\nT1 08:01 4.3,6.4\nT1 08:01 4.3000001,6.4",
        "T1 yard 08:00..\nreject 4 T1 08:01 jump",
    );
}

#[test]
fn a_bad_value_stays_when_its_fix_is_superseded() {
    check_yard(
        "T1 08:00 IN bad
         T1 08:00 OUT
         T1 08:00 OUT bad
         T1 08:00 0,0 bad",
        "reject 2 T1 08:00 bad_value
         reject 4 T1 08:00 bad_value
         reject 5 T1 08:00 null_island",
    );
}

#[test]
fn refusals_in_their_order() {
    check(
        "malformed
         T1 08:00 180.0000001,6.4
         T1 08:00 3.3,-90.1
         T1 1999-12-31T23:59:59.999Z 3.3,6.4
         T1 2100-01-01T00:00:00Z 3.3,6.4
         T1 1999-12-31T23:59:59.999Z 0,0
         T1 08:00 0.00009,-0.00009
         T1 08:00 NaN,6.4
         T1 08:00 0.0001,0
         T1 08:00 180,90
         other",
        "reject 1 malformed
         reject 2 T1 08:00 out_of_range
         reject 3 T1 08:00 out_of_range
         reject 4 T1 1999-12-31T23:59:59.999Z out_of_range
         reject 5 T1 2100-01-01T00:00:00Z out_of_range
         reject 6 T1 1999-12-31T23:59:59.999Z out_of_range
         reject 7 T1 08:00 null_island
         reject 8 malformed",
    );
}

#[test]
fn five_minutes_ahead_are_the_future() {
    check_yard(
        "T1 08:05 IN @08:00
         T1 08:05:00.001 IN @08:00
         T1 08:05:00.002 IN # without a received time nothing is ahead",
        "T1 yard 08:05..
         reject 3 T1 08:05:00.001 future",
    );
}

#[test]
fn a_day_behind_is_too_late() {
    check_yard(
        "T1 +08:00 OUT
         T1 08:00 IN
         T1 07:59:59.999 IN
         T2 +08:00:00.001 OUT
         T1 08:00 IN # a repeat, but too late now",
        "T1 yard 08:00..+08:00 exit
         visit T1 yard 08:00..+08:00 confirmed 08:05 of 1
         reject 4 T1 07:59:59.999 too_late
         reject 6 T1 08:00 too_late",
    );
}

#[test]
fn the_horizon_holds_for_records_after_it() {
    check_yard(
        "T1 08:00 OUT
         set cleaning.horizon_h 1
         T1 06:59 IN
         set cleaning.horizon_h 2
         T1 06:58 IN",
        "T1 yard 06:58..08:00 exit
         visit T1 yard 06:58..08:00 confirmed 07:03 of 1
         reject 4 T1 06:59 too_late",
    );
}

#[test]
fn settings_with_one_refused_value_are_refused_as_a_whole() {
    check_yard(
        "T1 08:00 IN
         set visits.min_dwell_s 60 presence.exit_buffer_m -1
         set visits.min_dwell_s 60 no.such_setting 1
         clock 08:02",
        "T1 yard 08:00..
         reject 3 malformed
         reject 4 malformed",
    );
    check_yard(
        "T1 08:00 IN
         set visits.min_dwell_s 60 presence.exit_buffer_m 0
         clock 08:02",
        "T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:01 of 1",
    );
}
