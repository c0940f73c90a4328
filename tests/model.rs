//! The model door with the real example model in the real ONNX Runtime.

/// Other element types and sizes.
#[path = "model/exported.rs"]
mod exported;
/// Binary heads with one column.
#[path = "model/one_logit.rs"]
mod one_logit;
mod support;

use std::path::Path;

use driftd::config::Batching;
use driftd::config::raw::Device;
use driftd::drift::answer::{Answer, Confidence};
use driftd::drift::inference::Inference;
use driftd::drift::record::InputText;
use driftd::model::onnx::OnnxModel;
use driftd::model::{Depth, Manifest, ModelError, batching};

fn load() -> OnnxModel {
    let manifest = Manifest::load(&support::example_manifest()).expect("valid");
    OnnxModel::load(manifest, Device::Cpu, 1, Some(&support::onnxruntime())).expect("loads")
}

fn texts() -> Vec<(InputText, Depth)> {
    let long = "my router is broken and nobody helps me ".repeat(40);
    let texts = [
        "where is my refund?",
        "",
        "   ",
        "\u{0}\u{202e}😀 ÄÖÜ \u{300}",
        &long,
        "login",
        "the phone i ordered on friday never came to berlin",
    ];
    texts.iter().map(|text| (InputText { text: (*text).to_owned(), pair: None }, Depth::Full)).collect()
}

fn close(a: &Inference, b: &Inference) -> bool {
    let near = |a: f32, b: f32| (a - b).abs() < 1e-4;
    a.input == b.input
        && a.embedding.iter().zip(&b.embedding).all(|(a, b)| near(*a, *b))
        && a.answers.iter().flatten().zip(b.answers.iter().flatten()).all(|(a, b)| match (a, b) {
            (Answer::Value(a), Answer::Value(b)) => (a - b).abs() < 1e-4,
            (Answer::Class { class: a, .. }, Answer::Class { class: b, .. }) => a == b,
            (Answer::Labels { labels: a, .. }, Answer::Labels { labels: b, .. })
            | (Answer::Tokens { labels: a, .. }, Answer::Tokens { labels: b, .. }) => a == b,
            _ => false,
        })
}

#[test]
fn every_kind_of_head_answers_and_knows_its_business() {
    let mut model = load();
    let spec = model.manifest().spec.clone();
    let inferences = model.infer(&texts(), 4).expect("runs");
    let refund = &inferences[0];
    assert_eq!((refund.embedding.len(), refund.answers.len()), (96, 5));
    let task = |name: &str| spec.task(name).expect("a task of the example");
    let Some(Answer::Class { class, confidence: Confidence::Known(p), .. }) = &refund.answers[task("intent")] else {
        panic!()
    };
    assert_eq!(spec.tasks[task("intent")].class_name(*class as usize), "refund");
    assert!(*p > 0.9, "{p}");
    let Some(Answer::Tokens { labels, .. }) = &refund.answers[task("entities")] else { panic!() };
    assert_eq!(labels.len(), refund.input.tokens as usize, "one label a token, special ones left out");
    assert!(matches!(refund.answers[task("urgency")], Some(Answer::Value(v)) if (0.0..=1.0).contains(&v)));
}

#[test]
fn more_tokens_than_the_graph_takes_are_told_by_the_manifest_s_name_for_them() {
    let mut manifest = Manifest::load(&support::example_manifest()).expect("valid");
    manifest.tokenizer.as_mut().expect("named").max_tokens = 100;
    let mut model = OnnxModel::load(manifest, Device::Cpu, 1, Some(&support::onnxruntime())).expect("loads");
    let error = model.infer(&texts(), 4).expect_err("the long text has more than 48 tokens").to_string();
    assert!(error.contains("`tokenizer.max_tokens` (100)"), "{error}");
}

#[test]
fn neither_batch_nor_padding_nor_order_changes_an_answer() {
    let mut model = load();
    let together = model.infer(&texts(), 32).expect("runs");
    let one_by_one = model.infer(&texts(), 1).expect("runs");
    let mut reversed = texts();
    reversed.reverse();
    let mut backwards = model.infer(&reversed, 3).expect("runs");
    backwards.reverse();
    // Not nearly the same: the same bits, or a replay would not give the same tallies.
    for (i, inference) in together.iter().enumerate() {
        let told = [inference, &one_by_one[i], &backwards[i]].map(|i| format!("{i:?}"));
        assert!(told[0] == told[1] && told[0] == told[2], "text {i}:\n{told:#?}");
    }
}

#[test]
fn strange_and_huge_texts_cost_no_more_than_long_ones() {
    let mut model = load();
    let marks = format!("a{}", "\u{301}".repeat(1_000_000));
    for text in ["x".repeat(10 << 20), marks, "refund ".repeat(1_000_000)] {
        let began = std::time::Instant::now();
        let found = model.infer(&[(InputText { text, pair: None }, Depth::Full)], 1).expect("runs");
        assert!(found[0].input.tokens <= 48 && found[0].answers.len() == 5);
        assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_share_batches_and_get_their_own_answers() {
    let manifest = Manifest::load(&support::example_manifest()).expect("valid");
    let batching = Batching { max_batch: 16, max_wait: std::time::Duration::from_millis(5), threads: 1 };
    let library = support::onnxruntime();
    let handle = batching::spawn(manifest, Device::Auto, batching, Some(&library)).expect("loads");
    assert_eq!(handle.placement().expect("it is run").device, "cpu", "`auto` falls back here and says so");
    assert!(
        handle
            .placement()
            .expect("it is run")
            .nodes
            .iter()
            .all(|(provider, n)| provider == "CPUExecutionProvider" && *n > 0)
    );
    let expected = load().infer(&texts(), 1).expect("runs");
    let calls = (0..40).map(|i| {
        let (handle, text) = (handle.clone(), texts()[i % 7].clone());
        tokio::spawn(async move { handle.infer(vec![text]).await.expect("runs").remove(0) })
    });
    for (i, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        assert!(close(&call.await.expect("answers"), &expected[i % 7]), "call {i}");
    }
    let shallow = handle.infer(vec![(texts()[0].0.clone(), Depth::Tokens)]).await.expect("runs");
    assert!(shallow[0].embedding.is_empty() && shallow[0].answers.is_empty() && shallow[0].input.tokens > 0);
}

#[test]
fn cuda_refuses_to_start_without_cuda() {
    let manifest = Manifest::load(&support::example_manifest()).expect("valid");
    match OnnxModel::load(manifest, Device::Cuda, 1, Some(&support::onnxruntime())) {
        Err(ModelError::NoCuda(_)) => {}
        Err(other) => panic!("another error: {other}"),
        // On a machine with a GPU and the CUDA provider this is right.
        Ok(model) => assert_eq!(model.placement().device, "cuda"),
    }
}

/// A copy of the example's folder with a changed manifest.
fn changed(directory: &Path, change: impl FnOnce(String) -> String) -> Result<OnnxModel, ModelError> {
    let example = support::root().join("examples/support");
    for file in ["model.onnx", "tokenizer.json", "golden.jsonl"] {
        std::fs::copy(example.join(file), directory.join(file)).expect("copied");
    }
    let manifest = std::fs::read_to_string(example.join("manifest.yaml")).expect("readable");
    std::fs::write(directory.join("manifest.yaml"), change(manifest)).expect("written");
    let manifest = Manifest::load(&directory.join("manifest.yaml")).expect("valid by itself");
    OnnxModel::load(manifest, Device::Cpu, 1, Some(&support::onnxruntime()))
}

#[test]
fn everything_that_does_not_fit_is_told_at_once() {
    let directory = tempfile::tempdir().expect("a folder");
    let outcome = changed(directory.path(), |manifest| {
        let manifest = manifest.replace("dimension: 96", "dimension: 384").replace("output: mood", "output: moods");
        manifest
            .replacen("- refund", "- refund\n      - quantum", 1)
            .replace("attention_mask: attention_mask", "attention_mask: mask")
    });
    let Err(ModelError::Mismatch { mismatches, .. }) = outcome else { panic!("a mismatch") };
    let all = mismatches.join("\n");
    for part in [
        "`mask`",
        "`attention_mask` is not named",
        "has 96 columns, the manifest 384",
        "no output `moods`",
        "has 8 columns, the manifest 9",
    ] {
        assert!(all.contains(part), "{part} is not in:\n{all}");
    }
}

#[test]
fn another_file_than_the_pinned_one_is_refused() {
    let directory = tempfile::tempdir().expect("a folder");
    let outcome = changed(directory.path(), |manifest| {
        let at = manifest.find("sha256: ").expect("the example pins its file") + "sha256: ".len();
        let mut text = manifest;
        text.replace_range(at..at + 4, "0000");
        text
    });
    let Err(ModelError::Refused { reason, .. }) = outcome else { panic!("refused") };
    assert!(reason.contains("SHA-256"), "{reason}");
}

#[test]
fn an_inspected_draft_is_a_valid_manifest() {
    let directory = tempfile::tempdir().expect("a folder");
    let example = support::root().join("examples/support");
    for file in ["model.onnx", "tokenizer.json", "golden.jsonl"] {
        std::fs::copy(example.join(file), directory.path().join(file)).expect("copied");
    }
    let draft = directory.path().join("manifest.yaml");
    support::succeed(support::driftd().arg("inspect").arg(directory.path().join("model.onnx")).arg("-o").arg(&draft));
    let manifest = Manifest::load(&draft).expect("a draft is valid");
    assert_eq!((manifest.spec.tasks.len(), manifest.spec.embedding_dimension), (5, Some(96)));
    OnnxModel::load(manifest, Device::Cpu, 1, Some(&support::onnxruntime())).expect("and fits its graph");
}
