//! Fences of a PostGIS table: edited while the service runs, while it is dead, and in ways that nobody should.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::common::{
    Client, Database, LIMIT, Service, circle, export, fence_record, fix, now_ms, succeed, verify, wait_until,
    watchtower,
};

/// A database with PostGIS, and its setting.
fn database() -> Option<(Database, String)> {
    let database = Database::new()?;
    database.ask("CREATE EXTENSION IF NOT EXISTS postgis");
    let set = format!("sources.postgis.url={}", database.url());
    Some((database, set))
}

fn start(data: &Path, set: &str, more: &[&str]) -> Service {
    Service::start(data, &[&["--set", set, "--set", "sources.postgis.sweep_s=1"], more].concat())
}

/// What stands at the end of an export: the last upsert of each fence that was not deleted after it.
fn fences_in(export: &[u8]) -> BTreeMap<String, Value> {
    let mut fences = BTreeMap::new();
    for line in String::from_utf8_lossy(export).lines() {
        let record: Value = serde_json::from_str(line).expect("a record");
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        match (record["type"].as_str(), record["op"].as_str()) {
            (Some("fence"), Some("upsert")) => {
                _ = fences.insert(text(&record["feature"]["id"]), record["feature"].clone());
            }
            (Some("fence"), Some("delete")) => _ = fences.remove(&text(&record["id"])),
            _ => {}
        }
    }
    fences
}

fn ids_in(data: &Path) -> Vec<String> {
    fences_in(&export(data)).into_keys().collect()
}

fn figure(client: &mut Client, name: &str) -> u64 {
    let text = client.get("/metrics").expect("figures").text().to_owned();
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect(name);
    value.parse().expect("a number")
}

/// Waits for two more comparisons of the table: what there was to be seen, they have seen.
fn wait_for_sweeps(client: &mut Client) {
    let before = figure(client, "watchtower_postgis_sweeps_total");
    wait_until("the table is compared", LIMIT, || {
        figure(client, "watchtower_postgis_sweeps_total") >= before + 2
    });
}

const TABLE: &str = "watchtower_gis.fences";
const YARD: &str = "INSERT INTO watchtower_gis.fences (id, name, geom, radius_m) \
                    VALUES ('yard', 'Yard', ST_SetSRID(ST_MakePoint(3.4, 6.5), 4326), 300)";

#[test]
fn edits_of_the_table_are_fences_and_what_becomes_of_them_is_told_there() {
    let Some((database, set)) = database() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    // A sweep is far away: notifications tell.
    let mut service = Service::start(dir.path(), &["--set", &set, "--set", "sources.postgis.sweep_s=3600"]);
    let mut client = service.client();
    wait_until("the table is made", LIMIT, || figure(&mut client, "watchtower_postgis_up") == 1);
    database.ask(YARD);
    database.ask(&format!(
        "INSERT INTO {TABLE} (id, geom, width_m, min_dwell_s, active) VALUES \
         ('road', 'SRID=4326;LINESTRING(3.3 6.4, 3.35 6.45)', 80, 60, 'Mo-Fr 06:00-18:00'); \
         INSERT INTO {TABLE} (id, name, geom, valid_from) VALUES ('Zäun \"1\"/ä%20', 'odd', \
         'SRID=4326;MULTIPOLYGON(((3 6, 3.1 6, 3.1 6.1, 3 6.1, 3 6), (3.04 6.04, 3.06 6.04, 3.05 6.06, 3.04 6.04)))', \
         '2026-01-01 01:00:00+01')"
    ));
    let waiting = format!("SELECT count(*) FROM {TABLE} WHERE watchtower_tick IS NULL");
    wait_until("all rows are accepted", LIMIT, || database.ask(&waiting) == "0");
    let fences = fences_in(&export(dir.path()));
    assert_eq!(fences.keys().collect::<Vec<_>>(), ["Zäun \"1\"/ä%20", "road", "yard"]);
    assert_eq!(fences["Zäun \"1\"/ä%20"]["geometry"]["coordinates"][0].as_array().expect("rings").len(), 2);
    assert_eq!(fences["Zäun \"1\"/ä%20"]["properties"]["valid_from"], "2026-01-01T00:00:00+00:00");
    assert_eq!(fences["road"]["properties"]["active"], "Mo-Fr 06:00-18:00");

    // A row that breaks the rules keeps its fence, and says why; a dead letter does too.
    database.ask(&format!("UPDATE {TABLE} SET radius_m = -1 WHERE id = 'yard'"));
    let error = format!("SELECT watchtower_error FROM {TABLE} WHERE id = 'yard'");
    wait_until("the reason is there", LIMIT, || database.ask(&error).contains("radius"));
    assert_eq!(fences_in(&export(dir.path()))["yard"]["properties"]["radius_m"], 300);
    let letters = succeed(watchtower().args(["dead-letters", "list", "--data"]).arg(dir.path()));
    let letters = String::from_utf8_lossy(&letters.stdout).into_owned();
    assert!(letters.contains("postgis table=watchtower_gis.fences;id=yard"), "{letters}");
    database.ask(&format!("UPDATE {TABLE} SET radius_m = 250 WHERE id = 'yard'"));
    wait_until("the reason is gone", LIMIT, || database.ask(&error).is_empty());
    assert_eq!(fences_in(&export(dir.path()))["yard"]["properties"]["radius_m"], 250);
    database.ask(&format!("DELETE FROM {TABLE} WHERE id = 'road'"));
    wait_until("the road is deleted", LIMIT, || ids_in(dir.path()).len() == 2);

    // What was written into the table told nobody of a change.
    std::thread::sleep(Duration::from_secs(1));
    let sweeps = figure(&mut client, "watchtower_postgis_sweeps_total");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(figure(&mut client, "watchtower_postgis_sweeps_total"), sweeps);
    assert_eq!(figure(&mut client, "watchtower_postgis_upserts_total"), 4);
    service.stop();
    verify(dir.path());
}

#[test]
fn the_table_and_the_fences_agree_however_often_the_service_dies() {
    let Some((database, set)) = database() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = start(dir.path(), &set, &[]);
    let mut client = service.client();
    wait_until("the table is made", LIMIT, || figure(&mut client, "watchtower_postgis_up") == 1);
    service.stop();
    for round in 0..5_i32 {
        let mut service = start(dir.path(), &set, &[]);
        let mut client = service.client();
        if round == 0 {
            let body = fence_record(&circle("of-others", 3.0, 6.0, 100.0));
            assert_eq!(client.post("/api/v1/records", body.as_bytes()).expect("an answer").status, 200);
        }
        database.ask(&format!(
            "INSERT INTO {TABLE} (id, geom, radius_m) SELECT 'F{round}-' || i, \
             ST_SetSRID(ST_MakePoint(3 + i * 0.01, 6.5), 4326), 100 FROM generate_series(1, 300) AS i; \
             UPDATE {TABLE} SET radius_m = radius_m + 1 WHERE id LIKE '%7'; \
             DELETE FROM {TABLE} WHERE id LIKE 'F{}-%5'",
            round - 1
        ));
        // In the middle of it, as far as it comes.
        std::thread::sleep(Duration::from_millis(120 * u64::from(round.unsigned_abs())));
        service.kill();
    }
    let mut service = start(dir.path(), &set, &[]);
    let mut client = service.client();
    wait_until("the table is followed", LIMIT, || figure(&mut client, "watchtower_postgis_up") == 1);
    wait_for_sweeps(&mut client);
    let fences = fences_in(&export(dir.path()));
    let rows = database.ask(&format!("SELECT id || ' ' || radius_m FROM {TABLE} ORDER BY id COLLATE \"C\""));
    let told: Vec<String> = fences
        .iter()
        .filter(|(id, _)| *id != "of-others")
        .map(|(id, feature)| format!("{id} {}", feature["properties"]["radius_m"]))
        .collect();
    assert_eq!(told, rows.lines().collect::<Vec<_>>());
    assert!(fences.contains_key("of-others"), "fences of others stay");
    assert_eq!(database.ask(&format!("SELECT count(*) FROM {TABLE} WHERE watchtower_tick IS NULL")), "0");

    // Were a fence sent again, it would change nothing.
    let time = now_ms() - 3_600_000;
    let fixes: Vec<String> = (0..10).map(|i| fix("T1", time + i * 60_000, 3.01, 6.5)).collect();
    client.post("/api/v1/records", fixes.join("\n").as_bytes()).expect("an answer");
    let feature = fences["F0-1"].to_string();
    let first = client.post("/api/v1/records", fence_record(&feature).as_bytes()).expect("an answer").json();
    let tick = first["tick"].as_u64().expect("a tick");
    let page = client.get(&format!("/api/v1/presences?min_tick={tick}&limit=1000")).expect("a page").json();
    assert!(!page["items"].as_array().expect("rows").is_empty());
    let changes = crate::common::changes_until(service.address(), &format!("{}-4294967295", tick - 1), tick);
    let of_presences = changes.iter().filter(|change| change.id.0 == tick && change.table == "presences");
    assert_eq!(of_presences.count(), 0, "an upsert that says the same changes nothing");
    service.stop();
    verify(dir.path());
}

#[test]
fn a_lost_notification_and_a_lost_connection_are_made_up_for() {
    let Some((database, set)) = database() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = start(dir.path(), &set, &[]);
    let mut client = service.client();
    wait_until("the table is made", LIMIT, || figure(&mut client, "watchtower_postgis_up") == 1);
    database.ask(&format!("ALTER TABLE {TABLE} DISABLE TRIGGER USER"));
    database.ask(YARD);
    wait_until("the sweep finds it", LIMIT, || ids_in(dir.path()) == ["yard"]);
    // The server goes away, as it does when it is started anew, and takes nobody in for a while.
    let name = database.ask("SELECT current_database()");
    let admin = |sql: &str| database.ask_server(sql);
    admin(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
    admin(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"));
    wait_until("it is noticed", LIMIT, || figure(&mut client, "watchtower_postgis_up") == 0);
    admin(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
    database.ask(&format!("UPDATE {TABLE} SET radius_m = 77 WHERE id = 'yard'"));
    wait_until("the edit is seen", LIMIT, || {
        fences_in(&export(dir.path()))["yard"]["properties"]["radius_m"] == 77
    });
    // What becomes of it is written over the new connection.
    database.ask(&format!("UPDATE {TABLE} SET radius_m = 78 WHERE id = 'yard'"));
    let tick = format!("SELECT watchtower_tick FROM {TABLE}");
    let said = service.said();
    assert!(!said.contains(&database.url()), "the URL is never told: {said}");
    wait_until("it is accepted", LIMIT, || !database.ask(&tick).is_empty());
    service.stop();
}

#[test]
fn a_table_that_loses_most_rows_at_once_deletes_nothing() {
    let Some((database, set)) = database() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut service = start(dir.path(), &set, &[]);
    let mut client = service.client();
    wait_until("the table is made", LIMIT, || figure(&mut client, "watchtower_postgis_up") == 1);
    let fill = format!(
        "INSERT INTO {TABLE} (id, geom, radius_m) SELECT 'F' || i, \
         ST_SetSRID(ST_MakePoint(3, i), 4326), 100 FROM generate_series(10, 29) AS i ON CONFLICT DO NOTHING"
    );
    database.ask(&fill);
    wait_until("all are sent", LIMIT, || figure(&mut client, "watchtower_postgis_fences") == 20);
    for (emptied, held) in [
        (format!("TRUNCATE {TABLE}"), 20),
        (format!("DELETE FROM {TABLE} WHERE id > 'F15'"), 14),
        (format!("DROP TABLE {TABLE}"), 20),
    ] {
        database.ask(&emptied);
        wait_until(&emptied, LIMIT, || {
            figure(&mut client, "watchtower_postgis_held_deletes") == held
                || database.ask("SELECT to_regclass('watchtower_gis.fences')").is_empty()
        });
        if !emptied.starts_with("DROP") {
            wait_for_sweeps(&mut client);
            database.ask(&fill);
        } else {
            // Made anew by the next connection.
            wait_until("the table is there", LIMIT, || {
                !database.ask("SELECT to_regclass('watchtower_gis.fences')").is_empty()
            });
            wait_until("an empty table deletes nothing", LIMIT, || {
                figure(&mut client, "watchtower_postgis_held_deletes") == held
                    && figure(&mut client, "watchtower_postgis_up") == 1
            });
            database.ask(&fill);
        }
        wait_until("nothing is held", LIMIT, || {
            figure(&mut client, "watchtower_postgis_held_deletes") == 0
                && figure(&mut client, "watchtower_postgis_up") == 1
        });
    }
    assert_eq!((figure(&mut client, "watchtower_postgis_deletes_total"), ids_in(dir.path()).len()), (0, 20));
    database.ask(&format!("DELETE FROM {TABLE} WHERE id > 'F20'"));
    wait_until("less than half goes", LIMIT, || ids_in(dir.path()).len() == 11);
    database.ask(&format!("TRUNCATE {TABLE}"));
    wait_until("all is held", LIMIT, || figure(&mut client, "watchtower_postgis_held_deletes") == 11);
    assert!(service.stop().contains("most rows of the table went at once"));
    let service = start(dir.path(), &set, &["--set", "sources.postgis.allow_mass_delete=true"]);
    wait_until("it is confirmed", LIMIT, || ids_in(dir.path()).is_empty());
    service.stop();
    verify(dir.path());
}

#[test]
fn hostile_rows_are_refused_one_by_one() {
    let Some((database, set)) = database() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    // A table of somebody else's making, which takes any geometry.
    database.ask(
        "CREATE SCHEMA gis; CREATE TABLE gis.zones (id text, geom geometry, radius_m numeric, width_m text, \
         alert boolean, owner text, watchtower_error text, watchtower_tick bigint, \
         watchtower_accepted_at timestamptz)",
    );
    let table = "sources.postgis.table=gis.zones";
    let mut service = start(dir.path(), &set, &["--set", table]);
    let square = "0 0, 1 0, 1 1, 0 1, 0 0";
    for (id, geom, radius, expected) in [
        ("nan", "ST_SetSRID(ST_MakePoint('NaN', 6), 4326)", "5", "finite"),
        ("inf", "ST_SetSRID(ST_MakePoint('Infinity', 6), 4326)", "5", "finite"),
        ("null", "NULL", "5", "null"),
        ("empty", "'SRID=4326;POLYGON EMPTY'", "5", "empty"),
        ("hollow", "'SRID=4326;MULTIPOLYGON(EMPTY)'", "5", "empty"),
        ("no-srid", "'POINT(3 6)'", "5", "SRID 0"),
        ("mercator", "ST_Transform('SRID=4326;POINT(3 6)'::geometry, 3857)", "5", "SRID 3857"),
        ("curve", "'SRID=4326;CURVEPOLYGON(CIRCULARSTRING(0 0, 1 1, 2 0, 1 -1, 0 0))'", "5", "CurvePolygon"),
        ("points", "'SRID=4326;MULTIPOINT(1 1, 2 2)'", "5", "ST_MultiPoint"),
        ("bag", "'SRID=4326;GEOMETRYCOLLECTION(POINT(1 1))'", "5", "GeometryCollection"),
        ("far", "'SRID=4326;POINT(300 6)'", "5", "300"),
        ("no-radius", "'SRID=4326;POINT(3 6)'", "NULL", "radius_m"),
        ("nan-radius", "'SRID=4326;POINT(3 6)'", "'NaN'", "radius_m"),
        ("huge", "ST_Segmentize('SRID=4326;LINESTRING(0 0, 9 9)'::geometry, 0.00005)", "5", "positions"),
        ("large", "ST_Segmentize('SRID=4326;LINESTRING(0 0, 9 9)'::geometry, 0.0003)", "5", "bytes"),
        ("text-width", "'SRID=4326;LINESTRING(0 0, 1 1)'", "5", "width_m"),
        ("good-z", "'SRID=4326;POINT ZM(3 6 5 7)'", "5", ""),
        ("good-bow-tie", "'SRID=4326;POLYGON((0 0, 1 1, 1 0, 0 1, 0 0))'", "5", ""),
        ("good-antimeridian", "'SRID=4326;POLYGON((179 0, -179 0, -179 1, 179 1, 179 0))'", "5", ""),
        ("", &format!("'SRID=4326;POLYGON(({square}))'"), "5", "id"),
        ("good \u{1f69a}\n\t\"", &format!("'SRID=4326;POLYGON(({square}))'"), "5", "?"),
    ] {
        database.ask(&format!(
            "INSERT INTO gis.zones (id, geom, radius_m, width_m, owner) \
             VALUES ('{id}', {geom}, {radius}, 'wide', '{expected}')"
        ));
    }
    database.ask("INSERT INTO gis.zones (geom) VALUES (NULL)");
    let mut client = service.client();
    let waiting = "SELECT count(*) FROM gis.zones WHERE id IS NOT NULL AND watchtower_error IS NULL \
                   AND watchtower_tick IS NULL";
    wait_until("all rows are judged", LIMIT, || database.ask(waiting) == "0");
    let wrong = database.ask(
        "SELECT id, owner, watchtower_error FROM gis.zones WHERE id IS NOT NULL AND owner <> '?' AND CASE owner \
         WHEN '' THEN watchtower_error IS NOT NULL OR watchtower_tick IS NULL \
         ELSE watchtower_error IS NULL OR watchtower_error NOT LIKE '%' || owner || '%' END",
    );
    assert_eq!(wrong, "");
    assert!(ids_in(dir.path()).iter().all(|id| id.starts_with("good")));
    // One id twice: nobody knows which is meant, so nothing moves until it is clear.
    let failures = figure(&mut client, "watchtower_postgis_failures_total");
    database.ask("INSERT INTO gis.zones (id) VALUES ('curve')");
    wait_until("it is told", LIMIT, || figure(&mut client, "watchtower_postgis_failures_total") > failures);
    database.ask("DELETE FROM gis.zones WHERE id = 'curve' AND watchtower_error IS NULL");
    wait_until("it goes on", LIMIT, || figure(&mut client, "watchtower_postgis_up") == 1);
    assert_eq!(database.ask("SELECT count(*) FROM pg_trigger WHERE tgname = 'watchtower_notify'"), "1");
    service.stop();
    // The same rows leave no dead letters again.
    let letters = || succeed(watchtower().args(["dead-letters", "list", "--data"]).arg(dir.path())).stdout;
    let before = letters();
    let mut service = start(dir.path(), &set, &["--set", table]);
    wait_for_sweeps(&mut service.client());
    service.stop();
    assert_eq!(letters(), before);
    verify(dir.path());
}

#[test]
fn it_needs_no_more_than_the_rights_that_are_documented() {
    let Some((database, _)) = database() else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let name = format!("{}_gis", database.ask("SELECT current_database()"));
    let sql = succeed(watchtower().args(["migrate", "fences"])).stdout;
    database.ask(&String::from_utf8(sql).expect("text"));
    database.ask(&format!(
        "CREATE ROLE {name} LOGIN PASSWORD 'hidden-word'; GRANT USAGE ON SCHEMA watchtower_gis TO {name}; \
         GRANT SELECT ON watchtower_gis.fences TO {name}; \
         GRANT UPDATE (watchtower_error, watchtower_tick, watchtower_accepted_at) ON watchtower_gis.fences TO {name}"
    ));
    let url = database.url();
    let (_, host) = url.rsplit_once('@').expect("a URL with a user");
    let set = format!("sources.postgis.url=postgres://{name}:hidden-word@{host}");
    let service = Service::start(dir.path(), &["--set", &set, "--set", "sources.postgis.sweep_s=3600"]);
    database.ask(YARD);
    let tick = format!("SELECT watchtower_tick FROM {TABLE}");
    wait_until("the row is accepted", LIMIT, || !database.ask(&tick).is_empty());
    // Without the right to write, fences are read all the same.
    database.ask(&format!("REVOKE UPDATE ON ALL TABLES IN SCHEMA watchtower_gis FROM {name}"));
    database.ask(&format!(
        "REVOKE UPDATE (watchtower_error, watchtower_tick, watchtower_accepted_at) ON {TABLE} FROM {name}"
    ));
    database.ask(&format!("UPDATE {TABLE} SET radius_m = 7"));
    wait_until("the edit is seen", LIMIT, || {
        fences_in(&export(dir.path()))["yard"]["properties"]["radius_m"] == 7
    });
    let said = service.stop();
    database.ask(&format!("DROP OWNED BY {name}; DROP ROLE {name}"));
    assert!(!said.contains("hidden-word"), "{said}");
}
