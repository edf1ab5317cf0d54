//! The graph's wiring and everything that drives it: records in, closed ticks out.
//!
//! Knows the operators, the journal and the decoders of sources as functions; knows no vendor's wire
//! format, and no HTTP.
//!
//! Invariants:
//! 1. There is one way in: an [`Intake`] gives records their numbers and instants, whether they come live,
//!    from files or from the journal again; and one graph behind it.
//! 2. Nothing here asks a clock what time it is: instants come with records and ticks.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod alert_rows;
mod backfill;
mod backlog;
pub mod config;
mod dataflow;
mod drive;
pub mod explain;
mod export;
mod graph;
mod intake;
mod kpi_rows;
mod names;
mod periods;
mod referee;
mod replay;
mod service;
pub mod snapshots;
mod verify;
mod worker;

pub use dataflow::Computes;
pub use drive::Driver;
pub use export::{ExportError, export};
pub use graph::GraphError;
pub use intake::{Intake, TickInput};
pub use periods::Period;
pub use referee::{Evidence, RefereeFix, RefereeShape, Said};
pub use replay::{BadLine, Follower, ReplayError, ReplayOptions, ReplaySummary, TICK_RECORDS, replay};
pub use service::{Observer, Service, ServiceError, change_bytes};
pub use snapshots::{Listed, Manifest, Snapshot, SnapshotError, Snapshots, Taken};
pub use verify::{Difference, VerifyError, VerifyReport, verify};
