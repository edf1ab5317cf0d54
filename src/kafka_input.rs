//! Brings messages of Kafka's topics into the journal.
//!
//! ```text
//!   topic -> check -> dead letters (what is refused) -> journal -> how far it was read is noted and committed
//! ```
//!
//! How far each partition was read is what the journal has of it: after a start its entries are looked through,
//! from the last note on; where nothing of a partition was read, the note says where it was begun. So a message is in
//! the journal once, whenever the service ends. What a message's bad records left as dead letters may be there twice.

use std::sync::Arc;
use std::thread::JoinHandle;

use journal::Store;
use pipeline::config::Config;
use sources::kafka::{InputStatus, Mapping, TimeFormat};
use tokio::sync::watch;

use crate::Usage;

/// Refuses what a start with this configuration would refuse.
pub fn check(config: &Config) -> anyhow::Result<()> {
    let of = &config.sources.kafka;
    if !["earliest", "latest"].contains(&of.start.as_str()) {
        let text = format!("sources.kafka.start is \"earliest\" or \"latest\", and is {:?}", of.start);
        return Err(Usage(text).into());
    }
    if !of.topics.is_empty() && !cfg!(feature = "kafka") {
        let text = "sources.kafka.topics: this program was built without Kafka (cargo feature kafka)";
        return Err(Usage(text.to_owned()).into());
    }
    mapping(config).map(drop)
}

/// What the input will tell of itself, if there is something to be read.
pub fn status(config: &Config) -> Option<Arc<InputStatus>> {
    (!config.sources.kafka.topics.is_empty()).then(Arc::default)
}

/// Where the fields of positions are in messages, if those are of another make.
pub fn mapping(config: &Config) -> anyhow::Result<Option<Mapping>> {
    let of = &config.sources.kafka;
    let time = TimeFormat::from_name(&of.time).ok_or_else(|| {
        Usage(format!("sources.kafka.time is \"rfc3339\", \"s\" or \"ms\", and is {:?}", of.time))
    })?;
    if of.mapping.is_empty() {
        return Ok(None);
    }
    let mapping = Mapping::new(of.mapping.clone(), time);
    Ok(Some(mapping.map_err(|why| Usage(format!("sources.kafka.mapping: {why}")))?))
}

/// Starts to read, once the service is ready, if there is something to be read.
pub fn start(
    config: &Config,
    store: &Store,
    ready: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
    status: Option<Arc<InputStatus>>,
) -> anyhow::Result<Option<JoinHandle<()>>> {
    let Some(status) = status else { return Ok(None) };
    reader::start(config, mapping(config)?, store.clone(), ready, stop, status).map(Some)
}

#[cfg(not(feature = "kafka"))]
mod reader {
    use super::{Arc, Config, InputStatus, JoinHandle, Mapping, Store, watch};

    pub fn start(
        config: &Config,
        _: Option<Mapping>,
        _: Store,
        _: watch::Receiver<bool>,
        _: watch::Receiver<bool>,
        _: Arc<InputStatus>,
    ) -> anyhow::Result<JoinHandle<()>> {
        super::check(config)?;
        Ok(std::thread::spawn(|| ()))
    }
}

#[cfg(feature = "kafka")]
mod reader;
