//! How a reference is learned from held-out records: geometry first, then the signals' cells, then
//! how much its own windows vary.
//!
//! Records are read twice and never held all at once: a uniform sample of them fixes axes, bins, trees
//! and class means; then every record is folded into its window's tallies. What is compared with means
//! or axes that were learned is compared with those learned without it, or the reference would look
//! tighter than the traffic it stands for.

use std::collections::{BTreeMap, HashSet};

use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::blocks::Tallies;
use super::calibrate::calibrate;
use super::encoder_map::EncoderMap;
use super::folds::Folds;
use super::label::{Label, LabelValue};
use super::observation::{HeadSource, Joined, Observation};
use super::order::Runs;
use super::performance;
use super::reference::{Reference, ReferenceKind, SignalReference, Variation};
use super::season::Season;
use super::segment::{Segment, TagCounts};
use super::signal::{HeldOut, Measure, Sample, SignalKey, fit_all};
use super::space::Space;
use super::spread::Spread;
use super::summary::Summary;
use super::task::ModelSpec;
use super::time::{Span, Timestamp};
use super::warnings::warnings;
use super::window::{Slot, WindowRule};

/// Fewer records than this cannot say anything about a model.
pub const LEAST_RECORDS: usize = 100;
/// Records of the sample that fixes axes, bins, trees and means.
const SAMPLE: usize = 50_000;
/// Windows merged at each scale, a day being added where windows are of time.
const SCALES: [u32; 3] = [1, 4, 16];
const DAY: i64 = 86_400_000_000;
/// Days a reference needs so that the scale of a day is known.
const LEAST_DAYS: i64 = 8;

/// One reference record as the fit needs it.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct FitRecord {
    /// When.
    pub time: Timestamp,
    /// What it says, with our inference of it.
    pub joined: Joined,
    /// Labels of it, as they stand in the end.
    pub labels: Vec<Label>,
}

/// Records that can be read more than once.
pub trait Records {
    /// Why reading failed.
    type Error;

    /// Gives all records in the order of the stream, the same each time.
    ///
    /// # Errors
    /// If they cannot be read.
    fn each(&mut self, take: &mut dyn FnMut(FitRecord)) -> Result<(), Self::Error>;
}

impl Records for Vec<FitRecord> {
    type Error = std::convert::Infallible;

    fn each(&mut self, take: &mut dyn FnMut(FitRecord)) -> Result<(), Self::Error> {
        self.iter().cloned().for_each(take);
        Ok(())
    }
}

/// What is fitted, and how.
pub struct Plan<'a> {
    /// The model.
    pub spec: &'a ModelSpec,
    /// Whose answers feed the head signals.
    pub heads: HeadSource,
    /// How records are cut into windows.
    pub window: WindowRule,
    /// What the reference stands for.
    pub kind: ReferenceKind,
    /// The token behind an id, or the word behind a number, where they are at hand.
    pub token: &'a dyn Fn(u32) -> Option<String>,
}

/// A fitted reference with what its maker should know about it.
#[derive(Debug)]
pub struct Fitted {
    /// The reference.
    pub reference: Reference,
    /// What is thin, constant or missing.
    pub warnings: Vec<String>,
}

/// Why no reference could be fitted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FitError<E> {
    /// Not enough to learn from.
    #[error("{found} usable records are too few for a reference: at least {LEAST_RECORDS} are needed")]
    TooFew {
        /// Records found.
        found: usize,
    },
    /// Nothing to measure.
    #[error("the records hold neither texts, embeddings nor answers of `{model}`")]
    NothingToMeasure {
        /// Name of the model.
        model: String,
    },
    /// The records cannot be read.
    #[error("{0}")]
    Read(E),
}

/// Fits a reference to `records`, in the order of the stream.
///
/// # Errors
/// [`FitError`] if there is too little, or nothing, to learn from.
pub fn fit<R: Records>(plan: &Plan, records: &mut R) -> Result<Fitted, FitError<R::Error>> {
    let mut survey = Survey::new(plan.spec.embedding_dimension);
    records.each(&mut |record| survey.take(record)).map_err(FitError::Read)?;
    if survey.records < LEAST_RECORDS {
        return Err(FitError::TooFew { found: survey.records });
    }
    let Survey { records: count, span: Some(span), sample, tags, mut checks, .. } = survey else {
        return Err(FitError::TooFew { found: 0 });
    };
    let (segments, missing) = tags.segments(plan.spec.segments.as_deref());
    checks.missing_tags = missing;
    let drawn: HashSet<u64> = sample.iter().map(|(ordinal, _)| *ordinal).collect();
    let parts = Folds::new(count, checks.runs.sorted().is_some());
    let folds: Vec<usize> = sample.iter().map(|(ordinal, _)| parts.of(*ordinal)).collect();
    let space = Space::fit(plan.spec, &sample, &folds);
    checks.embeddings_do_not_vary = checks.embeddings > 0 && space.geometry.is_none();
    let in_parts: Vec<(Slot, usize)> = sample
        .iter()
        .zip(&folds)
        .map(|((ordinal, record), fold)| (plan.window.slot(record.time, *ordinal), *fold))
        .collect();
    let (observations, labels): (Vec<Observation>, Vec<Vec<Label>>) = sample
        .into_iter()
        .zip(&folds)
        .map(|((.., record), fold)| (space.observe(record.joined, *fold, &segments), record.labels))
        .unzip();
    let sample = Sample {
        spec: plan.spec,
        observations: &observations,
        folds: &folds,
        geometry: space.geometry.as_ref(),
        segments: &segments,
        token: plan.token,
    };
    let signals = layout(fit_all(&sample), &sample);
    let width = signals.iter().map(|signal| signal.cells().end).max().unwrap_or(0);
    let performance = performance::fit(plan.spec, &observations, &labels, &in_parts, width);
    let width = performance.last().map_or(width, |performance| performance.cells().end);
    let mut map = EncoderMap::fit(&observations, width);
    drop((observations, labels));
    if signals.is_empty() {
        return Err(FitError::NothingToMeasure { model: plan.spec.name.clone() });
    }
    let mut reference = Reference {
        id: String::new(),
        spec: plan.spec.clone(),
        heads: plan.heads,
        window: plan.window,
        records: count as u64,
        windows: 0,
        span,
        kind: plan.kind,
        geometry: space.geometry.clone(),
        season: Season::of(span.1.since(span.0)),
        scales: scales(plan.window, span.1.since(span.0)),
        signals,
        segments,
        performance,
        map: map.clone(),
        tokenizer: None,
    };
    let mut tallies = Tallies::new();
    let mut ordinal = 0;
    let fold_one = &mut |record: FitRecord| {
        let slot = plan.window.slot(record.time, ordinal);
        let held = HeldOut { fold: parts.of(ordinal), sampled: drawn.contains(&ordinal) };
        let observation = space.observe(record.joined, held.fold, &reference.segments);
        tallies.fold(&reference, slot, record.time, &observation, held);
        if let Some((grid, map)) = reference.map.as_ref().zip(map.as_mut()) {
            grid.fold(&observation, &mut map.totals);
        }
        ordinal += 1;
    };
    records.each(fold_one).map_err(FitError::Read)?;
    reference.map = map;
    calibrate(&mut reference, tallies);
    let warnings = warnings(&reference, &checks);
    Ok(Fitted { reference: reference.seal(), warnings })
}

fn scales(window: WindowRule, span: Span) -> Vec<u32> {
    let mut scales = SCALES.to_vec();
    if let WindowRule::Time(length) = window {
        let per_day = DAY / length.micros().max(1);
        if per_day > i64::from(SCALES[SCALES.len() - 1]) && span.micros() >= LEAST_DAYS * DAY - length.micros() {
            scales.extend(u32::try_from(per_day));
        }
    }
    scales
}

/// Signals in the order of their cells: those of all records, and copies for each segment.
fn layout(measures: Vec<(SignalKey, Measure)>, sample: &Sample) -> Vec<SignalReference> {
    let mut all = Vec::new();
    for (key, measure) in measures {
        if measure.as_signal().per_segment() {
            for (tag, known) in sample.segments.iter().enumerate() {
                for value in 0..=known.values.len() {
                    let segment = Segment { tag: tag as u16, value: value as u16 };
                    let own = measure.as_signal().in_segment(sample, segment).unwrap_or_else(|| measure.clone());
                    all.push((SignalKey { segment: Some(segment), ..key.clone() }, own));
                }
            }
        }
        all.push((key, measure));
    }
    all.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut end = 0;
    let mut offsets = BTreeMap::new();
    for (key, measure) in all.iter().filter(|(_, measure)| measure.as_signal().looks_at().is_none()) {
        offsets.insert(key.clone(), end);
        end += measure.as_signal().width();
    }
    let place = |(key, measure): (SignalKey, Measure)| {
        let width = measure.as_signal().width();
        let offset = offsets[measure.as_signal().looks_at().unwrap_or(&key)];
        SignalReference {
            key,
            measure,
            offset,
            totals: vec![0; width],
            seasonal: None,
            spread: Spread::default(),
            variation: Variation::default(),
            location: Variation::default(),
            broken: None,
        }
    };
    all.into_iter().map(place).collect()
}

/// What the first reading learns.
struct Survey {
    dimension: Option<usize>,
    records: usize,
    span: Option<(Timestamp, Timestamp)>,
    sample: Vec<(u64, FitRecord)>,
    rng: StdRng,
    tags: TagCounts,
    checks: Checks,
}

/// Counts from the first reading that warnings are made of.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) embeddings: u64,
    pub(super) unusable_embeddings: u64,
    pub(super) embeddings_do_not_vary: bool,
    pub(super) missing_tags: Vec<String>,
    pub(super) texts: u64,
    pub(super) repeated_texts: u64,
    pub(super) runs: Runs,
    digests: HashSet<u64>,
    /// By task: labels, right answers, and the sum of confidences on labelled records.
    pub(super) labelled: BTreeMap<usize, (u64, u64, f64)>,
}

impl Checks {
    /// Texts whose digests are remembered, to count repeats.
    const MOST_DIGESTS: usize = 200_000;

    fn take(&mut self, record: &FitRecord) {
        self.runs.take(&record.joined.answers);
        if let Some(text) = &record.joined.text
            && self.texts < Self::MOST_DIGESTS as u64
        {
            self.texts += 1;
            self.repeated_texts += u64::from(!self.digests.insert(text.digest));
        }
        for Label { task, value, .. } in &record.labels {
            use super::answer::{Answer, Confidence};
            if let Some(Some(Answer::Class { class: answer, confidence: Confidence::Known(p), .. })) =
                record.joined.answers.get(*task)
                && let Some(LabelValue::Class(class)) = value
            {
                let (labels, right, confidence) = self.labelled.entry(*task).or_default();
                *labels += 1;
                *right += u64::from(answer == class);
                *confidence += f64::from(*p);
            }
        }
    }
}

impl Survey {
    fn new(dimension: Option<usize>) -> Survey {
        Survey {
            dimension,
            records: 0,
            span: None,
            sample: Vec::new(),
            rng: StdRng::seed_from_u64(1),
            tags: TagCounts::default(),
            checks: Checks::default(),
        }
    }

    fn take(&mut self, record: FitRecord) {
        let ordinal = self.records as u64;
        self.records += 1;
        self.span =
            Some(self.span.map_or((record.time, record.time), |(a, b)| (a.min(record.time), b.max(record.time))));
        self.tags.add(&record.joined.tags);
        self.checks.take(&record);
        if !record.joined.embedding.is_empty() {
            self.checks.embeddings += 1;
            let embedding = &record.joined.embedding;
            let usable = Some(embedding.len()) == self.dimension && embedding.iter().all(|v| v.is_finite());
            self.checks.unusable_embeddings += u64::from(!usable);
        }
        // Algorithm R (Vitter 1985).
        if self.sample.len() < SAMPLE {
            self.sample.push((ordinal, record));
        } else {
            let at = self.rng.random_range(0..self.records);
            if let Some(place) = self.sample.get_mut(at) {
                *place = (ordinal, record);
            }
        }
    }
}

/// Adds to a summary; for [`Tallies`].
pub(super) fn add(summary: &mut Summary, part: &Summary) {
    summary.merge(part).expect("tallies of one reference have one layout");
}
