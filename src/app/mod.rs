//! The composition root: the only place that names concrete adapters, and the commands built from
//! them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::desk::DeskError;
use crate::document::Problems;
use crate::drift::gate_report::Verdict;
use crate::drift::reference::{Reference, ReferenceError};
use crate::model::fits::misfits;
use crate::model::{Manifest, ModelError};
use crate::source::SourceError;
use crate::store::StoreError;

/// The ledger beside what the broker holds.
pub mod audit;
/// Judging a file.
pub mod backtest;
/// Alerts of a back-test.
mod backtest_alerts;
/// Redacted texts of a back-test's alerts.
pub mod backtest_examples;
/// Windows without records.
mod backtest_gaps;
/// A back-test as a page.
pub mod backtest_html;
/// The labels of a back-test.
pub mod backtest_labels;
/// What a back-test's windows lack.
pub mod backtest_lacks;
/// Parts of the model × time, on a back-test's page.
mod backtest_map;
mod backtest_moved;
/// Whether labels came as usual in a back-test.
mod backtest_notices;
/// Performance on a back-test's page.
mod backtest_performance;
/// Several windows as one.
mod backtest_pooled;
/// A back-test as table or JSON.
pub mod backtest_report;
/// Harmless skew in a back-test.
pub mod backtest_skew;
/// What a back-test tells of each task.
mod backtest_tasks;
/// What a back-test's labels leave unsaid.
mod backtest_unsaid;
/// What to know of a back-test before believing it.
mod backtest_warnings;
/// Numbers, times and signals in words.
mod backtest_words;
/// Checks and one-off commands.
pub mod check;
/// This machine's clock beside the store's.
mod clocks;
/// Other settings on the same back-test.
pub mod compare;
/// Everything in one process, to look at.
pub mod demo;
/// What people do about alerts.
pub mod desk;
/// Receivers from the configuration.
mod endpoints;
/// Learning a reference.
pub mod fit;
/// Attributes that cannot be watched.
mod fit_attributes;
/// When a reference's records were.
mod fit_times;
/// Whether a new version may take over.
pub mod gate;
/// The golden set, run whenever a model is loaded.
pub mod golden;
/// Prediction ids of files.
pub mod ids;
/// Keys of the API.
pub mod keys;
/// Labels from files of their own.
pub mod labels;
/// Models as the daemon runs them.
mod loaded;
/// Progress bars.
pub mod progress;
/// Versions that a registry has put in the place of configured ones.
pub mod promoted;
/// `driftd reference list` and `activate`.
pub mod references;
/// The configuration's file while the process runs.
mod reload;
/// Records of files in chunks, with inferences.
pub mod replay;
/// Records to train on again.
pub mod replay_set;
/// Retraining put together.
pub mod retraining;
/// `driftd retraining`.
pub mod retraining_desk;
/// The daemon.
pub mod run;
/// Candidates beside the current models.
pub mod shadow;
/// Simulated traffic.
pub mod simulate;
/// Records on disk, to be read more than once.
pub mod spool;
/// A model run once on its own.
mod trial;
/// A model whose file one does not have.
mod without_model;

/// What an error means to scripts; see [`crate::cli`].
pub fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        match cause.downcast_ref::<gate::NotPassed>() {
            Some(gate::NotPassed(Verdict::Undecided)) => return 7,
            Some(gate::NotPassed(_)) => return 6,
            None => {}
        }
        if matches!(cause.downcast_ref(), Some(DeskError::Missing(..) | DeskError::Conflict(_) | DeskError::Wrong(..)))
        {
            return 2;
        }
        if cause.is::<WrongArguments>() {
            return 2;
        }
        if cause.is::<gate::Incomparable>()
            || cause.is::<Problems>()
            || cause.is::<ReferenceError>()
            || cause.is::<Unfit>()
            || cause.is::<Unusable>()
            || cause.is::<golden::NotGolden>()
            || cause.is::<golden::Unusable>()
        {
            return 3;
        }
        match cause.downcast_ref::<ModelError>() {
            Some(ModelError::NoCuda(_)) => return 5,
            Some(
                ModelError::Mismatch { .. }
                | ModelError::NoModel { .. }
                | ModelError::Refused { .. }
                | ModelError::Tokenizer { .. }
                | ModelError::Unreadable { .. }
                | ModelError::Library { .. },
            ) => return 3,
            _ => {}
        }
        if cause.is::<SourceError>()
            || matches!(cause.downcast_ref(), Some(StoreError::Open { .. } | StoreError::ReadOnly { .. }))
        {
            return 4;
        }
    }
    1
}

/// Arguments that say nothing, or do not go together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongArguments(pub String);

/// Records, labels or a file that nothing can be done with.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

/// A reference that does not belong to a manifest.
#[derive(Debug, thiserror::Error)]
#[error("the reference `{reference}` does not fit the manifest `{}`:\n  {}", manifest.display(), reasons.join("\n  "))]
pub struct Unfit {
    reference: String,
    manifest: PathBuf,
    reasons: Vec<String>,
}

/// Reads a reference and checks that it was fitted for the manifest's model.
///
/// # Errors
/// If it cannot be read, is damaged, or belongs to another model.
pub fn load_reference(path: &Path, manifest: &Manifest) -> anyhow::Result<Reference> {
    let unreadable = |error| Unusable(format!("the reference `{}` cannot be read: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(unreadable)?;
    decode_reference(&bytes, &path.display().to_string(), manifest)
}

/// As [`load_reference`], from the bytes of what `name` names.
///
/// # Errors
/// If it is damaged, or belongs to another model.
pub fn decode_reference(bytes: &[u8], name: &str, manifest: &Manifest) -> anyhow::Result<Reference> {
    let reference = Reference::decode(bytes).with_context(|| format!("`{name}`"))?;
    let reasons = misfits(manifest, &reference)?;
    if reasons.is_empty() {
        return Ok(reference);
    }
    Err(Unfit { reference: name.to_owned(), manifest: manifest.file.clone(), reasons }.into())
}

/// All cores, or what was asked for.
pub fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get)).max(1)
}

/// A runtime for commands that are not the daemon.
///
/// # Errors
/// If threads cannot be started.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the async runtime cannot be started")
}

/// Fails at once where a file cannot be written later, rather than after the work. What is in it stays.
///
/// # Errors
/// If it cannot be opened for writing, or is one of those that are `read`.
pub fn can_write<'a>(path: &Path, read: impl IntoIterator<Item = &'a PathBuf>) -> anyhow::Result<()> {
    // A link that leads nowhere yet is somebody's, and is left alone.
    let (is_new, is_file) = (path.symlink_metadata().is_err(), path.is_file());
    if is_file && read.into_iter().any(|read| read.canonicalize().ok() == path.canonicalize().ok()) {
        return Err(WrongArguments(format!("`--output {}` is a file that is read", path.display())).into());
    }
    if is_new || is_file {
        let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
        opened.with_context(|| format!("`{}` cannot be written", path.display()))?;
        if is_new {
            let _ = std::fs::remove_file(path);
        }
    }
    Ok(())
}

/// Writes to a file, or to the terminal without one.
///
/// # Errors
/// If the file cannot be written.
pub fn write_output(path: Option<&Path>, text: &str) -> anyhow::Result<()> {
    write_output_with(path, |out| out.write_all(text.as_bytes()))
}

/// The same, bit by bit: what is written need not be held.
///
/// # Errors
/// If the file cannot be written.
pub fn write_output_with(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>,
) -> anyhow::Result<()> {
    use std::io::{BufWriter, Write as _};
    match path {
        Some(path) => {
            let to_file = || {
                let mut out = BufWriter::new(std::fs::File::create(path)?);
                write(&mut out)?;
                out.flush()
            };
            to_file().with_context(|| format!("`{}` cannot be written", path.display()))
        }
        None => {
            let mut out = BufWriter::new(std::io::stdout().lock());
            match write(&mut out).and_then(|()| out.flush()) {
                // `driftd … | head` closes the pipe: nothing went wrong.
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
                Err(error) => bail!("the terminal cannot be written to: {error}"),
                Ok(()) => Ok(()),
            }
        }
    }
}
