//! Posts the records of a file to a running service and measures what comes back.
//!
//! ```text
//! file --reader thread--> batches, each with its due time --N connections--> service
//! ```
//!
//! With a rate the sender is open-loop: batch k is due at `start + records before it / rate`, whatever the
//! service does, and latencies count from then. A service that stalls is charged for all that had to wait.

mod batches;
pub(crate) mod client;
#[cfg(test)]
pub(crate) mod fake_service;
mod histogram;
pub(crate) mod loconav;
mod sender;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sources::files::{FileError, FileInput};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use batches::{Batcher, Format};
use client::{Client, Target};
use sender::{Due, Sender, Tally};

pub(crate) use sender::{back_off, is_busy, retry_pause};

/// Where records go unless told otherwise.
pub const DEFAULT_PATH: &str = "/api/v1/records";

/// What to send, where and how fast.
#[derive(Clone)]
pub struct Options {
    /// A file of positions, fences or records.
    pub file: PathBuf,
    /// `http://host:port`.
    pub to: String,
    /// Records a second; as fast as it goes where absent.
    pub rate: Option<f64>,
    /// Records a request.
    pub batch: usize,
    /// Requests that are under way at a time.
    pub connections: usize,
    /// Signs requests where given.
    pub secret: Option<Vec<u8>>,
    /// [`DEFAULT_PATH`], or one of LocoNav's webhooks: then positions are converted.
    pub path: String,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("file", &self.file)
            .field("to", &self.to)
            .field("rate", &self.rate)
            .field("batch", &self.batch)
            .field("connections", &self.connections)
            .field("secret", &self.secret.as_ref().map(|_| "***"))
            .field("path", &self.path)
            .finish()
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    /// Records that were sent and answered.
    pub sent: u64,
    /// Records that are durable.
    pub acknowledged: u64,
    /// Records that the service refused.
    pub refused: u64,
    /// Requests that were sent again: the service was busy, or a connection broke.
    pub retried: u64,
    /// Records of the file that can't be sent to this path.
    pub skipped: u64,
    /// Lines of the file that are no records.
    pub bad_lines: u64,
    /// The first of them, and why.
    pub first_bad: Option<String>,
    /// The first reason that the service gave for a refusal.
    pub first_refusal: Option<String>,
    /// The file could not be read to its end; what came before was sent.
    pub cut_short: Option<FileError>,
    /// From the first request to the last answer.
    pub elapsed: Duration,
    /// Latencies of half, 99 % and 99.9 % of the records, and the largest.
    pub latency: Latency,
}

/// Latencies: from when a record was due to be sent until it was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Latency {
    pub p50: Duration,
    pub p99: Duration,
    pub p99_9: Duration,
    pub max: Duration,
}

impl Report {
    /// Acknowledged records a second.
    #[must_use]
    pub fn records_per_s(&self) -> f64 {
        self.acknowledged as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |latency: Duration| latency.as_secs_f64() * 1000.0;
        writeln!(f, "sent          {}", self.sent)?;
        writeln!(f, "acknowledged  {}", self.acknowledged)?;
        writeln!(f, "refused       {}{}", self.refused, because(self.first_refusal.as_deref()))?;
        writeln!(f, "retried       {} requests", self.retried)?;
        if self.skipped > 0 {
            writeln!(f, "not sendable  {}", self.skipped)?;
        }
        if self.bad_lines > 0 {
            writeln!(f, "bad lines     {}{}", self.bad_lines, because(self.first_bad.as_deref()))?;
        }
        if let Some(error) = &self.cut_short {
            writeln!(f, "input         {error}")?;
        }
        writeln!(
            f,
            "elapsed       {:.2} s, {:.0} records/s",
            self.elapsed.as_secs_f64(),
            self.records_per_s()
        )?;
        let Latency { p50, p99, p99_9, max } = self.latency;
        write!(
            f,
            "latency       p50 {:.2} ms, p99 {:.2} ms, p99.9 {:.2} ms, max {:.2} ms",
            ms(p50),
            ms(p99),
            ms(p99_9),
            ms(max)
        )
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map(|reason| format!(" (first: {reason})")).unwrap_or_default()
}

/// How often the progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What the reader found, besides batches.
struct ReadSummary {
    skipped: u64,
    bad_lines: u64,
    first_bad: Option<String>,
    cut_short: Option<FileError>,
}

/// Sends a file. `progress` is told the bytes read of it and its size.
///
/// An error is a file that can't be used at all (a [`FileError`] by `downcast_ref`), a service that can't be
/// reached, or one that refuses all requests of this kind (401, 404, 413 and the like).
pub async fn run(options: &Options, progress: &(dyn Fn(u64, u64) + Sync)) -> anyhow::Result<Report> {
    ensure!(options.batch >= 1, "--batch must be at least 1");
    ensure!((1..=10_000).contains(&options.connections), "--connections must be from 1 to 10000");
    if let Some(rate) = options.rate {
        ensure!(rate.is_finite() && rate > 0.0, "--rate must be more than 0 records a second, and is {rate}");
    }
    let target = Target::parse(&options.to)?;
    let input = FileInput::open(&options.file)?;
    let size_bytes = input.size_bytes();
    let read_bytes = Arc::new(AtomicU64::new(0));
    let (batches, receiver) = mpsc::channel(2 * options.connections);
    let reader = {
        let (options, read_bytes) = (options.clone(), read_bytes.clone());
        tokio::task::spawn_blocking(move || read(input, &options, &batches, &read_bytes))
    };
    let shared = Arc::new(Mutex::new(receiver));
    let started = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..options.connections {
        let sender = Sender {
            client: Client::new(target.clone()),
            path: options.path.clone(),
            secret: options.secret.clone(),
            tally: Tally::new(),
        };
        senders.spawn(sender.run(shared.clone()));
    }
    drop(shared);
    let mut tally = Tally::new();
    let mut ticks = tokio::time::interval(PROGRESS_EVERY);
    loop {
        tokio::select! {
            ended = senders.join_next() => match ended {
                Some(sender) => {
                    let (theirs, error) = sender.context("a connection's task ended early")?;
                    tally.merge(theirs);
                    if let Some(error) = error {
                        let known = tally.acknowledged;
                        return Err(error.context(format!("stopped sending; at least {known} records are acknowledged")));
                    }
                }
                None => break,
            },
            _ = ticks.tick() => progress(read_bytes.load(Ordering::Relaxed), size_bytes),
        }
    }
    let elapsed = started.elapsed();
    let read = reader.await.context("the file's reader ended early")?;
    progress(size_bytes, size_bytes);
    Ok(Report {
        sent: tally.sent,
        acknowledged: tally.acknowledged,
        refused: tally.refused,
        retried: tally.retried,
        skipped: read.skipped,
        bad_lines: read.bad_lines,
        first_bad: read.first_bad,
        first_refusal: tally.first_refusal,
        cut_short: read.cut_short,
        elapsed,
        latency: Latency {
            p50: tally.latencies.quantile(0.5),
            p99: tally.latencies.quantile(0.99),
            p99_9: tally.latencies.quantile(0.999),
            max: tally.latencies.quantile(1.0),
        },
    })
}

/// Reads the file into batches until its end, or until nobody takes them any more.
fn read(
    mut input: FileInput,
    options: &Options,
    batches: &mpsc::Sender<Due>,
    read_bytes: &AtomicU64,
) -> ReadSummary {
    let format =
        if options.path.starts_with("/webhooks/loconav") { Format::Loconav } else { Format::Records };
    let mut batcher = Batcher::new(format, options.batch as u64);
    let mut cut_short = None;
    let mut schedule = None;
    let mut before = 0_u64;
    'reading: loop {
        let more = input.read(options.batch, &mut batcher).unwrap_or_else(|error| {
            cut_short = Some(error);
            false
        });
        if !more {
            batcher.finish();
        }
        read_bytes.store(input.bytes_read(), Ordering::Relaxed);
        for batch in batcher.finished.drain(..) {
            let at = options.rate.map(|rate| {
                let start = *schedule.get_or_insert_with(Instant::now);
                start + Duration::try_from_secs_f64(before as f64 / rate).unwrap_or(Duration::MAX / 4)
            });
            before += batch.records;
            if batches.blocking_send(Due { batch, at }).is_err() {
                break 'reading;
            }
        }
        if !more {
            break;
        }
    }
    ReadSummary {
        skipped: batcher.skipped,
        bad_lines: batcher.bad_lines,
        first_bad: batcher.first_bad,
        cut_short,
    }
}
