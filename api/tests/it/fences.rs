//! Fences over HTTP: GeoJSON in and out, through the journal.

use std::time::Duration;

use api::ApiConfig;
use journal::Log;
use serde_json::{Value, json};

use crate::harness::{Service, Wiring};

fn service() -> Service {
    Service::start_wired(ApiConfig::default(), Wiring::SaidOnly, None)
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

#[test]
fn a_deletion_is_of_what_was_read() {
    let service = service();
    let delete_if = |tags: &str| service.request("DELETE", "/api/v1/fences/a", &[("If-Match", tags)], b"");
    let tag = |tick: &Value| {
        let answer = service.get(&format!("/api/v1/fences/a?min_tick={tick}"));
        answer.header("etag").expect("one fence has a tag").to_owned()
    };
    delete_if("*").problem(412);
    let first = tag(&put(&service, "a", &circle("A")).json()["tick"]);
    let second = tag(&put(&service, "a", &circle("B")).json()["tick"]);
    assert!(delete_if(&first).problem(412).contains("read it again"));
    for empty in ["", " , "] {
        assert!(delete_if(empty).problem(400).contains("If-Match is empty"));
        let body = circle("C").to_string();
        let put = service.request("PUT", "/api/v1/fences/a", &[("If-Match", empty)], body.as_bytes());
        assert!(put.problem(400).contains("If-Match is empty"));
    }
    assert_eq!(service.get_json("/api/v1/fences/a")["properties"]["name"], "B");
    let tick = delete_if(&second).json()["tick"].as_u64().unwrap();
    service.get(&format!("/api/v1/fences/a?min_tick={tick}")).problem(404);
    assert!(delete_if(&second).problem(412).contains("not there"));
}

/// The names that fences were given from a tick on, in the order of the journal.
fn names_in_the_journal(service: &Service, from_tick: u64) -> Vec<String> {
    let log = service.store.log();
    let (last, _) = log.last_tick().unwrap();
    let entries = log.read(from_tick, last).flat_map(|tick| tick.unwrap().entries);
    let name = |payload: &[u8]| {
        let record: Value = serde_json::from_slice(payload).unwrap();
        record["feature"]["properties"]["name"].as_str().unwrap().to_owned()
    };
    entries.map(|entry| name(&entry.payload)).collect()
}

#[test]
fn an_edit_is_judged_by_records_that_wait_for_the_journal_too() {
    let service = service();
    for round in 0..60 {
        let tick = put(&service, "a", &circle("first")).json()["tick"].as_u64().unwrap();
        let read = service.get(&format!("/api/v1/fences/a?min_tick={tick}"));
        let tag = read.header("etag").unwrap().to_owned();
        let mut feature = circle("posted");
        feature["id"] = "a".into();
        let record = json!({"type": "fence", "op": "upsert", "feature": feature}).to_string();
        let letter = service.store.dead_letters().add(1, 2, "", "bad", record.as_bytes()).unwrap();
        let post = || match round % 2 {
            0 => service.post(&format!("/api/v1/dead-letters/{letter}/replay"), b""),
            _ => service.post("/api/v1/records", record.as_bytes()),
        };
        let (posted, edited) = std::thread::scope(|scope| {
            let posting = scope.spawn(post);
            // Now a little before the other, now a little behind it.
            std::thread::sleep(Duration::from_micros(round * 100));
            let body = circle("edited").to_string();
            let edited = service.request("PUT", "/api/v1/fences/a", &[("If-Match", &tag)], body.as_bytes());
            (posting.join().unwrap(), edited)
        });
        assert_eq!(posted.status, 200, "{}", posted.text());
        let names = names_in_the_journal(&service, tick);
        if edited.status == 200 {
            assert_eq!(names, ["first", "edited", "posted"], "the edit was of the first");
        } else {
            edited.problem(412);
            assert_eq!(names, ["first", "posted"]);
        }
    }
}

#[test]
fn an_edit_that_waits_for_what_is_durable_holds_up_no_other() {
    // Nothing is shown but what the test closes, as while a backfill is computed.
    let service = Service::start(ApiConfig::default());
    service.post("/api/v1/records", crate::harness::position_line("T1", 1).as_bytes());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| service.request("DELETE", "/api/v1/fences/a", &[], b""));
        std::thread::sleep(Duration::from_millis(300));
        let mut change = circle("A");
        change["properties"]["valid_from"] = "2026-02-01T00:00:00Z".into();
        assert_eq!(put(&service, "b", &change).status, 200, "nothing is judged of it");
        assert!(!waiting.is_finished(), "it waits for the first tick all the while");
        service.close(vec![], vec![], vec![]);
        service.close(vec![], vec![], vec![]);
        waiting.join().unwrap().problem(404);
    });
}
