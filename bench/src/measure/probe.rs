//! How long until what was sent is visible to a reader, while a load runs beside it.
//!
//! Probes are due on a schedule and are timed from when they were due: while the service is slow, the probes
//! that wait behind the slow one are slow too, instead of not being there.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use super::wire::{Answers, request, wall_clock};
use crate::send::loconav::push_location;

/// Probes due each second.
pub(super) const PROBES_A_SECOND: u32 = 200;
/// Connections that take the probes in turn, each with a vehicle of its own.
pub(super) const PROBE_CONNECTIONS: u32 = 8;

/// Connections that are ready to probe.
pub(super) struct Probes(Vec<Connection>);

impl Probes {
    pub(super) fn connect(address: &str) -> anyhow::Result<Probes> {
        (0..PROBE_CONNECTIONS)
            .map(|lane| Connection::open(address, lane))
            .collect::<anyhow::Result<_>>()
            .map(Probes)
    }

    /// Posts positions and reads each back at the tick of its acknowledgement, for so long: two round trips
    /// are in each time, so it is an upper bound of the time from receipt to visible.
    pub(super) fn run(self, started: Instant, seconds: f64) -> anyhow::Result<Vec<Duration>> {
        let all = (f64::from(PROBES_A_SECOND) * seconds) as u32;
        let probe =
            |connection: Connection| std::thread::spawn(move || connection.probe_on_schedule(started, all));
        let threads: Vec<_> = self.0.into_iter().map(probe).collect();
        let mut seen = Vec::new();
        for thread in threads {
            seen.append(&mut thread.join().map_err(|_| anyhow::anyhow!("a prober panicked"))??);
        }
        Ok(seen)
    }
}

struct Connection {
    lane: u32,
    writer: TcpStream,
    answers: Answers,
}

impl Connection {
    fn open(address: &str, lane: u32) -> anyhow::Result<Connection> {
        let writer = TcpStream::connect(address)?;
        writer.set_nodelay(true)?;
        let answers = Answers::of(&writer)?;
        Ok(Connection { lane, writer, answers })
    }

    fn probe_on_schedule(mut self, started: Instant, all: u32) -> anyhow::Result<Vec<Duration>> {
        let mut seen = Vec::new();
        for number in (self.lane..all).step_by(PROBE_CONNECTIONS as usize) {
            let due = started + Duration::from_secs(1) * number / PROBES_A_SECOND;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            self.probe_once()?;
            seen.push(due.elapsed());
        }
        Ok(seen)
    }

    fn probe_once(&mut self) -> anyhow::Result<()> {
        let vehicle = format!("PROBE{}", self.lane);
        let now = wall_clock();
        let position = model::Position { event_time: now, lon: 3.3, lat: 6.4, ..Default::default() };
        let mut body = Vec::new();
        push_location(&mut body, &vehicle, &position);
        self.writer.write_all(&request("/webhooks/loconav/location", &body, now))?;
        let (status, body) = self.answers.next()?;
        if status != 200 {
            bail!("the probe was answered {status}");
        }
        let receipt: serde_json::Value = serde_json::from_slice(&body)?;
        let tick = receipt["tick"].as_u64().context("a receipt without a tick")?;
        write!(
            self.writer,
            "GET /api/v1/trucks/{vehicle}/location?min_tick={tick} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )?;
        let (status, _) = self.answers.next()?;
        if status != 200 {
            bail!("the probe's read was answered {status}");
        }
        Ok(())
    }
}
