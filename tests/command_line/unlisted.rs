//! Values that the reference never saw, told by name.

use serde_json::{Value, json};

use super::bad_input::Scene;
use super::support::succeed;
use super::told::bare;

/// Records with two plans, two channels and amounts; `change` is told each one's number.
fn with_values(mut records: Vec<Value>, change: impl Fn(usize, &mut Value)) -> Vec<Value> {
    for (i, record) in records.iter_mut().enumerate() {
        record["tags"] = json!({"channel": if i % 3 == 0 { "voice" } else { "app" }});
        record["attributes"] =
            json!({"plan": if i % 2 == 0 { "basic" } else { "other" }, "amount": (i * 37 % 101) as f64});
        change(i, record);
    }
    records
}

#[test]
fn new_values_are_told_by_their_names() {
    let attributes = "attributes:\n  - {name: plan, kind: categorical}\n  - {name: amount, kind: numeric}\n";
    let scene = Scene::with_manifest(|example| example + attributes);
    let (reference, _) = scene.fit(&with_values(bare(0), |_, _| ()));
    let stream = with_values(bare(4), |i, record| match (i >= 400, i % 5) {
        (true, 0) => record["attributes"]["plan"] = json!("trial"),
        (true, 1) => record["tags"]["channel"] = json!("fax"),
        (true, 2) => record["attributes"]["amount"] = json!("12 EUR"),
        (true, 3) => record["outputs"]["intent"] = json!({"kind": "multiclass", "label": "farewell"}),
        _ => (),
    });
    let told = scene.judge(&reference, &stream);
    let cells = |window: usize, signal: &str| -> Vec<String> {
        let all = told["windows"][window]["statistics"].as_array().expect("statistics");
        let own = all.iter().find(|s| s["signal"] == signal && s["segment"].is_null()).expect("the signal");
        own["movers"].as_array().expect("movers").iter().map(|mover| mover["cell"].to_string()).collect()
    };
    let page = succeed(scene.backtest(&reference, &stream).args(["--format", "html"]));
    assert!(page.contains("<td>other: farewell<td>0.00 %<td>"), "it is among the strongest of the alert");
    for (signal, name) in [
        // A plan is called `other` itself.
        ("attribute_plan", "any other: trial"),
        ("attribute_amount", "not a number: 12 EUR"),
        ("segment_mix_channel", "other: fax"),
        ("predicted_class", "other: farewell"),
    ] {
        let quoted = format!("\"{name}\"");
        assert!(cells(12, signal).contains(&quoted), "{signal}: {:?}", cells(12, signal));
        assert!(!cells(3, signal).iter().any(|cell| cell.contains(": ")), "{signal}: {:?}", cells(3, signal));
    }
}
