//! Trips that nobody planned.
//!
//! `port` is a terminal at the depot, `acme` and `beta` are clients at the shop and the mall. All legs that are
//! driven from a departure to an arrival are a tenth of a degree.

use model::GraphSettings;

use super::{DRIVE, FENCES, parse};
use crate::oracle::recompute_rows;

const SITES: &str = "set trips.auto true
                     location port at depot terminal
                     location acme at shop client
                     location beta at mall client";
/// What the drive from the depot to the shop makes without a plan.
const DRIVEN: &str = "trip auto T1 port acme done completed pickup 08:00 departure 08:30 arrival 09:00 offload 09:30 tat 3600 distance 11132";
/// From the shop back to the depot, and there again.
const AGAIN: &str = "T1 10:00 DEPOT\nT1 10:30 ROAD\nT1 11:00 SHOP\nT1 11:30 ROAD";
const DRIVEN_AGAIN: &str = "trip auto T1 port acme done completed pickup 10:00 departure 10:30 arrival 11:00 offload 11:30 tat 3600 distance 11132";

#[track_caller]
fn check(scenario: &str, expected: &str) {
    super::check(&format!("{SITES}\n{scenario}"), expected);
}

#[test]
fn a_trip_is_there_from_its_arrival_on() {
    let steps = [
        ("T1 08:00 DEPOT", ""),
        ("T1 08:30 ROAD", ""),
        // The visit to the shop is not confirmed yet.
        ("T1 09:00 SHOP", ""),
        (
            "clock 09:05",
            "trip auto T1 port acme at_delivery ongoing pickup 08:00 departure 08:30 arrival 09:00 distance 11132",
        ),
        ("T1 09:30 ROAD", DRIVEN),
        // Nothing is late that has no schedule.
        ("clock +23:00", DRIVEN),
    ];
    for step in 0..steps.len() {
        let lines: Vec<&str> = steps[..=step].iter().map(|(line, _)| *line).collect();
        check(&lines.join("\n"), steps[step].1);
    }
}

#[test]
fn its_id_is_its_vehicle_and_its_departure() {
    let drive = DRIVE.replace(" DEPOT", " 3,0").replace(" ROAD", " 3.1,0").replace(" SHOP", " 3.2,0");
    let rows = recompute_rows(&parse(&format!("{FENCES}\n{SITES}\n{drive}")), &GraphSettings::default());
    // 2026-01-05T08:30:00Z
    assert_eq!(&*rows.trips[0].trip_id, "auto:T1:1767601800000");
}

#[test]
fn no_trip_is_made_unless_it_is_asked_for() {
    check(&format!("{DRIVE}\nset trips.auto false"), "");
    check(&format!("set trips.auto false\n{DRIVE}\nset trips.auto true"), DRIVEN);
    let without = SITES.replace("set trips.auto true", "");
    super::check(&format!("{without}\n{DRIVE}"), "");
}

#[test]
fn of_terminals_the_last_counts_and_of_clients_the_first() {
    check(&format!("{DRIVE}\nT1 10:00 MALL\nT1 10:30 LANE"), DRIVEN);
    // The mall is a terminal: from there it goes to the shop.
    check(
        "location quay at mall terminal
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 MALL\nT1 09:30 LANE\nT1 10:00 SHOP\nT1 10:30 ROAD",
        "trip auto T1 quay acme done completed pickup 09:00 departure 09:30 arrival 10:00 offload 10:30 tat 3600 distance 11132",
    );
    check(&format!("{DRIVE}\n{AGAIN}"), &format!("{DRIVEN}\n{DRIVEN_AGAIN}"));
    // A visit of less than 5 minutes is none, and in between nothing.
    // From the road at 3.1 to the mall at 3.4, back to the lane at 3.3, and to the shop: 5 tenths.
    check(
        "set cleaning.max_speed_kmh 0
         T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 08:40 MALL\nT1 08:44 LANE\nT1 09:00 SHOP\nT1 09:30 ROAD",
        &DRIVEN.replace("11132", "55660"),
    );
}

#[test]
fn only_terminals_and_clients_count() {
    for kind in ["depot", "service_area", "checkpoint", ""] {
        check(&format!("location acme at shop {kind}\n{DRIVE}"), "");
        check(&format!("location port at depot {kind}\n{DRIVE}"), "");
        // On the way it is no stop.
        check(
            &format!("location acme at shop {kind}\n{DRIVE}\nT1 10:00 MALL\nT1 10:30 LANE"),
            // From the road to the shop, to the road, to the mall: 5 tenths.
            "trip auto T1 port beta done completed pickup 08:00 departure 08:30 arrival 10:00 offload 10:30 tat 7200 distance 55660",
        );
    }
    check(&format!("location acme nowhere client\n{DRIVE}"), "");
    check(&format!("location acme deleted\n{DRIVE}"), "");
    // What a location is last, it always was.
    check(&format!("location acme nowhere\n{DRIVE}\nlocation acme at shop client"), DRIVEN);
    // A fence is nothing without a location.
    check(&format!("location port deleted\n{DRIVE}"), "");
}

#[test]
fn of_several_locations_at_a_fence_the_first_counts_and_terminals_before_clients() {
    let named = |pickup: &str, delivery: &str| DRIVEN.replace("port", pickup).replace("acme", delivery);
    check(&format!("{DRIVE}\nlocation dock at depot terminal"), &named("dock", "acme"));
    check(&format!("{DRIVE}\nlocation quay at depot terminal"), DRIVEN);
    check(
        &format!("{DRIVE}\nlocation aaa at depot client\nlocation aaa at shop client"),
        &named("port", "aaa"),
    );
    check(&format!("{DRIVE}\nlocation aaa at depot client"), DRIVEN);
    // The shop is a terminal, too.
    check(&format!("{DRIVE}\nlocation zzz at shop terminal"), "");
}

#[test]
fn plans_go_before() {
    let planned = DRIVEN.replace("auto T1 port acme", "t T1");
    check(&format!("trip t T1 depot shop 08:00\n{DRIVE}"), &planned);
    check(&format!("{DRIVE}\ntrip t T1 port acme 08:00"), &planned);
    // Whoever plans it for another vehicle, or for another day, leaves the drive to itself.
    let moved = |plan: &str, row: &str| {
        check(&format!("trip t T1 depot shop 08:00\n{DRIVE}\n{plan}"), &format!("{DRIVEN}\n{row}"));
    };
    moved("trip t T2 depot shop 08:00", "trip t T2 planned scheduled");
    moved("trip t T1 depot shop +22:00", "trip t T1 planned scheduled");
    // The departure is that of no plan, and the arrival is.
    check(
        &format!("trip t T1 mall shop 08:00\n{DRIVE}"),
        "trip t T1 done completed arrival 09:00 offload 09:30 unobserved",
    );
}

#[test]
fn the_current_trip_keeps_its_pickup_and_so_does_one_that_failed() {
    let trip = format!("trip t T1 depot mall 08:00\n{DRIVE}");
    check(&trip, "trip t T1 in_transit ongoing pickup 08:00 departure 08:30");
    check(
        &format!("set trips.no_arrival_h 2\n{trip}\nclock 10:31"),
        "trip t T1 failed failed pickup 08:00 departure 08:30",
    );
    // Of two trips that begin at the depot the first is current.
    check(
        &format!("trip t2 T1 depot shop +23:00\n{trip}"),
        "trip t T1 in_transit ongoing pickup 08:00 departure 08:30\ntrip t2 T1 planned scheduled",
    );
    // Its pickup is elsewhere.
    check(&format!("trip t T1 mall depot 09:00\n{DRIVE}"), &format!("{DRIVEN}\ntrip t T1 planned scheduled"));
}

#[test]
fn a_trip_that_is_cancelled_leaves_its_visits_unless_it_has_arrived() {
    let (to_the_road, to_the_shop) = ("T1 08:00 DEPOT\nT1 08:30 ROAD", "T1 09:00 SHOP\nT1 09:30 ROAD");
    let cancelled = |line: &str| format!("trip t T1 depot shop 08:00\n{to_the_road}\n{line}\n{to_the_shop}");
    let by_hand = "trip t T1 cancelled cancelled by ada";
    check(&cancelled("status t cancelled by ada"), &format!("{DRIVEN}\n{by_hand}"));
    // The end is undone.
    check(
        &format!("{}\nstatus t inferred by ada", cancelled("status t cancelled by ada")),
        &DRIVEN.replace("auto T1 port acme", "t T1"),
    );
    check(
        &format!("{}\nstatus t cancelled by ada", cancelled("clock 08:45")),
        &format!(
            "{by_hand} pickup 08:00 departure 08:30 arrival 09:00 offload 09:30 tat 3600 distance 11132"
        ),
    );
}

#[test]
fn a_visit_may_end_a_planned_trip_and_begin_one_that_is_not_and_the_other_way_round() {
    check(
        &format!("trip t T1 shop depot 09:30\n{DRIVE}\n{AGAIN}"),
        &format!(
            "{DRIVEN}\n{DRIVEN_AGAIN}
             trip t T1 done completed pickup 09:00 departure 09:30 arrival 10:00 offload 10:30 tat 3600 distance 11132"
        ),
    );
}

#[test]
fn an_arrival_is_in_time_up_to_no_arrival_h_after_the_departure() {
    check(&format!("set trips.no_arrival_h 0.5\n{DRIVE}"), DRIVEN);
    check(&format!("set trips.no_arrival_h 0.4999\n{DRIVE}"), "");
    check(&format!("{DRIVE}\nset trips.no_arrival_h 0"), "");
}

#[test]
fn who_is_still_at_the_terminal_has_not_left() {
    // A client within the depot.
    let dock = "fence dock square 2.999,-0.001 3.001,0.001\nlocation dock at dock client";
    check(
        &format!(
            "{dock}\nT1 07:50 2.996,0\nT1 08:00 DEPOT\nT1 08:10 2.996,0\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD"
        ),
        &DRIVEN.replace("pickup 08:00", "pickup 07:50"),
    );
    // A terminal within it that was left before: it has not left the depot.
    let gate = dock.replace("client", "terminal");
    check(
        &format!("{gate}\nT1 07:50 DEPOT\nT1 08:10 2.996,0\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD"),
        &DRIVEN.replace("pickup 08:00", "pickup 07:50"),
    );
}

#[test]
fn of_one_time_it_leaves_first_then_comes_to_clients_by_fence_and_then_to_terminals() {
    let next = "fence near square 3.006,-0.005 3.016,0.005\nlocation near at near client";
    let drive = "T1 08:00 DEPOT\nT1 08:30 3.01,0\nclock 08:35";
    let arrived = |delivery: &str| {
        format!(
            "trip auto T1 port {delivery} at_delivery ongoing pickup 08:00 departure 08:30 arrival 08:30 distance 0"
        )
    };
    check(&format!("{next}\n{drive}"), &arrived("near"));
    // A client with another fence there, by whose id it is the first, and a terminal.
    let more = next.replace("near", "here").replace("location here", "location zeta");
    check(&format!("{next}\n{more}\n{drive}"), &arrived("zeta"));
    let terminal = more.replace("client", "terminal");
    check(&format!("{next}\n{terminal}\n{drive}"), &arrived("near"));
}

#[test]
fn a_departure_that_is_corrected_makes_another_trip() {
    check(
        &format!("{DRIVE}\nT1 08:20 ROAD"),
        &DRIVEN.replace("departure 08:30", "departure 08:20").replace("tat 3600", "tat 4200"),
    );
    // From the road at 3.1 to 3.3, and back to the shop at 3.2.
    check(&format!("{DRIVE}\nT1 08:45 3.3,0"), &DRIVEN.replace("11132", "33396"));
    // The distance begins at the first fix since.
    check(
        &format!("delete depot at 08:15\n{DRIVE}"),
        &DRIVEN.replace("departure 08:30", "departure 08:15").replace("tat 3600", "tat 4500"),
    );
}
