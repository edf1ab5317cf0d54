//! The service with its tables in PostgreSQL: killed and started, without a server, verified, migrated.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use crate::common::{
    Client, Database, LIMIT, Service, circle, export, fence_record, fix, now_ms, replay, succeed, wait_until,
    watchtower,
};

/// Short stays are visits here, so that there are many.
const SETTINGS: [&str; 4] = ["--set", "visits.min_dwell_s=10", "--set", "visits.max_absence_s=5"];
const KILLS: usize = 6;

fn verify(data: &Path, set: Option<&str>) -> Output {
    let mut command = watchtower();
    command.args(["verify", "--data"]).arg(data);
    if let Some(set) = set {
        command.args(["--set", set]);
    }
    command.output().expect("verify can be started")
}

/// Positions of a fleet that drives in and out of a yard; every seventh comes late.
struct Traffic {
    sent: i64,
    start_ms: i64,
}

impl Traffic {
    fn new() -> Traffic {
        Traffic { sent: 0, start_ms: (now_ms() / 1000 - 10 * 3_600) * 1000 }
    }

    fn next(&mut self) -> String {
        self.sent += 1;
        let vehicle = format!("T{}", self.sent % 5);
        let late_ms = if self.sent % 7 == 0 { 400_000 } else { 0 };
        let lon = if self.sent / 40 % 2 == 0 { 3.4 } else { 3.5 };
        fix(&vehicle, self.start_ms + self.sent * 7_000 - late_ms, lon, 6.5)
    }

    fn post(&mut self, client: &mut Client, records: usize) -> bool {
        let body: Vec<String> = (0..records).map(|_| self.next()).collect();
        client.post("/api/v1/records", body.join("\n").as_bytes()).is_ok_and(|answer| answer.status == 200)
    }
}

#[test]
fn tables_equal_a_replay_of_the_export_over_kills_of_the_service() {
    let Some(database) = Database::new() else { return };
    let set = database.sink_setting();
    let folder = tempfile::tempdir().expect("a folder");
    let args = [&SETTINGS[..], &["--set", &set]].concat();
    let mut traffic = Traffic::new();
    for kill in 0..=KILLS {
        let mut service = Service::start(folder.path(), &args);
        let mut client = service.client();
        if kill == 0 {
            let fence = fence_record(&circle("yard", 3.4, 6.5, 300.0));
            assert_eq!(client.post("/api/v1/records", fence.as_bytes()).expect("an answer").status, 200);
        }
        for _ in 0..60 {
            assert!(traffic.post(&mut client, 5));
        }
        if kill < KILLS {
            service.kill();
            continue;
        }
        // Verified while it runs, through the service, which knows its database.
        wait_until("the tables are there", LIMIT, || verify(folder.path(), None).status.success());
        let said = String::from_utf8_lossy(&verify(folder.path(), None).stdout).into_owned();
        assert!(said.contains("\n0 differences in PostgreSQL: "), "{said}");
        wait_until("the sink says that it is there", LIMIT, || {
            let metrics = client.get("/metrics").expect("figures");
            metrics.text().contains("watchtower_sink_up{sink=\"postgres\"} 1")
        });
        service.stop();
    }
    // What it closed last is there when it has stopped.
    let tables = replay(&export(folder.path()));
    for (table, columns) in [
        ("presences", "vehicle_id, fence_id, entered, exited, end_reason"),
        ("visits", "vehicle_id, fence_id, arrived, departed, confirmed_at, presences"),
        ("rejects", "seq, vehicle_id, event_time, reason, used"),
    ] {
        // In the order of keys, and with times as the contract writes them.
        let key =
            columns.split(", ").take(if table == "rejects" { 1 } else { 3 }).collect::<Vec<_>>().join(", ");
        let sql =
            format!("SELECT to_json(r) FROM (SELECT {columns} FROM watchtower.{table} ORDER BY {key}) AS r");
        let sql = format!("SET TIME ZONE 'UTC'; {sql}");
        let told = database.ask(&sql);
        let rows: Vec<String> = told.lines().map(|row| row.replace("+00:00\"", "Z\"")).collect();
        assert_eq!(rows, tables.table(table), "{table}");
    }
    assert!(tables.table("visits").len() > 20 && tables.table("presences").len() > 20);
    let epochs = database.ask("SELECT epoch FROM watchtower.as_of").parse::<usize>().expect("a number");
    assert!((1..=KILLS + 1).contains(&epochs), "{epochs} starts");

    // A row that somebody else changed is named.
    database.ask("UPDATE watchtower.visits SET presences = 99 WHERE vehicle_id = 'T1'");
    let output = verify(folder.path(), Some(&set));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("visits, PostgreSQL: kept ") && said.contains("\"presences\":99"), "{said}");
}

#[test]
fn a_service_works_without_its_database_and_stops_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    // Nobody listens there: the port is closed before the service starts.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it").port();
    let set = format!("sinks.postgres.url=postgres://user:hidden-word@127.0.0.1:{port}/nowhere");
    let mut service = Service::start(folder.path(), &["--set", &set]);
    let mut client = service.client();
    assert!(Traffic::new().post(&mut client, 5));
    wait_until("the sink has failed", LIMIT, || {
        let metrics = client.get("/metrics").expect("figures").text().to_owned();
        metrics.contains("watchtower_sink_up{sink=\"postgres\"} 0")
            && !metrics.contains("watchtower_sink_failures_total{sink=\"postgres\"} 0")
    });
    let begun = std::time::Instant::now();
    let said = service.stop();
    assert!(begun.elapsed() < Duration::from_secs(20), "it does not wait for what is away");
    assert!(said.contains("the sink failed") && !said.contains("hidden-word"), "{said}");
}

#[test]
fn the_schema_is_migrated_by_command() {
    let Some(database) = Database::new() else { return };
    let set = database.sink_setting();
    let migrate = |args: &[&str]| {
        let output = succeed(watchtower().arg("migrate").args(args).args(["--set", &set]));
        String::from_utf8(output.stdout).expect("text")
    };
    assert!(migrate(&["status"]).lines().all(|line| line.ends_with(" missing")));
    assert!(migrate(&["up"]).starts_with("0001_derived_tables up\n"));
    assert_eq!(migrate(&["up"]), "nothing to migrate\n");
    assert!(migrate(&["status"]).lines().all(|line| line.ends_with(" applied")));
    let one_down = migrate(&["down"]);
    assert_eq!(one_down.lines().count(), 1, "{one_down}");
    assert!(migrate(&["down", "--to", "0"]).ends_with("0001_derived_tables down\n"));

    let refused = watchtower().args(["migrate", "up"]).output().expect("it can be started");
    assert_eq!(refused.status.code(), Some(2));
    let wrong = ["run", "--set", "sinks.postgres.url=mysql://user:hidden-word@localhost/x"];
    let refused = watchtower().args(wrong).output().expect("it can be started");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("sinks.postgres.url") && !said.contains("hidden-word"), "{said}");
}
