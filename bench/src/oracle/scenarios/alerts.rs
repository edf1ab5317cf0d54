//! Alerts.
//!
//! The places are those of the scenarios of trips: on the equator, a tenth of a degree apart. `SLOW` is in the middle
//! of a fence with a speed limit of 30 km/h, `SHARP` in a part of that which has one of 20 besides, `OUT` is in none.

use model::GraphSettings;

use super::parse;
use crate::oracle::scenario::print_alerts;
use crate::oracle::{Input, recompute_rows};

mod companies;
mod corrections;
mod fences;
mod harsh;
mod offline;
mod on_trips;
mod provider;
mod rules;
mod speed;

const FENCES: &str = "fence depot square 2.995,-0.005 3.005,0.005
                      fence shop square 3.195,-0.005 3.205,0.005
                      fence slow square 3.495,-0.005 3.515,0.005 limit 30
                      fence sharp square 3.505,-0.005 3.515,0.005 limit 20";

fn with_places(scenario: &str) -> String {
    let places = [
        ("DEPOT", "3,0"),
        ("ROAD", "3.1,0"),
        ("SHOP", "3.2,0"),
        ("SLOW", "3.5,0"),
        ("SHARP", "3.51,0"),
        ("OUT", "3.6,0"),
    ];
    places.iter().fold(format!("{FENCES}\n{scenario}"), |text, (name, place)| {
        text.replace(&format!(" {name}"), &format!(" {place}"))
    })
}

fn alerts(inputs: &[Input], kind: &str) -> Vec<String> {
    let got = print_alerts(&recompute_rows(inputs, &GraphSettings::default()));
    let is_of_kind = |line: &&str| line.split(' ').next().is_some_and(|first| first.starts_with(kind));
    got.lines().filter(is_of_kind).map(str::to_owned).collect()
}

/// Runs a scenario and compares the alerts whose kind begins so, in the order in which they began.
#[track_caller]
fn check(kind: &str, scenario: &str, expected: &str) {
    let expected: Vec<String> =
        expected.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect();
    let got = alerts(&parse(&with_places(scenario)), kind);
    assert_eq!(got, expected, "\nscenario:\n{scenario}");
}

/// Runs a scenario line by line; after each line the alerts are as said beside it.
#[track_caller]
fn check_course(kind: &str, before: &str, course: &[(&str, &str)]) {
    for step in 0..course.len() {
        let lines: Vec<&str> = course[..=step].iter().map(|(line, _)| *line).collect();
        check(kind, &format!("{before}\n{}", lines.join("\n")), course[step].1);
    }
}
