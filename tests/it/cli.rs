//! The command line as a script meets it: exit status, words, files.

mod changes;
pub mod clock;
pub mod process;
mod simulated;

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::common::{NO_HEARTBEAT, Service, fix, now_ms, succeed, watchtower};
use process::{Replay, run, run_in};

const HEADER: &str = "vehicle_id,event_time,lon,lat\n";

#[test]
fn every_command_explains_itself() {
    let commands: &[&[&str]] = &[
        &[],
        &["run"],
        &["replay"],
        &["journal"],
        &["journal", "export"],
        &["backfill"],
        &["verify"],
        &["explain"],
        &["explain", "visit"],
        &["simulate"],
        &["send"],
        &["bench"],
        #[cfg(feature = "postgres")]
        &["migrate"],
        #[cfg(feature = "postgres")]
        &["migrate", "up"],
        #[cfg(feature = "postgres")]
        &["migrate", "down"],
        #[cfg(feature = "postgres")]
        &["migrate", "status"],
        &["migrate", "old"],
        &["migrate", "fences"],
        &["archive"],
        &["archive", "list"],
        &["archive", "take"],
        &["backup"],
        &["restore"],
        &["snapshots"],
        &["snapshots", "list"],
        &["snapshots", "take"],
        &["dead-letters"],
        &["dead-letters", "list"],
        &["dead-letters", "show"],
        &["dead-letters", "replay"],
        &["config"],
        &["config", "example"],
        &["config", "check"],
        &["config", "show"],
    ];
    for command in commands {
        let ran = run(command.iter().copied().chain(["--help"]));
        assert_eq!(ran.code, 0, "{command:?}: {ran:?}");
        assert!(ran.out.contains("Usage: watchtower") && ran.err.is_empty(), "{command:?}: {ran:?}");
    }
    // Commands that are listed are the ones above: none is forgotten there.
    let top = run(["--help"]).out;
    let listed = top.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    for line in listed.take_while(|line| !line.is_empty()) {
        let name = line.split_whitespace().next().unwrap_or_default();
        assert!(
            name == "help" || commands.iter().any(|command| command.first() == Some(&name)),
            "{name} is not tested"
        );
    }
}

#[test]
fn wrong_usage_is_exit_2() {
    let wrong: [&[&str]; 16] = [
        &["fly"],
        &["replay"],
        &["replay", "--workers", "0", "x.csv"],
        &["replay", "--clock", "yesterday", "x.csv"],
        &["replay", "--changes", "x.csv"],
        &["replay", "--set", "visits.min_dwel_s=1", "x.csv"],
        &["replay", "--set", "visits.min_dwell_s=-1", "x.csv"],
        &["replay", "--set", "min_dwell_s", "x.csv"],
        &["replay", "--config", "/nowhere/w.toml", "x.csv"],
        &["simulate", "--vehicles", "1", "--fences", "1", "--hours", "0", "--seed", "1", "--out", "x"],
        &[
            "simulate",
            "--vehicles",
            "1",
            "--fences",
            "1",
            "--hours",
            "1",
            "--seed",
            "1",
            "--out",
            "x",
            "--late",
            "2",
        ],
        &["run", "--listen", "nonsense"],
        &["run", "--set", "journal.kind=\"kafka2\""],
        &["run", "--set", "sources.loconav.naive_timezone=Mars/Olympus"],
        &["verify", "--data", "/nowhere"],
        &["journal", "export", "--data", "/nowhere"],
    ];
    let dir = TempDir::new().expect("a folder");
    fs::write(dir.path().join("x.csv"), HEADER).expect("a file");
    for args in wrong {
        let ran = run_in(dir.path(), args, &[]);
        assert!(ran.code == 2 && !ran.err.is_empty() && ran.out.is_empty(), "{args:?}: {ran:?}");
    }
    let left: Vec<_> = fs::read_dir(dir.path()).expect("the folder").collect();
    assert_eq!(left.len(), 1, "nothing is made by a command that is refused: {left:?}");
}

#[test]
fn settings_are_checked_wherever_they_come_from() {
    let dir = TempDir::new().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).expect("a file");
        path.into_os_string().into_string().expect("a path in UTF-8")
    };
    let example = run(["config", "example"]);
    assert_eq!(example.code, 0);
    let path = file("example.toml", &example.out);
    let checked = run(["config", "check", &path]);
    assert!(checked.code == 0 && checked.out.contains("example.toml is good"), "{checked:?}");

    for (text, said) in [
        ("[visits]\n\nmin_dwel_s = 1\n", ["line 3", "min_dwel_s"]),
        ("zone = \"Africa/Lagos\"\n[visit]\nx = 1\n", ["line 2", "visit"]),
        ("[cleaning]\nhorizon_h = 1\n\nmax_speed_kmh = \"fast\"\n", ["line 4", "max_speed_kmh"]),
        ("[listen]\naddress = 5\n", ["line 2", "address"]),
        ("[listen\n", ["line 1", "wrong.toml"]),
    ] {
        let path = file("wrong.toml", text);
        run(["config", "check", &path]).assert(2, &said);
        run(["run", "--config", &path]).assert(2, &said);
    }
    let unknown = run_in(dir.path(), ["config", "show"], &[("WATCHTOWER__VISITS__MIN_DWEL_S", "1")]);
    unknown.assert(2, &["visits.min_dwel_s"]);
    let unknown = run_in(dir.path(), ["config", "show"], &[("WATCHTOWER__NO__SUCH", "1")]);
    unknown.assert(2, &["WATCHTOWER__NO__SUCH"]);
    run(["config", "check", "/nowhere/w.toml"]).assert(2, &["/nowhere/w.toml"]);
}

#[test]
fn secrets_are_never_shown() {
    let dir = TempDir::new().expect("a folder");
    let path = dir.path().join("w.toml");
    fs::write(&path, "[sources.loconav]\nhmac_secret = \"open sesame\"\n").expect("a file");
    let path = path.to_str().expect("a path in UTF-8");
    let environment = [("WATCHTOWER__SOURCES__LOCONAV__HMAC_SECRET", "open sesame")];
    for ran in [
        run(["config", "show", "--config", path]),
        run(["config", "show", "--set", "sources.loconav.hmac_secret=open sesame"]),
        run_in(dir.path(), ["config", "show"], &environment),
    ] {
        assert!(ran.code == 0 && ran.out.contains("hmac_secret = \"****"), "{ran:?}");
        assert!(!ran.out.contains("sesame") && !ran.err.contains("sesame"), "{ran:?}");
    }
    for text in ["hmac_secret \"open sesame\"", "hmac_secret = {a = \"open sesame\"}"] {
        fs::write(path, format!("[sources.loconav]\n{text}\n")).expect("a file");
        let ran = run(["config", "check", path]);
        ran.assert(2, &["line 2", "hmac_secret"]);
        assert!(!ran.err.contains("sesame"), "{ran:?}");
    }
    let elsewhere = run(["config", "show", "--set", "sources.loconav.hmac_secret=env:WHERE_IT_IS"]);
    assert!(elsewhere.out.contains("env:WHERE_IT_IS"), "{elsewhere:?}");
    // What it shows is a configuration, with the settings that are in force by default too.
    let shown = run(["config", "show", "--set", "visits.min_dwell_s=77"]);
    assert!(shown.out.contains("min_dwell_s = 77") && shown.out.contains("max_speed_kmh = 200"), "{shown:?}");
    fs::write(path, &shown.out).expect("a file");
    assert_eq!(run(["config", "check", path]).code, 0);
}

#[test]
fn strict_stops_at_the_first_bad_line() {
    let rows = "T1,2026-01-05T08:00:00Z,3.4,6.5\nbad\nT1,2026-01-05T08:01:00Z,3.4,6.5\nworse\n";
    let replay = Replay::new().file("p.csv", format!("{HEADER}{rows}"));
    let lax = replay.run(&[]);
    lax.assert(0, &["p.csv:3: ", "p.csv:5: ", "4 records (2 bad lines)"]);
    let strict = replay.run(&["--strict"]);
    strict.assert(1, &["p.csv:3: ", "--strict"]);
    assert!(!strict.err.contains("p.csv:5"), "{strict:?}");
    let good = Replay::new().file("p.csv", format!("{HEADER}T1,2026-01-05T08:00:00Z,3.4,6.5\n"));
    good.run(&["--strict"]).assert(0, &["1 records (0 bad lines)"]);
}

/// A fence around the place where `T1` is from 08:00 on.
fn yard() -> String {
    format!(
        r#"{{"type":"FeatureCollection","features":[{}]}}"#,
        crate::common::circle("yard", 3.4, 6.5, 300.0)
    )
}

#[test]
fn the_clock_is_a_last_record() {
    let row = "T1,2026-01-05T08:00:00Z,3.4,6.5\n";
    let replay = Replay::new().file("p.csv", format!("{HEADER}{row}")).file("f.geojson", yard());
    replay.run(&[]).assert(0, &["up to 2026-01-05T08:00:00Z"]);
    assert_eq!(replay.output("visits.ndjson"), "", "it has not lasted yet");
    replay.run(&["--clock", "2026-01-05T08:04:59.999Z"]).assert(0, &["3 records"]);
    assert_eq!(replay.output("visits.ndjson"), "");
    replay.run(&["--clock", "2026-01-05T09:05:00+01:00"]).assert(0, &["up to 2026-01-05T08:05:00Z"]);
    assert_eq!(
        replay.output("visits.ndjson"),
        "{\"vehicle_id\":\"T1\",\"fence_id\":\"yard\",\"arrived\":\"2026-01-05T08:00:00Z\",\"departed\":null,\
         \"confirmed_at\":\"2026-01-05T08:05:00Z\",\"presences\":1}\n"
    );
    let before = replay.run(&["--clock", "2026-01-01T00:00:00Z"]);
    before.assert(0, &["up to 2026-01-05T08:00:00Z"]);
    // A leap between records deserves a word; one that was asked for does not.
    let silent = replay.run(&["--clock", "2026-02-01T00:00:00Z"]);
    assert!(silent.code == 0 && !silent.err.contains("warning"), "{silent:?}");
    let later = "T1,2026-01-06T08:00:01Z,3.4,6.5\n";
    let leap = Replay::new().file("p.csv", format!("{HEADER}{row}{later}"));
    leap.run(&[]).assert(0, &["warning: ", "p.csv", "record 2", "leaps 24 h"]);
}

#[test]
fn fences_come_first_whatever_the_order_of_files() {
    let rows = "T1,2026-01-05T08:00:00Z,3.4,6.5\nT1,2026-01-05T08:34:00Z,3.5,6.5\nbad\n";
    let last = r#"{"type":"fence","op":"delete","id":"yard","at":"2026-01-05T08:20:00Z"}"#;
    let replay = Replay::new().file("p.csv", format!("{HEADER}{rows}")).file("r.ndjson", last);
    let mut replay = replay.file("f.geojson", yard());
    let mut seen = Vec::new();
    for _ in 0..3 {
        replay.run(&[]).assert(0, &["5 records (1 bad lines)"]);
        seen.push(replay.tables());
        replay.files.rotate_left(1);
    }
    assert!(seen[0][1].contains("08:00:00Z\",\"departed\":\"2026-01-05T08:20:00Z\""), "{seen:?}");
    for tables in &seen {
        assert_eq!(tables[..2], seen[0][..2]);
    }
    // The fence is record 1, so the bad row is the 4th, or the 5th after the delete.
    assert!(seen[0][2].starts_with("{\"seq\":4,"), "{seen:?}");
    assert!(seen[1][2].starts_with("{\"seq\":5,"), "{seen:?}");
}

#[test]
fn a_service_is_not_opened_to_all_by_accident() {
    let dir = TempDir::new().expect("a folder");
    let data = dir.path().join("data");
    let data = data.to_str().expect("a path in UTF-8");
    for address in ["0.0.0.0:0", "[::]:0"] {
        let ran = run(["run", "--listen", address, "--data", data]);
        ran.assert(2, &["listen.allow_unauthenticated"]);
    }
    assert!(!dir.path().join("data").exists(), "a service that is refused makes no folder");
    let allowed = ["--listen", "0.0.0.0:0", "--set", "listen.allow_unauthenticated=true"];
    let mut command = watchtower();
    command.args(["run", "--data", data]).args(allowed).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("the service can be started");
    let mut said = std::io::BufReader::new(child.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while !line.contains("watchtower is at") {
        line.clear();
        let read = std::io::BufRead::read_line(&mut said, &mut line).expect("what it says");
        assert!(read > 0, "it starts");
    }
    succeed(Command::new("kill").args(["-TERM", &child.id().to_string()]));
    std::io::copy(&mut said, &mut std::io::sink()).expect("its last words");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}

#[test]
fn a_folder_in_use_names_who_has_it() {
    let dir = TempDir::new().expect("a folder");
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let data = dir.path().to_str().expect("a path in UTF-8");
    let ran = run(["run", "--listen", "127.0.0.1:0", "--data", data]);
    ran.assert(1, &["in use", data]);
    let pid = pid_in(&ran.err).unwrap_or_else(|| panic!("no process is named: {ran:?}"));
    let command = fs::read(format!("/proc/{pid}/cmdline")).expect("that process is there");
    assert!(String::from_utf8_lossy(&command).contains(data), "process {pid} is another one");
    assert_eq!(service.client().get("/readyz").expect("an answer").status, 200, "it is not disturbed");
    service.stop();
    run(["verify", "--data", data]).assert(0, &[]);
}

/// The process that a refusal names.
pub fn pid_in(text: &str) -> Option<u32> {
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric());
    words.find(|word| *word == "process")?;
    words.find_map(|word| word.parse().ok())
}

#[test]
fn the_demo_keeps_out_of_other_records() {
    let dir = TempDir::new().expect("a folder");
    let mut service = Service::start(dir.path(), &NO_HEARTBEAT);
    let line = fix("T1", now_ms(), 3.4, 6.5);
    assert_eq!(service.client().post("/api/v1/records", line.as_bytes()).expect("an answer").status, 200);
    service.stop();
    let data = dir.path().to_str().expect("a path in UTF-8");
    let ran = run(["run", "--demo", "--listen", "127.0.0.1:0", "--data", data]);
    ran.assert(2, &["other records", data]);
    let exported = run(["journal", "export", "--data", data]);
    assert_eq!(exported.out.matches("\"T1\"").count(), 1, "{exported:?}");
    assert_eq!(exported.out.matches("\"position\"").count(), 1, "nothing was added: {exported:?}");
}
