//! What is wrong with a record's JSON, and where: the field, what was expected there, and the column. Nothing of the
//! record's text enters it: only names that the format or a manifest knows are told.

use super::native_json::RawRecord;
use crate::drift::record::{RejectReason, Rejected};

/// Names of the format, from the outside inwards.
const FIELDS: &str = "schema prediction_id timestamp labeled_at model name version input text text_pair embedding dtype \
data_b64 outputs kind label labels scores logits value tags attributes task revision retracted __deleted op";

/// Refuses a text that `error` says is no record. `is_task` knows the tasks of the manifests.
pub(super) fn refused(text: &str, error: &serde_json::Error, is_task: impl Fn(&str) -> bool) -> Rejected {
    use serde_json::error::Category;
    let at = match error.line() {
        0 | 1 => format!("at column {}", error.column()),
        line => format!("at line {line} of the record, column {}", error.column()),
    };
    match error.classify() {
        Category::Data => {
            let what = field(text, is_task).into_iter().chain(expected(&error.to_string()));
            let what = what.collect::<Vec<_>>().join(": ");
            let comma = if what.is_empty() { "" } else { ", " };
            Rejected::new(RejectReason::InvalidShape, format!("{what}{comma}{at}"))
        }
        Category::Syntax | Category::Eof | Category::Io => {
            let odd =
                no_number(text, error).map(|name| format!(": JSON knows no `{name}`, which Python writes by default"));
            Rejected::new(RejectReason::InvalidJson, at + &odd.unwrap_or_default())
        }
    }
}

/// The name of what is no number, where reading stopped at one.
fn no_number(text: &str, error: &serde_json::Error) -> Option<&'static str> {
    let line = text.lines().nth(error.line().saturating_sub(1))?;
    // The column is that of the first letter, or of the one after it.
    let starts = |back: usize| line.get(error.column().checked_sub(back)?..);
    let name = |rest: &str| ["NaN", "Infinity", "-Infinity"].into_iter().find(|name| rest.starts_with(name));
    (0..3).filter_map(starts).find_map(name)
}

/// The field that cannot be read, found by reading once more; `None` for the record as a whole.
fn field(text: &str, is_task: impl Fn(&str) -> bool) -> Option<String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let error = serde_path_to_error::deserialize::<_, RawRecord>(&mut json).err()?;
    let known = |name: &str| FIELDS.split(' ').any(|field| field == name) || is_task(name);
    let told = |segment: &serde_path_to_error::Segment| match segment {
        serde_path_to_error::Segment::Map { key } if known(key) => key.clone(),
        serde_path_to_error::Segment::Seq { index } => index.to_string(),
        _ => "…".to_owned(),
    };
    let path: Vec<String> = error.path().iter().map(told).collect();
    (!path.is_empty()).then(|| format!("`{}`", path.join(".")))
}

/// The part of the library's message that is its own and quotes nothing: what was expected, lacking, or there twice.
fn expected(message: &str) -> Option<String> {
    let (message, _) = message.rsplit_once(" at line ")?;
    let name =
        |rest: &str| rest.split('`').nth(1).filter(|name| FIELDS.split(' ').any(|f| f == *name)).map(str::to_owned);
    if let Some(rest) = message.strip_prefix("missing field ") {
        return name(rest).map(|name| format!("it has no `{name}`"));
    }
    if let Some(rest) = message.strip_prefix("duplicate field ") {
        return name(rest).map(|name| match name.as_str() {
            "timestamp" => "`timestamp`, which `labeled_at` is another name of, is there twice".to_owned(),
            name => format!("`{name}` is there twice"),
        });
    }
    let (_, expected) = message.rsplit_once(", expected ")?;
    let expected = match expected {
        "i64" => "a whole number",
        "f64" => "a number",
        "a sequence" => "an array",
        of_ours if of_ours.starts_with("struct ") => "an object",
        said => said,
    };
    Some(format!("expected {expected}"))
}
