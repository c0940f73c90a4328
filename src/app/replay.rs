//! Records of files in chunks, each with our inference where it is asked for. Fit and back-test read
//! their files through this.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indicatif::ProgressBar;

use super::Unusable;
use super::golden::Golden;
use super::labels::UnknownLabels;
use crate::cli::ModelArgs;
use crate::collect::observe::{Wanted, is_only_label, number};
use crate::config::{Batching, Infer};
use crate::drift::inference::Inference;
use crate::drift::label::Label;
use crate::drift::observation::HeadSource;
use crate::drift::record::{InputText, Record, RejectReason};
use crate::model::{Depth, Manifest, ModelHandle, batching};
use crate::source::files::FileRecords;
use crate::source::likeness::seems;
use crate::source::merged::Merged;
use crate::source::native::NativeDecoder;

/// Longer lines are refused.
pub const MOST_LINE_BYTES: usize = 16 << 20;
/// Records in a chunk.
const CHUNK: usize = 512;
/// Refusals told one by one; the rest are only counted.
const TOLD: u64 = 5;

/// What was refused, by its reason.
#[derive(Clone, Debug, Default)]
pub struct Refusals(BTreeMap<&'static str, u64>);

impl Refusals {
    /// Counts one; how many there are now.
    pub fn add(&mut self, reason: &'static str) -> u64 {
        *self.0.entry(reason).or_default() += 1;
        self.total()
    }

    /// All of them.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// How many for each reason.
    pub fn by_reason(&self) -> &BTreeMap<&'static str, u64> {
        &self.0
    }
}

impl fmt::Display for Refusals {
    /// `invalid_shape 3, no_time 1`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<String> = self.0.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        f.write_str(&told.join(", "))
    }
}

/// Why there is nothing to work with, with what was refused.
pub fn with_refusals(why: String, refused: &Refusals) -> String {
    match refused.total() {
        0 => why,
        n => format!("{why}; {n} were refused: {refused}"),
    }
}

/// Reads files record by record, running the model where a record lacks something.
pub struct Replay {
    decoder: Arc<NativeDecoder>,
    manifest: Manifest,
    args: (crate::config::raw::Device, Batching),
    model: Option<ModelHandle>,
    skew_sample: f64,
    /// Files of which it was said what they seem to be, or that they seem right.
    looked_at: BTreeSet<PathBuf>,
    /// Records refused so far.
    pub refused: Refusals,
    /// Labels refused in files of their own.
    pub refused_labels: Refusals,
    /// Labels there that name no class.
    pub unknown_labels: UnknownLabels,
}

impl Replay {
    /// For the model that the arguments name. The model is loaded when a record first needs it.
    pub fn new(manifest: Manifest, args: &ModelArgs) -> Replay {
        let batching = Batching {
            max_batch: args.batch.max(1),
            max_wait: std::time::Duration::ZERO,
            threads: super::threads(args.threads),
        };
        let decoder = Arc::new(NativeDecoder::new(vec![Arc::new(manifest.spec.clone())], MOST_LINE_BYTES));
        Replay {
            decoder,
            manifest,
            args: (args.device, batching),
            model: None,
            skew_sample: args.skew_sample,
            looked_at: BTreeSet::new(),
            refused: Refusals::default(),
            refused_labels: Refusals::default(),
            unknown_labels: UnknownLabels::default(),
        }
    }

    /// Whose answers a stream's heads are to be fed from: production's if the first records of any of its files
    /// carry them, else ours; production's where there is no model to run.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn detect_heads(&self, inputs: &[PathBuf]) -> anyhow::Result<HeadSource> {
        if self.manifest.onnx.is_none() {
            return Ok(HeadSource::Predictions);
        }
        for input in inputs {
            let mut seen = 0;
            for line in FileRecords::open(input, &self.decoder, MOST_LINE_BYTES)? {
                match line?.decoded {
                    Ok(record) if !record.answers.is_empty() => return Ok(HeadSource::Predictions),
                    // Labels may come first, and say nothing of who answers.
                    Ok(record) if is_only_label(&record) => continue,
                    _ => seen += 1,
                }
                if seen >= CHUNK {
                    break;
                }
            }
        }
        Ok(HeadSource::Inference)
    }

    /// The labels of a file with the ids of their predictions.
    ///
    /// # Errors
    /// If it cannot be read, or holds none.
    pub fn labels(&mut self, file: &Path) -> anyhow::Result<Vec<(String, Label)>> {
        let mut found = Vec::new();
        // The iterator must not borrow from `self`, which counts meanwhile.
        let decoder = self.decoder.clone();
        for line in FileRecords::open(file, &decoder, MOST_LINE_BYTES)? {
            let line = line?;
            let (reason, why) = match line.decoded {
                Ok(mut record) if record.id.is_some() && !record.labels.is_empty() => {
                    self.unknown_labels.add(&mut record);
                    let Record { id, labels, .. } = record;
                    found.extend(labels.into_iter().filter_map(|label| Some((id.clone()?, label))));
                    continue;
                }
                Ok(Record { id: Some(_), .. }) => ("no_label", "no_label: it holds none".to_owned()),
                Ok(_) => ("no_prediction_id", "no_prediction_id: it names no `prediction_id`".to_owned()),
                Err(why) => (why.reason.name(), why.to_string()),
            };
            if self.refused_labels.add(reason) <= TOLD {
                eprintln!("{}:{}: no label: {why}", file.display(), line.number);
            }
            self.hint(file).into_iter().for_each(|hint| eprintln!("{hint}"));
        }
        let refused = &self.refused_labels;
        if found.is_empty() {
            let why = format!("`{}` holds no label of a task that the manifest names", file.display());
            return Err(Unusable(with_refusals(why, refused)).into());
        }
        Ok(found)
    }

    /// Gives every record of the files to `take`, those of several files by their times.
    ///
    /// # Errors
    /// If a file cannot be read, the model fails, or `take` does.
    pub async fn run(
        &mut self,
        inputs: &[PathBuf],
        heads: HeadSource,
        bar: &ProgressBar,
        mut take: impl FnMut(Record, Option<Inference>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        // The iterator must not borrow from `self`, which runs the model meanwhile.
        let decoder = self.decoder.clone();
        let mut chunk = Vec::with_capacity(CHUNK);
        for line in Merged::open(inputs, &decoder, MOST_LINE_BYTES)? {
            let (file, line) = line?;
            match line.decoded {
                Ok(record) => chunk.push(record),
                Err(rejected) => {
                    let refused = self.refused.add(rejected.reason.name());
                    if refused <= TOLD {
                        let input = inputs[file].display();
                        bar.suspend(|| eprintln!("{input}:{}: refused: {rejected}", line.number));
                    }
                    if let Some(hint) = self.hint(&inputs[file]) {
                        bar.suspend(|| eprintln!("{hint}"));
                    }
                    if rejected.reason == RejectReason::UnknownModel && refused == 1 {
                        bar.suspend(|| eprintln!("the manifest describes model `{}`", self.manifest.spec.name));
                    }
                }
            }
            if chunk.len() >= CHUNK {
                self.chunk(std::mem::take(&mut chunk), heads, bar, &mut take).await?;
            }
        }
        self.chunk(chunk, heads, bar, &mut take).await?;
        if self.refused.total() > TOLD {
            bar.suspend(|| eprintln!("{} records were refused in all: {}", self.refused.total(), self.refused));
        }
        Ok(())
    }

    /// What a file seems to be that is no JSONL; asked where something of it was refused, and told once.
    fn hint(&mut self, file: &Path) -> Option<String> {
        let is_new = self.looked_at.insert(file.to_owned());
        let seems = is_new.then(|| seems(file)).flatten()?;
        Some(format!("{} seems to be {seems}", file.display()))
    }

    async fn chunk(
        &mut self,
        records: Vec<Record>,
        heads: HeadSource,
        bar: &ProgressBar,
        take: &mut impl FnMut(Record, Option<Inference>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let embedding = self.manifest.spec.embedding_dimension.is_some();
        let wanted = Wanted { infer: Infer::Missing, heads, embedding };
        let compared = |record: &Record| {
            wanted.may_compare(record) && number(record.id.as_deref().unwrap_or_default()) < self.skew_sample
        };
        let depths: Vec<Option<Depth>> = records.iter().map(|record| wanted.depth(record, compared(record))).collect();
        let texts: Vec<(InputText, Depth)> =
            records.iter().zip(&depths).filter_map(|(record, depth)| Some((record.text.clone()?, (*depth)?))).collect();
        let mut inferences =
            if texts.is_empty() { Vec::new() } else { self.model().await?.infer(texts).await? }.into_iter();
        for (record, depth) in records.into_iter().zip(depths) {
            let inference = depth.and_then(|_| inferences.next());
            take(record, inference)?;
            bar.inc(1);
        }
        Ok(())
    }

    async fn model(&mut self) -> anyhow::Result<ModelHandle> {
        if let Some(model) = &self.model {
            return Ok(model.clone());
        }
        let (device, batching) = self.args;
        let model = batching::spawn(self.manifest.clone(), device, batching, None)?;
        if let Some(golden) = Golden::load(&self.manifest)? {
            golden.check(&model).await?;
        }
        Ok(self.model.insert(model).clone())
    }
}
