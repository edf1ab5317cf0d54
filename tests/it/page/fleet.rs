//! A service with a yard, and a day of trucks that visit it: what the tests of fence edits stand on.

use serde_json::{Value, json};

use crate::browser::Fence;
use crate::common::{Client, Service, fence_record, fix, now_ms, tick_of};

pub const YARD: Fence = Fence { id: "yard/1", name: "Main yard" };
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// South-west and north-east in the yard, and a place on the road a kilometre away.
pub const SOUTH_WEST: (f64, f64) = (3.399, 6.499);
pub const NORTH_EAST: (f64, f64) = (3.4015, 6.5015);
pub const ROAD: (f64, f64) = (3.41, 6.5);

/// Stays only in the south-west; only in the north-east; first there, then here.
pub const STAYS: &str = "KJA-101XA";
pub const VANISHES: &str = "KJA-202XB";
pub const SHRINKS: &str = "KJA-303XC";

/// A square of 440 m, whose points are SW, SE, NE, NW.
pub fn yard() -> Value {
    let ring = [[3.398, 6.498], [3.402, 6.498], [3.402, 6.502], [3.398, 6.502], [3.398, 6.498]];
    json!({"type": "Feature", "id": YARD.id, "properties": {"name": YARD.name, "min_dwell_s": 240, "owner": "Ada"},
        "geometry": {"type": "Polygon", "coordinates": [ring]}})
}

/// A running service, and when the day's visits began.
pub struct Fleet {
    pub service: Service,
    pub start: i64,
    /// The last tick that was written.
    tick: u64,
}

impl Fleet {
    pub fn start(dir: &std::path::Path) -> Fleet {
        let service = Service::start(dir, &[]);
        let mut fleet = Fleet { service, start: (now_ms() - 8 * HOUR) / 1000 * 1000, tick: 0 };
        // One after the other: that the yard is new is not what the visits come of.
        fleet.post(&[fence_record(&yard().to_string())]);
        let records: Vec<String> =
            [STAYS, VANISHES, SHRINKS].iter().flat_map(|vehicle| fleet.day_of(vehicle)).collect();
        fleet.post(&records);
        fleet
    }

    pub fn url(&mut self) -> String {
        format!("http://{}", self.service.address())
    }

    pub fn client(&mut self) -> Client {
        self.service.client()
    }

    /// Every ten minutes on the road, but for 20 minutes in the yard.
    fn day_of(&self, vehicle: &str) -> Vec<String> {
        let place = |minute: i64| match (vehicle, minute) {
            (_, ..0 | 20..) => ROAD,
            (STAYS, _) | (SHRINKS, ..10) => SOUTH_WEST,
            _ => NORTH_EAST,
        };
        let minutes = (-600..0).step_by(10).chain(0..20).chain((20..470).step_by(10));
        minutes.map(|minute| fix(vehicle, self.at(minute), place(minute).0, place(minute).1)).collect()
    }

    /// So many minutes after the visits began.
    pub fn at(&self, minute: i64) -> i64 {
        self.start + minute * MINUTE
    }

    pub fn post(&mut self, records: &[String]) -> u64 {
        let answer = self.client().post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
        self.tick = tick_of(&answer, records.len());
        self.tick
    }

    /// What is shown once all that was written is.
    fn get(&mut self, path: &str) -> Value {
        let path = format!("{path}min_tick={}", self.tick);
        self.client().get(&path).expect("an answer").json()
    }

    /// The visits to the yard: vehicle, and the minutes of arrival and departure.
    pub fn visits(&mut self) -> Vec<(String, i64, Option<i64>)> {
        let answer = self.get("/api/v1/visits?fence_id=yard%2F1&limit=1000&");
        let minute = |time: &Value| {
            let time = model::TimeMs::parse_rfc3339(time.as_str()?).expect("a time");
            Some((time.0 - self.start) / MINUTE)
        };
        let items = answer["items"].as_array().expect("a page of visits");
        let row = |visit: &Value| {
            let vehicle = visit["vehicle_id"].as_str().expect("a vehicle").to_owned();
            (vehicle, minute(&visit["arrived"]).expect("an arrival"), minute(&visit["departed"]))
        };
        items.iter().map(row).collect()
    }

    /// The yard as it is now.
    pub fn fence(&mut self) -> Value {
        let mut fence = self.get("/api/v1/fences/yard%2F1?");
        let members = fence.as_object_mut().expect("a feature");
        members.remove("as_of");
        members.remove("tick");
        fence
    }

    pub fn put(&mut self, feature: &Value) {
        let body = feature.to_string();
        let mut client = self.client();
        let headers = [("Content-Type", "application/json")];
        let answer = client.send("PUT", "/api/v1/fences/yard%2F1", &headers, body.as_bytes());
        self.tick = tick_of(&answer.expect("an answer"), 1);
    }
}

/// The points of a feature that is a polygon of one ring, without the last, which is the first again.
pub fn points(feature: &Value) -> Vec<(f64, f64)> {
    let ring =
        feature["geometry"]["coordinates"][0].as_array().unwrap_or_else(|| panic!("{feature}: no ring"));
    let point = |p: &Value| (p[0].as_f64().expect("a longitude"), p[1].as_f64().expect("a latitude"));
    let mut points: Vec<(f64, f64)> = ring.iter().map(point).collect();
    assert_eq!(points.pop().as_ref(), points.first(), "the ring is closed");
    points
}
