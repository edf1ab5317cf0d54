//! `/changes`: history, the present, resuming, and what can't be resumed.

use std::time::{Duration, Instant};

use api::ApiConfig;
use model::{Cause, Change, Why};

use crate::harness::{Event, START_MS, Service, jump, presence, visit};

/// Two changes a tick: one presence ends, another begins.
fn close_some(service: &Service, ticks: std::ops::Range<i64>) {
    for n in ticks {
        let mut changes = vec![presence(1, "T1", "yard", n * 10, None)];
        if n > 0 {
            changes.push(presence(-1, "T1", "yard", (n - 1) * 10, None));
            changes.push(presence(1, "T1", "yard", (n - 1) * 10, Some((n - 1) * 10 + 5)));
        }
        service.close(vec![], changes, vec![]);
    }
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}

#[test]
fn history_turns_into_the_present_without_gap_or_repeat() {
    let service = Service::start(ApiConfig::default());
    close_some(&service, 0..400);
    let mut stream = service.follow("?cursor=0-0", &[]);
    let mut events = Vec::new();
    std::thread::scope(|scope| {
        // While the history is read, more happens.
        scope.spawn(|| close_some(&service, 400..500));
        while events.len() < 1 + 499 * 3 {
            events.push(stream.next_change());
        }
    });
    let stored = service.store.changelog().after(journal::Cursor::default(), 10_000).unwrap();
    let expected: Vec<String> = stored.iter().map(|change| change.cursor.to_string()).collect();
    assert_eq!(ids(&events), expected);
    let first = &events[0];
    assert_eq!((first.name.as_str(), &first.data["table"]), ("presences", &"presences".into()));
    assert_eq!(first.data["tick"], 1);
    assert_eq!(first.data["instant"], "2026-01-05T00:00:01Z");
    assert_eq!((&first.data["diff"], &first.data["row"]["vehicle_id"]), (&1.into(), &"T1".into()));
    let tick = stream.next_tick();
    assert_eq!((tick.id.as_str(), &tick.data["tick"]), ("500-4294967295", &500.into()));
    assert_eq!(tick.data["instant"], "2026-01-05T00:08:20Z");
}

#[test]
fn a_client_that_comes_back_goes_on_where_it_was() {
    let service = Service::start(ApiConfig::default());
    close_some(&service, 0..50);
    let mut all = Vec::new();
    let mut last_id = "0-0".to_owned();
    // The header wins over the query, as browsers send the same query again.
    for round in 0..5 {
        let mut stream = service.follow("?cursor=0-0", &[("last-event-id", &last_id)]);
        for _ in 0..20 {
            all.push(stream.next_change());
        }
        last_id = all.last().unwrap().id.clone();
        drop(stream);
        close_some(&service, 50 + round..51 + round);
    }
    let stored = service.store.changelog().after(journal::Cursor::default(), 100).unwrap();
    assert_eq!(ids(&all), stored.iter().map(|change| change.cursor.to_string()).collect::<Vec<_>>());
}

#[test]
fn without_a_cursor_it_begins_now() {
    let service = Service::start(ApiConfig::default());
    close_some(&service, 0..5);
    let mut stream = service.follow("", &[]);
    let first = stream.next().unwrap();
    assert_eq!(first.name, "tick", "all changes of the last tick are past");
    assert_eq!(first.data["tick"], 5, "at once, so that a page can show how far it is");
    let began = Instant::now();
    close_some(&service, 5..6);
    assert_eq!(stream.next_change().data["tick"], 6);
    assert!(began.elapsed() < Duration::from_secs(1));
    // Ticks without changes are told of too, though not one by one.
    for _ in 0..30 {
        service.close(vec![], vec![], vec![]);
    }
    let mut told = 1;
    while stream.next_tick().data["tick"] != 36 {
        told += 1;
    }
    assert!(told <= 5, "{told} events for 31 ticks");
}

#[test]
fn what_is_not_kept_is_gone() {
    let service = Service::start(ApiConfig::default());
    close_some(&service, 0..20);
    service.store.changelog().trim(START_MS + 10_500).unwrap();
    let oldest = service.store.changelog().oldest();
    assert!(oldest.tick > 1);
    let detail = service.get("/api/v1/changes?cursor=0-0").problem(410);
    assert!(detail.contains(&oldest.to_string()), "{detail}");
    service.follow(&format!("?cursor={oldest}"), &[]).next_change();
    service.get("/api/v1/changes?cursor=999-0").problem(410);
    for bad in ["x", "1", "1-", "-1-1", "1-2-3"] {
        assert!(service.get(&format!("/api/v1/changes?cursor={bad}")).problem(400).contains("12-3"));
    }
}

#[test]
fn followers_are_limited_and_end_with_the_service() {
    let mut service = Service::start(ApiConfig { max_sse_clients: 2, ..ApiConfig::default() });
    close_some(&service, 0..1);
    let mut first = service.follow("", &[]);
    let second = service.follow("", &[]);
    service.get("/api/v1/changes").problem(503);
    assert!(service.get("/metrics").text().contains("watchtower_sse_clients 2"));
    drop(second);
    // The place is free once the service notices; a change makes it write.
    let began = Instant::now();
    let mut tick = 1;
    loop {
        close_some(&service, tick..tick + 1);
        tick += 1;
        if service.get("/metrics").text().contains("watchtower_sse_clients 1") {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(20));
    }
    let began = Instant::now();
    service.stop();
    assert!(began.elapsed() < Duration::from_secs(3), "endless answers do not hold up the end");
    while first.next().is_some() {}
}

#[test]
fn what_only_the_changelog_corrects_is_sent_too() {
    let service = Service::start(ApiConfig::default());
    close_some(&service, 0..3);
    let mut stream = service.follow("", &[]);
    assert_eq!(stream.next_tick().data["tick"], 3, "the client has everything");
    // As a new release does in its first tick: the graph changed nothing, other rows are corrected.
    let corrected = vec![presence(1, "T2", "yard", 0, None)];
    service.close_corrected(vec![], corrected, vec![], vec![]);
    service.close(vec![], vec![], vec![]);
    service.close(vec![], vec![], vec![]);
    // Before anything else changes, so that nothing but the correction can have woken the client.
    let change = stream.next().unwrap();
    assert_eq!(change.name, "presences", "{change:?}");
    close_some(&service, 3..4);
    assert_eq!((&change.data["tick"], &change.data["row"]["vehicle_id"]), (&4.into(), &"T2".into()));
    assert_eq!(stream.next_change().data["tick"], 7);
}

#[test]
fn a_quiet_stream_shows_that_it_lives() {
    let config = ApiConfig { sse_keep_alive: Duration::from_millis(50), ..ApiConfig::default() };
    let service = Service::start(config);
    close_some(&service, 0..1);
    let mut stream = service.follow("", &[]);
    assert_eq!(stream.next().unwrap().name, "tick");
    for _ in 0..2 {
        assert_eq!(stream.next_comment(), "keep-alive");
    }
}

#[test]
fn every_change_says_why() {
    let service = Service::start(ApiConfig::default());
    let came = presence(1, "T1", "yard", 0, None);
    let why = Why { cause: Cause::LateFix, seq: 77 };
    let gone = Change { diff: -1, why, ..came.clone() };
    service.close(vec![], vec![came], vec![]);
    service.close(vec![], vec![gone], vec![]);
    let mut stream = service.follow("?cursor=0-0", &[]);
    let told = |event: Event| (event.data["cause"].clone(), event.data["seq"].clone());
    assert_eq!(told(stream.next_change()), ("first".into(), 1.into()));
    let last = stream.next_change();
    let members: Vec<&String> = last.data.as_object().unwrap().keys().collect();
    assert_eq!(members.len(), 7, "{members:?}");
    assert_eq!(told(last), ("late_fix".into(), 77.into()));
}

#[test]
fn changes_of_some_tables_are_followed() {
    let service = Service::start(ApiConfig::default());
    service.close(vec![], vec![presence(1, "T1", "yard", 0, None), jump(1, "T1", 2, 60)], vec![]);
    service.close(vec![], vec![visit(1, "yard", 0, None)], vec![]);
    let mut events = service.follow("?cursor=0-0&tables=visits,rejects", &[]);
    let told: Vec<String> = (0..2).map(|_| events.next_change().name).collect();
    assert_eq!(told, ["rejects", "visits"]);
    assert_eq!(events.next_tick().id, "2-4294967295");
    let answer = service.get("/api/v1/changes?tables=visits,moons");
    assert!(answer.problem(400).contains("moons"), "{}", answer.text());
}
