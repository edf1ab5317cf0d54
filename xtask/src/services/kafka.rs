//! A Kafka broker of this tree's own, from Maven: one node that is its own controller.
//!
//! Where there is no Java it is the service of `docker-compose.yml`. Without Docker comes first here: tests that
//! kill a broker start one of their own from the same libraries.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::docker;
use crate::machine;
use crate::steps::{check, output_of};

/// Tests find the broker through this; where it is set already, nothing is started.
pub const BROKERS_VARIABLE: &str = "WATCHTOWER_KAFKA_BROKERS";
/// Tests that kill a broker start it from what is there: the libraries and `log4j2.properties`.
pub const HOME_VARIABLE: &str = "WATCHTOWER_KAFKA_HOME";
/// Which port to listen on, where it matters.
const PORT_VARIABLE: &str = "WATCHTOWER_KAFKA_PORT";
/// The newest release whose parts are all in Maven's central repository.
const VERSION: &str = "4.3.1";
/// What Kafka's own log goes through.
const LOG4J_VERSION: &str = "2.25.4";
/// Not Kafka's own, where another broker may be; another tree's may be at one of them.
const PORTS: std::ops::Range<u16> = 19_092..19_102;
const PACKAGES: [&str; 2] = ["default-jre-headless", "maven"];
const ADVICE: &str = "Java 17 and Maven are needed for Kafka: install them (Debian: apt-get install \
                      default-jre-headless maven), or start Docker, or name a broker in WATCHTOWER_KAFKA_BROKERS";
/// The first release of Java that runs it.
const MIN_JAVA: u32 = 17;
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(100);

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>watchtower</groupId><artifactId>kafka-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>@KAFKA</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>@LOG4J</version></dependency>
  </dependencies>
</project>
"#;

/// One node: nothing can be kept twice. Indexes are small, since tests make many topics.
const PROPERTIES: &str = "process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:@PORT,CONTROLLER://127.0.0.1:@CONTROL
advertised.listeners=PLAINTEXT://127.0.0.1:@PORT
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.quorum.voters=1@127.0.0.1:@CONTROL
log.dirs=@DATA
log.index.size.max.bytes=1048576
num.partitions=4
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
";

/// Two files of 10 MB at most.
const LOG_PROPERTIES: &str = "appender.file.type = RollingFile
appender.file.name = FILE
appender.file.fileName = ${sys:watchtower.log}
appender.file.filePattern = ${sys:watchtower.log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = [%d] %p %m (%c)%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 10MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 1
rootLogger.level = warn
rootLogger.appenderRef.file.ref = FILE
";

/// A broker that answers.
pub struct Broker {
    pub address: String,
    /// Where tests find what they start another one from; not where it runs in Docker or is somebody else's.
    pub home: Option<PathBuf>,
}

/// Makes sure that a broker runs.
pub fn up(root: &Path, services: &Path) -> anyhow::Result<Broker> {
    if let Some(address) = given_brokers() {
        if !answers(&address) {
            bail!("{BROKERS_VARIABLE} names a broker that does not answer; unset it to have one started");
        }
        eprintln!("   Kafka at {address}, as {BROKERS_VARIABLE} says");
        let home = std::env::var_os(HOME_VARIABLE).map(PathBuf::from);
        return Ok(Broker { address, home });
    }
    let node = Node::new(services);
    let known = fs::read_to_string(address_file(services)).unwrap_or_default();
    let is_up = !known.is_empty() && answers(known.trim());
    let has_java = has_java() || machine::can_install();
    if !has_java && !is_up && docker::answers(root) {
        let address = docker::kafka_up(root)?;
        fs::write(address_file(services), &address).context("the broker's address can't be noted")?;
        eprintln!("   Kafka {VERSION} in Docker; `cargo xtask services down` stops it");
        return Ok(Broker { address, home: None });
    }
    if is_up {
        eprintln!("   Kafka at {}, up already", known.trim());
    } else {
        node.provide()?;
        let address = node.start()?;
        fs::write(address_file(services), address).context("the broker's address can't be noted")?;
        eprintln!("   Kafka {VERSION}; `cargo xtask services down` stops it");
    }
    let address = fs::read_to_string(address_file(services)).context("the broker's address can't be read")?;
    let home = node.libraries().is_dir().then(|| node.folder.clone());
    Ok(Broker { address: address.trim().to_owned(), home })
}

/// The folder that tests start brokers of their own from.
pub fn home(services: &Path) -> anyhow::Result<PathBuf> {
    let node = Node::new(services);
    node.provide()?;
    if !node.properties().is_file() {
        // Where no broker was started yet; who starts one gives it ports and a folder.
        node.write("server.properties", PROPERTIES)?;
    }
    Ok(node.folder)
}

/// Says whether there was something to stop.
pub fn down(root: &Path, services: &Path) -> anyhow::Result<bool> {
    if given_brokers().is_some() {
        bail!("{BROKERS_VARIABLE} names the broker: whoever started it has to stop it");
    }
    let mut stopped = Node::new(services).stop()?;
    if docker::answers(root) {
        stopped |= docker::kafka_down(root)?;
    }
    let file = address_file(services);
    if file.exists() {
        fs::remove_file(&file).with_context(|| format!("{} can't be removed", file.display()))?;
    }
    Ok(stopped)
}

/// The broker's address, if one is up and answers.
pub fn status(services: &Path) -> anyhow::Result<String> {
    let known = || fs::read_to_string(address_file(services)).ok().map(|address| address.trim().to_owned());
    let address = given_brokers().or_else(known);
    let address = address.context("Kafka is not up; `cargo xtask services up` starts it")?;
    if !answers(&address) {
        bail!("Kafka at {address} does not answer; `cargo xtask services up` starts it");
    }
    eprintln!("   Kafka at {address}");
    Ok(address)
}

fn given_brokers() -> Option<String> {
    std::env::var(BROKERS_VARIABLE).ok().filter(|brokers| !brokers.is_empty())
}

fn address_file(services: &Path) -> PathBuf {
    services.join("kafka.address")
}

/// The first line is `openjdk version "17.0.15" 2025-04-15`, on standard error.
fn has_java() -> bool {
    let said = Command::new("java").arg("-version").output();
    let text = said.map(|said| String::from_utf8_lossy(&said.stderr).into_owned()).unwrap_or_default();
    let major = text.split('"').nth(1).and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    major.is_some_and(|major| major >= MIN_JAVA) && machine::on_path("mvn").is_some()
}

/// Asks the first of some brokers which requests it knows: the one question that every release answers.
fn answers(brokers: &str) -> bool {
    let ask = || -> Option<bool> {
        let address: SocketAddr = brokers.split(',').next()?.to_socket_addrs().ok()?.next()?;
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        // Length 10; request 18 (ApiVersions) in version 0; correlation 7; no client id.
        stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255]).ok()?;
        let mut head = [0; 8];
        stream.read_exact(&mut head).ok()?;
        Some(head[4..] == [0, 0, 0, 7])
    };
    ask() == Some(true)
}

/// The broker and its folder.
struct Node {
    folder: PathBuf,
}

impl Node {
    fn new(services: &Path) -> Node {
        Node { folder: services.join("kafka") }
    }

    fn libraries(&self) -> PathBuf {
        self.folder.join("libs")
    }

    fn properties(&self) -> PathBuf {
        self.folder.join("server.properties")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    fn write(&self, name: &str, content: &str) -> anyhow::Result<PathBuf> {
        let file = self.folder.join(name);
        fs::write(&file, content).with_context(|| format!("{} can't be written", file.display()))?;
        Ok(file)
    }

    /// Gets Java and the libraries, unless they are there.
    fn provide(&self) -> anyhow::Result<()> {
        fs::create_dir_all(&self.folder)
            .with_context(|| format!("{} can't be made", self.folder.display()))?;
        if !has_java() {
            if !machine::can_install() {
                bail!(ADVICE);
            }
            eprintln!("   no Java {MIN_JAVA} with Maven found: installing them");
            machine::install(&PACKAGES, ADVICE)?;
        }
        self.write("log4j2.properties", LOG_PROPERTIES)?;
        let pom = POM.replace("@KAFKA", VERSION).replace("@LOG4J", LOG4J_VERSION);
        let is_current = fs::read_to_string(self.folder.join("pom.xml")).is_ok_and(|known| known == pom);
        if is_current && self.libraries().is_dir() {
            return Ok(());
        }
        eprintln!("   getting Kafka {VERSION} by Maven");
        let unfinished = self.folder.join("libs.unfinished");
        for old in [&unfinished, &self.libraries()] {
            if old.exists() {
                fs::remove_dir_all(old).with_context(|| format!("{} can't be removed", old.display()))?;
            }
        }
        self.write("pom.xml", &pom)?;
        let mut maven = Command::new("mvn");
        maven.current_dir(&self.folder).args(["--quiet", "--batch-mode", "dependency:copy-dependencies"]);
        maven.arg(format!("-DoutputDirectory={}", unfinished.display())).stdout(Stdio::null());
        check(&mut maven, "Maven could not get Kafka; is its repository within reach?")?;
        fs::rename(&unfinished, self.libraries()).context("Kafka's libraries can't be moved to their place")
    }

    /// Java with Kafka's libraries.
    fn java(&self, heap: &str) -> Command {
        let mut java = Command::new("java");
        java.current_dir(&self.folder).arg(heap);
        java.arg(format!("-Dlog4j2.configurationFile={}", self.folder.join("log4j2.properties").display()));
        java.arg(format!("-Dwatchtower.log={}", self.log().display()));
        java.arg("-cp").arg(self.libraries().join("*"));
        java
    }

    fn start(&self) -> anyhow::Result<String> {
        self.stop()?;
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        let port = match super::port_of(PORT_VARIABLE)? {
            Some(port) if is_free(port) => port,
            Some(port) => bail!("port {port} of {PORT_VARIABLE} is in use"),
            None => PORTS.clone().find(|port| is_free(*port)).with_context(|| {
                format!("ports {} to {} are in use: set {PORT_VARIABLE}", PORTS.start, PORTS.end - 1)
            })?,
        };
        // Nobody else asks for the controller: any port will do.
        let control = TcpListener::bind(("127.0.0.1", 0)).and_then(|free| free.local_addr());
        let control = control.context("no port is free")?.port();
        let data = self.folder.join("data");
        let properties = PROPERTIES.replace("@PORT", &port.to_string());
        let properties = properties.replace("@CONTROL", &control.to_string());
        self.write("server.properties", &properties.replace("@DATA", &data.display().to_string()))?;
        if !data.join("meta.properties").is_file() {
            let tool = |arguments: &[&str]| {
                let mut java = self.java("-Xmx128m");
                output_of(java.arg("kafka.tools.StorageTool").args(arguments))
            };
            let id = tool(&["random-uuid"])?;
            tool(&["format", "-t", id.trim(), "-c", &self.properties().display().to_string()])
                .context("Kafka could not make its folder")?;
        }
        let out = File::create(self.folder.join("out")).context("Kafka's output can't be kept")?;
        let mut java = self.java("-Xmx512m");
        java.arg("kafka.Kafka").arg(self.properties());
        // A group of its own: it goes on when this ends, and an interrupt here is none of its business.
        java.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let mut child = java.spawn().context("java could not be started")?;
        self.write("pid", &child.id().to_string())?;
        let address = format!("127.0.0.1:{port}");
        let began = Instant::now();
        while !answers(&address) {
            let said = format!("{} and {} say why", self.log().display(), self.folder.join("out").display());
            if let Some(status) = child.try_wait()? {
                bail!("Kafka ended at its start with {status}; {said}");
            }
            if began.elapsed() > START_LIMIT {
                bail!("Kafka did not answer within {} s; {said}", START_LIMIT.as_secs());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(address)
    }

    /// The broker's process, if it runs: the number may have been given to another one meanwhile.
    fn process(&self) -> Option<String> {
        let pid = fs::read_to_string(self.folder.join("pid")).ok()?;
        let arguments = fs::read(format!("/proc/{}/cmdline", pid.trim())).ok()?;
        let ours = self.properties().display().to_string();
        let is_ours = arguments.split(|byte| *byte == 0).any(|argument| argument == ours.as_bytes());
        is_ours.then(|| pid.trim().to_owned())
    }

    fn stop(&self) -> anyhow::Result<bool> {
        let Some(pid) = self.process() else { return Ok(false) };
        check(Command::new("kill").args(["-TERM", &pid]), "Kafka could not be asked to stop")?;
        let began = Instant::now();
        while self.process().is_some() {
            if began.elapsed() > STOP_LIMIT {
                bail!("Kafka (process {pid}) does not stop; {} may say why", self.log().display());
            }
            std::thread::sleep(PAUSE);
        }
        Ok(true)
    }
}
