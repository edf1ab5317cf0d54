//! What the journal says, in PostgreSQL: fences, master data, positions by day; and who may see whose rows.

use crate::common::{
    Client, Database, LIMIT, Service, circle, export, fence_record, fix, now_ms, positions_in, wait_until,
};

const KILLS: i64 = 4;

fn post(client: &mut Client, records: &[String]) -> u64 {
    let answer = client.post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["tick"].as_u64().expect("a tick")
}

fn wait_for_tick(database: &Database, tick: u64) {
    wait_until("the schema is made", LIMIT, || {
        !database.ask("SELECT to_regclass('watchtower.journal_as_of')").is_empty()
    });
    for table in ["as_of", "journal_as_of"] {
        wait_until(table, LIMIT, || {
            let at = database.ask(&format!("SELECT tick FROM watchtower.{table}"));
            at.parse::<u64>().is_ok_and(|at| at >= tick)
        });
    }
}

fn vehicle(id: &str, company: &str) -> String {
    format!(r#"{{"type":"vehicle","op":"upsert","vehicle":{{"id":"{id}","company":"{company}"}}}}"#)
}

#[test]
fn positions_are_there_once_over_kills_and_each_in_its_day() {
    let Some(database) = Database::new() else { return };
    let set = database.sink_setting();
    let dir = tempfile::tempdir().expect("a folder");
    let args =
        ["--set", &set, "--set", "sinks.postgres.positions_keep_days=1", "--set", "cleaning.horizon_h=240"];
    let start_ms = (now_ms() / 1000 - 5 * 3_600) * 1000;
    let mut tick = 0;
    for kill in 0..=KILLS {
        let mut service = Service::start(dir.path(), &args);
        let mut client = service.client();
        for batch in 0..30 {
            let time = |i: i64| start_ms + ((kill * 30 + batch) * 40 + i) * 1_000;
            let mut records: Vec<String> = (0..40)
                .map(|i| fix(&format!("T{}", i % 4), time(i), 3.4 + 0.00001 * i as f64, 6.5))
                .collect();
            // Older than what is kept, and a jump.
            records.push(fix("T1", start_ms - 3 * 86_400_000 - time(0) % 1_000_000, 3.4, 6.5));
            records.push(fix("T9", time(7), if batch == 20 { 13.0 } else { 3.4 }, 6.5));
            tick = post(&mut client, &records);
        }
        if kill < KILLS {
            service.kill();
            continue;
        }
        wait_for_tick(&database, tick);
        service.stop();
    }
    let oldest = now_ms() - 2 * 86_400_000;
    let expected: usize = positions_in(&export(dir.path()))
        .iter()
        .filter(|((_, time), _)| *time > oldest)
        .map(|(_, count)| *count)
        .sum();
    let count = |sql: &str| database.ask(sql).parse::<usize>().expect("a count");
    assert_eq!(count("SELECT count(*) FROM watchtower.positions"), expected);
    assert_eq!(count("SELECT count(DISTINCT seq) FROM watchtower.positions"), expected);
    assert_eq!(
        database.ask(
            "SELECT count(*) FROM watchtower.positions AS p FULL JOIN \
             (SELECT * FROM watchtower.rejects WHERE event_time > now() - interval '2 days') AS r USING (seq) \
             WHERE p.flag IS DISTINCT FROM r.reason OR p.vehicle_id IS NULL"
        ),
        "0",
        "flags are the reasons of rejects"
    );
    assert!(count("SELECT count(*) FROM watchtower.positions WHERE flag = 'jump'") > 0);
    let days =
        database.ask("SELECT count(*) FROM pg_inherits WHERE inhparent = 'watchtower.positions'::regclass");
    assert!(["1", "2", "3"].contains(&days.as_str()), "{days} days");
    let off = "SELECT count(*) FROM watchtower.positions WHERE ST_X(position::geometry) <> lon";
    assert_eq!(database.ask(off), "0");
    assert!(count("SELECT records FROM watchtower.journal_as_of") > expected);

    // Tables of another journal are begun anew.
    let other = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(other.path(), &args);
    let tick = post(&mut service.client(), &[fix("Z1", now_ms() - 60_000, 3.4, 6.5)]);
    wait_until("it is another journal's", LIMIT, || {
        database.ask("SELECT string_agg(vehicle_id, ',') FROM watchtower.positions") == "Z1"
    });
    wait_for_tick(&database, tick);
    service.stop();
}

#[test]
fn fences_and_master_data_are_those_of_the_journal() {
    let Some(database) = Database::new() else { return };
    let set = database.sink_setting();
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &["--set", &set]);
    let mut client = service.client();
    let versioned = |id: &str, from: &str, radius_m: f64| {
        let from = format!("\"valid_from\":\"{from}\",\"radius_m\"");
        fence_record(&circle(id, 3.4, 6.5, radius_m).replace("\"radius_m\"", &from))
    };
    let odd = r#"{"type":"driver","op":"upsert","driver":{"id":"D9","name":"a\u0000b"}}"#;
    let records = [
        fence_record(&circle("yard", 3.4, 6.5, 100.0)),
        versioned("yard", "2026-03-01T00:00:00Z", 200.0),
        versioned("yard", "2026-02-01T00:00:00Z", 150.0),
        fence_record(&circle("gone", 3.4, 6.5, 100.0)),
        r#"{"type":"fence","op":"delete","id":"gone","at":"2026-04-01T00:00:00Z"}"#.to_owned(),
        versioned("gone", "2026-01-01T00:00:00Z", 50.0),
        r#"{"type":"fence","op":"delete","id":"yard","at":"2026-03-15T00:00:00Z"}"#.to_owned(),
        vehicle("T1", "VPC"),
        r#"{"type":"driver","op":"upsert","driver":{"id":"D1","name":"Ada","phone":"0803"}}"#.to_owned(),
        r#"{"type":"driver","op":"upsert","driver":{"id":"D2","name":"Bo"}}"#.to_owned(),
        r#"{"type":"driver","op":"delete","id":"D2"}"#.to_owned(),
        odd.to_owned(),
        r#"{"type":"organization","op":"upsert","organization":{"id":"C1","name":"Client"}}"#.to_owned(),
        r#"{"type":"location","op":"upsert","location":{"id":"L1","fence_id":"yard"}}"#.to_owned(),
        r#"{"type":"assignment","driver_id":"D1","vehicle_id":"T1","from_time":"2026-01-05T00:00:00Z"}"#.to_owned(),
        r#"{"type":"trip","op":"upsert","trip":{"id":"X1","vehicle_id":"T1","pickup":"L1","delivery":"gone","scheduled_departure":"2026-03-05T00:00:00Z"}}"#.to_owned(),
    ];
    let tick = post(&mut client, &records);
    wait_for_tick(&database, tick);
    let fences = database.ask(
        "SET TIME ZONE 'UTC'; SELECT fence_id, radius_m, valid_from::date, valid_to::date, ST_GeometryType(geom) \
         FROM watchtower.fences ORDER BY fence_id, valid_from",
    );
    assert_eq!(
        fences.lines().collect::<Vec<_>>(),
        [
            "gone|100|-infinity|2026-01-01|ST_Point",
            "gone|50|2026-01-01|2026-04-01|ST_Point",
            "yard|100|-infinity|2026-02-01|ST_Point",
            "yard|150|2026-02-01|2026-03-01|ST_Point",
            "yard|200|2026-03-01|2026-03-15|ST_Point",
        ]
    );
    for (sql, expected) in [
        ("SELECT company FROM watchtower.vehicles", "VPC"),
        ("SELECT driver_id || (body ->> 'phone') FROM watchtower.drivers", "D10803"),
        ("SELECT body ->> 'name' FROM watchtower.organizations", "Client"),
        ("SELECT fence_id FROM watchtower.locations", "yard"),
        ("SELECT driver_id || vehicle_id FROM watchtower.assignments WHERE to_time IS NULL", "D1T1"),
        ("SELECT trip_id || pickup || delivery FROM watchtower.trip_plans", "X1L1gone"),
    ] {
        assert_eq!(database.ask(sql), expected, "{sql}");
    }
    let metrics = client.get("/metrics").expect("figures").text().to_owned();
    assert!(metrics.contains("watchtower_sink_dead_letters_total{sink=\"postgres-journal\"} 1"), "{metrics}");
    service.stop();
}

#[test]
fn readers_of_a_company_see_its_vehicles_alone() {
    let Some(database) = Database::new() else { return };
    let set = database.sink_setting();
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = Service::start(dir.path(), &["--set", &set, "--set", "visits.min_dwell_s=10"]);
    let mut client = service.client();
    let start_ms = (now_ms() / 1000 - 3_600) * 1000;
    let mut records =
        vec![fence_record(&circle("yard", 3.4, 6.5, 300.0)), vehicle("T1", "VPC"), vehicle("T2", "FM")];
    for i in 0..20 {
        records.extend(["T1", "T2", "T3"].map(|vehicle| fix(vehicle, start_ms + i * 30_000, 3.4, 6.5)));
    }
    let tick = post(&mut client, &records);
    wait_for_tick(&database, tick);
    let name = database.ask("SELECT current_database()");
    let (all, company) = (format!("{name}_all"), format!("{name}_org"));
    database.ask(&format!(
        "CREATE ROLE {all}; GRANT watchtower_reader TO {all}; CREATE ROLE {company}; \
         GRANT watchtower_org_reader TO {company}"
    ));
    let seen = |role: &str, org: &str, table: &str| {
        database.ask(&format!(
            "SET ROLE {role}; SET watchtower.org_id = '{org}'; \
             SELECT string_agg(DISTINCT vehicle_id, ',' ORDER BY vehicle_id) FROM watchtower.{table}"
        ))
    };
    for table in ["positions", "presences", "visits", "vehicles"] {
        let everything = if table == "vehicles" { "T1,T2" } else { "T1,T2,T3" };
        assert_eq!(seen(&all, "FM", table), everything, "{table}");
        for (org, expected) in [("VPC", "T1"), ("FM", "T2"), ("nobody", ""), ("", "")] {
            assert_eq!(seen(&company, org, table), expected, "{table} of {org:?}");
        }
    }
    let unset = format!("SET ROLE {company}; SELECT count(*) FROM watchtower.positions");
    assert_eq!(database.ask(&unset), "0", "who names no company sees nothing");
    let partition = database.ask(
        "SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'watchtower.positions'::regclass LIMIT 1",
    );
    for hidden in [partition.as_str(), "watchtower.kpis", "watchtower.rejects", "watchtower.history"] {
        let may = format!("SELECT has_table_privilege('{company}', '{hidden}', 'SELECT')");
        assert_eq!(database.ask(&may), "f", "{hidden}");
    }
    // What the service writes and compares is everything.
    assert_eq!(database.ask("SELECT count(*) FROM watchtower.visits"), "3");
    service.stop();
    database.ask(&format!("DROP ROLE {all}; DROP ROLE {company}"));
}
