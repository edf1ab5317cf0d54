//! The services of `docker-compose.yml`.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;

use super::{NAME, PORT_VARIABLE, url_of};
use crate::machine;
use crate::steps::{check, output_of};

/// Names of services and profiles, and the ports inside of their containers.
const POSTGIS: (&str, &str) = ("postgis", "5432");
const KAFKA: (&str, &str) = ("kafka", "9092");
/// To pull an image and to initialise what is in it.
const LIMIT_S: &str = "300";

/// Whether there is an engine, and the `compose` that reads the file.
pub fn answers(root: &Path) -> bool {
    let succeeds = |command: &mut Command| output_of(command).is_ok();
    machine::on_path("docker").is_some()
        && succeeds(Command::new("docker").args(["version", "--format", "{{.Server.Version}}"]))
        && succeeds(compose(root, POSTGIS.0).arg("version"))
}

pub fn up(root: &Path) -> anyhow::Result<String> {
    let advice = format!("docker compose did not start PostGIS; if its port is taken, set {PORT_VARIABLE}");
    // User, password and database are those of docker-compose.yml.
    Ok(url_of(NAME, start(root, POSTGIS, &advice)?, NAME))
}

/// Says whether there was something to stop.
pub fn down(root: &Path) -> anyhow::Result<bool> {
    stop(root, POSTGIS)
}

pub fn kafka_up(root: &Path) -> anyhow::Result<String> {
    let port = start(root, KAFKA, "docker compose did not start Kafka; is its port 9092 taken?")?;
    Ok(format!("127.0.0.1:{port}"))
}

/// Says whether there was something to stop.
pub fn kafka_down(root: &Path) -> anyhow::Result<bool> {
    stop(root, KAFKA)
}

fn start(root: &Path, (service, inside_port): (&str, &str), advice: &str) -> anyhow::Result<u16> {
    let up = ["up", "--detach", "--wait", "--wait-timeout", LIMIT_S, service];
    // Ours is the output that a script reads.
    check(compose(root, service).args(up).stdout(Stdio::null()), advice)?;
    let address = output_of(compose(root, service).args(["port", service, inside_port]))?;
    let port = address.trim().rsplit(':').next().and_then(|port| port.parse().ok());
    port.with_context(|| format!("docker compose says that {service} is at `{}`", address.trim()))
}

fn stop(root: &Path, (service, _): (&str, &str)) -> anyhow::Result<bool> {
    let running = ["ps", "--quiet", "--status", "running", service];
    if output_of(compose(root, service).args(running))?.trim().is_empty() {
        return Ok(false);
    }
    check(compose(root, service).args(["stop", service]), "docker compose did not stop it")?;
    Ok(true)
}

fn compose(root: &Path, profile: &str) -> Command {
    let mut command = Command::new("docker");
    command.current_dir(root).args(["compose", "--profile", profile]);
    command
}
