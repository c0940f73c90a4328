//! What current windows are compared with: the signals' cells over held-out records, the encoder's
//! geometry, and how much the reference's own windows vary.
//!
//! A reference file is the magic `DRIFTREF`, a format number (u16, little endian), the postcard
//! encoding of `Reference`, and the first 8 bytes of the SHA-256 of all that precedes.

use std::fmt::Write as _;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::observation::HeadSource;
use super::signal::{Measure, SignalKey};
use super::task::ModelSpec;
use super::time::Timestamp;
use super::window::WindowRule;
use crate::stats::hypothesis::Allowance;
use crate::stats::principal::Principal;

const MAGIC: &[u8; 8] = b"DRIFTREF";
const FORMAT: u16 = 1;
const CHECKSUM_BYTES: usize = 8;

/// Below this many reference windows, variation between windows is known too poorly to promise
/// anything.
pub const WINDOWS_FOR_GUARANTEE: u64 = 100;

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
    /// Principal axes of the embeddings, if there were any.
    pub geometry: Option<Principal>,
    /// All signals, in the order of their cells.
    pub signals: Vec<SignalReference>,
}

/// One signal's part of a reference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SignalReference {
    /// Which signal.
    pub key: SignalKey,
    /// What it learned.
    pub measure: Measure,
    /// Where its cells begin in a summary.
    pub offset: usize,
    /// Its cells over the whole reference.
    pub totals: Vec<i64>,
    /// Intra-window correlation ρ of the reference's windows.
    pub intra_window_correlation: f64,
    /// Units in the reference, divided by the design effect of its windows.
    pub effective_n: f64,
}

/// Whether the false-alarm budget is promised, and if not, why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub struct Guarantee {
    /// How far the promise goes.
    pub status: GuaranteeStatus,
    /// Why, in words.
    pub reason: String,
}

/// How far the promise of the budget goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuaranteeStatus {
    /// The premises were checked and hold.
    Valid,
    /// Too little is known yet.
    Provisional,
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

impl SignalReference {
    /// Where the signal's cells lie in a summary.
    pub fn cells(&self) -> Range<usize> {
        self.offset..self.offset + self.totals.len()
    }

    /// What a test against this signal has to allow for.
    pub fn allowance(&self, margin: f64) -> Allowance {
        Allowance {
            intra_window_correlation: self.intra_window_correlation,
            effective_reference: self.effective_n,
            margin,
        }
    }
}

impl Reference {
    /// Number of cells of a summary in this reference's layout.
    pub fn width(&self) -> usize {
        self.signals.last().map_or(0, |signal| signal.cells().end)
    }

    /// Name of a signal's task.
    pub fn task_name(&self, key: &SignalKey) -> Option<&str> {
        key.task.map(|task| self.spec.tasks[task].name.as_str())
    }

    /// How far the budget is promised on this reference.
    pub fn guarantee(&self) -> Guarantee {
        if self.windows < WINDOWS_FOR_GUARANTEE {
            let reason = format!("the reference holds {} windows, fewer than {WINDOWS_FOR_GUARANTEE}", self.windows);
            return Guarantee { status: GuaranteeStatus::Provisional, reason };
        }
        Guarantee {
            status: GuaranteeStatus::Valid,
            reason: format!("variation between windows was learned from {} reference windows", self.windows),
        }
    }

    /// Sets the id from the content; call once, when everything else is in place.
    pub(super) fn seal(mut self) -> Reference {
        self.id.clear();
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
        if format != FORMAT {
            return Err(ReferenceError::Format(format));
        }
        let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
        if &Sha256::digest(content)[..CHECKSUM_BYTES] != checksum {
            return Err(ReferenceError::Damaged);
        }
        Ok(postcard::from_bytes(&content[header..])?)
    }
}
