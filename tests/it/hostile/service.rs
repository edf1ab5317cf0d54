//! A running service among clients who mean it ill, or know no better.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use super::{gzip, gzip_bomb, nested};
use crate::cli::pid_in;
use crate::cli::process::{MAX_MEMORY_MB, peak_memory_mb, run};
use crate::common::{Answer, NO_HEARTBEAT, Service, circle, fence_record, fix, now_ms, tick_of};

const RECORDS: &str = "/api/v1/records";

/// A service that must come through it all.
struct Besieged {
    dir: tempfile::TempDir,
    service: Service,
    pid: u32,
    good: usize,
}

impl Besieged {
    fn start() -> Besieged {
        let dir = tempfile::TempDir::new().expect("a folder");
        let service = Service::start(dir.path(), &NO_HEARTBEAT);
        let data = path(dir.path());
        // A second service is refused, and names the first.
        let refused = run(["run", "--listen", "127.0.0.1:0", "--data", data]);
        let pid = pid_in(&refused.err).unwrap_or_else(|| panic!("{refused:?}"));
        let mut besieged = Besieged { dir, service, pid, good: 0 };
        besieged.good_record_counts();
        besieged
    }

    fn address(&mut self) -> SocketAddr {
        self.service.address()
    }

    /// A connection as raw as it gets.
    fn socket(&mut self) -> TcpStream {
        let socket = TcpStream::connect(self.address()).expect("a connection");
        socket.set_read_timeout(Some(Duration::from_secs(40))).expect("a time limit");
        socket.set_write_timeout(Some(Duration::from_secs(40))).expect("a time limit");
        socket
    }

    fn good_record_counts(&mut self) {
        self.good += 1;
        let line = fix(&format!("GOOD{}", self.good), now_ms(), 3.4, 6.5);
        let answer = self.service.client().post(RECORDS, line.as_bytes()).expect("an answer");
        tick_of(&answer, 1);
    }

    fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let answer = self.service.client().send(method, path, headers, body).expect("an answer");
        self.good_record_counts();
        answer
    }

    /// The end: nothing panicked, memory was bounded, and every good record is there.
    fn survives(self) {
        let peak_mb = peak_memory_mb(self.pid).unwrap_or(0);
        assert!(peak_mb <= MAX_MEMORY_MB, "the service took {peak_mb} MB");
        let said = self.service.stop();
        assert!(!said.contains("panicked"), "{said}");
        let exported = run(["journal", "export", "--data", path(self.dir.path())]);
        assert_eq!(exported.out.matches("\"GOOD").count(), self.good, "good records are in the journal");
        run(["verify", "--data", path(self.dir.path())]).assert(0, &[]);
    }
}

fn path(dir: &Path) -> &str {
    dir.to_str().expect("a path in UTF-8")
}

fn assert_problem(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
    let problem = answer.json();
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(problem["status"] == status && !detail.is_empty(), "{what}: {problem}");
    assert!(answer.body.len() < 64 << 10, "{what}: an answer of {} bytes", answer.body.len());
}

/// A body: what it is, its headers, its bytes, and the status of the answer.
type Sent<'a> = (&'a str, &'a [(&'a str, &'a str)], Vec<u8>, u16);

#[test]
fn bodies_that_are_none_are_problems() {
    let mut besieged = Besieged::start();
    let json = [("Content-Type", "application/json")];
    let packed = [("Content-Encoding", "gzip")];
    let deep = nested(100_000);
    let nested_objects = "{\"a\":".repeat(100_000);
    let bodies: Vec<Sent> = vec![
        ("nothing", &json, Vec::new(), 400),
        ("blanks", &[], b" \n\n ".to_vec(), 400),
        ("no JSON", &[], b"vehicle_id,event_time\nT1,now".to_vec(), 400),
        ("a broken array", &json, b"[{\"type\":\"position\"}".to_vec(), 400),
        ("an empty array", &json, b"[]".to_vec(), 422),
        ("brackets", &json, deep.clone().into_bytes(), 400),
        ("closed brackets", &json, format!("{deep}{}", "]".repeat(100_000)).into_bytes(), 422),
        ("objects", &[], nested_objects.into_bytes(), 422),
        ("not UTF-8", &[], b"{\"type\":\"position\",\"vehicle_id\":\"\xff\xfe\"}".to_vec(), 422),
        ("zeros", &[], vec![0; 1 << 20], 400),
        ("1e999", &[], fix("T1", now_ms(), 3.4, 6.5).replace("3.4000000", "1e999").into_bytes(), 422),
        ("a clock", &[], b"{\"type\":\"clock\",\"received_time\":\"2100-01-01T00:00:00Z\"}".to_vec(), 422),
        ("a lie about gzip", &packed, b"this is no gzip".to_vec(), 400),
        ("gzip that breaks off", &packed, gzip(&[b'x'; 4096])[..20].to_vec(), 400),
        ("a bomb", &packed, gzip_bomb(b' ', 1024), 413),
        ("a line of 10 MB", &[], [b"{}\n{".to_vec(), vec![b'x'; 10 << 20]].concat(), 422),
        ("a teapot", &[("Content-Type", "message/teapot")], b"{}".to_vec(), 415),
        ("brotli", &[("Content-Encoding", "br")], b"{}".to_vec(), 415),
    ];
    for (what, headers, body, status) in bodies {
        let answer = besieged.send("POST", RECORDS, headers, &body);
        assert_problem(&answer, status, what);
    }
    for (what, body) in [("brackets", deep), ("a number", "7".to_owned()), ("text", "hello".to_owned())] {
        let answer = besieged.send("POST", "/webhooks/loconav", &json, body.as_bytes());
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
    }
    // A body that says that it is too large is refused before it is sent.
    let head = "POST /api/v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16777217\r\n\r\n";
    let mut socket = besieged.socket();
    socket.write_all(head.as_bytes()).expect("a head");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer, and the end of the connection");
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("application/problem+json"), "{answer}");
    besieged.good_record_counts();
    besieged.survives();
}

#[test]
fn good_records_beside_bad_ones_are_taken() {
    let mut besieged = Besieged::start();
    let now = now_ms();
    let lines = [
        fence_record(&circle("yard", 3.4, 6.5, 300.0)),
        nested(50_000),
        fix("T1", now - 900_000, 3.4, 6.5),
        fence_record(&circle("odd", 3.4, 6.5, -1.0)),
        "x".repeat(2 << 20),
        fix("T1", now - 300_000, 3.5, 6.5),
        fix(&"V".repeat(300), now, 3.4, 6.5),
    ];
    let answer = besieged.send("POST", RECORDS, &[], lines.join("\n").as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    let receipt = answer.json();
    assert_eq!((receipt["accepted"].as_u64(), receipt["refused"].as_u64()), (Some(3), Some(4)), "{receipt}");
    let errors = receipt["errors"].as_array().expect("a list");
    let bad: Vec<_> = errors.iter().map(|error| error["line"].as_u64()).collect();
    assert_eq!(bad, [Some(2), Some(4), Some(5), Some(7)], "{receipt}");
    assert!(errors.iter().all(|e| e["reason"].as_str().is_some_and(|r| !r.is_empty() && r.len() < 500)));
    let tick = receipt["tick"].as_u64().expect("a tick");
    let visits = besieged.send("GET", &format!("/api/v1/visits?min_tick={tick}"), &[], b"");
    let items = visits.json()["items"].clone();
    assert_eq!(
        (items.as_array().map(Vec::len), items[0]["vehicle_id"].as_str()),
        (Some(1), Some("T1")),
        "{items}"
    );
    let listed = run(["dead-letters", "list", "--data", path(besieged.dir.path())]);
    assert!(listed.code == 0 && listed.out.contains("4 kept"), "{listed:?}");
    besieged.survives();
}

#[test]
fn questions_that_make_no_sense_are_problems() {
    let mut besieged = Besieged::start();
    for (question, status) in [
        ("/api/v1/visits?limit=-1", 400),
        ("/api/v1/visits?limit=99999999999999999999", 400),
        ("/api/v1/visits?cursor=%00%ff%fe", 400),
        ("/api/v1/visits?cursor=nonsense", 400),
        ("/api/v1/visits?from=yesterday", 400),
        ("/api/v1/visits?min_tick=x", 400),
        ("/api/v1/presences?unknown=1", 400),
        ("/api/v1/changes?cursor=nonsense", 400),
        ("/api/v1/changes?tables=moons", 400),
        ("/api/v1/alerts?state=%00", 400),
        ("/api/v1/alerts/%ff", 400),
        ("/api/v1/kpis?metric=trucks%3A", 400),
        ("/api/v1/analytics/trucks/nobody", 404),
        ("/api/v1/nothing", 404),
        ("/api/v1/fences/%2e%2e%2fetc", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
    ] {
        let answer = besieged.send("GET", question, &[], b"");
        assert_problem(&answer, status, question);
    }
    for method in ["DELETE", "PUT", "BREW"] {
        let answer = besieged.send(method, RECORDS, &[], b"");
        assert_problem(&answer, 405, method);
    }
    besieged.survives();
}

/// Sends bytes and reads whatever comes until the other side has enough.
fn answer_to(mut socket: TcpStream, bytes: &[u8]) -> String {
    let mut answer = Vec::new();
    // The other side may have closed before it has read everything.
    if socket.write_all(bytes).is_ok() {
        let _ = socket.shutdown(std::net::Shutdown::Write);
    }
    match socket.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "an end: {error}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn garbage_on_the_socket_ends_that_connection_only() {
    let mut besieged = Besieged::start();
    let head = "POST /api/v1/records HTTP/1.1\r\nHost: localhost\r\n";
    let long_head = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}\r\n\r\n", "y".repeat(1 << 20));
    let many_heads = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(10_000));
    let cases: Vec<Vec<u8>> = vec![
        b"\0\0\0\0\xff\xff\xff\xff".repeat(10_000),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
        b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        long_head.into_bytes(),
        many_heads.into_bytes(),
        format!("{head}Content-Length: 99999999999999999999999\r\n\r\n").into_bytes(),
        format!("{head}Content-Length: -1\r\n\r\n").into_bytes(),
        format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!").into_bytes(),
        format!("{head}Content-Length: 10000000000\r\n\r\nx").into_bytes(),
        format!("{head}Content-Length: 100\r\n\r\nless than that").into_bytes(),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx").into_bytes(),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n").into_bytes(),
    ];
    for bytes in cases {
        let shown: String = String::from_utf8_lossy(&bytes).chars().take(100).collect();
        let answer = answer_to(besieged.socket(), &bytes);
        let refused =
            answer.is_empty() || answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.0 4");
        assert!(refused, "{shown:?} is answered {answer}");
        besieged.good_record_counts();
    }
    besieged.survives();
}

#[test]
fn a_body_without_an_end_is_cut_off() {
    let mut besieged = Besieged::start();
    let mut socket = besieged.socket();
    let head = "POST /api/v1/records HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    socket.write_all(head.as_bytes()).expect("a head");
    let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x1_0000], b"\r\n".to_vec()].concat();
    let mut sent = 0;
    while sent < 256 << 20 && socket.write_all(&chunk).is_ok() {
        sent += chunk.len();
    }
    assert!(sent < 64 << 20, "{sent} bytes of one body were taken");
    besieged.good_record_counts();
    besieged.survives();
}

#[test]
fn slow_clients_hold_up_nobody() {
    let mut besieged = Besieged::start();
    let head = "POST /api/v1/records HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n";
    let mut slow: Vec<TcpStream> = (0..300).map(|_| besieged.socket()).collect();
    for (i, socket) in slow.iter_mut().enumerate() {
        // Some have said nothing, some half a head, some a head and a little of a body.
        let said = match i % 3 {
            0 => "",
            1 => &head[..30],
            _ => head,
        };
        socket.write_all(said.as_bytes()).expect("it takes what little there is");
    }
    for round in 0..20 {
        for socket in slow.iter_mut().skip(2).step_by(3) {
            socket.write_all(b" ").unwrap_or_else(|e| panic!("round {round}: {e}"));
        }
        besieged.good_record_counts();
    }
    // One that sends byte by byte is answered all the same.
    let line = fix("GOOD-SLOW", now_ms(), 3.4, 6.5);
    let request = format!(
        "POST /api/v1/records HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{line}",
        line.len()
    );
    let mut socket = besieged.socket();
    socket.set_nodelay(true).expect("an option");
    for byte in request.as_bytes() {
        socket.write_all(&[*byte]).expect("a byte");
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    besieged.good += 1;
    drop(slow);
    besieged.survives();
}

#[test]
fn strange_ids_come_back_as_they_were() {
    let mut besieged = Besieged::start();
    for id in ["T\\u0000\\n1", "\\ud83d\\ude9a", "a/b?c=d&e#f%20", "</script><b>", "\\u202e"] {
        let line = fix(id, now_ms(), 3.4, 6.5);
        let tick = tick_of(&besieged.send("POST", RECORDS, &[], line.as_bytes()), 1);
        let plain: String = serde_json::from_str(&format!("\"{id}\"")).expect("an id");
        let escaped: String = plain.bytes().map(|byte| format!("%{byte:02x}")).collect();
        for question in ["/api/v1/visits", "/api/v1/presences"] {
            let question = format!("{question}?vehicle_id={escaped}&min_tick={tick}");
            let answer = besieged.send("GET", &question, &[], b"");
            assert_eq!(answer.status, 200, "{question}: {}", answer.text());
        }
        let exported = run(["journal", "export", "--data", path(besieged.dir.path())]);
        let lines =
            exported.out.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        assert_eq!(lines.filter(|line| line["vehicle_id"] == plain.as_str()).count(), 1, "{id}");
    }
    besieged.survives();
}
