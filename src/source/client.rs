//! How the broker is reached: what the operator wrote, what ours are, and what is checked at start.

use std::sync::PoisonError;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::{Metadata, MetadataPartition};
use rdkafka::types::RDKafkaErrorCode;

use super::rebalance::Context;
use super::{ANSWER, SourceError};
use crate::config;
use crate::drift::checkpoint::Partition;

/// What the broker holds of a partition: offsets from `oldest` to before `end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Which.
    pub partition: Partition,
    /// The first offset.
    pub oldest: i64,
    /// The offset that the next record will have.
    pub end: i64,
}

/// Asks the broker what it holds of all partitions; joins no group. Blocks.
///
/// # Errors
/// [`SourceError`]: configuration, broker or topic.
pub fn extents(kafka: &config::Kafka) -> Result<Vec<Extent>, SourceError> {
    let client: BaseConsumer = connection_config(kafka).create().map_err(SourceError::Configuration)?;
    let unreachable = |source| SourceError::Unreachable { brokers: kafka.brokers.clone(), source };
    let mut extents = Vec::new();
    for topic in &kafka.topics {
        let metadata = client.fetch_metadata(Some(topic), ANSWER).map_err(unreachable)?;
        let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
        let Some(found) = found else {
            return Err(SourceError::NoTopic { brokers: kafka.brokers.clone(), topic: topic.clone() });
        };
        for number in found.partitions().iter().map(MetadataPartition::id) {
            let (oldest, end) = client.fetch_watermarks(topic, number, ANSWER)?;
            extents.push(Extent { partition: Partition { topic: topic.clone(), number }, oldest, end });
        }
    }
    extents.sort_by(|a, b| a.partition.cmp(&b.partition));
    Ok(extents)
}

/// How to reach the broker: what the operator wrote. Consumer and dead-letter producer share it.
pub fn connection_config(kafka: &config::Kafka) -> ClientConfig {
    let mut client = ClientConfig::new();
    for (name, value) in &kafka.properties {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &kafka.brokers);
    client
}

/// The consumer's configuration. Defaults of ours give way to the operator's properties; what
/// exactly-once accounting rests on does not.
pub(super) fn consumer_config(kafka: &config::Kafka) -> ClientConfig {
    let mut client = connection_config(kafka);
    // With a full local queue librdkafka stops fetching for a whole second by default, which is far
    // longer than the queue lasts.
    let mut ours = vec![("queued.max.messages.kbytes", "32768"), ("fetch.queue.backoff.ms", "10")];
    // The group protocol of KIP-848 leaves the assignment to the broker and refuses the property.
    if client.get("group.protocol") != Some("consumer") {
        ours.push(("partition.assignment.strategy", "cooperative-sticky"));
    }
    for (name, value) in ours {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    client
        .set("group.id", &kafka.group)
        .set("statistics.interval.ms", "1000")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "false");
    client
}

/// Partitions of a topic, of which so many are known to be there.
///
/// # Errors
/// If the broker that is asked knows nothing of the topic, or less: it has not heard of it yet.
pub(super) fn count(
    consumer: &BaseConsumer<impl ConsumerContext + 'static>,
    topic: &str,
    known: Option<i32>,
) -> Result<i32, SourceError> {
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER)?;
    let found = metadata.topics().iter().find(|t| t.name() == topic && t.error().is_none());
    let count = found.map_or(0, |t| i32::try_from(t.partitions().len()).unwrap_or(i32::MAX));
    match count {
        count if count >= known.unwrap_or(1) => Ok(count),
        _ => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition).into()),
    }
}

pub(super) fn check_topics(consumer: &BaseConsumer<Context>, kafka: &config::Kafka) -> Result<(), SourceError> {
    for topic in &kafka.topics {
        let metadata =
            consumer.fetch_metadata(Some(topic), ANSWER).map_err(|source| unreached(consumer, kafka, source))?;
        let found =
            metadata.topics().iter().any(|t| t.name() == topic && t.error().is_none() && !t.partitions().is_empty());
        if !found {
            return Err(SourceError::NoTopic { brokers: kafka.brokers.clone(), topic: topic.clone() });
        }
    }
    // A broker may make it when it is first written to.
    let topic = &kafka.dead_letter_topic;
    let is_there = |metadata: Metadata| metadata.topics().iter().any(|t| t.name() == topic && t.error().is_none());
    if !consumer.fetch_metadata(Some(topic), ANSWER).is_ok_and(is_there) {
        tracing::warn!(
            topic,
            "the dead-letter topic is not there: unless the broker makes it, the first record that cannot be decoded \
             holds up reading"
        );
    }
    Ok(())
}

/// Why nothing was answered: a broker that refuses us is there. The client tells of that when it is polled.
fn unreached(consumer: &BaseConsumer<Context>, kafka: &config::Kafka, source: KafkaError) -> SourceError {
    let brokers = kafka.brokers.clone();
    let _ = consumer.poll(Duration::from_millis(100));
    match consumer.context().refused.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(reason) => SourceError::Refused { brokers, reason },
        None => SourceError::Unreachable { brokers, source },
    }
}
