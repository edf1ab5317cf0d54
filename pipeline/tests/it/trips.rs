//! Vehicles that drive between places, and the trips that are planned for them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use bench::oracle::{Collector, Input, Rows, recompute_rows};
use model::{
    GraphSettings, LocationEdit, LocationKind, Row, SettingValue, Table, TripEdit, TripPhase, TripPlan,
    TripRow, TripSchedule, TripStatus, VehicleEdit, Why,
};
use pipeline::Intake;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::backfill::records::{line, stamped};
use crate::generated::{cases, hold};
use crate::harness::{changes, feed};
use crate::steps::{Area, Odd, Step, any_time, at, delete, fence, inputs};

/// Where the places are along a road, on the grid of [`Step::Fix`]: far enough apart to leave one for the other.
const PLACES: [i8; 3] = [-12, 0, 12];
pub const VEHICLES: u8 = 2;
pub const COMPANIES: [&str; 2] = ["VPC", "FM"];
const TRIPS: u8 = 5;
/// Nearly an hour: twelve steps are a tenth of an hour.
pub const TIMES: std::ops::Range<i64> = 0..100;

/// An input and when it arrives, in steps of time.
pub type Arrival = (i64, Input);

fn one(step: Step) -> Input {
    inputs(&[step]).remove(0)
}

pub fn text(kind: char, number: u8) -> String {
    format!("{kind}{number}")
}

/// Fixes at the places, and on the road between them. Some come late.
fn drive(stops: Range<usize>) -> impl Strategy<Value = Vec<Arrival>> {
    let stop = (0..PLACES.len(), 0..12_i64, 1..6_i64);
    let late = prop::collection::vec(prop_oneof![6 => Just(0_i64), 1 => 1..30_i64], 3 * stops.end);
    let stops = prop::collection::vec(stop, stops);
    // At the end it may still be at a place.
    (0..VEHICLES, stops, 0..2_usize, late).prop_map(|(vehicle, stops, cut, late)| {
        let mut time = 0;
        let mut fixes = Vec::new();
        for (place, stays, drives) in stops {
            let x = PLACES[place];
            fixes.extend([(time, x, 0), (time + stays, x, 1), (time + stays + drives, x, 9)]);
            time += stays + drives + 1;
        }
        fixes.truncate(fixes.len() - cut);
        let arrival = |((time, x, y), late): ((i64, i8, i8), i64)| {
            (time + late, one(Step::Fix { vehicle, time, x, y, odd: Odd::Nothing, received: None }))
        };
        fixes.into_iter().zip(late).map(arrival).collect()
    })
}

/// The plan of a trip between locations, fences and what is neither.
fn plan() -> impl Strategy<Value = Arrival> {
    let place =
        || prop_oneof![6 => (0..3_u8).prop_map(|n| text('l', n)), 3 => (0..4_u8).prop_map(|n| text('f', n))];
    let scheduled = (TIMES, prop::option::weighted(0.4, 0..60_i64), prop::option::of(0..2_u8));
    (TIMES, 0..TRIPS, 0..VEHICLES, place(), place(), scheduled).prop_map(
        |(arrives, id, vehicle, pickup, delivery, (departure, lasts, client))| {
            let plan = TripPlan {
                vehicle_id: text('T', vehicle).into(),
                pickup: pickup.into(),
                delivery: delivery.into(),
                client: client.map(|client| text('c', client).into()),
                waypoints: Vec::new(),
                corridor: None,
                scheduled_departure: at(departure),
                scheduled_arrival: lasts.map(|lasts| at(departure + lasts)),
            };
            (arrives, Input::Trip { received: None, id: text('t', id), edit: TripEdit::Plan(plan.into()) })
        },
    )
}

fn status() -> impl Strategy<Value = Arrival> {
    let status = prop::option::weighted(0.8, prop::sample::select(TripStatus::ALL.to_vec()));
    (TIMES, 0..TRIPS, status, any::<bool>()).prop_map(|(arrives, id, status, is_dated)| {
        let received = is_dated.then(|| at(arrives));
        let edit = TripEdit::SetStatus { status, by: "ada".into() };
        (arrives, Input::Trip { received, id: text('t', id), edit })
    })
}

fn kind() -> impl Strategy<Value = Option<LocationKind>> {
    prop_oneof![
        2 => Just(Some(LocationKind::Terminal)),
        2 => Just(Some(LocationKind::Client)),
        1 => Just(Some(LocationKind::Depot)),
        1 => Just(None),
    ]
}

/// Edits of locations, one of which bears the id of a fence.
fn location() -> impl Strategy<Value = Arrival> {
    let fence_id = prop::option::weighted(0.8, 0..4_u8);
    let edit = prop_oneof![
        3 => (fence_id, kind()).prop_map(|(n, kind)| {
            LocationEdit::Upsert { fence_id: n.map(|n| text('f', n).into()), kind }
        }),
        1 => Just(LocationEdit::Delete),
    ];
    (TIMES, 0..4_u8, edit).prop_map(|(arrives, id, edit)| {
        let id = if id == 3 { "f0".to_owned() } else { text('l', id) };
        (arrives, Input::Location { received: None, id, edit })
    })
}

/// What becomes of a vehicle, or of one that sends nothing.
pub fn vehicle() -> impl Strategy<Value = Arrival> {
    let company = prop::option::weighted(0.8, prop::sample::select(COMPANIES.to_vec()));
    let edit = prop_oneof![
        3 => (company, any::<bool>()).prop_map(|(company, is_operational)| VehicleEdit::Upsert {
            company: company.map(Into::into),
            is_operational,
        }),
        1 => Just(VehicleEdit::Delete),
    ];
    (TIMES, 0..=VEHICLES, edit)
        .prop_map(|(arrives, id, edit)| (arrives, Input::Vehicle { received: None, id: text('T', id), edit }))
}

/// One of the settings of trips: in tenths of an hour, or whether trips are made of visits.
fn trip_setting() -> impl Strategy<Value = Arrival> {
    let name = prop::sample::select(vec!["trips.early_window_h", "trips.no_show_h", "trips.no_arrival_h"]);
    let value = prop_oneof![
        2 => (name, 0..8_u8).prop_map(|(name, tenths)| hours(name, tenths)),
        1 => any::<bool>().prop_map(auto),
    ];
    (TIMES, value)
        .prop_map(|(arrives, value)| (arrives, Input::Settings { received: None, values: vec![value] }))
}

fn auto(is_on: bool) -> (String, SettingValue) {
    ("trips.auto".to_owned(), SettingValue::Bool(is_on))
}

fn hours(name: &str, tenths: u8) -> (String, SettingValue) {
    (name.to_owned(), SettingValue::Number(f64::from(tenths) / 10.0))
}

/// What else happens to fences and time.
fn other() -> impl Strategy<Value = Arrival> {
    let step =
        prop_oneof![fence(4, any_time()), delete(4, any_time()), TIMES.prop_map(|time| Step::Clock { time })];
    (TIMES, step).prop_map(|(arrives, step)| (arrives, one(step)))
}

/// Some vehicles, what is planned for them, and what corrects it, in order of arrival.
pub fn trips() -> impl Strategy<Value = Vec<Input>> {
    trips_with(3..12, prop::option::weighted(0.3, 1..8_u8))
}

/// With so many stops, and so much history kept, in tenths of an hour.
pub fn trips_with(
    stops: Range<usize>,
    kept: impl Strategy<Value = Option<u8>>,
) -> impl Strategy<Value = Vec<Input>> {
    let windows = [(); 3].map(|()| 1..12_u8);
    let start = (windows, kept, any::<bool>()).prop_map(|([early, no_show, no_arrival], kept, is_auto)| {
        let mut values = vec![
            ("visits.min_dwell_s".to_owned(), SettingValue::Number(60.0)),
            hours("trips.early_window_h", early),
            hours("trips.no_show_h", no_show),
            hours("trips.no_arrival_h", no_arrival),
        ];
        values.extend(is_auto.then(|| auto(true)));
        values.extend(kept.map(|tenths| hours("history.keep_h", tenths)));
        values.extend(kept.map(|tenths| hours("cleaning.horizon_h", tenths)));
        vec![Input::Settings { received: None, values }]
    });
    let places = |kinds: [Option<LocationKind>; 3]| {
        (0..).zip(PLACES).zip(kinds).flat_map(|((id, x), kind)| {
            let area = Area { kind: 0, x, y: 0, size: 2 };
            let fence =
                Step::Fence { id, area, from: None, to: None, rules: 0, crossed: false, active: None };
            let edit = LocationEdit::Upsert { fence_id: Some(text('f', id).into()), kind };
            [one(fence), Input::Location { received: None, id: text('l', id), edit }]
        })
    };
    let arrivals = (
        prop::collection::vec(drive(stops), 1..3),
        prop::collection::vec(plan(), 1..9),
        prop::collection::vec(status(), 0..5),
        prop::collection::vec(prop_oneof![location(), vehicle()], 0..5),
        prop::collection::vec(trip_setting(), 0..2),
        prop::collection::vec(other(), 0..4),
    );
    // From a terminal to a client, mostly.
    let kinds = prop_oneof![
        3 => Just([Some(LocationKind::Terminal), Some(LocationKind::Client), Some(LocationKind::Client)]),
        1 => [kind(), kind(), kind()],
    ];
    (start, kinds, arrivals).prop_map(
        move |(start, kinds, (drives, plans, statuses, locations, settings, others))| {
            let drives = drives.into_iter().flatten();
            let mut all: Vec<Arrival> =
                drives.chain(plans).chain(statuses).chain(locations).chain(settings).chain(others).collect();
            all.sort_by_key(|(arrives, _)| *arrives);
            start.into_iter().chain(places(kinds)).chain(all.into_iter().map(|(_, input)| input)).collect()
        },
    )
}

#[test]
fn trips_equal_the_oracle_after_every_tick() {
    hold(600, cases(trips(), 1_usize..=3));
}

/// Whole blocks of fixes are forgotten, and the distances over them are not.
#[test]
fn distances_outlast_the_fixes_they_are_sums_of() {
    hold(100, cases(trips_with(30..60, (1..3_u8).prop_map(Some)), 1_usize..=2));
}

/// As lines of a journal they read as they were generated.
#[test]
fn records_of_trips_come_back_from_their_lines() {
    let mut runner = TestRunner::deterministic();
    let strategy = trips();
    let is_of_trips =
        |input: &&Input| matches!(input, Input::Trip { .. } | Input::Location { .. } | Input::Vehicle { .. });
    for _ in 0..50 {
        let inputs = strategy.new_tree(&mut runner).unwrap().current();
        let mut got = Collector::default();
        for input in &stamped(&inputs) {
            sources::decode(sources::code::RECORDS, "", &line(input), &mut got);
        }
        let without_time = |input: &Input| match input.clone() {
            Input::Trip { id, edit, .. } => Input::Trip { received: None, id, edit },
            Input::Location { id, edit, .. } => Input::Location { received: None, id, edit },
            Input::Vehicle { id, edit, .. } => Input::Vehicle { received: None, id, edit },
            other => other,
        };
        let expected: Vec<Input> = inputs.iter().filter(is_of_trips).map(without_time).collect();
        let got: Vec<Input> = got.0.into_iter().filter(|input| is_of_trips(&input)).collect();
        assert!(expected.len() >= PLACES.len());
        assert_eq!(got, expected);
    }
}

/// All phases and statuses, inferred and set by hand, come up, and so do departures that nobody observed.
#[test]
fn trips_of_all_sorts_come_up() {
    let mut runner = TestRunner::deterministic();
    let strategy = trips();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..400 {
        let rows = rows(&strategy.new_tree(&mut runner).unwrap().current());
        for row in &rows.trips {
            assert_consistent(row);
            let how = if &*row.status_by == TripRow::INFERRED { "inferred" } else { "by hand" };
            let mut names =
                vec![format!("phase {}", row.phase.as_str()), format!("{how} {}", row.status.as_str())];
            names.extend(row.auto.as_ref().map(|_| format!("unplanned {}", row.phase.as_str())));
            names.extend(row.departure_unobserved.then(|| "unobserved".to_owned()));
            names.extend(row.distance_m.is_some_and(|metres| metres > 0).then(|| "distance".to_owned()));
            names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
        }
    }
    let phases = TripPhase::ALL.map(|phase| format!("phase {}", phase.as_str()));
    let by_hand = TripStatus::ALL.map(|status| format!("by hand {}", status.as_str()));
    // It takes a person to cancel a trip.
    let inferred =
        ["scheduled", "ongoing", "delayed", "completed", "failed"].map(|name| format!("inferred {name}"));
    let others = ["unobserved", "distance", "unplanned at_delivery", "unplanned done"].map(str::to_owned);
    for name in phases.iter().chain(&by_hand).chain(&inferred).chain(&others) {
        assert!(counts.get(name).is_some_and(|&count| count >= 10), "{name} in {counts:?}");
    }
}

fn rows(inputs: &[Input]) -> Rows {
    recompute_rows(inputs, &GraphSettings::default())
}

fn assert_consistent(row: &TripRow) {
    let TripRow { actual_departure: departure, arrival, offload, .. } = *row;
    assert!(row.pickup_arrival.is_some() || departure.is_none(), "{row:?}");
    assert!(arrival.is_some() || offload.is_none(), "{row:?}");
    assert!(!row.departure_unobserved || (arrival.is_some() && row.pickup_arrival.is_none()), "{row:?}");
    assert_eq!(row.tat_s.is_some(), departure.is_some() && offload.is_some(), "{row:?}");
    assert_eq!(row.distance_m.is_some(), departure.is_some() && arrival.is_some(), "{row:?}");
    let by_times = match (row.pickup_arrival, departure, arrival, offload) {
        (_, _, _, Some(_)) => TripPhase::Done,
        (_, _, Some(_), None) => TripPhase::AtDelivery,
        (_, Some(_), None, None) => TripPhase::InTransit,
        (Some(_), None, None, None) => TripPhase::AtPickup,
        (None, None, None, None) => TripPhase::Planned,
    };
    assert!([by_times, TripPhase::Cancelled, TripPhase::Failed].contains(&row.phase), "{row:?}");
}

/// Plans and locations are what they were last, whenever they came: all of them before everything else, or after.
#[test]
fn it_does_not_matter_when_plans_and_locations_come() {
    let mut runner = TestRunner::deterministic();
    let strategy = trips();
    let is_plan =
        |input: &Input| matches!(input, Input::Trip { edit: TripEdit::Plan(_), .. } | Input::Location { .. });
    for _ in 0..200 {
        let inputs = strategy.new_tree(&mut runner).unwrap().current();
        let expected = rows(&inputs).trips;
        let (plans, others): (Vec<Input>, Vec<Input>) = inputs.into_iter().partition(is_plan);
        assert_eq!(rows(&[plans.clone(), others.clone()].concat()).trips, expected);
        assert_eq!(rows(&[others, plans].concat()).trips, expected);
    }
}

/// A status that was set by hand hides another one, which the row, the schedule and the instant still tell: what the
/// oracle says once it is set back. (Setting back what ends a trip undoes its end, too.)
#[test]
fn the_hidden_status_is_that_of_the_oracle() {
    let mut runner = TestRunner::deterministic();
    let strategy = trips();
    let mut hidden = BTreeSet::new();
    for _ in 0..400 {
        let inputs = strategy.new_tree(&mut runner).unwrap().current();
        let mut intake = Intake::new(GraphSettings::default(), BTreeSet::new(), false);
        inputs.iter().for_each(|input| feed(&mut intake, input));
        let as_of = intake.instant();
        let schedules: BTreeMap<&str, TripSchedule> = inputs.iter().filter_map(schedule_of).collect();
        for row in rows(&inputs).trips.into_iter().filter(|row| row.auto.is_none()) {
            let inferred = row.inferred_status(schedules[&*row.trip_id], as_of);
            if !row.is_set_by_hand() {
                assert_eq!(inferred, row.status, "{row:?}");
            } else if matches!(row.status, TripStatus::Scheduled | TripStatus::Ongoing | TripStatus::Delayed)
            {
                let edit = TripEdit::SetStatus { status: None, by: "ada".into() };
                let back = Input::Trip { received: Some(as_of), id: row.trip_id.to_string(), edit };
                let after = rows(&[inputs.clone(), vec![back]].concat()).trips;
                let after = after.into_iter().find(|other| other.trip_id == row.trip_id).unwrap();
                assert_eq!(inferred, after.status, "{row:?}");
                hidden.insert(inferred.as_str());
            }
        }
    }
    let all = ["completed", "delayed", "failed", "ongoing", "scheduled"];
    assert_eq!(hidden.into_iter().collect::<Vec<_>>(), all);
}

fn schedule_of(input: &Input) -> Option<(&str, TripSchedule)> {
    match input {
        Input::Trip { id, edit: TripEdit::Plan(plan), .. } => Some((id, plan.schedule())),
        _ => None,
    }
}

/// The causes and records of all rows of trips that came, tick by tick.
fn causes(lines: &str, size: usize) -> Vec<String> {
    let came = changes(lines, size, Table::Trips).into_iter().filter(|(_, change)| change.diff > 0);
    came.map(|(tick, change)| {
        let Row::Trip(row) = &change.row else { unreachable!("a row of trips") };
        let Why { cause, seq } = change.why;
        format!("{tick} {} {} {} {seq}", row.trip_id, row.phase.as_str(), cause.as_str())
    })
    .collect()
}

#[test]
fn a_row_of_a_trip_changes_for_its_own_reasons() {
    let begin = "set visits.min_dwell_s 0 visits.max_absence_s 0
                 fence depot square 3.2991,6.3991 3.3009,6.4009
                 fence shop square 3.3091,6.3991 3.3109,6.4009
                 T1 06:00 3.3,6.4
                 T1 06:10 3.3,6.405
                 T1 06:20 3.31,6.4
                 T1 06:30 3.31,6.405
                 trip t1 T1 depot shop 06:00";
    // A late fix on the road of the one, and the plan of another, in one tick.
    let in_one = format!(
        "{begin}\nT1 06:15 3.305,6.41\ntrip t2 T1 depot shop 09:00\nstatus t2 cancelled by ada\nclock 06:31"
    );
    let mut told = causes(&in_one, 2);
    told.sort();
    assert_eq!(
        told,
        ["4 t1 done first 8", "5 t1 done late_fix 9", "5 t2 planned first 10", "6 t2 cancelled first 11"]
    );
    // What is seen of a place, of a fence, and what the settings say.
    let corrected = format!(
        "{begin}\nlocation shop nowhere\nlocation shop deleted\nfence shop square 3.3091,6.3991 3.3109,6.4019\ndelete depot at 06:05
         set trips.early_window_h 0\nset trips.early_window_h 12"
    );
    assert_eq!(
        causes(&corrected, 1),
        ["8 t1 done first 8", "9 t1 in_transit first 9", "10 t1 done first 10", "12 t1 done fence_end 12",]
    );
}
