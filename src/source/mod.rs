//! The source door: records from Kafka or files.
//!
//! Contract: messages of a partition come in the order of their offsets, from exactly the position
//! asked for. Whoever reads decides when a position is final; the broker's own offsets are a hint
//! for lag tools.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::drift::checkpoint::Partition;
use crate::drift::record::{Record, Rejected};
use crate::drift::time::Timestamp;

/// How the broker is reached.
pub mod client;
/// Refused records to a topic of their own.
pub mod dead_letter;
/// Rows of labels as Debezium tells of them.
mod debezium;
/// Threads that decode what was polled.
mod decoding;
/// Records from JSONL files, plain or compressed.
pub mod files;
/// Records from Kafka, on a thread of their own.
pub mod kafka;
/// Right answers from files.
pub mod labelled;
/// What a file is that is no JSONL.
pub mod likeness;
/// Several files as one stream.
pub mod merged;
/// Bytes to records.
pub mod native;
mod native_answer;
mod native_json;
mod native_label;
mod native_number;
mod native_problem;
mod native_quick;
/// Files that can be read only once.
mod once;
/// Answers of two models to the same rows.
pub mod paired;
/// Records to Kafka, and a broker inside the process.
pub mod producer;
mod rebalance;
mod statistics;

/// The JSON Schema of native records, as it is published in `docs`.
pub const RECORDS_SCHEMA: &str = include_str!("records.schema.json");

/// How long the broker may take to answer a question at start or assignment.
const ANSWER: Duration = Duration::from_secs(10);

/// Where events come from. Dropping it, or stopping it, gives its partitions back.
#[async_trait]
pub trait Source: Send + Sync {
    /// The next event; `None` when it can give no more.
    async fn next(&mut self) -> Option<Event>;

    /// Tells the broker how far we are, for lag tools; nothing depends on it.
    fn hint(&self, positions: Vec<(Partition, i64)>);

    /// Takes back what is left of messages: memory is best freed by the thread that asked for it.
    fn give_back(&self, spent: Spent) {
        drop(spent);
    }

    /// Ends it; events on their way are dropped.
    async fn stop(self: Box<Self>);
}

/// What is left of messages, only to be freed.
pub type Spent = Box<dyn Leftovers>;

/// Memory that is freed message by message: what one leaves is what the next is made of, and an allocator that keeps
/// a few pieces at hand gives them straight on.
pub trait Leftovers: Send {
    /// Frees what one message left; false if there is nothing more.
    fn free_one(&mut self) -> bool;
}

/// Where refused records go.
#[async_trait]
pub trait DeadLetterSink: Send + Sync {
    /// Sends refused records and waits until all of them are kept.
    ///
    /// # Errors
    /// If one is not kept; sending all again is right, since positions have not moved.
    async fn send(&self, refused: &[(Partition, i64, Refused)]) -> Result<(), SourceError>;
}

/// Where reading of a partition begins, compared with its stored position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At the stored position, or where a partition that was never read is to begin.
    At(i64),
    /// Later than stored: retention has removed what lies between.
    Lost(i64),
    /// At the beginning of a topic that was created anew: the stored position lies beyond its end.
    Anew(i64),
}

impl Begin {
    /// The offset to read first.
    pub fn offset(self) -> i64 {
        match self {
            Begin::At(offset) | Begin::Lost(offset) | Begin::Anew(offset) => offset,
        }
    }

    /// Compares a stored position with what the broker holds: offsets from `oldest` to before `end`.
    pub fn compare(stored: i64, oldest: i64, end: i64) -> Begin {
        match () {
            () if stored > end => Begin::Anew(oldest),
            () if stored < oldest => Begin::Lost(oldest),
            () => Begin::At(stored),
        }
    }
}

/// What the store knows of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was read up to here.
    Read(i64),
    /// It was there when its topic was first read, and nobody has read it.
    Never,
    /// It was added to its topic since: all that is in it came since.
    Added,
}

/// The end of a partition, as the broker last told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Which.
    pub partition: Partition,
    /// Everything below this offset was handed over; `None` if nothing was since the assignment.
    pub handed_over: Option<i64>,
}

/// What happens at the source.
#[derive(Debug)]
pub enum Event {
    /// Partitions were assigned; reading starts where the answer says.
    Assigned {
        /// Which.
        partitions: Vec<Partition>,
        /// All topics with their numbers of partitions.
        topics: Vec<(String, i32)>,
        /// Messages with a lower epoch are leftovers of an earlier assignment.
        epoch: u64,
        /// What the store knows of each.
        positions: oneshot::Sender<Vec<(Partition, Known)>>,
    },
    /// Where reading really starts.
    Started {
        /// Partition and beginning; a partition that could not be begun is left out.
        begins: Vec<(Partition, Begin)>,
    },
    /// A broker answers, and these partitions have no more records for now.
    Ends(Vec<End>),
    /// No broker has answered for so long.
    Silent(Duration),
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
    /// Its producer's trace context, where traces are wanted and it was sampled.
    pub trace: Option<String>,
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
    /// The broker does not take us for who we say we are.
    #[error("the broker at `{brokers}` refuses the client's credentials: {reason}; see `kafka.properties`")]
    Refused {
        /// Where.
        brokers: String,
        /// What was said.
        reason: String,
    },
    /// A topic is missing.
    #[error("the broker at `{brokers}` has no topic `{topic}`: create it, or correct `kafka.topics`")]
    NoTopic {
        /// Where.
        brokers: String,
        /// Which.
        topic: String,
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

#[cfg(test)]
mod tests {
    use super::Begin;

    #[test]
    fn a_stored_position_is_compared_with_what_the_broker_holds() {
        for (stored, begin) in
            [(4, Begin::Lost(5)), (5, Begin::At(5)), (9, Begin::At(9)), (10, Begin::At(10)), (11, Begin::Anew(5))]
        {
            assert_eq!(Begin::compare(stored, 5, 10), begin, "{stored}");
        }
    }
}
