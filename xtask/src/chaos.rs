//! `cargo xtask chaos`: long campaigns of faults (`tests/it/chaos.rs`), against servers of their own.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::services;
use crate::steps::{check, resolving};

/// What the campaign reads.
const FAULTS_VARIABLE: &str = "WATCHTOWER_CHAOS_FAULTS";
const SEED_VARIABLE: &str = "WATCHTOWER_CHAOS_SEED";
const FAULTS: &str = "100";
/// Setups, and the test of each.
const SETUPS: [(&str, &str); 2] = [
    ("embedded", "chaos::faults_cost_nothing_with_the_journal_in_the_folder"),
    ("kafka", "chaos::faults_cost_nothing_with_the_journal_on_kafka"),
];

/// What to run.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    faults: &'a str,
    seed: Option<&'a str>,
    setups: Vec<(&'static str, &'static str)>,
    is_release: bool,
}

impl<'a> Wanted<'a> {
    fn from_flags(flags: &[&'a str]) -> anyhow::Result<Wanted<'a>> {
        let mut wanted = Wanted { faults: FAULTS, seed: None, setups: SETUPS.to_vec(), is_release: false };
        let mut rest = flags.iter();
        while let Some(flag) = rest.next() {
            let mut number = || -> anyhow::Result<&'a str> {
                let value = rest.next().with_context(|| format!("{flag} needs a number"))?;
                value
                    .parse::<u64>()
                    .with_context(|| format!("{flag} is `{value}`; it has to be a number"))?;
                Ok(value)
            };
            match *flag {
                "--faults" => wanted.faults = number()?,
                "--seed" => wanted.seed = Some(number()?),
                "--setup" => {
                    let name = rest.next().context("--setup needs a name")?;
                    wanted.setups.retain(|(known, _)| known == name);
                    if wanted.setups.is_empty() {
                        bail!("`{name}` is no setup; there are {}", SETUPS.map(|(name, _)| name).join(", "));
                    }
                }
                "--release" => wanted.is_release = true,
                _ => bail!("`chaos {flag}` is not known: --faults N, --seed S, --setup NAME, --release"),
            }
        }
        Ok(wanted)
    }

    /// The tests' program, with assertions unless a release is wanted.
    fn cargo_test(&self, root: &Path) -> Command {
        let mut command = resolving(root, "test");
        command.args(["--package", "watchtower", "--test", "it"]);
        if self.is_release {
            command.arg("--release");
        }
        command
    }
}

pub fn run(root: &Path, flags: &[&str]) -> anyhow::Result<()> {
    let wanted = Wanted::from_flags(flags)?;
    let programs = services::postgres_programs()?;
    let kafka_home = services::kafka_home(root)?;
    check(wanted.cargo_test(root).arg("--no-run"), "the campaign does not compile")?;
    let mut failed = Vec::new();
    for (name, test) in &wanted.setups {
        eprintln!("== chaos: {name}");
        let mut command = wanted.cargo_test(root);
        command.args(["--quiet", "--", "--exact", test, "--nocapture"]);
        command.env(services::PROGRAMS_VARIABLE, &programs).env(services::kafka::HOME_VARIABLE, &kafka_home);
        command.env(FAULTS_VARIABLE, wanted.faults).env(SEED_VARIABLE, wanted.seed.unwrap_or_default());
        if let Err(error) = check(&mut command, "the campaign failed") {
            eprintln!("== chaos: {name} FAILED: {error:#}");
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        bail!("{} failed; the seeds are above: --seed and --setup do one again", failed.join(" and "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_and_others_refused() {
        let wanted =
            Wanted::from_flags(&["--faults", "250", "--setup", "kafka", "--seed", "7"]).expect("flags");
        assert_eq!((wanted.faults, wanted.seed, wanted.setups.len()), ("250", Some("7"), 1));
        assert_eq!(Wanted::from_flags(&[]).expect("none are needed").setups.len(), 2);
        for wrong in [&["--faults"][..], &["--seed", "x"], &["--setup", "both"], &["--often"]] {
            assert!(Wanted::from_flags(wrong).is_err(), "{wrong:?}");
        }
    }
}
