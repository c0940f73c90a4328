//! A set as Parquet: what a record is, how it was drawn and its labels as typed columns; whatever else it holds
//! as JSON in one more, so that nothing is lost.
//!
//! Columns of lists are written by levels, as Dremel does (Melnik et al., VLDB 2010, §4): the repetition level
//! says whether a value begins a new row, the definition level how much of its path is there.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};

use super::body;
use crate::drift::replay::{Picked, Set};
use crate::drift::task::{ModelSpec, TaskKind, TaskSpec};

/// Rows that are gathered before they are written: a reader skips and reads by as many.
const ROWS_IN_A_GROUP: usize = 50_000;
/// Columns before those of the labels.
const COMMON: usize = 10;

/// Writes a set. The bytes follow from the set and the version of this program alone.
///
/// # Errors
/// If nothing can be written to `target`.
pub fn write<W: Write + Send>(target: W, schema: &str, spec: &ModelSpec, set: &Set) -> Result<W> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by(concat!("driftd ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![KeyValue::new("driftd.schema".to_owned(), schema.to_owned())]))
        .build();
    let mut file = SerializedFileWriter::new(target, of(spec)?, Arc::new(properties))?;
    for rows in set.rows.chunks(ROWS_IN_A_GROUP) {
        let mut columns = Columns::new(spec);
        for picked in rows {
            columns.push(spec, picked);
        }
        let mut group = file.next_row_group()?;
        for column in &columns.all {
            column.write(&mut group)?;
        }
        group.close()?;
    }
    file.into_inner()
}

/// The schema: its leaves in the order of [`Columns`].
fn of(spec: &ModelSpec) -> Result<TypePtr> {
    let (required, optional) = (Repetition::REQUIRED, Repetition::OPTIONAL);
    let element = group(
        "element",
        required,
        None,
        vec![text("task", required)?, text("class", optional)?, text("by", required)?],
    )?;
    let replay = vec![
        text("period", required)?,
        number("probability", required)?,
        number("weight", required)?,
        list("strata", required, element)?,
    ];
    let at = Some(LogicalType::timestamp(true, TimeUnit::MICROS));
    let labels = spec.tasks.iter().map(label).collect::<Result<_>>()?;
    group(
        "replay_set",
        required,
        None,
        vec![
            text("prediction_id", required)?,
            leaf("timestamp", Physical::INT64, required, at)?,
            group("model", required, None, vec![text("name", optional)?, text("version", optional)?])?,
            group("replay", required, None, replay)?,
            group("labels", required, None, labels)?,
            text("text", optional)?,
            leaf("record", Physical::BYTE_ARRAY, optional, Some(LogicalType::Json))?,
        ],
    )
}

fn label(task: &TaskSpec) -> Result<TypePtr> {
    match task.kind {
        TaskKind::Binary | TaskKind::Multiclass => text(&task.name, Repetition::OPTIONAL),
        TaskKind::Multilabel | TaskKind::TokenLabels => {
            list(&task.name, Repetition::OPTIONAL, text("element", Repetition::REQUIRED)?)
        }
        TaskKind::Regression => number(&task.name, Repetition::OPTIONAL),
    }
}

fn leaf(name: &str, kind: Physical, repetition: Repetition, logical: Option<LogicalType>) -> Result<TypePtr> {
    let built = Type::primitive_type_builder(name, kind).with_repetition(repetition).with_logical_type(logical).build();
    built.map(Arc::new)
}

fn text(name: &str, repetition: Repetition) -> Result<TypePtr> {
    leaf(name, Physical::BYTE_ARRAY, repetition, Some(LogicalType::String))
}

fn number(name: &str, repetition: Repetition) -> Result<TypePtr> {
    leaf(name, Physical::DOUBLE, repetition, None)
}

fn group(name: &str, repetition: Repetition, logical: Option<LogicalType>, fields: Vec<TypePtr>) -> Result<TypePtr> {
    let built = Type::group_type_builder(name).with_repetition(repetition).with_logical_type(logical);
    built.with_fields(fields).build().map(Arc::new)
}

/// Three levels, as every reader knows lists.
fn list(name: &str, repetition: Repetition, element: TypePtr) -> Result<TypePtr> {
    let repeated = group("list", Repetition::REPEATED, None, vec![element])?;
    group(name, repetition, Some(LogicalType::List), vec![repeated])
}

/// Values of a column.
enum Values {
    Text(Vec<ByteArray>),
    Whole(Vec<i64>),
    Number(Vec<f64>),
}

/// A column of a row group.
struct Column {
    values: Values,
    definition: Vec<i16>,
    repetition: Vec<i16>,
}

impl Column {
    fn new(values: Values) -> Column {
        Column { values, definition: Vec::new(), repetition: Vec::new() }
    }

    fn level(&mut self, definition: i16, repetition: i16) {
        self.definition.push(definition);
        self.repetition.push(repetition);
    }

    fn text(&mut self, text: &str, definition: i16, repetition: i16) {
        self.level(definition, repetition);
        if let Values::Text(values) = &mut self.values {
            values.push(text.as_bytes().to_vec().into());
        }
    }

    fn maybe(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text, 1, 0),
            None => self.level(0, 0),
        }
    }

    fn number(&mut self, number: f64) {
        self.level(1, 0);
        if let Values::Number(values) = &mut self.values {
            values.push(number);
        }
    }

    fn write<W: Write + Send>(&self, group: &mut SerializedRowGroupWriter<'_, W>) -> Result<()> {
        let mut column = group.next_column()?.expect("the schema has a leaf for each column");
        // Levels that the schema leaves no choice of are not looked at.
        let (definition, repetition) = (Some(&self.definition[..]), Some(&self.repetition[..]));
        match &self.values {
            Values::Text(values) => column.typed::<ByteArrayType>().write_batch(values, definition, repetition)?,
            Values::Whole(values) => column.typed::<Int64Type>().write_batch(values, definition, repetition)?,
            Values::Number(values) => column.typed::<DoubleType>().write_batch(values, definition, repetition)?,
        };
        column.close()
    }
}

/// The columns of a row group, in the order of the schema's leaves.
struct Columns {
    all: Vec<Column>,
}

impl Columns {
    fn new(spec: &ModelSpec) -> Columns {
        let text = || Column::new(Values::Text(Vec::new()));
        let number = || Column::new(Values::Number(Vec::new()));
        let mut all = vec![text(), Column::new(Values::Whole(Vec::new())), text(), text(), text(), number(), number()];
        all.extend([text(), text(), text()]);
        debug_assert_eq!(all.len(), COMMON);
        all.extend(spec.tasks.iter().map(|t| if t.kind == TaskKind::Regression { number() } else { text() }));
        all.extend([text(), text()]);
        Columns { all }
    }

    /// Adds a record: first what has a column, then what is left of it.
    fn push(&mut self, spec: &ModelSpec, picked: &Picked) {
        let mut whole = body::whole(spec, picked);
        let [id, at, name, version, period, probability, weight, task, class, by, rest @ ..] = &mut self.all[..] else {
            unreachable!("there are more columns than these");
        };
        id.text(&picked.id, 0, 0);
        at.level(0, 0);
        if let Values::Whole(values) = &mut at.values {
            values.push(picked.row.of.at.micros());
        }
        let model = taken(&mut whole, "model", |model| match model {
            Value::Object(model) => {
                let mut part = |key| taken(model, key, |value| value.as_str().map(str::to_owned));
                Some((part("name"), part("version")))
            }
            _ => None,
        });
        let (model_name, model_version) = model.unwrap_or_default();
        name.maybe(model_name.as_deref());
        version.maybe(model_version.as_deref());
        period.text(&body::word(&picked.row.of.period), 0, 0);
        probability.number(picked.probability);
        weight.number(1.0 / picked.probability);
        for (i, stratum) in picked.row.of.strata.iter().enumerate() {
            let (of_task, of_class, of) = body::names(spec, Some(*stratum));
            let repetition = i16::from(i > 0);
            task.text(of_task.unwrap_or_default(), 1, repetition);
            match of_class {
                Some(of_class) => class.text(of_class, 2, repetition),
                None => class.level(1, repetition),
            }
            by.text(&of.map(|of| body::word(&of)).unwrap_or_default(), 1, repetition);
        }
        if picked.row.of.strata.is_empty() {
            [task, class, by].into_iter().for_each(|column| column.level(0, 0));
        }
        let (labels, rest) = rest.split_at_mut(spec.tasks.len());
        let mut none = Map::new();
        let given = whole.get_mut("labels").and_then(Value::as_object_mut).unwrap_or(&mut none);
        for (task, column) in spec.tasks.iter().zip(labels) {
            push_label(task, given, column);
        }
        let text = taken(&mut whole, "input", |input| {
            taken(input.as_object_mut()?, "text", |text| text.as_str().map(str::to_owned))
        });
        rest[0].maybe(text.as_deref());
        for done in ["prediction_id", "timestamp", "replay"] {
            whole.remove(done);
        }
        whole.retain(|key, value| {
            !(matches!(key.as_str(), "model" | "labels" | "input") && value.as_object().is_some_and(Map::is_empty))
        });
        rest[1].maybe((!whole.is_empty()).then(|| Value::Object(whole).to_string()).as_deref());
    }
}

/// A label as its column's type, or nothing: then it stays in the record.
fn push_label(task: &TaskSpec, given: &mut Map<String, Value>, column: &mut Column) {
    let all: Option<Vec<&str>> = match (task.kind, given.get(&task.name)) {
        (TaskKind::Regression, Some(Value::Number(number))) if number.as_f64().is_some() => {
            column.number(number.as_f64().unwrap_or_default());
            given.remove(&task.name);
            return;
        }
        (TaskKind::Binary | TaskKind::Multiclass, Some(Value::String(class))) => {
            column.text(class, 1, 0);
            given.remove(&task.name);
            return;
        }
        (TaskKind::Multilabel | TaskKind::TokenLabels, Some(Value::Array(all))) => {
            all.iter().map(Value::as_str).collect()
        }
        _ => None,
    };
    match all {
        None => return column.level(0, 0),
        Some(all) if all.is_empty() => column.level(1, 0),
        Some(all) => all.iter().enumerate().for_each(|(i, label)| column.text(label, 2, i16::from(i > 0))),
    }
    given.remove(&task.name);
}

/// What `take` makes of a value; the value is removed if nothing of it is left.
fn taken<T>(of: &mut Map<String, Value>, key: &str, take: impl FnOnce(&mut Value) -> Option<T>) -> Option<T> {
    let value = of.get_mut(key)?;
    let found = take(value)?;
    if value.as_object().is_none_or(Map::is_empty) {
        of.remove(key);
    }
    Some(found)
}
