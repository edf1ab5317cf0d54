//! The thread of a sink: reads whole ticks, applies them, tries again.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use journal::{Changelog, ReadError, StoreError};

use super::{Batch, BatchLimits, LiveSink, Position, SinkError, SinkState, Status, Written};

/// The first pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Where nobody says that a tick has closed, it is looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long an answer that is on its way may take when the time to stop is over.
const GRACE: Duration = Duration::from_secs(1);
const STOP_PAUSE: Duration = Duration::from_millis(5);

/// What a sink follows.
pub struct LiveSource {
    /// The changes, and the rows that stand.
    pub changelog: Changelog,
    /// The instant of a tick that the journal has.
    pub instant_of: Box<dyn Fn(u64) -> Result<Option<i64>, StoreError> + Send>,
}

#[derive(Default)]
struct Told {
    /// Something closed since the sink last looked.
    has_news: bool,
    /// The sink is to end when it has everything, and at the latest then.
    end_by: Option<Instant>,
}

#[derive(Default)]
struct Bell {
    told: Mutex<Told>,
    rung: Condvar,
}

impl Bell {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, what: impl FnOnce(&mut Told)) {
        what(&mut self.told());
        self.rung.notify_all();
    }

    /// Waits for a closed tick, or the wish to end.
    fn wait_for_news(&self) {
        let mut told = self.told();
        if !told.has_news && told.end_by.is_none() {
            told = self.rung.wait_timeout(told, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
        told.has_news = false;
    }

    /// Waits, but not beyond the wish to end.
    fn pause(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut told = self.told();
        while told.end_by.is_none() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return };
            told = self.rung.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn end_by(&self) -> Option<Instant> {
        self.told().end_by
    }
}

/// A sink at work.
pub struct RunningSink {
    status: Arc<Status>,
    bell: Arc<Bell>,
    thread: JoinHandle<()>,
}

impl RunningSink {
    /// What it tells of itself.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// What tells it, from any thread, that a tick has closed. Never waits for it.
    pub fn bell(&self) -> impl Fn() + Send + use<> {
        let bell = Arc::clone(&self.bell);
        move || bell.tell(|told| told.has_news = true)
    }

    /// Lets it take what is closed by now, for so long at most, and ends it. What is left, the next start takes.
    ///
    /// One that waits for an answer of the other end is left alone after that time: what it is at becomes whole or
    /// nothing without it.
    pub fn stop(self, within: Duration) {
        let end_by = Instant::now() + within;
        self.bell.tell(|told| told.end_by = Some(end_by));
        while !self.thread.is_finished() {
            if Instant::now() > end_by + GRACE {
                tracing::warn!(
                    sink = self.status.report().name,
                    "the sink waits for an answer, and is left alone"
                );
                return;
            }
            std::thread::sleep(STOP_PAUSE);
        }
        if self.thread.join().is_err() {
            tracing::error!(sink = self.status.report().name, "the sink's thread panicked");
        }
    }
}

/// Starts a sink's thread.
pub fn spawn(
    sink: Box<dyn LiveSink>,
    source: LiveSource,
    limits: BatchLimits,
) -> anyhow::Result<RunningSink> {
    let name = sink.name();
    let status = Arc::new(Status::new(name, source.changelog.clone()));
    let bell = Arc::new(Bell::default());
    let driver = Driver {
        name,
        sink,
        source,
        limits,
        status: Arc::clone(&status),
        bell: Arc::clone(&bell),
        position: None,
        read_ahead: None,
        failures_in_a_row: 0,
    };
    let thread = std::thread::Builder::new().name(format!("sink-{name}")).spawn(move || driver.run());
    Ok(RunningSink { status, bell, thread: thread.context("the sink's thread could not be started")? })
}

/// Where the sink is, and what is to be done about it.
enum Standing {
    /// The changelog goes on from there.
    Follows(Position),
    /// Its rows have to be compared with those that stand, once they are at least those of this tick.
    MustResync { from_tick: u64, why: String },
}

struct Driver {
    name: &'static str,
    sink: Box<dyn LiveSink>,
    source: LiveSource,
    limits: BatchLimits,
    status: Arc<Status>,
    bell: Arc<Bell>,
    /// Unknown at the start and after a failure.
    position: Option<Standing>,
    /// What comes after a tick.
    read_ahead: Option<(u64, Result<Option<Batch>, ReadError>)>,
    failures_in_a_row: u32,
}

impl Driver {
    fn run(mut self) {
        loop {
            let end_by = self.bell.end_by();
            if end_by.is_some_and(|end_by| Instant::now() >= end_by) {
                return;
            }
            match self.step() {
                Ok(true) => {}
                Ok(false) if end_by.is_some() => return,
                Ok(false) => self.bell.wait_for_news(),
                Err(error @ SinkError::Stopped(_)) => {
                    let error = error.to_string();
                    tracing::error!(
                        sink = self.name,
                        error,
                        "the sink has stopped; the next start tries again"
                    );
                    self.status.failed(SinkState::Stopped, error);
                    return;
                }
                Err(error) => {
                    self.failed(&error.to_string());
                    if end_by.is_some() {
                        // Nobody is to wait for who is away: the next start goes on.
                        return;
                    }
                }
            }
        }
    }

    /// One batch, or one resync; `false` where there is nothing to do.
    fn step(&mut self) -> Result<bool, SinkError> {
        let standing = match self.position.take() {
            Some(standing) => standing,
            None => match self.sink.position() {
                Err(SinkError::Torn(why)) => {
                    self.connected(&Position::default());
                    Standing::MustResync { from_tick: 0, why }
                }
                position => {
                    let position = position?;
                    self.connected(&position);
                    self.judge(position)?
                }
            },
        };
        let position = match standing {
            Standing::Follows(position) => position,
            Standing::MustResync { from_tick, why } => return self.resync(from_tick, why),
        };
        let read_before = self.read_ahead.take().filter(|(from_tick, _)| *from_tick == position.as_of.tick);
        let batch = match read_before {
            Some((_, batch)) => batch,
            None => Batch::after(&self.source.changelog, position.as_of.tick, self.limits),
        };
        let batch = match batch {
            Ok(batch) => batch,
            Err(ReadError::Gone { .. }) => {
                let why = format!("the changes after tick {} are not kept any more", position.as_of.tick);
                return self.resync(0, why);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(batch) = batch else {
            self.position = Some(Standing::Follows(position));
            return Ok(false);
        };
        let written = self.apply(&batch)?;
        self.status.wrote(written);
        self.arrived(Position { identity: Some(batch.identity().to_owned()), as_of: batch.to });
        Ok(true)
    }

    /// Applies a batch; where there is more to read, the next one is read meanwhile.
    fn apply(&mut self, batch: &Batch) -> Result<Written, SinkError> {
        if !batch.is_full() {
            return self.sink.apply(batch);
        }
        let (changelog, limits, tick) = (&self.source.changelog, self.limits, batch.to.tick);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || Batch::after(changelog, tick, limits));
            let written = self.sink.apply(batch);
            self.read_ahead = reading.join().ok().map(|next| (tick, next));
            written
        })
    }

    fn connected(&mut self, position: &Position) {
        self.status.is_at(position.as_of);
        self.status.enters(SinkState::Connected);
        tracing::info!(sink = self.name, tick = position.as_of.tick, "the sink is connected");
    }

    fn arrived(&mut self, position: Position) {
        self.failures_in_a_row = 0;
        self.status.is_at(position.as_of);
        self.position = Some(Standing::Follows(position));
    }

    fn judge(&self, position: Position) -> Result<Standing, SinkError> {
        let Position { identity, as_of } = &position;
        let must = |from_tick, why: &str| Ok(Standing::MustResync { from_tick, why: why.to_owned() });
        let Some(identity) = identity else { return Ok(Standing::Follows(position)) };
        if identity != self.source.changelog.identity() {
            return must(0, "its rows are of another journal");
        }
        // A backup that was restored, and went another way since.
        let instant_of = |tick| (self.source.instant_of)(tick).map_err(|error| SinkError::Away(error.into()));
        if as_of.tick > 0 && instant_of(as_of.tick)? != Some(as_of.instant_ms) {
            return must(0, "its rows are of a tick that this journal does not have");
        }
        // The changelog lost its end in a power cut, and what is derived anew may be of another release.
        if self.source.changelog.last_tick().is_none_or(|(last, _)| last < as_of.tick) {
            return must(as_of.tick, "it was ahead of the changelog");
        }
        Ok(Standing::Follows(position))
    }

    fn resync(&mut self, from_tick: u64, why: String) -> Result<bool, SinkError> {
        let rows = self.source.changelog.rows();
        let Some((tick, instant_ms)) = rows.last_tick().filter(|(tick, _)| *tick >= from_tick.max(1)) else {
            self.position = Some(Standing::MustResync { from_tick, why });
            return Ok(false);
        };
        self.status.enters(SinkState::Resynchronising);
        tracing::warn!(sink = self.name, tick, why, "the sink's rows are compared with those that stand");
        let identity = self.source.changelog.identity().to_owned();
        let written = self.sink.resync(&identity, &rows)?;
        self.status.wrote(written);
        self.status.resynchronised();
        self.status.enters(SinkState::Connected);
        let (rows, dead_letters) = (written.rows, written.dead_letters);
        tracing::info!(sink = self.name, tick, rows, dead_letters, "the sink's rows are those that stand");
        self.arrived(Position { identity: Some(identity), as_of: super::AsOf { tick, instant_ms } });
        Ok(true)
    }

    fn failed(&mut self, error: &str) {
        self.position = None;
        let pause = pause_after(self.failures_in_a_row, draw());
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
        let pause_ms = pause.as_millis() as u64;
        tracing::warn!(
            sink = self.name,
            error,
            pause_ms,
            "the sink failed; it tries again, and nothing is lost"
        );
        self.status.failed(SinkState::Away, error.to_owned());
        self.bell.pause(pause);
    }
}

/// Twice as long each time, and between half of it and all of it: services that failed together try apart.
fn pause_after(failures_before: u32, drawn: u16) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << failures_before.min(16)).min(LONGEST_PAUSE);
    longest / 2 + (longest / 2).mul_f64(f64::from(drawn) / f64::from(u16::MAX))
}

fn draw() -> u16 {
    let mut bytes = [0; 2];
    // Without chance the pauses are the shortest ones.
    _ = getrandom::fill(&mut bytes);
    u16::from_ne_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_differ() {
        let ms = |failures, drawn| pause_after(failures, drawn).as_millis();
        assert_eq!((ms(0, 0), ms(0, u16::MAX)), (50, 100));
        assert_eq!((ms(3, 0), ms(3, u16::MAX)), (400, 800));
        assert_eq!((ms(9, u16::MAX), ms(1000, u16::MAX), ms(1000, 0)), (30_000, 30_000, 15_000));
    }
}
