//! The servers of a campaign: a PostgreSQL cluster and a Kafka broker of its own, which it may kill, and between them
//! and Watch Tower networks that it may cut.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::plan::Server;
use crate::common::{LIMIT, command_in, skip, succeed, wait_until};

/// The folder with `initdb` and `postgres`. `cargo xtask` finds it.
const PROGRAMS_VARIABLE: &str = "WATCHTOWER_POSTGRES_PROGRAMS";
/// PostgreSQL refuses to run as root: then it is this user's.
const SYSTEM_USER: &str = "postgres";
/// Where `ip` keeps namespaces by their names.
const NAMESPACES: &str = "/run/netns";
/// Nobody has this address of a network card: what is sent to it is lost.
const NOBODY: &str = "02:00:00:00:00:99";

/// The network between Watch Tower and a server: two ends of one wire, the server's in a namespace of its own.
pub struct Network {
    server: Server,
}

impl Network {
    /// Makes networks possible in the campaign's own namespaces.
    pub fn prepare() {
        succeed(Command::new("ip").args(["link", "set", "lo", "up"]));
        // Names of namespaces are files there, which others would see.
        fs::create_dir_all(NAMESPACES).expect("a folder");
        succeed(Command::new("mount").args(["-t", "tmpfs", "none", NAMESPACES]));
    }

    /// Lays the wire. Only in namespaces of the campaign's own, with which it goes.
    pub fn lay(server: Server) -> Network {
        let network = Network { server };
        let (space, wire) = (server.name(), network.wire());
        ip(&["netns", "add", space]);
        ip(&["link", "add", &wire, "type", "veth", "peer", "name", "eth0", "netns", space]);
        ip(&["address", "add", &format!("{}/30", network.near()), "dev", &wire]);
        ip(&["-n", space, "address", "add", &format!("{}/30", network.far()), "dev", "eth0"]);
        ip(&["link", "set", &wire, "up"]);
        ip(&["-n", space, "link", "set", "eth0", "up"]);
        ip(&["-n", space, "link", "set", "lo", "up"]);
        network
    }

    fn wire(&self) -> String {
        format!("to-{}", self.server.name())
    }

    fn subnet(&self) -> &'static str {
        match self.server {
            Server::Postgres => "10.77.1",
            Server::Kafka => "10.77.2",
        }
    }

    /// Watch Tower's address.
    fn near(&self) -> String {
        format!("{}.1", self.subnet())
    }

    /// The server's address.
    pub fn far(&self) -> String {
        format!("{}.2", self.subnet())
    }

    /// Cuts it: in silence, so that both ends send into the void, or with a link that both see go down.
    pub fn cut(&self, silent: bool) {
        if silent {
            let lost = |address: &str, device: &str| {
                ["neigh", "replace", address, "lladdr", NOBODY, "nud", "permanent", "dev", device]
                    .map(str::to_owned)
            };
            let near = lost(&self.far(), &self.wire());
            ip(&near.each_ref().map(String::as_str));
            let far = lost(&self.near(), "eth0");
            ip(&[&["-n", self.server.name()], &far.each_ref().map(String::as_str)[..]].concat());
        } else {
            ip(&["-n", self.server.name(), "link", "set", "eth0", "down"]);
        }
    }

    pub fn mend(&self, silent: bool) {
        if silent {
            ip(&["neigh", "del", &self.far(), "dev", &self.wire()]);
            ip(&["-n", self.server.name(), "neigh", "del", &self.near(), "dev", "eth0"]);
        } else {
            ip(&["-n", self.server.name(), "link", "set", "eth0", "up"]);
        }
    }

    /// What begins a command that runs at the server's end.
    pub fn enter(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--net={NAMESPACES}/{}", self.server.name())]
    }
}

fn ip(args: &[&str]) {
    succeed(Command::new("ip").args(args));
}

/// A port that is free at the moment.
pub fn free_port() -> u16 {
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
    free.expect("a free port").port()
}

/// A cluster, and its server while that runs.
pub struct Postgres {
    programs: PathBuf,
    folder: PathBuf,
    host: String,
    port: u16,
    enter: Vec<String>,
    password: String,
    child: Option<Child>,
}

impl Postgres {
    /// Makes a cluster below a folder; `None`, after a word, where there is no PostgreSQL to make it.
    pub fn make(folder: &Path, network: Option<&Network>) -> Option<Postgres> {
        let Some(programs) = std::env::var_os(PROGRAMS_VARIABLE) else {
            skip(&format!(
                "{PROGRAMS_VARIABLE} names no folder with PostgreSQL's programs: cargo xtask sets it"
            ));
            return None;
        };
        let folder = folder.join("postgres");
        fs::create_dir_all(&folder).expect("a folder");
        let mut enter = network.map(Network::enter).unwrap_or_default();
        if succeed(Command::new("id").arg("-u")).stdout == b"0\n" {
            let user = ["setpriv", "--reuid", SYSTEM_USER, "--regid", SYSTEM_USER, "--clear-groups"];
            enter.extend(user.map(str::to_owned));
            let id = succeed(Command::new("id").args(["-u", SYSTEM_USER])).stdout;
            let id = String::from_utf8(id).ok().and_then(|id| id.trim().parse().ok());
            chown(&folder, id, None).expect("the folder can be given away");
            let above = folder.parent().expect("a folder above");
            fs::set_permissions(above, fs::Permissions::from_mode(0o711)).expect("the folder can be entered");
        }
        let host = network.map_or_else(|| "127.0.0.1".to_owned(), Network::far);
        let port = if network.is_some() { 5432 } else { free_port() };
        let postgres = Postgres {
            programs: programs.into(),
            password: random_word(),
            folder,
            host,
            port,
            enter,
            child: None,
        };
        postgres.initialise();
        Some(postgres)
    }

    fn initialise(&self) {
        let data = self.data();
        let word = self.folder.join("password");
        fs::write(&word, &self.password).expect("the password can be kept");
        let mut initdb = command_in(&self.enter, self.programs.join("initdb"));
        initdb.args(["--username", "watchtower", "--auth", "scram-sha-256", "--encoding", "UTF8"]);
        initdb.args(["--locale", "C", "--no-sync", "--pwfile"]).arg(&word).arg("--pgdata").arg(&data);
        succeed(initdb.current_dir("/"));
        let hosts = "host all all 127.0.0.1/32 scram-sha-256\nhost all all 10.77.0.0/16 scram-sha-256\n";
        fs::write(data.join("pg_hba.conf"), hosts).expect("who may come in");
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub fn url(&self) -> String {
        format!("postgres://watchtower:{}@{}:{}/postgres", self.password, self.host, self.port)
    }

    /// Starts the server, and waits for nothing.
    pub fn launch(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.join("log")).expect("a log");
        let mut command = command_in(&self.enter, self.programs.join("postgres"));
        command.arg("-D").arg(self.data()).args(["-p", &self.port.to_string()]);
        command.args(["-c", &format!("listen_addresses={}", self.host), "-c", "unix_socket_directories="]);
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("postgres can be started"));
    }

    /// Starts it again where it has ended, as it does beside processes of a killed one.
    pub fn keep_up(&mut self) {
        if self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|ended| ended.is_some())) {
            self.launch();
        }
    }

    pub fn wait_until_ready(&mut self) {
        wait_until("PostgreSQL answers", LIMIT, || {
            self.keep_up();
            self.psql("SELECT 1").output().is_ok_and(|answer| answer.status.success())
        });
    }

    /// All processes at once, as a machine that is cut from power.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let id = child.id().to_string();
        // It may not start others while they are counted.
        succeed(Command::new("kill").args(["-STOP", &id]));
        let others = Command::new("pgrep").args(["-P", &id]).output().expect("pgrep").stdout;
        let others = String::from_utf8(others).expect("numbers");
        // Some may have ended by themselves by now.
        _ = Command::new("kill").arg("-KILL").args(others.split_whitespace()).arg(&id).output();
        child.wait().expect("the server is a child");
    }

    fn psql(&self, sql: &str) -> Command {
        let mut psql = Command::new("psql");
        psql.args(["--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align", "--command"]);
        psql.arg(sql).arg(self.url()).env("PGCONNECT_TIMEOUT", "5");
        psql
    }

    pub fn ask(&self, sql: &str) -> String {
        String::from_utf8(succeed(&mut self.psql(sql)).stdout).expect("psql prints UTF-8")
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server is for this campaign alone.
fn random_word() -> String {
    use std::io::Read as _;
    let mut bytes = [0_u8; 16];
    let source = fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    source.expect("random bytes");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
