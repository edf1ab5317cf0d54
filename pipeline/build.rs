//! Names what the graph computes and how it keeps it: a hash of the sources that say so. Snapshots of other sources are
//! not used.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// All that has a say in what is kept of a tick, and in how.
const SOURCES: [&str; 9] = [
    "../Cargo.lock",
    "../model/src",
    "../operators/src",
    "../sources/src",
    "../sinks/src/telling.rs",
    "../sinks/src/telling",
    "../api/src/views",
    "../api/src/fingerprint.rs",
    "src",
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let mut hash = xxhash_rust::xxh3::Xxh3Default::new();
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
        add(&root.join(source), &mut hash)?;
    }
    println!("cargo::rustc-env=WATCHTOWER_GRAPH_HASH={:016x}", hash.digest());
    Ok(())
}

fn add(path: &Path, hash: &mut xxhash_rust::xxh3::Xxh3Default) -> io::Result<()> {
    if path.is_dir() {
        let mut entries =
            fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        entries.sort_unstable();
        return entries.iter().try_for_each(|entry| add(entry, hash));
    }
    hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    hash.update(&fs::read(path)?);
    Ok(())
}
