//! What this machine has, and what may be installed on it.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::steps::{check, output_of};

/// The file that the shell would run.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

pub fn is_root() -> bool {
    output_of(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Whether Debian packages can be installed without asking anybody.
pub fn can_install() -> bool {
    is_root() && on_path("apt-get").is_some()
}

/// Installs Debian packages; `advice` is what to do where that fails.
pub fn install(packages: &[&str], advice: &str) -> anyhow::Result<()> {
    let apt_get = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        check(&mut command, advice)
    };
    apt_get(&["update"])?;
    let install = ["install", "-y", "--no-install-recommends"];
    apt_get(&[install.as_slice(), packages].concat())
}
