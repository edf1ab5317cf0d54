//! The service's loop over backfills, with a journal of generated records: at each tick it tells the changes
//! that lead to what the oracle says, whatever is let go of meanwhile, and wherever it is ended and started
//! again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bench::oracle::{self, Input, recompute_prefix};
use crossbeam_channel::{Receiver, Sender};
use journal::{
    AppendError, Changelog, Cursor, Entry, Log, Options, Store, StoreError, StoredChange, Tick, Ticket,
};
use model::{Cause, ClosedTick, GraphSettings, Table, Tables};
use pipeline::{Intake, Observer, Service};
use proptest::prelude::*;

use super::records::{line, stamped};
use super::{backfilled, hold_slowly};
use crate::harness::{difference, feed, ticks};

/// A journal that is full already: of some ticks when it is opened, of the others live.
struct Prepared {
    ticks: Vec<Tick>,
    durable: usize,
    /// All that are live come at once; else each when the one before is closed.
    is_eager: bool,
    /// It is stopped as soon as all have come.
    is_stopping: bool,
    live: Mutex<Option<Sender<Arc<Tick>>>>,
    /// How often it was asked whether it is stopped, and from when on it is.
    asked: AtomicUsize,
    stopped_from: usize,
    /// From where to where it was read, each time.
    reads: Mutex<Vec<(u64, u64)>>,
}

impl Prepared {
    fn new(ticks: &[Tick], durable: usize, is_eager: bool) -> Prepared {
        let (ticks, live, reads) = (ticks.to_vec(), Mutex::default(), Mutex::default());
        let (asked, stopped_from) = (AtomicUsize::default(), usize::MAX);
        Prepared { ticks, durable, is_eager, is_stopping: false, live, asked, stopped_from, reads }
    }

    /// Mints the tick after the `closed`th.
    fn go_on(&self, closed: u64) {
        if let (Some(live), Some(next)) = (&*self.live.lock().unwrap(), self.ticks.get(closed as usize))
            && !self.is_eager
        {
            live.send(Arc::new(next.clone())).unwrap();
        }
    }
}

impl Log for Prepared {
    fn append(&self, _: u8, _: &str, _: Vec<u8>) -> Result<Ticket, AppendError> {
        Err(AppendError::Stopped)
    }

    fn last_tick(&self) -> Option<(u64, i64)> {
        self.ticks[..self.durable].last().map(|tick| (tick.number, tick.instant_ms))
    }

    fn read(&self, from: u64, to: u64) -> Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send> {
        self.reads.lock().unwrap().push((from, to));
        let wanted = move |tick: &Tick| (from..=to).contains(&tick.number);
        Box::new(self.ticks.clone().into_iter().filter(wanted).map(Ok))
    }

    fn start(&self) -> Result<Receiver<Arc<Tick>>, StoreError> {
        let (sender, receiver) = crossbeam_channel::unbounded();
        let at_once = if self.is_eager { usize::MAX } else { 1 };
        for tick in self.ticks[self.durable..].iter().take(at_once) {
            sender.send(Arc::new(tick.clone())).unwrap();
        }
        *self.live.lock().unwrap() = Some(sender).filter(|_| !self.is_stopping);
        Ok(receiver)
    }

    fn failure(&self) -> Option<String> {
        None
    }

    fn is_stopped(&self) -> bool {
        self.asked.fetch_add(1, Ordering::Relaxed) >= self.stopped_from
    }

    fn stop(&self) {
        self.live.lock().unwrap().take();
    }
}

/// What an observer was told, summed.
pub struct Told<'a> {
    scene: &'a Scene,
    tables: Tables,
    /// What was not as the oracle says, first.
    pub wrong: Option<String>,
}

impl Told<'_> {
    /// Compares what stands after a tick; what was closed before the start counts only in the end.
    pub fn closed(&mut self, closed: &ClosedTick, replayed: bool) {
        for change in &closed.changes {
            self.tables.apply(change).expect("every change fits what stands");
        }
        let end = self.scene.ends[closed.tick as usize - 1];
        if self.wrong.is_none() && !replayed {
            let truth = recompute_prefix(&self.scene.inputs, end, &GraphSettings::default());
            self.wrong = difference(&self.tables, &truth)
                .map(|text| format!("after tick {}, {end} records: {text}", closed.tick));
        }
    }
}

/// Ends the service after a tick.
struct Follower<'a> {
    log: &'a Prepared,
    until: u64,
    told: Told<'a>,
}

impl Observer for Follower<'_> {
    fn closed(&mut self, closed: &ClosedTick, replayed: bool) {
        self.told.closed(closed, replayed);
        if closed.tick >= self.until {
            self.log.stop();
        } else {
            self.log.go_on(closed.tick);
        }
    }

    fn replayed(&mut self, _: u64, _: u64) {}

    fn ready(&mut self) {
        if self.log.durable as u64 >= self.until {
            self.log.stop();
        }
    }
}

/// A changelog, and what it is in.
pub fn empty() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Options { changes_keep_ms: 0, ..Options::default() }).unwrap();
    (dir, store)
}

fn all_changes(changelog: &Changelog) -> Vec<StoredChange> {
    changelog.after(Cursor::default(), usize::MAX >> 1).unwrap()
}

/// The settings that a service must be configured with, for it to have nothing to write at its start.
fn settings_after(inputs: &[Input]) -> GraphSettings {
    let mut intake = Intake::new(GraphSettings::default(), Default::default(), false);
    inputs.iter().for_each(|input| feed(&mut intake, input));
    intake.settings().clone()
}

pub struct Scene {
    inputs: Vec<Input>,
    ends: Vec<usize>,
    pub ticks: Vec<Tick>,
}

impl Scene {
    pub fn new(inputs: &[Input], sizes: &[usize]) -> Scene {
        let inputs = stamped(inputs);
        let ranges = ticks(&inputs, sizes);
        let mut instant_ms = 0;
        let tick = |(number, range): (u64, &std::ops::Range<usize>)| {
            let entry = |index: usize| {
                let received_ms = inputs[index].received().unwrap().0;
                instant_ms = received_ms;
                let (source, payload) = (sources::code::BACKFILL, line(&inputs[index]));
                Entry { offset: index as u64 + 1, source, received_ms, context: "".into(), payload }
            };
            let entries: Vec<Entry> = range.clone().map(entry).collect();
            Tick { number, instant_ms, entries }
        };
        let ticks = (1..).zip(&ranges).map(tick).collect();
        let ends = ranges.iter().map(|range| range.end).collect();
        Scene { inputs, ends, ticks }
    }

    /// Runs a service until its log is stopped.
    fn run(&self, changelog: &Changelog, log: &Prepared) -> Result<(), String> {
        let at_start = log.durable.checked_sub(1).map_or(0, |tick| self.ends[tick]);
        let settings = settings_after(&self.inputs[..at_start]);
        let mut follower = Follower { log, until: log.ticks.len() as u64, told: self.told() };
        let service = Service { log, changelog, settings, workers: 1, snapshots: None };
        service.run(&mut follower).map_err(|error| error.to_string())?;
        follower.told.wrong.map_or(Ok(()), Err)
    }

    /// Nothing is told yet.
    pub fn told(&self) -> Told<'_> {
        Told { scene: self, tables: Tables::default(), wrong: None }
    }

    /// Runs a service, and compares what it keeps in the end: of the journal's ticks `durable` are there at its
    /// start, and it ends after tick `until`.
    fn serve(
        &self,
        changelog: &Changelog,
        durable: usize,
        is_eager: bool,
        until: usize,
    ) -> Result<(), String> {
        let last = if is_eager { self.ticks.len() } else { until };
        self.run(changelog, &Prepared::new(&self.ticks[..last], durable, is_eager))?;
        self.compare_kept(changelog, last)
    }

    /// Compares what is kept after a tick.
    pub fn compare_kept(&self, changelog: &Changelog, last: usize) -> Result<(), String> {
        let truth = recompute_prefix(&self.inputs, self.ends[last - 1], &GraphSettings::default());
        let kept = kept(changelog);
        let expected =
            oracle_tables(&truth).into_iter().find(|(table, expected)| kept_of(&kept, *table) != **expected);
        if let Some((table, _)) = expected {
            return Err(format!("what is kept of {} is not what the oracle says", table.as_str()));
        }
        let report = pipeline::verify(&log_of(&self.ticks[..last]), changelog, 1, &mut |_, _| {}).unwrap();
        if !report.differences.is_empty() {
            return Err(format!("verify: {:?}", report.differences));
        }
        Ok(())
    }
}

fn log_of(ticks: &[Tick]) -> Prepared {
    Prepared::new(ticks, ticks.len(), false)
}

fn kept(changelog: &Changelog) -> Vec<(Table, Vec<u8>)> {
    let rows = changelog.rows();
    let bytes = |table: Table| {
        rows.iter(table.code()).flat_map(|row| [row.unwrap().1, b"\n".to_vec()].concat()).collect()
    };
    Table::ALL.into_iter().map(|table| (table, bytes(table))).collect()
}

fn kept_of(kept: &[(Table, Vec<u8>)], table: Table) -> Vec<u8> {
    kept.iter().find(|(of, _)| *of == table).unwrap().1.clone()
}

fn oracle_tables(truth: &oracle::Tables) -> [(Table, &Vec<u8>); 4] {
    [
        (Table::Crossings, &truth.crossings),
        (Table::Presences, &truth.presences),
        (Table::Visits, &truth.visits),
        (Table::Rejects, &truth.rejects),
    ]
}

#[test]
fn a_service_tells_backfills_as_the_oracle_does_over_restarts() {
    let how = (prop::collection::vec(1_usize..30, 1..4), 0.0..1.0_f64, any::<bool>());
    hold_slowly(40, (backfilled(), how), |inputs, (sizes, ended_at, is_lost)| {
        let scene = Scene::new(inputs, sizes);
        let all = scene.ticks.len();
        let (_dir, store) = empty();
        let straight = store.changelog();
        scene.serve(&straight, 0, false, all).map_err(|e| format!("in one go: {e}"))?;

        // Ended after some tick; the journal may have gone on by then.
        let first = 1 + (ended_at * (all - 1) as f64) as usize;
        let durable = if *is_lost { all } else { first };
        let (_other_dir, other_store) = empty();
        let restarted = other_store.changelog();
        scene.serve(&restarted, 0, false, first).map_err(|e| format!("up to tick {first}: {e}"))?;
        scene
            .serve(&restarted, durable, true, all)
            .map_err(|e| format!("started again after tick {first}: {e}"))?;
        let is_same = all_changes(&restarted) == all_changes(&straight);
        if is_same { Ok(()) } else { Err(format!("other changes, started again after tick {first}")) }
    });
}

/// A truck's positions that come too late, another truck, and a backfill.
fn late_truck() -> Scene {
    let scenario = "
set cleaning.horizon_h 1
fence yard square 3.30,6.40 3.31,6.41
T1 06:00 3.315,6.405
T1 08:00 3.315,6.405
T1 06:10 3.305,6.405
T1 06:20 3.315,6.405
T2 08:00 3.305,6.405
backfill 06:00 07:00";
    let inputs = oracle::scenario::parse(scenario).unwrap();
    Scene::new(&inputs, &[6, 2])
}

#[test]
fn a_start_computes_everything_once_whatever_backfills_were_told() {
    let scenario = "
set cleaning.horizon_h 1
fence yard square 3.30,6.40 3.31,6.41
T1 06:00 3.315,6.405
T1 08:00 3.315,6.405
T1 06:10 3.305,6.405
backfill 06:00 06:15
T1 06:20 3.315,6.405
backfill 06:15 07:00";
    let scene = Scene::new(&oracle::scenario::parse(scenario).unwrap(), &[1]);
    let last = scene.ticks.len() as u64;
    let (_dir, store) = empty();
    let changelog = store.changelog();
    scene.serve(&changelog, 0, false, scene.ticks.len()).unwrap();

    let again = log_of(&scene.ticks);
    scene.run(&changelog, &again).unwrap();
    // For the periods first, without computing anything, and then for the rows.
    assert_eq!(*again.reads.lock().unwrap(), [(1, last), (1, last)]);

    // A process that was killed left the second backfill to the journal alone: it is told at its tick.
    let (_other_dir, other_store) = empty();
    let behind = other_store.changelog();
    scene.serve(&behind, 0, false, scene.ticks.len() - 1).unwrap();
    let again = log_of(&scene.ticks);
    scene.run(&behind, &again).unwrap();
    assert_eq!(*again.reads.lock().unwrap(), [(1, last - 1), (1, last), (1, last)]);
    assert_eq!(all_changes(&behind), all_changes(&changelog));
}

#[test]
fn a_service_that_is_stopped_within_a_backfill_leaves_it_to_the_next_start() {
    let scene = late_truck();
    let (_dir, store) = empty();
    let changelog = store.changelog();
    let stopping = Prepared { is_stopping: true, ..Prepared::new(&scene.ticks, 0, true) };
    scene.run(&changelog, &stopping).unwrap();
    assert_eq!(changelog.last_tick().map(|(tick, _)| tick), Some(1), "the backfill's tick is not told half");
    scene.serve(&changelog, 2, true, 2).unwrap();
    assert_eq!(changelog.last_tick().map(|(tick, _)| tick), Some(2));
}

/// Wherever a start is stopped, the next one goes on, and tells the same.
#[test]
fn a_start_that_is_stopped_leaves_the_rest_to_the_next() {
    let scenario = "
set cleaning.horizon_h 1
fence yard square 3.30,6.40 3.31,6.41
T1 06:00 3.315,6.405
T1 08:00 3.315,6.405
T1 06:10 3.305,6.405
backfill 06:00 06:15
T1 06:20 3.315,6.405
T2 08:10 3.305,6.405
backfill 06:15 07:00
T2 08:20 3.315,6.405";
    let scene = Scene::new(&oracle::scenario::parse(scenario).unwrap(), &[1]);
    let all = scene.ticks.len();
    let (_dir, store) = empty();
    let straight = store.changelog();
    scene.serve(&straight, all, false, all).unwrap();

    let (_other_dir, other_store) = empty();
    let stopped = other_store.changelog();
    let mut kept_to = Vec::new();
    for stopped_from in 0..1000 {
        let log = Prepared { stopped_from, ..log_of(&scene.ticks) };
        scene.run(&stopped, &log).unwrap();
        kept_to.push(stopped.last_tick().map_or(0, |(tick, _)| tick as usize));
        if log.asked.load(Ordering::Relaxed) <= stopped_from {
            break;
        }
    }
    let starts_in_passes = kept_to.iter().filter(|&&tick| (1..all).contains(&tick)).count();
    assert!(starts_in_passes > 10, "{kept_to:?}");
    scene.compare_kept(&stopped, all).unwrap();
    assert!(all_changes(&stopped) == all_changes(&straight));
}

#[test]
fn what_a_backfill_changes_says_so_and_what_happened_anyhow_does_not() {
    let scene = late_truck();
    let (_dir, store) = empty();
    scene.serve(&store.changelog(), 0, false, 2).unwrap();

    let of_backfill: Vec<(i8, Option<Cause>, u64, String)> = all_changes(&store.changelog())
        .into_iter()
        .filter(|stored| stored.cursor.tick == 2 && stored.change.table != Table::Kpis.code())
        .map(|stored| {
            let change = stored.change;
            let row = String::from_utf8(change.row).unwrap();
            (change.diff, Cause::from_code(change.cause), change.seq, row)
        })
        .collect();
    let day = "2026-01-05T";
    let backfill = Some(Cause::Backfill);
    let presence = |vehicle: &str, entered: &str, end: &str| {
        format!(r#"{{"vehicle_id":"{vehicle}","fence_id":"yard","entered":"{day}{entered}Z",{end}}}"#)
    };
    let reject = |seq: u64, time: &str| {
        format!(
            r#"{{"seq":{seq},"vehicle_id":"T1","event_time":"{day}{time}Z","reason":"too_late","used":false}}"#
        )
    };
    let left = format!(r#""exited":"{day}06:20:00Z","end_reason":"exit""#);
    let visit = format!(
        r#"{{"vehicle_id":"T1","fence_id":"yard","arrived":"{day}06:10:00Z","departed":"{day}06:20:00Z","confirmed_at":"{day}06:15:00Z","presences":1}}"#
    );
    let silence = of_backfill[0].3.clone();
    let is_of_gap =
        silence.contains(r#""kind":"device_offline""#) && silence.contains(r#""vehicle_id":"T1""#);
    assert!(is_of_gap, "what was let in breaks it: {silence}");
    assert_eq!(
        of_backfill,
        [
            (-1, backfill, 8, silence),
            (1, backfill, 8, presence("T1", "06:10:00", &left)),
            (1, Some(Cause::First), 7, presence("T2", "08:00:00", r#""exited":null,"end_reason":null"#)),
            (-1, backfill, 8, reject(5, "06:10:00")),
            (-1, backfill, 8, reject(6, "06:20:00")),
            (1, backfill, 8, visit),
        ]
    );
}
