//! Turns a stream of the development data (`../shared/data/assist`) into native records, as if the
//! model had logged them: texts, embeddings and all heads' answers; and its labels when they came, or all
//! that there are with `--all`. Also writes its manifest.
//!
//! cargo run --example assist_records -- DATA_DIR STREAM OUT.jsonl [LABELS.jsonl [--all]]
//! cargo run --example assist_records -- DATA_DIR --manifest OUT_DIR

use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use anyhow::{Context, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::f16;
use serde_json::{Value, json};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [data, flag, out] if flag == "--manifest" => write_manifest(Path::new(data), Path::new(out)),
        [data, stream, out] => convert(Path::new(data), stream, Path::new(out)),
        [data, stream, out, labels] => {
            convert_with_labels(Path::new(data), stream, Path::new(out), Some((Path::new(labels), false)))
        }
        [data, stream, out, labels, flag] if flag == "--all" => {
            convert_with_labels(Path::new(data), stream, Path::new(out), Some((Path::new(labels), true)))
        }
        _ => bail!(
            "usage: assist_records DATA_DIR STREAM OUT.jsonl [LABELS.jsonl [--all]] | DATA_DIR --manifest OUT_DIR"
        ),
    }
}

/// Unpacks model and tokenizer into a folder, with a manifest made from the model card.
pub fn write_manifest(data: &Path, out: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(out)?;
    let packed = std::fs::File::open(data.join("assist.fp32c.onnx.zst"))?;
    std::fs::write(out.join("assist.onnx"), zstd::decode_all(packed)?)?;
    std::fs::copy(data.join("tokenizer.json"), out.join("tokenizer.json"))?;
    let card: Value = serde_json::from_slice(&std::fs::read(data.join("model_card.json"))?)?;
    let mut tasks = Vec::new();
    for task in card["tasks"].as_array().context("tasks")? {
        let kind = if task["level"] == "token" { "token_labels" } else { task["type"].as_str().context("type")? };
        tasks.push(json!({
            "name": task["name"], "kind": kind, "output": task["output"], "activation": task["activation"],
            "temperature": task["temperature"], "threshold": 0.5, "classes": task["classes"],
        }));
    }
    // JSON is YAML.
    let manifest = json!({
        "manifest": 1,
        "model": {"name": "assist", "version": "1"},
        "onnx": {"file": "assist.onnx", "sha256": card["files"]["assist.fp32c.onnx"]["sha256"]},
        "tokenizer": {"file": "tokenizer.json", "max_tokens": 64, "pad_id": 0, "unknown_token": "[UNK]"},
        "embedding": {"output": "embedding", "dimension": 384},
        "tasks": tasks,
    });
    Ok(std::fs::write(out.join("manifest.yaml"), serde_json::to_string_pretty(&manifest)?)?)
}

/// Writes a stream as native records.
pub fn convert(data: &Path, stream: &str, out: &Path) -> anyhow::Result<()> {
    convert_with_labels(data, stream, out, None)
}

/// As [`convert`], with the labels to a file of their own: those that came, or all that there are.
pub fn convert_with_labels(data: &Path, stream: &str, out: &Path, labels: Option<(&Path, bool)>) -> anyhow::Result<()> {
    let mut labels = match labels {
        Some((file, all)) => Some((std::io::BufWriter::new(std::fs::File::create(file)?), all)),
        None => None,
    };
    let card: Value = serde_json::from_slice(&std::fs::read(data.join("model_card.json"))?)?;
    let rows = |name: &str| Array::load(&data.join("rows").join(name));
    let embedding = rows("embedding.npy")?;
    let broken = rows("override.broken-domain.domain.npy")?;
    let (slots, slot_facts) = (rows("count.slots.npy")?, rows("stat.slots.npy")?);
    let mut heads = Vec::new();
    for task in card["tasks"].as_array().context("tasks")? {
        let name = task["name"].as_str().context("name")?.to_owned();
        let classes: Vec<String> = serde_json::from_value(task["classes"].clone())?;
        let probabilities = if task["level"] == "token" { None } else { Some(rows(&format!("prob.{name}.npy"))?) };
        heads.push((name, task["type"].as_str().context("type")?.to_owned(), classes, probabilities));
    }
    let packed = std::fs::File::open(data.join("streams").join(format!("{stream}.jsonl.zst")))?;
    let mut target = std::io::BufWriter::new(std::fs::File::create(out)?);
    for line in BufReader::new(zstd::stream::read::Decoder::new(packed)?).lines() {
        let record: Value = serde_json::from_str(&line?)?;
        let row = usize::try_from(record["row"].as_u64().context("row")?)?;
        let mut outputs = serde_json::Map::new();
        for (name, kind, classes, probabilities) in &heads {
            let answer = match probabilities {
                None => token_answer(classes, slots.row(row), slot_facts.row(row)),
                Some(own) => {
                    let is_broken = name == "domain" && record["override"] == "broken-domain";
                    let p = if is_broken { broken.row(row) } else { own.row(row) };
                    class_answer(kind, classes, p)
                }
            };
            outputs.insert(name.clone(), answer);
        }
        let bytes: Vec<u8> = embedding.row(row).iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        let native = json!({
            "schema": "prediction/v1", "prediction_id": record["id"], "timestamp": record["ts"],
            "model": {"name": "assist", "version": "1"}, "tags": {"channel": record["channel"]},
            "input": {"text": record["text"]},
            "embedding": {"name": "embedding", "dtype": "f16", "dim": 384, "data_b64": BASE64.encode(bytes)},
            "outputs": outputs,
        });
        writeln!(target, "{native}")?;
        if let Some((labels, all)) = &mut labels {
            write_labels(labels, &record, *all)?;
        }
    }
    if let Some((mut labels, _)) = labels {
        labels.flush()?;
    }
    Ok(target.flush()?)
}

/// The labels of one record. Slots are left out: they are spans of characters, and of the answers only the
/// counts of labels were kept.
fn write_labels(target: &mut impl Write, record: &Value, all: bool) -> anyhow::Result<()> {
    let at = match (&record["label_ts"], all) {
        (Value::String(at), false) => at,
        (_, true) => record["ts"].as_str().context("ts")?,
        _ => return Ok(()),
    };
    for (task, gold) in record["gold"].as_object().context("gold")?.iter().filter(|(task, _)| *task != "slots") {
        let mut label = json!({
            "schema": "label/v1", "prediction_id": record["id"], "model": {"name": "assist"}, "task": task,
            "labeled_at": at, "source": "human",
        });
        label[if gold.is_array() { "labels" } else { "label" }] = gold.clone();
        writeln!(target, "{label}")?;
    }
    Ok(())
}

fn class_answer(kind: &str, classes: &[String], p: &[f32]) -> Value {
    let bytes: Vec<u8> = p.iter().flat_map(|v| v.to_le_bytes()).collect();
    let scores = BASE64.encode(bytes);
    if kind == "multilabel" {
        let given: Vec<&String> = classes.iter().zip(p).filter(|(_, p)| **p >= 0.5).map(|(c, _)| c).collect();
        return json!({"kind": kind, "labels": given, "scores": scores});
    }
    let best = p.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(i, _)| i);
    json!({"kind": kind, "label": classes[best], "scores": scores})
}

/// Labels in the order of their classes: only their counts were kept.
fn token_answer(classes: &[String], counts: &[f32], facts: &[f32]) -> Value {
    let labels: Vec<&String> =
        classes.iter().zip(counts).flat_map(|(class, n)| std::iter::repeat_n(class, *n as usize)).collect();
    let scores = vec![facts[1]; labels.len()];
    json!({"kind": "token_labels", "labels": labels, "scores": scores})
}

/// A two-dimensional NumPy array in C order, as 32-bit floats.
struct Array {
    columns: usize,
    values: Vec<f32>,
}

impl Array {
    fn load(path: &Path) -> anyhow::Result<Array> {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        ensure!(bytes.starts_with(b"\x93NUMPY\x01\x00"), "{} is not NumPy 1.0", path.display());
        let length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
        let header = std::str::from_utf8(&bytes[10..10 + length])?;
        let shape = header.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')')).context("shape")?.0;
        let columns = shape.split(',').nth(1).context("columns")?.trim().parse()?;
        let data = &bytes[10 + length..];
        let values = if header.contains("<f4") {
            data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        } else if header.contains("<f2") {
            data.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
        } else if header.contains("<i2") {
            data.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]]))).collect()
        } else {
            bail!("{}: {header}", path.display());
        };
        Ok(Array { columns, values })
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }
}
