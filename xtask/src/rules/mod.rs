//! The house rules: what this repository promises about itself and no compiler checks.

pub mod files;
mod layers;
mod metadata;
mod pins;
mod readme;
mod text;

use std::path::{Path, PathBuf};

use anyhow::bail;
use metadata::Metadata;

use crate::steps::{output_of, resolving};

/// Something against a rule: where, what, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The rule's name.
    pub rule: &'static str,
    /// Where and what.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

/// Holds the tree against all rules.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let metadata = read_metadata(root)?;
    let mut problems = layers::check(&metadata);
    problems.extend(pins::check(&metadata));
    problems.extend(files::check(root)?);
    match newest_binary(&metadata.target_folder) {
        Some(binary) => problems.extend(readme::check(root, &binary)?),
        None => eprintln!("   readme: no watchtower is built yet; `cargo xtask test` checks its commands"),
    }
    report(&problems)
}

/// The README's commands against the binary that the tests have built.
pub fn check_readme(root: &Path) -> anyhow::Result<()> {
    let target_folder = read_metadata(root)?.target_folder;
    let Some(binary) = newest_binary(&target_folder) else {
        bail!("no watchtower in {}: `cargo build` makes one", target_folder.display());
    };
    report(&readme::check(root, &binary)?)
}

fn report(problems: &[Problem]) -> anyhow::Result<()> {
    for Problem { rule, what, advice } in problems {
        eprintln!("   {rule}: {what}\n      {advice}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("1 thing is against the house rules"),
        count => bail!("{count} things are against the house rules"),
    }
}

fn read_metadata(root: &Path) -> anyhow::Result<Metadata> {
    Metadata::parse(&output_of(resolving(root, "metadata").args(["--format-version", "1"]))?)
}

/// The watchtower that was built last, as the likeliest to be of this tree.
fn newest_binary(target_folder: &Path) -> Option<PathBuf> {
    let name = format!("watchtower{}", std::env::consts::EXE_SUFFIX);
    let built = ["debug", "release"].map(|profile| target_folder.join(profile).join(&name));
    let dated = built.into_iter().filter_map(|file| Some((file.metadata().ok()?.modified().ok()?, file)));
    dated.max().map(|(_, file)| file)
}
