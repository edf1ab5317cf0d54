//! `cargo xtask test`: gets what the tests need, builds once, runs all tests, says what was skipped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::steps::{Steps, check, output_of, resolving};
use crate::test_output::TestOutput;
use crate::{browser, in_ci, rules};

/// What the names of tests have in them that need a browser, and no others.
const BROWSER_TESTS: &str = "page::the_page_";

pub fn run(root: &Path, with_browser: bool) -> anyhow::Result<()> {
    let mut steps = Steps::new("test");
    let mut skipped = Vec::new();

    steps.run("C compiler", find_c_compiler);
    if with_browser {
        steps.run("browser", || match browser::provide() {
            Ok(found) => {
                eprintln!("   {}", found.display());
                Ok(())
            }
            Err(error) if in_ci() => Err(error),
            Err(error) => {
                skipped.push(format!("the page in a browser: {error:#}"));
                Ok(())
            }
        });
    } else {
        skipped.push("the page in a browser: --no-browser".to_owned());
    }
    let is_built = steps.run("build", || {
        check(resolving(root, "test").args(["--workspace", "--no-run"]), "the tests do not compile")
    });
    if is_built {
        steps.run("run", || run_tests(root, with_browser, &mut skipped));
        steps.run("readme commands", || rules::check_readme(root));
    }

    if !skipped.is_empty() {
        eprintln!("\n== test: skipped");
        for what in skipped {
            eprintln!("   {what}");
        }
    }
    steps.finish()
}

/// The compression libraries are C.
fn find_c_compiler() -> anyhow::Result<()> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    output_of(Command::new(&compiler).arg("--version"))
        .map(drop)
        .context("a C compiler is needed: install gcc or clang (Debian: apt-get install gcc libc6-dev)")
}

fn run_tests(root: &Path, with_browser: bool, skipped: &mut Vec<String>) -> anyhow::Result<()> {
    let mut command = resolving(root, "test");
    // What passing tests print is asked for, since a test that skips itself says so there.
    command.args(["--workspace", "--no-fail-fast", "--", "--show-output"]);
    if !with_browser {
        command.args(["--skip", BROWSER_TESTS]);
    }
    let mut tests = command.stdout(Stdio::piped()).spawn().context("the tests could not be started")?;
    let lines = BufReader::new(tests.stdout.take().context("the tests have no output")?);
    let mut output = TestOutput::default();
    // Lossy, since a test may print what it likes.
    for line in lines.split(b'\n') {
        let line = line.context("the tests' output could not be read")?;
        if let Some(shown) = output.filter(&String::from_utf8_lossy(&line)) {
            println!("{shown}");
        }
    }
    let status = tests.wait()?;
    eprintln!("   {} passed, {} failed", output.passed, output.failed);
    let skipped_themselves = output.skipped.len();
    skipped.append(&mut output.skipped);
    if !status.success() {
        bail!("see the tests that failed above");
    }
    may_skip(skipped_themselves, in_ci())?;
    if output.passed == 0 {
        bail!("no test ran");
    }
    if !with_browser && output.filtered == 0 {
        bail!("no test has {BROWSER_TESTS} in its name any more: mend BROWSER_TESTS in xtask/src/test.rs");
    }
    Ok(())
}

/// In CI a test that skips itself has failed: what it needs is to be there.
fn may_skip(skipped: usize, in_ci: bool) -> anyhow::Result<()> {
    if in_ci && skipped > 0 {
        bail!("{skipped} tests skipped themselves, which CI=true forbids; the reasons are below");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ci_forbids_to_skip() {
        assert!(may_skip(0, true).is_ok() && may_skip(3, false).is_ok());
        let said = may_skip(3, true).expect_err("three were skipped").to_string();
        assert!(said.starts_with("3 tests"), "{said}");
    }
}
