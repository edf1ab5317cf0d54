//! The program's own log: to standard error, as text or JSON.

use std::io::IsTerminal;

use pipeline::config::{Log, LogFormat};
use tracing_subscriber::EnvFilter;

use crate::Usage;

/// Starts logging; `RUST_LOG` wins over the configured level.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) => EnvFilter::try_new(directives),
        // The store's own housekeeping is no news to an operator.
        Err(_) => EnvFilter::try_new(format!("fjall=warn,lsm_tree=warn,{}", log.level)),
    };
    let filter = filter.map_err(|error| Usage(format!("log.level: {error}")))?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = match log.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging could not be started: {error}"))
}
