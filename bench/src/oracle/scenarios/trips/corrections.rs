//! What a trip depends on, whenever it comes: plans, locations, settings, visits.

use super::{DRIVE, DRIVEN, check};

#[test]
fn the_order_of_arrival_does_not_matter() {
    check(
        "T1 09:30 ROAD\nT1 09:00 SHOP\nT1 08:00 DEPOT\nT1 08:30 ROAD\ntrip t T1 a b 08:00
         location b at shop\nlocation a at depot",
        &format!("trip t T1 {DRIVEN}"),
    );
}

#[test]
fn pickup_and_delivery_are_locations_else_fences() {
    let trip = |places: &str| format!("trip t T1 a b 08:00\n{places}\n{DRIVE}");
    let driven = format!("trip t T1 {DRIVEN}");
    let unobserved = "trip t T1 done completed arrival 09:00 offload 09:30 unobserved";
    check(&trip("location a at depot\nlocation b at shop"), &driven);
    check(&trip("location a at mall\nlocation b at shop"), unobserved);
    check(&trip("location a nowhere\nlocation b at shop"), unobserved);
    check(&trip("location b at shop"), unobserved);
    // A location wins over a fence of that id, as long as there is one, and also if it has no fence.
    let trip = format!("trip t T1 depot shop 08:00\n{DRIVE}");
    check(&trip, &driven);
    check(&format!("{trip}\nlocation depot at mall"), unobserved);
    check(&format!("{trip}\nlocation depot nowhere"), unobserved);
    check(&format!("{trip}\nlocation depot at mall\nlocation depot deleted"), &driven);
    check(&format!("{trip}\nlocation nobody deleted"), &driven);
    check(
        &format!("{trip}\nlocation shop nowhere"),
        "trip t T1 in_transit ongoing pickup 08:00 departure 08:30",
    );
}

#[test]
fn what_a_location_is_last_it_always_was() {
    let trip = format!("location b at mall\ntrip t T1 depot b 08:00\n{DRIVE}");
    check(&trip, "trip t T1 in_transit ongoing pickup 08:00 departure 08:30");
    check(&format!("{trip}\nlocation b at shop"), &format!("trip t T1 {DRIVEN}"));
}

#[test]
fn a_trip_that_is_planned_anew_was_never_planned_otherwise() {
    let trip = format!("trip t T1 depot mall 08:00\n{DRIVE}");
    check(&trip, "trip t T1 in_transit ongoing pickup 08:00 departure 08:30");
    check(&format!("{trip}\ntrip t T1 depot shop 08:00"), &format!("trip t T1 {DRIVEN}"));
    check(&format!("{trip}\ntrip t T2 depot shop 08:00"), "trip t T2 planned scheduled");
    // What it was scheduled for before is forgotten.
    check(
        "trip t T1 depot shop 08:00 arrives 09:00\ntrip t T1 depot shop 08:00\nclock 09:30",
        "trip t T1 planned scheduled",
    );
}

#[test]
fn settings_hold_for_all_trips() {
    let trip = format!("trip t T1 depot shop +08:00\n{DRIVE}");
    check(&trip, "trip t T1 planned scheduled");
    check(&format!("{trip}\nset trips.early_window_h 24"), &format!("trip t T1 {DRIVEN}"));
}

#[test]
fn trips_follow_the_visits() {
    let away = "fence shop square 5.195,-0.005 5.205,0.005";
    check(
        &format!("trip t T1 depot shop 08:00\n{DRIVE}\n{away}"),
        "trip t T1 in_transit ongoing pickup 08:00 departure 08:30",
    );
    // The visit ended before the edge, and is final.
    check(
        &format!(
            "set history.keep_h 1 cleaning.horizon_h 1\ntrip t T1 depot shop 08:00\n{DRIVE}\n{away} @10:30:00.001"
        ),
        &format!("trip t T1 {DRIVEN}"),
    );
}
