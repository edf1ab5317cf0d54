//! Random walks around random fences, in random orders, with edits: incremental equals batch at every tick.
//!
//! What is generated has a reason for each admission rule to hold, and times that collide: the boundaries of
//! versions, deletes and fixes at one time are where two ways to compute the same can differ.

use std::collections::BTreeSet;

use bench::oracle::{Input, recompute_prefix, recompute_rows};
use model::{
    BadFields, Coord, Fence, FenceSettings, GraphSettings, Position, SettingValue, Shape, TimeMs,
    ring_from_degrees,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::harness::{difference, run};

/// 2026-01-05T06:00:00Z
const START_MS: i64 = 1_767_592_800_000;
const STEP_MS: i64 = 30_000;
/// About 50 m, near Lagos.
const UNIT_DEGREES: f64 = 0.000_45;

#[derive(Clone, Debug)]
enum Step {
    Fix { vehicle: u8, time: i64, x: i8, y: i8, odd: Odd, received: Option<i64> },
    Fence { id: u8, shape: u8, x: i8, y: i8, size: u8, from: Option<i64>, to: Option<i64>, rules: u8 },
    Delete { id: u8, at: Option<i64>, received: Option<i64> },
    Settings { which: u8, value: u8, spoilt: bool },
    Clock { time: i64 },
    Malformed,
}

/// What is peculiar about a fix.
#[derive(Clone, Copy, Debug)]
enum Odd {
    Nothing,
    /// Far from where the vehicle can be.
    Jump,
    /// An optional value could not be read.
    BadValue,
    NullIsland,
    OutOfRange,
    /// A number that is none.
    NotANumber,
    /// A device with a broken clock.
    Before2000,
    From2100,
    /// So many milliseconds after its time.
    FewMs(u8),
}

fn odd() -> impl Strategy<Value = Odd> {
    prop_oneof![
        40 => Just(Odd::Nothing),
        2 => Just(Odd::Jump),
        2 => Just(Odd::BadValue),
        1 => Just(Odd::NullIsland),
        1 => Just(Odd::OutOfRange),
        1 => Just(Odd::NotANumber),
        1 => Just(Odd::Before2000),
        1 => Just(Odd::From2100),
        4 => (1..4_u8).prop_map(Odd::FewMs),
    ]
}

/// Times of arrival, in steps: mostly none, else before or after the event time, so that fixes come from the
/// future, on the edge of it (5 minutes are 10 steps), late, and too late once the horizon is short.
fn received(time: i64) -> impl Strategy<Value = Option<i64>> {
    prop::option::weighted(0.15, (-14..=14_i64).prop_map(move |ahead| time + ahead))
}

/// Any step, with times out of `times`.
fn step(times: BoxedStrategy<i64>) -> impl Strategy<Value = Step> {
    let place = -12..12_i8;
    let fix = (0..3_u8, times.clone(), place.clone(), place.clone(), odd()).prop_flat_map(
        |(vehicle, time, x, y, odd)| {
            received(time).prop_map(move |received| Step::Fix { vehicle, time, x, y, odd, received })
        },
    );
    let fence = (
        (0..4_u8, 0..6_u8, place.clone(), place, 1..10_u8),
        prop::option::weighted(0.4, times.clone()),
        prop::option::weighted(0.2, times.clone()),
        0..14_u8,
    )
        .prop_map(|((id, shape, x, y, size), from, to, rules)| Step::Fence {
            id,
            shape,
            x,
            y,
            size,
            from,
            to,
            rules,
        });
    let delete =
        (0..4_u8, prop::option::weighted(0.7, times.clone()), prop::option::weighted(0.2, times.clone()))
            .prop_map(|(id, at, received)| Step::Delete { id, at, received });
    let settings = (0..5_u8, 0..4_u8, prop::bool::weighted(0.25))
        .prop_map(|(which, value, spoilt)| Step::Settings { which, value, spoilt });
    prop_oneof![
        40 => fix,
        6 => fence,
        3 => delete,
        1 => settings,
        2 => times.prop_map(|time| Step::Clock { time }),
        1 => Just(Step::Malformed),
    ]
}

/// Times over two hours.
fn any_time() -> BoxedStrategy<i64> {
    (0..240_i64).boxed()
}

/// Only eight different times, so that most things happen at the time of another.
fn colliding_time() -> BoxedStrategy<i64> {
    (0..8_i64).prop_map(|n| n * 7).boxed()
}

fn at(time: i64) -> TimeMs {
    TimeMs(START_MS + time * STEP_MS)
}

fn degrees(x: i8, y: i8) -> (f64, f64) {
    (3.3 + f64::from(x) * UNIT_DEGREES, 6.4 + f64::from(y) * UNIT_DEGREES)
}

fn square(x: i8, y: i8, half: i8) -> Vec<(f64, f64)> {
    [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
        .map(|(dx, dy): (i8, i8)| degrees(x + dx * half, y + dy * half))
        .to_vec()
}

fn shape(kind: u8, x: i8, y: i8, size: u8) -> Shape {
    let ring = |x, y, half| ring_from_degrees(&square(x, y, half), true).expect("a square is a ring");
    let half = size as i8;
    let centre = || {
        let (lon, lat) = degrees(x, y);
        Coord::from_degrees(lon, lat).expect("near Lagos")
    };
    match kind {
        0 => Shape::Polygon { parts: vec![vec![ring(x, y, half)]] },
        1 => Shape::Polygon { parts: vec![vec![ring(x, y, half + 1), ring(x, y, half)]] },
        2 => Shape::Polygon { parts: vec![vec![ring(x, y, half)], vec![ring(x + half, y + 2, half)]] },
        3 => {
            let line = [degrees(x, y), degrees(x + half, y + 1), degrees(x, y + half)];
            let line = ring_from_degrees(&line, false).expect("a line");
            Shape::Corridor { line, width_m: 40.0 + f64::from(size) * 20.0 }
        }
        _ => Shape::Circle { centre: centre(), radius_m: f64::from(size) * 50.0 },
    }
}

fn input(step: &Step) -> Input {
    match *step {
        Step::Fix { vehicle, time, x, y, odd, received } => {
            let (lon, lat) = degrees(x, y);
            let mut position = Position { event_time: at(time), lon, lat, ..Position::default() };
            match odd {
                Odd::Nothing => {}
                Odd::Jump => position.lat += 0.5 + f64::from(x.abs()) * 0.01,
                Odd::BadValue => position.bad.add(BadFields::SPEED),
                // On both sides of the island's border, by the place.
                Odd::NullIsland => {
                    (position.lon, position.lat) = (f64::from(x) * 1e-5, f64::from(y) * 1e-5);
                }
                Odd::OutOfRange if x < 0 => position.lon = -180.000_000_1,
                Odd::OutOfRange => position.lat = 90.000_000_1,
                Odd::NotANumber => position.lat = f64::NAN,
                Odd::Before2000 => position.event_time = TimeMs::EARLIEST_EVENT.plus_ms(-1),
                Odd::From2100 => position.event_time = TimeMs::LATEST_EVENT,
                Odd::FewMs(ms) => position.event_time = at(time).plus_ms(i64::from(ms)),
            }
            Input::Position { received: received.map(at), vehicle_id: format!("T{vehicle}"), position }
        }
        Step::Fence { id, shape: kind, x, y, size, from, to, rules } => {
            let to = to.filter(|to| from.is_none_or(|from| *to > from));
            let id: std::sync::Arc<str> = format!("f{id}").into();
            let fence = Fence {
                id: id.clone(),
                name: id,
                shape: shape(kind, x, y, size),
                settings: FenceSettings {
                    exit_buffer_m: (rules == 1 || rules == 6).then_some(0.0),
                    min_dwell_ms: match rules {
                        2 => Some(60_000),
                        4 | 6 => Some(0),
                        _ => None,
                    },
                    max_absence_ms: match rules {
                        3 => Some(600_000),
                        5 | 6 => Some(0),
                        _ => None,
                    },
                    ..FenceSettings::default()
                },
                valid_from: from.map(at),
                valid_to: to.map(at),
                feature_json: "{}".into(),
            };
            Input::Fence { received: None, fence: fence.into() }
        }
        Step::Delete { id, at: time, received } => {
            Input::FenceDelete { received: received.map(at), id: format!("f{id}"), at: time.map(at) }
        }
        Step::Settings { which, value, spoilt } => {
            // The value 0 is among them for each: no jumps, no buffer, no dwell, no absence, no horizon.
            let (name, factor) = [
                ("cleaning.max_speed_kmh", 60.0),
                ("presence.exit_buffer_m", 40.0),
                ("visits.min_dwell_s", 120.0),
                ("visits.max_absence_s", 90.0),
                ("cleaning.horizon_h", 0.1),
            ][usize::from(which)];
            let mut values = vec![(name.to_owned(), SettingValue::Number(f64::from(value) * factor))];
            if spoilt {
                let bad = ("visits.min_dwell_s".to_owned(), SettingValue::Number(-1.0));
                values.insert(usize::from(value % 2), bad);
            }
            Input::Settings { received: None, values }
        }
        Step::Clock { time } => Input::Clock { received: Some(at(time)) },
        Step::Malformed => Input::Malformed { received: None },
    }
}

/// Walks rather than noise: the vehicle's places change by little from one step of time to the next.
fn walks() -> impl Strategy<Value = Vec<Step>> {
    let moves = prop::collection::vec((-3..=3_i8, -3..=3_i8, odd()), 5..40);
    let walk = (0..3_u8, moves).prop_map(|(vehicle, moves)| {
        let (mut x, mut y) = (0_i8, 0_i8);
        let mut fixes = Vec::new();
        for (time, (dx, dy, odd)) in (0_i64..).zip(moves) {
            x = (x + dx).clamp(-14, 14);
            y = (y + dy).clamp(-14, 14);
            fixes.push(Step::Fix { vehicle, time: time * 2, x, y, odd, received: None });
        }
        fixes
    });
    (prop::collection::vec(walk, 1..4), prop::collection::vec(step(any_time()), 1..25)).prop_flat_map(
        |(walks, others)| {
            let all: Vec<Step> = walks.into_iter().flatten().chain(others).collect();
            let in_order = all.clone();
            prop_oneof![Just(in_order), Just(all).prop_shuffle()]
        },
    )
}

/// Where coordinates are peculiar: a fence across the antimeridian, one around Greenwich and the equator, one
/// where a degree of longitude is 200 m long, one that touches the pole's latitude.
const EDGES_OF_THE_WORLD: [(f64, f64); 4] = [(180.0, -17.0), (0.0, 0.0), (40.0, 89.9), (-179.999, 89.99)];

/// Fences and fixes there; positions are offsets of some 10 m to 600 m by latitude.
fn at_an_edge() -> impl Strategy<Value = Vec<Input>> {
    let fix = (0..2_u8, 0..60_i64, -60..60_i32, -60..60_i32);
    let fence = (0..2_u8, 0..3_u8, 2..40_u8);
    let fences = prop::collection::vec(fence, 1..3);
    (0..EDGES_OF_THE_WORLD.len(), fences, prop::collection::vec(fix, 1..50)).prop_map(
        |(place, fences, fixes)| {
            let (lon0, lat0) = EDGES_OF_THE_WORLD[place];
            let lon_unit = 1e-4 / lat0.to_radians().cos();
            let degrees = |dx: f64, dy: f64| {
                let lon = lon0 + dx * lon_unit;
                let lon = if lon > 180.0 {
                    lon - 360.0
                } else if lon < -180.0 {
                    lon + 360.0
                } else {
                    lon
                };
                (lon, (lat0 + dy * 1e-4).min(90.0))
            };
            let fence = |(id, kind, size): (u8, u8, u8)| {
                let half = f64::from(size);
                let shape = match kind {
                    0 => {
                        let corners = [(-1., -1.), (1., -1.), (1., 1.), (-1., 1.), (-1., -1.)];
                        let ring = corners.map(|(x, y)| degrees(x * half, y * half));
                        Shape::Polygon { parts: vec![vec![ring_from_degrees(&ring, true).unwrap()]] }
                    }
                    1 => {
                        let line = [degrees(-half, 0.0), degrees(half, half / 2.0)];
                        Shape::Corridor { line: ring_from_degrees(&line, false).unwrap(), width_m: 120.0 }
                    }
                    _ => Shape::Circle {
                        centre: Coord::from_degrees(lon0, lat0).unwrap(),
                        radius_m: half * 11.0,
                    },
                };
                let id: std::sync::Arc<str> = format!("f{id}").into();
                let fence = Fence {
                    id: id.clone(),
                    name: id,
                    shape,
                    settings: FenceSettings::default(),
                    valid_from: None,
                    valid_to: None,
                    feature_json: "{}".into(),
                };
                Input::Fence { received: None, fence: fence.into() }
            };
            let fix = |(vehicle, time, x, y): (u8, i64, i32, i32)| {
                let (lon, lat) = degrees(f64::from(x), f64::from(y));
                let position = Position { event_time: at(time), lon, lat, ..Position::default() };
                Input::Position { received: None, vehicle_id: format!("T{vehicle}"), position }
            };
            fences.into_iter().map(fence).chain(fixes.into_iter().map(fix)).collect()
        },
    )
}

fn check(steps: &[Step], sizes: &[usize], workers: usize) -> Result<(), TestCaseError> {
    let inputs: Vec<Input> = steps.iter().map(input).collect();
    check_inputs(&inputs, sizes, workers)
}

fn check_inputs(inputs: &[Input], sizes: &[usize], workers: usize) -> Result<(), TestCaseError> {
    let settings = GraphSettings::default();
    let mut wrong = None;
    run(inputs, sizes, workers, &settings, |end, tables| {
        if wrong.is_none() {
            let truth = recompute_prefix(inputs, end, &settings);
            wrong = difference(tables, &truth).map(|text| format!("after {end} records: {text}"));
        }
    });
    match wrong {
        Some(text) => Err(TestCaseError::fail(text)),
        None => Ok(()),
    }
}

fn cases(default: u32) -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|v| v.parse().ok()).unwrap_or(default);
    ProptestConfig { cases, max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn incremental_equals_batch_after_every_tick(
        steps in walks(), sizes in prop::collection::vec(1_usize..12, 1..4)
    ) {
        check(&steps, &sizes, 1)?;
    }

    #[test]
    fn noise_is_judged_like_walks(
        steps in prop::collection::vec(step(any_time()), 1..80),
        sizes in prop::collection::vec(1_usize..12, 1..4)
    ) {
        check(&steps, &sizes, 1)?;
    }

    #[test]
    fn what_happens_at_one_time_is_judged_alike(
        steps in prop::collection::vec(step(colliding_time()), 1..60),
        sizes in prop::collection::vec(1_usize..12, 1..4)
    ) {
        check(&steps, &sizes, 1)?;
    }

    #[test]
    fn the_edges_of_the_world_are_like_the_rest(
        inputs in at_an_edge(), sizes in prop::collection::vec(1_usize..12, 1..4)
    ) {
        check_inputs(&inputs, &sizes, 1)?;
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn several_workers_give_the_same(
        steps in walks(), sizes in prop::collection::vec(1_usize..12, 1..4), workers in 2_usize..=4
    ) {
        check(&steps, &sizes, workers)?;
    }
}

/// What the properties say is worth as much as what is generated: every reason to refuse, and rows of all
/// ends, come up, also with times that collide.
#[test]
fn everything_comes_up() {
    for times in [any_time(), colliding_time()] {
        let mut runner = TestRunner::deterministic();
        let steps = prop::collection::vec(step(times), 1..80);
        let (mut reasons, mut ends) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..400 {
            let steps = steps.new_tree(&mut runner).unwrap().current();
            let inputs: Vec<Input> = steps.iter().map(input).collect();
            let rows = recompute_rows(&inputs, &GraphSettings::default());
            reasons.extend(rows.rejects.iter().map(|row| row.reason.as_str()));
            ends.extend(rows.presences.iter().filter_map(|row| Some(row.end?.1.as_str())));
        }
        let all = ["bad_value", "future", "jump", "malformed", "null_island", "out_of_range", "too_late"];
        assert_eq!(reasons.into_iter().collect::<Vec<_>>(), all);
        assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["exit", "fence_deleted", "fence_ended"]);
    }
}

/// The places at the edges of the world are entered and left.
#[test]
fn the_edges_of_the_world_are_reached() {
    let mut runner = TestRunner::deterministic();
    let inputs = at_an_edge();
    let (mut entered, mut left) = (0, 0);
    for _ in 0..200 {
        let rows =
            recompute_rows(&inputs.new_tree(&mut runner).unwrap().current(), &GraphSettings::default());
        entered += usize::from(!rows.presences.is_empty());
        left += usize::from(rows.presences.iter().any(|row| row.end.is_some()));
    }
    assert!(entered > 100 && left > 50, "of 200 inputs {entered} enter a fence and {left} leave one");
}
