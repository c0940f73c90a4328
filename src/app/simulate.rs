//! `driftd simulate`: traffic to a file, the terminal or Kafka.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;

use super::{WrongArguments, progress, runtime, threads, without_model};
use crate::cli::{ModelArgs, Simulate};
use crate::clock;
use crate::drift::time::{Span, Timestamp};
use crate::model::Manifest;
use crate::model::onnx::OnnxModel;
use crate::simulate::drift_kind::DriftKind;
use crate::simulate::grammar::Grammar;
use crate::simulate::{Plan, Traffic};
use crate::source::producer::Producer;

const CHUNK: usize = 256;

/// Runs the command.
///
/// # Errors
/// If model or grammar are invalid, or the target does not take records.
pub fn main(args: &Simulate) -> anyhow::Result<()> {
    let start = match &args.start {
        Some(text) => {
            Timestamp::parse(text).ok_or_else(|| wrong(format!("`--start {text}` is not an RFC 3339 time")))?
        }
        None => clock::now(),
    };
    let interval =
        Span::parse(&args.interval).ok_or_else(|| wrong(format!("`--interval {}` is not a length", args.interval)))?;
    if args.rate.is_some_and(|rate| !(rate.is_finite() && rate > 0.0)) {
        return Err(wrong("`--rate` must be above 0".to_owned()).into());
    }
    let plan = Plan {
        seed: args.seed,
        start,
        interval,
        drift: args.drift.clone(),
        drift_after: args.drift_after,
        predictions: !args.inputs_only,
    };
    let traffic = open(&args.model, args.grammar.as_deref(), plan)?;
    match (&args.brokers, &args.topic) {
        (Some(brokers), Some(topic)) => to_kafka(traffic, args, brokers, topic),
        _ => to_lines(
            traffic,
            args.count.ok_or_else(|| wrong("give `--count` where the target is not Kafka".to_owned()))?,
            args.output.as_deref(),
        ),
    }
}

fn wrong(what: String) -> WrongArguments {
    WrongArguments(what)
}

/// Model and grammar as simulated production. A head or intent that a drift names must exist.
///
/// # Errors
/// If either is invalid.
pub fn open(args: &ModelArgs, grammar: Option<&Path>, plan: Plan) -> anyhow::Result<Traffic> {
    let manifest = Manifest::load(&args.manifest)?;
    without_model::needed(&manifest, "simulated production answers with it: name its ONNX file")?;
    let beside = args.manifest.parent().unwrap_or(Path::new(".")).join("grammar.yaml");
    let grammar = Grammar::load(grammar.unwrap_or(&beside))?;
    match &plan.drift {
        Some(DriftKind::BrokenHead(task)) if manifest.spec.task(task).is_none() => {
            return Err(wrong(format!("the model has no task `{task}`")).into());
        }
        Some(DriftKind::PriorShift(intent, _)) if !grammar.intents.contains_key(intent) => {
            return Err(wrong(format!("the grammar has no intent `{intent}`")).into());
        }
        _ => {}
    }
    let model = OnnxModel::load(manifest, args.device, threads(args.threads), None)?;
    Ok(Traffic::new(grammar, model, plan))
}

fn to_lines(mut traffic: Traffic, count: u64, output: Option<&Path>) -> anyhow::Result<()> {
    let target: Box<dyn std::io::Write> = match output {
        Some(path) => {
            let file =
                std::fs::File::create(path).with_context(|| format!("`{}` cannot be written", path.display()))?;
            Box::new(file)
        }
        None => Box::new(std::io::stdout().lock()),
    };
    let mut target = std::io::BufWriter::new(target);
    let bar = progress::records("making");
    let mut left = count;
    while left > 0 {
        let records = traffic.next(CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)))?;
        left -= records.len() as u64;
        bar.inc(records.len() as u64);
        for (_, record) in records {
            writeln!(target, "{record}")?;
        }
    }
    bar.finish_and_clear();
    Ok(target.flush()?)
}

fn to_kafka(mut traffic: Traffic, args: &Simulate, brokers: &str, topic: &str) -> anyhow::Result<()> {
    let producer = Producer::connect(brokers, topic)?;
    let bar = progress::records("sending");
    runtime()?.block_on(async {
        let mut left = args.count.unwrap_or(u64::MAX);
        while left > 0 {
            // At a given rate, a few sends a second keep the stream even.
            let chunk = args.rate.map_or(CHUNK, |rate| ((rate / 5.0).ceil() as usize).clamp(1, CHUNK));
            let chunk = chunk.min(usize::try_from(left).unwrap_or(chunk));
            if args.rate.is_some() && args.start.is_none() {
                traffic.set_time(clock::now());
            }
            producer.send(&traffic.next(chunk)?).await?;
            left -= chunk as u64;
            bar.inc(chunk as u64);
            if let Some(rate) = args.rate {
                tokio::time::sleep(Duration::from_secs_f64(chunk as f64 / rate)).await;
            }
        }
        anyhow::Ok(())
    })?;
    bar.finish_and_clear();
    Ok(())
}
