//! What the tests share: the binary's commands, a running service, and its tables as bytes.

mod changes;
#[cfg(feature = "postgres")]
mod database;
mod http;
mod random;
mod records;
mod rows;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;

pub use changes::{Change, changes_until, sum};
#[cfg(feature = "postgres")]
pub use database::Database;
pub use http::{Answer, Client, Events};
pub use random::Random;
pub use records::{circle, fence_record, fix, positions_in};
pub use rows::{Rows, moves_by_marks, rows_in, rows_of_changes, rows_of_replay};

/// How long a service may take to start or to stop on a busy machine.
pub const LIMIT: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
pub const POLL: Duration = Duration::from_millis(5);
/// No tick is minted but for records: what was noted of one tick stays the newest.
pub const NO_HEARTBEAT: [&str; 2] = ["--set", "journal.heartbeat_ms=3600000"];

/// The binary, with nothing of this machine's configuration.
pub fn watchtower() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchtower"));
    for (name, _) in std::env::vars_os() {
        let is_ours = name.to_string_lossy().starts_with("WATCHTOWER_") || name == "RUST_LOG";
        if is_ours {
            command.env_remove(name);
        }
    }
    command
}

/// A command, behind what it has to begin with.
pub fn command_in(enter: &[String], program: impl AsRef<std::ffi::OsStr>) -> Command {
    match enter {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    }
}

/// Says why a test is skipped; in CI that is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{why}");
    eprintln!("skipped: {why}");
}

/// Waits until `condition` holds.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(POLL);
    }
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().expect("the command can be started");
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// `journal export`, through the service where one has the folder.
pub fn export(data: &Path) -> Vec<u8> {
    succeed(watchtower().args(["journal", "export", "--data"]).arg(data)).stdout
}

/// `verify` must find no difference.
pub fn verify(data: &Path) {
    let output = succeed(watchtower().args(["verify", "--data"]).arg(data));
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(report.starts_with("0 differences: ") && report.contains("the changelog's sum"), "{report}");
}

/// The tables that an export gives when it is replayed.
pub fn replay(export: &[u8]) -> Tables {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("export.ndjson");
    std::fs::write(&file, export).expect("the export can be kept");
    let out = dir.path().join("out");
    succeed(watchtower().arg("replay").arg(&file).arg("--out").arg(&out));
    let lines = |table: &str| {
        let text = std::fs::read_to_string(out.join(format!("{table}.ndjson"))).expect("a table's file");
        assert!(text.is_empty() || text.ends_with('\n'), "{table} ends with a whole line");
        text.lines().map(str::to_owned).collect()
    };
    Tables(TABLES.map(lines))
}

/// The tables of this product that have rows.
pub const TABLES: [&str; 5] = ["presences", "visits", "rejects", "crossings", "trips"];

/// The tables that are not among [`TABLES`].
pub const OTHERS: [&str; 3] = ["alerts", "etas", "kpis"];

/// The rows of [`TABLES`], as the very bytes that were given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables(pub [Vec<String>; TABLES.len()]);

impl Tables {
    pub fn table(&self, name: &str) -> &[String] {
        let index = TABLES.iter().position(|table| *table == name).expect("a table's name");
        &self.0[index]
    }

    /// Panics with the first rows that differ.
    pub fn assert_same(&self, what: &str, other: &Tables, other_what: &str) {
        for ((name, ours), theirs) in TABLES.iter().zip(&self.0).zip(&other.0) {
            assert_same_lines(&format!("{name} of {what}"), ours, &format!("of {other_what}"), theirs);
        }
    }
}

/// Panics with the first lines that differ.
pub fn assert_same_lines(what: &str, ours: &[String], other_what: &str, theirs: &[String]) {
    if ours == theirs {
        return;
    }
    let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let mut text = format!("{what} ({} rows) and {other_what} ({}) differ", ours.len(), theirs.len());
    for (side, lines) in [(what, ours), (other_what, theirs)] {
        for line in lines.iter().skip(same).take(3) {
            let _ = write!(text, "\n{side}: {line}");
        }
    }
    panic!("{text}");
}

/// What a service said so far.
#[derive(Default)]
struct Said {
    text: Mutex<String>,
    more: Condvar,
}

impl Said {
    fn text(&self) -> MutexGuard<'_, String> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A service that runs on a port of its own. Dropping it kills it.
pub struct Service {
    child: Child,
    data: PathBuf,
    said: Arc<Said>,
    /// Reads what it says, until it has ended.
    listener: Option<JoinHandle<()>>,
}

impl Service {
    /// Starts a service on a data folder and waits until it is ready.
    pub fn start(data: &Path, args: &[&str]) -> Service {
        let mut service = Service::launch(data, args, &[]);
        service.wait_until_ready();
        service
    }

    /// Starts a service, and waits for nothing.
    pub fn launch(data: &Path, args: &[&str], environment: &[(&str, &Path)]) -> Service {
        let mut command = watchtower();
        command.args(["run", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(args);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the service can be started");
        let errors = child.stderr.take().expect("a pipe");
        let said = Arc::new(Said::default());
        let ear = said.clone();
        let listener = std::thread::spawn(move || {
            for line in BufReader::new(errors).lines().map_while(Result::ok) {
                let mut text = ear.text();
                text.push_str(&line);
                text.push('\n');
                ear.more.notify_all();
            }
        });
        Service { child, data: data.to_owned(), said, listener: Some(listener) }
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What it wrote to standard error so far.
    pub fn said(&self) -> String {
        self.said.text().clone()
    }

    /// Where it listens, once it has said so.
    pub fn address(&mut self) -> SocketAddr {
        let deadline = Instant::now() + LIMIT;
        let said = self.said.clone();
        let mut text = said.text();
        loop {
            if let Some(address) = text.lines().find_map(address_in) {
                return address;
            }
            let ended = self.child.try_wait().expect("the service can be asked");
            assert!(ended.is_none(), "the service ended at its start, {ended:?}:\n{text}");
            assert!(Instant::now() < deadline, "no address within {LIMIT:?}:\n{text}");
            let waited = said.more.wait_timeout(text, Duration::from_millis(50));
            text = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Where it listens, if it has said so by now.
    pub fn address_so_far(&self) -> Option<SocketAddr> {
        self.said.text().lines().find_map(address_in)
    }

    /// How it ended, if it has; what it said last is there then.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.try_wait().expect("the service can be asked")?;
        self.hear_out();
        Some(ended)
    }

    /// Waits for the last words of a service that has ended.
    fn hear_out(&mut self) {
        if let Some(listener) = self.listener.take() {
            listener.join().expect("who listens does not panic");
        }
    }

    /// Waits for a 200 of `/readyz`, and tells where the service is.
    pub fn wait_until_ready(&mut self) -> SocketAddr {
        let address = self.address();
        wait_until("the service is ready", LIMIT, || {
            let answer = Client::connect(address).and_then(|mut client| client.get("/readyz"));
            let ended = self.child.try_wait().expect("the service can be asked");
            assert!(ended.is_none(), "the service ended at its start, {ended:?}:\n{}", self.said());
            answer.is_ok_and(|answer| answer.status == 200)
        });
        address
    }

    pub fn client(&mut self) -> Client {
        Client::connect(self.address()).expect("the service takes connections")
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of a service that can't go on: exit status 1. Gives back what it said.
    pub fn wait_for_failure(mut self) -> String {
        let mut status = None;
        wait_until("the service ends", LIMIT, || {
            status = self.child.try_wait().expect("the service can be asked");
            status.is_some()
        });
        assert_eq!(status.and_then(|status| status.code()), Some(1), "{}", self.said());
        self.said()
    }

    /// Asks for a graceful stop, and waits for nothing.
    pub fn terminate(&self) {
        succeed(Command::new("kill").args(["-TERM", &self.child.id().to_string()]));
    }

    /// The end of a service that was asked to stop: exit status 0. Gives back what it said.
    pub fn wait_for_end(mut self) -> String {
        let mut status = None;
        wait_until("the service stops", LIMIT, || {
            status = self.child.try_wait().expect("the service can be asked");
            status.is_some()
        });
        assert!(status.is_some_and(|s| s.success()), "stopped with {status:?}:\n{}", self.said());
        self.said()
    }

    /// Stops it gracefully.
    pub fn stop(self) -> String {
        self.terminate();
        self.wait_for_end()
    }

    /// Kills it as a crash would, with SIGKILL.
    pub fn kill(mut self) -> String {
        self.child.kill().expect("the service can be killed");
        self.child.wait().expect("the service is a child");
        self.hear_out();
        self.said()
    }

    /// All pages of all tables, at one tick: nothing may be minted meanwhile.
    pub fn tables(&mut self, tick: u64) -> Tables {
        let mut client = self.client();
        Tables(TABLES.map(|table| {
            // A page of 7 crosses many page borders where there are few rows, one of 997 is fast.
            let few = rows(&mut client, table, tick, 7, 20);
            let all = rows(&mut client, table, tick, 997, usize::MAX);
            assert!(all.starts_with(&few), "pages of 7 and of 997 begin with the same {table}");
            all
        }))
    }
}

/// The address, in the line that a service says it in.
fn address_in(line: &str) -> Option<SocketAddr> {
    let authority = line.strip_prefix("watchtower is at http://")?.split('/').next()?;
    Some(authority.parse().unwrap_or_else(|e| panic!("{authority}: {e}")))
}

impl Drop for Service {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("the service on {} said:\n{}", self.data.display(), self.said());
        }
    }
}

/// A page of a table; items are slices of the answer.
#[derive(Deserialize)]
struct Page<'a> {
    tick: u64,
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    next_cursor: Option<String>,
}

/// The rows of up to `pages` pages, each of which must be of that very tick.
pub fn rows(client: &mut Client, table: &str, tick: u64, limit: usize, pages: usize) -> Vec<String> {
    let mut rows = Vec::new();
    let mut cursor = String::new();
    for _ in 0..pages {
        let path = format!("/api/v1/{table}?min_tick={tick}&limit={limit}&cursor={cursor}");
        let answer = client.get(&path).expect("a page");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let page: Page<'_> = serde_json::from_slice(&answer.body).expect("a page is JSON");
        assert_eq!(page.tick, tick, "{path} is of another tick");
        assert!(page.items.len() <= limit, "{path}: {} rows", page.items.len());
        rows.extend(page.items.iter().map(|item| row_of_item(table, item.get())));
        match page.next_cursor {
            Some(next) => cursor = next,
            None => break,
        }
    }
    rows
}

/// The row in an item of a list: visits have their id behind the members of their rows, trips their ETA and
/// plan.
fn row_of_item(table: &str, item: &str) -> String {
    if table == "trips" {
        let (members, _) = item.split_once(",\"eta\":").expect("when it is expected");
        return format!("{members}}}");
    }
    if table != "visits" {
        return item.to_owned();
    }
    let (members, id) =
        item.rsplit_once(",\"id\":\"").unwrap_or_else(|| panic!("a visit without an id: {item}"));
    let id = id.strip_suffix("\"}").unwrap_or_else(|| panic!("the id comes last: {item}"));
    assert!(id.parse::<model::VisitId>().is_ok(), "{id} is an id: {item}");
    format!("{members}}}")
}

/// The tick of a receipt for `accepted` records, none refused.
pub fn tick_of(answer: &Answer, accepted: usize) -> u64 {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let receipt = answer.json();
    assert_eq!((receipt["accepted"].as_u64(), receipt["refused"].as_u64()), (Some(accepted as u64), Some(0)));
    receipt["tick"].as_u64().unwrap_or_else(|| panic!("no tick in {receipt}"))
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as i64)
}
