//! Live views of the derived tables, and the HTTP interface to them and to the journal.
//!
//! Architecture invariants: this crate knows no dataflow engine. What it shows comes from
//! [`model::ClosedTick`] values and from the changelog; what it is sent goes into the journal and is
//! acknowledged when it is durable there. Every live answer carries the tick and the instant that it is
//! exact for.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod config;
mod fingerprint;
mod http;
mod metrics;
mod page;
mod problem;
mod serve;
pub mod story;
mod views;

use std::sync::Arc;

pub use config::{ApiConfig, DriverRule};
pub use http::{openapi_json, router};
use model::VisitId;
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
    /// What tells why a visit is as it is, where anything does.
    pub explain: Option<Explain>,
    /// What the sinks tell of themselves.
    pub sinks: Vec<Arc<sinks::live::Status>>,
    /// What the table of fences tells of itself, where one is followed.
    pub postgis: Option<Arc<sources::postgis::Status>>,
    /// What the reader of Kafka's topics tells of itself, where there is one.
    pub kafka_input: Option<Arc<sources::kafka::InputStatus>>,
    /// Limits, names and secrets.
    pub config: ApiConfig,
}

/// Tells why a visit is as it is, as a JSON object; `None` for an id of which nothing is kept. It may take long,
/// and gives up once it may not go on.
pub type Explain =
    Arc<dyn Fn(VisitId, &dyn Fn() -> bool) -> Result<Option<serde_json::Value>, ExplainError> + Send + Sync>;

/// Why a visit was not explained.
#[derive(Debug)]
pub enum ExplainError {
    /// It took too long.
    GaveUp,
    /// What is kept could not be read.
    Store(journal::StoreError),
}
