//! Fit records on disk, to be read more than once without being held in memory: a temporary file
//! without a name, gone when it is dropped.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use anyhow::Context as _;

use super::labels;
use crate::drift::fit::{FitRecord, Records};
use crate::drift::label::Label;
use crate::drift::time::Timestamp;

/// In which order records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they came.
    Given,
    /// By their times, and by a digest where these are the same: however they came.
    Time,
}

/// Records written once and read as often as needed; 24 bytes of each are held in memory. Labels that came apart from their predictions, before or after,
/// are joined when these are read.
pub struct Spool {
    writer: BufWriter<File>,
    order: Order,
    /// Time, digest and place of each, as they came.
    index: Vec<(Timestamp, u64, u64)>,
    end: u64,
    /// Labels by prediction id.
    apart: HashMap<String, Vec<Label>>,
    /// Of which predictions were read.
    found: HashSet<String>,
    /// Records with a label, by task, at the last reading.
    by_task: BTreeMap<usize, u64>,
}

impl Spool {
    /// An empty one in the folder for temporary files.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn new(order: Order) -> anyhow::Result<Spool> {
        let file = tempfile::tempfile().context("no temporary file can be made for the records")?;
        let writer = BufWriter::with_capacity(1 << 20, file);
        let (apart, found, by_task) = (HashMap::new(), HashSet::new(), BTreeMap::new());
        Ok(Spool { writer, order, index: Vec::new(), end: 0, apart, found, by_task })
    }

    /// Takes a label that stands apart from its prediction.
    pub fn label(&mut self, id: String, label: Label) {
        labels::add(self.apart.entry(id).or_default(), label);
    }

    /// Predictions that labels apart were for, and those of them that were there at the last reading.
    pub fn labelled(&self) -> (usize, usize) {
        (self.apart.len(), self.found.len())
    }

    /// Records with a label that says something, by task, at the last reading.
    pub fn by_task(&self) -> &BTreeMap<usize, u64> {
        &self.by_task
    }

    /// Appends a record, and what its prediction is called.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn push(&mut self, id: Option<&str>, record: &FitRecord) -> anyhow::Result<()> {
        let bytes = postcard::to_stdvec(&(id, record))?;
        let length = u32::try_from(bytes.len()).context("a record of 4 GiB")?;
        let written = self.writer.write_all(&length.to_le_bytes()).and_then(|()| self.writer.write_all(&bytes));
        written.context("the records cannot be kept in the folder for temporary files (TMPDIR); is its disk full?")?;
        self.index.push((record.time, digest(&bytes), self.end));
        self.end += length.to_le_bytes().len() as u64 + u64::from(length);
        Ok(())
    }
}

impl Records for Spool {
    type Error = anyhow::Error;

    fn each(&mut self, take: &mut dyn FnMut(FitRecord)) -> anyhow::Result<()> {
        self.writer.flush()?;
        let mut file = self.writer.get_ref();
        file.rewind()?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut length, mut bytes) = ([0; 4], Vec::new());
        self.found.clear();
        self.by_task.clear();
        if self.order == Order::Time {
            self.index.sort_unstable();
        }
        let mut at = 0;
        for (_, _, begin) in &self.index {
            reader.seek_relative(i64::try_from(*begin)? - i64::try_from(at)?)?;
            reader.read_exact(&mut length)?;
            bytes.resize(u32::from_le_bytes(length) as usize, 0);
            reader.read_exact(&mut bytes)?;
            at = begin + (length.len() + bytes.len()) as u64;
            let (id, mut record): (Option<&str>, FitRecord) = postcard::from_bytes(&bytes)?;
            if let Some((id, given)) = id.and_then(|id| self.apart.get_key_value(id))
                // The first prediction of an id is the one that labels speak of.
                && !self.found.contains(id)
            {
                self.found.insert(id.clone());
                given.iter().for_each(|label| labels::add(&mut record.labels, label.clone()));
            }
            for label in record.labels.iter().filter(|label| label.says_something()) {
                *self.by_task.entry(label.task).or_default() += 1;
            }
            take(record);
        }
        Ok(())
    }
}

/// FNV-1a (Fowler, Noll and Vo): it only has to be the same everywhere.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::label::{Label, LabelValue};
    use crate::drift::observation::Joined;

    #[test]
    fn records_come_back_as_often_as_asked() {
        let label = || Label {
            task: 0,
            value: Some(LabelValue::Class(2)),
            revision: 0,
            at: Timestamp::from_micros(7),
            retracted: false,
        };
        let record = |i: i64| FitRecord {
            time: Timestamp::from_micros(i),
            joined: Joined {
                input: None,
                text: None,
                attributes: Vec::new(),
                tags: vec![("channel".into(), "app".into())],
                embedding: vec![1.5, f32::NAN],
                answers: vec![None],
                skew: None,
            },
            labels: vec![label()],
        };
        let mut spool = Spool::new(Order::Given).expect("a temporary file");
        let late = |at, revision| Label { at: Timestamp::from_micros(at), revision, ..label() };
        spool.label("p3".to_owned(), late(9, 2));
        (0..100).for_each(|i| spool.push(Some(&format!("p{}", i % 50)), &record(i)).expect("written"));
        spool.push(None, &record(100)).expect("written");
        // A correction that came after a later one, and a label of nothing that is there.
        spool.label("p3".to_owned(), late(10, 1));
        spool.label("p99".to_owned(), late(10, 1));
        for _ in 0..2 {
            let (mut times, mut given) = (Vec::new(), Vec::new());
            spool
                .each(&mut |record| {
                    times.push(record.time.micros());
                    given.push(record.labels[0].at.micros());
                    assert_eq!(record.labels.len(), 1, "one label a task");
                })
                .expect("read");
            assert_eq!(times, (0..=100).collect::<Vec<_>>());
            let nine: Vec<usize> = (0..given.len()).filter(|i| given[*i] == 9).collect();
            assert_eq!(nine, [3], "the first prediction of an id has its label, the latest revision");
            assert_eq!(spool.labelled(), (2, 1));
        }
    }
}
