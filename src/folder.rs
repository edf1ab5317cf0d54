//! A data folder from outside of the service: opened when it is free, asked through its service when not.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::Context;
use journal::{Store, StoreError};

use crate::control::{self, Request};
use crate::journal_of;
use crate::work;
use crate::{Outcome, Usage};

/// Refuses what is no data folder.
pub fn check(data: &Path) -> anyhow::Result<()> {
    if data.join("db").is_dir() {
        return Ok(());
    }
    let text = format!("{} is no data folder; name one with --data", data.display());
    Err(Usage(text).into())
}

/// The service that has the folder open.
pub fn service_of(data: &Path) -> anyhow::Result<UnixStream> {
    control::connect(data).with_context(|| {
        format!("{} is in use, and its service cannot be asked through its control socket", data.display())
    })
}

/// Answers a request about a folder, to standard output.
pub fn ask(data: &Path, request: &Request) -> anyhow::Result<Outcome> {
    let mut out = std::io::stdout().lock();
    check(data)?;
    // A folder that is only looked at may be older than a service may be that starts on it.
    match Store::open(data, journal_of::options_of_command(true)?) {
        Ok(store) => {
            let outcome = work::answer(&store, None, request, &mut out)?;
            out.flush()?;
            Ok(outcome)
        }
        Err(StoreError::InUse { .. }) => control::ask(service_of(data)?, request, &mut out),
        Err(error) => Err(error.into()),
    }
}
