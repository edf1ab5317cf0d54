//! The shape of a service's sinks: each follows the changelog at its own pace, with a cursor that is kept where its
//! rows are.
//!
//! ```text
//!   changelog --(whole ticks)--> driver --batch--> sink: rows and cursor, all or nothing
//!                                  |  too old a cursor, another journal: resync from the rows that stand
//!                                  `--> status: metrics and log
//! ```
//!
//! Invariants:
//!
//! 1. The cursor is the sink's own. The driver asks for it after each failure and never keeps one that is newer.
//! 2. A batch ends with the end of a tick: at each cursor the sink's rows are those of one tick.
//! 3. Nobody waits for a sink. One whose other end is away tries again for ever, and reads what it missed.

mod batch;
mod compare;
mod driver;
mod status;

pub use batch::{Batch, BatchLimits};
pub use compare::{Comparison, RowDifference, Rows, rows_at};
pub use driver::{LiveSource, RunningSink, spawn};
pub use status::{Report, SinkState, Status};

use journal::{ReadError, RowsSnapshot, StoreError};

/// The tick that rows are exact for, and its instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AsOf {
    /// The tick; 0 before the first.
    pub tick: u64,
    /// Its instant.
    pub instant_ms: i64,
}

/// Where a sink is, as it is kept beside its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The changelog that its rows came from ([`journal::Changelog::identity`]); `None` before the first batch.
    pub identity: Option<String>,
    /// The last tick whose changes are in its rows.
    pub as_of: AsOf,
}

/// What a sink did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows that were written or removed.
    pub rows: u64,
    /// Rows that the other end refused for what they hold.
    pub dead_letters: u64,
}

impl std::ops::AddAssign for Written {
    fn add_assign(&mut self, other: Written) {
        self.rows += other.rows;
        self.dead_letters += other.dead_letters;
    }
}

/// Why a sink could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The other end is away or busy; it is tried again.
    #[error("{}", told_once(.0))]
    Away(anyhow::Error),
    /// It is of no use to try again: somebody has to do something.
    #[error("{}", told_once(.0))]
    Stopped(anyhow::Error),
    /// It is there, and its rows are not what its cursor says: they are to be compared with those that stand.
    #[error("{0}")]
    Torn(String),
    /// The changelog could not be read.
    #[error(transparent)]
    Changes(#[from] ReadError),
}

/// An error with its causes, but those that it tells already.
fn told_once(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = cause;
        } else if !told.contains(&cause) {
            told = format!("{told}: {cause}");
        }
    }
    told
}

impl From<StoreError> for SinkError {
    fn from(error: StoreError) -> SinkError {
        SinkError::Changes(error.into())
    }
}

/// A sink of a service. Its methods are called by one thread, and may block.
pub trait LiveSink: Send {
    /// The name in logs and metrics.
    fn name(&self) -> &'static str;
    /// Where it is; connects where it is not connected. [`SinkError::Torn`] is told by this one only.
    fn position(&mut self) -> Result<Position, SinkError>;
    /// Applies a batch and moves the cursor to its end, all or nothing.
    fn apply(&mut self, batch: &Batch) -> Result<Written, SinkError>;
    /// Makes its rows those of the snapshot, all or nothing, and itself one of that changelog.
    fn resync(&mut self, identity: &str, rows: &RowsSnapshot) -> Result<Written, SinkError>;
}
