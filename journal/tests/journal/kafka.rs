//! What only a journal on Kafka can do, and what it refuses.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use journal::{AppendError, Log, Store, StoreError};
use rdkafka::admin::{AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use super::place::{Place, admin, block_on};
use super::{append, assert_no_gaps, quiet, read_all, received};

const PATIENCE: Duration = Duration::from_secs(10);

fn refused(place: &Place) -> String {
    match place.try_open(quiet()) {
        Err(StoreError::Refused(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was opened"),
    }
}

/// Appends some entries, and stops.
fn write(store: &Store, payloads: impl IntoIterator<Item = Vec<u8>>) {
    let log = store.log();
    let live = log.start().unwrap();
    let tickets: Vec<_> =
        payloads.into_iter().map(|payload| log.append(2, "ctx", payload).unwrap()).collect();
    tickets.into_iter().for_each(|ticket| _ = ticket.wait_blocking().unwrap());
    log.stop();
    drop(live);
}

fn bytes(count: u32) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|i| i.to_be_bytes().to_vec())
}

#[test]
fn another_folder_reads_the_same_ticks_and_goes_on() {
    let Some(place) = Place::kafka("another-folder") else { return };
    write(&place.open(quiet()), bytes(500));
    let ticks = read_all(&place.open(quiet()).log());
    let another = place.in_another_folder();
    assert_eq!(read_all(&another.open(quiet()).log()), ticks);
    write(&another.open(quiet()), bytes(10));
    let more = read_all(&place.open(quiet()).log());
    assert_eq!(more[..ticks.len()], ticks);
    assert_no_gaps(&more);
    let payloads = more.iter().flat_map(|tick| &tick.entries).map(|entry| entry.payload.clone());
    assert!(payloads.eq(bytes(500).chain(bytes(10))), "over three partitions, in order");
}

#[test]
fn an_archive_is_a_copy_of_what_the_topics_have() {
    let Some(place) = Place::kafka("archived") else { return };
    // Of each start a tick at least: the last one is not archived.
    write(&place.open(quiet()), bytes(300));
    write(&place.open(quiet()), bytes(3));
    let ticks = read_all(&place.open(quiet()).log());
    let store = place.open(quiet());
    let tomorrow_ms = ticks.last().unwrap().instant_ms + 2 * 24 * 3_600_000;
    let days = store.archive(tomorrow_ms, false, &mut |_| true).unwrap();
    assert!(!days.is_empty());
    assert_eq!(read_all(&store.log()), ticks);
    drop(store);
    assert_eq!(read_all(&place.open(quiet()).log()), ticks, "the folder opens again");
    write(&place.open(quiet()), bytes(10));
    assert_eq!(read_all(&place.open(quiet()).log())[..ticks.len()], ticks);
}

#[test]
fn ticks_are_found_from_any_of_them_on() {
    let Some(place) = Place::kafka("from-any") else { return };
    let store = place.open(quiet());
    let log = store.log();
    let live = log.start().unwrap();
    for payload in bytes(300) {
        log.append(2, "", payload).unwrap().wait_blocking().unwrap();
        while live.try_recv().is_ok() {}
    }
    log.stop();
    let ticks = read_all(&log);
    assert!(ticks.len() > 200, "{}", ticks.len());
    for from in [2, 3, ticks.len() / 3, ticks.len() / 2 + 1, ticks.len() - 1, ticks.len()] {
        let read: Vec<_> = log.read(from as u64, from as u64 + 4).map(Result::unwrap).collect();
        assert_eq!(read, ticks[from - 1..(from + 4).min(ticks.len())], "from {from}");
    }
}

#[test]
fn a_writer_that_was_taken_over_stops_and_acknowledges_nothing() {
    let Some(place) = Place::kafka("zombie") else { return };
    let old = place.open(quiet());
    let live = old.log().start().unwrap();
    append(&old.log(), b"old");

    let another = place.in_another_folder();
    let new = another.open(quiet());
    // It came before the takeover, and is handed to the one that takes over.
    append(&old.log(), b"late");
    let taken = new.log().start().unwrap();
    append(&new.log(), b"new");

    let refused = old.log().append(2, "", b"zombie".to_vec()).unwrap().wait_blocking().unwrap_err();
    assert!(matches!(&refused, AppendError::Failed(why) if why.contains("taken over")), "{refused}");
    assert!(old.log().failure().is_some_and(|why| why.contains("taken over")));
    assert!(matches!(old.log().append(2, "", Vec::new()), Err(AppendError::Failed(_))));
    assert_eq!(received(&live).len(), 2);

    append(&new.log(), b"newer");
    new.log().stop();
    let payloads = |ticks: &[journal::Tick]| -> Vec<Vec<u8>> {
        ticks.iter().flat_map(|tick| tick.entries.iter().map(|entry| entry.payload.clone())).collect()
    };
    let ticks = read_all(&new.log());
    assert_no_gaps(&ticks);
    assert_eq!(payloads(&ticks), [&b"old"[..], b"late", b"new", b"newer"]);
    assert_eq!(received(&taken), ticks[1..], "the tick of the old writer comes first");
}

/// Begins to write where another one may do the same, and gives what was acknowledged.
fn begin(place: &Place, together: &Barrier, payload: &[u8]) -> Option<Vec<u8>> {
    let store = place.try_open(quiet());
    together.wait();
    let log = store.ok()?.log();
    let _live = log.start().ok()?;
    let ticket = log.append(2, "", payload.to_vec()).ok()?;
    let kept = ticket.wait_blocking().is_ok();
    log.stop();
    kept.then(|| payload.to_vec())
}

#[test]
fn two_that_begin_a_journal_at_the_same_moment_leave_one_that_both_can_open() {
    for _ in 0..8 {
        let Some(place) = Place::kafka("begin") else { return };
        let another = place.in_another_folder();
        let together = Barrier::new(2);
        let kept: Vec<Vec<u8>> = std::thread::scope(|scope| {
            let first = scope.spawn(|| begin(&place, &together, b"one"));
            let second = scope.spawn(|| begin(&another, &together, b"two"));
            [first, second].into_iter().filter_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(!kept.is_empty(), "one of them writes");
        write(&another.open(quiet()), bytes(1));
        write(&place.open(quiet()), bytes(1));
        let ticks = read_all(&another.open(quiet()).log());
        assert_no_gaps(&ticks);
        let entries: Vec<_> =
            ticks.iter().flat_map(|tick| &tick.entries).map(|entry| &entry.payload).collect();
        for payload in &kept {
            assert_eq!(entries.iter().filter(|entry| **entry == payload).count(), 1, "{payload:?}");
        }
    }
}

/// A producer with the journal's transactional id, as a writer's that died.
fn dying_producer(place: &mut Place) -> BaseProducer {
    let options = place.kafka_options();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &options.brokers).set("transactional.id", &options.topic_prefix);
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

#[test]
fn what_was_not_committed_is_not_there() {
    let Some(mut place) = Place::kafka("uncommitted") else { return };
    write(&place.open(quiet()), bytes(5));
    let ticks = read_all(&place.open(quiet()).log());
    let prefix = place.kafka_options().topic_prefix.clone();
    let send = |producer: &BaseProducer| {
        producer.begin_transaction().unwrap();
        for partition in 0..3 {
            let topic = format!("{prefix}.raw");
            let record = BaseRecord::to(&topic).partition(partition).key("key").payload("never committed");
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        let topic = format!("{prefix}.ticks");
        let record = BaseRecord::to(&topic).partition(0).key("key").payload("never committed");
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(PATIENCE).unwrap();
    };
    // Transactions that were undone leave markers behind, far more than records.
    let producer = dying_producer(&mut place);
    for _ in 0..40 {
        send(&producer);
        producer.abort_transaction(PATIENCE).unwrap();
    }
    assert_eq!(read_all(&place.open(quiet()).log()), ticks);
    // One that never ends is in nobody's way for long.
    send(&producer);
    assert_eq!(read_all(&place.open(quiet()).log()), ticks);
    let began = Instant::now();
    write(&place.open(quiet()), bytes(3));
    assert!(began.elapsed() < PATIENCE, "it took {:?}", began.elapsed());
    drop(producer);
    let more = read_all(&place.open(quiet()).log());
    assert_eq!(more[..ticks.len()], ticks);
    assert_no_gaps(&more);
    assert_eq!(more.iter().map(|tick| tick.entries.len()).sum::<usize>(), 8);
}

#[test]
fn a_journal_without_its_beginning_is_refused() {
    let Some(mut place) = Place::kafka("cut") else { return };
    write(&place.open(quiet()), bytes(50));
    let prefix = place.kafka_options().topic_prefix.clone();
    let mut cut = TopicPartitionList::new();
    cut.add_partition_offset(&format!("{prefix}.raw"), 1, Offset::Offset(3)).unwrap();
    let admin = admin(place.kafka_options());
    block_on(admin.delete_records(&cut, &AdminOptions::new())).unwrap();
    let why = refused(&place);
    assert!(why.contains("partition 1") && why.contains("deleted") && why.contains("restore"), "{why}");
}

#[test]
fn topics_that_forget_are_refused() {
    let Some(mut place) = Place::kafka("forgetful") else { return };
    drop(place.open(quiet()));
    let prefix = place.kafka_options().topic_prefix.clone();
    let topic = format!("{prefix}.ticks");
    let set = |admin: &super::place::Admin, name: &str, value: &str| {
        let config = AlterConfig::new(ResourceSpecifier::Topic(&topic)).set(name, value);
        block_on(admin.alter_configs([&config], &AdminOptions::new())).unwrap();
    };
    let admin = admin(place.kafka_options());
    for (name, value) in [("retention.ms", "604800000"), ("cleanup.policy", "compact")] {
        set(&admin, name, value);
        let deadline = Instant::now() + PATIENCE;
        let why = loop {
            match place.try_open(quiet()) {
                Err(StoreError::Refused(why)) => break why,
                _ => assert!(Instant::now() < deadline, "{name}={value} is not refused"),
            }
        };
        assert!(why.contains(name), "{why}");
    }
}

#[test]
fn a_topic_of_ticks_with_several_partitions_is_refused() {
    let Some(mut place) = Place::kafka("two-orders") else { return };
    let prefix = place.kafka_options().topic_prefix.clone();
    let admin = admin(place.kafka_options());
    let names = [format!("{prefix}.raw"), format!("{prefix}.ticks")];
    let topics = names.each_ref().map(|name| {
        NewTopic::new(name, 2, TopicReplication::Fixed(1))
            .set("retention.ms", "-1")
            .set("retention.bytes", "-1")
    });
    block_on(admin.create_topics(&topics, &AdminOptions::new())).unwrap();
    assert!(refused(&place).contains("needs one"), "{}", refused(&place));
}

#[test]
fn a_folder_stays_with_its_journal() {
    let Some(mut place) = Place::kafka("identity") else { return };
    write(&place.open(quiet()), bytes(3));
    let prefix = place.kafka_options().topic_prefix.clone();

    // Without being told, the folder knows where its journal is.
    let ticks = read_all(&place.open(quiet()).log());
    assert_eq!(read_all(&Store::open(place.dir(), quiet()).unwrap().log()), ticks);
    let embedded = journal::Options { journal: journal::JournalKind::Embedded, ..quiet() };
    assert!(
        matches!(Store::open(place.dir(), embedded), Err(StoreError::Refused(why)) if why.contains("on Kafka"))
    );

    let mut other = place.in_another_folder();
    other.kafka_options().topic_prefix = format!("{prefix}-b");
    write(&other.open(quiet()), bytes(3));
    place.kafka_options().topic_prefix = format!("{prefix}-b");
    assert!(refused(&place).contains("another journal's"), "{}", refused(&place));
    place.kafka_options().topic_prefix = format!("{prefix}-c");
    assert!(refused(&place).contains("no records"), "{}", refused(&place));
    place.delete_topics();
    place.kafka_options().topic_prefix = prefix;

    let folder = Place::folder();
    write(&folder.open(quiet()), bytes(3));
    let options = journal::Options { journal: place.journal().clone(), ..quiet() };
    assert!(
        matches!(Store::open(folder.dir(), options), Err(StoreError::Refused(why)) if why.contains("in the folder"))
    );
}

#[test]
fn large_entries_are_taken_and_too_large_ones_refused() {
    let Some(place) = Place::kafka("large") else { return };
    let store = place.open(quiet());
    let log = store.log();
    let live = log.start().unwrap();
    // Bytes that can't be compressed.
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    let large: Vec<u8> = (0..20 << 20).map(|_| random()).collect();
    log.append(2, "", large.clone()).unwrap().wait_blocking().unwrap();
    assert!(matches!(log.append(2, "", vec![0; 64 << 20]), Err(AppendError::TooLarge { .. })));
    log.stop();
    drop(live);
    assert_eq!(read_all(&log)[0].entries[0].payload, large);
}

#[test]
fn brokers_that_are_not_there_are_named() {
    let Some(mut place) = Place::kafka("nowhere") else { return };
    let brokers = std::mem::replace(&mut place.kafka_options().brokers, "127.0.0.1:1".to_owned());
    let Err(error) = place.try_open(quiet()) else { panic!("opened") };
    assert!(matches!(error, StoreError::Kafka { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
    place.kafka_options().brokers = brokers;
}

#[test]
fn what_others_wrote_into_the_topics_is_found() {
    let Some(mut place) = Place::kafka("foreign") else { return };
    write(&place.open(quiet()), bytes(4));
    let options = place.kafka_options();
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", &options.brokers).create().unwrap();
    let send = |topic: &str| {
        producer
            .send(BaseRecord::to(topic).partition(0).key("k").payload("v"))
            .map_err(|(error, _)| error)
            .unwrap();
        producer.flush(PATIENCE).unwrap();
    };
    let (raw, ticks) = (format!("{}.raw", options.topic_prefix), format!("{}.ticks", options.topic_prefix));
    send(&raw);
    let store = place.open(quiet());
    let before = read_all(&store.log());
    write(&store, bytes(4));
    drop(store);
    let after = read_all(&place.open(quiet()).log());
    assert!(after.len() > before.len(), "entries that no tick names are passed over");
    send(&ticks);
    assert!(refused(&place).contains("not the journal's"), "{}", refused(&place));
}

#[test]
fn entries_are_spread_over_all_partitions() {
    let Some(mut place) = Place::kafka("spread") else { return };
    write(&place.open(quiet()), bytes(90));
    let options = place.kafka_options();
    let mut config = ClientConfig::new();
    let consumer: BaseConsumer =
        config.set("bootstrap.servers", &options.brokers).set("group.id", "spread").create().unwrap();
    for partition in 0..3 {
        let marks = consumer.fetch_watermarks(&format!("{}.raw", options.topic_prefix), partition, PATIENCE);
        assert!(marks.unwrap().1 >= 30);
    }
}
