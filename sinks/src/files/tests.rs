//! The files of a small changelog.

use model::{Change, ClosedTick, RejectReason, RejectRow, Row, TimeMs, Why};

use super::{FilesConfig, FilesSink};
use crate::Sink;

fn change(diff: i8, seq: u64) -> Change {
    let row = Row::Reject(RejectRow { seq, fix: None, reason: RejectReason::Malformed });
    Change { diff, row, why: Why::first(seq) }
}

#[test]
fn summing_the_changelog_gives_the_files_and_empty_ones_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let config = FilesConfig { dir: dir.path().join("new/out"), changes: true };
    let mut sink = FilesSink::create(&config).unwrap();
    let ticks = [vec![change(1, 1), change(1, 2)], vec![change(-1, 1)]];
    for (tick, changes) in (1..).zip(ticks) {
        let closed = ClosedTick { tick, instant: TimeMs(1000), changes, ..ClosedTick::default() };
        sink.apply(&closed).unwrap();
    }
    sink.finish().unwrap();
    let read = |name: &str| std::fs::read_to_string(config.dir.join(name)).unwrap();
    assert_eq!(
        read("rejects.ndjson"),
        "{\"seq\":2,\"vehicle_id\":null,\"event_time\":null,\"reason\":\"malformed\",\"used\":false}\n"
    );
    assert_eq!(read("visits.ndjson"), "");
    assert_eq!(read("presences.ndjson"), "");
    assert_eq!(read("changes.ndjson").lines().count(), 3);
    assert!(read("changes.ndjson").ends_with(
        "{\"tick\":2,\"instant\":\"1970-01-01T00:00:01Z\",\"table\":\"rejects\",\"diff\":-1,\"row\":{\"seq\":1,\"vehicle_id\":null,\"event_time\":null,\"reason\":\"malformed\",\"used\":false}}\n"
    ));
}

#[test]
fn a_changelog_that_does_not_sum_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let config = FilesConfig { dir: dir.path().to_owned(), changes: false };
    let mut sink = FilesSink::create(&config).unwrap();
    let closed = ClosedTick { tick: 1, changes: vec![change(-1, 1)], ..ClosedTick::default() };
    assert!(sink.apply(&closed).unwrap_err().to_string().contains("does not fit"));
}
