//! `verify --postgis`: presences held against PostGIS.

use std::path::Path;
use std::process::Output;

use journal::{ChangeBytes, Index, Log, Options, Store};

use crate::common::{Database, LIMIT, Service, circle, fence_record, fix, now_ms, wait_until, watchtower};

fn referee(data: &Path, args: &[&str]) -> (Output, String) {
    let mut command = watchtower();
    let output = command.args(["verify", "--postgis", "--data"]).arg(data).args(args).output();
    let output = output.expect("verify can be started");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, said)
}

const SQUARE: &str = r#"{"type":"Feature","id":"area","properties":{"exit_buffer_m":50},"geometry":{"type":"Polygon","coordinates":[[[3.41,6.5],[3.43,6.5],[3.43,6.51],[3.41,6.51],[3.41,6.5]],[[3.418,6.503],[3.422,6.503],[3.42,6.507],[3.418,6.503]]]}}"#;
const ROAD: &str = r#"{"type":"Feature","id":"road","properties":{"width_m":120},"geometry":{"type":"LineString","coordinates":[[3.40,6.49],[3.42,6.505],[3.44,6.49]]}}"#;
const OVER_THE_LINE: &str = r#"{"type":"Feature","id":"line","properties":{"radius_m":1000},"geometry":{"type":"Point","coordinates":[180,0]}}"#;

#[test]
fn postgis_agrees_with_presences_and_names_those_that_are_wrong() {
    let Some(database) = Database::new() else { return };
    database.ask("CREATE EXTENSION IF NOT EXISTS postgis");
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sources.postgis.url={}", database.url());
    let mut service = Service::start(dir.path(), &[]);
    let mut client = service.client();
    let mut records: Vec<String> =
        [&circle("yard", 3.40, 6.5, 300.0), SQUARE, ROAD, OVER_THE_LINE].map(fence_record).into();
    let start_ms = (now_ms() / 1000 - 20 * 3_600) * 1000;
    // Slow ways across all of them, over borders, through the hole, along the road.
    for vehicle in 0..6 {
        for step in 0..1_500 {
            let (along, lane) = (f64::from(step) / 1_500.0, f64::from(vehicle));
            let lon = 3.395 + 0.05 * along + 0.0003 * (along * 90.0 + lane).sin();
            let lat = 6.495 + 0.0025 * lane + 0.002 * (along * 40.0 + lane).cos();
            records.push(fix(&format!("T{vehicle}"), start_ms + i64::from(step) * 30_000, lon, lat));
        }
    }
    for body in records.chunks(2_000) {
        let answer = client.post("/api/v1/records", body.join("\n").as_bytes()).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    // A version that holds for the second half only.
    let later = circle("yard", 3.401, 6.5, 350.0).replace(
        "\"radius_m\"",
        &format!("\"valid_from\":\"{}\",\"radius_m\"", model::TimeMs(start_ms + 6 * 3_600_000)),
    );
    let answer = client.post("/api/v1/records", fence_record(&later).as_bytes()).expect("an answer");
    let tick = answer.json()["tick"].as_u64().expect("a tick");
    wait_until("all is closed", LIMIT, || {
        client
            .get(&format!("/api/v1/presences?limit=1&min_tick={tick}"))
            .is_ok_and(|answer| answer.status == 200)
    });
    service.stop();

    let (output, said) = referee(dir.path(), &["--set", &url]);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.starts_with("0 differences to PostGIS: 9000 positions and 5 fence versions"), "{said}");
    assert!(said.ends_with("1 versions have no referee\n"), "{said}");
    let pairs = |said: &str| {
        let pairs = said.split(", ").find_map(|part| part.strip_suffix(" pairs near each other"));
        pairs.and_then(|pairs| pairs.parse::<u64>().ok()).expect("a count")
    };
    assert!(pairs(&said) > 3_000, "{said}");
    let (sampled, said_of_sample) = referee(dir.path(), &["--sample", "0.1", "--set", &url]);
    assert_eq!(sampled.status.code(), Some(0));
    assert!((pairs(&said) / 20..pairs(&said) / 5).contains(&pairs(&said_of_sample)), "{said_of_sample}");

    // A presence that is kept, and that nothing supports.
    {
        let store =
            Store::open(dir.path(), Options { accept_clock: true, ..Options::default() }).expect("a store");
        let (last, instant_ms) = store.log().last_tick().expect("ticks");
        assert_eq!(store.changelog().last_tick().map(|(tick, _)| tick), Some(last));
        let row = format!(
            r#"{{"vehicle_id":"T0","fence_id":"yard","entered":"{}","exited":null,"end_reason":null}}"#,
            model::TimeMs(start_ms + 10 * 3_600_000)
        );
        let change = ChangeBytes {
            table: model::Table::Presences.code(),
            key: b"wrong".to_vec(),
            row: row.into_bytes(),
            diff: 1,
            cause: model::Cause::First.code(),
            seq: 1,
            index: Index::default(),
        };
        store.log().start().expect("ticks are minted");
        wait_until("a tick", LIMIT, || store.log().last_tick().is_some_and(|(tick, _)| tick > last));
        store.log().stop();
        store.changelog().append(last + 1, instant_ms, &[change]).expect("the change is kept");
    }
    let (output, said) = referee(dir.path(), &["--set", &url]);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("vehicle \"T0\", fence \"yard\"") && said.contains("present, and"), "{said}");
    let (none, _) = referee(dir.path(), &[]);
    assert_eq!(none.status.code(), Some(1));
}
