//! A machine whose clock went wrong: a start far from the journal's last instant is refused.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::run;
use crate::common::{NO_HEARTBEAT, Service, fix, now_ms, skip, tick_of};

/// The library that moves the wall clock of a process, where it can be built.
fn clock_shim(dir: &Path) -> Option<PathBuf> {
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
