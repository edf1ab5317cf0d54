//! The log as its users see it: append, be acknowledged, follow the ticks, read them again.

use std::sync::Arc;

use crossbeam_channel::Receiver;
use tokio::sync::oneshot;

use crate::{AppendError, StoreError};

/// One appended piece of input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the log, from 1, without gaps.
    pub offset: u64,
    /// Which source it came from; opaque.
    pub source: u8,
    /// When the log took it, in milliseconds since 1970; never goes back.
    pub received_ms: i64,
    /// What decoding needs beside the bytes; short and opaque.
    pub context: Box<str>,
    /// The bytes as received.
    pub payload: Vec<u8>,
}

/// One commit group: the entries that became durable together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tick {
    /// From 1, without gaps.
    pub number: u64,
    /// When its last entry was received, or when its heartbeat was; never goes back.
    pub instant_ms: i64,
    /// In order of offset; empty for a heartbeat.
    pub entries: Vec<Entry>,
}

/// Where an acknowledged entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The tick that holds it.
    pub tick: u64,
    /// Its offset.
    pub offset: u64,
    /// Its stamp.
    pub received_ms: i64,
}

/// The promise of an acknowledgement; completes once the entry is durable, or never will be.
#[must_use = "an entry is acknowledged only when its ticket says so"]
#[derive(Debug)]
pub struct Ticket {
    outcome: oneshot::Receiver<Result<Appended, AppendError>>,
}

/// The writer's side of a ticket.
pub(crate) type Acknowledge = oneshot::Sender<Result<Appended, AppendError>>;

impl Ticket {
    pub(crate) fn new() -> (Acknowledge, Ticket) {
        let (acknowledge, outcome) = oneshot::channel();
        (acknowledge, Ticket { outcome })
    }

    /// Waits for the acknowledgement.
    pub async fn wait(self) -> Result<Appended, AppendError> {
        self.outcome.await.unwrap_or_else(|_| Err(writer_gone()))
    }

    /// Waits for the acknowledgement on a thread that runs no async tasks.
    pub fn wait_blocking(self) -> Result<Appended, AppendError> {
        self.outcome.blocking_recv().unwrap_or_else(|_| Err(writer_gone()))
    }
}

fn writer_gone() -> AppendError {
    AppendError::Failed("the writer ended without an answer".to_string())
}

/// A durable ordered log that mints ticks.
pub trait Log: Send + Sync {
    /// Queues an entry; never blocks. It is acknowledged through the ticket.
    fn append(&self, source: u8, context: &str, payload: Vec<u8>) -> Result<Ticket, AppendError>;

    /// The newest durable tick and its instant.
    fn last_tick(&self) -> Option<(u64, i64)>;

    /// Streams the ticks from `from_tick` to `to_tick`, both included, that are durable at the call. Checks
    /// checksums, and that numbers and offsets have no gaps; ends after the first error.
    fn read(&self, from_tick: u64, to_tick: u64)
    -> Box<dyn Iterator<Item = Result<Tick, StoreError>> + Send>;

    /// Begins minting, once. The ticks after [`Log::last_tick`] arrive on the channel; while it is full no
    /// more are committed, so that appends are refused in the end: the back-pressure of a slow reader.
    /// The channel is closed after a stop, or when a commit has failed.
    fn start(&self) -> Result<Receiver<Arc<Tick>>, StoreError>;

    /// Why nothing is taken any more, if a commit has failed or nobody follows the ticks.
    fn failure(&self) -> Option<String>;

    /// Why nothing is taken for now, if what the journal is kept on is away.
    fn unavailable(&self) -> Option<String> {
        None
    }

    /// Whether a stop was asked for, before the start too.
    fn is_stopped(&self) -> bool;

    /// Commits what is queued, closes the channel behind it, and refuses what is appended later. Returns
    /// when the last commit is durable; the channel may still hold ticks to be read.
    fn stop(&self);
}
