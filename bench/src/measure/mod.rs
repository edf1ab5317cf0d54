//! Named benchmarks: each prints its machine, its sizes and every run.

mod backfill;
mod bare;
mod bodies;
mod country;
mod edit;
mod eta;
mod folder;
mod graph;
mod hauls;
mod ingest;
mod late;
mod memory;
mod oracle;
mod probe;
mod quantiles;
mod query;
mod recovery;
mod replay;
mod report;
mod service;
#[cfg(feature = "postgres")]
mod sinks;
mod trips;
mod truck;
mod wire;

use std::path::PathBuf;

use anyhow::bail;

pub use report::{Figure, Report};

/// The names that [`run`] knows.
pub const NAMES: &[&str] = &[
    "graph",
    "late",
    "edit",
    "memory",
    "ingest",
    "query",
    "replay",
    "recovery",
    "backfill",
    "trips",
    "eta",
    "oracle",
    #[cfg(feature = "postgres")]
    "sinks",
];

/// What to measure, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which benchmarks, of [`NAMES`].
    pub names: Vec<String>,
    /// One JSON object a figure instead of a table.
    pub json: bool,
    /// Smaller and fewer runs: to see that it works, not to be quoted.
    pub quick: bool,
    /// Only the cases with this many fences (graph).
    pub fences: Option<u32>,
    /// Only the cases whose figure's name contains this (graph).
    pub only: Option<String>,
    /// How many fixes are kept while fences are edited (edit); only the case with so many fixes a vehicle
    /// (memory).
    pub fixes: Option<u64>,
    /// How many days are put right (backfill).
    pub days: Option<u32>,
    /// The program to start as the service under load.
    pub program: PathBuf,
}

/// Runs benchmarks in the order given, printing as they end.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if let Some(unknown) = options.names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!("there is no benchmark {unknown:?}; known are {}", NAMES.join(", "));
    }
    let mut report = Report::begin(options.json, options.quick);
    for name in &options.names {
        match name.as_str() {
            "graph" => graph::measure(options, &mut report)?,
            "late" => late::measure(options, &mut report)?,
            "edit" => edit::measure(options, &mut report)?,
            "memory" => memory::measure(options, &mut report)?,
            "ingest" => ingest::measure(options, &mut report)?,
            "query" => query::measure(options, &mut report)?,
            "replay" => replay::measure(options, &mut report)?,
            "recovery" => recovery::measure(options, &mut report)?,
            "backfill" => backfill::measure(options, &mut report)?,
            "oracle" => oracle::measure(options, &mut report)?,
            "eta" => eta::measure(options, &mut report)?,
            #[cfg(feature = "postgres")]
            "sinks" => sinks::measure(options, &mut report)?,
            _ => trips::measure(options, &mut report)?,
        }
    }
    Ok(())
}
