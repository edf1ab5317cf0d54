//! A service that starts from a snapshot answers every question as one that starts from the beginning.

use crate::common::{NO_HEARTBEAT, Service, succeed, verify, watchtower};

use super::{LONG_HORIZON, feeds, post, way};
use feeds::Form;

/// Answers of all sorts; what is in them is of one tick, since none is minted.
const QUESTIONS: [&str; 20] = [
    "/api/v1/trucks?limit=1000",
    "/api/v1/trucks/near?lat=6.5&lng=3.4&radius=50&unit=km&limit=100",
    "/api/v1/presences?limit=1000",
    "/api/v1/visits?limit=1000",
    "/api/v1/crossings?limit=1000",
    "/api/v1/rejects?limit=1000",
    "/api/v1/rejects/counts",
    "/api/v1/trips?limit=1000",
    "/api/v1/alerts?limit=1000",
    "/api/v1/kpis?limit=1000",
    "/api/v1/kpis/history?span=day&slice=fleet&metric=distance_m&from=2020-01-01T00:00:00Z",
    "/api/v1/analytics/daily?from=2020-01-01T00:00:00Z",
    "/api/v1/analytics/utilization?from=2020-01-01T00:00:00Z",
    "/api/v1/fences?limit=1000",
    "/api/v1/vehicles?limit=1000",
    "/api/v1/drivers?limit=1000",
    "/api/v1/organizations?limit=1000",
    "/api/v1/locations?limit=1000",
    "/api/v1/assignments?limit=1000",
    "/readyz",
];

fn answers(service: &mut Service) -> Vec<String> {
    let mut client = service.client();
    let mut answers: Vec<String> = QUESTIONS
        .iter()
        .map(|path| {
            let answer = client.get(path).expect("an answer");
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            format!("{path}: {}", answer.text())
        })
        .collect();
    let trucks = client.get("/api/v1/trucks?limit=1000").expect("an answer").json();
    for truck in trucks["items"].as_array().expect("trucks") {
        let path =
            format!("/api/v1/trucks/{}/track?limit=1000", truck["vehicle_id"].as_str().expect("an id"));
        answers.push(format!("{path}: {}", client.get(&path).expect("an answer").text()));
    }
    answers
}

#[test]
fn a_start_from_a_snapshot_answers_as_one_from_the_beginning() {
    let dir = tempfile::tempdir().expect("a folder");
    let (feed, _) = feeds::simulated(dir.path());
    let data = dir.path().join("data");
    let args = [&NO_HEARTBEAT[..], &LONG_HORIZON].concat();
    let mut service = Service::start(&data, &args);
    post(&mut service, &feed, way(Form::Ndjson, 500, false));
    let records = [
        r#"{"type":"driver","op":"upsert","driver":{"id":"ada","name":"Ada","phone":"0803"}}"#,
        r#"{"type":"organization","op":"upsert","organization":{"id":"acme","name":"Acme"}}"#,
        r#"{"type":"vehicle","op":"upsert","vehicle":{"id":"T1","status":"maintenance"}}"#,
        r#"{"type":"assignment","driver_id":"ada","vehicle_id":"T1","from_time":"2026-01-05T00:00:00Z"}"#,
        r#"{"type":"rule","kind":"overspeed","scope":"fleet","threshold":20,"duration_s":30,"severity":"critical"}"#,
    ];
    let answer = service.client().post("/api/v1/records", records.join("\n").as_bytes()).expect("an answer");
    assert_eq!(answer.status, 200, "{}", answer.text());
    service.kill();

    let mut from_beginning = Service::start(&data, &args);
    let expected = answers(&mut from_beginning);
    // The fences of this fleet do not ask for crossings, and of the present there is nothing to count.
    let says_nothing = |answer: &&String| {
        answer.contains("\"items\":[]")
            && !["/crossings", "/kpis", "/analytics"].iter().any(|of| answer.contains(of))
    };
    assert_eq!(expected.iter().find(says_nothing), None);
    let taken = succeed(watchtower().args(["snapshots", "take", "--data"]).arg(&data)).stdout;
    assert!(
        String::from_utf8_lossy(&taken).starts_with("taken: tick "),
        "{}",
        String::from_utf8_lossy(&taken)
    );
    let said = from_beginning.kill();
    assert!(!said.contains("a start from a snapshot"), "{said}");

    let mut from_snapshot = Service::start(&data, &args);
    let got = answers(&mut from_snapshot);
    for (got, expected) in got.iter().zip(&expected) {
        assert_eq!(got, expected);
    }
    assert_eq!(got.len(), expected.len());
    let said = from_snapshot.stop();
    assert!(said.contains("a start from a snapshot"), "{said}");
    verify(&data);

    let listed = succeed(watchtower().args(["snapshots", "list", "--data"]).arg(&data)).stdout;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    assert!(listed.contains(": good\n") && listed.ends_with("1 snapshots\n"), "{listed}");
}
