//! A backup that is taken under load, and the service on the folder that is made of it.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::{
    NO_HEARTBEAT, Service, assert_same_lines, export, fix, now_ms, replay, succeed, verify, watchtower,
};

fn lines(export: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(export).lines().map(str::to_owned).collect()
}

fn restore(file: &std::path::Path, data: &std::path::Path) -> Command {
    let mut command = watchtower();
    command.arg("restore").arg(file).arg("--data").arg(data);
    command
}

#[test]
fn a_backup_of_a_service_under_load_is_restored_to_a_service_with_the_same_rows() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, again, file) = (dir.path().join("data"), dir.path().join("again"), dir.path().join("backup"));
    let mut service = Service::start(&data, &NO_HEARTBEAT);
    let address = service.address();
    let start = now_ms() - 3_600_000;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let posting = scope.spawn(|| {
            let mut client = crate::common::Client::connect(address).expect("a connection");
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                let body = fix("T1", start + number * 1000, 3.4, 6.5);
                let answer = client.post("/api/v1/records", body.as_bytes()).expect("an answer");
                assert_eq!(answer.status, 200);
                number += 1;
            }
        });
        while service.client().get("/readyz").expect("an answer").json()["tick"].as_u64() < Some(50) {}
        succeed(watchtower().arg("backup").arg(&file).arg("--data").arg(&data));
        stop.store(true, Ordering::Relaxed);
        posting.join().expect("it posts");
    });
    service.kill();
    // Of a folder that nobody has open it is all that is durable, as a backup is.
    let exported = export(&data);

    succeed(&mut restore(&file, &again));
    let mut restored = Service::start(&again, &NO_HEARTBEAT);
    let of_restored = lines(&export(&again));
    let all = lines(&exported);
    // The last line is the instant of the last tick.
    let records = of_restored.len() - 1;
    assert!((50..all.len()).contains(&records), "{records} of {}", all.len());
    assert_same_lines("what was restored", &of_restored[..records], "what there was", &all[..records]);
    let tick = restored.client().get("/readyz").expect("an answer").json()["tick"].as_u64().expect("a tick");
    restored.tables(tick).assert_same(
        "a restored service",
        &replay(&export(&again)),
        "the replay of its export",
    );
    verify(&again);
    restored.stop();

    // Nothing is overwritten, and what is cut short makes nothing.
    let refused = restore(&file, &again).output().expect("the command can be started");
    assert!(
        !refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("is there already")
    );
    let bytes = std::fs::read(&file).expect("a backup");
    let cut = dir.path().join("cut");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a file");
    let refused = restore(&cut, &dir.path().join("third")).output().expect("the command can be started");
    assert!(!refused.status.success() && !dir.path().join("third").exists());
}
