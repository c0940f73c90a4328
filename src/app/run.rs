//! `driftd run`: one straight line from configuration to running loops, and back down on a signal.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::endpoints::{receiver, routes};
use super::loaded::{find_reference, judge, load};
use super::{clocks, promoted, reload, retraining, runtime};
use crate::api::access::{Access, Policy};
use crate::api::settings::{InForce, Settings};
use crate::api::{self, ApiState, ops};
use crate::cli::{Role, Run};
use crate::clock::{self, Clock};
use crate::collect::{self, Collector};
use crate::config::access::Auth;
use crate::config::live::Live;
use crate::config::{self, Config};
use crate::deliver;
use crate::health::Health;
use crate::judge::rows::Receiver;
use crate::judge::{self, Judge};
use crate::maintain;
use crate::model::Manifest;
use crate::retrain;
use crate::source::Source;
use crate::source::dead_letter::DeadLetters;
use crate::source::kafka::KafkaSource;
use crate::source::native::NativeDecoder;
use crate::store::{ApiStore, SqlStore};
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
        promoted::Daemon { args, levels, metrics, shutdown }.run(config, seen).await
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
        let registry = promoted::registry(&config, &store)?;
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
        let (kept, stop) = (store.clone(), shutdown.clone());
        loops.spawn(async move {
            clocks::watch(kept, Clock::wall(), idle_after, stop.clone()).await;
            stop.cancelled().await;
            Ok("clocks")
        });
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
            let state = ApiState::new(read.clone(), desk, roles, access, settings.clone(), shutdown.clone())
                .following(registry);
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
        let names: Vec<String> = roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
        tracing::info!(api = api.map(|api| api.to_string()), %ops, roles = names.join(","), "driftd is running");
        let doors = reload::Doors { live, access: door, settings, levels: Levels::default() };
        Ok((App { api, ops, loops, shutdown, store }, doors))
    }

    /// Where it keeps everything.
    pub fn store(&self) -> SqlStore {
        self.store.clone()
    }

    /// The same, following its configuration's file.
    pub fn following(mut self, file: impl Future<Output = ()> + Send + 'static) -> App {
        self.loops.spawn(async move {
            file.await;
            Ok("reload")
        });
        self
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
        // A connection that hangs is asked whether it is well before it is closed, without a limit of its own.
        if tokio::time::timeout(LAST_CALL, self.store.close()).await.is_err() {
            tracing::warn!("connections to the store did not close in time; they end with the process");
        }
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
