//! `driftd reference fit`: learns what is normal, and shows what it learned.

use std::fmt::Write as _;

use anyhow::Context as _;

use super::replay::Replay;
use super::{progress, runtime, write_output};
use crate::cli::{Fit, WindowArgs};
use crate::drift::fit::{FitRecord, Fitted, MOST_RECORDS, fit};
use crate::drift::observation::HeadSource;
use crate::drift::reference::Reference;
use crate::drift::time::Span;
use crate::drift::window::WindowRule;
use crate::model::Manifest;

/// Runs the command.
///
/// # Errors
/// If the manifest is invalid, a file cannot be read, or there is too little to learn from.
pub fn main(args: &Fit) -> anyhow::Result<()> {
    let manifest = Manifest::load(&args.model.manifest)?;
    let window = window_rule(&args.windows)?.unwrap_or(WindowRule::Time(Span::from_secs(300)));
    let mut replay = Replay::new(manifest.clone(), &args.model);
    let heads = match args.heads {
        Some(heads) => heads,
        None => replay.detect_heads(&args.input[0])?,
    };
    let bar = progress::records("reading");
    let mut records: Vec<FitRecord> = Vec::new();
    let mut dropped = 0_u64;
    runtime()?.block_on(replay.run(&args.input, heads, &bar, |record, inference| {
        if records.len() >= MOST_RECORDS {
            dropped += 1;
            return Ok(());
        }
        let input = inference.as_ref().map(|i| i.input);
        let (ours, inferred) = inference.map_or((Vec::new(), Vec::new()), |i| (i.embedding, i.answers));
        records.push(FitRecord {
            time: record.time,
            input,
            embedding: if ours.is_empty() { record.embedding.unwrap_or_default() } else { ours },
            answers: if heads == HeadSource::Predictions { record.answers } else { inferred },
        });
        Ok(())
    }))?;
    bar.finish_and_clear();
    if dropped > 0 {
        eprintln!("warning: {dropped} records beyond the first {MOST_RECORDS} were left out");
    }
    let fitted = fit(&manifest.spec, heads, window, records)?;
    std::fs::write(&args.output, fitted.reference.encode())
        .with_context(|| format!("`{}` cannot be written", args.output.display()))?;
    write_output(None, &table(&fitted))
}

/// The window rule that the arguments name, if they name one.
///
/// # Errors
/// If a length does not parse or is zero.
pub fn window_rule(args: &WindowArgs) -> anyhow::Result<Option<WindowRule>> {
    match (&args.window, args.window_records) {
        (Some(text), _) => {
            let length = Span::parse(text).filter(|s| s.micros() > 0);
            let length =
                length.with_context(|| format!("`--window {text}`: expected a length such as `5m` or `1h`"))?;
            Ok(Some(WindowRule::Time(length)))
        }
        (None, Some(0)) => anyhow::bail!("`--window-records` must be at least 1"),
        (None, Some(count)) => Ok(Some(WindowRule::Records(count))),
        (None, None) => Ok(None),
    }
}

fn table(fitted: &Fitted) -> String {
    let Reference { spec, .. } = &fitted.reference;
    let reference = &fitted.reference;
    let mut text = String::new();
    let heads = match reference.heads {
        HeadSource::Predictions => "production's predictions",
        HeadSource::Inference => "our own inference",
    };
    let _ = writeln!(text, "reference   {}", reference.id);
    let _ = writeln!(text, "model       {} version {}", spec.name, spec.version);
    let _ =
        writeln!(text, "records     {} in {} windows of {}", reference.records, reference.windows, reference.window);
    let _ = writeln!(text, "from, to    {}, {}", reference.span.0, reference.span.1);
    let _ = writeln!(text, "heads       {heads}");
    if let Some(geometry) = &reference.geometry {
        let (axes, explained) = (geometry.axes(), geometry.explained() * 100.0);
        let _ = writeln!(
            text,
            "encoder     {} dimensions, {axes} axes hold {explained:.1} % of the variance",
            geometry.dimension()
        );
    }
    let guarantee = reference.guarantee();
    let _ = writeln!(text, "guarantee   {:?}: {}", guarantee.status, guarantee.reason);
    let _ = writeln!(
        text,
        "\n{:<8} {:<16} {:<18} {:>6} {:>9} {:>12} {:>11}",
        "scope", "task", "signal", "cells", "units", "correlation", "effective"
    );
    for signal in &reference.signals {
        let units = signal.measure.as_signal().n(&signal.totals);
        let _ = writeln!(
            text,
            "{:<8} {:<16} {:<18} {:>6} {:>9} {:>12.5} {:>11.0}",
            signal.key.scope.name(),
            reference.task_name(&signal.key).unwrap_or("–"),
            signal.key.signal,
            signal.totals.len(),
            units,
            signal.intra_window_correlation,
            signal.effective_n
        );
    }
    for warning in &fitted.warnings {
        let _ = writeln!(text, "\nwarning: {warning}");
    }
    text
}
