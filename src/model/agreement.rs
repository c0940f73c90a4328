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
    let keys = [
        ("input_ids", Some(&names.input_ids)),
        ("attention_mask", names.attention_mask.as_ref()),
        ("token_type_ids", names.token_type_ids.as_ref()),
    ];
    let named: Vec<(&str, &String)> = keys.into_iter().filter_map(|(key, name)| Some((key, name?))).collect();
    for (key, name) in &named {
        let Some(port) = signature.inputs.get(*name) else {
            let known = list(signature.inputs.keys());
            found.push(format!("inputs.{key}: the graph has no input `{name}`; it has {known}"));
            continue;
        };
        let mut wrong = |what: String| found.push(format!("inputs.{key}: the graph's input `{name}` {what}"));
        let taken = match port.element {
            element::INT64 | element::INT32 => true,
            element::FLOAT => *key == "attention_mask",
            _ => false,
        };
        if !taken {
            let is = element::name(port.element);
            wrong(format!("is {is}, not int64 or int32: put a `Cast` behind it in the graph"));
        }
        let [_, sequence] = port.shape[..] else {
            wrong(format!("has rank {}, expected 2: [batch, sequence]", port.shape.len()));
            continue;
        };
        let most = manifest.tokenizer.as_ref().map_or(0, |tokenizer| tokenizer.max_tokens);
        if let Some(tokens) = sequence.filter(|n| *n > 0 && i64::try_from(most).is_ok_and(|most| most > *n)) {
            wrong(format!("takes {tokens} tokens, and `tokenizer.max_tokens` is {most}: {tokens} at most"));
        }
    }
    for name in signature.inputs.keys().filter(|name| !named.iter().any(|(_, named)| named == name)) {
        found.push(format!("inputs: the graph's input `{name}` is not named in the manifest"));
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
        if ![element::FLOAT, element::FLOAT16].contains(&port.element) {
            let is = element::name(port.element);
            found.push(format!(
                "{what}: output `{name}` is {is}, not a 32-bit or 16-bit float: put a `Cast` behind it in the graph"
            ));
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::graph::{Dimension, Shape, TensorType, ValueInfo, ValueType};
    use super::*;

    fn input(name: &str, element: i32, dims: &[i64]) -> ValueInfo {
        let free = |n: &i64| Dimension { value: (*n > 0).then_some(*n), name: None };
        let shape = Some(Shape { dim: dims.iter().map(free).collect() });
        let tensor = Some(TensorType { element, shape });
        ValueInfo { name: name.into(), value_type: Some(ValueType { tensor }) }
    }

    fn told(max_tokens: usize, inputs: Vec<ValueInfo>) -> Vec<String> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/support/manifest.yaml");
        let mut manifest = Manifest::load(&file).expect("the example");
        manifest.tokenizer.as_mut().expect("the example's").max_tokens = max_tokens;
        let mut found = Vec::new();
        super::inputs(&manifest, &signature(&Graph { input: inputs, ..Graph::default() }), &mut found);
        found
    }

    #[test]
    fn inputs_that_cannot_be_fed_are_told_with_their_key() {
        let mask = || input("attention_mask", element::INT64, &[0, 0]);
        let with = |element, dims: &[i64]| vec![input("input_ids", element, dims), mask()];
        let is = |what: &str| vec![format!("inputs.input_ids: the graph's input `input_ids` {what}")];
        assert_eq!(told(64, with(element::INT64, &[0, 0])), Vec::<String>::new());
        assert_eq!(told(64, with(element::INT32, &[8, 64])), Vec::<String>::new());
        let cast = |was: &str| is(&format!("is {was}, not int64 or int32: put a `Cast` behind it in the graph"));
        assert_eq!(told(64, with(element::FLOAT, &[0, 0])), cast("float"));
        assert_eq!(told(64, with(11, &[0, 0])), cast("double"));
        assert_eq!(told(64, with(element::INT64, &[0])), is("has rank 1, expected 2: [batch, sequence]"));
        let short = "takes 32 tokens, and `tokenizer.max_tokens` is 64: 32 at most";
        assert_eq!(told(64, with(element::INT64, &[0, 32])), is(short));
        assert_eq!(
            told(64, vec![mask(), input("positions", element::INT64, &[0, 0])]),
            [
                "inputs.input_ids: the graph has no input `input_ids`; it has `attention_mask`, `positions`",
                "inputs: the graph's input `positions` is not named in the manifest"
            ]
        );
    }
}
