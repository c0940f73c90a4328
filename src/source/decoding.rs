//! Threads that decode what was polled. Batches are answered each by a ticket of its own, and tickets are redeemed in the
//! order in which they were given out: a partition's messages keep their order, whichever batch is decoded first.

use std::num::NonZero;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, Scope};
use std::time::Duration;

use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use tokio::sync::oneshot;

use super::native::NativeDecoder;
use super::{Message, Refused, Spent};
use crate::drift::checkpoint::Partition;
use crate::drift::time::Timestamp;
use crate::traces;

/// Threads at most, unless asked for: three of them decode more than one collect loop folds.
const MOST: usize = 3;
/// What is left of batches on its way back to all threads at most: more is freed where it is. Of a batch several parts
/// come back, since the collect loop folds it in parts.
const RETURNED: usize = 32;
/// A thread that has had nothing to do for so long keeps no memory for it.
const IDLE: Duration = Duration::from_secs(1);

/// A batch as it was polled.
pub(super) struct Polled<'c> {
    /// Messages, and the assignment that each was read under.
    pub messages: Vec<(BorrowedMessage<'c>, u64)>,
    /// No record may be of a later time.
    pub latest: Timestamp,
}

/// Where a batch's messages will be. It breaks if the thread that decodes it has ended.
pub(super) struct Ticket {
    messages: oneshot::Receiver<Vec<Message>>,
    /// Which thread decodes it.
    pub decoder: usize,
}

impl Ticket {
    /// The messages once they are decoded; `None` if they never will be. May be given up and asked again.
    pub async fn redeem(&mut self) -> Option<Vec<Message>> {
        (&mut self.messages).await.ok()
    }
}

/// Ways back to the threads, for what is left of their messages.
pub(super) struct Returns(Vec<SyncSender<Spent>>);

impl Returns {
    /// Sends what is left back to the thread that asked for its memory; where there is no room, or the thread has
    /// ended, it is freed here.
    pub fn give_back(&self, decoder: usize, spent: Spent) {
        let _ = self.0[decoder].try_send(spent);
    }
}

/// What the threads are to hold: made before they run, so that the ways back are known.
pub(super) struct Plan {
    decoder: Arc<NativeDecoder>,
    returned: Vec<Receiver<Spent>>,
}

/// So many threads, or one to every two cores that this process may use: the others poll and fold.
pub(super) fn plan(decoder: Arc<NativeDecoder>, threads: Option<usize>) -> (Plan, Returns) {
    let usual = || (thread::available_parallelism().map_or(1, NonZero::get) / 2).clamp(1, MOST);
    let threads = threads.unwrap_or_else(usual);
    let (ways, returned) = (0..threads).map(|_| sync_channel(RETURNED.div_ceil(threads))).unzip();
    (Plan { decoder, returned }, Returns(ways))
}

type Job<'c> = (Polled<'c>, oneshot::Sender<Vec<Message>>);

/// Running threads. They end when this is dropped and what it was given is done.
pub(super) struct Decoders<'c> {
    jobs: Vec<Sender<Job<'c>>>,
    next: usize,
}

impl<'c> Decoders<'c> {
    /// Starts the threads.
    pub fn start<'scope>(plan: Plan, scope: &'scope Scope<'scope, '_>) -> std::io::Result<Decoders<'c>>
    where
        'c: 'scope,
    {
        let mut jobs = Vec::with_capacity(plan.returned.len());
        for returned in plan.returned {
            let (sender, given) = channel();
            let worker = Worker { decoder: plan.decoder.clone(), given, returned, leftovers: None };
            thread::Builder::new().name("decode".into()).spawn_scoped(scope, move || worker.run())?;
            jobs.push(sender);
        }
        Ok(Decoders { jobs, next: 0 })
    }

    /// A ticket for the next batch, and what makes it good.
    pub fn ticket(&mut self) -> (Ticket, Promise) {
        let (sender, messages) = oneshot::channel();
        self.next = (self.next + 1) % self.jobs.len();
        (Ticket { messages, decoder: self.next }, Promise { decoder: self.next, sender })
    }

    /// Has a batch decoded, in turn on each thread. Never waits: whoever holds tickets bounds how many there are.
    pub fn decode(&self, promise: Promise, batch: Polled<'c>) {
        // A thread that has ended breaks its tickets.
        let _ = self.jobs[promise.decoder].send((batch, promise.sender));
    }
}

/// The other half of a ticket.
pub(super) struct Promise {
    decoder: usize,
    sender: oneshot::Sender<Vec<Message>>,
}

struct Worker<'c> {
    decoder: Arc<NativeDecoder>,
    given: Receiver<Job<'c>>,
    returned: Receiver<Spent>,
    leftovers: Option<Spent>,
}

impl Worker<'_> {
    fn run(mut self) {
        loop {
            match self.given.recv_timeout(IDLE) {
                Ok((batch, answer)) => {
                    let decoded = self.batch(batch);
                    // Nobody waits for it any more: it will be read again.
                    let _ = answer.send(decoded);
                }
                Err(RecvTimeoutError::Timeout) => self.leftovers = self.returned.try_iter().last(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn batch(&mut self, batch: Polled) -> Vec<Message> {
        // Each batch has its own handles of partitions: a count of references that two threads change at once costs
        // more than the rest of handing a message over.
        let mut names = Vec::new();
        let each = batch.messages.into_iter().map(|(message, epoch)| {
            if !self.leftovers.as_mut().is_some_and(|left| left.free_one()) {
                self.leftovers = self.returned.try_recv().ok();
            }
            let known = partition(&mut names, &message);
            decode(&self.decoder, &message, known, epoch, batch.latest)
        });
        each.collect()
    }
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
