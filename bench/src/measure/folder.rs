//! Where a benchmark keeps its data, and what kind of storage that is: the cost of an fsync is most of what a
//! durable figure says.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;

/// Names the folder that benchmarks make their folders in.
const VARIABLE: &str = "WATCHTOWER_BENCH_DATA";

/// The folder that data folders are made in: the one named by `WATCHTOWER_BENCH_DATA`, else `./target` where
/// there is one, else the system's for temporary files.
pub(super) struct Folder {
    path: PathBuf,
    /// The type of its file system, as the kernel names it.
    pub file_system: String,
}

impl Folder {
    pub fn find() -> anyhow::Result<Folder> {
        let path = match std::env::var_os(VARIABLE) {
            Some(named) => PathBuf::from(named),
            None if Path::new("target").is_dir() => PathBuf::from("target"),
            None => std::env::temp_dir(),
        };
        let path = path
            .canonicalize()
            .with_context(|| format!("{} cannot be used; {VARIABLE} names another folder", path.display()))?;
        let mounts = std::fs::read_to_string("/proc/mounts").unwrap_or_default();
        let file_system = file_system_of(&path, &mounts).unwrap_or_else(|| "unknown".to_owned());
        Ok(Folder { path, file_system })
    }

    /// A new folder, gone when it is dropped.
    pub fn new_inside(&self) -> anyhow::Result<TempDir> {
        let made = tempfile::Builder::new().prefix("watchtower-bench-").tempdir_in(&self.path);
        made.with_context(|| format!("no folder can be made in {}", self.path.display()))
    }

    /// For people.
    pub fn describe(&self) -> String {
        let warning = if self.is_memory() { ", memory that no fsync reaches: NOT to be quoted" } else { "" };
        format!("{} ({}{warning})", self.path.display(), self.file_system)
    }

    /// Whether nothing kept there is durable.
    pub fn is_memory(&self) -> bool {
        matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }
}

/// The type of the mount that holds a path: of the longest mount point above it, and of several there the
/// last, which covers the others.
fn file_system_of(path: &Path, mounts: &str) -> Option<String> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(point), Some(kind)) = (words.next(), words.next()) else { continue };
        // The kernel writes blanks as octal numbers.
        let point = point.replace("\\040", " ");
        let depth = Path::new(&point).components().count();
        if path.starts_with(&point) && best.is_none_or(|(deepest, _)| depth >= deepest) {
            best = Some((depth, kind));
        }
    }
    best.map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_holds_a_path() {
        let mounts = "/dev/sda1 / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/sdb /tmp/disk xfs rw 0 0\n\
                      /dev/sdc /a\\040b btrfs rw 0 0\n";
        let of = |path: &str| file_system_of(Path::new(path), mounts).unwrap();
        assert_eq!(of("/home/x"), "ext4");
        assert_eq!(of("/tmp/x"), "tmpfs");
        assert_eq!(of("/tmpx"), "ext4", "a name that only begins alike is no folder inside");
        assert_eq!(of("/tmp/disk"), "xfs");
        assert_eq!(of("/a b/c"), "btrfs");
        assert_eq!(file_system_of(Path::new("/x"), ""), None);
    }
}
