//! Changes and corrections of a fence.

use super::check_yard;

/// `yard` is moved 0.02 degrees east at 08:10, so that IN is 1.1 km outside of it.
const MOVED: &str = "fence yard square 3.32,6.40 3.33,6.41 from 08:10\n";
/// `yard` is enlarged at 08:10, so that IN stays inside.
const ENLARGED: &str = "fence yard square 3.29,6.39 3.32,6.42 from 08:10 dwell 60\n";

#[test]
fn nobody_leaves_where_the_next_version_begins() {
    check_yard(
        &format!("{ENLARGED} T1 08:08 IN\nT1 08:10 IN\nT1 08:12 OUT\nT1 08:14 3.33,6.405"),
        "T1 yard 08:08..08:14 exit
         visit T1 yard 08:08..08:14 confirmed 08:13 of 1",
    );
    // The next fix is judged by the new version, however long it takes to come.
    check_yard(
        &format!("{MOVED} T1 08:00 IN\nT1 08:30 IN\nclock 09:00"),
        "T1 yard 08:00..08:30 exit
         visit T1 yard 08:00..08:30 confirmed 08:05 of 1",
    );
    check_yard(
        &format!("{MOVED} T1 08:00 IN\nclock 09:00"),
        "T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:05 of 1",
    );
}

#[test]
fn dwell_and_absence_are_of_the_version_at_the_stays_start() {
    let by_two_stays = "T1 08:00 IN\nT1 08:02 3.325,6.405\nT1 08:11 IN\nT1 08:12 3.325,6.405";
    check_yard(
        &format!("{ENLARGED} {by_two_stays}"),
        "T1 yard 08:00..08:02 exit
         T1 yard 08:11..08:12 exit
         visit T1 yard 08:11..08:12 confirmed 08:12 of 1",
    );
    check_yard(
        &format!(
            "fence yard square 3.30,6.40 3.31,6.41 absence 600
             {ENLARGED} {by_two_stays}
             T1 08:20 IN"
        ),
        "T1 yard 08:00..08:02 exit
         T1 yard 08:11..08:12 exit
         T1 yard 08:20..
         visit T1 yard 08:00.. confirmed 08:05 of 3",
    );
}

#[test]
fn an_upsert_without_valid_from_replaces_versions_and_deletes() {
    check_yard(
        &format!(
            "{MOVED}
             delete yard at 08:20
             T1 08:00 IN
             T1 08:40 IN
             fence yard square 3.30,6.40 3.31,6.41 dwell 3600"
        ),
        "T1 yard 08:00..",
    );
}

#[test]
fn versions_are_ordered_by_valid_from_and_the_same_one_is_replaced() {
    check_yard(
        "fence yard square 3.0,6.0 3.1,6.1 from 08:20
         fence yard square 3.0,6.0 3.1,6.1 from 08:10
         fence yard square 3.30,6.40 3.31,6.41 from 08:10 dwell 0
         T1 08:09 OUT
         T1 08:12 IN
         T1 08:22 IN",
        "T1 yard 08:12..08:22 exit
         visit T1 yard 08:12..08:22 confirmed 08:12 of 1",
    );
}

#[test]
fn a_version_that_has_ended_does_not_come_back() {
    check_yard(
        "fence yard square 3.30,6.40 3.31,6.41 from 08:10 to 08:20
         T1 08:00 IN
         T1 08:18 IN
         T1 08:30 IN",
        "T1 yard 08:00..08:20 fence_ended
         visit T1 yard 08:00..08:20 confirmed 08:05 of 1",
    );
}

#[test]
fn a_delete_drops_later_versions_that_have_arrived() {
    check_yard(
        &format!("{ENLARGED} delete yard at 08:04\nT1 08:00 IN\nT1 08:12 IN"),
        "T1 yard 08:00..08:04 fence_deleted",
    );
    // One beginning just there is dropped as well; one that arrives later lives, and where it begins
    // just there nothing ends.
    check_yard(
        &format!("{ENLARGED} delete yard at 08:10\nT1 08:08 IN\nT1 08:12 IN"),
        "T1 yard 08:08..08:10 fence_deleted",
    );
    check_yard(&format!("delete yard at 08:10\n{ENLARGED} T1 08:08 IN\nT1 08:12 IN"), "T1 yard 08:08..");
}

#[test]
fn a_version_takes_the_place_of_a_delete_where_it_begins() {
    // When the version is dropped, the delete whose place it took does not come back.
    check_yard(
        "T1 08:00 IN
         delete yard at 08:10
         fence yard square 3.29,6.39 3.32,6.42 from 08:10
         fence yard square 3.30,6.40 3.31,6.41 from 08:06
         delete yard at 08:08
         fence yard square 3.30,6.40 3.31,6.41 from 08:08
         T1 08:20 IN",
        "T1 yard 08:00..
         visit T1 yard 08:00.. confirmed 08:05 of 1",
    );
}

#[test]
fn a_delete_ends_a_version_that_arrives_later_but_begins_before() {
    check_yard(
        "delete yard at 08:20
         fence yard square 3.29,6.39 3.32,6.42 from 08:10 dwell 3600
         T1 08:12 OUT
         T1 08:18 OUT
         T1 08:22 OUT",
        "T1 yard 08:12..08:20 fence_deleted",
    );
}
