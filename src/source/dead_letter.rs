//! Refused records to a topic of their own: key, value and headers untouched, with Kafka Connect's
//! headers that say where they came from and why. What that topic does not take for its size is sent with our
//! headers alone: where it came from says where it can be looked at, and one record holds up no other.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::types::RDKafkaErrorCode;

use super::client::connection_config;
use super::{DeadLetterSink, Refused, SourceError};
use crate::config;
use crate::drift::checkpoint::Partition;

/// How long the broker may take to accept a record.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The property that limits what a producer sends, in bytes.
const LARGEST: &str = "message.max.bytes";

/// Properties that only consumers have begin with one of these.
const CONSUMER_PREFIXES: [&str; 6] = ["session.", "heartbeat.", "fetch.", "group.", "max.poll.", "queued."];

/// A producer to the dead-letter topic.
pub struct DeadLetters {
    producer: FutureProducer,
    topic: String,
}

impl DeadLetters {
    /// A producer with the same connection settings as the consumer.
    ///
    /// # Errors
    /// [`SourceError::Configuration`] if the client refuses them.
    pub fn new(kafka: &config::Kafka) -> Result<DeadLetters, SourceError> {
        let mut client = connection_config(kafka);
        // A producer only warns of a consumer's properties; there is nothing to warn of.
        let of_consumers = |name: &&String| CONSUMER_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        for name in kafka.properties.keys().filter(of_consumers) {
            client.remove(name);
        }
        // How large a record may be is the topic's word, and librdkafka's own limit lies below what brokers take.
        if client.get(LARGEST).is_none() {
            client.set(LARGEST, "1000000000");
        }
        // The topic's limit is one of batches: in one with others, a record would be refused for their size.
        client.set("batch.num.messages", "1");
        client.set("acks", "all").set("message.timeout.ms", TIMEOUT.as_millis().to_string());
        let producer = client.create().map_err(SourceError::Configuration)?;
        Ok(DeadLetters { producer, topic: kafka.dead_letter_topic.clone() })
    }

    async fn send_one(&self, partition: &Partition, offset: i64, refused: &Refused) -> Result<(), SourceError> {
        let whole = self.try_send(partition, offset, refused, true).await;
        let is_too_large =
            |error: &KafkaError| error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge);
        let sent = match whole {
            Err(error) if is_too_large(&error) => {
                tracing::warn!(
                    topic = partition.topic,
                    partition = partition.number,
                    offset,
                    bytes = refused.value.as_ref().map_or(0, Vec::len),
                    dead_letter_topic = self.topic,
                    "the dead-letter topic does not take a record of this size: it is sent without its key, value and headers"
                );
                self.try_send(partition, offset, refused, false).await
            }
            sent => sent,
        };
        sent.map_err(|source| SourceError::DeadLetter { topic: self.topic.clone(), source })
    }

    /// Sends a record, or where it stood and why it was refused alone.
    async fn try_send(
        &self,
        partition: &Partition,
        offset: i64,
        refused: &Refused,
        whole: bool,
    ) -> Result<(), KafkaError> {
        let mut ours = vec![
            ("topic", partition.topic.clone()),
            ("partition", partition.number.to_string()),
            ("offset", offset.to_string()),
            ("stage", "VALUE_CONVERTER".to_owned()),
            ("class.name", "driftd.native".to_owned()),
            ("exception.class.name", refused.why.reason.name().to_owned()),
            ("exception.message", refused.why.to_string()),
        ];
        let mut headers = OwnedHeaders::new();
        if whole {
            for (key, value) in &refused.headers {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
        } else {
            ours.push(("left.out.bytes", refused.value.as_ref().map_or(0, Vec::len).to_string()));
        }
        for (key, value) in ours {
            headers = headers.insert(Header { key: &format!("__connect.errors.{key}"), value: Some(&value) });
        }
        let mut record: FutureRecord<[u8], [u8]> = FutureRecord::to(&self.topic).headers(headers);
        if let Some(key) = refused.key.as_ref().filter(|_| whole) {
            record = record.key(key);
        }
        if let Some(value) = refused.value.as_ref().filter(|_| whole) {
            record = record.payload(value);
        }
        if let Some(time) = refused.time {
            record = record.timestamp(time.micros() / 1_000);
        }
        self.producer.send(record, TIMEOUT).await.map(drop).map_err(|(error, _)| error)
    }
}

#[async_trait]
impl DeadLetterSink for DeadLetters {
    async fn send(&self, refused: &[(Partition, i64, Refused)]) -> Result<(), SourceError> {
        let sends = refused.iter().map(|(partition, offset, refused)| self.send_one(partition, *offset, refused));
        futures_util::future::try_join_all(sends).await.map(drop)
    }
}
