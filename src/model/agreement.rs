//! Whether manifest, graph and tokenizer belong together; everything that does not is told at once.

use super::graph::{Graph, Port, Signature, element, signature, vocabulary_rows};
use super::manifest::Manifest;
use crate::drift::task::TaskKind;

/// What helps where one logit stands for two classes, as it does after training with a binary cross-entropy.
const ONE_LOGIT: &str = ": export a column for each class, such as a zero logit before its own";

/// Everything in which manifest, graph and tokenizer disagree.
pub fn mismatches(manifest: &Manifest, graph: &Graph, vocabulary: usize) -> Vec<String> {
    let signature = signature(graph);
    let mut found = Vec::new();
    inputs(manifest, &signature, &mut found);
    outputs(manifest, &signature, &mut found);
    if let Some(rows) = vocabulary_rows(graph, &manifest.inputs.input_ids)
        && i64::try_from(vocabulary).is_ok_and(|v| v > rows)
    {
        found.push(format!("the tokenizer has {vocabulary} ids, the graph's embedding table {rows} rows"));
    }
    found
}

fn inputs(manifest: &Manifest, signature: &Signature, found: &mut Vec<String>) {
    let names = &manifest.inputs;
    let named: Vec<&String> = [Some(&names.input_ids), names.attention_mask.as_ref(), names.token_type_ids.as_ref()]
        .into_iter()
        .flatten()
        .collect();
    for name in &named {
        match signature.inputs.get(*name) {
            None => found.push(format!("the graph has no input `{name}`; it has {}", list(signature.inputs.keys()))),
            Some(port) => {
                if port.element != element::INT64 {
                    found.push(format!("input `{name}` is not int64"));
                }
                if port.shape.len() != 2 {
                    found.push(format!("input `{name}` has rank {}, expected 2: [batch, sequence]", port.shape.len()));
                }
            }
        }
    }
    for name in signature.inputs.keys().filter(|name| !named.contains(name)) {
        found.push(format!("the graph's input `{name}` is not named in the manifest"));
    }
}

fn outputs(manifest: &Manifest, signature: &Signature, found: &mut Vec<String>) {
    let mut expect = |name: &str, what: &str, rank: &[usize], last: Option<usize>| {
        let Some(port) = signature.outputs.get(name) else {
            found.push(format!("{what}: the graph has no output `{name}`; it has {}", list(signature.outputs.keys())));
            return;
        };
        if port.element != element::FLOAT {
            found.push(format!("{what}: output `{name}` is not 32-bit float"));
        }
        if !rank.contains(&port.shape.len()) {
            let ranks: Vec<String> = rank.iter().map(usize::to_string).collect();
            found.push(format!(
                "{what}: output `{name}` has rank {}, expected {}",
                port.shape.len(),
                ranks.join(" or ")
            ));
        } else if let (Some(last), Some(size)) = (last, last_dimension(port))
            && i64::try_from(last) != Ok(size)
        {
            let one_logit = if (last, size) == (2, 1) { ONE_LOGIT } else { "" };
            found.push(format!("{what}: output `{name}` has {size} columns, the manifest {last}{one_logit}"));
        }
    };
    if let Some(embedding) = &manifest.embedding {
        expect(&embedding.output, "the embedding", &[2], Some(embedding.dimension));
    }
    for (task, head) in manifest.spec.tasks.iter().zip(&manifest.heads) {
        let what = format!("task `{}`", task.name);
        match task.kind {
            TaskKind::TokenLabels => expect(&head.output, &what, &[3], Some(task.classes.len())),
            TaskKind::Regression => expect(&head.output, &what, &[1, 2], None),
            _ => expect(&head.output, &what, &[2], Some(task.classes.len())),
        }
    }
}

fn last_dimension(port: &Port) -> Option<i64> {
    port.shape.last().copied().flatten()
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|n| format!("`{n}`")).collect();
    names.join(", ")
}
