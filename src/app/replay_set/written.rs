//! Where a set is written to: its records, and a manifest by which it can be checked and drawn again.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::bucket::Bucket;
use super::order::Order;
use super::{Counts, ReplayArgs};
use super::{body, columns};
use crate::app::runtime;
use crate::cli::replay::{Destination, Format};
use crate::drift::replay::{STRATEGY, Set};
use crate::drift::task::ModelSpec;

/// The format of the manifest.
pub(super) const SCHEMA: &str = "replay_set/v1";
const MANIFEST: &str = "manifest.json";

/// Where a set goes.
pub enum Target<'a> {
    Folder(&'a Path),
    Bucket(Bucket),
}

impl Target<'_> {
    /// Whether a destination can take a set.
    ///
    /// # Errors
    /// If it holds one, or cannot be reached.
    pub fn free(destination: &Destination) -> anyhow::Result<Target<'_>> {
        let (target, there) = match destination {
            Destination::Folder(folder) => (Target::Folder(folder), folder.join(MANIFEST).exists()),
            Destination::Bucket { name, prefix } => {
                let bucket = Bucket::of(name, prefix)?;
                let there = runtime()?.block_on(bucket.holds(MANIFEST))?;
                (Target::Bucket(bucket), there)
            }
        };
        ensure!(!there, "`{destination}` holds a set already; name another place as `--output`");
        Ok(target)
    }

    /// Writes the records, then the manifest: where there is a manifest, there is a whole set. Nothing in it
    /// depends on the order of the records that were read, nor on how they were split into files.
    ///
    /// # Errors
    /// If the place cannot be written to.
    pub fn write(
        &self,
        args: &ReplayArgs,
        spec: &ModelSpec,
        order: &Order,
        set: &Set,
        counts: &Counts,
    ) -> anyhow::Result<()> {
        let told = |file: &Value| -> anyhow::Result<String> {
            Ok(serde_json::to_string_pretty(&manifest(args, spec, order, set, counts, file))? + "\n")
        };
        match self {
            Target::Folder(folder) => {
                let unwritable = || format!("`{}` cannot be written to", folder.display());
                std::fs::create_dir_all(folder).with_context(unwritable)?;
                let file = records(folder, args.format, spec, set).with_context(unwritable)?;
                let unfinished = folder.join("manifest.json.unfinished");
                std::fs::write(&unfinished, told(&file)?).with_context(unwritable)?;
                std::fs::rename(&unfinished, folder.join(MANIFEST)).with_context(unwritable)
            }
            Target::Bucket(bucket) => {
                // An object has to be of a length that is known when it is begun.
                let folder = tempfile::tempdir().context("a temporary folder (`TMPDIR`) for the set")?;
                let file = records(folder.path(), args.format, spec, set)
                    .with_context(|| format!("`{}` cannot be written to", folder.path().display()))?;
                let name = name(args.format);
                runtime()?.block_on(async {
                    bucket.put(name, &folder.path().join(name)).await.with_context(|| bucket.url(name))?;
                    bucket.create(MANIFEST, told(&file)?.into_bytes()).await.with_context(|| bucket.url(MANIFEST))
                })
            }
        }
    }
}

fn name(format: Format) -> &'static str {
    match format {
        Format::Jsonl => "records.jsonl",
        Format::Parquet => "records.parquet",
    }
}

/// Counts and digests what passes.
struct Digested<W> {
    inner: W,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Digested<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.digest.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// Writes the records; what the manifest tells of their file.
fn records(folder: &Path, format: Format, spec: &ModelSpec, set: &Set) -> std::io::Result<Value> {
    let name = name(format);
    let unfinished = folder.join(format!("{name}.unfinished"));
    let inner = BufWriter::new(File::create(&unfinished)?);
    let mut writer = Digested { inner, digest: Sha256::new(), bytes: 0 };
    match format {
        Format::Jsonl => {
            for picked in &set.rows {
                writer.write_all(&body::line(spec, picked))?;
            }
        }
        Format::Parquet => writer = columns::write(writer, SCHEMA, spec, set).map_err(std::io::Error::other)?,
    }
    let Digested { inner, digest, bytes } = writer;
    inner.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&unfinished, folder.join(name))?;
    let sha256: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({"name": name, "format": format, "rows": set.rows.len(), "bytes": bytes, "sha256": sha256}))
}

fn manifest(args: &ReplayArgs, spec: &ModelSpec, order: &Order, set: &Set, counts: &Counts, file: &Value) -> Value {
    let rule = order.rule;
    let share = |share: &crate::drift::replay::Share| {
        let mut told = body::stratum(spec, share.stratum);
        told["period"] = json!(share.period);
        told["records"] = json!(share.records);
        told["drawn"] = json!(share.picked);
        told["weight"] = json!(share.weight);
        told
    };
    json!({
        "schema": SCHEMA,
        "purpose": if args.reference { "reference" } else { "replay" },
        "model": {"name": spec.name, "version": spec.version},
        "request_id": order.request_id,
        "window": order.window.map(|(start, end)| json!({"start": start, "end": end})),
        "replay": {
            "strategy": STRATEGY, "seed": order.seed, "size": rule.size, "floor": rule.floor,
            "alarm_share": rule.alarm_share, "holdout": rule.holdout,
        },
        "floors_kept": {"ordinary": set.floors[0], "alarm": set.floors[1]},
        "with_text": args.with_text,
        "labelled_only": args.labelled,
        "files": [file],
        "counts": counts,
        "strata": set.shares.iter().map(share).collect::<Vec<_>>(),
    })
}
