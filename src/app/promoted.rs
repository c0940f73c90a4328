//! Promoted versions in the place of configured ones: at start, and whenever a registry names another while the
//! daemon runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use super::reload::{self, Print};
use super::run::App;
use super::shadow::{self, Brought};
use crate::cli::Run;
use crate::clock::Clock;
use crate::config::live::Running;
use crate::config::{self, Config, Model};
use crate::model::Manifest;
use crate::registry::{Followed, Registry};
use crate::store::{self, PromotionRow, PromotionStore as _, SqlStore};
use crate::telemetry::Levels;

/// How often it is looked whether a registry has named another version.
const EVERY: Duration = Duration::from_secs(5);

/// What registries have said of a model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The latest delivery that counted, whether or not it still does.
    pub latest: Option<String>,
    /// The promotion that counts.
    pub counts: Option<PromotionRow>,
}

/// The same of all models that follow a registry, as it was when the daemon (re)started.
pub type Standings = BTreeMap<String, Standing>;

/// What stays the same however often the daemon starts.
pub struct Daemon<'a> {
    /// What it was told.
    pub args: &'a Run,
    /// What is logged.
    pub levels: Levels,
    /// Where metrics are.
    pub metrics: PrometheusHandle,
    /// When it is to stop.
    pub shutdown: CancellationToken,
}

impl Daemon<'_> {
    /// Runs until it is told to stop, with `config`, whose file held `seen`; anew whenever a registry names another
    /// version. One that cannot be started is told in the log, and the configured one is watched instead.
    ///
    /// # Errors
    /// As [`App::start`] and [`App::join`].
    pub async fn run(self, config: Config, seen: Print) -> anyhow::Result<()> {
        let file = &self.args.config.config;
        let mut next = Some((config, seen));
        loop {
            let again = || anyhow::Ok((config::load(file)?, reload::print(file)));
            let (mut config, seen) = next.take().map_or_else(again, Ok)?;
            let (told, running) = (reload::hang_up()?, Running::new(file, &config));
            let standings = standings(&config).await?;
            apply(&mut config, &standings)?;
            let watched = config.models.clone();
            let brought = shadow::standing(&config).await?;
            shadow::apply(&mut config, &brought)?;
            let (stop, changed) = (self.shutdown.child_token(), Arc::new(AtomicBool::new(false)));
            let start = |config| App::start(config, &self.args.roles, self.metrics.clone(), stop.clone());
            let (app, doors) = match start(config).await {
                Err(error) if standings.values().any(|s| s.counts.is_some()) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "the registry's version cannot be watched; the configured one is");
                    let mut config = config::load(file)?;
                    shadow::apply(&mut config, &Brought::new())?;
                    start(config).await?
                }
                started => started?,
            };
            let doors = reload::Doors { levels: self.levels.clone(), ..doors };
            if !standings.is_empty() || !brought.is_empty() {
                let seen = Seen { watched, standings, brought };
                tokio::spawn(seen.watch(app.store(), changed.clone(), stop.clone()));
            }
            app.following(reload::run(running, seen, doors, told, stop)).join().await?;
            if self.shutdown.is_cancelled() || !changed.load(Ordering::Acquire) {
                return Ok(());
            }
        }
    }
}

/// The models of a configuration that follow a registry.
///
/// # Errors
/// If a manifest cannot be read.
fn followed(config: &Config) -> anyhow::Result<Vec<Followed>> {
    let mut found = Vec::new();
    for mlflow in config.models.iter().filter_map(|model| model.mlflow.as_ref()) {
        let spec = Manifest::load(&mlflow.configured)?.spec;
        found.push(Followed {
            model: spec.name,
            config_version: spec.version,
            registered: mlflow.registered_model.clone(),
            alias: mlflow.alias.clone(),
            secret: mlflow.secret.clone(),
            manifest: mlflow.manifest.clone(),
            reference: mlflow.reference.clone(),
        });
    }
    Ok(found)
}

/// Who takes deliveries; `None` where no model follows a registry.
///
/// # Errors
/// If a manifest cannot be read.
pub fn registry(config: &Config, store: &SqlStore) -> anyhow::Result<Option<Arc<Registry>>> {
    let followed = followed(config)?;
    let registry = || Registry { followed, store: Arc::new(store.clone()), clock: Clock::wall() };
    Ok((!config.models.iter().all(|m| m.mlflow.is_none())).then(|| Arc::new(registry())))
}

/// What registries have said: a configuration that names another version than it did then was changed by somebody
/// since, and goes first.
async fn standings(config: &Config) -> anyhow::Result<Standings> {
    let (followed, mut found) = (followed(config)?, Standings::new());
    if followed.is_empty() {
        return Ok(found);
    }
    let store = SqlStore::open(&config.store.0).await?;
    for Followed { model, config_version, .. } in followed {
        let promotion = store::within(store.promotion(&model)).await?;
        let latest = promotion.as_ref().map(|p| p.delivery_id.clone());
        let counts = promotion.filter(|p| p.config_version == config_version);
        found.insert(model, Standing { latest, counts });
    }
    store.close().await;
    Ok(found)
}

/// Puts promoted versions in the place of the configured ones. Their references are the active ones of the store.
fn apply(config: &mut Config, standings: &Standings) -> anyhow::Result<()> {
    for model in &mut config.models {
        let Some(mlflow) = &model.mlflow else { continue };
        let name = Manifest::load(&mlflow.configured)?.spec.name;
        if let Some(promotion) = standings.get(&name).and_then(|s| s.counts.as_ref()) {
            tracing::info!(model = name, version = promotion.version, "the registry's version is watched");
            model.manifest = PathBuf::from(&promotion.manifest);
            model.reference = None;
        }
    }
    Ok(())
}

/// What stood where when the loops were started.
struct Seen {
    /// With promoted versions, and before candidates were put in their places.
    watched: Vec<Model>,
    standings: Standings,
    brought: Brought,
}

impl Seen {
    /// Looks until `stop` whether something else is promoted, or a run has brought another candidate, than at the
    /// start; then says so, and stops the daemon's loops, which are started anew.
    async fn watch(self, store: SqlStore, changed: Arc<AtomicBool>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
            if self.is_past(&store).await {
                changed.store(true, Ordering::Release);
                stop.cancel();
                return;
            }
        }
    }

    /// A store that does not answer is the loops' trouble, and told by them.
    async fn is_past(&self, store: &SqlStore) -> bool {
        for (model, before) in &self.standings {
            let Ok(now) = store::within(store.promotion(model)).await else { continue };
            if now.map(|p| p.delivery_id) != before.latest {
                tracing::info!(model, "the registry names another version: starting with it");
                return true;
            }
        }
        match shadow::brought(&self.watched, store).await {
            Ok(now) if now != self.brought => {
                tracing::info!(
                    "a retraining run has brought another candidate: it stands beside its model from now on"
                );
                true
            }
            _ => false,
        }
    }
}
