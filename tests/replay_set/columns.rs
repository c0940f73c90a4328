//! A set as Parquet holds what it holds as JSON lines.

use std::fs::File;
use std::path::Path;

use driftd::drift::time::Timestamp;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::printer::print_schema;
use serde_json::{Map, Value, json};

use super::support::succeed;
use super::{ALARM, World, sha256};

/// A field of a row as JSON; `Null` where it is null.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Str(text) => json!(text),
        Field::Double(number) => json!(number),
        Field::TimestampMicros(at) => json!(Timestamp::from_micros(*at)),
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        other => panic!("no column is of this type: {other}"),
    }
}

/// A group without its nulls.
fn object(row: &Row) -> Map<String, Value> {
    let all = row.get_column_iter().map(|(name, field)| (name.clone(), value(field)));
    all.filter(|(_, value)| !value.is_null()).collect()
}

/// The lines that a file of Parquet was made of: its columns, put back into what is left of each record.
fn lines(file: &Path) -> (String, Vec<Value>) {
    let reader = SerializedFileReader::new(File::open(file).expect("a file")).expect("Parquet");
    let mut schema = Vec::new();
    print_schema(&mut schema, reader.metadata().file_metadata().schema());
    let line = |row: Row| {
        let mut row = object(&row);
        let left = row.remove("record").map_or_else(|| "{}".to_owned(), |r| r.as_str().expect("text").to_owned());
        let mut line: Map<String, Value> = serde_json::from_str(&left).expect("JSON");
        if let Some(text) = row.remove("text") {
            row.insert("input".to_owned(), json!({"text": text}));
        }
        for (key, part) in row {
            match (line.get_mut(&key).and_then(Value::as_object_mut), part) {
                (Some(there), Value::Object(part)) => there.extend(part),
                (None, part) if part.as_object().is_none_or(|p| !p.is_empty()) => {
                    line.insert(key, part);
                }
                _ => {}
            }
        }
        Value::Object(line)
    };
    let rows = reader.get_row_iter(None).expect("rows").map(|row| line(row.expect("a row"))).collect();
    (String::from_utf8(schema).expect("UTF-8"), rows)
}

/// Strata without a class have `null` in JSON and nothing in a column; a time may be written in several ways.
fn alike(mut line: Value) -> Value {
    for stratum in line["replay"]["strata"].as_array_mut().expect("strata") {
        stratum.as_object_mut().expect("a stratum").retain(|_, value| !value.is_null());
    }
    let at = Timestamp::parse(line["timestamp"].as_str().expect("a time"));
    line["timestamp"] = json!(at.expect("a time"));
    line
}

#[test]
fn columns_hold_what_lines_hold() {
    let world = World::new();
    let labelled = world.records.iter().enumerate().map(|(i, record)| {
        let mut record = record.clone();
        match i % 6 {
            0 => record["labels"] = json!({"intent": "refund", "mood": "calm", "urgency": 0.25}),
            1 => record["labels"] = json!({"topics": ["billing", "product"], "intent": "of tomorrow"}),
            2 => record["labels"] = json!({"topics": [], "entities": ["O", "O"], "unheard of": {"a": 1}}),
            3 => record["labels"] = json!({"topics": ["billing", "of tomorrow"], "mood": ["angry"]}),
            _ => {}
        }
        if i % 7 == 0 {
            record["input"]["language"] = json!("en");
            record["timestamp"] = json!(record["timestamp"].as_str().expect("a time").replace('Z', "+00:00"));
        }
        record
    });
    let whole = world.write("labelled.jsonl", labelled);
    let later = world.labels();
    let later = ["--labels", later.to_str().expect("UTF-8")];
    let rule = ["--size", "600", "--seed", "s"];
    let alarm = ["--alarm-from", ALARM.0, "--alarm-to", ALARM.1];
    for (name, more) in [
        ("names", [&rule[..], &alarm, &later].concat()),
        ("texts", [&rule[..], &alarm, &["--with-text"]].concat()),
        ("reference", vec!["--reference", "--labels", later[1]]),
    ] {
        succeed(&mut world.draw(name, &[&whole], &more));
        let columns = format!("{name}.parquet");
        succeed(&mut world.draw(&columns, &[&whole], &[&more[..], &["--format", "parquet"]].concat()));
        let (mut manifest, rows, _) = world.set(name);
        let file = world.path(&columns).join("records.parquet");
        let (schema, back) = lines(&file);
        assert_eq!((back.len(), rows.len() > 100), (rows.len(), true), "{name}");
        for (row, back) in rows.into_iter().zip(back) {
            assert_eq!(alike(row), alike(back), "{name}");
        }
        for column in [
            "REQUIRED BYTE_ARRAY prediction_id (STRING);",
            "REQUIRED INT64 timestamp (TIMESTAMP(MICROS,true));",
            "REQUIRED DOUBLE weight;",
            "OPTIONAL BYTE_ARRAY intent (STRING);",
            "OPTIONAL group topics (LIST)",
            "OPTIONAL DOUBLE urgency;",
            "OPTIONAL BYTE_ARRAY record (JSON);",
        ] {
            assert!(schema.contains(column), "{column} in\n{schema}");
        }
        // The manifest says the same, but for the file.
        let bytes = std::fs::read(&file).expect("a file");
        let text = std::fs::read_to_string(world.path(&columns).join("manifest.json")).expect("a manifest");
        let mut told: Value = serde_json::from_str(&text).expect("JSON");
        let (lines, file) = (manifest["files"].take(), told["files"].take());
        assert_eq!(told, manifest);
        let expected = json!([{"name": "records.parquet", "format": "parquet", "rows": lines[0]["rows"],
            "bytes": bytes.len(), "sha256": sha256(&bytes)}]);
        assert_eq!(file, expected);
    }
    // Order and split change no byte.
    let lines: Vec<Value> = std::fs::read_to_string(&whole)
        .expect("records")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let odd = world.write("odd.jsonl", lines.iter().rev().step_by(2).cloned());
    let even = world.write("even.jsonl", lines.iter().rev().skip(1).step_by(2).cloned());
    let more = [&rule[..], &alarm, &["--with-text", "--format", "parquet"]].concat();
    succeed(&mut world.draw("again", &[&odd, &even], &more));
    for file in ["records.parquet", "manifest.json"] {
        let read = |set: &str| std::fs::read(world.path(set).join(file)).expect("a file");
        assert!(read("again") == read("texts.parquet"), "{file}");
    }
}
