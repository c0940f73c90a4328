use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::f16;

use super::*;
use crate::drift::answer::{Answer, Confidence, Uncertainty};
use crate::drift::label::{Label, LabelValue};
use crate::drift::task::{TaskKind, TaskSpec};

fn spec() -> Arc<ModelSpec> {
    let task = |name: &str, kind, classes: &[&str]| TaskSpec {
        name: name.into(),
        kind,
        classes: classes.iter().map(|c| (*c).to_owned()).collect(),
        threshold: 0.5,
        temperature: 1.0,
    };
    Arc::new(ModelSpec {
        name: "support-mtl".into(),
        version: "12".into(),
        tasks: vec![
            task("intent", TaskKind::Multiclass, &["refund", "delivery", "cancel", "other"]),
            task("sentiment", TaskKind::Multiclass, &["negative", "neutral", "positive"]),
            task("topics", TaskKind::Multilabel, &["billing", "tech"]),
            task("ner", TaskKind::TokenLabels, &["O", "B-OBJ"]),
            task("urgency", TaskKind::Regression, &[]),
        ],
        embedding_dimension: Some(4),
        attributes: Vec::new(),
        segments: None,
    })
}

fn decode(json: &str) -> Result<Record, Rejected> {
    let far = Timestamp::from_micros(i64::MAX);
    NativeDecoder::new(vec![spec()], 1 << 20).decode(json.as_bytes(), Some(Timestamp::from_micros(7)), far)
}

fn with_outputs(outputs: &str) -> Result<Vec<Option<Answer>>, Rejected> {
    decode(&format!(r#"{{"model":{{"name":"support-mtl"}},"outputs":{outputs}}}"#)).map(|r| r.answers)
}

const PREDICTION: &str = r#"{"schema":"prediction/v1","prediction_id":"7f0c","timestamp":"2026-11-22T10:15:30.5Z",
 "model":{"name":"support-mtl","version":"12","digest":"sha256:9c"},"environment":"prod","sampled_rate":10,
 "tags":{"channel":"email"},"input":{"text":"Where is my \"refund\"?","text_pair":null,"language":"en"},
 "embedding":{"name":"cls","dtype":"f32","dim":4,"data_b64":"zczMPc3MTD6amZm+zczMPg=="},
 "outputs":{"intent":{"kind":"multiclass","label":"refund","scores":{"refund":0.93,"delivery":0.02,"cancel":0.01,"other":0.04}},
  "sentiment":{"kind":"multiclass","label":"negative","logits":[1.2,0.1,-1.0]},
  "topics":{"kind":"multilabel","labels":["billing"],"scores":{"billing":0.81,"tech":0.07}},
  "ner":{"kind":"token_labels","labels":["O","B-OBJ"],"offsets":[[0,5],[6,8]],"scores":[0.99,0.88]},
  "urgency":{"kind":"regression","value":0.37}}}"#;

#[test]
fn a_whole_prediction_is_read() {
    let record = decode(PREDICTION).expect("valid");
    assert_eq!(record.time.to_string(), "2026-11-22T10:15:30.5Z");
    assert_eq!(record.text.expect("has a text").text, "Where is my \"refund\"?");
    assert_eq!(record.embedding.expect("has one"), [0.1, 0.2, -0.3, 0.4]);
    let Some(Answer::Class { class: 0, confidence: Confidence::Known(0.93), uncertainty }) = record.answers[0] else {
        panic!("{:?}", record.answers[0])
    };
    assert!((uncertainty.margin.expect("has scores") - 0.89).abs() < 1e-6);
    let entropy = [0.93_f32, 0.02, 0.01, 0.04].iter().map(|p| -p * p.ln()).sum::<f32>();
    assert!((uncertainty.entropy.expect("has scores") - entropy).abs() < 1e-5);
    assert!(matches!(&record.answers[2],
        Some(Answer::Labels { labels, confidence: Confidence::Known(0.81), .. }) if labels == &[0]));
    assert!(matches!(&record.answers[3], Some(Answer::Tokens { labels, .. }) if labels == &[0, 1]));
    assert_eq!(record.answers[4], Some(Answer::Value(0.37)));
}

#[test]
fn null_is_no_answer_and_no_tag() {
    let record = decode(
        r#"{"model":{"name":"support-mtl"},"tags":{"channel":null,"locale":"de"},
            "outputs":{"intent":null,"urgency":{"value":0.5}}}"#,
    )
    .expect("valid");
    assert_eq!(record.tags, [("locale".to_owned(), "de".to_owned())]);
    assert_eq!(record.answers, [None, None, None, None, Some(Answer::Value(0.5))]);
    assert_eq!(with_outputs(r#"{"intent":null}"#).expect("says that no head answered"), vec![None; 5]);
}

#[test]
fn the_published_fixtures_are_read() {
    for name in ["native_prediction.json", "native_label.json"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures").join(name);
        // A clone of the project alone has no fixtures beside it; the same content is in this file.
        let Ok(text) = std::fs::read_to_string(path) else { continue };
        decode(&text).unwrap_or_else(|rejected| panic!("{name}: {rejected}"));
    }
}

#[test]
fn numbers_that_do_not_fit_the_classes_are_told_with_their_number() {
    for outputs in [
        r#"{"sentiment":{"scores":[0.3,0.7]}}"#,
        r#"{"sentiment":{"logits":[1.0,2.0,3.0,4.0]}}"#,
        r#"{"topics":{"kind":"multilabel","scores":[0.1]}}"#,
    ] {
        let refused = with_outputs(outputs).expect_err("a number too few or too many").to_string();
        assert!(refused.contains("are not one number for each of the manifest's"), "{outputs}: {refused}");
    }
}

#[test]
fn one_logit_of_a_binary_head_stands_for_a_zero_and_itself() {
    let of = |kind, output: &str| {
        let classes = vec!["calm".to_owned(), "angry".to_owned()];
        let task = TaskSpec { name: "mood".into(), kind, classes, threshold: 0.5, temperature: 2.0 };
        let spec = ModelSpec { tasks: vec![task], ..(*spec()).clone() };
        let json = format!(r#"{{"model":{{"name":"support-mtl"}},"outputs":{{"mood":{output}}}}}"#);
        NativeDecoder::new(vec![Arc::new(spec)], 1 << 20)
            .decode(json.as_bytes(), Some(Timestamp::from_micros(7)), Timestamp::from_micros(i64::MAX))
            .map(|record| record.answers)
    };
    let expected = of(TaskKind::Binary, r#"{"logits":[0,1.5]}"#).expect("two logits");
    assert!(matches!(expected[0], Some(Answer::Class { class: 1, .. })), "{expected:?}");
    assert_eq!(of(TaskKind::Binary, r#"{"logits":[1.5]}"#).expect("one logit"), expected);
    // The probability may be that of the second class or of the answer.
    for (kind, output) in [(TaskKind::Binary, r#"{"scores":[0.9]}"#), (TaskKind::Multiclass, r#"{"logits":[1.5]}"#)] {
        let refused = of(kind, output).expect_err("one number for two classes").to_string();
        assert!(refused.contains("are not one number for each of the manifest's 2 classes"), "{output}: {refused}");
    }
}

#[test]
fn numbers_come_named_listed_or_packed() {
    let f32s = BASE64.encode([0.1_f32, 0.7, 0.2].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    let f16s =
        BASE64.encode([0.1_f32, 0.7, 0.2].iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect::<Vec<u8>>());
    for scores in [
        r#"{"neutral":0.7,"positive":0.2}"#.to_owned(),
        "[0.1,0.7,0.2]".to_owned(),
        format!("\"{f32s}\""),
        format!("\"{f16s}\""),
    ] {
        let answers = with_outputs(&format!(r#"{{"sentiment":{{"scores":{scores}}}}}"#)).expect("valid");
        let Some(Answer::Class { class: 1, confidence: Confidence::Known(p), .. }) = answers[1] else {
            panic!("{answers:?}")
        };
        assert!((p - 0.7).abs() < 1e-3);
    }
}

#[test]
fn a_subset_of_tasks_and_unknown_classes_are_fine() {
    let answers = with_outputs(r#"{"intent":{"label":"quantum"}}"#).expect("valid");
    assert_eq!(
        answers[0],
        Some(Answer::Class { class: 4, confidence: Confidence::Absent, uncertainty: Uncertainty::default() }),
        "`other` is one past the last"
    );
    assert_eq!(answers[1..], [None, None, None, None]);
}

#[test]
fn what_cannot_be_a_probability_is_invalid_not_refused() {
    let nan = BASE64.encode([f32::NAN, 0.5, 0.5].iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>());
    for scores in ["[0.9,0.9,0.9]", "[2,-1,0]", r#"{"neutral":1.7}"#, &format!("\"{nan}\"")] {
        let answers =
            with_outputs(&format!(r#"{{"sentiment":{{"label":"neutral","scores":{scores}}}}}"#)).expect("valid");
        let Some(Answer::Class { class: 1, confidence, .. }) = answers[1] else { panic!("{answers:?}") };
        assert_eq!(confidence, Confidence::Invalid, "{scores}");
    }
}

#[test]
fn labels_of_every_kind_are_read() {
    let values = |body: &str| {
        let record = decode(&format!(r#"{{"timestamp":"2026-11-24T08:00:00Z","prediction_id":"a",{body}}}"#));
        record.expect("valid").labels.into_iter().map(|l| (l.task, l.value)).collect::<Vec<_>>()
    };
    use LabelValue::{Labels, Tokens, Unknown, Value};
    let beside = r#""model":{"name":"support-mtl"},"labels":{"intent":"gone","topics":["tech","billing"],
        "ner":["O","B-OBJ"],"urgency":0.5,"sentiment":7}"#;
    assert_eq!(
        values(beside),
        [
            (0, Some(Unknown)),
            (2, Some(Labels(vec![0, 1]))),
            (3, Some(Tokens(vec![0, 1]))),
            (4, Some(Value(0.5))),
            (1, Some(Unknown)),
        ]
    );
    // A set with one such name says nothing as a whole, and a list is no class.
    let odd = r#""labels":{"topics":["tech","Billing"],"ner":["O","X"],"intent":["refund"],"sentiment":true}"#;
    assert_eq!(values(odd), [(2, Some(Unknown)), (3, Some(Unknown)), (0, None), (1, Some(Unknown))]);
    let record = decode(&format!(r#"{{"timestamp":"2026-11-24T08:00:00Z","prediction_id":"a",{odd}}}"#));
    let names = [(2, "Billing".into()), (3, "X".into()), (1, "true".into())];
    assert_eq!(record.expect("valid").unknown_labels, names);
    assert_eq!(values(r#""task":"topics","labels":[]"#), [(2, Some(Labels(vec![])))]);
    assert_eq!(values(r#""task":"urgency","label":null,"value":2"#), [(4, Some(Value(2.0)))]);
    let flat = decode(
        r#"{"prediction_id":"a","task":"intent","label":"cancel","labeled_at":1795420800000000,"__deleted":"true"}"#,
    );
    let flat = flat.expect("a flattened row");
    assert_eq!((flat.time.to_string().as_str(), flat.labels[0].retracted), ("2026-11-23T08:00:00Z", true));
}

#[test]
fn rows_of_labels_come_in_envelopes() {
    let row = r#"{"prediction_id":"7f","task":"intent","label":"refund","labeled_at":1795420800000000,"revision":2}"#;
    let origin = r#"{"connector":"postgresql","ts_ms":1795420900123}"#;
    let bare = |op: &str, before: &str, after: &str| {
        format!(r#"{{"before":{before},"after":{after},"source":{origin},"op":"{op}","ts_ms":1795420900456}}"#)
    };
    let wrapped = |payload: &str| format!(r#"{{"schema":{{"type":"struct","fields":[]}},"payload":{payload}}}"#);
    // One that is written, changed and deleted in one moment: in this order.
    for (envelope, retracted, at) in [
        (bare("c", "null", row), false, "2026-11-23T08:01:40.123Z"),
        (bare("r", "null", row), false, "2026-11-23T08:01:40.123Z"),
        (bare("u", row, row), false, "2026-11-23T08:01:40.123001Z"),
        (bare("d", row, "null"), true, "2026-11-23T08:01:40.123002Z"),
        (wrapped(&bare("d", row, "null")), true, "2026-11-23T08:01:40.123002Z"),
        (wrapped(&bare("c", "null", row)), false, "2026-11-23T08:01:40.123Z"),
    ] {
        let record = decode(&envelope).expect("an envelope");
        let at = Timestamp::parse(at).expect("a time");
        let value = Some(LabelValue::Class(0));
        assert_eq!((record.id.as_deref(), record.time), (Some("7f"), at), "{envelope}");
        assert_eq!(record.labels, [Label { task: 0, value, revision: 2, at, retracted }], "{envelope}");
    }
    for (envelope, reason) in [
        (bare("d", "null", "null"), RejectReason::InvalidShape),
        (bare("t", "null", "null"), RejectReason::InvalidShape),
        (wrapped("null"), RejectReason::Empty),
        (wrapped("3"), RejectReason::InvalidShape),
    ] {
        assert_eq!(decode(&envelope).expect_err("no label").reason, reason, "{envelope}");
    }
}

#[test]
fn labels_and_inputs_stand_alone() {
    let label = decode(
        r#"{"schema":"label/v1","prediction_id":"a","task":"intent","label":"refund","labeled_at":"2026-11-24T08:00:00Z"}"#,
    );
    let label = label.expect("valid");
    let expected = Label { task: 0, value: Some(LabelValue::Class(0)), revision: 0, at: label.time, retracted: false };
    assert_eq!(label.labels, [expected]);
    let several = decode(
        r#"{"schema":"label/v1","prediction_id":"a","labels":{"intent":"refund","urgency":2},"revision":3,"labeled_at":"2026-11-24T08:00:00Z"}"#,
    );
    let several = several.expect("several tasks in one label").labels;
    let told: Vec<_> = several.iter().map(|l| (l.task, l.value.clone(), l.revision)).collect();
    assert_eq!(told, [(0, Some(LabelValue::Class(0)), 3), (4, Some(LabelValue::Value(2.0)), 3)]);
    let none = decode(r#"{"schema":"label/v1","prediction_id":"a","labels":{},"labeled_at":"2026-11-24T08:00:00Z"}"#);
    assert_eq!(none.expect_err("no task").reason, RejectReason::UnknownTask);
    let input = decode(r#"{"schema":"input/v1","model":{"name":"support-mtl"},"input":{"text":""}}"#)
        .expect("an empty text is a text");
    assert_eq!(input.time, Timestamp::from_micros(7), "Kafka's time stands in");
}

#[test]
fn another_version_and_unknown_tasks_are_marked() {
    let record =
        decode(r#"{"model":{"name":"support-mtl","version":"13"},"outputs":{"mood":{"label":"x"}}}"#).expect("valid");
    assert_eq!((record.version, record.unknown_tasks), (VersionMatch::Other("13".into()), 1));
}

#[test]
fn classes_that_no_manifest_names_are_kept_by_name() {
    let record = decode(
        r#"{"model":{"name":"support-mtl"},"outputs":{"intent":{"label":"odd"},"urgency":{"value":1}},"input":{"text":""}}"#,
    );
    assert_eq!(record.expect("valid").unknown_classes, [(0, "odd".into())]);
    let known = decode(r#"{"model":{"name":"support-mtl"},"outputs":{"intent":{"label":"refund"}}}"#);
    assert_eq!(known.expect("valid").unknown_classes, []);
}

#[test]
fn a_shape_that_is_not_the_formats_is_told_by_its_field() {
    let start = r#"{"model":{"name":"support-mtl"},"timestamp":"2026-11-24T08:00:00Z","#;
    let mut wrong = Vec::new();
    for (json, told) in [
        (
            r#"{"model":{"name":"support-mtl","version":1}}"#.to_owned(),
            "`model.version`: expected a string, at column 42",
        ),
        (format!(r#"{start}"outputs":{{"intent":{{"label":3}}}}}}"#), "`outputs.intent.label`: expected a string, "),
        (format!(r#"{start}"embedding":{{"dtype":"f32"}}}}"#), "`embedding`: it has no `data_b64`, "),
        (
            format!(r#"{start}"embedding":"AAAA"}}"#),
            "`embedding`: expected an array of numbers, or `dtype` and `data_b64`, ",
        ),
        (
            format!(r#"{start}"labeled_at":"2026-11-24T08:00:00Z"}}"#),
            "`timestamp`, which `labeled_at` is another name of, ",
        ),
        (format!(r#"{start}"revision":"2"}}"#), "`revision`: expected a whole number, "),
        (format!("{start}\n\"input\":[]}}"), "`input`: expected an object, at line 2 of the record"),
        (r#"[]"#.to_owned(), "expected an object, at column 2"),
    ] {
        let refused = decode(&json).expect_err(&json);
        assert_eq!(refused.reason, RejectReason::InvalidShape, "{json}");
        wrong.extend((!refused.detail.contains(told)).then(|| format!("{json}: {}", refused.detail)));
    }
    assert_eq!(wrong, Vec::<String>::new());
    for (json, told) in [
        (format!(r#"{start}"outputs":{{"urgency":{{"value":NaN}}}}}}"#), "JSON knows no `NaN`, which Python writes"),
        (format!(r#"{start}"embedding":[0.5, NaN]}}"#), "JSON knows no `NaN`"),
        (format!(r#"{start}"attributes":{{"amount":-Infinity}}}}"#), "Infinity`, which Python writes"),
        (format!(r#"{start}"tags":{{"channel":None}}}}"#), ""),
    ] {
        let refused = decode(&json).expect_err(&json);
        let only_place = told.is_empty() && refused.detail.starts_with("at column") && !refused.detail.contains(':');
        let is_right = only_place || !told.is_empty() && refused.detail.contains(told);
        assert!(refused.reason == RejectReason::InvalidJson && is_right, "{json}: {}", refused.detail);
    }
    // What people wrote is not told, be it a value or a name.
    let secret = r#"{"model":{"name":"support-mtl"},"tags":{"call me, expected 5":{}},"input":{"text":"mine"}}"#;
    let detail = decode(secret).expect_err("no string").detail;
    assert!(detail.contains("`tags.…`: expected a string") && !detail.contains("call"), "{detail}");
}

#[test]
fn a_time_without_a_zone_is_told_by_its_name() {
    for (json, told) in [
        (
            r#"{"prediction_id":"a","task":"intent","label":"refund","labeled_at":"2026-11-24T08:00:00"}"#,
            "`labeled_at` (or",
        ),
        (r#"{"prediction_id":"a","labels":{"intent":"refund"},"labeled_at":"2026-11-24"}"#, "`labeled_at` (or"),
        (
            r#"{"model":{"name":"support-mtl"},"timestamp":"2026-11-24T08:00:00","input":{"text":"x"}}"#,
            "`timestamp` is no",
        ),
    ] {
        let refused = decode(json).expect_err(json);
        let is_told = refused.detail.starts_with(told) && refused.detail.contains("with its zone, such as 2026-");
        assert!(refused.reason == RejectReason::NoTime && is_told, "{json}: {}", refused.detail);
    }
}

#[test]
fn whether_classes_follow_from_scores_is_noted() {
    let noted = |outputs: &str| {
        let json = format!(r#"{{"model":{{"name":"support-mtl"}},"outputs":{outputs}}}"#);
        decode(&json).expect("valid").score_order
    };
    let of = |follows: Option<bool>| {
        let mut order = ScoreOrder::default();
        follows.into_iter().for_each(|follows| order.note(1, follows));
        order
    };
    for (output, follows) in [
        (r#"{"label":"neutral","scores":[0.1,0.7,0.2]}"#, Some(true)),
        (r#"{"label":"neutral","scores":[0.7,0.1,0.2]}"#, Some(false)),
        (r#"{"label":"neutral","logits":[7,1,2]}"#, Some(false)),
        // Named scores stand in no order, and one of both can be no other than itself.
        (r#"{"label":"neutral","scores":{"negative":0.7,"neutral":0.1}}"#, None),
        (r#"{"label":"neutral"}"#, None),
        (r#"{"scores":[0.7,0.1,0.2]}"#, None),
    ] {
        assert_eq!(noted(&format!(r#"{{"sentiment":{output}}}"#)), of(follows), "{output}");
    }
}

#[test]
fn each_refusal_has_its_reason() {
    // What nobody asked for is skipped without recursion; what is read has a limit of depth.
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep = format!("{{\"x\":{nested}}}");
    let deep_embedding = format!("{{\"embedding\":{nested}}}");
    for (json, reason) in [
        ("", RejectReason::Empty),
        ("{\"model\":", RejectReason::InvalidJson),
        ("NaN", RejectReason::InvalidJson),
        (&deep, RejectReason::NothingInIt),
        (&deep_embedding, RejectReason::InvalidShape),
        ("[]", RejectReason::InvalidShape),
        (r#"{"model":7}"#, RejectReason::InvalidShape),
        (r#"{"model":{"name":"else"},"input":{"text":"x"}}"#, RejectReason::UnknownModel),
        (r#"{"model":{"name":"support-mtl"}}"#, RejectReason::NothingInIt),
        (r#"{"model":{"name":"support-mtl"},"timestamp":"soon","input":{"text":"x"}}"#, RejectReason::NoTime),
        (r#"{"task":"weather","label":"x"}"#, RejectReason::UnknownTask),
        (
            r#"{"model":{"name":"support-mtl"},"outputs":{"intent":{"kind":"regression","value":1}}}"#,
            RejectReason::WrongKind,
        ),
        (r#"{"model":{"name":"support-mtl"},"outputs":{"intent":{"scores":[0.5,0.5]}}}"#, RejectReason::WrongKind),
        (r#"{"model":{"name":"support-mtl"},"outputs":{"urgency":{}}}"#, RejectReason::WrongKind),
        (r#"{"model":{"name":"support-mtl"},"outputs":{"urgency":{"value":1e999}}}"#, RejectReason::InvalidJson),
        (r#"{"model":{"name":"support-mtl"},"embedding":{"dtype":"f32","data_b64":"x"}}"#, RejectReason::InvalidShape),
    ] {
        let found = decode(json).expect_err(json).reason;
        assert_eq!(found, reason, "{}", &json[..json.len().min(80)]);
    }
    let decoder = NativeDecoder::new(vec![spec()], 200);
    let latest = Timestamp::parse("2026-12-01T00:00:00Z").expect("valid");
    let future = r#"{"model":{"name":"support-mtl"},"timestamp":"9999-01-01T00:00:00Z","input":{"text":"x"}}"#;
    for (bytes, reason) in [
        (&[b' '; 201][..], RejectReason::TooLarge),
        (&[0xff, 0xfe], RejectReason::InvalidUtf8),
        (future.as_bytes(), RejectReason::FutureTime),
        (br#"{"model":{"name":"support-mtl"},"input":{"text":"x"}}"#, RejectReason::NoTime),
    ] {
        assert_eq!(decoder.decode(bytes, None, latest).expect_err("refused").reason, reason);
    }
}
