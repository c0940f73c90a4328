//! Records to Kafka, for simulated traffic, and a broker inside the process for trying things out.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{DefaultProducerContext, FutureProducer, FutureRecord, Producer as _};

use super::SourceError;

const TIMEOUT: Duration = Duration::from_secs(10);

/// A producer to one topic.
pub struct Producer {
    producer: FutureProducer,
    topic: String,
}

impl Producer {
    /// Connects to a broker.
    ///
    /// # Errors
    /// [`SourceError`] if the broker does not answer or has no such topic.
    pub fn connect(brokers: &str, topic: &str) -> Result<Producer, SourceError> {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", brokers).set("linger.ms", "5");
        let producer: FutureProducer = client.create().map_err(SourceError::Configuration)?;
        let unreachable = |source| SourceError::Unreachable { brokers: brokers.to_owned(), source };
        let metadata = producer.client().fetch_metadata(Some(topic), TIMEOUT).map_err(unreachable)?;
        if metadata.topics().iter().all(|t| t.error().is_some() || t.partitions().is_empty()) {
            return Err(SourceError::NoTopic { brokers: brokers.to_owned(), topic: topic.to_owned() });
        }
        Ok(Producer { producer, topic: topic.to_owned() })
    }

    /// Sends values with their keys and waits until the broker has them all.
    ///
    /// # Errors
    /// [`SourceError::Kafka`] if it does not take one.
    pub async fn send(&self, records: &[(String, String)]) -> Result<(), SourceError> {
        let sends = records
            .iter()
            .map(|(key, value)| self.producer.send(FutureRecord::to(&self.topic).key(key).payload(value), TIMEOUT));
        for outcome in futures_util::future::join_all(sends).await {
            outcome.map_err(|(error, _)| error)?;
        }
        Ok(())
    }
}

/// librdkafka's mock cluster: good for a demonstration, no proof of anything.
pub struct InProcessBroker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl InProcessBroker {
    /// A broker with these topics, each with this many partitions.
    ///
    /// # Errors
    /// [`SourceError::Kafka`] if it cannot be set up.
    pub fn start(topics: &[&str], partitions: i32) -> Result<InProcessBroker, SourceError> {
        let cluster = MockCluster::new(1)?;
        for topic in topics {
            cluster.create_topic(topic, partitions, 1)?;
        }
        Ok(InProcessBroker { cluster })
    }

    /// Where it listens.
    pub fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}
