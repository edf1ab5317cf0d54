//! Drives the demo into a fake service.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::*;
use crate::send::fake_service::{FakeService, Received, Say};
use crate::simulate::DEFAULT_START;

/// (vehicle, event time) of all locations of a request.
fn locations(request: &Received) -> Vec<(String, TimeMs)> {
    let body: Vec<serde_json::Value> = serde_json::from_slice(&request.body).unwrap();
    body.iter()
        .map(|location| {
            let time = TimeMs::parse_rfc3339(location["gpstime"].as_str().unwrap()).unwrap();
            (location["vehiclenumber"].as_str().unwrap().to_owned(), time)
        })
        .collect()
}

/// All records of requests.
fn records(requests: &[&Received]) -> Vec<Value> {
    let parsed = |request: &&Received| {
        let lines: Vec<Value> = request
            .body
            .split(|&b| b == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        lines
    };
    requests.iter().flat_map(parsed).collect()
}

#[test]
fn fences_are_the_maps_places() {
    let features = fences();
    assert_eq!(features.len(), FENCES as usize);
    for feature in &features {
        let feature: serde_json::Value = serde_json::from_str(feature).unwrap();
        assert!(feature["id"].is_string() && feature["geometry"]["type"].is_string());
    }
}

/// Runs the demo from `start`, moves its clock on by `live_ms` once the past is filled, and stops it when
/// `enough` says so of the locations that were sent.
async fn driven(
    service: &FakeService,
    start: TimeMs,
    live_ms: i64,
    last_known: Option<TimeMs>,
    enough: impl Fn(&[Received]) -> bool,
) {
    let clock = Arc::new(AtomicI64::new(start.0));
    let now = {
        let clock = clock.clone();
        move || TimeMs(clock.load(Ordering::Relaxed))
    };
    let stop = async {
        let mut before = 0;
        loop {
            sleep(Duration::from_millis(300)).await;
            let received = service.received();
            if received.len() > before || received.is_empty() {
                before = received.len();
                continue;
            }
            clock.store(start.0 + live_ms, Ordering::Relaxed);
            if enough(&received) {
                return;
            }
        }
    };
    drive(service.url.clone(), now, last_known, stop).await.unwrap();
}

#[tokio::test]
async fn fills_the_past_newest_day_first_then_drives_and_goes_on_after_a_restart() {
    let known = Arc::new(Mutex::new(String::from("{\"features\":[]}")));
    let answer = known.clone();
    let service = FakeService::start(move |number, request| match request.path.as_str() {
        _ if number == 1 => Say::Answer(503, "retry-after: 0\r\n", String::new()),
        FENCES_PATH => Say::Answer(200, "", answer.lock().unwrap().clone()),
        _ => Say::Answer(200, "", "{}".to_owned()),
    })
    .await;
    let start = DEFAULT_START.plus_ms(10 * 3_600_000);
    let live_ms = 120_000;
    let is_live = move |received: &[Received]| {
        received.last().is_some_and(|r| r.path == LOCATION_PATH && locations(r).iter().any(|l| l.1 >= start))
    };
    driven(&service, start, live_ms, None, is_live).await;
    let received = service.received();
    let posted: Vec<&Received> = received.iter().filter(|r| r.path == RECORDS_PATH).collect();
    assert_eq!(posted[0].body, posted[1].body, "once in vain, once for good");
    let created = records(&posted[1..2]);
    let of_type = |kind: &str| created.iter().filter(|record| record["type"] == kind).count();
    assert_eq!((of_type("fence"), of_type("location")), (FENCES as usize, FENCES as usize));

    let trips = records(&posted[2..]);
    assert!(trips.iter().all(|record| record["type"] == "trip" && record["received_time"].is_null()));
    let planned: HashSet<&str> = trips.iter().filter_map(|record| record["trip"]["id"].as_str()).collect();
    assert!((250..600).contains(&planned.len()), "{}", planned.len());
    let departs =
        |record: &Value| TimeMs::parse_rfc3339(record["trip"]["scheduled_departure"].as_str()?).ok();
    let ahead = trips.iter().filter(|record| departs(record) > Some(start)).count();
    assert!(ahead > 5, "{ahead}");
    let first_location = received.iter().position(|r| r.path == LOCATION_PATH).unwrap();
    let trips_before = received[..first_location].iter().filter(|r| r.path == RECORDS_PATH).count();
    assert!(trips_before > 2, "the board is there before the positions are");

    let sent: Vec<&Received> = received.iter().filter(|r| r.path == LOCATION_PATH).collect();
    let mut seen = HashSet::new();
    let mut days = Vec::new();
    for request in &sent {
        let locations = locations(request);
        assert!(locations.len() <= BATCH);
        for (vehicle, time) in locations {
            assert!(time.0 >= start.0 - PAST_MS && time.0 < start.0 + live_ms);
            if time < start && days.last() != Some(&local_day(time)) {
                days.push(local_day(time));
            }
            assert!(seen.insert((vehicle, time)), "each fix is sent once");
        }
    }
    let mut newest_first = days.clone();
    newest_first.sort_unstable_by(|a, b| b.cmp(a));
    newest_first.dedup();
    assert_eq!(newest_first.len(), 9);
    assert_eq!(days[..9], newest_first[..], "{days:?}");
    assert!(seen.len() > 400_000, "{}", seen.len());

    // A restart half an hour later fills only the gap, and creates no fences.
    *known.lock().unwrap() = format!("{{\"features\":[{}]}}", fences()[0]);
    let before = received.len();
    let last_known = seen.iter().map(|fix| fix.1).max().unwrap();
    let restart = start.plus_ms(30 * 60_000);
    let is_live = move |received: &[Received]| {
        received[before..]
            .last()
            .is_some_and(|r| r.path == LOCATION_PATH && locations(r).iter().any(|l| l.1 >= restart))
    };
    driven(&service, restart, 60_000, Some(last_known), is_live).await;
    let again: Vec<Received> = service.received().split_off(before);
    let more: Vec<&Received> = again.iter().filter(|r| r.path == RECORDS_PATH).collect();
    let more = records(&more);
    assert!(more.iter().all(|record| record["type"] == "trip" && !trips.contains(record)), "{more:?}");
    let mut repeated = 0;
    for request in again.iter().filter(|r| r.path == LOCATION_PATH) {
        for fix in locations(request) {
            repeated += usize::from(!seen.insert(fix));
        }
    }
    // What arrived in the last seconds before the stop may be sent twice; nothing is missed.
    assert!(repeated < 100, "{repeated}");
    let world = world();
    let mut expected = Arrivals::new(&world, TRUCKS, start, ArrivalRules::default());
    let mut arrived = Vec::new();
    expected.until(&world, restart, &mut arrived);
    let missed =
        arrived.iter().filter(|next| !seen.contains(&(truck_name(next.truck), next.fix.time))).count();
    assert_eq!(missed, 0);
}

#[tokio::test]
async fn a_service_that_wants_a_signature_is_an_error() {
    let service = FakeService::start(|_, _| Say::Answer(401, "", "no".to_owned())).await;
    let never = std::future::pending();
    let error = drive(service.url.clone(), || DEFAULT_START, None, never).await.unwrap_err();
    assert!(error.to_string().contains("credentials"), "{error}");
}
