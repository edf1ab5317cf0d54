//! The index against looking at all blocks: nothing is missed, and little of what is listed is stale.

use std::collections::BTreeSet;

use model::{Cause, Coord, GraphSettings, Motion, Why};
use proptest::prelude::*;
use rustc_hash::FxHashSet;

use super::super::kept::Kept;
use super::super::output::Output;
use super::super::tracks::Steps;
use super::super::vehicle::{Shared, Vehicle, Who};
use super::super::walk::Scratch;
use super::super::world::{MAX_CROSSING_GAP_MS, World};
use super::*;
use crate::fences::ALWAYS;
use crate::presence::FixIn;

const START: i64 = 1_767_600_000_000;
const MINUTE_MS: i64 = 60_000;
/// About as many vehicles as a test needs to have lists with more than one.
const VEHICLES: u32 = 3;

struct Fleet {
    vehicles: Vec<Vehicle>,
    shared: Shared,
    seq: u64,
}

/// A position so many quarters of a cell east and north.
fn at(east: i32, north: i32) -> Coord {
    let quarter = (GRID.side() / 4) as i32;
    Coord { lon: east * quarter, lat: north * quarter }
}

fn point(at: Coord) -> Rect {
    let (lon, lat) = (i64::from(at.lon), i64::from(at.lat));
    Rect { min_lon: lon, max_lon: lon, min_lat: lat, max_lat: lat }
}

impl Fleet {
    /// Without the jump filter.
    fn new(legs_are_listed: bool) -> Fleet {
        let settings = GraphSettings { max_speed_kmh: 0.0, ..GraphSettings::default() };
        let mut index = BlocksIndex::default();
        (0..VEHICLES).for_each(|_| index.add_vehicle());
        let shared = Shared {
            world: World::new(settings),
            index,
            scratch: Scratch::default(),
            out: Output::default(),
            legs_are_listed,
            steps: Steps::default(),
        };
        Fleet { vehicles: (0..VEHICLES).map(|_| Vehicle::default()).collect(), shared, seq: 0 }
    }

    /// A fix, which takes the place of one of the same time.
    fn put(&mut self, vehicle: u32, minute: i64, at: Coord) {
        self.seq += 1;
        let time = START + minute * MINUTE_MS;
        let motion = Motion::default();
        let fix = FixIn { vehicle, bad_value: false, at, motion, time, seq: self.seq };
        let who = Who { key: vehicle, place: vehicle };
        let mut looked = Vec::new();
        self.shared.world.look_up(std::iter::once(at), &mut looked);
        self.vehicles[vehicle as usize].apply(who, &fix, looked[0], &mut self.shared);
        self.shared.out.deltas.clear();
    }

    fn trim(&mut self, vehicle: u32, minute: i64) {
        let index = &mut self.shared.index;
        self.vehicles[vehicle as usize].trim(START + minute * MINUTE_MS, |block| index.note_gone(block));
    }

    fn limit_speed(&mut self, max_speed_kmh: f64) {
        self.shared.world.settings.max_speed_kmh = max_speed_kmh;
        let why = Why { cause: Cause::Settings, seq: self.seq };
        for (vehicle, place) in self.vehicles.iter_mut().zip(0..) {
            vehicle.walk_from_edge(Who { key: place, place }, ALWAYS, why, &mut self.shared);
        }
        self.shared.out.deltas.clear();
    }

    fn sweep(&mut self) {
        let Shared { index, legs_are_listed, .. } = &mut self.shared;
        index.sweep(&Kept { vehicles: &self.vehicles, legs_are_listed: *legs_are_listed });
    }

    /// All legs with their blocks, the position of a fix being one too.
    fn legs(&self) -> Vec<(Entry, Coord, Coord)> {
        let mut legs = Vec::new();
        for (vehicle, of) in (0..).zip(&self.vehicles) {
            let history = &of.history;
            let mut place = history.first();
            while let Some(at) = place {
                let fix = history.get(at);
                let is_tail = at.block == history.sealed_count();
                let base_s = if is_tail { TAIL } else { base_seconds(history.block(at.block).base_time()) };
                let entry = Entry { vehicle, base_s };
                legs.push((entry, fix.at, fix.at));
                let good = history.good_before(at).map(|good| history.get(good));
                if self.shared.legs_are_listed
                    && !fix.is_jump
                    && let Some(good) = good.filter(|good| fix.time - good.time <= MAX_CROSSING_GAP_MS)
                {
                    legs.push((entry, good.at, fix.at));
                }
                place = history.next(at);
            }
        }
        legs
    }

    /// Checks that all is found that is there; tells how many entries there must be.
    fn check_found(&mut self) -> usize {
        let mut listed: BTreeSet<(Entry, CellKey)> = BTreeSet::new();
        let mut long: BTreeSet<(Entry, Bounds)> = BTreeSet::new();
        let mut found = Vec::new();
        for (entry, from, to) in self.legs() {
            let middle = Coord {
                lon: ((i64::from(from.lon) + i64::from(to.lon)) / 2) as i32,
                lat: ((i64::from(from.lat) + i64::from(to.lat)) / 2) as i32,
            };
            for at in [from, middle, to] {
                self.shared.index.near(&[point(at)], &mut found);
                assert!(found.contains(&entry), "{entry:?} is not found at {at:?}");
            }
            if entry.base_s == TAIL {
                continue;
            }
            if is_long(from, to) {
                long.extend(leg_rects(from, to).map(|rect| (entry, Bounds::of(&rect))));
            } else if from == to {
                listed.insert((entry, GRID.cell_of(to)));
            } else {
                listed.extend(parts_met(from, to).map(|(key, _)| (entry, key)));
            }
        }
        listed.len() + long.len()
    }

    fn check(&mut self) {
        let needed = self.check_found();
        let index = &self.shared.index;
        let listed = index.listed();
        assert!(needed <= listed && listed <= 2 * needed + 64, "{listed} are listed for {needed}");
        let all: usize = index.cells.iter().map(|cell| cell.list.items().len()).sum();
        assert_eq!(all, index.listed);
        assert!(index.cells.iter().all(|cell| !cell.list.items().is_empty()), "a cell lists nothing");
        let keys: FxHashSet<CellKey> = index.cells.iter().map(|cell| cell.key).collect();
        assert_eq!(keys.len(), index.place_of.len());
        assert!(index.cells.iter().zip(0..).all(|(cell, place)| index.place_of[&cell.key] == place));
    }
}

/// Numbers that look random, and are the same each time.
fn mixed(n: i64) -> i64 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64.cast_signed()) >> 33).rem_euclid(1 << 20)
}

/// A truck that goes around within a few dozen cells.
fn wanders(fleet: &mut Fleet, vehicle: u32, minutes: std::ops::Range<i64>) {
    for minute in minutes {
        let (east, north) = (mixed(minute) % 40, mixed(minute + 7) % 40);
        fleet.put(vehicle, minute, at(east as i32, north as i32));
    }
}

#[test]
fn late_fixes_leave_little_behind_for_ever() {
    for legs_are_listed in [false, true] {
        let mut fleet = Fleet::new(legs_are_listed);
        (0..VEHICLES).for_each(|vehicle| wanders(&mut fleet, vehicle, 0..400));
        for round in 0..3000 {
            // Some come between others and split their block; most take the place of another, elsewhere.
            let minute = mixed(round) % 399;
            let (east, north) = (mixed(round + 1) % 200, mixed(round + 2) % 200);
            fleet.put(0, minute, at(east as i32, north as i32));
            if round % 5 == 0 {
                fleet.sweep();
            }
            if round % 500 == 499 {
                fleet.sweep();
                fleet.check();
            }
        }
    }
}

#[test]
fn settings_leave_little_behind_for_ever() {
    let mut fleet = Fleet::new(true);
    wanders(&mut fleet, 0, 0..300);
    for round in 0..200 {
        fleet.limit_speed(if round % 2 == 0 { 100.0 } else { 0.0 });
        fleet.sweep();
        if round % 20 < 2 {
            fleet.check();
        }
    }
}

#[test]
fn blocks_that_go_leave_nothing_behind() {
    for legs_are_listed in [false, true] {
        let mut fleet = Fleet::new(legs_are_listed);
        // A new place each day, which nobody comes back to.
        for day in 0..60 {
            for minute in 0..100 {
                let east = day * 30 + minute % 20;
                fleet.put(0, i64::from(day) * 1440 + i64::from(minute), at(east, 0));
            }
            fleet.trim(0, i64::from(day - 1) * 1440);
            fleet.sweep();
            fleet.check();
        }
        assert!(fleet.shared.index.cells.len() < 60, "cells where nobody is any more are kept");
    }
}

#[test]
fn a_leg_over_half_the_globe_is_listed_once() {
    let mut fleet = Fleet::new(true);
    let (lagos, fiji) =
        (Coord { lon: 34_000_000, lat: 65_000_000 }, Coord { lon: 1_780_000_000, lat: -180_000_000 });
    let tonga = Coord { lon: -1_750_000_000, lat: -210_000_000 };
    (0..20).for_each(|minute| fleet.put(0, minute, lagos));
    (20..40).for_each(|minute| fleet.put(0, minute, fiji));
    (40..90).for_each(|minute| fleet.put(0, minute, tonga));
    // Three places, one long leg, and one over 180°, which has two parts and is within 32 cells of neither.
    let blocks_in_a_place = 4;
    assert_eq!(fleet.shared.index.long_legs.items().len(), 3);
    assert!(fleet.shared.index.listed() <= 3 + blocks_in_a_place);
    let mut found = Vec::new();
    for (at, base_minutes) in [
        (Coord { lon: 900_000_000, lat: 30_000_000 }, &[0][..]),
        (Coord { lon: 1_795_000_000, lat: -190_000_000 }, &[32]),
        (Coord { lon: -1_780_000_000, lat: -200_000_000 }, &[32]),
        (Coord { lon: 0, lat: -200_000_000 }, &[]),
    ] {
        fleet.shared.index.near(&[point(at)], &mut found);
        let base_s = |minute: i64| base_seconds(START + minute * MINUTE_MS);
        let expected: Vec<Entry> =
            base_minutes.iter().map(|&minute| Entry { vehicle: 0, base_s: base_s(minute) }).collect();
        assert_eq!(found, expected, "at {at:?}");
    }
    fleet.trim(0, 80);
    fleet.sweep();
    assert_eq!(fleet.shared.index.long_legs.items(), [], "the blocks are gone");
    assert_eq!(fleet.shared.index.listed(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Put { vehicle: u32, minute: i64, east: i32, north: i32 },
    Trim { vehicle: u32, minute: i64 },
    LimitSpeed(f64),
}

fn step() -> impl Strategy<Value = Step> {
    let near = 0..24_i32;
    let far = -160..160_i32;
    let place = prop_oneof![9 => (near.clone(), near), 1 => (far.clone(), far)];
    let put = (0..VEHICLES, 0..200_i64, place).prop_map(|(vehicle, minute, (east, north))| Step::Put {
        vehicle,
        minute,
        east,
        north,
    });
    prop_oneof![
        200 => put,
        2 => (0..VEHICLES, 0..200_i64).prop_map(|(vehicle, minute)| Step::Trim { vehicle, minute }),
        2 => prop::sample::select(vec![0.0, 60.0, 300.0]).prop_map(Step::LimitSpeed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_happens_all_is_found(
        steps in prop::collection::vec(step(), 1..600), legs_are_listed in any::<bool>(),
        a_tick in 1..50_usize,
    ) {
        let mut fleet = Fleet::new(legs_are_listed);
        for (n, step) in steps.iter().enumerate() {
            match *step {
                Step::Put { vehicle, minute, east, north } => fleet.put(vehicle, minute, at(east, north)),
                Step::Trim { vehicle, minute } => fleet.trim(vehicle, minute),
                Step::LimitSpeed(kmh) => fleet.limit_speed(kmh),
            }
            if n % a_tick == 0 {
                fleet.sweep();
            }
            if n % 150 == 0 {
                fleet.check_found();
            }
        }
        fleet.sweep();
        fleet.check();
    }
}

#[test]
fn a_step_over_the_antimeridian_is_a_short_one() {
    let (east, west) = (Coord { lon: 1_799_999_000, lat: 0 }, Coord { lon: -1_799_999_000, lat: 0 });
    assert!(GRID.steps_between(east, west) <= 1);
    let north = Coord { lat: 3 * GRID.side() as i32, ..west };
    assert!((3..=4).contains(&GRID.steps_between(east, north)));
}
