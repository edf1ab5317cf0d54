//! The service's loop: ticks from the journal through the graph into the changelog and the views.
//!
//! At the start the journal is replayed from its beginning: the graph's state comes from there, and what
//! it says of ticks that the changelog has is compared with the rows that are kept, not emitted. Where the
//! two differ (a release that computes something better), the difference goes out with the next tick.
//!
//! A tick with a backfill takes a second pass over the journal. What comes meanwhile is in the [`Backlog`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use journal::{AppendError, ChangeBytes, Changelog, Index, Log, RowsSnapshot, StoreError, Tick};
use model::state::{Loader, Saver, StateError};
use model::{
    AlertMarkRecord, Change, ClosedTick, GraphSettings, Table, Tables, Unfit, VisitId, Why, trip_hash,
    vehicle_subject,
};

use crate::backfill::{self, Difference};
use crate::backlog::Backlog;
use crate::drive::Driver;
use crate::graph::GraphError;
use crate::snapshots::{self, Begun, Snapshot, SnapshotError, Snapshots, Trust};

/// A snapshot is taken at a start or a stop when so many records came since the last one: they take a tenth of a second.
const WORTH_RECORDS: u64 = 50_000;

/// Why the service's loop ended.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ServiceError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error("snapshots: {0}")]
    Snapshots(#[from] SnapshotError),
    #[error("the journal failed: {0}")]
    JournalFailed(String),
    #[error("the settings could not be written to the journal: {0}")]
    Settings(#[from] AppendError),
    #[error("the graph contradicts itself: {0}")]
    Unfit(#[from] Unfit),
    #[error("the journal ends at tick {journal}, the changelog at {changelog}: they are not of one folder")]
    JournalBehind { journal: u64, changelog: u64 },
}

/// The service's loop, before it runs.
pub struct Service<'a> {
    /// Where records are durable.
    pub log: &'a dyn Log,
    /// Where derived rows are kept.
    pub changelog: &'a Changelog,
    /// The settings that are configured; written as a record where they differ from the last.
    pub settings: GraphSettings,
    /// Threads of the graph.
    pub workers: usize,
    /// Where a start finds what it need not compute again, and leaves it.
    pub snapshots: Option<Snapshots>,
}

/// Who follows the service.
pub trait Observer {
    /// A tick closed; `replayed` when it is one that was closed before the start.
    fn closed(&mut self, closed: &ClosedTick, replayed: bool);
    /// What people said of alerts in a tick, where they said anything; told before the tick closes.
    fn marked(&mut self, _tick: u64, _marks: Vec<AlertMarkRecord>) {}
    /// Saves what it keeps of the ticks that it was told of.
    fn save(&self, _to: &mut Saver<'_>) -> Result<(), StateError> {
        Ok(())
    }
    /// Puts what was saved in the place of what it keeps; it was told of no tick yet.
    fn load(&mut self, _from: &mut Loader<'_>) -> Result<(), StateError> {
        Ok(())
    }
    /// What it was told of is not so: it begins again with nothing.
    fn forget(&mut self) {}
    /// Ticks replayed of all that the journal has.
    fn replayed(&mut self, done: u64, all: u64);
    /// The state is that of the journal's end, and new ticks are minted from now on.
    fn ready(&mut self);
}

impl Service<'_> {
    /// Runs until the log is stopped. Where that is so before it is started, what is left to be computed is left to
    /// the next start.
    pub fn run(&self, observer: &mut dyn Observer) -> Result<(), ServiceError> {
        let last_tick = self.log.last_tick().map_or(0, |(tick, _)| tick);
        let changelog_tick = self.changelog.last_tick().map_or(0, |(tick, _)| tick);
        if last_tick < changelog_tick {
            return Err(ServiceError::JournalBehind { journal: last_tick, changelog: changelog_tick });
        }
        let mut snapshots = self.snapshots.as_ref();
        let Some(begun) = self.begun(snapshots, observer, changelog_tick)? else { return Ok(()) };
        let mut run = Run::new(self, observer, begun, changelog_tick);
        loop {
            match run.replay_journal(last_tick)? {
                Replayed::Done => break,
                Replayed::Stopped => return Ok(()),
                Replayed::Distrusted(snapshot) => {
                    snapshots = snapshots.filter(|_| snapshot.discard());
                    run.observer.forget();
                    let begun = self.begun(snapshots, run.observer, changelog_tick)?;
                    let Some(begun) = begun else { return Ok(()) };
                    run = Run::new(self, run.observer, begun, changelog_tick);
                }
            }
        }
        if run.begun_at == 0 {
            // The next start need not wait for as much. After a snapshot the next one is taken beside live ticks.
            run.keep_snapshot()?;
        }
        if *run.driver.intake.settings() != self.settings {
            let payload = sources::settings::encode(&self.settings.values());
            // The first entry of the first tick: nobody may append before the service is ready.
            match self.log.append(sources::code::SETTINGS, "", payload) {
                Err(AppendError::Stopped) => return Ok(()),
                written => drop(written?),
            }
        }
        run.backlog.start()?;
        run.observer.ready();
        while !run.is_stopped {
            if run.driver.backfill_due().is_some() {
                run.backlog.let_go_of_all();
            } else {
                run.backlog.let_go_of_some();
            }
            if run.driver.has_room()
                && let Some(tick) = run.backlog.next()?
            {
                run.begin(tick)?;
                continue;
            }
            if let Some(closed) = run.driver.close_next()? {
                run.take(closed)?;
                run.held.pop_front();
                continue;
            }
            match run.backlog.wait() {
                Some(tick) => run.begin(tick)?,
                None => run.is_stopped = true,
            }
        }
        match self.log.failure() {
            Some(why) => Err(ServiceError::JournalFailed(why)),
            None => run.keep_snapshot(),
        }
    }

    /// A graph that goes on from the newest snapshot, or has seen nothing; `None` where it is to stop.
    fn begun(
        &self,
        snapshots: Option<&Snapshots>,
        observer: &mut dyn Observer,
        changelog_tick: u64,
    ) -> Result<Option<Begun>, SnapshotError> {
        let goes_on = &|| !self.log.is_stopped();
        let stores = (self.log, self.changelog);
        snapshots::begin(snapshots, stores, changelog_tick, self.workers, observer, goes_on)
    }
}

/// How a replay ended.
enum Replayed {
    Done,
    Stopped,
    /// By what it says of ticks whose changes are kept, this snapshot is wrong.
    Distrusted(Snapshot),
}

struct Run<'a> {
    service: &'a Service<'a>,
    driver: Driver,
    observer: &'a mut dyn Observer,
    /// The last tick that the changelog had at the start.
    changelog_tick: u64,
    /// The ticks that are worked on: the journal counts what is held of them against its bounds.
    held: VecDeque<Arc<Tick>>,
    /// The rows of the replay, until they are compared with those that are kept.
    rebuilt: Option<Tables>,
    /// The snapshot that this began with, as long as there is something to compare.
    trust: Option<Trust>,
    /// What was compared is not what is kept.
    is_distrusted: bool,
    /// The last tick of the snapshot that this began with; 0 without one.
    begun_at: u64,
    /// How many records the last snapshot has seen, if there is one.
    snapshot_records: Option<u64>,
    /// The ticks that are minted.
    backlog: Backlog<'a>,
    /// The log was stopped, and nothing more is to be worked on.
    is_stopped: bool,
}

impl<'a> Run<'a> {
    fn new(
        service: &'a Service<'a>,
        observer: &'a mut dyn Observer,
        begun: Begun,
        changelog_tick: u64,
    ) -> Run<'a> {
        let Begun { driver, tick, trust } = begun;
        let is_from_beginning = trust.is_none();
        Run {
            snapshot_records: (!is_from_beginning).then(|| driver.intake.records()),
            service,
            driver,
            observer,
            begun_at: tick,
            changelog_tick,
            rebuilt: (is_from_beginning && changelog_tick > 0).then(Tables::default),
            trust,
            held: VecDeque::new(),
            backlog: Backlog::new(service.log),
            is_stopped: false,
            is_distrusted: false,
        }
    }

    /// Hands a live tick over; there is room.
    fn begin(&mut self, tick: Arc<Tick>) -> Result<(), ServiceError> {
        self.driver.submit_journal_tick(&tick)?;
        self.held.push_back(tick);
        self.tell_warnings();
        Ok(())
    }

    fn replay_journal(&mut self, last_tick: u64) -> Result<Replayed, ServiceError> {
        if self.begun_at > 0 {
            tracing::info!(tick = self.begun_at, last_tick, "a start from a snapshot");
        }
        for tick in self.service.log.read(self.begun_at + 1, last_tick) {
            if self.is_distrusted {
                break;
            }
            if self.is_stopped || self.service.log.is_stopped() {
                tracing::info!("stopped while the journal was replayed");
                return Ok(Replayed::Stopped);
            }
            if let Some(closed) = self.driver.submit_journal_tick(&tick?)? {
                self.observer.replayed(closed.tick, last_tick);
                self.take(closed)?;
            }
            if self.driver.backfill_due().is_some() {
                self.close_replayed(last_tick)?;
            }
        }
        self.close_replayed(last_tick)?;
        self.driver.intake.take_warnings();
        match self.trust.take() {
            _ if self.is_stopped => Ok(Replayed::Stopped),
            Some(trust) if self.is_distrusted => Ok(Replayed::Distrusted(trust.snapshot)),
            _ => Ok(Replayed::Done),
        }
    }

    /// Takes a snapshot, where there is much that the last one has not seen. Nothing is under way.
    fn keep_snapshot(&mut self) -> Result<(), ServiceError> {
        let seen = self.driver.intake.records();
        let is_worth_it = seen.saturating_sub(self.snapshot_records.unwrap_or(0)) >= WORTH_RECORDS;
        let (Some(snapshots), Some(at)) = (&self.service.snapshots, self.service.changelog.last_tick())
        else {
            return Ok(());
        };
        // What is not what is kept goes out with the next tick; and a backfill may have been left to the next start.
        if !is_worth_it || self.rebuilt.is_some() || !self.driver.is_after(at.0) {
            return Ok(());
        }
        match snapshots::save(snapshots, &mut self.driver, self.observer, at) {
            Ok(manifest) => {
                self.snapshot_records = Some(seen);
                tracing::info!(tick = manifest.tick, bytes = manifest.bytes(), "a snapshot was taken");
            }
            // All that it is for is a shorter start.
            Err(SnapshotError::Graph(error)) => return Err(error.into()),
            Err(error) => tracing::warn!(%error, "no snapshot was taken"),
        }
        Ok(())
    }

    fn close_replayed(&mut self, last_tick: u64) -> Result<(), ServiceError> {
        // Where a backfill is left to the next start, what is in flight is of its pass.
        while !self.is_stopped
            && let Some(closed) = self.driver.close_next()?
        {
            self.observer.replayed(closed.tick, last_tick);
            self.take(closed)?;
        }
        Ok(())
    }

    fn take(&mut self, mut closed: ClosedTick) -> Result<(), ServiceError> {
        let replayed = closed.tick <= self.changelog_tick;
        if self.is_distrusted {
            return Ok(());
        }
        if replayed
            && let Some(trust) = &mut self.trust
            && !trust.agrees(&closed)?
        {
            tracing::warn!(
                snapshot = trust.snapshot.manifest.tick,
                tick = closed.tick,
                "a snapshot is removed: it does not lead to what is kept"
            );
            self.is_distrusted = true;
            return Ok(());
        }
        // Before a backfill: it hands all ticks to another driver, and so all marks once more.
        let marks = self.driver.take_marks(closed.tick);
        let backfill = self.driver.backfill_begins();
        if let Some(seq) = backfill {
            let Some(rows) = self.backfill(&closed)? else { return Ok(()) };
            let difference = Difference::new(&closed.changes, seq);
            closed.changes = match &self.rebuilt {
                Some(rebuilt) => difference.between(rebuilt, &rows),
                // What is kept is what the observer was told.
                None => {
                    let at_each = &mut || _ = self.backlog.let_go_of_all();
                    difference.kept_to(&self.service.changelog.rows(), &rows, at_each)?
                }
            };
        }
        if let Some(rebuilt) = &mut self.rebuilt {
            backfill::apply(rebuilt, &closed)?;
        }
        if !replayed {
            let changes = match self.rebuilt.take() {
                Some(rebuilt) => self.difference_to_kept(&rebuilt, &closed)?,
                None => closed.changes.iter().map(change_bytes).collect(),
            };
            self.service.changelog.append(closed.tick, closed.instant.0, &changes)?;
        } else if closed.tick == self.changelog_tick {
            self.compare_with_kept(&closed)?;
        }
        if !marks.is_empty() {
            self.observer.marked(closed.tick, marks);
        }
        self.observer.closed(&closed, replayed);
        if backfill.is_some() {
            // Those that there are do not lead over it.
            self.snapshot_records = None;
            self.keep_snapshot()?;
        }
        Ok(())
    }

    /// Computes all rows anew, up to and with a tick whose backfill opens what was closed before, and goes on
    /// from there. `None` when the log is stopped meanwhile: the next start does it.
    fn backfill(&mut self, closed: &ClosedTick) -> Result<Option<Tables>, ServiceError> {
        let log = self.service.log;
        tracing::info!(tick = closed.tick, "a backfill: everything up to its tick is computed again");
        self.driver = self.driver.start_again(self.driver.intake.periods().to_vec())?;
        let mut progress = backfill::Progress::new(closed.tick);
        let goes_on = &mut |done_ticks| {
            progress.tell(done_ticks);
            self.backlog.let_go_of_all()
        };
        let rows = backfill::recompute::<ServiceError>(&mut self.driver, log, closed.tick, goes_on)?;
        let Some(rows) = rows else {
            tracing::info!("stopped within a backfill: the next start computes it");
            self.is_stopped = true;
            return Ok(None);
        };
        self.driver.intake.take_warnings();
        Ok(Some(rows))
    }

    /// Forgets the rebuilt rows where they are what is kept; else they stay, and the next tick tells.
    fn compare_with_kept(&mut self, closed: &ClosedTick) -> Result<(), ServiceError> {
        let Some(rebuilt) = &self.rebuilt else { return Ok(()) };
        if !self.service.changelog.is_indexed()? {
            tracing::info!("an older release kept these rows: they are brought into the changelog's index");
            self.service.changelog.index_rows(indexed_rows(&self.service.changelog.rows())?)?;
        }
        let differing = self.difference_to_kept(rebuilt, closed)?.len();
        if differing == 0 {
            self.rebuilt = None;
        } else {
            tracing::warn!(
                changes = differing,
                "this release computes other rows than those that are kept; the next tick corrects them"
            );
        }
        Ok(())
    }

    /// What makes the kept rows the rebuilt ones, which are those after `closed`.
    ///
    /// What `closed` itself changed says why; all else is of the release, and came up with this tick.
    fn difference_to_kept(
        &self,
        rebuilt: &Tables,
        closed: &ClosedTick,
    ) -> Result<Vec<ChangeBytes>, StoreError> {
        let kept = self.service.changelog.rows();
        let of_tick: BTreeMap<(u8, Vec<u8>, i8), &Change> = closed
            .changes
            .iter()
            .map(|change| ((change.row.table().code(), change.row.key_bytes(), change.diff), change))
            .collect();
        let change = |table: Table, key: &[u8], diff: i8, row: Vec<u8>| {
            let told = of_tick.get(&(table.code(), key.to_vec(), diff));
            let why = told.map_or(Why::first(closed.records), |change| change.why);
            kept_change(table, key, diff, row, why)
        };
        let mut changes = Vec::new();
        for table in Table::ALL {
            let mut gone = BTreeMap::new();
            for row in kept.iter(table.code()) {
                let (key, json) = row?;
                gone.insert(key, json);
            }
            for (key, row) in rebuilt.table(table) {
                let json = row.to_json().into_bytes();
                match gone.remove(key) {
                    Some(before) if before == json => continue,
                    Some(before) => changes.push(change(table, key, -1, before)),
                    None => {}
                }
                changes.push(change(table, key, 1, json));
            }
            changes.extend(gone.into_iter().map(|(key, json)| change(table, &key, -1, json)));
        }
        changes.sort_by(|a, b| {
            let name = |code: u8| Table::from_code(code).map(Table::as_str);
            (name(a.table), &a.key, a.diff).cmp(&(name(b.table), &b.key, b.diff))
        });
        Ok(changes)
    }

    fn tell_warnings(&mut self) {
        for (record, text) in self.driver.intake.take_warnings() {
            tracing::warn!(record, "{text}");
        }
    }
}

/// A change as the changelog keeps it.
#[must_use]
pub fn change_bytes(change: &Change) -> ChangeBytes {
    let mut row = Vec::with_capacity(160);
    change.row.write_json(&mut row);
    kept_change(change.row.table(), &change.row.key_bytes(), change.diff, row, change.why)
}

fn kept_change(table: Table, key: &[u8], diff: i8, row: Vec<u8>, why: Why) -> ChangeBytes {
    ChangeBytes {
        table: table.code(),
        index: index_of(table, key, &row),
        key: key.to_vec(),
        diff,
        row,
        cause: why.cause.code(),
        seq: why.seq,
    }
}

/// How the rows are found that are kept: what this release computes besides is not kept before the next tick.
fn indexed_rows(kept: &RowsSnapshot) -> Result<Vec<(u8, Vec<u8>, Index)>, StoreError> {
    let of_table = |table: Table| {
        kept.iter(table.code()).map(move |row| {
            let (key, json) = row?;
            let index = index_of(table, &key, &json);
            Ok((table.code(), key, index))
        })
    };
    [Table::Alerts, Table::Rejects, Table::Trips, Table::Visits].into_iter().flat_map(of_table).collect()
}

/// How rows are found: visits by their id and, with their changes, by vehicle and fence; rejects by vehicle; the
/// changes of an alert or a trip by its key.
fn index_of(table: Table, key: &[u8], row: &[u8]) -> Index {
    match table {
        Table::Visits => match key.split_last_chunk::<TIME_KEY_BYTES>() {
            Some((subject, _)) => Index::Story { subject: subject.to_vec(), id: VisitId::of_key(key).0 },
            None => Index::None,
        },
        Table::Rejects => match serde_json::from_slice::<OfVehicle>(row) {
            Ok(OfVehicle { vehicle_id: Some(vehicle_id) }) => {
                Index::Row { subject: vehicle_subject(&vehicle_id) }
            }
            _ => Index::None,
        },
        Table::Alerts | Table::Trips => Index::Story { subject: key.to_vec(), id: trip_hash(key) },
        Table::Presences | Table::Crossings | Table::Kpis | Table::Etas => Index::None,
    }
}

/// The time at the end of a visit's key; what is before it is [`model::pair_subject`].
const TIME_KEY_BYTES: usize = 8;

/// The vehicle that a row is about.
#[derive(serde::Deserialize)]
struct OfVehicle<'a> {
    #[serde(borrow)]
    vehicle_id: Option<std::borrow::Cow<'a, str>>,
}
