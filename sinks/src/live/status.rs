//! What a sink tells of itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use journal::Changelog;

use super::{AsOf, Written};

/// How it is with a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SinkState {
    /// It was not there yet.
    #[default]
    Connecting,
    /// It takes changes.
    Connected,
    /// It is made equal to the rows that stand.
    Resynchronising,
    /// The other end is away; it is tried again.
    Away,
    /// It does nothing more until the next start.
    Stopped,
}

impl SinkState {
    /// Whether the other end is there.
    #[must_use]
    pub fn is_up(self) -> bool {
        matches!(self, SinkState::Connected | SinkState::Resynchronising)
    }

    /// The name in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SinkState::Connecting => "connecting",
            SinkState::Connected => "connected",
            SinkState::Resynchronising => "resynchronising",
            SinkState::Away => "away",
            SinkState::Stopped => "stopped",
        }
    }
}

/// How it is with a sink at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its name.
    pub name: &'static str,
    /// How it is.
    pub state: SinkState,
    /// Where it is.
    pub as_of: AsOf,
    /// Ticks that are closed and that it does not have.
    pub lag_ticks: u64,
    /// How much time those are.
    pub lag_ms: i64,
    /// What it wrote since the start.
    pub written: Written,
    /// How often it failed since the start.
    pub failures: u64,
    /// How often it was made equal to the rows that stand, since the start.
    pub resyncs: u64,
    /// What failed last.
    pub last_error: Option<String>,
}

/// What a sink tells of itself, for whoever asks.
pub struct Status {
    changelog: Changelog,
    report: Mutex<Report>,
}

impl Status {
    pub(super) fn new(name: &'static str, changelog: Changelog) -> Status {
        Status { changelog, report: Mutex::new(Report { name, ..Report::default() }) }
    }

    fn report_mut(&self) -> MutexGuard<'_, Report> {
        // Numbers and a text: a thread that died in between left them good.
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it is now.
    #[must_use]
    pub fn report(&self) -> Report {
        let mut report = self.report_mut().clone();
        if let Some((tick, instant_ms)) = self.changelog.last_tick() {
            report.lag_ticks = tick.saturating_sub(report.as_of.tick);
            let is_behind = report.lag_ticks > 0 && report.as_of.tick > 0;
            report.lag_ms = if is_behind { (instant_ms - report.as_of.instant_ms).max(0) } else { 0 };
        }
        report
    }

    pub(super) fn enters(&self, state: SinkState) {
        self.report_mut().state = state;
    }

    pub(super) fn is_at(&self, as_of: AsOf) {
        self.report_mut().as_of = as_of;
    }

    pub(super) fn wrote(&self, written: Written) {
        self.report_mut().written += written;
    }

    pub(super) fn resynchronised(&self) {
        self.report_mut().resyncs += 1;
    }

    pub(super) fn failed(&self, state: SinkState, error: String) {
        let mut report = self.report_mut();
        report.state = state;
        report.failures += 1;
        report.last_error = Some(error);
    }
}
