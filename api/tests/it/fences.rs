//! Fences over HTTP: GeoJSON in and out, through the journal.

use api::ApiConfig;
use serde_json::{Value, json};

use crate::harness::{Service, Wiring};

fn service() -> Service {
    Service::start_wired(ApiConfig::default(), Wiring::FencesOnly, None)
}

fn circle(name: &str) -> Value {
    json!({"type": "Feature", "properties": {"name": name, "radius_m": 300},
           "geometry": {"type": "Point", "coordinates": [3.4, 6.5]}})
}

fn put(service: &Service, path: &str, feature: &Value) -> crate::harness::Answer {
    service.request("PUT", &format!("/api/v1/fences/{path}"), &[], feature.to_string().as_bytes())
}

#[test]
fn what_is_put_is_shown_at_its_tick() {
    let service = service();
    let answer = put(&service, "yard%2F1", &circle("Yard")).json();
    assert_eq!(answer["accepted"], 1);
    let tick = answer["tick"].as_u64().unwrap();
    let mut shown = service.get_json(&format!("/api/v1/fences/yard%2F1?min_tick={tick}"));
    assert_eq!((&shown["id"], &shown["properties"]["name"]), (&json!("yard/1"), &json!("Yard")));
    assert!(shown["as_of"].is_string());
    // What was read can be edited and put as it is.
    shown["properties"]["name"] = "Yard one".into();
    let tick = put(&service, "yard%2F1", &shown).json()["tick"].as_u64().unwrap();
    put(&service, "a", &circle("A"));
    let page = service.get_json(&format!("/api/v1/fences?limit=1&min_tick={}", tick + 1));
    assert_eq!((&page["type"], &page["features"][0]["id"]), (&json!("FeatureCollection"), &json!("a")));
    let rest = service.get_json(&format!("/api/v1/fences?cursor={}", page["next_cursor"].as_str().unwrap()));
    assert_eq!(rest["features"][0]["properties"]["name"], "Yard one");
    assert_eq!((&rest["features"].as_array().unwrap().len(), &rest["next_cursor"]), (&1, &Value::Null));
    assert!(rest["features"][0].get("tick").is_none(), "what answers add is not stored");
}

#[test]
fn bad_fences_are_refused_with_a_reason() {
    let service = service();
    let mut other_id = circle("A");
    other_id["id"] = "b".into();
    assert!(put(&service, "a", &other_id).problem(400).contains("\"b\""));
    other_id["id"] = 5.into();
    assert_eq!(put(&service, "5", &other_id).status, 200, "a number is the same text");
    assert!(put(&service, "a", &json!([])).problem(400).contains("Feature"));
    let mut negative = circle("A");
    negative["properties"]["radius_m"] = (-1).into();
    let answer = put(&service, "a", &negative);
    answer.problem(422);
    assert!(answer.json()["errors"][0]["reason"].as_str().unwrap().contains("radius_m"));
    assert_eq!(service.store.dead_letters().counts().kept, 3, "refused edits can be looked at, too");
    service.get("/api/v1/fences/a").problem(404);
}

#[test]
fn a_deleted_id_comes_back_only_on_purpose() {
    let service = service();
    let delete = |query: &str| service.request("DELETE", &format!("/api/v1/fences/a{query}"), &[], b"");
    delete("").problem(404);
    put(&service, "a", &circle("A"));
    assert!(delete("?at=never").problem(400).contains("at"));
    assert_eq!(delete("?at=2026-01-05T00:00:00Z").json()["accepted"], 1);
    // Judged by what is durable, without a wait in between.
    assert!(put(&service, "a", &circle("A")).problem(409).contains("valid_from"));
    assert!(put(&service, "a?correct_history=maybe", &circle("A")).problem(400).contains("correct_history"));
    let mut again = circle("A");
    again["properties"]["valid_from"] = "2026-02-01T00:00:00Z".into();
    assert_eq!(put(&service, "a", &again).status, 200);
    delete("?at=2026-03-01T00:00:00Z");
    let tick = put(&service, "a?correct_history=true", &circle("A")).json()["tick"].as_u64().unwrap();
    service.get_json(&format!("/api/v1/fences/a?min_tick={tick}"));
}

#[test]
fn edits_at_the_same_time_are_judged_one_after_the_other() {
    let service = service();
    for round in 0..40 {
        let path = format!("f{round}");
        assert_eq!(put(&service, &path, &circle("A")).status, 200);
        let (deleted, again) = std::thread::scope(|scope| {
            let delete = || service.request("DELETE", &format!("/api/v1/fences/{path}"), &[], b"");
            let deleting = scope.spawn(delete);
            let putting = scope.spawn(|| put(&service, &path, &circle("B")));
            (deleting.join().unwrap(), putting.join().unwrap())
        });
        assert_eq!(deleted.status, 200, "{}", deleted.text());
        let tick = deleted.json()["tick"].as_u64().unwrap();
        if again.status != 200 {
            again.problem(409);
        }
        // Whichever came first: a deletion that was acknowledged holds.
        service.get(&format!("/api/v1/fences/{path}?min_tick={tick}")).problem(404);
    }
}

#[test]
fn a_deletion_that_is_yet_to_come_does_not_stand_in_the_way() {
    let service = service();
    put(&service, "a", &circle("A"));
    let deleted = service.request("DELETE", "/api/v1/fences/a?at=2999-01-01T00:00:00Z", &[], b"");
    assert_eq!(deleted.status, 200);
    let tick = put(&service, "a", &circle("B")).json()["tick"].as_u64().unwrap();
    let shown = service.get_json(&format!("/api/v1/fences/a?min_tick={tick}"));
    assert_eq!(shown["properties"]["name"], "B");
}

#[test]
fn what_was_deleted_stays_deleted_before_a_version_that_is_yet_to_come() {
    let service = service();
    put(&service, "a", &circle("A"));
    service.request("DELETE", "/api/v1/fences/a?at=2026-01-05T00:00:00Z", &[], b"");
    let mut later = circle("A");
    later["properties"]["valid_from"] = "2999-01-01T00:00:00Z".into();
    assert_eq!(put(&service, "a", &later).status, 200);
    assert!(put(&service, "a", &circle("A")).problem(409).contains("valid_from"));
    assert_eq!(put(&service, "a?correct_history=true", &circle("A")).status, 200);
}

#[test]
fn an_edit_of_what_was_changed_meanwhile_is_refused() {
    let service = service();
    let tag = |tick: u64| {
        let answer = service.get(&format!("/api/v1/fences/a?min_tick={tick}"));
        answer.header("etag").expect("one fence has a tag").to_owned()
    };
    let put_if = |tags: &str, feature: &Value| {
        let body = feature.to_string();
        service.request("PUT", "/api/v1/fences/a", &[("If-Match", tags)], body.as_bytes())
    };
    let tick_of = |answer: &crate::harness::Answer| answer.json()["tick"].as_u64().unwrap();

    assert!(put_if("*", &circle("A")).problem(412).contains("not there"));
    let first = tag(tick_of(&put(&service, "a", &circle("A"))));
    let second = tag(tick_of(&put_if(&first, &circle("B"))));
    assert_ne!(first, second);
    assert!(put_if(&first, &circle("C")).problem(412).contains("read it again"));
    put_if(&format!("W/{second}"), &circle("C")).problem(412);
    assert_eq!(service.get_json("/api/v1/fences/a")["properties"]["name"], "B");
    // What another version holds from tomorrow on would be lost, too.
    let mut later = circle("A");
    later["properties"]["valid_from"] = "2999-01-01T00:00:00Z".into();
    let third = tag(tick_of(&put_if(&format!("\"x\", {second}"), &later)));
    put_if(&second, &circle("C")).problem(412);
    assert_eq!(tag(tick_of(&put_if(&third, &circle("A")))), tag(0), "a tag is good until the next edit");
    assert_eq!(put_if("*", &circle("D")).status, 200);
}
