//! Schemathesis asks everything that the document allows, and much that it does not.

use crate::world;

/// Cases for each operation: minutes of them find no more than seconds do.
const CASES: &str = "10";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/api-check.sh installs Schemathesis and runs it"]
async fn schemathesis_finds_nothing() {
    let tool = std::env::var("SCHEMATHESIS").expect("SCHEMATHESIS names the program: run scripts/api-check.sh");
    let world = world::start().await;
    let mut command = std::process::Command::new(tool);
    command.args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/schemathesis.toml")]);
    command.arg("run").arg(format!("{}/api/v1/openapi.json", world.url));
    // Events end after an hour. Lines of JSON it cannot make; tests/retraining sends them.
    command.args(["--exclude-path", "/api/v1/retraining-requests/{id}/gate"]);
    command.args(["--exclude-path", "/api/v1/events", "--max-examples", CASES, "--workers", "1"]);
    command.args(["--phases", "examples,coverage,fuzzing", "--generation-deterministic", "--no-shrink"]);
    // This world asks nobody who they are.
    command.args(["--exclude-checks", "ignored_auth", "--max-time", "120", "--no-color"]);
    let run = tokio::task::spawn_blocking(move || command.output());
    let output = run.await.expect("the thread ends").expect("starts");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("generated"), "cases were tried:\n{told}");
}
