//! The folder that a set is written to: its records, and a manifest by which it can be checked and drawn again.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::body;
use super::order::Order;
use super::{Counts, ReplayArgs};
use crate::drift::replay::{STRATEGY, Set};
use crate::drift::task::ModelSpec;

/// The format of the manifest.
const SCHEMA: &str = "replay_set/v1";
const MANIFEST: &str = "manifest.json";
const RECORDS: &str = "records.jsonl";

/// Whether a folder can take a set.
///
/// # Errors
/// If it holds one.
pub fn free(folder: &Path) -> anyhow::Result<()> {
    let there = folder.join(MANIFEST).exists();
    ensure!(!there, "`{}` holds a set already; name another folder as `--output`", folder.display());
    Ok(())
}

/// Writes the records, then the manifest: a folder with a manifest holds a whole set. Nothing in it depends on
/// the order of the records that were read, nor on how they were split into files.
///
/// # Errors
/// If the folder cannot be written to.
pub fn write(
    folder: &Path,
    args: &ReplayArgs,
    spec: &ModelSpec,
    order: &Order,
    set: &Set,
    counts: &Counts,
) -> anyhow::Result<()> {
    let unwritable = || format!("`{}` cannot be written to", folder.display());
    std::fs::create_dir_all(folder).with_context(unwritable)?;
    let file = records(folder, spec, set).with_context(unwritable)?;
    let manifest = manifest(args, spec, order, set, counts, &file);
    let text = serde_json::to_string_pretty(&manifest)? + "\n";
    let unfinished = folder.join("manifest.json.unfinished");
    std::fs::write(&unfinished, text).with_context(unwritable)?;
    std::fs::rename(&unfinished, folder.join(MANIFEST)).with_context(unwritable)
}

fn records(folder: &Path, spec: &ModelSpec, set: &Set) -> std::io::Result<Value> {
    let unfinished = folder.join("records.jsonl.unfinished");
    let mut writer = BufWriter::new(File::create(&unfinished)?);
    let (mut digest, mut bytes) = (Sha256::new(), 0);
    for picked in &set.rows {
        let line = body::line(spec, picked);
        digest.update(&line);
        bytes += line.len() as u64;
        writer.write_all(&line)?;
    }
    writer.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&unfinished, folder.join(RECORDS))?;
    let sha256: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(json!({"name": RECORDS, "format": "jsonl", "rows": set.rows.len(), "bytes": bytes, "sha256": sha256}))
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
