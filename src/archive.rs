//! The journal's older days as files, moved there now and then by a service, and when asked.

use std::io::Write;
use std::time::Duration;

use journal::{ArchivedFile, Log, Store};
use model::TimeMs;

use crate::{Outcome, progress};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// How often a service looks for a day that is old enough.
const EVERY: Duration = Duration::from_secs(3600);
/// After a start is over it looks for the first time: who starts often has days archived, too.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// How often a wait is looked up from.
const LOOK_UP: Duration = Duration::from_millis(200);

/// Does something now and then, until the log is stopped.
pub fn now_and_then(log: &dyn Log, first_after: Duration, every: Duration, mut chore: impl FnMut()) {
    let mut pause = first_after;
    loop {
        let mut waited = Duration::ZERO;
        while waited < pause {
            if log.is_stopped() {
                return;
            }
            std::thread::sleep(LOOK_UP);
            waited += LOOK_UP;
        }
        chore();
        pause = every;
    }
}

/// Moves days that ended so many days ago, now and then, until the log is stopped.
pub fn run(store: &Store, after_days: u32) {
    let log = store.log();
    now_and_then(&log, FIRST_AFTER, EVERY, || {
        match store.archive(before_ms(store, after_days), false, &mut |_| !log.is_stopped()) {
            Ok(days) => {
                for day in days {
                    let (name, bytes) = (day.file.name, day.file.bytes);
                    tracing::info!(
                        file = name,
                        entries = day.file.entries,
                        bytes,
                        "a part of the journal is archived"
                    );
                }
            }
            // It stays where it is, which costs nothing but space.
            Err(error) => tracing::warn!(%error, "the journal's older days were not archived"),
        }
    });
}

/// By the journal's own clock.
fn before_ms(store: &Store, after_days: u32) -> i64 {
    let now_ms = store.log().last_tick().map_or(0, |(_, instant_ms)| instant_ms);
    now_ms.saturating_sub(i64::from(after_days).saturating_mul(DAY_MS))
}

/// `archive take`
pub fn take(
    store: &Store,
    after_days: u32,
    is_rehearsal: bool,
    out: &mut dyn Write,
) -> anyhow::Result<Outcome> {
    let log = store.log();
    let bar = progress::bar(log.last_tick().map_or(0, |(tick, _)| tick), progress::COUNT);
    let days = store.archive(before_ms(store, after_days), is_rehearsal, &mut |tick| {
        bar.set_position(tick);
        !log.is_stopped()
    });
    bar.finish_and_clear();
    let days = days?;
    for day in &days {
        let packed = if is_rehearsal { String::new() } else { format!(", packed {}", day.file.bytes) };
        writeln!(out, "{}: {} bytes of bodies{packed}", described(&day.file), day.payload_bytes)?;
    }
    let done = if is_rehearsal { "would be archived" } else { "archived" };
    writeln!(out, "{} files {done}; the journal has all it had", days.len())?;
    Ok(Outcome::Done)
}

/// `archive list`
pub fn list(store: &Store, out: &mut dyn Write) -> anyhow::Result<Outcome> {
    let files = store.archived();
    for file in &files {
        writeln!(out, "{}: {} bytes, xxh3 {:016x}", described(file), file.bytes, file.xxh3)?;
    }
    writeln!(out, "{} files; {} bytes of the database are beside them", files.len(), store.disk_bytes()?)?;
    Ok(Outcome::Done)
}

fn described(file: &ArchivedFile) -> String {
    let ArchivedFile { name, from_instant_ms, to_instant_ms, entries, .. } = file;
    format!("{name}, {} to {}, {entries} bodies of records", TimeMs(*from_instant_ms), TimeMs(*to_instant_ms))
}
