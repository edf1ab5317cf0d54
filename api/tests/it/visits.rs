//! Visits by id: the one that stands, what took its place, and the story of both.

use std::time::{Duration, Instant};

use api::ApiConfig;
use model::{Cause, Change, Row, VisitId, Why};
use serde_json::{Value, json};

use crate::harness::{START_MS, Service, visit};

fn by(cause: Cause, seq: u64, change: Change) -> Change {
    Change { why: Why { cause, seq }, ..change }
}

fn id(change: &Change) -> String {
    match &change.row {
        Row::Visit(visit) => VisitId::of(visit).to_string(),
        other => panic!("no visit: {other:?}"),
    }
}

fn history(service: &Service, id: &str) -> Value {
    service.get_json(&format!("/api/v1/visits/{id}/history"))
}

/// The changes of a story: tick, what happened, to which id, why, and by which record.
fn told(story: &Value) -> Vec<(u64, String, String, String, u64)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = story["items"].as_array().unwrap().iter();
    let event = |event: &Value| {
        let (tick, seq) = (event["tick"].as_u64().unwrap(), event["seq"].as_u64().unwrap());
        (tick, text(&event["change"]), text(&event["id"]), text(&event["cause"]), seq)
    };
    items.map(event).collect()
}

fn event(tick: u64, change: &str, id: &str, cause: &str, seq: u64) -> (u64, String, String, String, u64) {
    (tick, change.to_owned(), id.to_owned(), cause.to_owned(), seq)
}

#[test]
fn an_id_leads_to_what_stands_in_its_place() {
    let service = Service::start(ApiConfig::default());
    let (first, second, third) =
        (visit(1, "yard", 600, Some(3600)), visit(1, "yard", 700, Some(3600)), visit(1, "yard", 500, None));
    let gone = |change: &Change| Change { diff: -1, ..change.clone() };
    // Another place and another time, far away, which have nothing to do with it.
    let elsewhere = visit(1, "depot", 600, Some(3600));
    let later = visit(1, "yard", 90_000, None);
    service.close(vec![], vec![first.clone(), elsewhere.clone()], vec![]);
    let shown = service.get_json(&format!("/api/v1/visits/{}", id(&first)));
    assert_eq!((&shown["id"], &shown["successor_of"]), (&json!(id(&first)), &Value::Null));
    assert_eq!((&shown["tick"], &shown["arrived"]), (&json!(1), &json!("2026-01-05T00:10:00Z")));

    let late = |change: Change| by(Cause::LateFix, 41, change);
    service.close(vec![], vec![late(gone(&first)), late(second.clone()), later.clone()], vec![]);
    let fence = |change: Change| by(Cause::FenceEdit, 55, change);
    service.close(vec![], vec![fence(gone(&second)), fence(third.clone())], vec![]);
    for old in [&first, &second] {
        let shown = service.get_json(&format!("/api/v1/visits/{}", id(old)));
        assert_eq!((&shown["id"], &shown["successor_of"]), (&json!(id(&third)), &json!(id(old))));
    }
    let story = history(&service, &id(&first));
    let expected = [
        event(1, "came", &id(&first), "first", 1),
        event(2, "went", &id(&first), "late_fix", 41),
        event(2, "came", &id(&second), "late_fix", 41),
        event(3, "came", &id(&third), "fence_edit", 55),
        event(3, "went", &id(&second), "fence_edit", 55),
    ];
    assert_eq!(told(&story), expected, "in order of tick and arrival");
    assert_eq!((&story["current"], &story["complete"]), (&json!(id(&third)), &json!(true)));
    let went = &story["items"][1];
    assert_eq!((&went["successor"], &went["new"]), (&json!(id(&second)), &Value::Null));
    assert_eq!(went["old"]["arrived"], "2026-01-05T00:10:00Z");
    assert_eq!(went["instant"], "2026-01-05T00:00:02Z");
    // The story is the same from whichever end it is asked for.
    assert_eq!(told(&history(&service, &id(&third))), expected);
    assert_eq!(told(&history(&service, &id(&later))).len(), 1);
    assert_eq!(told(&history(&service, &id(&elsewhere))).len(), 1);

    // What comes back stands for itself again.
    service.close(vec![], vec![gone(&third), first.clone()], vec![]);
    let shown = service.get_json(&format!("/api/v1/visits/{}", id(&first)));
    assert_eq!((&shown["id"], &shown["successor_of"]), (&json!(id(&first)), &Value::Null));
    let shown = service.get_json(&format!("/api/v1/visits/{}", id(&second)));
    assert_eq!(shown["id"], id(&first), "by way of the third");
}

#[test]
fn stays_that_are_joined_and_parted_are_one_story() {
    let service = Service::start(ApiConfig::default());
    let (morning, noon) = (visit(1, "yard", 0, Some(1000)), visit(1, "yard", 2000, Some(3000)));
    let whole = visit(1, "yard", 0, Some(3000));
    let gone = |change: &Change| Change { diff: -1, ..change.clone() };
    service.close(vec![], vec![morning.clone(), noon.clone()], vec![]);
    service.close(vec![], vec![gone(&morning), gone(&noon), whole.clone()], vec![]);
    let shown = service.get_json(&format!("/api/v1/visits/{}", id(&noon)));
    assert_eq!(shown["id"], id(&whole), "joined");
    service.close(vec![], vec![gone(&whole), morning.clone(), noon.clone()], vec![]);
    let expected = [
        event(1, "came", &id(&morning), "first", 1),
        event(1, "came", &id(&noon), "first", 1),
        event(2, "replaced", &id(&morning), "first", 1),
        event(2, "went", &id(&noon), "first", 1),
        event(3, "replaced", &id(&morning), "first", 1),
        event(3, "came", &id(&noon), "first", 1),
    ];
    assert_eq!(told(&history(&service, &id(&noon))), expected);
    let page = service.get_json(&format!("/api/v1/visits/{}/history?limit=4", id(&noon)));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = service.get_json(&format!("/api/v1/visits/{}/history?limit=4&cursor={cursor}", id(&noon)));
    service.get(&format!("/api/v1/visits/00000000000000ff/history?cursor={cursor}")).problem(400);
    assert_eq!([told(&page), told(&rest)].concat(), expected);
    assert_eq!(rest["next_cursor"], Value::Null);
}

#[test]
fn what_was_joined_and_is_parted_leads_to_the_part_that_it_was() {
    let service = Service::start(ApiConfig::default());
    let gone = |change: &Change| Change { diff: -1, ..change.clone() };
    let (morning, noon) = (visit(1, "yard", 0, Some(1000)), visit(1, "yard", 2000, Some(3000)));
    let whole = visit(1, "yard", 0, Some(3000));
    service.close(vec![], vec![morning.clone(), noon.clone()], vec![]);
    service.close(vec![], vec![gone(&morning), gone(&noon), whole.clone()], vec![]);
    let shown = |change: &Change| service.get_json(&format!("/api/v1/visits/{}", id(change)));
    assert_eq!(shown(&noon)["id"], id(&whole));
    let (forenoon, early_noon) = (visit(1, "yard", 0, Some(900)), visit(1, "yard", 1900, Some(3000)));
    service.close(vec![], vec![gone(&whole), forenoon.clone(), early_noon.clone()], vec![]);
    assert_eq!(shown(&noon)["id"], id(&early_noon), "the first part shares no time with it");
    assert_eq!(shown(&noon)["successor_of"], id(&noon));
    assert_eq!(shown(&forenoon)["successor_of"], Value::Null);
    // The part is corrected in its turn.
    let later_noon = visit(1, "yard", 2100, Some(3000));
    service.close(vec![], vec![gone(&early_noon), later_noon.clone()], vec![]);
    assert_eq!(shown(&noon)["id"], id(&later_noon));
    let story = history(&service, &id(&noon));
    assert_eq!(story["current"], id(&later_noon));
    assert!(told(&story).contains(&event(4, "came", &id(&later_noon), "first", 1)), "{story}");
    // What is changed elsewhere changes nothing of it, and where all of it goes nothing stands.
    service.close(vec![], vec![gone(&forenoon), visit(1, "yard", 0, Some(950))], vec![]);
    assert_eq!(shown(&noon)["id"], id(&later_noon));
    service.close(vec![], vec![gone(&later_noon)], vec![]);
    let detail = service.get(&format!("/api/v1/visits/{}", id(&noon))).problem(410);
    assert!(detail.contains("tick 2"), "{detail}");
}

#[test]
fn an_open_visit_takes_time_until_the_instant() {
    let service = Service::start(ApiConfig::default());
    let gone = |change: &Change| Change { diff: -1, ..change.clone() };
    let (open, joined) = (visit(1, "yard", -4000, None), visit(1, "yard", -5000, None));
    service.close(vec![], vec![open.clone()], vec![]);
    service.close(vec![], vec![gone(&open), joined.clone()], vec![]);
    let (closed, next) = (visit(1, "yard", -5000, Some(10)), visit(1, "yard", 20, None));
    service.close(vec![], vec![gone(&joined), closed.clone(), next], vec![]);
    let shown = service.get_json(&format!("/api/v1/visits/{}", id(&open)));
    assert_eq!(shown["id"], id(&closed), "the next one may last longer, and has nothing to do with it");
}

#[test]
fn a_story_begins_with_a_whole_tick() {
    let service = Service::start(ApiConfig::default());
    let (short, long) = (visit(1, "yard", 0, Some(1000)), visit(1, "yard", 0, Some(1100)));
    service.close(vec![], vec![short.clone()], vec![]);
    service.close(vec![], vec![Change { diff: -1, ..short.clone() }, long], vec![]);
    // With one more the newest 20,000 would begin with the second half of the second tick.
    let others = (1..=19_999).map(|n| visit(1, "yard", n * 10_000, Some(n * 10_000 + 500)));
    let mut others: Vec<Change> = others.collect();
    let last = others.pop().unwrap();
    service.close(vec![], others, vec![]);
    let story = history(&service, &id(&short));
    assert_eq!((told(&story).len(), &story["complete"]), (1, &json!(false)), "{story}");
    service.close(vec![], vec![last], vec![]);
    let story = history(&service, &id(&short));
    assert_eq!((told(&story), &story["complete"]), (vec![], &json!(false)));
}

#[test]
fn a_visit_that_goes_on_as_expected_is_not_linked_with_the_next() {
    let service = Service::start(ApiConfig::default());
    let (open, closed) = (visit(1, "yard", 0, None), visit(1, "yard", 0, Some(1000)));
    service.close(vec![], vec![open.clone()], vec![]);
    let next = visit(1, "yard", 2000, None);
    service.close(vec![], vec![Change { diff: -1, ..open.clone() }, closed, next.clone()], vec![]);
    assert_eq!(told(&history(&service, &id(&next))), [event(2, "came", &id(&next), "first", 1)]);
}

#[test]
fn what_is_gone_for_good_and_what_never_was_are_told_apart() {
    let service = Service::start(ApiConfig::default());
    let visit_ = visit(1, "yard", 600, Some(3600));
    service.close(vec![], vec![visit_.clone()], vec![]);
    let far = visit(1, "yard", 100_000, Some(200_000));
    let gone = by(Cause::FenceEnd, 9, Change { diff: -1, ..visit_.clone() });
    service.close(vec![], vec![gone, far], vec![]);
    let path = format!("/api/v1/visits/{}", id(&visit_));
    let detail = service.get(&path).problem(410);
    assert!(detail.contains("tick 2 (fence_end, record 9)") && detail.contains("/history"), "{detail}");
    let story = history(&service, &id(&visit_));
    assert_eq!((told(&story).len(), &story["current"]), (2, &Value::Null));

    service.get("/api/v1/visits/00000000000000ff").problem(404);
    service.get("/api/v1/visits/00000000000000ff/history").problem(404);
    for bad in ["7", "8DEFB3E6D8CAF31X", "T1"] {
        assert!(service.get(&format!("/api/v1/visits/{bad}")).problem(400).contains("16 hexadecimal digits"));
    }
    // Once its changes are trimmed, nobody knows it any more.
    service.store.changelog().trim(START_MS + 60_000).unwrap();
    service.get(&path).problem(404);
}

#[test]
fn a_visit_outlives_its_story() {
    let service = Service::start(ApiConfig::default());
    let (open, closed) = (visit(1, "yard", 0, None), visit(1, "yard", 0, Some(1000)));
    service.close(vec![], vec![open.clone()], vec![]);
    service.close(vec![], vec![Change { diff: -1, ..open.clone() }, closed.clone()], vec![]);
    service.store.changelog().trim(START_MS + 1_500).unwrap();
    let story = history(&service, &id(&open));
    assert_eq!(told(&story), [event(2, "replaced", &id(&open), "first", 1)]);
    assert_eq!(story["complete"], false, "it came before that");
    service.store.changelog().trim(START_MS + 60_000).unwrap();
    assert_eq!(
        service.get_json(&format!("/api/v1/visits/{}", id(&open)))["departed"],
        "2026-01-05T00:16:40Z"
    );
    let story = history(&service, &id(&open));
    assert_eq!((told(&story).len(), &story["complete"]), (0, &json!(false)));
}

#[test]
fn one_visit_at_a_time_is_explained_and_not_for_ever() {
    let timeout = Duration::from_secs(3);
    let service = Service::start(ApiConfig { request_timeout: timeout, ..ApiConfig::default() });
    let path = |id: u64| format!("/api/v1/visits/{}/explain", VisitId(id));
    assert_eq!(service.get_json(&path(1)), json!({"id": "0000000000000001"}));
    service.get(&path(3)).problem(404);
    std::thread::scope(|scope| {
        // The place may be taken by one of the others below when it asks first.
        let endless = scope.spawn(|| {
            loop {
                let answer = service.get(&path(2)).problem(503);
                if !answer.contains("another visit") {
                    return answer;
                }
            }
        });
        let began = Instant::now();
        // Until the endless one has begun, others find the place free.
        while service.get(&path(1)).status == 200 {
            assert!(began.elapsed() < timeout, "the first explanation never began");
        }
        assert!(service.get(&path(1)).problem(503).contains("another visit"));
        let detail = endless.join().unwrap();
        assert!(detail.contains("watchtower explain visit 0000000000000002"), "{detail}");
    });
    assert_eq!(service.get(&path(1)).status, 200);
}
