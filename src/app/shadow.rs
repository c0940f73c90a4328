//! Candidates beside the current models: which they are, and how they are loaded; `driftd shadow`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::{gate, runtime, write_output};
use crate::api::shadow::ShadowView;
use crate::cli::shadow::ShadowArgs;
use crate::collect::shadow::Candidate;
use crate::config::{self, Config};
use crate::drift::gate::Demands;
use crate::drift::gate_report::{Role, Side};
use crate::drift::observation::HeadSource;
use crate::drift::reference::Reference;
use crate::drift::task::ModelSpec;
use crate::drift::translation::Translation;
use crate::judge::shadow::Shadowing;
use crate::model::{Manifest, batching};
use crate::store::{self, ReadStore as _, RetrainingStore as _, ShadowStore as _, SqlStore};

/// A version is a part of a path: longer ones than registries give are refused.
const MOST_VERSION: usize = 128;

/// Why a candidate's files are needed.
const RUN: &str = "a candidate beside a model is run: name its ONNX file, or leave out `shadow`";

/// Candidates that retraining runs have brought, by model; `None` where none is to be run.
pub type Brought = BTreeMap<String, Option<Come>>;

/// A candidate that a retraining run has brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Come {
    manifest: PathBuf,
    drifted: Vec<String>,
}

/// The same from the configuration's store, which is opened only where a shadow follows runs.
///
/// # Errors
/// As [`brought`].
pub async fn standing(config: &Config) -> anyhow::Result<Brought> {
    if !config.models.iter().any(|model| model.shadow.as_ref().is_some_and(config::shadow::Shadow::follows_runs)) {
        return Ok(Brought::new());
    }
    let store = SqlStore::open(&config.store.0).await?;
    let found = brought(&config.models, &store).await;
    store.close().await;
    found
}

/// What runs have brought for the models whose shadows follow them. A version whose files are not there yet is none.
///
/// # Errors
/// If a manifest or the store cannot be read.
pub async fn brought(models: &[config::Model], store: &SqlStore) -> anyhow::Result<Brought> {
    let mut found = Brought::new();
    for model in models {
        let Some(shadow) = model.shadow.as_ref().filter(|shadow| shadow.follows_runs()) else { continue };
        let spec = Manifest::load(&model.manifest)?.spec;
        let row = store::within(store.latest_candidate(&spec.name)).await?;
        let row = row.filter(|row| is_name(&row.version) && row.version != spec.version);
        let come = row.map(|row| Come { manifest: shadow.manifest_of(&row.version), drifted: row.tasks });
        found.insert(spec.name, come.filter(|come| come.manifest.exists()));
    }
    Ok(found)
}

/// Puts candidates that runs have brought in the place of `{version}`.
///
/// # Errors
/// If a manifest cannot be read.
pub fn apply(config: &mut Config, brought: &Brought) -> anyhow::Result<()> {
    for model in &mut config.models {
        let Some(shadow) = model.shadow.as_mut().filter(|shadow| shadow.follows_runs()) else { continue };
        let name = Manifest::load(&model.manifest)?.spec.name;
        match brought.get(&name).and_then(Option::as_ref) {
            Some(come) => {
                shadow.manifest = come.manifest.display().to_string();
                shadow.drifted.clone_from(&come.drifted);
            }
            None => model.shadow = None,
        }
    }
    Ok(())
}

/// Nothing that leads out of its folder.
fn is_name(version: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    !version.is_empty() && version.len() <= MOST_VERSION && !version.starts_with('.') && version.chars().all(is_plain)
}

/// A candidate as it was loaded.
pub(super) struct Loaded {
    pub(super) shadowing: Shadowing,
    /// Where this process runs it.
    pub(super) running: Option<Candidate>,
}

/// Loads a model's candidate, where it has one. What cannot be loaded is told, and the model is watched without it.
pub(super) fn load(
    config: &config::Model,
    manifest: &Manifest,
    reference: &Reference,
    collects: bool,
    library: Option<&Path>,
) -> Option<Loaded> {
    let shadow = config.shadow.as_ref()?;
    // It was left out where no run has brought one.
    match try_load(config, shadow, manifest, reference, collects, library) {
        Ok(loaded) => {
            let version = &loaded.shadowing.sides[1].version;
            tracing::info!(model = manifest.spec.name, version, sample = shadow.sample, "a candidate stands beside it");
            Some(loaded)
        }
        Err(error) => {
            let error = format!("{error:#}");
            tracing::error!(model = manifest.spec.name, error, "the candidate cannot stand beside the model");
            None
        }
    }
}

fn try_load(
    config: &config::Model,
    shadow: &config::shadow::Shadow,
    manifest: &Manifest,
    reference: &Reference,
    collects: bool,
    library: Option<&Path>,
) -> anyhow::Result<Loaded> {
    let candidate = Manifest::load(Path::new(&shadow.manifest))?;
    let translation = check(shadow, manifest, &candidate)?;
    let id = id(&candidate)?;
    let side = |manifest: &Manifest, source: &str| Side {
        name: manifest.spec.name.clone(),
        version: manifest.spec.version.clone(),
        source: source.to_owned(),
        bytes: manifest.onnx.as_ref().and_then(|file| std::fs::metadata(file).ok()).map(|file| file.len()),
        ms_per_text: None,
    };
    let served = match reference.heads {
        HeadSource::Predictions => "predictions",
        HeadSource::Inference => "inference",
    };
    let shadowing = Shadowing {
        candidate_id: id.clone(),
        sides: [side(manifest, served), side(&candidate, "shadow")],
        demands: demands(config, shadow, &manifest.spec),
    };
    let running = match collects {
        true => Some(Candidate {
            id,
            model: batching::spawn(candidate, config.device, config.batching, library)?,
            translation: Arc::new(translation),
            sample: shadow.sample,
            pause_behind: shadow.pause_behind,
        }),
        false => None,
    };
    Ok(Loaded { shadowing, running })
}

/// Whether a candidate can be compared with the model.
///
/// # Errors
/// A sentence: what keeps it from that.
pub(super) fn check(
    shadow: &config::shadow::Shadow,
    manifest: &Manifest,
    candidate: &Manifest,
) -> anyhow::Result<Translation> {
    candidate.model(RUN)?;
    let translation = Translation::between(&manifest.spec, &candidate.spec)
        .map_err(|reason| gate::Incomparable { manifest: candidate.file.display().to_string(), reason })?;
    for task in &shadow.drifted {
        if manifest.spec.task(task).is_none() {
            bail!("`shadow.drifted` names `{task}`, and the model has no such task");
        }
    }
    Ok(translation)
}

fn demands(config: &config::Model, shadow: &config::shadow::Shadow, spec: &ModelSpec) -> Demands {
    let plan = &config.plan;
    let role = |task: &String| match shadow.drifted.contains(task) {
        true => Role::Drifted { min_delta: plan.min_gain },
        false => Role::Protected { margin: plan.margins.get(task).copied().unwrap_or(plan.margin) },
    };
    Demands {
        error: shadow.error,
        roles: spec.tasks.iter().map(|task| role(&task.name)).collect(),
        most_flips: shadow.most_flips,
        scales: vec![1.0; spec.tasks.len()],
        most_latency: None,
        most_size: None,
    }
}

/// Names a candidate by what it is: its manifest, its graph and its tokenizer. Evidence of another is not its own.
fn id(manifest: &Manifest) -> anyhow::Result<String> {
    let mut digest = Sha256::new();
    let (onnx, tokenizer) = manifest.model(RUN)?;
    for file in [manifest.file.as_path(), onnx, &tokenizer.file] {
        let told = || format!("`{}` cannot be read", file.display());
        let mut read = std::fs::File::open(file).with_context(told)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match read.read(&mut buffer).with_context(told)? {
                0 => break,
                n => digest.update(&buffer[..n]),
            }
        }
        digest.update([0]);
    }
    Ok(digest.finalize()[..8].iter().fold("cd_".to_owned(), |id, byte| id + &format!("{byte:02x}")))
}

/// `driftd shadow`: what is known of the candidates that stand beside the configuration's models.
///
/// # Errors
/// If the store does not answer, or no model of the name that was given has a candidate.
pub fn main(args: &ShadowArgs) -> anyhow::Result<()> {
    let config = config::load(&args.config.config)?;
    let views = runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        let told = views(args.model.as_deref(), &store).await;
        store.close().await;
        told
    })?;
    if args.json {
        return write_output(None, &(serde_json::to_string_pretty(&serde_json::json!({"data": views}))? + "\n"));
    }
    let mut text = String::new();
    for view in &views {
        let _ = writeln!(
            text,
            "model {}: candidate {} since {}, last change {}",
            view.model, view.candidate_id, view.begun_at, view.updated_at
        );
        text += &gate::table::table(&view.report);
    }
    if views.is_empty() {
        text += "no candidate stands beside a model: name one as `models[].shadow`\n";
    }
    write_output(None, &text)
}

async fn views(model: Option<&str>, store: &SqlStore) -> anyhow::Result<Vec<ShadowView>> {
    let names: Vec<String> = match model {
        Some(model) => vec![model.to_owned()],
        None => store.models().await?.into_iter().map(|row| row.name).collect(),
    };
    let mut views = Vec::new();
    for name in names {
        match store.latest_shadow(&name).await? {
            Some(row) => views.push(ShadowView::try_from(row)?),
            None if model.is_some() => {
                return Err(crate::desk::DeskError::Missing("candidate beside model", name).into());
            }
            None => {}
        }
    }
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_leads_nowhere_else() {
        for (version, is) in
            [("2", true), ("2026-11-28_a.1+b", true), ("", false), ("..", false), ("a/b", false), (".a", false)]
        {
            assert_eq!(is_name(version), is, "{version}");
        }
    }
}
