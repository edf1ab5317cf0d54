//! The journal goes on while a backfill is computed: its ticks are taken at each step, also where there is room for
//! few, and all of them are worked on afterwards.

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

struct Mint {
    ticks: Vec<Tick>,
    /// A tick comes at each step of the service, if there is room; else somebody else mints them.
    is_by_steps: bool,
    /// Until the last tick is closed.
    live: Mutex<Option<Sender<Arc<Tick>>>>,
    minted: AtomicUsize,
    /// How many of them while the journal was read.
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
        let (true, Some(live), Some(next)) = (self.is_by_steps, &*live, next) else { return false };
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
}

impl Minting {
    fn new(scene: &Scene, room: usize, is_by_steps: bool) -> Minting {
        let mint = Mint {
            ticks: scene.ticks.clone(),
            is_by_steps,
            live: Mutex::default(),
            minted: AtomicUsize::default(),
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
            mint.minted_while_read.fetch_add(usize::from(mint.step()), Ordering::Relaxed);
            Ok(mint.ticks[number as usize - 1].clone())
        }))
    }

    fn start(&self) -> Result<Receiver<Arc<Tick>>, StoreError> {
        let (sender, receiver) = crossbeam_channel::bounded(self.room);
        *self.mint.live.lock().unwrap() = Some(sender);
        self.mint.step();
        Ok(receiver)
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
    told: Told<'a>,
    is_ready: Option<Sender<()>>,
}

impl Observer for Follower<'_> {
    fn closed(&mut self, closed: &ClosedTick, replayed: bool) {
        self.told.closed(closed, replayed);
        self.log.mint.step();
        if closed.tick as usize == self.log.mint.ticks.len() {
            self.log.stop();
        }
    }

    fn replayed(&mut self, _: u64, _: u64) {}

    fn ready(&mut self) {
        self.is_ready.iter().for_each(|ready| ready.send(()).unwrap());
    }
}

/// A truck with positions that come two hours late, and two backfills for them, the second one soon after the
/// first.
fn two_backfills() -> Scene {
    let mut text = "
set cleaning.horizon_h 1
fence yard square 3.30,6.40 3.31,6.41
"
    .to_owned();
    for minute in 0..120 {
        let (hour, truck, lon) = match minute {
            40 | 48 => {
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

fn serve(scene: &Scene, log: &Minting, is_ready: Option<Sender<()>>) -> Result<(), String> {
    let (_dir, store) = empty();
    let changelog = store.changelog();
    let mut follower = Follower { log, told: scene.told(), is_ready };
    let service = Service { log, changelog: &changelog, settings: GraphSettings::default(), workers: 1 };
    service.run(&mut follower).map_err(|error| error.to_string())?;
    follower.told.wrong.map_or(Ok(()), Err)?;
    assert_eq!(changelog.last_tick().map(|(tick, _)| tick as usize), Some(scene.ticks.len()));
    scene.compare_kept(&changelog, scene.ticks.len())
}

#[test]
fn the_journal_waits_for_no_more_than_a_step_while_a_backfill_is_computed_and_caught_up_with() {
    let scene = two_backfills();
    for room in [1, 2, 3] {
        let log = Minting::new(&scene, room, true);
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
        let log = Minting::new(&scene, room, false);
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
