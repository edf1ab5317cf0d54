//! Records that are not used: listed from what is kept, and counted.

use api::ApiConfig;
use model::{Change, RejectReason};
use serde_json::{Value, json};

use crate::harness::{Service, reject};

fn seqs(rows: &[Value]) -> Vec<u64> {
    rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect()
}

/// One reject a second: of T0 to T2 by turns, every tenth of nobody.
fn many(count: u64) -> Vec<Change> {
    let row = |seq: u64| match seq % 10 {
        0 => reject(1, None, seq, 0, RejectReason::Malformed),
        1 => reject(1, Some(&format!("T{}", seq % 3)), seq, seq as i64, RejectReason::TooLate),
        _ => reject(1, Some(&format!("T{}", seq % 3)), seq, seq as i64, RejectReason::Jump),
    };
    (1..=count).map(row).collect()
}

#[test]
fn all_that_are_kept_are_listed_by_any_filter() {
    let service = Service::start(ApiConfig::default());
    let all = many(600);
    service.close(vec![], all.clone(), vec![]);
    let read = |query: &str| seqs(&service.read_all(&format!("/api/v1/rejects?limit=70&{query}")));
    let expected = |wanted: &dyn Fn(u64) -> bool| (1..=600).filter(|seq| wanted(*seq)).collect::<Vec<u64>>();
    assert_eq!(read(""), expected(&|_| true));
    assert_eq!(read("vehicle_id=T1"), expected(&|seq| seq % 10 > 0 && seq % 3 == 1));
    assert_eq!(read("reason=too_late"), expected(&|seq| seq % 10 == 1));
    assert_eq!(read("vehicle_id=T1&reason=too_late"), expected(&|seq| seq % 30 == 1));
    let span = "from=2026-01-05T00:01:00Z&to=2026-01-05T00:02:00Z";
    assert_eq!(read(span), expected(&|seq| seq % 10 > 0 && (60..120).contains(&seq)));
    assert_eq!(read("vehicle_id=T"), [0; 0], "an id's beginning is another id");
    assert_eq!(read("vehicle_id=T9"), [0; 0]);

    // What is taken back is in no list, and a row is the file's bytes.
    service.close(vec![], vec![Change { diff: -1, ..all[1].clone() }], vec![]);
    assert_eq!(read("vehicle_id=T2").first(), Some(&5));
    let row = all[4].row.to_json();
    let page = service.get("/api/v1/rejects?vehicle_id=T2&limit=1").text();
    assert!(page.contains(&format!("\"tick\":2,\"items\":[{row}],")), "{page}");
}

#[test]
fn a_narrow_filter_looks_at_a_bounded_number_of_rows() {
    let service = Service::start(ApiConfig::default());
    let mut all: Vec<Change> =
        (1..=10_050).map(|seq| reject(1, Some("T1"), seq, 0, RejectReason::Jump)).collect();
    all.push(reject(1, Some("T1"), 10_051, 0, RejectReason::Future));
    service.close(vec![], all, vec![]);
    let first = service.get_json("/api/v1/rejects?reason=future");
    assert_eq!(first["items"], json!([]));
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = service.get_json(&format!("/api/v1/rejects?reason=future&cursor={cursor}"));
    assert_eq!(
        (seqs(second["items"].as_array().unwrap()), &second["next_cursor"]),
        (vec![10_051], &Value::Null)
    );
}

#[test]
fn they_are_counted_by_vehicle_and_reason() {
    let service = Service::start(ApiConfig::default());
    service.close(vec![], many(30), vec![]);
    let counts = |query: &str| service.get_json(&format!("/api/v1/rejects/counts?{query}"));
    let all = counts("");
    assert_eq!((&all["totals"]["malformed"], &all["totals"]["jump"]), (&json!(3), &json!(24)));
    let of_t0 = json!({"malformed": 0, "out_of_range": 0, "null_island": 0, "future": 0, "too_late": 1,
        "jump": 8, "bad_value": 0});
    assert_eq!(all["items"][0], json!({"vehicle_id": "T0", "counts": of_t0}));
    assert_eq!(all["items"].as_array().unwrap().len(), 3);
    assert_eq!(counts("vehicle_id=T0")["items"], json!([{"vehicle_id": "T0", "counts": of_t0}]));
    assert_eq!(counts("vehicle_id=T0&reason=future")["items"], json!([]));
    assert_eq!(service.read_all("/api/v1/rejects/counts?limit=1&reason=too_late").len(), 3);
    let metrics = service.get("/metrics").text();
    assert!(metrics.contains("watchtower_rejects{reason=\"jump\"} 24"), "{metrics}");
}
