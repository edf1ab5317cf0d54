//! `cargo xtask WORD`: what people and CI do with this repository, in the words that the README uses.

mod browser;
mod chaos;
mod lint;
mod machine;
mod mutants;
mod rules;
mod services;
mod steps;
mod test;
mod test_output;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

/// The words, and what `--help` says of them. The README may name these and no others.
const WORDS: [(&str, &str); 6] = [
    ("lint", "formatting, clippy, documentation and the house rules, each failing by name"),
    ("test", "get what the tests need, build once, run all tests (without: --no-browser, --no-services)"),
    (
        "services",
        "up, down or status of what tests use: PostGIS and Kafka (ports: WATCHTOWER_POSTGRES_PORT, _KAFKA_PORT)",
    ),
    (
        "chaos",
        "campaigns of faults against servers of their own (--faults N, --seed S, --setup NAME, --release)",
    ),
    (
        "mutants",
        "plant the faults of operators/mutants.txt, or those named, each to be caught (--write: the page)",
    ),
    ("ci", "lint, then test"),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> anyhow::Result<()> {
    let root = workspace_root()?;
    match arguments {
        [] | ["help" | "--help" | "-h", ..] | [_, "--help" | "-h"] => {
            print_help();
            Ok(())
        }
        ["lint"] => lint::run(&root),
        ["test", flags @ ..] => test::run(&root, test::Wanted::from_flags(flags)?),
        ["services", words @ ..] => services::run(&root, words),
        ["chaos", flags @ ..] => chaos::run(&root, flags),
        ["mutants", words @ ..] => mutants::run(&root, words),
        ["ci"] => {
            // Both, so that one run shows all there is to mend.
            let linted = lint::run(&root);
            let tested = test::run(&root, test::Wanted::ALL);
            linted.and(tested)
        }
        _ => bail!("`{}` is not known; `cargo xtask --help` lists the words", arguments.join(" ")),
    }
}

fn print_help() {
    println!("Usage: cargo xtask WORD\n\nWords:");
    for (word, about) in WORDS {
        println!("  {word:8} {about}");
    }
}

/// The folder above this package.
fn workspace_root() -> anyhow::Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(package.parent().context("this package has no folder above it")?.to_owned())
}

/// Whether what cannot be had is an error, rather than something to skip with a word.
fn in_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}
