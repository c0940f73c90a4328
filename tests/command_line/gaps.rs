//! Windows without records are told: they are neither quiet nor judged.

use serde_json::{Value, json};

use super::bad_input::Scene;
use super::support::succeed;
use super::told::bare;

#[test]
fn windows_without_records_are_told() {
    let scene = Scene::new();
    let (reference, _) = scene.fit(&bare(0));
    let mut stream = bare(4);
    // A hundred a second, of which the fourth and fifth second have none.
    stream.drain(300..500);
    let told = |format: &str| succeed(scene.backtest(&reference, &stream).args(["--window", "1s", "--format", format]));
    let said = "6 windows of 1s, and 2 between them that hold no records \
                (from 2026-03-05T00:00:03Z to 2026-03-05T00:00:05Z)";
    let table = told("table");
    assert!(table.contains(said), "{table}");
    let json: Value = serde_json::from_str(&told("json")).expect("JSON");
    let longest = json!({"windows": 2, "from": "2026-03-05T00:00:03Z", "to": "2026-03-05T00:00:05Z"});
    assert_eq!(json["summary"]["without_records"], json!({"windows": 2, "longest": longest}));
    let page = told("html");
    assert!(page.contains(said) && page.contains("<title>2 windows without records</title>"));
    assert!(page.contains("00:00 UTC"), "the axis says its zone");

    let mut whole = scene.backtest(&reference, &bare(4));
    let page = succeed(whole.args(["--window", "1s", "--format", "html"]));
    assert!(page.contains("8 windows of 1s, ") && !page.contains("without records"));
}
