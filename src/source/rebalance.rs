//! What happens when partitions come and go. It runs on the polling thread, inside a poll.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka::{ClientContext, Statistics};
use tokio::sync::{mpsc, oneshot};

use super::client::count;
use super::kafka::Handed;
use super::statistics::{Heard, ends};
use super::{ANSWER, Begin, Event, Known, SourceError};
use crate::config::raw::Start;
use crate::drift::checkpoint::Partition;
use crate::metrics;

/// How long a rebalance waits for the collect loop; below any sensible session timeout.
const REBALANCE_WAIT: Duration = Duration::from_secs(20);

/// So long no broker may answer before it is told: a broker that is restarted takes less, and members of a group send
/// heartbeats every few seconds.
const SILENT: Duration = Duration::from_secs(30);

/// What the polling thread and its callbacks share.
pub(super) struct Context {
    pub events: mpsc::Sender<Handed>,
    pub topics: Vec<String>,
    pub start: Start,
    pub epoch: AtomicU64,
    pub paused: AtomicBool,
    pub failed: AtomicBool,
    pub heard: Mutex<Heard>,
    /// How the broker refused who we say we are.
    pub refused: Mutex<Option<String>>,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        metrics::kafka_error();
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Authentication) {
            *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
        }
        tracing::warn!(%error, reason, "Kafka");
    }

    fn stats(&self, statistics: Statistics) {
        // While reading is paused, messages lie in queues that these figures do not show.
        if self.paused.load(Ordering::Acquire) {
            return;
        }
        let event = {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            let ends = ends(&statistics, &self.topics, &mut heard);
            if let Some(Partition { topic, number }) = heard.stalled() {
                self.failed.store(true, Ordering::Release);
                tracing::error!(topic, partition = number, "an assigned partition is not fetched; beginning again");
            }
            match heard.last.elapsed() {
                silent if silent >= SILENT => Event::Silent(silent),
                _ => Event::Ends(ends),
            }
        };
        // A full queue has messages in it: then nothing has ended.
        let _ = self.events.try_send(Handed::Event(event));
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = partitions(list);
        let outcome = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                metrics::rebalance("assign");
                self.assign(consumer, &partitions)
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                metrics::rebalance("revoke");
                self.revoke(&partitions);
                for partition in &partitions {
                    metrics::lag(&partition.topic, partition.number, 0);
                }
                consumer.incremental_unassign(list).map_err(SourceError::from)
            }
            other => {
                // What was read and not committed is read again.
                self.failed.store(true, Ordering::Release);
                tracing::warn!(error = %RDKafkaErrorCode::from(other), "rebalancing failed");
                consumer.unassign().map_err(SourceError::from)
            }
        };
        if let Err(error) = outcome {
            self.failed.store(true, Ordering::Release);
            tracing::error!(error = %crate::telemetry::chain(&error), "partitions could not be taken over");
        }
    }
}

impl Context {
    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &[Partition]) -> Result<(), SourceError> {
        if partitions.is_empty() {
            return Ok(consumer.incremental_assign(&TopicPartitionList::new())?);
        }
        let epoch = self.epoch.fetch_add(1, Ordering::AcqRel) + 1;
        let (positions, asked) = oneshot::channel();
        let assigned = |topic: &String| partitions.iter().filter(|p| p.topic == *topic).map(|p| p.number + 1).max();
        let topics = self.topics.iter().map(|topic| Ok((topic.clone(), count(consumer, topic, assigned(topic))?)));
        let topics = topics.collect::<Result<_, SourceError>>()?;
        let event = Event::Assigned { partitions: partitions.to_vec(), topics, epoch, positions };
        self.events.blocking_send(Handed::Event(event)).map_err(|_| SourceError::Gone)?;
        let stored = asked.blocking_recv().map_err(|_| SourceError::Gone)?;
        let mut list = TopicPartitionList::new();
        let mut begins = Vec::with_capacity(stored.len());
        for (partition, stored) in stored {
            match self.begin(consumer, &partition, stored) {
                Ok(begin) => {
                    list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(begin.offset()))?;
                    begins.push((partition, begin));
                }
                // The others are read meanwhile; the session ends soon and is begun again.
                Err(error) => {
                    metrics::kafka_error();
                    self.failed.store(true, Ordering::Release);
                    tracing::error!(error = %crate::telemetry::chain(&error), "a partition cannot be begun yet");
                }
            }
        }
        self.events.blocking_send(Handed::Event(Event::Started { begins })).map_err(|_| SourceError::Gone)?;
        Ok(consumer.incremental_assign(&list)?)
    }

    /// Where to begin: at the stored position if the broker still holds it.
    fn begin(&self, consumer: &BaseConsumer<Self>, partition: &Partition, stored: Known) -> Result<Begin, SourceError> {
        let (oldest, end) = consumer.fetch_watermarks(&partition.topic, partition.number, ANSWER)?;
        let begin = match (stored, self.start) {
            (Known::Added, _) | (Known::Never, Start::Earliest) => Begin::At(oldest),
            (Known::Never, Start::Latest) => Begin::At(end),
            (Known::Read(stored), _) => Begin::compare(stored, oldest, end),
        };
        let (topic, number) = (&partition.topic, partition.number);
        let stored = match stored {
            Known::Read(stored) => Some(stored),
            Known::Never | Known::Added => None,
        };
        match begin {
            Begin::At(_) => {}
            Begin::Lost(oldest) => tracing::error!(
                topic,
                partition = number,
                from = stored,
                to = oldest,
                "retention has overtaken the stored position: the records between are a gap"
            ),
            Begin::Anew(oldest) => tracing::error!(
                topic,
                partition = number,
                stored,
                end,
                start = oldest,
                "the stored position lies beyond the end: the topic was created anew, and its ledger begins again"
            ),
        }
        Ok(begin)
    }

    fn revoke(&self, partitions: &[Partition]) {
        let (done, finished) = oneshot::channel();
        let event = Event::Revoked { partitions: partitions.to_vec(), done };
        if self.events.blocking_send(Handed::Event(event)).is_err() {
            return;
        }
        let deadline = Instant::now() + REBALANCE_WAIT;
        let mut finished = finished;
        while finished.try_recv() == Err(oneshot::error::TryRecvError::Empty) {
            if Instant::now() >= deadline {
                tracing::warn!(
                    "the last records of revoked partitions were not committed in time; they will be read again"
                );
                return;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

fn partitions(list: &TopicPartitionList) -> Vec<Partition> {
    let elements = list.elements();
    elements.iter().map(|e| Partition { topic: e.topic().to_owned(), number: e.partition() }).collect()
}
