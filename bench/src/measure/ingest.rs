//! A running service under load over HTTP on the same machine: durable webhooks a second, and how long
//! until what was sent is visible to a reader.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use model::TimeMs;
use serde_json::json;

use super::Options;
use super::report::{Figure, Report};
use crate::send::loconav::push_location;
use crate::simulate::{FleetOptions, FleetPosition, Layout, fleet};

const SECRET: &str = "a secret for measuring";
const VEHICLES: u32 = 10_000;
const FENCES: u32 = 100;
/// Threads that send; each has its part of the connections.
const SENDERS: usize = 2;

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let seconds = if options.quick { 2.0 } else { 10.0 };
    let runs = if options.quick { 1 } else { 3 };
    // (positions a body, connections, bodies a second)
    let mut cases = vec![("single", 1, 256, None), ("batched", 100, 64, None), ("batched", 1000, 16, None)];
    for rate in if options.quick { vec![2_000.0] } else { vec![1_000.0, 10_000.0, 20_000.0, 40_000.0] } {
        cases.push(("single at a rate", 1, 256, Some(rate)));
    }
    for (figure, batch, connections, rate) in cases {
        let load = Load { batch, connections, rate, seconds };
        let mut acknowledged = Vec::new();
        let mut quantiles: [Vec<f64>; 6] = Default::default();
        for _ in 0..runs {
            let outcome = run_once(&options.program, &load)?;
            acknowledged.push(outcome.acknowledged as f64 / outcome.seconds);
            for (list, value) in quantiles.iter_mut().zip(outcome.quantiles_ms) {
                list.push(value);
            }
        }
        let params = || {
            let mut params = vec![
                ("positions_a_body", json!(batch)),
                ("connections", json!(connections)),
                ("hmac", json!(true)),
                ("seconds", json!(seconds)),
            ];
            if let Some(rate) = rate {
                params.push(("bodies_a_second_wanted", json!(rate)));
            }
            params
        };
        let mut add = |unit, what, runs: Vec<f64>| {
            let mut params = params();
            params.push(("what", json!(what)));
            report.add(&Figure { bench: "ingest", figure, unit, params, runs });
        };
        add("positions/s", "durable", acknowledged);
        let [ack_50, ack_99, ack_999, seen_50, seen_99, seen_999] = quantiles;
        if rate.is_some() {
            add("ms", "due to acknowledged, p50", ack_50);
            add("ms", "due to acknowledged, p99", ack_99);
            add("ms", "due to acknowledged, p99.9", ack_999);
            add("ms", "sent to visible in a read, p50", seen_50);
            add("ms", "sent to visible in a read, p99", seen_99);
            add("ms", "sent to visible in a read, p99.9", seen_999);
        }
    }
    Ok(())
}

struct Load {
    batch: usize,
    connections: usize,
    rate: Option<f64>,
    seconds: f64,
}

struct Outcome {
    acknowledged: u64,
    seconds: f64,
    quantiles_ms: [f64; 6],
}

/// A service of its own, in a folder of its own.
struct Service {
    process: Child,
    address: String,
    _dir: tempfile::TempDir,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn start(program: &Path) -> anyhow::Result<Service> {
    let dir = tempfile::tempdir().context("no temporary folder")?;
    let mut process = Command::new(program)
        .args(["run", "--listen", "127.0.0.1:0", "--set"])
        .arg(format!("sources.loconav.hmac_secret={SECRET}"))
        .arg("--data")
        .arg(dir.path())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let stderr = process.stderr.take().context("no standard error")?;
    let mut lines = BufReader::new(stderr).lines();
    let address = loop {
        let line = lines.next().context("the service ended before it listened")??;
        if let Some((_, rest)) = line.split_once("http://") {
            break rest.split('/').next().unwrap_or_default().to_owned();
        }
    };
    // What it says later must be read, or it would wait for its own log.
    std::thread::spawn(move || lines.for_each(drop));
    Ok(Service { process, address, _dir: dir })
}

fn run_once(program: &Path, load: &Load) -> anyhow::Result<Outcome> {
    let service = start(program)?;
    post_fences(&service.address)?;
    let wanted = match load.rate {
        Some(rate) => (rate * load.seconds) as usize,
        None => {
            ((if load.batch == 1 { 150_000.0 } else { 2_000_000.0 / load.batch as f64 }) * load.seconds / 2.0)
                as usize
        }
    };
    let requests = Arc::new(prepare(wanted, load.batch)?);
    let next = Arc::new(AtomicU64::new(0));
    let stop = Arc::new(AtomicBool::new(false));
    let started = Instant::now();
    let mut threads = Vec::new();
    for thread in 0..SENDERS {
        let lanes = connect(&service.address, load.connections / SENDERS)?;
        let (requests, next) = (requests.clone(), next.clone());
        let pace = Pace { rate: load.rate, started, seconds: load.seconds, thread };
        threads.push(std::thread::spawn(move || send(lanes, &requests, &next, &pace)));
    }
    let prober = load.rate.map(|_| {
        let (address, stop) = (service.address.clone(), stop.clone());
        std::thread::spawn(move || probe(&address, &stop))
    });
    let mut latencies = Vec::new();
    let mut answered = 0;
    for thread in threads {
        let (count, mut of_thread) = thread.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        answered += count;
        latencies.append(&mut of_thread);
    }
    let elapsed = started.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let mut seen = match prober {
        Some(prober) => prober.join().map_err(|_| anyhow::anyhow!("the prober panicked"))??,
        None => Vec::new(),
    };
    let ack = quantiles(&mut latencies);
    let visible = quantiles(&mut seen);
    Ok(Outcome {
        acknowledged: answered * load.batch as u64,
        seconds: elapsed,
        quantiles_ms: [ack[0], ack[1], ack[2], visible[0], visible[1], visible[2]],
    })
}

fn quantiles(latencies: &mut [Duration]) -> [f64; 3] {
    latencies.sort_unstable();
    [0.5, 0.99, 0.999].map(|share| {
        let at = ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(at).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1e3)
    })
}

/// Signed requests as bytes: signing is the sender's cost, not the service's.
fn prepare(count: usize, batch: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let now = wall_clock();
    let start = now.plus_ms(-6 * 3_600_000);
    let source = fleet(&FleetOptions {
        vehicles: VEHICLES,
        fences: FENCES,
        seed: 7,
        layout: Layout::Scattered,
        start,
    });
    let ids = source.vehicle_ids().to_vec();
    let positions: Vec<FleetPosition> = source.take((count * batch).min(4_000_000)).collect();
    let mut requests = Vec::with_capacity(count);
    let mut body = Vec::new();
    for i in 0..count {
        body.clear();
        if batch > 1 {
            body.push(b'[');
        }
        for k in 0..batch {
            let fix = &positions[(i * batch + k) % positions.len()];
            if k > 0 {
                body.push(b',');
            }
            push_location(&mut body, &ids[fix.vehicle as usize], &fix.position);
        }
        if batch > 1 {
            body.push(b']');
        }
        requests.push(request("/webhooks/loconav/location", &body, now));
    }
    Ok(requests)
}

fn request(path: &str, body: &[u8], now: TimeMs) -> Vec<u8> {
    let unix_s = now.0 / 1000;
    let signature = sources::signature::sign(SECRET.as_bytes(), unix_s, body);
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         X-Watchtower-Timestamp: {unix_s}\r\nX-Watchtower-Signature: {signature}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn wall_clock() -> TimeMs {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    TimeMs(since_epoch.map_or(0, |d| d.as_millis() as i64))
}

/// When the n-th request is due; open-loop, so that a slow answer does not slow the load down.
struct Pace {
    rate: Option<f64>,
    started: Instant,
    seconds: f64,
    thread: usize,
}

impl Pace {
    fn due(&self, request: u64) -> Instant {
        match self.rate {
            Some(rate) => self.started + Duration::from_secs_f64(request as f64 / rate),
            None => Instant::now(),
        }
    }
}

/// A connection with one request under way at most, as a fleet's gateway would have many.
struct Lane {
    writer: TcpStream,
    answers: Answers,
}

fn connect(address: &str, count: usize) -> anyhow::Result<Vec<Lane>> {
    let lane = |_| {
        let writer = TcpStream::connect(address)?;
        writer.set_nodelay(true)?;
        let reader = BufReader::with_capacity(4096, writer.try_clone()?);
        Ok(Lane { writer, answers: Answers { reader } })
    };
    (0..count.max(1)).map(lane).collect()
}

fn send(
    mut lanes: Vec<Lane>,
    requests: &[Vec<u8>],
    next: &AtomicU64,
    pace: &Pace,
) -> anyhow::Result<(u64, Vec<Duration>)> {
    let mut free: Vec<usize> = (0..lanes.len()).collect();
    let mut waiting = std::collections::VecDeque::with_capacity(lanes.len());
    let mut latencies = Vec::new();
    let end = pace.started + Duration::from_secs_f64(pace.seconds);
    std::thread::sleep(Duration::from_micros(50 * pace.thread as u64));
    loop {
        while let Some(&lane) = free.last() {
            if Instant::now() >= end {
                break;
            }
            // A request is taken only when it is due; with nothing under way there is time to wait.
            let due = pace.due(next.load(Ordering::Relaxed));
            let early = due.saturating_duration_since(Instant::now());
            if !early.is_zero() {
                if waiting.is_empty() {
                    std::thread::sleep(early.min(Duration::from_micros(200)));
                    continue;
                }
                break;
            }
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(request) = requests.get(number as usize) else { break };
            lanes[lane].writer.write_all(request)?;
            free.pop();
            waiting.push_back((lane, pace.due(number)));
        }
        let Some((lane, due)) = waiting.pop_front() else { return Ok((latencies.len() as u64, latencies)) };
        let (status, body) = lanes[lane].answers.next()?;
        if status != 200 {
            bail!("the service answered {status}: {}", String::from_utf8_lossy(&body));
        }
        latencies.push(due.elapsed());
        free.push(lane);
    }
}

/// Reads HTTP/1.1 answers that have a length.
struct Answers {
    reader: BufReader<TcpStream>,
}

impl Answers {
    fn next(&mut self) -> anyhow::Result<(u16, Vec<u8>)> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|s| s.parse().ok()).context("no status line")?;
        let mut length = 0;
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok((status, body))
    }
}

/// Posts a position of a vehicle of its own and reads it back at the tick of its acknowledgement, 200 times a
/// second: an upper bound of the time from receipt to visible, two round trips included.
fn probe(address: &str, stop: &AtomicBool) -> anyhow::Result<Vec<Duration>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answers = Answers { reader: BufReader::new(stream.try_clone()?) };
    let mut writer = stream;
    let mut seen = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut body = Vec::new();
        let position = model::Position { event_time: wall_clock(), lon: 3.3, lat: 6.4, ..Default::default() };
        push_location(&mut body, "PROBE", &position);
        let post = request("/webhooks/loconav/location", &body, wall_clock());
        let started = Instant::now();
        writer.write_all(&post)?;
        let (status, body) = answers.next()?;
        if status != 200 {
            bail!("the probe was answered {status}");
        }
        let receipt: serde_json::Value = serde_json::from_slice(&body)?;
        let tick = receipt["tick"].as_u64().context("a receipt without a tick")?;
        write!(
            writer,
            "GET /api/v1/trucks/PROBE/location?min_tick={tick} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )?;
        let (status, _) = answers.next()?;
        if status != 200 {
            bail!("the probe's read was answered {status}");
        }
        seen.push(started.elapsed());
        std::thread::sleep(Duration::from_millis(5).saturating_sub(started.elapsed()));
    }
    Ok(seen)
}

fn post_fences(address: &str) -> anyhow::Result<()> {
    let mut body = Vec::new();
    for fence in crate::simulate::fences(FENCES, 7, Layout::Scattered)? {
        body.extend_from_slice(b"{\"type\":\"fence\",\"op\":\"upsert\",\"feature\":");
        body.extend_from_slice(fence.feature_json.as_bytes());
        body.extend_from_slice(b"}\n");
    }
    let mut stream = TcpStream::connect(address)?;
    let mut answers = Answers { reader: BufReader::new(stream.try_clone()?) };
    stream.write_all(&request("/api/v1/records", &body, wall_clock()))?;
    match answers.next()? {
        (200, _) => Ok(()),
        (status, body) => bail!("the fences were answered {status}: {}", String::from_utf8_lossy(&body)),
    }
}
