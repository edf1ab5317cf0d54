//! `watchtower backup` and `restore`: a data folder as one file, also while a service has it open.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use journal::{BackedUp, Store, StoreError, restore_backup, write_backup};
use model::TimeMs;

use crate::control::{self, Request};
use crate::{Outcome, Usage, folder, journal_of, progress};

/// What a journal has is packed well by little effort.
const LEVEL: i32 = 3;

/// `backup FILE`
pub fn backup(data: &Path, file: &Path) -> anyhow::Result<Outcome> {
    folder::check(data)?;
    if file.exists() {
        return Err(Usage(format!("{} is there already; name another file", file.display())).into());
    }
    let unfinished = with_suffix(file, ".partial");
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let mut out = BufWriter::new(made.with_context(|| format!("{} can't be written", unfinished.display()))?);
    let outcome = match Store::open(data, journal_of::options_of_command(true)?) {
        Ok(store) => write(&store, &mut out)?,
        Err(StoreError::InUse { .. }) => control::ask(folder::service_of(data)?, &Request::Backup, &mut out)?,
        Err(error) => return Err(error.into()),
    };
    let written =
        out.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|out| out.sync_all());
    written
        .and_then(|()| fs::rename(&unfinished, file))
        .with_context(|| format!("{} can't be written", file.display()))?;
    eprintln!(
        "{} has {} bytes; `watchtower restore` makes a folder of it",
        file.display(),
        fs::metadata(file)?.len()
    );
    Ok(outcome)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

/// Writes a backup of a folder that is open.
pub fn write(store: &Store, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let mut packed = zstd::Encoder::new(out, LEVEL)?;
    let bar = progress::bar(0, progress::COUNT);
    write_backup(store, &mut packed, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    packed.finish().context("the backup can't be written")?.flush()?;
    Ok(Outcome::Done)
}

/// `restore FILE`
pub fn restore(file: &Path, data: &Path) -> anyhow::Result<Outcome> {
    let opened = File::open(file).map_err(|error| Usage(format!("{}: {error}", file.display())))?;
    let mut packed = zstd::Decoder::new(BufReader::new(opened))?;
    let bar = progress::bar(0, "{spinner} {human_pos} ticks {per_sec}");
    let restored = restore_backup(data, &mut packed, &mut |done| bar.set_position(done));
    bar.finish_and_clear();
    let BackedUp { ticks, entries, letters, instant_ms } =
        restored.with_context(|| format!("{} was not restored", file.display()))?;
    println!(
        "{} has {entries} bodies of records in {ticks} ticks, the last of {}, and {letters} dead letters",
        data.display(),
        TimeMs(instant_ms)
    );
    println!("its rows are derived by the next start: watchtower run --data {}", data.display());
    Ok(Outcome::Done)
}
