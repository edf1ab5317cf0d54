//! A running service under load over HTTP on the same machine: durable webhooks a second, and how long
//! until what was sent is visible to a reader.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use super::Options;
use super::folder::Folder;
use super::probe::{PROBE_CONNECTIONS, PROBES_A_SECOND, Probes};
use super::quantiles::Quantiles;
use super::report::{Figure, Report};
use super::service::Service;
use super::wire::{Answers, request, wall_clock};
use crate::send::loconav::push_location;
use crate::simulate::{FleetOptions, FleetPosition, Layout, fleet};

const VEHICLES: u32 = 10_000;
const FENCES: u32 = 100;
/// Threads that send; each has its part of the connections.
const SENDERS: usize = 2;
/// Positions made at most; a longer load goes through them again, at later times.
const POOL: usize = 4_000_000;
/// Event times go back so far at most: what is older than the horizon of a day would be refused.
const LONGEST_SPAN_MS: i64 = 23 * 3_600_000;

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let seconds = if options.quick { 2.0 } else { 10.0 };
    let runs = if options.quick { 1 } else { 3 };
    let folder = Folder::find()?;
    report.note(&format!("ingest: data in {}", folder.describe()));
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
            let probed = |address: &str| {
                let probes = load.rate.map(|_| Probes::connect(address)).transpose()?;
                Ok(|started, seconds| probes.map_or(Ok(Vec::new()), |probes| probes.run(started, seconds)))
            };
            let (outcome, seen) = run_once(&options.program, &folder, &load, probed)?;
            let quantiles_ms = [quantiles_of(outcome.latencies), quantiles_of(seen)].concat();
            acknowledged.push(outcome.acknowledged as f64 / outcome.seconds);
            for (list, value) in quantiles.iter_mut().zip(quantiles_ms) {
                list.push(value);
            }
        }
        let params = || {
            let mut params = vec![
                ("positions_a_body", json!(batch)),
                ("connections", json!(connections)),
                ("vehicles", json!(VEHICLES)),
                ("fences", json!(FENCES)),
                ("file_system", json!(folder.file_system)),
                ("durable_storage", json!(!folder.is_memory())),
                ("hmac", json!(true)),
                ("seconds", json!(seconds)),
            ];
            if let Some(rate) = rate {
                params.push(("bodies_a_second_wanted", json!(rate)));
                params.push(("probes_a_second", json!(PROBES_A_SECOND)));
                params.push(("probe_connections", json!(PROBE_CONNECTIONS)));
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
            add("ms", "due to visible in a read, p50", seen_50);
            add("ms", "due to visible in a read, p99", seen_99);
            add("ms", "due to visible in a read, p99.9", seen_999);
        }
    }
    Ok(())
}

/// The 50th, 99th and 99.9th percentile.
fn quantiles_of(times: Vec<Duration>) -> [f64; 3] {
    let times = Quantiles::of(times);
    [0.5, 0.99, 0.999].map(|share| times.ms(share))
}

/// What is sent: positions a body, over so many connections, bodies a second or as fast as they are answered.
pub(super) struct Load {
    pub batch: usize,
    pub connections: usize,
    pub rate: Option<f64>,
    pub seconds: f64,
}

/// What came of it.
pub(super) struct Outcome {
    pub acknowledged: u64,
    pub seconds: f64,
    /// From when a body was due until it was acknowledged.
    latencies: Vec<Duration>,
}

/// Loads a service of its own. `beside` connects to its address, and is run beside the load with when it began and for
/// how many seconds it goes on.
pub(super) fn run_once<T: Send + 'static, F>(
    program: &Path,
    folder: &Folder,
    load: &Load,
    beside: impl FnOnce(&str) -> anyhow::Result<F>,
) -> anyhow::Result<(Outcome, T)>
where
    F: FnOnce(Instant, f64) -> anyhow::Result<T> + Send + 'static,
{
    let dir = folder.new_inside()?;
    let service = Service::start(program, dir.path())?;
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
    // Everybody is connected before the clock starts: connecting is not what is measured.
    let lanes_of = |_| connect(&service.address, load.connections / SENDERS);
    let all_lanes = (0..SENDERS).map(lanes_of).collect::<anyhow::Result<Vec<_>>>()?;
    let beside = beside(&service.address)?;
    let started = Instant::now();
    let mut threads = Vec::new();
    for (thread, lanes) in all_lanes.into_iter().enumerate() {
        let (requests, next) = (requests.clone(), next.clone());
        let pace = Pace { rate: load.rate, started, seconds: load.seconds, thread };
        threads.push(std::thread::spawn(move || send(lanes, &requests, &next, &pace)));
    }
    let seconds = load.seconds;
    let beside = std::thread::spawn(move || beside(started, seconds));
    let mut latencies = Vec::new();
    let mut answered = 0;
    for thread in threads {
        let (count, mut of_thread) = thread.join().map_err(|_| anyhow::anyhow!("a sender panicked"))??;
        answered += count;
        latencies.append(&mut of_thread);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let seen = beside.join().map_err(|_| anyhow::anyhow!("what ran beside the load panicked"))??;
    Ok((Outcome { acknowledged: answered * load.batch as u64, seconds: elapsed, latencies }, seen))
}

/// Signed requests as bytes: signing is the sender's cost, not the service's. No position comes twice: each
/// lap through the pool is as much later as the pool is long. They end now, in order; where they would begin
/// too long ago there are fewer, and the load ends when they are sent.
fn prepare(count: usize, batch: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let now = wall_clock();
    let source = fleet(&FleetOptions {
        vehicles: VEHICLES,
        fences: FENCES,
        seed: 7,
        layout: Layout::Scattered,
        start: now.plus_ms(-6 * 3_600_000),
    });
    let ids = source.vehicle_ids().to_vec();
    let pool: Vec<FleetPosition> = source.take((count * batch).min(POOL)).collect();
    let times = || pool.iter().map(|fix| fix.position.event_time.0);
    let (first, last) = times().min().zip(times().max()).context("a load without positions")?;
    let lap_ms = last - first + 1000;
    let laps = ((count * batch).div_ceil(pool.len()) as i64).min((LONGEST_SPAN_MS / lap_ms).max(1));
    let count = count.min(laps as usize * pool.len() / batch);
    let shift_ms = now.0 - (first + laps * lap_ms);
    let mut requests = Vec::with_capacity(count);
    let mut body = Vec::new();
    for i in 0..count {
        body.clear();
        if batch > 1 {
            body.push(b'[');
        }
        for number in i * batch..(i + 1) * batch {
            let fix = &pool[number % pool.len()];
            let lap = (number / pool.len()) as i64;
            let mut position = fix.position;
            position.event_time = position.event_time.plus_ms(shift_ms + lap * lap_ms);
            if body.len() > 1 {
                body.push(b',');
            }
            push_location(&mut body, &ids[fix.vehicle as usize], &position);
        }
        if batch > 1 {
            body.push(b']');
        }
        requests.push(request("/webhooks/loconav/location", &body, now));
    }
    Ok(requests)
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
        let answers = Answers::of(&writer)?;
        Ok(Lane { writer, answers })
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
    // At a rate, all that was due is sent, late as it may be: leaving it out would leave out the slowest.
    let end = pace.rate.is_none().then(|| pace.started + Duration::from_secs_f64(pace.seconds));
    std::thread::sleep(Duration::from_micros(50 * pace.thread as u64));
    loop {
        while let Some(&lane) = free.last() {
            if end.is_some_and(|end| Instant::now() >= end) {
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

fn post_fences(address: &str) -> anyhow::Result<()> {
    let mut body = Vec::new();
    for fence in crate::simulate::fences(FENCES, 7, Layout::Scattered)? {
        body.extend_from_slice(b"{\"type\":\"fence\",\"op\":\"upsert\",\"feature\":");
        body.extend_from_slice(fence.feature_json.as_bytes());
        body.extend_from_slice(b"}\n");
    }
    let mut stream = TcpStream::connect(address)?;
    let mut answers = Answers::of(&stream)?;
    stream.write_all(&request("/api/v1/records", &body, wall_clock()))?;
    match answers.next()? {
        (200, _) => Ok(()),
        (status, body) => bail!("the fences were answered {status}: {}", String::from_utf8_lossy(&body)),
    }
}
