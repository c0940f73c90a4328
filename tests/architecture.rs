//! Wishes about the house become rules here: who may import whom, which library lives in which
//! room, and how long a file may grow.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Lines of a file, tests aside. Beyond this it holds more than one idea.
const CEILING: usize = 400;
/// Tables of statements and types whose length is a list, not a thought.
const LISTS: [(&str, usize); 7] = [
    ("store/rows.rs", 740),
    ("store/judging.rs", 420),
    ("judge/rows.rs", 450),
    ("api/views.rs", 560),
    ("config/raw.rs", 420),
    ("cli.rs", 450),
    ("config/validate.rs", 430),
];

/// What each room may import of ours, besides itself. Floors from DESIGN §2.
const MAY_IMPORT: [(&str, &[&str]); 27] = [
    ("registry", &["clock", "drift", "model", "signature", "store"]),
    ("desk", &["drift", "store"]),
    ("stats", &[]),
    ("drift", &["stats"]),
    ("document", &[]),
    ("access", &[]),
    ("clock", &["drift"]),
    ("signature", &[]),
    ("retry", &[]),
    ("telemetry", &["config"]),
    ("metrics", &["drift", "health"]),
    ("health", &["metrics"]),
    ("fault", &[]),
    ("config", &["access", "document", "drift", "signature"]),
    ("traces", &[]),
    ("source", &["clock", "config", "drift", "fault", "metrics", "traces", "telemetry"]),
    ("model", &["config", "document", "drift", "metrics"]),
    ("hook", &["access", "drift", "signature"]),
    ("store", &["access", "drift", "fault"]),
    (
        "collect",
        &[
            "clock",
            "config",
            "drift",
            "fault",
            "health",
            "metrics",
            "model",
            "retry",
            "source",
            "store",
            "telemetry",
            "traces",
        ],
    ),
    ("judge", &["clock", "drift", "fault", "health", "metrics", "retrain", "store", "traces"]),
    ("maintain", &["clock", "config", "drift", "health", "judge", "metrics", "store"]),
    ("deliver", &["clock", "drift", "fault", "hook", "metrics", "retry", "store", "telemetry"]),
    ("api", &["access", "clock", "desk", "drift", "health", "metrics", "registry", "retrain", "store", "telemetry"]),
    ("retrain", &["clock", "drift", "fault", "hook", "metrics", "retry", "source", "store", "telemetry"]),
    ("simulate", &["document", "drift", "model"]),
    ("app", &["*"]),
];

/// Libraries that live in one room (the composition root and tools aside).
const AT_HOME: [(&str, &[&str]); 12] = [
    ("opentelemetry", &["traces"]),
    ("statrs", &["stats"]),
    ("nalgebra", &["stats"]),
    ("rdkafka", &["source"]),
    ("ort", &["model"]),
    ("tokenizers", &["model"]),
    ("prost", &["model"]),
    ("sqlx", &["store"]),
    ("axum", &["api", "app"]),
    ("reqwest", &["hook"]),
    ("object_store", &["app"]),
    ("parquet", &["app"]),
];

fn sources() -> BTreeMap<String, String> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).expect("src can be listed") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    let name = |path: &PathBuf| path.strip_prefix(&root).expect("under src").display().to_string();
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).expect("readable"))).collect()
}

/// The first part of a path under src: `drift/signal/mod.rs` is in `drift`.
fn room(file: &str) -> &str {
    file.split(['/', '.']).next().expect("a path has a first part")
}

/// A file's code without its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

/// Rooms named by `crate::room` in a text.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::").skip(1).flat_map(|rest| {
        let end = |s: &str| s.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(s.len());
        let group = rest.strip_prefix('{').map(|inner| inner.split('}').next().unwrap_or(""));
        let names: Vec<&str> = match group {
            Some(group) => group.split(',').map(str::trim).map(|n| &n[..end(n)]).collect(),
            None => vec![&rest[..end(rest)]],
        };
        names.into_iter().filter(|n| !n.is_empty())
    })
}

/// Whether a line names a library as the start of a path: `ort::x`, and not `report::x` or `a::ort::x`.
fn names(line: &str, library: &str) -> bool {
    line.match_indices(&format!("{library}::")).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    })
}

#[test]
fn floors_only_look_up() {
    let rules: BTreeMap<&str, &[&str]> = MAY_IMPORT.into_iter().collect();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let room = room(&file);
        if ["lib", "main", "cli"].contains(&room) {
            continue;
        }
        let allowed = rules.get(room).unwrap_or_else(|| panic!("`{room}` has no rule: give it one"));
        for import in imports(code(&text)) {
            if import != room && !allowed.contains(&import) && !allowed.contains(&"*") && rules.contains_key(import) {
                wrong.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the floors:\n{}", wrong.join("\n"));
}

#[test]
fn libraries_stay_at_home() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        for (library, homes) in AT_HOME {
            let used = text.lines().any(|line| !line.trim_start().starts_with("//") && names(line, library));
            if used && !homes.contains(&room(&file)) {
                wrong.push(format!("{file} uses {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not at home:\n{}", wrong.join("\n"));
}

#[test]
fn pure_floors_have_no_clock_and_no_io() {
    const FORBIDDEN: [&str; 8] =
        ["std::fs", "std::net", "std::thread", "SystemTime", "Instant::now", "tokio::", "tracing::", "println!"];
    for (file, text) in sources().into_iter().filter(|(f, _)| ["stats", "drift"].contains(&room(f))) {
        for word in FORBIDDEN {
            assert!(!code(&text).contains(word), "{file} uses {word}");
        }
    }
}

#[test]
fn files_hold_one_idea() {
    let lists: BTreeMap<&str, usize> = LISTS.into_iter().collect();
    let mut wrong = Vec::new();
    for (file, text) in sources().into_iter().filter(|(f, _)| !f.ends_with("_tests.rs")) {
        let lines = code(&text).lines().count();
        let ceiling = lists.get(file.as_str()).copied().unwrap_or(CEILING);
        if lines > ceiling {
            wrong.push(format!("{file}: {lines} lines, the ceiling is {ceiling}"));
        }
    }
    assert!(wrong.is_empty(), "too long:\n{}", wrong.join("\n"));
}

#[test]
fn the_checks_can_fail() {
    let found: Vec<&str> = imports("use crate::store::X;\nuse crate::{clock, metrics};").collect();
    assert_eq!(found, ["store", "clock", "metrics"]);
    assert!(names("use ort::ep;", "ort") && names("Err(ort::Error)", "ort"));
    assert!(!names("report::x()", "ort") && !names("driftd::ort::x", "ort"));
    assert_eq!(room("drift/signal/mod.rs"), "drift");
    assert!(sources().len() > 60, "the sources are really read");
}
