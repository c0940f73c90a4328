//! The example's model as other exporters write it: other element types, and sizes that are fixed.

use std::path::Path;

use driftd::config::raw::Device;
use driftd::drift::inference::Inference;
use driftd::model::onnx::OnnxModel;
use driftd::model::{Manifest, ModelError};

use super::one_logit::{field, node, number};
use super::{close, load, support, texts};

const INT32: u8 = 6;
const FLOAT16: u8 = 10;
const FLOAT: u8 = 1;

/// A node that makes numbers of another type: `to` is an attribute of the kind INT (2, in field 20).
fn cast(input: &str, output: &str, to: u8) -> Vec<u8> {
    let attribute = [field(1, b"to"), number(3, to), vec![0xa0, 0x01, 2]].concat();
    let bare = node("Cast", &[input], output);
    // Without the tag and the length, to add to it.
    field(1, &[bare[2..].to_vec(), field(5, &attribute)].concat())
}

/// Finds the declaration of an input, which comes after all nodes.
fn declared(bytes: &[u8], name: &str) -> usize {
    let declaration = [&[0x0a, name.len() as u8], name.as_bytes(), &[0x12]].concat();
    bytes.windows(declaration.len()).rposition(|part| part == declaration).expect("it is declared") + 2
}

/// An input that the graph takes as 64-bit integers is declared under another name, of another type, and cast first.
fn retyped(mut bytes: Vec<u8>, name: &str, other: &str, element: u8) -> Vec<u8> {
    assert_eq!(name.len(), other.len());
    let at = declared(&bytes, name);
    bytes[at..at + other.len()].copy_from_slice(other.as_bytes());
    let typed = bytes[at..].windows(2).position(|part| part == [0x08, 7]).expect("its type");
    bytes[at + typed + 1] = element;
    // Of a message that comes twice the lists are joined: these nodes come first.
    [field(7, &cast(other, name, 7)), bytes].concat()
}

/// A free size of an input is fixed; what its name took becomes a remark (field 3).
fn fixed(mut bytes: Vec<u8>, input: &str, size: &str, to: u8) -> Vec<u8> {
    let at = declared(&bytes, input);
    let free = field(2, size.as_bytes());
    let there = at + bytes[at..].windows(free.len()).position(|part| part == free).expect("a free size");
    let told = [number(1, to), field(3, &vec![b'x'; free.len() - 4])].concat();
    bytes[there..there + free.len()].copy_from_slice(&told);
    bytes
}

fn opened(directory: &Path, graph: &[u8], change: impl Fn(String) -> String) -> Result<OnnxModel, ModelError> {
    let example = support::root().join("examples/support");
    std::fs::write(directory.join("model.onnx"), graph).expect("written");
    for file in ["tokenizer.json", "golden.jsonl"] {
        std::fs::copy(example.join(file), directory.join(file)).expect("copied");
    }
    let manifest = std::fs::read_to_string(example.join("manifest.yaml")).expect("readable");
    let pinned = manifest.lines().find(|line| line.contains("sha256")).expect("the example pins its file");
    std::fs::write(directory.join("manifest.yaml"), change(manifest.replace(pinned, ""))).expect("written");
    let manifest = Manifest::load(&directory.join("manifest.yaml")).expect("valid by itself");
    OnnxModel::load(manifest, Device::Cpu, 1, Some(&support::onnxruntime()))
}

fn example() -> Vec<u8> {
    std::fs::read(support::root().join("examples/support/model.onnx")).expect("readable")
}

#[test]
fn other_element_types_and_fixed_sizes_answer_alike() {
    let plain = load().infer(&texts(), 4).expect("runs");
    let narrow = || {
        let ids = retyped(example(), "input_ids", "input_idz", INT32);
        retyped(ids, "attention_mask", "attention_masz", FLOAT)
    };
    let all_fixed = |mut graph: Vec<u8>| {
        for input in ["input_idz", "attention_masz"] {
            graph = fixed(fixed(graph, input, "batch", 8), input, "sequence", 48);
        }
        graph
    };
    let renamed = |manifest: String| {
        let ids = manifest.replace("input_ids: input_ids", "input_ids: input_idz");
        ids.replace("attention_mask: attention_mask", "attention_mask: attention_masz")
    };
    let half = {
        let tensor = [number(1, FLOAT16), field(2, &[field(1, &field(2, b"batch")), field(1, &number(1, 2))].concat())];
        let output = field(12, &[field(1, b"mood16"), field(2, &field(1, &tensor.concat()))].concat());
        [example(), field(7, &[cast("mood", "mood16", FLOAT16), output].concat())].concat()
    };
    for (what, graph, change) in [
        ("int32 and float", narrow(), &renamed as &dyn Fn(String) -> String),
        ("fixed sizes", all_fixed(narrow()), &renamed),
        ("float16", half, &|manifest: String| manifest.replace("output: mood\n", "output: mood16\n")),
    ] {
        let directory = tempfile::tempdir().expect("a folder");
        let mut model = opened(directory.path(), &graph, change).unwrap_or_else(|error| panic!("{what}: {error}"));
        for most in [1, 4, 32] {
            let found: Vec<Inference> = model.infer(&texts(), most).unwrap_or_else(|error| panic!("{what}: {error}"));
            assert_eq!(found.len(), plain.len());
            assert!(found.iter().zip(&plain).all(|(a, b)| close(a, b)), "{what}, {most} at once");
        }
    }
}

#[test]
fn a_length_below_the_manifest_s_is_told() {
    let directory = tempfile::tempdir().expect("a folder");
    let short = fixed(example(), "input_ids", "sequence", 32);
    let Err(ModelError::Mismatch { mismatches, .. }) = opened(directory.path(), &short, |manifest| manifest) else {
        panic!("a mismatch")
    };
    let told = "inputs.input_ids: the graph's input `input_ids` takes 32 tokens, and `tokenizer.max_tokens` is 48";
    assert!(mismatches.len() == 1 && mismatches[0].starts_with(told), "{mismatches:?}");
}
