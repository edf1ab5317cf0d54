//! What a fleet that goes on reporting sees of a service: how long its webhooks take, and when what they said shows.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use model::Position;
use serde_json::Value;

use crate::measure::wire::{Answers, request, wall_clock};
use crate::send::loconav::push_location;
use crate::simulate::truck_name;

/// Webhooks due each second, of one position each.
pub(super) const WEBHOOKS_A_SECOND: u32 = 50;
/// A reader asks so often what shows.
const ASKED_EVERY: Duration = Duration::from_millis(10);
const QUESTION: &[u8] = b"GET /api/v1/visits?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A webhook that was acknowledged.
#[derive(Clone, Copy)]
struct Sent {
    due: Instant,
    acknowledged: Duration,
    tick: u64,
}

/// A question that was answered.
#[derive(Clone, Copy)]
struct Asked {
    due: Instant,
    answered: Instant,
    tick: u64,
}

/// Threads that send and ask until they are stopped.
pub(super) struct Live {
    stop: Arc<AtomicBool>,
    /// The last tick that showed.
    shown: Arc<AtomicU64>,
    sender: JoinHandle<anyhow::Result<Vec<Sent>>>,
    reader: JoinHandle<anyhow::Result<Vec<Asked>>>,
}

/// What they saw.
pub(super) struct Seen {
    sent: Vec<Sent>,
    asked: Vec<Asked>,
}

/// Times of what was due within a span.
pub(super) struct Times {
    /// From when a webhook was due until it was acknowledged.
    pub acknowledged: Vec<Duration>,
    /// From when a webhook was due until its tick showed to the reader; those that never did are left out.
    pub visible: Vec<Duration>,
    /// From when a question was due until it was answered.
    pub answered: Vec<Duration>,
}

impl Live {
    /// Begins, with webhooks of so many trucks in turn.
    pub fn begin(address: &str, trucks: u32) -> anyhow::Result<Live> {
        let (to_send, to_ask) = (Connection::open(address)?, Connection::open(address)?);
        let stop = Arc::new(AtomicBool::new(false));
        let shown = Arc::new(AtomicU64::new(0));
        let (for_sender, for_reader, to_show) = (stop.clone(), stop.clone(), shown.clone());
        let sender = std::thread::spawn(move || send(to_send, trucks, &for_sender));
        let reader = std::thread::spawn(move || ask(to_ask, &for_reader, &to_show));
        Ok(Live { stop, shown, sender, reader })
    }

    /// Waits until a tick shows.
    pub fn wait_for(&self, tick: u64) -> anyhow::Result<()> {
        while self.shown.load(Ordering::Relaxed) < tick {
            ensure!(!self.reader.is_finished(), "the reader ended before tick {tick} showed");
            std::thread::sleep(ASKED_EVERY);
        }
        Ok(())
    }

    /// Ends, and gives what was seen.
    pub fn end(self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = self.sender.join().map_err(|_| anyhow::anyhow!("the sender of webhooks panicked"))??;
        let asked = self.reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        Ok(Seen { sent, asked })
    }
}

impl Seen {
    /// When a tick showed.
    pub fn visible_at(&self, tick: u64) -> Option<Instant> {
        let first = self.asked.partition_point(|asked| asked.tick < tick);
        self.asked.get(first).map(|asked| asked.answered)
    }

    /// Of what was due from one moment up to another.
    pub fn between(&self, from: Instant, to: Instant) -> Times {
        let is_within = |due: Instant| (from..to).contains(&due);
        let sent: Vec<&Sent> = self.sent.iter().filter(|sent| is_within(sent.due)).collect();
        let visible = |sent: &&Sent| Some(self.visible_at(sent.tick)?.duration_since(sent.due));
        let asked = self.asked.iter().filter(|asked| is_within(asked.due));
        Times {
            acknowledged: sent.iter().map(|sent| sent.acknowledged).collect(),
            visible: sent.iter().filter_map(visible).collect(),
            answered: asked.map(|asked| asked.answered.duration_since(asked.due)).collect(),
        }
    }
}

pub(super) struct Connection {
    writer: TcpStream,
    answers: Answers,
}

impl Connection {
    pub fn open(address: &str) -> anyhow::Result<Connection> {
        let writer = TcpStream::connect(address)?;
        writer.set_nodelay(true)?;
        let answers = Answers::of(&writer)?;
        Ok(Connection { writer, answers })
    }

    /// Posts that a truck is somewhere now; gives the tick that has it.
    pub fn post(&mut self, truck: u32) -> anyhow::Result<u64> {
        let now = wall_clock();
        let position = Position { event_time: now, lon: 3.3, lat: 6.4, ..Position::default() };
        let mut body = Vec::new();
        push_location(&mut body, &truck_name(truck), &position);
        self.tick_of(&request("/webhooks/loconav/location", &body, now))
    }

    /// The tick that an answer names.
    fn tick_of(&mut self, request: &[u8]) -> anyhow::Result<u64> {
        self.writer.write_all(request)?;
        let (status, body) = self.answers.next()?;
        if status != 200 {
            bail!("the service answered {status}: {}", String::from_utf8_lossy(&body));
        }
        let answer: Value = serde_json::from_slice(&body)?;
        answer["tick"].as_u64().context("an answer without a tick")
    }
}

/// Webhooks are timed from when they were due: one that waits for a slow one is slow, too.
fn send(mut connection: Connection, trucks: u32, stop: &AtomicBool) -> anyhow::Result<Vec<Sent>> {
    let started = Instant::now();
    let mut sent = Vec::new();
    for number in 0_u32.. {
        let due = started + Duration::from_secs(1) * number / WEBHOOKS_A_SECOND;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let tick = connection.post(number % trucks)?;
        sent.push(Sent { due, acknowledged: due.elapsed(), tick });
    }
    Ok(sent)
}

fn ask(mut connection: Connection, stop: &AtomicBool, shown: &AtomicU64) -> anyhow::Result<Vec<Asked>> {
    let started = Instant::now();
    let mut asked = Vec::new();
    for number in 0_u32.. {
        let due = started + ASKED_EVERY * number;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let tick = connection.tick_of(QUESTION)?;
        shown.store(tick, Ordering::Relaxed);
        asked.push(Asked { due, answered: Instant::now(), tick });
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_within_a_span_counts_and_shows_when_its_tick_does() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let ms = Duration::from_millis;
        let seen = Seen {
            sent: [(0, 1), (100, 2), (200, 5), (300, 9)]
                .map(|(due, tick)| Sent { due: at(due), acknowledged: ms(due / 100 + 1), tick })
                .into(),
            asked: [(0, 0), (50, 1), (150, 1), (250, 5)]
                .map(|(due, tick)| Asked { due: at(due), answered: at(due + 10), tick })
                .into(),
        };
        assert_eq!(seen.visible_at(2), Some(at(260)));
        assert_eq!(seen.visible_at(6), None);
        let times = seen.between(at(100), at(301));
        assert_eq!(times.acknowledged, [ms(2), ms(3), ms(4)]);
        assert_eq!(times.visible, [ms(160), ms(60)]);
        assert_eq!(times.answered, [ms(10), ms(10)]);
    }
}
