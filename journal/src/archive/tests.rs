//! Whatever is moved to the archive, and wherever that ends, the log reads as before.

use std::path::Path;

use super::*;
use crate::{Log, Options, Store, Tick, restore_backup, write_backup};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// 2026-01-05T10:00:00Z.
const BEGIN_MS: i64 = 1_767_607_200_000;

fn options() -> Options {
    // Ticks come from appends, but for some.
    Options { heartbeat_ms: 20, accept_clock: true, ..Options::default() }
}

/// Appends on a day, and waits for an empty tick.
fn live_through(dir: &Path, day: i64, appends: usize) {
    let store = Store::open(dir, options()).unwrap();
    let log = store.log();
    let live = log.embedded().start_at(BEGIN_MS + day * DAY_MS).unwrap();
    for number in 0..appends {
        let payload = vec![b'a' + (number % 26) as u8; number * 37 % 200];
        let appended = log.append(2, "context", payload).unwrap().wait_blocking().unwrap();
        while live.recv().unwrap().number != appended.tick {}
    }
    while !live.recv().unwrap().entries.is_empty() {}
    log.stop();
}

/// Four days, the second of them quiet.
fn folder() -> (tempfile::TempDir, Vec<Tick>) {
    let dir = tempfile::tempdir().unwrap();
    for (day, appends) in [(0, 30), (1, 0), (2, 20), (3, 10)] {
        live_through(&dir.path().join("data"), day, appends);
    }
    let store = open(&dir).unwrap();
    let ticks = all(&store).unwrap();
    (dir, ticks)
}

fn open(dir: &tempfile::TempDir) -> Result<Store, StoreError> {
    Store::open(&dir.path().join("data"), options())
}

fn all(store: &Store) -> Result<Vec<Tick>, StoreError> {
    store.log().read(1, u64::MAX).collect()
}

fn archive(store: &Store, day: i64) -> Vec<ArchivedDay> {
    store.archive(BEGIN_MS + day * DAY_MS, false, &mut |_| true).unwrap()
}

fn files_of(dir: &tempfile::TempDir, name: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(dir.path().join("data/archive").join(name))
        .map_or_else(|_| Vec::new(), |entries| entries.map(|entry| entry.unwrap().path()).collect());
    found.sort();
    found
}

#[test]
fn archived_ticks_are_read_as_before() {
    let (dir, ticks) = folder();
    let store = open(&dir).unwrap();
    let would = store.archive(BEGIN_MS + 3 * DAY_MS, true, &mut |_| true).unwrap();
    assert_eq!(would.iter().map(|day| day.file.entries).collect::<Vec<_>>(), [30, 0, 20]);
    assert!(store.archived().is_empty() && files_of(&dir, "").is_empty(), "a rehearsal moves nothing");

    // Begun before, and read after.
    let mut before = store.log().read(1, u64::MAX);
    let moved = archive(&store, 3);
    assert_eq!(moved.iter().map(|day| day.file.to_tick).collect::<Vec<_>>(), {
        would.iter().map(|day| day.file.to_tick).collect::<Vec<_>>()
    });
    assert_eq!(files_of(&dir, "day=2026-01-07").len(), 1);
    let archived_tick = moved[2].file.to_tick;
    let first_kept = store.inner.db.ticks.first_key_value().unwrap().key().unwrap();
    assert_eq!(&*first_kept, crate::format::number_key(archived_tick + 1));
    assert!(before.by_ref().map(Result::unwrap).eq(ticks.iter().cloned()));
    drop(before);
    assert!(all(&store).unwrap() == ticks);
    assert!(archive(&store, 3).is_empty(), "all of it was moved");
    drop(store);

    let store = open(&dir).unwrap();
    let last = ticks.len() as u64;
    for from in 1..=last {
        for to in [from, (from + 20).min(last), last] {
            let read: Result<Vec<Tick>, _> = store.log().read(from, to).collect();
            assert!(read.unwrap() == ticks[from as usize - 1..to as usize]);
        }
    }
    drop(store);
    live_through(&dir.path().join("data"), 4, 5);
    let store = open(&dir).unwrap();
    assert!(all(&store).unwrap().starts_with(&ticks));
    assert_eq!(archive(&store, 40).len(), 2, "a tick stays, so its day has a file less");
    let grown = all(&store).unwrap();
    drop(store);
    assert!(all(&open(&dir).unwrap()).unwrap() == grown, "nothing but an empty tick is left in the database");
}

#[test]
fn a_backup_has_what_is_archived() {
    let (dir, ticks) = folder();
    let store = open(&dir).unwrap();
    archive(&store, 2);
    let mut backup = Vec::new();
    write_backup(&store, &mut backup, &mut |_, _| ()).unwrap();
    let restored = dir.path().join("restored");
    restore_backup(&restored, &mut backup.as_slice(), &mut |_| ()).unwrap();
    assert!(all(&Store::open(&restored, options()).unwrap()).unwrap() == ticks);
}

#[test]
fn a_move_that_was_cut_short_is_made_good() {
    let (dir, ticks) = folder();
    let store = open(&dir).unwrap();
    // Killed while a file is written, and before the database knows of one.
    std::fs::create_dir_all(dir.path().join("data/archive/day=2026-01-05")).unwrap();
    std::fs::write(dir.path().join("data/archive/partial.parquet"), "half").unwrap();
    let first_of_next =
        ticks.iter().find(|tick| tick.instant_ms >= BEGIN_MS + 14 * DAY_MS / 24).unwrap().number;
    let orphan = format!("data/archive/day=2026-01-05/ticks-1-{}.parquet", first_of_next - 1);
    std::fs::write(dir.path().join(&orphan), "unknown").unwrap();
    // Killed before the ticks are taken out of the database.
    let wanted = Wanted { before_ms: BEGIN_MS + 2 * DAY_MS, is_rehearsal: false };
    let killed = &mut |_: &ArchivedFile| Err(StoreError::Refused("killed".to_owned()));
    let log = store.log();
    let files = Archive::open(&dir.path().join("data"), &store.inner.db).unwrap();
    run(&files, &store.inner.db, &log, &wanted, &mut |_| true, killed).unwrap_err();
    assert_eq!(files_of(&dir, "day=2026-01-05"), [dir.path().join(&orphan)]);
    assert!(store.inner.db.ticks.contains_key(crate::format::number_key(1)).unwrap());
    drop((log, store));

    let store = open(&dir).unwrap();
    assert_eq!(store.archived().len(), 1);
    assert!(all(&store).unwrap() == ticks);
    assert_eq!(archive(&store, 2).len(), 1);
    assert!(!store.inner.db.ticks.contains_key(crate::format::number_key(1)).unwrap());
    assert!(all(&store).unwrap() == ticks);
    drop(store);
    assert!(all(&open(&dir).unwrap()).unwrap() == ticks);
}

#[test]
fn a_move_that_is_stopped_goes_on_later() {
    let (dir, ticks) = folder();
    let store = open(&dir).unwrap();
    let mut left = 40;
    let mut goes_on = |_| {
        left -= 1;
        left > 0
    };
    let moved = store.archive(BEGIN_MS + 3 * DAY_MS, false, &mut goes_on).unwrap();
    assert!(moved.len() < 3);
    assert!(all(&store).unwrap() == ticks);
    assert_eq!(moved.len() + archive(&store, 3).len(), 3);
    assert!(all(&store).unwrap() == ticks);
}

#[test]
fn an_archive_that_is_not_as_it_was_written_is_never_read() {
    let (dir, ticks) = folder();
    let store = open(&dir).unwrap();
    archive(&store, 3);
    drop(store);
    let file = files_of(&dir, "day=2026-01-07").remove(0);
    let bytes = std::fs::read(&file).unwrap();
    for at in (0..bytes.len()).step_by(bytes.len() / 50) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&file, &flipped).unwrap();
        let store = open(&dir).unwrap();
        let read: Vec<_> = store.log().read(1, u64::MAX).collect();
        let (error, before) = read.split_last().unwrap();
        assert!(error.as_ref().is_err_and(|error| error.to_string().contains("2026-01-07")));
        assert!(before.iter().map(|tick| tick.as_ref().unwrap()).eq(&ticks[..before.len()]));
    }
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    assert!(open(&dir).err().unwrap().to_string().contains("2026-01-07"));
    std::fs::remove_file(&file).unwrap();
    assert!(open(&dir).err().unwrap().to_string().contains("2026-01-07"));
    std::fs::write(&file, &bytes).unwrap();
    assert!(all(&open(&dir).unwrap()).unwrap() == ticks);
}
