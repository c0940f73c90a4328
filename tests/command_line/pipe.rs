//! Records through a pipe, which can be read only once.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use super::support::{driftd, example_manifest, simulate, succeed};

/// More than a pipe or a reader's buffer holds.
const RECORDS: usize = 2_000;

fn fit(input: &Path, output: &Path) -> Command {
    let mut command = driftd();
    command.args(["reference", "fit", "--device", "cpu", "--threads", "1", "--window-records", "50", "-m"]);
    command.arg(example_manifest()).arg("-i").arg(input).arg("-o").arg(output);
    command
}

/// What a shell writes into a pipe by that name, while the command reads it; to who opens it again it writes nothing.
fn through(pipe: &Path, writes: &str, command: &mut Command) -> Output {
    assert!(Command::new("mkfifo").arg(pipe).status().expect("mkfifo").success());
    let named = pipe.display();
    let script = format!("{writes} > '{named}'; while true; do : > '{named}'; sleep 0.1; done");
    let mut writer = Command::new("sh").args(["-c", &script]).spawn().expect("a shell");
    let output = command.output().expect("the binary starts");
    let _ = writer.kill();
    writer.wait().expect("it ends");
    output
}

#[test]
fn a_pipe_is_read_from_its_beginning_as_often_as_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let records = at("records.jsonl");
    simulate(&records, RECORDS, &["--seed", "11", "--interval", "10ms", "--start", "2026-03-01T00:00:00Z"]);
    let table = succeed(&mut fit(&records, &at("file.bin")));
    let learned = std::fs::read(at("file.bin")).expect("written");

    let writes = [("pipe", "cat"), ("zipped", "gzip -c"), ("named.jsonl.gz", "gzip -c")];
    for (name, how) in writes {
        let writes = format!("{how} '{}'", records.display());
        let Output { status, stdout, stderr } = through(&at(name), &writes, &mut fit(&at(name), &at("pipe.bin")));
        assert!(status.success(), "{name}: {}", String::from_utf8_lossy(&stderr));
        assert_eq!(String::from_utf8_lossy(&stdout), table, "{name}");
        assert_eq!(std::fs::read(at("pipe.bin")).expect("written"), learned, "{name}");
    }

    // The standard input is a pipe too, and a back-test reads it like a file.
    let judge = |input: &Path| {
        let mut command = driftd();
        command.args(["backtest", "--device", "cpu", "--format", "json", "--arl-windows", "2000", "-m"]);
        command.arg(example_manifest()).arg("-r").arg(at("file.bin")).arg("-i").arg(input);
        command
    };
    let mut cat = Command::new("cat").arg(&records).stdout(Stdio::piped()).spawn().expect("cat");
    let piped = succeed(judge(Path::new("/dev/stdin")).stdin(cat.stdout.take().expect("piped")));
    cat.wait().expect("it ends");
    assert_eq!(piped, succeed(&mut judge(&records)));
}

#[test]
fn what_cannot_be_kept_is_told_with_the_way_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let pipe = folder.path().join("pipe");
    let mut command = fit(&pipe, &folder.path().join("ref.bin"));
    let Output { status, stderr, .. } = through(&pipe, "echo '{}'", command.env("TMPDIR", folder.path().join("none")));
    let said = String::from_utf8_lossy(&stderr);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("pipe` cannot be opened") && said.contains("write it to a file first"), "{said}");
}
