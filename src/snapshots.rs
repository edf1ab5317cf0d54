//! Snapshots of a service, beside its work, and of a folder that nobody has open.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::bail;
use api::Views;
use journal::{Log, Store, StoreError};
use model::state::{Loader, Saver, StateError};
use model::{AlertMarkRecord, ClosedTick, TimeMs, TimeZone};
use pipeline::config::Config;
use pipeline::{Observer, Snapshots, Taken, snapshots};

use crate::archive::now_and_then;
use crate::args::{ConfigArgs, load_config};
use crate::control::{self, Request};
use crate::{Outcome, folder, journal_of};

const HOUR_MS: f64 = 3_600_000.0;

/// Views that follow closed ticks, and what people say of alerts in the tick that closes next.
pub struct Follower {
    pub views: Arc<Views>,
    marks: Vec<AlertMarkRecord>,
}

impl Follower {
    pub fn new(views: Arc<Views>) -> Follower {
        Follower { views, marks: Vec::new() }
    }
}

impl Observer for Follower {
    fn closed(&mut self, closed: &ClosedTick, _replayed: bool) {
        self.views.apply_marked(closed, &std::mem::take(&mut self.marks));
    }

    fn marked(&mut self, _tick: u64, marks: Vec<AlertMarkRecord>) {
        self.marks = marks;
    }

    fn save(&self, to: &mut Saver<'_>) -> Result<(), StateError> {
        self.views.save(to)
    }

    fn load(&mut self, from: &mut Loader<'_>) -> Result<(), StateError> {
        self.views.load(from)
    }

    fn forget(&mut self) {
        self.views.forget();
    }

    fn replayed(&mut self, _done: u64, _all: u64) {}

    fn ready(&mut self) {}
}

/// Takes snapshots of a folder.
pub struct Keeper {
    store: Store,
    /// `None` where none are wanted.
    pub snapshots: Option<Snapshots>,
    every: Duration,
    workers: usize,
    track_keep_ms: i64,
    zone: TimeZone,
    /// One at a time.
    busy: Mutex<()>,
}

impl Keeper {
    pub fn new(data: &Path, config: &Config, store: &Store) -> anyhow::Result<Keeper> {
        let every_min = config.snapshots.every_min;
        Ok(Keeper {
            store: store.clone(),
            snapshots: (every_min > 0).then(|| Snapshots::of(data, config.snapshots.keep)),
            every: Duration::from_secs(u64::from(every_min) * 60),
            workers: config.workers.unwrap_or(1),
            track_keep_ms: (config.limits.track_keep_h * HOUR_MS) as i64,
            zone: config.graph_settings()?.zone,
            busy: Mutex::new(()),
        })
    }

    /// Views as a service begins with.
    pub fn views(&self) -> Arc<Views> {
        Arc::new(Views::new(self.track_keep_ms).with_zone(self.zone.clone()))
    }

    /// Takes one now.
    pub fn take(&self) -> anyhow::Result<Taken> {
        let Some(snapshots) = &self.snapshots else {
            bail!("no snapshots are wanted here: snapshots.every_min is 0");
        };
        let _one_at_a_time = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let (log, changelog) = (self.store.log(), self.store.changelog());
        let goes_on = || !log.is_stopped();
        let mut follower = Follower::new(self.views());
        Ok(snapshots::take(snapshots, (&log, &changelog), self.workers, &mut follower, &goes_on)?)
    }

    /// Takes one now and then, until the log is stopped.
    pub fn run(&self) {
        now_and_then(&self.store.log(), self.every, self.every, || match self.take() {
            Ok(Taken::New(manifest)) => {
                tracing::info!(tick = manifest.tick, bytes = manifest.bytes(), "a snapshot was taken");
            }
            Ok(Taken::UpToDate { .. } | Taken::Nothing | Taken::Stopped) => {}
            Err(error) => tracing::warn!(error = %format!("{error:#}"), "no snapshot was taken"),
        });
    }
}

/// `snapshots take`
pub fn take(data: &Path, config: &ConfigArgs) -> anyhow::Result<Outcome> {
    folder::check(data)?;
    let mut out = std::io::stdout().lock();
    match Store::open(data, journal_of::options_of_command(true)?) {
        Ok(store) => {
            let config = load_config(config.config.as_deref(), &config.set)?;
            tell_taken(&Keeper::new(data, &config, &store)?, &mut out)
        }
        Err(StoreError::InUse { .. }) => {
            control::ask(folder::service_of(data)?, &Request::TakeSnapshot, &mut out)
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes one and tells what came of it.
pub fn tell_taken(keeper: &Keeper, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    match keeper.take()? {
        Taken::New(manifest) => writeln!(
            out,
            "taken: tick {}, {}, {} records, {} bytes",
            manifest.tick,
            TimeMs(manifest.instant_ms),
            manifest.records,
            manifest.bytes()
        )?,
        Taken::UpToDate { tick } => writeln!(out, "the last one is up to date: tick {tick}")?,
        Taken::Nothing => writeln!(out, "there is nothing yet")?,
        Taken::Stopped => bail!("the service stops"),
    }
    out.flush()?;
    Ok(Outcome::Done)
}

/// `snapshots list`
pub fn list(data: &Path, workers: Option<u16>) -> anyhow::Result<Outcome> {
    folder::check(data)?;
    let mut out = std::io::stdout().lock();
    let listed = Snapshots::of(data, 1).list()?;
    for snapshot in &listed {
        match &snapshot.manifest {
            Ok(manifest) => {
                let workers = workers.map_or(manifest.workers, usize::from);
                let fate =
                    manifest.unusable(workers).map_or("good".to_owned(), |why| format!("not used: {why}"));
                writeln!(
                    out,
                    "tick {}, {}, {} records, {} bytes, {} workers: {fate}",
                    manifest.tick,
                    TimeMs(manifest.instant_ms),
                    manifest.records,
                    manifest.bytes(),
                    manifest.workers
                )?;
            }
            Err(error) => writeln!(out, "{}: not used: {error}", snapshot.path.display())?,
        }
    }
    writeln!(out, "{} snapshots", listed.len())?;
    Ok(Outcome::Done)
}
