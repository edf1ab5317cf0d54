//! The service of `docker-compose.yml`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use super::{NAME, PORT_VARIABLE, url_of};
use crate::machine;
use crate::steps::{check, output_of};

const SERVICE: &str = "postgis";
/// The port inside of the container.
const INSIDE_PORT: &str = "5432";
/// To pull the image and to initialise a database.
const LIMIT_S: &str = "300";

/// Whether there is an engine, and the `compose` that reads the file.
pub fn answers(root: &Path) -> bool {
    let succeeds = |command: &mut Command| output_of(command).is_ok();
    machine::on_path("docker").is_some()
        && succeeds(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))
        && succeeds(compose(root).arg("version"))
}

pub fn up(root: &Path) -> anyhow::Result<String> {
    let up = ["up", "--detach", "--wait", "--wait-timeout", LIMIT_S, SERVICE];
    let advice = format!("docker compose did not start {SERVICE}; if its port is taken, set {PORT_VARIABLE}");
    // Ours is the output that a script reads.
    check(compose(root).args(up).stdout(Stdio::null()), &advice)?;
    let address = output_of(compose(root).args(["port", SERVICE, INSIDE_PORT]))?;
    let port = address.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    let port =
        port.with_context(|| format!("docker compose says that {SERVICE} is at `{}`", address.trim()))?;
    // User, password and database are those of docker-compose.yml.
    Ok(url_of(NAME, port, NAME))
}

/// Says whether there was something to stop.
pub fn down(root: &Path) -> anyhow::Result<bool> {
    let running = output_of(compose(root).args(["ps", "--quiet", "--status", "running", SERVICE]))?;
    if running.trim().is_empty() {
        return Ok(false);
    }
    check(compose(root).args(["stop", SERVICE]), "docker compose did not stop it")?;
    Ok(true)
}

fn compose(root: &Path) -> Command {
    let mut command = Command::new("docker");
    command.current_dir(root).args(["compose", "--profile", SERVICE]);
    command
}
