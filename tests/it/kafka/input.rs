//! Topics of Kafka as an input.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::{Topics, as_args};
use crate::common::{
    LIMIT, Service, export, fix, now_ms, positions_in, succeed, verify, wait_until, watchtower,
};

struct Sender {
    producer: BaseProducer,
    topic: String,
}

impl Sender {
    fn new(topics: &mut Topics) -> Sender {
        let topic = topics.make("in", 3);
        Sender { topic, ..Sender::at(topics) }
    }

    fn at(topics: &Topics) -> Sender {
        let mut config = ClientConfig::new();
        let producer = config.set("bootstrap.servers", &topics.brokers).create().expect("a producer");
        Sender { producer, topic: String::new() }
    }

    fn send(&self, key: &str, value: Option<&str>) {
        let mut record = BaseRecord::<str, str>::to(&self.topic).key(key);
        if let Some(value) = value {
            record = record.payload(value);
        }
        self.producer.send(record).map_err(|(error, _)| error).expect("the message can be queued");
    }

    fn flush(&self) {
        self.producer.flush(Duration::from_secs(20)).expect("messages are delivered");
    }
}

fn with_topics(settings: &[&str], sender: &Sender, brokers: &str) -> Vec<String> {
    let own = [format!("kafka.brokers={brokers}"), format!("sources.kafka.topics=[\"{}\"]", sender.topic)];
    let own = own.into_iter().flat_map(|setting| ["--set".to_owned(), setting]);
    own.chain(settings.iter().map(|setting| (*setting).to_owned())).collect()
}

/// Waits until the service has so many positions.
fn wait_for_positions(service: &Service, count: usize) {
    wait_until("all messages are in the journal", LIMIT, || {
        positions_in(&export(service.data())).len() >= count
    });
}

#[test]
fn messages_are_in_the_journal_once_however_often_the_service_dies() {
    let Some(mut topics) = Topics::of_shared_broker("once") else { return };
    let sender = Sender::new(&mut topics);
    let settings = with_topics(&[], &sender, &topics.brokers);
    let dir = tempfile::tempdir().expect("a folder");
    let start = now_ms() - 20 * 3_600_000;
    let mut sent = 0;
    for round in 0..4 {
        let service = Service::start(dir.path(), &as_args(&settings));
        let before = sent;
        for _ in 0..3000 {
            let vehicle = format!("T{}", sent % 9);
            sender.send(&vehicle, Some(&fix(&vehicle, start + sent, 3.4, 6.5)));
            sent += 1;
        }
        sender.flush();
        if round % 2 == 0 {
            // In the middle of it.
            wait_for_positions(&service, usize::try_from(before + 1).expect("a count"));
            service.kill();
        } else {
            wait_for_positions(&service, usize::try_from(sent).expect("a count"));
            service.stop();
        }
    }
    verify(dir.path());
    let kept = positions_in(&export(dir.path()));
    assert_eq!(kept.len(), usize::try_from(sent).expect("a count"));
    assert!(kept.values().all(|count| *count == 1), "nothing is there twice");
}

#[test]
fn from_the_latest_on_nothing_is_left_out_that_came_after_the_first_start() {
    let Some(mut topics) = Topics::of_shared_broker("latest") else { return };
    let sender = Sender::new(&mut topics);
    let later = format!("{}.later", topics.prefix);
    let set_topics = format!("sources.kafka.topics=[\"{}\", \"{later}\"]", sender.topic);
    let settings =
        with_topics(&["--set", "sources.kafka.start=latest", "--set", &set_topics], &sender, &topics.brokers);
    let dir = tempfile::tempdir().expect("a folder");
    let start = now_ms() - 20 * 3_600_000;
    let send = |sender: &Sender, from: i64| {
        for i in from..from + 30 {
            sender.send(&i.to_string(), Some(&fix("T1", start + i * 1000, 3.4, 6.5)));
        }
        sender.flush();
    };
    send(&sender, 0);
    let mut service = Service::start(dir.path(), &as_args(&settings));
    wait_until("all partitions are begun, and that is noted", LIMIT, || {
        let figures = service.client().get("/metrics").expect("figures").text().to_owned();
        figures.contains("\nwatchtower_kafka_input_up 1\n")
    });
    // Nothing came while it ran; what comes while it is down is not forgotten.
    service.kill();
    send(&sender, 100);
    let service = Service::start(dir.path(), &as_args(&settings));
    wait_for_positions(&service, 30);
    // A topic that was not there at the start is read from its beginning.
    let late = Sender { topic: topics.make("later", 2), ..Sender::at(&topics) };
    send(&late, 200);
    wait_for_positions(&service, 60);
    service.stop();
    let kept = positions_in(&export(dir.path()));
    assert!(kept.keys().all(|(_, time)| *time >= start + 100_000), "what was there before is left out");
    assert_eq!((kept.len(), kept.values().all(|count| *count == 1)), (60, true));
}

#[test]
fn bad_messages_are_dead_letters_and_the_rest_goes_on() {
    let Some(mut topics) = Topics::of_shared_broker("bad") else { return };
    let sender = Sender::new(&mut topics);
    let mapping = r#"sources.kafka.mapping={vehicle_id="d.id",event_time="t",lon="p.x",lat="p.y"}"#;
    let settings =
        with_topics(&["--set", mapping, "--set", "sources.kafka.time=ms"], &sender, &topics.brokers);
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &as_args(&settings));
    let time = now_ms() - 3_600_000;
    let good = |i: i64| format!(r#"{{"d":{{"id":"T1","x":1}},"t":{},"p":{{"x":3.4,"y":6.5}}}}"#, time + i);
    for i in 0..20 {
        sender.send("k", Some(&good(i)));
        match i % 5 {
            0 => sender.send("k", Some("rubbish")),
            1 => sender.send("k", None),
            2 => sender.send("k", Some(r#"{"d":{"id":"T1"},"t":"soon"}"#)),
            _ => {}
        }
    }
    sender.flush();
    wait_for_positions(&service, 20);
    let list = || {
        let output = succeed(watchtower().args(["dead-letters", "list", "--data"]).arg(dir.path()));
        String::from_utf8(output.stdout).expect("text")
    };
    wait_until("all that is bad is listed", LIMIT, || list().contains("\n12 kept"));
    let listed = list();
    for word in
        [&format!("topic={}", sender.topic), "partition=", "offset=", "no value", "event_time", "kafka"]
    {
        assert!(listed.contains(word), "{word}: {listed}");
    }
    service.wait_until_ready();
    let mut client = service.client();
    let metrics = client.get("/metrics").expect("figures").text().to_owned();
    assert!(metrics.contains("watchtower_kafka_input_messages_total 32"), "{metrics}");
    assert!(metrics.contains("\nwatchtower_kafka_input_up 1\n"), "{metrics}");
    wait_until("nothing is left to read", LIMIT, || {
        client.get("/metrics").expect("figures").text().contains("watchtower_kafka_input_lag 0")
    });
    service.stop();
    // Nothing of it comes again.
    let service = Service::start(dir.path(), &as_args(&settings));
    sender.send("k", Some(&good(1000)));
    sender.flush();
    wait_for_positions(&service, 21);
    assert_eq!(list(), listed);
    // A letter is sent again in the format of its message: refused as it is, taken when it is mended.
    let id = listed.split_whitespace().next().expect("a letter");
    let mut service = service;
    let mut replay = |body: &str| {
        let path = format!("/api/v1/dead-letters/{id}/replay");
        service.client().post(&path, body.as_bytes()).expect("an answer").status
    };
    assert_eq!((replay(""), replay(&good(2000))), (400, 200));
    wait_for_positions(&service, 22);
    assert!(!list().starts_with(&format!("{id} ")));
    service.stop();
    assert!(positions_in(&export(dir.path())).values().all(|count| *count == 1));
    verify(dir.path());
}

#[test]
fn a_topic_and_the_journal_may_both_be_on_kafka() {
    let Some(mut topics) = Topics::of_shared_broker("both") else { return };
    let sender = Sender::new(&mut topics);
    let journal = topics.journal_settings();
    let settings = with_topics(&as_args(&journal), &sender, &topics.brokers);
    let start = now_ms() - 20 * 3_600_000;
    let send = |from: i64| {
        for i in from..from + 200 {
            sender.send(&i.to_string(), Some(&fix("T1", start + i, 3.4, 6.5)));
        }
        sender.flush();
    };
    // The second folder knows nothing but what the journal says.
    for (round, count) in [(0, 200), (1, 400)] {
        let dir = tempfile::tempdir().expect("a folder");
        send(round * 200);
        let service = Service::start(dir.path(), &as_args(&settings));
        wait_for_positions(&service, count);
        service.stop();
        let kept = positions_in(&export(dir.path()));
        assert_eq!((kept.len(), kept.values().all(|count| *count == 1)), (count, true));
    }
}
