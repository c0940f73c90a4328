//! The pages of `docs/reference` are made from what they describe: the configuration's schema, the help
//! texts, the metrics' descriptions. This test compares them; with `DRIFTD_WRITE_DOCS=1` it writes them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn compare(name: &str, made: &str) {
    let path = root().join("docs/reference").join(name);
    if std::env::var_os("DRIFTD_WRITE_DOCS").is_some() {
        std::fs::write(&path, made).expect("writable");
        return;
    }
    let committed = std::fs::read_to_string(&path).expect("committed");
    assert!(
        committed == made,
        "`docs/reference/{name}` is out of date: DRIFTD_WRITE_DOCS=1 cargo test --test reference_pages"
    );
}

#[test]
fn the_configuration() {
    let text = std::fs::read_to_string(root().join("docs/config.schema.json")).expect("committed");
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let mut page = "# Configuration\n\nMade from the JSON Schema (`driftd check --schema`). Spans are written like \
                    `30s`, `5m`, `24h`, `30d`. A secret is `{env: NAME}` or `{file: PATH}`.\n"
        .to_owned();
    for (name, section) in schema["properties"].as_object().expect("sections") {
        let _ = writeln!(page, "\n## `{name}`\n\n{}\n", described(section));
        page += "| setting | default | |\n|---|---|---|\n";
        let before = page.len();
        settings(&mut page, "", section);
        assert!(page.len() > before, "`{name}` has no settings");
    }
    compare("configuration.md", &page);
}

/// A row for each setting below `schema`, with its path.
fn settings(page: &mut String, path: &str, schema: &Value) {
    let shape = object_of(schema);
    let Some(properties) = shape.and_then(|s| s["properties"].as_object()) else {
        if path.is_empty() {
            row(page, "(itself)", schema, false);
        }
        return;
    };
    let required = |name: &str| {
        shape.and_then(|s| s["required"].as_array()).is_some_and(|r| r.iter().any(|n| n.as_str() == Some(name)))
    };
    for (name, property) in properties {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        row(page, &format!("`{path}`"), property, required(name));
        // The two ways to give a secret are told once, at the top.
        if !is_secret(property) {
            settings(page, &path, property);
        }
    }
}

fn row(page: &mut String, name: &str, schema: &Value, required: bool) {
    let default = match &schema["default"] {
        Value::Null if required => "required".to_owned(),
        Value::Null | Value::Object(_) => String::new(),
        Value::String(text) => format!("`{text}`"),
        value => format!("`{value}`"),
    };
    let mut about = described(schema);
    let choices = constants(schema);
    if !choices.is_empty() {
        let _ = write!(about, " One of: {}", choices.join("; "));
    }
    let limits = [("minimum", "At least"), ("maximum", "At most")];
    for (key, word) in limits {
        if let Some(limit) = schema[key].as_f64().filter(|l| *l != 0.0 || key == "maximum") {
            let _ = write!(about, " {word} {limit}.");
        }
    }
    let _ = writeln!(page, "| {name} | {default} | {} |", about.replace('|', "\\|").replace('\n', " "));
}

fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().to_owned()
}

/// The object that a schema allows: itself, what a list holds, or the one alternative that has settings.
fn object_of(schema: &Value) -> Option<&Value> {
    if schema["properties"].is_object() {
        return Some(schema);
    }
    if schema["items"].is_object() {
        return object_of(&schema["items"]);
    }
    ["anyOf", "oneOf"].iter().filter_map(|key| schema[*key].as_array()).flatten().find_map(object_of)
}

fn is_secret(schema: &Value) -> bool {
    schema.to_string().contains("\"env\"")
}

/// Values that may be given, each with its meaning.
fn constants(schema: &Value) -> Vec<String> {
    let nested = ["anyOf", "oneOf"].iter().filter_map(|key| schema[*key].as_array()).flatten();
    let mut found: Vec<String> = nested.flat_map(constants).collect();
    if let Some(value) = schema["const"].as_str() {
        let about = described(schema);
        let about = about.trim_end_matches('.');
        found.push(if about.is_empty() { format!("`{value}`") } else { format!("`{value}` ({about})") });
    }
    found.extend(schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).map(|v| format!("`{v}`")));
    if schema["items"].is_object() && !schema["items"]["properties"].is_object() {
        found.extend(constants(&schema["items"]));
    }
    found
}

#[test]
fn the_command_line() {
    let mut page = "# Command line\n\nThe help texts as the program prints them.\n".to_owned();
    commands(&mut page, &[]);
    compare("command-line.md", &page);
}

fn commands(page: &mut String, path: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_driftd"));
    command.args(path).arg("--help").env("COLUMNS", "100").env_remove("DRIFTD_CONFIG");
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{path:?}");
    let help = String::from_utf8(output.stdout).expect("text");
    let title = ["driftd"].iter().chain(path).copied().collect::<Vec<_>>().join(" ");
    let _ = writeln!(page, "\n## `{title}`\n\n```text\n{}\n```", help.trim_end());
    let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    for line in listed.lines().take_while(|line| !line.is_empty()) {
        // A continued description stands further right than a name.
        let name = line.strip_prefix("  ").filter(|l| !l.starts_with(' ')).and_then(|l| l.split(' ').next());
        if let Some(name) = name.filter(|name| *name != "help") {
            commands(page, &[path, &[name]].concat());
        }
    }
}

#[test]
fn the_metrics() {
    let mut page = "# Metrics\n\nOn `ops.listen`, path `/metrics`, in Prometheus' text format. All start at process \
                    start; counters of losses start at 0.\n\n| metric | kind | |\n|---|---|---|\n"
        .to_owned();
    let source = std::fs::read_to_string(root().join("src/metrics.rs")).expect("the file");
    let found = metrics(&source);
    assert!(found.len() > 20, "only {} metrics were found", found.len());
    for (name, kind, about) in found {
        let _ = writeln!(page, "| `{name}` | {kind} | {about} |");
    }
    compare("metrics.md", &page);
}

/// Name, kind and meaning of all that `describe` describes: the strings in a call's parentheses.
fn metrics(source: &str) -> Vec<(String, &'static str, String)> {
    let mut found = Vec::new();
    for kind in ["counter", "gauge", "histogram"] {
        let call = format!("describe_{kind}!(");
        for (at, _) in source.match_indices(&call) {
            let strings: Vec<&str> = source[at..].split('"').skip(1).step_by(2).take(2).collect();
            if let [name, about] = strings.as_slice() {
                found.push(((*name).to_owned(), kind, (*about).to_owned()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    let mut pages = vec![root().join("README.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "md") {
                pages.push(entry);
            }
        }
    }
    let mut dead = Vec::new();
    for page in pages {
        let text = std::fs::read_to_string(&page).expect("text");
        let folder = page.parent().unwrap_or(Path::new("."));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !file.contains("://") && !folder.join(file).exists() {
                dead.push(format!("{}: {target}", page.display()));
            }
        }
    }
    assert!(dead.is_empty(), "dead links:\n{}", dead.join("\n"));
}
