//! The browser that the page is tested in: found, or fetched where that is possible.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::steps::{check, output_of};

/// The names that the tests look for on the path, unless `CHROMIUM` names one.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Makes sure that there is one, or says what to do.
pub fn provide() -> anyhow::Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if !is_root() || !has_program("apt-get") {
        bail!("no chromium found: install it, or name it in CHROMIUM");
    }
    eprintln!("   no chromium found: installing it");
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        check(&mut command, "chromium could not be installed; name one in CHROMIUM")
    };
    apt_get(&["update"])?;
    apt_get(&["install", "-y", "--no-install-recommends", "chromium"])?;
    find().context("apt-get installed chromium, and it is not on the path")
}

fn find() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM").filter(|name| !name.is_empty()) {
        return Some(PathBuf::from(named));
    }
    NAMES.iter().find_map(|name| on_path(name))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

fn has_program(name: &str) -> bool {
    on_path(name).is_some()
}

fn is_root() -> bool {
    output_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}
