//! A backup, and the folder that is made of it.

use std::path::PathBuf;

use journal::{BackupError, Log, Store, restore_backup, write_backup};

use super::{append, open, read_all};

/// A folder with ticks of one and of several entries, and dead letters.
fn filled() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir.path().join("data"));
    let log = store.log();
    let ticks = log.start().unwrap();
    append(&log, b"one");
    let tickets: Vec<_> = (0..20).map(|n| log.append(3, "", vec![n; 1000]).unwrap()).collect();
    for ticket in tickets {
        ticket.wait_blocking().unwrap();
    }
    append(&log, b"");
    store.dead_letters().add(7, 2, "line 1", "it is no JSON", b"{").unwrap();
    store.dead_letters().add(8, 2, "line 2", "neither is this", b"[").unwrap();
    drop(ticks);
    (dir, store)
}

fn backup(store: &Store) -> Vec<u8> {
    let mut bytes = Vec::new();
    let done = write_backup(store, &mut bytes, &mut |_, _| ()).unwrap();
    assert_eq!((done.entries, done.letters), (22, 2));
    bytes
}

fn restore(bytes: &[u8]) -> (tempfile::TempDir, PathBuf, Result<(), BackupError>) {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("again");
    let restored = restore_backup(&to, &mut &bytes[..], &mut |_| ()).map(drop);
    (dir, to, restored)
}

#[test]
fn a_folder_that_is_restored_has_all_of_it_and_goes_on() {
    let (_dir, store) = filled();
    let bytes = backup(&store);
    let (_again, to, restored) = restore(&bytes);
    restored.unwrap();
    let again = open(&to);
    assert_eq!(read_all(&again.log()), read_all(&store.log()));
    let letters = |store: &Store| store.dead_letters().list(0, 10).unwrap();
    assert_eq!(letters(&again), letters(&store));
    assert_eq!(backup(&again), bytes);
    let log = again.log();
    let ticks = log.start().unwrap();
    let appended = append(&log, b"and on");
    assert_eq!(appended.offset, 23);
    assert_eq!(ticks.recv().unwrap().number, store.log().last_tick().unwrap().0 + 1);
    let taken = restore_backup(&to, &mut &bytes[..], &mut |_| ());
    assert!(matches!(taken, Err(BackupError::Exists(_))));
}

#[test]
fn a_backup_that_is_not_whole_makes_no_folder() {
    let (_dir, store) = filled();
    let bytes = backup(&store);
    for cut in [0, 19, 25, 60, bytes.len() / 2, bytes.len() - 22, bytes.len() - 1] {
        let (_again, to, restored) = restore(&bytes[..cut]);
        assert!(restored.is_err() && !to.exists(), "cut to {cut} bytes");
    }
    for place in (0..bytes.len()).step_by(1999).chain([1, 20, 30, bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1;
        let (_again, to, restored) = restore(&flipped);
        assert!(restored.is_err() && !to.exists(), "another byte at {place}");
    }
}
