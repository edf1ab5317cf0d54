//! How a fence ends, and with it the presences in it.

use super::{check, check_yard, with_places};

#[test]
fn a_delete_ends_a_presence_once_time_has_reached_it() {
    check_yard("T1 08:00 IN\ndelete yard at 08:04\nclock 08:03:59.999", "T1 yard 08:00..");
    check_yard("T1 08:00 IN\ndelete yard at 08:04\nclock 08:04", "T1 yard 08:00..08:04 fence_deleted");
    // A fix of the vehicle may reach it before the instant does; one of another vehicle does not count.
    check_yard(
        "T1 08:00 IN @08:00
         T2 08:00 IN @08:00
         delete yard at 08:04 @08:01
         T1 08:05 IN @08:01",
        "T1 yard 08:00..08:04 fence_deleted
         T2 yard 08:00..",
    );
}

#[test]
fn a_delete_in_the_past_takes_back_what_came_after() {
    check_yard(
        "T1 08:00 IN
         T1 08:10 OUT
         T1 08:20 IN
         delete yard at 08:05",
        "T1 yard 08:00..08:05 fence_deleted
         visit T1 yard 08:00..08:05 confirmed 08:05 of 1",
    );
}

#[test]
fn an_undated_delete_is_of_its_instant() {
    check_yard("T1 08:00 IN\ndelete yard @08:02", "T1 yard 08:00..08:02 fence_deleted");
    // Without a time of its own it is of the largest seen, here of a fix ahead of its arrival.
    check_yard("T1 08:00 IN @08:00\nT1 08:03 IN @08:00\ndelete yard", "T1 yard 08:00..08:03 fence_deleted");
}

#[test]
fn valid_to_ends_and_a_delete_at_the_same_time_names_the_reason() {
    let until_0804 = "fence yard square 3.30,6.40 3.31,6.41 to 08:04\nT1 08:00 IN\n";
    check_yard(&format!("{until_0804} T1 08:04 IN"), "T1 yard 08:00..08:04 fence_ended");
    check_yard(&format!("{until_0804} clock 08:03"), "T1 yard 08:00..");
    check_yard(
        &format!("{until_0804} delete yard at 08:04\nclock 09:00"),
        "T1 yard 08:00..08:04 fence_deleted",
    );
    check_yard(
        &format!("{until_0804} delete yard at 08:05\nclock 09:00"),
        "T1 yard 08:00..08:04 fence_ended",
    );
    check_yard(
        &format!("{until_0804} delete yard at 08:03\nclock 09:00"),
        "T1 yard 08:00..08:03 fence_deleted",
    );
}

#[test]
fn a_fence_exists_for_all_time_or_from_a_time_on() {
    check_yard("T1 08:00 IN\nfence new square 3.30,6.40 3.31,6.41", "T1 new 08:00..\nT1 yard 08:00..");
    check_yard(
        "T1 08:00 IN
         T1 08:10 IN
         T1 08:11 IN
         fence new square 3.30,6.40 3.31,6.41 from 08:10",
        "T1 new 08:10..
         T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:05 of 1",
    );
}

#[test]
fn deleting_what_is_unknown_does_nothing() {
    let expected = "T1 yard 08:00..";
    check_yard("T1 08:00 IN\ndelete other at 07:00", expected);
    check(
        &with_places("delete yard at 07:00\nfence yard square 3.30,6.40 3.31,6.41 from 06:00\nT1 08:00 IN"),
        expected,
    );
    // A delete where no version is left any more is none: the new version outlives it.
    check_yard(
        "delete yard at 06:00
         delete yard at 07:30
         fence yard square 3.30,6.40 3.31,6.41 from 07:00
         T1 08:00 IN",
        expected,
    );
}

#[test]
fn absences_by_a_delete_join_as_others_do() {
    check_yard(
        "delete yard at 08:04
         fence yard square 3.30,6.40 3.31,6.41 from 08:05
         T1 08:00 IN
         T1 08:04:30 IN
         T1 08:06 IN
         T1 08:10 OUT",
        "T1 yard 08:00..08:04 fence_deleted
         T1 yard 08:06..08:10 exit
         visit T1 yard 08:00..08:10 confirmed 08:05 of 2",
    );
}
