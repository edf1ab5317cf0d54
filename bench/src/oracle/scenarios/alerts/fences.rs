//! Entries and exits.

use super::{check, check_course};

const GATE: &str = "fence gate square 3.595,-0.005 3.605,0.005 alert absence 120";

#[test]
fn a_fence_may_ask_for_every_entry_and_exit() {
    check_course(
        "geofence",
        GATE,
        &[
            // Nobody waits for the dwell that makes a visit.
            ("T1 08:00 OUT", "geofence_entry info T1 08:00.. due 08:00 fence gate"),
            ("T1 08:03 3.61,0", "geofence_entry info T1 08:00.. due 08:00 fence gate"),
            ("clock 08:04:59.999", "geofence_entry info T1 08:00.. due 08:00 fence gate"),
            (
                "clock 08:05",
                "geofence_entry info T1 08:00..08:03 due 08:00 fence gate
                 geofence_exit info T1 08:03.. due 08:05 fence gate",
            ),
            (
                "T1 09:00 OUT",
                "geofence_entry info T1 08:00..08:03 due 08:00 fence gate
                 geofence_exit info T1 08:03..09:00 due 08:05 fence gate
                 geofence_entry info T1 09:00.. due 09:00 fence gate",
            ),
        ],
    );
}

#[test]
fn who_is_back_soon_has_not_left() {
    check(
        "geofence",
        &format!("{GATE}\nT1 08:00 OUT\nT1 08:03 3.61,0\nT1 08:05 OUT\nclock 08:10"),
        "geofence_entry info T1 08:00.. due 08:00 fence gate",
    );
    // Nobody had told of an exit, and then of one that was none.
    check_course(
        "geofence",
        GATE,
        &[
            (
                "T1 08:00 OUT @08:00\nT1 08:03 3.61,0 @08:03\nclock 08:06",
                "geofence_entry info T1 08:00..08:03 due 08:00 fence gate
                 geofence_exit info T1 08:03.. due 08:05 fence gate",
            ),
            ("T1 08:05 OUT @08:06", "geofence_entry info T1 08:00.. due 08:00 fence gate"),
        ],
    );
}

#[test]
fn the_next_stay_proves_the_exit() {
    // It is ahead of the instant, which has not come to 08:05.
    check(
        "geofence",
        &format!("{GATE}\nT1 08:00 OUT @08:00\nT1 08:03 3.61,0 @08:03\nT1 08:05:00.001 OUT @08:03"),
        "geofence_entry info T1 08:00..08:03 due 08:00 fence gate
         geofence_exit info T1 08:03..08:05:00.001 due 08:05 fence gate
         geofence_entry info T1 08:05:00.001.. due 08:05:00.001 fence gate",
    );
}

#[test]
fn other_fences_are_silent() {
    check("geofence", "T1 08:00 DEPOT\nT1 09:00 ROAD\nclock 10:00", "");
}

#[test]
fn a_fence_that_is_deleted_is_left() {
    check(
        "geofence",
        &format!("{GATE}\nT1 08:00 OUT\ndelete gate at 08:30\nclock 09:00"),
        "geofence_entry info T1 08:00..08:30 due 08:00 fence gate
         geofence_exit info T1 08:30.. due 08:32 fence gate",
    );
}

#[test]
fn whether_a_fence_tells_is_said_by_the_version_at_the_beginning_of_the_stay() {
    check(
        "geofence",
        "fence gate square 3.595,-0.005 3.605,0.005
         fence gate square 3.595,-0.005 3.605,0.005 alert from 08:10
         T1 08:00 OUT\nT1 08:20 ROAD\nT1 08:40 OUT\nclock 09:00",
        "geofence_entry info T1 08:40.. due 08:40 fence gate",
    );
}

#[test]
fn rules_are_for_entries_and_exits_too() {
    check(
        "geofence",
        &format!(
            "{GATE}\nrule geofence_exit fleet off\nrule geofence_entry fence gate severity critical
             rule geofence_entry fence depot off\nT1 08:00 OUT\nT1 08:20 ROAD\nclock 09:00"
        ),
        "geofence_entry critical T1 08:00..08:20 due 08:00 fence gate",
    );
}

const DRIVE: &str = "T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD\nclock 10:00";

#[test]
fn the_fences_of_a_trip_are_told_while_it_is_served_or_current() {
    check_course(
        "geofence",
        "trip t T1 depot shop 08:00",
        &[
            // Other vehicles and fences are not.
            ("T2 07:50 DEPOT\nT1 07:50 ROAD", ""),
            ("T1 08:00 DEPOT", "geofence_entry info T1 08:00.. due 08:00 fence depot trip t"),
        ],
    );
    check(
        "geofence",
        &format!("trip t T1 depot shop 08:00\n{DRIVE}\nT1 10:10 DEPOT\nclock 11:00"),
        "geofence_entry info T1 08:00..08:30 due 08:00 fence depot trip t
         geofence_exit info T1 08:30..10:10 due 08:32 fence depot trip t
         geofence_entry info T1 09:00..09:30 due 09:00 fence shop trip t
         geofence_exit info T1 09:30.. due 09:32 fence shop trip t",
    );
}

#[test]
fn nothing_is_told_for_a_trip_before_it_opens() {
    // It opens at 20:00.
    check(
        "geofence",
        "trip t T1 depot shop +08:00\nT1 19:00 DEPOT\nT1 19:30 ROAD\nT1 20:00 DEPOT\nclock 21:00",
        "geofence_entry info T1 20:00.. due 20:00 fence depot trip t",
    );
}

#[test]
fn each_trip_has_its_time() {
    // The visit to the shop ends the first trip and begins the second; its exit is of the first that has the fence.
    let trips = "trip t1 T1 depot shop 08:00\ntrip t2 T1 shop depot 09:00";
    check(
        "geofence",
        &format!("{trips}\n{DRIVE}\nT1 10:10 DEPOT\nT1 10:30 ROAD\nclock 11:00"),
        "geofence_entry info T1 08:00..08:30 due 08:00 fence depot trip t1
         geofence_exit info T1 08:30..10:10 due 08:32 fence depot trip t1
         geofence_entry info T1 09:00..09:30 due 09:00 fence shop trip t1
         geofence_exit info T1 09:30.. due 09:32 fence shop trip t1
         geofence_entry info T1 10:10..10:30 due 10:10 fence depot trip t2
         geofence_exit info T1 10:30.. due 10:32 fence depot trip t2",
    );
    // A trip that waits for its turn tells nothing, nor of what was before its turn.
    check(
        "geofence",
        "trip t1 T1 depot shop 08:00\ntrip t2 T1 slow shop 08:30
         T1 07:00 SLOW\nT1 07:30 ROAD\nT1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD\nT1 10:00 SLOW\nclock 10:10",
        "geofence_entry info T1 08:00..08:30 due 08:00 fence depot trip t1
         geofence_exit info T1 08:30.. due 08:32 fence depot trip t1
         geofence_entry info T1 09:00..09:30 due 09:00 fence shop trip t1
         geofence_exit info T1 09:30.. due 09:32 fence shop trip t1
         geofence_entry info T1 10:00.. due 10:00 fence slow trip t2",
    );
}

#[test]
fn a_trip_that_was_cancelled_or_failed_was_current_until_then() {
    check(
        "geofence",
        "trip t T1 depot shop 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD @08:30\nstatus t cancelled by ada @08:40
         T1 09:00 DEPOT\nclock 10:00",
        "geofence_entry info T1 08:00..08:30 due 08:00 fence depot trip t
         geofence_exit info T1 08:30..09:00 due 08:32 fence depot trip t",
    );
    // The next one is current from 09:30 on, when the first one fails.
    check(
        "geofence",
        "set trips.no_arrival_h 1\ntrip t1 T1 depot shop 08:00\ntrip t2 T1 slow shop 08:00
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 08:50 SLOW\nT1 09:00 3.45,0\nT1 09:40 SLOW\nclock 10:00",
        "geofence_entry info T1 08:00..08:30 due 08:00 fence depot trip t1
         geofence_exit info T1 08:30.. due 08:32 fence depot trip t1
         geofence_entry info T1 09:40.. due 09:40 fence slow trip t2",
    );
}

#[test]
fn a_fence_that_tells_of_all_names_the_trip_where_there_is_one() {
    check(
        "geofence",
        "fence depot square 2.995,-0.005 3.005,0.005 alert\ntrip t T1 depot shop +08:00
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 20:00 DEPOT\nclock 21:00",
        "geofence_entry info T1 08:00..08:30 due 08:00 fence depot
         geofence_exit info T1 08:30..20:00 due 08:32 fence depot
         geofence_entry info T1 20:00.. due 20:00 fence depot trip t",
    );
}
