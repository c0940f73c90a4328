//! Partitions that are taken over: what the store knows of them, and where they begin.

use std::collections::HashMap;

use tokio_util::sync::CancellationToken;

use super::Collector;
use super::partition::Reading;
use crate::drift::checkpoint::{Delta, Partition, Position};
use crate::retry::Backoff;
use crate::source::{Begin, Known};
use crate::store::{self, Collected, Labelled};

/// What is known of a partition, of whose topics `first` says with how many partitions they were first read. One that
/// nobody has read and that is beyond them was added since: where reading began at the end of the others, it begins at
/// the first record of this one, or what came before it was noticed would be lost without a word.
pub(super) fn known(partition: &Partition, stored: Option<&Position>, first: &[(String, i32)]) -> Known {
    let is_beyond = |(topic, count): &(String, i32)| *topic == partition.topic && partition.number >= *count;
    match stored {
        Some(position) => Known::Read(position.next_offset),
        None if first.iter().any(is_beyond) => Known::Added,
        None => Known::Never,
    }
}

impl Collector {
    /// Begins partitions where the source says. Those that were never read are committed as begun there, before
    /// anything is read: where reading begins at the end, a session that failed before its first flush would begin
    /// further on the next time.
    pub(super) async fn begin_all(
        &mut self,
        begins: Vec<(Partition, Begin)>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        let mut begun = Vec::new();
        for (partition, begin) in begins {
            if let Some(epoch) = self.starting.remove(&partition) {
                let delta = Delta::starting(None, begin.offset(), Default::default());
                self.partitions.insert(partition.clone(), Reading::new(epoch, delta));
                begun.push(partition);
            } else if let Some(reading) = self.partitions.get_mut(&partition) {
                reading.begin(begin);
            }
        }
        if begun.is_empty() {
            return Ok(());
        }
        let delta = begun.iter().map(|partition| (partition.clone(), self.partitions[partition].delta.clone()));
        let collected = Collected {
            flush_id: uuid::Uuid::now_v7().simple().to_string(),
            partials: Vec::new(),
            labelled: Labelled::default(),
            shadows: Vec::new(),
            delta: delta.collect(),
            now: self.clock.now(),
        };
        self.commit(&collected, shutdown).await?;
        for partition in &begun {
            if let Some(reading) = self.partitions.get_mut(partition) {
                reading.delta = reading.delta.committed();
            }
        }
        Ok(())
    }

    /// Stored positions, asked for until the store answers: without them nothing can be read.
    pub(super) async fn positions(
        &self,
        partitions: &[Partition],
        shutdown: &CancellationToken,
    ) -> anyhow::Result<HashMap<Partition, Position>> {
        let mut backoff = Backoff::new();
        loop {
            match store::within(self.store.positions(partitions)).await {
                Ok(found) => return Ok(found.into_iter().collect()),
                Err(error) => self.wait(error, "positions cannot be read", &mut backoff, shutdown).await?,
            }
        }
    }

    /// Partitions that nobody has read yet hold windows open, so they are noted before the others are read. Gives how
    /// many each topic began with.
    pub(super) async fn note(
        &self,
        topics: &[(String, i32)],
        shutdown: &CancellationToken,
    ) -> anyhow::Result<Vec<(String, i32)>> {
        let mut backoff = Backoff::new();
        loop {
            match store::within(self.store.note_topics(topics, self.clock.now())).await {
                Ok(first) => return Ok(first),
                Err(error) => self.wait(error, "topics cannot be noted", &mut backoff, shutdown).await?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::allowance::Used;
    use crate::drift::watermark::Watermark;

    #[test]
    fn what_was_added_is_told_from_what_was_never_read() {
        let partition = |number| Partition { topic: "t".to_owned(), number };
        let read = Position { next_offset: 7, watermark: Watermark::default(), used: Used::default() };
        let first = [("other".to_owned(), 1), ("t".to_owned(), 3)];
        for (number, stored, expected) in [
            (0, Some(&read), Known::Read(7)),
            (5, Some(&read), Known::Read(7)),
            (2, None, Known::Never),
            (3, None, Known::Added),
        ] {
            assert_eq!(known(&partition(number), stored, &first), expected, "{number}");
        }
    }
}
