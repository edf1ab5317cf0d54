//! Runs the tests of the copy, the quickest first, until one fails.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::list::Fault;
use crate::steps::cargo;

/// How many inputs random tests try: fewer where each is long.
const CASES: &str = "300";
const CASES_OF_DAYS: &str = "60";
/// What else they are given, so that two runs try the same.
const PROPTEST: [(&str, &str); 3] = [
    ("PROPTEST_RNG_SEED", "1"),
    // What fails is known to be a fault: it is not made small, nor written down.
    ("PROPTEST_MAX_SHRINK_TIME", "1"),
    ("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1"),
];
/// A fault may ask for memory for ever: a test program gets this much, in KiB.
const MEMORY_KIB: u32 = 12 << 20;
/// And it may loop for ever: a test program gets this long, and so many times what it takes without a fault.
const AT_LEAST: Duration = Duration::from_secs(60);
const TIMES_LONGER: u32 = 5;

/// Some tests of one test program.
struct Stage {
    name: &'static str,
    package: &'static str,
    folder: &'static str,
    target: &'static [&'static str],
    filter: Filter,
    cases: &'static str,
}

/// A part of the names of the tests that are run.
#[derive(Clone, Copy)]
enum Filter {
    Fixed(&'static str),
    /// What the fault says; where it says nothing, none is run.
    OfFault,
}

/// Part of every name.
const ALL: &str = "";

const STAGES: [Stage; 9] = [
    Stage {
        name: "scenarios",
        package: "watchtower-operators",
        folder: "operators",
        target: &["--test", "scenarios"],
        filter: Filter::Fixed(ALL),
        cases: CASES,
    },
    Stage {
        name: "lib",
        package: "watchtower-operators",
        folder: "operators",
        target: &["--lib"],
        filter: Filter::OfFault,
        cases: CASES,
    },
    Stage {
        name: "kept",
        package: "watchtower-pipeline",
        folder: "pipeline",
        target: &["--test", "it"],
        filter: Filter::Fixed("kept::"),
        cases: CASES,
    },
    Stage {
        name: "generated",
        package: "watchtower-pipeline",
        folder: "pipeline",
        target: &["--test", "it"],
        filter: Filter::Fixed("generated::"),
        cases: CASES,
    },
    Stage {
        name: "trips",
        package: "watchtower-pipeline",
        folder: "pipeline",
        target: &["--test", "it"],
        filter: Filter::Fixed("trips::"),
        cases: CASES,
    },
    Stage {
        name: "kpis",
        package: "watchtower-pipeline",
        folder: "pipeline",
        target: &["--test", "it"],
        filter: Filter::Fixed("kpis::"),
        cases: CASES,
    },
    Stage {
        name: "etas",
        package: "watchtower-pipeline",
        folder: "pipeline",
        target: &["--test", "it"],
        filter: Filter::Fixed("etas::"),
        cases: CASES,
    },
    Stage {
        name: "alerts",
        package: "watchtower-pipeline",
        folder: "pipeline",
        target: &["--test", "it"],
        filter: Filter::Fixed("alert"),
        cases: CASES,
    },
    Stage {
        name: "days",
        package: "watchtower-pipeline",
        folder: "pipeline",
        target: &["--test", "it"],
        filter: Filter::Fixed("days::"),
        cases: CASES_OF_DAYS,
    },
];

/// What became of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// By this test.
    Caught(String),
    Survived,
    /// What the compiler says first.
    DoesNotBuild(String),
}

/// Builds and runs the tests of a copy.
pub struct Trials {
    tree: PathBuf,
    /// Where the copy is built, and what its tests print is written.
    target: PathBuf,
    /// How long each stage may take.
    limits: Vec<Duration>,
}

/// How the tests of a stage went.
enum Outcome {
    Passed,
    Failed(String),
    DoesNotBuild(String),
}

impl Trials {
    /// Runs all tests of the copy without a fault: they have to pass, and show how long they take.
    pub fn of_sound(tree: PathBuf, target: PathBuf) -> anyhow::Result<Trials> {
        let mut trials = Trials { tree, target, limits: Vec::new() };
        for stage in &STAGES {
            let begun = Instant::now();
            let filter = if let Filter::Fixed(filter) = stage.filter { filter } else { ALL };
            let (outcome, took) = trials.run(stage, filter, Duration::MAX)?;
            match outcome {
                Outcome::Passed => {}
                Outcome::Failed(test) => bail!("without a fault {} fails: {test}", stage.name),
                Outcome::DoesNotBuild(error) => {
                    bail!("without a fault {} does not build: {error}", stage.name)
                }
            }
            eprintln!(
                "   {:10} {:6.1} s, {:.1} s of it tests",
                stage.name,
                begun.elapsed().as_secs_f64(),
                took.as_secs_f64()
            );
            trials.limits.push(AT_LEAST.max(took * TIMES_LONGER));
        }
        Ok(trials)
    }

    /// Runs the tests until one fails; a fault is planted.
    pub fn judge(&self, fault: &Fault) -> anyhow::Result<Verdict> {
        for (stage, limit) in STAGES.iter().zip(&self.limits) {
            let filter = match (stage.filter, &fault.lib_filter) {
                (Filter::OfFault, None) => continue,
                (Filter::OfFault, Some(filter)) => filter,
                (Filter::Fixed(filter), _) => filter,
            };
            match self.run(stage, filter, *limit)?.0 {
                Outcome::Passed => {}
                Outcome::Failed(test) => return Ok(Verdict::Caught(format!("{}: {test}", stage.name))),
                Outcome::DoesNotBuild(error) => return Ok(Verdict::DoesNotBuild(error)),
            }
        }
        Ok(Verdict::Survived)
    }

    /// Builds a stage and runs it; tells how long it ran.
    fn run(&self, stage: &Stage, filter: &str, limit: Duration) -> anyhow::Result<(Outcome, Duration)> {
        let program = match self.build(stage)? {
            Ok(program) => program,
            Err(error) => return Ok((Outcome::DoesNotBuild(error), Duration::ZERO)),
        };
        let output = self.target.join("output.txt");
        let write = || File::create(&output).with_context(|| format!("cannot write {}", output.display()));
        let mut command = limited(&program);
        command
            .arg(filter)
            .current_dir(self.tree.join(stage.folder))
            .envs(PROPTEST)
            .env("PROPTEST_CASES", stage.cases);
        command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(write()?).stderr(Stdio::null());
        let begun = Instant::now();
        let status = status_within(&mut command, limit)?;
        let took = begun.elapsed();
        let printed = std::fs::read(&output).with_context(|| format!("cannot read {}", output.display()))?;
        let printed = String::from_utf8_lossy(&printed);
        let outcome = match status {
            None => Outcome::Failed(format!("no end within {} s", limit.as_secs())),
            Some(status) if status.success() => Outcome::Passed,
            Some(_) => Outcome::Failed(
                first_failed(&printed).unwrap_or_else(|| "the test program broke off".to_owned()),
            ),
        };
        Ok((outcome, took))
    }

    /// The stage's test program, or what the compiler says first.
    fn build(&self, stage: &Stage) -> anyhow::Result<Result<PathBuf, String>> {
        let mut command = cargo(&self.tree);
        command.args(["test", "--quiet", "--offline", "-p", stage.package]).args(stage.target);
        command.args(["--no-run", "--message-format", "json"]);
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_PROFILE_DEV_DEBUG", "false");
        let built = command.output().context("cargo could not be started")?;
        let messages = String::from_utf8_lossy(&built.stdout);
        let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        if built.status.success() {
            let mut programs =
                messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
            let program = programs.next_back();
            return Ok(
                Ok(program.with_context(|| format!("cargo names no test program of {}", stage.name))?),
            );
        }
        let mut errors = messages.filter(|message| message["message"]["level"] == "error");
        let error = errors.find_map(|message| message["message"]["message"].as_str().map(str::to_owned));
        // Without an error in the code it is cargo itself that fails.
        let error = error.with_context(|| {
            format!("cargo cannot build {}: {}", stage.name, String::from_utf8_lossy(&built.stderr).trim())
        })?;
        Ok(Err(error))
    }
}

/// A program that gets so much memory and no more.
fn limited(program: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\"")]).arg(program);
    command
}

/// Runs a command to its end; `None`: it was stopped because it took longer.
fn status_within(command: &mut Command, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    const LOOK_EVERY: Duration = Duration::from_millis(20);
    let mut child = command.spawn().context("the tests could not be started")?;
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if begun.elapsed() > limit {
            child.kill().and_then(|()| child.wait()).context("the tests could not be stopped")?;
            return Ok(None);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The first failed test by name, since they end in any order; of those that read scenarios the first file.
fn first_failed(printed: &str) -> Option<String> {
    let failed = printed.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
    let first = failed.min()?;
    let told = printed.split_once(&format!("---- {first} stdout ----")).map_or("", |(_, told)| told);
    let file = told.split_whitespace().find_map(|word| Some(word.strip_suffix(".txt,")?.to_owned() + ".txt"));
    Some(file.filter(|_| first.starts_with("kept::")).unwrap_or_else(|| first.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_by_name_is_told_and_of_scenarios_the_file() {
        let printed = "test b::two ... FAILED\ntest a::one ... FAILED\ntest a::none ... ok\n";
        assert_eq!(first_failed(printed).as_deref(), Some("a::one"));
        assert_eq!(first_failed("test a::none ... ok\n"), None);
        let kept = "\
test kept::all ... FAILED

---- kept::all stdout ----

thread 'kept::all' panicked at x.rs:1:1:

at_the_edge.txt, ticks of [1], 1 workers, after 3
other.txt, ticks of [1], 1 workers, after 4
";
        assert_eq!(first_failed(kept).as_deref(), Some("at_the_edge.txt"));
    }

    #[test]
    fn what_takes_too_long_is_stopped() {
        let sleep = |seconds: &str| {
            let mut command = limited(Path::new("sleep"));
            command.arg(seconds);
            status_within(&mut command, Duration::from_secs(5))
        };
        assert_eq!(sleep("0").ok().flatten().map(|status| status.success()), Some(true));
        let begun = Instant::now();
        let mut command = limited(Path::new("sleep"));
        let stopped = status_within(command.arg("60"), Duration::from_millis(100));
        assert!(matches!(stopped, Ok(None)) && begun.elapsed() < Duration::from_secs(30));
    }
}
