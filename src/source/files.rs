//! Records from JSONL files, plain, gzip or zstd, for fitting and back-tests.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::native::NativeDecoder;
use super::once::kept;
use crate::drift::record::{Record, RejectReason, Rejected};
use crate::drift::time::Timestamp;

/// A file has no clock to be measured against; the year 9999 is a mistake in any.
pub const FAR_FUTURE: Timestamp = Timestamp::from_micros(4_102_444_800_000_000);

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Lines of one file, decoded one by one; memory holds one line at a time.
pub struct FileRecords<'a> {
    lines: Lines,
    decoder: &'a NativeDecoder,
}

/// Lines of one file with their numbers, empty ones left out.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    most_bytes: usize,
    line: u64,
}

/// A file cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("`{path}` cannot be {}", failed(*line))]
pub struct FileError {
    path: PathBuf,
    line: u64,
    #[source]
    source: std::io::Error,
}

/// What could not be done with a file of which so many lines were read.
fn failed(line: u64) -> String {
    if line == 0 { "opened".to_owned() } else { format!("read at line {line}") }
}

/// One line of a file.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// What it says, or why it was refused.
    pub decoded: Result<Record, Rejected>,
}

impl<'a> FileRecords<'a> {
    /// Opens a file; as [`Lines::open`].
    ///
    /// # Errors
    /// [`FileError`] if it cannot be opened.
    pub fn open(path: &Path, decoder: &'a NativeDecoder, most_bytes: usize) -> Result<FileRecords<'a>, FileError> {
        Ok(FileRecords { lines: Lines::open(path, most_bytes)?, decoder })
    }
}

impl Iterator for FileRecords<'_> {
    type Item = Result<Line, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        let decode = |(number, line): (u64, Result<Vec<u8>, Rejected>)| Line {
            number,
            decoded: line.and_then(|bytes| self.decoder.decode(&bytes, None, FAR_FUTURE)),
        };
        self.lines.next().map(|line| line.map(decode))
    }
}

/// A file's bytes, decompressed where its name says that they are compressed. What can be read only once is kept, and
/// decompressed where its first bytes say so: a pipe has no name.
pub(super) fn opened(path: &Path) -> std::io::Result<Box<dyn BufRead>> {
    let ending = path.extension().and_then(|e| e.to_str());
    if let Some(kept) = kept(path)? {
        let ending = match kept.beginning()? {
            [0x1f, 0x8b, ..] => Some("gz"),
            [0x28, 0xb5, 0x2f, 0xfd] => Some("zst"),
            _ => None,
        };
        return decompressed(kept, ending);
    }
    decompressed(File::open(path)?, ending)
}

fn decompressed(file: impl Read + 'static, ending: Option<&str>) -> std::io::Result<Box<dyn BufRead>> {
    Ok(match ending {
        Some("gz") => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(BufReader::new(file)))),
        Some("zst") => Box::new(BufReader::new(zstd::stream::read::Decoder::new(file)?)),
        _ => Box::new(BufReader::new(file)),
    })
}

impl Lines {
    /// Opens a file; `.gz` and `.zst` are decompressed on the way. Lines longer than `most_bytes`
    /// are refused without being held in memory.
    ///
    /// # Errors
    /// [`FileError`] if it cannot be opened.
    pub fn open(path: &Path, most_bytes: usize) -> Result<Lines, FileError> {
        let reader = opened(path).map_err(|source| FileError { path: path.to_owned(), line: 0, source })?;
        Ok(Lines { path: path.to_owned(), reader, most_bytes, line: 0 })
    }

    fn read_line(&mut self) -> std::io::Result<Option<Result<Vec<u8>, Rejected>>> {
        let mut bytes = Vec::new();
        let limit = self.most_bytes as u64 + 1;
        if self.reader.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        // What some editors put before the first line of UTF-8.
        if self.line == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        if bytes.len() as u64 == limit && bytes.last() != Some(&b'\n') {
            self.reader.skip_until(b'\n')?;
            let detail = format!("longer than {} bytes", self.most_bytes);
            return Ok(Some(Err(Rejected::new(RejectReason::TooLarge, detail))));
        }
        while bytes.last().is_some_and(u8::is_ascii_whitespace) {
            bytes.pop();
        }
        Ok(Some(Ok(bytes)))
    }
}

impl Iterator for Lines {
    type Item = Result<(u64, Result<Vec<u8>, Rejected>), FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            self.line += 1;
            let read = self.read_line();
            let fail = |source| FileError { path: self.path.clone(), line: self.line, source };
            match read.map_err(fail).transpose()? {
                Err(error) => return Some(Err(error)),
                Ok(Ok(bytes)) if bytes.is_empty() => {}
                Ok(line) => return Some(Ok((self.line, line))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::task::{ModelSpec, TaskKind, TaskSpec};
    use std::io::Write as _;
    use std::sync::Arc;

    #[test]
    fn plain_gzip_and_zstd_read_alike() {
        let task = TaskSpec {
            name: "t".into(),
            kind: TaskKind::Regression,
            classes: vec![],
            threshold: 0.5,
            temperature: 1.0,
        };
        let spec = ModelSpec {
            name: "m".into(),
            version: "1".into(),
            tasks: vec![task],
            embedding_dimension: None,
            attributes: Vec::new(),
            segments: None,
        };
        let decoder = NativeDecoder::new(vec![Arc::new(spec)], 200);
        let good = r#"{"model":{"name":"m"},"timestamp":"2026-01-01T00:00:00Z","outputs":{"t":{"value":1}}}"#;
        let text = format!("{good}\n\n{}\n{good}", "x".repeat(500));
        let directory = tempfile::tempdir().expect("temp dir");
        let plain = directory.path().join("a.jsonl");
        std::fs::write(&plain, &text).expect("written");
        let gz = directory.path().join("a.jsonl.gz");
        let mut encoder =
            flate2::write::GzEncoder::new(File::create(&gz).expect("created"), flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish().map(drop)).expect("written");
        let zst = directory.path().join("a.jsonl.zst");
        std::fs::write(&zst, zstd::encode_all(text.as_bytes(), 1).expect("encoded")).expect("written");
        for path in [plain, gz, zst] {
            let lines: Vec<Line> =
                FileRecords::open(&path, &decoder, 200).expect("opens").collect::<Result<_, _>>().expect("reads");
            let outcome: Vec<(u64, bool)> = lines.iter().map(|l| (l.number, l.decoded.is_ok())).collect();
            assert_eq!(outcome, [(1, true), (3, false), (4, true)], "{}", path.display());
        }
        assert!(FileRecords::open(Path::new("/nowhere"), &decoder, 200).is_err());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_first_line() {
        let directory = tempfile::tempdir().expect("temp dir");
        let path = directory.path().join("marked.jsonl");
        for (text, lines) in
            [("\u{feff}{}\n\u{feff}{}", vec!["{}", "\u{feff}{}"]), ("\u{feff}", vec![]), ("{}", vec!["{}"])]
        {
            std::fs::write(&path, text).expect("written");
            let read = Lines::open(&path, 200).expect("opens").map(|line| {
                let (_, bytes) = line.expect("reads");
                String::from_utf8(bytes.expect("short")).expect("UTF-8")
            });
            assert_eq!(read.collect::<Vec<_>>(), lines, "{text:?}");
        }
    }
}
