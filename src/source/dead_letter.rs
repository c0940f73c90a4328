//! Refused records to a topic of their own: key, value and headers untouched, with Kafka Connect's
//! headers that say where they came from and why.

use std::time::Duration;

use async_trait::async_trait;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

use super::client::connection_config;
use super::{DeadLetterSink, Refused, SourceError};
use crate::config;
use crate::drift::checkpoint::Partition;

/// How long the broker may take to accept a record.
const TIMEOUT: Duration = Duration::from_secs(10);

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
        client.set("acks", "all").set("message.timeout.ms", TIMEOUT.as_millis().to_string());
        let producer = client.create().map_err(SourceError::Configuration)?;
        Ok(DeadLetters { producer, topic: kafka.dead_letter_topic.clone() })
    }

    async fn send_one(&self, partition: &Partition, offset: i64, refused: &Refused) -> Result<(), SourceError> {
        let ours = [
            ("topic", partition.topic.clone()),
            ("partition", partition.number.to_string()),
            ("offset", offset.to_string()),
            ("stage", "VALUE_CONVERTER".to_owned()),
            ("class.name", "driftd.native".to_owned()),
            ("exception.class.name", refused.why.reason.name().to_owned()),
            ("exception.message", refused.why.to_string()),
        ];
        let mut headers = OwnedHeaders::new();
        for (key, value) in &refused.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        for (key, value) in ours {
            headers = headers.insert(Header { key: &format!("__connect.errors.{key}"), value: Some(&value) });
        }
        let mut record: FutureRecord<[u8], [u8]> = FutureRecord::to(&self.topic).headers(headers);
        if let Some(key) = &refused.key {
            record = record.key(key);
        }
        if let Some(value) = &refused.value {
            record = record.payload(value);
        }
        if let Some(time) = refused.time {
            record = record.timestamp(time.micros() / 1_000);
        }
        let sent = self.producer.send(record, TIMEOUT).await;
        sent.map(drop).map_err(|(source, _)| SourceError::DeadLetter { topic: self.topic.clone(), source })
    }
}

#[async_trait]
impl DeadLetterSink for DeadLetters {
    async fn send(&self, refused: &[(Partition, i64, Refused)]) -> Result<(), SourceError> {
        let sends = refused.iter().map(|(partition, offset, refused)| self.send_one(partition, *offset, refused));
        futures_util::future::try_join_all(sends).await.map(drop)
    }
}
