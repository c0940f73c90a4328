//! A topic and a consumer group in memory. Members come and go; now and then the group gives a
//! partition to a new member without waiting for the old one, as it does when a session ends.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use driftd::drift::checkpoint::Partition;
use driftd::drift::record::{Record, RejectReason, Rejected};
use driftd::source::{Begin, End, Event, Known, Message, Refused, Source};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::{mpsc, oneshot};

/// What lies at one offset.
#[derive(Clone)]
#[allow(clippy::large_enum_variant, reason = "a few hundred of them")]
pub enum Entry {
    Record(Record),
    Unreadable,
    /// A marker of a transaction: no record for anybody.
    Marker,
}

pub struct Group {
    logs: Vec<Vec<Entry>>,
    owners: Vec<Option<u64>>,
    /// Who has begun it and not given it up.
    holders: Vec<Option<u64>>,
    members: Vec<u64>,
    next_member: u64,
}

#[derive(Clone)]
pub struct Broker {
    group: Arc<Mutex<Group>>,
    seed: u64,
    /// The chance that a partition is taken over without waiting, and that a member's thread ends.
    unruly: f64,
}

pub struct Member {
    events: mpsc::Receiver<Event>,
    broker: Broker,
    id: u64,
}

impl Broker {
    pub fn new(logs: Vec<Vec<Entry>>, seed: u64, unruly: f64) -> Broker {
        let count = logs.len();
        let group =
            Group { logs, owners: vec![None; count], holders: vec![None; count], members: Vec::new(), next_member: 0 };
        Broker { group: Arc::new(Mutex::new(group)), seed, unruly }
    }

    fn group(&self) -> MutexGuard<'_, Group> {
        self.group.lock().expect("not poisoned")
    }

    /// A new member of the group.
    pub fn join(&self) -> Box<dyn Source> {
        let id = {
            let mut group = self.group();
            group.next_member += 1;
            let id = group.next_member;
            group.members.push(id);
            group.rebalance();
            id
        };
        let (sender, events) = mpsc::channel(4);
        tokio::spawn(serve(self.clone(), id, sender));
        Box::new(Member { events, broker: self.clone(), id })
    }

    fn leave(&self, id: u64) {
        let mut group = self.group();
        group.members.retain(|m| *m != id);
        group.give_up(id, |_| true);
        group.rebalance();
    }
}

impl Group {
    fn rebalance(&mut self) {
        for p in 0..self.owners.len() {
            self.owners[p] = self.members.get(p % self.members.len().max(1)).copied();
        }
    }

    fn give_up(&mut self, id: u64, which: impl Fn(usize) -> bool) {
        for (p, holder) in self.holders.iter_mut().enumerate() {
            if *holder == Some(id) && which(p) {
                *holder = None;
            }
        }
    }
}

#[async_trait]
impl Source for Member {
    async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    fn hint(&self, _: Vec<(Partition, i64)>) {}

    async fn stop(self: Box<Self>) {}
}

impl Drop for Member {
    fn drop(&mut self) {
        self.broker.leave(self.id);
    }
}

pub fn partition(number: usize) -> Partition {
    Partition { topic: "t".into(), number: i32::try_from(number).expect("small") }
}

/// A member's thread: hands partitions over, and what lies in them.
async fn serve(broker: Broker, id: u64, events: mpsc::Sender<Event>) -> Option<()> {
    let mut rng = StdRng::seed_from_u64(broker.seed ^ id.wrapping_mul(0x9e37_79b9));
    // Next offset to hand over, and the assignment it was begun under.
    let mut held: BTreeMap<usize, usize> = BTreeMap::new();
    let mut epoch = 0;
    let mut fetched: Vec<Event> = Vec::new();
    loop {
        tokio::time::sleep(Duration::from_millis(rng.random_range(1..60))).await;
        if rng.random_bool(broker.unruly / 1_000.0) {
            return None;
        }
        let (wanted, free): (Vec<usize>, Vec<usize>) = {
            let group = broker.group();
            let mine: Vec<usize> = (0..group.owners.len()).filter(|p| group.owners[*p] == Some(id)).collect();
            let takes = |p: &usize| group.holders[*p].is_none() || rng.random_bool(broker.unruly / 4.0);
            let free = mine.iter().copied().filter(|p| !held.contains_key(p)).filter(takes).collect();
            (mine, free)
        };
        let lost: Vec<usize> = held.keys().copied().filter(|p| !wanted.contains(p)).collect();
        if !lost.is_empty() {
            let (done, finished) = oneshot::channel();
            events
                .send(Event::Revoked { partitions: lost.iter().map(|p| partition(*p)).collect(), done })
                .await
                .ok()?;
            let _ = tokio::time::timeout(Duration::from_secs(20), finished).await;
            held.retain(|p, _| !lost.contains(p));
            broker.group().give_up(id, |p| lost.contains(&p));
        }
        if !free.is_empty() {
            epoch += 1;
            free.iter().for_each(|p| broker.group().holders[*p] = Some(id));
            begin(&broker, &free, epoch, &events, &mut held).await?;
        }
        // What was fetched may lie in the thread for a while, over rebalances too.
        fetched.extend(fetch(&broker, &mut held, epoch, &mut rng));
        if rng.random_bool(0.6) {
            for event in fetched.drain(..) {
                events.send(event).await.ok()?;
            }
        }
    }
}

async fn begin(
    broker: &Broker,
    partitions: &[usize],
    epoch: u64,
    events: &mpsc::Sender<Event>,
    held: &mut BTreeMap<usize, usize>,
) -> Option<()> {
    let (positions, asked) = oneshot::channel();
    let topics = vec![("t".to_owned(), i32::try_from(broker.group().logs.len()).expect("small"))];
    let named = partitions.iter().map(|p| partition(*p)).collect();
    events.send(Event::Assigned { partitions: named, topics, epoch, positions }).await.ok()?;
    let stored = asked.await.ok()?;
    let mut begins = Vec::new();
    for (partition, stored) in stored {
        let begin = Begin::At(match stored {
            Known::Read(next) => next,
            Known::Never | Known::Added => 0,
        });
        held.insert(usize::try_from(partition.number).expect("small"), usize::try_from(begin.offset()).expect("small"));
        begins.push((partition, begin));
    }
    events.send(Event::Started { begins }).await.ok()
}

/// Some messages of one partition, or word that they have ended.
fn fetch(broker: &Broker, held: &mut BTreeMap<usize, usize>, epoch: u64, rng: &mut StdRng) -> Option<Event> {
    if held.is_empty() {
        return None;
    }
    let p = *held.keys().nth(rng.random_range(0..held.len())).expect("not empty");
    let group = broker.group();
    let (log, next) = (&group.logs[p], held[&p]);
    if next >= log.len() {
        let ends = held
            .iter()
            .filter(|(p, next)| **next >= group.logs[**p].len())
            .map(|(p, next)| End { partition: partition(*p), handed_over: Some(i64::try_from(*next).expect("small")) });
        return Some(Event::Ends(ends.collect()));
    }
    let end = (next + rng.random_range(1..12)).min(log.len());
    held.insert(p, end);
    let named = Arc::new(partition(p));
    let message = |(i, entry): (usize, &Entry)| {
        let decoded = match entry {
            Entry::Record(record) => Ok(record.clone()),
            Entry::Marker => return None,
            Entry::Unreadable => Err(Refused {
                why: Rejected::new(RejectReason::InvalidJson, "unreadable"),
                key: None,
                value: None,
                headers: Vec::new(),
                time: None,
            }),
        };
        Some(Message {
            partition: named.clone(),
            offset: i64::try_from(next + i).expect("small"),
            epoch,
            trace: None,
            decoded,
        })
    };
    Some(Event::Messages(log[next..end].iter().enumerate().filter_map(message).collect()))
}
