//! Where a trip is, and what somebody sees of it who was given a link.

use api::ApiConfig;
use model::{TimeMs, TripPhase, TripRow, TripStatus};
use serde_json::{Value, json};

use crate::harness::{START_MS, Service, fix, jump, trip, trip_change};

fn at(second: i64) -> Option<TimeMs> {
    Some(TimeMs(START_MS + second * 1000))
}

/// A trip of T1 that was seen every 10 seconds, from its yard to a shop and on.
fn service(config: ApiConfig) -> Service {
    let service = Service::start(config);
    let plan = json!({"id": "a/1", "vehicle_id": "T1", "pickup": "IBESHE", "delivery": "yard-7",
        "scheduled_departure": "2026-01-05T00:00:00Z"});
    let records = [
        json!({"type": "trip", "op": "upsert", "trip": plan}).to_string(),
        json!({"type": "location", "op": "upsert", "location": {"id": "IBESHE", "name": "Ibeshe"}})
            .to_string(),
    ];
    // A zigzag, so that no point can be left out.
    let lat = |n: u64| if n.is_multiple_of(2) { 6.5 } else { 6.51 };
    let mut fixes: Vec<_> = (0..10_u64)
        .map(|n| fix("T1", n + 1, i64::try_from(n).unwrap() * 10, 3.4 + n as f64 * 0.001, lat(n)))
        .collect();
    fixes.push(fix("T1", 50, 45, 9.0, 9.0));
    let changes = vec![trip_change(1, &trip("a/1")), jump(1, "T1", 50, 45)];
    service.close_said(&records.join("\n"), fixes, changes);
    service
}

/// The trip's row becomes this one.
fn becomes(service: &Service, before: &TripRow, after: &TripRow) {
    service.close(vec![], vec![trip_change(-1, before), trip_change(1, after)], vec![]);
}

fn link(service: &Service, body: &[u8]) -> (String, Value) {
    let answer = service.post("/api/v1/trips/a%2F1/tracking-link", body);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let made = answer.json();
    (made["url"].as_str().unwrap().to_owned(), made)
}

fn seconds(track: &Value) -> Vec<String> {
    let points = track.as_array().unwrap().iter();
    points.map(|point| point["event_time"].as_str().unwrap()["2026-01-05T00:".len()..].to_owned()).collect()
}

#[test]
fn a_link_shows_the_trip_between_its_departure_and_its_offload() {
    let service = service(ApiConfig::default());
    let (url, _) = link(&service, b"{\"expires_in_s\":3600}");
    let path = format!("/api/v1{url}");
    let planned = trip("a/1");
    let shown = service.get_json(&path);
    assert_eq!(
        (&shown["position"], &shown["track"]),
        (&Value::Null, &json!([])),
        "nothing before the departure"
    );
    assert_eq!(shown["pickup_name"], "Ibeshe");
    let waiting = service.get_json("/api/v1/trips/a%2F1/tracking");
    assert_eq!((&waiting["vehicle_id"], &waiting["track"]), (&json!("T1"), &json!([])));
    assert_eq!(waiting["position"]["event_time"], "2026-01-05T00:01:30Z", "who works here sees the truck");

    let driving = TripRow { phase: TripPhase::InTransit, actual_departure: at(30), ..planned.clone() };
    becomes(&service, &planned, &driving);
    let shown = service.get_json(&path);
    assert_eq!(
        seconds(&shown["track"]),
        ["00:30Z", "00:40Z", "00:50Z", "01:00Z", "01:10Z", "01:20Z", "01:30Z"]
    );
    assert_eq!(shown["position"]["event_time"], "2026-01-05T00:01:30Z");

    let there = TripRow { phase: TripPhase::AtDelivery, arrival: at(60), ..driving.clone() };
    let done = TripRow { phase: TripPhase::Done, status: TripStatus::Completed, offload: at(70), ..there };
    becomes(&service, &driving, &done);
    let shown = service.get_json(&path);
    assert_eq!(
        seconds(&shown["track"]),
        ["00:30Z", "00:40Z", "00:50Z", "01:00Z"],
        "nothing from the offload on"
    );
    assert_eq!(shown["position"]["event_time"], "2026-01-05T00:01:00Z");
    let text = service.get(&path).text();
    for hidden in ["\"T1\"", "IBESHE", "yard-7", "seq", "vehicle_id"] {
        assert!(!text.contains(hidden), "{hidden} is nobody's business: {text}");
    }

    // Whether it was seen at the pickup or not: nothing says when a trip ended that was ended by hand.
    let unseen = TripRow { actual_departure: None, departure_unobserved: true, ..done.clone() };
    becomes(&service, &done, &unseen);
    assert_eq!(seconds(&service.get_json(&path)["track"]), ["01:00Z"]);
    let ended = TripRow { status: TripStatus::Cancelled, status_by: "ada".into(), ..driving };
    becomes(&service, &unseen, &ended);
    let shown = service.get_json(&path);
    assert_eq!(
        (&shown["position"], &shown["track"], &shown["status"]),
        (&Value::Null, &json!([]), &json!("cancelled"))
    );
}

#[test]
fn a_forged_link_is_none_and_an_expired_one_says_so() {
    let service = service(ApiConfig { tracking_secret: Some(b"key".to_vec()), ..ApiConfig::default() });
    let (url, made) = link(&service, b"");
    assert!(made["expires_at"].is_string() && url.starts_with("/track/"), "{made}");
    let page = service.get(&url);
    assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("x-robots-tag").unwrap().contains("noindex"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    for token in ["x.y", "ATIAAAA", &url["/track/".len()..url.len() - 1]] {
        let detail = service.get(&format!("/api/v1/track/{token}")).problem(404);
        assert!(!detail.contains(token), "{detail}");
        assert_eq!(service.get(&format!("/track/{token}")).status, 404);
    }
    // Answers may be kept where paths are not: also those to what is no request of a link.
    let token = &url["/track/".len()..];
    for (method, path, status) in [
        ("POST", format!("/api/v1{url}"), 405),
        ("DELETE", url.clone(), 405),
        ("GET", format!("{url}/"), 404),
        ("GET", format!("/Track/{token}"), 404),
    ] {
        let answer = service.request(method, &path, &[], b"");
        let detail = answer.problem(status);
        assert!(!answer.text().contains(token) && detail.contains("rack/"), "{method} {path}: {detail}");
    }
    // Signed by this key, apart.
    const EXPIRED: &str = "AQAAAABpp_VPYS8xP0Vdg50KtiRYy9sJDNlqx-8vi_GmVz5q5sc354VMp2g";
    assert!(service.get(&format!("/api/v1/track/{EXPIRED}")).problem(410).contains("2026-03-04T09:03:11Z"));
    let page = service.get(&format!("/track/{EXPIRED}"));
    assert_eq!(page.status, 410);
    assert!(page.text().contains("track.js"), "the page says it in words");
}

#[test]
fn a_link_is_good_for_as_long_as_was_asked_for() {
    let base_url = Some("https://fleet.example.org/".to_owned());
    let service = service(ApiConfig { tracking_base_url: base_url, ..ApiConfig::default() });
    let (url, made) = link(&service, b"{\"expires_in_s\":60}");
    assert!(url.starts_with("https://fleet.example.org/track/"), "{url}");
    let expires_at = TimeMs::parse_rfc3339(made["expires_at"].as_str().unwrap()).unwrap().0;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!((0..=60_000).contains(&(expires_at - i64::try_from(now).unwrap())));
    for (body, word) in [
        (&b"{\"expires_in_s\":59}"[..], "from 60 to 2592000"),
        (b"{\"expires_in_s\":2592001}", "from 60 to 2592000"),
        (b"{\"expires_in_s\":\"1\"}", "expires_in_s"),
        (b"{\"for_ever\":true}", "expires_in_s"),
        (b"[", "expires_in_s"),
    ] {
        assert!(service.post("/api/v1/trips/a%2F1/tracking-link", body).problem(400).contains(word));
    }
    service.post("/api/v1/trips/other/tracking-link", b"").problem(404);
}

#[test]
fn another_service_has_another_key() {
    let (one, other) = (service(ApiConfig::default()), service(ApiConfig::default()));
    let (url, _) = link(&one, b"");
    assert_eq!(one.get(&format!("/api/v1{url}")).status, 200);
    other.get(&format!("/api/v1{url}")).problem(404);
    link(&other, b"");
    other.get(&format!("/api/v1{url}")).problem(404);
}
