//! A service that is killed again and again: nothing acknowledged is lost, nothing is there twice, and who
//! follows the changes misses and sees twice nothing.
//!
//! Moments of the kills come of a seed, which is printed; `WATCHTOWER_TEST_SEED` sets it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::common::{
    Change, Client, Events, LIMIT, NO_HEARTBEAT, POLL, Random, Service, Tables, changes_until, circle,
    export, fence_record, fix, now_ms, positions_in, replay, sum, verify, wait_until, watchtower,
};

const KILLS: usize = 24;
const CLIENTS: usize = 4;
/// Vehicles a client sends for, in turn.
const VEHICLES: i64 = 6;
/// Short stays are visits here, so that visits come and go as presences do.
const SETTINGS: [&str; 4] = ["--set", "visits.min_dwell_s=10", "--set", "visits.max_absence_s=5"];

type Key = (String, i64);

/// What the threads share.
#[derive(Default)]
struct Scene {
    /// Where the service is, while there is one.
    address: Mutex<Option<SocketAddr>>,
    sent: Mutex<BTreeSet<Key>>,
    acknowledged: Mutex<BTreeSet<Key>>,
    changes: Mutex<Vec<Change>>,
    /// The tick up to which the follower has everything.
    followed_to: AtomicU64,
    /// How many starts went on from a snapshot.
    from_snapshots: AtomicUsize,
    load_ends: AtomicBool,
    following_ends: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    /// Where the service is now; waits while there is none. `None` when `ends` says so.
    fn address(&self, ends: &AtomicBool) -> Option<SocketAddr> {
        while !ends.load(Ordering::Relaxed) {
            if let Some(address) = *locked(&self.address) {
                return Some(address);
            }
            std::thread::sleep(POLL);
        }
        None
    }

    /// Posts positions that nobody else sends, none twice, whatever becomes of them.
    fn post_until_told(&self, number: usize, seed: u64) {
        let mut random = Random::from_seed(seed ^ (number as u64 + 1) << 32);
        let mut traffic = Traffic { client: number, sent: 0, start: now_ms() - 20 * 3_600_000 };
        while let Some(address) = self.address(&self.load_ends) {
            let Ok(mut client) = Client::connect(address) else {
                std::thread::sleep(POLL);
                continue;
            };
            while !self.load_ends.load(Ordering::Relaxed) {
                let count = if random.below(4) == 0 { 1 + random.below(8) } else { 1 };
                let (keys, records): (Vec<Key>, Vec<String>) = (0..count).map(|_| traffic.next()).unzip();
                locked(&self.sent).extend(keys.iter().cloned());
                match client.post("/api/v1/records", records.join("\n").as_bytes()) {
                    Ok(answer) if answer.status == 200 => locked(&self.acknowledged).extend(keys),
                    // The queue may be full while a start takes long.
                    Ok(answer) => assert!(matches!(answer.status, 429 | 503), "{}", answer.text()),
                    Err(_) => break,
                }
            }
        }
    }

    /// Follows the changes over all crashes, each time after the last event that came.
    fn follow_until_told(&self) {
        let mut last_id = "0-0".to_owned();
        while let Some(address) = self.address(&self.following_ends) {
            match Events::follow(address, &last_id) {
                Ok(events) => self.take_events(events, &mut last_id),
                Err(error) => {
                    assert!(error.kind() != std::io::ErrorKind::Other, "{error}");
                    std::thread::sleep(POLL);
                }
            }
        }
    }

    /// Until the service is gone.
    fn take_events(&self, mut events: Events, last_id: &mut String) {
        while let Ok(Some(event)) = events.next() {
            match Change::of_event(&event) {
                Some(change) => locked(&self.changes).push(change),
                None => {
                    let tick = event.id.split('-').next().and_then(|tick| tick.parse().ok());
                    self.followed_to.store(tick.expect("a tick"), Ordering::Relaxed);
                }
            }
            *last_id = event.id;
        }
    }
}

/// A client's positions: each vehicle is ten fixes inside the yard, then ten outside.
struct Traffic {
    client: usize,
    sent: i64,
    start: i64,
}

impl Traffic {
    fn next(&mut self) -> (Key, String) {
        let (vehicle, step) = (self.sent % VEHICLES, self.sent / VEHICLES);
        self.sent += 1;
        let (name, time) = (format!("C{}-{vehicle}", self.client), self.start + step * 2000);
        // Some 150 m apart: neither a jump nor within the buffer of the fence.
        let lon = if step / 10 % 2 == 0 { 3.4 } else { 3.4014 };
        let record = fix(&name, time, lon, 6.5);
        ((name, time), record)
    }
}

fn seed() -> u64 {
    let given = std::env::var("WATCHTOWER_TEST_SEED").ok();
    given.map_or_else(|| now_ms() as u64, |text| text.parse().expect("WATCHTOWER_TEST_SEED is a number"))
}

#[test]
fn killed_at_any_moment_a_service_loses_and_repeats_nothing() {
    kill_again_and_again(&[], KILLS);
}

/// Kills a service `kills` times under load, with some settings besides, and judges what it has.
pub fn kill_again_and_again(settings: &[&str], kills: usize) {
    let settings = &[&SETTINGS[..], settings].concat()[..];
    let seed = seed();
    println!("WATCHTOWER_TEST_SEED={seed}");
    let mut random = Random::from_seed(seed);
    let dir = tempfile::tempdir().expect("a folder");
    let mut first = Service::start(dir.path(), settings);
    let fence = fence_record(&circle("yard", 3.4, 6.5, 50.0));
    let posted = first.client().post("/api/v1/records", fence.as_bytes()).expect("an answer");
    assert_eq!(posted.status, 200);
    first.kill();

    let scene = Scene::default();
    let shown = std::thread::scope(|scope| {
        let _ends = EndsWhenDropped(&scene);
        for number in 0..CLIENTS {
            let scene = &scene;
            scope.spawn(move || scene.post_until_told(number, seed));
        }
        scope.spawn(|| scene.follow_until_told());
        for round in 0..kills {
            run_and_kill(&scene, dir.path(), settings, &mut random, round);
        }
        settle(&scene, dir.path(), settings)
    });
    let from_snapshots = scene.from_snapshots.load(Ordering::Relaxed);
    assert!(from_snapshots > 0 || kills < KILLS, "no start went on from a snapshot");
    judge(&scene, dir.path(), shown);
}

/// Threads end whether all went well or not.
struct EndsWhenDropped<'a>(&'a Scene);

impl Drop for EndsWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.load_ends.store(true, Ordering::Relaxed);
        self.0.following_ends.store(true, Ordering::Relaxed);
    }
}

/// A run that ends with SIGKILL: one in three while it starts, the others at a moment under load.
fn run_and_kill(scene: &Scene, data: &std::path::Path, settings: &[&str], random: &mut Random, round: usize) {
    let mut service = Service::launch(data, settings, &[]);
    let in_start = round % 3 == 2;
    let mut taking = None;
    if in_start {
        // From before the folder is open to after the journal is replayed.
        std::thread::sleep(Duration::from_micros(random.below(250_000)));
    } else {
        // Requests come from the first moment on, while the journal is still replayed.
        *locked(&scene.address) = Some(service.address());
        let before = locked(&scene.acknowledged).len();
        wait_until("records are acknowledged", LIMIT, || locked(&scene.acknowledged).len() > before + 20);
        // It is killed before, while or after a snapshot is written.
        let mut take = watchtower();
        take.args(["snapshots", "take", "--data"]).arg(data).stdout(Stdio::null()).stderr(Stdio::null());
        taking = Some(take.spawn().expect("the command can be started"));
        std::thread::sleep(Duration::from_micros(random.below(400_000)));
    }
    // Nobody may reach for the port of a dead service, which may be given to another process.
    *locked(&scene.address) = None;
    let said = service.kill();
    if let Some(mut taking) = taking {
        taking.wait().expect("the command ends with its service");
    }
    let is_from_snapshot = said.contains("a start from a snapshot");
    scene.from_snapshots.fetch_add(usize::from(is_from_snapshot), Ordering::Relaxed);
    let (sent, acknowledged) = (locked(&scene.sent).len(), locked(&scene.acknowledged).len());
    println!(
        "kill {round}: in start {in_start}, from a snapshot {is_from_snapshot}, {sent} sent, {acknowledged} acknowledged"
    );
    assert!(!said.contains("panicked") && !said.contains("ERROR"), "{said}");
}

/// The last run: ends the load, waits until the follower has all. Tells what the service shows.
fn settle(scene: &Scene, data: &std::path::Path, settings: &[&str]) -> Tables {
    let mut service = Service::launch(data, &[&NO_HEARTBEAT[..], settings].concat(), &[]);
    let address = service.wait_until_ready();
    *locked(&scene.address) = Some(address);
    let before = locked(&scene.acknowledged).len();
    wait_until("records are acknowledged", LIMIT, || locked(&scene.acknowledged).len() > before + 100);
    scene.load_ends.store(true, Ordering::Relaxed);
    let tick = settled_tick(&mut service);
    wait_until("the follower has everything", LIMIT, || scene.followed_to.load(Ordering::Relaxed) >= tick);

    verify(data);
    let mut shown = service.tables(tick);
    shown.assert_same("the service", &replay(&export(data)), "the replay of its export");
    let anew = changes_until(address, "0-0", tick);
    let followed = locked(&scene.changes);
    let differs = followed.iter().zip(&anew).position(|(a, b)| a != b);
    assert_eq!(differs.map(|at| (&followed[at], &anew[at])), None, "the follower was told something else");
    assert_eq!(followed.len(), anew.len(), "the follower missed something");
    drop(followed);
    scene.following_ends.store(true, Ordering::Relaxed);
    *locked(&scene.address) = None;
    service.stop();
    verify(data);
    shown.0.iter_mut().for_each(|table| table.sort());
    shown
}

/// Nothing is minted any more but for requests that are still in work: waits until they are through.
fn settled_tick(service: &mut Service) -> u64 {
    let mut client = service.client();
    let mut tick = || client.get("/readyz").expect("an answer").json()["tick"].as_u64().expect("a tick");
    let mut last = tick();
    let mut same = 0;
    wait_until("the last requests are through", LIMIT, || {
        let now = tick();
        same = if now == last { same + 1 } else { 0 };
        last = now;
        same > 40
    });
    last
}

fn judge(scene: &Scene, data: &std::path::Path, shown: Tables) {
    let kept = positions_in(&export(data));
    let (sent, acknowledged) = (locked(&scene.sent), locked(&scene.acknowledged));
    for key in acknowledged.iter() {
        assert_eq!(kept.get(key), Some(&1), "{key:?} was acknowledged, and must be there once");
    }
    for (key, count) in &kept {
        assert!(sent.contains(key) && *count == 1, "{key:?} is there {count} times");
    }
    let changes = locked(&scene.changes);
    let retracted = changes.iter().filter(|change| change.diff < 0).count();
    println!(
        "{} sent, {} acknowledged, {} kept, {} changes followed, {retracted} of them retractions",
        sent.len(),
        acknowledged.len(),
        kept.len(),
        changes.len()
    );
    assert!(retracted > 100, "the load makes rows that change");
    sum(&changes).assert_same("the sum of what the follower got", &shown, "the tables");
}

#[test]
fn killed_while_it_makes_its_folder_a_service_starts_again() {
    let seed = seed();
    println!("WATCHTOWER_TEST_SEED={seed}");
    let mut random = Random::from_seed(seed);
    for round in 0..20 {
        let dir = tempfile::tempdir().expect("a folder");
        for _ in 0..2 {
            let service = Service::launch(dir.path(), &[], &[]);
            let micros = random.below(120_000);
            std::thread::sleep(Duration::from_micros(micros));
            let made = files_below(dir.path()).len();
            println!("round {round}: killed after {micros} us, {made} files made");
            service.kill();
        }
        let mut service = Service::start(dir.path(), &[]);
        let posted = service.client().post("/api/v1/records", fix("T1", now_ms(), 3.4, 6.5).as_bytes());
        assert_eq!(posted.expect("an answer").status, 200);
        service.stop();
        verify(dir.path());
        assert_eq!(positions_in(&export(dir.path())).len(), 1);
    }
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    // A folder may go while it is looked at.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
