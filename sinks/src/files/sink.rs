//! Sums changes to tables, and writes each as a file when the input has ended.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use model::{ClosedTick, Table, Tables, write_change_line};

use super::FilesConfig;
use crate::Sink;

/// Writes NDJSON files; see the module.
pub struct FilesSink {
    dir: PathBuf,
    tables: Tables,
    changes: Option<BufWriter<File>>,
    line: Vec<u8>,
}

impl FilesSink {
    /// Makes the folder and, where asked for, begins the changelog.
    pub fn create(config: &FilesConfig) -> anyhow::Result<FilesSink> {
        fs::create_dir_all(&config.dir)
            .with_context(|| format!("cannot make the output folder {}", config.dir.display()))?;
        let changes = match config.changes {
            true => Some(BufWriter::with_capacity(1 << 20, create(&config.dir.join("changes.ndjson"))?)),
            false => None,
        };
        Ok(FilesSink { dir: config.dir.clone(), tables: Tables::default(), changes, line: Vec::new() })
    }
}

impl Sink for FilesSink {
    fn name(&self) -> &'static str {
        "files"
    }

    fn apply(&mut self, closed: &ClosedTick) -> anyhow::Result<()> {
        for change in &closed.changes {
            self.tables.apply(change)?;
            if let Some(changes) = &mut self.changes {
                self.line.clear();
                write_change_line(&mut self.line, closed.tick, closed.instant, change);
                changes.write_all(&self.line).context("cannot write changes.ndjson")?;
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        for table in Table::ALL {
            let path = self.dir.join(format!("{}.ndjson", table.as_str()));
            let mut file = create(&path)?;
            file.write_all(&self.tables.file_bytes(table))
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        match &mut self.changes {
            Some(changes) => changes.flush().context("cannot write changes.ndjson"),
            None => Ok(()),
        }
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot create {}", path.display()))
}
