//! Senders that go on whatever happens, with books of what was acknowledged, and a follower of the changes.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::traffic::Traffic;
use crate::common::{Change, Client, Events, LIMIT, POLL, Random, wait_until};

/// What became of a record: how often it was sent and may be in the journal, how often it is there for sure.
#[derive(Clone, Copy, Debug, Default)]
pub struct Book {
    pub attempts: u32,
    pub acknowledged: u32,
    /// The tick of its receipt.
    pub tick: u64,
}

/// What the threads of a campaign share.
#[derive(Default)]
pub struct Scene {
    /// Where the service is, while there is one.
    address: Mutex<Option<SocketAddr>>,
    books: Mutex<HashMap<String, Book>>,
    changes: Mutex<Vec<Change>>,
    alert: Mutex<Option<String>>,
    /// The tick up to which the follower has everything.
    followed_to: AtomicU64,
    /// Posts that were acknowledged.
    posts: AtomicU64,
    is_paused: AtomicBool,
    /// Senders that wait for the pause to end.
    parked: AtomicUsize,
    ends: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    pub fn set_address(&self, address: Option<SocketAddr>) {
        *locked(&self.address) = address;
    }

    pub fn address(&self) -> Option<SocketAddr> {
        *locked(&self.address)
    }

    pub fn books(&self) -> MutexGuard<'_, HashMap<String, Book>> {
        locked(&self.books)
    }

    pub fn changes(&self) -> MutexGuard<'_, Vec<Change>> {
        locked(&self.changes)
    }

    pub fn followed_to(&self) -> u64 {
        self.followed_to.load(Ordering::Relaxed)
    }

    pub fn posts(&self) -> u64 {
        self.posts.load(Ordering::Relaxed)
    }

    /// Holds `senders` back; each has the answer to what it sent, or knows that there is none.
    pub fn pause(&self, senders: usize) {
        self.is_paused.store(true, Ordering::Relaxed);
        wait_until("the senders pause", LIMIT, || self.parked.load(Ordering::Relaxed) == senders);
    }

    pub fn go_on(&self) {
        self.is_paused.store(false, Ordering::Relaxed);
    }

    pub fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// Sends until the end: what was not acknowledged, again.
    pub fn send(&self, mut traffic: Traffic, mut random: Random) {
        let mut client: Option<(SocketAddr, Client)> = None;
        let mut unheard: Option<Vec<String>> = None;
        while !self.is_over() {
            self.park();
            std::thread::sleep(Duration::from_millis(random.between(20, 100)));
            let Some(address) = self.address() else { continue };
            let connected = match client.take() {
                Some((known, open)) if known == address => Ok(open),
                _ => Client::connect(address),
            };
            let Ok(mut open) = connected else { continue };
            let alert = locked(&self.alert).clone();
            let batch = unheard.take().unwrap_or_else(|| traffic.batch(alert.as_deref()));
            match self.post(&mut open, &batch) {
                Ok(true) => client = Some((address, open)),
                Ok(false) => {
                    unheard = Some(batch);
                    client = Some((address, open));
                }
                Err(_) => unheard = Some(batch),
            }
        }
    }

    fn park(&self) {
        if self.is_paused.load(Ordering::Relaxed) {
            self.parked.fetch_add(1, Ordering::Relaxed);
            while self.is_paused.load(Ordering::Relaxed) && !self.is_over() {
                std::thread::sleep(POLL);
            }
            self.parked.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Posts records and keeps the books; says whether they were acknowledged.
    pub fn post(&self, client: &mut Client, batch: &[String]) -> std::io::Result<bool> {
        let keys: Vec<String> = batch.iter().map(|line| key_of(line)).collect();
        for key in &keys {
            self.books().entry(key.clone()).or_default().attempts += 1;
        }
        let answer = client.post("/api/v1/records", batch.join("\n").as_bytes())?;
        let note = |change: &dyn Fn(&mut Book)| {
            let mut books = self.books();
            keys.iter().for_each(|key| change(books.get_mut(key).expect("noted before")));
        };
        match answer.status {
            200 => {
                let receipt = answer.json();
                assert_eq!(receipt["accepted"].as_u64(), Some(batch.len() as u64), "{receipt}");
                let tick = receipt["tick"].as_u64().expect("a tick");
                note(&|book| {
                    book.acknowledged += 1;
                    book.tick = tick;
                });
                self.posts.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            // Nothing of it was kept.
            429 => {
                note(&|book| book.attempts -= 1);
                Ok(false)
            }
            // Nobody knows.
            503 => Ok(false),
            other => panic!("{other}: {}", answer.text()),
        }
    }

    /// Follows the changes whatever happens, each time after the last event that came.
    pub fn follow(&self) {
        let mut last_id = "0-0".to_owned();
        while !self.is_over() {
            let events = self.address().map(|address| Events::follow(address, &last_id));
            match events {
                Some(Ok(events)) => self.take_events(events, &mut last_id),
                Some(Err(error)) if error.kind() == std::io::ErrorKind::Other => {
                    panic!("the changes cannot be followed after {last_id}: {error}")
                }
                _ => std::thread::sleep(POLL),
            }
        }
    }

    /// Until the service is gone.
    fn take_events(&self, mut events: Events, last_id: &mut String) {
        while let Ok(Some(event)) = events.next() {
            match Change::of_event(&event) {
                Some(change) => {
                    if change.table == "alerts" && change.diff > 0 {
                        let id = change.row.split('"').nth(3).map(str::to_owned);
                        *locked(&self.alert) = id;
                    }
                    self.changes().push(change);
                }
                None => {
                    let tick = event.id.split('-').next().and_then(|tick| tick.parse().ok());
                    self.followed_to.store(tick.expect("a tick"), Ordering::Relaxed);
                }
            }
            *last_id = event.id;
        }
    }
}

/// What tells a record from others, as it was sent and as an export has it: all of it but when it was received.
pub fn key_of(line: &str) -> String {
    let mut record: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    if record["type"] == "position" {
        return format!("{} {}", record["vehicle_id"], record["event_time"]);
    }
    record.as_object_mut().expect("a record").remove("received_time");
    record.to_string()
}
