//! A service whose older days are moved to files: what it shows, and what is read of it, is as before.

use std::path::{Path, PathBuf};

use crate::cli::clock::clock_shim;
use crate::common::{
    NO_HEARTBEAT, Service, circle, export, fence_record, fix, now_ms, replay, succeed, tick_of, verify,
    watchtower,
};

const DAY_S: i64 = 86_400;
/// No heartbeat, and all changes are kept.
const KEEPING: [&str; 4] = [NO_HEARTBEAT[0], NO_HEARTBEAT[1], "--set", "changes.keep_days=0"];

/// A day of visits to a fence, told by a service whose clock is `days_ago` behind.
fn live_through(data: &Path, library: &Path, days_ago: i64) {
    let shift = PathBuf::from((-days_ago * DAY_S).to_string());
    let mut service = Service::launch(data, &KEEPING, &[("LD_PRELOAD", library), ("SHIFT_CLOCK_S", &shift)]);
    service.wait_until_ready();
    let mut client = service.client();
    let fence = fence_record(&circle("yard", 3.4, 6.5, 300.0));
    tick_of(&client.post("/api/v1/records", fence.as_bytes()).expect("an answer"), 1);
    let begin = now_ms() - days_ago * DAY_S * 1000 - 7_200_000;
    for minute in 0..100 {
        let lon = if minute % 40 < 25 { 3.4 } else { 3.41 };
        let lines = ["T1", "T2"].map(|vehicle| fix(vehicle, begin + minute * 60_000, lon, 6.5)).join("\n");
        tick_of(&client.post("/api/v1/records", lines.as_bytes()).expect("an answer"), 2);
    }
    service.stop();
}

fn archive(data: &Path, more: &[&str]) -> String {
    let mut command = watchtower();
    command.args(["archive", "take", "--after-days", "2"]).args(more).arg("--data").arg(data);
    String::from_utf8(succeed(&mut command).stdout).expect("text")
}

#[test]
fn days_that_are_archived_by_a_service_stay_part_of_its_journal() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path().join("data");
    let Some(library) = clock_shim(dir.path()) else { return };
    for days_ago in [9, 8, 5] {
        live_through(&data, &library, days_ago);
    }
    let mut service = Service::start(&data, &KEEPING);
    service.wait_until_ready();
    let mut tell = |minutes_ago: i64| {
        let line = fix("T1", now_ms() - minutes_ago * 60_000, 3.4, 6.5);
        tick_of(&service.client().post("/api/v1/records", line.as_bytes()).expect("an answer"), 1)
    };
    // How old days are is judged by the journal's last instant.
    tell(30);
    let before = export(&data);
    assert!(
        archive(&data, &["--dry-run"]).ends_with("3 files would be archived; the journal has all it had\n")
    );
    assert!(!data.join("archive").exists(), "a rehearsal moves nothing");
    assert!(archive(&data, &[]).ends_with("3 files archived; the journal has all it had\n"));
    assert!(export(&data) == before, "the export is as before");
    assert!(archive(&data, &[]).starts_with("0 files"));
    let tick = tell(0);
    let shown = service.tables(tick);
    assert_eq!(shown.table("visits").len(), 14, "{:?}", shown.table("visits"));
    shown.assert_same("a service with archives", &replay(&export(&data)), "the replay of its export");
    verify(&data);
    service.kill();

    // From the archive's beginning, which no snapshot spares it.
    verify(&data);
    std::fs::remove_dir_all(data.join("snapshots")).ok();
    let mut again = Service::start(&data, &KEEPING);
    again.wait_until_ready();
    again.tables(tick).assert_same("a start from archives", &shown, "the service before");
    let mut list = watchtower();
    let listed = succeed(list.args(["archive", "list", "--data"]).arg(&data)).stdout;
    assert_eq!(
        String::from_utf8_lossy(&listed).lines().filter(|line| line.contains(".parquet, ")).count(),
        3
    );
    again.stop();

    // A file that is gone is a part of the journal that is gone.
    let day = std::fs::read_dir(data.join("archive"))
        .expect("archives")
        .next()
        .expect("a day")
        .expect("a day")
        .path();
    std::fs::rename(&day, dir.path().join("aside")).expect("it can be moved");
    let said = Service::launch(&data, &KEEPING, &[]).wait_for_failure();
    assert!(said.contains(".parquet, a part of the journal,"), "{said}");
    std::fs::rename(dir.path().join("aside"), &day).expect("it can be moved");
    verify(&data);
}
