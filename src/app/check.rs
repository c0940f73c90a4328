//! Checks and one-off commands: `check`, `migrate`, `inspect`, `gpu-check`.

use std::path::Path;

use anyhow::{Context as _, bail};
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::{load_reference, runtime, trial, without_model, write_output};
use crate::api;
use crate::cli::{Check, ConfigFile, GpuCheck, SchemaOf};
use crate::config::{self, raw::RawConfig};
use crate::document;
use crate::drift::record::InputText;
use crate::model::manifest::RawManifest;
use crate::model::{Manifest, gpu_check, inspect as draft};
use crate::simulate::grammar::Grammar;
use crate::source::RECORDS_SCHEMA;
use crate::store::SqlStore;

/// `driftd check`: the configuration with every file it names, or a schema.
///
/// # Errors
/// Everything wrong, all at once for each file.
pub fn main(args: &Check) -> anyhow::Result<()> {
    if let Some(of) = args.schema.or(args.manifest_schema.then_some(SchemaOf::Manifest)) {
        let schema = match of {
            SchemaOf::Config => document::schema::<RawConfig>(),
            SchemaOf::Manifest => document::schema::<RawManifest>(),
            SchemaOf::Records => return write_output(None, RECORDS_SCHEMA),
        };
        return write_output(None, &(serde_json::to_string_pretty(&schema)? + "\n"));
    }
    if args.openapi {
        return write_output(None, &(api::openapi().to_pretty_json()? + "\n"));
    }
    let file = &args.config.config;
    let config = config::load(file)?;
    let mut problems = Vec::new();
    for model in &config.models {
        let checked = (|| {
            let manifest = Manifest::load(&model.manifest)?;
            match &model.reference {
                Some(file) => drop(load_reference(file, &manifest)?),
                None => println!("model {}: takes the reference that is active in the store", manifest.spec.name),
            }
            without_model::check(&manifest, model)?;
            if let Some(did) = trial::of_model(&manifest, model, config.onnxruntime.as_deref())? {
                println!("model {}: {did}", manifest.spec.name);
            }
            if let Some(shadow) = model.shadow.as_ref().filter(|shadow| !shadow.follows_runs()) {
                let candidate = Manifest::load(Path::new(&shadow.manifest))?;
                super::shadow::check(shadow, &manifest, &candidate)?;
                trial::answering(&candidate, model, config.onnxruntime.as_deref())?;
            }
            if let Some(remark) = without_model::remark(&manifest) {
                println!("model {}: {remark}", manifest.spec.name);
            }
            anyhow::Ok(manifest.spec)
        })();
        match checked {
            Ok(spec) => println!("model {} version {}: {} tasks", spec.name, spec.version, spec.tasks.len()),
            Err(error) => problems.push(error),
        }
    }
    for problem in &problems[1.min(problems.len())..] {
        eprintln!("driftd: {problem:#}");
    }
    match problems.into_iter().next() {
        Some(first) => Err(first),
        None => {
            for remark in super::retraining::remarks(&config) {
                eprintln!("driftd: note: {remark}");
            }
            write_output(None, &format!("{}: valid\n", file.display()))
        }
    }
}

/// `driftd migrate`.
///
/// # Errors
/// If the store cannot be opened or its schema is not ours.
pub fn migrate(args: &ConfigFile) -> anyhow::Result<()> {
    let config = config::load(&args.config)?;
    runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        store.close().await;
        write_output(None, "the store's schema is up to date\n")
    })
}

/// `driftd inspect`.
///
/// # Errors
/// If the file is refused or the draft cannot be written.
pub fn inspect(file: &Path, output: Option<&Path>) -> anyhow::Result<()> {
    write_output(output, &draft::draft(file)?)
}

/// `driftd gpu-check`.
///
/// # Errors
/// Without CUDA (exit code 5), or if anything is out of tolerance.
pub fn gpu(args: &GpuCheck) -> anyhow::Result<()> {
    let manifest = Manifest::load(&args.manifest)?;
    without_model::needed(&manifest, "`driftd gpu-check` runs it: name its ONNX file")?;
    let texts = gpu_texts(args)?;
    let report = gpu_check::run(&manifest, &texts, args.batch, None)?;
    write_output(None, &(serde_json::to_string_pretty(&report)? + "\n"))?;
    if !report.passed {
        bail!(
            "out of tolerance: embeddings may differ by {}, confidences by {}, answers must agree in {} of cases",
            gpu_check::EMBEDDING_TOLERANCE,
            gpu_check::CONFIDENCE_TOLERANCE,
            gpu_check::AGREEMENT
        );
    }
    Ok(())
}

fn gpu_texts(args: &GpuCheck) -> anyhow::Result<Vec<InputText>> {
    let text = |text: String| InputText { text, pair: None };
    if let Some(path) = &args.texts {
        let lines = std::fs::read_to_string(path).with_context(|| format!("`{}` cannot be read", path.display()))?;
        let texts: Vec<InputText> = lines.lines().take(args.count).map(|line| text(line.to_owned())).collect();
        if texts.is_empty() {
            bail!("`{}` holds no text", path.display());
        }
        return Ok(texts);
    }
    let grammar = args.manifest.parent().unwrap_or(Path::new(".")).join("grammar.yaml");
    let grammar = Grammar::load(&grammar).context("give texts with `--texts` where there is no grammar")?;
    let mut rng = StdRng::seed_from_u64(1);
    Ok((0..args.count.max(1)).map(|_| text(grammar.text(&mut rng))).collect())
}
