//! Vehicles that shuttle between two places often enough for their trips to tell how long the next one takes.

use bench::oracle::{Input, recompute_rows};
use model::{GraphSettings, LocationEdit, LocationKind, SettingValue, TripEdit, TripPhase, TripPlan};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::generated::{cases, hold};
use crate::steps::{Area, Odd, Step, at, inputs};
use crate::trips::text;

/// An input and when it arrives, in steps of half a minute.
type Arrival = (i64, Input);

/// Where pickups and deliveries are along a road.
const ENDS: [i8; 2] = [-12, 12];

/// How a vehicle drives there and back, and what is planned for it: steps of loading, on the road, of offloading, and
/// on the way back; whether a fix comes late; whether anything was planned.
#[derive(Clone, Debug)]
struct Round {
    loads: i64,
    drives: i64,
    offloads: i64,
    returns: i64,
    late: i64,
    planned: Option<Option<i64>>,
}

fn round() -> impl Strategy<Value = Round> {
    let late = prop_oneof![5 => Just(0_i64), 1 => 1..60_i64];
    let planned = prop::option::weighted(0.9, prop::option::weighted(0.3, 5..60_i64));
    (2..8_i64, 4..40_i64, 2..8_i64, 2..20_i64, late, planned).prop_map(
        |(loads, drives, offloads, returns, late, planned)| Round {
            loads,
            drives,
            offloads,
            returns,
            late,
            planned,
        },
    )
}

fn fix(vehicle: u8, time: i64, x: i8, late: i64) -> Arrival {
    let step = Step::Fix { vehicle, time, x, y: 0, odd: Odd::Nothing, received: None };
    (time + late, inputs(&[step]).remove(0))
}

/// The rounds of a vehicle, of which the last is not over yet.
fn shuttle(vehicle: u8, rounds: &[Round], cut: usize) -> Vec<Arrival> {
    let mut time = 0;
    let mut fixes = Vec::new();
    let mut plans = Vec::new();
    for (number, round) in (0..).zip(rounds) {
        let Round { loads, drives, offloads, returns, late, planned } = *round;
        if let Some(lasts) = planned {
            let plan = TripPlan {
                vehicle_id: text('T', vehicle).into(),
                pickup: "l0".into(),
                delivery: "l1".into(),
                client: None,
                waypoints: Vec::new(),
                corridor: None,
                scheduled_departure: at(time),
                scheduled_arrival: lasts.map(|lasts| at(time + lasts)),
            };
            let id = format!("t{vehicle}-{number}");
            plans.push((time, Input::Trip { received: None, id, edit: TripEdit::Plan(plan.into()) }));
        }
        let [from, to] = ENDS;
        fixes.extend([fix(vehicle, time, from, 0), fix(vehicle, time + loads, from, 0)]);
        time += loads;
        fixes.extend([fix(vehicle, time + 1, -9, late), fix(vehicle, time + drives / 2 + 1, 0, late)]);
        time += drives;
        fixes.extend([fix(vehicle, time, to, 0), fix(vehicle, time + offloads, to, late)]);
        time += offloads + returns;
    }
    fixes.truncate(fixes.len().saturating_sub(cut));
    fixes.into_iter().chain(plans).collect()
}

/// What else happens: places move, trips are ended, time passes, little history is kept.
fn other() -> impl Strategy<Value = Arrival> {
    let times = 0..600_i64;
    let moved = (0..2_usize, -3..4_i8).prop_map(|(end, x)| {
        let area = Area { kind: 0, x: ENDS[end] + x, y: 0, size: 2 };
        inputs(&[Step::Fence {
            id: end as u8,
            area,
            from: None,
            to: None,
            rules: 0,
            crossed: false,
            active: None,
        }])
        .remove(0)
    });
    let elsewhere = (0..2_u8, prop::option::of(0..3_u8)).prop_map(|(id, fence)| {
        let edit = LocationEdit::Upsert { fence_id: fence.map(|fence| text('f', fence).into()), kind: None };
        Input::Location { received: None, id: text('l', id), edit }
    });
    let ended = (0..3_u8, 0..6_u8, prop::option::weighted(0.7, Just(model::TripStatus::Cancelled))).prop_map(
        |(vehicle, number, status)| {
            let edit = TripEdit::SetStatus { status, by: "ada".into() };
            Input::Trip { received: None, id: format!("t{vehicle}-{number}"), edit }
        },
    );
    let kept = (1..9_u8).prop_map(|tenths| {
        let hours = SettingValue::Number(f64::from(tenths) / 10.0);
        let values = ["history.keep_h", "cleaning.horizon_h"].map(|name| (name.to_owned(), hours.clone()));
        Input::Settings { received: None, values: values.to_vec() }
    });
    let clock = (0..600_i64).prop_map(|time| inputs(&[Step::Clock { time }]).remove(0));
    (times, prop_oneof![2 => moved, 1 => elsewhere, 2 => ended, 1 => kept, 2 => clock])
}

fn shuttles() -> impl Strategy<Value = Vec<Input>> {
    let places = (0..).zip(ENDS).flat_map(|(id, x)| {
        let area = Area { kind: 0, x, y: 0, size: 2 };
        let fence = Step::Fence { id, area, from: None, to: None, rules: 0, crossed: false, active: None };
        let kind = if id == 0 { LocationKind::Terminal } else { LocationKind::Client };
        let edit = LocationEdit::Upsert { fence_id: Some(text('f', id).into()), kind: Some(kind) };
        [inputs(&[fence]).remove(0), Input::Location { received: None, id: text('l', id), edit }]
    });
    let places: Vec<Input> = places.collect();
    let start = |is_auto: bool| {
        let dwell = ("visits.min_dwell_s".to_owned(), SettingValue::Number(30.0));
        let auto = ("trips.auto".to_owned(), SettingValue::Bool(is_auto));
        Input::Settings { received: None, values: vec![dwell, auto] }
    };
    let rounds = prop::collection::vec((prop::collection::vec(round(), 2..7), 0..5_usize), 1..4);
    let others = prop::collection::vec(other(), 0..4);
    (rounds, others, any::<bool>()).prop_map(move |(vehicles, others, is_auto)| {
        let shuttles =
            (0..).zip(&vehicles).flat_map(|(vehicle, (rounds, cut))| shuttle(vehicle, rounds, *cut));
        let mut all: Vec<Arrival> = shuttles.chain(others).collect();
        all.sort_by_key(|(arrives, _)| *arrives);
        let start = std::iter::once(start(is_auto)).chain(places.iter().cloned());
        start.chain(all.into_iter().map(|(_, input)| input)).collect()
    })
}

#[test]
fn etas_equal_the_oracle_after_every_tick() {
    hold(150, cases(shuttles(), 1_usize..=3));
}

/// Both ways to an ETA come up, and change as trips arrive and fixes come.
#[test]
fn etas_of_all_sorts_come_up() {
    let mut runner = TestRunner::deterministic();
    let strategy = shuttles();
    let settings = GraphSettings::default();
    let (mut in_transit, mut with_eta, mut by_history) = (0, 0, 0);
    for _ in 0..60 {
        let inputs = strategy.new_tree(&mut runner).unwrap().current();
        for end in (0..inputs.len()).step_by(7) {
            let rows = recompute_rows(&inputs[..end], &settings);
            in_transit += rows.trips.iter().filter(|row| row.phase == TripPhase::InTransit).count();
            with_eta += rows.etas.len();
            // Without locations and fences only earlier trips can tell.
            let arrived = rows.trips.iter().filter(|row| row.arrival.is_some()).count();
            by_history += rows.etas.iter().filter(|_| arrived >= 5).count();
            for row in &rows.etas {
                assert!(row.eta_low <= row.eta && row.eta <= row.eta_high, "{row:?}");
            }
        }
    }
    assert!(
        in_transit > 200 && with_eta * 2 > in_transit && by_history > 100,
        "{in_transit} {with_eta} {by_history}"
    );
}
