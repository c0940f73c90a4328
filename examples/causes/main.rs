//! Planted causes against verdicts: seeded streams of the example model in which one thing goes wrong,
//! judged as the daemon does, and what it says in the end.
//!
//!     cargo run --release --example causes [TRIALS] [NAME]      40 by default; only what is called so, with
//!                                                               the signals behind each verdict
//!     cargo run --release --example causes assist [TRIALS] [NAME]    on the development streams

use std::collections::BTreeMap;
use std::path::Path;

use driftd::config::raw::Device;
use driftd::drift::alert::Transition;
use driftd::drift::answer::Answer;
use driftd::drift::cause::{Cause, CauseKind};
use driftd::drift::course::{Course, Watch};
use driftd::drift::detector::Sensitivity;
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::inference::Inference;
use driftd::drift::judgement::ClosedWindow;
use driftd::drift::observation::{HeadSource, Joined, Observation};
use driftd::drift::record::{AttributeValue, InputText, Record};
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::retraining::{Mode, Policy, Trigger};
use driftd::drift::summary::Summary;
use driftd::drift::task::{AttributeKind, AttributeSpec, ModelSpec};
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use driftd::model::heads::answer;
use driftd::model::onnx::OnnxModel;
use driftd::model::{Depth, Manifest};
use driftd::simulate::drift_kind::DriftKind;
use driftd::simulate::grammar::Grammar;
use driftd::stats::contingency::rake;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The same on the streams of the development model.
mod assist;

const WINDOW: usize = 250;
const REFERENCE_WINDOWS: usize = 120;
const QUIET_WINDOWS: usize = 4;
const DRIFT_WINDOWS: usize = 8;
/// One false alarm in so many windows.
const THRESHOLD: f64 = 2_000.0;
const BATCH: usize = 64;
const CHANNELS: [(&str, f64); 2] = [("chat", 0.8), ("mail", 0.2)];

/// What goes wrong, what is to be said, and by whose answers the heads are judged.
struct Planted {
    name: &'static str,
    right: &'static [&'static str],
    fault: Fault,
    /// Whether our own inference stands beside production's answers.
    compared: bool,
}

enum Fault {
    None,
    Texts(DriftKind),
    /// The texts of one channel only.
    Channel(DriftKind),
    /// The classes of heads are permuted, and values mirrored.
    Heads(&'static [&'static str]),
    /// Production cuts texts into other tokens.
    Tokenizer,
    /// Production rounds as int8 does: numbers move a little, and answers flip where two are nearly tied.
    Precision,
    /// Two answers come together more often, each alone as often as before.
    Pair {
        strength: f64,
    },
    /// The classes of a head are permuted in one channel only.
    HeadInChannel(&'static str),
    /// An attribute that no head looks at is so many times as large.
    Attribute(f64),
    /// The first, and then the second.
    Both(Box<Fault>, Box<Fault>),
}

impl Fault {
    /// What is wrong with every text, if anything is.
    fn of_texts(&self) -> Option<&DriftKind> {
        match self {
            Fault::Texts(drift) => Some(drift),
            Fault::Both(first, second) => first.of_texts().or_else(|| second.of_texts()),
            _ => None,
        }
    }

    fn and(self, other: Fault) -> Fault {
        Fault::Both(Box::new(self), Box::new(other))
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).peekable();
    let on_assist = arguments.next_if(|a| a == "assist").is_some();
    let trials: u64 = arguments.next().map_or(Ok(40), |t| t.parse())?;
    let only = arguments.next();
    if on_assist {
        return assist::main(trials, only.as_deref());
    }
    let mut world = World::new()?;
    let quiet = |_: &mut StdRng| None;
    let records = world.records(&mut StdRng::seed_from_u64(7), WINDOW * REFERENCE_WINDOWS, quiet)?;
    let with_skew = world.fit(&records, true);
    let without = world.fit(&records, false);
    let intent = |factor: f64| Fault::Texts(DriftKind::PriorShift("refund".into(), factor));
    let shared: &[&str] = &["input", "encoder"];
    let planted = [
        Planted { name: "nothing", right: &["nothing"], fault: Fault::None, compared: true },
        Planted { name: "broken head", right: &["head intent"], fault: Fault::Heads(&["intent"]), compared: false },
        Planted {
            name: "broken multi-label head",
            right: &["head topics"],
            fault: Fault::Heads(&["topics"]),
            compared: false,
        },
        Planted {
            name: "broken token head",
            right: &["head entities"],
            fault: Fault::Heads(&["entities"]),
            compared: false,
        },
        Planted {
            name: "broken regression head",
            right: &["head urgency"],
            fault: Fault::Heads(&["urgency"]),
            compared: false,
        },
        Planted {
            name: "two broken heads",
            right: &["head intent + head mood"],
            fault: Fault::Heads(&["intent", "mood"]),
            compared: false,
        },
        Planted {
            name: "two broken heads, one of tokens",
            right: &["head intent + head entities"],
            fault: Fault::Heads(&["intent", "entities"]),
            compared: false,
        },
        Planted {
            name: "two broken heads, one of values",
            right: &["head intent + head urgency"],
            fault: Fault::Heads(&["intent", "urgency"]),
            compared: false,
        },
        Planted {
            name: "two broken heads, compared",
            right: &["skew intent + skew mood"],
            fault: Fault::Heads(&["intent", "mood"]),
            compared: true,
        },
        Planted {
            name: "broken head, compared",
            right: &["skew intent"],
            fault: Fault::Heads(&["intent"]),
            compared: true,
        },
        Planted {
            name: "broken tokenizer, compared",
            right: &["skew encoder"],
            fault: Fault::Tokenizer,
            compared: true,
        },
        Planted { name: "broken tokenizer", right: &["encoder"], fault: Fault::Tokenizer, compared: false },
        Planted { name: "other precision, compared", right: &["nothing"], fault: Fault::Precision, compared: true },
        Planted { name: "prior shift x2", right: &["prior_shift intent"], fault: intent(2.0), compared: false },
        Planted { name: "prior shift x4", right: &["prior_shift intent"], fault: intent(4.0), compared: false },
        Planted {
            name: "new topic 5 %",
            right: shared,
            fault: Fault::Texts(DriftKind::NewTopic(0.05)),
            compared: false,
        },
        Planted {
            name: "new topic 15 %",
            right: shared,
            fault: Fault::Texts(DriftKind::NewTopic(0.15)),
            compared: false,
        },
        Planted {
            name: "new topic 40 %",
            right: shared,
            fault: Fault::Texts(DriftKind::NewTopic(0.4)),
            compared: false,
        },
        Planted { name: "typos", right: shared, fault: Fault::Texts(DriftKind::Typos(0.6)), compared: false },
        Planted {
            name: "language mix",
            right: shared,
            fault: Fault::Texts(DriftKind::LanguageMix(0.3)),
            compared: false,
        },
        Planted {
            name: "one channel of 20 %",
            right: &["segment"],
            fault: Fault::Channel(DriftKind::PriorShift("refund".into(), 6.0)),
            compared: false,
        },
        Planted {
            name: "head broken in a channel of 20 %",
            right: &["segment"],
            fault: Fault::HeadInChannel("intent"),
            compared: false,
        },
        Planted {
            name: "binary head broken in a channel of 20 %",
            right: &["segment"],
            fault: Fault::HeadInChannel("mood"),
            compared: false,
        },
        Planted {
            name: "one channel of 20 % in another language",
            right: &["segment"],
            fault: Fault::Channel(DriftKind::LanguageMix(1.0)),
            compared: false,
        },
        Planted {
            name: "an attribute and a broken head",
            right: &["input + head intent"],
            fault: Fault::Attribute(3.0).and(Fault::Heads(&["intent"])),
            compared: false,
        },
        Planted {
            name: "new topic 20 % and a broken head",
            right: &["input + head intent", "encoder + head intent"],
            fault: Fault::Texts(DriftKind::NewTopic(0.2)).and(Fault::Heads(&["intent"])),
            compared: false,
        },
        Planted {
            name: "prior shift x4 and a broken head",
            right: &["prior_shift intent + head mood", "head mood + prior_shift intent"],
            fault: intent(4.0).and(Fault::Heads(&["mood"])),
            compared: false,
        },
        Planted { name: "an attribute", right: &["input"], fault: Fault::Attribute(3.0), compared: false },
        Planted { name: "pair of answers", right: &["link"], fault: Fault::Pair { strength: 8.0 }, compared: false },
    ];
    head();
    for planted in planted.iter().filter(|p| only.as_ref().is_none_or(|name| p.name.contains(name.as_str()))) {
        let reference = if planted.compared { &with_skew } else { &without };
        let mut said = Said::default();
        for seed in 0..trials {
            said.add(world.trial(reference, planted, 1_000 + seed, only.is_some())?);
        }
        said.print(planted.name, planted.right);
    }
    Ok(())
}

fn head() {
    println!("| planted | right | undetermined | nothing said | said otherwise |\n|---|---|---|---|---|");
}

/// Verdicts of a row's trials.
#[derive(Default)]
struct Said(BTreeMap<String, usize>);

impl Said {
    fn add(&mut self, verdict: String) {
        *self.0.entry(verdict).or_default() += 1;
    }

    fn print(&self, name: &str, right: &[&str]) {
        let is_right = |verdict: &str| right.contains(&verdict);
        let trials: usize = self.0.values().sum();
        let hits: usize = self.0.iter().filter(|(v, _)| is_right(v)).map(|(_, n)| n).sum();
        let count = |name: &str| if is_right(name) { 0 } else { self.0.get(name).copied().unwrap_or(0) };
        let others: Vec<String> = self
            .0
            .iter()
            .filter(|(v, _)| !is_right(v) && !["undetermined", "nothing"].contains(&v.as_str()))
            .map(|(verdict, n)| format!("{verdict} {n}"))
            .collect();
        let others = if others.is_empty() { "–".to_owned() } else { others.join(", ") };
        println!("| {name} | {hits} of {trials} | {} | {} | {others} |", count("undetermined"), count("nothing"));
    }
}

struct World {
    model: OnnxModel,
    grammar: Grammar,
}

impl World {
    fn new() -> anyhow::Result<World> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/support/manifest.yaml");
        let grammar = Grammar::load(&manifest.with_file_name("grammar.yaml"))?;
        let mut manifest = Manifest::load(&manifest)?;
        manifest.spec.attributes = vec![AttributeSpec { name: "waited".to_owned(), kind: AttributeKind::Numeric }];
        Ok(World { model: OnnxModel::load(manifest, Device::Cpu, 2, None)?, grammar })
    }

    /// Records as production would log them, with our own inference of each; `fault` draws what is wrong
    /// with a text.
    fn records(
        &mut self,
        rng: &mut StdRng,
        count: usize,
        mut fault: impl FnMut(&mut StdRng) -> Option<DriftKind>,
    ) -> anyhow::Result<Vec<(Record, Inference)>> {
        let mut texts = Vec::with_capacity(count);
        let mut channels = Vec::with_capacity(count);
        for _ in 0..count {
            channels.push(if rng.random::<f64>() < CHANNELS[0].1 { 0 } else { 1 });
            let drift = fault(rng);
            let text = match drift {
                Some(drift) => drift.text(&self.grammar, rng),
                None => self.grammar.text(rng),
            };
            texts.push((InputText { text, pair: None }, Depth::Full));
        }
        let inferences = self.model.infer(&texts, BATCH)?;
        let record = |(((text, _), inference), channel): (((InputText, Depth), Inference), usize)| {
            let record = Record {
                id: None,
                model: 0,
                version: driftd::drift::record::VersionMatch::Same,
                time: Timestamp::from_micros(0),
                text: Some(text),
                embedding: Some(inference.embedding.clone()),
                answers: inference.answers.clone(),
                labels: Vec::new(),
                unknown_tasks: 0,
                unknown_label_tasks: 0,
                unknown_classes: Vec::new(),
                unknown_labels: Vec::new(),
                score_order: Default::default(),
                tags: vec![("channel".to_owned(), CHANNELS[channel].0.to_owned())],
                attributes: vec![Some(AttributeValue::Number(rng.random::<f64>()))],
            };
            (record, inference)
        };
        Ok(texts.into_iter().zip(inferences).zip(channels).map(record).collect())
    }

    fn fit(&self, records: &[(Record, Inference)], compared: bool) -> Reference {
        let plan = Plan {
            spec: &self.model.manifest().spec,
            heads: HeadSource::Predictions,
            window: WindowRule::Records(WINDOW as u64),
            kind: ReferenceKind::Fixed,
            token: &|_| None,
        };
        let mut records: Vec<FitRecord> = records
            .iter()
            .cloned()
            .map(|(record, ours)| {
                let time = record.time;
                FitRecord { time, joined: joined(record, ours, compared), labels: Vec::new() }
            })
            .collect();
        fit(&plan, &mut records).expect("enough to learn from").reference
    }

    /// The verdict of one stream: the cause that stands at its end, or where it resolved.
    fn trial(&mut self, reference: &Reference, planted: &Planted, seed: u64, tell: bool) -> anyhow::Result<String> {
        let mut rng = StdRng::seed_from_u64(seed);
        let watch = Watch {
            threshold: THRESHOLD,
            sensitivity: Sensitivity { min_records: 30, margin: 0.02 },
            resolve_after: 6,
            retraining: Policy { mode: Mode::Off, on: Trigger::Drift, cooldown: Span::from_secs(0) },
        };
        let mut course = Course::new(reference);
        let mut verdict = "nothing".to_owned();
        for slot in 0..QUIET_WINDOWS + DRIFT_WINDOWS {
            let drifting = slot >= QUIET_WINDOWS;
            let drift = planted.fault.of_texts().filter(|_| drifting).cloned();
            let mut records = self.records(&mut rng, WINDOW, |_| drift.clone())?;
            if drifting {
                self.break_records(&planted.fault, &mut records, &mut rng)?;
            }
            let mut summary = Summary::empty(reference);
            for (mut record, ours) in records {
                let inference = if planted.compared { Some(ours) } else { facts(ours) };
                let observation = Observation::new(&mut record, inference, reference);
                summary.fold(reference, Timestamp::from_micros(0), &observation);
            }
            let at = Timestamp::from_micros(slot as i64);
            let window = ClosedWindow { slot: slot as i64, start: at, end: at, summary };
            let judged = course.advance(reference, &watch, &window);
            for transition in judged.transitions.iter().filter(|_| tell) {
                eprintln!("{} trial {seed} window {slot}: {}", planted.name, story(transition, reference));
            }
            if let Some(told) = standing(&course, reference) {
                verdict = told;
            }
        }
        Ok(verdict)
    }

    fn break_records(
        &mut self,
        fault: &Fault,
        records: &mut [(Record, Inference)],
        rng: &mut StdRng,
    ) -> anyhow::Result<()> {
        let task = |name: &str| self.model.manifest().spec.tasks.iter().position(|t| t.name == name).expect("a task");
        match fault {
            Fault::None | Fault::Texts(_) => {}
            Fault::Channel(drift) => {
                let drift = drift.clone();
                let others = self.records(rng, records.len(), |_| Some(drift.clone()))?;
                for (own, mut other) in records.iter_mut().zip(others) {
                    if own.0.tags[0].1 == CHANNELS[1].0 {
                        other.0.tags.clone_from(&own.0.tags);
                        *own = other;
                    }
                }
            }
            Fault::Both(first, second) => {
                self.break_records(first, records, rng)?;
                self.break_records(second, records, rng)?;
            }
            Fault::Attribute(times) => {
                let values = records.iter_mut().flat_map(|(record, _)| &mut record.attributes).flatten();
                values.for_each(|value| {
                    if let AttributeValue::Number(number) = value {
                        *number *= times;
                    }
                });
            }
            Fault::Heads(names) => {
                for name in *names {
                    permute(task(name), &self.model.manifest().spec, records.iter_mut().map(|(record, _)| record));
                }
            }
            Fault::HeadInChannel(name) => {
                let own = records.iter_mut().map(|(record, _)| record).filter(|r| r.tags[0].1 == CHANNELS[1].0);
                permute(task(name), &self.model.manifest().spec, own);
            }
            Fault::Tokenizer => {
                let mangled: Vec<(InputText, Depth)> =
                    records.iter().map(|(r, _)| (mangle(r.text.as_ref().expect("a text")), Depth::Full)).collect();
                for ((record, _), served) in records.iter_mut().zip(self.model.infer(&mangled, BATCH)?) {
                    record.embedding = Some(served.embedding);
                    record.answers = served.answers;
                }
            }
            Fault::Precision => {
                // Eight bits: everything is off by up to a step of a 127th.
                const STEP: f32 = 1.0 / 127.0;
                let mut off = |value: &mut f32, by: f32| *value *= 1.0 + by * (2.0 * rng.random::<f32>() - 1.0);
                let texts: Vec<InputText> = records.iter().map(|(r, _)| r.text.clone().expect("a text")).collect();
                let raw = self.model.raw_outputs(&texts, BATCH)?;
                let Manifest { spec, heads, .. } = self.model.manifest();
                for ((record, _), mut raw) in records.iter_mut().zip(raw) {
                    record.embedding.iter_mut().flatten().for_each(|v| off(v, STEP));
                    for (task, row) in raw.heads.iter_mut().enumerate() {
                        row.iter_mut().for_each(|logit| off(logit, STEP));
                        record.answers[task] =
                            Some(answer(&spec.tasks[task], heads[task].activation, row, &raw.special));
                    }
                }
            }
            Fault::Pair { strength } => {
                let (intent, mood) = (task("intent"), task("mood"));
                let class = |record: &Record, task: usize| match record.answers[task] {
                    Some(Answer::Class { class, .. }) => class == 1,
                    _ => false,
                };
                let cell = |record: &Record| 2 * usize::from(class(record, intent)) + usize::from(class(record, mood));
                let pool = self.records(rng, 4 * records.len(), |_| None)?;
                let mut counts = [0_i64; 4];
                pool.iter().for_each(|(record, _)| counts[cell(record)] += 1);
                let associated = counts
                    .map(|c| c as f64)
                    .iter()
                    .zip([1.0, 1.0, 1.0, *strength])
                    .map(|(c, s)| c * s)
                    .collect::<Vec<_>>();
                let wanted = rake(&associated, &counts, 2);
                let most = (0..4).map(|c| wanted[c] / counts[c].max(1) as f64).fold(0.0, f64::max);
                let mut kept = pool.into_iter().filter(|(record, _)| {
                    let c = cell(record);
                    rng.random::<f64>() < wanted[c] / counts[c].max(1) as f64 / most
                });
                for own in records.iter_mut() {
                    *own = kept.next().unwrap_or_else(|| own.clone());
                }
            }
        }
        Ok(())
    }
}

/// Every class of a head is taken for the next; values within 0 and 1 are turned over.
fn permute<'a>(task: usize, spec: &ModelSpec, records: impl Iterator<Item = &'a mut Record>) {
    let classes = spec.tasks[task].classes.len() as u32;
    for record in records {
        match record.answers.get_mut(task) {
            Some(Some(Answer::Class { class, .. })) => *class = (*class + 1) % classes,
            Some(Some(Answer::Labels { labels, .. })) => {
                labels.iter_mut().for_each(|label| *label = (*label + 1) % classes);
                labels.sort_unstable();
            }
            // The first label is that outside any span, and stays.
            Some(Some(Answer::Tokens { labels, .. })) => {
                let inside = labels.iter_mut().filter(|label| **label > 0);
                inside.for_each(|label| *label = 1 + *label % (classes - 1));
            }
            Some(Some(Answer::Value(value))) => *value = 1.0 - *value,
            None | Some(None) => {}
        }
    }
}

/// The causes of the alerts that stand.
fn standing(course: &Course, reference: &Reference) -> Option<String> {
    let told: Vec<String> = course.alerts().firing().map(|alert| named(&alert.cause, reference)).collect();
    (!told.is_empty()).then(|| told.join(" + "))
}

/// A transition with its witnesses.
fn story(transition: &Transition, reference: &Reference) -> String {
    let mut text = format!("{} {}", transition.to.name(), named(&transition.alert.cause, reference));
    for witness in &transition.alert.witnesses {
        let key = &reference.signals[witness.signal as usize].key;
        let task = key.task.map_or("", |t| reference.spec.tasks[t].name.as_str());
        let role = if witness.explained { "explained" } else { "evidence" };
        let segment = key.segment.and_then(|s| reference.name_of_segment(s)).unwrap_or_default();
        let of = [key.scope.name(), task, &key.signal, &segment].join(" ");
        text += &format!("\n    {role} {of}: e^{:.1}", witness.ln_evidence);
    }
    text
}

/// A cause in a word or two.
fn named(cause: &Cause, reference: &Reference) -> String {
    let kind = cause.kind.name();
    match (cause.kind, cause.task) {
        (CauseKind::Skew, None) => "skew encoder".to_owned(),
        (CauseKind::Link, _) | (_, None) => kind.to_owned(),
        (_, Some(task)) => format!("{kind} {}", reference.spec.tasks[task].name),
    }
}

/// As another tokenizer would cut it: every other word loses its second half.
fn mangle(text: &InputText) -> InputText {
    let words = text.text.split(' ').enumerate();
    let half = |(i, word): (usize, &str)| match word.char_indices().nth(word.chars().count().div_ceil(2)) {
        Some((at, _)) if i % 2 == 0 => word[..at].to_owned(),
        _ => word.to_owned(),
    };
    InputText { text: words.map(half).collect::<Vec<_>>().join(" "), pair: None }
}

fn joined(mut record: Record, ours: Inference, compared: bool) -> Joined {
    let inference = if compared { Some(ours) } else { facts(ours) };
    Joined::new(&mut record, inference, HeadSource::Predictions)
}

/// Without the run of the model: only what the tokenizer says.
fn facts(ours: Inference) -> Option<Inference> {
    Some(Inference { embedding: Vec::new(), answers: Vec::new(), ..ours })
}
