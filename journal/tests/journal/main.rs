//! The store as its users see it: the log here, the changelog and the dead letters in `derived`.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use journal::{AppendError, Appended, Log, Options, Store, StoreError, Tick};

mod backup;
mod derived;
#[cfg(feature = "kafka")]
mod kafka;
mod place;

use place::Place;

/// Tests of what every journal promises, for each place that one may be in.
macro_rules! in_every_place {
    ($($test:ident,)*) => {
        mod in_a_folder {
            $(#[test] fn $test() { super::$test(&super::Place::folder()); })*
        }
        #[cfg(feature = "kafka")]
        mod on_kafka {
            $(#[test] fn $test() {
                if let Some(place) = super::Place::kafka(stringify!($test)) { super::$test(&place); }
            })*
        }
    };
}

in_every_place! {
    what_is_acknowledged_is_read_again_after_restarts,
    heartbeats_are_durable_empty_ticks,
    a_full_queue_refuses_and_a_stop_drains_it,
    bytes_that_wait_are_limited_too,
    a_slow_reader_holds_up_the_writer_but_not_a_stop,
    ticks_are_read_while_others_are_appended,
    tickets_can_be_awaited,
}

/// Options under which ticks come from appends alone.
fn quiet() -> Options {
    Options { heartbeat_ms: 3_600_000, ..Options::default() }
}

fn open(dir: &Path) -> Store {
    Store::open(dir, quiet()).unwrap()
}

fn append(log: &impl Log, payload: &[u8]) -> Appended {
    log.append(2, "ctx", payload.to_vec()).unwrap().wait_blocking().unwrap()
}

fn read_all(log: &impl Log) -> Vec<Tick> {
    log.read(1, u64::MAX).map(Result::unwrap).collect()
}

fn assert_no_gaps(ticks: &[Tick]) {
    let mut next_offset = 1;
    let mut instant_ms = i64::MIN;
    for (number, tick) in (1..).zip(ticks) {
        assert_eq!(tick.number, number);
        assert!(tick.instant_ms >= instant_ms);
        instant_ms = tick.instant_ms;
        for entry in &tick.entries {
            assert_eq!(entry.offset, next_offset);
            assert!(entry.received_ms <= tick.instant_ms);
            next_offset += 1;
        }
        if let Some(last) = tick.entries.last() {
            assert_eq!(last.received_ms, tick.instant_ms);
        }
    }
}

fn received(live: &Receiver<Arc<Tick>>) -> Vec<Tick> {
    live.iter().map(|tick| Tick::clone(&tick)).collect()
}

fn what_is_acknowledged_is_read_again_after_restarts(place: &Place) {
    let mut seen = Vec::new();
    for round in 0..3u8 {
        let store = place.open(quiet());
        let log = store.log();
        assert_eq!(log.last_tick().map(|(number, _)| number), seen.last().map(|tick: &Tick| tick.number));
        assert_eq!(read_all(&log), seen);
        let live = log.start().unwrap();
        let tickets: Vec<_> = (0..20).map(|i| log.append(i, "ctx", vec![i, round]).unwrap()).collect();
        let acknowledged: Vec<_> =
            tickets.into_iter().map(|ticket| ticket.wait_blocking().unwrap()).collect();
        log.stop();
        seen.extend(received(&live));
        for (i, appended) in (0..20).zip(acknowledged) {
            let tick = &seen[appended.tick as usize - 1];
            let entry = tick.entries.iter().find(|entry| entry.offset == appended.offset).unwrap();
            assert_eq!((entry.source, &entry.payload[..]), (i, &[i, round][..]));
            assert_eq!((&*entry.context, entry.received_ms), ("ctx", appended.received_ms));
        }
        assert_eq!(read_all(&log), seen);
    }
    assert_no_gaps(&seen);
    assert_eq!(seen.iter().map(|tick| tick.entries.len()).sum::<usize>(), 60);
    let store = place.open(quiet());
    let middle: Vec<_> = store.log().read(2, 3).map(Result::unwrap).collect();
    assert_eq!(middle, seen[1..3]);
    assert_eq!(store.log().read(5, 4).count(), 0);
    assert_eq!(store.log().read(seen.len() as u64 + 1, u64::MAX).count(), 0);
}

fn heartbeats_are_durable_empty_ticks(place: &Place) {
    let store = place.open(Options { heartbeat_ms: 5, ..Options::default() });
    let live = store.log().start().unwrap();
    append(&store.log(), b"one");
    let heard: Vec<_> = live.iter().take(6).collect();
    store.log().stop();
    assert!(heard.iter().filter(|tick| tick.entries.is_empty()).count() >= 5);
    let ticks = read_all(&store.log());
    assert_no_gaps(&ticks);
    assert!(ticks.len() >= 6);
}

fn a_full_queue_refuses_and_a_stop_drains_it(place: &Place) {
    let options = Options { max_queued_entries: 4, max_queued_bytes: 2000, max_group_entries: 2, ..quiet() };
    let store = place.open(options);
    let log = store.log();
    // Not started: nothing leaves the queue.
    let tickets: Vec<_> = (0..4u8).map(|i| log.append(1, "", vec![i]).unwrap()).collect();
    assert!(matches!(log.append(1, "", vec![9]), Err(AppendError::Full { retry_after_s: 1.. })));
    assert!(matches!(log.append(1, "", vec![9; 3000]), Err(AppendError::TooLarge { bytes: 3000, .. })));
    assert!(matches!(log.append(1, &"c".repeat(5000), vec![]), Err(AppendError::TooLarge { .. })));
    let live = log.start().unwrap();
    log.stop();
    for ticket in tickets {
        ticket.wait_blocking().unwrap();
    }
    assert_eq!(log.append(1, "", vec![]).unwrap_err(), AppendError::Stopped);
    let sizes: Vec<_> = live.iter().map(|tick| tick.entries.len()).collect();
    assert_eq!(sizes, [2, 2], "groups keep to their limit, and the channel is closed");
    assert!(matches!(log.start(), Err(StoreError::Refused(_))));
}

fn bytes_that_wait_are_limited_too(place: &Place) {
    let store = place.open(Options { max_queued_bytes: 2000, ..quiet() });
    let tickets: Vec<_> = (0..100).map_while(|_| store.log().append(1, "", vec![0; 500]).ok()).collect();
    assert_eq!(tickets.len(), 3);
    store.log().stop();
    for ticket in tickets {
        assert_eq!(
            ticket.wait_blocking(),
            Err(AppendError::Stopped),
            "never started: nothing is acknowledged"
        );
    }
}

fn a_slow_reader_holds_up_the_writer_but_not_a_stop(place: &Place) {
    let store = place.open(Options { max_group_entries: 1, ..quiet() });
    let log = store.log();
    let live = log.start().unwrap();
    let tickets: Vec<_> = (0..100u8).map(|i| log.append(1, "", vec![i]).unwrap()).collect();
    let patience = Instant::now();
    while !live.is_full() && patience.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(50));
    assert!(log.last_tick().unwrap().0 < 60, "no commits beyond the channel");
    // The reader itself may stop the log.
    log.stop();
    assert_eq!(log.last_tick().unwrap().0, 100);
    for ticket in tickets {
        ticket.wait_blocking().unwrap();
    }
    // The folder is free although the channel still holds ticks.
    drop((log, store));
    let again = place.open(quiet());
    let ticks = received(&live);
    assert_eq!(read_all(&again.log()), ticks);
    assert_no_gaps(&ticks);
}

fn ticks_are_read_while_others_are_appended(place: &Place) {
    let store = place.open(quiet());
    let log = store.log();
    let live = log.start().unwrap();
    let appender = std::thread::spawn({
        let log = log.clone();
        move || {
            for i in 0..400u32 {
                append(&log, &i.to_be_bytes());
            }
            log.stop();
        }
    });
    let mut rounds = 0;
    for tick in live {
        if tick.number % 20 == 0 {
            let ticks = read_all(&log);
            assert!(ticks.len() as u64 >= tick.number);
            assert_eq!(ticks[tick.number as usize - 1], *tick);
            assert_no_gaps(&ticks);
            rounds += 1;
        }
    }
    appender.join().unwrap();
    assert!(rounds > 0);
    let offsets = read_all(&log).into_iter().flat_map(|tick| tick.entries).map(|entry| entry.payload);
    assert!(offsets.eq((0..400u32).map(|i| i.to_be_bytes().to_vec())));
}

fn tickets_can_be_awaited(place: &Place) {
    let store = place.open(quiet());
    let _live = store.log().start().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let ticket = store.log().append(1, "", b"x".to_vec()).unwrap();
    assert_eq!(runtime.block_on(ticket.wait()).unwrap().offset, 1);
}

#[test]
fn a_folder_is_opened_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    match Store::open(dir.path(), quiet()) {
        Err(StoreError::InUse { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
        other => panic!("{:?}", other.err()),
    }
    drop(store);
    open(dir.path());
}

/// Run by the test below in a process of its own, which is then killed.
#[test]
fn child_holds_the_folder() {
    let Ok(dir) = std::env::var("JOURNAL_TEST_FOLDER") else { return };
    let store = open(Path::new(&dir));
    let _live = store.log().start().unwrap();
    append(&store.log(), b"acknowledged");
    std::fs::write(Path::new(&dir).join("ready"), b"").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn a_killed_process_leaves_no_lock_and_all_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_holds_the_folder"])
        .env("JOURNAL_TEST_FOLDER", dir.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let patience = Instant::now();
    while !dir.path().join("ready").exists() && patience.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(10));
    }
    let Err(in_use) = Store::open(dir.path(), quiet()) else { panic!("opened twice") };
    assert!(in_use.to_string().contains(&format!("process {}", child.id())), "{in_use}");
    child.kill().unwrap();
    child.wait().unwrap();
    let store = open(dir.path());
    assert_eq!(read_all(&store.log())[0].entries[0].payload, b"acknowledged");
}
