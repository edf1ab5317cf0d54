//! Master data: listed as it was given, and what plans of trips are held against.

use api::{ApiConfig, DriverRule};
use serde_json::{Value, json};

use crate::harness::{Answer, Service, Wiring, position_line};

fn upsert(kind: &str, entity: &Value) -> String {
    json!({"type": kind, "op": "upsert", kind: entity}).to_string()
}

fn delete(kind: &str, id: &str) -> String {
    json!({"type": kind, "op": "delete", "id": id}).to_string()
}

fn assignment(driver: &str, vehicle: &str, from: &str, to: Option<&str>) -> String {
    let record = json!({"type": "assignment", "driver_id": driver, "vehicle_id": vehicle, "from_time": from,
        "to_time": to});
    record.to_string()
}

fn said(service: &Service, records: &[String]) {
    let answer = service.post("/api/v1/records", records.join("\n").as_bytes());
    assert_eq!(answer.json()["accepted"], records.len(), "{}", answer.text());
    service.get_json(&format!("/api/v1/trips?min_tick={}", answer.json()["tick"]));
}

/// A service that shows what is posted: a truck T1 that sent a position, and a yard.
fn service(config: ApiConfig) -> Service {
    let service = Service::start_wired(config, Wiring::SaidOnly, None);
    let fence = json!({"type": "fence", "op": "upsert", "feature": {"type": "Feature", "id": "yard",
        "properties": {"radius_m": 300}, "geometry": {"type": "Point", "coordinates": [3.4, 6.5]}}});
    said(&service, &[position_line("T1", 1).trim().to_owned(), fence.to_string()]);
    service
}

fn ids(rows: &[Value], name: &str) -> Vec<String> {
    rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
}

#[test]
fn entities_are_listed_as_they_were_given_last() {
    let service = service(ApiConfig::default());
    let mut records: Vec<String> =
        (0..5).map(|n| upsert("driver", &json!({"id": format!("d{n}")}))).collect();
    records.extend([
        upsert("driver", &json!({"id": "d1", "name": "Ada", "phone": "0803", "has_smartphone": true})),
        delete("driver", "d3"),
        delete("driver", "never was"),
        upsert("vehicle", &json!({"id": "T2", "status": "Maintenance", "company": "VPC", "uuid": [1, 2.50]})),
        upsert("organization", &json!({"id": "acme", "code": "A"})),
        upsert("location", &json!({"id": "IBESHE", "name": "ESSLIBRA Ibeshe", "fence_id": "yard"})),
    ]);
    said(&service, &records);
    assert_eq!(ids(&service.read_all("/api/v1/drivers?limit=2"), "id"), ["d0", "d1", "d2", "d4"]);
    assert_eq!(
        service.get_json("/api/v1/drivers")["items"][1],
        json!({"id": "d1", "name": "Ada", "phone": "0803", "has_smartphone": true})
    );
    let page = service.get_json("/api/v1/vehicles");
    assert_eq!(
        page["items"],
        json!([{"id": "T2", "status": "Maintenance", "company": "VPC", "uuid": [1, 2.5]}])
    );
    assert_eq!((&page["next_cursor"], &page["tick"]), (&Value::Null, &json!(2)));
    assert_eq!(service.get_json("/api/v1/organizations")["items"], json!([{"id": "acme", "code": "A"}]));
    assert_eq!(service.get_json("/api/v1/locations")["items"][0]["fence_id"], "yard");
    said(&service, &[delete("location", "IBESHE")]);
    assert_eq!(service.get_json("/api/v1/locations")["items"], json!([]));
    let cursor = service.get_json("/api/v1/drivers?limit=1")["next_cursor"].as_str().unwrap().to_owned();
    for query in
        [format!("vehicles?cursor={cursor}"), "drivers?cursor=zz".into(), "drivers?company=VPC".into()]
    {
        service.get(&format!("/api/v1/{query}")).problem(400);
    }
}

#[test]
fn assignments_are_listed_by_vehicle_driver_and_time() {
    let service = service(ApiConfig::default());
    said(
        &service,
        &[
            assignment("ada", "T1", "2026-01-05T08:00:00Z", None),
            assignment("ben", "T2", "2026-01-05T08:00:00Z", None),
            assignment("cleo", "T1", "2026-01-05T12:00:00+01:00", None),
            assignment("ada", "T1", "2026-01-05T08:00:00Z", Some("2026-01-05T11:00:00Z")),
        ],
    );
    let drivers = |query: &str| ids(&service.read_all(&format!("/api/v1/assignments?{query}")), "driver_id");
    assert_eq!(drivers("limit=1"), ["ada", "cleo", "ben"]);
    assert_eq!(drivers("limit=1&vehicle_id=T1"), ["ada", "cleo"]);
    assert_eq!(drivers("limit=1&at=2026-01-05T10:59:59Z&vehicle_id=T1"), ["ada"]);
    assert_eq!(drivers("limit=1&at=2026-01-05T11:00:00Z"), ["cleo", "ben"]);
    assert_eq!(drivers("limit=1&driver_id=ben"), ["ben"]);
    let first = &service.get_json("/api/v1/assignments")["items"][0];
    let expected = json!({"vehicle_id": "T1", "driver_id": "ada", "from_time": "2026-01-05T08:00:00Z",
        "to_time": "2026-01-05T11:00:00Z"});
    assert_eq!(*first, expected);
    service.get("/api/v1/assignments?at=noon").problem(400);
}

// ---- what plans are held against -------------------------------------------------------------------

fn plan(service: &Service, fields: &Value) -> Answer {
    let mut plan = json!({"vehicle_id": "T1", "pickup": "yard", "delivery": "yard",
        "scheduled_departure": "2999-04-01T08:00:00Z"});
    for (name, value) in fields.as_object().unwrap() {
        plan[name] = value.clone();
    }
    service.post("/api/v1/trips", plan.to_string().as_bytes())
}

fn patch(service: &Service, id: &str, change: &Value) -> Answer {
    service.request("PATCH", &format!("/api/v1/trips/{id}"), &[], change.to_string().as_bytes())
}

#[track_caller]
fn breaks(answer: &Answer, rule: &str, field: &str, word: &str) {
    let detail = answer.problem(422);
    let problem = answer.json();
    assert_eq!((&problem["rule"], &problem["field"]), (&json!(rule), &json!(field)), "{detail}");
    assert!(detail.contains(word), "{detail}");
}

#[test]
fn a_truck_must_be_operational_as_far_as_records_say() {
    let service = service(ApiConfig::default());
    let status = |status: &str| upsert("vehicle", &json!({"id": "T1", "status": status}));
    assert_eq!(plan(&service, &json!({"id": "before"})).status, 201, "a fleet may have no master data");
    said(&service, &[status("maintenance")]);
    breaks(&plan(&service, &json!({})), "truck_operational", "vehicle_id", "in maintenance");
    // What is planned stays, and may be changed; to give it to another truck is another thing.
    assert_eq!(patch(&service, "before", &json!({"client": "Acme"})).status, 200);
    said(&service, &[upsert("vehicle", &json!({"id": "T2"})), upsert("vehicle", &json!({"id": "T3"}))]);
    assert_eq!(patch(&service, "before", &json!({"vehicle_id": "t2"})).status, 200, "known by its record");
    breaks(&patch(&service, "before", &json!({"vehicle_id": "T1"})), "truck_operational", "vehicle_id", "T1");
    // Who drove yesterday may be in maintenance today.
    let of_the_past = json!({"vehicle_id": "T1", "scheduled_departure": "2026-01-05T08:00:00Z"});
    assert_eq!(patch(&service, "before", &of_the_past).status, 200);

    said(&service, &[status("operational")]);
    assert_eq!(plan(&service, &json!({"id": "mended"})).status, 201);
    said(&service, &[delete("vehicle", "T1"), delete("vehicle", "T3")]);
    breaks(&plan(&service, &json!({})), "truck_operational", "vehicle_id", "deleted");
    breaks(&plan(&service, &json!({"vehicle_id": "T3"})), "vehicle_known", "vehicle_id", "T3");
    said(&service, &[upsert("vehicle", &json!({"id": "T1"}))]);
    assert_eq!(plan(&service, &json!({"id": "back"})).status, 201);

    // Master data that is spelled otherwise is not of the truck that drives.
    said(&service, &[upsert("vehicle", &json!({"id": "t 1"}))]);
    let spelled = plan(&service, &json!({"id": "spelled", "vehicle_id": "t 1"}));
    assert_eq!(spelled.status, 201);
    let tick = spelled.json()["tick"].clone();
    let trip = service.get_json(&format!("/api/v1/trips/spelled?min_tick={tick}"));
    assert_eq!(trip["vehicle_id"], "T1");
}

#[test]
fn a_trip_needs_a_driver_where_drivers_are_assigned() {
    let service = service(ApiConfig::default());
    assert_eq!(plan(&service, &json!({"id": "first"})).status, 201, "nobody assigns drivers here");
    said(
        &service,
        &[
            upsert("driver", &json!({"id": "ada"})),
            assignment("ada", "T1", "2999-04-01T06:00:00Z", Some("2999-04-01T12:00:00Z")),
        ],
    );
    assert_eq!(plan(&service, &json!({"id": "driven"})).status, 201);
    let at_noon = json!({"scheduled_departure": "2999-04-01T12:00:00Z"});
    breaks(&plan(&service, &at_noon), "driver_assigned", "driver_id", "nobody is assigned to \"T1\"");
    breaks(&patch(&service, "driven", &at_noon), "driver_assigned", "driver_id", "2999-04-01T12:00:00Z");
    // A plan may name its driver.
    let named = json!({"id": "named", "driver_id": "ben", "scheduled_departure": "2999-04-01T12:00:00Z"});
    assert_eq!(plan(&service, &named).status, 201);
    breaks(&patch(&service, "named", &json!({"driver_id": null})), "driver_assigned", "driver_id", "nobody");
    breaks(&patch(&service, "named", &json!({"driver_id": 7})), "readable", "driver_id", "text");
    said(&service, &[delete("driver", "ada")]);
    breaks(&plan(&service, &json!({})), "driver_assigned", "driver_id", "nobody");
    breaks(&plan(&service, &json!({"driver_id": "ada"})), "driver_assigned", "driver_id", "deleted");
    // What does not become another is not judged.
    assert_eq!(patch(&service, "driven", &json!({"client": "Acme"})).status, 200);
    let odd = r#"{"type":"trip","op":"upsert","trip":{"id":"odd","vehicle_id":"T1","pickup":"yard","delivery":"yard","scheduled_departure":"2999-04-01T08:00:00Z","driver_id":7}}"#;
    said(&service, &[odd.to_owned()]);
    assert_eq!(patch(&service, "odd", &json!({"client": "Acme"})).status, 200, "a record may say anything");
    breaks(&patch(&service, "odd", &json!({"driver_id": ""})), "readable", "driver_id", "text");
}

#[test]
fn whether_a_trip_needs_a_driver_can_be_configured() {
    let strict = service(ApiConfig { trip_driver: DriverRule::Always, ..ApiConfig::default() });
    breaks(&plan(&strict, &json!({})), "driver_assigned", "driver_id", "nobody");
    assert_eq!(plan(&strict, &json!({"driver_id": "ada"})).status, 201);
    let lax = service(ApiConfig { trip_driver: DriverRule::Never, ..ApiConfig::default() });
    said(&lax, &[assignment("ada", "T2", "2026-01-05T08:00:00Z", None)]);
    assert_eq!(plan(&lax, &json!({})).status, 201);
}
