//! Everything around the data: guards, errors, health, pages, the description.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use api::ApiConfig;
use journal::{AppendError, Log, StoreError, Tick, Ticket};
use model::{
    AutoPlaces, Coord, Fence, FenceEdit, FenceSettings, KpiMetric, KpiSpan, Shape, TimeMs, TripPhase, TripRow,
};
use serde_json::Value;

use crate::harness::{
    START_MS, Service, alert, alert_change, crossing, fix, jump, kpi, kpi_change, position_line, presence,
    trip, trip_change, visit,
};

#[test]
fn pages_of_other_sites_are_kept_out() {
    let service = Service::start(ApiConfig::default());
    let own = format!("http://{}", service.address);
    let send = |method: &str, path: &str, headers: &[(&str, &str)]| {
        service.request(method, path, headers, position_line("T1", 1).as_bytes())
    };
    send("GET", "/api/v1/trucks", &[("host", "evil.example")]).problem(403);
    assert_eq!(send("GET", "/healthz", &[("host", "10.1.2.3")]).status, 200, "probes know addresses only");
    send("POST", "/api/v1/records", &[("host", "evil.example")]).problem(403);
    send("POST", "/api/v1/records", &[("origin", "http://evil.example")]).problem(403);
    send("POST", "/api/v1/records", &[("origin", "null")]).problem(403);
    send("POST", "/api/v1/records", &[("sec-fetch-site", "cross-site")]).problem(403);
    assert_eq!(service.store.log().last_tick(), None);
    assert_eq!(send("POST", "/api/v1/records", &[("origin", &own)]).status, 200);
    let answer = service.get("/api/v1/trucks");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

#[test]
fn every_error_is_a_problem() {
    let service = Service::start(ApiConfig::default());
    assert!(service.get("/nowhere").problem(404).contains("/nowhere"));
    let answer = service.request("PATCH", "/api/v1/trucks", &[], b"");
    answer.problem(405);
    assert!(answer.header("allow").unwrap().contains("GET"));
    service.get("/api/v1/trucks/%ff").problem(400);
    service.get("/api/v1/trucks?limit=1&limit=2").problem(400);
}

#[test]
fn pages_are_served_with_a_policy_and_a_tag() {
    let service = Service::start(ApiConfig::default());
    for path in ["/", "/api", "/app.js", "/style.css", "/trips", "/track.html"] {
        let page = service.get(path);
        assert_eq!(page.status, 200, "{path}");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
        let tag = page.header("etag").unwrap();
        let again = service.request("GET", path, &[("if-none-match", tag)], b"");
        assert_eq!((again.status, again.body.len()), (304, 0));
        assert_eq!(service.request("GET", path, &[("if-none-match", "\"0\"")], b"").status, 200);
    }
    assert!(service.get("/").header("content-type").unwrap().starts_with("text/html"));
}

/// A journal that refuses in a way that can be chosen.
#[derive(Default)]
struct RefusingLog(AtomicU8);

impl Log for RefusingLog {
    fn append(&self, _: u8, _: &str, _: Vec<u8>) -> Result<Ticket, AppendError> {
        Err(match self.0.load(Ordering::SeqCst) {
            0 => AppendError::Full { retry_after_s: 7 },
            1 => AppendError::Stopped,
            _ => AppendError::Failed("the disk is gone".to_owned()),
        })
    }
    fn last_tick(&self) -> Option<(u64, i64)> {
        None
    }
    fn read(&self, _: u64, _: u64) -> Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send> {
        Box::new(std::iter::empty())
    }
    fn start(&self) -> Result<crossbeam_channel::Receiver<Arc<Tick>>, StoreError> {
        Ok(crossbeam_channel::never())
    }
    fn is_stopped(&self) -> bool {
        false
    }

    fn failure(&self) -> Option<String> {
        None
    }
    fn stop(&self) {}
}

#[test]
fn readiness_follows_the_views_and_the_journal() {
    let log = Arc::new(RefusingLog::default());
    let service = Service::starting(ApiConfig::default(), Some(log.clone()));
    assert!(service.get("/readyz").problem(503).contains("starting"));
    assert_eq!(service.get("/healthz").status, 200);
    service.close(vec![], vec![], vec![]);
    service.views.set_ready();
    assert_eq!(service.get_json("/readyz")["tick"], 1);

    let body = position_line("T1", 1) + "bad\n";
    let post = || service.post("/api/v1/records", body.as_bytes());
    let full = post();
    full.problem(429);
    assert_eq!(full.header("retry-after"), Some("7"));
    log.0.store(1, Ordering::SeqCst);
    post().problem(503);
    assert_eq!(service.get("/readyz").status, 200);
    log.0.store(2, Ordering::SeqCst);
    assert!(post().problem(503).contains("the disk is gone"));
    assert!(service.get("/readyz").problem(503).contains("journal"));
    assert_eq!(service.store.dead_letters().counts().kept, 0, "the sender keeps what was not taken");
    assert!(service.get("/metrics").text().contains("reason=\"queue_full\"} 1"));
}

#[test]
fn the_description_lists_every_route_and_describes_every_item() {
    let service = Service::start(ApiConfig::default());
    let openapi = service.get_json("/api/v1/openapi.json");
    assert!(openapi["openapi"].as_str().unwrap().starts_with("3.1"));
    let expected = [
        "/api/v1/alerts",
        "/api/v1/alerts/{id}",
        "/api/v1/alerts/{id}/acknowledge",
        "/api/v1/alerts/{id}/history",
        "/api/v1/alerts/{id}/resolve",
        "/api/v1/analytics/daily",
        "/api/v1/analytics/tat",
        "/api/v1/analytics/trucks/{id}",
        "/api/v1/analytics/utilization",
        "/api/v1/analytics/weekly",
        "/api/v1/assignments",
        "/api/v1/changes",
        "/api/v1/crossings",
        "/api/v1/dead-letters",
        "/api/v1/dead-letters/{id}",
        "/api/v1/dead-letters/{id}/replay",
        "/api/v1/drivers",
        "/api/v1/fences",
        "/api/v1/fences/{id}",
        "/api/v1/kpis",
        "/api/v1/kpis/history",
        "/api/v1/kpis/stream",
        "/api/v1/locations",
        "/api/v1/openapi.json",
        "/api/v1/organizations",
        "/api/v1/presences",
        "/api/v1/records",
        "/api/v1/rejects",
        "/api/v1/rejects/counts",
        "/api/v1/track/{token}",
        "/api/v1/trips",
        "/api/v1/trips/{id}",
        "/api/v1/trips/{id}/history",
        "/api/v1/trips/{id}/tracking",
        "/api/v1/trips/{id}/tracking-link",
        "/api/v1/trucks",
        "/api/v1/trucks/near",
        "/api/v1/trucks/{id}",
        "/api/v1/trucks/{id}/location",
        "/api/v1/trucks/{id}/track",
        "/api/v1/vehicles",
        "/api/v1/visits",
        "/api/v1/visits/{id}",
        "/api/v1/visits/{id}/explain",
        "/api/v1/visits/{id}/history",
        "/healthz",
        "/metrics",
        "/readyz",
        "/webhooks/loconav",
        "/webhooks/loconav/alert",
        "/webhooks/loconav/location",
    ];
    let listed: BTreeSet<&str> = openapi["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(listed, expected.into_iter().collect());

    let fence = Fence {
        id: "yard".into(),
        name: "yard".into(),
        shape: Shape::Circle { centre: Coord { lon: 0, lat: 0 }, radius_m: 1.0 },
        settings: FenceSettings::default(),
        valid_from: None,
        valid_to: None,
        feature_json: "{\"geometry\":null}".into(),
    };
    let changes = vec![
        presence(1, "T1", "yard", 0, None),
        visit(1, "yard", 0, None),
        crossing(1, "T1", "gate", 0, 30),
        jump(1, "T1", 2, 60),
        alert_change(1, &alert("idle", 0, None)),
        kpi_change(1, &kpi(KpiSpan::Day, Some(TimeMs(START_MS - 3_600_000)), KpiMetric::TatMeanS, 7)),
        kpi_change(1, &kpi(KpiSpan::Week, Some(TimeMs(START_MS - 3_600_000)), KpiMetric::DistanceM, 7)),
    ];
    let fixes = vec![fix("T1", 1, 0, 3.4, 6.5), fix("T1", 2, 60, 9.0, 9.0), fix("T2", 3, 0, 3.4, 6.5)];
    service.close(fixes, changes, vec![FenceEdit::Upsert(Arc::new(fence))]);
    service.post("/api/v1/records", b"bad\n");
    let plan = r#"{"type":"trip","op":"upsert","trip":{"id":"t","vehicle_id":"T1","pickup":"yard","delivery":"gate",
        "scheduled_departure":"2026-01-05T00:00:00Z"}}"#;
    let departure = Some(TimeMs(START_MS));
    let driving = TripRow { phase: TripPhase::InTransit, actual_departure: departure, ..trip("t") };
    let entity = |kind: &str| format!(r#"{{"type":"{kind}","op":"upsert","{kind}":{{"id":"x"}}}}"#);
    let assignment =
        r#"{"type":"assignment","driver_id":"x","vehicle_id":"T1","from_time":"2026-01-05T00:00:00Z"}"#;
    let mut records = ["vehicle", "driver", "organization", "location"].map(entity).to_vec();
    records.extend([assignment.to_owned(), plan.replace('\n', "")]);
    let auto = Some(AutoPlaces { pickup: "yard".into(), delivery: "gate".into() });
    let made = TripRow { actual_departure: departure, auto, ..trip("auto:T1:1767571200000") };
    let changes = vec![trip_change(1, &driving), trip_change(1, &made)];
    service.close_said(&records.join("\n"), vec![], changes);
    let link = service.post("/api/v1/trips/t/tracking-link", b"").json()["url"].as_str().unwrap().to_owned();
    let public = format!("/api/v1{link}");
    let examples = [
        ("/api/v1/trucks", "/api/v1/trucks"),
        ("/api/v1/trucks/near", "/api/v1/trucks/near?lat=6.5&lng=3.4&radius=1"),
        ("/api/v1/trucks/{id}", "/api/v1/trucks/T1"),
        ("/api/v1/trucks/{id}/location", "/api/v1/trucks/T1/location"),
        ("/api/v1/trucks/{id}/track", "/api/v1/trucks/T1/track"),
        ("/api/v1/presences", "/api/v1/presences"),
        ("/api/v1/visits", "/api/v1/visits"),
        ("/api/v1/visits/{id}", "/api/v1/visits/8defb3e6d8caf310"),
        ("/api/v1/visits/{id}/history", "/api/v1/visits/8defb3e6d8caf310/history"),
        ("/api/v1/crossings", "/api/v1/crossings"),
        ("/api/v1/rejects", "/api/v1/rejects"),
        ("/api/v1/rejects/counts", "/api/v1/rejects/counts"),
        ("/api/v1/trips", "/api/v1/trips"),
        ("/api/v1/trips/{id}", "/api/v1/trips/t"),
        ("/api/v1/trips/{id}/history", "/api/v1/trips/t/history"),
        ("/api/v1/trips/{id}/tracking", "/api/v1/trips/t/tracking"),
        ("/api/v1/track/{token}", &public),
        ("/api/v1/vehicles", "/api/v1/vehicles"),
        ("/api/v1/drivers", "/api/v1/drivers"),
        ("/api/v1/organizations", "/api/v1/organizations"),
        ("/api/v1/locations", "/api/v1/locations"),
        ("/api/v1/assignments", "/api/v1/assignments"),
        ("/api/v1/alerts", "/api/v1/alerts"),
        ("/api/v1/alerts/{id}", &format!("/api/v1/alerts/{}", alert("idle", 0, None).alert_id)),
        (
            "/api/v1/alerts/{id}/history",
            &format!("/api/v1/alerts/{}/history", alert("idle", 0, None).alert_id),
        ),
        ("/api/v1/kpis", "/api/v1/kpis"),
        ("/api/v1/kpis/history", "/api/v1/kpis/history?span=day"),
        ("/api/v1/analytics/daily", "/api/v1/analytics/daily"),
        ("/api/v1/analytics/weekly", "/api/v1/analytics/weekly"),
        ("/api/v1/analytics/tat", "/api/v1/analytics/tat"),
        ("/api/v1/analytics/utilization", "/api/v1/analytics/utilization?span=week"),
        ("/api/v1/fences", "/api/v1/fences"),
        ("/api/v1/fences/{id}", "/api/v1/fences/yard"),
        ("/api/v1/dead-letters", "/api/v1/dead-letters"),
        ("/api/v1/dead-letters/{id}", "/api/v1/dead-letters/1"),
    ];
    for (path, example) in examples {
        let schema =
            &openapi["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        compare(&openapi, schema, &service.get_json(example), path);
    }
}

/// What only rows of trips have that nobody planned.
const OF_UNPLANNED: [&str; 3] = ["source", "pickup", "delivery"];

/// Holds the names of an answer's members against its description.
fn compare(openapi: &Value, schema: &Value, answer: &Value, place: &str) {
    let properties = properties_of(openapi, schema);
    if let Some(items) = answer.as_array() {
        let first = items.first().unwrap_or_else(|| panic!("{place} has an example"));
        return compare(openapi, &resolve(openapi, schema)["items"], first, &format!("{place}[]"));
    }
    let Some(members) = answer.as_object() else { return };
    if properties.is_empty() {
        return;
    }
    let mut described: BTreeSet<&String> = properties.iter().map(|(name, _)| name).collect();
    described.retain(|name| members.contains_key(*name) || !OF_UNPLANNED.contains(&name.as_str()));
    assert_eq!(members.keys().collect::<BTreeSet<_>>(), described, "{place}");
    for (name, member) in &properties {
        let value = &answer[name];
        if value.as_array().is_some_and(|items| !items.is_empty()) {
            compare(openapi, member, value, &format!("{place}.{name}"));
        }
    }
}

fn resolve<'a>(openapi: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => openapi.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}

fn properties_of(openapi: &Value, schema: &Value) -> Vec<(String, Value)> {
    let schema = resolve(openapi, schema);
    let own = schema["properties"].as_object().into_iter().flatten();
    let mut all: Vec<(String, Value)> = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    for part in schema["allOf"].as_array().into_iter().flatten() {
        all.extend(properties_of(openapi, part));
    }
    all
}

#[test]
fn nothing_is_written_before_the_start_is_over() {
    let service = Service::starting(ApiConfig::default(), None);
    let circle = br#"{"type":"Feature","properties":{"radius_m":300},
        "geometry":{"type":"Point","coordinates":[3.4,6.5]}}"#;
    let letter =
        service.store.dead_letters().add(1, 2, "", "bad", position_line("T1", 1).as_bytes()).unwrap();
    let body = position_line("T1", 1);
    let answers = [
        service.post("/api/v1/records", body.as_bytes()),
        service.request("PUT", "/api/v1/fences/a", &[], circle),
        service.request("PUT", "/api/v1/fences/a?correct_history=true", &[], circle),
        service.request("DELETE", "/api/v1/fences/a", &[], b""),
        service.post("/api/v1/trips", b"{}"),
        service.request("PATCH", "/api/v1/trips/t", &[], b"{\"client\":\"Acme\"}"),
        service.post(&format!("/api/v1/dead-letters/{letter}/replay"), b""),
    ];
    for answer in answers {
        let detail = answer.problem(503);
        assert!(detail.contains("starting: ") && detail.contains("nothing was kept"), "{detail}");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(service.store.log().last_tick(), None);
    assert_eq!(service.store.dead_letters().counts().kept, 1, "the letter is still there");
    service.views.set_ready();
    assert_eq!(service.post("/api/v1/records", body.as_bytes()).status, 200);
}

#[test]
fn a_request_that_takes_too_long_is_answered_all_the_same() {
    let request_timeout = std::time::Duration::from_millis(100);
    let service = Service::start(ApiConfig { request_timeout, ..ApiConfig::default() });
    // The body is announced, and never comes.
    let answer = service.request("POST", "/api/v1/records", &[("content-length", "10")], b"");
    assert!(answer.problem(503).contains("longer than 0.1 s"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(service.get("/api/v1/trucks").status, 200);
}
