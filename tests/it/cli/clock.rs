//! A machine whose clock went wrong: a start far from the journal's last instant is refused.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::run;
use crate::common::{
    Client, NO_HEARTBEAT, Service, circle, fence_record, fix, now_ms, skip, tick_of, wait_until,
};

/// The library that moves the wall clock of a process, where it can be built.
pub fn clock_shim(dir: &Path) -> Option<PathBuf> {
    let library = dir.join("shift_clock.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/shim/shift_clock.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).status();
    match built {
        Ok(status) if status.success() => Some(library),
        other => {
            skip(&format!("the wrong clock is not tested: cc cannot build its library ({other:?})"));
            None
        }
    }
}

/// A folder whose last record came `shift_s` seconds from now.
fn folder_written_at(dir: &Path, library: &Path, shift_s: i64) -> PathBuf {
    let data = dir.join(format!("data{shift_s}"));
    let shift = PathBuf::from(shift_s.to_string());
    let environment = [("LD_PRELOAD", library), ("SHIFT_CLOCK_S", shift.as_path())];
    let mut service = Service::launch(&data, &NO_HEARTBEAT, &environment);
    service.wait_until_ready();
    let line = fix("T1", now_ms() + shift_s * 1000, 3.4, 6.5);
    tick_of(&service.client().post("/api/v1/records", line.as_bytes()).expect("an answer"), 1);
    service.stop();
    data
}

#[test]
fn a_start_with_a_wrong_clock_is_refused_unless_accepted() {
    let dir = TempDir::new().expect("a folder");
    let Some(library) = clock_shim(dir.path()) else { return };
    const DAY_S: i64 = 86_400;
    for (shift_s, refused) in [(600, true), (-8 * DAY_S, true), (-6 * DAY_S, false)] {
        let data = folder_written_at(dir.path(), &library, shift_s);
        let path = data.to_str().expect("a path in UTF-8");
        if refused {
            let ran = run(["run", "--listen", "127.0.0.1:0", "--data", path]);
            ran.assert(1, &["clock", "--accept-clock"]);
            // A folder that is only looked at needs no right clock.
            run(["verify", "--data", path]).assert(0, &[]);
        }
        let args = [&NO_HEARTBEAT[..], if refused { &["--accept-clock"] } else { &[] }].concat();
        let mut service = Service::start(&data, &args);
        let line = fix("T1", now_ms() + shift_s.max(0) * 1000, 3.4, 6.5);
        tick_of(&service.client().post("/api/v1/records", line.as_bytes()).expect("an answer"), 1);
        service.stop();
        run(["verify", "--data", path]).assert(0, &[]);
    }
}

/// What waits for its time when a service stops comes due while it is down: the first tick of the next start tells it,
/// dated when it was due.
#[test]
fn timers_that_came_due_while_the_service_was_down_fire_at_its_start() {
    let dir = TempDir::new().expect("a folder");
    let Some(library) = clock_shim(dir.path()) else { return };
    const HOUR_MS: i64 = 3_600_000;
    let then = now_ms() - 5 * HOUR_MS;
    let data = dir.path().join("data");
    let path = data.to_str().expect("a path in UTF-8");
    let shift = PathBuf::from((-5 * 3600).to_string());
    let environment = [("LD_PRELOAD", library.as_path()), ("SHIFT_CLOCK_S", shift.as_path())];
    let mut service = Service::launch(&data, &NO_HEARTBEAT, &environment);
    service.wait_until_ready();
    let at = |after_h: i64| model::TimeMs(then + after_h * HOUR_MS);
    let trip = format!(
        r#"{{"type":"trip","op":"upsert","trip":{{"id":"t","vehicle_id":"T1","pickup":"yard","delivery":"gate","scheduled_departure":"{}"}}}}"#,
        at(1)
    );
    let fences = [circle("yard", 3.4, 6.5, 300.0), circle("gate", 3.5, 6.5, 300.0)];
    let records = [fence_record(&fences[0]), fence_record(&fences[1]), trip, fix("T1", then, 3.4, 6.5)];
    let mut client = service.client();
    let tick = tick_of(&client.post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer"), 4);
    let standing = |client: &mut Client| {
        let json = client.get(&format!("/api/v1/alerts?min_tick={tick}")).expect("an answer").json();
        let alerts = json["items"].as_array().expect("a list").iter();
        let mut alerts: Vec<String> =
            alerts.map(|alert| format!("{} {}", alert["kind"], alert["due_at"])).collect();
        alerts.sort();
        let trip = client.get("/api/v1/trips/t").expect("an answer").json();
        let visits = client.get("/api/v1/visits").expect("an answer").json();
        (alerts, trip["status"].to_string(), visits["items"].as_array().expect("a list").len())
    };
    assert_eq!(standing(&mut client).1, r#""scheduled""#);
    service.stop();

    let mut service = Service::start(&data, &[]);
    service.wait_until_ready();
    let mut client = service.client();
    let (offline, delay) = (at(2), at(3));
    let expected = [format!(r#""device_offline" "{offline}""#), format!(r#""trip_delay" "{delay}""#)];
    wait_until("all that came due is told", std::time::Duration::from_secs(60), || {
        let (alerts, status, visits) = standing(&mut client);
        expected.iter().all(|alert| alerts.contains(alert)) && status == r#""delayed""# && visits == 1
    });
    service.stop();
    run(["verify", "--data", path]).assert(0, &[]);
}
