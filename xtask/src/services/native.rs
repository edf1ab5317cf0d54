//! A PostgreSQL cluster of this tree's own, without Docker.
//!
//! PostgreSQL refuses to run as root: there its programs run as the user `postgres`, who may not be able to
//! enter this tree (one under `/root`, say). Then the cluster is in that user's home.

use std::fs::{self, File};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::{NAME, PORT_VARIABLE, given_port, url_of, write_secret};
use crate::machine;
use crate::steps::{check, output_of};

/// Not PostgreSQL's own, where another server may be; another tree's may be at one of them.
const PORTS: std::ops::Range<u16> = 15_432..15_442;
const PACKAGES: [&str; 2] = ["postgresql", "postgresql-postgis"];
const ADVICE: &str = "PostgreSQL with PostGIS is needed: start Docker, or install them \
                      (Debian: apt-get install postgresql postgresql-postgis), or name a server in \
                      WATCHTOWER_POSTGRES_URL";
/// Whose processes they are where we are root.
const SYSTEM_USER: &str = "postgres";
/// Debian's home of that user.
const SYSTEM_HOME: &str = "/var/lib/postgresql";
/// Where Debian keeps the programs of each version.
const DEBIAN_LIBRARIES: &str = "/usr/lib/postgresql";
/// What says that a PostgreSQL has PostGIS, in its shared files.
const EXTENSION: &str = "extension/postgis.control";
/// Each cluster has it from the start.
const DATABASE: &str = "postgres";

pub fn up(services: &Path) -> anyhow::Result<String> {
    let cluster = Cluster::new(services, programs()?)?;
    cluster.initialise()?;
    let port = match cluster.port() {
        Some(port) => port,
        None => cluster.start()?,
    };
    Ok(url_of(&cluster.password()?, port, DATABASE))
}

/// Says whether there was something to stop.
pub fn down(services: &Path) -> anyhow::Result<bool> {
    // Without the programs nothing of ours can be running.
    let Some(programs) = find_programs() else { return Ok(false) };
    let cluster = Cluster::new(services, programs)?;
    if !cluster.is_running() {
        return Ok(false);
    }
    check(cluster.pg_ctl().args(["--mode", "fast", "--silent", "stop"]), "PostgreSQL did not stop")?;
    Ok(true)
}

/// The folder with PostgreSQL's programs, which are installed where they are missing and that may be done.
pub fn programs() -> anyhow::Result<PathBuf> {
    match find_programs() {
        Some(programs) => Ok(programs),
        None if machine::can_install() => {
            eprintln!("   no PostgreSQL with PostGIS found: installing it");
            machine::install(&PACKAGES, ADVICE)?;
            find_programs().context("apt-get installed PostGIS, and it is not where Debian has it")
        }
        None => bail!(ADVICE),
    }
}

/// The folder with `initdb` and `pg_ctl` of the newest PostgreSQL that has PostGIS.
fn find_programs() -> Option<PathBuf> {
    debian_programs().or_else(configured_programs)
}

fn debian_programs() -> Option<PathBuf> {
    let versions = fs::read_dir(DEBIAN_LIBRARIES).ok()?;
    let versions = versions.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let has_postgis =
        |version: &u32| Path::new(&format!("/usr/share/postgresql/{version}")).join(EXTENSION).is_file();
    let version = versions.filter(has_postgis).max()?;
    Some(Path::new(DEBIAN_LIBRARIES).join(version.to_string()).join("bin"))
}

/// Where other systems have them, as PostgreSQL itself says.
fn configured_programs() -> Option<PathBuf> {
    let ask = |what: &str| {
        output_of(Command::new("pg_config").arg(what)).ok().map(|said| PathBuf::from(said.trim()))
    };
    let programs = ask("--bindir")?;
    (programs.join("initdb").is_file() && ask("--sharedir")?.join(EXTENSION).is_file()).then_some(programs)
}

struct Cluster {
    programs: PathBuf,
    /// What we keep beside the data: the password and the log.
    folder: PathBuf,
    /// Its processes are another user's.
    as_system_user: bool,
}

impl Cluster {
    fn new(services: &Path, programs: PathBuf) -> anyhow::Result<Cluster> {
        let as_system_user = machine::is_root();
        let near = services.join("postgres");
        let folder = if !as_system_user || system_user_can_enter(services) {
            near
        } else {
            // A name of its own for each tree.
            let tree = near.to_string_lossy().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
            Path::new(SYSTEM_HOME).join(format!("{NAME}{tree}"))
        };
        let cluster = Cluster { programs, folder, as_system_user };
        fs::create_dir_all(&cluster.folder)
            .with_context(|| format!("{} can't be made", cluster.folder.display()))?;
        cluster.give_away(&cluster.folder)?;
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn password_file(&self) -> PathBuf {
        self.folder.join("password")
    }

    fn password(&self) -> anyhow::Result<String> {
        let file = self.password_file();
        fs::read_to_string(&file).with_context(|| {
            format!("{} can't be read; delete {} to start anew", file.display(), self.folder.display())
        })
    }

    /// Makes the cluster unless there is one.
    fn initialise(&self) -> anyhow::Result<()> {
        let data = self.data();
        if data.join("PG_VERSION").is_file() {
            return Ok(());
        }
        let unfinished = self.folder.join("data.unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)
                .with_context(|| format!("{} can't be removed", unfinished.display()))?;
        }
        let password_file = self.password_file();
        write_secret(&password_file, &random_password()?)?;
        self.give_away(&password_file)?;
        let mut initdb = self.program("initdb");
        initdb.args(["--username", NAME, "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C"]);
        initdb.arg("--pwfile").arg(&password_file).arg("--pgdata").arg(&unfinished);
        output_of(&mut initdb).context("PostgreSQL could not make a cluster")?;
        fs::rename(&unfinished, &data).with_context(|| format!("{} can't be made", data.display()))
    }

    fn is_running(&self) -> bool {
        output_of(self.pg_ctl().arg("status")).is_ok()
    }

    /// The port of the running server.
    fn port(&self) -> Option<u16> {
        /// Which line of `postmaster.pid` it is, from 0.
        const PORT_LINE: usize = 3;
        if !self.is_running() {
            return None;
        }
        let state = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        state.lines().nth(PORT_LINE)?.trim().parse().ok()
    }

    fn start(&self) -> anyhow::Result<u16> {
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = match given_port()? {
            Some(port) if is_free(&port) => port,
            Some(port) => bail!("port {port} of {PORT_VARIABLE} is in use"),
            None => PORTS.clone().find(is_free).with_context(|| {
                format!("ports {} to {} are in use: set {PORT_VARIABLE}", PORTS.start, PORTS.end - 1)
            })?,
        };
        let log = self.folder.join("log");
        // No socket file: the path to it may be too long for one.
        let options = format!("-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''");
        let mut start = self.pg_ctl();
        start.args(["--wait", "--timeout", "60", "--silent", "--options", &options]);
        start.arg("--log").arg(&log).arg("start");
        check(&mut start, &format!("PostgreSQL did not start; {} says why", log.display()))?;
        Ok(port)
    }

    fn pg_ctl(&self) -> Command {
        let mut command = self.program("pg_ctl");
        command.arg("--pgdata").arg(self.data());
        command
    }

    /// One of PostgreSQL's programs, as whose it has to be.
    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        if self.as_system_user { by_system_user(program) } else { Command::new(program) }
    }

    fn give_away(&self, path: &Path) -> anyhow::Result<()> {
        if !self.as_system_user {
            return Ok(());
        }
        let user = output_of(Command::new("id").args(["-u", SYSTEM_USER])).with_context(|| {
            format!("PostgreSQL does not run as root; make a user `{SYSTEM_USER}` for it")
        })?;
        let user = user.trim().parse().context("`id -u` did not print a number")?;
        chown(path, Some(user), None).with_context(|| format!("{} can't be given away", path.display()))
    }
}

fn by_system_user(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("runuser");
    // From a folder that everybody may enter.
    command.current_dir("/").args(["-u", SYSTEM_USER, "--"]).arg(program);
    command
}

fn system_user_can_enter(folder: &Path) -> bool {
    output_of(by_system_user("test").arg("-x").arg(folder)).is_ok()
}

/// The server listens on loopback only; the password keeps other users of this machine out.
fn random_password() -> anyhow::Result<String> {
    let mut bytes = [0_u8; 16];
    let mut source = File::open("/dev/urandom").context("/dev/urandom can't be opened")?;
    source.read_exact(&mut bytes).context("/dev/urandom can't be read")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
