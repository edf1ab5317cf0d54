//! What the topics hold, whatever happens on the way there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use model::{Cause, Table};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use sinks::kafka::{KafkaSink, compare, key_bytes, key_json, partition_of};
use sinks::live::{
    Batch, BatchLimits, LiveSink, LiveSource, RunningSink, SinkError, SinkState, Written, spawn,
};

use crate::rows::{Fleet, Rows, change, instant_ms, lines, visit};
use crate::topics::{Seen, Topics, rows_of};

const LIMIT: Duration = Duration::from_secs(60);

fn sink(topics: &Topics) -> KafkaSink {
    KafkaSink::new(topics.config.clone()).unwrap()
}

fn limits(changes: usize) -> BatchLimits {
    BatchLimits { changes, bytes: 1 << 20 }
}

/// Applies what there is, in batches of these limits.
fn apply_all(sink: &mut KafkaSink, fleet: &Fleet, limits: BatchLimits) -> Result<Written, SinkError> {
    let mut tick = sink.position()?.as_of.tick;
    let mut written = Written::default();
    while let Some(batch) = Batch::after(&fleet.changelog, tick, limits)? {
        written += sink.apply(&batch)?;
        tick = batch.to.tick;
    }
    Ok(written)
}

/// A sink that the driver runs.
fn follow(topics: &Topics, fleet: &Fleet) -> RunningSink {
    let source = LiveSource {
        changelog: fleet.changelog.clone(),
        instant_of: Box::new(|tick| Ok(Some(instant_ms(tick)))),
    };
    spawn(Box::new(sink(topics)), source, limits(200)).unwrap()
}

fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn wait_for(running: &RunningSink, tick: u64) {
    wait_until("the sink is at the tick", || running.status().report().as_of.tick == tick);
}

/// By the comparison that `verify` uses, and by what a reader of the topics adds up.
fn assert_is(topics: &Topics, fleet: &Fleet) {
    let comparison = compare(&topics.config, &fleet.changelog).unwrap();
    assert_eq!(comparison.differences, []);
    assert_eq!(comparison.as_of.tick, fleet.tick);
    assert_eq!(comparison.rows, fleet.rows.len() as u64);
    let mut told = Vec::new();
    for table in Table::ALL.map(Table::as_str) {
        told.extend(rows_of(&topics.read(table), None).into_values().map(|row| format!("{table} {row}")));
    }
    assert_same(told, fleet.lines());
}

fn assert_same(mut told: Vec<String>, mut must_be: Vec<String>) {
    told.sort();
    must_be.sort();
    let differs = told.iter().zip(&must_be).find(|(a, b)| a != b);
    assert_eq!((differs, told.len()), (None, must_be.len()));
}

/// What a reader adds up at each cursor is the rows of its tick.
fn assert_every_cursor(topics: &Topics, states: &BTreeMap<u64, Rows>) -> usize {
    let read: BTreeMap<&str, Vec<Seen>> =
        Table::ALL.map(Table::as_str).into_iter().map(|table| (table, topics.read(table))).collect();
    let cursors = topics.cursors();
    for cursor in &cursors {
        let mut told = Vec::new();
        for (table, seen) in &read {
            let rows = rows_of(seen, Some(&cursor.ends[*table]));
            told.extend(rows.into_values().map(|row| format!("{table} {row}")));
        }
        assert_same(told, lines(&states[&cursor.tick]));
    }
    assert!(cursors.is_sorted_by_key(|cursor| cursor.tick), "a cursor never goes back");
    cursors.len()
}

#[test]
fn at_each_cursor_topics_are_the_sum_of_the_changes_over_any_restart() {
    let Some(topics) = Topics::new() else { return };
    let mut fleet = Fleet::new(1);
    let mut writer = sink(&topics);
    let mut states = BTreeMap::new();
    for round in 0..20 {
        for _ in 0..=fleet.chance.below(3) {
            let keys = [0, 1, 5, 60][fleet.chance.below(4) as usize];
            fleet.grow(keys);
            states.insert(fleet.tick, fleet.rows.clone());
        }
        // Limits far below a tick's changes: such a tick is one transaction of several chunks.
        let changes = [1, 7, 50, 100_000][fleet.chance.below(4) as usize];
        apply_all(&mut writer, &fleet, limits(changes)).unwrap();
        if round % 3 == 0 {
            writer = sink(&topics);
        }
    }
    assert_is(&topics, &fleet);
    assert!(assert_every_cursor(&topics, &states) >= 20);
}

#[test]
fn messages_have_their_keys_their_partitions_and_their_headers() {
    let Some(topics) = Topics::new() else { return };
    let mut fleet = Fleet::new(2);
    for _ in 0..10 {
        fleet.grow(60);
    }
    let row = visit("T \"1\"", 7);
    fleet.add(row.clone());
    fleet.append(&[change(-1, &row, Cause::LateFix, 77)]);
    fleet.rows.remove(&("visits", row.key_bytes()));
    apply_all(&mut sink(&topics), &fleet, limits(1)).unwrap();
    assert_is(&topics, &fleet);
    for table in Table::ALL {
        for seen in topics.read(table.as_str()) {
            assert_eq!(seen.partition, partition_of(seen.key.as_bytes(), 3));
            assert!(seen.headers.contains_key("tick") && seen.headers.contains_key("cause"), "{seen:?}");
            let Some(value) = seen.value else { continue };
            assert_eq!(key_json(table, value.as_bytes()).unwrap(), seen.key.as_bytes());
        }
    }
    for ((table, key), row) in &fleet.rows {
        let table = Table::ALL.into_iter().find(|known| known.as_str() == *table).unwrap();
        let json = key_json(table, row.to_json().as_bytes()).unwrap();
        assert_eq!(key_bytes(table, &json).as_ref(), Some(key), "{}", row.to_json());
    }
    let of_visit = topics.read("visits").into_iter().filter(|seen| seen.key.contains("T \\\"1"));
    let told: Vec<_> = of_visit.map(|seen| (seen.value.is_some(), seen.headers)).collect();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let came = BTreeMap::from([header("tick", "11"), header("cause", "first"), header("seq", "1")]);
    let went = BTreeMap::from([header("tick", "12"), header("cause", "late_fix"), header("seq", "77")]);
    assert_eq!(told, [(true, came), (false, went)]);

    // The library's own partitioner of that name agrees.
    topics.make("agree", 7);
    let producer: BaseProducer = topics.client().set("partitioner", "murmur2_random").create().unwrap();
    let agree = topics.name("agree");
    for number in 0..200 {
        let key = format!("[\"T{number}\",\"é\"]");
        let record = BaseRecord::<str, str>::to(&agree).key(&key).payload("");
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(LIMIT).unwrap();
    let agreed = topics.read("agree");
    assert_eq!(agreed.len(), 200);
    assert!(agreed.iter().all(|seen| seen.partition == partition_of(seen.key.as_bytes(), 7)));
    topics.delete("agree");
}

#[test]
fn the_sink_of_an_older_start_stops_and_says_so() {
    let Some(topics) = Topics::new() else { return };
    let mut fleet = Fleet::new(3);
    let mut states = BTreeMap::new();
    fleet.grow(60);
    states.insert(1, fleet.rows.clone());
    let older = follow(&topics, &fleet);
    wait_for(&older, 1);
    let newer = follow(&topics, &fleet);
    wait_for(&newer, 1);
    for _ in 0..5 {
        fleet.grow(60);
        states.insert(fleet.tick, fleet.rows.clone());
        older.bell()();
        newer.bell()();
    }
    wait_for(&newer, fleet.tick);
    wait_until("the older one has stopped", || older.status().report().state == SinkState::Stopped);
    let told = older.status().report();
    assert!(told.last_error.is_some_and(|error| error.contains("another start of watchtower")));
    assert_eq!(newer.status().report().failures, 0);
    older.stop(LIMIT);
    newer.stop(LIMIT);
    assert_is(&topics, &fleet);
    assert_every_cursor(&topics, &states);
}

#[test]
fn a_zombie_in_the_middle_of_a_transaction_leaves_nothing() {
    let Some(topics) = Topics::new() else { return };
    let mut fleet = Fleet::new(4);
    fleet.grow(60);
    let (mut zombie, mut heir) = (sink(&topics), sink(&topics));
    apply_all(&mut zombie, &fleet, limits(1000)).unwrap();
    // A row under the old sink's name that is never committed.
    let id = format!("{}.sink", topics.config.topic_prefix);
    let unfinished: BaseProducer = topics.client().set("transactional.id", &id).create().unwrap();
    unfinished.init_transactions(LIMIT).unwrap();
    unfinished.begin_transaction().unwrap();
    let name = topics.name("trips");
    let record = BaseRecord::<str, str>::to(&name).partition(0).key("[\"x\"]").payload("{}");
    unfinished.send(record).map_err(|(error, _)| error).unwrap();
    unfinished.flush(LIMIT).unwrap();
    heir.position().unwrap();
    assert!(unfinished.commit_transaction(LIMIT).is_err());
    fleet.grow(60);
    let batch = Batch::after(&fleet.changelog, 1, limits(1000)).unwrap().unwrap();
    assert!(matches!(zombie.apply(&batch), Err(SinkError::Away(_))));
    assert!(matches!(zombie.position(), Err(SinkError::Stopped(_))), "it does not become the writer again");
    heir.apply(&batch).unwrap();
    assert_is(&topics, &fleet);
    assert!(topics.read("trips").iter().all(|seen| seen.key != "[\"x\"]"));
}

/// What comes after a comparison has a producer of its own, which would fence whoever came meanwhile.
#[test]
fn a_sink_that_has_compared_everything_does_not_take_over_from_a_newer_one() {
    let Some(topics) = Topics::new() else { return };
    let mut fleet = Fleet::new(9);
    fleet.grow(60);
    let (mut older, mut newer) = (sink(&topics), sink(&topics));
    older.position().unwrap();
    older.resync(fleet.changelog.identity(), &fleet.changelog.rows()).unwrap();
    assert_eq!(newer.position().unwrap().as_of.tick, fleet.tick);
    fleet.grow(60);
    let batch = Batch::after(&fleet.changelog, 1, limits(1000)).unwrap().unwrap();
    assert!(matches!(older.apply(&batch), Err(SinkError::Stopped(_))));
    // The newer one was fenced by that look, and goes on.
    if newer.apply(&batch).is_err() {
        assert_eq!(newer.position().unwrap().as_of.tick, 1);
        newer.apply(&batch).unwrap();
    }
    assert_is(&topics, &fleet);
}

#[test]
fn rows_that_are_too_large_are_dead_letters_until_they_fit() {
    let Some(topics) = Topics::new() else { return };
    let mut fleet = Fleet::new(5);
    // Words of chance, so that they are not small when they are compressed.
    let long: String = (0..900).map(|_| char::from(b'!' + fleet.chance.below(90) as u8)).collect();
    fleet.add(visit("T1", 0));
    fleet.add(visit("T2", 0));
    let mut writer = sink(&topics);
    apply_all(&mut writer, &fleet, limits(100)).unwrap();
    // What is known of the limits is old: the broker itself refuses, and the rows of the same batch are found.
    topics.set("visits", "max.message.bytes", "600");
    for vehicle in ["T3", &long, "T4"] {
        fleet.add(visit(vehicle, 0));
    }
    let batch = Batch::after(&fleet.changelog, 2, limits(100)).unwrap().unwrap();
    let written = writer.apply(&batch).unwrap();
    assert_eq!((written.rows, written.dead_letters), (2, 1));
    let told: Vec<Seen> = topics.read("dead_letters");
    assert_eq!(told.len(), 1);
    let letter: serde_json::Value = serde_json::from_str(told[0].value.as_deref().unwrap()).unwrap();
    assert_eq!((letter["table"].as_str(), letter["tick"].as_u64()), (Some("visits"), Some(4)));
    assert_eq!(letter["key"][0].as_str(), Some(&*long));
    let differences = compare(&topics.config, &fleet.changelog).unwrap().differences;
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert!(differences[0].is.is_none());

    // A start knows the limits, and sends nothing that is refused; what goes takes its letter along.
    let mut writer = sink(&topics);
    let longer = format!("{long}!");
    fleet.add(visit(&longer, 0));
    let gone = visit(&longer, 0);
    assert_eq!(apply_all(&mut writer, &fleet, limits(100)).unwrap().dead_letters, 1);
    assert_eq!(rows_of(&topics.read("dead_letters"), None).len(), 2);
    fleet.append(&[change(-1, &gone, Cause::FenceEdit, 9)]);
    fleet.rows.remove(&("visits", gone.key_bytes()));
    apply_all(&mut writer, &fleet, limits(100)).unwrap();
    assert_eq!(rows_of(&topics.read("dead_letters"), None).len(), 1);

    topics.set("visits", "max.message.bytes", "100000");
    let running = follow(&topics, &fleet);
    wait_until("everything was compared", || running.status().report().resyncs == 1);
    running.stop(LIMIT);
    assert_eq!(rows_of(&topics.read("dead_letters"), None).len(), 0);
    assert_is(&topics, &fleet);
}

#[test]
fn topics_that_are_not_what_the_cursor_says_are_compared() {
    let Some(topics) = Topics::new() else { return };
    let mut fleet = Fleet::new(6);
    for _ in 0..5 {
        fleet.grow(80);
    }
    let mut resyncs = 0;
    let mut follows = |fleet: &mut Fleet, what: &str| {
        let running = follow(&topics, fleet);
        fleet.grow(20);
        running.bell()();
        wait_until(what, || running.status().report().as_of.tick == fleet.tick);
        resyncs += running.status().report().resyncs;
        running.stop(LIMIT);
        assert_is(&topics, fleet);
        resyncs
    };
    assert_eq!(follows(&mut fleet, "all is written"), 0);
    topics.delete("visits");
    assert_eq!(follows(&mut fleet, "a deleted topic is filled anew"), 1);
    topics.delete("cursor");
    topics.send("trips", 1, "[\"nobody's\"]", Some("{}"));
    topics.send("presences", 2, "rubbish", Some("rubbish"));
    assert_eq!(follows(&mut fleet, "without a cursor all is compared"), 2);
    topics.widen("rejects", 5);
    assert_eq!(follows(&mut fleet, "keys are where they belong among more partitions"), 3);
    let rejects = topics.read("rejects");
    for seen in rejects.iter().filter(|seen| partition_of(seen.key.as_bytes(), 5) != seen.partition) {
        let last = rejects.iter().rfind(|other| (other.partition, &other.key) == (seen.partition, &seen.key));
        assert!(last.is_some_and(|last| last.value.is_none()), "{seen:?}");
    }
    assert_eq!(follows(&mut fleet, "then it follows"), 3);
}

#[test]
fn rows_of_another_journal_and_of_a_changelog_that_was_trimmed_are_compared() {
    let Some(topics) = Topics::new() else { return };
    let mut one = Fleet::new(7);
    for _ in 0..5 {
        one.grow(80);
    }
    apply_all(&mut sink(&topics), &one, limits(1000)).unwrap();
    let mut other = Fleet::new(8);
    for _ in 0..9 {
        other.grow(80);
    }
    let running = follow(&topics, &other);
    wait_for(&running, other.tick);
    assert_eq!(running.status().report().resyncs, 1);
    running.stop(LIMIT);
    assert_is(&topics, &other);
    for _ in 0..9 {
        other.grow(80);
    }
    other.changelog.trim(instant_ms(other.tick)).unwrap();
    let running = follow(&topics, &other);
    wait_for(&running, other.tick);
    assert_eq!(running.status().report().resyncs, 1);
    running.stop(LIMIT);
    assert_is(&topics, &other);
    // A comparison of what is the same writes nothing.
    let mut writer = sink(&topics);
    writer.position().unwrap();
    let written = writer.resync(other.changelog.identity(), &other.changelog.rows()).unwrap();
    assert_eq!(written, Written::default());
    let other_prefix = Topics::new().unwrap();
    apply_all(&mut sink(&topics), &other, limits(1000)).unwrap();
    let running = follow(&other_prefix, &other);
    wait_for(&running, other.tick);
    running.stop(LIMIT);
    assert_is(&other_prefix, &other);
}

#[test]
fn topics_that_forget_are_warned_of_and_taken() {
    let Some(topics) = Topics::new() else { return };
    topics.make("visits", 2);
    let mut fleet = Fleet::new(9);
    fleet.grow(80);
    apply_all(&mut sink(&topics), &fleet, limits(1000)).unwrap();
    assert_is(&topics, &fleet);
    let partitions: BTreeSet<i32> = topics.read("visits").iter().map(|seen| seen.partition).collect();
    assert_eq!(partitions, BTreeSet::from([0, 1]));
}
