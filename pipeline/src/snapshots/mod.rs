//! Snapshots: all that the graph and the views keep after a tick, so that a start need not begin at the beginning.
//!
//! ```text
//!   snapshots/00000000000000001234/manifest.json     tick, instant, release, workers, checksums
//!                                  intake            names, settings, instants, periods
//!                                  worker-0 ...      what the operators of each worker keep
//!                                  views             what the live views keep
//! ```
//!
//! A snapshot is a cache: with it and the ticks after it a start comes to what it comes to without. So it is used only
//! by the release that wrote it, for as many workers, and what its graph says of ticks that the changelog has is
//! compared with what is kept of them. One that does not fit is left out, with a word in the log, and so is one that is
//! damaged; then an older one is tried, and in the end the journal is read from its beginning.
//!
//! Invariants:
//! 1. A folder with a manifest is whole: files are durable before the manifest is, and the folder has its name last.
//! 2. Live ticks wait for none: while a service runs, snapshots are taken by a second graph that goes on from the last
//!    one ([`take`]), which is compared with the changelog meanwhile.

mod begin;
mod file;
mod folder;
mod take;

use std::io;
use std::path::PathBuf;

use model::state::StateError;

pub(crate) use begin::{Begun, Trust, begin};
pub(crate) use file::{FileReader, FileSum, FileWriter};
pub(crate) use folder::Draft;
pub use folder::{Listed, Manifest, Snapshot, Snapshots};
pub use take::{Taken, save, take};

use crate::graph::GraphError;

/// Why a snapshot could not be taken or used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SnapshotError {
    #[error("{path} cannot be {done}: {error}", path = path.display())]
    Io { done: &'static str, path: PathBuf, error: io::Error },
    #[error("{0}")]
    Damaged(String),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Graph(#[from] GraphError),
    #[error(transparent)]
    Store(#[from] journal::StoreError),
    #[error(transparent)]
    Unfit(#[from] model::Unfit),
    #[error("what is kept of tick {tick} is not what this release computes; nothing is saved")]
    Differs { tick: u64 },
}

impl SnapshotError {
    pub(crate) fn io(done: &'static str, path: PathBuf, error: io::Error) -> SnapshotError {
        SnapshotError::Io { done, path, error }
    }
}
