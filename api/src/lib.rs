//! Live views of the derived tables, and the HTTP interface to them and to the journal.
//!
//! Architecture invariants: this crate knows no dataflow engine. What it shows comes from
//! [`model::ClosedTick`] values and from the changelog; what it is sent goes into the journal and is
//! acknowledged when it is durable there. Every live answer carries the tick and the instant that it is
//! exact for.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod http;
mod metrics;
mod page;
mod problem;
mod serve;
mod views;

use std::sync::Arc;

pub use config::ApiConfig;
pub use http::{openapi_json, router};
pub use serve::serve;
pub use views::Views;

/// What the HTTP interface stands on.
#[derive(Clone)]
pub struct Api {
    /// Where accepted bodies go.
    pub log: Arc<dyn journal::Log>,
    /// What `/changes` reads.
    pub changelog: journal::Changelog,
    /// Where refused bodies and records go.
    pub dead_letters: journal::DeadLetters,
    /// What every other answer is read from.
    pub views: Arc<Views>,
    /// Limits, names and secrets.
    pub config: ApiConfig,
}
