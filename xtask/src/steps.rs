//! Steps of a run: each is announced, timed, and told of once more at the end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::in_ci;

/// What is built for checks and tests besides the default.
pub const FEATURES: &str = "kafka";

/// What ran so far.
pub struct Steps {
    title: &'static str,
    done: Vec<Done>,
}

struct Done {
    name: &'static str,
    took: Duration,
    passed: bool,
}

impl Steps {
    pub fn new(title: &'static str) -> Steps {
        Steps { title, done: Vec::new() }
    }

    /// Runs one step and says how it went; the next ones run whether it passed or not.
    pub fn run(&mut self, name: &'static str, step: impl FnOnce() -> anyhow::Result<()>) -> bool {
        eprintln!("== {}: {name}", self.title);
        let started = Instant::now();
        let outcome = step();
        let took = started.elapsed();
        let passed = outcome.is_ok();
        match outcome {
            Ok(()) => eprintln!("== {}: {name} passed in {:.1} s", self.title, took.as_secs_f64()),
            Err(error) => eprintln!("== {}: {name} FAILED: {error:#}", self.title),
        }
        self.done.push(Done { name, took, passed });
        passed
    }

    /// The summary; an error that names what failed.
    pub fn finish(self) -> anyhow::Result<()> {
        eprintln!("\n== {}: summary", self.title);
        for done in &self.done {
            let word = if done.passed { "passed" } else { "FAILED" };
            eprintln!("   {:16} {word} {:8.1} s", done.name, done.took.as_secs_f64());
        }
        let failed: Vec<&str> = self.done.iter().filter(|done| !done.passed).map(|done| done.name).collect();
        if !failed.is_empty() {
            bail!("{} failed: {}", self.title, failed.join(", "));
        }
        Ok(())
    }
}

/// The cargo that runs this.
pub fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root);
    command
}

/// A subcommand that may resolve dependencies: in CI it fails where Cargo.lock is not up to date.
pub fn resolving(root: &Path, subcommand: &str) -> Command {
    let mut command = cargo(root);
    command.arg(subcommand);
    if in_ci() {
        command.arg("--locked");
    }
    command
}

/// Runs a command to its end; its output goes where ours goes.
pub fn check(command: &mut Command, advice: &str) -> anyhow::Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{program} could not be started"))?;
    if !status.success() {
        bail!("{advice} ({program}: {status})");
    }
    Ok(())
}

/// What a command prints, where that is what is wanted of it.
pub fn output_of(command: &mut Command) -> anyhow::Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{program} could not be started"))?;
    if !output.status.success() {
        bail!("{program}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} did not print UTF-8"))
}
