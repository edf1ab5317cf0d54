//! Kafka as a source: each message of some topics is one entry of the journal.
//!
//! Reads: values of messages that are records of Watch Tower's own format, as [`records`](crate::records) reads
//! them: NDJSON, one object or an array. With a [`Mapping`] they are objects of somebody else's making, and each is
//! a position whose fields are found in it.
//!
//! Refuses, one by one, what a POST of the same would have refused; and messages without a value.
//!
//! The entry's context says where the message was (topic, partition, offset), so that the journal itself knows how
//! far a topic was read; and the mapping, so that the bytes decode to the same records each time. A message of which
//! nothing could be used is an entry without bytes, for the same reason.

mod check;
#[cfg(feature = "kafka")]
mod consumer;
mod decode;
mod mapping;
mod status;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use check::{check, check_missing};
#[cfg(feature = "kafka")]
pub use consumer::{Consumer, ConsumerError, ConsumerOptions, Message};
pub(crate) use decode::decode;
pub use decode::to_records;
pub use mapping::{Mapping, TimeFormat};
pub use status::InputStatus;

/// Where a message is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Where it is in the partition.
    pub offset: i64,
}

impl Place {
    /// The place that is in an entry's context; `None` where there is none.
    #[must_use]
    pub fn of_context(context: &str) -> Option<Place> {
        serde_json::from_str::<Context>(context).ok().map(|context| context.place)
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "topic={};partition={};offset={}", self.topic, self.partition, self.offset)
    }
}

/// A journal entry's context.
#[derive(Serialize, Deserialize)]
struct Context {
    #[serde(flatten)]
    place: Place,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mapping: Option<Mapping>,
}

impl Context {
    fn to_text(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }
}
