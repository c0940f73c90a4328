//! Records of several files as one stream: that of the earliest time first, and of equal times that of the first file
//! by path, whatever the order in which the files were named. Each file is in order by itself, as what was written to
//! one partition is, and files that follow one another are read one after the other.

use std::path::{Path, PathBuf};

use super::files::{FileError, FileRecords, Line};
use super::native::NativeDecoder;
use crate::drift::time::Timestamp;

/// What has no time of its own comes first.
const BEFORE_ALL: Timestamp = Timestamp::from_micros(i64::MIN);

/// Files on their way.
pub struct Merged<'a> {
    files: &'a [PathBuf],
    decoder: &'a NativeDecoder,
    most_bytes: usize,
    /// The place of each by its path.
    ranks: Vec<usize>,
    /// Files that are not open yet, by when they begin, the latest first.
    waiting: Vec<(Timestamp, usize)>,
    open: Vec<Open<'a>>,
}

/// A file that has begun, and its next line.
struct Open<'a> {
    file: usize,
    lines: FileRecords<'a>,
    next: Line,
    /// The line's time; of one that has none, the time of the one before.
    time: Timestamp,
}

impl<'a> Merged<'a> {
    /// Looks into each of the files for when it begins; what cannot be read twice stays open instead.
    ///
    /// # Errors
    /// [`FileError`] if one cannot be read.
    pub fn open(files: &'a [PathBuf], decoder: &'a NativeDecoder, most_bytes: usize) -> Result<Merged<'a>, FileError> {
        let mut by_path: Vec<usize> = (0..files.len()).collect();
        by_path.sort_by_key(|file| (&files[*file], *file));
        let mut ranks = vec![0; files.len()];
        by_path.iter().enumerate().for_each(|(rank, file)| ranks[*file] = rank);
        let mut merged = Merged { files, decoder, most_bytes, ranks, waiting: Vec::new(), open: Vec::new() };
        for file in 0..files.len() {
            if files.len() == 1 || !is_regular(&files[file]) {
                merged.begin(file, BEFORE_ALL)?;
                continue;
            }
            let first = FileRecords::open(&files[file], decoder, most_bytes)?.find_map(|line| match line {
                Ok(line) => line.decoded.ok().map(|record| Ok(record.time)),
                Err(error) => Some(Err(error)),
            });
            merged.waiting.push((first.transpose()?.unwrap_or(BEFORE_ALL), file));
        }
        let ranks = &merged.ranks;
        merged.waiting.sort_unstable_by_key(|(time, file)| std::cmp::Reverse((*time, ranks[*file])));
        Ok(merged)
    }

    fn begin(&mut self, file: usize, time: Timestamp) -> Result<(), FileError> {
        let mut lines = FileRecords::open(&self.files[file], self.decoder, self.most_bytes)?;
        if let Some(next) = lines.next().transpose()? {
            let time = time_of(&next).unwrap_or(time);
            self.open.push(Open { file, lines, next, time });
        }
        Ok(())
    }

    fn step(&mut self) -> Result<Option<(usize, Line)>, FileError> {
        loop {
            let rank = |file: usize| self.ranks[file];
            let earliest = self.open.iter().enumerate().min_by_key(|(_, open)| (open.time, rank(open.file)));
            let earliest = earliest.map(|(at, open)| (at, (open.time, open.file)));
            match (earliest, self.waiting.last().copied()) {
                (None, None) => return Ok(None),
                (None, Some(waiting)) => self.begin_next(waiting)?,
                (Some((_, (time, file))), Some(waiting)) if (waiting.0, rank(waiting.1)) < (time, rank(file)) => {
                    self.begin_next(waiting)?;
                }
                (Some((at, (time, file))), _) => {
                    let open = &mut self.open[at];
                    let line = match open.lines.next().transpose()? {
                        Some(next) => {
                            open.time = time_of(&next).unwrap_or(time);
                            std::mem::replace(&mut open.next, next)
                        }
                        None => self.open.swap_remove(at).next,
                    };
                    return Ok(Some((file, line)));
                }
            }
        }
    }

    fn begin_next(&mut self, (time, file): (Timestamp, usize)) -> Result<(), FileError> {
        self.waiting.pop();
        self.begin(file, time)
    }
}

impl Iterator for Merged<'_> {
    /// A line, with the place of its file in the list.
    type Item = Result<(usize, Line), FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step().transpose()
    }
}

fn is_regular(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

fn time_of(line: &Line) -> Option<Timestamp> {
    line.decoded.as_ref().ok().map(|record| record.time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::task::{ModelSpec, TaskKind, TaskSpec};
    use std::sync::Arc;

    fn decoder() -> NativeDecoder {
        let (classes, kind) = (Vec::new(), TaskKind::Regression);
        let task = TaskSpec { name: "t".into(), kind, classes, threshold: 0.5, temperature: 1.0 };
        let spec = ModelSpec {
            name: "m".into(),
            version: "1".into(),
            tasks: vec![task],
            embedding_dimension: None,
            attributes: Vec::new(),
            segments: None,
        };
        NativeDecoder::new(vec![Arc::new(spec)], 1_000)
    }

    /// File and minutes of the records, in the order in which they are read; −1 for a line that is none.
    fn read(files: &[&[i64]]) -> Vec<(usize, i64)> {
        read_named(files, false)
    }

    fn read_named(files: &[&[i64]], backwards: bool) -> Vec<(usize, i64)> {
        let directory = tempfile::tempdir().expect("a folder");
        let write = |(index, minutes): (usize, &&[i64])| {
            let path = directory.path().join(format!("{index}.jsonl"));
            let line = |minute: &i64| match minute {
                -1 => "broken".to_owned(),
                _ => format!(
                    r#"{{"model":{{"name":"m"}},"timestamp":"2026-01-01T00:{minute:02}:00Z","outputs":{{"t":{{"value":1}}}}}}"#
                ),
            };
            std::fs::write(&path, minutes.iter().map(line).collect::<Vec<_>>().join("\n")).expect("written");
            path
        };
        let mut paths: Vec<PathBuf> = files.iter().enumerate().map(write).collect();
        if backwards {
            paths.reverse();
        }
        let decoder = decoder();
        let begin = Timestamp::parse("2026-01-01T00:00:00Z").expect("a time");
        let merged = Merged::open(&paths, &decoder, 1_000).expect("opens");
        merged
            .map(|line| {
                let (file, line) = line.expect("reads");
                (file, time_of(&line).map_or(-1, |time| time.since(begin).micros() / 60_000_000))
            })
            .collect()
    }

    #[test]
    fn files_that_overlap_are_one_stream() {
        let minutes = |files: &[&[i64]]| read(files).into_iter().map(|(_, minute)| minute).collect::<Vec<_>>();
        assert_eq!(minutes(&[&[0, 3, 6, 7], &[1, 2, 8], &[4, 5]]), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(minutes(&[&[4, 5], &[1, 2]]), [1, 2, 4, 5], "given in the wrong order");
        assert_eq!(minutes(&[&[5, 1, 3]]), [5, 1, 3], "a file keeps its own order");
        assert_eq!(minutes(&[&[], &[2], &[]]), [2]);
        assert_eq!(
            read(&[&[1, 2], &[1, 2]]),
            [(0, 1), (1, 1), (0, 2), (1, 2)],
            "the order of the paths for equal times"
        );
        let files = [&[1, 2][..], &[1, 2], &[2, 3]];
        let mut backwards = read_named(&files, true);
        backwards.iter_mut().for_each(|(file, _)| *file = 2 - *file);
        assert_eq!(read(&files), backwards, "files are named in any order");
    }

    #[test]
    fn lines_that_are_no_records_stay_where_they_stand() {
        assert_eq!(read(&[&[-1, 2, -1, 5], &[3, -1, 6]]), [(0, -1), (0, 2), (0, -1), (1, 3), (1, -1), (0, 5), (1, 6)]);
        assert_eq!(read(&[&[1], &[-1, -1]]).len(), 3);
    }
}
