//! `explain visit` with a real service: fixes that come late, that take the place of others, and that are not
//! used; an edit of the fence; and what is left of it after a restart.

use std::path::Path;

use model::{Coord, TimeMs, geodesic_m};
use serde_json::Value;

use crate::common::{
    Client, NO_HEARTBEAT, Service, circle, export, fence_record, fix, now_ms, tick_of, watchtower,
};

const MINUTE_MS: i64 = 60_000;
/// In the yard's middle, and a kilometre away.
const INSIDE: f64 = 3.3;
const OUTSIDE: f64 = 3.31;
const FAR: f64 = 3.9;
const LAT: f64 = 6.5;

fn post(client: &mut Client, lines: &[String]) -> u64 {
    tick_of(&client.post("/api/v1/records", lines.join("\n").as_bytes()).expect("an answer"), lines.len())
}

/// A truck drives in, stays for twenty minutes, and drives out.
fn stay(start: i64) -> Vec<String> {
    let mut lines = vec![fence_record(&circle("yard", INSIDE, LAT, 300.0)), fix("T1", start, OUTSIDE, LAT)];
    lines.extend((1..=20).map(|minute| fix("T1", start + minute * MINUTE_MS, INSIDE, LAT)));
    lines.push(fix("T1", start + 21 * MINUTE_MS, OUTSIDE, LAT));
    lines
}

fn only_visit(client: &mut Client, tick: u64) -> Value {
    let page = client.get(&format!("/api/v1/visits?min_tick={tick}")).expect("a page").json();
    assert_eq!(page["items"].as_array().map(Vec::len), Some(1), "{page}");
    page["items"][0].clone()
}

fn id_of(visit: &Value) -> String {
    visit["id"].as_str().expect("an id").to_owned()
}

/// What `explain visit` says of an id.
fn explain(data: &Path, id: &str, args: &[&str]) -> String {
    let output = watchtower().args(["explain", "visit", id, "--data"]).arg(data).args(args).output();
    let output = output.expect("the command can be started");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && err.is_empty(), "{out}{err}");
    out.into_owned()
}

/// The number of the only record that holds all of some texts.
fn record_with(exported: &str, parts: &[&str]) -> usize {
    let holds = |line: &&str| parts.iter().all(|part| line.contains(part));
    let mut found = exported.lines().enumerate().filter(|(_, line)| holds(line));
    let (place, _) = found.next().unwrap_or_else(|| panic!("no record with {parts:?}"));
    assert!(found.next().is_none(), "{parts:?} are of one record only");
    place + 1
}

fn assert_says(text: &str, wanted: &[String]) {
    for line in wanted {
        assert!(text.lines().any(|said| said.trim_start() == line), "no line {line:?} in:\n{text}");
    }
}

#[test]
fn a_visit_tells_of_the_records_that_make_it_so() {
    let dir = tempfile::tempdir().expect("a folder");
    let start = now_ms() / MINUTE_MS * MINUTE_MS - 180 * MINUTE_MS;
    let at = |minutes: f64| TimeMs(start + (minutes * MINUTE_MS as f64) as i64);
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let mut client = service.client();
    let tick = post(&mut client, &stay(start));
    let first = id_of(&only_visit(&mut client, tick));

    // A late fix: for half a minute it was outside. One that takes the place of that of the arrival. A jump.
    let late = fix("T1", at(15.5).0, OUTSIDE, LAT);
    post(&mut client, std::slice::from_ref(&late));
    let other_arrival = fix("T1", at(1.0).0, OUTSIDE, LAT);
    post(&mut client, std::slice::from_ref(&other_arrival));
    post(&mut client, &[fix("T1", at(10.5).0, FAR, LAT)]);
    let own_dwell =
        circle("yard", INSIDE, LAT, 400.0).replace("\"radius_m\"", "\"min_dwell_s\":240,\"radius_m\"");
    let tick = post(&mut client, &[fence_record(&own_dwell)]);
    let second = id_of(&only_visit(&mut client, tick));
    assert_ne!(first, second, "another arrival is another visit");

    let exported = String::from_utf8(export(dir.path())).expect("UTF-8");
    let record = |minutes: f64, lon: &str| record_with(&exported, &[&at(minutes).to_string(), lon]);
    let (entered, last, left) = (record(2.0, "3.3,"), record(20.0, "3.3,"), record(21.0, "3.31"));
    let edit = record_with(&exported, &["\"min_dwell_s\":"]);
    let outside_m = geodesic_m(
        Coord::from_degrees(INSIDE, LAT).expect("a position"),
        Coord::from_degrees(OUTSIDE, LAT).expect("a position"),
    ) - 400.0;
    let text = explain(dir.path(), &second, &[]);
    let begins = |beginning: String| {
        assert!(
            text.lines().any(|line| line.trim_start().starts_with(&beginning)),
            "no {beginning:?} in:\n{text}"
        );
    };
    begins(format!("Visit {second} of T1 in yard"));
    begins(format!("arrived {}, departed {}", at(2.0), at(21.0)));
    begins(format!("entered: record {entered}, {} at 3.3, 6.5, inside the fence; received ", at(2.0)));
    begins(format!("last inside: record {last}, {} at 3.3, 6.5, inside the fence", at(20.0)));
    let beyond = format!("{outside_m:.1} m outside, beyond the buffer of 30 m");
    begins(format!("left: record {left}, {} at 3.31, 6.5, {beyond}", at(21.0)));
    begins(format!("a circle with a radius of 400 m, from record {edit}, received "));
    assert_says(
        &text,
        &[
            "20 fixes are used from its arrival on until it ended".to_owned(),
            "Presences that it joins: 2".to_owned(),
            format!("{} to {} (exit)", at(2.0), at(15.5)),
            "absent for 30 s; 120 s and less end no stay, by the fleet's setting".to_owned(),
            format!("{} to {} (exit)", at(16.0), at(21.0)),
            "together 1140 s; 240 s make a visit, by the fence's own setting".to_owned(),
            "valid at all times; left at more than 30 m from it, by the fleet's setting".to_owned(),
            "Records around it that are not used: 2".to_owned(),
        ],
    );
    let (taken_over, by) = (record(1.0, "3.3,"), record(1.0, "3.31"));
    begins(format!(
        "superseded by record {by}: record {taken_over}, {} at 3.3, 6.5, inside the fence",
        at(1.0)
    ));
    begins(format!("jump: record {}, {} at 3.9, 6.5, ", record(10.5, "3.9"), at(10.5)));
    assert!(text.contains(&format!("{first} went, arrived {}", at(1.0))), "{text}");
    assert!(text.contains(&format!("{second} takes its place")), "{text}");

    // The old id leads to the same; so does the folder alone, and a service that was started again.
    let of_first = explain(dir.path(), &first, &[]);
    let heading = format!("Visit {first} was taken back; {second} stands in its place.\n\n");
    assert_eq!(of_first.strip_prefix(&heading), Some(text.as_str()));
    let history = |client: &mut Client| {
        let mut story = client.get(&format!("/api/v1/visits/{first}/history")).expect("a story").json();
        (story["items"].take(), story["current"].take())
    };
    let before = history(&mut client);
    assert_eq!(before.1, second.as_str());
    drop(client);
    service.stop();
    let without_instant = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("exact for")).map(str::to_owned).collect()
    };
    assert_eq!(without_instant(&explain(dir.path(), &second, &[])), without_instant(&text));
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    assert_eq!(history(&mut service.client()), before);

    let json: Value = serde_json::from_str(&explain(dir.path(), &first, &["--json"])).expect("JSON");
    let over_http =
        service.client().get(&format!("/api/v1/visits/{first}/explain")).expect("an answer").json();
    assert_eq!(over_http, json);
    assert_eq!((&json["id"], &json["visit"]["id"]), (&first.as_str().into(), &second.as_str().into()));
    assert_eq!(json["why"]["entered"]["seq"], entered);
    assert_eq!(json["why"]["left"]["distance_m"].as_f64(), Some((outside_m * 100.0).round() / 100.0));
    assert_eq!(json["why"]["unused"][0]["superseded_by"], by);
    assert_eq!(json["why"]["min_dwell_s"], serde_json::json!({"value": 240.0, "set_by": "fence"}));
    assert_eq!(json["history"]["complete"], true);
}

#[test]
fn the_history_names_the_records_that_corrected_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let start = now_ms() / MINUTE_MS * MINUTE_MS - 180 * MINUTE_MS;
    let at = |minutes: f64| start + (minutes * MINUTE_MS as f64) as i64;
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let mut client = service.client();
    let tick = post(&mut client, &stay(start));
    let first = id_of(&only_visit(&mut client, tick));
    post(&mut client, &[fix("T1", at(15.5), OUTSIDE, LAT)]);
    post(&mut client, &[fix("T1", at(1.0), OUTSIDE, LAT)]);
    let own_dwell =
        circle("yard", INSIDE, LAT, 400.0).replace("\"radius_m\"", "\"min_dwell_s\":240,\"radius_m\"");
    let tick = post(&mut client, &[fence_record(&own_dwell)]);
    let second = id_of(&only_visit(&mut client, tick));

    let exported = String::from_utf8(export(dir.path())).expect("UTF-8");
    let record = |minutes: f64, lon: &str| record_with(&exported, &[&TimeMs(at(minutes)).to_string(), lon]);
    let (late, other_arrival) = (record(15.5, "3.31"), record(1.0, "3.31"));
    let edit = record_with(&exported, &["\"min_dwell_s\":"]);
    let text = explain(dir.path(), &second, &[]);
    let history: Vec<&str> = text.lines().skip_while(|line| *line != "History").skip(1).collect();
    let expected = [
        (&first, "came", format!(": as it went on, by record {}", record(21.0, "3.31"))),
        (&first, "changed", format!(": record {late} is a fix that came late")),
        (&first, "went", format!(": record {other_arrival} took the place of a fix of the same time")),
        (&second, "came", format!(": record {other_arrival} took the place of a fix of the same time")),
        (&second, "changed", format!(": the fence was edited by record {edit}")),
    ];
    assert_eq!(history.len(), expected.len(), "{text}");
    for (line, (id, change, why)) in history.iter().zip(&expected) {
        assert!(line.contains(&format!("{id} {change}")) && line.ends_with(why), "{line:?}, not {why:?}");
    }
}

#[test]
fn an_id_that_nobody_knows_is_an_error_that_says_where_ids_are() {
    let dir = tempfile::tempdir().expect("a folder");
    let service = Service::start(dir.path(), &NO_HEARTBEAT);
    let run = |id: &str| {
        let output = watchtower().args(["explain", "visit", id, "--data"]).arg(dir.path()).output();
        let output = output.expect("the command can be started");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run("00000000000000ff");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("no visit 00000000000000ff") && said.contains("/api/v1/visits"), "{said}");
    let (code, said) = run("yard");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("16 hexadecimal digits"), "{said}");
    drop(service);
}
