//! Files that can be read only once, such as pipes: kept in a temporary file without a name, since files of records
//! are read more than once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, Read, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// What comes through a pipe is kept up to here.
const MOST_BYTES: u64 = 64 << 30;

/// By the path under which it was read, for as long as the process runs.
static KEPT: Mutex<BTreeMap<PathBuf, Arc<File>>> = Mutex::new(BTreeMap::new());

/// What was kept, from its beginning.
pub(super) struct Kept {
    file: Arc<File>,
    at: u64,
}

impl Read for Kept {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Kept {
    /// How it begins; shorter where it is shorter.
    pub(super) fn beginning(&self) -> std::io::Result<[u8; 4]> {
        let mut bytes = [0; 4];
        self.file.read_at(&mut bytes, 0)?;
        Ok(bytes)
    }
}

/// What came through a file that can be read only once; `None` for one that can be read again.
///
/// # Errors
/// If it cannot be read or kept.
pub(super) fn kept(path: &Path) -> std::io::Result<Option<Kept>> {
    // A second reader waits for the first, who keeps it for both.
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(file) = kept.get(path) {
        return Ok(Some(Kept { file: file.clone(), at: 0 }));
    }
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(None);
    }
    let file = Arc::new(keep(File::open(path)?, MOST_BYTES)?);
    kept.insert(path.to_owned(), file.clone());
    Ok(Some(Kept { file, at: 0 }))
}

fn keep(from: impl Read, most: u64) -> std::io::Result<File> {
    let cannot = |why: Error| {
        Error::other(format!(
            "it can be read only once, and no copy can be kept in the folder for temporary files (TMPDIR): {why}; write \
             it to a file first"
        ))
    };
    let mut file = tempfile::tempfile().map_err(cannot)?;
    let (mut from, mut buffer, mut length) = (from.take(most + 1), vec![0; 1 << 16], 0);
    loop {
        let read = from.read(&mut buffer)?;
        length += read as u64;
        if length > most {
            return Err(cannot(Error::other(format!("more than {most} bytes come through it"))));
        }
        if read == 0 {
            return Ok(file);
        }
        file.write_all(&buffer[..read]).map_err(cannot)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_has_an_end() {
        let file = Arc::new(keep(&b"one\ntwo\n"[..], 8).expect("kept"));
        for _ in 0..2 {
            let mut text = String::new();
            Kept { file: file.clone(), at: 0 }.read_to_string(&mut text).expect("read");
            assert_eq!(text, "one\ntwo\n");
        }
        let said = keep(&b"one\ntwo\n"[..], 7).expect_err("longer").to_string();
        assert!(said.contains("more than 7 bytes") && said.ends_with("write it to a file first"), "{said}");
    }
}
