//! Planted causes on the development streams (`../shared/data/assist`). Each trial draws its records without
//! replacement: the quiet windows from the three streams without drift, the others from what follows the
//! onset of the row's stream, in another order each time. The trials of one row share most of their
//! records, so they say how much a verdict rests on which records came first, not how sure it is.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use driftd::app::backtest::Stream;
use driftd::app::backtest_labels::Labels;
use driftd::app::replay::MOST_LINE_BYTES;
use driftd::config::raw::Device;
use driftd::drift::alert::AlertState;
use driftd::drift::course::Watch;
use driftd::drift::detector::Sensitivity;
use driftd::drift::fit::{FitRecord, Plan, fit};
use driftd::drift::inference::Inference;
use driftd::drift::judgement::{Report, Statistic};
use driftd::drift::label::Label;
use driftd::drift::observation::HeadSource;
use driftd::drift::record::Record;
use driftd::drift::reference::{Reference, ReferenceKind};
use driftd::drift::retraining::{Mode, Policy, Trigger};
use driftd::drift::signal::Scope;
use driftd::drift::time::{Span, Timestamp};
use driftd::drift::window::WindowRule;
use driftd::model::onnx::OnnxModel;
use driftd::model::{Depth, Manifest};
use driftd::source::files::FileRecords;
use driftd::source::native::NativeDecoder;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::{BATCH, Said, THRESHOLD, facts, head, joined, named, story};

#[path = "../assist_records.rs"]
#[expect(dead_code, reason = "an example of its own, of which only the conversions are used here")]
mod assist_records;

/// Four of these are four fifths of what follows an onset, so that no two trials have the same records.
const WINDOW: usize = 200;
const QUIET_WINDOWS: usize = 5;
const DRIFT_WINDOWS: usize = 4;
/// What the streams have on average.
const BETWEEN_RECORDS: Span = Span::from_secs(20);
const QUIET: [&str; 3] = ["no_drift_1", "no_drift_2", "no_drift_3"];

/// What goes wrong, what is to be said, and what stands beside production's answers.
struct Row {
    name: &'static str,
    /// The stream after whose onset it is wrong; none for nothing.
    stream: Option<&'static str>,
    right: &'static [&'static str],
    beside: Beside,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Beside {
    Nothing,
    /// Our own inference of each record.
    Inference,
    /// Labels, when they came.
    Labels,
}

fn rows() -> Vec<Row> {
    use Beside::{Inference, Labels, Nothing};
    let row = |name, stream: &'static str, right, beside| Row { name, stream: Some(stream), right, beside };
    let none = |name, beside| Row { name, stream: None, right: &["nothing"], beside };
    let shared: &[&str] = &["input", "encoder"];
    vec![
        none("nothing", Nothing),
        none("nothing, compared", Inference),
        none("nothing, with labels", Labels),
        row("broken head", "broken_head", &["head domain"], Nothing),
        row("broken head, compared", "broken_head", &["skew domain"], Inference),
        row("broken tokenizer", "broken_tokenizer", &["encoder"], Nothing),
        row("broken tokenizer, compared", "broken_tokenizer", &["skew encoder"], Inference),
        row("prior shift", "label_shift_intent_only", &["prior_shift intent"], Nothing),
        row("new topic 5 %", "new_topic_05", shared, Nothing),
        row("new topic 15 %", "new_topic_15", shared, Nothing),
        row("new topic 40 %", "new_topic_40", shared, Nothing),
        row("concept drift, with labels", "concept_drift", &["concept domain"], Labels),
        row("concept drift, no labels", "concept_drift", &["nothing"], Nothing),
        row("segment incident", "segment_incident_support", &["segment"], Nothing),
        row("int8 roll-out", "int8_rollout", &["nothing"], Nothing),
        row("int8 roll-out, compared", "int8_rollout", &["harmless skew"], Inference),
        row("typos", "corrupt_typos", shared, Nothing),
        row("language mix", "language_mix", shared, Nothing),
    ]
}

pub fn main(trials: u64, only: Option<&str>) -> anyhow::Result<()> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/assist");
    anyhow::ensure!(data.is_dir(), "no development data at `{}`", data.display());
    let rows: Vec<Row> = rows().into_iter().filter(|r| only.is_none_or(|name| r.name.contains(name))).collect();
    let mut world = World::new(&data)?;
    let mut references = HashMap::new();
    head();
    for row in &rows {
        if let std::collections::hash_map::Entry::Vacant(entry) = references.entry(row.beside) {
            entry.insert(world.fit(row.beside)?);
        }
        let compared = row.beside == Beside::Inference;
        let mut quiet = Vec::new();
        for name in QUIET {
            quiet.extend(world.stream(name, compared)?.iter().cloned());
        }
        let after = match row.stream {
            Some(name) => world.stream(name, compared)?[world.onset(name)?..].to_vec(),
            None => Vec::new(),
        };
        let mut said = Said::default();
        for seed in 0..trials {
            said.add(trial(&references[&row.beside], row, (&quiet, &after), 2_000 + seed, only.is_some())?);
        }
        said.print(row.name, row.right);
    }
    Ok(())
}

/// A record with our own inference of it, or the facts about its text, and its labels.
#[derive(Clone)]
struct Item {
    record: Record,
    inference: Option<Inference>,
    labels: Vec<Label>,
}

struct World {
    data: PathBuf,
    work: tempfile::TempDir,
    truth: serde_json::Value,
    model: OnnxModel,
    decoder: NativeDecoder,
    streams: HashMap<(String, bool), Arc<[Item]>>,
}

impl World {
    fn new(data: &Path) -> anyhow::Result<World> {
        let work = tempfile::tempdir()?;
        assist_records::write_manifest(data, work.path())?;
        let manifest = Manifest::load(&work.path().join("manifest.yaml"))?;
        let decoder = NativeDecoder::new(vec![Arc::new(manifest.spec.clone())], MOST_LINE_BYTES);
        let truth = serde_json::from_slice(&std::fs::read(data.join("ground_truth.json"))?)?;
        let model = OnnxModel::load(manifest, Device::Cpu, 2, None)?;
        Ok(World { data: data.to_owned(), work, truth, model, decoder, streams: HashMap::new() })
    }

    fn onset(&self, stream: &str) -> anyhow::Result<usize> {
        let index = self.truth["streams"][stream]["onset_index"].as_u64();
        Ok(usize::try_from(index.with_context(|| format!("stream `{stream}` has no onset"))?)?)
    }

    /// All records of a stream.
    fn stream(&mut self, name: &str, compared: bool) -> anyhow::Result<Arc<[Item]>> {
        if let Some(known) = self.streams.get(&(name.to_owned(), compared)) {
            return Ok(known.clone());
        }
        let (records, labels) = (self.work.path().join("records.jsonl"), self.work.path().join("labels.jsonl"));
        // The reference was labelled long ago.
        assist_records::convert_with_labels(&self.data, name, &records, Some((&labels, name == "reference")))?;
        let decoded = |file: &Path| -> anyhow::Result<Vec<Record>> {
            let lines = FileRecords::open(file, &self.decoder, MOST_LINE_BYTES)?;
            lines.map(|line| line?.decoded.map_err(|why| anyhow::anyhow!("{}: {why}", file.display()))).collect()
        };
        let records = decoded(&records)?;
        let mut known: HashMap<String, Vec<Label>> = HashMap::new();
        for Record { id, labels, .. } in decoded(&labels)? {
            known.entry(id.context("a label without an id")?).or_default().extend(labels);
        }
        let depth = if compared { Depth::Full } else { Depth::Tokens };
        let texts = records.iter().map(|r| Ok((r.text.clone().context("a record without a text")?, depth)));
        let texts: Vec<_> = texts.collect::<anyhow::Result<_>>()?;
        let inferences = self.model.infer(&texts, BATCH)?;
        let item = |(record, ours): (Record, Inference)| {
            let labels = record.id.as_ref().and_then(|id| known.remove(id)).unwrap_or_default();
            Item { record, inference: if compared { Some(ours) } else { facts(ours) }, labels }
        };
        let items: Arc<[Item]> = records.into_iter().zip(inferences).map(item).collect();
        self.streams.insert((name.to_owned(), compared), items.clone());
        Ok(items)
    }

    fn fit(&mut self, beside: Beside) -> anyhow::Result<Reference> {
        let compared = beside == Beside::Inference;
        let items = self.stream("reference", compared)?;
        let plan = Plan {
            spec: &self.model.manifest().spec,
            heads: HeadSource::Predictions,
            window: WindowRule::Records(WINDOW as u64),
            kind: ReferenceKind::Fixed,
            token: &|_| None,
        };
        let record = |Item { record, inference, labels }: &Item| FitRecord {
            time: record.time,
            joined: joined(record.clone(), inference.clone().expect("each has one"), compared),
            labels: if beside == Beside::Labels { labels.clone() } else { Vec::new() },
        };
        let mut records: Vec<FitRecord> = items.iter().map(record).collect();
        Ok(fit(&plan, &mut records).map_err(|error| anyhow::anyhow!("{error}"))?.reference)
    }
}

/// The verdict of one stream: the causes that stand at its end, or where the last of them resolved.
fn trial(
    reference: &Reference,
    row: &Row,
    (quiet, after): (&[Item], &[Item]),
    seed: u64,
    tell: bool,
) -> anyhow::Result<String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut draw = |pool: &[Item], n: usize| -> Vec<Item> {
        let mut order: Vec<usize> = (0..pool.len()).collect();
        let (drawn, _) = order.partial_shuffle(&mut rng, n);
        drawn.iter().map(|at| pool[*at].clone()).collect()
    };
    let (quiet_records, drifting) = (QUIET_WINDOWS * WINDOW, DRIFT_WINDOWS * WINDOW);
    let items = match row.stream {
        None => draw(quiet, quiet_records + drifting),
        Some(_) => [draw(quiet, quiet_records), draw(after, drifting)].concat(),
    };
    let watch = Watch {
        threshold: THRESHOLD,
        sensitivity: Sensitivity { min_records: 30, margin: 0.02 },
        resolve_after: 6,
        retraining: Policy { mode: Mode::Off, on: Trigger::Both, cooldown: Span::from_secs(0) },
    };
    let mut stream = Stream::new(reference, watch, reference.window);
    let mut labels = Vec::new();
    let mut records = Vec::with_capacity(items.len());
    for (at, Item { mut record, inference, labels: own }) in items.into_iter().enumerate() {
        let time = Timestamp::from_micros(at as i64 * BETWEEN_RECORDS.micros());
        let id = format!("{at}");
        let moved = |label: Label| (id.clone(), Label { at: time.plus(label.at.since(record.time)), ..label });
        if row.beside == Beside::Labels {
            labels.extend(own.into_iter().map(moved));
        }
        (record.time, record.id) = (time, Some(id));
        records.push((record, inference));
    }
    stream.labels = Labels::new(labels);
    for (record, inference) in records {
        stream.take(record, inference)?;
    }
    stream.finish();
    let mut standing = BTreeMap::new();
    // Numbers that are not the exported model's, told without an alert.
    let harmless = stream.judged.iter().any(|judged| !judged.report.notices.is_empty());
    let mut verdict = if harmless { "harmless skew" } else { "nothing" }.to_owned();
    for judged in &stream.judged {
        for transition in &judged.transitions {
            if tell {
                eprintln!("{} trial {seed} window {}: {}", row.name, judged.report.slot, story(transition, reference));
                eprintln!("{}", shared(&judged.report));
            }
            let alert = &transition.alert;
            let place = (alert.opened_slot, alert.ordinal);
            match transition.to {
                AlertState::Firing => drop(standing.insert(place, named(&alert.cause, reference))),
                _ => drop(standing.remove(&place)),
            }
        }
        if !standing.is_empty() {
            verdict = standing.values().cloned().collect::<Vec<_>>().join(" + ");
        }
    }
    Ok(verdict)
}

/// The strongest of the input's and of the encoder's signals, whether they drift or not.
fn shared(report: &Report) -> String {
    let of = |scope: Scope| {
        let own = report.statistics.iter().filter(|s| s.key.scope == scope && s.key.segment.is_none());
        own.max_by(|a, b| a.ln_evidence.total_cmp(&b.ln_evidence))
    };
    let told =
        |s: &Statistic| format!("    beside it {} {}: e^{:.1}\n", s.key.scope.name(), s.key.signal, s.ln_evidence);
    [Scope::Input, Scope::Encoder].into_iter().filter_map(of).map(told).collect::<String>().trim_end().to_owned()
}
