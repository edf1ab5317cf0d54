//! Trips over a real service: planned by hand, seen by webhooks, corrected by both; their board and their links in a
//! browser.

use std::time::Duration;

use model::TimeMs;
use serde_json::{Value, json};

use crate::browser;
use crate::common::{
    Answer, Client, NO_HEARTBEAT, Service, circle, export, fence_record, now_ms, replay, tick_of, verify,
};

const MINUTE: i64 = 60_000;
const SOON: Duration = Duration::from_secs(15);
const DEPOT: (f64, f64) = (3.40, 6.50);
const ROAD: (f64, f64) = (3.42, 6.50);
const SHOP: (f64, f64) = (3.44, 6.50);
/// The bytes 0 to 31.
const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n";
/// Signed by that key, apart: for the trip `urgent`, until 2026-03-04.
const EXPIRED: &str = "AQAAAABpp_VPdXJnZW507k7d7p3kQIqDBhLLRv8zQdpDsJCQIgqXVQ9zbY_HxC8";

/// A service with a depot, a shop, a mall, and trucks that were seen on the road an hour ago.
struct Fleet {
    service: Service,
    start: i64,
}

impl Fleet {
    fn start(dir: &std::path::Path, args: &[&str]) -> Fleet {
        let mut fleet =
            Fleet { service: Service::start(dir, args), start: (now_ms() - 60 * MINUTE) / 1000 * 1000 };
        let mut records = [("depot", DEPOT), ("shop", SHOP), ("mall", (3.60, 6.60))]
            .map(|(id, (lon, lat))| fence_record(&circle(id, lon, lat, 300.0)))
            .to_vec();
        let location = json!({"id": "IBESHE", "name": "ESSLIBRA Ibeshe", "fence_id": "depot"});
        records.push(json!({"type": "location", "op": "upsert", "location": location}).to_string());
        let answer =
            fleet.client().post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
        tick_of(&answer, records.len());
        fleet.seen("KJA-101XA", 0..=1, ROAD);
        fleet.seen("KJA-202XB", 0..=1, ROAD);
        fleet
    }

    fn client(&mut self) -> Client {
        self.service.client()
    }

    fn time(&self, minute: i64) -> String {
        TimeMs(self.start + minute * MINUTE).to_string()
    }

    /// LocoNav tells where a truck was, minute by minute. Gives the tick.
    fn seen(&mut self, vehicle: &str, minutes: std::ops::RangeInclusive<i64>, (lon, lat): (f64, f64)) -> u64 {
        let positions: Vec<Value> = minutes
            .map(|minute| {
                json!({"vehiclenumber": vehicle, "gpstime": self.time(minute), "longitude": lon, "latitude": lat,
                    "speed": 7.0})
            })
            .collect();
        let body = Value::from(positions.clone()).to_string();
        let answer = self.client().post("/webhooks/loconav/location", body.as_bytes()).expect("an answer");
        tick_of(&answer, positions.len())
    }

    fn send(&mut self, method: &str, path: &str, body: &Value) -> Answer {
        let headers = [("Content-Type", "application/json")];
        self.client().send(method, path, &headers, body.to_string().as_bytes()).expect("an answer")
    }

    /// Plans a trip of a truck that is to leave in so many minutes.
    fn plan(&mut self, id: &str, vehicle: &str, in_minutes: i64) -> u64 {
        let departure = TimeMs(now_ms() + in_minutes * MINUTE).to_string();
        let plan = json!({"id": id, "vehicle_id": vehicle, "pickup": "IBESHE", "delivery": "shop",
            "scheduled_departure": departure, "client": "Acme", "by": "ada"});
        let answer = self.send("POST", "/api/v1/trips", &plan);
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()["tick"].as_u64().expect("a tick")
    }

    fn get(&mut self, path: &str) -> Value {
        let answer = self.client().get(path).expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    fn trip(&mut self, id: &str, tick: u64) -> Value {
        self.get(&format!("/api/v1/trips/{id}?min_tick={tick}"))
    }
}

#[test]
fn a_trip_is_planned_seen_and_corrected() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("tracking.key"), KEY).expect("a key");
    let mut fleet = Fleet::start(dir.path(), &NO_HEARTBEAT);
    let truck = "KJA-101XA";
    let tick = fleet.plan("urgent", truck, 40);
    assert_eq!(fleet.trip("urgent", tick)["phase"], "planned");
    let link = fleet.send("POST", "/api/v1/trips/urgent/tracking-link", &json!({"expires_in_s": 600}));
    let public = format!("/api/v1{}", link.json()["url"].as_str().expect("a link"));
    assert_eq!(fleet.get(&public)["position"], Value::Null);

    let tick = fleet.seen(truck, 2..=12, DEPOT);
    assert_eq!(fleet.trip("urgent", tick)["phase"], "at_pickup");
    let tick = fleet.seen(truck, 13..=20, ROAD);
    let shown = fleet.trip("urgent", tick);
    assert_eq!((&shown["phase"], &shown["actual_departure"]), (&json!("in_transit"), &json!(fleet.time(13))));
    assert_eq!((&shown["status"], &shown["distance_so_far_m"]), (&json!("ongoing"), &json!(0)));
    let tracking = fleet.get(&public);
    assert_eq!(
        (&tracking["position"]["lon"], &tracking["pickup_name"]),
        (&json!(ROAD.0), &json!("ESSLIBRA Ibeshe"))
    );
    fleet.seen(truck, 21..=32, SHOP);
    let tick = fleet.seen(truck, 33..=34, ROAD);
    let shown = fleet.trip("urgent", tick);
    assert_eq!((&shown["phase"], &shown["status"]), (&json!("done"), &json!("completed")));
    assert_eq!((&shown["arrival"], &shown["offload"]), (&json!(fleet.time(21)), &json!(fleet.time(33))));
    assert_eq!((&shown["tat_s"], &shown["distance_so_far_m"]), (&json!(20 * 60), &Value::Null));
    let last =
        fleet.get(&public)["track"].as_array().and_then(|track| track.last().cloned()).expect("a point");
    assert_eq!(last["event_time"], fleet.time(32), "nothing from the offload on");

    // It was to go to the mall: nobody has arrived there.
    let patch = |fleet: &mut Fleet, change: Value| {
        let answer = fleet.send("PATCH", "/api/v1/trips/urgent", &change);
        tick_of(&answer, 1)
    };
    let tick = patch(&mut fleet, json!({"delivery": "mall", "client": null}));
    let shown = fleet.trip("urgent", tick);
    assert_eq!((&shown["phase"], &shown["arrival"]), (&json!("in_transit"), &Value::Null));
    assert_eq!((&shown["plan"]["delivery"], &shown["plan"]["client"]), (&json!("mall"), &Value::Null));
    let tick = patch(&mut fleet, json!({"delivery": "shop"}));
    assert_eq!(fleet.trip("urgent", tick)["phase"], "done");
    // A fix is corrected: it had left the depot a minute earlier.
    let tick = fleet.seen(truck, 12..=12, ROAD);
    let shown = fleet.trip("urgent", tick);
    assert_eq!((&shown["actual_departure"], &shown["tat_s"]), (&json!(fleet.time(12)), &json!(21 * 60)));
    let story = fleet.get("/api/v1/trips/urgent/history");
    let events = story["items"].as_array().expect("events");
    let phases: Vec<&str> =
        events.iter().map(|event| event["new"]["phase"].as_str().expect("a phase")).collect();
    assert_eq!(phases[..4], ["planned", "at_pickup", "in_transit", "at_delivery"]);
    let corrected = events
        .iter()
        .find(|event| event["old"]["arrival"] != Value::Null && event["new"]["arrival"].is_null());
    assert_eq!(corrected.expect("the arrival was taken back")["old"]["arrival"], fleet.time(21));
    let last = events.last().expect("an event");
    assert_eq!(
        (&last["cause"], &last["old"]["actual_departure"]),
        (&json!("superseded"), &json!(fleet.time(13)))
    );
    assert_eq!(story["complete"], true);

    // A status by hand goes before what is seen, which stays in sight.
    let etag = |fleet: &mut Fleet| {
        let answer = fleet.client().get("/api/v1/trips/urgent").expect("an answer");
        answer.header("etag").expect("a tag").to_owned()
    };
    let before = etag(&mut fleet);
    let tick = patch(&mut fleet, json!({"status": "failed", "by": "ada"}));
    let shown = fleet.trip("urgent", tick);
    assert_eq!((&shown["status"], &shown["status_by"]), (&json!("failed"), &json!("ada")));
    let headers = [("Content-Type", "application/json"), ("If-Match", before.as_str())];
    let stale = fleet.client().send("PATCH", "/api/v1/trips/urgent", &headers, b"{\"client\":\"Acme\"}");
    assert_eq!(stale.expect("an answer").status, 412);
    let tick = patch(&mut fleet, json!({"status": null, "by": "ada"}));
    let shown = fleet.trip("urgent", tick);
    assert_eq!((&shown["status"], &shown["inferred_status"]), (&json!("completed"), &Value::Null));
    assert_eq!(etag(&mut fleet), before);

    let expired = fleet.client().get(&format!("/api/v1/track/{EXPIRED}")).expect("an answer");
    assert_eq!(expired.status, 410, "{}", expired.text());
    // What is shown is what a replay of the export gives, and all of it is there after a restart.
    let rows = fleet.service.tables(tick);
    assert_eq!(rows.table("trips").len(), 1);
    replay(&export(dir.path())).assert_same("the replay", &rows, "the service");
    let said = fleet.service.stop();
    assert!(!said.contains(&public["/api/v1/track/".len()..]), "tokens are not logged: {said}");
    let mut again = Service::start(dir.path(), &NO_HEARTBEAT);
    let tracking = again.client().get(&public).expect("an answer");
    assert_eq!((tracking.status, &tracking.json()["phase"]), (200, &json!("done")), "{}", tracking.text());
    let shown = again.client().get("/api/v1/trips/urgent").expect("an answer").json();
    assert_eq!((&shown["plan"]["delivery"], &shown["status"]), (&json!("shop"), &json!("completed")));
    again.stop();
    verify(dir.path());
}

#[test]
fn the_board_shows_trips_as_they_go_on_and_a_link_shows_one() {
    let Some(browser) = browser::start() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut fleet = Fleet::start(dir.path(), &[]);
    fleet.plan("urgent", "KJA-101XA", 40);
    fleet.plan("other", "KJA-202XB", 31);
    // Somebody knows that one of them is late, though it is to leave later.
    fleet.send("PATCH", "/api/v1/trips/urgent", &json!({"status": "delayed", "by": "ada"}));
    let base_url = format!("http://{}", fleet.service.address());
    let mut page = browser.open(&format!("{base_url}/trips"));
    page.viewport(1440, 900, false);
    let planned =
        "[...document.querySelectorAll('[data-column=planned] .card')].map(c => c.dataset.trip).join()";
    page.wait_until("the late one comes first", &format!("{planned} === 'urgent,other'"), SOON);
    let marked = "document.querySelector('[data-column=planned] li.late .badge')";
    page.wait_until("it is marked", marked, SOON);
    let live = "document.querySelector('#link').dataset.state === 'live'";
    page.wait_until("the board is live", live, SOON);

    fleet.seen("KJA-202XB", 2..=12, DEPOT);
    let moved = "document.querySelector('[data-column=at_pickup] .card[data-trip=other]')";
    page.wait_until("it is at the pickup, by itself", moved, SOON);
    // By keyboard alone: from the planned one to that at the pickup, and into it.
    page.evaluate("document.querySelector('[data-column=planned] .card').focus()");
    page.press("ArrowRight");
    let focused = "document.activeElement.dataset.trip === 'other'";
    page.wait_until("the arrow goes to the next column", focused, SOON);
    page.press("Enter");
    let story = "document.querySelector('#trip').open && document.querySelectorAll('#story li').length >= 2";
    page.wait_until("it opens with its story", story, SOON);
    let from = "document.querySelector('#trip-facts').textContent.includes('ESSLIBRA Ibeshe')";
    page.wait_until("places have their names", from, SOON);
    fleet.seen("KJA-202XB", 13..=20, ROAD);
    let grown = "document.querySelector('#trip-state').textContent.startsWith('in transit')";
    page.wait_until("the open one goes on", grown, SOON);
    page.click_on("#share");
    page.wait_until("a link is made", "document.querySelector('#share-url').value.includes('/track/')", SOON);
    let link = page.evaluate("document.querySelector('#share-url').value");
    page.press("Escape");
    page.wait_until("Escape closes it", "!document.querySelector('#trip').open", SOON);
    page.wait_until("the focus is where it was", focused, SOON);

    page.evaluate("location.hash = '#urgent'");
    let named = "document.querySelector('#trip').open && document.querySelector('#trip-name').textContent === 'urgent'";
    page.wait_until("a link opens a trip", named, SOON);
    page.press("Escape");

    page.viewport(360, 740, true);
    let sideways = "document.scrollingElement.scrollWidth - document.documentElement.clientWidth";
    assert_eq!(page.evaluate(sideways), 0, "the board scrolls sideways on a phone");
    browser::nothing_is_wrong(&page, &base_url);

    let mut public = browser.open(link.as_str().expect("a link"));
    public.viewport(360, 740, true);
    let on_its_way = "document.querySelector('#status').textContent === 'On its way'";
    public.wait_until("the link says where it is", on_its_way, SOON);
    assert_eq!(public.evaluate(sideways), 0, "the page of the link scrolls sideways");
    let drawn = "document.querySelector('#track').getBoundingClientRect().height > 100";
    public.wait_until("the way is drawn", drawn, SOON);
    let text = public.evaluate("document.body.innerText");
    assert!(!text.as_str().unwrap_or_default().contains("KJA"), "no truck is named: {text}");
    browser::nothing_is_wrong(&public, &base_url);
    fleet.service.stop();
}
