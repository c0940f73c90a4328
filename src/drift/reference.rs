//! What current windows are compared with: the signals' cells over held-out records, the encoder's
//! geometry, and how much the reference's own windows vary.
//!
//! A reference file is the magic `DRIFTREF`, a format number (u16, little endian), the postcard
//! encoding of `Reference`, and the first 8 bytes of the SHA-256 of all that precedes.

use std::fmt::Write as _;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::encoder_map::EncoderMap;
use super::geometry::Geometry;
use super::observation::HeadSource;
use super::performance::Performance;
use super::season::Season;
use super::segment::{Segment, SegmentTag};
use super::signal::{Measure, SignalKey};
use super::spread::Spread;
use super::task::ModelSpec;
use super::time::Timestamp;
use super::window::WindowRule;
use crate::stats::extremes::Tail;
use crate::stats::hypothesis::Allowance;

/// References as files of earlier formats hold them.
#[path = "reference_formats.rs"]
mod formats;

const MAGIC: &[u8; 8] = b"DRIFTREF";
const FORMAT: u16 = 16;
/// Before it no record was kept for others to be compared with.
const WITHOUT_NEIGHBOURS: u16 = 15;
/// Before it a category that nobody had seen was one with those that were too many for a cell; the rest is the same.
const WITHOUT_RARE_CATEGORIES: u16 = 14;
/// Before it heads were taken to err as often in each window.
const WITHOUT_WANDER: u16 = 13;
/// Before it means took every record in full, however far out it lies.
const WITHOUT_REACH: u16 = 12;
/// Before it small p-values were read as they are, and nobody counted excursions.
const WITHOUT_TAILS: u16 = 11;
/// Before it phases were taken to be spread alike.
const WITHOUT_SPREAD: u16 = 10;
/// Before it every record had a say in which categories have a cell of their own; the rest is the same.
const WITHOUT_OPEN_CATEGORIES: u16 = 9;
/// Before it heads without classes had no signal within the encoder's regions; the rest is the same.
const WITHOUT_ANSWERS_WITHIN_REGIONS: u16 = 8;
/// Before it no signal looked at another's cells; the rest is the same.
const WITHOUT_RISING: u16 = 7;
/// Before it the tokenizer was not noted; the rest is the same.
const WITHOUT_TOKENIZER: u16 = 6;
/// Before it no map was kept; the rest is the same.
const WITHOUT_MAP: u16 = 5;
/// Before it nothing was known of performance; the rest is the same.
const WITHOUT_PERFORMANCE: u16 = 4;
const CHECKSUM_BYTES: usize = 8;

/// A fitted reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// `ref_` and twelve hexadecimal digits of its content's digest.
    pub id: String,
    /// The model it was fitted for.
    pub spec: ModelSpec,
    /// Whose answers feed the head signals.
    pub heads: HeadSource,
    /// How its records were cut into windows.
    pub window: WindowRule,
    /// Records it holds.
    pub records: u64,
    /// Windows it holds.
    pub windows: u64,
    /// First and last event time.
    pub span: (Timestamp, Timestamp),
    /// What it stands for.
    pub kind: ReferenceKind,
    /// Axes of the embeddings, if there were any.
    pub geometry: Option<Geometry>,
    /// Tags whose values are watched on their own.
    pub segments: Vec<SegmentTag>,
    /// Phases that windows are compared within, if the reference is long enough to tell them apart.
    pub season: Option<Season>,
    /// Windows merged at each scale, the first being 1.
    pub scales: Vec<u32>,
    /// All signals, in the order of their cells.
    pub signals: Vec<SignalReference>,
    /// How often heads are right, where labels told; their cells follow those of the signals.
    pub performance: Vec<Performance>,
    /// Where records lie in the encoder's space, for people to look at; its cells come last.
    pub map: Option<EncoderMap>,
    /// What its texts were cut by, where they were: the SHA-256 of the tokenizer's file in hexadecimal, or the name of
    /// the way words are cut.
    pub tokenizer: Option<String>,
}

/// What a reference stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// Chosen once and kept.
    Fixed,
    /// The time that has just passed, to see what is new.
    Trailing,
    /// The same time one period earlier, such as last week.
    PreviousPeriod,
    /// Another version of the model on the same traffic.
    OtherVersion,
}

impl ReferenceKind {
    /// All kinds.
    pub const ALL: [ReferenceKind; 4] =
        [ReferenceKind::Fixed, ReferenceKind::Trailing, ReferenceKind::PreviousPeriod, ReferenceKind::OtherVersion];

    /// The name used in the API and the store.
    pub fn name(self) -> &'static str {
        match self {
            ReferenceKind::Fixed => "fixed",
            ReferenceKind::Trailing => "trailing",
            ReferenceKind::PreviousPeriod => "previous_period",
            ReferenceKind::OtherVersion => "other_version",
        }
    }
}

/// One signal's part of a reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalReference {
    /// Which signal.
    pub key: SignalKey,
    /// What it learned.
    pub measure: Measure,
    /// Where its cells begin in a summary; those of the signal it looks at, where it has none of its own.
    pub offset: usize,
    /// Its cells over the whole reference.
    pub totals: Vec<i64>,
    /// Its cells by phase, where phases differ.
    pub seasonal: Option<Seasonal>,
    /// How widely its records of a phase lie around their mean, for signals that test means.
    pub spread: Spread,
    /// How its windows vary around it.
    pub variation: Variation,
    /// How the middle of its windows varies, for signals that have one.
    pub location: Variation,
    /// Why the false-alarm budget cannot be promised for it, if it cannot.
    pub broken: Option<String>,
}

/// How a signal differs between phases.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seasonal {
    /// Units that the whole reference weighs against a phase's own.
    pub prior: f64,
    /// Cells of each phase.
    pub by_phase: Vec<Vec<i64>>,
}

/// How one statistic of a signal varies between windows when nothing is wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Variation {
    /// At each of the reference's scales.
    pub at_scale: Vec<ScaleNull>,
    /// How many units the whole reference is worth less than it has: its own design effect, at least 1.
    pub design_effect: f64,
}

/// How a statistic's windows of one scale vary when nothing is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ScaleNull {
    /// Intra-window correlation ρ.
    pub intra_window_correlation: f64,
    /// How far windows wander together, as [`Allowance::wander`].
    pub wander: f64,
    /// How much more the statistic varies than its law, as [`Allowance::dispersion`]; 0 for no more.
    pub dispersion: f64,
    /// How small p-values are read, where those of the reference's own windows are smaller than chance has them.
    pub tail: Option<Tail>,
    /// As how many independent windows those are worth that wander together; 0 where none do.
    pub excursions: f64,
}

/// What a window is compared with: cells, perhaps mixed over phases, and what they are worth.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Cells, fractional where phases are mixed.
    pub cells: Vec<f64>,
    /// Independent units that would be known as well.
    pub units: f64,
    /// How widely its records lie around their mean, as [`Allowance::spread`].
    pub spread: f64,
}

/// Why bytes are not a reference.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// Another kind of file.
    #[error("this is not a driftd reference: write one with `driftd reference fit`")]
    NotAReference,
    /// Written by another version.
    #[error("the reference has format {0}, this driftd reads {FORMAT}: fit it again")]
    Format(u16),
    /// Cut off or altered.
    #[error("the reference is damaged: its checksum does not match")]
    Damaged,
    /// The content does not decode.
    #[error("the reference is damaged")]
    Undecodable(#[from] postcard::Error),
}

impl Variation {
    /// ln p as it is read at one of the scales.
    pub fn read(&self, scale: usize, ln_p: f64) -> f64 {
        self.at_scale.get(scale).and_then(|null| null.tail).map_or(ln_p, |tail| tail.read(ln_p))
    }

    /// What a test at one of the scales has to allow for, against what is expected of a reference whose own windows hold
    /// `usual` units at that scale.
    pub fn allowance(&self, scale: usize, usual: f64, expected: &Expected, margin: f64) -> Allowance {
        let null = self.at_scale.get(scale).copied().unwrap_or_default();
        Allowance {
            intra_window_correlation: null.intra_window_correlation,
            usual,
            effective_reference: expected.units / self.design_effect.max(1.0),
            wander: null.wander,
            dispersion: null.dispersion.max(1.0),
            spread: expected.spread,
            margin,
        }
    }
}

impl SignalReference {
    /// Where the signal's cells lie in a summary.
    pub fn cells(&self) -> Range<usize> {
        self.offset..self.offset + self.totals.len()
    }

    /// What a window with these records by phase is compared with.
    ///
    /// A phase's own share is shrunk towards the whole reference by the prior; phases mix by how many
    /// of the window's records fall into them.
    pub fn expected(&self, phases: &[i64]) -> Expected {
        let pooled = || self.totals.iter().map(|t| *t as f64).collect::<Vec<f64>>();
        let records = phases.iter().sum::<i64>() as f64;
        let spread = self.spread.of(phases);
        let n = |cells: &[i64]| self.measure.as_signal().n(cells) as f64;
        let Some(seasonal) = self.seasonal.as_ref().filter(|_| records > 0.0) else {
            return Expected { cells: pooled(), units: n(&self.totals), spread };
        };
        let total = n(&self.totals).max(1.0);
        let mut cells = vec![0.0; self.totals.len()];
        let (mut shared, mut variance) = (0.0, 0.0);
        for (own, count) in seasonal.by_phase.iter().zip(phases).filter(|(_, count)| **count > 0) {
            let weight = *count as f64 / records;
            let own_n = n(own);
            let each = weight / (own_n + seasonal.prior);
            own.iter().zip(&mut cells).for_each(|(own, cell)| *cell += each * *own as f64);
            shared += each * seasonal.prior;
            variance += each * each * own_n;
        }
        for (cell, total_cell) in cells.iter_mut().zip(&self.totals) {
            *cell = *cell * total + shared * *total_cell as f64;
        }
        let variance = variance + shared * shared / total;
        Expected { cells, units: 1.0 / variance.max(f64::MIN_POSITIVE), spread }
    }

    /// Whether its windows wander together at some scale.
    pub fn wanders(&self) -> bool {
        self.variation.at_scale.iter().chain(&self.location.at_scale).any(|null| null.wander > 0.0)
    }
}

impl Reference {
    /// Number of cells of a summary in this reference's layout.
    pub fn width(&self) -> usize {
        let signals = self.signals.iter().map(|signal| signal.cells().end).max().unwrap_or(0);
        let performance = self.performance.last().map_or(signals, |performance| performance.cells().end);
        self.map.as_ref().map_or(performance, |map| map.cells().end)
    }

    /// What is known of a head's performance.
    pub fn performance_of(&self, task: usize) -> Option<&Performance> {
        self.performance.iter().find(|p| p.task == task)
    }

    /// Name of a signal's task.
    pub fn task_name(&self, key: &SignalKey) -> Option<&str> {
        key.task.map(|task| self.spec.tasks[task].name.as_str())
    }

    /// Number of phases; 0 without seasons.
    pub fn phases(&self) -> usize {
        self.season.map_or(0, Season::phases)
    }

    /// Name of a signal's segment.
    pub fn segment_name(&self, key: &SignalKey) -> Option<String> {
        self.name_of_segment(key.segment?)
    }

    /// Name of a segment.
    pub fn name_of_segment(&self, segment: Segment) -> Option<String> {
        Some(self.segments.get(usize::from(segment.tag))?.name(segment.value))
    }

    /// A signal's name with its segment and task, for people.
    pub fn signal_name(&self, key: &SignalKey) -> String {
        let task = self.task_name(key).map_or_else(String::new, |task| format!(" of `{task}`"));
        let segment = self.segment_name(key).map_or_else(String::new, |segment| format!(" in {segment}"));
        format!("{}{task}{segment}", key.signal)
    }

    /// Sets the id from the content; call when everything else is in place.
    pub fn seal(mut self) -> Reference {
        self.id.clear();
        // What served the fit alone is not stored.
        let bytes = postcard::to_stdvec(&self).expect("a reference of plain data always encodes");
        self = postcard::from_bytes(&bytes).expect("what was just encoded decodes");
        let content = postcard::to_stdvec(&self).expect("a reference of plain data always encodes");
        self.id = Sha256::digest(&content)[..6].iter().fold("ref_".to_owned(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        });
        self
    }

    /// The file's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(FORMAT.to_le_bytes());
        bytes.extend(postcard::to_stdvec(self).expect("a reference of plain data always encodes"));
        let digest = Sha256::digest(&bytes);
        bytes.extend(&digest[..CHECKSUM_BYTES]);
        bytes
    }

    /// From the file's bytes.
    ///
    /// # Errors
    /// [`ReferenceError`] says which part is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Reference, ReferenceError> {
        let header = MAGIC.len() + 2;
        if bytes.len() < header + CHECKSUM_BYTES || &bytes[..MAGIC.len()] != MAGIC {
            return Err(ReferenceError::NotAReference);
        }
        let format = u16::from_le_bytes([bytes[8], bytes[9]]);
        if ![
            FORMAT,
            WITHOUT_NEIGHBOURS,
            WITHOUT_RARE_CATEGORIES,
            WITHOUT_WANDER,
            WITHOUT_REACH,
            WITHOUT_TAILS,
            WITHOUT_SPREAD,
            WITHOUT_OPEN_CATEGORIES,
            WITHOUT_ANSWERS_WITHIN_REGIONS,
            WITHOUT_RISING,
            WITHOUT_TOKENIZER,
            WITHOUT_MAP,
            WITHOUT_PERFORMANCE,
        ]
        .contains(&format)
        {
            return Err(ReferenceError::Format(format));
        }
        let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        if &Sha256::digest(content)[..CHECKSUM_BYTES] != checksum {
            return Err(ReferenceError::Damaged);
        }
        let mut content = content[header..].to_vec();
        if format == WITHOUT_PERFORMANCE {
            // The last field but two, an empty list.
            content.push(0);
        }
        if format <= WITHOUT_MAP {
            // The last field but one, nothing.
            content.push(0);
        }
        if format <= WITHOUT_TOKENIZER {
            // The last field, nothing.
            content.push(0);
        }
        match format {
            FORMAT => Ok(postcard::from_bytes(&content)?),
            WITHOUT_NEIGHBOURS | WITHOUT_RARE_CATEGORIES => {
                Ok(postcard::from_bytes::<formats::WithoutNeighbours>(&content)?.into())
            }
            WITHOUT_WANDER => Ok(postcard::from_bytes::<formats::WithoutWander>(&content)?.into()),
            WITHOUT_REACH => Ok(postcard::from_bytes::<formats::WithoutReach>(&content)?.into()),
            WITHOUT_TAILS => Ok(postcard::from_bytes::<formats::WithoutTails>(&content)?.into()),
            _ => Ok(postcard::from_bytes::<formats::WithoutSpread>(&content)?.into()),
        }
    }
}
