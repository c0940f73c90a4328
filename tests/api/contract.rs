//! No caller breaks: the document of the API against `docs/openapi.baseline.json`, the one of the last release.
//! What may be added freely is paths, optional parameters and fields of answers.

use serde_json::{Map, Value, json};

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// Two documents that are compared; everything that breaks a caller of the old one.
struct Comparison<'a> {
    old: &'a Value,
    new: &'a Value,
    breaks: Vec<String>,
}

/// Whether the caller reads a value or writes it.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Answer,
    Request,
}

/// Everything in `new` that breaks a caller of `old`.
fn breaks(old: &Value, new: &Value) -> Vec<String> {
    let mut comparison = Comparison { old, new, breaks: Vec::new() };
    for (path, methods) in members(&old["paths"]) {
        for method in METHODS.iter().filter(|method| methods.get(**method).is_some()) {
            let place = format!("{} {path}", method.to_uppercase());
            match new["paths"].get(path).and_then(|methods| methods.get(*method)) {
                Some(operation) => comparison.operation(&place, &methods[*method], operation),
                None => comparison.tell(&place, "is gone"),
            }
        }
    }
    comparison.breaks
}

impl Comparison<'_> {
    fn tell(&mut self, place: &str, what: &str) {
        self.breaks.push(format!("{place}: {what}"));
    }

    fn operation(&mut self, place: &str, old: &Value, new: &Value) {
        let key = |parameter: &Value| (parameter["in"].clone(), parameter["name"].clone());
        let (before, after) = (list(&old["parameters"]), list(&new["parameters"]));
        for parameter in after {
            let place = format!("{place}: parameter {}", parameter["name"]);
            match before.iter().find(|other| key(other) == key(parameter)) {
                None if parameter["required"] == true => self.tell(&place, "is new and required"),
                None => {}
                Some(other) => {
                    if parameter["required"] == true && other["required"] != true {
                        self.tell(&place, "has become required");
                    }
                    self.schema(&place, &other["schema"], &parameter["schema"], Side::Request, 0);
                }
            }
        }
        for parameter in before.iter().filter(|other| !after.iter().any(|new| key(new) == key(other))) {
            self.tell(&format!("{place}: parameter {}", parameter["name"]), "is gone");
        }
        if new["requestBody"]["required"] == true && old["requestBody"]["required"] != true {
            self.tell(&format!("{place}: body"), "has become required");
        }
        self.contents(&format!("{place}: body"), &old["requestBody"], &new["requestBody"], Side::Request);
        for (status, answer) in members(&old["responses"]) {
            let place = format!("{place}: answer {status}");
            match new["responses"].get(status) {
                Some(now) => self.contents(&place, answer, now, Side::Answer),
                None if status.starts_with('2') => self.tell(&place, "is gone"),
                None => {}
            }
        }
    }

    fn contents(&mut self, place: &str, old: &Value, new: &Value, side: Side) {
        for (kind, content) in members(&old["content"]) {
            match new["content"].get(kind) {
                Some(now) => self.schema(place, &content["schema"], &now["schema"], side, 0),
                None => self.tell(place, &format!("is no longer {kind}")),
            }
        }
    }

    fn schema(&mut self, place: &str, old: &Value, new: &Value, side: Side, depth: usize) {
        /// Shapes of ours that hold themselves are no deeper.
        const DEEPEST: usize = 12;
        if depth > DEEPEST {
            return;
        }
        let (old, new) = (resolved(self.old, old), resolved(self.new, new));
        let (was, is) = (types(&old), types(&new));
        // A caller reads what it knows, and writes what it knew: no more kinds of the one, no fewer of the other.
        let fits = match side {
            _ if was.is_empty() && is.is_empty() => true,
            Side::Answer => !is.is_empty() && (was.is_empty() || is.iter().all(|t| was.contains(t))),
            Side::Request => is.is_empty() || (!was.is_empty() && was.iter().all(|t| is.contains(t))),
        };
        if !fits {
            self.tell(place, &format!("was {was:?} and is {is:?}"));
        }
        let (values_were, values_are) = (list(&old["enum"]), list(&new["enum"]));
        if side == Side::Request && !values_are.is_empty() {
            for gone in values_were.iter().filter(|value| !values_are.contains(value)) {
                self.tell(place, &format!("no longer takes {gone}"));
            }
        }
        let requires = |schema: &Value, name: &str| list(&schema["required"]).iter().any(|r| r == name);
        for (name, property) in members(&old["properties"]) {
            let place = format!("{place}.{name}");
            match new["properties"].get(name) {
                None => self.tell(&place, "is gone"),
                Some(now) => {
                    if side == Side::Answer && requires(&old, name) && !requires(&new, name) {
                        self.tell(&place, "may be missing");
                    }
                    self.schema(&place, property, now, side, depth + 1);
                }
            }
        }
        if side == Side::Request {
            for name in list(&new["required"]).iter().filter_map(Value::as_str).filter(|name| !requires(&old, name)) {
                self.tell(&format!("{place}.{name}"), "has become required");
            }
        }
        if let (Some(old), Some(new)) = (old.get("items"), new.get("items")) {
            self.schema(&format!("{place}[]"), old, new, side, depth + 1);
        }
    }
}

/// A schema with its reference followed, the parts of `allOf` merged, and null beside one other shape folded in.
fn resolved(document: &Value, schema: &Value) -> Value {
    if let Some(path) = schema["$ref"].as_str() {
        return resolved(
            document,
            document.pointer(path.trim_start_matches('#')).expect("a reference to what is there"),
        );
    }
    let mut merged = schema.as_object().cloned().unwrap_or_default();
    for part in ["allOf", "oneOf", "anyOf"].iter().flat_map(|key| list(&schema[*key])) {
        let part = resolved(document, part);
        let mut kinds = types(&Value::Object(merged.clone()));
        kinds.extend(types(&part));
        kinds.sort();
        kinds.dedup();
        for key in ["properties", "required"] {
            merge(&mut merged, key, &part[key]);
        }
        for key in ["items", "enum"] {
            if let Some(value) = part.get(key) {
                merged.insert(key.to_owned(), value.clone());
            }
        }
        if !kinds.is_empty() {
            merged.insert("type".to_owned(), json!(kinds));
        }
    }
    Value::Object(merged)
}

fn merge(into: &mut Map<String, Value>, key: &str, more: &Value) {
    match (into.get_mut(key), more) {
        (Some(Value::Object(all)), Value::Object(more)) => all.extend(more.clone()),
        (Some(Value::Array(all)), Value::Array(more)) => all.extend(more.clone()),
        (None, Value::Object(_) | Value::Array(_)) => drop(into.insert(key.to_owned(), more.clone())),
        _ => {}
    }
}

fn types(schema: &Value) -> Vec<String> {
    match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all.iter().filter_map(|t| t.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn no_caller_of_the_last_release_breaks() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.baseline.json");
    let baseline: Value = serde_json::from_str(&std::fs::read_to_string(file).expect("committed")).expect("JSON");
    let now = serde_json::to_value(driftd::api::openapi()).expect("JSON");
    assert!(members(&baseline["paths"]).count() > 10, "the baseline is a whole document");
    let found = breaks(&baseline, &now);
    assert!(found.is_empty(), "callers break; add a new field or path instead:\n{}", found.join("\n"));
}

#[test]
fn what_breaks_a_caller_is_found_and_what_does_not_is_not() {
    let old = json!({
        "paths": {"/a": {"get": {
            "parameters": [{"name": "limit", "in": "query", "required": false, "schema": {"type": ["integer", "null"]}}],
            "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/s/A"}}}}, "404": {}},
        }, "post": {
            "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/s/New"}}}},
            "responses": {"200": {}},
        }}},
        "s": {
            "A": {"type": "object", "required": ["id", "of"], "properties": {
                "id": {"type": "string"},
                "of": {"oneOf": [{"type": "null"}, {"$ref": "#/s/B"}]},
                "list": {"type": "array", "items": {"type": "number"}},
            }},
            "B": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "New": {"type": "object", "properties": {"kind": {"type": "string", "enum": ["x", "y"]}}},
        },
    });
    assert_eq!(breaks(&old, &old), Vec::<String>::new());
    type Change = (&'static str, Value, &'static [&'static str]);
    let get = "/paths/~1a/get";
    let changes: [Change; 15] = [
        ("/paths/~1a/get", Value::Null, &["GET /a: is gone"]),
        ("/paths", json!({}), &["GET /a: is gone", "POST /a: is gone"]),
        ("/s/A/properties/id/type", json!("integer"), &[r#"GET /a: answer 200.id: was ["string"] and is ["integer"]"#]),
        (
            "/s/A/properties/id/type",
            json!(["string", "null"]),
            &[r#"GET /a: answer 200.id: was ["string"] and is ["string", "null"]"#],
        ),
        ("/s/A/required", json!(["of"]), &["GET /a: answer 200.id: may be missing"]),
        ("/s/B/properties", json!({}), &["GET /a: answer 200.of.name: is gone"]),
        (
            "/s/A/properties/list/items/type",
            json!("string"),
            &[r#"GET /a: answer 200.list[]: was ["number"] and is ["string"]"#],
        ),
        ("/s/New/properties/kind/enum", json!(["x"]), &["POST /a: body.kind: no longer takes \"y\""]),
        ("/s/New/required", json!(["kind"]), &["POST /a: body.kind: has become required"]),
        ("/paths/~1a/get/parameters/0/required", json!(true), &["GET /a: parameter \"limit\": has become required"]),
        ("/paths/~1a/get/parameters/0/name", json!("most"), &["GET /a: parameter \"limit\": is gone"]),
        ("/paths/~1a/get/responses/200", Value::Null, &["GET /a: answer 200: is no longer application/json"]),
        // None of these.
        ("/paths/~1a/get/responses/404", json!({"content": {}}), &[]),
        ("/s/A/properties/more", json!({"type": "string"}), &[]),
        ("/s/New/properties/kind/enum", json!(["x", "y", "z"]), &[]),
    ];
    assert!(old.pointer(get).is_some());
    for (place, value, expected) in changes {
        let mut new = old.clone();
        let (parent, key) = place.rsplit_once('/').expect("a place");
        let parent = new.pointer_mut(parent).expect("there").as_object_mut();
        match (parent, &value) {
            (Some(parent), Value::Null) if place == get => drop(parent.remove(key)),
            (Some(parent), _) => drop(parent.insert(key.to_owned(), value.clone())),
            (None, _) => panic!("{place} is no member of an object"),
        }
        assert_eq!(breaks(&old, &new), expected, "{place}");
    }
    let mut new = old.clone();
    let more = json!({"name": "since", "in": "query", "required": true, "schema": {"type": "string"}});
    new.pointer_mut("/paths/~1a/get/parameters").and_then(Value::as_array_mut).expect("a list").push(more);
    assert_eq!(breaks(&old, &new), ["GET /a: parameter \"since\": is new and required"]);
}
