//! How well tasks do, as estimates and labels say.

use driftd::drift::answer::{Answer, Confidence, Uncertainty};
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::label::{Label, LabelValue};
use driftd::drift::labelling::{LabelSignal, Stage, TaskLabels};
use driftd::drift::matured::{Kept, Tally, join};
use driftd::drift::observation::{HeadSource, Joined};
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::standing::TaskNotices;
use driftd::drift::task::{ModelSpec, TaskKind, TaskSpec};
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use driftd::store::{
    EstimateRow, JudgeStore as _, LabelChanges, ModelRow, RealisedRow, ReferenceRow, TaskRow, TaskWindow,
};
use serde_json::{Value, json};

use crate::world::{self, WINDOW, WINDOWS, World, at};

fn window(slot: i64) -> TaskWindow {
    TaskWindow { task: "intent".into(), start: at(slot * WINDOW), end: at((slot + 1) * WINDOW) }
}

fn estimate(slot: i64) -> EstimateRow {
    EstimateRow {
        of: window(slot),
        answered: 50,
        estimate: Some(0.9),
        interval: Some((0.8, 0.95)),
        macro_f1: None,
        cells: vec![],
    }
}

/// Twenty labels, each of them a window late.
fn realised(slot: i64) -> RealisedRow {
    RealisedRow {
        of: window(slot),
        labelled: 20,
        realised: Some(0.85),
        interval: Some((0.64, 0.95)),
        macro_f1: Some(0.8),
        expected: Some(0.9),
        delay_us: Some(WINDOW * 1_000_000),
        tally: Tally::default().encode(),
    }
}

/// Fewer labels than usual, since the third window.
fn unusual() -> TaskLabels {
    let coverage =
        LabelSignal { usual: 0.3, latest: Some(0.1), evidence_ratio: 0.5, changed_since: Some(at(2 * WINDOW)) };
    TaskLabels { stage: Stage::Judged, horizon_secs: Some(3_600), coverage: Some(coverage), delay: None }
}

async fn labelled(world: &World) {
    let task = TaskRow {
        task: "intent".into(),
        kind: "multiclass".into(),
        reference_labelled: 400,
        reference_loss: 0.1,
        tolerated_loss: 0.14,
        sample: 0.5,
        labels: 40,
        ln_evidence: Some(2.0),
        ln_threshold: 9.0,
        muted: false,
        notices: serde_json::to_string(&TaskNotices { labels: Some(unusual()) }).expect("JSON"),
    };
    let labels = LabelChanges {
        estimates: (0..WINDOWS).map(estimate).collect(),
        realised: (0..2).map(realised).collect(),
        tasks: vec![task],
        ..LabelChanges::default()
    };
    let judged = world::judged(&world.reference, WINDOWS, WINDOWS, Timestamp::from_micros(2_000_000_000));
    assert!(world.store.commit_judged(&driftd::store::Judged { labels, ..judged }).await.expect("judged"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_shows_its_estimate_its_labels_and_what_they_prove() {
    let world = world::start().await;
    let (status, _, nothing) = world.get("models/m/performance").await;
    assert_eq!((status, &nothing["data"]), (200, &json!([])), "a reference without labels knows nothing");
    labelled(&world).await;
    let (status, _, told) = world.get("models/m/performance").await;
    assert_eq!(status, 200, "{told}");
    let [task] = told["data"].as_array().expect("a list").as_slice() else { panic!("one task: {told}") };
    assert_eq!(
        (&task["task"], &task["metric"], &task["reference"]),
        (&json!("intent"), &json!("accuracy"), &json!(0.9))
    );
    // Half of the answers are kept, and the two oldest of four windows have had the time of two delays.
    assert_eq!((&task["label_coverage"], &task["label_delay"]), (&json!(0.8), &json!(WINDOW as f64)));
    assert_eq!((&task["harm"]["verdict"], &task["harm"]["labels"]), (&json!("insufficient_labels"), &json!(40)));
    assert!((task["harm"]["evidence_ratio"].as_f64().expect("a number") - (-7.0_f64).exp()).abs() < 1e-12);
    let coverage = json!({"usual": 0.3, "latest": 0.1, "evidence_ratio": 0.5, "changed_since": at(2 * WINDOW)});
    assert_eq!(
        task["labelling"],
        json!({"stage": "judged", "horizon_secs": 3_600, "coverage": coverage, "delay": null})
    );
    let points = task["points"].as_array().expect("windows");
    let labelled: Vec<&Value> = points.iter().map(|point| &point["labelled"]).collect();
    assert_eq!(labelled, [0, 0, 20, 20], "newest first");
    assert_eq!((&points[0]["realised"], &points[0]["estimate"]), (&Value::Null, &json!(0.9)));
    assert_eq!((&points[3]["realised"], &points[3]["realised_low"]), (&json!(0.85), &json!(0.64)));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_asked_for_as_elsewhere() {
    let world = world::start().await;
    labelled(&world).await;
    let (_, _, first) = world.get("models/m/performance?windows=1").await;
    assert_eq!(first["data"][0]["points"].as_array().map(Vec::len), Some(1));
    let before = first["data"][0]["points"][0]["start"].as_str().expect("a time");
    let (_, _, next) = world.get(&format!("models/m/performance?windows=2&before={before}")).await;
    let starts: Vec<&Value> =
        next["data"][0]["points"].as_array().expect("windows").iter().map(|p| &p["start"]).collect();
    assert_eq!(starts, [&json!(at(2 * WINDOW)), &json!(at(WINDOW))]);
    for (query, status) in [("windows=0", 400), ("windows=501", 400), ("before=yesterday", 400)] {
        assert_eq!(world.get(&format!("models/m/performance?{query}")).await.0, status, "{query}");
    }
    assert_eq!(world.get("models/none/performance").await.0, 404);
}

/// Answers of a head with two labels, and their truths: of ten records eight have the first, and two of these lack it
/// in the answer.
fn topics(second: i64) -> (Answer, LabelValue) {
    let (given, truth) = match second % 10 {
        0 | 1 => (vec![1], vec![0, 1]),
        2..=7 => (vec![0], vec![0]),
        _ => (vec![1], vec![1]),
    };
    let uncertainty = Uncertainty { margin: None, entropy: None, energy: None };
    let confidence = Confidence::Known(0.75 + 0.02 * (second % 10) as f32);
    (Answer::Labels { labels: given, confidence, uncertainty }, LabelValue::Labels(truth))
}

/// A reference of a model with such a head alone, fitted with labels.
fn with_labels() -> Reference {
    let task = TaskSpec {
        name: "topics".into(),
        kind: TaskKind::Multilabel,
        classes: vec!["billing".into(), "delivery".into()],
        threshold: 0.5,
        temperature: 1.0,
    };
    let spec = ModelSpec {
        name: "labelled".into(),
        version: "1".into(),
        tasks: vec![task],
        embedding_dimension: None,
        attributes: vec![],
        segments: None,
    };
    let record = |second: i64| {
        let (answer, truth) = topics(second);
        let label = Label { task: 0, value: Some(truth), revision: 0, at: at(second), retracted: false };
        let joined = Joined {
            input: None,
            text: None,
            attributes: vec![],
            tags: vec![],
            embedding: vec![],
            answers: vec![Some(answer)],
            skew: None,
        };
        FitRecord { time: at(second), joined, labels: vec![label] }
    };
    let mut records: Vec<FitRecord> = (0..1_000).map(record).collect();
    let window = WindowRule::Time(Span::from_secs(WINDOW));
    let (heads, kind) = (HeadSource::Predictions, ReferenceKind::Fixed);
    fit(&Plan { spec: &spec, heads, window, kind, token: &|_| None }, &mut records).expect("enough").reference
}

#[tokio::test(flavor = "multi_thread")]
async fn a_multi_label_head_is_told_label_by_label_over_the_windows_shown() {
    let world = world::start().await;
    let reference = with_labels();
    let performance = reference.performance_of(0).expect("it has labels");
    let model = ModelRow {
        name: "labelled".into(),
        version: "1".into(),
        reference_id: reference.id.clone(),
        budget: "1/30d".into(),
        threshold: 8_640.0,
        window_us: WINDOW * 1_000_000,
        embedding_dimension: None,
        tasks: r#"[{"name":"topics","kind":"multilabel","classes":2}]"#.into(),
        examples: 0,
        inference: None,
    };
    let row = ReferenceRow::of(&reference, at(10));
    world.store.register(&model, &row, at(10)).await.expect("registered");
    let of = |slot: i64| TaskWindow { task: "topics".into(), ..window(slot) };
    let estimate = |slot: i64| {
        let mut cells = vec![0; performance.width()];
        (0..WINDOW).for_each(|second| performance.fold(&observed(topics(second).0), &mut cells));
        let estimate = performance.estimate(&cells).expect("there are answers");
        EstimateRow {
            of: of(slot),
            answered: estimate.n,
            estimate: Some(estimate.accuracy),
            interval: Some(estimate.interval),
            macro_f1: estimate.macro_f1,
            cells: performance.kept_cells(&cells),
        }
    };
    let realised = |slot: i64, records: i64| {
        let mut tally = Tally::default();
        for second in 0..records {
            let (answer, truth) = topics(second);
            let kept = Kept::of(&reference, &[Some(answer)]).expect("the head is known");
            let label = Label { task: 0, value: Some(truth), revision: 0, at: at(second), retracted: false };
            tally.apply(&join(&kept, at(second), at(slot * WINDOW), label, 1.0).expect("it is answered"));
        }
        RealisedRow { of: of(slot), labelled: records, tally: tally.encode(), ..self::realised(slot) }
    };
    let task = TaskRow {
        task: "topics".into(),
        kind: "multilabel".into(),
        reference_labelled: 1_000,
        reference_loss: 0.2,
        tolerated_loss: 0.24,
        sample: 1.0,
        labels: 60,
        ln_evidence: None,
        ln_threshold: 9.0,
        muted: false,
        notices: "{}".into(),
    };
    let labels = LabelChanges {
        estimates: (0..3).map(estimate).collect(),
        realised: vec![realised(0, 50), realised(1, 10)],
        tasks: vec![task],
        ..LabelChanges::default()
    };
    let judged = world::judged(&world.reference, 0, 0, at(2_000));
    let (model, reference_id) = ("labelled".to_owned(), reference.id.clone());
    let judged = driftd::store::Judged { labels, model, reference_id, report: None, statistics: vec![], ..judged };
    assert!(world.store.commit_judged(&judged).await.expect("judged"));

    let (status, _, told) = world.get("models/labelled/performance").await;
    assert_eq!(status, 200, "{told}");
    let labels = told["data"][0]["labels"].as_array().expect("a list");
    assert_eq!((&labels[0]["label"], &labels[1]["label"], labels.len()), (&json!("billing"), &json!("delivery"), 2));
    let (billing, delivery) = (&labels[0], &labels[1]);
    // Eight of ten have the first: 800 in the reference, 48 of the 60 that were labelled in the two windows.
    assert_eq!((&billing["reference"]["support"], &billing["realised"]["support"]), (&json!(800.0), &json!(48.0)));
    assert_eq!(
        (&billing["realised"]["precision"]["value"], &billing["realised"]["recall"]["value"]),
        (&json!(1.0), &json!(0.75))
    );
    assert_eq!(&delivery["realised"]["f1"]["value"], &json!(1.0));
    // Given to 30 of 50 answers in each of three windows; a quarter of those that have it lack it.
    assert_eq!(&billing["estimated"]["given"], &json!(90.0));
    let estimated = billing["estimated"]["recall"]["value"].as_f64().expect("a number");
    assert!((0.7..0.8).contains(&estimated), "{billing}");
    for figures in [&billing["estimated"]["f1"], &billing["realised"]["f1"], &billing["reference"]["f1"]] {
        let of = |key: &str| figures[key].as_f64().expect("a number");
        assert!(of("low") < of("value") && of("value") < of("high"), "{figures}");
    }

    let (_, _, newest) = world.get("models/labelled/performance?windows=1").await;
    let billing = &newest["data"][0]["labels"][0];
    assert_eq!((&billing["realised"], &billing["estimated"]["given"]), (&Value::Null, &json!(30.0)));
    let (_, _, others) = world.get("models/m/performance").await;
    assert!(others["data"].as_array().expect("a list").iter().all(|task| task["labels"] == json!([])));
}

fn observed(answer: Answer) -> driftd::drift::observation::Observation {
    let joined = Joined {
        input: None,
        text: None,
        attributes: vec![],
        tags: vec![],
        embedding: vec![],
        answers: vec![Some(answer)],
        skew: None,
    };
    joined.observe(driftd::drift::geometry::Place::Absent, &[])
}
