//! Records from Kafka, on a thread of their own, because rebalance callbacks block the poll.
//!
//! The store knows the positions; on assignment this thread asks for them, compares them with what
//! the broker still holds, and assigns exactly those. A stored position that retention has
//! overtaken is moved to the oldest record, and the skipped offsets are accounted as gaps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use tokio::sync::{mpsc, oneshot};

use super::native::NativeDecoder;
use super::{Event, Message, Refused, SourceError};
use crate::clock;
use crate::config;
use crate::config::raw::Start;
use crate::drift::checkpoint::Partition;
use crate::drift::time::{Span, Timestamp};
use crate::metrics;

/// Batches on their way to the collect loop at most: with the batch size, the bound on memory.
const QUEUED_BATCHES: usize = 4;
/// Messages in a batch.
const BATCH: usize = 1_000;
/// A batch leaves after this long, however small.
const LINGER: Duration = Duration::from_millis(20);
/// One poll.
const POLL: Duration = Duration::from_millis(10);
/// How long the broker may take to answer a question at start or assignment.
const ANSWER: Duration = Duration::from_secs(10);
/// How long a rebalance waits for the collect loop; below any sensible session timeout.
const REBALANCE_WAIT: Duration = Duration::from_secs(20);

/// A consumer on its thread. Dropping it leaves the group.
pub struct KafkaSource {
    events: mpsc::Receiver<Event>,
    hints: std::sync::mpsc::Sender<Hint>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Committed positions.
type Hint = Vec<(Partition, i64)>;

impl KafkaSource {
    /// Checks that broker and topics are there, joins the group and starts reading. Blocks for up
    /// to ten seconds.
    ///
    /// # Errors
    /// [`SourceError`]: configuration, broker or topic.
    pub fn start(
        kafka: &config::Kafka,
        decoder: Arc<NativeDecoder>,
        max_future: Span,
    ) -> Result<KafkaSource, SourceError> {
        let (sender, events) = mpsc::channel(QUEUED_BATCHES);
        let context = Context { events: sender.clone(), start: kafka.start, epoch: AtomicU64::new(0) };
        let consumer: BaseConsumer<Context> =
            consumer_config(kafka).create_with_context(context).map_err(SourceError::Configuration)?;
        check_topics(&consumer, kafka)?;
        let topics: Vec<&str> = kafka.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (hints, hinted) = std::sync::mpsc::channel();
        let reader =
            Reader { consumer, decoder, max_future, events: sender, hinted, stop: stop.clone(), names: Vec::new() };
        let thread = thread::Builder::new().name("kafka".into()).spawn(move || reader.run());
        let thread = thread.map_err(|_| SourceError::Gone)?;
        Ok(KafkaSource { events, hints, stop, thread: Some(thread) })
    }

    /// The next event; `None` when the thread has ended.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Tells the broker how far we are, for lag tools; nothing depends on it.
    pub fn hint(&self, positions: Vec<(Partition, i64)>) {
        // A thread that has ended needs no hint.
        let _ = self.hints.send(positions);
    }

    /// Leaves the group and ends the thread; events on their way are dropped.
    pub async fn stop(mut self) {
        self.stop.store(true, Ordering::Release);
        self.events.close();
        while self.events.recv().await.is_some() {}
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has already said so; joining tells nothing more.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
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
fn consumer_config(kafka: &config::Kafka) -> ClientConfig {
    let mut client = connection_config(kafka);
    // With a full local queue librdkafka stops fetching for a whole second by default, which is far
    // longer than the queue lasts.
    for (name, value) in [("queued.max.messages.kbytes", "32768"), ("fetch.queue.backoff.ms", "10")] {
        if client.get(name).is_none() {
            client.set(name, value);
        }
    }
    client
        .set("group.id", &kafka.group)
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "false");
    client
}

fn check_topics(consumer: &BaseConsumer<Context>, kafka: &config::Kafka) -> Result<(), SourceError> {
    let unreachable = |source| SourceError::Unreachable { brokers: kafka.brokers.clone(), source };
    for topic in &kafka.topics {
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER).map_err(unreachable)?;
        let found =
            metadata.topics().iter().any(|t| t.name() == topic && t.error().is_none() && !t.partitions().is_empty());
        if !found {
            return Err(SourceError::NoTopic { brokers: kafka.brokers.clone(), topic: topic.clone() });
        }
    }
    Ok(())
}

/// Rebalances: runs on the polling thread, inside a poll.
struct Context {
    events: mpsc::Sender<Event>,
    start: Start,
    epoch: AtomicU64,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        metrics::kafka_error();
        tracing::warn!(%error, reason, "Kafka");
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
                consumer.incremental_unassign(list).map_err(SourceError::from)
            }
            other => {
                tracing::warn!(error = %RDKafkaErrorCode::from(other), "rebalancing failed");
                consumer.unassign().map_err(SourceError::from)
            }
        };
        if let Err(error) = outcome {
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
        let event = Event::Assigned { partitions: partitions.to_vec(), epoch, positions };
        self.events.blocking_send(event).map_err(|_| SourceError::Gone)?;
        let stored = asked.blocking_recv().map_err(|_| SourceError::Gone)?;
        let mut list = TopicPartitionList::new();
        let mut offsets = Vec::with_capacity(stored.len());
        for (partition, stored) in stored {
            match self.begin(consumer, &partition, stored) {
                Ok(offset) => {
                    list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(offset))?;
                    offsets.push((partition, offset));
                }
                // One partition in trouble must not keep the others from being read.
                Err(error) => {
                    metrics::kafka_error();
                    tracing::error!(error = %crate::telemetry::chain(&error), "a partition is not read");
                }
            }
        }
        self.events.blocking_send(Event::Started { offsets }).map_err(|_| SourceError::Gone)?;
        Ok(consumer.incremental_assign(&list)?)
    }

    /// The offset to begin with: the stored position if the broker still holds it.
    fn begin(
        &self,
        consumer: &BaseConsumer<Self>,
        partition: &Partition,
        stored: Option<i64>,
    ) -> Result<i64, SourceError> {
        let (oldest, end) = consumer.fetch_watermarks(&partition.topic, partition.number, ANSWER)?;
        match (stored, self.start) {
            (None, Start::Earliest) => Ok(oldest),
            (None, Start::Latest) => Ok(end),
            (Some(stored), _) if stored < oldest => {
                tracing::error!(
                    topic = partition.topic,
                    partition = partition.number,
                    from = stored,
                    to = oldest,
                    "retention has overtaken the stored position: the records between are a gap"
                );
                Ok(oldest)
            }
            (Some(stored), _) if stored > end => {
                Err(SourceError::BeyondEnd { topic: partition.topic.clone(), partition: partition.number, stored, end })
            }
            (Some(stored), _) => Ok(stored),
        }
    }

    fn revoke(&self, partitions: &[Partition]) {
        let (done, finished) = oneshot::channel();
        if self.events.blocking_send(Event::Revoked { partitions: partitions.to_vec(), done }).is_err() {
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

/// The polling thread. It alone owns the consumer: closing one calls the rebalance callback, which
/// blocks, and an async thread must not.
struct Reader {
    consumer: BaseConsumer<Context>,
    decoder: Arc<NativeDecoder>,
    max_future: Span,
    events: mpsc::Sender<Event>,
    hinted: std::sync::mpsc::Receiver<Hint>,
    stop: Arc<AtomicBool>,
    names: Vec<Arc<Partition>>,
}

impl Reader {
    fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut began = Instant::now();
        let mut latest = clock::now().plus(self.max_future);
        while !self.stop.load(Ordering::Acquire) {
            self.pass_hints();
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    if batch.is_empty() {
                        began = Instant::now();
                        latest = clock::now().plus(self.max_future);
                    }
                    let known = partition(&mut self.names, &message);
                    batch.push(decode(&self.decoder, &message, known, epoch(&self.consumer), latest));
                }
                Some(Err(error)) => {
                    metrics::kafka_error();
                    tracing::warn!(%error, "Kafka");
                }
                None => {}
            }
            let due = batch.len() >= BATCH || (!batch.is_empty() && began.elapsed() >= LINGER);
            if due && !self.send(std::mem::take(&mut batch)) {
                break;
            }
        }
        self.pass_hints();
    }

    fn pass_hints(&self) {
        for positions in self.hinted.try_iter() {
            let mut list = TopicPartitionList::new();
            for (partition, next) in positions {
                // A partition that was revoked meanwhile cannot be added or committed: no harm.
                let _ = list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(next));
            }
            if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
                tracing::debug!(%error, "the broker did not take the positions as a hint");
            }
        }
    }

    /// Hands a batch over. While the collect loop is busy, partitions are paused and polling goes
    /// on, so that the group sees a living member however long the store or the model takes.
    fn send(&self, batch: Vec<Message>) -> bool {
        let mut event = Event::Messages(batch);
        let mut paused = None;
        loop {
            match self.events.try_send(event) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(back)) => event = back,
            }
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            if paused.is_none() {
                paused = self.consumer.assignment().ok().filter(|list| self.consumer.pause(list).is_ok());
                metrics::paused(true);
            }
            // Paused partitions give nothing; a message that slips through right after a rebalance
            // is sought again, so that it is not lost.
            if let Some(Ok(message)) = self.consumer.poll(POLL)
                && let Err(error) =
                    self.consumer.seek(message.topic(), message.partition(), Offset::Offset(message.offset()), ANSWER)
            {
                tracing::error!(%error, "a message could not be put back; its partition will show a gap");
            }
        }
        if let Some(list) = paused {
            // Partitions that were revoked meanwhile cannot be resumed, and need not be.
            let _ = self.consumer.resume(&list);
            metrics::paused(false);
        }
        true
    }
}

fn epoch(consumer: &BaseConsumer<Context>) -> u64 {
    consumer.context().epoch.load(Ordering::Acquire)
}

/// The partition of a message, from the few that were seen before.
fn partition(names: &mut Vec<Arc<Partition>>, message: &BorrowedMessage) -> Arc<Partition> {
    let known = names.iter().find(|p| p.number == message.partition() && p.topic == message.topic());
    known.cloned().unwrap_or_else(|| {
        let fresh = Arc::new(Partition { topic: message.topic().to_owned(), number: message.partition() });
        names.push(fresh.clone());
        fresh
    })
}

fn decode(
    decoder: &NativeDecoder,
    message: &BorrowedMessage,
    partition: Arc<Partition>,
    epoch: u64,
    latest: Timestamp,
) -> Message {
    let time = message.timestamp().to_millis().map(|ms| Timestamp::from_micros(ms.saturating_mul(1_000)));
    let decoded = decoder.decode(message.payload().unwrap_or_default(), time, latest).map_err(|why| Refused {
        why,
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.map(<[u8]>::to_vec))).collect()
        }),
        time,
    });
    Message { partition, offset: message.offset(), epoch, decoded }
}
