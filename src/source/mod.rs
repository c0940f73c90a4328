//! The source door: records from Kafka or files.
//!
//! Contract: messages of a partition come in the order of their offsets, from exactly the position
//! asked for. Whoever reads decides when a position is final; the broker's own offsets are a hint
//! for lag tools.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::drift::checkpoint::Partition;
use crate::drift::record::{Record, Rejected};
use crate::drift::time::Timestamp;

/// Refused records to a topic of their own.
pub mod dead_letter;
/// Records from JSONL files, plain or compressed.
pub mod files;
/// Records from Kafka, on a thread of their own.
pub mod kafka;
/// Bytes to records.
pub mod native;
mod native_answer;
mod native_json;
/// Records to Kafka, and a broker inside the process.
pub mod producer;

/// What happens at the source.
#[derive(Debug)]
pub enum Event {
    /// Partitions were assigned; reading starts where the answer says.
    Assigned {
        /// Which.
        partitions: Vec<Partition>,
        /// Messages with a lower epoch are leftovers of an earlier assignment.
        epoch: u64,
        /// Stored positions, `None` for a partition never read.
        positions: oneshot::Sender<Vec<(Partition, Option<i64>)>>,
    },
    /// Where reading really starts.
    Started {
        /// Partition and offset.
        offsets: Vec<(Partition, i64)>,
    },
    /// Partitions are taken away; what was read of them may still be committed before the answer.
    Revoked {
        /// Which.
        partitions: Vec<Partition>,
        /// Answered when the partitions may go.
        done: oneshot::Sender<()>,
    },
    /// Messages, in order within each partition.
    Messages(Vec<Message>),
}

/// One message, decoded.
#[derive(Debug)]
pub struct Message {
    /// Where it stands.
    pub partition: Arc<Partition>,
    /// Its offset.
    pub offset: i64,
    /// The assignment it was read under.
    pub epoch: u64,
    /// What it says, or why it was refused.
    pub decoded: Result<Record, Refused>,
}

/// A refused message with everything the dead-letter topic keeps of it.
#[derive(Debug)]
pub struct Refused {
    /// Why.
    pub why: Rejected,
    /// Original key.
    pub key: Option<Vec<u8>>,
    /// Original value.
    pub value: Option<Vec<u8>>,
    /// Original headers.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Kafka's own time of the message.
    pub time: Option<Timestamp>,
}

/// Why the source cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The client refuses its configuration.
    #[error("the Kafka client refuses its configuration")]
    Configuration(#[source] rdkafka::error::KafkaError),
    /// The broker does not answer.
    #[error("no broker answers at `{brokers}`")]
    Unreachable {
        /// Where.
        brokers: String,
        /// The client's error.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// A topic is missing.
    #[error("the broker at `{brokers}` has no topic `{topic}`: create it, or correct `kafka.topics`")]
    NoTopic {
        /// Where.
        brokers: String,
        /// Which.
        topic: String,
    },
    /// The stored position lies beyond the end.
    #[error(
        "the stored position {stored} of `{topic}` partition {partition} lies beyond its end {end}: was the topic created anew?"
    )]
    BeyondEnd {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Stored position.
        stored: i64,
        /// End of the partition.
        end: i64,
    },
    /// Anything else of the client.
    #[error("Kafka")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// The dead-letter topic does not take a record.
    #[error("the dead-letter topic `{topic}` does not take records")]
    DeadLetter {
        /// Which.
        topic: String,
        /// The client's error.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The source's thread has ended.
    #[error("the source's thread has ended")]
    Gone,
}
