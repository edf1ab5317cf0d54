//! KPIs.
//!
//! About the places: they are those of trips. They lie on the equator, a tenth of a degree apart, which are
//! 11131.949079 m. Days are of UTC, where nothing else is said; 2026-01-05 is a Monday.

use model::GraphSettings;

use super::parse;
use crate::oracle::recompute_kpis;
use crate::oracle::scenario::{kpi_filters, print_kpis};

mod alerts;
mod corrections;
mod live;
mod trips;
mod visits;
mod windows;
mod work;

const BEFORE: &str = "set zone UTC
                      fence depot square 2.995,-0.005 3.005,0.005
                      fence shop square 3.195,-0.005 3.205,0.005
                      fence mall square 3.395,-0.005 3.405,0.005";
/// From the depot to the shop and back: there from 08:00 to 08:30 and from 09:00 to 09:30.
const DRIVE: &str = "T1 08:00 DEPOT\nT1 08:30 ROAD\nT1 09:00 SHOP\nT1 09:30 ROAD";

/// Runs a scenario and compares the rows that it is about.
#[track_caller]
fn check(scenario: &str, expected: &str) {
    let places =
        [("DEPOT", "3,0"), ("ROAD", "3.1,0"), ("SHOP", "3.2,0"), ("LANE", "3.3,0"), ("MALL", "3.4,0")];
    let scenario = places.iter().fold(format!("{BEFORE}\n{scenario}"), |text, (name, place)| {
        text.replace(&format!(" {name}"), &format!(" {place}"))
    });
    let filters = kpi_filters(&scenario).unwrap_or_else(|e| panic!("{e}"));
    assert!(!filters.is_empty(), "it is about nothing:\n{scenario}");
    let expected: Vec<&str> = expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let got = print_kpis(&recompute_kpis(&parse(&scenario), &GraphSettings::default()), &filters);
    assert_eq!(got.lines().collect::<Vec<_>>(), expected, "\nscenario:\n{scenario}");
}
