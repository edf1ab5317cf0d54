//! How long live questions take while webhooks come in: the whole round trip of a request, on the same machine.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::bail;
use serde_json::json;

use super::Options;
use super::folder::Folder;
use super::ingest::{Load, run_once};
use super::quantiles::Quantiles;
use super::report::{Figure, Report};
use super::wire::Answers;

/// Questions of each kind that are due each second.
const A_SECOND: u32 = 100;

/// What is asked, and where. Vehicles are those of the load.
const QUESTIONS: [(&str, &str); 5] = [
    ("one KPI", "/api/v1/kpis?span=15m&slice=fleet&metric=distance_m"),
    ("all KPIs of the fleet", "/api/v1/kpis?slice=fleet"),
    ("where a truck is", "/api/v1/trucks/T11985LA/location"),
    ("trucks near a place", "/api/v1/trucks/near?lat=6.5&lng=3.4&radius=2&unit=km"),
    ("a page of visits", "/api/v1/visits?limit=20"),
];

pub(super) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let folder = Folder::find()?;
    report.note(&format!(
        "query: each kind {A_SECOND} times a second, while webhooks come in; data in {}",
        folder.describe()
    ));
    let rates = if options.quick { vec![2_000.0] } else { vec![1_000.0, 10_000.0, 40_000.0] };
    let runs = if options.quick { 1 } else { 3 };
    for rate in rates {
        let load = Load {
            batch: 1,
            connections: 256,
            rate: Some(rate),
            seconds: if options.quick { 2.0 } else { 10.0 },
        };
        // By question: p50, p99.
        let mut of: Vec<[Vec<f64>; 2]> = vec![Default::default(); QUESTIONS.len()];
        for _ in 0..runs {
            let (_, times) = run_once(&options.program, &folder, &load, |address| {
                let lanes = QUESTIONS.map(|(_, path)| Lane::connect(address, path));
                let lanes = lanes.into_iter().collect::<anyhow::Result<Vec<Lane>>>()?;
                Ok(move |started, seconds| ask_all(lanes, started, seconds))
            })?;
            for (of, times) in of.iter_mut().zip(times) {
                let times = Quantiles::of(times);
                of.iter_mut().zip([0.5, 0.99]).for_each(|(of, share)| of.push(times.ms(share)));
            }
        }
        for ((figure, path), of) in QUESTIONS.into_iter().zip(of) {
            for (what, runs) in ["p50", "p99"].into_iter().zip(of) {
                let params =
                    vec![("webhooks_a_second", json!(rate)), ("path", json!(path)), ("what", json!(what))];
                report.add(&Figure { bench: "query", figure, unit: "ms", params, runs });
            }
        }
    }
    Ok(())
}

/// A connection that asks one question again and again.
struct Lane {
    writer: TcpStream,
    answers: Answers,
    path: &'static str,
}

impl Lane {
    fn connect(address: &str, path: &'static str) -> anyhow::Result<Lane> {
        let writer = TcpStream::connect(address)?;
        writer.set_nodelay(true)?;
        let answers = Answers::of(&writer)?;
        Ok(Lane { writer, answers, path })
    }

    /// Questions are timed from when they were due: one that waits for a slow one is slow, too.
    fn ask(mut self, started: Instant, seconds: f64) -> anyhow::Result<Vec<Duration>> {
        let request = format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", self.path);
        let mut times = Vec::new();
        for number in 0..(f64::from(A_SECOND) * seconds) as u32 {
            let due = started + Duration::from_secs(1) * number / A_SECOND;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.writer.write_all(request.as_bytes())?;
            let (status, body) = self.answers.next()?;
            // A truck that has not been heard of yet is a question, too.
            if status != 200 && status != 404 {
                bail!("{} was answered {status}: {}", self.path, String::from_utf8_lossy(&body));
            }
            times.push(due.elapsed());
        }
        Ok(times)
    }
}

fn ask_all(lanes: Vec<Lane>, started: Instant, seconds: f64) -> anyhow::Result<Vec<Vec<Duration>>> {
    let asking = |lane: Lane| std::thread::spawn(move || lane.ask(started, seconds));
    let threads: Vec<_> = lanes.into_iter().map(asking).collect();
    let ended = |thread: std::thread::JoinHandle<_>| {
        thread.join().map_err(|_| anyhow::anyhow!("who asked panicked")).flatten()
    };
    threads.into_iter().map(ended).collect()
}
