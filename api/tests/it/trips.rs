//! Trips: what is shown of them, their stories, and what people plan and change.

use api::ApiConfig;
use model::{AutoPlaces, Cause, Change, EtaRow, Row, TimeMs, TripPhase, TripRow, TripStatus, Why};
use serde_json::{Value, json};

use crate::harness::{Answer, START_MS, Service, Wiring, fix, position_line, trip, trip_change};

const ID: &str = "/api/v1/trips/05%2FJan%2F2026-T1-CA60";

/// A plan of T1 from one location to another, and its row.
fn planned(id: &str) -> (String, TripRow) {
    let plan = json!({"id": id, "vehicle_id": "T1", "pickup": "A", "delivery": "B", "weight_t": 2.5,
        "scheduled_departure": "2026-01-05T00:00:00Z", "scheduled_arrival": "2026-01-05T04:00:00Z"});
    (json!({"type": "trip", "op": "upsert", "trip": plan}).to_string(), trip(id))
}

fn at(second: i64) -> Option<TimeMs> {
    Some(TimeMs(START_MS + second * 1000))
}

fn by(cause: Cause, seq: u64, change: Change) -> Change {
    Change { why: Why { cause, seq }, ..change }
}

#[test]
fn a_trip_is_shown_with_its_plan() {
    let service = Service::start(ApiConfig::default());
    let (record, row) = planned("05/Jan/2026-T1-CA60");
    service.close_said(&record, vec![], vec![trip_change(1, &row)]);
    let shown = service.get_json(ID);
    assert_eq!((&shown["trip_id"], &shown["plan"]["weight_t"]), (&json!("05/Jan/2026-T1-CA60"), &json!(2.5)));
    assert_eq!((&shown["inferred_status"], &shown["distance_so_far_m"]), (&Value::Null, &Value::Null));
    assert_eq!((&shown["tick"], &shown["as_of"]), (&json!(1), &json!("2026-01-05T00:00:01Z")));

    // On the road, and somebody says that it is late.
    let driving = TripRow {
        phase: TripPhase::InTransit,
        status: TripStatus::Delayed,
        status_by: "ada".into(),
        pickup_arrival: at(0),
        actual_departure: at(10),
        ..row.clone()
    };
    let road = [(5, 3.40), (10, 3.41), (20, 3.42), (30, 9.0), (40, 3.43)];
    let fixes = (1..).zip(road).map(|(seq, (second, lon))| fix("T1", seq, second, lon, 6.5)).collect();
    let jump = crate::harness::jump(1, "T1", 4, 30);
    service.close_said("", fixes, vec![trip_change(-1, &row), trip_change(1, &driving), jump]);
    let shown = service.get_json(ID);
    assert_eq!((&shown["status"], &shown["status_by"]), (&json!("delayed"), &json!("ada")));
    assert_eq!(shown["inferred_status"], "ongoing");
    // Two legs of 0.01 degrees of longitude at 6.5 degrees north, by GeographicLib.
    assert_eq!(shown["distance_so_far_m"], 2212);
    let page = service.get_json("/api/v1/trips");
    let item = &page["items"][0];
    assert_eq!((&item["plan"], &item["inferred_status"]), (&shown["plan"], &shown["inferred_status"]));
    service.get("/api/v1/trips/other").problem(404);
}

#[test]
fn a_trip_says_when_it_is_expected() {
    let service = Service::start(ApiConfig::default());
    let (record, row) = planned("t");
    let driving = TripRow { phase: TripPhase::InTransit, actual_departure: at(10), ..row };
    let eta = |diff: i8, second: i64| {
        let [eta_low, eta, eta_high] = [-300, 0, 600].map(|off| TimeMs(START_MS + (second + off) * 1000));
        let row = Row::Eta(EtaRow { trip_id: "t".into(), eta, eta_low, eta_high });
        Change { diff, row, why: Why::first(1) }
    };
    service.close_said(&record, vec![], vec![eta(1, 900), trip_change(1, &driving)]);
    let times = |path: &str| {
        let shown = service.get_json(path);
        let trip = shown["items"].get(0).unwrap_or(&shown);
        ["eta_low", "eta", "eta_high"].map(|name| trip[name].as_str().map(|time| time[11..].to_owned()))
    };
    let told = |times: [&str; 3]| times.map(|time| Some(time.to_owned()));
    let at_first = told(["00:10:00Z", "00:15:00Z", "00:25:00Z"]);
    assert_eq!((times("/api/v1/trips"), times("/api/v1/trips/t")), (at_first.clone(), at_first));
    service.close(vec![], vec![eta(-1, 900), eta(1, 1800)], vec![]);
    assert_eq!(times("/api/v1/trips/t"), told(["00:25:00Z", "00:30:00Z", "00:40:00Z"]));
    service.close(vec![], vec![eta(-1, 1800)], vec![]);
    assert_eq!(times("/api/v1/trips/t"), [None, None, None]);
}

#[test]
fn what_nobody_planned_is_listed_and_cannot_be_changed() {
    let service = Service::start(ApiConfig::default());
    let auto = Some(AutoPlaces { pickup: "port".into(), delivery: "shop".into() });
    let id = "auto:T1:1767571205000";
    let made = TripRow {
        phase: TripPhase::AtDelivery,
        status: TripStatus::Ongoing,
        actual_departure: at(5),
        arrival: at(60),
        auto,
        ..trip(id)
    };
    let (record, row) = planned("t");
    service.close_said(&record, vec![], vec![trip_change(1, &row), trip_change(1, &made)]);
    let shown = service.get_json(&format!("/api/v1/trips/{id}"));
    let of = |name: &str| shown[name].as_str().unwrap().to_owned();
    assert_eq!([of("source"), of("pickup"), of("delivery")], ["auto", "port", "shop"]);
    assert_eq!((&shown["plan"], &shown["inferred_status"]), (&Value::Null, &Value::Null));
    let planned = service.get_json("/api/v1/trips/t");
    assert_eq!((planned.get("source"), planned.get("pickup")), (None, None));
    let ids = |query: &str| -> Vec<String> {
        let rows = service.read_all(&format!("/api/v1/trips?{query}"));
        rows.iter().map(|row| row["trip_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("limit=1"), [id, "t"]);
    assert_eq!(ids("pickup=port&delivery=shop"), [id]);
    assert_eq!(ids("from=2026-01-05T00:00:05Z"), [id]);
    assert_eq!(ids("late=true&phase=at_delivery").len(), 0);
    let tracking = service.get_json(&format!("/api/v1/trips/{id}/tracking"));
    assert_eq!(
        (&tracking["scheduled_departure"], &tracking["arrival"]),
        (&Value::Null, &json!("2026-01-05T00:01:00Z"))
    );
    for change in [json!({"delivery": "mall"}), json!({"cancel": true, "by": "ada"})] {
        let why = patch(&service, id, None, &change).problem(409);
        assert!(why.contains("nobody planned") && why.contains("/api/v1/records"), "{why}");
    }
    // It turns out otherwise.
    service.close(vec![], vec![trip_change(-1, &made)], vec![]);
    service.get(&format!("/api/v1/trips/{id}")).problem(404);
    assert_eq!(ids("from=2026-01-05T00:00:05Z").len(), 0);
}

#[test]
fn the_distance_of_half_a_road_is_not_told() {
    let service = Service::start(ApiConfig::default());
    let (record, row) = planned("t");
    let driving = TripRow { phase: TripPhase::InTransit, actual_departure: at(10), ..row };
    let fixes = vec![fix("T1", 1, 20, 3.42, 6.5), fix("T1", 2, 40, 3.43, 6.5)];
    service.close_said(&record, fixes, vec![trip_change(1, &driving)]);
    assert_eq!(service.get_json("/api/v1/trips/t")["distance_so_far_m"], Value::Null);
}

#[test]
fn lists_are_filtered_and_paged() {
    let service = Service::start(ApiConfig::default());
    let mut records = Vec::new();
    let mut changes = Vec::new();
    for n in 0..7 {
        let (record, mut row) = planned(&format!("t{n}"));
        records.push(record.replace("2026-01-05T00:00:00Z", &format!("2026-01-05T0{n}:00:00Z")));
        if n == 3 {
            row.status = TripStatus::Delayed;
        }
        changes.push(trip_change(1, &row));
    }
    service.close_said(&records.join("\n"), vec![], changes);
    let ids = |query: &str| -> Vec<String> {
        let rows = service.read_all(&format!("/api/v1/trips?{query}"));
        rows.iter().map(|row| row["trip_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("limit=2"), ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
    assert_eq!(ids("from=2026-01-05T02:00:00Z&to=2026-01-05T04:00:00Z&limit=1"), ["t2", "t3"]);
    assert_eq!(ids("status=delayed"), ["t3"]);
    assert_eq!(ids("late=true"), ["t3"]);
    assert_eq!(ids("vehicle_id=T2").len(), 0);
    assert_eq!(ids("vehicle_id=T1&pickup=A&delivery=B&phase=planned").len(), 7);
    for (query, word) in [
        ("phase=lost", "phase must be one of planned"),
        ("status=lost", "status must be one of scheduled"),
        ("late=perhaps", "late must be"),
        ("from=2026-01-06T00:00:00Z&to=2026-01-05T00:00:00Z", "not before"),
        ("cursor=zz", "cursor"),
        ("lat=1", "lat"),
    ] {
        assert!(service.get(&format!("/api/v1/trips?{query}")).problem(400).contains(word), "{query}");
    }
}

#[test]
fn the_story_tells_what_it_was_and_why_it_changed() {
    let service = Service::start(ApiConfig::default());
    let (record, row) = planned("t");
    service.close_said(&record, vec![], vec![trip_change(1, &row)]);
    let left = TripRow { phase: TripPhase::InTransit, actual_departure: at(50), ..row.clone() };
    service.close(vec![], vec![trip_change(-1, &row), trip_change(1, &left)], vec![]);
    let earlier = TripRow { actual_departure: at(40), ..left.clone() };
    let late = |change: Change| by(Cause::LateFix, 9, change);
    service.close(vec![], vec![late(trip_change(-1, &left)), late(trip_change(1, &earlier))], vec![]);
    let story = service.get_json("/api/v1/trips/t/history");
    let told: Vec<(u64, &str, &str, u64)> = story["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            let text = |name: &str| event[name].as_str().unwrap();
            (event["tick"].as_u64().unwrap(), text("change"), text("cause"), event["seq"].as_u64().unwrap())
        })
        .collect();
    let expected = [(1, "came", "first", 1), (2, "replaced", "first", 1), (3, "replaced", "late_fix", 9)];
    assert_eq!(told, expected);
    assert_eq!((&story["id"], &story["complete"]), (&json!("t"), &json!(true)));
    let last = &story["items"][2];
    assert_eq!(last["old"]["actual_departure"], "2026-01-05T00:00:50Z");
    assert_eq!(last["new"]["actual_departure"], "2026-01-05T00:00:40Z");
    assert_eq!(story["items"][0]["old"], Value::Null);
    let first = service.get_json("/api/v1/trips/t/history?limit=2");
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = service.get_json(&format!("/api/v1/trips/t/history?cursor={cursor}"));
    assert_eq!((first["items"].as_array().unwrap().len(), &rest["items"][0]), (2, last));
    assert_eq!(rest["next_cursor"], Value::Null);
    service.get("/api/v1/trips/other/history").problem(404);
    let of_another = service.get(&format!("/api/v1/trips/other/history?cursor={cursor}"));
    assert!(of_another.problem(400).contains("cursor"));
}

// ---- planning --------------------------------------------------------------------------------------

/// A service that shows what is posted: a truck T1, a yard, and two locations, one of which has no fence.
fn planning() -> Service {
    let service = Service::start_wired(ApiConfig::default(), Wiring::SaidOnly, None);
    let fence = json!({"type": "fence", "op": "upsert", "feature": {"type": "Feature", "id": "yard",
        "properties": {"radius_m": 300}, "geometry": {"type": "Point", "coordinates": [3.4, 6.5]}}});
    let location = |location: Value| json!({"type": "location", "op": "upsert", "location": location});
    let records = [
        position_line("T1", 1).trim().to_owned(),
        fence.to_string(),
        location(json!({"id": "IBESHE", "name": "ESSLIBRA Ibeshe", "fence_id": "yard"})).to_string(),
        location(json!({"id": "NOWHERE"})).to_string(),
        location(json!({"id": "GONE", "fence_id": "no such"})).to_string(),
    ];
    let answer = service.post("/api/v1/records", records.join("\n").as_bytes());
    assert_eq!(answer.json()["accepted"], 5, "{}", answer.text());
    service
}

fn post(service: &Service, plan: &Value) -> Answer {
    service.post("/api/v1/trips", plan.to_string().as_bytes())
}

/// A plan that breaks no rule.
fn good() -> Value {
    json!({"vehicle_id": "T1", "pickup": "IBESHE", "delivery": "yard", "container_no": "CA 60",
        "scheduled_departure": "2999-04-01T08:00:00Z", "client": "Acme"})
}

fn with(plan: &Value, name: &str, value: Value) -> Value {
    let mut plan = plan.clone();
    plan[name] = value;
    plan
}

fn patch(service: &Service, id: &str, tags: Option<&str>, change: &Value) -> Answer {
    let headers: Vec<(&str, &str)> = tags.map(|tags| ("If-Match", tags)).into_iter().collect();
    service.request("PATCH", &format!("/api/v1/trips/{id}"), &headers, change.to_string().as_bytes())
}

#[test]
fn a_trip_is_planned_and_has_an_id_of_its_own() {
    let service = planning();
    let answer = post(&service, &with(&good(), "by", json!("ada")));
    assert_eq!(answer.status, 201, "{}", answer.text());
    let receipt = answer.json();
    assert_eq!((&receipt["id"], &receipt["accepted"]), (&json!("01/Apr/2999-T1-CA60"), &json!(1)));
    let path = answer.header("location").unwrap();
    assert_eq!(path, "/api/v1/trips/01%2FApr%2F2999-T1-CA60");
    let shown = service.get_json(&format!("{path}?min_tick={}", receipt["tick"]));
    assert_eq!((&shown["plan"]["client"], &shown["plan"]["by"]), (&json!("Acme"), &Value::Null));
    assert!(post(&service, &good()).problem(409).contains("there is a trip"));
    // Spelled as people spell it, with an id of its own.
    let own = with(&with(&good(), "id", json!("mine")), "vehicle_id", json!("t1-"));
    let receipt = post(&service, &own).json();
    assert_eq!(receipt["id"], "mine");
    let shown = service.get_json(&format!("/api/v1/trips/mine?min_tick={}", receipt["tick"]));
    assert_eq!(shown["plan"]["vehicle_id"], "T1");
}

#[test]
fn a_plan_that_breaks_a_rule_is_refused_with_the_rule_and_the_field() {
    let service = planning();
    let soon = model::TimeMs(now_ms() + 29 * 60_000).to_string();
    for (name, value, rule, field) in [
        ("vehicle_id", json!("T9"), "vehicle_known", json!("vehicle_id")),
        ("vehicle_id", Value::Null, "readable", json!("vehicle_id")),
        ("pickup", json!("NOWHERE"), "place_has_fence", json!("pickup")),
        ("pickup", json!("GONE"), "place_has_fence", json!("pickup")),
        ("delivery", json!("no such"), "place_has_fence", json!("delivery")),
        ("delivery", json!(7), "readable", json!("delivery")),
        ("scheduled_departure", json!(soon), "min_notice", json!("scheduled_departure")),
        ("scheduled_departure", json!("tomorrow"), "readable", json!("scheduled_departure")),
        ("scheduled_arrival", json!("later"), "readable", json!("scheduled_arrival")),
        ("waypoints", json!([1]), "readable", json!("waypoints")),
        ("status", json!("completed"), "new_trip", json!("status")),
        ("by", json!(7), "readable", json!("by")),
    ] {
        let answer = post(&service, &with(&good(), name, value.clone()));
        let detail = answer.problem(422);
        let problem = answer.json();
        assert_eq!((&problem["rule"], &problem["field"]), (&json!(rule), &field), "{name} {value}: {detail}");
    }
    assert!(post(&service, &json!([good()])).problem(400).contains("object"));
    assert_eq!(service.store.dead_letters().counts().kept, 0, "its sender was told");
    assert!(service.get_json("/api/v1/trips")["items"].as_array().unwrap().is_empty());
}

#[test]
fn a_trip_is_changed_as_it_was_read() {
    let service = planning();
    let planned = post(&service, &with(&good(), "id", json!("t"))).json();
    let tag = |tick: &Value| {
        let answer = service.get(&format!("/api/v1/trips/t?min_tick={tick}"));
        answer.header("etag").expect("a trip has a tag").to_owned()
    };
    let first = tag(&planned["tick"]);
    let changed = patch(&service, "t", Some(&first), &json!({"client": null, "weight_t": 2.50, "id": "t"}));
    assert_eq!(changed.status, 200, "{}", changed.text());
    let tick = &changed.json()["tick"];
    assert_ne!(tag(tick), first);
    let shown = service.get_json(&format!("/api/v1/trips/t?min_tick={tick}"));
    let plan = &shown["plan"];
    assert_eq!((&plan["client"], &plan["weight_t"]), (&Value::Null, &json!(2.5)));
    assert_eq!(plan["container_no"], "CA 60", "all else is as it was");
    assert!(
        patch(&service, "t", Some(&first), &json!({"weight_t": 3})).problem(412).contains("read it again")
    );
    assert_eq!(patch(&service, "t", Some("*"), &json!({"weight_t": 3})).status, 200);

    // The past may be corrected; what is planned anew must be ahead.
    assert_eq!(
        patch(&service, "t", None, &json!({"scheduled_departure": "2026-01-05T08:00:00Z"})).status,
        200
    );
    let soon = model::TimeMs(now_ms() + 60_000).to_string();
    let refused = patch(&service, "t", None, &json!({"scheduled_departure": soon}));
    refused.problem(422);
    assert_eq!(refused.json()["rule"], "min_notice");
    let refused = patch(&service, "t", None, &json!({"delivery": "NOWHERE"}));
    refused.problem(422);
    assert_eq!(
        (&refused.json()["rule"], &refused.json()["field"]),
        (&json!("place_has_fence"), &json!("delivery"))
    );
    assert_eq!(patch(&service, "t", None, &json!({"pickup": null})).problem(422), "pickup is missing");
    patch(&service, "other", None, &json!({"weight_t": 3})).problem(404);
    patch(&service, "t", None, &json!({})).problem(400);
    assert!(patch(&service, "t", None, &json!({"id": "u"})).problem(400).contains("keeps its id"));
}

/// The records of trips in the journal from a tick on.
fn records_of(service: &Service, from_tick: u64) -> Vec<Value> {
    use journal::Log;
    let log = service.store.log();
    let (last, _) = log.last_tick().unwrap();
    let entries = log.read(from_tick, last).flat_map(|tick| tick.unwrap().entries);
    let lines = |payload: &[u8]| -> Vec<Value> {
        let text = std::str::from_utf8(payload).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    entries.flat_map(|entry| lines(&entry.payload)).collect()
}

#[test]
fn a_status_by_hand_says_whose_hand() {
    let service = planning();
    post(&service, &with(&good(), "id", json!("t")));
    for (change, rule, field) in [
        (json!({"status": "completed"}), "signed_status", "by"),
        (json!({"cancel": true, "by": " "}), "readable", "by"),
        (json!({"status": "lost", "by": "ada"}), "readable", "status"),
        (json!({"status": "completed", "cancel": true, "by": "ada"}), "readable", "cancel"),
    ] {
        let answer = patch(&service, "t", None, &change);
        answer.problem(422);
        assert_eq!(
            (&answer.json()["rule"], &answer.json()["field"]),
            (&json!(rule), &json!(field)),
            "{change}"
        );
    }
    for (change, expected) in [
        (json!({"cancel": true, "by": "ada"}), json!("cancelled")),
        (json!({"status": null, "by": "ada"}), Value::Null),
    ] {
        let tick = patch(&service, "t", None, &change).json()["tick"].as_u64().unwrap();
        let set = json!({"type": "trip", "op": "set_status", "id": "t", "status": expected, "by": "ada"});
        assert_eq!(records_of(&service, tick), [set]);
    }
    // Both at once are in one tick, the plan before the status.
    let both = patch(&service, "t", None, &json!({"weight_t": 7, "status": "completed", "by": "ada"}));
    let records = records_of(&service, both.json()["tick"].as_u64().unwrap());
    assert_eq!((records.len(), &records[0]["trip"]["weight_t"]), (2, &json!(7)));
    assert_eq!((&records[0]["by"], &records[1]["op"]), (&json!("ada"), &json!("set_status")));
}

#[test]
fn trips_at_the_same_time_are_judged_one_after_the_other() {
    let service = planning();
    for round in 0..20 {
        let plan = with(&good(), "id", json!(format!("t{round}")));
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let posts: Vec<_> = (0..3).map(|_| scope.spawn(|| post(&service, &plan).status)).collect();
            posts.into_iter().map(|post| post.join().unwrap()).collect()
        });
        let made = answers.iter().filter(|status| **status == 201).count();
        assert_eq!((made, answers.iter().filter(|status| **status == 409).count()), (1, 2), "{answers:?}");
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}
