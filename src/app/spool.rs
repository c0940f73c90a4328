//! Fit records on disk, to be read more than once without being held in memory: a temporary file
//! without a name, gone when it is dropped.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, Write};

use anyhow::Context as _;

use crate::drift::fit::{FitRecord, Records};

/// Records written once and read as often as needed.
pub struct Spool {
    writer: BufWriter<File>,
    records: u64,
}

impl Spool {
    /// An empty one in the folder for temporary files.
    ///
    /// # Errors
    /// If no file can be made there.
    pub fn new() -> anyhow::Result<Spool> {
        let file = tempfile::tempfile().context("no temporary file can be made for the records")?;
        Ok(Spool { writer: BufWriter::with_capacity(1 << 20, file), records: 0 })
    }

    /// Appends a record.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn push(&mut self, record: &FitRecord) -> anyhow::Result<()> {
        let bytes = postcard::to_stdvec(record)?;
        let length = u32::try_from(bytes.len()).context("a record of 4 GiB")?;
        let written = self.writer.write_all(&length.to_le_bytes()).and_then(|()| self.writer.write_all(&bytes));
        written.context("the records cannot be kept in the folder for temporary files (TMPDIR); is its disk full?")?;
        self.records += 1;
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
        for _ in 0..self.records {
            reader.read_exact(&mut length)?;
            bytes.resize(u32::from_le_bytes(length) as usize, 0);
            reader.read_exact(&mut bytes)?;
            take(postcard::from_bytes(&bytes)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::label::{Label, LabelValue};
    use crate::drift::observation::Joined;
    use crate::drift::time::Timestamp;

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
        let mut spool = Spool::new().expect("a temporary file");
        (0..100).for_each(|i| spool.push(&record(i)).expect("written"));
        for _ in 0..2 {
            let mut times = Vec::new();
            spool.each(&mut |record| times.push(record.time.micros())).expect("read");
            assert_eq!(times, (0..100).collect::<Vec<_>>());
        }
    }
}
