//! The folder of snapshots.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::state::{Loader, Saver, StateError};
use serde::{Deserialize, Serialize};

use super::{FileReader, FileSum, FileWriter, SnapshotError};

/// Of the manifest and the files.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
/// Of folders that are being written.
const PARTIAL: &str = "partial-";
/// What the release computes and how it keeps it: a hash of its sources.
const RELEASE: &str = env!("WATCHTOWER_GRAPH_HASH");

/// What a snapshot is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// Of the release that wrote it.
    pub release: String,
    /// How many workers its graph has.
    pub workers: usize,
    /// The tick that it is the state after.
    pub tick: u64,
    /// Its instant, in milliseconds since 1970.
    pub instant_ms: i64,
    /// How many records there were.
    pub records: u64,
    files: Vec<(String, FileSum)>,
}

impl Manifest {
    /// All its files, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|(_, sum)| sum.bytes).sum()
    }

    /// Why this release, with so many workers, can't use it.
    #[must_use]
    pub fn unusable(&self, workers: usize) -> Option<String> {
        if self.format != FORMAT || self.release != RELEASE {
            return Some("it was written by another release".to_owned());
        }
        (self.workers != workers)
            .then(|| format!("it is of {} workers, and there are {workers}", self.workers))
    }
}

/// A folder that may be a snapshot.
#[derive(Debug)]
pub struct Listed {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself; or why that cannot be read.
    pub manifest: Result<Manifest, String>,
}

/// Where snapshots are.
#[derive(Clone, Debug)]
pub struct Snapshots {
    folder: PathBuf,
    /// How many are kept.
    keep: usize,
    /// Held by whoever writes one.
    writing: Arc<Mutex<()>>,
}

impl Snapshots {
    /// Those of a data folder, of which the newest `keep` are kept.
    #[must_use]
    pub fn of(data: &Path, keep: usize) -> Snapshots {
        Snapshots { folder: data.join("snapshots"), keep: keep.max(1), writing: Arc::default() }
    }

    /// All there are, the newest first.
    pub fn list(&self) -> Result<Vec<Listed>, SnapshotError> {
        let mut folders = self.folders(|name| name.bytes().all(|byte| byte.is_ascii_digit()))?;
        folders.sort_unstable_by(|a, b| b.cmp(a));
        let listed = |path: PathBuf| {
            let text = fs::read_to_string(path.join(MANIFEST)).map_err(|error| error.to_string());
            let manifest =
                text.and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()));
            Listed { path, manifest }
        };
        Ok(folders.into_iter().map(listed).collect())
    }

    /// Those that this release can use with so many workers, the newest first.
    pub fn usable(&self, workers: usize) -> Result<Vec<Snapshot>, SnapshotError> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.remove_unfinished()?;
        let mut usable = Vec::new();
        for Listed { path, manifest } in self.list()? {
            match manifest {
                Ok(manifest) => match manifest.unusable(workers) {
                    None => usable.push(Snapshot { path, manifest }),
                    Some(why) => tracing::info!(snapshot = %path.display(), "a snapshot is left out: {why}"),
                },
                Err(error) => {
                    tracing::warn!(snapshot = %path.display(), "a snapshot is left out: its manifest: {error}");
                }
            }
        }
        Ok(usable)
    }

    fn folders(&self, is_meant: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>, SnapshotError> {
        let failed = |error| SnapshotError::io("read", self.folder.clone(), error);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            if entry.file_name().to_str().is_some_and(&is_meant) {
                found.push(entry.path());
            }
        }
        Ok(found)
    }

    /// Begins one, when nobody else is writing one. What was begun before and came to nothing is removed.
    pub(crate) fn begin(&self, tick: u64) -> Result<Draft<'_>, SnapshotError> {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.remove_unfinished()?;
        let path = self.folder.join(format!("{PARTIAL}{tick}"));
        fs::create_dir_all(&path).map_err(|error| SnapshotError::io("made", path.clone(), error))?;
        Ok(Draft { snapshots: self, path, files: Vec::new(), is_whole: false, _writing: writing })
    }

    /// Removes what a process that was killed has left.
    fn remove_unfinished(&self) -> Result<(), SnapshotError> {
        self.folders(|name| name.starts_with(PARTIAL))?.iter().try_for_each(|left| remove(left))
    }

    /// Removes all but the newest.
    fn prune(&self) -> Result<(), SnapshotError> {
        self.list()?.iter().skip(self.keep).try_for_each(|old| remove(&old.path))
    }
}

fn remove(path: &Path) -> Result<(), SnapshotError> {
    fs::remove_dir_all(path).map_err(|error| SnapshotError::io("removed", path.to_owned(), error))
}

/// A snapshot that is being written.
pub(crate) struct Draft<'a> {
    snapshots: &'a Snapshots,
    path: PathBuf,
    files: Vec<(String, FileSum)>,
    is_whole: bool,
    _writing: MutexGuard<'a, ()>,
}

impl Draft<'_> {
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A file was written.
    pub fn add(&mut self, name: &str, sum: FileSum) {
        self.files.push((name.to_owned(), sum));
    }

    /// Writes a file.
    pub fn write(
        &mut self,
        name: &'static str,
        save: impl FnOnce(&mut Saver<'_>) -> Result<(), StateError>,
    ) -> Result<(), SnapshotError> {
        let mut writer = FileWriter::create(self.path_of(name))?;
        save(&mut Saver::new(name, &mut writer))?;
        let sum = writer.finish()?;
        self.add(name, sum);
        Ok(())
    }

    /// It is whole.
    pub fn finish(
        mut self,
        (tick, instant_ms): (u64, i64),
        records: u64,
        workers: usize,
    ) -> Result<Manifest, SnapshotError> {
        let (snapshots, path, files) = (self.snapshots, self.path.clone(), std::mem::take(&mut self.files));
        let manifest = Manifest {
            format: FORMAT,
            release: RELEASE.to_owned(),
            workers,
            tick,
            instant_ms,
            records,
            files,
        };
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| SnapshotError::Damaged(error.to_string()))?;
        let written = File::create_new(path.join(MANIFEST)).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()?;
            File::open(&path)?.sync_all()
        });
        written.map_err(|error| SnapshotError::io("written", path.join(MANIFEST), error))?;
        let named = snapshots.folder.join(format!("{tick:020}"));
        if named.exists() {
            remove(&named)?;
        }
        let renamed = fs::rename(&path, &named).and_then(|()| File::open(&snapshots.folder)?.sync_all());
        renamed.map_err(|error| SnapshotError::io("named", named, error))?;
        self.is_whole = true;
        snapshots.prune()?;
        Ok(manifest)
    }
}

/// What came to nothing, as on a full disk, leaves the room to others.
impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.is_whole
            && let Err(error) = remove(&self.path)
        {
            tracing::warn!(%error, "a snapshot that came to nothing stays until the next one is begun");
        }
    }
}

/// A snapshot that is to be used.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(crate) path: PathBuf,
    /// What it is of.
    pub manifest: Manifest,
}

impl Snapshot {
    /// Removes it: it turned out wrong. Tells whether it is gone.
    pub(crate) fn discard(&self) -> bool {
        let removed = remove(&self.path);
        if let Err(error) = &removed {
            tracing::warn!(%error, "a snapshot that is wrong stays");
        }
        removed.is_ok()
    }

    pub(crate) fn file(&self, name: &str) -> Result<(PathBuf, FileSum), SnapshotError> {
        let sum = self.manifest.files.iter().find(|(known, _)| known == name);
        let (_, sum) = sum.ok_or_else(|| SnapshotError::Damaged(format!("there is no file {name:?}")))?;
        Ok((self.path.join(name), sum.clone()))
    }

    /// Reads a file.
    pub(crate) fn read(
        &self,
        name: &'static str,
        load: impl FnOnce(&mut Loader<'_>) -> Result<(), StateError>,
    ) -> Result<(), SnapshotError> {
        let (path, sum) = self.file(name)?;
        let mut reader = FileReader::open(path, &sum)?;
        load(&mut Loader::new(name, &mut reader))?;
        reader.finish()
    }
}
