//! Records from Kafka, on a thread of their own, because rebalance callbacks block the poll.
//!
//! The store knows the positions; on assignment this thread asks for them, compares them with what
//! the broker still holds, and assigns exactly those. Where retention has overtaken a stored
//! position, or the topic was created anew, reading begins at the oldest record and says so.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::mpsc;

use super::client::{check_topics, consumer_config};
use super::native::NativeDecoder;
use super::rebalance::Context;
use super::{ANSWER, Event, Message, Refused, Source, SourceError, Spent};
use crate::clock;
use crate::config;
use crate::drift::checkpoint::Partition;
use crate::drift::time::{Span, Timestamp};
use crate::{fault, metrics, traces};

/// Batches on their way to the collect loop at most: with the batch size, the bound on memory.
const QUEUED_BATCHES: usize = 4;
/// Messages in a batch.
const BATCH: usize = 1_000;
/// Bytes in a batch, for records far larger than usual.
const BATCH_BYTES: usize = 8 << 20;
/// A batch leaves after this long, however small.
const LINGER: Duration = Duration::from_millis(20);
/// How long a full queue is waited for before partitions are paused. A pause throws away what the client has fetched
/// ahead, to be fetched again; a flush is over before that is worth it, and the group misses no poll so short.
const PATIENCE: Duration = Duration::from_millis(500);
/// A full queue is looked at again after this long.
const AGAIN: Duration = Duration::from_millis(1);
/// A batch of more messages than this fills in no time; then the clock is looked at after so many.
const MANY: usize = 64;
const LOOK: usize = 16;
/// One poll.
const POLL: Duration = Duration::from_millis(10);
/// What is left of batches on its way back at most: more is freed where it is. Of a batch several parts come back,
/// since the collect loop folds it in parts.
const RETURNED: usize = 8 * QUEUED_BATCHES;

/// A consumer on its thread. Dropping it leaves the group.
pub struct KafkaSource {
    events: mpsc::Receiver<Event>,
    hints: std::sync::mpsc::Sender<Hint>,
    spent: std::sync::mpsc::SyncSender<Spent>,
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
        let context = Context {
            events: sender.clone(),
            topics: kafka.topics.clone(),
            start: kafka.start,
            epoch: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            received: Mutex::default(),
        };
        let consumer: BaseConsumer<Context> =
            consumer_config(kafka).create_with_context(context).map_err(SourceError::Configuration)?;
        check_topics(&consumer, kafka)?;
        let topics: Vec<&str> = kafka.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (hints, hinted) = std::sync::mpsc::channel();
        let (spent, returned) = std::sync::mpsc::sync_channel(RETURNED);
        let reader = Reader {
            consumer,
            decoder,
            max_future,
            events: sender,
            hinted,
            returned,
            leftovers: None,
            stop: stop.clone(),
            names: Vec::new(),
        };
        let thread = thread::Builder::new().name("kafka".into()).spawn(move || reader.run());
        let thread = thread.map_err(|_| SourceError::Gone)?;
        Ok(KafkaSource { events, hints, spent, stop, thread: Some(thread) })
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    fn hint(&self, positions: Vec<(Partition, i64)>) {
        // A thread that has ended needs no hint.
        let _ = self.hints.send(positions);
    }

    fn give_back(&self, spent: Spent) {
        // Where there is no room, or the thread has ended, it is freed here.
        let _ = self.spent.try_send(spent);
    }

    async fn stop(mut self: Box<Self>) {
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

/// The polling thread. It alone owns the consumer: closing one calls the rebalance callback, which
/// blocks, and an async thread must not.
struct Reader {
    consumer: BaseConsumer<Context>,
    decoder: Arc<NativeDecoder>,
    max_future: Span,
    events: mpsc::Sender<Event>,
    hinted: std::sync::mpsc::Receiver<Hint>,
    returned: std::sync::mpsc::Receiver<Spent>,
    leftovers: Option<Spent>,
    stop: Arc<AtomicBool>,
    /// Partitions of this batch's messages. Each batch has its own: a count of references that two threads change
    /// at once costs more than the rest of handing a message over.
    names: Vec<Arc<Partition>>,
}

impl Reader {
    fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let (mut began, mut bytes) = (Instant::now(), 0);
        let mut latest = clock::now().plus(self.max_future);
        while !self.stop.load(Ordering::Acquire) {
            if batch.is_empty() {
                self.pass_hints();
            }
            let polled = self.consumer.poll(POLL);
            let look = polled.is_none() || batch.len() < MANY || batch.len().is_multiple_of(LOOK);
            match polled {
                Some(Ok(message)) => {
                    if batch.is_empty() {
                        self.names.clear();
                        bytes = 0;
                        began = Instant::now();
                        latest = clock::now().plus(self.max_future);
                    }
                    bytes += message.payload_len();
                    if !self.leftovers.as_mut().is_some_and(|left| left.free_one()) {
                        self.leftovers = self.returned.try_recv().ok();
                    }
                    let known = partition(&mut self.names, &message);
                    batch.push(decode(&self.decoder, &message, known, epoch(&self.consumer), latest));
                }
                Some(Err(error)) => {
                    metrics::kafka_error();
                    tracing::warn!(%error, "Kafka");
                    if ends_reading(&error) {
                        break;
                    }
                }
                // Nothing comes: nothing need be kept for it.
                None => self.leftovers = self.returned.try_iter().last(),
            }
            if self.consumer.context().failed.load(Ordering::Acquire) {
                break;
            }
            let lingered = look && !batch.is_empty() && began.elapsed() >= LINGER;
            let due = batch.len() >= BATCH || bytes >= BATCH_BYTES || lingered;
            if due && !self.send(std::mem::replace(&mut batch, Vec::with_capacity(BATCH))) {
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

    /// Hands a batch over. While the collect loop is busy for longer than a flush takes, partitions are paused and
    /// polling goes on, so that the group sees a living member however long the store or the model takes.
    fn send(&self, batch: Vec<Message>) -> bool {
        fault::point("after_fetch");
        metrics::queue("source", QUEUED_BATCHES - self.events.capacity());
        let mut event = Event::Messages(batch);
        let mut paused = None;
        let began = Instant::now();
        loop {
            match self.events.try_send(event) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(back)) => event = back,
            }
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            if paused.is_none() && began.elapsed() < PATIENCE {
                thread::sleep(AGAIN);
                continue;
            }
            if paused.is_none() {
                self.consumer.context().paused.store(true, Ordering::Release);
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
            self.consumer.context().paused.store(false, Ordering::Release);
        }
        true
    }
}

/// Errors after which a partition is not read any more: reading begins again from stored positions,
/// and finds out then what was lost.
fn ends_reading(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        AutoOffsetReset, Fatal, FencedInstanceId, OffsetOutOfRange, TopicAuthorizationFailed, UnknownPartition,
        UnknownTopic, UnknownTopicOrPartition, UnreleasedInstanceId,
    };
    let ends = [
        AutoOffsetReset,
        Fatal,
        FencedInstanceId,
        OffsetOutOfRange,
        TopicAuthorizationFailed,
        UnknownPartition,
        UnknownTopic,
        UnknownTopicOrPartition,
        UnreleasedInstanceId,
    ];
    error.rdkafka_error_code().is_some_and(|code| ends.contains(&code))
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
    let headers = if traces::on() { message.headers() } else { None };
    let trace = headers.and_then(|headers| headers.iter().find(|h| h.key == "traceparent")?.value);
    let trace = trace.filter(|t| traces::wanted(t)).map(|t| String::from_utf8_lossy(t).into_owned());
    Message { partition, offset: message.offset(), epoch, trace, decoded }
}
