//! Brings fences of a PostGIS table into the journal.
//!
//! ```text
//!   notification, or time for a sweep -> ids and digests of all rows -> rows that are others than they were
//!     -> check -> dead letters and watchtower_error (what is refused)
//!              -> journal (what is another record than was sent last) -> watchtower_tick
//!   rows that are gone -> journal: deletes, of fences that this source has sent and no others
//! ```
//!
//! What was sent last of each fence is what the journal has of it: after a start its entries are looked through, from
//! the last note on. A fence that is in the journal and not noted is so not sent again; and if it were, the same
//! upsert again changes nothing.

use std::sync::Arc;
use std::thread::JoinHandle;

use journal::Store;
use pipeline::config::Config;
use sources::postgis::{Status, TableName};
use tokio::sync::watch;

use crate::Usage;

const URL: &str = "sources.postgis.url";
const MAX_SWEEP_S: u64 = 86_400;

/// The source at work.
pub struct Running {
    /// What it tells of itself.
    pub status: Arc<Status>,
    /// Ends some time after the service is asked to stop.
    pub thread: JoinHandle<()>,
}

/// Refuses what a start with this configuration would refuse.
pub fn check(config: &Config) -> anyhow::Result<()> {
    table(config)?;
    let sweep_s = config.sources.postgis.sweep_s;
    if !(1..=MAX_SWEEP_S).contains(&sweep_s) {
        return Err(
            Usage(format!("sources.postgis.sweep_s must be 1 to {MAX_SWEEP_S}, and is {sweep_s}")).into()
        );
    }
    if config.sources.postgis.url.is_none() {
        return Ok(());
    }
    reader::options(config).map(drop)
}

fn table(config: &Config) -> anyhow::Result<TableName> {
    let name = TableName::parse(&config.sources.postgis.table);
    Ok(name.map_err(|why| Usage(format!("sources.postgis.table: {why}")))?)
}

/// What makes the table, for whoever may make it.
#[cfg(feature = "postgres")]
pub fn schema(config: &Config) -> anyhow::Result<String> {
    Ok(sources::postgis::schema_sql(&table(config)?))
}

/// Starts to read, once the service is ready, if a database is configured.
pub fn start(
    config: &Config,
    store: &Store,
    ready: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
) -> anyhow::Result<Option<Running>> {
    if config.sources.postgis.url.is_none() {
        return Ok(None);
    }
    check(config)?;
    let status = Arc::new(Status::default());
    let thread = reader::start(config, store.clone(), Arc::clone(&status), ready, stop)?;
    Ok(Some(Running { status, thread }))
}

#[cfg(not(feature = "postgis"))]
mod reader {
    use super::{Arc, Config, JoinHandle, Status, Store, URL, Usage, watch};

    pub fn options(_: &Config) -> anyhow::Result<()> {
        Err(Usage(format!("{URL} is set, and this watchtower was built without PostGIS")).into())
    }

    pub fn start(
        config: &Config,
        _: Store,
        _: Arc<Status>,
        _: watch::Receiver<bool>,
        _: watch::Receiver<bool>,
    ) -> anyhow::Result<JoinHandle<()>> {
        options(config)?;
        Ok(std::thread::spawn(|| ()))
    }
}

#[cfg(feature = "postgis")]
mod known;
#[cfg(feature = "postgis")]
mod reader;
