//! Records in: what is accepted is in the journal, what is refused is a dead letter with a reason.

use std::io::Write;

use api::ApiConfig;
use journal::{DeadLetter, Log};
use serde_json::json;

use crate::harness::{Answer, Service, position_line};

const RECORDS: &str = "/api/v1/records";

fn letters(service: &Service) -> Vec<DeadLetter> {
    service.store.dead_letters().list(0, 1000).unwrap()
}

fn journalled(service: &Service) -> Vec<String> {
    let log = service.store.log();
    let last = log.last_tick().map_or(0, |(tick, _)| tick);
    let ticks = log.read(1, last).map(Result::unwrap);
    ticks.flat_map(|tick| tick.entries).map(|entry| String::from_utf8(entry.payload).unwrap()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn good_records_are_durable_when_answered() {
    let service = Service::start(ApiConfig::default());
    let body = position_line("T1", 1) + &position_line("T2", 2);
    let answer = service.post(RECORDS, body.as_bytes());
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), r#"{"accepted":2,"refused":0,"tick":1,"errors":[]}"#);
    assert_eq!(journalled(&service), [body]);
    let answer = service.request("POST", RECORDS, &[("content-encoding", "gzip")], &gzip(b"[]"));
    answer.problem(422);
    let one = position_line("T3", 3);
    let answer = service.request("POST", RECORDS, &[("content-encoding", "gzip")], &gzip(one.as_bytes()));
    assert_eq!(answer.json()["accepted"], 1);
    assert_eq!(journalled(&service)[1], one);
    let chunked = format!("{:x}\r\n{one}\r\n0\r\n\r\n", one.len());
    let answer = service.request("POST", RECORDS, &[("transfer-encoding", "chunked")], chunked.as_bytes());
    assert_eq!(answer.json()["accepted"], 1);
    assert!(letters(&service).is_empty());
    let metrics = service.get("/metrics").text();
    assert!(metrics.contains("watchtower_records_accepted_total{source=\"records\"} 4"), "{metrics}");
    assert!(metrics.contains("watchtower_append_seconds_count 3"));
}

#[test]
fn refused_records_become_dead_letters_and_the_rest_goes_on() {
    let service = Service::start(ApiConfig::default());
    let good = position_line("T1", 1);
    let body = format!("{good}{{\"type\":\"position\"}}\nnot json\n{}", position_line("T2", 2));
    let answer = service.post(RECORDS, body.as_bytes()).json();
    assert_eq!((&answer["accepted"], &answer["refused"]), (&json!(2), &json!(2)));
    assert_eq!((&answer["errors"][0]["line"], &answer["errors"][1]["line"]), (&json!(2), &json!(3)));
    let kept = letters(&service);
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0].payload, b"{\"type\":\"position\"}");
    assert_eq!(kept[0].reason, answer["errors"][0]["reason"].as_str().unwrap());
    assert_eq!(journalled(&service).concat(), good + &position_line("T2", 2));

    let clock = b"{\"type\":\"clock\",\"received_time\":\"2030-01-01T00:00:00Z\"}\n";
    let answer = service.post(RECORDS, clock);
    answer.problem(422);
    assert_eq!((&answer.json()["refused"], &answer.json()["accepted"]), (&json!(1), &json!(0)));
    assert_eq!(letters(&service).len(), 3);
    assert_eq!(journalled(&service).len(), 1);
}

#[test]
fn bodies_that_are_none_are_refused_by_their_kind() {
    let config = ApiConfig { max_body_bytes: 1000, max_inflated_bytes: 4000, ..ApiConfig::default() };
    let service = Service::start(config);
    service.post(RECORDS, b"{").problem_in(&[400, 422]);
    let kept = letters(&service);
    assert_eq!((kept.len(), kept[0].payload.as_slice()), (1, b"{".as_slice()));

    let send = |headers: &[(&str, &str)], body: &[u8]| service.request("POST", RECORDS, headers, body);
    assert!(send(&[("content-encoding", "gzip")], b"no gzip").problem(400).contains("gzip"));
    assert_eq!(letters(&service)[1].payload, b"no gzip");
    assert!(send(&[], &[b' '; 1001]).problem(413).contains("1000"));
    let chunked = format!("3e9\r\n{}\r\n0\r\n\r\n", " ".repeat(1001));
    send(&[("transfer-encoding", "chunked")], chunked.as_bytes()).problem(413);
    send(&[("content-encoding", "gzip")], &gzip(&[b' '; 100_000])).problem(413);
    assert!(send(&[("content-type", "image/png")], b"x").problem(415).contains("application/json"));
    assert!(send(&[("content-encoding", "br")], b"x").problem(415).contains("gzip"));
    assert_eq!(letters(&service).len(), 2, "what is too large or of another kind is only counted");
    let metrics = service.get("/metrics").text();
    assert!(
        metrics.contains("watchtower_refused_total{source=\"records\",reason=\"too_large\"} 3"),
        "{metrics}"
    );
    assert!(metrics.contains("watchtower_refused_total{source=\"records\",reason=\"unsupported\"} 2"));
}

impl Answer {
    #[track_caller]
    fn problem_in(&self, statuses: &[u16]) -> String {
        assert!(statuses.contains(&self.status), "{}: {}", self.status, self.text());
        self.problem(self.status)
    }
}

#[test]
fn loconavs_webhooks_go_through_their_own_check() {
    let service = Service::start(ApiConfig::default());
    let location =
        br#"{"vehicleNumber":"t 1-","latitude":"6.5","longitude":"3.4","gpstime":"2026-01-05T00:00:01Z"}"#;
    let answer = service.post("/webhooks/loconav/location", location);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["accepted"], 1);
    let answer = service.post("/webhooks/loconav/alert", location);
    answer.problem(422);
    assert_eq!(letters(&service)[0].context, "alert");
    assert_eq!(service.post("/webhooks/loconav", location).json()["accepted"], 1);
    let nothing = service.post("/webhooks/loconav", b"[]");
    assert_eq!(nothing.text(), r#"{"accepted":0,"refused":0,"tick":null,"errors":[]}"#);
}

#[test]
fn signed_bodies_only_where_there_is_a_secret() {
    let secret = b"key".to_vec();
    let service = Service::start(ApiConfig { hmac_secret: Some(secret.clone()), ..ApiConfig::default() });
    let body = gzip(position_line("T1", 1).as_bytes());
    let now_s = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let send = |path: &str, time_s: i64, signed: &[u8]| {
        let (time, signature) = (time_s.to_string(), sources::signature::sign(&secret, time_s, signed));
        let headers = [
            ("x-watchtower-timestamp", time.as_str()),
            ("x-watchtower-signature", signature.as_str()),
            ("content-encoding", "gzip"),
        ];
        service.request("POST", path, &headers, &body)
    };
    assert_eq!(send(RECORDS, now_s, &body).status, 200, "the signature is over the bytes as sent");
    send(RECORDS, now_s, b"another body").problem(401);
    assert!(send(RECORDS, now_s - 400, &body).problem(401).contains("Timestamp"), "an old one sent again");
    for path in [RECORDS, "/webhooks/loconav", "/webhooks/loconav/location", "/webhooks/loconav/alert"] {
        assert!(service.post(path, b"{}").problem(401).contains("X-Watchtower"), "{path}");
    }
    assert!(letters(&service).is_empty(), "strangers do not fill the store");
    let metrics = service.get("/metrics").text();
    assert!(metrics.contains("watchtower_refused_total{source=\"records\",reason=\"unauthorized\"} 3"));
    assert!(!metrics.contains("key"));
}

#[test]
fn operators_sign_too_where_it_is_asked_for() {
    let config =
        ApiConfig { hmac_secret: Some(b"key".to_vec()), sign_all_writes: Some(true), ..ApiConfig::default() };
    let service = Service::start(config);
    service.request("PUT", "/api/v1/fences/a", &[], b"{}").problem(401);
    service.request("DELETE", "/api/v1/fences/a", &[], b"").problem(401);
    service.request("DELETE", "/api/v1/dead-letters/1", &[], b"").problem(401);
    service.post("/api/v1/dead-letters/1/replay", b"").problem(401);
    service.post("/api/v1/trips", b"{}").problem(401);
    service.request("PATCH", "/api/v1/trips/t", &[], b"{}").problem(401);
    service.post("/api/v1/trips/t/tracking-link", b"").problem(401);
    let now_s = i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
    let send = |method: &str, path: &str, signature: &str| {
        let time = now_s.to_string();
        let headers = [("x-watchtower-timestamp", time.as_str()), ("x-watchtower-signature", signature)];
        service.request(method, path, &headers, b"")
    };
    let (one, other) = ("/api/v1/dead-letters/1", "/api/v1/dead-letters/2");
    let signature = sources::signature::sign_write(b"key", now_s, "DELETE", one, b"");
    send("DELETE", one, &signature).problem(404);
    send("DELETE", other, &signature).problem(401);
    send("DELETE", "/api/v1/fences/a", &signature).problem(401);
    send("POST", "/api/v1/dead-letters/1/replay", &signature).problem(401);
    send("DELETE", one, &sources::signature::sign(b"key", now_s, b"")).problem(401);
    let fence = "/api/v1/fences/a%2Fb?at=2026-01-05T00:00:00Z";
    send("DELETE", fence, &sources::signature::sign_write(b"key", now_s, "DELETE", fence, b"")).problem(404);
    let on_loopback =
        Service::start(ApiConfig { hmac_secret: Some(b"key".to_vec()), ..ApiConfig::default() });
    on_loopback.request("DELETE", "/api/v1/dead-letters/1", &[], b"").problem(404);
}

#[test]
fn dead_letters_are_listed_mended_and_sent_again() {
    let service = Service::start(ApiConfig::default());
    let body = format!("{}bad one\nbad two\nbad three\n", position_line("T1", 1));
    service.post(RECORDS, body.as_bytes());
    let all = service.read_all("/api/v1/dead-letters?limit=2");
    assert_eq!(
        all.iter().map(|letter| letter["excerpt"].as_str().unwrap()).collect::<Vec<_>>(),
        ["bad one", "bad two", "bad three"]
    );
    let path = |at: usize, end: &str| format!("/api/v1/dead-letters/{}{end}", all[at]["id"]);
    let one = service.get_json(&path(0, ""));
    assert_eq!((&one["payload"], &one["payload_is_text"]), (&json!("bad one"), &json!(true)));
    assert_eq!((&one["source"], &one["bytes"]), (&json!("records"), &json!(7)));

    service.post(&path(0, "/replay"), b"").problem_in(&[400, 422]);
    assert_eq!(letters(&service).len(), 3, "it stays, and does not breed");
    let mended = position_line("T9", 9);
    assert_eq!(service.post(&path(0, "/replay"), mended.as_bytes()).json()["accepted"], 1);
    assert_eq!(journalled(&service).last(), Some(&mended));
    service.get(&path(0, "")).problem(404);

    let half_mended = format!("{mended}still bad\n");
    assert_eq!(service.post(&path(1, "/replay"), half_mended.as_bytes()).json()["refused"], 1);
    assert_eq!(
        letters(&service).iter().map(|l| l.payload.as_slice()).collect::<Vec<_>>(),
        [b"bad three".as_slice(), b"still bad"]
    );
    assert_eq!(service.request("DELETE", &path(2, ""), &[], b"").status, 204);
    service.request("DELETE", &path(2, ""), &[], b"").problem(404);
    service.post("/api/v1/dead-letters/x/replay", b"").problem(404);
}

#[test]
fn a_dead_letter_is_sent_again_once() {
    let service = Service::start(ApiConfig::default());
    let letters = service.store.dead_letters();
    for round in 1..=20 {
        let letter = letters.add(1, 2, "", "was bad", position_line("T1", 1).as_bytes()).unwrap();
        let path = format!("/api/v1/dead-letters/{letter}/replay");
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let sending: Vec<_> = (0..4).map(|_| scope.spawn(|| service.post(&path, b"").status)).collect();
            sending.into_iter().map(|sent| sent.join().unwrap()).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 404).count(), 3, "{statuses:?}");
        assert_eq!(journalled(&service).len(), round);
    }
}

#[test]
fn a_dead_letter_stays_until_it_is_in_the_journal() {
    let service = Service::start(ApiConfig::default());
    let line = position_line("T1", 1);
    let letter = service.store.dead_letters().add(1, 2, "", "was bad", line.as_bytes()).unwrap();
    service.store.log().stop();
    service.post(&format!("/api/v1/dead-letters/{letter}/replay"), b"").problem(503);
    assert_eq!(letters(&service)[0].payload, line.as_bytes());
    service.get_json(&format!("/api/v1/dead-letters/{letter}"));
}
