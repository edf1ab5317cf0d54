//! An answer of 2xx to a POST goes out only after what it brought was synced to the disk.
//!
//! A small library (`shim/watch_io.c`), compiled here and loaded into the service by the system's linker,
//! notes below the standard library when bytes are written to files of the data folder, when a sync of one
//! is complete, and when an answer goes to a socket. That the check can fail is shown too: the library can
//! swallow the syncs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use model::TimeMs;

use crate::common::{Client, NO_HEARTBEAT, Service, fix, now_ms, skip, succeed};

const CLIENTS: usize = 8;
const POSTS: usize = 40;

/// What was noted, in nanoseconds of one clock.
#[derive(Default)]
struct Noted {
    /// By marker: when the write of it ended, and into which file.
    writes: BTreeMap<String, Vec<(u64, String)>>,
    /// By file: when syncs began and ended.
    syncs: BTreeMap<String, Vec<(u64, u64)>>,
    /// By the client's port: when the answers began to go out, in order.
    answers: BTreeMap<u16, Vec<u64>>,
}

impl Noted {
    fn read(log: &Path) -> Noted {
        let mut noted = Noted::default();
        for line in std::fs::read_to_string(log).expect("the library's log").lines() {
            let words: Vec<&str> = line.splitn(5, ' ').collect();
            let number = |at: usize| words[at].parse::<u64>().unwrap_or_else(|e| panic!("{line}: {e}"));
            match words[..] {
                ["write", _, _, marker, file] => {
                    noted.writes.entry(marker.to_owned()).or_default().push((number(2), file.to_owned()));
                }
                ["sync", _, _, file] => {
                    noted.syncs.entry(file.to_owned()).or_default().push((number(1), number(2)));
                }
                ["answer", _, _, port] => {
                    noted.answers.entry(port.parse().expect("a port")).or_default().push(number(1));
                }
                _ => panic!("not understood: {line}"),
            }
        }
        noted
    }

    /// Why the record with this marker was not durable when it was answered; `None` where it was.
    fn violation(&self, marker: &str, answered: u64) -> Option<String> {
        let writes = self.writes.get(marker).map_or(&[][..], Vec::as_slice);
        let before = writes.iter().filter(|(ended, _)| *ended <= answered).count();
        let is_synced = writes.iter().any(|(written, file)| {
            let syncs = self.syncs.get(file).map_or(&[][..], Vec::as_slice);
            syncs.iter().any(|(began, ended)| began >= written && *ended <= answered)
        });
        let why =
            || format!("{marker} was answered unsynced; {before} of {} writes came before", writes.len());
        (!is_synced).then(why)
    }
}

/// The library, if there is a compiler for it.
fn compile(dir: &Path) -> Option<PathBuf> {
    if !cfg!(target_os = "linux") {
        return None;
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/shim/watch_io.c");
    let library = dir.join("watch_io.so");
    Command::new("cc").arg("--version").output().ok()?;
    let flags = ["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror"];
    succeed(Command::new("cc").args(flags).arg("-o").arg(&library).arg(source));
    Some(library)
}

/// What a client posted: the markers of each body, in order.
struct Posted {
    port: u16,
    bodies: Vec<Vec<String>>,
}

/// Posts one body after the other: records, a webhook's location, and a record beside one that is refused,
/// which must be as durable as a dead letter.
fn post(client: &mut Client, first: usize) -> Posted {
    let mut bodies = Vec::new();
    for number in first..first + POSTS {
        let marker = format!("PROBE{number:08}");
        let mut markers = vec![marker.clone()];
        let record = fix(&marker, now_ms() - 60_000, 3.4, 6.5);
        let (path, body) = match number % 4 {
            0 | 1 => ("/api/v1/records", record),
            2 => {
                let time = TimeMs(now_ms() - 60_000);
                let values = format!(r#""gpstime":"{time}","latitude":6.5,"longitude":3.4"#);
                ("/webhooks/loconav", format!(r#"{{"vehiclenumber":"{marker}",{values}}}"#))
            }
            _ => {
                markers.push(format!("PROBE9{number:07}"));
                let refused = format!(r#"{{"type":"position","vehicle_id":"{}"}}"#, markers[1]);
                ("/api/v1/records", format!("{record}\n{refused}"))
            }
        };
        let answer = client.post(path, body.as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["refused"], markers.len() - 1, "{}", answer.text());
        bodies.push(markers);
    }
    Posted { port: client.local_port(), bodies }
}

/// Runs a service with the library and posts to it, by one client first, then by many at once. Tells what
/// was wrong, and of how many records.
fn violations(library: &Path, swallow_syncs: bool) -> (Vec<String>, usize) {
    let dir = tempfile::tempdir().expect("a folder");
    // The library compares paths as the system has them.
    let folder = dir.path().canonicalize().expect("the folder's path");
    let (data, log) = (folder.join("data"), folder.join("io.log"));
    let mut environment =
        vec![("LD_PRELOAD", library), ("WATCH_IO_FOLDER", data.as_path()), ("WATCH_IO_LOG", log.as_path())];
    if swallow_syncs {
        environment.push(("WATCH_IO_SWALLOW", Path::new("1")));
    }
    let mut service = Service::launch(&data, &NO_HEARTBEAT, &environment);
    let address = service.wait_until_ready();
    let mut posted = vec![post(&mut service.client(), 0)];
    let threads: Vec<_> = (1..=CLIENTS)
        .map(|number| {
            let mut client = Client::connect(address).expect("a connection");
            std::thread::spawn(move || post(&mut client, number * POSTS))
        })
        .collect();
    posted.extend(threads.into_iter().map(|thread| thread.join().expect("every post is answered")));
    service.stop();

    let noted = Noted::read(&log);
    let (mut violations, mut judged) = (Vec::new(), 0);
    for Posted { port, bodies } in &posted {
        let answers = noted.answers.get(port).map_or(&[][..], Vec::as_slice);
        assert_eq!(answers.len(), bodies.len(), "every answer on port {port} was noted");
        for (marker, answered) in
            bodies.iter().zip(answers).flat_map(|(m, at)| m.iter().map(move |m| (m, at)))
        {
            violations.extend(noted.violation(marker, *answered));
            judged += 1;
        }
    }
    (violations, judged)
}

#[test]
fn every_2xx_comes_after_a_sync_of_its_records() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(library) = compile(dir.path()) else {
        return skip("syncs are watched on Linux, by a library that needs a C compiler named cc");
    };
    let (wrong, judged) = violations(&library, false);
    assert_eq!(judged, (CLIENTS + 1) * (POSTS + POSTS / 4));
    assert!(wrong.is_empty(), "{} of {judged}: {}", wrong.len(), wrong[0]);

    // The same check, of a service whose syncs do not reach the disk, must find every record unsynced.
    let (wrong, judged) = violations(&library, true);
    assert_eq!(wrong.len(), judged, "a service that never syncs is found out");
}
