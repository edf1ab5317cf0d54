//! When trips that are in transit are expected.
//!
//! About the places: as for trips. From the depot to the shop it is 22264 m, and half of that from `ROAD`.

use model::GraphSettings;

use super::parse;
use crate::oracle::recompute_rows;
use crate::oracle::scenario::short;

const PLACES: &str = "fence depot square 2.995,-0.005 3.005,0.005
                      fence shop square 3.195,-0.005 3.205,0.005
                      location a at depot
                      location b at shop";

/// Runs a scenario and compares the ETAs, as `trip low..eta..high`.
#[track_caller]
fn check(scenario: &str, expected: &[&str]) {
    let places = [("DEPOT", "3,0"), ("ROAD", "3.1,0"), ("SHOP", "3.2,0")];
    let scenario = places.iter().fold(format!("{PLACES}\n{scenario}"), |text, (name, place)| {
        text.replace(&format!(" {name}"), &format!(" {place}"))
    });
    let rows = recompute_rows(&parse(&scenario), &GraphSettings::default());
    let etas = rows.etas.iter().map(|row| {
        format!("{} {}..{}..{}", row.trip_id, short(row.eta_low), short(row.eta), short(row.eta_high))
    });
    assert_eq!(etas.collect::<Vec<_>>(), expected, "\nscenario:\n{scenario}\ntrips: {:#?}", rows.trips);
}

/// A trip of another vehicle that left at `departure` and arrived at `arrival`.
fn earlier(vehicle: u8, (loading, departure, arrival): (&str, &str, &str)) -> String {
    format!(
        "trip e{vehicle} E{vehicle} a b {loading}\nE{vehicle} {loading} DEPOT\nE{vehicle} {departure} ROAD
         E{vehicle} {arrival} SHOP\n"
    )
}

/// Trips that took 30, 35, 40, 45, 50 and 60 minutes.
fn six_earlier() -> String {
    let arrivals = ["06:30", "06:35", "06:40", "06:45", "06:50", "07:00"];
    (1..).zip(arrivals).map(|(vehicle, arrival)| earlier(vehicle, ("05:50", "06:00", arrival))).collect()
}

const LEAVES: &str = "trip t T1 a b 08:00\nT1 08:00 DEPOT\nT1 08:30 ROAD";

#[test]
fn nobody_has_driven_there_before_and_nothing_is_known_of_its_speed() {
    // Before the mark it was at the depot: 22263.9 m at 30 km/h are 2671.7 s.
    check(LEAVES, &["t 08:55..09:25..11:10"]);
    check(&format!("{LEAVES}\nclock 08:34:59"), &["t 08:55..09:25..11:10"]);
    // Half of it is left; a leg of half an hour says nothing of its speed.
    check(&format!("{LEAVES}\nclock 08:35"), &["t 08:45..09:00..09:55"]);
    // Silence does not bring it nearer.
    check(&format!("{LEAVES}\nclock 09:35"), &["t 09:45..10:00..10:55"]);
}

#[test]
fn its_speed_of_late_counts_while_it_moved() {
    // 2226 m in 2 minutes; for 20038 m more it takes 18.
    let leaves = "trip t T1 a b 08:00\nT1 08:00 DEPOT\nT1 08:28 DEPOT\nT1 08:30 3.02,0";
    check(&format!("{leaves}\nclock 08:35"), &["t 08:45..08:55..09:40"]);
    // Standing in traffic takes nothing from the speed, and nothing from the way.
    check(&format!("{leaves}\nT1 08:39 3.02,0\nclock 08:40"), &["t 08:50..09:00..09:45"]);
    // After half an hour it is forgotten.
    check(&format!("{leaves}\nT1 08:59 3.02,0\nclock 09:05"), &["t 09:25..09:55..11:30"]);
    // What happens at the mark has not happened before it.
    check(&format!("{leaves}\nT1 08:35 3.15,0"), &["t 08:45..08:55..09:40"]);
}

#[test]
fn too_short_a_move_is_no_speed() {
    // 223 m in 10 seconds: 80 km/h, and not for a minute. 21000 m at 30 km/h are 2520 s.
    let leaves = "trip t T1 a b 08:00\nT1 08:00 DEPOT\nT1 08:29:40 3.0093616,0\nT1 08:29:50 3.0113651,0";
    check(&format!("{leaves}\nclock 08:30"), &["t 08:55..09:20..11:00"]);
}

#[test]
fn who_drove_there_before_says_how_long_it_takes() {
    let six = six_earlier();
    check(&format!("{six}{LEAVES}"), &["t 09:00..09:10..09:30"]);
    // It has taken 30 minutes: those that took no longer do not count any more.
    check(&format!("{six}{LEAVES}\nclock 09:00"), &["t 09:05..09:15..09:30"]);
    // Four are too few; 11132 m at 30 km/h.
    check(&format!("{six}{LEAVES}\nclock 09:05"), &["t 09:15..09:30..10:25"]);
}

#[test]
fn trips_that_nobody_planned_say_it_too() {
    let six = six_earlier();
    let drives: Vec<&str> = six.lines().filter(|line| !line.starts_with("trip ")).collect();
    let drives = drives.join("\n");
    let sites = "location a at depot terminal\nlocation b at shop client";
    check(&format!("{sites}\n{drives}\n{LEAVES}"), &["t 08:55..09:25..11:10"]);
    check(&format!("{sites}\n{drives}\n{LEAVES}\nset trips.auto true"), &["t 09:00..09:10..09:30"]);
}

#[test]
fn a_trip_counts_from_the_first_mark_after_its_arrival() {
    let six = six_earlier();
    let leaves = "trip t T1 a b 06:10\nT1 06:10 DEPOT\nT1 06:40 ROAD";
    // Four have arrived before 06:50, and the fifth just then; nobody knows yet that it stays.
    let five = six.lines().take_while(|line| !line.contains("e6")).collect::<Vec<_>>().join("\n");
    check(&format!("{leaves}\n{five}\nclock 06:54"), &["e5 07:00..07:15..08:10", "t 07:00..07:15..08:10"]);
    check(&format!("{leaves}\n{five}\nclock 06:55"), &["t 07:10..07:20..07:30"]);
}

#[test]
fn trips_of_a_like_hour_come_first() {
    let alike: String = (1..=5).map(|vehicle| earlier(vehicle, ("06:20", "06:30", "07:10"))).collect();
    let others: String = (6..=10).map(|vehicle| earlier(vehicle, ("04:00", "06:29", "07:59"))).collect();
    let earlier = format!("{alike}{others}");
    // Two hours apart is alike, more is not.
    check(&format!("{earlier}{LEAVES}"), &["t 09:10..09:10..09:10"]);
    // None of them took as long.
    check(&format!("{earlier}{LEAVES}\nclock 09:10"), &["t 10:00..10:00..10:00"]);
}

#[test]
fn other_places_say_nothing() {
    let elsewhere = six_earlier().replace(" a b ", " a shop ");
    check(&format!("{elsewhere}{LEAVES}"), &["t 08:55..09:25..11:10"]);
}

#[test]
fn who_is_not_in_transit_has_none() {
    check("trip t T1 a b 08:00\nT1 08:00 DEPOT\nclock 08:20", &[]);
    check(&format!("{LEAVES}\nT1 09:00 SHOP\nclock 09:05"), &[]);
    check(&format!("{LEAVES}\nstatus t cancelled by ada"), &[]);
    check(&format!("{LEAVES}\nstatus t delayed by ada"), &["t 08:55..09:25..11:10"]);
}

#[test]
fn where_nobody_knows_the_way_there_is_none() {
    check(&format!("{LEAVES}\nlocation b nowhere"), &[]);
    check(&format!("{LEAVES}\ndelete shop at 08:30"), &[]);
    // Where others took how long, nobody needs to know where it is.
    check(&format!("{}{LEAVES}\ndelete shop at 08:30", six_earlier()), &["t 09:00..09:10..09:30"]);
}

#[test]
fn corrections_correct_them() {
    let six = six_earlier();
    // It turns out that the one of 40 minutes was there ten minutes earlier.
    check(&format!("{six}{LEAVES}\nE3 06:29:30 SHOP"), &["t 08:55..09:05..09:30"]);
    // The shop is elsewhere: 11132 m are left from the depot.
    check(
        &format!("{LEAVES}\nfence shop square 3.095,-0.005 3.105,0.005\nT1 08:30 3.05,0"),
        &["t 08:40..08:55..09:50"],
    );
}
