//! Distributions, the encoder's map, references.

use serde_json::Value;

use crate::world::{self, WINDOW, at, tallies};

fn sum(cells: &Value, field: &str) -> f64 {
    cells.as_array().expect("cells").iter().map(|cell| cell[field].as_f64().expect("a number")).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distribution_holds_every_cell_of_the_window_that_was_asked_for() {
    let world = world::start().await;
    let query = "scope=head&task=intent&signal=predicted_class";
    let (status, _, found) = world.get(&format!("models/m/distributions?{query}&start={}", at(WINDOW))).await;
    assert_eq!((status, &found["reference"]), (200, &world.reference.id.as_str().into()), "{found}");
    assert_eq!(found["start"], at(WINDOW).to_string());
    let cells = &found["cells"];
    assert_eq!((sum(cells, "current_count"), sum(cells, "reference_count")), (WINDOW as f64, 3_000.0));
    assert!((sum(cells, "current_share") - 1.0).abs() < 1e-9 && (sum(cells, "reference_share") - 1.0).abs() < 1e-9);
    let signal = world.reference.signals.iter().find(|s| s.key.signal == "predicted_class").expect("fitted");
    let stored = &tallies(&world.reference, 1).cells[signal.cells()];
    for (cell, count) in cells.as_array().expect("cells").iter().zip(stored) {
        assert_eq!(cell["current_count"], *count, "{cell}");
        let (low, high) = (cell["low"].as_f64().expect("low"), cell["high"].as_f64().expect("high"));
        let share = cell["current_share"].as_f64().expect("a share");
        assert!(0.0 <= low && low <= share && share <= high && high <= 1.0, "{cell}");
    }
    // Another window has other counts; without a start it is the latest.
    let (_, _, latest) = world.get(&format!("models/m/distributions?{query}")).await;
    assert_eq!(latest["start"], at((world::WINDOWS - 1) * WINDOW).to_string());
    assert_ne!(latest["cells"], found["cells"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_cells_are_few_and_still_whole() {
    let world = world::start().await;
    let (status, _, found) = world.get("models/m/distributions?scope=input&signal=token_distribution").await;
    assert_eq!(status, 200, "{found}");
    let cells = found["cells"].as_array().expect("cells");
    assert!((100..=400).contains(&cells.len()), "{}", cells.len());
    assert_eq!(sum(&found["cells"], "current_count"), found["n"].as_f64().expect("a number"));
    // What only a few records said has no cell of its own.
    let rare = cells.iter().filter(|cell| cell["cell"] == "rare").count();
    assert_eq!(rare, 1, "the last of {:?}", cells.last());
    for cell in cells.iter().filter(|c| c["cell"].as_str().is_some_and(|name| name.starts_with("rare tokens"))) {
        assert!(cell["current_count"].as_i64().expect("a count") >= 5, "{cell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_told() {
    let world = world::start().await;
    for (path, status) in [
        ("models/none/distributions?scope=input&signal=token_count", 404),
        ("models/m/distributions?scope=input&signal=none", 404),
        ("models/m/distributions?scope=head&task=urgency&signal=token_count", 404),
        ("models/m/distributions?scope=input&signal=token_count&start=1970-01-01T09:00:00Z", 404),
        ("models/m/distributions?scope=input&signal=token_count&start=noon", 400),
        ("models/m/distributions?scope=input&signal=token_count&grain=day", 404),
        ("models/m/distributions?scope=input", 400),
        ("models/m/map?grain=year", 400),
        ("models/none/references", 404),
    ] {
        let (found, headers, problem) = world.get(path).await;
        assert_eq!(found, status, "{path}: {problem}");
        assert_eq!(headers["content-type"], "application/problem+json", "{path}");
        assert_eq!(problem["status"], status, "{path}");
    }
    let (_, _, means) = world.get("models/m/distributions?scope=encoder&signal=encoder_mean").await;
    assert_eq!((&means["n"], &means["cells"]), (&WINDOW.into(), &serde_json::json!([])), "a mean has no cells");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_map_shows_where_records_lie() {
    let world = world::start().await;
    let (status, _, map) = world.get("models/m/map").await;
    assert_eq!(status, 200, "{map}");
    let axes = map["axes"].as_array().expect("axes");
    let cells: u64 = axes.iter().map(|axis| axis["bins"].as_u64().expect("a number")).product();
    for (side, count) in [("reference", 3_000), ("current", WINDOW)] {
        let density = map[side]["density"].as_array().expect("a density");
        assert_eq!((density.len() as u64, &map[side]["count"]), (cells, &count.into()), "{side}");
        let total: f64 = density.iter().map(|share| share.as_f64().expect("a share")).sum();
        assert!((total - 1.0).abs() < 1e-9, "{side}: {total}");
    }
    // Uniform embeddings fill the middle of what is drawn, and nothing of the reference falls outside.
    let reference: Vec<f64> =
        map["reference"]["density"].as_array().expect("a density").iter().map(|d| d.as_f64().expect("one")).collect();
    let bins = axes[0]["bins"].as_u64().expect("a number") as usize;
    assert!(reference[..bins].iter().all(|share| *share == 0.0), "the outermost row");
    assert!(reference[bins / 2 * bins + bins / 2] > 0.0, "the middle");
}

#[tokio::test(flavor = "multi_thread")]
async fn references_are_listed_with_their_use() {
    use driftd::store::{ReferenceRow, ReferenceStore as _};
    let world = world::start().await;
    let mut second = ReferenceRow::of(&world.reference, at(99));
    second.reference_id = "ref_second".into();
    world.store.activate(&second, at(99)).await.expect("activates");
    let (_, _, found) = world.get("models/m/references").await;
    let rows = found["data"].as_array().expect("a list");
    let told: Vec<_> = rows.iter().map(|r| (&r["id"], &r["active"], &r["in_use"])).collect();
    let first = Value::from(world.reference.id.as_str());
    assert_eq!(told, [(&"ref_second".into(), &true.into(), &false.into()), (&first, &false.into(), &true.into())]);
    let (_, _, model) = world.get("models/m").await;
    assert_eq!((&model["reference"]["id"], &model["reference"]["records"]), (&first, &3_000.into()));
}
