//! A broker of a test's own, that may be killed.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::{LIMIT, command_in, skip, wait_until};

pub struct Broker {
    home: PathBuf,
    dir: tempfile::TempDir,
    pub address: String,
    /// What its commands begin with.
    enter: Vec<String>,
    child: Option<Child>,
}

impl Broker {
    /// Starts one from the libraries of the broker that tests share, if there are any.
    pub fn start() -> Option<Broker> {
        Broker::start_at("127.0.0.1", Vec::new())
    }

    /// Starts one at an address of this machine, by a command before its own: in a network that it names, say.
    pub fn start_at(host: &str, enter: Vec<String>) -> Option<Broker> {
        let Some(home) = std::env::var_os("WATCHTOWER_KAFKA_HOME") else {
            skip(
                "WATCHTOWER_KAFKA_HOME has no libraries of Kafka: cargo xtask test gets them where Java and Maven are",
            );
            return None;
        };
        let home = PathBuf::from(home);
        let shared =
            fs::read_to_string(home.join("server.properties")).expect("the shared broker's properties");
        let dir = tempfile::tempdir().expect("a folder");
        let [port, control] = [(); 2].map(|()| {
            let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
            free.expect("a free port").port()
        });
        let own = |line: &str| match line.split_once('=') {
            Some(("listeners", _)) => {
                format!("listeners=PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{control}")
            }
            Some(("advertised.listeners", _)) => format!("advertised.listeners=PLAINTEXT://{host}:{port}"),
            Some(("controller.quorum.voters", _)) => {
                format!("controller.quorum.voters=1@127.0.0.1:{control}")
            }
            Some(("log.dirs", _)) => format!("log.dirs={}", dir.path().join("data").display()),
            _ => line.to_owned(),
        };
        let properties: Vec<String> = shared.lines().map(own).collect();
        fs::write(dir.path().join("server.properties"), properties.join("\n"))
            .expect("properties can be kept");
        let mut broker = Broker { home, dir, address: format!("{host}:{port}"), enter, child: None };
        let id = broker.java("-Xmx128m", &["kafka.tools.StorageTool", "random-uuid"]).output().expect("java");
        let id = String::from_utf8(id.stdout).expect("an id");
        let properties = broker.properties();
        let format = ["kafka.tools.StorageTool", "format", "-t", id.trim(), "-c", &properties];
        assert!(broker.java("-Xmx128m", &format).stdout(Stdio::null()).status().expect("java").success());
        broker.start_again();
        Some(broker)
    }

    fn properties(&self) -> String {
        self.dir.path().join("server.properties").display().to_string()
    }

    fn java(&self, heap: &str, args: &[&str]) -> Command {
        let mut java = command_in(&self.enter, "java");
        let log4j: &Path = &self.home.join("log4j2.properties");
        java.arg(heap).arg(format!("-Dlog4j2.configurationFile={}", log4j.display()));
        java.arg(format!("-Dwatchtower.log={}", self.dir.path().join("log").display()));
        java.arg("-cp").arg(self.home.join("libs").join("*")).args(args).stdin(Stdio::null());
        java
    }

    pub fn start_again(&mut self) {
        self.launch();
        self.wait_until_ready();
    }

    /// Starts its process, and waits for nothing.
    pub fn launch(&mut self) {
        let properties = self.properties();
        let mut java = self.java("-Xmx256m", &["kafka.Kafka", &properties]);
        self.child = Some(java.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("java"));
    }

    pub fn wait_until_ready(&self) {
        let address = self.address.clone();
        wait_until("the broker listens", LIMIT, || TcpStream::connect(&address).is_ok());
    }

    /// As a crash would, with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("the broker can be killed");
            child.wait().expect("the broker is a child");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
