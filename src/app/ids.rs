//! Prediction ids of files: which come again, and how many records have none.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::PathBuf;

use super::WrongArguments;
use crate::drift::record::Record;

/// Ids that are remembered, as 64-bit hashes: some tens of megabytes. Two of so many differ and have one hash with a
/// probability of one in ten million.
const MOST: usize = 2_000_000;

/// What is known of the ids of the records so far.
#[derive(Debug)]
pub struct Ids {
    seen: HashSet<u64>,
    /// Ids that are remembered at most.
    most: usize,
    records: u64,
    repeated: u64,
    without: u64,
    /// Records that came when no more ids could be remembered, and are none of those.
    unknown: u64,
}

impl Default for Ids {
    fn default() -> Ids {
        Ids { seen: HashSet::new(), most: MOST, records: 0, repeated: 0, without: 0, unknown: 0 }
    }
}

impl Ids {
    /// Counts a record, which brings more than labels. Parts of one prediction may come in records of their own, so it
    /// is the same again only if it brings the same parts.
    pub fn take(&mut self, record: &Record) {
        self.records += 1;
        let Some(id) = &record.id else {
            self.without += 1;
            return;
        };
        let answers: Vec<bool> = record.answers.iter().map(Option::is_some).collect();
        let mut hash = DefaultHasher::new();
        (id, record.text.is_some(), record.embedding.is_some(), answers).hash(&mut hash);
        let hash = hash.finish();
        match () {
            () if self.seen.contains(&hash) => self.repeated += 1,
            () if self.seen.len() >= self.most => self.unknown += 1,
            () => drop(self.seen.insert(hash)),
        }
    }

    /// What the reader should know of them.
    pub fn told(&self) -> Vec<String> {
        let Ids { most, records, repeated, without, unknown, .. } = *self;
        let capped = match unknown {
            0 => String::new(),
            n => format!(" (counted among the first {most} ids; {n} records with other ones were not looked at)"),
        };
        let again = (repeated > 0).then(|| {
            format!(
                "{repeated} of {records} records have a `prediction_id` that came before with the same content{capped}, \
                 and count once more each: were files given twice that overlap, or does the producer send again? Leave \
                 them out"
            )
        });
        let none = (without > 0).then(|| {
            format!(
                "{without} of {records} records have no `prediction_id`: they are judged, but no label finds them, and \
                 they are not drawn to be compared with the model"
            )
        });
        again.into_iter().chain(none).collect()
    }
}

/// Refuses a file that is named twice: its records would count twice.
///
/// # Errors
/// [`WrongArguments`] with its name.
pub fn each_once(inputs: &[PathBuf]) -> Result<(), WrongArguments> {
    let mut seen = HashSet::new();
    for input in inputs {
        // What cannot be found is told when it is opened; a pipe has no name of its own.
        if let Ok(file) = input.canonicalize()
            && file.is_file()
            && !seen.insert(file)
        {
            let input = input.display();
            return Err(WrongArguments(format!("`--input {input}` is given twice: its records would count twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::drift::task::ModelSpec;
    use crate::drift::time::Timestamp;
    use crate::source::native::NativeDecoder;

    fn record(parts: &str) -> Record {
        let spec = ModelSpec {
            name: "m".into(),
            version: "1".into(),
            embedding_dimension: None,
            attributes: Vec::new(),
            segments: None,
            tasks: Vec::new(),
        };
        let (decoder, latest) = (NativeDecoder::new(vec![Arc::new(spec)], 1_000), Timestamp::from_micros(i64::MAX));
        let line = format!(r#"{{"timestamp":1,{parts}}}"#);
        decoder.decode(line.as_bytes(), None, latest).expect("decodes")
    }

    #[test]
    fn parts_of_one_prediction_are_no_repetition() {
        let mut ids = Ids::default();
        for (parts, repeated) in [
            (r#""prediction_id":"a","input":{"text":"a"}"#, 0),
            (r#""prediction_id":"a","embedding":[1.0]"#, 0),
            (r#""prediction_id":"a","input":{"text":"a"}"#, 1),
            (r#""prediction_id":"a","input":{"text":"a"},"embedding":[1.0]"#, 1),
            (r#""prediction_id":"a","embedding":[1.0]"#, 2),
            (r#""embedding":[1.0]"#, 2),
        ] {
            ids.take(&record(parts));
            assert_eq!(ids.repeated, repeated, "{parts}");
        }
        let told = ids.told();
        assert!(
            told[0].starts_with("2 of 6 records have a `prediction_id` that came before with the same content, and")
        );
        assert!(told[1].starts_with("1 of 6 records have no `prediction_id`"), "{told:?}");
    }

    #[test]
    fn what_was_not_looked_at_is_told() {
        let mut ids = Ids { most: 1, ..Ids::default() };
        for id in ["a", "b", "a", "c"] {
            ids.take(&record(&format!(r#""prediction_id":"{id}","input":{{"text":"a"}}"#)));
        }
        assert!(ids.told()[0].contains("content (counted among the first 1 ids; 2 records with other ones were not"));
    }
}
