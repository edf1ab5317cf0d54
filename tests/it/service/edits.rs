//! Corrections through a running service: fences edited over HTTP, settings changed between two runs.

use crate::common::{
    Change, Client, NO_HEARTBEAT, Service, Tables, changes_until, circle, export, fence_record, fix, now_ms,
    replay, sum, tick_of, verify,
};

const YARD: (f64, f64) = (3.4, 6.5);
const DEPOT: (f64, f64) = (3.41, 6.5);
const MINUTE: i64 = 60_000;

/// From `start` on at the depot, then 15 minutes in the yard, then at the depot again.
fn drive(start: i64) -> String {
    let at = |minute: i64, place: (f64, f64)| fix("T1", start + minute * MINUTE, place.0, place.1);
    let mut fixes = vec![at(0, DEPOT)];
    fixes.extend((2..17).map(|minute| at(minute, YARD)));
    fixes.extend([at(19, DEPOT), at(20, DEPOT)]);
    fixes.join("\n")
}

fn feature(place: (f64, f64)) -> String {
    circle("yard", place.0, place.1, 100.0)
}

/// One row a tuple: the span's first time and its second, in minutes since `start`, and the rest of the row.
fn span(table: &str, start: i64, from: i64, to: Option<i64>, reason: &str) -> String {
    let time = |minute: i64| model::TimeMs(start + minute * MINUTE).to_string();
    let quoted = |minute: Option<i64>| minute.map_or("null".to_owned(), |m| format!("{:?}", time(m)));
    let (first, last) = if table == "visits" { ("arrived", "departed") } else { ("entered", "exited") };
    let rest = if table == "visits" {
        format!(r#""confirmed_at":"{}","presences":1"#, time(from + 5))
    } else {
        format!(r#""end_reason":{reason}"#)
    };
    format!(
        r#"{{"vehicle_id":"T1","fence_id":"yard","{first}":"{}","{last}":{},{rest}}}"#,
        time(from),
        quoted(to)
    )
}

/// The changes of one tick, as (diff, row), but for those of KPIs, and that the whole is still what a replay gives.
fn changes_of(service: &mut Service, tick: u64) -> Vec<(i64, String)> {
    let all = changes_until(service.address(), "0-0", tick);
    let shown = service.tables(tick);
    assert_sums_to(&all, &shown);
    shown.assert_same("the service", &replay(&export(service.data())), "the replay of its export");
    let of_tick = all.into_iter().filter(|change| change.id.0 == tick && change.table != "kpis");
    of_tick.map(|change| (change.diff, change.row)).collect()
}

fn assert_sums_to(changes: &[Change], shown: &Tables) {
    let mut sorted = shown.clone();
    sorted.0.iter_mut().for_each(|table| table.sort());
    sum(changes).assert_same("the sum of all changes", &sorted, "the tables");
}

#[test]
fn edits_of_a_fence_over_http_correct_history_with_retractions() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let mut client = service.client();
    let put = |client: &mut Client, query: &str, body: &str| {
        let path = format!("/api/v1/fences/yard{query}");
        client
            .send("PUT", &path, &[("Content-Type", "application/json")], body.as_bytes())
            .expect("an answer")
    };
    let start = (now_ms() - 60 * MINUTE) / 1000 * 1000;
    let presence = |from: i64, to: Option<i64>, reason: &str| span("presences", start, from, to, reason);
    let visit = |from: i64, to: Option<i64>| span("visits", start, from, to, "");

    tick_of(&put(&mut client, "", &feature(YARD)), 1);
    let posted = client.post("/api/v1/records", drive(start).as_bytes()).expect("an answer");
    let stay = (presence(2, Some(19), r#""exit""#), visit(2, Some(19)));
    let came = changes_of(&mut service, tick_of(&posted, 18));
    assert_eq!(came, [(1, stay.0.clone()), (1, stay.1.clone())]);

    // The yard was never there but where the depot is: what was said of it is taken back.
    let moved = changes_of(&mut service, tick_of(&put(&mut client, "", &feature(DEPOT)), 1));
    let (before, after) = (presence(0, Some(2), r#""exit""#), presence(19, None, "null"));
    let open_visit = visit(19, None);
    assert_eq!(
        moved,
        [(1, before.clone()), (-1, stay.0), (1, after.clone()), (-1, stay.1), (1, open_visit.clone())]
    );

    // It is gone from the 26th minute on, and ends the presence that it finds.
    let at = model::TimeMs(start + 26 * MINUTE);
    let gone = client.send("DELETE", &format!("/api/v1/fences/yard?at={at}"), &[], b"").expect("an answer");
    let gone = changes_of(&mut service, tick_of(&gone, 1));
    let ended = presence(19, Some(26), r#""fence_deleted""#);
    let left = visit(19, Some(26));
    let expected = [(-1, after.clone()), (1, ended.clone()), (-1, open_visit.clone()), (1, left.clone())];
    assert_eq!(gone, expected);
    assert_eq!(client.get("/api/v1/fences/yard").expect("an answer").status, 404);

    // To have it back one must say what for.
    assert_eq!(put(&mut client, "", &feature(DEPOT)).status, 409);
    let back = put(&mut client, "?correct_history=true", &feature(DEPOT));
    let back = changes_of(&mut service, tick_of(&back, 1));
    assert_eq!(back, [(-1, ended), (1, after), (-1, left), (1, open_visit)]);
    service.stop();
    verify(dir.path());
}

#[test]
fn settings_changed_between_two_runs_act_as_a_correction() {
    let dir = tempfile::tempdir().expect("a folder");
    let start = (now_ms() - 60 * MINUTE) / 1000 * 1000;
    let run = |sets: &[&str]| Service::start(dir.path(), &[&NO_HEARTBEAT[..], sets].concat());
    let settings_records = || {
        let text = String::from_utf8(export(dir.path())).expect("an export is UTF-8");
        text.lines().filter(|l| l.contains(r#""type":"settings""#)).map(str::to_owned).collect::<Vec<_>>()
    };

    let mut service = run(&[]);
    let records = format!("{}\n{}", fence_record(&feature(YARD)), drive(start));
    let posted = service.client().post("/api/v1/records", records.as_bytes()).expect("an answer");
    let tick = tick_of(&posted, 19);
    let visit = span("visits", start, 2, Some(19), "");
    assert_eq!(service.tables(tick).table("visits"), std::slice::from_ref(&visit));
    service.stop();
    let before = settings_records().len();

    // A stay of 17 minutes is no visit any more; the first tick of the run says so.
    let mut service = run(&["--set", "visits.min_dwell_s=1200"]);
    assert_eq!(changes_of(&mut service, tick + 1), [(-1, visit.clone())]);
    let records = settings_records();
    assert_eq!(records.len(), before + 1);
    assert!(records[before].contains(r#""visits.min_dwell_s":1200"#), "{}", records[before]);
    service.stop();

    let mut service = run(&[]);
    assert_eq!(changes_of(&mut service, tick + 2), [(1, visit.clone())]);
    service.stop();
    let mut service = run(&[]);
    assert_eq!(service.tables(tick + 2).table("visits"), [visit]);
    assert_eq!(settings_records().len(), before + 2, "the same settings are not written again");
    service.stop();
    verify(dir.path());
}

#[test]
fn a_write_is_seen_by_who_asks_for_its_tick() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let (mut writer, mut reader) = (service.client(), service.client());
    let fence = fence_record(&feature(YARD));
    tick_of(&writer.post("/api/v1/records", fence.as_bytes()).expect("an answer"), 1);
    let start = now_ms() - 60 * MINUTE;
    let mut tick = 0;
    for number in 0..100 {
        let record = fix(&format!("T{number}"), start, YARD.0, YARD.1);
        tick = tick_of(&writer.post("/api/v1/records", record.as_bytes()).expect("an answer"), 1);
        let path = format!("/api/v1/presences?vehicle_id=T{number}&min_tick={tick}");
        let answer = reader.get(&path).expect("an answer").json();
        assert_eq!(answer["tick"], tick);
        assert_eq!(answer["items"][0]["vehicle_id"], format!("T{number}"), "{answer}");
    }
    // Who asks before it is written waits for it.
    let next = format!("/api/v1/presences?vehicle_id=LATER&min_tick={}", tick + 1);
    let waiting = std::thread::spawn(move || reader.get(&next).expect("an answer"));
    let record = fix("LATER", start, YARD.0, YARD.1);
    assert_eq!(tick_of(&writer.post("/api/v1/records", record.as_bytes()).expect("an answer"), 1), tick + 1);
    let seen = waiting.join().expect("no panic").json();
    assert_eq!(seen["items"][0]["vehicle_id"], "LATER");
    // And is told when it does not come.
    let never = format!("/api/v1/presences?min_tick={}", tick + 1000);
    let refused = writer.get(&never).expect("an answer");
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    service.stop();
}
