//! Models as the daemon runs them: manifest, reference and, where this process runs it, the model itself.

use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;

use super::golden::Golden;
use super::{decode_reference, load_reference};
use super::{shadow, without_model};
use crate::collect::observe::Watched;
use crate::config::{self, Infer};
use crate::drift::closing::Closing;
use crate::drift::observation::HeadSource;
use crate::drift::reference::Reference;
use crate::drift::routing::Rule;
use crate::drift::time::Span;
use crate::drift::window::WindowRule;
use crate::judge::rows::Receiver;
use crate::judge::shadow::Shadowing;
use crate::judge::{self, Judge};
use crate::model::fits::segments_of_reference;
use crate::model::{Manifest, ModelHandle, batching};
use crate::store::{ModelRow, ReferenceStore as _, SqlStore};

/// A model as it was loaded.
pub(super) struct Loaded {
    pub(super) config: config::Model,
    pub(super) manifest: Manifest,
    pub(super) watched: Watched,
    pub(super) shadowing: Option<Shadowing>,
}

/// The file that the configuration names, or the reference that is active in the store.
pub(super) async fn find_reference(
    store: &SqlStore,
    model: &config::Model,
    manifest: &Manifest,
) -> anyhow::Result<Reference> {
    if let Some(file) = &model.reference {
        return load_reference(file, manifest);
    }
    let name = &manifest.spec.name;
    let active = store.active_reference(name).await?;
    let active = active.with_context(|| {
        format!(
            "model `{name}` has no reference: name a file as `reference`, or store one by `driftd reference activate`"
        )
    })?;
    decode_reference(&active.body, &active.reference_id, manifest)
}

/// Warns of what does not go together, and loads the model itself where this process runs it.
pub(super) fn load(
    config: config::Model,
    manifest: Manifest,
    reference: Reference,
    collects: bool,
    idle_after: Span,
    library: Option<&std::path::Path>,
) -> anyhow::Result<Loaded> {
    without_model::check(&manifest, &config)?;
    if let Some(remark) = without_model::remark(&manifest) {
        tracing::info!(model = manifest.spec.name, "{remark}");
    }
    if let Some(said) = segments_of_reference(&manifest, &reference) {
        tracing::warn!(model = manifest.spec.name, "{said}");
    }
    let heads = config.heads.unwrap_or(reference.heads);
    if heads != reference.heads {
        tracing::warn!(
            model = manifest.spec.name,
            "heads are fed from another source than the reference was fitted with: numeric differences may look like drift"
        );
    }
    if reference.window != WindowRule::Time(config.window) {
        tracing::warn!(
            model = manifest.spec.name, reference = %reference.window, configured = %config.window,
            "windows differ from the reference's: variation between windows was learned at another length"
        );
    }
    let looks_into_texts = collects && config.infer != Infer::Never;
    let model: Option<ModelHandle> = if looks_into_texts {
        let model = batching::spawn(manifest.clone(), config.device, config.batching, library)?;
        if let Some(golden) = Golden::load(&manifest)? {
            // Loading has a thread of its own, which may wait for the model's.
            tokio::runtime::Handle::current().block_on(golden.check(&model))?;
            tracing::info!(
                model = manifest.spec.name,
                texts = golden.texts_known(),
                "the golden set is answered as expected"
            );
        }
        Some(model)
    } else {
        None
    };
    if heads == HeadSource::Inference && config.infer == Infer::Never {
        anyhow::bail!("model `{}`: heads are fed from our inference, but `infer` is `never`", manifest.spec.name);
    }
    let (shadowing, running) = shadow::load(&config, &manifest, &reference, collects, library)
        .map_or((None, None), |loaded| (Some(loaded.shadowing), loaded.running));
    let watched = Watched {
        reference: Arc::new(reference),
        model,
        heads,
        infer: config.infer,
        // Nothing could be compared.
        skew_sample: if manifest.onnx.is_some() { config.skew_sample } else { 0.0 },
        skew_limit: config.skew_limit,
        closing: Closing { window: WindowRule::Time(config.window), grace: config.grace, idle_after },
        late_limit: config.late_limit,
        label_sample: config.label_sample,
        shadow: running,
        examples: config.examples,
    };
    Ok(Loaded { config, manifest, watched, shadowing })
}

/// What the judge loop needs of it.
pub(super) fn judge(
    loaded: &Loaded,
    topics: &[String],
    receivers: &[Receiver],
    rules: &[Rule],
    backfill_after: Option<Span>,
) -> Judge {
    let spec = &loaded.manifest.spec;
    let tasks: Vec<_> =
        spec.tasks.iter().map(|t| json!({"name": t.name, "kind": t.kind, "classes": t.classes.len()})).collect();
    let placement = loaded.watched.model.as_ref().and_then(ModelHandle::placement).map(|p| json!(p).to_string());
    Judge {
        reference: loaded.watched.reference.clone(),
        watch: loaded.config.watch,
        closing: loaded.watched.closing,
        labelling: judge::labels::Labelling { sample: loaded.config.label_sample, wait: loaded.config.label_wait },
        run_on: match loaded.watched.infer {
            Infer::Sample(share) => share,
            Infer::Missing | Infer::Always | Infer::Never => 1.0,
        },
        topics: topics.to_vec(),
        receivers: receivers.to_vec(),
        plan: loaded.config.plan.clone(),
        rules: rules.to_vec(),
        backfill_after,
        shadowing: loaded.shadowing.clone(),
        examples: loaded.config.examples,
        model: ModelRow {
            name: spec.name.clone(),
            version: spec.version.clone(),
            reference_id: loaded.watched.reference.id.clone(),
            budget: loaded.config.budget.clone(),
            threshold: loaded.config.watch.threshold,
            window_us: loaded.config.window.micros(),
            embedding_dimension: spec.embedding_dimension.and_then(|d| i64::try_from(d).ok()),
            tasks: json!(tasks).to_string(),
            examples: loaded.config.examples.map_or(0, |rule| i64::try_from(rule.keep).unwrap_or(i64::MAX)),
            inference: placement,
        },
    }
}
