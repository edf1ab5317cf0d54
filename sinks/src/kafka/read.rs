//! Reads what is committed in a topic, from the beginning to an end that is known.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_client::{BrokerError, Reader, passes};
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

/// How long brokers may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);
const DOING: &str = "read a topic of derived rows";

/// Calls `take` for each message of the first partitions of a topic, those of one partition in their order, up to
/// `ends`, or without those to the end of what is committed.
pub(crate) fn read_topic<E: From<BrokerError>>(
    reader: &Reader,
    topic: &str,
    partitions: i32,
    ends: Option<&[i64]>,
    mut take: impl FnMut(&BorrowedMessage<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let end_of = |partition: i32| match ends {
        Some(ends) => usize::try_from(partition).ok().and_then(|index| ends.get(index)).copied().unwrap_or(0),
        None => i64::MAX,
    };
    let failed = |error: KafkaError| BrokerError::heard(DOING, error, reader.context());
    let mut open: BTreeSet<i32> = (0..partitions).filter(|partition| end_of(*partition) > 0).collect();
    let mut list = TopicPartitionList::new();
    for partition in &open {
        list.add_partition_offset(topic, *partition, Offset::Beginning).map_err(failed)?;
    }
    reader.assign(&list).map_err(failed)?;
    let mut deadline = Instant::now() + PATIENCE;
    while !open.is_empty() {
        match reader.poll(POLL) {
            Some(Ok(message)) => {
                deadline = Instant::now() + PATIENCE;
                let (partition, end) = (message.partition(), end_of(message.partition()));
                if message.offset() < end {
                    take(&message)?;
                }
                if message.offset() + 1 >= end {
                    open.remove(&partition);
                }
            }
            // The last offsets hold markers of transactions, or nothing any more.
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = open.remove(&partition),
            Some(Err(error)) if !passes(&error) => return Err(failed(error).into()),
            Some(Err(_)) | None => {}
        }
        if Instant::now() > deadline {
            return Err(BrokerError::heard(DOING, format!("{topic}: no answer"), reader.context()).into());
        }
    }
    Ok(())
}
