//! One truck of a country: it parks, and it drives along streets and roads to where it parks next.

use model::TimeMs;

use super::country::{Country, Point};
use crate::simulate::prng::Prng;

/// How often trucks report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reports {
    pub driving_ms: i64,
    pub parked_ms: i64,
}

/// So many trucks of a hundred mostly drive from town to town.
const LONG_HAUL_PERCENT: u32 = 35;
const MOST_HOPS: u32 = 6;
/// What a receiver errs by at most, along each axis.
const NOISE_M: f64 = 4.0;
const MINUTE_MS: i64 = 60_000;

/// What leads to the next point on the way.
#[derive(Clone, Copy, Debug)]
enum Leg {
    Parked {
        until: TimeMs,
    },
    /// Along streets to `end`, round up to three corners.
    Streets {
        start: Point,
        end: Point,
        corners_behind: u8,
    },
    Road {
        to_town: u16,
        pieces_behind: u32,
    },
}

/// Where a truck is and what it is about to do.
pub(super) struct Truck {
    random: Prng,
    is_long_haul: bool,
    town: u16,
    came_from: u16,
    /// Roads to drive yet before it looks for a place to stop.
    hops_left: u32,
    leg: Leg,
    at: Point,
    leg_end: Point,
    next_report: TimeMs,
}

impl Truck {
    /// A truck that stands somewhere, and will for a while.
    pub fn parked(country: &Country, reports: Reports, mut random: Prng, start: TimeMs) -> Truck {
        let town = country.any_town(&mut random);
        let at = country.any_place(town, &mut random);
        let minutes = i64::from(random.below(0, 90));
        let first_report_ms = i64::from(random.below(0, reports.parked_ms as u32));
        Truck {
            is_long_haul: random.below(0, 100) < LONG_HAUL_PERCENT,
            random,
            town,
            came_from: town,
            hops_left: 0,
            leg: Leg::Parked { until: start.plus_ms(minutes * MINUTE_MS) },
            at,
            leg_end: at,
            next_report: start.plus_ms(first_report_ms),
        }
    }

    /// The next report, if it is before `end`.
    pub fn next_before(
        &mut self,
        country: &Country,
        reports: Reports,
        end: TimeMs,
    ) -> Option<(TimeMs, Point)> {
        if self.next_report >= end {
            return None;
        }
        let time = self.next_report;
        let mut noise_m = || self.random.between(-NOISE_M, NOISE_M);
        let seen_at = self.at.moved(noise_m(), noise_m());
        if let Leg::Parked { until } = self.leg {
            if until > time {
                self.next_report = time.plus_ms(reports.parked_ms);
                return Some((time, seen_at));
            }
            self.leave(country);
        }
        self.next_report = time.plus_ms(reports.driving_ms);
        self.drive(country, reports.driving_ms);
        Some((time, seen_at))
    }

    fn leave(&mut self, country: &Country) {
        let leaves_town = self.random.chance(if self.is_long_haul { 0.85 } else { 0.1 });
        let end = if leaves_town {
            self.hops_left = self.random.below(1, MOST_HOPS + 1);
            country.town_centre(self.town)
        } else {
            country.any_place(self.town, &mut self.random)
        };
        self.follow_streets(end);
    }

    fn follow_streets(&mut self, end: Point) {
        self.leg = Leg::Streets { start: self.at, end, corners_behind: 0 };
        self.leg_end = self.at.crossing();
    }

    fn drive(&mut self, country: &Country, for_ms: i64) {
        let kmh = match self.leg {
            Leg::Parked { .. } => 0.0,
            // Traffic, and lights.
            Leg::Streets { .. } if self.random.chance(0.12) => 0.0,
            Leg::Streets { .. } => self.random.between(12.0, 45.0),
            Leg::Road { .. } => self.random.between(45.0, 88.0),
        };
        let mut left_m = kmh / 3.6 * for_ms as f64 / 1000.0;
        loop {
            let ahead_m = self.at.distance_m(self.leg_end);
            if left_m < ahead_m {
                self.at = self.at.towards(self.leg_end, left_m / ahead_m);
                return;
            }
            left_m -= ahead_m;
            self.at = self.leg_end;
            self.turn(country);
            if let Leg::Parked { .. } = self.leg {
                return;
            }
        }
    }

    /// Chooses what comes after the end of a leg.
    fn turn(&mut self, country: &Country) {
        match self.leg {
            Leg::Parked { .. } => {}
            Leg::Streets { start, end, corners_behind } => {
                let (from, to) = (start.crossing(), end.crossing());
                self.leg_end = match corners_behind {
                    0 => Point { x_m: to.x_m, y_m: from.y_m },
                    1 => to,
                    2 => end,
                    _ => return self.reach_end_of_streets(country),
                };
                self.leg = Leg::Streets { start, end, corners_behind: corners_behind + 1 };
            }
            Leg::Road { to_town, pieces_behind } => {
                let (_, pieces) = country.on_road(self.town, to_town, 0);
                if pieces_behind < pieces {
                    return self.follow_road(country, to_town, pieces_behind + 1);
                }
                (self.came_from, self.town) = (self.town, to_town);
                self.hops_left -= 1;
                if self.hops_left > 0 {
                    self.choose_road(country);
                } else {
                    let end = country.any_place(self.town, &mut self.random);
                    self.follow_streets(end);
                }
            }
        }
    }

    fn reach_end_of_streets(&mut self, country: &Country) {
        if self.hops_left > 0 {
            return self.choose_road(country);
        }
        let minutes = if self.is_long_haul { self.random.below(30, 180) } else { self.random.below(15, 90) };
        self.leg = Leg::Parked { until: self.next_report.plus_ms(i64::from(minutes) * MINUTE_MS) };
    }

    /// Not back to where it came from, unless there is no other way.
    fn choose_road(&mut self, country: &Country) {
        let neighbours = country.neighbours(self.town);
        let mut any = || neighbours[self.random.below(0, neighbours.len() as u32) as usize];
        let mut to_town = any();
        for _ in 0..3 {
            if to_town != self.came_from {
                break;
            }
            to_town = any();
        }
        self.follow_road(country, to_town, 1);
    }

    fn follow_road(&mut self, country: &Country, to_town: u16, piece: u32) {
        self.leg = Leg::Road { to_town, pieces_behind: piece };
        self.leg_end = country.on_road(self.town, to_town, piece).0;
    }
}
