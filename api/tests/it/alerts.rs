//! Alerts: what is shown of them, what people say of them, and their stories.

use api::ApiConfig;
use journal::Log;
use model::{AlertRow, Cause, Change, Severity, Why};
use serde_json::{Value, json};

use crate::harness::{Service, alert, alert_change};

const DAY_S: i64 = 86_400;

fn path(row: &AlertRow) -> String {
    format!("/api/v1/alerts/{}", row.alert_id)
}

/// A tick after which an alert is another one.
fn replace(service: &Service, old: &AlertRow, new: &AlertRow) {
    service.close(vec![], vec![alert_change(-1, old), alert_change(1, new)], vec![]);
}

#[test]
fn an_alert_is_shown_with_what_is_known_beside_its_row() {
    let service = Service::start(ApiConfig::default());
    let row = alert("overspeed", 0, None);
    service.close(vec![], vec![alert_change(1, &row)], vec![]);
    let id = row.alert_id.to_string();
    let shown = service.get_json(&path(&row));
    let expected = json!({
        "as_of": "2026-01-05T00:00:01Z", "tick": 1,
        "alert_id": id, "kind": "overspeed", "severity": "warning", "vehicle_id": "T1", "fence_id": null,
        "trip_id": null, "started": "2026-01-05T00:00:00Z", "due_at": "2026-01-05T00:00:00Z", "ended": null,
        "details": {}, "state": "open", "acknowledged": null, "resolved": null,
        "learned_at": "2026-01-05T00:00:01Z", "late": false, "told_at": "2026-01-05T00:00:01Z", "revision": 1,
        "episode": id, "supersedes": [], "successor_of": null,
    });
    assert_eq!(shown, expected);

    let ended = AlertRow { severity: Severity::Critical, ..alert("overspeed", 0, Some(60)) };
    replace(&service, &row, &ended);
    let shown = service.get_json(&path(&row));
    assert_eq!((&shown["revision"], &shown["severity"]), (&json!(2), &json!("critical")));
    assert_eq!(shown["learned_at"], "2026-01-05T00:00:01Z");
    service.get("/api/v1/alerts/0000000000000000").problem(404);
    for odd in ["x", "%00", "0000000000000000/x", "..%2F..", "000000000000000000000"] {
        service.get(&format!("/api/v1/alerts/{odd}")).problem(404);
    }
}

#[test]
fn what_takes_the_place_of_an_alert_is_shown_in_its_place() {
    let service = Service::start(ApiConfig::default());
    let (first, second) = (alert("idle", 0, Some(60)), alert("idle", 30, Some(60)));
    service.close(vec![], vec![alert_change(1, &first)], vec![]);
    replace(&service, &first, &second);
    let shown = service.get_json(&path(&first));
    assert_eq!(shown["alert_id"], second.alert_id.to_string());
    assert_eq!(shown["successor_of"], first.alert_id.to_string());
    assert_eq!(shown["supersedes"], json!([first.alert_id.to_string()]));
    assert_eq!(shown["told_at"], "2026-01-05T00:00:01Z", "people were told of the first");
    service.close(vec![], vec![alert_change(-1, &second)], vec![]);
    for gone in [&first, &second] {
        assert!(service.get(&path(gone)).problem(410).contains("taken back"));
    }
    assert_eq!(service.get_json("/api/v1/alerts")["items"], json!([]));
}

#[test]
fn what_people_say_is_a_record_and_carries_over() {
    let service = Service::start(ApiConfig::default());
    let (first, second) = (alert("idle", 0, None), alert("idle", 1, None));
    service.close(vec![], vec![alert_change(1, &first)], vec![]);
    let answer = service.post(&format!("{}/acknowledge", path(&first)), br#"{"by":"ada \"x\"\nb"}"#);
    assert_eq!((answer.status, &answer.json()["accepted"]), (200, &json!(1)), "{}", answer.text());
    let tick = service.store.log().read(1, 1).next().unwrap().unwrap();
    let record = String::from_utf8(tick.entries[0].payload.to_vec()).unwrap();
    let said: Value = serde_json::from_str(&record).unwrap();
    let id = first.alert_id.to_string();
    assert_eq!(said, json!({"type": "acknowledge", "alert_id": id, "by": "ada \"x\"\nb"}));

    service.close_said(&record, vec![], vec![]);
    let at = json!({"by": "ada \"x\"\nb", "at": "2026-01-05T00:00:02Z"});
    let shown = service.get_json(&path(&first));
    assert_eq!((&shown["state"], &shown["acknowledged"]), (&json!("acknowledged"), &at));
    replace(&service, &first, &second);
    let shown = service.get_json(&path(&second));
    assert_eq!((&shown["state"], &shown["acknowledged"]), (&json!("acknowledged"), &at));
    // By an id that is of the past, too.
    service.close_said(&format!(r#"{{"type":"resolve","alert_id":"{id}","by":"ben"}}"#), vec![], vec![]);
    assert_eq!(service.get_json(&path(&second))["state"], "resolved");
    let of_state = |state: &str| service.read_all(&format!("/api/v1/alerts?state={state}")).len();
    assert_eq!([of_state("open"), of_state("acknowledged"), of_state("resolved")], [0, 0, 1]);
}

#[test]
fn marks_that_cannot_be_meant_are_refused_and_leave_nothing() {
    let service = Service::start(ApiConfig::default());
    let row = alert("idle", 0, None);
    service.close(vec![], vec![alert_change(1, &row)], vec![]);
    let long = format!(r#"{{"by":"{}"}}"#, "x".repeat(2000));
    for (body, word) in [
        ("", "by"),
        ("[]", "by"),
        ("{}", "by"),
        (r#"{"by":" "}"#, "empty"),
        (r#"{"by":7}"#, "by"),
        (r#"{"by":"ada","alert_id":"x"}"#, "alert_id"),
        (&long, "bytes"),
    ] {
        let answer = service.post(&format!("{}/resolve", path(&row)), body.as_bytes());
        assert!(answer.problem(400).contains(word), "{body}: {}", answer.text());
    }
    service.post("/api/v1/alerts/0000000000000000/resolve", br#"{"by":"ada"}"#).problem(404);
    service.get(&format!("{}/resolve", path(&row))).problem(405);
    assert_eq!(service.store.log().last_tick(), None);
    assert_eq!(service.get_json("/api/v1/dead-letters")["items"], json!([]));
    assert_eq!(service.get_json(&path(&row))["state"], "open");
}

#[test]
fn lists_are_filtered_and_paged() {
    let service = Service::start(ApiConfig::default());
    let of = |row: AlertRow, fence: Option<&str>, trip: Option<&str>| AlertRow {
        fence_id: fence.map(Into::into),
        trip_id: trip.map(Into::into),
        ..row
    };
    let rows = [
        of(alert("idle", -7200, Some(-3600)), None, None),
        of(alert("overspeed", 0, Some(10)), Some("yard"), Some("t")),
        of(alert("idle", 20, None), None, Some("t")),
        AlertRow { severity: Severity::Critical, ..alert("sos", 20, Some(20)) },
    ];
    service.close(vec![], rows.iter().map(|row| alert_change(1, row)).collect(), vec![]);
    let starts = |query: &str| -> Vec<String> {
        let items = service.read_all(&format!("/api/v1/alerts?{query}"));
        let start = |item: &Value| {
            let started = item["started"].as_str().unwrap();
            format!("{} {}", item["kind"].as_str().unwrap(), &started[11..19])
        };
        items.iter().map(start).collect()
    };
    let all = starts("limit=1");
    assert_eq!(all.len(), 4);
    assert_eq!(&all[2..], ["overspeed 00:00:00", "idle 22:00:00"], "the newest first");
    assert_eq!(starts("kind=idle&late=false"), ["idle 00:00:20"]);
    assert_eq!(starts("late=true"), ["idle 22:00:00"]);
    assert_eq!(starts("severity=critical&vehicle_id=T1"), ["sos 00:00:20"]);
    assert_eq!(starts("fence_id=yard&trip_id=t"), ["overspeed 00:00:00"]);
    assert_eq!(starts("from=2026-01-05T00:00:10Z&kind=overspeed").len(), 0, "it ended then");
    assert_eq!(starts("from=2026-01-05T00:00:09Z&kind=overspeed").len(), 1);
    assert_eq!(starts("to=2026-01-05T00:00:00Z"), ["idle 22:00:00"]);
    assert_eq!(starts("from=2026-01-06T00:00:00Z"), ["idle 00:00:20"], "it goes on");
    assert_eq!(starts("vehicle_id=T2&state=open").len(), 0);
    for (query, word) in [
        ("state=closed", "state must be one of open, acknowledged, resolved"),
        ("severity=bad", "severity must be one of info"),
        ("late=perhaps", "late must be"),
        ("from=yesterday", "from"),
        ("from=2026-01-06T00:00:00Z&to=2026-01-05T00:00:00Z", "not before"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=61", "cursor"),
        ("cursor=61ffffffffffffffffffffffffffffffffff", "cursor"),
        ("cursor=zz", "cursor"),
        ("acknowledged=true", "acknowledged"),
        ("min_tick=x", "min_tick"),
    ] {
        assert!(service.get(&format!("/api/v1/alerts?{query}")).problem(400).contains(word), "{query}");
    }
    assert_eq!(starts("kind=%27%3B--%00"), [""; 0]);
}

#[test]
fn the_story_tells_what_it_was_and_why_it_changed() {
    let service = Service::start(ApiConfig::default());
    let open = alert("idle", 0, None);
    service.close(vec![], vec![alert_change(1, &open)], vec![]);
    let ended = alert("idle", 0, Some(60));
    let late = |change: Change| Change { why: Why { cause: Cause::LateFix, seq: 9 }, ..change };
    let changes = vec![late(alert_change(-1, &open)), late(alert_change(1, &ended))];
    service.close(vec![], changes, vec![]);
    service.close(vec![], vec![alert_change(-1, &ended)], vec![]);
    let story = service.get_json(&format!("{}/history", path(&open)));
    let told = |event: &Value| {
        let text = |name: &str| event[name].as_str().unwrap().to_owned();
        (text("change"), text("cause"), event["old"]["ended"].clone(), event["new"]["ended"].clone())
    };
    let told: Vec<_> = story["items"].as_array().unwrap().iter().map(told).collect();
    let of = |change: &str, cause: &str, old, new| (change.to_owned(), cause.to_owned(), old, new);
    let end = || json!("2026-01-05T00:01:00Z");
    assert_eq!(
        told,
        [
            of("came", "first", Value::Null, Value::Null),
            of("replaced", "late_fix", Value::Null, end()),
            of("went", "first", end(), Value::Null),
        ]
    );
    assert_eq!((&story["complete"], &story["id"]), (&json!(true), &json!(open.alert_id.to_string())));
    assert_eq!(service.read_all(&format!("{}/history?limit=1", path(&open))).len(), 3);
    service.get("/api/v1/alerts/0000000000000000/history").problem(404);
}

#[test]
fn alerts_are_shown_for_90_days() {
    let service = Service::start(ApiConfig::default());
    let (ended, open) = (alert("idle", 0, Some(10)), alert("overspeed", 0, None));
    service.close(vec![], vec![alert_change(1, &ended), alert_change(1, &open)], vec![]);
    service.pass_time_to(90 * DAY_S);
    service.close(vec![], vec![], vec![]);
    assert_eq!(service.read_all("/api/v1/alerts").len(), 2);
    service.pass_time_to(90 * DAY_S + 10);
    service.close(vec![], vec![], vec![]);
    assert_eq!(service.read_all("/api/v1/alerts").len(), 1, "what goes on is shown, however old");
    service.get(&path(&ended)).problem(404);
}
