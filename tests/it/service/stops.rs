//! A service that is asked to stop, or asked too much at once: what it acknowledged is there.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{
    Client, Events, NO_HEARTBEAT, Service, export, fix, now_ms, positions_in, verify, wait_until,
};

type Key = (String, i64);

/// Positions in one thread's hands, each unique.
fn position(thread: usize, number: i64, start: i64) -> (Key, String) {
    let (vehicle, time) = (format!("S{thread}"), start + number * 100);
    let record = fix(&vehicle, time, 3.4, 6.5);
    ((vehicle, time), record)
}

/// Every acknowledged position is there once, and nothing that nobody sent or that was refused.
fn assert_kept(exported: &[u8], acknowledged: &BTreeSet<Key>, allowed: &BTreeSet<Key>) {
    let kept = positions_in(exported);
    for (key, count) in &kept {
        assert_eq!(*count, 1, "{key:?} is there {count} times");
        assert!(acknowledged.contains(key) || allowed.contains(key), "{key:?} should not be there");
    }
    for key in acknowledged {
        assert!(kept.contains_key(key), "{key:?} was acknowledged, and is not there");
    }
}

#[test]
fn a_stop_under_load_is_graceful_and_loses_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &[]);
    let address = service.address();
    let start = now_ms() - 20 * 3_600_000;
    let (acknowledged, unanswered) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeSet::new()));
    let count = AtomicUsize::new(0);
    // A connection that rests and one that follows the changes hold up nothing.
    let mut resting = service.client();
    resting.get("/readyz").expect("an answer");
    let mut following = Events::follow(address, "0-0").expect("a stream");
    std::thread::scope(|scope| {
        for thread in 0..6 {
            let (acknowledged, unanswered, count) = (&acknowledged, &unanswered, &count);
            scope.spawn(move || {
                let Ok(mut client) = Client::connect(address) else { return };
                for number in 0.. {
                    let (key, record) = position(thread, number, start);
                    match client.post("/api/v1/records", record.as_bytes()) {
                        Ok(answer) if answer.status == 200 => {
                            acknowledged.lock().expect("no panic").insert(key);
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(answer) => {
                            // Refused: it must not be there.
                            assert_eq!(answer.status, 503, "{}", answer.text());
                            return;
                        }
                        Err(_) => {
                            unanswered.lock().expect("no panic").insert(key);
                            return;
                        }
                    }
                }
            });
        }
        wait_until("records are acknowledged", Duration::from_secs(60), || {
            count.load(Ordering::Relaxed) > 500
        });
        service.terminate();
    });
    while following.next().expect("the stream ends in order").is_some() {}
    let said = service.wait_for_end();
    assert!(said.contains("stopped"), "{said}");
    assert!(!said.contains("ERROR") && !said.contains("WARN"), "{said}");
    let (acknowledged, unanswered) = (acknowledged.into_inner(), unanswered.into_inner());
    assert_kept(&export(dir.path()), &acknowledged.expect("no panic"), &unanswered.expect("no panic"));
    verify(dir.path());
}

#[test]
fn a_full_queue_refuses_with_a_word_and_keeps_what_it_took() {
    let dir = tempfile::tempdir().expect("a folder");
    let args = [&NO_HEARTBEAT[..], &["--set", "journal.max_queued=1"]].concat();
    let mut service = Service::start(dir.path(), &args);
    let address = service.address();
    let start = now_ms() - 20 * 3_600_000;
    let (acknowledged, refused) = (Mutex::new(BTreeSet::new()), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for thread in 0..24 {
            let (acknowledged, refused) = (&acknowledged, &refused);
            scope.spawn(move || {
                let mut client = Client::connect(address).expect("a connection");
                for number in 0..50 {
                    let (key, record) = position(thread, number, start);
                    let answer = client.post("/api/v1/records", record.as_bytes()).expect("an answer");
                    if answer.status == 200 {
                        acknowledged.lock().expect("no panic").insert(key);
                        continue;
                    }
                    assert_eq!(answer.status, 429, "{}", answer.text());
                    let seconds = answer.header("retry-after").and_then(|text| text.parse::<u32>().ok());
                    assert!(seconds.is_some_and(|s| s >= 1), "{answer:?}");
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let acknowledged = acknowledged.into_inner().expect("no panic");
    eprintln!("{} taken, {} refused", acknowledged.len(), refused.into_inner());
    // Of a folder in use, the export goes to the last closed tick: what was acknowledged just now may be later.
    service.stop();
    assert_kept(&export(dir.path()), &acknowledged, &BTreeSet::new());
    verify(dir.path());
}
