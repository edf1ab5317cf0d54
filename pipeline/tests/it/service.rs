//! The service's loop over a journal on disk: what it closes, what it corrects after a start, and the settings
//! that it writes.

mod hears;
mod starts;

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bench::oracle::{self, Collector, recompute};
use journal::{ChangeBytes, Cursor, Log, Options, Store, StoredChange, Tick};
use model::{
    Cause, ClosedTick, GraphSettings, PositionRef, Record, RecordSink, SettingValue, Table, Tables, TimeMs,
};
use pipeline::{Driver, Observer, Service, VerifyReport};

const DEADLINE: Duration = Duration::from_secs(60);
const MINUTE_MS: i64 = 60_000;

/// Without heartbeats and without trimming: ticks come only of records, and the changelog is whole.
fn open(dir: &Path) -> Store {
    let options = Options { heartbeat_ms: 3_600_000, changes_keep_ms: 0, ..Options::default() };
    let started = Instant::now();
    loop {
        match Store::open(dir, options.clone()) {
            Ok(store) => return store,
            // The writer of a store that was just closed may still be letting go of the folder.
            Err(error) if started.elapsed() > DEADLINE => panic!("{error}"),
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// Three hours ago, to the minute: within the horizon of what is posted now.
fn some_hours_ago() -> TimeMs {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64;
    TimeMs((now / MINUTE_MS - 180) * MINUTE_MS)
}

fn fence() -> String {
    let ring = "[[3.30,6.40],[3.31,6.40],[3.31,6.41],[3.30,6.41],[3.30,6.40]]";
    format!(
        r#"{{"type":"fence","op":"upsert","feature":{{"type":"Feature","id":"yard","properties":{{"name":"Yard"}},"geometry":{{"type":"Polygon","coordinates":[{ring}]}}}}}}"#
    )
}

fn fix(vehicle: &str, time: TimeMs, lon: f64) -> String {
    format!(r#"{{"type":"position","vehicle_id":"{vehicle}","event_time":"{time}","lon":{lon},"lat":6.405}}"#)
}

/// A yard, two trucks that come and go, a jump, what is too late, and fixes that arrive after later ones.
fn bodies(start: TimeMs) -> Vec<String> {
    let (inside, outside) = (3.305, 3.315);
    let at = |minute: i64| start.plus_ms(minute * MINUTE_MS);
    let mut bodies = vec![fence()];
    for truck in ["T1", "T2"] {
        for (minute, lon) in
            [(0, outside), (1, inside), (3, inside), (9, outside), (12, inside), (14, outside), (30, inside)]
        {
            bodies.push(fix(truck, at(minute), lon));
        }
    }
    bodies.push(fix("T1", at(31), 4.5));
    bodies.push(fix("T1", start.plus_ms(-48 * 60 * MINUTE_MS), inside));
    bodies.push([fix("T1", at(5), outside), fix("T2", at(10), inside)].join("\n"));
    bodies
}

fn post(log: &dyn Log, body: &str) {
    let ticket = log.append(sources::code::RECORDS, "", body.as_bytes().to_vec()).unwrap();
    ticket.wait_blocking().unwrap();
}

/// What an observer was told.
struct Seen {
    ready: mpsc::Sender<()>,
    /// (tick, whether it was closed before the start)
    closed: Vec<(u64, bool)>,
}

impl Observer for Seen {
    fn closed(&mut self, closed: &ClosedTick, replayed: bool) {
        self.closed.push((closed.tick, replayed));
    }
    fn replayed(&mut self, _: u64, _: u64) {}
    fn ready(&mut self) {
        self.ready.send(()).unwrap();
    }
}

/// Stops the log also where a test fails, or the service would be waited for in vain.
struct Stopping<'a>(&'a dyn Log);

impl Drop for Stopping<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs a service on the folder until `act` is done; gives the ticks that it told of.
fn serve(dir: &Path, settings: &GraphSettings, act: impl FnOnce(&dyn Log)) -> Vec<(u64, bool)> {
    let store = open(dir);
    let (log, changelog) = (store.log(), store.changelog());
    let (ready, is_ready) = mpsc::channel();
    std::thread::scope(|scope| {
        let service = Service {
            log: &log,
            changelog: &changelog,
            settings: settings.clone(),
            workers: 2,
            snapshots: None,
        };
        let running = scope.spawn(move || {
            let mut seen = Seen { ready, closed: Vec::new() };
            service.run(&mut seen).map(|()| seen.closed)
        });
        {
            let _stopping = Stopping(&log);
            is_ready.recv_timeout(DEADLINE).expect("the service becomes ready");
            act(&log);
        }
        running.join().unwrap().unwrap()
    })
}

fn verify(dir: &Path) -> VerifyReport {
    let store = open(dir);
    pipeline::verify(&store.log(), &store.changelog(), 1, &mut |_, _| {}).unwrap()
}

fn ticks(store: &Store) -> Vec<Tick> {
    let log = store.log();
    let last = log.last_tick().map_or(0, |(tick, _)| tick);
    log.read(1, last).map(Result::unwrap).collect()
}

/// Decodes a journal as inputs of the oracle, each with the journal's stamp.
struct Stamped {
    received: TimeMs,
    inputs: Collector,
}

impl RecordSink for Stamped {
    fn position(&mut self, _: Option<TimeMs>, position: PositionRef<'_>) {
        self.inputs.position(Some(self.received), position);
    }
    fn record(&mut self, _: Option<TimeMs>, record: Record) {
        self.inputs.record(Some(self.received), record);
    }
}

/// What the oracle says of the journal's end.
fn truth(store: &Store) -> oracle::Tables {
    let mut stamped = Stamped { received: TimeMs(0), inputs: Collector::default() };
    for tick in ticks(store) {
        for entry in &tick.entries {
            stamped.received = TimeMs(entry.received_ms);
            sources::decode(entry.source, &entry.context, &entry.payload, &mut stamped);
        }
        stamped.received = TimeMs(tick.instant_ms);
        stamped.record(None, Record::Clock);
    }
    // A clock for each tick would count as a record: only the last one may stay, where it moves no `seq`.
    let clocks = |input: &oracle::Input| matches!(input, oracle::Input::Clock { .. });
    let last = stamped.inputs.0.last().cloned();
    stamped.inputs.0.retain(|input| !clocks(input));
    stamped.inputs.0.extend(last);
    recompute(&stamped.inputs.0, &GraphSettings::default())
}

fn kept(store: &Store, table: Table) -> String {
    let rows = store.changelog().rows();
    let lines = rows.iter(table.code()).map(|row| String::from_utf8(row.unwrap().1).unwrap() + "\n");
    lines.collect()
}

#[track_caller]
fn assert_kept_is_true(dir: &Path) {
    let report = verify(dir);
    assert_eq!(report.differences, []);
    assert!(report.changelog_summed && report.rows > 0);
    let store = open(dir);
    let truth = truth(&store);
    for (table, expected) in
        [(Table::Presences, truth.presences), (Table::Visits, truth.visits), (Table::Rejects, truth.rejects)]
    {
        assert!(!expected.is_empty(), "the records make rows of {}", table.as_str());
        assert_eq!(kept(&store, table), String::from_utf8(expected).unwrap());
    }
}

#[test]
fn what_is_kept_is_what_the_journal_gives() {
    let dir = tempfile::tempdir().unwrap();
    let bodies = bodies(some_hours_ago());
    let settings = GraphSettings::default();

    let closed = serve(dir.path(), &settings, |log| bodies.iter().for_each(|body| post(log, body)));

    let fresh: Vec<(u64, bool)> = (1..=bodies.len() as u64).map(|tick| (tick, false)).collect();
    assert_eq!(closed, fresh, "each awaited body is a tick, and each is closed");
    assert_kept_is_true(dir.path());
    let changes = |dir| open(dir).changelog().after(Cursor::default(), 10_000).unwrap();
    let before = changes(dir.path());

    // A start replays all of it and tells of nothing anew.
    let closed = serve(dir.path(), &settings, |_| ());
    let replayed: Vec<(u64, bool)> = (1..=bodies.len() as u64).map(|tick| (tick, true)).collect();
    assert_eq!(closed, replayed);
    assert_eq!(changes(dir.path()), before);
}

/// Writes the bodies to the journal with nobody who derives rows: as a process that was killed leaves it.
fn journal_only(dir: &Path, bodies: &[String]) {
    let store = open(dir);
    let log = store.log();
    let ticks = log.start().unwrap();
    for body in bodies {
        post(&log, body);
        ticks.recv_timeout(DEADLINE).unwrap();
    }
    log.stop();
}

/// Keeps wrong rows as of `tick`: one row is missing, one is another, and one is of nobody.
fn keep_wrong_rows(dir: &Path, tick: u64) {
    let store = open(dir);
    let mut driver = Driver::start(GraphSettings::default(), Default::default(), false, 1).unwrap();
    let mut tables = Tables::default();
    let mut instant = TimeMs(0);
    for journal_tick in ticks(&store).iter().filter(|t| t.number <= tick) {
        driver.submit_journal_tick(journal_tick).unwrap();
        let closed = driver.close_next().unwrap().unwrap();
        instant = closed.instant;
        closed.changes.iter().for_each(|change| tables.apply(change).unwrap());
    }
    let row = |table: Table, key: &[u8], row: String| ChangeBytes {
        table: table.code(),
        key: key.to_vec(),
        diff: 1,
        row: row.into_bytes(),
        ..ChangeBytes::default()
    };
    let mut changes = Vec::new();
    for table in Table::ALL {
        for (key, true_row) in tables.table(table) {
            changes.push(row(table, key, true_row.to_json()));
        }
    }
    let presences = Table::Presences.code();
    let (first, rest): (Vec<ChangeBytes>, Vec<ChangeBytes>) =
        changes.into_iter().partition(|change| change.table == presences);
    assert!(first.len() >= 2, "there are presences to be spoilt");
    let mut wrong: Vec<ChangeBytes> = first.into_iter().skip(1).collect();
    wrong[0].row = String::from_utf8(wrong[0].row.clone()).unwrap().replace("T", "U").into_bytes();
    let nobody = r#"{"vehicle_id":"X","fence_id":"yard","arrived":"2026-01-05T08:00:00Z"}"#;
    wrong.push(row(Table::Visits, b"zzz", nobody.to_owned()));
    wrong.extend(rest);
    store.changelog().append(tick, instant.0, &wrong).unwrap();
}

/// Without KPIs, which move as time passes.
fn changes_after(dir: &Path, tick: u64) -> Vec<StoredChange> {
    let mut changes = open(dir).changelog().after(Cursor { tick, index: u32::MAX }, 10_000).unwrap();
    changes.retain(|stored| stored.change.table != Table::Kpis.code());
    changes
}

/// Stops the log when a tick was replayed.
struct StopsAt<'a> {
    log: &'a dyn Log,
    tick: u64,
    closed: u64,
}

impl Observer for StopsAt<'_> {
    fn closed(&mut self, closed: &ClosedTick, _: bool) {
        self.closed = closed.tick;
        if closed.tick == self.tick {
            self.log.stop();
        }
    }
    fn replayed(&mut self, _: u64, _: u64) {}
    fn ready(&mut self) {
        panic!("the log was stopped before");
    }
}

#[test]
fn a_log_that_is_stopped_before_its_start_ends_a_start_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let bodies = bodies(some_hours_ago());
    let last = bodies.len() as u64;
    journal_only(dir.path(), &bodies);
    // With settings that a start would have to write.
    let mut settings = GraphSettings::default();
    settings.apply("visits.min_dwell_s", &SettingValue::Number(60.0)).unwrap();
    for tick in [2, last] {
        let store = open(dir.path());
        let (log, changelog) = (store.log(), store.changelog());
        let mut observer = StopsAt { log: &log, tick, closed: 0 };
        let service = Service {
            log: &log,
            changelog: &changelog,
            settings: settings.clone(),
            workers: 1,
            snapshots: None,
        };
        service.run(&mut observer).unwrap();
        assert_eq!((observer.closed, changelog.last_tick().map(|(tick, _)| tick)), (tick, Some(tick)));
        assert_eq!(log.last_tick().map(|(tick, _)| tick), Some(last), "nothing was written");
    }
    serve(dir.path(), &settings, |_| ());
    assert_eq!(verify(dir.path()).differences, []);
}

#[test]
fn other_rows_than_those_kept_are_corrected_by_the_next_tick() {
    let start = some_hours_ago();
    let mut changed = GraphSettings::default();
    changed.apply("visits.min_dwell_s", &SettingValue::Number(60.0)).unwrap();
    for settings in [GraphSettings::default(), changed] {
        let dir = tempfile::tempdir().unwrap();
        let bodies = bodies(start);
        let last = bodies.len() as u64;
        journal_only(dir.path(), &bodies);
        keep_wrong_rows(dir.path(), last);
        let differing = verify(dir.path()).differences.len();
        assert!(differing >= 3, "three rows were spoilt, {differing} differ");

        // A process that ends before it closes a tick corrects nothing, and forgets nothing.
        if settings == GraphSettings::default() {
            serve(dir.path(), &settings, |_| ());
            assert_eq!(verify(dir.path()).differences.len(), differing);
            assert_eq!(changes_after(dir.path(), last), []);
        }

        serve(dir.path(), &settings, |log| post(log, &fix("T3", start, 3.305)));
        assert_kept_is_true(dir.path());
        let corrections = changes_after(dir.path(), last);
        let tick_of = |key: &[u8]| corrections.iter().find(|c| c.change.key == key).map(|c| c.cursor.tick);
        assert_eq!(tick_of(b"zzz"), Some(last + 1), "the next tick corrects");

        // Once is enough.
        let ticks_before = open(dir.path()).log().last_tick().unwrap().0;
        // Not so long ago that it is offline.
        let lately = start.plus_ms(100 * MINUTE_MS);
        serve(dir.path(), &settings, |log| post(log, &fix("T9", lately, 3.5)));
        assert_eq!(changes_after(dir.path(), ticks_before), []);
        assert_kept_is_true(dir.path());
    }
}

#[test]
fn ticks_that_a_crash_left_to_the_journal_alone_carry_the_correction() {
    let dir = tempfile::tempdir().unwrap();
    let bodies = bodies(some_hours_ago());
    let last = bodies.len() as u64;
    journal_only(dir.path(), &bodies);
    keep_wrong_rows(dir.path(), last - 2);

    let closed = serve(dir.path(), &GraphSettings::default(), |_| ());

    let expected: Vec<(u64, bool)> = (1..=last).map(|tick| (tick, tick <= last - 2)).collect();
    assert_eq!(closed, expected);
    assert_kept_is_true(dir.path());
    let corrections = changes_after(dir.path(), last - 2);
    let of_nobody = corrections.iter().find(|c| c.change.key == b"zzz").unwrap();
    assert_eq!((of_nobody.cursor.tick, of_nobody.change.diff), (last - 1, -1));
}

#[test]
fn changed_settings_are_the_first_record_after_the_start_and_correct() {
    let dir = tempfile::tempdir().unwrap();
    let start = some_hours_ago();
    let defaults = GraphSettings::default();
    let mut changed = defaults.clone();
    changed.apply("visits.min_dwell_s", &SettingValue::Number(60.0)).unwrap();
    let bodies = bodies(start);
    serve(dir.path(), &defaults, |log| bodies.iter().for_each(|body| post(log, body)));
    let visits = |dir| kept(&open(dir), Table::Visits);
    let before = visits(dir.path());
    let last = open(dir.path()).log().last_tick().unwrap().0;

    serve(dir.path(), &changed, |log| post(log, &fix("T9", start, 3.5)));

    let ticks_now = ticks(&open(dir.path()));
    let entries: Vec<u8> =
        ticks_now.iter().filter(|t| t.number > last).flat_map(|t| &t.entries).map(|e| e.source).collect();
    assert_eq!(entries, [sources::code::SETTINGS, sources::code::RECORDS]);
    assert_kept_is_true(dir.path());
    let after = visits(dir.path());
    let short_stay = format!(r#""arrived":"{}""#, start.plus_ms(12 * MINUTE_MS));
    assert!(!before.contains(&short_stay), "two minutes are no visit of five: {before}");
    assert!(after.contains(&short_stay), "two minutes are a visit of one: {after}");

    // The same settings again are no change; the old ones are.
    let count = |dir| ticks(&open(dir)).iter().flat_map(|t| &t.entries).count();
    let entries_before = count(dir.path());
    serve(dir.path(), &changed, |_| ());
    assert_eq!(count(dir.path()), entries_before);
    serve(dir.path(), &defaults, |_| ());
    assert_eq!(count(dir.path()), entries_before + 1);
    assert_eq!(visits(dir.path()), before);
    assert_kept_is_true(dir.path());
}

/// Takes from a folder what the first format did not have: the index of the changelog.
fn make_older(dir: &Path) {
    drop(open(dir));
    let database = fjall::Database::builder(dir.join("db")).open().unwrap();
    let meta = database.keyspace("meta", Default::default).unwrap();
    meta.insert("format", 1u32.to_be_bytes()).unwrap();
    meta.remove("changelog.indexed").unwrap();
    let index = database.keyspace("index", Default::default).unwrap();
    database.delete_keyspace(index).unwrap();
    database.persist(fjall::PersistMode::SyncAll).unwrap();
}

/// How many visits and how many rejects stand.
fn standing(dir: &Path) -> (usize, usize) {
    let rows = open(dir).changelog().rows();
    (rows.iter(Table::Visits.code()).count(), rows.iter(Table::Rejects.code()).count())
}

/// How many standing visits are found by their ids, and how many rejects by their vehicles.
fn found_in_index(dir: &Path) -> (usize, usize) {
    let rows = open(dir).changelog().rows();
    let visits = rows.iter(Table::Visits.code()).map(Result::unwrap);
    let by_id = visits.filter(|(key, row)| {
        let found = rows.find(model::VisitId::of_key(key).0).unwrap();
        found.is_some_and(|found| (&found.key, found.row.as_ref()) == (key, Some(row)))
    });
    let of_vehicle = |id: &str| {
        rows.of_subject(Table::Rejects.code(), &model::vehicle_subject(id), &[]).map(Result::unwrap).count()
    };
    (by_id.count(), of_vehicle("T1") + of_vehicle("T2"))
}

#[test]
fn rows_of_an_older_folder_are_brought_into_the_index_by_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let start = some_hours_ago();
    let settings = GraphSettings::default();
    let bodies = bodies(start);
    serve(dir.path(), &settings, |log| bodies.iter().for_each(|body| post(log, body)));
    let all = standing(dir.path());
    assert!(all.0 > 1 && all.1 > 1, "{all:?}");
    assert_eq!(found_in_index(dir.path()), all, "each tick writes what is found");
    let last = open(dir.path()).log().last_tick().unwrap().0;

    make_older(dir.path());
    assert_eq!(found_in_index(dir.path()), (0, 0));
    serve(dir.path(), &settings, |_| ());
    assert_eq!(found_in_index(dir.path()), all);
    assert_eq!(changes_after(dir.path(), last), [], "nothing else changes");

    // From then on it follows the rows: a truck that was never inside takes its visits and a reject with it.
    make_older(dir.path());
    let corrected =
        [fix("T1", start.plus_ms(31 * MINUTE_MS), 3.315), fix("T2", start.plus_ms(MINUTE_MS), 3.315)];
    serve(dir.path(), &settings, |log| post(log, &corrected.join("\n")));
    assert_kept_is_true(dir.path());
    let now = standing(dir.path());
    assert_ne!(now, all);
    assert_eq!(found_in_index(dir.path()), now);
}

/// Takes a reject from an older folder, as if the release that wrote it had not found it.
fn lose_a_reject(dir: &Path) {
    let database = fjall::Database::builder(dir.join("db")).open().unwrap();
    let rows = database.keyspace("rows", Default::default).unwrap();
    let reject = rows.prefix([Table::Rejects.code()]).next().unwrap();
    rows.remove(reject.key().unwrap()).unwrap();
    database.persist(fjall::PersistMode::SyncAll).unwrap();
}

#[test]
fn what_an_older_release_did_not_keep_is_not_in_the_index_before_it_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let settings = GraphSettings::default();
    let bodies = bodies(some_hours_ago());
    serve(dir.path(), &settings, |log| bodies.iter().for_each(|body| post(log, body)));
    let all = standing(dir.path());

    make_older(dir.path());
    lose_a_reject(dir.path());
    serve(dir.path(), &settings, |_| ());
    assert_eq!(standing(dir.path()), (all.0, all.1 - 1), "no tick came");
    assert_eq!(found_in_index(dir.path()), standing(dir.path()));
    serve(dir.path(), &settings, |log| post(log, &fix("T9", some_hours_ago(), 3.5)));
    assert_eq!(standing(dir.path()), all);
    assert_eq!(found_in_index(dir.path()), all);
}

/// Takes all that is derived from a folder, and leaves it its journal.
fn lose_what_is_derived(dir: &Path) {
    drop(open(dir));
    let database = fjall::Database::builder(dir.join("db")).open().unwrap();
    for name in ["changes", "rows", "index"] {
        let keyspace = database.keyspace(name, Default::default).unwrap();
        for guard in keyspace.iter() {
            keyspace.remove(guard.key().unwrap()).unwrap();
        }
    }
    let meta = database.keyspace("meta", Default::default).unwrap();
    for cell in ["changelog.last", "changelog.trimmed", "changelog.indexed"] {
        meta.remove(cell).unwrap();
    }
    database.persist(fjall::PersistMode::SyncAll).unwrap();
}

#[test]
fn a_changelog_that_was_lost_comes_again_with_its_causes() {
    let dir = tempfile::tempdir().unwrap();
    let settings = GraphSettings::default();
    let bodies = bodies(some_hours_ago());
    serve(dir.path(), &settings, |log| bodies.iter().for_each(|body| post(log, body)));
    let before = changes_after(dir.path(), 0);
    let late = before.iter().find(|stored| Cause::from_code(stored.change.cause) == Some(Cause::LateFix));
    // One record a tick, but for the last, which has two late fixes.
    let is_of_last = |tick: u64, seq: u64| tick == bodies.len() as u64 && (tick..=tick + 1).contains(&seq);
    assert!(late.is_some_and(|stored| is_of_last(stored.cursor.tick, stored.change.seq)), "{late:?}");
    assert!(before.iter().all(|stored| stored.change.seq > 0), "every change names its record");

    lose_what_is_derived(dir.path());
    assert_eq!(changes_after(dir.path(), 0), []);
    serve(dir.path(), &settings, |_| ());
    assert_eq!(changes_after(dir.path(), 0), before);
    assert_eq!(found_in_index(dir.path()), standing(dir.path()));
}
