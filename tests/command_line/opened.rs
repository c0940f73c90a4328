//! `driftd check` opens the models that `driftd run` would.

use std::path::Path;

use super::bad_input::Scene;
use super::support::{driftd, fail_with, succeed};

const GOLDEN: &str = "golden:\n  file: golden.jsonl\n";

/// The example without a golden set, changed, and a configuration without a reference in a file.
fn scene(change: impl Fn(String) -> String) -> Scene {
    let scene = Scene::with_manifest(|example| {
        let pinned = example.lines().find(|line| line.contains("sha256")).expect("the example pins its file");
        let plain = example.replace(pinned, "").replace(GOLDEN, "");
        let changed = change(plain.clone());
        assert!(example.contains(GOLDEN) && changed != example);
        changed
    });
    configure(scene.folder.path(), "");
    scene
}

fn configure(folder: &Path, more: &str) {
    let text = format!(
        "store: {{url: 'sqlite:x.db'}}\nmodels:\n  - {{manifest: manifest.yaml, window: {{length: 2s}}{more}}}\n"
    );
    std::fs::write(folder.join("driftd.yaml"), text).expect("written");
}

fn refused(scene: &Scene) -> String {
    fail_with(driftd().arg("check").arg("-c").arg(scene.folder.path().join("driftd.yaml")), 3)
}

/// The element type of an input or output in the model's file becomes another: its name, and then its type (7, of
/// message 2) with the number.
fn retype(scene: &Scene, name: &str, to: u8) {
    let file = scene.folder.path().join("model.onnx");
    let mut bytes = std::fs::read(&file).expect("readable");
    let declared = [&[0x0a, name.len() as u8], name.as_bytes(), &[0x12]].concat();
    let at = bytes.windows(declared.len()).rposition(|part| part == declared).expect("it is declared");
    let element =
        at + declared.len() + bytes[at + declared.len()..].iter().position(|b| *b == 0x08).expect("typed") + 1;
    bytes[element] = to;
    std::fs::write(file, bytes).expect("written");
}

#[test]
fn a_model_without_a_golden_set_is_opened_and_answers() {
    let fine = scene(|plain| plain);
    let check = || succeed(driftd().arg("check").arg("-c").arg(fine.folder.path().join("driftd.yaml")));
    let said = check();
    assert!(said.contains("model support: its model answers\n") && said.contains("valid"), "{said}");
    configure(fine.folder.path(), ", infer: never");
    assert!(check().contains("its model is not opened: `infer: never`"));
}

#[test]
fn what_run_would_refuse_is_refused() {
    let said = refused(&scene(|plain| plain.replace("output: mood", "output: moood")));
    assert!(said.contains("manifest.yaml") && said.contains("task `mood`: the graph has no output `moood`"), "{said}");
    let said = refused(&scene(|plain| plain.replace("input_ids: input_ids", "input_ids: words")));
    assert!(said.contains("inputs.input_ids: the graph has no input `words`; it has `"), "{said}");
    let said = refused(&scene(|plain| plain.replace("tokenizer.json", "none.json")));
    assert!(said.contains("none.json` cannot be loaded"), "{said}");
    let double = scene(|plain| plain);
    retype(&double, "mood", 11);
    let said = refused(&double);
    assert!(said.contains("output `mood` is double, not a 32-bit or 16-bit float: put a `Cast`"), "{said}");
}

#[test]
fn what_only_the_runtime_finds_is_told_with_the_model() {
    let said = refused(&scene(|plain| plain.replace("max_tokens: 48", "max_tokens: 480")));
    assert!(said.contains("model `support` of `") && said.contains("does not answer: ONNX Runtime: "), "{said}");
    assert!(said.contains("`tokenizer.max_tokens` (480) in the manifest is more than the model takes"), "{said}");
}
