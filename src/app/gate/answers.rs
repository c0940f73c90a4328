//! Where a model's answers come from: the model itself, or what it logged.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use super::{GateArgs, Incomparable, Row, is_manifest};
use crate::app::replay::MOST_LINE_BYTES;
use crate::app::{threads, without_model};
use crate::drift::answer::Answer;
use crate::drift::gate_report::Side;
use crate::drift::record::InputText;
use crate::drift::task::ModelSpec;
use crate::drift::translation::Translation;
use crate::model::onnx::OnnxModel;
use crate::model::{Depth, Manifest};
use crate::source::files::FileRecords;
use crate::source::native::NativeDecoder;

/// One row's answers by task index.
pub type RowAnswers = Vec<Option<Answer>>;

/// One of the two models.
pub enum Answers {
    /// It is run.
    Run(Box<Run>),
    /// Its answers were logged.
    Logged {
        /// By the rows' ids.
        answers: HashMap<String, RowAnswers>,
        /// Who.
        side: Side,
    },
}

/// A model that is run.
pub struct Run {
    model: OnnxModel,
    /// Its answers as the measured tasks'.
    translation: Translation,
    side: Side,
    batch: usize,
    texts: u64,
    secs: f64,
}

impl Answers {
    /// Loads a model from its manifest, or answers from JSONL.
    ///
    /// # Errors
    /// If it cannot be read, or its tasks cannot be compared with those of `spec`.
    pub fn open(path: &Path, args: &GateArgs, spec: &ModelSpec, decoder: &NativeDecoder) -> anyhow::Result<Answers> {
        let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if is_manifest(path) {
            let manifest = Manifest::load(path)?;
            let needed =
                "the gate runs it: name its ONNX file, or give what it answered as JSONL in place of the manifest";
            without_model::needed(&manifest, needed)?;
            let own = manifest.spec.clone();
            let translation = Translation::between(spec, &own)
                .map_err(|reason| Incomparable { manifest: path.display().to_string(), reason })?;
            let bytes = manifest.onnx.as_ref().and_then(|file| std::fs::metadata(file).ok()).map(|m| m.len());
            let model = OnnxModel::load(manifest, args.device, threads(args.threads), None)?;
            let side = Side { name: own.name.clone(), version: own.version.clone(), source, bytes, ms_per_text: None };
            let batch = args.batch.max(1);
            return Ok(Answers::Run(Box::new(Run { model, translation, side, batch, texts: 0, secs: 0.0 })));
        }
        let mut answers = HashMap::new();
        for line in FileRecords::open(path, decoder, MOST_LINE_BYTES)? {
            if let Ok(record) = line?.decoded
                && let Some(id) = record.id
                && !record.answers.is_empty()
            {
                answers.insert(id, record.answers);
            }
        }
        anyhow::ensure!(
            !answers.is_empty(),
            "`{}` holds no answer with an id of model `{}`",
            path.display(),
            spec.name
        );
        let side = Side { name: spec.name.clone(), source, ..Side::default() };
        Ok(Answers::Logged { answers, side })
    }

    /// The answers to rows; `None` where it has none.
    ///
    /// # Errors
    /// If the model fails.
    pub fn of(&mut self, rows: &[Row]) -> anyhow::Result<Vec<Option<RowAnswers>>> {
        match self {
            Answers::Logged { answers, .. } => {
                Ok(rows.iter().map(|row| row.id.as_ref().and_then(|id| answers.get(id)).cloned()).collect())
            }
            Answers::Run(run) => run.of(rows),
        }
    }

    /// Who it was, and what it cost.
    pub fn side(self) -> Side {
        match self {
            Answers::Logged { side, .. } => side,
            Answers::Run(run) => {
                let ms_per_text = (run.texts > 0).then(|| 1_000.0 * run.secs / run.texts as f64);
                Side { ms_per_text, ..run.side }
            }
        }
    }
}

impl Run {
    fn of(&mut self, rows: &[Row]) -> anyhow::Result<Vec<Option<RowAnswers>>> {
        let texts: Vec<(InputText, Depth)> =
            rows.iter().filter_map(|row| Some((row.text.clone()?, Depth::Full))).collect();
        if texts.is_empty() {
            return Ok(vec![None; rows.len()]);
        }
        if self.texts == 0 {
            // The first run of a session allocates; it is not the model's speed.
            self.model.infer(&texts[..1], self.batch)?;
        }
        let started = Instant::now();
        let mut inferences = self.model.infer(&texts, self.batch)?.into_iter();
        self.secs += started.elapsed().as_secs_f64();
        self.texts += texts.len() as u64;
        let answer = |row: &Row| {
            row.text.as_ref()?;
            Some(self.translation.of(&inferences.next()?.answers))
        };
        Ok(rows.iter().map(answer).collect())
    }
}
