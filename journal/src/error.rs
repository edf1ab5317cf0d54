//! Why the store, an append or a read failed, and what to do about it.

use std::path::{Path, PathBuf};

use crate::Cursor;
use crate::clock::rfc3339;

/// What to do about a damaged folder; ends every message that says so.
const DAMAGE_ADVICE: &str = "restore a backup of the folder, or move it away to begin with an empty one";

/// Why the store could not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder open.
    #[error("the folder {} is in use by {}; stop that process or choose another folder", dir.display(), process(*pid))]
    InUse {
        /// The store's folder.
        dir: PathBuf,
        /// The process that holds it, where it is known.
        pid: Option<u32>,
    },
    /// The folder was written in a format that this release does not know.
    #[error(
        "the folder {} is written in format {found}, this release reads format {known}; use the release that wrote it, or move the folder away",
        dir.display()
    )]
    Format {
        /// The store's folder.
        dir: PathBuf,
        /// The format found there.
        found: u32,
        /// The format that this release reads.
        known: u32,
    },
    /// The wall clock and the journal's last instant are too far apart.
    #[error(
        "the clock says {}, but the journal's last instant is {}; set the clock, or start once with --accept-clock if it is right",
        rfc3339(*now_ms),
        rfc3339(*last_ms)
    )]
    Clock {
        /// The wall clock.
        now_ms: i64,
        /// The instant of the journal's last tick.
        last_ms: i64,
    },
    /// What is kept is not what was written, or a part is missing.
    #[error("{what}; {DAMAGE_ADVICE}")]
    Damaged {
        /// What is damaged, and where.
        what: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The embedded database failed.
    #[error(
        "the database failed to {doing}: {source}; see the log, free disk space or replace the disk, and restart"
    )]
    Database {
        /// What it should have done.
        doing: &'static str,
        /// What it said.
        source: fjall::Error,
    },
    /// Kafka did not do what it was asked to.
    #[error(
        "Kafka failed to {doing}: {said}; see to its brokers and to the section kafka of the configuration"
    )]
    Kafka {
        /// What it should have done.
        doing: &'static str,
        /// What it said.
        said: String,
    },
    /// The caller asked for something that is not allowed.
    #[error("{0}")]
    Refused(String),
}

fn process(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => "another process".to_string(),
    }
}

impl StoreError {
    pub(crate) fn damaged(what: impl Into<String>) -> StoreError {
        StoreError::Damaged { what: what.into() }
    }

    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
        let path = path.to_path_buf();
        move |source| StoreError::Io { path, source }
    }

    pub(crate) fn database(doing: &'static str) -> impl Fn(fjall::Error) -> StoreError {
        move |source| StoreError::Database { doing, source }
    }
}

/// Why an entry was not appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The queue is full: commits are slower than appends.
    #[error("the journal's queue is full; try again in {retry_after_s} s")]
    Full {
        /// When it is worth trying again.
        retry_after_s: u32,
    },
    /// The entry is larger than any entry may be.
    #[error("an entry of {bytes} bytes is over the limit of {limit}; send less at once")]
    TooLarge {
        /// Size of the refused entry (or of its context).
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// What the journal is kept in does not answer; entries that wait already go on waiting.
    #[error("the journal can't be reached ({why}); try again in {retry_after_s} s")]
    Unavailable {
        /// What was said last.
        why: String,
        /// When it is worth trying again.
        retry_after_s: u32,
    },
    /// The log was stopped.
    #[error("the journal is stopped")]
    Stopped,
    /// A commit failed; nothing is acknowledged any more.
    #[error("the journal can't be written any more: {0}")]
    Failed(String),
}

/// Why changes could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Changes after the cursor were trimmed already.
    #[error(
        "changes after {asked} are no longer kept, the oldest are those after {oldest}; read the current rows anew"
    )]
    Gone {
        /// The cursor asked for.
        asked: Cursor,
        /// The oldest cursor that can be resumed from.
        oldest: Cursor,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
