//! Where the files go.

use std::path::PathBuf;

/// Configuration of the files sink.
#[derive(Clone, Debug)]
pub struct FilesConfig {
    /// The folder; it is made when it is not there, and its files of the same names are replaced.
    pub dir: PathBuf,
    /// Whether `changes.ndjson` is written too.
    pub changes: bool,
}
