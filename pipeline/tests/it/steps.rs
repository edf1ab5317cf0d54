//! What generated inputs are made of: fixes, edits, settings and clocks on a small grid of places and times.
//!
//! There is a reason for each admission rule to hold, and times collide: the boundaries of versions, deletes and
//! fixes at one time are where two ways to compute the same can differ.

use std::sync::Arc;

use bench::oracle::Input;
use model::{
    BadFields, Coord, Fence, FenceSettings, Position, Schedule, SettingValue, Shape, TimeMs,
    ring_from_degrees, time_zone,
};
use proptest::prelude::*;

/// 2026-01-05T06:00:00Z
const START_MS: i64 = 1_767_592_800_000;
const STEP_MS: i64 = 30_000;
/// Minutes of a day at the start, in UTC.
const START_MIN: i16 = 6 * 60;
/// Zones and what clocks there are ahead of UTC on that day, in minutes. In the last two it is midnight an hour
/// after the start, so that days change among the times.
const ZONES: [(&str, i16); 5] = [
    ("Africa/Lagos", 60),
    ("UTC", 0),
    ("Europe/Berlin", 60),
    ("America/Phoenix", -7 * 60),
    ("America/Denver", -7 * 60),
];
/// About 50 m, near Lagos.
const UNIT_DEGREES: f64 = 0.000_45;

#[derive(Clone, Debug)]
pub enum Step {
    Fix {
        vehicle: u8,
        time: i64,
        x: i8,
        y: i8,
        odd: Odd,
        received: Option<i64>,
    },
    Fence {
        id: u8,
        area: Area,
        from: Option<i64>,
        to: Option<i64>,
        rules: u8,
        crossed: bool,
        active: Option<Active>,
    },
    Delete {
        id: u8,
        at: Option<i64>,
        received: Option<i64>,
    },
    Settings {
        which: u8,
        value: u8,
        spoilt: bool,
    },
    /// How many tenths of an hour are kept, and the horizon; `None`: all.
    Keep {
        tenths: Option<u8>,
        horizon_tenths: Option<u8>,
    },
    Clock {
        time: i64,
    },
    Malformed,
}

/// A shape at a place.
#[derive(Clone, Copy, Debug)]
pub struct Area {
    pub kind: u8,
    pub x: i8,
    pub y: i8,
    pub size: u8,
}

/// A schedule.
#[derive(Clone, Debug)]
pub struct Active {
    /// Minutes after the start, and how many.
    spans: Vec<(i16, i16)>,
    /// Which of [`ZONES`] the times are meant in.
    zone: u8,
    /// Whether it is the fence's own; else it is the fleet's, for which the times may be meant or not.
    is_own: bool,
    days: u8,
}

/// What is peculiar about a fix.
#[derive(Clone, Copy, Debug)]
pub enum Odd {
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

pub fn odd() -> impl Strategy<Value = Odd> {
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

pub fn area() -> impl Strategy<Value = Area> {
    (0..6_u8, -12..12_i8, -12..12_i8, 1..10_u8).prop_map(|(kind, x, y, size)| Area { kind, x, y, size })
}

/// Schedules whose spans begin and end among the times; some touch, overlap or begin with a version.
pub fn active() -> impl Strategy<Value = Active> {
    let whole = || (0..5_i16).prop_map(|n| n * 7);
    let begin = prop_oneof![2 => 0..120_i16, 1 => whole()];
    let minutes = prop_oneof![2 => 1..40_i16, 1 => whole().prop_map(|minutes| minutes + 7)];
    let spans = prop::collection::vec((begin, minutes), 1..4);
    let zone = prop_oneof![4 => Just(0_u8), 1 => 1..ZONES.len() as u8];
    (spans, zone, prop::bool::weighted(0.3), 0..8_u8).prop_map(|(spans, zone, is_own, days)| Active {
        spans,
        zone,
        is_own,
        days,
    })
}

fn schedule(active: &Active) -> Schedule {
    let (zone, ahead_min) = ZONES[usize::from(active.zone)];
    let clock = |minute: i16| {
        let shown = (START_MIN + ahead_min + minute).rem_euclid(24 * 60);
        format!("{:02}:{:02}", shown / 60, shown % 60)
    };
    let spans =
        active.spans.iter().map(|&(begin, minutes)| format!("{}-{}", clock(begin), clock(begin + minutes)));
    let spans = spans.collect::<Vec<_>>().join(",");
    let text = match active.days {
        0 => format!("Mo {spans}"),
        1 => format!("Sa-Mo {spans}; Tu off"),
        2 => format!("24/7; Mo {spans}"),
        _ => spans,
    };
    let schedule = Schedule::parse(&text).expect("spans of a minute or more");
    if active.is_own { schedule.in_zone(time_zone(zone).expect("a zone")) } else { schedule }
}

pub fn fence(ids: u8, times: BoxedStrategy<i64>) -> impl Strategy<Value = Step> {
    (
        (0..ids, area()),
        prop::option::weighted(0.4, times.clone()),
        prop::option::weighted(0.2, times),
        0..14_u8,
        any::<bool>(),
        prop::option::weighted(0.3, active()),
    )
        .prop_map(|((id, area), from, to, rules, crossed, active)| Step::Fence {
            id,
            area,
            from,
            to,
            rules,
            crossed,
            active,
        })
}

pub fn delete(ids: u8, times: BoxedStrategy<i64>) -> impl Strategy<Value = Step> {
    (0..ids, prop::option::weighted(0.7, times.clone()), prop::option::weighted(0.2, times))
        .prop_map(|(id, at, received)| Step::Delete { id, at, received })
}

/// One of the first `which` settings of [`input`].
pub fn settings(which: u8) -> impl Strategy<Value = Step> {
    (0..which, 0..4_u8, prop::bool::weighted(0.25)).prop_map(|(which, value, spoilt)| Step::Settings {
        which,
        value,
        spoilt,
    })
}

/// The fleet's zone.
pub fn zone() -> impl Strategy<Value = Step> {
    (0..4_u8).prop_map(|value| Step::Settings { which: 5, value, spoilt: false })
}

/// Any step, with times out of `times`.
pub fn step(times: BoxedStrategy<i64>) -> impl Strategy<Value = Step> {
    let place = -12..12_i8;
    let fix =
        (0..3_u8, times.clone(), place.clone(), place, odd()).prop_flat_map(|(vehicle, time, x, y, odd)| {
            received(time).prop_map(move |received| Step::Fix { vehicle, time, x, y, odd, received })
        });
    prop_oneof![
        40 => fix,
        6 => fence(4, times.clone()),
        3 => delete(4, times.clone()),
        1 => settings(5),
        1 => zone(),
        2 => times.prop_map(|time| Step::Clock { time }),
        1 => Just(Step::Malformed),
    ]
}

/// Times over two hours.
pub fn any_time() -> BoxedStrategy<i64> {
    (0..240_i64).boxed()
}

/// Only eight different times, so that most things happen at the time of another.
pub fn colliding_time() -> BoxedStrategy<i64> {
    (0..8_i64).prop_map(|n| n * 7).boxed()
}

pub fn at(time: i64) -> TimeMs {
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

/// Circles and corridors of crossings lie a little beside the grid, by a multiple of 4 units, and for that reason
/// nobody who goes due east is in the middle of a circle at half a millisecond: there the last digit would decide.
fn shape(area: Area, crossed: bool) -> Shape {
    let Area { kind, x, y, size } = area;
    let ring = |x, y, half| ring_from_degrees(&square(x, y, half), true).expect("a square is a ring");
    let half = size as i8;
    let beside = |x, y| {
        let (lon, lat) = degrees(x, y);
        if crossed { (lon + 0.000_017_2, lat + 0.000_029_2) } else { (lon, lat) }
    };
    match kind {
        0 => Shape::Polygon { parts: vec![vec![ring(x, y, half)]] },
        1 => Shape::Polygon { parts: vec![vec![ring(x, y, half + 1), ring(x, y, half)]] },
        2 => Shape::Polygon { parts: vec![vec![ring(x, y, half)], vec![ring(x + half, y + 2, half)]] },
        3 => {
            let line = [beside(x, y), beside(x + half, y + 1), beside(x, y + half)];
            let line = ring_from_degrees(&line, false).expect("a line");
            Shape::Corridor { line, width_m: 40.0 + f64::from(size) * 20.0 }
        }
        _ => {
            let (lon, lat) = beside(x, y);
            let centre = Coord::from_degrees(lon, lat).expect("near Lagos");
            Shape::Circle { centre, radius_m: f64::from(size) * 50.0 }
        }
    }
}

/// A fence without anything particular.
pub fn plain_fence(id: u8, shape: Shape) -> Fence {
    let id: Arc<str> = format!("f{id}").into();
    Fence {
        id: id.clone(),
        name: id,
        shape,
        settings: FenceSettings::default(),
        valid_from: None,
        valid_to: None,
        feature_json: "{}".into(),
    }
}

pub fn inputs(steps: &[Step]) -> Vec<Input> {
    steps.iter().map(input).collect()
}

fn input(step: &Step) -> Input {
    match step.clone() {
        Step::Fix { vehicle, time, x, y, odd, received } => {
            let position = position(time, x, y, odd);
            Input::Position { received: received.map(at), vehicle_id: format!("T{vehicle}"), position }
        }
        Step::Fence { id, area, from, to, rules, crossed, active } => {
            let to = to.filter(|to| from.is_none_or(|from| *to > from));
            let mut fence = plain_fence(id, shape(area, crossed));
            (fence.valid_from, fence.valid_to) = (from.map(at), to.map(at));
            fence.settings = FenceSettings {
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
                crossed,
                active: active.as_ref().map(schedule).map(Arc::new),
                ..FenceSettings::default()
            };
            Input::Fence { received: None, fence: fence.into() }
        }
        Step::Delete { id, at: time, received } => {
            Input::FenceDelete { received: received.map(at), id: format!("f{id}"), at: time.map(at) }
        }
        Step::Settings { which, value, spoilt } => {
            // The value 0 is among them for each: no jumps, no buffer, no dwell, no absence, no horizon.
            let times = |factor: f64| SettingValue::Number(f64::from(value) * factor);
            let (name, setting) = match which {
                0 => ("cleaning.max_speed_kmh", times(60.0)),
                1 => ("presence.exit_buffer_m", times(40.0)),
                2 => ("visits.min_dwell_s", times(120.0)),
                3 => ("visits.max_absence_s", times(90.0)),
                4 => ("cleaning.horizon_h", times(0.1)),
                _ => ("zone", SettingValue::Text(ZONES[usize::from(value)].0.to_owned())),
            };
            let mut values = vec![(name.to_owned(), setting)];
            if spoilt {
                let bad = ("visits.min_dwell_s".to_owned(), SettingValue::Number(-1.0));
                values.insert(usize::from(value % 2), bad);
            }
            Input::Settings { received: None, values }
        }
        Step::Keep { tenths, horizon_tenths } => {
            let hours = |tenths: u8| SettingValue::Number(f64::from(tenths) / 10.0);
            let keep = tenths.map_or(SettingValue::Text("unlimited".to_owned()), hours);
            let mut values = vec![("history.keep_h".to_owned(), keep)];
            values.extend(horizon_tenths.map(|tenths| ("cleaning.horizon_h".to_owned(), hours(tenths))));
            Input::Settings { received: None, values }
        }
        Step::Clock { time } => Input::Clock { received: Some(at(time)) },
        Step::Malformed => Input::Malformed { received: None },
    }
}

fn position(time: i64, x: i8, y: i8, odd: Odd) -> Position {
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
    position
}
