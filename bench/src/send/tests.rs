//! Sends simulated files to a fake service.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::fake_service::{FakeService, Received, Say};
use super::*;
use crate::simulate;

fn options(to: &str, file: PathBuf) -> Options {
    Options {
        file,
        to: to.to_owned(),
        rate: None,
        batch: 100,
        connections: 3,
        secret: None,
        path: DEFAULT_PATH.to_owned(),
    }
}

fn simulated(dir: &Path) -> simulate::Summary {
    let options = simulate::Options {
        vehicles: 3,
        fences: 20,
        hours: 6.0,
        out: dir.to_owned(),
        ..simulate::Options::default()
    };
    simulate::run(&options, &|_, _| {}).unwrap()
}

fn accept_all(request: &Received) -> Say {
    let records = request.body.iter().filter(|&&byte| byte == b'\n').count();
    Say::Answer(200, "", format!("{{\"accepted\":{records},\"refused\":0,\"tick\":1,\"errors\":[]}}"))
}

#[tokio::test]
async fn everything_is_sent_once_signed_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let summary = simulated(dir.path());
    let service = FakeService::start(|_, request| accept_all(request)).await;
    let options = Options {
        secret: Some(b"top secret".to_vec()),
        ..options(&service.url, dir.path().join("records.ndjson"))
    };
    let finished = AtomicBool::new(false);
    let report =
        run(&options, &|done, total| finished.store(done == total, Ordering::Relaxed)).await.unwrap();
    assert!(finished.load(Ordering::Relaxed));
    assert_eq!((report.sent, report.acknowledged), (summary.records, summary.records), "{report}");
    assert_eq!((report.refused, report.retried, report.bad_lines, report.skipped), (0, 0, 0, 0));
    assert!(report.latency.p50 <= report.latency.p99 && report.latency.p99 <= report.latency.max);
    assert!(report.latency.max > Duration::ZERO && !report.to_string().is_empty());
    assert!(!format!("{options:?}").contains("116") && format!("{options:?}").contains("***"));
    let mut lines = 0;
    for request in service.received() {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", DEFAULT_PATH));
        let (time, signature) =
            (request.header("x-watchtower-timestamp"), request.header("x-watchtower-signature"));
        let now_s = time.unwrap().parse().unwrap();
        sources::signature::verify(b"top secret", time, signature, &request.body, now_s).unwrap();
        for line in String::from_utf8(request.body).unwrap().lines() {
            let record: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(record["type"] != "position" || record["vehicle_id"].is_string());
            lines += 1;
        }
    }
    assert_eq!(lines, summary.records);
}

#[tokio::test]
async fn busy_services_and_broken_connections_are_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let summary = simulated(dir.path());
    let service = FakeService::start(|number, request| match number {
        0 => Say::Answer(429, "retry-after: 0\r\n", String::new()),
        2 => Say::Nothing,
        4 => Say::Answer(500, "", "oh".to_owned()),
        _ => accept_all(request),
    })
    .await;
    let report = run(&options(&service.url, dir.path().join("records.ndjson")), &|_, _| {}).await.unwrap();
    assert_eq!((report.acknowledged, report.retried), (summary.records, 3), "{report}");
}

#[tokio::test]
async fn refusals_are_counted_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("positions.csv");
    let good = "T1,2026-01-05T00:00:00Z,3.4,6.6\n".repeat(7);
    std::fs::write(&file, format!("vehicle_id,event_time,lon,lat\n{good}T1,yesterday,3.4,6.6\n")).unwrap();
    let service = FakeService::start(|_, _| {
        let body = r#"{"accepted":4,"refused":3,"tick":1,"errors":[{"line":2,"reason":"so many"}]}"#;
        Say::Answer(200, "", body.to_owned())
    })
    .await;
    let report = run(&options(&service.url, file.clone()), &|_, _| {}).await.unwrap();
    assert_eq!((report.sent, report.acknowledged, report.refused, report.bad_lines), (7, 4, 3, 1));
    assert_eq!(report.first_refusal.as_deref(), Some("so many"));

    let service = FakeService::start(|_, _| Say::Answer(422, "", "{}".to_owned())).await;
    let report = run(&options(&service.url, file.clone()), &|_, _| {}).await.unwrap();
    assert_eq!((report.acknowledged, report.refused), (0, 7));

    let service = FakeService::start(|_, _| Say::Answer(401, "", "no".to_owned())).await;
    let error = run(&options(&service.url, file), &|_, _| {}).await.unwrap_err();
    assert!(format!("{error:#}").contains("secret"), "{error:#}");
}

#[tokio::test]
async fn loconavs_webhook_gets_locations() {
    let dir = tempfile::tempdir().unwrap();
    let summary = simulated(dir.path());
    let service = FakeService::start(|_, _| Say::Answer(200, "", String::new())).await;
    let options = Options {
        path: "/webhooks/loconav/location".to_owned(),
        ..options(&service.url, dir.path().join("records.ndjson"))
    };
    let report = run(&options, &|_, _| {}).await.unwrap();
    assert_eq!(
        (report.acknowledged, report.skipped),
        (summary.fixes, summary.records - summary.fixes),
        "{report}"
    );
    let mut locations = 0;
    for request in service.received() {
        let body: Vec<serde_json::Value> = serde_json::from_slice(&request.body).unwrap();
        locations += body.len() as u64;
        assert!(body.iter().all(|location| location["vehiclenumber"].is_string()));
    }
    assert_eq!(locations, summary.fixes);
}

#[tokio::test]
async fn latency_counts_from_when_a_record_was_due() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("positions.csv");
    let lines = "T1,2026-01-05T00:00:00Z,3.4,6.6\n".repeat(60);
    std::fs::write(&file, format!("vehicle_id,event_time,lon,lat\n{lines}")).unwrap();
    // One stall of 200 ms at 1,000 records/s: a closed loop would see one slow request of six, an open one sees
    // that all later ones waited.
    let service = FakeService::start(|number, request| {
        if number == 0 {
            std::thread::sleep(Duration::from_millis(200));
        }
        accept_all(request)
    })
    .await;
    let options = Options { rate: Some(1_000.0), batch: 10, connections: 1, ..options(&service.url, file) };
    let report = run(&options, &|_, _| {}).await.unwrap();
    assert_eq!(report.acknowledged, 60);
    assert!(report.latency.p50 >= Duration::from_millis(120), "{report}");
}

#[tokio::test]
async fn what_cannot_be_used_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let missing =
        run(&options("http://127.0.0.1:1", dir.path().join("no.csv")), &|_, _| {}).await.unwrap_err();
    assert_eq!(missing.downcast_ref::<FileError>().unwrap().exit_code(), 2);
    let wrong = Options { rate: Some(0.0), ..options("http://127.0.0.1:1", dir.path().join("no.csv")) };
    assert!(run(&wrong, &|_, _| {}).await.unwrap_err().to_string().contains("--rate"));
}
