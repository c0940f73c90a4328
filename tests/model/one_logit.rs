//! Binary heads with one column, as a binary cross-entropy trains them: the example's model with `mood` exported in
//! each of the ways that mean the same.

use std::path::Path;

use driftd::config::raw::Device;
use driftd::drift::answer::Answer;
use driftd::drift::inference::Inference;
use driftd::model::onnx::OnnxModel;
use driftd::model::{Manifest, ModelError};

use super::support::{self, driftd, fail_with, succeed};
use super::texts;

/// A field with its length, as protobuf writes strings and messages.
pub(super) fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut left = content.len();
    while left > 127 {
        bytes.push((left & 127) as u8 | 128);
        left >>= 7;
    }
    bytes.push(left as u8);
    [bytes, content.to_vec()].concat()
}

pub(super) fn number(number: u8, value: u8) -> Vec<u8> {
    vec![number << 3, value]
}

/// A node of a graph.
pub(super) fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs: Vec<u8> = inputs.iter().flat_map(|input| field(1, input.as_bytes())).collect();
    field(1, &[inputs, field(2, output.as_bytes()), field(4, operator.as_bytes())].concat())
}

/// A constant of a graph, of an element type with its bytes.
fn constant(name: &str, element: u8, dims: &[u8], data: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|dim| number(1, *dim)).collect();
    field(5, &[dims, number(2, element), field(8, name.as_bytes()), field(9, data)].concat())
}

/// An output of floats, with free rows.
fn output(name: &str, columns: Option<u8>) -> Vec<u8> {
    let rows = field(1, &field(2, b"batch"));
    let columns = columns.map_or_else(Vec::new, |n| field(1, &number(1, n)));
    let tensor = [number(1, 1), field(2, &[rows, columns].concat())].concat();
    field(12, &[field(1, name.as_bytes()), field(2, &field(1, &tensor))].concat())
}

/// What is appended to the example's file: protobuf reads a message that comes twice as one. `mood` has the logits
/// (calm, angry), and one logit is the second less the first.
fn more_outputs() -> Vec<u8> {
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let graph = [
        constant("less", 1, &[2, 1], &floats(&[-1.0, 1.0])),
        constant("zero_and_less", 1, &[2, 2], &floats(&[0.0, -1.0, 0.0, 1.0])),
        constant("columns", 7, &[1], &1_i64.to_le_bytes()),
        node("MatMul", &["mood", "less"], "one_logit"),
        node("MatMul", &["mood", "zero_and_less"], "zero_and_logit"),
        node("Squeeze", &["one_logit", "columns"], "flat_logit"),
        node("Sigmoid", &["one_logit"], "probability"),
        output("one_logit", Some(1)),
        output("zero_and_logit", Some(2)),
        output("flat_logit", None),
        output("probability", Some(1)),
    ];
    field(7, &graph.concat())
}

/// A folder with the example's model and more outputs; `mood` is read as `head` says.
fn written(directory: &Path, head: &str) -> Manifest {
    let example = support::root().join("examples/support");
    let graph = [std::fs::read(example.join("model.onnx")).expect("readable"), more_outputs()].concat();
    std::fs::write(directory.join("model.onnx"), graph).expect("written");
    for file in ["tokenizer.json", "golden.jsonl"] {
        std::fs::copy(example.join(file), directory.join(file)).expect("copied");
    }
    let manifest = std::fs::read_to_string(example.join("manifest.yaml")).expect("readable");
    let pinned = manifest.lines().find(|line| line.contains("sha256")).expect("the example pins its file").to_owned();
    let as_it_was = "kind: binary\n    output: mood\n    activation: softmax\n    temperature: 1.004";
    assert!(manifest.contains(as_it_was), "the example's own: {manifest}");
    let manifest = manifest.replace(&pinned, "").replace(as_it_was, head);
    std::fs::write(directory.join("manifest.yaml"), manifest).expect("written");
    Manifest::load(&directory.join("manifest.yaml")).expect("valid by itself")
}

fn load(head: &str) -> Result<OnnxModel, ModelError> {
    let directory = tempfile::tempdir().expect("a folder");
    OnnxModel::load(written(directory.path(), head), Device::Cpu, 1, Some(&support::onnxruntime()))
}

fn mood(model: &mut OnnxModel) -> Vec<Answer> {
    let task = model.manifest().spec.task("mood").expect("a task of the example");
    let inferences: Vec<Inference> = model.infer(&texts(), 4).expect("runs");
    inferences.into_iter().map(|inference| inference.answers[task].clone().expect("answers")).collect()
}

#[test]
fn one_logit_answers_as_a_zero_beside_it_does() {
    for temperature in ["1.0", "1.004", "2.5"] {
        let with = |head: &str| {
            let head = format!("kind: binary\n    output: {head}\n    temperature: {temperature}");
            mood(&mut load(&head).expect("loads"))
        };
        let expected = with("zero_and_logit");
        assert!(expected.iter().all(|answer| answer.uncertainty().energy.is_some()), "{expected:?}");
        let mut classes =
            expected.iter().map(|answer| if let Answer::Class { class, .. } = answer { *class } else { 9 });
        assert!(classes.clone().any(|class| class == 0) && classes.any(|class| class == 1), "both: {expected:?}");
        for head in ["one_logit", "flat_logit", "one_logit\n    activation: sigmoid"] {
            assert_eq!(with(head), expected, "{head} at {temperature}");
        }
    }
}

#[test]
fn one_probability_is_the_second_class_s() {
    let expected = mood(&mut load("kind: binary\n    output: zero_and_logit").expect("loads"));
    let found = mood(&mut load("kind: binary\n    output: probability\n    activation: none").expect("loads"));
    for (found, expected) in found.iter().zip(&expected) {
        let parts = |answer: &Answer| {
            let Answer::Class { class, confidence: driftd::drift::answer::Confidence::Known(p), uncertainty } = answer
            else {
                panic!("{answer:?}")
            };
            (*class, [*p, uncertainty.margin.expect("has one"), uncertainty.entropy.expect("has one")])
        };
        let ((class, numbers), (expected_class, expected_numbers)) = (parts(found), parts(expected));
        assert_eq!(class, expected_class);
        assert!(numbers.iter().zip(expected_numbers).all(|(a, b)| (a - b).abs() < 1e-4), "{found:?} {expected:?}");
        assert_eq!(found.uncertainty().energy, None, "a probability has no logits");
    }
}

#[test]
fn one_column_that_cannot_be_what_it_is_declared_is_told() {
    for (head, told) in [
        (
            "kind: multiclass\n    output: one_logit",
            "has 1 columns, the manifest 2: one number tells two classes apart",
        ),
        ("kind: multiclass\n    output: flat_logit", "has rank 1, expected 2: one number tells two classes apart"),
        ("kind: binary\n    output: topics", "has 5 columns, the manifest 2"),
        ("kind: binary\n    output: probability", "is a probability already, the graph's last step is `Sigmoid`"),
    ] {
        let Err(ModelError::Mismatch { mismatches, .. }) = load(head) else { panic!("a mismatch: {head}") };
        assert!(mismatches.len() == 1 && mismatches[0].contains(told), "{mismatches:?}");
    }
}

/// The example's golden set was written from two logits by Python's libraries.
#[test]
fn a_head_of_one_logit_passes_the_golden_set_and_shows_no_skew() {
    let directory = tempfile::tempdir().expect("a folder");
    let at = |name: &str| directory.path().join(name);
    written(directory.path(), "kind: binary\n    output: one_logit\n    temperature: 1.004");
    std::fs::write(
        at("driftd.yaml"),
        "store: {url: 'sqlite:x.db'}\nmodels: [{manifest: manifest.yaml, window: {length: 2s}}]\n",
    )
    .expect("written");
    let said = succeed(driftd().arg("check").arg("-c").arg(at("driftd.yaml")));
    assert!(said.contains("answers its golden set of 51 texts"), "{said}");

    // Production serves two logits, and the same model is exported with one.
    let (reference, stream) = (support::example_reference(directory.path(), "2s"), at("stream.jsonl"));
    support::simulate(&stream, 2_000, &["--seed", "5", "--interval", "10ms", "--start", "2026-03-02T00:00:00Z"]);
    let mut command = driftd();
    command.args(["backtest", "--device", "cpu", "--skew-sample", "1", "--format", "json", "-m"]);
    command.arg(at("manifest.yaml")).arg("-r").arg(&reference).arg("-i").arg(&stream);
    let told: serde_json::Value = serde_json::from_str(&succeed(&mut command)).expect("JSON");
    assert_eq!(told["alerts"], serde_json::json!([]));
    let statistics = told["windows"].as_array().expect("windows").iter().flat_map(|w| w["statistics"].as_array());
    let compared = |statistic: &&serde_json::Value| statistic["scope"] == "skew" && statistic["task"] == "mood";
    let skews: Vec<_> = statistics.flatten().filter(compared).filter(|s| s["n"].as_f64() > Some(100.0)).collect();
    assert!(!skews.is_empty(), "all records are compared");

    // A head whose classes are named the other way round is another one.
    let manifest = std::fs::read_to_string(at("manifest.yaml")).expect("readable");
    std::fs::write(at("manifest.yaml"), manifest.replace("- calm\n      - angry", "- angry\n      - calm"))
        .expect("written");
    let said = fail_with(driftd().arg("check").arg("-c").arg(at("driftd.yaml")), 3);
    assert!(said.contains("does not answer its golden set") && said.contains("mood"), "{said}");
}

#[test]
fn a_draft_takes_one_column_for_a_binary_head_and_says_that_it_may_be_a_value() {
    let directory = tempfile::tempdir().expect("a folder");
    written(directory.path(), "kind: binary\n    output: one_logit");
    let draft = succeed(driftd().arg("inspect").arg(directory.path().join("model.onnx")));
    let line = |name: &str| draft.lines().find(|line| line.contains(&format!("output: {name},"))).expect("drafted");
    for (name, reading) in
        [("one_logit", "temperature: 1.0"), ("flat_logit", "temperature: 1.0"), ("probability", "activation: none")]
    {
        let told = line(name);
        assert!(told.contains(&format!("kind: binary, {reading}, classes: [class_0, class_1]}}  # TODO")), "{told}");
        assert!(told.contains("or kind: regression"), "{told}");
    }
    std::fs::write(directory.path().join("manifest.yaml"), &draft).expect("written");
    let manifest = Manifest::load(&directory.path().join("manifest.yaml")).expect("a draft is valid");
    OnnxModel::load(manifest, Device::Cpu, 1, Some(&support::onnxruntime())).expect("and fits its graph");
}
