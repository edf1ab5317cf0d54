//! `cargo xtask test`: gets what the tests need, builds once, runs all tests, says what was skipped.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

use crate::steps::{FEATURES, Steps, check, output_of, resolving};
use crate::test_output::TestOutput;
use crate::{browser, in_ci, rules, services};

/// What the names of tests have in them that need a browser, and no others.
const BROWSER_TESTS: &str = "page::the_page_";
/// Likewise of those that need PostgreSQL, the referee of the geometry and the sink, and Kafka.
const POSTGIS_TESTS: &str = "postgis::";
const POSTGRES_TESTS: &str = "postgres::";
const KAFKA_TESTS: &str = "kafka::";
/// Campaigns of faults, which have both of their own.
const CHAOS_TESTS: &str = "chaos::";

/// What tests need besides a compiler, and whether they are to have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    browser: bool,
    services: bool,
}

impl Wanted {
    pub const ALL: Wanted = Wanted { browser: true, services: true };

    pub fn from_flags(flags: &[&str]) -> anyhow::Result<Wanted> {
        let mut wanted = Wanted::ALL;
        for flag in flags {
            match *flag {
                "--no-browser" => wanted.browser = false,
                "--no-services" => wanted.services = false,
                _ => bail!("`test {flag}` is not known; `cargo xtask --help` lists the flags"),
            }
        }
        Ok(wanted)
    }

    /// Parts of names of the tests that are left out.
    fn left_out(self) -> Vec<&'static str> {
        let parts = [
            (self.browser, BROWSER_TESTS),
            (self.services, POSTGIS_TESTS),
            (self.services, POSTGRES_TESTS),
            (self.services, KAFKA_TESTS),
            (self.services, CHAOS_TESTS),
        ];
        parts.into_iter().filter(|(is_wanted, _)| !is_wanted).map(|(_, part)| part).collect()
    }
}

pub fn run(root: &Path, wanted: Wanted) -> anyhow::Result<()> {
    let mut steps = Steps::new("test");
    let mut skipped = Vec::new();
    let mut services = Vec::new();

    steps.run("C compiler", find_c_compiler);
    if wanted.browser {
        steps.run("browser", || {
            let found = or_skipped("the page in a browser", browser::provide(), &mut skipped)?;
            found.iter().for_each(|path| eprintln!("   {}", path.display()));
            Ok(())
        });
    } else {
        skipped.push("the page in a browser: --no-browser".to_owned());
    }
    if wanted.services {
        steps.run("services", || {
            let postgres = or_skipped("PostgreSQL with PostGIS", services::up(root), &mut skipped);
            let kafka = or_skipped("the journal on Kafka", services::kafka_up(root), &mut skipped);
            let programs = or_skipped("campaigns of faults", services::postgres_programs(), &mut skipped);
            services.extend(programs?.map(|programs| (services::PROGRAMS_VARIABLE, programs.into())));
            services.extend(postgres?.map(|url| (services::URL_VARIABLE, url.into())));
            if let Some(broker) = kafka? {
                services.push((services::kafka::BROKERS_VARIABLE, broker.address.into()));
                services.extend(broker.home.map(|home| (services::kafka::HOME_VARIABLE, home.into())));
            }
            Ok(())
        });
    } else {
        skipped.push("PostgreSQL with PostGIS, the journal on Kafka: --no-services".to_owned());
    }
    let is_built = steps.run("build", || {
        check(
            resolving(root, "test").args(["--workspace", "--features", FEATURES, "--no-run"]),
            "the tests do not compile",
        )
    });
    if is_built {
        steps.run("run", || run_tests(root, wanted, &services, &mut skipped));
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

/// What could not be had is an error in CI, and skipped with a word elsewhere.
fn or_skipped<T>(
    what: &str,
    provided: anyhow::Result<T>,
    skipped: &mut Vec<String>,
) -> anyhow::Result<Option<T>> {
    match provided {
        Ok(found) => Ok(Some(found)),
        Err(error) if in_ci() => Err(error),
        Err(error) => {
            skipped.push(format!("{what}: {error:#}"));
            Ok(None)
        }
    }
}

/// The compression libraries are C.
fn find_c_compiler() -> anyhow::Result<()> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    output_of(Command::new(&compiler).arg("--version"))
        .map(drop)
        .context("a C compiler is needed: install gcc or clang (Debian: apt-get install gcc libc6-dev)")
}

fn run_tests(
    root: &Path,
    wanted: Wanted,
    services: &[(&str, OsString)],
    skipped: &mut Vec<String>,
) -> anyhow::Result<()> {
    let mut command = resolving(root, "test");
    // What passing tests print is asked for, since a test that skips itself says so there.
    command.args(["--workspace", "--features", FEATURES, "--no-fail-fast", "--", "--show-output"]);
    let left_out = wanted.left_out();
    for part in &left_out {
        command.args(["--skip", part]);
    }
    command.envs(services.iter().map(|(variable, value)| (variable, value)));
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
    if !left_out.is_empty() && output.filtered == 0 {
        bail!("no test has {} in its name any more: mend xtask/src/test.rs", left_out.join(" or "));
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
    fn what_is_not_wanted_is_left_out() {
        let left_out = |flags: &[&str]| Wanted::from_flags(flags).map(Wanted::left_out).ok();
        let services = [POSTGIS_TESTS, POSTGRES_TESTS, KAFKA_TESTS, CHAOS_TESTS];
        assert_eq!(left_out(&[]), Some(vec![]));
        assert_eq!(left_out(&["--no-services"]), Some(services.to_vec()));
        let all = [&[BROWSER_TESTS], &services[..]].concat();
        assert_eq!(left_out(&["--no-services", "--no-browser"]), Some(all));
        assert_eq!(left_out(&["--no-servises"]), None);
    }

    #[test]
    fn only_ci_forbids_to_skip() {
        assert!(may_skip(0, true).is_ok() && may_skip(3, false).is_ok());
        let said = may_skip(3, true).expect_err("three were skipped").to_string();
        assert!(said.starts_with("3 tests"), "{said}");
    }
}
