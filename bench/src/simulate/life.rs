//! A truck's life: a pure function of (seed, truck, local day).
//!
//! Each day begins parked where the day before ended, which is itself such a function; so any window of time
//! can be produced on its own. Leave, drive to a terminal, load, drive to a client, unload, perhaps once
//! more, drive to where the night is spent. On most Sundays, and now and then, a truck stays where it is.

use model::{Coord, Position, TimeMs};

use super::plane::Point;
use super::prng::{Prng, key, signed16, unit};
use super::roads::{Drive, End, STEP_S};
use super::world::World;

/// Lagos is an hour ahead of UTC all year.
const LOCAL_OFFSET_MS: i64 = 3_600_000;
const DAY_S: u32 = 86_400;
const DAY_MS: i64 = DAY_S as i64 * 1000;
/// Trucks are where they spend the night by then.
const HOME_BY_S: u32 = 84_600;

const LIFE_KEY: u64 = 0x11fe;
const HOME_KEY: u64 = 0x40e3;
const NIGHT_KEY: u64 = 0x0137;
const STOP_KEY: u64 = 0x5709;

/// The local day of a time, counted from 1970-01-01.
#[must_use]
pub(crate) fn local_day(time: TimeMs) -> i64 {
    (time.0 + LOCAL_OFFSET_MS).div_euclid(DAY_MS)
}

/// When a local day begins.
#[must_use]
pub(crate) fn day_start(day: i64) -> TimeMs {
    TimeMs(day * DAY_MS - LOCAL_OFFSET_MS)
}

/// What a truck is called: T11985LA and on, all different.
#[must_use]
pub(crate) fn truck_name(truck: u32) -> String {
    let (number, series) = ((u64::from(truck) * 7919 + 1985) % 90_000 + 10_000, truck / 90_000);
    match u8::try_from(series) {
        Ok(letter @ 0..26) => format!("T{number}L{}", char::from(b'A' + letter)),
        _ => format!("T{number}L{series}"),
    }
}

/// Part of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Segment {
    start_s: u32,
    /// Where the truck is, or (driving) goes to from the place of the segment before.
    place: u32,
    is_driving: bool,
}

/// Night, two rounds of four, the way home, night.
const MAX_SEGMENTS: usize = 11;

/// What a truck does on one day.
#[derive(Clone, Debug, Default, PartialEq)]
struct DayPlan {
    segments: [Segment; MAX_SEGMENTS],
    len: u8,
    /// Where there is no network: fixes between the two seconds arrive after the second.
    dead_zones: [(u32, u32); 2],
}

impl DayPlan {
    fn push(&mut self, start_s: u32, place: u32, is_driving: bool) {
        debug_assert!(usize::from(self.len) < MAX_SEGMENTS);
        self.segments[usize::from(self.len)] = Segment { start_s, place, is_driving };
        self.len += 1;
    }

    fn segments(&self) -> &[Segment] {
        &self.segments[..usize::from(self.len)]
    }

    fn end_s(&self, segment: usize) -> u32 {
        self.segments().get(segment + 1).map_or(DAY_S, |next| next.start_s)
    }
}

/// A load that is fetched at a terminal and brought to a client, in seconds of the local day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Round {
    /// The place where it is loaded.
    pub terminal: u32,
    /// The place where it is unloaded.
    pub client: u32,
    /// When the truck leaves where it loaded.
    pub leave_s: u32,
    /// When it stops where it unloads.
    pub unloading_s: u32,
    /// When it has unloaded.
    pub free_s: u32,
}

/// What a truck carries on a local day, in order.
#[must_use]
pub(crate) fn rounds(world: &World, truck: u32, day: i64) -> Vec<Round> {
    Planner::planned(world, truck, day).rounds
}

/// Draws the day of one truck.
struct Planner<'a> {
    world: &'a World,
    truck: u32,
    day_key: u64,
    prng: Prng,
    plan: DayPlan,
    rounds: Vec<Round>,
    at: u32,
    now_s: u32,
    night: u32,
}

impl Planner<'_> {
    fn planned(world: &World, truck: u32, day: i64) -> Planner<'_> {
        let day_key = day_key(world, truck, day);
        let at = night_place(world, truck, day - 1);
        let mut planner = Planner {
            world,
            truck,
            day_key,
            prng: Prng::new(key(day_key, 0)),
            plan: DayPlan::default(),
            rounds: Vec::new(),
            at,
            now_s: 0,
            night: night_place(world, truck, day),
        };
        planner.run((day + 4).rem_euclid(7) == 0);
        planner
    }

    fn run(&mut self, is_sunday: bool) {
        self.plan.push(0, self.at, false);
        self.now_s = self.prng.below(4 * 3600 + 1800, 8 * 3600 + 1800);
        let rests = self.prng.chance(if is_sunday { 0.7 } else { 0.06 });
        if !rests && self.round() && self.now_s < 13 * 3600 {
            self.round();
        }
        if self.at != self.night {
            let arrival_s = self.drive_to(self.at, self.night, self.now_s, DAY_S - 1);
            if let Some(arrival_s) = arrival_s {
                self.plan.push(self.now_s, self.night, true);
                self.plan.push(arrival_s, self.night, false);
            }
        }
        if self.prng.chance(0.45) {
            self.plan.dead_zones[0] = self.dead_zone(5 * 3600, 12 * 3600);
            if self.prng.chance(0.3) {
                self.plan.dead_zones[1] = self.dead_zone(14 * 3600, 19 * 3600);
            }
        }
    }

    fn dead_zone(&mut self, earliest_s: u32, latest_s: u32) -> (u32, u32) {
        let start_s = self.prng.below(earliest_s, latest_s);
        (start_s, start_s + self.prng.below(600, 3600))
    }

    /// Plans one round, if there is one that gets the truck home in time.
    fn round(&mut self) -> bool {
        let (world, depart_s) = (self.world, self.now_s);
        // The first terminal of the map has half of the work.
        let busiest = self.prng.chance(0.5).then(|| world.terminals.first().copied()).flatten();
        let Some(terminal) = busiest.or_else(|| pick(&world.terminals, &mut self.prng)) else {
            return false;
        };
        let Some(loading_s) = self.drive_to(self.at, terminal, depart_s, HOME_BY_S) else {
            return false;
        };
        let leave_s = loading_s + self.prng.below(30 * 60, 120 * 60);
        let unloading = self.prng.below(40 * 60, 180 * 60);
        for attempt in 0..6 {
            let among = if attempt % 2 == 0 {
                &world.clients[..]
            } else {
                &world.clients[..world.mapped_clients as usize]
            };
            let Some(client) = pick(among, &mut self.prng) else {
                return false;
            };
            let Some(unloading_s) = self.drive_to(terminal, client, leave_s, HOME_BY_S) else {
                continue;
            };
            let free_s = unloading_s + unloading;
            if self.drive_to(client, self.night, free_s, HOME_BY_S).is_none() {
                continue;
            }
            if terminal != self.at {
                self.plan.push(depart_s, terminal, true);
                self.plan.push(loading_s, terminal, false);
            }
            self.plan.push(leave_s, client, true);
            self.plan.push(unloading_s, client, false);
            self.rounds.push(Round { terminal, client, leave_s, unloading_s, free_s });
            (self.at, self.now_s) = (client, free_s);
            return true;
        }
        false
    }

    fn drive_to(&self, from: u32, to: u32, depart_s: u32, latest_s: u32) -> Option<u32> {
        if from == to {
            return Some(depart_s);
        }
        drive(self.world, self.truck, self.day_key, (from, to), depart_s)
            .arrival_s(&self.world.roads, latest_s)
    }
}

fn pick(among: &[u32], prng: &mut Prng) -> Option<u32> {
    among.get(prng.below(0, among.len() as u32) as usize).copied()
}

fn day_key(world: &World, truck: u32, day: i64) -> u64 {
    key(key(key(world.seed, LIFE_KEY), u64::from(truck)), day as u64)
}

/// Where a truck spends the night after a day: mostly at its depot, at times at a terminal.
fn night_place(world: &World, truck: u32, day: i64) -> u32 {
    let truck_key = key(key(world.seed, HOME_KEY), u64::from(truck));
    let home = pick(&world.depots, &mut Prng::new(truck_key)).unwrap_or(0);
    let mut prng = Prng::new(key(key(truck_key, NIGHT_KEY), day as u64));
    if prng.chance(0.8) { home } else { pick(&world.terminals, &mut prng).unwrap_or(home) }
}

/// Where exactly a truck stops at a place, always the same.
fn stop(world: &World, truck: u32, place: u32) -> End {
    let end = world.places[place as usize].end;
    let hash = key(key(STOP_KEY, u64::from(truck)), u64::from(place));
    End { at: end.at.moved(signed16(hash, 0) * 9.0, signed16(hash, 16) * 9.0), ..end }
}

fn drive(world: &World, truck: u32, day_key: u64, (from, to): (u32, u32), depart_s: u32) -> Drive {
    let drive_key = key(day_key, u64::from(depart_s) + 1);
    Drive::new(&world.roads, drive_key, stop(world, truck, from), stop(world, truck, to), depart_s)
}

/// Where a truck is at one moment, and what its device makes of that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample {
    pub time: TimeMs,
    /// Where the truck really is.
    pub at: Point,
    pub speed_kmh: f64,
    pub heading: f64,
    /// Where it is parked.
    pub parked: Option<u32>,
    /// Until when it has no network.
    pub silent_until: Option<TimeMs>,
    /// What is random about this moment.
    pub hash: u64,
}

/// What the device reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fix {
    pub time: TimeMs,
    pub at: Coord,
    pub speed_tenths: u16,
    pub heading: u16,
    pub ignition: bool,
}

impl Fix {
    /// As records give it.
    #[must_use]
    pub(crate) fn position(&self) -> Position {
        Position {
            event_time: self.time,
            lon: self.at.lon_degrees(),
            lat: self.at.lat_degrees(),
            speed_kmh: Some(f64::from(self.speed_tenths) / 10.0),
            heading: Some(f64::from(self.heading)),
            ignition: Some(self.ignition),
            ..Position::default()
        }
    }
}

/// How far a fix is from the truth at most, without noise, metres each way.
const JITTER_M: f64 = 4.0;

impl Sample {
    /// What the device reports; `None` where the margins to borders forbid it, which they never do with noise.
    #[must_use]
    pub(crate) fn observe(&self, world: &World, with_noise: bool) -> Option<(Fix, Point)> {
        let seen = self.at.moved(signed16(self.hash, 0) * JITTER_M, signed16(self.hash, 16) * JITTER_M);
        let seen = if with_noise { self.with_noise(seen) } else { seen };
        let is_sure = self.parked.is_some_and(|place| world.places[place as usize].is_clear);
        if !with_noise && !is_sure && !world.is_clear(seen, 0.0) {
            return None;
        }
        let fix = Fix {
            time: self.time,
            at: seen.coord(),
            speed_tenths: (self.speed_kmh * 10.0) as u16,
            heading: self.heading as u16 % 360,
            ignition: self.parked.is_none(),
        };
        Some((fix, seen))
    }

    /// Urban canyons, and now and then a position that is kilometres off.
    fn with_noise(&self, seen: Point) -> Point {
        let hash = key(self.hash, 1);
        let spread_m = if hash & 0xff < 12 { 60.0 } else { 12.0 };
        let blurred = seen.moved(signed16(hash, 16) * spread_m, signed16(hash, 32) * spread_m);
        if (hash >> 48) & 0x3ff != 0 {
            return blurred;
        }
        let (sin, cos) = (unit(key(hash, 2)) * std::f64::consts::TAU).sin_cos();
        let spike_m = 5_000.0 + 35_000.0 * unit(key(hash, 3));
        blurred.moved(spike_m * cos, spike_m * sin)
    }
}

/// The endless life of a truck from some moment on, fix by fix.
#[derive(Clone, Debug)]
pub(crate) struct TruckLife {
    truck: u32,
    day: i64,
    day_key: u64,
    plan: DayPlan,
    segment: usize,
    clock_s: u32,
    drive: Drive,
    next: Sample,
}

impl TruckLife {
    /// The life from `from` on.
    #[must_use]
    pub(crate) fn starting(world: &World, truck: u32, from: TimeMs) -> TruckLife {
        let nowhere = Sample {
            time: from,
            at: Point::default(),
            speed_kmh: 0.0,
            heading: 0.0,
            parked: None,
            silent_until: None,
            hash: 0,
        };
        let mut life = TruckLife {
            truck,
            day: 0,
            day_key: 0,
            plan: DayPlan::default(),
            segment: 0,
            clock_s: 0,
            drive: Drive::default(),
            next: nowhere,
        };
        life.begin_day(world, local_day(from));
        life.step(world);
        while life.next.time < from {
            life.step(world);
        }
        life
    }

    /// Takes the next sample if it is before `end`.
    pub(crate) fn next_before(&mut self, world: &World, end: TimeMs) -> Option<Sample> {
        if self.next.time >= end {
            return None;
        }
        let sample = self.next;
        self.step(world);
        Some(sample)
    }

    fn begin_day(&mut self, world: &World, day: i64) {
        self.day = day;
        self.day_key = day_key(world, self.truck, day);
        self.plan = Planner::planned(world, self.truck, day).plan;
        self.segment = 0;
        self.clock_s = (key(self.day_key, 2) % 180) as u32;
    }

    fn step(&mut self, world: &World) {
        loop {
            let segment = self.plan.segments[self.segment];
            if self.clock_s < self.plan.end_s(self.segment) {
                let clock_s = self.clock_s;
                let hash = key(self.day_key ^ 0x5a5a, u64::from(clock_s));
                let (at, speed_kmh, heading) = if segment.is_driving {
                    let (at, heading) = (self.drive.position(), self.drive.heading());
                    let speed_kmh = self.drive.advance(&world.roads).unwrap_or(0.0);
                    self.clock_s += STEP_S;
                    (at, speed_kmh, heading)
                } else {
                    self.clock_s += 120 + (hash >> 40) as u32 % 181;
                    let heading = key(STOP_KEY, u64::from(self.truck)) % 360;
                    (stop(world, self.truck, segment.place).at, 0.0, heading as f64)
                };
                let start = day_start(self.day);
                let zone = self.plan.dead_zones.iter().find(|&&(from, to)| (from..to).contains(&clock_s));
                self.next = Sample {
                    time: start.plus_ms(i64::from(clock_s) * 1000),
                    at,
                    speed_kmh,
                    heading,
                    parked: (!segment.is_driving).then_some(segment.place),
                    silent_until: zone.map(|&(_, to)| start.plus_ms(i64::from(to) * 1000)),
                    hash,
                };
                return;
            }
            self.segment += 1;
            if self.segment == usize::from(self.plan.len) {
                self.begin_day(world, self.day + 1);
                continue;
            }
            let next = self.plan.segments[self.segment];
            self.clock_s = next.start_s;
            if next.is_driving {
                let from = self.plan.segments[self.segment - 1].place;
                self.drive = drive(world, self.truck, self.day_key, (from, next.place), next.start_s);
            }
        }
    }
}
