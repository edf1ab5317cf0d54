//! Statuses that are set by hand.

use super::{DRIVE, DRIVEN, check, check_course};

const TRIP: &str = "trip t T1 depot shop 08:00";
const SEEN: &str = "pickup 08:00 departure 08:30 arrival 09:00 distance 11132";

/// The drive, with lines of statuses where they belong by their `@`.
fn drive_with(statuses: &[&str]) -> String {
    let time_of = |line: &&str| line.split_once('@').map_or(line[3..8].to_owned(), |(_, at)| at.to_owned());
    let mut lines: Vec<&str> = DRIVE.lines().chain(statuses.iter().copied()).collect();
    lines.sort_by_key(time_of);
    format!("{TRIP}\n{}", lines.join("\n"))
}

#[test]
fn a_status_set_by_hand_shows_until_the_next_one() {
    check_course(
        TRIP,
        &[
            ("status t delayed by ada @07:00", "planned delayed by ada"),
            ("status t ongoing by bob @07:10", "planned ongoing by bob"),
            ("T1 08:00 DEPOT\nT1 08:30 ROAD", "in_transit ongoing by bob pickup 08:00 departure 08:30"),
            ("status t scheduled by eve", "in_transit scheduled by eve pickup 08:00 departure 08:30"),
            ("status t inferred by ada", "in_transit ongoing pickup 08:00 departure 08:30"),
        ],
    );
    check(
        &drive_with(&["status t ongoing by ada @08:10"]),
        &format!("trip t T1 {}", DRIVEN.replace("completed", "ongoing by ada")),
    );
}

#[test]
fn a_status_waits_for_its_trip() {
    check("status t cancelled by ada @07:00", "");
    check(
        &format!("status t cancelled by ada @07:00\nclock 07:30\n{TRIP}\n{DRIVE}"),
        "trip t T1 cancelled cancelled by ada",
    );
    // It is dated by its own instant, not by the trip's: there was an arrival before, and none after it.
    // It is dated by its own instant, not by the plan's: it ended before the arrival, or after all of it.
    let planned_later = |status: &str| drive_with(&[status]).replace(TRIP, "") + &format!("\n{TRIP} @12:00");
    check(&planned_later("status t cancelled by ada @08:45"), "trip t T1 cancelled cancelled by ada");
    check(
        &planned_later("status t completed by ada @10:00"),
        &format!("trip t T1 {}", DRIVEN.replace("completed", "completed by ada")),
    );
}

#[test]
fn a_trip_that_was_ended_is_not_served_any_more() {
    let cancelled = "trip t T1 cancelled cancelled by ada";
    check(&drive_with(&["status t cancelled by ada @08:45"]), cancelled);
    check(&drive_with(&["status t failed by ada @08:45"]), "trip t T1 failed failed by ada");
    check(&drive_with(&["status t completed by ada @08:45"]), "trip t T1 planned completed by ada");
    // Nor is it one whose departure was not observed.
    check(
        &drive_with(&["status t cancelled by ada @08:45"]).replace("depot shop", "mall shop"),
        "trip t T1 cancelled cancelled by ada",
    );
    // At the arrival, too.
    check(&drive_with(&["status t cancelled by ada @09:00"]), cancelled);
    check(&drive_with(&["status t cancelled by ada @09:00:00.001"]), &format!("{cancelled} {SEEN}"));
}

#[test]
fn another_trip_is_served_instead() {
    check(
        &format!("trip u T1 depot shop 08:10\n{}", drive_with(&["status t cancelled by ada @08:45"])),
        &format!("trip t T1 cancelled cancelled by ada\ntrip u T1 {DRIVEN}"),
    );
}

#[test]
fn what_comes_after_the_end_is_not_of_the_trip() {
    for (status, phase) in [("completed", "at_delivery"), ("cancelled", "cancelled"), ("failed", "failed")] {
        check(
            &drive_with(&[&format!("status t {status} by ada @09:10")]),
            &format!("trip t T1 {phase} {status} by ada {SEEN}"),
        );
    }
    // What comes with the end is: it left the shop just then.
    let whole = &DRIVEN["done completed ".len()..];
    check(
        &drive_with(&["status t completed by ada @09:30"]),
        &format!("trip t T1 done completed by ada {whole}"),
    );
    check(
        &format!("{}\nstatus t cancelled by ada @10:00", drive_with(&[])),
        &format!("trip t T1 cancelled cancelled by ada {whole}"),
    );
}

#[test]
fn the_first_end_counts() {
    // Completed at 09:10, before the offload; the status is the last one, the phase is left.
    check(
        &drive_with(&["status t completed by ada @09:10", "status t cancelled by bob @09:40"]),
        &format!("trip t T1 at_delivery cancelled by bob {SEEN}"),
    );
    check(
        &drive_with(&["status t cancelled by ada @08:45", "status t completed by bob @09:40"]),
        "trip t T1 cancelled completed by bob",
    );
}

#[test]
fn another_status_undoes_the_end() {
    let cancelled = "status t cancelled by ada @08:45";
    check(&drive_with(&[cancelled, "status t inferred by bob @08:50"]), &format!("trip t T1 {DRIVEN}"));
    // Also afterwards: then it was never ended.
    check(&drive_with(&[cancelled, "status t inferred by bob @09:40"]), &format!("trip t T1 {DRIVEN}"));
    check(
        &drive_with(&[cancelled, "status t delayed by bob @09:40"]),
        &format!("trip t T1 {}", DRIVEN.replace("completed", "delayed by bob")),
    );
    // A later end is another one.
    check(
        &drive_with(&[cancelled, "status t ongoing by bob @08:50", "status t failed by eve @09:10"]),
        &format!("trip t T1 failed failed by eve {SEEN}"),
    );
}

#[test]
fn the_next_trip_is_current_where_one_was_ended() {
    let at_pickup = "trip t1 T1 depot shop 08:00\ntrip t2 T1 depot mall 09:00\nT1 08:00 DEPOT\nclock 08:10";
    check(
        at_pickup,
        "trip t1 T1 at_pickup scheduled pickup 08:00
         trip t2 T1 planned scheduled",
    );
    check(
        &format!("{at_pickup}\nstatus t1 cancelled by ada"),
        "trip t1 T1 cancelled cancelled by ada
         trip t2 T1 at_pickup scheduled pickup 08:00",
    );
    // One that failed gives way, too.
    check(
        "set trips.no_show_h 1\ntrip t1 T1 depot shop 08:00\ntrip t2 T1 depot mall 09:00\nT1 09:10 DEPOT
         clock 09:20",
        "trip t1 T1 failed failed
         trip t2 T1 at_pickup scheduled pickup 09:10",
    );
}

#[test]
fn a_trip_that_failed_before_has_failed() {
    let limit_at_9 = format!("set trips.no_show_h 1\n{TRIP}");
    check(
        &format!("{limit_at_9}\nstatus t completed by ada @09:00:00.001"),
        "trip t T1 failed completed by ada",
    );
    // At the limit itself it had not failed yet.
    check(
        &format!("{limit_at_9}\nstatus t cancelled by ada @09:00\nclock 10:00"),
        "trip t T1 cancelled cancelled by ada",
    );
    check(
        &format!(
            "set trips.no_arrival_h 1\n{TRIP}\nT1 08:00 DEPOT\nT1 08:30 ROAD\nstatus t cancelled by ada @10:00"
        ),
        "trip t T1 failed cancelled by ada pickup 08:00 departure 08:30",
    );
    // Set back to what is inferred, it has failed for everybody.
    check(
        &format!("{limit_at_9}\nstatus t completed by ada @09:30\nstatus t inferred by ada @09:40"),
        "trip t T1 failed failed",
    );
}

#[test]
fn a_new_plan_keeps_what_was_set_by_hand() {
    check(
        &format!("{TRIP}\nstatus t cancelled by ada @07:00\ntrip t T2 depot mall +08:00"),
        "trip t T2 cancelled cancelled by ada",
    );
    check(
        &format!("{TRIP}\nstatus t delayed by ada @07:00\ntrip t T1 depot shop 09:00\n{DRIVE}"),
        &format!("trip t T1 {}", DRIVEN.replace("completed", "delayed by ada")),
    );
}
