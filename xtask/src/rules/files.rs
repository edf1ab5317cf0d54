//! Goes through the files that git knows or would take, and holds each against the rules of `text`.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use super::{Problem, text};
use crate::steps::output_of;

const LOCK_FILE: &str = "Cargo.lock";
/// The files that git knows or would take.
pub const KNOWN: [&str; 3] = ["--cached", "--others", "--exclude-standard"];

pub fn check(root: &Path) -> anyhow::Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for path in listed(root, &KNOWN)? {
        // Deleted and not yet committed, or a link to nowhere.
        let Ok(bytes) = std::fs::read(root.join(&path)) else { continue };
        if let Ok(content) = String::from_utf8(bytes) {
            problems.extend(text::check(&path, &content));
        }
    }
    if listed(root, &["--cached", LOCK_FILE])?.is_empty() {
        problems.push(Problem {
            rule: "lock file",
            what: format!("{LOCK_FILE} is not committed"),
            advice: "git add it: everybody builds the same versions",
        });
    }
    Ok(problems)
}

/// Paths within `root`, as `git ls-files` gives them.
pub fn listed(root: &Path, which: &[&str]) -> anyhow::Result<Vec<String>> {
    let mut git = Command::new("git");
    // The list of files is read and nothing in it run, so it does not matter who owns the folder.
    git.arg("-c").arg(format!("safe.directory={}", root.display()));
    git.current_dir(root).args(["ls-files", "-z"]).args(which);
    let names = output_of(&mut git).context("the house rules read the list of files from git")?;
    Ok(names.split_terminator('\0').map(str::to_owned).collect())
}
