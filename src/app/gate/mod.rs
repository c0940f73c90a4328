//! `driftd gate`: both models on the same rows, and whether the new one may take over.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use super::replay::MOST_LINE_BYTES;
use super::{can_write, progress, write_output};
use crate::cli::gate::{GateArgs, GateFormat, Named};
use crate::drift::gate::{Demands, Gate};
use crate::drift::gate_report::{GateReport, Role, Side, Verdict};
use crate::drift::record::InputText;
use crate::drift::task::ModelSpec;
use crate::model::Manifest;
use crate::source::files::{FAR_FUTURE, Lines};
use crate::source::labelled::{Golds, by_prediction, golds};
use crate::source::native::NativeDecoder;
use crate::source::paired::PairDecoder;

/// Where a model's answers come from.
mod answers;
/// A report for the terminal.
pub(super) mod table;

use answers::Answers;

/// Rows at a time.
const CHUNK: usize = 256;
/// What a protected task may lose where nobody said.
const MARGIN: f64 = 0.01;

/// The gate did not open; told apart from failures by its exit code.
#[derive(Debug, thiserror::Error)]
#[error("the gate says `{}`", .0.name())]
pub struct NotPassed(pub Verdict);

/// A task on which two models cannot be compared.
#[derive(Debug, thiserror::Error)]
#[error("`{manifest}` cannot be compared: {reason}")]
pub struct Incomparable {
    /// The manifest of the other model.
    pub manifest: String,
    /// Why.
    pub reason: String,
}

/// One row on its way through both models.
struct Row {
    id: Option<String>,
    text: Option<InputText>,
    gold: Golds,
}

/// Runs the command.
///
/// # Errors
/// If a model or file cannot be read, the two cannot be compared, or the gate does not open.
pub fn main(args: &GateArgs) -> anyhow::Result<()> {
    if let Some(output) = &args.output {
        can_write(output, args.data.iter().chain(&args.labels).chain(&args.pairs))?;
    }
    let report = run(args)?;
    let text = match args.format {
        GateFormat::Json => serde_json::to_string_pretty(&report)? + "\n",
        GateFormat::Table => table::table(&report),
    };
    write_output(args.output.as_deref(), &text)?;
    match report.verdict {
        Verdict::Pass => Ok(()),
        verdict => Err(NotPassed(verdict).into()),
    }
}

/// Compares the two models.
///
/// # Errors
/// As [`main`], but for the verdict.
pub fn run(args: &GateArgs) -> anyhow::Result<GateReport> {
    let spec = measuring(args)?;
    if let Some(file) = &args.pairs {
        return paired(args, &spec, file);
    }
    let (Some(baseline), Some(candidate)) = (&args.baseline, &args.candidate) else {
        bail!("name both models as `--baseline` and `--candidate`, or their answers as `--pairs`")
    };
    let decoder = NativeDecoder::new(vec![Arc::new(spec.clone())], MOST_LINE_BYTES);
    let mut gate = Gate::new(&spec, demands(args, &spec)?).context("`--error` lies between 0 and 0.5")?;
    let mut models =
        [Answers::open(baseline, args, &spec, &decoder)?, Answers::open(candidate, args, &spec, &decoder)?];
    let later = by_prediction(&spec, &args.labels, MOST_LINE_BYTES)?;
    let bar = progress::records("comparing");
    let mut left_out = LeftOut::default();
    for file in &args.data {
        let mut rows = Vec::with_capacity(CHUNK);
        for line in Lines::open(file, MOST_LINE_BYTES)? {
            let (_, line) = line?;
            match line.and_then(|line| row(&decoder, &spec, &later, &line)) {
                Ok(Some(row)) => rows.push(row),
                Ok(None) => left_out.labels += 1,
                Err(_) => left_out.refused += 1,
            }
            if rows.len() == CHUNK {
                bar.inc(CHUNK as u64);
                compare(&mut gate, &mut models, &std::mem::take(&mut rows), &mut left_out)?;
            }
        }
        compare(&mut gate, &mut models, &rows, &mut left_out)?;
    }
    bar.finish_and_clear();
    left_out.tell();
    let [baseline, candidate] = models.map(Answers::side);
    Ok(gate.report(baseline, candidate))
}

/// As the API judges a run's candidate: one line that is no pair refuses them all.
fn paired(args: &GateArgs, spec: &ModelSpec, file: &Path) -> anyhow::Result<GateReport> {
    let mut gate = Gate::new(spec, demands(args, spec)?).context("`--error` lies between 0 and 0.5")?;
    let mut decoder = PairDecoder::new(spec, MOST_LINE_BYTES);
    for line in Lines::open(file, MOST_LINE_BYTES)? {
        let (number, line) = line?;
        let pair = line.and_then(|line| decoder.decode(&line));
        let pair = pair.map_err(|why| anyhow::anyhow!("`{}`, line {number}: {why}", file.display()))?;
        gate.take(&pair.baseline, &pair.candidate, &pair.gold);
    }
    anyhow::ensure!(gate.rows() > 0, "`{}` holds no pairs", file.display());
    let side = || Side { name: spec.name.clone(), source: "pairs".to_owned(), ..Side::default() };
    Ok(gate.report(side(), side()))
}

/// Lines that are not compared.
#[derive(Default)]
struct LeftOut {
    refused: u64,
    labels: u64,
    unanswered: u64,
}

impl LeftOut {
    fn tell(&self) {
        for (count, what) in [
            (self.refused, "lines were refused: they are no records of the model"),
            (self.labels, "label records lie among the rows: give them as `--labels`"),
            (self.unanswered, "rows have no answer of one of the two models: no text, or no logged answer of that id"),
        ] {
            if count > 0 {
                eprintln!("{count} {what}");
            }
        }
    }
}

/// The tasks that both are measured by: the baseline's, or those of whatever manifest there is.
fn measuring(args: &GateArgs) -> anyhow::Result<ModelSpec> {
    let manifests = [args.manifest.as_deref(), args.baseline.as_deref(), args.candidate.as_deref()];
    let first = manifests.into_iter().flatten().find(|path| is_manifest(path));
    let path = first.context("both models are given by their answers: name the tasks' manifest as `--manifest`")?;
    Ok(Manifest::load(path)?.spec)
}

fn is_manifest(path: &Path) -> bool {
    matches!(path.extension().and_then(|e| e.to_str()), Some("yaml" | "yml"))
}

fn demands(args: &GateArgs, spec: &ModelSpec) -> anyhow::Result<Demands> {
    let known: Vec<&str> = spec.tasks.iter().map(|t| t.name.as_str()).collect();
    let named = [&args.margin, &args.min_delta, &args.scale].into_iter().flatten().filter_map(|n| n.task.as_ref());
    for task in named.chain(&args.drifted) {
        if !known.contains(&task.as_str()) {
            bail!("no task `{task}`: the model has {}", known.join(", "));
        }
    }
    let pick = |all: &[Named], task: &str, usual: f64| {
        let own = all.iter().rev().find(|n| n.task.as_deref() == Some(task));
        own.or_else(|| all.iter().rev().find(|n| n.task.is_none())).map_or(usual, |n| n.value)
    };
    let role = |task: &str| match args.drifted.iter().any(|d| d == task) {
        true => Role::Drifted { min_delta: pick(&args.min_delta, task, 0.0) },
        false => Role::Protected { margin: pick(&args.margin, task, MARGIN) },
    };
    let roles: Vec<Role> = known.iter().map(|task| role(task)).collect();
    if roles.iter().any(|r| matches!(r, Role::Protected { margin } if *margin <= 0.0)) {
        bail!("`--margin` must be above 0: no number of labels shows that nothing at all was lost");
    }
    let scales: Vec<f64> = known.iter().map(|task| pick(&args.scale, task, 1.0)).collect();
    if scales.iter().any(|s| *s <= 0.0) {
        bail!("`--scale` must be above 0");
    }
    Ok(Demands {
        error: args.error,
        roles,
        most_flips: args.most_flips,
        scales,
        most_latency: args.most_latency,
        most_size: args.most_size,
    })
}

/// A row with its labels; `None` for a label record.
fn row(
    decoder: &NativeDecoder,
    spec: &ModelSpec,
    later: &HashMap<String, Golds>,
    line: &[u8],
) -> Result<Option<Row>, crate::drift::record::Rejected> {
    let record = decoder.decode(line, None, FAR_FUTURE)?;
    if crate::collect::observe::is_only_label(&record) {
        return Ok(None);
    }
    let mut gold = golds(spec, line).unwrap_or_else(|| vec![None; spec.tasks.len()]);
    if let Some(later) = record.id.as_ref().and_then(|id| later.get(id)) {
        for (gold, later) in gold.iter_mut().zip(later) {
            *gold = later.clone().or(gold.take());
        }
    }
    Ok(Some(Row { id: record.id, text: record.text, gold }))
}

fn compare(gate: &mut Gate, models: &mut [Answers; 2], rows: &[Row], left_out: &mut LeftOut) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let [baseline, candidate] = models;
    // Each goes first in every other chunk, so that neither has the warmer caches.
    let (first, second) = if (gate.rows() / CHUNK as u64).is_multiple_of(2) {
        let first = baseline.of(rows)?;
        (first, candidate.of(rows)?)
    } else {
        let second = candidate.of(rows)?;
        (baseline.of(rows)?, second)
    };
    for ((row, first), second) in rows.iter().zip(first).zip(second) {
        match first.zip(second) {
            Some((first, second)) => gate.take(&first, &second, &row.gold),
            None => left_out.unanswered += 1,
        }
    }
    Ok(())
}
