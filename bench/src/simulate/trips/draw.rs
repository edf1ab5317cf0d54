//! Draws what people plan for a truck's day, before it is looked at whether that is unambiguous.

use model::{TimeMs, TripStatus};

use super::super::life::{Round, day_start, rounds, truck_name};
use super::super::prng::{Prng, key};
use super::super::world::World;
use super::{Act, Cargo, Fate, HOUR_MS, MINUTE_MS, NOTICE_MS, Plan, SimTrip, site};

const TRIP_KEY: u64 = 0x7219;

/// Share of rounds that somebody plans, where they are unambiguous: about 45 trips a day for 84 trucks.
const PLANNED: f64 = 0.5;
/// Share of the days without a round on which something is planned all the same.
const PLANNED_AT_REST: f64 = 0.3;
/// Share of working days on which something is planned that is cancelled.
const CANCELLED: f64 = 0.03;
/// Share of rounds that are planned from another pickup than that where the truck loads.
const WRONG_PICKUP: f64 = 0.03;
/// Share of rounds that are planned wrongly first, and anew later.
const PLANNED_ANEW: f64 = 0.12;
/// Share of rounds whose status somebody sets by hand.
const BY_HAND: f64 = 0.1;

/// Schedules are multiples of this.
const SCHEDULE_STEP_MS: i64 = 5 * MINUTE_MS;
/// How many trips a day may have, each with a number: two rounds and one that is not driven.
const TRIPS_A_DAY: u64 = 4;
const PLANNERS: [&str; 4] = ["ada", "bayo", "chidi", "ngozi"];
const CARGO_TYPES: [&str; 5] = ["40FT", "20FT", "Empty For Export", "Import", "Export"];
const CONTAINER_OWNERS: [&str; 5] = ["MSKU", "MSCU", "CMAU", "HLXU", "PONU"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What is planned for a truck's day if nothing else speaks against it.
pub(super) fn drafts(world: &World, trucks: u32, truck: u32, day: i64) -> Vec<SimTrip> {
    let day_key = key(key(key(world.seed, TRIP_KEY), u64::from(truck)), day as u64);
    let draw =
        |number: u64| Draw { world, trucks, truck, day, number, prng: Prng::new(key(day_key, number)) };
    let rounds = rounds(world, truck, day);
    let mut drafts = Vec::new();
    for (number, round) in rounds.iter().enumerate() {
        let before = number.checked_sub(1).map(|before| &rounds[before]);
        drafts.extend(draw(number as u64).round(round, before, rounds.len() == 1));
    }
    drafts.extend(draw(TRIPS_A_DAY - 1).not_driven(rounds.is_empty()));
    drafts
}

/// Draws one trip.
struct Draw<'a> {
    world: &'a World,
    trucks: u32,
    truck: u32,
    day: i64,
    number: u64,
    prng: Prng,
}

impl Draw<'_> {
    /// The trip of a round. `is_alone`: the truck has no other on that day.
    fn round(mut self, round: &Round, before: Option<&Round>, is_alone: bool) -> Option<SimTrip> {
        if !self.prng.chance(PLANNED) {
            return None;
        }
        let (leave, unloading) = (self.at(round.leave_s), self.at(round.unloading_s));
        let late_min = if self.prng.chance(0.1) { 130.0..175.0 } else { -20.0..40.0 };
        let late_ms = self.minutes(late_min.start, late_min.end);
        // In the order in which the rounds are driven.
        let earliest = before.map_or(i64::MIN, |before| self.at(before.unloading_s).0 + SCHEDULE_STEP_MS);
        let scheduled_departure = stepped((leave.0 - late_ms).max(earliest));
        let late_min = if self.prng.chance(0.2) { 5.0..110.0 } else { -45.0..0.0 };
        let late_ms = self.minutes(late_min.start, late_min.end);
        let soonest = scheduled_departure.0 + 30 * MINUTE_MS;
        let scheduled_arrival = stepped((unloading.0 - late_ms).max(soonest));
        let plan = Plan {
            truck: self.truck,
            pickup: round.terminal,
            delivery: round.client,
            scheduled_departure,
            scheduled_arrival: self.prng.chance(0.85).then_some(scheduled_arrival),
        };
        if self.prng.chance(WRONG_PICKUP) {
            let pickup = self.site_of(&self.world.terminals)?;
            let fate = Fate::PickupUnseen { unloading };
            let (planned, plan) = (self.planned(), Plan { pickup, ..plan });
            return Some(self.trip(fate, plan, vec![(planned, Act::Plan(plan))]));
        }
        let planned = self.planned();
        let mut acts = vec![(planned, Act::Plan(plan))];
        if self.prng.chance(PLANNED_ANEW)
            && let Some(wrong) = self.wrong(&plan)
        {
            let anew = planned.plus_ms(self.minutes(10.0, 1_200.0));
            acts = vec![(planned, Act::Plan(wrong)), (anew, Act::Plan(plan))];
        }
        if self.prng.chance(BY_HAND) {
            acts.extend(self.by_hand(planned, scheduled_departure, unloading, is_alone));
        }
        acts.sort_by_key(|act| act.0);
        Some(self.trip(Fate::Driven { leave, unloading }, plan, acts))
    }

    /// A trip that nobody drives: for a day of rest, or cancelled beforehand.
    fn not_driven(mut self, is_at_rest: bool) -> Option<SimTrip> {
        if !self.prng.chance(if is_at_rest { PLANNED_AT_REST } else { CANCELLED }) {
            return None;
        }
        let scheduled_departure = stepped(self.at(0).0 + self.minutes(7.0 * 60.0, 14.0 * 60.0));
        let driving_ms = self.minutes(60.0, 300.0);
        let plan = Plan {
            truck: self.truck,
            pickup: self.site_of(&self.world.terminals)?,
            delivery: self.site_of(&self.world.clients)?,
            scheduled_departure,
            scheduled_arrival: self.prng.chance(0.85).then(|| stepped(scheduled_departure.0 + driving_ms)),
        };
        let planned = self.planned();
        let mut acts = vec![(planned, Act::Plan(plan))];
        if !is_at_rest || self.prng.chance(0.3) {
            let latest_ms = scheduled_departure.0 - NOTICE_MS - planned.0;
            let after_ms = (self.prng.between(0.05, 1.0) * latest_ms as f64) as i64;
            acts.push((planned.plus_ms(after_ms / 1000 * 1000), Act::Cancel));
        }
        Some(self.trip(Fate::NotDriven, plan, acts))
    }

    /// A plan with a slip in it.
    fn wrong(&mut self, plan: &Plan) -> Option<Plan> {
        match self.prng.below(0, 3) {
            0 if self.trucks > 1 => {
                let other = (self.truck + self.prng.below(1, self.trucks)) % self.trucks;
                Some(Plan { truck: other, ..*plan })
            }
            1 => Some(Plan { delivery: self.site_of(&self.world.clients)?, ..*plan }),
            _ => {
                let early_ms = self.minutes(60.0, 180.0);
                let earlier = |time: TimeMs| stepped(time.0 - early_ms);
                Some(Plan {
                    scheduled_departure: earlier(plan.scheduled_departure),
                    scheduled_arrival: plan.scheduled_arrival.map(earlier),
                    ..*plan
                })
            }
        }
    }

    /// Statuses that somebody sets, and may take back. What ends the trip does so only after it has arrived,
    /// or is taken back on the evening before, and then only where no other trip of that day could be taken
    /// for this one meanwhile.
    fn by_hand(
        &mut self,
        planned: TimeMs,
        departure: TimeMs,
        unloading: TimeMs,
        is_alone: bool,
    ) -> Vec<(TimeMs, Act)> {
        let set = |status: TripStatus| Act::SetStatus(Some(status));
        let back = Act::SetStatus(None);
        match self.prng.below(0, 4) {
            0 if is_alone => {
                let at = planned.plus_ms(self.minutes(5.0, 20.0));
                vec![(at, Act::Cancel), (at.plus_ms(self.minutes(5.0, 30.0)), back)]
            }
            1 => vec![(unloading.plus_ms(self.minutes(20.0, 38.0)), set(TripStatus::Completed))],
            2 => vec![(departure.plus_ms(self.minutes(10.0, 60.0)), set(TripStatus::Delayed))],
            _ => {
                let status = if self.prng.chance(0.5) { TripStatus::Delayed } else { TripStatus::Ongoing };
                let at = departure.plus_ms(self.minutes(10.0, 90.0));
                vec![(at, set(status)), (at.plus_ms(self.minutes(20.0, 120.0)), back)]
            }
        }
    }

    fn trip(&mut self, fate: Fate, plan: Plan, acts: Vec<(TimeMs, Act)>) -> SimTrip {
        SimTrip {
            id: self.id().into(),
            day: self.day,
            truck: self.truck,
            fate,
            plan,
            cargo: Cargo {
                container_no: self.container_no(),
                cargo_type: CARGO_TYPES[self.prng.below(0, CARGO_TYPES.len() as u32) as usize],
                weight_tenths_t: self.prng.below(38, 300),
            },
            by: PLANNERS[self.prng.below(0, PLANNERS.len() as u32) as usize],
            acts,
        }
    }

    /// `05/Jan/2026-T11985LA-CA60`; the four characters tell the trips of a day apart.
    fn id(&mut self) -> String {
        let date = TimeMs(self.day * 24 * HOUR_MS).to_string();
        let month = date[5..7].parse().map_or("", |month: usize| MONTHS[month - 1]);
        let mut left = self.prng.next_u64() % (36_u64.pow(4) / TRIPS_A_DAY) * TRIPS_A_DAY + self.number;
        let mut characters = [0_u8; 4];
        for character in characters.iter_mut().rev() {
            *character = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(left % 36) as usize];
            left /= 36;
        }
        let characters = String::from_utf8_lossy(&characters);
        format!("{}/{month}/{}-{}-{characters}", &date[8..10], &date[..4], truck_name(self.truck))
    }

    /// Owner, serial number and check digit, as on the container's door (ISO 6346).
    fn container_no(&mut self) -> String {
        let owner = CONTAINER_OWNERS[self.prng.below(0, CONTAINER_OWNERS.len() as u32) as usize];
        let text = format!("{owner}{:06}", self.prng.below(0, 1_000_000));
        format!("{text}{}", check_digit(&text))
    }

    /// On the evening before.
    fn planned(&mut self) -> TimeMs {
        self.at(0).plus_ms(-self.minutes(60.0, 420.0))
    }

    fn site_of(&mut self, places: &[u32]) -> Option<u32> {
        let among = self.prng.below(0, places.len() as u32) as usize;
        places.get(among).copied().filter(|&place| site(self.world, place).is_some())
    }

    fn at(&self, second: u32) -> TimeMs {
        day_start(self.day).plus_ms(i64::from(second) * 1000)
    }

    /// A span between two numbers of minutes, in whole seconds.
    fn minutes(&mut self, least: f64, most: f64) -> i64 {
        (self.prng.between(least, most) * 60.0) as i64 * 1000
    }
}

fn stepped(ms: i64) -> TimeMs {
    TimeMs(ms.div_euclid(SCHEDULE_STEP_MS) * SCHEDULE_STEP_MS)
}

/// Letters count from 10 on, without multiples of 11; places count by powers of two.
fn check_digit(text: &str) -> u32 {
    let value = |character: u8| match character {
        b'A'..=b'Z' => {
            let number = u32::from(character - b'A') + 10;
            number + (number - 1) / 10
        }
        _ => u32::from(character - b'0'),
    };
    let sum: u32 = text.bytes().enumerate().map(|(place, character)| value(character) << place).sum();
    sum % 11 % 10
}

#[cfg(test)]
mod tests {
    use super::check_digit;

    #[test]
    fn containers_have_their_check_digit() {
        // The example of the standard.
        assert_eq!(check_digit("CSQU305438"), 3);
    }
}
