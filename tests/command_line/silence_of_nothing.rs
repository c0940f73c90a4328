//! A silence that names what is not there.

use std::process::Output;

use super::support::{driftd, example_manifest};

#[test]
fn a_silence_that_holds_nothing_back_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("driftd.yaml");
    let (store, manifest) = (folder.path().join("x.db"), example_manifest());
    let text = format!(
        "store: {{url: 'sqlite:{}'}}\nmodels:\n  - {{manifest: '{}', window: {{length: 2s}}}}\n",
        store.display(),
        manifest.display()
    );
    std::fs::write(&file, text).expect("written");
    let add = |what: &[&str]| {
        let mut command = driftd();
        command.args(["silence", "add", "--for", "2h", "--comment", "known", "-c"]).arg(&file).args(what);
        let Output { status, stdout, stderr } = command.output().expect("the binary starts");
        let said = String::from_utf8_lossy(&stderr).into_owned();
        assert!(status.success() && stdout.starts_with(b"sil_"), "{said}");
        said
    };
    let said = add(&["--model", "suport"]);
    assert!(said.contains("there is no model `suport`, so this holds nothing back; known: `support`"), "{said}");
    let said = add(&["--model", "support", "--task", "moods"]);
    assert!(said.contains("there is no task `moods`") && said.contains("`mood`"), "{said}");
    for fine in [&["--model", "support", "--task", "mood"][..], &["--task", "mood"], &["--cause", "input"]] {
        assert_eq!(add(fine), "", "{fine:?}");
    }
}
