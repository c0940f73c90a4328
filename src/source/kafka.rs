//! Records from Kafka, polled on a thread of their own, because rebalance callbacks block the poll, and decoded on
//! others.
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
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaErrorCode;
use tokio::sync::mpsc;

use super::client::{check_topics, consumer_config};
use super::decoding::{self, Decoders, Polled, Returns, Ticket};
use super::native::NativeDecoder;
use super::rebalance::Context;
use super::{ANSWER, Event, Source, SourceError, Spent};
use crate::clock;
use crate::config;
use crate::drift::checkpoint::Partition;
use crate::drift::time::Span;
use crate::{fault, metrics};

/// Batches on their way to the collect loop at most, decoded or not: with the batch size, the bound on memory.
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

/// What the polling thread hands over, in order.
pub(super) enum Handed {
    /// Something happened.
    Event(Event),
    /// Messages that are being decoded.
    Batch(Ticket),
}

/// A consumer on its thread. Dropping it leaves the group.
pub struct KafkaSource {
    handed: mpsc::Receiver<Handed>,
    /// The batch that is waited for, should the wait be given up and taken up again.
    awaited: Option<Ticket>,
    hints: std::sync::mpsc::Sender<Hint>,
    returns: Returns,
    /// Which thread decoded the messages handed over last.
    decoder: usize,
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
        let (sender, handed) = mpsc::channel(QUEUED_BATCHES);
        let context = Context {
            events: sender.clone(),
            topics: kafka.topics.clone(),
            start: kafka.start,
            epoch: AtomicU64::new(0),
            paused: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            heard: Mutex::default(),
            refused: Mutex::default(),
        };
        let consumer: BaseConsumer<Context> =
            consumer_config(kafka).create_with_context(context).map_err(SourceError::Configuration)?;
        check_topics(&consumer, kafka)?;
        let topics: Vec<&str> = kafka.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let stop = Arc::new(AtomicBool::new(false));
        let (hints, hinted) = std::sync::mpsc::channel();
        let (plan, returns) = decoding::plan(decoder, kafka.decoders);
        let reader = Reader { max_future, handed: sender, hinted, stop: stop.clone() };
        let thread = thread::Builder::new().name("kafka".into()).spawn(move || reader.run(&consumer, plan));
        let thread = thread.map_err(|_| SourceError::Gone)?;
        Ok(KafkaSource { handed, awaited: None, hints, returns, decoder: 0, stop, thread: Some(thread) })
    }
}

#[async_trait]
impl Source for KafkaSource {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(ticket) = &mut self.awaited {
                let messages = ticket.redeem().await?;
                self.decoder = ticket.decoder;
                self.awaited = None;
                return Some(Event::Messages(messages));
            }
            match self.handed.recv().await? {
                Handed::Event(event) => return Some(event),
                Handed::Batch(ticket) => self.awaited = Some(ticket),
            }
        }
    }

    fn hint(&self, positions: Vec<(Partition, i64)>) {
        // A thread that has ended needs no hint.
        let _ = self.hints.send(positions);
    }

    fn give_back(&self, spent: Spent) {
        self.returns.give_back(self.decoder, spent);
    }

    async fn stop(mut self: Box<Self>) {
        self.stop.store(true, Ordering::Release);
        self.handed.close();
        while self.handed.recv().await.is_some() {}
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
    max_future: Span,
    handed: mpsc::Sender<Handed>,
    hinted: std::sync::mpsc::Receiver<Hint>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    fn run(self, consumer: &BaseConsumer<Context>, plan: decoding::Plan) {
        thread::scope(|scope| match Decoders::start(plan, scope) {
            Ok(decoders) => self.poll(consumer, decoders),
            Err(error) => tracing::error!(%error, "no thread to decode on"),
        });
    }

    fn poll<'c>(&self, consumer: &'c BaseConsumer<Context>, mut decoders: Decoders<'c>) {
        let mut batch = Vec::with_capacity(BATCH);
        let (mut began, mut bytes) = (Instant::now(), 0);
        let mut latest = clock::now().plus(self.max_future);
        while !self.stop.load(Ordering::Acquire) {
            if batch.is_empty() {
                self.pass_hints(consumer);
            }
            let polled = consumer.poll(POLL);
            let look = polled.is_none() || batch.len() < MANY || batch.len().is_multiple_of(LOOK);
            match polled {
                Some(Ok(message)) => {
                    if batch.is_empty() {
                        bytes = 0;
                        began = Instant::now();
                        latest = clock::now().plus(self.max_future);
                    }
                    bytes += message.payload_len();
                    batch.push((message, consumer.context().epoch.load(Ordering::Acquire)));
                }
                Some(Err(error)) if tell(&error) => break,
                Some(Err(_)) | None => {}
            }
            if consumer.context().failed.load(Ordering::Acquire) {
                break;
            }
            let lingered = look && !batch.is_empty() && began.elapsed() >= LINGER;
            if batch.len() >= BATCH || bytes >= BATCH_BYTES || lingered {
                let messages = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                if !self.send(consumer, &mut decoders, Polled { messages, latest }) {
                    break;
                }
            }
        }
        // Reading may end in the middle of a pause.
        metrics::paused(false);
        self.pass_hints(consumer);
    }

    fn pass_hints(&self, consumer: &BaseConsumer<Context>) {
        for positions in self.hinted.try_iter() {
            let mut list = TopicPartitionList::new();
            for (partition, next) in positions {
                // A partition that was revoked meanwhile cannot be added or committed: no harm.
                let _ = list.add_partition_offset(&partition.topic, partition.number, Offset::Offset(next));
            }
            if let Err(error) = consumer.commit(&list, CommitMode::Async) {
                tracing::debug!(%error, "the broker did not take the positions as a hint");
            }
        }
    }

    /// Hands a batch over. While the collect loop is busy for longer than a flush takes, partitions are paused and
    /// polling goes on, so that the group sees a living member however long the store or the model takes.
    fn send<'c>(&self, consumer: &BaseConsumer<Context>, decoders: &mut Decoders<'c>, batch: Polled<'c>) -> bool {
        fault::point("after_fetch");
        metrics::queue("source", QUEUED_BATCHES - self.handed.capacity());
        let (ticket, promise) = decoders.ticket();
        let mut ticket = Handed::Batch(ticket);
        let mut paused = None;
        let began = Instant::now();
        loop {
            match self.handed.try_send(ticket) {
                Ok(()) => break,
                Err(mpsc::error::TrySendError::Closed(_)) => return false,
                Err(mpsc::error::TrySendError::Full(back)) => ticket = back,
            }
            if self.stop.load(Ordering::Acquire) {
                return false;
            }
            if paused.is_none() && began.elapsed() < PATIENCE {
                thread::sleep(AGAIN);
                continue;
            }
            if paused.is_none() {
                paused = consumer.assignment().ok().filter(|list| consumer.pause(list).is_ok());
                consumer.context().paused.store(paused.is_some(), Ordering::Release);
                metrics::paused(paused.is_some());
            }
            match consumer.poll(POLL) {
                // Paused partitions give nothing; a message that slips through right after a rebalance
                // is sought again, so that it is not lost.
                Some(Ok(message)) => {
                    let back = Offset::Offset(message.offset());
                    if let Err(error) = consumer.seek(message.topic(), message.partition(), back, ANSWER) {
                        tracing::error!(%error, "a message could not be put back: reading begins again");
                        return false;
                    }
                }
                Some(Err(error)) if tell(&error) => return false,
                Some(Err(_)) | None => {}
            }
            if consumer.context().failed.load(Ordering::Acquire) {
                return false;
            }
        }
        if let Some(list) = paused {
            // Partitions that were revoked meanwhile cannot be resumed, and need not be.
            let _ = consumer.resume(&list);
            metrics::paused(false);
            consumer.context().paused.store(false, Ordering::Release);
        }
        decoders.decode(promise, batch);
        true
    }
}

/// Tells of an error that was polled, and says whether it ends reading.
fn tell(error: &KafkaError) -> bool {
    metrics::kafka_error();
    tracing::warn!(%error, "Kafka");
    ends_reading(error)
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
