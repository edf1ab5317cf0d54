//! Runs the binary to its end: exit status, what it said, how much memory it took.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::common::{TABLES, watchtower};

/// No command of these tests may take longer, whatever it is given.
const LIMIT: Duration = Duration::from_secs(120);
/// How often a child is looked at: what it holds at the very end may be missed for so long.
const LOOK: Duration = Duration::from_millis(2);
/// More memory than this no input may cost.
pub const MAX_MEMORY_MB: u64 = 500;

/// What became of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs a command to its end; it must not panic, hang, or grow without bounds.
pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    run_in(Path::new("."), args, &[])
}

/// [`run`] in a folder, with more environment.
pub fn run_in<S: AsRef<OsStr>>(
    dir: &Path,
    args: impl IntoIterator<Item = S>,
    environment: &[(&str, &str)],
) -> Ran {
    let said = TempDir::new().expect("a folder");
    let (out, err) = (said.path().join("out"), said.path().join("err"));
    let create = |path: &Path| Stdio::from(File::create(path).expect("a file"));
    let mut command = watchtower();
    command.current_dir(dir).args(args).envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(create(&out)).stderr(create(&err));
    let shown = format!("{command:?}");
    let mut child = command.spawn().expect("the binary can be started");
    let (code, peak_mb) = wait(&mut child, &shown);
    let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("what was said")).into_owned();
    let ran = Ran { code, out: text(&out), err: text(&err) };
    assert!(!ran.err.contains("panicked"), "{shown} panicked:\n{}", ran.err);
    assert!(peak_mb <= MAX_MEMORY_MB, "{shown} took {peak_mb} MB:\n{}", ran.err);
    ran
}

fn wait(child: &mut Child, shown: &str) -> (i32, u64) {
    let deadline = Instant::now() + LIMIT;
    let mut peak_mb = 0;
    loop {
        if let Some(status) = child.try_wait().expect("the child can be asked") {
            return (status.code().unwrap_or_else(|| panic!("{shown} ended by {status}")), peak_mb);
        }
        peak_mb = peak_mb.max(peak_memory_mb(child.id()).unwrap_or(0));
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("{shown} does not end within {LIMIT:?}");
        }
        std::thread::sleep(LOOK);
    }
}

/// The most memory that a process ever held, where the system tells.
pub fn peak_memory_mb(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kb| kb / 1024)
}

impl Ran {
    /// Panics unless it ended with a status and said all of these on standard error.
    #[track_caller]
    pub fn assert(&self, code: i32, said: &[&str]) -> &Ran {
        assert_eq!(self.code, code, "{self:#?}");
        for text in said {
            assert!(self.err.contains(text), "{text:?} is not said:\n{self:#?}");
        }
        self
    }
}

/// Files to replay, and where the tables go.
pub struct Replay {
    pub dir: TempDir,
    pub files: Vec<PathBuf>,
}

impl Replay {
    pub fn new() -> Replay {
        Replay { dir: TempDir::new().expect("a folder"), files: Vec::new() }
    }

    /// Adds a file of these bytes.
    pub fn file(mut self, name: &str, bytes: impl AsRef<[u8]>) -> Replay {
        let path = self.dir.path().join(name);
        fs::write(&path, bytes).expect("a file to replay");
        self.files.push(path);
        self
    }

    /// Replays all files; tables are written anew.
    pub fn run(&self, args: &[&str]) -> Ran {
        let out = self.dir.path().join("tables");
        let _ = fs::remove_dir_all(&out);
        let mut all: Vec<&OsStr> = vec!["replay".as_ref(), "--out".as_ref(), out.as_ref()];
        all.extend(self.files.iter().map(|file| file.as_os_str()));
        all.extend(args.iter().map(OsStr::new));
        run(all)
    }

    /// A file of the output, whole.
    pub fn output(&self, name: &str) -> String {
        let path = self.dir.path().join("tables").join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    }

    /// All tables of the output.
    pub fn tables(&self) -> [String; TABLES.len()] {
        TABLES.map(|table| self.output(&format!("{table}.ndjson")))
    }
}
