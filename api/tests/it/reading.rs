//! Live answers: pages, filters, `min_tick`, searches, tracks.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use api::ApiConfig;
use model::{Change, Row, TimeMs, VisitRow, Why};
use serde_json::json;

use crate::harness::{START_MS, Service, crossing, fix, jump, presence};

#[test]
fn pages_neither_miss_nor_double_what_does_not_change() {
    let service = Service::start(ApiConfig::default());
    let vehicle = |n: i64| format!("T{n:03}");
    let rows = (0..300).map(|n| presence(1, &vehicle(n), "yard", n, None)).collect();
    service.close(vec![], rows, vec![]);

    let mut seen: HashMap<String, usize> = HashMap::new();
    let (mut cursor, mut ticks, mut round) = (String::new(), Vec::new(), 0);
    loop {
        let page = service.get_json(&format!("/api/v1/presences?limit=37&cursor={cursor}"));
        for item in page["items"].as_array().unwrap() {
            *seen.entry(item["vehicle_id"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        ticks.push(page["tick"].as_u64().unwrap());
        let Some(next) = page["next_cursor"].as_str() else { break };
        next.clone_into(&mut cursor);
        // Between the pages rows go and come on both sides, the last one of this page among them.
        let last =
            page["items"].as_array().unwrap().last().unwrap()["vehicle_id"].as_str().unwrap().to_owned();
        let mut changes = vec![presence(1, &format!("{last}x"), "yard", round, None)];
        let number: i64 = last[1..4].parse().unwrap();
        for gone in [number, 299 - round] {
            changes.push(presence(-1, &vehicle(gone), "yard", gone, None));
        }
        service.close(vec![], changes, vec![]);
        round += 1;
    }
    assert!(ticks.is_sorted() && ticks.len() > 7, "each page says which tick it is of: {ticks:?}");
    for n in 0..290 {
        let id = vehicle(n);
        let times = seen.get(&id).copied().unwrap_or_default();
        assert_eq!(times, 1, "{id} was there, or unchanged, throughout");
    }
    assert!(seen.values().all(|times| *times == 1));
}

#[test]
fn rows_are_the_files_bytes_and_filters_hold() {
    let service = Service::start(ApiConfig::default());
    let visit = |vehicle: &str, arrived: i64, departed: Option<i64>| Change {
        diff: 1,
        row: Row::Visit(VisitRow {
            vehicle_id: vehicle.into(),
            fence_id: "yard".into(),
            arrived: TimeMs(START_MS + arrived * 1000),
            departed: departed.map(|s| TimeMs(START_MS + s * 1000)),
            confirmed_at: TimeMs(START_MS + (arrived + 300) * 1000),
            presences: 1,
        }),
        why: Why::first(1),
    };
    let changes = vec![visit("T1", 0, Some(600)), visit("T1", 3600, None), visit("T2", 100, Some(700))];
    let row = changes[0].row.to_json();
    let members = row.strip_suffix('}').unwrap();
    service.close(vec![], changes, vec![]);
    let all = service.get("/api/v1/visits").text();
    let expected = format!(
        "{{\"as_of\":\"2026-01-05T00:00:01Z\",\"tick\":1,\"items\":[{members},\"id\":\"8defb3e6d8caf310\"}},"
    );
    assert!(all.starts_with(&expected), "{all}");
    assert!(all.ends_with("],\"next_cursor\":null}"), "{all}");
    let count = |query: &str| service.read_all(&format!("/api/v1/visits?limit=1&{query}")).len();
    assert_eq!(count("vehicle_id=T1"), 2);
    assert_eq!(count("vehicle_id=T1&fence_id=&from=&to="), 2, "an empty value is no filter");
    assert_eq!(count("fence_id=yard&from=2026-01-05T00:10:00Z"), 2, "departed at from does not meet it");
    assert_eq!(count("to=2026-01-05T01:00:00Z"), 2, "arrived at to does not meet it");
    assert_eq!(count("from=2026-01-05T01:05:00%2B01:00&to=2026-01-05T01:06:00+01:00"), 2, "offsets");
    assert_eq!(count("fence_id=nowhere"), 0);
}

#[test]
fn bad_queries_are_named() {
    let service = Service::start(ApiConfig::default());
    let detail = |path: &str| service.get(&format!("/api/v1/{path}")).problem(400);
    assert!(detail("visits?limit=0").contains("limit"));
    assert!(detail("visits?limit=1001").contains("1000"));
    assert!(detail("visits?from=yesterday").contains("from"));
    let backwards = "from=2026-01-05T01:00:00Z&to=2026-01-05T00:00:00Z";
    for path in ["visits", "rejects", "trucks/T1/track"] {
        assert!(detail(&format!("{path}?{backwards}")).contains("before"), "an empty period of {path}");
    }
    assert!(detail("visits?vehicle=T1").contains("vehicle"), "an unknown name");
    assert!(detail("visits?cursor=zz").contains("cursor"));
    let of_rejects = "720000000000000001";
    service.get_json(&format!("/api/v1/rejects?cursor={of_rejects}"));
    assert!(detail(&format!("visits?cursor={of_rejects}")).contains("cursor"), "a cursor of another list");
    assert!(detail("rejects?reason=nonsense").contains("null_island"), "the known ones are listed");
    assert!(detail("trucks/near?lat=6&lng=3").contains("radius"));
    assert!(detail("trucks/near?lat=91&lng=3&radius=1").contains("lat"));
    assert!(detail("trucks/near?lat=6&lng=3&radius=1&unit=parsec").contains("unit"));
    assert!(detail("trucks/near?lat=6&lng=NaN&radius=1").contains("lng"));
    assert!(detail("visits?min_tick=-1").contains("min_tick"));
    assert!(service.get("/api/v1/trucks/T404").problem(404).contains("T404"));
}

#[test]
fn min_tick_waits_and_gives_up() {
    let service = Service::start(ApiConfig::default());
    service.close(vec![], vec![], vec![]);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| service.get_json("/api/v1/trucks?min_tick=3"));
        let giving_up =
            scope.spawn(|| (Instant::now(), service.get("/api/v1/visits?min_tick=9"), Instant::now()));
        std::thread::sleep(Duration::from_millis(100));
        assert!(!waiting.is_finished());
        service.close(vec![], vec![], vec![]);
        service.close(vec![], vec![], vec![]);
        assert_eq!(waiting.join().unwrap()["tick"], 3);
        let (began, answer, ended) = giving_up.join().unwrap();
        assert!(answer.problem(503).contains("tick 9"));
        assert!(answer.header("retry-after").is_some());
        assert!((4..8).contains(&(ended - began).as_secs()));
    });
}

#[test]
fn trucks_have_a_location_a_track_and_fences() {
    let service = Service::start(ApiConfig::default());
    let fixes = vec![fix("T1", 1, 0, 3.4, 6.5), fix("T1", 2, 60, 3.5, 6.5), fix("T1", 3, 30, 3.45, 6.5)];
    service.close(fixes, vec![presence(1, "T1", "yard", 30, None), jump(1, "T1", 2, 60)], vec![]);
    let location = service.get_json("/api/v1/trucks/T1/location");
    assert_eq!(location["seq"], 3, "the newest fix is a jump");
    assert_eq!(location["event_time"], "2026-01-05T00:00:30Z");
    assert_eq!((&location["lon"], &location["speed_kmh"]), (&json!(3.45), &json!(12.3)));
    let track = service.read_all("/api/v1/trucks/T1/track?limit=2");
    let flags: Vec<_> =
        track.iter().map(|fix| (fix["seq"].as_u64().unwrap(), fix["flag"].as_str())).collect();
    assert_eq!(flags, [(1, None), (3, None), (2, Some("jump"))]);
    let part = service.get_json("/api/v1/trucks/T1/track?from=2026-01-05T00:00:30Z&to=2026-01-05T00:01:00Z");
    assert_eq!(part["items"].as_array().unwrap().len(), 1);

    service.close(vec![], vec![jump(-1, "T1", 2, 60)], vec![]);
    let truck = service.get_json("/api/v1/trucks/t1%20-");
    assert_eq!(truck["vehicle_id"], "T1", "found by another spelling");
    assert_eq!(truck["seq"], 2);
    assert_eq!(truck["fences"], json!([{"fence_id": "yard", "entered": "2026-01-05T00:00:30Z"}]));
    let changes = vec![presence(-1, "T1", "yard", 30, None), presence(1, "T1", "yard", 30, Some(60))];
    service.close(vec![], changes, vec![]);
    assert_eq!(service.get_json("/api/v1/trucks")["items"][0]["fences"], json!([]));
}

#[test]
fn what_a_backfill_tells_of_a_vehicle_makes_no_truck() {
    let service = Service::start(ApiConfig::default());
    let gone = |change: Change| Change { diff: -1, ..change };
    let told = vec![
        presence(1, "T9", "depot", 0, None),
        presence(1, "T9", "yard", 0, Some(20)),
        presence(1, "T9", "yard", 30, None),
        presence(1, "T91", "yard", 0, None),
    ];
    service.close(vec![], told, vec![]);
    assert_eq!(service.get_json("/api/v1/trucks")["items"], json!([]));
    service.get("/api/v1/trucks/T9").problem(404);
    // It is one from its first fix on, and in the fences that it is in after that tick.
    let left = vec![
        gone(presence(1, "T9", "depot", 0, None)),
        presence(1, "T9", "depot", 0, Some(40)),
        presence(1, "T9", "gate", 60, None),
    ];
    service.close(vec![fix("T9", 1, 60, 3.4, 6.5)], left, vec![]);
    let trucks = service.get_json("/api/v1/trucks")["items"].clone();
    let fences = json!([
        {"fence_id": "gate", "entered": "2026-01-05T00:01:00Z"},
        {"fence_id": "yard", "entered": "2026-01-05T00:00:30Z"},
    ]);
    assert_eq!((trucks.as_array().unwrap().len(), &trucks[0]["fences"]), (1, &fences));
}

#[test]
fn near_crosses_the_antimeridian() {
    let service = Service::start(ApiConfig::default());
    let places = [("WEST", -179.95, 0.0), ("EAST", 179.95, 0.0), ("FAR", 178.0, 0.0), ("LAGOS", 3.4, 6.5)];
    let fixes = places.iter().zip(1..).map(|((id, lon, lat), seq)| fix(id, seq, 0, *lon, *lat)).collect();
    service.close(fixes, vec![], vec![]);
    let ids = |query: &str| -> Vec<String> {
        let rows = service.read_all(&format!("/api/v1/trucks/near?{query}"));
        assert!(rows.is_sorted_by_key(|row| row["distance_m"].as_f64().unwrap()), "nearest first");
        rows.iter().map(|row| row["vehicle_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("lat=0&lng=179.99&radius=10"), ["EAST", "WEST"]);
    assert_eq!(ids("lat=0&lng=-180&radius=6000&unit=m"), ["EAST", "WEST"], "equally far, by id");
    assert_eq!(ids("lat=0&lng=179.99&radius=5&unit=mi"), ["EAST", "WEST"]);
    assert_eq!(ids("lat=0&lng=179.99&radius=20100&limit=1"), ["EAST", "WEST", "FAR", "LAGOS"], "by pages");
    let nearest = service.get_json("/api/v1/trucks/near?lat=0&lng=179.99&radius=5");
    let distance_m = nearest["items"][0]["distance_m"].as_f64().unwrap();
    assert!((distance_m - 4452.780).abs() < 0.001, "{distance_m}");
}

#[test]
fn crossings_are_listed_and_told_of() {
    let service = Service::start(ApiConfig::default());
    let first = crossing(1, "T1", "gate", 0, 60);
    let row = first.row.to_json();
    let others = vec![first.clone(), crossing(1, "T1", "gate", 600, 660), crossing(1, "T2", "bridge", 0, 30)];
    service.close(vec![], others, vec![]);
    let page = service.get("/api/v1/crossings?limit=1&vehicle_id=T1").text();
    assert!(page.contains(&format!("\"items\":[{row}],\"next_cursor\":\"")), "{page}");
    let count = |query: &str| service.read_all(&format!("/api/v1/crossings?limit=1&{query}")).len();
    assert_eq!((count(""), count("fence_id=gate"), count("vehicle_id=T2&fence_id=gate")), (3, 2, 0));
    assert_eq!(count("from=2026-01-05T00:01:00Z"), 1, "it is past at its to_time");
    assert_eq!(count("to=2026-01-05T00:10:00Z"), 2);
    assert!(service.get("/metrics").text().contains("watchtower_rows{table=\"crossings\"} 3"));
    let visits = service.get("/api/v1/visits?limit=1").json();
    assert_eq!(visits["items"], json!([]));

    let mut stream = service.follow("?cursor=0-0", &[]);
    let event = stream.next_change();
    assert_eq!((event.name.as_str(), &event.data["row"]["vehicle_id"]), ("crossings", &json!("T1")));
    service.close(vec![], vec![Change { diff: -1, ..first }], vec![]);
    assert_eq!(count("vehicle_id=T1"), 1);
}
