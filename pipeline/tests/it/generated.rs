//! Random walks around random fences, in random orders, with edits: incremental equals batch at every tick.

use bench::oracle::{Input, recompute_prefix};
use model::{
    BadFields, Coord, Fence, FenceSettings, GraphSettings, Position, SettingValue, Shape, TimeMs,
    ring_from_degrees,
};
use proptest::prelude::*;

use crate::harness::{difference, run};

/// 2026-01-05T06:00:00Z
const START_MS: i64 = 1_767_592_800_000;
const STEP_MS: i64 = 30_000;
/// About 50 m, near Lagos.
const UNIT_DEGREES: f64 = 0.000_45;

#[derive(Clone, Debug)]
enum Step {
    Fix { vehicle: u8, time: i64, x: i8, y: i8, jump: bool, bad: bool },
    Fence { id: u8, shape: u8, x: i8, y: i8, size: u8, from: Option<i64>, to: Option<i64>, rules: u8 },
    Delete { id: u8, at: Option<i64> },
    Setting { which: u8, value: u8 },
    Clock { time: i64 },
    Malformed,
}

fn step() -> impl Strategy<Value = Step> {
    let time = 0..240_i64;
    let place = -12..12_i8;
    let fix = (0..3_u8, time.clone(), place.clone(), place.clone(), 0..25_u8, 0..30_u8).prop_map(
        |(vehicle, time, x, y, jump, bad)| Step::Fix { vehicle, time, x, y, jump: jump == 0, bad: bad == 0 },
    );
    let fence = (
        (0..4_u8, 0..6_u8, place.clone(), place, 1..10_u8),
        prop::option::weighted(0.3, time.clone()),
        prop::option::weighted(0.2, time.clone()),
        0..12_u8,
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
    let delete = (0..4_u8, prop::option::of(time.clone())).prop_map(|(id, at)| Step::Delete { id, at });
    let setting = (0..5_u8, 0..4_u8).prop_map(|(which, value)| Step::Setting { which, value });
    prop_oneof![
        40 => fix,
        6 => fence,
        2 => delete,
        1 => setting,
        2 => time.prop_map(|time| Step::Clock { time }),
        1 => Just(Step::Malformed),
    ]
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
        Step::Fix { vehicle, time, x, y, jump, bad } => {
            let (lon, lat) = degrees(x, y);
            let lat = if jump { lat + 0.5 + f64::from(x.abs()) * 0.01 } else { lat };
            let mut position = Position { event_time: at(time), lon, lat, ..Position::default() };
            if bad {
                position.bad.add(BadFields::SPEED);
            }
            Input::Position { received: None, vehicle_id: format!("T{vehicle}"), position }
        }
        Step::Fence { id, shape: kind, x, y, size, from, to, rules } => {
            let to = to.filter(|to| from.is_none_or(|from| *to > from));
            let id: std::sync::Arc<str> = format!("f{id}").into();
            let fence = Fence {
                id: id.clone(),
                name: id,
                shape: shape(kind, x, y, size),
                settings: FenceSettings {
                    exit_buffer_m: (rules == 1).then_some(0.0),
                    min_dwell_ms: (rules == 2).then_some(60_000),
                    max_absence_ms: (rules == 3).then_some(600_000),
                    ..FenceSettings::default()
                },
                valid_from: from.map(at),
                valid_to: to.map(at),
                feature_json: "{}".into(),
            };
            Input::Fence { received: None, fence: fence.into() }
        }
        Step::Delete { id, at: time } => {
            Input::FenceDelete { received: None, id: format!("f{id}"), at: time.map(at) }
        }
        Step::Setting { which, value } => {
            let (name, factor) = [
                ("cleaning.max_speed_kmh", 60.0),
                ("presence.exit_buffer_m", 40.0),
                ("visits.min_dwell_s", 120.0),
                ("visits.max_absence_s", 90.0),
                ("cleaning.horizon_h", 0.7),
            ][usize::from(which)];
            let value = SettingValue::Number(f64::from(value) * factor);
            Input::Settings { received: None, values: vec![(name.to_owned(), value)] }
        }
        Step::Clock { time } => Input::Clock { received: Some(at(time)) },
        Step::Malformed => Input::Malformed { received: None },
    }
}

/// Walks rather than noise: the vehicle's places change by little from one step of time to the next.
fn walks() -> impl Strategy<Value = Vec<Step>> {
    let walk = (0..3_u8, prop::collection::vec((-3..=3_i8, -3..=3_i8, 0..40_u8), 5..40)).prop_map(
        |(vehicle, moves)| {
            let (mut x, mut y) = (0_i8, 0_i8);
            let mut fixes = Vec::new();
            for (time, (dx, dy, odd)) in (0_i64..).zip(moves) {
                x = (x + dx).clamp(-14, 14);
                y = (y + dy).clamp(-14, 14);
                fixes.push(Step::Fix { vehicle, time: time * 2, x, y, jump: odd == 0, bad: odd == 1 });
            }
            fixes
        },
    );
    (prop::collection::vec(walk, 1..4), prop::collection::vec(step(), 1..25)).prop_flat_map(
        |(walks, others)| {
            let all: Vec<Step> = walks.into_iter().flatten().chain(others).collect();
            let in_order = all.clone();
            prop_oneof![Just(in_order), Just(all).prop_shuffle()]
        },
    )
}

fn check(steps: &[Step], sizes: &[usize], workers: usize) -> Result<(), TestCaseError> {
    let inputs: Vec<Input> = steps.iter().map(input).collect();
    let settings = GraphSettings::default();
    let mut wrong = None;
    run(&inputs, sizes, workers, &settings, |end, tables| {
        if wrong.is_none() {
            let truth = recompute_prefix(&inputs, end, &settings);
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
        steps in prop::collection::vec(step(), 1..80), sizes in prop::collection::vec(1_usize..12, 1..4)
    ) {
        check(&steps, &sizes, 1)?;
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
