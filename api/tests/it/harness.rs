//! A service on a free port with a store of its own, and a small blocking HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use api::{Api, ApiConfig, Views};
use journal::{ChangeBytes, Log, Options, Store};
use model::{
    AlertDetails, AlertId, AlertMarkRecord, AlertRow, Change, ClosedTick, Coord, CrossingRow, EndReason,
    EntityRecord, FenceEdit, Fix, KpiMetric, KpiRow, KpiSlice, KpiSpan, LocationRecord, Position,
    PositionRef, PresenceRow, Record, RecordSink, RejectReason, RejectRow, Row, Severity, TimeMs, TripEdit,
    TripRecord, TripRow, VisitId, VisitRow, Why,
};
use serde_json::Value;

/// The event times and instants of the tests begin here: 2026-01-05T00:00:00Z.
pub const START_MS: i64 = 1_767_571_200_000;

/// A running service. Dropping it stops it.
pub struct Service {
    pub address: SocketAddr,
    pub store: Store,
    pub views: Arc<Views>,
    tick: Arc<AtomicU64>,
    /// The instant of the last tick, seconds from [`START_MS`].
    passed_s: Arc<AtomicI64>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    serving: Option<std::thread::JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// How the journal and the views hang together.
pub enum Wiring {
    /// Ticks are fed to the views by [`Service::close`].
    ByHand,
    /// Each tick of the journal is shown, with its positions and what people said of fences, trips and locations. A
    /// trip that is planned has a row that says so, and no more.
    SaidOnly,
}

impl Service {
    pub fn start(config: ApiConfig) -> Service {
        Service::start_wired(config, Wiring::ByHand, None)
    }

    pub fn start_wired(config: ApiConfig, wiring: Wiring, log: Option<Arc<dyn Log>>) -> Service {
        let (folder, store, views) = Service::parts();
        views.set_ready();
        Service::start_with(config, wiring, log, (folder, store, views))
    }

    /// A service that does not know yet where its journal ends.
    pub fn starting(config: ApiConfig, log: Option<Arc<dyn Log>>) -> Service {
        Service::start_with(config, Wiring::ByHand, log, Service::parts())
    }

    fn parts() -> (tempfile::TempDir, Store, Arc<Views>) {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { heartbeat_ms: 3_600_000, changes_keep_ms: 0, ..Options::default() };
        let store = Store::open(folder.path(), options).unwrap();
        (folder, store, Arc::new(Views::new(24 * 3_600_000)))
    }

    fn start_with(
        config: ApiConfig,
        wiring: Wiring,
        log: Option<Arc<dyn Log>>,
        (folder, store, views): (tempfile::TempDir, Store, Arc<Views>),
    ) -> Service {
        let ticks = store.log().start().unwrap();
        let views_too = views.clone();
        std::thread::spawn(move || {
            for tick in ticks {
                if let Wiring::SaidOnly = wiring {
                    let (closed, marks) = said_in(&tick);
                    views_too.apply_marked(&closed, &marks);
                }
            }
        });
        let api = Api {
            log: log.unwrap_or_else(|| Arc::new(store.log())),
            changelog: store.changelog(),
            dead_letters: store.dead_letters(),
            views: views.clone(),
            explain: Some(Arc::new(explain)),
            sinks: Vec::new(),
            postgis: None,
            kafka_input: None,
            config,
        };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let serving = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                api::serve(listener, api, stopped).await.unwrap();
            });
        });
        let address = told.recv().unwrap();
        let (tick, passed_s) = (Arc::default(), Arc::default());
        Service {
            address,
            store,
            views,
            tick,
            passed_s,
            stop: Some(stop),
            serving: Some(serving),
            _folder: folder,
        }
    }

    /// Closes a tick: first in the changelog, then in the views, as the pipeline does.
    pub fn close(&self, fixes: Vec<Fix>, changes: Vec<Change>, fence_edits: Vec<FenceEdit>) -> u64 {
        self.close_corrected(fixes, changes.clone(), changes, fence_edits)
    }

    /// Closes a tick whose changes in the changelog are others than those of the graph.
    pub fn close_corrected(
        &self,
        fixes: Vec<Fix>,
        mut kept: Vec<Change>,
        mut changes: Vec<Change>,
        fence_edits: Vec<FenceEdit>,
    ) -> u64 {
        let (tick, instant) = self.next_tick();
        changes.sort_by(Change::cmp_in_tick);
        kept.sort_by(Change::cmp_in_tick);
        let bytes: Vec<ChangeBytes> = kept.iter().map(pipeline::change_bytes).collect();
        self.store.changelog().append(tick, instant.0, &bytes).unwrap();
        let closed =
            ClosedTick { tick, instant, records: tick, changes, fixes, fence_edits, ..Default::default() };
        self.views.apply(&closed);
        tick
    }

    /// Moves the instant of the next tick on to this second.
    pub fn pass_time_to(&self, second: i64) {
        self.passed_s.store(second, Ordering::SeqCst);
    }

    /// The number and the instant of the next tick.
    fn next_tick(&self) -> (u64, TimeMs) {
        let tick = self.tick.fetch_add(1, Ordering::SeqCst) + 1;
        let second = self.passed_s.fetch_add(1, Ordering::SeqCst) + 1;
        (tick, TimeMs(START_MS + second * 1000))
    }

    /// Closes a tick with what people said of trips, locations and alerts, as NDJSON of records.
    pub fn close_said(&self, records: &str, fixes: Vec<Fix>, mut changes: Vec<Change>) -> u64 {
        let (tick, instant) = self.next_tick();
        changes.sort_by(Change::cmp_in_tick);
        let bytes: Vec<ChangeBytes> = changes.iter().map(pipeline::change_bytes).collect();
        self.store.changelog().append(tick, instant.0, &bytes).unwrap();
        let mut said = Said::default();
        sources::decode(sources::code::RECORDS, "", records.as_bytes(), &mut said);
        let closed = ClosedTick { tick, instant, records: tick, changes, fixes, ..said.closed };
        self.views.apply_marked(&closed, &said.marks);
        tick
    }

    /// Stops the service and waits until it has.
    pub fn stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(serving) = self.serving.take() {
            serving.join().unwrap();
        }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// A request that must succeed.
    pub fn get_json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some("application/json"), "{path}");
        answer.json()
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Answer {
        self.request("POST", path, &[], body)
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut connection = self.send(method, path, headers, body);
        let mut answer = read_head(&mut connection);
        let length = answer.header("content-length").map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        connection.read_exact(&mut body).unwrap();
        answer.body = body;
        answer
    }

    /// Sends a request; an own `host` header replaces the right one.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(name, _)| matches!(*name, "content-length" | "transfer-encoding")) {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("connection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        // The service may answer and close before it has read everything.
        let _ = stream.write_all(body);
        BufReader::new(stream)
    }

    /// All rows of a list, page by page.
    pub fn read_all(&self, path: &str) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get_json(&format!("{path}{separator}cursor={cursor}"));
            rows.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return rows,
            }
        }
    }

    /// Follows the changes.
    pub fn follow(&self, query: &str, headers: &[(&str, &str)]) -> Events {
        self.follow_at(&format!("/api/v1/changes{query}"), headers)
    }

    /// Follows a stream of events.
    pub fn follow_at(&self, path: &str, headers: &[(&str, &str)]) -> Events {
        let mut connection = self.send("GET", path, headers, b"");
        let head = read_head(&mut connection);
        assert_eq!(head.status, 200);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        Events { connection, unread: String::new() }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop();
        self.store.log().stop();
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|err| panic!("{err}: {}", self.text()))
    }

    /// Asserts that this is an error as the interface promises it, and returns its detail.
    #[track_caller]
    pub fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["type"].is_string() && problem["title"].is_string(), "{problem}");
        problem["detail"].as_str().unwrap().to_owned()
    }
}

fn read_head(connection: &mut BufReader<TcpStream>) -> Answer {
    let mut line = String::new();
    connection.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {line:?}")).parse().unwrap();
    let mut headers = Vec::new();
    loop {
        line.clear();
        connection.read_line(&mut line).unwrap();
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.to_owned())),
            None => return Answer { status, headers, body: Vec::new() },
        }
    }
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

/// A stream of events.
pub struct Events {
    connection: BufReader<TcpStream>,
    unread: String,
}

impl Events {
    /// The next event; `None` at the end of the stream.
    pub fn next(&mut self) -> Option<Event> {
        loop {
            while let Some(end) = self.unread.find("\n\n") {
                let block: String = self.unread.drain(..end + 2).collect();
                let field = |name: &str| {
                    let start = format!("{name}: ");
                    block.lines().find_map(|line| line.strip_prefix(&start)).map(str::to_owned)
                };
                if let Some(data) = field("data") {
                    let data = serde_json::from_str(&data).unwrap();
                    return Some(Event { id: field("id").unwrap(), name: field("event").unwrap(), data });
                }
            }
            if !self.read_chunk() {
                return None;
            }
        }
    }

    /// The next event about a row.
    pub fn next_change(&mut self) -> Event {
        loop {
            let event = self.next().expect("the stream goes on");
            if event.name != "tick" {
                return event;
            }
        }
    }

    /// The next `tick` event.
    pub fn next_tick(&mut self) -> Event {
        loop {
            let event = self.next().expect("the stream goes on");
            if event.name == "tick" {
                return event;
            }
        }
    }

    /// The next comment; what comes before it is not looked at.
    pub fn next_comment(&mut self) -> String {
        loop {
            while let Some(end) = self.unread.find("\n\n") {
                let block: String = self.unread.drain(..end + 2).collect();
                if let Some(comment) = block.strip_prefix(": ") {
                    return comment.trim_end().to_owned();
                }
            }
            assert!(self.read_chunk(), "the stream goes on");
        }
    }

    fn read_chunk(&mut self) -> bool {
        let mut size = String::new();
        self.connection.read_line(&mut size).unwrap();
        let length = usize::from_str_radix(size.trim_end(), 16).unwrap();
        let mut chunk = vec![0; length + 2];
        self.connection.read_exact(&mut chunk).unwrap();
        self.unread.push_str(std::str::from_utf8(&chunk[..length]).unwrap());
        length > 0
    }
}

/// Knows the visits 1 and 2; the second takes longer than anybody may.
fn explain(id: VisitId, may_go_on: &dyn Fn() -> bool) -> Result<Option<Value>, api::ExplainError> {
    match id {
        VisitId(1) => Ok(Some(serde_json::json!({"id": id.to_string()}))),
        VisitId(2) => {
            while may_go_on() {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(api::ExplainError::GaveUp)
        }
        _ => Ok(None),
    }
}

/// Collects what people say.
#[derive(Default)]
struct Said {
    closed: ClosedTick,
    marks: Vec<AlertMarkRecord>,
}

impl RecordSink for Said {
    fn position(&mut self, _: Option<TimeMs>, decoded: PositionRef<'_>) {
        let position = decoded.position;
        self.closed.fixes.push(Fix {
            vehicle_id: decoded.vehicle_id.into(),
            spelling: None,
            seq: 1,
            at: Coord::from_degrees(position.lon, position.lat).unwrap(),
            position,
            received: position.event_time,
        });
    }

    fn record(&mut self, _: Option<TimeMs>, record: Record) {
        match record {
            Record::FenceUpsert(fence) => self.closed.fence_edits.push(FenceEdit::Upsert(fence)),
            Record::FenceDelete { id, at } => {
                self.closed.fence_edits.push(FenceEdit::Delete { id, at: at.unwrap_or(TimeMs(0)) });
            }
            Record::Trip { id, edit, json } => self.closed.trip_records.push(TripRecord { id, edit, json }),
            Record::Location { id, edit, json } => {
                self.closed.location_records.push(LocationRecord { id, edit, json });
            }
            Record::Vehicle { id, edit, json } => {
                self.closed.entity_records.push(EntityRecord::Vehicle { id, edit, json });
            }
            Record::Other { kind, json } => {
                self.closed.entity_records.push(EntityRecord::Other { kind, json });
            }
            Record::AlertMark { alert_id, mark, by, .. } => {
                self.marks.push(AlertMarkRecord { alert_id, mark, by });
            }
            _ => {}
        }
    }
}

fn said_in(tick: &journal::Tick) -> (ClosedTick, Vec<AlertMarkRecord>) {
    let mut said = Said::default();
    for entry in &tick.entries {
        sources::decode(entry.source, &entry.context, &entry.payload, &mut said);
    }
    let planned = |record: &TripRecord| match &record.edit {
        TripEdit::Plan(plan) => {
            let row = TripRow { vehicle_id: plan.vehicle_id.clone(), ..trip(&record.id) };
            Some(trip_change(1, &row))
        }
        TripEdit::SetStatus { .. } => None,
    };
    let changes = said.closed.trip_records.iter().filter_map(planned).collect();
    let closed = ClosedTick { tick: tick.number, instant: TimeMs(tick.instant_ms), changes, ..said.closed };
    (closed, said.marks)
}

pub fn fix(vehicle: &str, seq: u64, second: i64, lon: f64, lat: f64) -> Fix {
    let position = Position {
        event_time: TimeMs(START_MS + second * 1000),
        lon,
        lat,
        speed_kmh: Some(12.3),
        ..Position::default()
    };
    Fix {
        vehicle_id: vehicle.into(),
        spelling: None,
        seq,
        at: Coord::from_degrees(lon, lat).unwrap(),
        position,
        received: TimeMs(START_MS + second * 1000 + 500),
    }
}

pub fn presence(diff: i8, vehicle: &str, fence: &str, entered_s: i64, exited_s: Option<i64>) -> Change {
    let row = PresenceRow {
        vehicle_id: vehicle.into(),
        fence_id: fence.into(),
        entered: TimeMs(START_MS + entered_s * 1000),
        end: exited_s.map(|second| (TimeMs(START_MS + second * 1000), EndReason::Exit)),
    };
    Change { diff, row: Row::Presence(row), why: Why::first(1) }
}

/// The row of a trip of T1 that is planned and nothing else.
pub fn trip(id: &str) -> TripRow {
    TripRow::planned(id.into(), "T1".into())
}

/// A trip's row that came or went.
pub fn trip_change(diff: i8, row: &TripRow) -> Change {
    Change { diff, row: Row::Trip(row.clone()), why: Why::first(1) }
}

/// An alert of T1 that has no duration and no details, with times in seconds.
pub fn alert(kind: &str, started_s: i64, ended_s: Option<i64>) -> AlertRow {
    let started = TimeMs(START_MS + started_s * 1000);
    AlertRow {
        alert_id: AlertId::of(kind, &["T1"], started),
        kind: kind.into(),
        severity: Severity::Warning,
        vehicle_id: "T1".into(),
        fence_id: None,
        trip_id: None,
        started,
        due_at: started,
        ended: ended_s.map(|second| TimeMs(START_MS + second * 1000)),
        details: AlertDetails::None.to_json().into(),
    }
}

/// An alert's row that came or went.
pub fn alert_change(diff: i8, row: &AlertRow) -> Change {
    Change { diff, row: Row::Alert(row.clone()), why: Why::first(1) }
}

/// A figure of the fleet.
pub fn kpi(span: KpiSpan, start: Option<TimeMs>, metric: KpiMetric, value: i64) -> KpiRow {
    KpiRow { span, start, slice: KpiSlice::fleet(), metric, value, is_final: false }
}

/// A figure's row that came or went.
pub fn kpi_change(diff: i8, row: &KpiRow) -> Change {
    Change { diff, row: Row::Kpi(row.clone()), why: Why::first(1) }
}

/// A visit of T1.
pub fn visit(diff: i8, fence: &str, arrived_s: i64, departed_s: Option<i64>) -> Change {
    let row = VisitRow {
        vehicle_id: "T1".into(),
        fence_id: fence.into(),
        arrived: TimeMs(START_MS + arrived_s * 1000),
        departed: departed_s.map(|second| TimeMs(START_MS + second * 1000)),
        confirmed_at: TimeMs(START_MS + (arrived_s + 300) * 1000),
        presences: 1,
    };
    Change { diff, row: Row::Visit(row), why: Why::first(1) }
}

pub fn crossing(diff: i8, vehicle: &str, fence: &str, from_s: i64, to_s: i64) -> Change {
    let row = CrossingRow {
        vehicle_id: vehicle.into(),
        fence_id: fence.into(),
        from_time: TimeMs(START_MS + from_s * 1000),
        to_time: TimeMs(START_MS + to_s * 1000),
        at: TimeMs(START_MS + (from_s + to_s) * 500),
    };
    Change { diff, row: Row::Crossing(row), why: Why::first(1) }
}

pub fn reject(diff: i8, vehicle: Option<&str>, seq: u64, second: i64, reason: RejectReason) -> Change {
    let fix = vehicle.map(|id| (id.into(), TimeMs(START_MS + second * 1000)));
    Change { diff, row: Row::Reject(RejectRow { seq, fix, reason }), why: Why::first(seq) }
}

pub fn jump(diff: i8, vehicle: &str, seq: u64, second: i64) -> Change {
    reject(diff, Some(vehicle), seq, second, RejectReason::Jump)
}

/// A good record of generic ingest.
pub fn position_line(vehicle: &str, second: u32) -> String {
    format!(
        "{{\"type\":\"position\",\"vehicle_id\":\"{vehicle}\",\"event_time\":\"2026-01-05T00:00:{second:02}Z\",\
         \"lon\":3.4,\"lat\":6.5}}\n"
    )
}
