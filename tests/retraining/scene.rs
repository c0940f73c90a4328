//! A store, a target and a loop, with a clock that the test moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use driftd::clock::Clock;
use driftd::drift::retraining::plan::Plan;
use driftd::drift::retraining::{Mode, Policy, Trigger};
use driftd::drift::task::{ModelSpec, TaskKind, TaskSpec};
use driftd::drift::time::{Span, Timestamp};
use driftd::hook::airflow::{Airflow, Version};
use driftd::hook::argo::Argo;
use driftd::hook::kubeflow::Kubeflow;
use driftd::hook::kubernetes::KubernetesJob;
use driftd::hook::signed::SignedMessage;
use driftd::hook::site::{Auth, Site};
use driftd::hook::trainer::Trainer;
use driftd::hook::webhook::Webhook;
use driftd::retrain::desk::{Desk, Subject};
use driftd::retrain::token::Callbacks;
use driftd::retrain::word::{Refusal, Reported};
use driftd::retrain::{Hook, Retrainer};
use driftd::store::{NewRequest, RequestHistory, RequestRow, RetrainingStore as _, SqlStore};
use serde_json::Value;

use crate::support;
use crate::target::{self, Fault, SECRET, TOKEN, Target};

pub const HOOKS: [&str; 6] = ["airflow_2", "airflow_3", "argo", "kubernetes", "kubeflow", "webhook"];
/// Shorter than the target's hang, and longer than it takes to answer on a busy machine.
const TIMEOUT: Duration = Duration::from_millis(200);

pub struct Scene {
    pub store: SqlStore,
    pub retrainer: Arc<Retrainer>,
    pub target: Target,
    pub micros: Arc<AtomicI64>,
    _directory: tempfile::TempDir,
}

pub fn policy() -> Policy {
    Policy { mode: Mode::Auto, on: Trigger::Drift, cooldown: Span::from_secs(0) }
}

impl Scene {
    /// Models, each with its hook.
    pub async fn new(models: &[(&str, &str)]) -> Scene {
        let subject = |hook: &str| Plan { hook: Some(hook.to_owned()), ..Plan::default() };
        Scene::with(models.iter().map(|(name, hook)| ((*name).to_owned(), subject(hook))).collect(), 1_000_000).await
    }

    pub async fn with(plans: Vec<(String, Plan)>, daily_budget: i64) -> Scene {
        let directory = tempfile::tempdir().expect("a folder");
        let url = support::secret(&support::sqlite_url(directory.path()));
        let store = SqlStore::open(&url).await.expect("opens");
        let (url, target) = target::serve().await;
        let micros = Arc::new(AtomicI64::new(1_800_000_000_000_000));
        let shown = micros.clone();
        let clock = Clock::from_fn(move || Timestamp::from_micros(shown.load(Ordering::SeqCst)));
        let subject = |plan: Plan| Subject {
            version: "12".into(),
            reference_id: "ref_12a".into(),
            tasks: vec!["intent".into(), "ner".into()],
            spec: Arc::new(spec()),
            policy: policy(),
            plan,
        };
        let desk = Desk {
            store: Arc::new(store.clone()),
            subjects: Arc::new(plans.into_iter().map(|(name, plan)| (name, subject(plan))).collect()),
            endpoints: Arc::new(vec!["events".into()]),
            callbacks: Some(Callbacks::new("https://driftd.example", vec![7; 32])),
            clock,
        };
        let since = desk.clock.now();
        let hooks =
            HOOKS.into_iter().map(|name| (name.to_owned(), Hook { trainer: trainer(name, &url), timeout: TIMEOUT }));
        let retrainer = Arc::new(Retrainer { desk, hooks: hooks.collect::<BTreeMap<_, _>>(), daily_budget, since });
        Scene { store, retrainer, target, micros, _directory: directory }
    }

    pub fn desk(&self) -> &Desk {
        &self.retrainer.desk
    }

    /// A request that a person has approved.
    pub async fn approved(&self, model: &str) -> String {
        let made = self.desk().ask(model, &["intent".into()], "ada", "a test", "key").await.expect("made");
        let id = made.row.request_id;
        self.desk().approve(&id, "ada", "go").await.expect("approved");
        id
    }

    /// A request as an alert leads to it.
    pub fn alerted(&self, model: &str, alert: &str) -> NewRequest {
        let now = self.desk().clock.now();
        let plan = &self.desk().subjects[model].plan;
        let row = RequestRow {
            request_id: driftd::store::stable_id("rt", &[alert]),
            model: model.to_owned(),
            version: "12".into(),
            kind: "drift".into(),
            mode: "auto".into(),
            dry_run: plan.dry_run,
            alert_id: alert.to_owned(),
            state: driftd::drift::retraining::life::State::Proposed,
            tasks: "[\"intent\"]".into(),
            protected_tasks: "[\"ner\"]".into(),
            reason: "intent drifted".into(),
            body: "{}".into(),
            hook: plan.hook.clone(),
            covers_until: None,
            created: now,
            deadline: Some(now.plus(plan.decide_within)),
            run_url: None,
            new_model_version: None,
            result: "{}".into(),
            attempts: 0,
            next_attempt: Timestamp::from_micros(0),
            token: None,
            moves: 1,
        };
        NewRequest { row, who: "driftd".into(), deliveries: Vec::new(), audit: None, now }
    }

    pub async fn step(&self) {
        self.retrainer.step().await.expect("the store answers");
    }

    pub fn wait(&self, secs: i64) {
        self.micros.fetch_add(secs * 1_000_000, Ordering::SeqCst);
    }

    pub async fn history(&self, id: &str) -> RequestHistory {
        self.store.request(id).await.expect("read").expect("is there")
    }

    /// Runs that the target has ever made of a request.
    pub fn runs(&self, id: &str) -> usize {
        self.target.lock().expect("not poisoned").runs.get(id).map_or(0, Vec::len)
    }

    /// What the run was told.
    pub fn order(&self, id: &str) -> Value {
        self.target.lock().expect("not poisoned").runs[id][0].order.clone()
    }

    pub fn offences(&self) -> Vec<String> {
        self.target.lock().expect("not poisoned").offences.clone()
    }

    pub fn exchanges(&self) -> usize {
        self.target.lock().expect("not poisoned").exchanges
    }

    /// The exchange that makes the run fails; those before it go well.
    pub fn fail_last_exchange(&self, hook: &str, fault: Fault) {
        let before = match hook {
            "airflow_3" | "kubernetes" | "kubeflow" => 1,
            _ => 0,
        };
        let mut world = self.target.lock().expect("not poisoned");
        world.faults.clear();
        // Kubeflow finds a run that is there in its first exchange.
        let there = hook == "kubeflow" && !world.runs.is_empty();
        world.faults.extend((0..before).filter(|_| !there).map(|_| Fault::None));
        world.faults.push_back(fault);
    }

    pub async fn call_back(&self, id: &str, token: &str, state: &str) -> Result<(), Refusal> {
        let reported = Reported { state: state.into(), ..Reported::default() };
        self.desk().call_back(id, token, &reported).await.map(drop)
    }

    /// The token that the run was told.
    pub fn token(&self, id: &str) -> String {
        self.order(id)["callback"]["token"].as_str().expect("a token").to_owned()
    }
}

fn spec() -> ModelSpec {
    let task = |name: &str| TaskSpec {
        name: name.into(),
        kind: TaskKind::Multiclass,
        classes: vec!["a".into(), "b".into()],
        threshold: 0.5,
        temperature: 1.0,
    };
    ModelSpec {
        name: "m".into(),
        version: "12".into(),
        tasks: vec![task("intent"), task("ner")],
        embedding_dimension: None,
        attributes: Vec::new(),
        segments: None,
    }
}

fn trainer(name: &str, url: &str) -> Box<dyn Trainer> {
    let site = |auth| Site::new(&support::secret(url), auth, None, TIMEOUT).expect("a site");
    let token = || Auth::Token(support::secret(TOKEN));
    let password = || Auth::Password("admin".into(), support::secret("pw"));
    let (namespace, dag) = ("ml".to_owned(), "retrain".to_owned());
    match name {
        "airflow_2" => Box::new(Airflow { site: site(password()), version: Version::Two, dag }),
        "airflow_3" => Box::new(Airflow { site: site(password()), version: Version::Three, dag }),
        "argo" => Box::new(Argo { site: site(token()), namespace, template: dag }),
        "kubernetes" => Box::new(KubernetesJob { site: site(token()), namespace, cron_job: dag }),
        "kubeflow" => Box::new(Kubeflow {
            site: site(token()),
            pipeline_id: "p".into(),
            pipeline_version_id: "v".into(),
            experiment_id: None,
            service_account: Some("runner".into()),
        }),
        _ => {
            let url = support::secret(&format!("{url}/hook"));
            Box::new(SignedMessage(Webhook::new(url, Some(&support::secret(SECRET)), TIMEOUT).expect("a webhook")))
        }
    }
}
