//! Named benchmarks: each prints its machine, its sizes and every run.

mod folder;
mod graph;
mod ingest;
mod probe;
mod replay;
mod report;
mod wire;

use std::path::PathBuf;

use anyhow::bail;

pub use report::{Figure, Report};

/// The names that [`run`] knows.
pub const NAMES: [&str; 3] = ["graph", "ingest", "replay"];

/// What to measure, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which benchmarks, of [`NAMES`].
    pub names: Vec<String>,
    /// One JSON object a figure instead of a table.
    pub json: bool,
    /// Smaller and fewer runs: to see that it works, not to be quoted.
    pub quick: bool,
    /// Only the cases with this many fences.
    pub fences: Option<u32>,
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
            "ingest" => ingest::measure(options, &mut report)?,
            _ => replay::measure(options, &mut report)?,
        }
    }
    Ok(())
}
