//! `backfill` with a real service, one that is killed in the middle, and a folder that is at rest.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use model::TimeMs;
use serde_json::Value;

use crate::common::{
    Client, Events, LIMIT, NO_HEARTBEAT, Service, circle, export, fence_record, fix, now_ms, replay, succeed,
    tick_of, verify, wait_until, watchtower,
};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * MINUTE_MS;
/// In the yard's middle, and a kilometre away.
const INSIDE: f64 = 3.3;
const OUTSIDE: f64 = 3.31;
const LAT: f64 = 6.5;

/// Two days ago, to the minute: longer than the horizon.
fn two_days_ago() -> i64 {
    (now_ms() - 2 * DAY_MS) / MINUTE_MS * MINUTE_MS
}

/// A truck drives in, stays for twenty minutes, and drives out: times and longitudes.
fn stay(start: i64) -> Vec<(i64, f64)> {
    let inside = (1..=20).map(|minute| (start + minute * MINUTE_MS, INSIDE));
    let outside = [(start, OUTSIDE), (start + 21 * MINUTE_MS, OUTSIDE)];
    outside[..1].iter().copied().chain(inside).chain(outside[1..].iter().copied()).collect()
}

fn post(client: &mut Client, lines: &[String]) -> u64 {
    tick_of(&client.post("/api/v1/records", lines.join("\n").as_bytes()).expect("an answer"), lines.len())
}

fn post_stay(client: &mut Client, vehicle: &str, start: i64) -> u64 {
    let lines: Vec<String> =
        stay(start).into_iter().map(|(time, lon)| fix(vehicle, time, lon, LAT)).collect();
    post(client, &lines)
}

fn get(client: &mut Client, path: &str) -> Value {
    let answer = client.get(path).expect("an answer");
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// `backfill` over the two days before yesterday.
fn backfill_command(data: &Path, start: i64, files: &[&Path]) -> Command {
    let mut command = watchtower();
    let (from, to) = (TimeMs(start - MINUTE_MS).to_string(), TimeMs(start + 60 * MINUTE_MS).to_string());
    command.args(["backfill", "--from", &from, "--to", &to, "--data"]).arg(data).args(files);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The tick that the command tells of.
fn tick_told(output: &Output) -> u64 {
    let told = text(&output.stdout);
    let line = told.lines().find_map(|line| line.strip_prefix("tick ")).unwrap_or_else(|| panic!("{told}"));
    let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or_else(|_| panic!("{told}"))
}

fn csv(dir: &Path, name: &str, lines: &[String]) -> PathBuf {
    let file = dir.join(name);
    std::fs::write(&file, format!("vehicle_id,event_time,lon,lat\n{}\n", lines.join("\n"))).expect("a file");
    file
}

fn csv_line(vehicle: &str, time: i64, lon: f64) -> String {
    format!("{vehicle},{},{lon},{LAT}", TimeMs(time))
}

/// The data of all changes of a tick, but for those of KPIs, which move with the time at which tests run.
fn changes_of(address: SocketAddr, tick: u64) -> Vec<Value> {
    let mut events = Events::follow(address, &format!("{}-{}", tick - 1, u32::MAX)).expect("the changes");
    let mut changes = Vec::new();
    loop {
        let event = events.next().expect("an event").expect("the stream has no end");
        if event.name == "tick" {
            return changes;
        }
        let data: Value = serde_json::from_str(&event.data).expect("JSON");
        assert_eq!(data["tick"], tick, "the next event is a change of it");
        if data["table"] != "kpis" {
            changes.push(data);
        }
    }
}

#[test]
fn what_came_too_late_is_put_right_with_files_and_without() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let mut client = service.client();
    let start = two_days_ago();
    let now = now_ms();
    post(&mut client, &[fence_record(&circle("yard", INSIDE, LAT, 300.0)), fix("T1", now, INSIDE, LAT)]);
    let late = post_stay(&mut client, "T1", start);
    let visits = |client: &mut Client, tick| get(client, &format!("/api/v1/visits?min_tick={tick}"));
    let truck = |client: &mut Client, id: &str| get(client, &format!("/api/v1/trucks/{id}"));
    let track =
        |client: &mut Client, id: &str| get(client, &format!("/api/v1/trucks/{id}/track"))["items"].clone();

    // Two days are too late: rejects, which show.
    assert_eq!(visits(&mut client, late)["items"], serde_json::json!([]));
    let tables = service.tables(late);
    let too_late = |row: &&String| row.contains(r#""reason":"too_late""#);
    assert_eq!(tables.table("rejects").iter().filter(too_late).count(), 22);
    let (truck_before, track_before) = (truck(&mut client, "T1"), track(&mut client, "T1"));

    // What the journal has is enough.
    let output = succeed(&mut backfill_command(dir.path(), start, &[]));
    let tick = tick_told(&output);
    let told = text(&output.stdout);
    let told: Vec<&str> = told.lines().collect();
    let from = TimeMs(start - MINUTE_MS);
    // That of the settings, and two that were posted.
    let plan = format!(
        "everything from {from} on is computed anew, up to the present: the journal has 3 bodies of records, since "
    );
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "0 positions read: 0 used, 0 outside of the period, 0 refused; 0 bad lines");
    assert!(told[1].starts_with(&plan), "{told:?}");
    let (before_kpis, of_kpis) = told[2].split_once("kpis ").expect("all tables are named");
    assert_eq!(
        before_kpis,
        format!("tick {tick}: rows that came and went: alerts +1 -0, crossings +0 -0, etas +0 -0, ")
    );
    let (_, after_kpis) = of_kpis.split_once(", ").expect("all tables are named");
    assert_eq!(after_kpis, "presences +1 -0, rejects +0 -22, trips +0 -0, visits +1 -0");
    let shown = visits(&mut client, tick);
    let visit = &shown["items"][0];
    assert_eq!(shown["items"].as_array().map(Vec::len), Some(1), "{shown}");
    assert_eq!((&visit["vehicle_id"], &visit["fence_id"]), (&"T1".into(), &"yard".into()));
    assert_eq!(visit["arrived"], TimeMs(start + MINUTE_MS).to_string());
    assert_eq!(visit["departed"], TimeMs(start + 21 * MINUTE_MS).to_string());
    assert!(!service.tables(tick).table("rejects").iter().any(|row| too_late(&row)));
    let changes = changes_of(service.address(), tick);
    // It was silent from then on.
    assert_eq!(changes.len(), 25);
    // The first record is that of the settings.
    assert!(changes.iter().all(|change| change["cause"] == "backfill" && change["seq"] == 26), "{changes:?}");

    // The truck is where it is.
    let without_tick = |mut truck: Value| {
        truck.as_object_mut().expect("an object").retain(|name, _| name != "tick" && name != "as_of");
        truck
    };
    assert_eq!(without_tick(truck(&mut client, "T1")), without_tick(truck_before));
    assert_eq!(track(&mut client, "T1"), track_before);

    // And what nobody had sent: one file of two.
    let mut of_t2: Vec<String> = stay(start).iter().map(|(time, lon)| csv_line("T2", *time, *lon)).collect();
    of_t2.push("T2,yesterday,3.3,6.5".to_owned());
    of_t2.push(csv_line("T2", start - DAY_MS, INSIDE));
    of_t2.push(format!("T2,{},0,0", TimeMs(start + 30 * MINUTE_MS)));
    let first = csv(files.path(), "t2.csv", &of_t2);
    let second = files.path().join("t3.ndjson");
    std::fs::write(
        &second,
        format!("{}\n{}\n", fix("T3", start, INSIDE, LAT), r#"{"type":"settings","values":{}}"#),
    )
    .expect("a file");
    let output = succeed(&mut backfill_command(dir.path(), start, &[&first, &second]));
    let told = text(&output.stdout);
    assert!(told.contains("presences +2 -0, rejects +0 -0, trips +0 -0, visits +2 -0"), "{told}");
    let errors = text(&output.stderr);
    assert!(errors.contains("t2.csv:24: ") && errors.contains("positions only"), "{errors}");
    // What is refused anyhow was so when it came, before the backfill's own tick.
    let counts = "25 positions read: 23 used, 1 outside of the period, 1 refused; 2 bad lines\n";
    assert!(told.starts_with(counts), "{told}");
    let tick = tick_told(&output);
    let changes = changes_of(service.address(), tick);
    assert!(changes.iter().all(|change| change["cause"] == "backfill"), "{changes:?}");

    // A replay, a verification and a restart come to the same.
    let tables = service.tables(tick);
    assert_eq!(tables.table("visits").len(), 3);
    let exported = export(dir.path());
    tables.assert_same("the service", &replay(&exported), "the replay of its export");
    verify(dir.path());
    service.stop();
    verify(dir.path());
    let mut again = Service::start(dir.path(), &NO_HEARTBEAT);
    again.tables(tick).assert_same("the service, started again", &tables, "before");
    let mut client = again.client();
    assert_eq!(track(&mut client, "T1"), track_before);
    again.stop();
}

/// So much that a pass over it takes a while.
fn post_much(client: &mut Client, start: i64) {
    for body in 0..60 {
        let lines: Vec<String> = (0..2000)
            .map(|i| {
                let time = start + (body * 2000 + i) * 100;
                let lon = if (i / 50) % 2 == 0 { INSIDE } else { OUTSIDE };
                fix(&format!("M{}", i % 50), time, lon, LAT)
            })
            .collect();
        post(client, &lines);
    }
}

#[test]
fn a_service_that_is_killed_within_a_backfill_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let mut client = service.client();
    let start = two_days_ago();
    post(&mut client, &[fence_record(&circle("yard", INSIDE, LAT, 300.0))]);
    post_stay(&mut client, "T1", start);
    post_much(&mut client, now_ms() - 10 * 60 * MINUTE_MS);

    let command = &mut backfill_command(dir.path(), start, &[]);
    let asked = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a command");
    wait_until("the second pass begins", LIMIT, || service.said().contains("a backfill: everything"));
    // Meanwhile it takes what comes.
    let last = post(&mut client, &[fix("T9", now_ms(), INSIDE, LAT)]);
    service.kill();
    let asked = asked.wait_with_output().expect("the command ends");
    assert_eq!(asked.status.code(), Some(1), "{}", text(&asked.stderr));
    assert!(text(&asked.stderr).contains("the service ended"), "{}", text(&asked.stderr));

    // A start that is within the pass ends in order when it is asked to, and soon, and leaves the pass to the next.
    let started = Service::launch(dir.path(), &NO_HEARTBEAT, &[]);
    // Unless the kill came when all was computed, and only the answer was not: then there is no pass any more.
    let begins = |said: &str| said.contains("a backfill: everything");
    wait_until("a start begins the pass", LIMIT, || {
        let said = started.said();
        begins(&said) || said.contains("a snapshot was taken")
    });
    started.terminate();
    let said = started.wait_for_end();
    assert!(!begins(&said) || said.contains("stopped within a backfill"), "{said}");

    // Who asks while it computes that at its start is served afterwards.
    let mut again = Service::launch(dir.path(), &NO_HEARTBEAT, &[]);
    again.address();
    let tick = tick_told(&succeed(&mut backfill_command(dir.path(), start, &[])));
    assert!(tick > last);
    let tables = again.tables(tick);
    let of_t1 = |row: &&String| row.contains(r#""vehicle_id":"T1""#);
    assert_eq!(tables.table("visits").iter().filter(of_t1).count(), 1);
    assert_eq!(tables.table("rejects").iter().filter(of_t1).count(), 0);
    assert!(tables.table("presences").iter().any(|row| row.contains(r#""vehicle_id":"T9""#)));
    tables.assert_same("the service", &replay(&export(dir.path())), "the replay of its export");
    verify(dir.path());
    again.stop();
}

#[test]
fn a_folder_at_rest_is_written_to_and_the_next_start_computes() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let start = two_days_ago();
    post(&mut service.client(), &[fence_record(&circle("yard", INSIDE, LAT, 300.0))]);
    service.stop();

    let lines: Vec<String> = stay(start).iter().map(|(time, lon)| csv_line("T1", *time, *lon)).collect();
    let file = csv(files.path(), "t1.csv", &lines);
    let output = succeed(&mut backfill_command(dir.path(), start, &[&file]));
    let told = text(&output.stdout);
    assert!(
        told.starts_with("22 positions read: 22 used, 0 outside") && told.contains("next start"),
        "{told}"
    );
    let verified = succeed(watchtower().args(["verify", "--data"]).arg(dir.path()));
    assert!(text(&verified.stdout).contains("more ticks are durable"), "{}", text(&verified.stdout));

    let mut again = Service::start(dir.path(), &NO_HEARTBEAT);
    let tables = again.tables(tick_told(&output));
    assert_eq!((tables.table("visits").len(), tables.table("rejects").len()), (1, 0));
    verify(dir.path());
    again.stop();
}

#[test]
fn what_cannot_be_used_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = tempfile::tempdir().expect("a folder");
    Service::start(dir.path(), &NO_HEARTBEAT).stop();
    let before = export(dir.path());
    let fences = files.path().join("fences.geojson");
    std::fs::write(&fences, r#"{"type":"FeatureCollection","features":[]}"#).expect("a file");
    let missing = files.path().join("missing.csv");
    let start = two_days_ago();
    for (mut command, why) in [
        (backfill_command(dir.path(), start, &[&fences]), "positions only"),
        (backfill_command(dir.path(), start, &[&missing]), "can't open"),
        (backfill_command(files.path(), start, &[]), "is no data folder"),
    ] {
        let output = command.output().expect("a command");
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
    // Years too early, at rest and in use, with positions and without.
    let file = csv(files.path(), "t1.csv", &[csv_line("T1", start - 600 * DAY_MS, INSIDE)]);
    let mut service = None;
    for _ in 0..2 {
        for files in [&[][..], &[file.as_path()]] {
            let output =
                backfill_command(dir.path(), start - 600 * DAY_MS, files).output().expect("a command");
            assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
            assert!(text(&output.stderr).contains("more than 400 days before"), "{}", text(&output.stderr));
        }
        service = service.or_else(|| Some(Service::start(dir.path(), &NO_HEARTBEAT)));
    }
    service.expect("one was started").stop();
    let same = TimeMs(start).to_string();
    let output =
        watchtower().args(["backfill", "--from", &same, "--to", &same, "--data"]).arg(dir.path()).output();
    let output = output.expect("a command");
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("is not after"), "{}", text(&output.stderr));
    assert!(export(dir.path()) == before, "nothing was written");
}
