use proptest::prelude::*;

use super::*;
use crate::source::native_json::{RawAttribute, RawEmbedding, RawLabel, RawLabels};

/// Everything that a reading holds, so that two can be compared.
fn told(raw: &RawRecord) -> String {
    let text = |text: &Text| format!("{:?}", text.0);
    let some = |found: &Option<Text>| found.as_ref().map(text);
    let label = |label: &RawLabel| match label {
        RawLabel::Class(class) => text(class),
        RawLabel::Number(number) => format!("{:x}", number.to_bits()),
        RawLabel::Switch(switch) => switch.to_string(),
        RawLabel::List(list) => format!("{:?}", list.iter().map(text).collect::<Vec<_>>()),
        RawLabel::Other(_) => "other".to_owned(),
    };
    let floats = |list: &[f32]| list.iter().map(|n| format!("{:x}", n.to_bits())).collect::<Vec<_>>();
    let numbers = |numbers: &Numbers| match numbers {
        Numbers::Named(pairs) => {
            format!("{:?}", pairs.iter().map(|(n, p)| format!("{}={:x}", text(n), p.to_bits())).collect::<Vec<_>>())
        }
        Numbers::Listed(list) => format!("{:?}", floats(list)),
        Numbers::Packed(packed) => format!("packed {}", text(packed)),
    };
    let output = |(name, raw): &(Text, Option<RawOutput>)| {
        let Some(raw) = raw else { return format!("{} none", text(name)) };
        let RawOutput { kind, label, labels, scores, logits, value } = raw;
        let labels = labels.as_ref().map(|list| list.iter().map(text).collect::<Vec<_>>());
        let (scores, logits) = (scores.as_ref().map(numbers), logits.as_ref().map(numbers));
        let value = value.map(f64::to_bits);
        format!("{} {:?} {:?} {labels:?} {scores:?} {logits:?} {value:?}", text(name), some(kind), some(label))
    };
    let attribute = |(name, value): &(Text, RawAttribute)| match value {
        RawAttribute::Number(number) => format!("{}={:x}", text(name), number.to_bits()),
        RawAttribute::Switch(switch) => format!("{}={switch}", text(name)),
        RawAttribute::Named(value) => format!("{}={}", text(name), text(value)),
        RawAttribute::Other(_) => format!("{}=other", text(name)),
    };
    let parts = [
        format!("{:?} {:?}", some(&raw.schema), some(&raw.prediction_id)),
        format!("{:?}", raw.timestamp.as_ref().map(|time| time.0)),
        format!("{:?}", raw.model.as_ref().map(|m| (text(&m.name), some(&m.version)))),
        format!("{:?}", raw.input.as_ref().map(|i| (some(&i.text), some(&i.text_pair)))),
        format!(
            "{:?}",
            raw.embedding.as_ref().map(|e| match e {
                RawEmbedding::Plain(list) => floats(list),
                RawEmbedding::Packed(packed) => vec![text(&packed.dtype), text(&packed.data_b64)],
            })
        ),
        format!("{:?}", raw.outputs.as_ref().map(|o| o.0.iter().map(output).collect::<Vec<_>>())),
        format!(
            "{:?}",
            raw.labels.as_ref().map(|labels| match labels {
                RawLabels::ByTask(pairs) =>
                    pairs.0.iter().map(|(n, l)| format!("{}={}", text(n), label(l))).collect::<Vec<_>>(),
                RawLabels::Listed(listed) => vec![label(listed)],
            })
        ),
        format!("{:?}", raw.tags.as_ref().map(|t| t.0.iter().map(|(n, v)| (text(n), some(v))).collect::<Vec<_>>())),
        format!("{:?}", raw.attributes.as_ref().map(|a| a.0.iter().map(attribute).collect::<Vec<_>>())),
        format!("{:?} {:?} {:?}", some(&raw.task), raw.label.as_ref().map(label), raw.value.as_ref().map(label)),
        format!("{:?} {:?} {:?} {:?}", raw.revision, raw.retracted, some(&raw.deleted), some(&raw.op)),
    ];
    parts.join("\n")
}

fn quickly(text: &str) -> Option<String> {
    let mut raw = RawRecord::default();
    record(text, &mut raw).map(|()| told(&raw))
}

fn carefully(text: &str) -> Option<String> {
    serde_json::from_str::<RawRecord>(text).ok().map(|raw| told(&raw))
}

const WHOLE: &str = r#"{"schema":"prediction/v1","prediction_id":"7f0c","timestamp":"2026-11-22T10:15:30.5Z",
 "model":{"name":"support-mtl","version":"12","digest":"sha256:9c"},"environment":"prod","sampled_rate":10,
 "tags":{"channel":"email"},"input":{"text":"Where is my \"refund\"?","text_pair":null,"language":"en"},
 "embedding":{"name":"cls","dtype":"f32","dim":4,"data_b64":"zczMPc3MTD6amZm+zczMPg=="},
 "outputs":{"intent":{"kind":"multiclass","label":"refund","scores":{"refund":0.93,"delivery":2e-2}},
  "sentiment":{"kind":"multiclass","label":"négative","logits":[1.2,0.1,-1.0], "value" : null},
  "ner":{"labels":["O","B-OBJ"],"offsets":[[0,5],[6,8]],"scores":[0.99998426437377,0.88]},
  "topics":{"labels":[],"scores":"AACAPw=="},"urgency":{"kind":"regression","value":0.37,"scores":[]}},
 "attributes":{"age":3,"plan":"gold","new":true,"x":[1]},"labels":{"intent":"refund","ner":["O"],"urgency":0.5}}"#;

#[test]
fn what_production_logs_is_read_quickly() {
    for text in [
        WHOLE,
        r#"{"task":"intent","label":"a","labeled_at":1795420800000000,"revision":2,"retracted":true,"__deleted":"x"}"#,
        r#" { "op" : "c" , "labels" : [ "a" , "b" ] , "value" : 2 } "#,
        r#"{"embedding":[0.1,-0.25,3],"prediction_id":null,"model":null,"outputs":null}"#,
        "{}",
    ] {
        let quickly = quickly(text);
        assert!(quickly.is_some(), "it gave up: {text}");
        assert_eq!(quickly, carefully(text), "{text}");
    }
}

#[test]
fn what_is_not_certain_is_left_to_the_careful_reader() {
    let deep = format!(r#"{{"label":{}{}}}"#, "[".repeat(127), "]".repeat(127));
    for text in [
        "",
        "[]",
        "{} x",
        "{",
        r#"{"schema":"a","schema":"b"}"#,
        r#"{"timestamp":"2026-11-22T10:15:30Z","labeled_at":"2026-11-22T10:15:30Z"}"#,
        r#"{"task":null,"task":"a"}"#,
        r#"{"model":{"name":null}}"#,
        r#"{"model":{}}"#,
        r#"{"model":["a","b"]}"#,
        r#"{"sch\u0065ma":"a"}"#,
        "{\"schema\":\"a\tb\"}",
        r#"{"outputs":{"a":{"scores":[0.1,]}}}"#,
        r#"{"outputs":{"a":{"scores":[01]}}}"#,
        r#"{"outputs":{"a":{"scores":[1e99]}}}"#,
        r#"{"outputs":{"a":{"scores":[null]}}}"#,
        r#"{"outputs":{"a":null}}"#,
        r#"{"x":1e}"#,
        r#"{"tags":{"a":1}}"#,
        &deep,
    ] {
        assert_eq!(quickly(text), None, "{text}");
    }
}

/// Pieces of JSON of which texts are made that are records, nearly records, and no records at all.
fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just(r#""2026-11-22T10:15:30.5Z""#.to_owned()),
        Just(r#""a\"b""#.to_owned()),
        Just(r#""é\u00e9""#.to_owned()),
        Just(r#""\x""#.to_owned()),
        "\"[a-e ]{0,12}\"",
        "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        "[0-9.e+-]{1,6}",
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let key = prop_oneof![
            6 => prop::sample::select(KEYS.to_vec()).prop_map(str::to_owned),
            1 => "[a-e]{0,3}",
            1 => Just("n\\u0061me".to_owned()),
        ];
        let blank = prop::sample::select(vec!["", "", "", " ", "\n", "\t "]);
        let pair = (key, blank.clone(), inner.clone()).prop_map(|(k, b, v)| format!("\"{k}\"{b}:{b}{v}{b}"));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(|v| format!("[{}]", v.join(","))),
            (prop::collection::vec(pair, 0..6), blank).prop_map(|(v, b)| format!("{{{b}{}}}", v.join(","))),
        ]
    })
}

const KEYS: [&str; 29] = [
    "schema",
    "prediction_id",
    "timestamp",
    "labeled_at",
    "model",
    "input",
    "embedding",
    "outputs",
    "labels",
    "tags",
    "attributes",
    "task",
    "label",
    "value",
    "revision",
    "retracted",
    "__deleted",
    "op",
    "name",
    "version",
    "text",
    "text_pair",
    "dtype",
    "data_b64",
    "kind",
    "scores",
    "logits",
    "intent",
    "offsets",
];

/// Records in which every value is of the right sort, most of the time.
fn likely() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,2})(\\.[0-9]{1,20})?(e-?[0-9]{1,2})?";
    let text = || prop_oneof![6 => "\"[a-eé ]{0,12}\"", 1 => Just("null".to_owned()), 1 => Just("\"\\n\"".to_owned())];
    let list = prop::collection::vec(number, 0..5).prop_map(|v| format!("[{}]", v.join(", ")));
    let named = prop::collection::vec(("[a-c]", number), 0..4)
        .prop_map(|v| format!("{{{}}}", v.iter().map(|(k, n)| format!("\"{k}\":{n}")).collect::<Vec<_>>().join(",")));
    let scores = prop_oneof![list, named, text(), value()];
    let texts = prop::collection::vec(text(), 0..4).prop_map(|v| format!("[{}]", v.join(",")));
    let output = (text(), text(), texts.clone(), scores, number).prop_map(|(kind, label, labels, scores, number)| {
        format!(r#"{{"kind":{kind},"label":{label},"labels":{labels},"scores":{scores},"value":{number}}}"#)
    });
    let outputs = prop::collection::vec(("[a-c]", output), 0..3)
        .prop_map(|v| format!("{{{}}}", v.iter().map(|(k, o)| format!("\"{k}\":{o}")).collect::<Vec<_>>().join(",")));
    let time = prop_oneof![Just(r#""2026-11-22T10:15:30.5Z""#.to_owned()), text(), "[0-9]{1,17}"];
    (text(), time, text(), texts, outputs, value()).prop_map(|(id, time, words, labels, outputs, any)| {
        format!(
            r#"{{"prediction_id":{id},"timestamp":{time},"input":{{"text":{words}}},"labels":{labels},"outputs":{outputs},"attributes":{any}}}"#
        )
    })
}

/// Whatever is read quickly is what is read carefully, to the bit.
fn agrees(text: &str) -> Result<bool, TestCaseError> {
    let quickly = quickly(text);
    if quickly.is_some() {
        prop_assert_eq!(&quickly, &carefully(text), "{}", text);
    }
    Ok(quickly.is_some())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_read_alike(text in value()) {
        agrees(&text)?;
    }

    #[test]
    fn likely_records_are_read_alike(text in likely()) {
        agrees(&text)?;
    }

    #[test]
    fn a_record_with_a_byte_changed_is_read_alike(at in 0..WHOLE.len(), byte in prop::sample::select(b"{}[],:\"\\0-.en \x07x".to_vec())) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        bytes[at] = byte;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            agrees(text)?;
        }
    }

    #[test]
    fn a_record_that_is_cut_is_read_alike(at in 0..WHOLE.len()) {
        if let Some(text) = WHOLE.get(..at) {
            prop_assert_eq!(agrees(text)?, false);
        }
    }
}
