//! Retraining put together: the desk where it is decided, and the hooks that start it.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;

use crate::clock::Clock;
use crate::config::retraining::{Hook as HookConfig, HookAuth, RawTarget, RawTemplate, RetrainingDesk, Target};
use crate::config::{Config, Endpoint, Model, endpoint::EventKind};
use crate::hook::airflow::{Airflow, Version};
use crate::hook::argo::Argo;
use crate::hook::kubeflow::Kubeflow;
use crate::hook::kubernetes::KubernetesJob;
use crate::hook::signed::SignedMessage;
use crate::hook::site::{Auth, Site};
use crate::hook::template::Template;
use crate::hook::trainer::Trainer;
use crate::hook::webhook::Webhook;
use crate::model::Manifest;
use crate::retrain::desk::{Desk, Subject};
use crate::retrain::token::Callbacks;
use crate::retrain::{Hook, Retrainer};
use crate::store::RetrainingStore;

/// A model as its requests need it.
pub fn subject(model: &Model, manifest: &Manifest, reference_id: &str) -> Subject {
    Subject {
        version: manifest.spec.version.clone(),
        reference_id: reference_id.to_owned(),
        spec: Arc::new(manifest.spec.clone()),
        tasks: manifest.spec.tasks.iter().map(|t| t.name.clone()).collect(),
        policy: model.watch.retraining,
        plan: model.plan.clone(),
    }
}

/// The desk of a deployment.
pub fn desk(
    store: Arc<dyn RetrainingStore>,
    retraining: &RetrainingDesk,
    endpoints: &[Endpoint],
    subjects: BTreeMap<String, Subject>,
) -> Desk {
    let told = endpoints.iter().filter(|e| e.events.contains(&EventKind::Retraining)).map(|e| e.name.clone());
    let callbacks = retraining.callback.as_ref().map(|(url, key)| Callbacks::new(url, key.clone()));
    Desk { store, subjects: Arc::new(subjects), endpoints: Arc::new(told.collect()), callbacks, clock: Clock::wall() }
}

/// The loop of a deployment.
///
/// # Errors
/// If a hook cannot be set up.
pub fn retrainer(desk: Desk, retraining: &RetrainingDesk) -> anyhow::Result<Retrainer> {
    let mut hooks = BTreeMap::new();
    for hook in &retraining.hooks {
        let trainer = trainer(hook).with_context(|| format!("retraining hook `{}`", hook.name))?;
        hooks.insert(hook.name.clone(), Hook { trainer, timeout: hook.timeout });
    }
    let since = desk.clock.now();
    Ok(Retrainer { desk, hooks, daily_budget: retraining.daily_budget, since })
}

fn trainer(hook: &HookConfig) -> anyhow::Result<Box<dyn Trainer>> {
    Ok(match &hook.target {
        Target::Webhook { secret } => {
            Box::new(SignedMessage(Webhook::new(hook.url.clone(), secret.as_ref(), hook.timeout)?))
        }
        Target::Other(target) => system(hook, target.clone())?,
    })
}

fn system(hook: &HookConfig, target: RawTarget) -> anyhow::Result<Box<dyn Trainer>> {
    let auth = match hook.auth.clone() {
        None => Auth::None,
        Some(HookAuth::Token(token)) => Auth::Token(token),
        Some(HookAuth::TokenFile(file)) => Auth::TokenFile(file),
        Some(HookAuth::Password(user, password)) => Auth::Password(user, password),
    };
    let site = Site::new(&hook.url, auth, hook.authorities.clone(), hook.timeout)?;
    Ok(match target {
        RawTarget::Webhook { .. } => anyhow::bail!("a webhook is set up with its secret"),
        RawTarget::Airflow2 { dag } => Box::new(Airflow { site, version: Version::Two, dag }),
        RawTarget::Airflow3 { dag } => Box::new(Airflow { site, version: Version::Three, dag }),
        RawTarget::ArgoWorkflows { namespace, template } => Box::new(Argo { site, namespace, template }),
        RawTarget::KubernetesJob { namespace, cron_job } => Box::new(KubernetesJob { site, namespace, cron_job }),
        RawTarget::KubeflowPipelines { pipeline_id, pipeline_version_id, experiment_id, service_account } => {
            Box::new(Kubeflow { site, pipeline_id, pipeline_version_id, experiment_id, service_account })
        }
        RawTarget::Template(RawTemplate { path, body, idempotency_key, existed, run_url }) => {
            Box::new(Template { site, path, body, idempotency_key, existed, run_url })
        }
    })
}

/// What `driftd check` has to say of a configuration that is valid, and yet does not do what one may
/// expect of it.
pub fn remarks(config: &Config) -> Vec<String> {
    use crate::drift::retraining::{Mode, Trigger};
    let mut said = Vec::new();
    for (i, model) in config.models.iter().enumerate() {
        let policy = model.watch.retraining;
        if policy.mode != Mode::Off && policy.on == Trigger::Harm {
            said.push(format!(
                "models.{i}.retraining.on: `harm` is known from labels alone; without them, or with a reference that was \
                 fitted without them, no alert will ask for retraining: then take `both` or `drift`"
            ));
        }
        if model.plan.hook.is_some() && config.retraining.callback.is_none() {
            said.push(format!(
                "models.{i}.retraining.hook: without retraining.callback its runs cannot say how they end; close \
                 their requests by `driftd retraining close`"
            ));
        }
    }
    said
}
