//! The thread that reads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use journal::{AppendError, Log, NewDeadLetter, Store, Ticket};
use pipeline::config::Config;
use serde::{Deserialize, Serialize};
use sources::code;
use sources::kafka::{Consumer, ConsumerOptions, InputStatus, Mapping, Message, Place};
use tokio::sync::watch;

use crate::journal_of;

/// Under which name it is noted how far topics were read.
const NOTE: &str = "kafka_input";
/// How many messages may wait for their commit.
const MAX_WAITING: usize = 4096;
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a journal that takes nothing is asked again.
const FULL_PAUSE: Duration = Duration::from_millis(20);
const UNAVAILABLE_PAUSE: Duration = Duration::from_millis(500);
/// How often brokers are asked again that could not be read.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// How often it is counted how far behind it is.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// The same where messages are at hand.
const COUNT_BUSY_EVERY: Duration = Duration::from_secs(60);
/// How often it is noted how far topics were read.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// By topic and partition: the offset that comes next.
type Next = BTreeMap<(String, i32), i64>;

pub fn start(
    config: &Config,
    mapping: Option<Mapping>,
    store: Store,
    mut ready: watch::Receiver<bool>,
    stop: watch::Receiver<bool>,
    status: Arc<InputStatus>,
) -> anyhow::Result<JoinHandle<()>> {
    let of = &config.sources.kafka;
    let options = ConsumerOptions {
        brokers: config.kafka.brokers.clone(),
        topics: of.topics.clone(),
        group: of.group.clone(),
        from_beginning: of.start == "earliest",
        properties: journal_of::properties(config)?,
    };
    let read = move || {
        while !*ready.borrow_and_update() {
            if *stop.borrow() || ready.has_changed().is_err() {
                return;
            }
            std::thread::sleep(FULL_PAUSE);
        }
        let ended = read(&options, mapping, store, &stop, &status);
        status.set_up(false);
        if let Err(error) = ended {
            tracing::error!(error = %format!("{error:#}"), "topics of Kafka are read no more; restart");
        }
    };
    Ok(std::thread::Builder::new().name("kafka-input".to_owned()).spawn(read)?)
}

fn read(
    options: &ConsumerOptions,
    mapping: Option<Mapping>,
    store: Store,
    stop: &watch::Receiver<bool>,
    status: &InputStatus,
) -> anyhow::Result<()> {
    let mut counted: Option<Instant> = None;
    let noted = Noted::of_journal(&store)?;
    let mut consumer = Consumer::new(options.clone(), noted.next())?;
    let mut reader = Reader {
        store,
        mapping,
        waiting: VecDeque::new(),
        next: noted.next(),
        tick: noted.tick,
        noted_at: Instant::now(),
    };
    let mut is_told = false;
    while !*stop.borrow() {
        let patience = if reader.waiting.is_empty() { PATIENCE } else { Duration::ZERO };
        let next = consumer.next(patience);
        reader.note_begun(&mut consumer)?;
        // Never before what is there: brokers may take their time to say.
        let is_idle = matches!(next, Ok(None)) && reader.waiting.is_empty();
        let every = if is_idle { COUNT_EVERY } else { COUNT_BUSY_EVERY };
        if counted.is_none_or(|counted| counted.elapsed() >= every) {
            counted = Some(Instant::now());
            let lag = consumer.lag();
            status.set_up(lag.is_ok());
            lag.into_iter().for_each(|lag| status.set_lag(lag));
        }
        match next {
            Ok(Some(message)) => {
                is_told = false;
                status.count_message();
                if !reader.take(&message, stop)? {
                    return Ok(());
                }
            }
            Ok(None) => {
                if !reader.settle(0)? {
                    return Ok(());
                }
            }
            Err(error) => {
                status.set_up(false);
                if !std::mem::replace(&mut is_told, true) {
                    tracing::warn!(%error, "it is tried again");
                }
                if !reader.settle(0)? {
                    return Ok(());
                }
                std::thread::sleep(RETRY_PAUSE);
            }
        }
        reader.note_if_due(&consumer)?;
    }
    reader.settle(0)?;
    reader.note(&consumer)
}

/// How far topics were read, as of a tick.
#[derive(Default, Serialize, Deserialize)]
struct Noted {
    /// All ticks before it are accounted for.
    tick: u64,
    next: Vec<Place>,
}

impl Noted {
    /// What was noted, and what the journal has besides.
    fn of_journal(store: &Store) -> anyhow::Result<Noted> {
        let noted = store.noted(NOTE)?;
        let noted: Noted = noted.and_then(|noted| serde_json::from_slice(&noted).ok()).unwrap_or_default();
        let mut next = noted.next();
        let last_tick = store.log().last_tick().map_or(0, |(tick, _)| tick);
        for tick in store.log().read(noted.tick.max(1), last_tick) {
            anyhow::ensure!(!store.log().is_stopped(), "the service stops");
            for entry in tick?.entries.iter().filter(|entry| entry.source == code::KAFKA) {
                let Some(place) = Place::of_context(&entry.context) else { continue };
                let known = next.entry((place.topic, place.partition)).or_default();
                *known = (*known).max(place.offset + 1);
            }
        }
        Ok(Noted::new(last_tick, &next))
    }

    fn new(tick: u64, next: &Next) -> Noted {
        let place = |((topic, partition), offset): (&(String, i32), &i64)| Place {
            topic: topic.clone(),
            partition: *partition,
            offset: *offset,
        };
        Noted { tick, next: next.iter().map(place).collect() }
    }

    fn next(&self) -> Next {
        self.next.iter().map(|place| ((place.topic.clone(), place.partition), place.offset)).collect()
    }
}

struct Reader {
    store: Store,
    mapping: Option<Mapping>,
    /// Messages that wait for their commit, in order.
    waiting: VecDeque<(Place, Ticket)>,
    /// What is durable, and where partitions were begun.
    next: Next,
    /// The tick of the last one that is.
    tick: u64,
    noted_at: Instant,
}

impl Reader {
    /// Brings a message into the journal; `false` when that one takes nothing any more.
    fn take(&mut self, message: &Message, stop: &watch::Receiver<bool>) -> anyhow::Result<bool> {
        let Message { place, value } = message;
        let mapping = self.mapping.as_ref();
        let checked = match value {
            Some(value) => sources::kafka::check(value, place, mapping),
            None => sources::kafka::check_missing(place, mapping),
        };
        let received_ms = crate::run::wall_clock().0;
        let origin = place.to_string();
        let letters: Vec<_> = checked
            .refused
            .iter()
            .map(|refused| {
                let context =
                    if refused.line > 0 { format!("{origin};line={}", refused.line) } else { origin.clone() };
                (context, refused)
            })
            .collect();
        let letters: Vec<_> = letters
            .iter()
            .map(|(context, refused)| NewDeadLetter {
                received_ms,
                source: code::KAFKA,
                context,
                reason: &refused.reason,
                payload: &refused.bytes,
            })
            .collect();
        if !letters.is_empty() {
            // Before the entry: behind it the message never comes again.
            self.store.dead_letters().add_all(&letters)?;
        }
        let mut payload = checked.payload.unwrap_or_default();
        loop {
            let pause = match self.store.log().append(code::KAFKA, &checked.context, payload.clone()) {
                Ok(ticket) => {
                    self.waiting.push_back((place.clone(), ticket));
                    return self.settle(MAX_WAITING);
                }
                Err(AppendError::Full { .. }) => FULL_PAUSE,
                Err(AppendError::Unavailable { .. }) => UNAVAILABLE_PAUSE,
                Err(error @ AppendError::TooLarge { .. }) => {
                    let reason = error.to_string();
                    self.store.dead_letters().add(received_ms, code::KAFKA, &origin, &reason, &payload)?;
                    payload = Vec::new();
                    continue;
                }
                Err(AppendError::Stopped | AppendError::Failed(_)) => return Ok(false),
            };
            if *stop.borrow() {
                return Ok(false);
            }
            std::thread::sleep(pause);
        }
    }

    /// Waits until no more than `most` messages wait; `false` when the journal takes nothing any more.
    fn settle(&mut self, most: usize) -> anyhow::Result<bool> {
        while self.waiting.len() > most {
            let Some((place, ticket)) = self.waiting.pop_front() else { break };
            match ticket.wait_blocking() {
                Ok(appended) => {
                    self.tick = appended.tick;
                    self.next.insert((place.topic, place.partition), place.offset + 1);
                }
                Err(AppendError::Stopped | AppendError::Failed(_)) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Where a partition was begun is noted before anything of it is read: one that stays silent is not to begin with
    /// what comes after the next start.
    fn note_begun(&mut self, consumer: &mut Consumer) -> anyhow::Result<()> {
        let begun = consumer.take_begun();
        if begun.is_empty() {
            return Ok(());
        }
        for Place { topic, partition, offset } in begun {
            self.next.entry((topic, partition)).or_insert(offset);
        }
        self.note(consumer)
    }

    fn note_if_due(&mut self, consumer: &Consumer) -> anyhow::Result<()> {
        if self.noted_at.elapsed() < NOTE_EVERY {
            return Ok(());
        }
        self.note(consumer)
    }

    fn note(&mut self, consumer: &Consumer) -> anyhow::Result<()> {
        self.noted_at = Instant::now();
        // More of that tick may be to come, so it is looked through again.
        self.store.note(NOTE, &serde_json::to_vec(&Noted::new(self.tick, &self.next))?)?;
        if let Err(error) = consumer.commit(&self.next) {
            tracing::debug!(%error, "offsets could not be committed; they are only told to others");
        }
        Ok(())
    }
}
