//! Starts from snapshots: they come to what starts without come to, and a snapshot that is wrong is left out.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Instant;

use journal::{Cursor, Log};
use model::state::{Loader, Saver, StateError};
use model::{ClosedTick, GraphSettings};
use pipeline::{Observer, Service, Snapshots, Taken, snapshots};

use super::{DEADLINE, MINUTE_MS, Stopping, assert_kept_is_true, bodies, fix, open, post, some_hours_ago};

/// Keeps the numbers of all ticks; those that it was told of itself are told apart.
#[derive(Default)]
struct Counts {
    ready: Option<mpsc::Sender<()>>,
    ticks: Vec<u64>,
    told: Vec<u64>,
}

impl Observer for Counts {
    fn closed(&mut self, closed: &ClosedTick, _: bool) {
        self.ticks.push(closed.tick);
        self.told.push(closed.tick);
    }
    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        to.put(&self.ticks)
    }
    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        assert!(self.ticks.is_empty(), "what was told before was forgotten");
        self.ticks = from.take()?;
        Ok(())
    }
    fn forget(&mut self) {
        self.ticks.clear();
        self.told.clear();
    }
    fn replayed(&mut self, _: u64, _: u64) {}
    fn ready(&mut self) {
        self.ready.iter().for_each(|ready| ready.send(()).unwrap());
    }
}

/// Runs a service until `act` is done. Gives all ticks that its observer knows, and those that it was told of.
fn serve(dir: &Path, workers: usize, act: impl FnOnce(&dyn Log)) -> (Vec<u64>, Vec<u64>) {
    let store = open(dir);
    let (log, changelog) = (store.log(), store.changelog());
    let (ready, is_ready) = mpsc::channel();
    std::thread::scope(|scope| {
        let (settings, snapshots) = (GraphSettings::default(), Some(Snapshots::of(dir, 2)));
        let service = Service { log: &log, changelog: &changelog, settings, workers, snapshots };
        let running = scope.spawn(move || {
            let mut counts = Counts { ready: Some(ready), ..Counts::default() };
            service.run(&mut counts).map(|()| (counts.ticks, counts.told))
        });
        {
            let _stopping = Stopping(&log);
            is_ready.recv_timeout(DEADLINE).expect("the service becomes ready");
            act(&log);
            // A stop would leave a backfill to the next start.
            let begun = Instant::now();
            while changelog.last_tick().map(|(tick, _)| tick) != log.last_tick().map(|(tick, _)| tick) {
                assert!(begun.elapsed() < DEADLINE, "the service closes its ticks");
                std::thread::yield_now();
            }
        }
        running.join().unwrap().unwrap()
    })
}

fn take(dir: &Path, workers: usize) -> Taken {
    let store = open(dir);
    let stores: (&dyn Log, _) = (&store.log(), &store.changelog());
    snapshots::take(&Snapshots::of(dir, 2), stores, workers, &mut Counts::default(), &|| true).unwrap()
}

fn tick_of(taken: &Taken) -> u64 {
    let Taken::New(manifest) = taken else { panic!("{taken:?}") };
    manifest.tick
}

fn folder_of(dir: &Path, tick: u64) -> PathBuf {
    dir.join("snapshots").join(format!("{tick:020}"))
}

fn all(last: u64) -> Vec<u64> {
    (1..=last).collect()
}

#[test]
fn a_start_goes_on_from_the_newest_snapshot() {
    for workers in [1, 2] {
        let dir = tempfile::tempdir().unwrap();
        let start = some_hours_ago();
        let bodies = bodies(start);
        let (first, rest) = bodies.split_at(bodies.len() / 2);
        assert_eq!(take(dir.path(), workers), Taken::Nothing);
        serve(dir.path(), workers, |log| first.iter().for_each(|body| post(log, body)));
        let middle = tick_of(&take(dir.path(), workers));
        assert_eq!(middle, first.len() as u64);
        assert_eq!(take(dir.path(), workers), Taken::UpToDate { tick: middle });

        let (known, told) = serve(dir.path(), workers, |log| rest.iter().for_each(|body| post(log, body)));

        let last = bodies.len() as u64;
        assert_eq!((known, told), (all(last), (middle + 1..=last).collect()));
        assert_kept_is_true(dir.path());

        // What came since is compared with what is kept, and then it is the newest one.
        assert_eq!(tick_of(&take(dir.path(), workers)), last);
        let (known, told) = serve(dir.path(), workers, |log| post(log, &fix("T1", start.plus_ms(7), 3.31)));
        assert_eq!((known, told), (all(last + 1), vec![last + 1]));
        assert_kept_is_true(dir.path());

        // It is kept in parts that only as many workers can go on from.
        let (_, told) = serve(dir.path(), workers + 1, |_| ());
        assert_eq!(told, all(last + 1));
    }
}

#[test]
fn a_snapshot_that_is_damaged_is_left_out_for_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    let start = some_hours_ago();
    let bodies = bodies(start);
    serve(dir.path(), 1, |log| bodies.iter().for_each(|body| post(log, body)));
    let older = tick_of(&take(dir.path(), 1));
    serve(dir.path(), 1, |log| post(log, &fix("T1", start.plus_ms(7), 3.31)));
    let newer = tick_of(&take(dir.path(), 1));
    assert_eq!(newer, older + 1);

    for file in ["worker-0", "views", "intake", "manifest.json"] {
        let path = folder_of(dir.path(), newer).join(file);
        let whole = fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        flipped[whole.len() / 2] ^= 0x10;
        for bytes in [&flipped[..], &whole[..whole.len() / 2], &[]] {
            fs::write(&path, bytes).unwrap();
            let (known, told) = serve(dir.path(), 1, |_| ());
            assert_eq!((known, told), (all(newer), vec![newer]), "{file} with {} bytes", bytes.len());
        }
        fs::remove_file(&path).unwrap();
        assert_eq!(serve(dir.path(), 1, |_| ()), (all(newer), vec![newer]), "without {file}");
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(serve(dir.path(), 1, |_| ()), (all(newer), vec![]), "all is well again");
    fs::remove_dir_all(folder_of(dir.path(), older)).unwrap();
    fs::write(folder_of(dir.path(), newer).join("intake"), "not this").unwrap();
    assert_eq!(serve(dir.path(), 1, |_| ()), (all(newer), all(newer)), "from the beginning");
    assert_kept_is_true(dir.path());
}

#[test]
fn a_folder_of_snapshots_that_is_none_keeps_nobody_from_starting() {
    let dir = tempfile::tempdir().unwrap();
    let bodies = bodies(some_hours_ago());
    fs::write(dir.path().join("snapshots"), "a file").unwrap();
    serve(dir.path(), 1, |log| bodies.iter().for_each(|body| post(log, body)));
    let last = bodies.len() as u64;
    assert_eq!(serve(dir.path(), 1, |_| ()), (all(last), all(last)));
    assert_kept_is_true(dir.path());
}

#[test]
fn a_snapshot_that_leads_elsewhere_is_removed() {
    let start = some_hours_ago();
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut bodies = bodies(start);
    let half = bodies.len() / 2;
    serve(dir.path(), 1, |log| bodies.iter().for_each(|body| post(log, body)));
    // There it came in later.
    bodies[2] = fix("T9", start, 3.5);
    serve(other.path(), 1, |log| bodies[..half].iter().for_each(|body| post(log, body)));
    let tick = tick_of(&take(other.path(), 1));
    fs::create_dir_all(dir.path().join("snapshots")).unwrap();
    fs::rename(folder_of(other.path(), tick), folder_of(dir.path(), tick)).unwrap();

    let last = bodies.len() as u64;
    assert_eq!(serve(dir.path(), 1, |_| ()), (all(last), all(last)));

    assert!(!folder_of(dir.path(), tick).exists());
    assert_kept_is_true(dir.path());
}

#[test]
fn what_is_behind_a_backfill_is_not_reached_from_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let start = some_hours_ago();
    let bodies = bodies(start);
    serve(dir.path(), 1, |log| bodies.iter().for_each(|body| post(log, body)));
    let before = tick_of(&take(dir.path(), 1));
    let (from, to) = (start.plus_ms(-72 * 60 * MINUTE_MS), start.plus_ms(-24 * 60 * MINUTE_MS));
    let backfill = format!(r#"{{"type":"backfill","from_time":"{from}","to_time":"{to}"}}"#);
    serve(dir.path(), 1, |log| {
        let ticket = log.append(sources::code::BACKFILL, "", backfill.clone().into_bytes()).unwrap();
        ticket.wait_blocking().unwrap();
        post(log, &fix("T1", start.plus_ms(9), 3.31));
    });
    let last = before + 2;

    let (_, told) = serve(dir.path(), 1, |_| ());

    assert_eq!(told, all(last), "from the beginning");
    let changes = |tick| open(dir.path()).changelog().after(Cursor { tick, index: u32::MAX }, 10).unwrap();
    assert_eq!(changes(last), []);
    // One that is taken after it is.
    assert_eq!(tick_of(&take(dir.path(), 1)), last);
    assert_eq!(serve(dir.path(), 1, |_| ()), (all(last), vec![]));
    let report = super::verify(dir.path());
    assert_eq!(report.differences, []);
}
