//! Derived tables as topics of Kafka: services and brokers are killed, and what is there stays that of one tick.

use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use super::broker::Broker;
use super::journal::drive;
use super::{Topics, as_args};
use crate::common::{
    LIMIT, OTHERS, Service, TABLES, export, fix, now_ms, positions_in, replay, tick_of, wait_until,
    watchtower,
};

/// Kills of a service; each is somewhere in a transaction or between two.
const KILLS: i64 = 5;

fn sink_settings(topics: &mut Topics) -> Vec<String> {
    let tables = TABLES.into_iter().chain(OTHERS).chain(["dead_letters", "cursor"]);
    topics.names.extend(tables.map(|table| format!("{}.{table}", topics.prefix)));
    let settings = [
        format!("sinks.kafka.brokers={}", topics.brokers),
        format!("sinks.kafka.topic_prefix={}", topics.prefix),
        "sinks.kafka.partitions=3".to_owned(),
        "visits.min_dwell_s=10".to_owned(),
    ];
    settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect()
}

fn verify(data: &Path, settings: &[String]) -> Output {
    let mut command = watchtower();
    command.args(["verify", "--data"]).arg(data).args(settings);
    command.output().expect("verify can be started")
}

fn assert_verified(data: &Path, settings: &[String]) {
    let output = verify(data, settings);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains("\n0 differences in Kafka: "), "{said}");
}

fn figure(service: &mut Service, name: &str) -> f64 {
    let metrics = service.client().get("/metrics").expect("figures").text().to_owned();
    let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("{name}{{sink=\"kafka\"}} ")));
    line.expect("the figure is there").parse().expect("a number")
}

/// Waits until the topics are at the last closed tick or a later one.
fn wait_for_tick(service: &mut Service, tick: u64) {
    wait_until("the topics are at the tick", LIMIT, || {
        figure(service, "watchtower_sink_tick") >= tick as f64
    });
}

#[test]
fn topics_equal_a_replay_of_the_export_over_kills_of_the_service() {
    let Some(mut topics) = Topics::of_shared_broker("sink") else { return };
    let settings = sink_settings(&mut topics);
    let folder = tempfile::tempdir().expect("a folder");
    for kill in 0..=KILLS {
        let mut service = Service::start(folder.path(), &as_args(&settings));
        let tick = drive(&mut service, 20 + kill);
        if kill < KILLS {
            service.kill();
            continue;
        }
        wait_for_tick(&mut service, tick);
        assert_eq!(figure(&mut service, "watchtower_sink_up") as u8, 1);
        // Verified while it runs, through the service, which knows its topics.
        assert_verified(folder.path(), &[]);
        service.stop();
    }
    assert_verified(folder.path(), &settings);
    let tables = replay(&export(folder.path()));
    for table in ["presences", "visits", "crossings", "rejects"] {
        let mut rows = topics.read_rows(table);
        let mut must_be = tables.table(table).to_vec();
        rows.sort();
        must_be.sort();
        assert_eq!(rows, must_be, "{table}");
    }
    assert!(tables.table("visits").len() >= 5);

    // Another prefix is another sink, and gets everything.
    let mut other = Topics::of_shared_broker("sink-other").expect("the same broker");
    let other_settings = sink_settings(&mut other);
    let service = Service::start(folder.path(), &as_args(&other_settings));
    service.stop();
    assert_verified(folder.path(), &other_settings);

    // A row that somebody else wrote is named.
    topics.write("visits", "[\"nobody\"]", "{}");
    let output = verify(folder.path(), &settings);
    assert!(output.status.success(), "behind the cursor's ends it is nobody's");
    let service = Service::start(folder.path(), &as_args(&settings));
    service.stop();
}

#[test]
fn a_broker_that_is_killed_delays_nobody_and_gets_what_it_missed() {
    let Some(mut broker) = Broker::start() else { return };
    let mut topics = Topics::at(broker.address.clone(), "sink");
    let settings = sink_settings(&mut topics);
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &as_args(&settings));
    let start = now_ms() - 20 * 3_600_000;
    let mut sent = 0;
    let mut tick = drive(&mut service, 10);
    wait_for_tick(&mut service, tick);
    for round in 0..4 {
        let mut client = service.client();
        for post in 0..60 {
            let records: Vec<String> = (0..20)
                .map(|_| {
                    sent += 1;
                    fix(&format!("K{}", sent % 7), start + sent * 1000, 3.4, 6.5)
                })
                .collect();
            let answer = client.post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
            tick = tick_of(&answer, records.len());
            if post == 30 {
                broker.kill();
            }
        }
        if round == 0 {
            wait_until("it is told that the broker is away", LIMIT, || {
                figure(&mut service, "watchtower_sink_up") as u8 == 0
            });
            assert!(figure(&mut service, "watchtower_sink_failures_total") >= 1.0);
        }
        broker.start_again();
        wait_for_tick(&mut service, tick);
    }
    assert_verified(dir.path(), &[]);
    broker.kill();
    let began = Instant::now();
    let said = service.stop();
    assert!(began.elapsed() < Duration::from_secs(20), "it does not wait for what is away");
    assert!(said.contains("the sink failed"), "{said}");
    assert_eq!(positions_in(&export(dir.path())).len(), 10 * 5 + usize::try_from(sent).expect("a count"));
}

#[test]
fn what_can_be_no_sink_is_refused() {
    for set in ["sinks.kafka.topic_prefix=a b", "sinks.kafka.partitions=0"] {
        let args = ["run", "--set", "sinks.kafka.topic_prefix=fleet", "--set", set];
        let refused = watchtower().args(args).output().expect("it can be started");
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{said}");
        assert!(said.contains("sinks.kafka."), "{said}");
    }
}
