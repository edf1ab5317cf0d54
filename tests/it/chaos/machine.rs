//! The machine that a campaign spoils: the disk of the data folders, the wall clock, and how long a sync takes.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{skip, succeed};

/// As large as the data folders' disk is, where it is one of its own.
const DISK_MIB: usize = 384;
const MIB: usize = 1 << 20;

/// Data folders, logs, and what makes the machine misbehave. It is removed with this, but for a campaign that failed.
pub struct Machine {
    folder: PathBuf,
    /// The data folders are on a disk of their own, which may be filled.
    has_disk: bool,
    shim: PathBuf,
    control: File,
}

impl Machine {
    /// `None`, after a word, where there is no compiler for what changes clocks and syncs.
    pub fn make(has_disk: bool) -> Option<Machine> {
        let folder = tempfile::Builder::new().prefix("watchtower-chaos-").tempdir().expect("a folder").keep();
        let shim = folder.join("misbehave.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/shim/misbehave.c");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-O2", "-o"]).arg(&shim).arg(source).status();
        if !built.is_ok_and(|status| status.success()) {
            skip("clocks and syncs are spoiled by a library that needs a C compiler named cc");
            return None;
        }
        let control = File::create(folder.join("control")).expect("a file");
        control.write_all_at(&[0; 16], 0).expect("the file can be written");
        let machine = Machine { folder, has_disk, shim, control };
        fs::create_dir(machine.disk()).expect("a folder");
        fs::create_dir(machine.folder.join("logs")).expect("a folder");
        if has_disk {
            let size = format!("size={DISK_MIB}m");
            succeed(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(machine.disk()));
        }
        Some(machine)
    }

    /// Whether the disk can be filled.
    pub fn has_disk(&self) -> bool {
        self.has_disk
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn disk(&self) -> PathBuf {
        self.folder.join("disk")
    }

    pub fn data(&self, number: usize) -> PathBuf {
        self.disk().join(format!("data{number}"))
    }

    /// What a service starts with so that the machine is as this says.
    pub fn environment(&self) -> [(&'static str, PathBuf); 2] {
        [("LD_PRELOAD", self.shim.clone()), ("MISBEHAVE_CONTROL", self.folder.join("control"))]
    }

    /// How far the wall clock is from what it should be.
    pub fn shift_clock(&self, by_s: i64) {
        self.control.write_all_at(&(by_s * 1000).to_ne_bytes(), 0).expect("the file can be written");
    }

    /// How much longer each sync takes.
    pub fn slow_syncs(&self, by_ms: u64) {
        self.control.write_all_at(&by_ms.to_ne_bytes(), 8).expect("the file can be written");
    }

    fn balloon(&self) -> PathBuf {
        self.disk().join("balloon")
    }

    pub fn fill_disk(&self) {
        let mut balloon = File::create(self.balloon()).expect("a file");
        let mut size = MIB;
        while size > 0 {
            // Whole pieces first, then what is left.
            match balloon.write_all(&vec![0; size]) {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
                    size /= 16;
                }
            }
        }
    }

    pub fn empty_disk(&self) {
        if let Err(error) = fs::remove_file(self.balloon()) {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
        }
    }

    pub fn keep_log(&self, number: usize, said: &str) {
        fs::write(self.folder.join(format!("logs/{number:04}")), said).expect("a log can be kept");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The disk goes with the namespace that it is mounted in.
            self.empty_disk();
            let copied = Command::new("cp").arg("-a").arg(self.disk()).arg(self.folder.join("kept")).status();
            println!("logs and data are in {} ({copied:?})", self.folder.display());
            return;
        }
        if self.has_disk {
            _ = Command::new("umount").arg("--lazy").arg(self.disk()).status();
        }
        _ = fs::remove_dir_all(&self.folder);
    }
}
