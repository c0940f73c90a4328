//! What a file seems to be that is no JSONL: told once, where its first record is refused.

use std::io::Read as _;
use std::path::Path;

use super::files::opened;

/// So much of a file's beginning is looked at.
const LOOKED_AT: u64 = 64 << 10;
/// Beginnings of files that are no text.
const MAGIC: [(&[u8], &str); 4] = [
    (b"\x1f\x8b", "gzip under another name: it has to end with `.gz`"),
    (b"\x28\xb5\x2f\xfd", "Zstandard under another name: it has to end with `.zst`"),
    (b"PK\x03\x04", "a ZIP archive: unpack it"),
    (b"PAR1", "a Parquet file: write it as JSONL, one record a line"),
];

/// In words; `None` for what looks like JSONL, or cannot be read.
pub fn seems(path: &Path) -> Option<&'static str> {
    let mut beginning = Vec::new();
    opened(path).ok()?.take(LOOKED_AT).read_to_end(&mut beginning).ok()?;
    if let Some((_, said)) = MAGIC.iter().find(|(magic, _)| beginning.starts_with(magic)) {
        return Some(said);
    }
    let text = String::from_utf8_lossy(&beginning);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let line = text.lines().next()?.trim_end();
    match text.as_bytes().first()? {
        b'[' => Some("one JSON array: it has to be one record a line, as `jq -c '.[]'` writes it"),
        b'{' if is_cut(line) && text.len() > line.len() => {
            Some("JSON over several lines: it has to be one record a line, as `jq -c .` writes it")
        }
        b'{' => None,
        _ if [',', ';', '\t'].iter().any(|separator| line.matches(*separator).count() > 1) => {
            Some("a table, such as CSV: it has to be JSON, one record a line")
        }
        _ => None,
    }
}

/// Whether a value begins in this line and does not end there.
fn is_cut(line: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn what_is_no_jsonl_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let gzip = |text: &[u8]| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text).and_then(|()| encoder.finish()).expect("written")
        };
        let zstd = |text: &[u8]| zstd::encode_all(text, 1).expect("written");
        for (name, bytes, said) in [
            ("a.jsonl", gzip(b"{}\n"), Some("gzip under")),
            ("a.jsonl", zstd(b"{}\n"), Some("Zstandard under")),
            ("a.jsonl.gz", gzip(b"[{},\n{}]"), Some("one JSON array")),
            ("a.jsonl", b"[{\"a\": 1}]".to_vec(), Some("one JSON array")),
            ("a.json", b"{\n  \"a\": 1\n}\n".to_vec(), Some("JSON over several lines")),
            ("a.csv", b"id,time,label\n1,2,3\n".to_vec(), Some("a table")),
            ("a.tsv", b"\xef\xbb\xbfid\ttime\tlabel\n".to_vec(), Some("a table")),
            ("a.jsonl", b"{\"a\": 1}\n{\"a\": 2}\n".to_vec(), None),
            ("a.jsonl", b"{\"a\": NaN, \"b\": [1, 2]}\n{}\n".to_vec(), None),
            ("a.jsonl", b"{\"a\": 1".to_vec(), None),
            ("a.jsonl", b"hello\n".to_vec(), None),
            ("a.jsonl", Vec::new(), None),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).expect("written");
            let found = seems(&path);
            assert!(
                found.map(|found| said.is_some_and(|said| found.starts_with(said))) == said.map(|_| true),
                "{name} {bytes:?}: {found:?}"
            );
        }
    }
}
