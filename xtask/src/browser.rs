//! The browser that the page is tested in: found, or fetched where that is possible.

use std::path::PathBuf;

use anyhow::{Context, bail};

use crate::machine;

/// The names that the tests look for on the path, unless `CHROMIUM` names one.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Makes sure that there is one, or says what to do.
pub fn provide() -> anyhow::Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if !machine::can_install() {
        bail!("no chromium found: install it, or name it in CHROMIUM");
    }
    eprintln!("   no chromium found: installing it");
    machine::install(&["chromium"], "chromium could not be installed; name one in CHROMIUM")?;
    find().context("apt-get installed chromium, and it is not on the path")
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|name| !name.is_empty()) {
        return Some(PathBuf::from(named));
    }
    NAMES.iter().find_map(|name| machine::on_path(name))
}
