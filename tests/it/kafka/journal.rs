//! The journal on Kafka.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use super::broker::Broker;
use super::{Topics, as_args};
use crate::common::{
    Client, LIMIT, NO_HEARTBEAT, Service, changes_until, circle, export, fence_record, fix, now_ms,
    positions_in, replay, succeed, tick_of, verify, wait_until, watchtower,
};
use crate::crash;

#[test]
fn killed_at_any_moment_a_service_on_kafka_loses_and_repeats_nothing() {
    let Some(topics) = Topics::of_shared_broker("crash") else { return };
    crash::kill_again_and_again(&as_args(&topics.journal_settings()), 5);
}

/// Some trucks in and out of a yard, over many ticks.
pub(super) fn drive(service: &mut Service, rounds: i64) -> u64 {
    let mut client = service.client();
    let fence = fence_record(&circle("yard", 3.4, 6.5, 50.0));
    let mut tick = tick_of(&client.post("/api/v1/records", fence.as_bytes()).expect("an answer"), 1);
    let start = now_ms() - 20 * 3_600_000;
    for round in 0..rounds {
        let lon = if round / 8 % 2 == 0 { 3.4 } else { 3.4014 };
        let records: Vec<String> =
            (0..5).map(|truck| fix(&format!("T{truck}"), start + round * 60_000, lon, 6.5)).collect();
        let answer = client.post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
        tick = tick_of(&answer, records.len());
    }
    tick
}

#[test]
fn every_folder_derives_the_same_from_a_journal_on_kafka() {
    let Some(topics) = Topics::of_shared_broker("same") else { return };
    let settings = topics.journal_settings();
    let args = [&NO_HEARTBEAT[..], &as_args(&settings)].concat();
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let mut service = Service::start(first.path(), &args);
    let tick = drive(&mut service, 60);
    let told = changes_until(service.address(), "0-0", tick);
    let shown = service.tables(tick);
    service.stop();
    verify(first.path());
    let exported = export(first.path());
    shown.assert_same("the service", &replay(&exported), "the replay of its export");

    // The commands find the journal by what the folder knows.
    let from = "2020-01-01T00:00:00Z";
    let refused = watchtower()
        .args(["backfill", "--from", from, "--to", "2020-01-02T00:00:00Z", "--data"])
        .arg(first.path())
        .output()
        .expect("the command can be started");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("earliest that is taken"), "{refused:?}");
    succeed(watchtower().args(["dead-letters", "list", "--data"]).arg(first.path()));

    let mut service = Service::start(second.path(), &args);
    let again = changes_until(service.address(), "0-0", tick);
    let differs = told.iter().zip(&again).position(|(a, b)| a != b);
    assert_eq!(differs.map(|at| (&told[at], &again[at])), None, "another folder tells something else");
    assert_eq!((told.len(), told.len() > 20), (again.len(), true));
    service.stop();
    verify(second.path());
    assert_eq!(export(second.path()), exported);
}

#[test]
fn a_service_that_slept_through_a_takeover_stops() {
    let Some(topics) = Topics::of_shared_broker("sleeper") else { return };
    let settings = topics.journal_settings();
    let args = as_args(&settings);
    let [first, second] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let mut sleeper = Service::start(first.path(), &args);
    drive(&mut sleeper, 10);
    let signal = |signal: &str, service: &Service| {
        succeed(Command::new("kill").args([signal, &service.id().to_string()]));
    };
    signal("-STOP", &sleeper);
    let mut other = Service::start(second.path(), &args);
    drive(&mut other, 20);
    let mut client = Client::connect(sleeper.address()).expect("a connection");
    signal("-CONT", &sleeper);
    // The service may be gone before it answers; what it never does is to say yes.
    if let Ok(answer) = client.post("/api/v1/records", fix("zombie", now_ms(), 3.4, 6.5).as_bytes()) {
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    let said = sleeper.wait_for_failure();
    assert!(said.contains("another writer has taken over"), "{said}");

    drive(&mut other, 5);
    other.stop();
    let kept = positions_in(&export(second.path()));
    assert_eq!(kept.len(), 5 * (10 + 20 + 5), "{:?}", kept.len());
    verify(second.path());
}

type Key = (String, i64);

/// Posts under load, and what came of it.
#[derive(Default)]
struct Load {
    sent: AtomicI64,
    acknowledged: Mutex<BTreeSet<Key>>,
    refused: Mutex<BTreeSet<u16>>,
    ends: AtomicBool,
}

impl Load {
    fn acknowledged(&self) -> usize {
        self.acknowledged.lock().expect("no thread panicked").len()
    }

    fn post(&self, address: SocketAddr, start: i64) -> std::io::Result<u16> {
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        let key = (format!("T{}", number % 7), start + number);
        let record = fix(&key.0, key.1, 3.4, 6.5);
        let answer = Client::connect(address)?.post("/api/v1/records", record.as_bytes())?;
        match answer.status {
            200 => _ = self.acknowledged.lock().expect("no thread panicked").insert(key),
            other => _ = self.refused.lock().expect("no thread panicked").insert(other),
        }
        Ok(answer.status)
    }

    fn wait_for(&self, more: usize) {
        let before = self.acknowledged();
        wait_until("records are acknowledged", LIMIT, || self.acknowledged() >= before + more);
    }
}

struct EndsWhenDropped<'a>(&'a Load);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.ends.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_broker_that_dies_under_load_costs_nothing_but_time() {
    let Some(mut broker) = Broker::start() else { return };
    let topics = Topics::at(broker.address.clone(), "outage");
    let settings = topics.journal_settings();
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &as_args(&settings));
    let (address, start) = (service.address(), now_ms() - 20 * 3_600_000);
    let load = Load::default();
    std::thread::scope(|scope| {
        let _ends = EndsWhenDropped(&load);
        for _ in 0..2 {
            scope.spawn(|| {
                while !load.ends.load(Ordering::Relaxed) {
                    // What gets no answer is in nobody's books.
                    let _ = load.post(address, start);
                }
            });
        }
        for round in 0..3 {
            load.wait_for(50);
            broker.kill();
            if round == 0 {
                // What waits already goes on waiting; after a while what comes is refused.
                std::thread::sleep(Duration::from_secs(12));
                assert_eq!(load.post(address, start).expect("an answer"), 503);
                let ready = Client::connect(address).and_then(|mut client| client.get("/readyz"));
                assert_eq!(ready.expect("an answer").status, 503);
            }
            broker.start_again();
        }
        load.wait_for(50);
    });
    assert_eq!(*load.refused.lock().expect("no thread panicked"), BTreeSet::from([503]));
    let said = service.stop();
    assert!(!said.contains("ERROR"), "{said}");
    verify(dir.path());
    let kept = positions_in(&export(dir.path()));
    for key in load.acknowledged.lock().expect("no thread panicked").iter() {
        assert_eq!(kept.get(key), Some(&1), "{key:?} was acknowledged, and must be there once");
    }
    assert!(kept.values().all(|count| *count == 1), "nothing is there twice");
}
