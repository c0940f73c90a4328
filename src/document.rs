//! YAML documents with a schema: read whole, checked whole, all problems reported at once, each
//! with its line, its path, what was found and what is allowed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use jsonschema::error::ValidationErrorKind;
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::{Map, Number, Value};

/// No configuration of ours comes near this; a larger file is a mistake.
const MOST_BYTES: u64 = 4 << 20;

/// One thing wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Line, counted from 1; 0 where there is none.
    pub line: usize,
    /// JSON pointer to the place, empty for the document itself.
    pub path: String,
    /// What was found and what is allowed.
    pub message: String,
}

/// Everything wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file.
    pub file: PathBuf,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        write!(f, "{} problem{plural} in `{}`", self.problems.len(), self.file.display())?;
        for problem in &self.problems {
            write!(f, "\n  {}:{}: ", self.file.display(), problem.line)?;
            if !problem.path.is_empty() {
                write!(f, "{}: ", problem.path.trim_start_matches('/').replace('/', "."))?;
            }
            f.write_str(&problem.message)?;
        }
        Ok(())
    }
}

/// A document whose shape is right, with the lines its values stand on.
#[derive(Clone, Debug)]
pub struct Document<T> {
    /// The file.
    pub file: PathBuf,
    /// Its content.
    pub content: T,
    lines: BTreeMap<String, usize>,
}

impl<T> Document<T> {
    /// A problem at a path of this document, for checks that a schema cannot make.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        Problem { line: line(&self.lines, path), path: path.to_owned(), message: message.into() }
    }

    /// The directory that relative paths in the document start from.
    pub fn directory(&self) -> &Path {
        self.file.parent().unwrap_or(Path::new("."))
    }
}

/// The JSON Schema of a document type.
pub fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Reads and checks a file.
///
/// # Errors
/// [`Problems`]: unreadable, not YAML, or every place that breaks the schema.
pub fn read<T: JsonSchema + DeserializeOwned>(file: &Path) -> Result<Document<T>, Problems> {
    whole(read_but_unknown(file)?)
}

/// As [`read`], but keys that nobody knows are left out and told beside the document: they need not hide what else is
/// wrong with it.
///
/// # Errors
/// As [`read`].
pub fn read_but_unknown<T: JsonSchema + DeserializeOwned>(
    file: &Path,
) -> Result<(Document<T>, Vec<Problem>), Problems> {
    let fail = |message: String| Problems {
        file: file.to_owned(),
        problems: vec![Problem { line: 0, path: String::new(), message }],
    };
    match std::fs::metadata(file) {
        Ok(meta) if meta.len() > MOST_BYTES => return Err(fail(format!("larger than {MOST_BYTES} bytes"))),
        Ok(_) => {}
        Err(error) => return Err(fail(format!("cannot be read: {error}"))),
    }
    let text = std::fs::read_to_string(file).map_err(|error| fail(format!("cannot be read: {error}")))?;
    parse_but_unknown(file, &text)
}

/// Checks a text as [`read`] does; `file` is only named in problems.
///
/// # Errors
/// As [`read`].
pub fn parse<T: JsonSchema + DeserializeOwned>(file: &Path, text: &str) -> Result<Document<T>, Problems> {
    whole(parse_but_unknown(file, text)?)
}

fn whole<T>((document, unknown): (Document<T>, Vec<Problem>)) -> Result<Document<T>, Problems> {
    if unknown.is_empty() { Ok(document) } else { Err(Problems { file: document.file, problems: unknown }) }
}

fn parse_but_unknown<T: JsonSchema + DeserializeOwned>(
    file: &Path,
    text: &str,
) -> Result<(Document<T>, Vec<Problem>), Problems> {
    let fail = |problems| Problems { file: file.to_owned(), problems };
    let nodes = MarkedYaml::load_from_str(text).map_err(|error| {
        let message = format!("not valid YAML: {error}");
        fail(vec![Problem { line: 0, path: String::new(), message }])
    })?;
    let mut lines = BTreeMap::new();
    let mut value = match nodes.first() {
        Some(node) => to_json(node, String::new(), &mut lines),
        None => Value::Object(Map::new()),
    };
    let schema = schema::<T>();
    let validator = jsonschema::validator_for(&schema).expect("a schema that we generated is a schema");
    let (mut problems, mut unknown) = (Vec::new(), Some(Vec::new()));
    for error in validator.iter_errors(&value) {
        problems.push(describe(&error, &schema, &lines));
        match (error.kind(), &mut unknown) {
            (ValidationErrorKind::AdditionalProperties { unexpected }, Some(unknown)) => {
                unknown.push((error.instance_path().to_string(), unexpected.clone()));
            }
            _ => unknown = None,
        }
    }
    problems.sort_by_key(|p| p.line);
    let Some(unknown) = unknown else { return Err(fail(problems)) };
    for (path, keys) in unknown {
        let object = value.pointer_mut(&path).and_then(Value::as_object_mut);
        object.into_iter().for_each(|object| object.retain(|key, _| !keys.contains(key)));
    }
    match serde_json::from_value(value) {
        Ok(content) => Ok((Document { file: file.to_owned(), content, lines }, problems)),
        Err(error) => {
            problems.push(Problem { line: 0, path: String::new(), message: error.to_string() });
            Err(fail(problems))
        }
    }
}

fn describe(error: &jsonschema::ValidationError, schema: &Value, lines: &BTreeMap<String, usize>) -> Problem {
    let path = error.instance_path().to_string();
    let schema_path = error.schema_path().to_string();
    let parent = schema_path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let node = schema.pointer(parent).unwrap_or(&Value::Null);
    // What stands in the place of a secret's name may be the secret.
    let is_secret = |node: &Value| node["writeOnly"] == true;
    let is_secret = is_secret(node) || node["anyOf"].as_array().into_iter().flatten().any(is_secret);
    let found = |value: &Value| match value {
        Value::String(_) if is_secret => "a text, which is not shown".to_owned(),
        value => found(value),
    };
    let (path, message) = match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let name = unexpected.first().cloned().unwrap_or_default();
            let at = format!("{path}/{name}");
            let known = node["properties"].as_object().map(|p| p.keys().cloned().collect::<Vec<_>>().join(", "));
            (at, format!("unknown key `{}`; known here: {}", unexpected.join("`, `"), known.unwrap_or_default()))
        }
        ValidationErrorKind::OneOfNotValid { .. } | ValidationErrorKind::AnyOf { .. } => {
            (path, format!("found {}, allowed: {}", found(error.instance()), allowed(node)))
        }
        ValidationErrorKind::Type { .. } => {
            (path, format!("found {}, expected {}", found(error.instance()), allowed(node)))
        }
        _ => (path, error.to_string()),
    };
    Problem { line: line(lines, &path), path, message }
}

fn found(value: &Value) -> String {
    const SHOWN: usize = 60;
    match value {
        Value::Object(_) => "a mapping".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => "nothing".to_owned(),
        other => format!("`{}`", other.to_string().trim_matches('"').chars().take(SHOWN).collect::<String>()),
    }
}

/// What a schema node allows, in a few words.
fn allowed(node: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    for key in ["oneOf", "anyOf"] {
        words.extend(node[key].as_array().into_iter().flatten().map(allowed));
    }
    words.extend(node["enum"].as_array().into_iter().flatten().map(found));
    if let Some(constant) = node.get("const") {
        words.push(found(constant));
    }
    if words.is_empty() {
        match (&node["type"], node["required"].as_array()) {
            (Value::String(kind), Some(required)) if kind == "object" => {
                let keys: Vec<&str> = required.iter().filter_map(Value::as_str).collect();
                words.push(format!("a mapping with {}", keys.join(", ")));
            }
            (Value::String(kind), _) => words.push(kind.clone()),
            (Value::Array(kinds), _) => words.extend(kinds.iter().filter_map(Value::as_str).map(str::to_owned)),
            _ => {}
        }
    }
    words.dedup();
    words.join(" or ")
}

/// The line of a path, or of the nearest place above it.
fn line(lines: &BTreeMap<String, usize>, path: &str) -> usize {
    let mut path = path;
    loop {
        if let Some(line) = lines.get(path) {
            return *line;
        }
        match path.rsplit_once('/') {
            Some((parent, _)) => path = parent,
            None => return 0,
        }
    }
}

fn to_json(node: &MarkedYaml, path: String, lines: &mut BTreeMap<String, usize>) -> Value {
    let value = match &node.data {
        YamlData::Value(Scalar::Null) => Value::Null,
        YamlData::Value(Scalar::Boolean(value)) => Value::Bool(*value),
        YamlData::Value(Scalar::Integer(value)) => Value::Number((*value).into()),
        YamlData::Value(Scalar::FloatingPoint(value)) => Number::from_f64(**value).map_or(Value::Null, Value::Number),
        YamlData::Value(Scalar::String(value)) => Value::String(value.to_string()),
        YamlData::Representation(text, ..) => Value::String(text.to_string()),
        YamlData::Sequence(items) => Value::Array(
            items.iter().enumerate().map(|(i, item)| to_json(item, format!("{path}/{i}"), lines)).collect(),
        ),
        YamlData::Mapping(entries) => {
            let mut map = Map::new();
            for (key, item) in entries {
                let name = match to_json(key, String::new(), &mut BTreeMap::new()) {
                    Value::String(name) => name,
                    other => other.to_string(),
                };
                let at = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                let value = to_json(item, at.clone(), lines);
                lines.insert(at, key.span.start.line());
                map.insert(name, value);
            }
            Value::Object(map)
        }
        YamlData::Tagged(_, inner) => to_json(inner, path.clone(), lines),
        YamlData::Alias(_) | YamlData::BadValue => Value::Null,
    };
    lines.entry(path).or_insert(node.span.start.line());
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the shape is looked at")]
    struct Example {
        name: String,
        #[serde(default)]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the shape is looked at")]
    struct Item {
        size: u32,
        colour: Option<Colour>,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Colour {
        /// Like blood.
        Red,
        /// Like grass.
        Green,
    }

    #[test]
    fn all_problems_come_at_once_with_their_lines() {
        let text = "name: 12\nitems:\n  - size: many\n    colour: blue\n  - size: 3\n    sise: 4\n";
        let problems = parse::<Example>(Path::new("x.yaml"), text).expect_err("has problems").problems;
        let found: Vec<(usize, &str)> = problems.iter().map(|p| (p.line, p.path.as_str())).collect();
        assert_eq!(found, [(1, "/name"), (3, "/items/0/size"), (4, "/items/0/colour"), (6, "/items/1/sise")]);
        assert_eq!(problems[0].message, "found `12`, expected string");
        assert!(problems[2].message.contains("`red` or `green`"), "{}", problems[2].message);
        assert!(problems[3].message.contains("known here: colour, size"), "{}", problems[3].message);
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case", deny_unknown_fields)]
    #[schemars(extend("writeOnly" = true))]
    #[expect(dead_code, reason = "only the shape is looked at")]
    enum SecretRef {
        File(String),
        Env(String),
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[expect(dead_code, reason = "only the shape is looked at")]
    struct Guarded {
        key: SecretRef,
        perhaps: Option<SecretRef>,
    }

    #[test]
    fn a_secret_in_the_wrong_place_is_not_shown() {
        for (text, path) in [("key: hunter2\n", "/key"), ("key: {env: A}\nperhaps: hunter2\n", "/perhaps")] {
            let problems = parse::<Guarded>(Path::new("x.yaml"), text).expect_err("no place for it");
            let [problem] = problems.problems.as_slice() else { panic!("one problem: {problems}") };
            assert_eq!(problem.path, path);
            assert!(problem.message.starts_with("found a text, which is not shown, allowed: "), "{problem:?}");
            assert!(!problems.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn a_missing_key_and_broken_yaml_are_told() {
        let missing = parse::<Example>(Path::new("x.yaml"), "items: []\n").expect_err("no name").problems;
        assert!(missing[0].message.contains("name"), "{}", missing[0].message);
        let broken = parse::<Example>(Path::new("x.yaml"), "name: [").expect_err("broken").problems;
        assert!(broken[0].message.contains("not valid YAML"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read::<Example>(Path::new("/nowhere/x.yaml")).expect_err("missing");
        assert!(error.to_string().contains("/nowhere/x.yaml") && error.to_string().contains("cannot be read"));
    }
}
