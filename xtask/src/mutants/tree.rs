//! A copy of the repository's files, to plant faults in.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::list::Fault;
use crate::rules::files;

/// Where the faults of the list are.
const SOURCES: &str = "operators/src";

/// The copy.
pub struct Tree {
    pub folder: PathBuf,
}

impl Tree {
    /// Makes the copy, or brings it up to date: what is the same is not touched, and so not built anew.
    pub fn copy(root: &Path, folder: PathBuf) -> anyhow::Result<Tree> {
        let mut known = BTreeSet::new();
        for path in files::listed(root, &files::KNOWN)? {
            // Deleted and not yet committed, or a link to nowhere.
            let Ok(bytes) = std::fs::read(root.join(&path)) else { continue };
            let to = folder.join(path);
            if std::fs::read(&to).ok().as_ref() != Some(&bytes) {
                write(&to, &bytes)?;
            }
            known.insert(to);
        }
        if folder.exists() {
            remove_unknown(&folder, &known)?;
        }
        Ok(Tree { folder })
    }

    /// Holds a fault against the file that it is for.
    pub fn check(&self, fault: &Fault) -> anyhow::Result<()> {
        fault.planted_in(&read(&self.file_of(fault))?).map(drop)
    }

    /// Runs something while a fault is planted.
    pub fn with_fault<T>(&self, fault: &Fault, run: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let file = self.file_of(fault);
        let sound = read(&file)?;
        write(&file, fault.planted_in(&sound)?.as_bytes())?;
        let outcome = run();
        write(&file, sound.as_bytes())?;
        outcome
    }

    fn file_of(&self, fault: &Fault) -> PathBuf {
        self.folder.join(SOURCES).join(&fault.file)
    }
}

fn remove_unknown(folder: &Path, known: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            remove_unknown(&path, known)?;
        } else if !known.contains(&path) {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let parent = file.parent().with_context(|| format!("{} is in no folder", file.display()))?;
    std::fs::create_dir_all(parent)
        .and_then(|()| std::fs::write(file, bytes))
        .with_context(|| format!("cannot write {}", file.display()))
}
