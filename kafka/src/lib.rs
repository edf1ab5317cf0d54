//! How clients of Kafka's brokers are made, and what is done with what they say. The journal, the input and the sink
//! share it; what is in messages is theirs.

mod client;
mod topics;

pub use client::{ANSWER_PATIENCE, Cluster, Heard, Placed, Producer, ProducerOptions, Reader};
pub use topics::{
    Setting, create_topics, fetch_all_ends, fetch_ends, limits, make_topic, partition_count, settings,
    wait_for,
};

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};

/// Brokers did not do what they were asked to.
#[derive(Clone, Debug)]
pub struct BrokerError {
    /// What they should have done.
    pub doing: &'static str,
    /// What was said.
    pub said: String,
}

impl std::fmt::Display for BrokerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Kafka failed to {}: {}", self.doing, self.said)
    }
}

impl std::error::Error for BrokerError {}

impl BrokerError {
    /// With what was said, and no more.
    pub fn new(doing: &'static str, said: impl std::fmt::Display) -> BrokerError {
        BrokerError { doing, said: said.to_string() }
    }

    /// With what the client heard besides.
    pub fn heard(doing: &'static str, error: impl std::fmt::Display, heard: &Heard) -> BrokerError {
        BrokerError { doing, said: heard.explained(error) }
    }
}

/// One partition and where to begin in it.
pub fn at(topic: &str, partition: i32, offset: Offset) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset)?;
    Ok(list)
}

/// Errors of a reader that pass by themselves: brokers are away, or change their roles.
#[must_use]
pub fn passes(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::BrokerTransportFailure
                | Code::AllBrokersDown
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::RequestTimedOut
                | Code::LeaderNotAvailable
                | Code::NotLeaderForPartition
                | Code::CoordinatorLoadInProgress
                | Code::CoordinatorNotAvailable
                | Code::NotCoordinator
        )
    )
}
