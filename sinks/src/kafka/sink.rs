//! The sink: a session, a connection, and batches in transactions.

use anyhow::anyhow;
use journal::RowsSnapshot;
use kafka_client::{BrokerError, Producer, Reader};
use rdkafka::producer::Producer as _;

use super::changes::net_effect;
use super::connection::{Connection, Pace, claim, find_ends, producer, read_letters, settled_end};
use super::cursor::look;
use super::outbox::{Failed, Outbox, Refused};
use super::topics::{Topics, provide};
use super::{KafkaConfig, resync};
use crate::live::{AsOf, Batch, LiveSink, Position, SinkError, Written};

/// Keeps derived tables in topics; see the module.
pub struct KafkaSink {
    config: KafkaConfig,
    /// Drawn by each start.
    session: String,
    /// Where this session wrote last; `None` before its first claim.
    written_at: Option<i64>,
    connection: Option<Connection>,
    /// What was said of the topics already.
    warnings: Vec<String>,
}

impl From<BrokerError> for SinkError {
    fn from(error: BrokerError) -> SinkError {
        SinkError::Away(error.into())
    }
}

impl KafkaSink {
    /// A sink that is not connected yet.
    pub fn new(config: KafkaConfig) -> anyhow::Result<KafkaSink> {
        config.check().map_err(anyhow::Error::msg)?;
        let session = getrandom::u64().map_err(|error| anyhow!("no random numbers: {error}"))?;
        let session = format!("{session:016x}");
        Ok(KafkaSink { config, session, written_at: None, connection: None, warnings: Vec::new() })
    }

    fn reader(&self) -> Result<Reader, BrokerError> {
        self.config.cluster.reader(&self.config.reader_name(), 0)
    }

    fn connect(&mut self) -> Result<Position, SinkError> {
        self.connection = None;
        let reader = self.reader()?;
        let topics = provide(&self.config, &reader)?;
        self.tell(&topics);
        self.check_mine(&reader, &topics)?;
        let producer = self.next_producer(&reader, &topics, Pace::Batches)?;
        let claimed_at = claim(&producer, &topics.cursor, &self.session)?;
        self.written_at = Some(claimed_at);
        let cursor = look(&reader, &topics.cursor, Some(claimed_at))?.and_then(|seen| seen.cursor);
        let (ends, mut flaw) = find_ends(&reader, &topics, cursor.as_ref())?;
        let (letters, any_fits) = read_letters(&reader, &topics)?;
        if any_fits {
            flaw = flaw.or_else(|| Some("rows that Kafka refused may fit by now".to_owned()));
        }
        let position = cursor.as_ref().map(|cursor| {
            cursor.position().ok_or_else(|| format!("the cursor's instant {:?} is no time", cursor.instant))
        });
        let ends = match &cursor {
            Some(cursor) if flaw.is_none() => cursor.ends.clone(),
            _ => ends,
        };
        self.connection = Some(Connection { producer, pace: Pace::Batches, topics, ends, letters });
        match (flaw, position.transpose()) {
            (Some(why), _) | (None, Err(why)) => Err(SinkError::Torn(why)),
            (None, Ok(position)) => Ok(position.unwrap_or_default()),
        }
    }

    fn tell(&mut self, topics: &Topics) {
        if self.warnings != topics.warnings {
            for warning in &topics.warnings {
                tracing::warn!(sink = "kafka", "{warning}");
            }
            self.warnings.clone_from(&topics.warnings);
        }
    }

    /// Stops where another start has claimed the topics since this one wrote. Before anything that would fence it.
    fn check_mine(&self, reader: &Reader, topics: &Topics) -> Result<(), SinkError> {
        let Some(written_at) = self.written_at else { return Ok(()) };
        match settled_end(reader, &topics.cursor, written_at)? {
            Some(seen) if seen.session != self.session => Err(SinkError::Stopped(anyhow!(
                "another start of watchtower writes to the topics {}; stop one of the two, and start the other one anew",
                self.config.target()
            ))),
            _ => Ok(()),
        }
    }

    /// A producer of this session, which fences whoever wrote: somebody else is found in the cursor's topic then, which
    /// nobody writes to any more, and goes on when this one has stopped.
    fn next_producer(&self, reader: &Reader, topics: &Topics, pace: Pace) -> Result<Producer, SinkError> {
        let producer = producer(&self.config, topics, pace)?;
        self.check_mine(reader, topics)?;
        Ok(producer)
    }

    /// Writes and moves the cursor, in one transaction; without the rows that are refused.
    fn transact(
        &mut self,
        journal: &str,
        as_of: AsOf,
        pace: Pace,
        write: &mut dyn FnMut(&Topics, &mut Outbox<'_>) -> Result<(), Failed>,
    ) -> Result<Written, SinkError> {
        let Some(mut connection) = self.connection.take() else {
            return Err(SinkError::Away(anyhow!("it is not connected")));
        };
        let reader = self.reader()?;
        let mut refused = Refused::new();
        let mut pace = pace;
        loop {
            if connection.pace != pace {
                connection.producer = self.next_producer(&reader, &connection.topics, pace)?;
                connection.pace = pace;
            }
            match self.attempt(&mut connection, journal, as_of, &refused, write) {
                Ok(written) => {
                    self.connection = Some(connection);
                    return Ok(written);
                }
                Err(Failed::Sink(error)) => return Err(error),
                // Of a batch of messages it is not known which of them it was.
                Err(Failed::Refused(_)) if pace != Pace::OneByOne => pace = Pace::OneByOne,
                Err(Failed::Refused(more)) => {
                    let before = refused.len();
                    refused.extend(more);
                    if refused.len() == before {
                        let said =
                            refused.into_values().next().map(|refusal| refusal.said).unwrap_or_default();
                        return Err(SinkError::Away(anyhow!("Kafka refuses what is no row: {said}")));
                    }
                    // The next producer undoes what this one has begun.
                    connection.producer = self.next_producer(&reader, &connection.topics, pace)?;
                }
            }
        }
    }

    fn attempt(
        &mut self,
        connection: &mut Connection,
        journal: &str,
        as_of: AsOf,
        refused: &Refused,
        write: &mut dyn FnMut(&Topics, &mut Outbox<'_>) -> Result<(), Failed>,
    ) -> Result<Written, Failed> {
        let Connection { producer, topics, ends, letters, .. } = connection;
        producer.begin_transaction().map_err(Failed::away)?;
        let mut outbox = Outbox::new(producer, topics, refused, letters, ends.clone());
        write(topics, &mut outbox)?;
        let offset = outbox.commit(journal, as_of, &self.session)?;
        let Outbox { written, ends: after, letter_changes, .. } = outbox;
        self.written_at = Some(offset);
        connection.ends = after;
        for (key, is_there) in letter_changes {
            if is_there {
                connection.letters.insert(key)
            } else {
                connection.letters.remove(&key)
            };
        }
        Ok(written)
    }
}

impl LiveSink for KafkaSink {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn position(&mut self) -> Result<Position, SinkError> {
        self.connect()
    }

    fn apply(&mut self, batch: &Batch) -> Result<Written, SinkError> {
        self.transact(batch.identity(), batch.to, Pace::Batches, &mut |_, outbox| {
            batch.for_each_chunk(|changes| {
                net_effect(changes)
                    .try_for_each(|net| outbox.change(net.table, net.row, net.stands, net.origin))
            })
        })
    }

    fn resync(&mut self, identity: &str, rows: &RowsSnapshot) -> Result<Written, SinkError> {
        let (tick, instant_ms) = rows.last_tick().unwrap_or_default();
        let reader = self.reader()?;
        if let Some(connection) = &mut self.connection {
            // What is there counts from now on, whatever the cursor said.
            connection.ends = find_ends(&reader, &connection.topics, None)?.0;
        }
        self.transact(identity, AsOf { tick, instant_ms }, Pace::Resync, &mut |topics, outbox| {
            resync::run(&reader, topics, outbox, rows)
        })
    }
}
