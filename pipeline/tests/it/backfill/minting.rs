//! The journal goes on while a backfill is computed: its ticks are taken at each step, also where there is room for
//! few, and all of them are worked on afterwards. Then it waits where more comes than is worked on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bench::oracle::scenario;
use crossbeam_channel::{Receiver, Sender};
use journal::{AppendError, Log, StoreError, Tick, Ticket};
use model::{ClosedTick, GraphSettings};
use pipeline::{Observer, Service};

use super::service::{Scene, Told, empty};

const DEADLINE: Duration = Duration::from_secs(60);

/// A journal that mints ticks into a channel with room for few.
struct Minting {
    mint: Arc<Mint>,
    room: usize,
}

/// How ticks come.
#[derive(Clone, Copy, PartialEq)]
enum Load {
    /// As somebody else mints them.
    OfOthers,
    /// If there is room: one at each step of a pass, and one for every second tick that is closed; one for each
    /// where none is left.
    Light,
    /// One at each step of a pass, and as many as there is room for when a tick is closed.
    Heavy,
}

struct Mint {
    ticks: Vec<Tick>,
    load: Load,
    /// Until the last tick is closed.
    live: Mutex<Option<Sender<Arc<Tick>>>>,
    minted: AtomicUsize,
    closed: AtomicUsize,
    /// How many were minted and not closed, after each that was closed.
    distances: Mutex<Vec<usize>>,
    /// How many were minted while the journal was read from its beginning.
    minted_while_read: AtomicUsize,
    /// For how many steps there has been no room.
    waiting_steps: AtomicUsize,
    longest_wait_steps: AtomicUsize,
}

impl Mint {
    /// Whether a tick was minted.
    fn step(&self) -> bool {
        let live = self.live.lock().unwrap();
        let next = self.ticks.get(self.minted.load(Ordering::Relaxed));
        let (true, Some(live), Some(next)) = (self.load != Load::OfOthers, &*live, next) else {
            return false;
        };
        let is_minted = live.try_send(Arc::new(next.clone())).is_ok();
        if is_minted {
            self.minted.fetch_add(1, Ordering::Relaxed);
            self.waiting_steps.store(0, Ordering::Relaxed);
        } else {
            let waiting = 1 + self.waiting_steps.fetch_add(1, Ordering::Relaxed);
            self.longest_wait_steps.fetch_max(waiting, Ordering::Relaxed);
        }
        is_minted
    }

    fn closed(&self, tick: usize) {
        self.closed.store(tick, Ordering::Relaxed);
        let minted = self.minted.load(Ordering::Relaxed);
        self.distances.lock().unwrap().push(minted.saturating_sub(tick));
        match self.load {
            Load::OfOthers => {}
            Load::Light => _ = (tick.is_multiple_of(2) || tick == minted) && self.step(),
            Load::Heavy => while self.step() {},
        }
    }
}

impl Minting {
    fn new(scene: &Scene, room: usize, load: Load) -> Minting {
        let mint = Mint {
            ticks: scene.ticks.clone(),
            load,
            live: Mutex::default(),
            minted: AtomicUsize::default(),
            closed: AtomicUsize::default(),
            distances: Mutex::default(),
            minted_while_read: AtomicUsize::default(),
            waiting_steps: AtomicUsize::default(),
            longest_wait_steps: AtomicUsize::default(),
        };
        Minting { mint: Arc::new(mint), room }
    }
}

impl Log for Minting {
    fn append(&self, _: u8, _: &str, _: Vec<u8>) -> Result<Ticket, AppendError> {
        Err(AppendError::Stopped)
    }

    fn last_tick(&self) -> Option<(u64, i64)> {
        None
    }

    fn read(&self, from: u64, to: u64) -> Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send> {
        let mint = self.mint.clone();
        Box::new((from..=to).map(move |number| {
            let is_of_pass = number as usize <= mint.closed.load(Ordering::Relaxed);
            let is_minted = is_of_pass && mint.step();
            mint.minted_while_read.fetch_add(usize::from(is_minted), Ordering::Relaxed);
            Ok(mint.ticks[number as usize - 1].clone())
        }))
    }

    fn start(&self) -> Result<Receiver<Arc<Tick>>, StoreError> {
        let (sender, receiver) = crossbeam_channel::bounded(self.room);
        *self.mint.live.lock().unwrap() = Some(sender);
        self.mint.step();
        Ok(receiver)
    }

    fn is_stopped(&self) -> bool {
        false
    }

    fn failure(&self) -> Option<String> {
        None
    }

    fn stop(&self) {
        self.mint.live.lock().unwrap().take();
    }
}

struct Follower<'a> {
    log: &'a Minting,
    /// Compared after each tick.
    told: Option<Told<'a>>,
    is_ready: Option<Sender<()>>,
}

impl Observer for Follower<'_> {
    fn closed(&mut self, closed: &ClosedTick, replayed: bool) {
        if let Some(told) = &mut self.told {
            told.closed(closed, replayed);
        }
        self.log.mint.closed(closed.tick as usize);
        if closed.tick as usize == self.log.mint.ticks.len() {
            self.log.stop();
        }
    }

    fn replayed(&mut self, _: u64, _: u64) {}

    fn ready(&mut self) {
        self.is_ready.iter().for_each(|ready| ready.send(()).unwrap());
    }
}

/// A truck with positions that come two hours late, and backfills for them; a record a minute.
fn late_truck(minutes: usize, backfills: &[usize]) -> Scene {
    let mut text = "
set cleaning.horizon_h 1
fence yard square 3.30,6.40 3.31,6.41
"
    .to_owned();
    for minute in 0..minutes {
        let (hour, truck, lon) = match minute {
            _ if backfills.contains(&minute) => {
                text += "backfill 06:00 08:00\n";
                continue;
            }
            _ if minute % 4 == 0 => (6, "T1", 3.305),
            _ if minute % 4 == 2 => (6, "T1", 3.315),
            _ => (8, "T2", if minute % 3 == 0 { 3.305 } else { 3.315 }),
        };
        text += &format!("{truck} {:02}:{:02} {lon},6.405\n", hour + minute / 60, minute % 60);
    }
    // From its own time on, T1 is late.
    let text = text.replacen("T1 06:00 3.305,6.405", "T2 08:00 3.315,6.405", 1);
    Scene::new(&scenario::parse(&text).unwrap(), &[1])
}

/// Two backfills, the second one soon after the first.
fn two_backfills() -> Scene {
    late_truck(120, &[40, 48])
}

fn serve(scene: &Scene, log: &Minting, is_ready: Option<Sender<()>>) -> Result<(), String> {
    let (_dir, store) = empty();
    let changelog = store.changelog();
    // In a long scene what is kept in the end says enough.
    let told = (scene.ticks.len() < 200).then(|| scene.told());
    let mut follower = Follower { log, told, is_ready };
    let service = Service {
        log,
        changelog: &changelog,
        settings: GraphSettings::default(),
        workers: 1,
        snapshots: None,
    };
    service.run(&mut follower).map_err(|error| error.to_string())?;
    follower.told.and_then(|told| told.wrong).map_or(Ok(()), Err)?;
    assert_eq!(changelog.last_tick().map(|(tick, _)| tick as usize), Some(scene.ticks.len()));
    scene.compare_kept(&changelog, scene.ticks.len())
}

#[test]
fn the_journal_waits_for_no_more_than_a_step_while_a_backfill_is_computed_and_caught_up_with() {
    let scene = two_backfills();
    for room in [1, 2, 3] {
        let log = Minting::new(&scene, room, Load::Light);
        serve(&scene, &log, None).unwrap();
        assert_eq!(log.mint.minted.load(Ordering::Relaxed), scene.ticks.len());
        let while_read = log.mint.minted_while_read.load(Ordering::Relaxed);
        assert!(
            while_read > 40,
            "room for {room}: {while_read} ticks were minted while the journal was read"
        );
        let longest = log.mint.longest_wait_steps.load(Ordering::Relaxed);
        assert!(longest <= 1, "room for {room}: no room for {longest} steps");
    }
}

#[test]
fn a_journal_that_waits_for_room_gets_it_whatever_is_computed() {
    let scene = two_backfills();
    for room in [0, 1, 4] {
        let log = Minting::new(&scene, room, Load::OfOthers);
        let (ready, is_ready) = crossbeam_channel::bounded(1);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                is_ready.recv_timeout(DEADLINE).expect("the service becomes ready");
                let live = log.mint.live.lock().unwrap().clone().unwrap();
                for tick in &scene.ticks {
                    live.send_timeout(Arc::new(tick.clone()), DEADLINE).expect("there will be room");
                }
            });
            serve(&scene, &log, Some(ready)).unwrap();
        });
    }
}

#[test]
fn the_way_back_comes_to_its_end_however_much_is_posted() {
    const IN_GRAPH: usize = 8;
    let backfill = 40;
    let scene = late_truck(700, &[backfill]);
    for room in [1, 3] {
        let log = Minting::new(&scene, room, Load::Heavy);
        serve(&scene, &log, None).unwrap();
        let distances = log.mint.distances.lock().unwrap();
        // Two records come before the first minute.
        let (_, since) = distances.split_at(backfill + 2);
        let before = since[0];
        assert!(before > 30, "room for {room}: {before} ticks came while the backfill was computed");
        for (closed, distance) in since.iter().enumerate() {
            let at_most = before.saturating_sub(closed / 8) + room + IN_GRAPH + 1;
            assert!(*distance <= at_most, "room for {room}: {distance} ticks behind after {closed}");
        }
        // Some are still to come by then.
        let is_back = |(tick, distance): (usize, &usize)| {
            *distance <= room + IN_GRAPH + 1 && backfill + 3 + tick + distance < scene.ticks.len()
        };
        assert!(since.iter().enumerate().any(is_back), "room for {room}: {since:?}");
    }
}
