//! Backfills, where one hour is kept and fixes may be an hour late. Records 1 and 2 are the settings and the
//! yard.

use super::reach::{AWAY, BACK, check_kept_1h};

const VISIT: &str = "T1 yard 08:10..08:20 exit
                     visit T1 yard 08:10..08:20 confirmed 08:15 of 1";

#[test]
fn what_came_too_late_is_let_in() {
    let late = "T1 08:00 OUT\nT1 10:00 OUT\nT1 08:10 IN\nT1 08:20 OUT";
    check_kept_1h(late, "reject 5 T1 08:10 too_late\nreject 6 T1 08:20 too_late");
    check_kept_1h(&format!("{late}\nbackfill 08:00 09:00"), VISIT);
    // The period holds its first moment, and not its last.
    check_kept_1h(
        &format!("{late}\nbackfill 08:10 08:20"),
        "T1 yard 08:10..10:00 exit
         visit T1 yard 08:10..10:00 confirmed 08:15 of 1
         reject 6 T1 08:20 too_late",
    );
    // What comes after the record is too late as ever.
    check_kept_1h(
        "T1 08:00 OUT\nT1 10:00 OUT\nbackfill 08:00 09:00\nT1 08:10 IN",
        "reject 6 T1 08:10 too_late",
    );
}

#[test]
fn exempt_positions_wait() {
    let waiting = "T1 08:00 OUT\nT1 10:00 OUT\nT1 08:10 IN bad exempt\nT1 08:20 OUT exempt";
    check_kept_1h(waiting, "");
    check_kept_1h(&format!("{waiting}\nbackfill 06:00 08:10"), "");
    let with_bad_value = format!("{VISIT}\nreject 5 T1 08:10 bad_value");
    check_kept_1h(&format!("{waiting}\nbackfill 08:00 09:00"), &with_bad_value);
    check_kept_1h("T1 10:00 OUT\nbackfill 08:00 09:00\nT1 08:10 IN exempt", "");
    // Another backfill changes nothing of what the first one opened.
    check_kept_1h(&format!("{waiting}\nbackfill 08:00 09:00\nbackfill 06:00 07:00"), &with_bad_value);
}

#[test]
fn exempt_positions_that_are_not_late_are_ordinary() {
    check_kept_1h("T1 08:10 IN exempt\nT1 08:20 OUT exempt", VISIT);
    check_kept_1h("T1 10:00 OUT exempt @08:00\nbackfill 08:00 11:00", "reject 3 T1 10:00 future");
}

#[test]
fn corrections_reach_back_to_the_beginning_of_the_period() {
    let corrected = format!("T1 08:10 IN\nT1 08:20 OUT\nT1 09:30 OUT\n{AWAY}");
    check_kept_1h(&corrected, VISIT);
    check_kept_1h(&format!("{corrected}\nbackfill 08:00 09:00"), "");
    check_kept_1h(&format!("{corrected}\nbackfill 08:20 09:00"), "");
    check_kept_1h(&format!("{corrected}\nbackfill 08:21 09:00"), VISIT);
    // Afterwards it is final again, as corrected.
    check_kept_1h(&format!("{corrected}\nbackfill 08:00 09:00\n{BACK}"), "");
    check_kept_1h(&format!("{corrected}\n{BACK}\nbackfill 08:00 09:00\n{AWAY}"), VISIT);
}

#[test]
fn what_was_let_in_is_corrected_by_what_came_before_the_record() {
    let late = "T1 08:00 OUT\nT1 10:00 OUT\nT1 08:10 IN exempt\nT1 08:20 OUT exempt";
    check_kept_1h(&format!("{late}\n{AWAY}\nbackfill 08:00 09:00"), "");
    check_kept_1h(&format!("{late}\nbackfill 08:00 09:00\n{AWAY}"), VISIT);
}
