//! What a sender of a campaign posts: vehicles that drive in and out of fences, late and twice and wrong now and
//! then, and edits of all that their rows follow from.

use model::TimeMs;

use crate::common::{Random, circle, fence_record, fix};

/// Vehicles a sender drives, in turn.
const VEHICLES: u64 = 8;
/// Places on the road, 600 m apart; there are fences at every other one.
const PLACES: u64 = 8;
/// From one place to the next: a degree of longitude is some 110.6 km there.
const STEP_DEGREES: f64 = 0.005_42;
/// Between two fixes of a vehicle.
const STEP_MS: i64 = 20_000;
/// How long before the present the traffic begins. It is faster than time, and may not reach it.
const BEGINS_BEFORE_H: i64 = 200;

/// A sender's records, by its number and a seed.
pub struct Traffic {
    sender: u64,
    random: Random,
    begin_ms: i64,
    /// Positions made so far.
    positions: u64,
    /// Edits made so far; each is told by its number.
    edits: u64,
    /// A position that is sent later than its successors.
    held_back: Vec<String>,
    last: String,
}

impl Traffic {
    pub fn new(sender: u64, seed: u64, now_ms: i64) -> Traffic {
        let begin_ms = now_ms / 1000 * 1000 - BEGINS_BEFORE_H * 3_600_000;
        let random = Random::from_seed(seed ^ (sender + 1) << 40);
        Traffic {
            sender,
            random,
            begin_ms,
            positions: 0,
            edits: 0,
            held_back: Vec::new(),
            last: String::new(),
        }
    }

    /// The records of one post. `alert` is the id of an alert that stands.
    pub fn batch(&mut self, alert: Option<&str>) -> Vec<String> {
        let count =
            if self.random.percent(70) { self.random.between(1, 4) } else { self.random.between(5, 30) };
        let mut records: Vec<String> = (0..count).map(|_| self.position()).collect();
        if self.random.percent(12) {
            let edit = self.edit(alert);
            records.insert(self.random.below(count) as usize, edit);
        }
        records
    }

    /// What all that comes later follows from.
    pub fn first(&mut self) -> Vec<String> {
        let mut records: Vec<String> = (0..PLACES / 2).map(|site| self.fence(site, 150, "")).collect();
        // Between two places: nobody is ever seen in it.
        let gate = circle("gate", 3.4 + STEP_DEGREES / 2.0, 6.5, 60.0);
        records.push(fence_record(&gate.replacen(r#""name""#, r#""crossed":true,"name""#, 1)));
        records.extend((0..PLACES / 2).map(|site| {
            format!(
                r#"{{"type":"location","op":"upsert","location":{{"id":"L{site}","fence_id":"F{site}"}}}}"#
            )
        }));
        records
    }

    fn position(&mut self) -> String {
        if !self.held_back.is_empty() && self.random.percent(8) {
            return self.held_back.remove(0);
        }
        if !self.last.is_empty() && self.random.percent(3) {
            return self.last.clone();
        }
        let record = self.next_position();
        if self.random.percent(6) {
            self.held_back.push(record);
            return self.next_position();
        }
        self.last.clone_from(&record);
        record
    }

    fn next_position(&mut self) -> String {
        let (vehicle, step) = (self.positions % VEHICLES, self.positions / VEHICLES);
        self.positions += 1;
        let time_ms = self.begin_ms + step.cast_signed() * STEP_MS;
        // Six fixes at a place, then on to the next one, there and back again.
        let at = step / 6 % (2 * PLACES);
        let place = if at < PLACES { at } else { 2 * PLACES - 1 - at };
        let (lon, lat) = match self.random.below(200) {
            // A jump, and a device that does not know where it is.
            0 => (3.9, 6.9),
            1 => (0.0, 0.0),
            _ => (
                3.4 + place as f64 * STEP_DEGREES + self.random.below(100) as f64 * 1e-6,
                6.5 + vehicle as f64 * 1e-5,
            ),
        };
        let record = fix(&self.vehicle(vehicle), time_ms, lon, lat);
        let speed_kmh = if self.random.percent(2) { 130 } else { self.random.below(80) };
        format!(r#"{},"speed_kmh":{speed_kmh},"ignition":true}}"#, &record[..record.len() - 1])
    }

    fn vehicle(&self, number: u64) -> String {
        format!("S{}-{number}", self.sender)
    }

    /// When the vehicles are, by their newest fixes.
    fn newest(&self) -> TimeMs {
        TimeMs(self.begin_ms + (self.positions / VEHICLES).cast_signed() * STEP_MS)
    }

    fn next_edit(&mut self) -> u64 {
        self.edits += 1;
        self.edits
    }

    fn fence(&mut self, site: u64, radius_m: u64, more: &str) -> String {
        let name = format!("F{site}");
        let plain = circle(&name, (340_000 + 2 * site * 542) as f64 / 1e5, 6.5, radius_m as f64);
        let number = self.next_edit();
        // The name tells one edit from another.
        let named = format!(r#""name":"edit {} {number}","alert":true{more},"#, self.sender);
        fence_record(&plain.replacen(&format!(r#""name":"{name}","#), &named, 1))
    }

    fn edit(&mut self, alert: Option<&str>) -> String {
        let number = self.next_edit();
        let (sender, newest) = (self.sender, self.newest());
        let by = format!("{sender}-{number}");
        let site = self.random.below(PLACES / 2);
        let vehicle = self.random.below(VEHICLES);
        match self.random.below(9) {
            0 | 1 => {
                let radius_m = [90, 150, 240][self.random.below(3) as usize];
                self.fence(site, radius_m, "")
            }
            2 => self.fence(site, 200, &format!(r#","valid_from":"{newest}""#)),
            3 => {
                let at = TimeMs(newest.0 - 600_000);
                format!(r#"{{"type":"fence","op":"delete","id":"F{site}","at":"{at}"}}"#)
            }
            4 | 5 => {
                let to = (site + 1) % (PLACES / 2);
                format!(
                    r#"{{"type":"trip","op":"upsert","trip":{{"id":"t{by}","vehicle_id":"{}","pickup":"L{site}","delivery":"L{to}","scheduled_departure":"{newest}"}}}}"#,
                    self.vehicle(vehicle)
                )
            }
            6 => {
                let trip = self.random.below(number + 1);
                let status = ["null", r#""cancelled""#, r#""completed""#][self.random.below(3) as usize];
                format!(
                    r#"{{"type":"trip","op":"set_status","id":"t{sender}-{trip}","status":{status},"by":"{by}"}}"#
                )
            }
            7 => {
                let what = ["acknowledge", "resolve"][self.random.below(2) as usize];
                format!(
                    r#"{{"type":"{what}","alert_id":"{}","by":"{by}"}}"#,
                    alert.unwrap_or("00000000000000ab")
                )
            }
            _ => {
                let fence = self.random.below(PLACES / 2);
                format!(
                    r#"{{"type":"location","op":"upsert","location":{{"id":"L{site}","fence_id":"F{fence}"}}}}"#
                )
            }
        }
    }
}
