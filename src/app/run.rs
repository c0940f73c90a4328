//! `driftd run`: one straight line from configuration to running loops, and back down on a signal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::endpoints::{receiver, routes};
use super::golden::Golden;
use super::{decode_reference, load_reference, reload, retraining, runtime};
use crate::api::access::{Access, Policy};
use crate::api::settings::{InForce, Settings};
use crate::api::{self, ApiState, ops};
use crate::cli::{Role, Run};
use crate::clock::{self, Clock};
use crate::collect::observe::Watched;
use crate::collect::{self, Collector};
use crate::config::access::Auth;
use crate::config::live::{Live, Running};
use crate::config::{self, Config, Infer};
use crate::deliver;
use crate::drift::closing::Closing;
use crate::drift::observation::HeadSource;
use crate::drift::reference::Reference;
use crate::drift::routing::Rule;
use crate::drift::time::Span;
use crate::drift::window::WindowRule;
use crate::health::Health;
use crate::judge::rows::Receiver;
use crate::judge::{self, Judge};
use crate::maintain;
use crate::model::{Manifest, ModelHandle, batching};
use crate::retrain;
use crate::source::Source;
use crate::source::dead_letter::DeadLetters;
use crate::source::kafka::KafkaSource;
use crate::source::native::NativeDecoder;
use crate::store::{ApiStore, ModelRow, ReferenceStore as _, SqlStore};
use crate::telemetry::Levels;
use crate::traces::Traces;
use crate::{metrics, telemetry};

/// How long a flush at shutdown may take before the process gives up; the records are read again.
const DRAIN: Duration = Duration::from_secs(8);
/// After the drain, the other loops have this long.
const LAST_CALL: Duration = Duration::from_millis(1_500);

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting; once started, only what time cannot heal.
pub fn main(args: &Run) -> anyhow::Result<()> {
    let file = &args.config.config;
    let seen = reload::print(file);
    let config = config::load(file)?;
    let levels = telemetry::install(config.log, config.log_levels.as_deref());
    let metrics = metrics::install()?;
    // Dropped last: what is left is sent then.
    let _traces = config.trace_collector.as_deref().map(Traces::install).transpose()?;
    runtime()?.block_on(async {
        let shutdown = CancellationToken::new();
        tokio::spawn(stop_on_signal(shutdown.clone()));
        let (told, running) = (reload::hang_up()?, Running::new(file, &config));
        let (mut app, doors) = App::start(config, &args.roles, metrics, shutdown.clone()).await?;
        let doors = reload::Doors { levels, ..doors };
        app.loops.spawn(async move {
            reload::run(running, seen, doors, told, shutdown).await;
            Ok("reload")
        });
        app.join().await
    })
}

/// A started daemon.
pub struct App {
    /// Where the API and the dashboard are.
    pub api: Option<SocketAddr>,
    /// Where probes and metrics are.
    pub ops: SocketAddr,
    loops: JoinSet<anyhow::Result<&'static str>>,
    shutdown: CancellationToken,
    store: SqlStore,
}

/// A model as it was loaded.
struct Loaded {
    config: config::Model,
    manifest: Manifest,
    watched: Watched,
}

impl App {
    /// Starts everything that the roles ask for; nothing runs if anything cannot. Gives too where new settings go.
    ///
    /// # Errors
    /// The first thing that cannot be set up, with its reason.
    pub async fn start(
        config: Config,
        roles: &[Role],
        metrics: PrometheusHandle,
        shutdown: CancellationToken,
    ) -> anyhow::Result<(App, reload::Doors)> {
        let has = |role: Role| roles.contains(&role);
        let started = Arc::new(AtomicBool::new(false));
        let store = SqlStore::open(&config.store.0).await?;
        let ops_listener = listen(config.ops).await?;
        let api_listener = if has(Role::Api) { Some(listen(config.api).await?) } else { None };
        let (ops, api) = (ops_listener.local_addr()?, api_listener.as_ref().map(TcpListener::local_addr).transpose()?);
        let read: Arc<dyn ApiStore> = Arc::new(store.clone());
        let mut loops: JoinSet<anyhow::Result<&'static str>> = JoinSet::new();
        let health = Health::default();
        let state = ops::OpsState { started: started.clone(), store: read.clone(), health: health.clone(), metrics };
        let stop = shutdown.clone();
        loops.spawn(async move { Ok(api::serve(ops_listener, ops::router(state), stop).await.map(|()| "ops")?) });

        let mut in_force = InForce { shown: config.shown(), read_at: Some(clock::now()), ..InForce::default() };
        let (live, follows) = watch::channel(Live::of(&config));
        let onnxruntime = config.onnxruntime.clone();
        let topics = config.kafka.as_ref().map(|k| k.topics.clone()).unwrap_or_default();
        let idle_after = config.collect.idle_after;
        let (collects, mut models) = (has(Role::Collect), Vec::new());
        for model in config.models.clone() {
            let manifest = Manifest::load(&model.manifest)?;
            let reference = find_reference(&store, &model, &manifest).await?;
            in_force.late_limits.insert(manifest.spec.name.clone(), model.late_limit);
            models.push((model, manifest, reference));
        }
        let loaded = tokio::task::spawn_blocking(move || {
            let load = |(model, manifest, reference)| {
                load(model, manifest, reference, collects, idle_after, onnxruntime.as_deref())
            };
            models.into_iter().map(load).collect::<anyhow::Result<Vec<_>>>()
        });
        let loaded = loaded.await.context("the loading thread")??;
        let (collected, written) = (Arc::new(Notify::new()), Arc::new(Notify::new()));

        if has(Role::Collect) {
            let kafka = Arc::new(config.kafka.context("the role `collect` needs `kafka` in the configuration")?);
            let specs = loaded.iter().map(|l| Arc::new(l.manifest.spec.clone())).collect();
            let decoder = Arc::new(NativeDecoder::new(specs, config.collect.max_record_bytes));
            let max_future = config.collect.max_future;
            let dead_letters = DeadLetters::new(&kafka)?;
            let reopen = move || -> anyhow::Result<Box<dyn Source>> {
                Ok(Box::new(KafkaSource::start(&kafka, decoder.clone(), max_future)?))
            };
            let first = tokio::task::spawn_blocking(reopen.clone()).await.context("the source's starting thread")??;
            let watched = loaded.iter().map(|l| l.watched.clone()).collect();
            let doors = collect::Doors {
                store: Arc::new(store.clone()),
                dead_letters: Box::new(dead_letters),
                clock: Clock::wall(),
                health: health.clone(),
                committed: collected.clone(),
            };
            let collector = Collector::new(doors, watched, config.collect);
            let stop = shutdown.clone();
            loops.spawn(async move { collector.run(first, reopen, stop).await.map(|()| "collect") });
        }
        if has(Role::Judge) {
            let receivers: Vec<Receiver> = config.endpoints.iter().map(receiver).collect();
            let judges: Vec<Judge> =
                loaded.iter().map(|l| judge(l, &topics, &receivers, &config.routes, config.backfill_after)).collect();
            let (kept, models, stop) = (Arc::new(store.clone()), judges.clone(), shutdown.clone());
            let troubled = health.clone();
            loops.spawn(async move {
                maintain::run(kept, models, follows, troubled, stop).await;
                Ok("maintain")
            });
            let follows = live.subscribe();
            let doors = judge::Doors {
                store: Arc::new(store.clone()),
                health,
                collected,
                written: written.clone(),
                watching: Box::new(move || follows.borrow().watching.clone()),
            };
            let stop = shutdown.clone();
            loops.spawn(async move {
                judge::run(doors, judges, stop).await;
                Ok("judge")
            });
        }
        let subjects = loaded.iter().map(|l| {
            let name = l.manifest.spec.name.clone();
            (name, retraining::subject(&l.config, &l.manifest, &l.watched.reference.id))
        });
        let keeps = Arc::new(store.clone());
        let desk = retraining::desk(keeps, &config.retraining, &config.endpoints, subjects.collect());
        if has(Role::Deliver) {
            let retrainer = Arc::new(retraining::retrainer(desk.clone(), &config.retraining)?);
            let stop = shutdown.clone();
            loops.spawn(async move {
                retrain::run(retrainer, stop).await;
                Ok("retrain")
            });
            let routes = routes(&config.endpoints, config.public_url.as_deref())?;
            let doors = deliver::Doors::new(Arc::new(store.clone()), routes, config.maintenance.clone());
            let doors = deliver::Doors { backfill_after: config.backfill_after, ..doors };
            let stop = shutdown.clone();
            loops.spawn(async move {
                deliver::run(doors, written, stop).await;
                Ok("deliver")
            });
        }
        let settings = Settings::new(in_force);
        let mut door = None;
        if let Some(listener) = api_listener {
            let policy = match &config.api_auth {
                Auth::Local => Policy::Local,
                Auth::Open => Policy::Open,
                Auth::Keys | Auth::Oidc(_) => Policy::Asked,
            };
            let access = Access::new(policy, Arc::new(store.clone()), Clock::wall());
            let (per_second, burst) = config.api_limit;
            let access = match &config.api_auth {
                Auth::Oidc(oidc) => access.taking(reload::tokens(oidc)?),
                _ => access,
            };
            let access = Arc::new(access.listening(config.api.ip()).limited(per_second, burst));
            let roles = roles.iter().map(Role::to_string).collect();
            door = Some(access.clone());
            let state = ApiState::new(read.clone(), desk, roles, access, settings.clone(), shutdown.clone());
            let events = state.events.clone();
            loops.spawn(async move {
                events.watch(read).await;
                Ok("events")
            });
            let stop = shutdown.clone();
            loops.spawn(async move { Ok(api::serve(listener, api::router(state), stop).await.map(|()| "api")?) });
        }
        started.store(true, Ordering::Release);
        metrics::ready(true);
        tracing::info!(api = ?api, %ops, roles = ?roles, "driftd is running");
        let doors = reload::Doors { live, access: door, settings, levels: Levels::default() };
        Ok((App { api, ops, loops, shutdown, store }, doors))
    }

    /// Waits until it is told to stop, then for the loops to finish what they hold.
    ///
    /// # Errors
    /// If a loop fails by itself, or does not finish in time.
    pub async fn join(mut self) -> anyhow::Result<()> {
        let mut failure = None;
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            Some(ended) = self.loops.join_next() => {
                failure = Some(match ended {
                    Ok(Ok(name)) if self.shutdown.is_cancelled() => { tracing::debug!(name, "a loop has ended"); None }
                    Ok(Ok(name)) => Some(anyhow::anyhow!("the loop `{name}` has ended by itself")),
                    Ok(Err(error)) => Some(error),
                    Err(error) => Some(error.into()),
                });
                self.shutdown.cancel();
            }
        }
        tracing::info!("stopping: what was read is being committed");
        let drained = tokio::time::timeout(DRAIN + LAST_CALL, async {
            while let Some(ended) = self.loops.join_next().await {
                if let Ok(Err(error)) = ended {
                    tracing::error!(error = format!("{error:#}"), "a loop failed while stopping");
                }
            }
        });
        if drained.await.is_err() {
            tracing::warn!("not everything finished in time; uncommitted records will be read again");
        }
        self.store.close().await;
        tracing::info!("stopped");
        failure.flatten().map_or(Ok(()), Err)
    }
}

async fn stop_on_signal(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        tracing::error!("signals cannot be listened to; stop the process by SIGKILL");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    shutdown.cancel();
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on `{address}`"))
}

/// The file that the configuration names, or the reference that is active in the store.
async fn find_reference(store: &SqlStore, model: &config::Model, manifest: &Manifest) -> anyhow::Result<Reference> {
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
fn load(
    config: config::Model,
    manifest: Manifest,
    reference: Reference,
    collects: bool,
    idle_after: Span,
    library: Option<&std::path::Path>,
) -> anyhow::Result<Loaded> {
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
    let runs_model = collects && config.infer != Infer::Never;
    let model: Option<ModelHandle> = if runs_model {
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
    let watched = Watched {
        reference: Arc::new(reference),
        model,
        heads,
        infer: config.infer,
        skew_sample: config.skew_sample,
        closing: Closing { window: WindowRule::Time(config.window), grace: config.grace, idle_after },
        late_limit: config.late_limit,
        label_sample: config.label_sample,
    };
    Ok(Loaded { config, manifest, watched })
}

fn judge(
    loaded: &Loaded,
    topics: &[String],
    receivers: &[Receiver],
    rules: &[Rule],
    backfill_after: Option<Span>,
) -> Judge {
    let spec = &loaded.manifest.spec;
    let tasks: Vec<_> =
        spec.tasks.iter().map(|t| json!({"name": t.name, "kind": t.kind, "classes": t.classes.len()})).collect();
    let placement = loaded.watched.model.as_ref().map(|m| json!(m.placement()).to_string());
    Judge {
        reference: loaded.watched.reference.clone(),
        watch: loaded.config.watch,
        closing: loaded.watched.closing,
        labelling: judge::labels::Labelling { sample: loaded.config.label_sample, wait: loaded.config.label_wait },
        topics: topics.to_vec(),
        receivers: receivers.to_vec(),
        plan: loaded.config.plan.clone(),
        rules: rules.to_vec(),
        backfill_after,
        model: ModelRow {
            name: spec.name.clone(),
            version: spec.version.clone(),
            reference_id: loaded.watched.reference.id.clone(),
            budget: loaded.config.budget.clone(),
            threshold: loaded.config.watch.threshold,
            window_us: loaded.config.window.micros(),
            embedding_dimension: spec.embedding_dimension.and_then(|d| i64::try_from(d).ok()),
            tasks: json!(tasks).to_string(),
            inference: placement,
        },
    }
}
