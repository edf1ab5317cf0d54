//! The changelog and the dead letters.

use std::collections::BTreeMap;
use std::path::Path;

use journal::{
    ChangeBytes, Changelog, Cursor, Index, Log, NewDeadLetter, Options, ReadError, Store, StoreError,
};

use super::{append, open, quiet};

fn change(key: &str, diff: i8, row: &str) -> ChangeBytes {
    ChangeBytes { table: 1, key: key.into(), diff, row: row.into(), ..ChangeBytes::default() }
}

fn rows(changelog: &Changelog, table: u8) -> Vec<(String, String)> {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    changelog.rows().iter(table).map(|row| row.unwrap()).map(|(key, row)| (text(key), text(row))).collect()
}

/// A store whose log has many ticks, so that the changelog may have them.
fn store_with_ticks(dir: &Path, count: usize, options: Options) -> Store {
    let store = Store::open(dir, Options { max_group_entries: 1, ..options }).unwrap();
    let live = store.log().start().unwrap();
    for _ in 0..count {
        append(&store.log(), b"");
        live.recv().unwrap();
    }
    store
}

#[test]
fn current_rows_are_the_sum_of_the_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut model: BTreeMap<String, String> = BTreeMap::new();
    let mut random = 12345u64;
    let mut next_random = |below: u64| {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (random >> 33) % below
    };
    let mut store = store_with_ticks(dir.path(), 60, quiet());
    for tick in 1..=60 {
        let mut changes = Vec::new();
        for key in 0..8 {
            let key = format!("k{key}");
            let kept = model.remove(&key);
            match next_random(3) {
                0 => {}
                1 => {
                    model.extend(kept.map(|row| (key, row)));
                    continue;
                }
                _ => {
                    model.insert(key.clone(), format!("row {tick}"));
                }
            }
            changes.extend(kept.map(|row| change(&key, -1, &row)));
            changes.extend(model.get(&key).map(|row| change(&key, 1, row)));
        }
        store.changelog().append(tick, tick as i64 * 10, &changes).unwrap();
        assert!(rows(&store.changelog(), 1).into_iter().eq(model.clone()));
        if tick % 20 == 0 {
            drop(store);
            store = open(dir.path());
            assert_eq!(store.changelog().last_tick(), Some((tick, tick as i64 * 10)));
        }
    }
    // The changes from the beginning sum up to the same.
    let mut sum: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut cursor = store.changelog().oldest();
    loop {
        let page = store.changelog().after(cursor, 7).unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.is_sorted_by_key(|stored| stored.cursor) && page[0].cursor > cursor);
        cursor = last.cursor;
        for stored in page {
            assert_eq!(stored.instant_ms, stored.cursor.tick as i64 * 10);
            match stored.change.diff {
                1 => assert_eq!(sum.insert(stored.change.key, stored.change.row), None),
                _ => assert_eq!(sum.remove(&stored.change.key), Some(stored.change.row)),
            }
        }
    }
    let sum =
        sum.into_iter().map(|(key, row)| (String::from_utf8(key).unwrap(), String::from_utf8(row).unwrap()));
    assert!(sum.eq(model));
}

#[test]
fn a_changelog_that_disagrees_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_ticks(dir.path(), 3, quiet());
    let changelog = store.changelog();
    changelog.append(1, 10, &[change("a", 1, "1"), change("b", 1, "1")]).unwrap();
    for wrong in [change("a", -1, "2"), change("c", -1, "1"), change("a", 1, "3")] {
        let error = changelog.append(2, 20, &[change("b", -1, "1"), wrong.clone()]).unwrap_err();
        assert!(matches!(&error, StoreError::Damaged { what } if what.contains("tick 2")), "{error}");
    }
    assert!(matches!(changelog.append(2, 20, &[change("z", 2, "")]), Err(StoreError::Refused(_))));
    let long = ChangeBytes { table: 1, key: vec![0; 70_000], diff: 1, ..ChangeBytes::default() };
    assert!(matches!(changelog.append(2, 20, &[long]), Err(StoreError::Refused(_))));
    assert!(matches!(changelog.append(1, 20, &[]), Err(StoreError::Refused(_))));
    assert_eq!(changelog.last_tick(), Some((1, 10)));
    assert_eq!(rows(&changelog, 1), [("a".into(), "1".into()), ("b".into(), "1".into())]);
    changelog.append(2, 20, &[]).unwrap();
    assert_eq!(changelog.last_tick(), Some((2, 20)));
    assert_eq!(changelog.after(Cursor::default(), 100).unwrap().len(), 2);
}

#[test]
fn a_snapshot_of_rows_stands_still() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_ticks(dir.path(), 2, quiet());
    let changelog = store.changelog();
    let other_table = ChangeBytes { table: 2, ..change("a", 1, "other") };
    changelog.append(1, 10, &[change("a", 1, "1"), other_table]).unwrap();
    let snapshot = changelog.rows();
    changelog.append(2, 20, &[change("a", -1, "1"), change("a", 1, "2")]).unwrap();
    assert_eq!(snapshot.last_tick(), Some((1, 10)));
    let kept: Vec<_> = snapshot.iter(1).map(Result::unwrap).collect();
    assert_eq!(kept, [(b"a".to_vec(), b"1".to_vec())]);
    assert_eq!(changelog.rows().last_tick(), Some((2, 20)));
    assert_eq!(rows(&changelog, 1), [("a".into(), "2".into())]);
    assert_eq!(rows(&changelog, 2), [("a".into(), "other".into())]);
    assert_eq!(rows(&changelog, 0), []);
}

#[test]
fn readers_resume_by_cursor_until_it_is_trimmed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_ticks(dir.path(), 4, quiet());
    let changelog = store.changelog();
    for tick in 1..=4 {
        let instant_ms = tick as i64 * 1000;
        let keys = [format!("a{tick}"), format!("b{tick}")];
        changelog.append(tick, instant_ms, &[change(&keys[0], 1, "x"), change(&keys[1], 1, "x")]).unwrap();
    }
    let cursors = |from: Cursor| -> Vec<String> {
        changelog.after(from, 100).unwrap().iter().map(|stored| stored.cursor.to_string()).collect()
    };
    assert_eq!(cursors(Cursor { tick: 2, index: 0 }), ["2-1", "3-0", "3-1", "4-0", "4-1"]);
    assert_eq!(cursors(Cursor { tick: 3, index: u32::MAX }), ["4-0", "4-1"]);
    assert_eq!(cursors(Cursor { tick: 9, index: 0 }), [""; 0]);
    assert_eq!(changelog.trim(3000).unwrap(), 4);
    assert_eq!(changelog.trim(3000).unwrap(), 0);
    assert_eq!(changelog.oldest().to_string(), "2-1");
    assert_eq!(cursors(changelog.oldest()), ["3-0", "3-1", "4-0", "4-1"]);
    let gone = changelog.after(Cursor { tick: 2, index: 0 }, 100).unwrap_err();
    assert!(matches!(gone, ReadError::Gone { .. }), "{gone}");
    assert_eq!(rows(&changelog, 1).len(), 8, "rows outlive their changes");
    drop((changelog, store));
    let changelog = open(dir.path()).changelog();
    assert!(changelog.after(Cursor::default(), 1).is_err());
}

#[test]
fn old_changes_are_trimmed_in_passing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { changes_keep_ms: 100_000, ..quiet() };
    let store = store_with_ticks(dir.path(), 5, options);
    let changelog = store.changelog();
    for tick in 1..=5 {
        changelog.append(tick, tick as i64 * 70_000, &[change(&tick.to_string(), 1, "x")]).unwrap();
    }
    assert_eq!(changelog.oldest(), Cursor { tick: 3, index: 0 });
}

/// A change of a row about `subject`, whose id is that of its key.
fn told(subject: &str, key: &str, diff: i8, row: &str) -> ChangeBytes {
    let id = u64::from_str_radix(key, 36).unwrap();
    ChangeBytes { index: Index::Story { subject: subject.into(), id }, ..change(key, diff, row) }
}

fn story(changelog: &Changelog, subject: &str) -> Vec<String> {
    let snapshot = changelog.rows();
    let cursors = snapshot.story(1, subject.as_bytes(), Cursor::default());
    cursors.map(|stored| stored.unwrap().cursor.to_string()).collect()
}

#[test]
fn changes_are_found_by_subject_and_rows_by_id_until_both_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_ticks(dir.path(), 5, quiet());
    let changelog = store.changelog();
    changelog.append(1, 1000, &[told("s", "a", 1, "1"), told("t", "b", 1, "1")]).unwrap();
    changelog
        .append(2, 2000, &[told("s", "a", -1, "1"), told("s", "a", 1, "2"), told("s", "c", 1, "1")])
        .unwrap();
    changelog.append(3, 3000, &[told("s", "a", -1, "2"), change("z", 1, "1")]).unwrap();
    changelog.append(4, 4000, &[told("s", "d", 1, "1")]).unwrap();
    assert_eq!(story(&changelog, "s"), ["1-0", "2-0", "2-1", "2-2", "3-0", "4-0"]);
    assert_eq!((story(&changelog, "t"), story(&changelog, "")), (vec!["1-1".to_owned()], vec![]));
    let snapshot = changelog.rows();
    let after: Vec<_> = snapshot.story(1, b"s", Cursor { tick: 2, index: 1 }).map(|s| s.unwrap()).collect();
    assert_eq!(after[0], changelog.after(Cursor { tick: 2, index: 1 }, 1).unwrap()[0]);
    assert_eq!(after.len(), 3);
    let gone = snapshot.find(10).unwrap().unwrap();
    assert_eq!((gone.row, gone.last_change), (None, Cursor { tick: 3, index: 0 }));
    let stands = snapshot.find(12).unwrap().unwrap();
    assert_eq!((stands.table, stands.key, stands.row), (1, b"c".to_vec(), Some(b"1".to_vec())));
    assert_eq!(snapshot.find(99).unwrap(), None);
    drop((changelog, snapshot, store));

    // All that survives a restart, until it is trimmed.
    let store = open(dir.path());
    let changelog = store.changelog();
    assert_eq!(changelog.trim(3000).unwrap(), 5);
    assert_eq!(story(&changelog, "s"), ["3-0", "4-0"]);
    assert!(changelog.rows().find(10).unwrap().is_some(), "it went in a tick that is kept");
    assert_eq!(changelog.trim(9000).unwrap(), 3);
    assert_eq!(story(&changelog, "s"), [""; 0]);
    let snapshot = changelog.rows();
    assert_eq!(snapshot.find(10).unwrap(), None);
    assert!(snapshot.find(12).unwrap().unwrap().row.is_some(), "a row that stands is found for ever");
}

#[test]
fn an_id_that_came_back_is_not_forgotten_with_its_going() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_ticks(dir.path(), 3, quiet());
    let changelog = store.changelog();
    changelog.append(1, 1000, &[told("s", "a", 1, "1")]).unwrap();
    changelog.append(2, 2000, &[told("s", "a", -1, "1")]).unwrap();
    changelog.append(3, 3000, &[told("s", "a", 1, "2")]).unwrap();
    changelog.trim(3000).unwrap();
    assert_eq!(changelog.rows().find(10).unwrap().unwrap().row, Some(b"2".to_vec()));
}

#[test]
fn current_rows_are_found_by_subject() {
    let dir = tempfile::tempdir().unwrap();
    let store = store_with_ticks(dir.path(), 3, quiet());
    let changelog = store.changelog();
    let of = |subject: &str, key: &str, diff| ChangeBytes {
        index: Index::Row { subject: subject.into() },
        ..change(key, diff, "x")
    };
    changelog.append(1, 10, &[of("s", "a", 1), of("s", "b", 1), of("ss", "a2", 1), of("s", "c", 1)]).unwrap();
    changelog.append(2, 20, &[of("s", "b", -1)]).unwrap();
    changelog.append(3, 30, &[of("s", "c", -1), of("s", "c", 1)]).unwrap();
    let snapshot = changelog.rows();
    let keys = |subject: &str, after: &str| -> Vec<String> {
        let rows = snapshot.of_subject(1, subject.as_bytes(), after.as_bytes());
        rows.map(|row| String::from_utf8(row.unwrap().0).unwrap()).collect()
    };
    assert_eq!(
        (keys("s", ""), keys("s", "a"), keys("ss", "")),
        (vec!["a".to_owned(), "c".to_owned()], vec!["c".to_owned()], vec!["a2".to_owned()])
    );
    let after = |key: &[u8]| snapshot.after(1, key).map(|row| row.unwrap().0).collect::<Vec<_>>();
    assert_eq!(after(b"a"), [b"a2".to_vec(), b"c".to_vec()]);
    assert_eq!(snapshot.starting_with(1, b"a").count(), 2);
    assert_eq!((snapshot.get(1, b"c").unwrap(), snapshot.get(2, b"c").unwrap()), (Some(b"x".to_vec()), None));
}

#[test]
fn a_changelog_ahead_of_its_journal_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).changelog().append(1, 0, &[]).unwrap();
    assert!(matches!(Store::open(dir.path(), quiet()), Err(StoreError::Damaged { .. })));
}

#[test]
fn cursors_read_as_they_are_written() {
    let cursor = Cursor { tick: u64::MAX, index: 3 };
    assert_eq!(cursor.to_string().parse(), Ok(cursor));
    for wrong in ["", "12", "12-", "-3", "+1-2", "1-2-3", "1--2", "1-4294967296", " 1-2"] {
        assert!(wrong.parse::<Cursor>().is_err(), "{wrong:?}");
    }
}

#[test]
fn dead_letters_are_kept_listed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let letters = store.dead_letters();
    let big = vec![7; 3 << 20];
    assert_eq!(letters.add(10, 2, "file.csv:3", "bad", b"line").unwrap(), 1);
    assert_eq!(letters.add(11, 2, "", &"ü".repeat(4000), &big).unwrap(), 2);
    let new = NewDeadLetter { received_ms: 12, source: 3, context: "c", reason: "r", payload: b"p" };
    assert_eq!(letters.add_all(&[new, new, new]).unwrap(), 3..6);
    let cut = letters.get(2).unwrap().unwrap();
    assert_eq!(cut.payload.len(), 1 << 20);
    assert!(cut.reason.contains("3145728 bytes"));
    assert!(letters.remove(4).unwrap());
    assert!(!letters.remove(4).unwrap());
    let before = letters.counts();
    assert_eq!(before.kept, 4);
    drop((letters, store));

    let letters = open(dir.path()).dead_letters();
    assert_eq!(letters.counts(), before);
    let ids = |after, limit| -> Vec<u64> {
        letters.list(after, limit).unwrap().iter().map(|letter| letter.id).collect()
    };
    assert_eq!(ids(0, 100), [1, 2, 3, 5]);
    assert_eq!(ids(2, 1), [3]);
    assert_eq!(letters.get(1).unwrap().unwrap().context, "file.csv:3");
    assert_eq!(letters.get(4).unwrap(), None);
    assert_eq!(letters.add(13, 1, "", "", b"").unwrap(), 6, "ids are not used twice");
}

#[test]
fn dead_letters_are_bounded_and_the_overflow_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        dead_letters_max_count: 10,
        dead_letters_max_bytes: 5000,
        dead_letters_keep_ms: 1000,
        ..quiet()
    };
    let store = Store::open(dir.path(), options).unwrap();
    let letters = store.dead_letters();
    let new = NewDeadLetter { received_ms: 5000, source: 1, context: "", reason: "r", payload: &[0; 10] };
    assert_eq!(letters.add_all(&[new; 25]).unwrap(), 1..26);
    assert_eq!((letters.counts().kept, letters.counts().dropped_total), (10, 15));
    assert_eq!(letters.list(0, 100).unwrap()[0].id, 16);
    letters.add(5000, 1, "", "r", &[0; 4800]).unwrap();
    assert!(letters.counts().bytes <= 5000, "{:?}", letters.counts());
    letters.add(5000, 1, "", "r", &[0; 9000]).unwrap();
    assert_eq!(letters.counts().kept, 1, "the newest is always kept");
    letters.add(6001, 1, "", "r", b"").unwrap();
    assert_eq!(letters.list(0, 100).unwrap().len(), 1, "the others are too old");
    let counts = letters.counts();
    assert_eq!(counts.kept + counts.dropped_total, 28);
}
