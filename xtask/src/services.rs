//! `cargo xtask services up|down|status`: what tests hold the product against: a PostgreSQL with PostGIS, and a
//! Kafka broker ([`kafka`]).
//!
//! Where a Docker engine answers, PostgreSQL is the service of `docker-compose.yml`; elsewhere a cluster of its own
//! under `target/services`, run by PostgreSQL's own programs. Either way it listens on loopback only, and its
//! URL is in `target/services/postgres.url`.

mod docker;
pub mod kafka;
mod native;

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use crate::machine;
use crate::steps::output_of;

/// Tests find the server through this; where it is set already, nothing is started.
pub const URL_VARIABLE: &str = "WATCHTOWER_POSTGRES_URL";
/// Which port to listen on, where it matters.
const PORT_VARIABLE: &str = "WATCHTOWER_POSTGRES_PORT";
/// The campaign of faults makes clusters of its own with what is there: `initdb` and `postgres`.
pub const PROGRAMS_VARIABLE: &str = "WATCHTOWER_POSTGRES_PROGRAMS";
/// The name of the server's user, whose all of it is.
const NAME: &str = "watchtower";
/// One row: what is running.
const VERSIONS: &str =
    "SELECT 'PostgreSQL ' || current_setting('server_version') || ', PostGIS ' || postgis_lib_version()";

pub fn run(root: &Path, words: &[&str]) -> anyhow::Result<()> {
    match words {
        ["up"] => {
            // Both, so that one is there where the other can't be had.
            let (postgres, kafka) = (up(root), kafka_up(root));
            println!("{}", postgres?);
            println!("{}", kafka?.address);
            Ok(())
        }
        ["down"] => {
            let (postgres, kafka) = (down(root), kafka_down(root));
            postgres.and(kafka)
        }
        ["status"] => {
            let (postgres, kafka) = (status(root), kafka::status(&folder(root)?));
            println!("{}", postgres?);
            println!("{}", kafka?);
            Ok(())
        }
        _ => bail!("say `services up`, `services down` or `services status`"),
    }
}

/// Makes sure that a broker runs.
pub fn kafka_up(root: &Path) -> anyhow::Result<kafka::Broker> {
    let folder = folder(root)?;
    let _lock = locked(&folder)?;
    kafka::up(root, &folder)
}

/// What tests make clusters of their own with.
pub fn postgres_programs() -> anyhow::Result<PathBuf> {
    native::programs()
}

/// What tests start brokers of their own from; none is started.
pub fn kafka_home(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder(root)?;
    let _lock = locked(&folder)?;
    kafka::home(&folder)
}

fn kafka_down(root: &Path) -> anyhow::Result<()> {
    let stopped = kafka::down(root, &folder(root)?)?;
    eprintln!("   Kafka: {}", if stopped { "stopped" } else { "nothing was up" });
    Ok(())
}

/// Two that start something at once would make it twice.
fn locked(folder: &Path) -> anyhow::Result<File> {
    let lock = File::create(folder.join("lock"))
        .with_context(|| format!("{} can't be written", folder.join("lock").display()))?;
    lock.lock().context("the lock of the services can't be taken")?;
    Ok(lock)
}

/// Makes sure that the server runs, and gives its URL.
pub fn up(root: &Path) -> anyhow::Result<String> {
    require_psql()?;
    if let Some(url) = given_url() {
        let versions = versions(&url).with_context(|| {
            format!("{URL_VARIABLE} names a server that does not answer; unset it to have one started")
        })?;
        eprintln!("   {versions}, as {URL_VARIABLE} says");
        return Ok(url);
    }
    let folder = folder(root)?;
    let _lock = locked(&folder)?;
    let file = url_file(&folder);
    if let Ok(url) = fs::read_to_string(&file)
        && let Ok(versions) = versions(url.trim())
    {
        eprintln!("   {versions}, up already");
        return Ok(url.trim().to_owned());
    }
    let url = start(root, &folder)?;
    let versions = with_extension(&url)?;
    write_secret(&file, &format!("{url}\n"))?;
    eprintln!("   {versions}; `cargo xtask services down` stops it");
    Ok(url)
}

fn start(root: &Path, folder: &Path) -> anyhow::Result<String> {
    if docker::answers(root) {
        match docker::up(root) {
            Ok(url) => return Ok(url),
            // An engine without a way to the registry of images is as good as none.
            Err(error) => eprintln!("   Docker did not start it, so it is tried without: {error:#}"),
        }
    }
    native::up(folder)
}

fn down(root: &Path) -> anyhow::Result<()> {
    if given_url().is_some() {
        bail!("{URL_VARIABLE} names the server: whoever started it has to stop it");
    }
    let folder = folder(root)?;
    let mut stopped = native::down(&folder)?;
    if docker::answers(root) {
        stopped |= docker::down(root)?;
    }
    let file = url_file(&folder);
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("{} can't be removed", file.display()))?;
    }
    eprintln!("   PostGIS: {}", if stopped { "stopped" } else { "nothing was up" });
    Ok(())
}

fn status(root: &Path) -> anyhow::Result<String> {
    let url = match given_url() {
        Some(url) => url,
        None => fs::read_to_string(url_file(&folder(root)?))
            .map(|url| url.trim().to_owned())
            .ok()
            .context("PostGIS is not up; `cargo xtask services up` starts it")?,
    };
    let versions = versions(&url).context("PostGIS does not answer; `cargo xtask services up` starts it")?;
    eprintln!("   {versions}");
    Ok(url)
}

fn given_url() -> Option<String> {
    std::env::var(URL_VARIABLE).ok().filter(|url| !url.is_empty())
}

fn given_port() -> anyhow::Result<Option<u16>> {
    port_of(PORT_VARIABLE)
}

/// The port that a variable names.
fn port_of(variable: &str) -> anyhow::Result<Option<u16>> {
    let Some(port) = std::env::var(variable).ok().filter(|port| !port.is_empty()) else { return Ok(None) };
    port.parse().map(Some).with_context(|| format!("{variable} is `{port}`; it has to be a port's number"))
}

/// Tests talk to the server through it, and so do we.
fn require_psql() -> anyhow::Result<()> {
    const ADVICE: &str =
        "psql is needed: install PostgreSQL's client (Debian: apt-get install postgresql-client)";
    if machine::on_path("psql").is_some() {
        return Ok(());
    }
    if !machine::can_install() {
        bail!(ADVICE);
    }
    eprintln!("   no psql found: installing it");
    machine::install(&["postgresql-client"], ADVICE)
}

fn with_extension(url: &str) -> anyhow::Result<String> {
    query(url, "CREATE EXTENSION IF NOT EXISTS postgis")
        .context("the server is up, but PostGIS can't be made in it; is its database an older one's?")?;
    versions(url)
}

fn versions(url: &str) -> anyhow::Result<String> {
    Ok(query(url, VERSIONS)?.trim().to_owned())
}

fn query(url: &str, sql: &str) -> anyhow::Result<String> {
    let mut psql = Command::new("psql");
    psql.args([
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--tuples-only",
        "--no-align",
        "--command",
        sql,
        url,
    ]);
    output_of(psql.env("PGCONNECT_TIMEOUT", "5"))
}

fn url_of(password: &str, port: u16, database: &str) -> String {
    format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{database}")
}

/// Where the services of this tree keep what they need.
fn folder(root: &Path) -> anyhow::Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = root.join(target).join("services");
    fs::create_dir_all(&folder).with_context(|| format!("{} can't be made", folder.display()))?;
    Ok(folder)
}

fn url_file(folder: &Path) -> PathBuf {
    folder.join("postgres.url")
}

/// Writes a file that nobody else may read.
fn write_secret(file: &Path, content: &str) -> anyhow::Result<()> {
    let write = || {
        let mut open = OpenOptions::new();
        open.write(true).create(true).truncate(true).mode(0o600).open(file)?.write_all(content.as_bytes())
    };
    write().with_context(|| format!("{} can't be written", file.display()))
}
