//! Vehicles that move like vehicles: near one another's fences, under corrections, and at the edges of the world.

use bench::oracle::Input;
use model::{Coord, Position, Shape, ring_from_degrees};
use proptest::prelude::*;

use crate::steps::{
    Area, Odd, Step, active, any_time, area, at, delete, fence, odd, plain_fence, settings, step, zone,
};

/// Walks rather than noise: the vehicle's places change by little from one step of time to the next.
pub fn walks() -> impl Strategy<Value = Vec<Step>> {
    let moves = prop::collection::vec((Just(2_i64), -3..=3_i8, -3..=3_i8, odd()), 5..40);
    let walk = (0..3_u8, moves).prop_map(|(vehicle, moves)| walk(vehicle, &moves));
    (prop::collection::vec(walk, 1..4), prop::collection::vec(step(any_time()), 1..25)).prop_flat_map(
        |(walks, others)| {
            let all: Vec<Step> = walks.into_iter().flatten().chain(others).collect();
            let in_order = all.clone();
            prop_oneof![Just(in_order), Just(all).prop_shuffle()]
        },
    )
}

/// A walk by moves: how many steps of time later, and how far.
pub fn walk(vehicle: u8, moves: &[(i64, i8, i8, Odd)]) -> Vec<Step> {
    let (mut time, mut x, mut y) = (0_i64, 0_i8, 0_i8);
    let mut fixes = Vec::new();
    for &(later, dx, dy, odd) in moves {
        x = (x + dx).clamp(-14, 14);
        y = (y + dy).clamp(-14, 14);
        fixes.push(Step::Fix { vehicle, time, x, y, odd, received: None });
        time += later;
    }
    fixes
}

/// Walks in about their order, while fences are shrunk, grown, moved and moved back, deleted and made anew, and
/// only some of the past is kept, so that the edge of what corrections reach moves through all of it.
pub fn corrected_walks() -> impl Strategy<Value = Vec<Step>> {
    let other = prop_oneof![
        6 => histories().boxed(),
        1 => fence(2, any_time()).prop_map(|step| vec![step]).boxed(),
        2 => delete(2, any_time()).prop_map(|step| vec![step]).boxed(),
        3 => settings(5).prop_map(|step| vec![step]).boxed(),
        1 => keep().prop_map(|step| vec![step]).boxed(),
        1 => any_time().prop_map(|time| vec![Step::Clock { time }]).boxed(),
    ];
    corrected_by(other.boxed())
}

/// [`corrected_walks`] through fences that are large and have schedules, while schedules and the zone change.
pub fn scheduled_walks() -> impl Strategy<Value = Vec<Step>> {
    let area =
        (0..6_u8, -4..4_i8, -4..4_i8, 4..14_u8).prop_map(|(kind, x, y, size)| Area { kind, x, y, size });
    let schedule = prop::option::weighted(0.9, active());
    let scheduled = (fence(2, any_time()), area, schedule).prop_map(|(step, area, active)| match step {
        Step::Fence { id, from, to, rules, crossed, .. } => {
            Step::Fence { id, area, from, to, rules, crossed, active }
        }
        other => other,
    });
    let other = prop_oneof![
        5 => scheduled,
        1 => delete(2, any_time()),
        1 => settings(5),
        4 => zone(),
        1 => keep(),
        2 => any_time().prop_map(|time| Step::Clock { time }),
    ];
    corrected_by(other.prop_map(|step| vec![step]).boxed())
}

fn keep() -> impl Strategy<Value = Step> {
    (prop::option::weighted(0.9, 0..8_u8), prop::option::weighted(0.4, 0..8_u8))
        .prop_map(|(tenths, horizon_tenths)| Step::Keep { tenths, horizon_tenths })
}

/// Walks in about their order, and some of the others among them.
fn corrected_by(other: BoxedStrategy<Vec<Step>>) -> impl Strategy<Value = Vec<Step>> {
    // Ten steps are 300 s.
    let later = prop_oneof![12 => 1..5_i64, 1 => Just(10_i64), 2 => 10..14_i64];
    // Straight through most fences, too.
    let far = prop_oneof![3 => -3..=3_i8, 1 => -16..=16_i8];
    let moves = prop::collection::vec((later, far.clone(), far, odd()), 5..40);
    let late = prop::collection::vec(prop_oneof![4 => Just(0_i64), 1 => 1..20_i64], 40);
    let walk = (0..2_u8, moves, late).prop_map(|(vehicle, moves, late)| {
        let arrives = |(step, late): (Step, i64)| match step {
            Step::Fix { time, .. } => (time + late, step),
            _ => (0, step),
        };
        walk(vehicle, &moves).into_iter().zip(late).map(arrives).collect::<Vec<_>>()
    });
    let others = prop::collection::vec((any_time(), 0..30_i64, other), 1..8);
    let start = (prop::option::weighted(0.8, 0..6_u8), 1..6_u8)
        .prop_map(|(tenths, horizon)| Step::Keep { tenths, horizon_tenths: Some(horizon) });
    (start, prop::collection::vec(walk, 1..3), others).prop_map(|(start, walks, others)| {
        let mut all: Vec<(i64, Step)> = walks.into_iter().flatten().collect();
        for (begin, pause, steps) in others {
            all.extend((0_i64..).zip(steps).map(|(i, step)| (begin + i * pause, step)));
        }
        all.sort_by_key(|(arrival, _)| *arrival);
        std::iter::once(start).chain(all.into_iter().map(|(_, step)| step)).collect()
    })
}

/// What happens to one fence: it is made, changed in some ways, and made again as it was.
pub fn histories() -> impl Strategy<Value = Vec<Step>> {
    #[derive(Clone, Debug)]
    enum Edit {
        Resize(i8),
        Move(i8, i8),
        Back,
        Delete(Option<i64>),
        Rules(u8),
    }
    let edit = prop_oneof![
        2 => (-4..5_i8).prop_map(Edit::Resize),
        2 => (-9..9_i8, -9..9_i8).prop_map(|(x, y)| Edit::Move(x, y)),
        3 => Just(Edit::Back),
        2 => prop::option::weighted(0.5, 0..240_i64).prop_map(Edit::Delete),
        1 => (0..14_u8).prop_map(Edit::Rules),
    ];
    let first = fence(2, any_time());
    let home = area().prop_map(|area| Area { x: area.x / 2, y: area.y / 2, ..area });
    (first, home, prop::collection::vec(edit, 0..4)).prop_map(|(first, home, edits)| {
        let Step::Fence { id, from, crossed, mut rules, active, .. } = first else {
            return vec![first];
        };
        // There are more crossings where it is in force at all times.
        let active = active.filter(|_| !crossed);
        // Mostly for all time: corrections.
        let from = from.filter(|time| time % 3 == 0);
        let made = |area: Area, rules: u8| {
            let active = active.clone();
            Step::Fence { id, area, from, to: None, rules, crossed, active }
        };
        let mut steps = vec![made(home, rules)];
        for edit in edits {
            let mut area = home;
            match edit {
                Edit::Resize(by) => area.size = area.size.saturating_add_signed(by).clamp(1, 14),
                Edit::Move(x, y) => (area.x, area.y) = (home.x + x, home.y + y),
                Edit::Back => {}
                Edit::Rules(other) => rules = other,
                Edit::Delete(at) => {
                    steps.push(Step::Delete { id, at, received: None });
                    continue;
                }
            }
            steps.push(made(area, rules));
        }
        steps
    })
}

/// Where coordinates are peculiar: a fence across the antimeridian, one around Greenwich and the equator, one
/// where a degree of longitude is 200 m long, one that touches the pole's latitude.
const EDGES_OF_THE_WORLD: [(f64, f64); 4] = [(180.0, -17.0), (0.0, 0.0), (40.0, 89.9), (-179.999, 89.99)];

/// Fences and fixes there; positions are offsets of some 10 m to 600 m by latitude.
pub fn at_an_edge() -> impl Strategy<Value = Vec<Input>> {
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
                let mut fence = plain_fence(id, shape);
                // The middle of a crossed polygon is exact; of the others the last digit is a matter of chance,
                // and these are symmetrical.
                fence.settings.crossed = kind == 0;
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
