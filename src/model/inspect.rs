//! A draft manifest from a graph: what can be read off is filled in, the rest is marked for people.

use std::fmt::Write as _;
use std::path::Path;

use super::ModelError;
use super::graph::{Graph, Port, Signature, element, is_squashed, signature};
use super::precheck;

/// Names that exporters give to an encoder's output.
const EMBEDDING_NAMES: [&str; 6] =
    ["embedding", "embeddings", "sentence_embedding", "pooler_output", "pooled_output", "last_hidden_state"];

/// Writes the draft for an ONNX file.
///
/// # Errors
/// As [`precheck::check`].
pub fn draft(path: &Path) -> Result<String, ModelError> {
    let checked = precheck::check(path)?;
    let graph = checked.model.graph.as_ref().expect("the check refuses files without a graph");
    Ok(write(path, graph, &signature(graph)))
}

fn write(path: &Path, graph: &Graph, signature: &Signature) -> String {
    let stem = path.file_stem().map_or_else(|| "model".into(), |s| s.to_string_lossy().into_owned());
    let file = path.file_name().map_or_else(|| "model.onnx".into(), |s| s.to_string_lossy().into_owned());
    let mut text = String::from("# Draft by `driftd inspect`. Check every line marked TODO.\nmanifest: 1\n");
    let mut line = |text_line: String| {
        let _ = writeln!(text, "{text_line}");
    };
    line(format!("model: {{name: {stem}, version: \"1\"}}  # TODO: as your records say"));
    line(format!("onnx: {{file: {file}}}"));
    line("tokenizer:".into());
    line("  file: tokenizer.json  # TODO".into());
    line("  max_tokens: 128  # TODO: the longest sequence the model takes".into());
    line("  pad_id: 0".into());
    line("  unknown_token: \"[UNK]\"  # TODO: remove if the tokenizer has none".into());
    line("inputs:".into());
    for (key, known) in [("input_ids", true), ("attention_mask", false), ("token_type_ids", false)] {
        match signature.inputs.contains_key(key) {
            true => line(format!("  {key}: {key}")),
            false if known => line(format!("  {key}: input_ids  # TODO: the graph has {:?}", names(signature))),
            false => line(format!("  {key}: null")),
        }
    }
    let embedding =
        EMBEDDING_NAMES.iter().find(|name| signature.outputs.get(**name).is_some_and(|p| p.shape.len() == 2));
    match embedding.and_then(|name| Some((name, columns(&signature.outputs[*name])?))) {
        Some((name, dimension)) => line(format!("embedding: {{output: {name}, dimension: {dimension}}}")),
        None => line("# embedding: {output: TODO, dimension: TODO}  # no output looks like one".into()),
    }
    line("tasks:".into());
    let heads = signature.outputs.iter().filter(|(name, _)| Some(&name.as_str()) != embedding);
    for (name, port) in heads {
        line(task(name, port, is_squashed(graph, name)));
    }
    text
}

fn task(name: &str, port: &Port, is_squashed: bool) -> String {
    let classes = |n: i64| {
        const SHOWN: i64 = 3;
        let names: Vec<String> = (0..n).map(|c| format!("class_{c}")).collect();
        let hint = if n > SHOWN { "names in output order" } else { "names" };
        format!("classes: [{}]}}  # TODO: {hint}", names.join(", "))
    };
    let start = format!("  - {{name: {name}, output: {name}, ");
    match (port.element, port.shape.len(), columns(port)) {
        (kind, ..) if ![element::FLOAT, element::FLOAT16].contains(&kind) => {
            let is = element::name(kind);
            format!("  # output `{name}` is {is} and cannot be a head: put a `Cast` to float behind it if it is one")
        }
        (_, 1, _) | (_, 2, Some(1)) => one_column(&start, is_squashed, &classes(2)),
        (_, 2, Some(2)) => format!("{start}kind: binary, temperature: 1.0, {}", classes(2)),
        (_, 2, Some(n)) => format!("{start}kind: multiclass, temperature: 1.0, {} (or kind: multilabel)", classes(n)),
        (_, 3, Some(n)) => format!("{start}kind: token_labels, temperature: 1.0, {}", classes(n)),
        _ => format!("  # output `{name}` has a shape that no head has: {:?}", port.shape),
    }
}

/// One number a text: no graph tells whether it is a logit of two classes or a value.
fn one_column(start: &str, is_squashed: bool, classes: &str) -> String {
    let reading = if is_squashed { "activation: none" } else { "temperature: 1.0" };
    format!("{start}kind: binary, {reading}, {classes}, the second for high values (or kind: regression, no classes)")
}

fn names(signature: &Signature) -> Vec<&String> {
    signature.inputs.keys().collect()
}

fn columns(port: &Port) -> Option<i64> {
    port.shape.last().copied().flatten()
}
