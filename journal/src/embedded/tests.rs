//! What happens to a folder whose files were cut, changed or deleted: never a silent loss.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{ChangeBytes, Changelog, Index, Store};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Everything that was acknowledged in a folder, and the rows after each tick of the changelog.
struct Written {
    ticks: Vec<Tick>,
    rows_after: BTreeMap<u64, Rows>,
    letters: usize,
}

fn options() -> Options {
    // Ticks come from appends alone.
    Options { heartbeat_ms: 3_600_000, ..Options::default() }
}

fn change(key: u64, diff: i8, row: u64) -> ChangeBytes {
    let row = format!("{{\"row\":{row}}}").into_bytes();
    ChangeBytes { table: 3, key: key.to_be_bytes().to_vec(), diff, row, ..ChangeBytes::default() }
}

/// Appends `count` ticks of one to three entries each, with changes, and dead letters now and then.
fn write(store: &Store, live: &Receiver<Arc<Tick>>, count: u64, written: &mut Written) {
    let (log, changelog) = (store.log(), store.changelog());
    for _ in 0..count {
        let number = log.last_tick().map_or(1, |(number, _)| number + 1);
        let payload = vec![b'a' + (number % 26) as u8; 40 + (number as usize * 7) % 90];
        let appended = log.append(2, "context", payload).unwrap().wait_blocking().unwrap();
        assert_eq!(appended.tick, number);
        let tick = live.recv().unwrap();
        written.ticks.push(Tick::clone(&tick));
        let mut changes = Vec::new();
        if number > 5 {
            changes.push(change(number % 5, -1, number - 5));
        }
        changes.push(change(number % 5, 1, number));
        changelog.append(number, tick.instant_ms, &changes).unwrap();
        written.rows_after.insert(number, rows(&changelog).unwrap());
        if number % 10 == 0 {
            store.dead_letters().add(tick.instant_ms, 2, "c", "bad", b"payload").unwrap();
            written.letters += 1;
        }
    }
}

fn rows(changelog: &Changelog) -> Result<Rows, StoreError> {
    changelog.rows().iter(3).collect()
}

/// A folder as a killed process leaves it: copied while it is open.
fn killed_folder(count: u64, flush: bool) -> (tempfile::TempDir, Written) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("live"), options()).unwrap();
    let live = store.log().start().unwrap();
    let mut written = Written { ticks: Vec::new(), rows_after: BTreeMap::new(), letters: 0 };
    write(&store, &live, count / 2, &mut written);
    if flush {
        let db = &store.inner.db;
        for keyspace in [&db.entries, &db.ticks, &db.changes, &db.rows, &db.index, &db.dead_letters, &db.meta]
        {
            keyspace.rotate_memtable_and_wait().unwrap();
        }
    }
    write(&store, &live, count - count / 2, &mut written);
    copy_folder(&dir.path().join("live"), &dir.path().join("killed"));
    (dir, written)
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for dir_entry in std::fs::read_dir(from).unwrap() {
        let path = dir_entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &target);
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|extension| extension == "jnl") {
            // Not all the 64 MiB of zeros that are preallocated, they cost time.
            bytes.truncate(used_bytes(&path) + 1000);
        }
        std::fs::write(&target, bytes).unwrap();
    }
}

fn copy_of(dir: &tempfile::TempDir) -> PathBuf {
    static COPIES: AtomicUsize = AtomicUsize::new(0);
    let copy = dir.path().join(format!("copy-{}", COPIES.fetch_add(1, Ordering::Relaxed)));
    copy_folder(&dir.path().join("killed"), &copy);
    copy
}

fn flip(path: &Path, at: usize) {
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    std::fs::write(path, bytes).unwrap();
}

/// Opens a folder and reads everything in it. `Ok(true)`: all that was acknowledged is there.
fn inspect(folder: &Path, written: &Written) -> Result<bool, StoreError> {
    let store = Store::open(folder, options())?;
    let log = store.log();
    let ticks = log.read(1, u64::MAX).collect::<Result<Vec<_>, _>>()?;
    let derived = store.changelog().last_tick().map_or(0, |(tick, _)| tick);
    let rows = rows(&store.changelog())?;
    assert_eq!(&rows, written.rows_after.get(&derived).unwrap_or(&Vec::new()), "rows of another tick");
    let letters = store.dead_letters().list(0, 1000)?;
    Ok(ticks == written.ticks && letters.len() == written.letters)
}

fn newest_wal(folder: &Path) -> PathBuf {
    wal::list_files(&folder.join("db")).unwrap().pop().unwrap()
}

/// Where the batches of a log file end.
fn used_bytes(path: &Path) -> usize {
    let bytes = std::fs::read(path).unwrap();
    bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1)
}

fn is_damaged(result: &Result<bool, StoreError>) -> bool {
    matches!(result, Err(StoreError::Damaged { .. }))
}

/// What a start put aside when it cut a log file: the bytes of each cut, which it names in its warning.
fn put_aside(folder: &Path) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let is_cut = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("cut-");
    files.filter(is_cut).map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn a_killed_process_loses_nothing() {
    for flush in [false, true] {
        let (dir, written) = killed_folder(24, flush);
        assert!(inspect(&dir.path().join("killed"), &written).unwrap());
        assert!(inspect(&dir.path().join("killed"), &written).unwrap(), "once more");
    }
}

#[test]
fn a_log_file_cut_within_acknowledged_ticks_is_refused() {
    let (dir, written) = killed_folder(12, false);
    let used = used_bytes(&newest_wal(&dir.path().join("killed")));
    let (first_append, last_append) = (wal_end_of_tick(&dir, 1), wal_end_of_tick(&dir, 12));
    for at in (1..used).step_by(37).chain(used - 20..used) {
        let copy = copy_of(&dir);
        let file = OpenOptions::new().write(true).open(newest_wal(&copy)).unwrap();
        file.set_len(at as u64).unwrap();
        let before = std::fs::read(newest_wal(&copy)).unwrap();
        let result = inspect(&copy, &written);
        if at < last_append {
            assert!(is_damaged(&result), "cut at {at} of {used}: {result:?}");
            // Without a tick before it, the loss is seen once the database is open.
            let untouched = at < first_append || std::fs::read(newest_wal(&copy)).unwrap() == before;
            assert!(untouched, "cut at {at}: a refused folder is left as it is");
        } else {
            assert!(result.unwrap(), "cut at {at} of {used}: only the changelog is behind it");
        }
        std::fs::remove_dir_all(copy).unwrap();
    }
}

/// Where the batch of a tick ends in the log file of a killed folder.
fn wal_end_of_tick(dir: &tempfile::TempDir, number: u64) -> usize {
    let copy = copy_of(dir);
    let path = newest_wal(&copy);
    let (mut low, mut high) = (0, used_bytes(&path));
    while low < high {
        let middle = (low + high) / 2;
        OpenOptions::new().write(true).open(&path).unwrap().set_len(middle as u64).unwrap();
        let found = wal::inspect(&copy.join("db"), 0).unwrap().last_tick.map_or(0, |tick| tick.number);
        std::fs::copy(newest_wal(&dir.path().join("killed")), &path).unwrap();
        if found >= number { high = middle } else { low = middle + 1 }
    }
    std::fs::remove_dir_all(copy).unwrap();
    low
}

#[test]
fn an_unacknowledged_tail_is_cut_and_put_aside() {
    let (dir, written) = killed_folder(12, false);
    let (begin, end) = (wal_end_of_tick(&dir, 11), wal_end_of_tick(&dir, 12));
    for (at, rubbish) in [(begin + 90, 0), (begin + 100, 50), (end - 1, 0), (end - 1, 3)] {
        let copy = copy_of(&dir);
        // The process died before the mark said 12: tick 12 was not acknowledged.
        mark::MarkWriter::open(&copy, mark::Mark { tick: 11, offset: 11, instant_ms: 0 }).unwrap();
        let path = newest_wal(&copy);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[at..].fill(0);
        bytes[at..at + rubbish].fill(0xa5);
        std::fs::write(&path, bytes).unwrap();

        let torn = wal::inspect(&copy.join("db"), 11).unwrap().torn.unwrap();
        assert!(torn.at as usize >= begin && torn.bytes > 0, "{torn:?}");
        let before = std::fs::read(newest_wal(&copy)).unwrap();
        let store = Store::open(&copy, options()).unwrap();
        assert_eq!(put_aside(&copy), [&before[torn.at as usize..]]);
        assert_eq!(store.log().last_tick().unwrap().0, 11);
        // Appending goes on where it was cut, and the next opening finds nothing to say.
        let live = store.log().start().unwrap();
        let mut again = Written { ticks: written.ticks[..11].to_vec(), ..empty() };
        store.log().append(1, "", b"again".to_vec()).unwrap().wait_blocking().unwrap();
        again.ticks.push(Tick::clone(&live.recv().unwrap()));
        store.log().stop();
        drop(store);
        let store = Store::open(&copy, options()).unwrap();
        let ticks: Vec<_> = store.log().read(1, 12).map(Result::unwrap).collect();
        assert_eq!(ticks, again.ticks);
    }
}

fn empty() -> Written {
    Written { ticks: Vec::new(), rows_after: BTreeMap::new(), letters: 0 }
}

#[test]
fn a_flipped_bit_in_the_log_file_loses_nothing_silently() {
    let (dir, written) = killed_folder(10, false);
    let path = newest_wal(&dir.path().join("killed"));
    let used = used_bytes(&path);
    let last_append = wal_end_of_tick(&dir, 10);
    let mut refused = 0;
    for at in (0..used).step_by(13).chain(0..70) {
        let copy = copy_of(&dir);
        flip(&newest_wal(&copy), at);
        match inspect(&copy, &written) {
            Ok(true) => assert!(at > last_append || at < 13 + 4, "byte {at} of {used} does not matter?"),
            // A dead letter at the very end is the last thing that was made durable.
            Ok(false) => assert!(at > last_append, "byte {at} of {used}: a silent loss"),
            Err(StoreError::Damaged { .. }) => refused += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
        std::fs::remove_dir_all(copy).unwrap();
    }
    assert!(refused > 50, "{refused}");
}

/// The mark after a power cut: older than what was acknowledged.
fn age_mark(folder: &Path) {
    mark::MarkWriter::open(folder, mark::Mark { tick: 2, offset: 2, instant_ms: 0 }).unwrap();
}

#[test]
fn ticks_behind_a_flaw_prove_that_those_in_it_were_acknowledged() {
    let (dir, written) = killed_folder(12, false);
    for (number, is_lost) in [(5, true), (11, true), (12, false)] {
        let at = wal_end_of_tick(&dir, number) - 60;
        let copy = copy_of(&dir);
        age_mark(&copy);
        flip(&newest_wal(&copy), at);
        let result = inspect(&copy, &written);
        // The last tick may have been on its way when the power went.
        assert_eq!(is_damaged(&result), is_lost, "in tick {number}: {result:?}");
    }
}

#[test]
fn a_gap_between_log_files_is_refused() {
    let (dir, written) = killed_folder(12, false);
    let bytes = std::fs::read(newest_wal(&dir.path().join("killed"))).unwrap();
    let ends = [wal_end_of_tick(&dir, 4), wal_end_of_tick(&dir, 8), bytes.len()];
    let split = || {
        let copy = copy_of(&dir);
        age_mark(&copy);
        let mut begin = 0;
        for (number, end) in ends.into_iter().enumerate() {
            std::fs::write(copy.join(format!("db/{number}.jnl")), &bytes[begin..end]).unwrap();
            begin = end;
        }
        copy
    };
    assert!(inspect(&split(), &written).unwrap(), "several files are read as one");
    for missing in 0..3 {
        let copy = split();
        std::fs::remove_file(copy.join(format!("db/{missing}.jnl"))).unwrap();
        let result = Store::open(&copy, options()).map(|_| true);
        // What the mark does not know of and nothing follows can't be missed: the newest file after a power cut.
        assert_eq!(is_damaged(&result), missing < 2, "without {missing}.jnl: {result:?}");
    }
    for at in [30, ends[0] / 2, ends[0] - 1] {
        let copy = split();
        OpenOptions::new().write(true).open(copy.join("db/0.jnl")).unwrap().set_len(at as u64).unwrap();
        assert!(is_damaged(&inspect(&copy, &written)), "a file cut at {at} with others behind it");
    }
}

#[test]
fn an_oldest_log_file_that_went_too_early_is_refused() {
    // Ticks 1 to 12 are in the database's tables.
    let (dir, written) = killed_folder(24, true);
    let bytes = std::fs::read(newest_wal(&dir.path().join("killed"))).unwrap();
    for (number, is_lost) in [(8, false), (16, true)] {
        let copy = copy_of(&dir);
        std::fs::remove_file(copy.join("db/0.jnl")).unwrap();
        std::fs::write(copy.join("db/1.jnl"), &bytes[wal_end_of_tick(&dir, number)..]).unwrap();
        match Store::open(&copy, options()) {
            Ok(store) => {
                assert!(!is_lost, "ticks 13 to {number} are lost");
                drop(store);
                assert!(inspect(&copy, &written).unwrap());
            }
            Err(error) => assert!(is_lost && error.to_string().contains("tick 16 is missing"), "{error}"),
        }
    }
}

/// All files of a killed folder, relative to it.
fn files(folder: &Path, below: &Path, found: &mut Vec<PathBuf>) {
    for dir_entry in std::fs::read_dir(folder.join(below)).unwrap() {
        let name = below.join(dir_entry.unwrap().file_name());
        match folder.join(&name).is_dir() {
            true => files(folder, &name, found),
            false => found.push(name),
        }
    }
}

#[test]
fn a_missing_file_loses_nothing_silently() {
    let (dir, written) = killed_folder(24, true);
    let mut names = Vec::new();
    files(&dir.path().join("killed"), Path::new(""), &mut names);
    assert!(names.len() > 20, "{names:?}");
    let mut refused = Vec::new();
    for name in &names {
        let copy = copy_of(&dir);
        std::fs::remove_file(copy.join(name)).unwrap();
        match inspect(&copy, &written) {
            Ok(true) => {}
            Ok(false) => panic!("without {} there is a silent loss", name.display()),
            Err(_) => refused.push(name.clone()),
        }
        std::fs::remove_dir_all(copy).unwrap();
    }
    for must in ["db/0.jnl", "db/version", "db/keyspaces/0/current", "db/keyspaces/1/current"] {
        assert!(refused.contains(&PathBuf::from(must)), "{must} is missing: {refused:?}");
    }
    for folder in ["db", "db/keyspaces", "db/keyspaces/0", "db/keyspaces/1", "db/keyspaces/2/tables"] {
        let copy = copy_of(&dir);
        std::fs::remove_dir_all(copy.join(folder)).unwrap();
        let result = inspect(&copy, &written);
        assert!(is_damaged(&result), "without {folder}: {result:?}");
    }
}

#[test]
fn a_flipped_bit_in_any_other_file_loses_nothing_silently() {
    let (dir, written) = killed_folder(24, true);
    let mut names = Vec::new();
    files(&dir.path().join("killed"), Path::new(""), &mut names);
    for name in names.iter().filter(|name| name.extension().is_none_or(|extension| extension != "jnl")) {
        let size = std::fs::metadata(dir.path().join("killed").join(name)).unwrap().len() as usize;
        for at in (0..size).step_by((size / 6).max(1)) {
            let copy = copy_of(&dir);
            flip(&copy.join(name), at);
            let result = std::panic::catch_unwind(|| inspect(&copy, &written));
            match result {
                Ok(Ok(complete)) => assert!(complete, "byte {at} of {}: a silent loss", name.display()),
                Ok(Err(_)) => {}
                Err(_) => panic!("byte {at} of {}: a panic", name.display()),
            }
            std::fs::remove_dir_all(copy).unwrap();
        }
    }
}

#[test]
fn a_failed_commit_is_never_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    let log = store.log();
    let live = log.start().unwrap();
    log.append(1, "", b"good".to_vec()).unwrap().wait_blocking().unwrap();
    log.embedded().handle.commits_fail.store(true, Ordering::Relaxed);
    let failed = log.append(1, "", b"bad".to_vec()).unwrap().wait_blocking().unwrap_err();
    assert!(matches!(&failed, AppendError::Failed(why) if why.contains("restart")), "{failed}");
    assert!(matches!(log.append(1, "", Vec::new()), Err(AppendError::Failed(_))));
    assert_eq!(live.iter().count(), 1, "the channel is closed behind the good one");
    log.stop();
    assert_eq!(log.last_tick().unwrap().0, 1);
}

#[test]
fn a_start_with_a_clock_far_away_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let last_ms = {
        let store = Store::open(dir.path(), options()).unwrap();
        let _live = store.log().embedded().start_at(1_700_000_000_000).unwrap();
        store.log().append(1, "", Vec::new()).unwrap().wait_blocking().unwrap().received_ms
    };
    let store = Store::open(dir.path(), options()).unwrap();
    let log = store.log();
    for wall_ms in [last_ms - 61_000, last_ms + 8 * 24 * 3_600_000] {
        assert!(matches!(log.embedded().start_at(wall_ms), Err(StoreError::Clock { .. })));
    }
    assert!(matches!(log.check_clock(), Err(StoreError::Clock { .. })));
    let _live = log.embedded().start_at(last_ms - 30_000).unwrap();
    let appended = log.append(1, "", Vec::new()).unwrap().wait_blocking().unwrap();
    assert_eq!(appended.received_ms, last_ms, "an instant never goes back");
    drop((log, store));

    let accepting = Options { accept_clock: true, ..options() };
    let store = Store::open(dir.path(), accepting).unwrap();
    let _live = store.log().embedded().start_at(0).unwrap();
    let appended = store.log().append(1, "", Vec::new()).unwrap().wait_blocking().unwrap();
    assert!(appended.received_ms >= last_ms);
}

#[test]
fn a_database_that_was_never_finished_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join("db.new");
    // As a process leaves it that is killed after it made its first file: it can't be opened.
    std::fs::create_dir_all(unfinished.join("keyspaces")).unwrap();
    std::fs::write(unfinished.join("0.jnl"), [0; 4096]).unwrap();
    let store = Store::open(dir.path(), options()).unwrap();
    assert!(!unfinished.exists());
    let live = store.log().start().unwrap();
    let mut written = empty();
    write(&store, &live, 3, &mut written);
    drop((live, store));
    assert!(inspect(dir.path(), &written).unwrap());
}

#[test]
fn a_folder_of_the_first_format_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    let row = |key: u64, index: Index| ChangeBytes { index, ..change(key, 1, 1) };
    {
        let store = Store::open(dir.path(), options()).unwrap();
        let live = store.log().start().unwrap();
        let mut written = empty();
        write(&store, &live, 2, &mut written);
        // As the first format left it: rows that are in no index, which it did not have.
        let changelog = store.changelog();
        let tick = changelog.last_tick().map_or(0, |(tick, _)| tick) + 1;
        store.log().append(1, "", Vec::new()).unwrap().wait_blocking().unwrap();
        changelog.append(tick, 10_000, &[row(71, Index::None), row(72, Index::None)]).unwrap();
        let db = &store.inner.db;
        db.set_format(1);
        db.meta.remove("changelog.indexed").unwrap();
        let index = db.database.keyspace("index", Default::default).unwrap();
        db.database.delete_keyspace(index).unwrap();
    }
    let indexed = || {
        let store = Store::open(dir.path(), options()).unwrap();
        store.changelog().is_indexed().unwrap()
    };
    assert!(!indexed(), "until somebody does it");
    let store = Store::open(dir.path(), options()).unwrap();
    let changelog = store.changelog();
    let last = changelog.last_tick().unwrap().0;
    let rows = [
        (71u64, Index::Row { subject: b"s".to_vec() }),
        (72, Index::Story { subject: b"t".to_vec(), id: 5 }),
    ];
    let rows = rows.map(|(key, index)| (3, key.to_be_bytes().to_vec(), index));
    changelog.index_rows(rows).unwrap();
    assert_eq!(changelog.rows().of_subject(3, b"s", b"").count(), 1);
    let found = changelog.rows().find(5).unwrap().unwrap();
    assert_eq!((found.key, found.last_change.tick), (72u64.to_be_bytes().to_vec(), last));
    drop((changelog, store));
    assert!(indexed());
}

#[test]
fn an_unknown_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    Store::open(dir.path(), options()).unwrap().inner.db.set_format(9);
    let Err(error) = Store::open(dir.path(), options()) else { panic!("opened") };
    assert!(matches!(error, StoreError::Format { found: 9, known: 3, .. }), "{error}");
    assert!(error.to_string().contains("use the release that wrote it"));
}
