//! Whether manifest, graph and tokenizer belong together; everything that does not is told at once.

use super::graph::{Graph, Port, Signature, element, is_squashed, signature, vocabulary_rows};
use super::manifest::{Activation, Manifest};
use crate::drift::task::TaskKind;

/// What helps where one column is declared to be several classes.
const ONE_COLUMN: &str = ": one number tells two classes apart, which is `kind: binary`, or is a `regression`";

/// Everything in which manifest, graph and tokenizer disagree.
pub fn mismatches(manifest: &Manifest, graph: &Graph, vocabulary: usize) -> Vec<String> {
    let signature = signature(graph);
    let mut found = Vec::new();
    inputs(manifest, &signature, &mut found);
    outputs(manifest, &signature, &mut found);
    squashed_twice(manifest, graph, &signature, &mut found);
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

/// What an output has to be.
struct Expected {
    what: String,
    ranks: &'static [usize],
    /// Sizes of the last dimension, the manifest's last; any if there are none.
    columns: Vec<usize>,
    /// What helps if it is one number a text.
    one_column: &'static str,
}

fn outputs(manifest: &Manifest, signature: &Signature, found: &mut Vec<String>) {
    let mut expect = |name: &str, expected: Expected| {
        let Expected { what, ranks, columns, one_column } = expected;
        let Some(port) = signature.outputs.get(name) else {
            found.push(format!("{what}: the graph has no output `{name}`; it has {}", list(signature.outputs.keys())));
            return;
        };
        if port.element != element::FLOAT {
            found.push(format!("{what}: output `{name}` is not 32-bit float"));
        }
        let hint = if is_one_column(port) { one_column } else { "" };
        let rank = port.shape.len();
        if !ranks.contains(&rank) {
            let ranks: Vec<String> = ranks.iter().map(usize::to_string).collect();
            found.push(format!("{what}: output `{name}` has rank {rank}, expected {}{hint}", ranks.join(" or ")));
        } else if let (Some(size), Some(most)) = (last_dimension(port), columns.last())
            && rank > 1
            && !columns.iter().any(|n| i64::try_from(*n) == Ok(size))
        {
            found.push(format!("{what}: output `{name}` has {size} columns, the manifest {most}{hint}"));
        }
    };
    if let Some((output, dimension)) = manifest.embedding.as_ref().zip(manifest.spec.embedding_dimension) {
        let columns = vec![dimension];
        expect(output, Expected { what: "the embedding".into(), ranks: &[2], columns, one_column: "" });
    }
    for (task, head) in manifest.spec.tasks.iter().zip(&manifest.heads) {
        let (what, classes) = (format!("task `{}`", task.name), task.classes.len());
        let (ranks, columns, one_column): (&[usize], _, _) = match task.kind {
            TaskKind::TokenLabels => (&[3], vec![classes], ""),
            TaskKind::Regression => (&[1, 2], vec![], ""),
            TaskKind::Binary => (&[1, 2], vec![1, classes], ""),
            TaskKind::Multiclass => (&[2], vec![classes], ONE_COLUMN),
            TaskKind::Multilabel => (&[2], vec![classes], ""),
        };
        expect(&head.output, Expected { what, ranks, columns, one_column });
    }
}

/// Probabilities that would be taken for logits: all of them between 0 and 1, so always the second class.
fn squashed_twice(manifest: &Manifest, graph: &Graph, signature: &Signature, found: &mut Vec<String>) {
    for (task, head) in manifest.spec.tasks.iter().zip(&manifest.heads) {
        let one = task.kind == TaskKind::Binary && signature.outputs.get(&head.output).is_some_and(is_one_column);
        if one && head.activation != Activation::None && is_squashed(graph, &head.output) {
            found.push(format!(
                "task `{}`: output `{}` is a probability already, the graph's last step is `Sigmoid`: `activation: none`",
                task.name, head.output
            ));
        }
    }
}

/// One number a text: a column, or nothing but the batch.
fn is_one_column(port: &Port) -> bool {
    port.shape.len() == 1 || port.shape.len() == 2 && last_dimension(port) == Some(1)
}

fn last_dimension(port: &Port) -> Option<i64> {
    port.shape.last().copied().flatten()
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let names: Vec<String> = names.map(|n| format!("`{n}`")).collect();
    names.join(", ")
}
