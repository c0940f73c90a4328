//! Retraining: a model's policy, what starts training, how runs call back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::raw::{Secret, SecretRef};
use crate::drift::replay::Rule;
use crate::drift::retraining::plan::{EncoderPolicy, GatePolicy, Plan};
use crate::drift::retraining::{Mode, Trigger};

/// When to ask for retraining of a model, and how it goes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRetraining {
    /// Who decides.
    pub mode: Mode,
    /// What asks.
    pub on: Trigger,
    /// Event time between two requests that alerts of one model lead to.
    pub cooldown: String,
    /// A request of its own this often, such as `30d`, counted from the epoch.
    pub schedule: Option<String>,
    /// What starts training: the name of one of `retraining.hooks`. Without it, endpoints are told and
    /// nothing is called.
    pub hook: Option<String>,
    /// A request that nobody decides about expires.
    pub decide_within: String,
    /// From approval to the end of the run; call-backs are taken so long.
    pub finish_within: String,
    /// So much of an alert's time there must be, in event time, before driftd approves by itself: of a drift that
    /// has only begun there are few records to train on. An alert that is over before has asked for nothing.
    pub gather: String,
    /// Do everything but call the hook.
    pub dry_run: bool,
    /// What training may do with the encoder; by default what the cause asks for: `freeze` for one head,
    /// `top_n: 2` for input and encoder, `full` without a cause.
    pub encoder: Option<EncoderPolicy>,
    /// Parameters to leave alone, as globs over their names.
    pub freeze_layers: Vec<String>,
    /// Parameters to train, as globs over their names.
    pub trainable_layers: Vec<String>,
    /// How much better a retrained task must become, as a share of records.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub min_gain: f64,
    /// How much worse a protected task may become, as a share of records.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub margin: f64,
    /// The same for single tasks.
    pub margins: BTreeMap<String, f64>,
    /// Which records `driftd replay-set` draws for a request, to be trained on again.
    pub replay: Rule,
    /// Whether a run must show its candidate to the gate before it succeeds. What the gate does not let through
    /// never does.
    pub gate: GatePolicy,
}

impl Default for RawRetraining {
    fn default() -> RawRetraining {
        let plan = Plan::default();
        RawRetraining {
            mode: Mode::Propose,
            on: Trigger::Both,
            cooldown: "24h".into(),
            schedule: None,
            hook: None,
            decide_within: "3d".into(),
            finish_within: "1d".into(),
            gather: "0s".into(),
            dry_run: false,
            encoder: None,
            freeze_layers: Vec::new(),
            trainable_layers: Vec::new(),
            min_gain: plan.min_gain,
            margin: plan.margin,
            margins: BTreeMap::new(),
            replay: plan.replay,
            gate: plan.gate,
        }
    }
}

/// What starts training, and within which limits.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawRetrainingDesk {
    /// Requests that driftd may approve by itself in 24 hours, over all models; people's approvals do
    /// not count.
    #[schemars(range(min = 0))]
    pub daily_budget: i64,
    /// How runs tell how they are doing; without it they cannot.
    pub callback: Option<RawCallback>,
    /// What starts training.
    pub hooks: Vec<RawHook>,
}

impl Default for RawRetrainingDesk {
    fn default() -> RawRetrainingDesk {
        RawRetrainingDesk { daily_budget: 10, callback: None, hooks: Vec::new() }
    }
}

/// How runs tell how they are doing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawCallback {
    /// Where runs reach the API, such as `https://driftd.example`.
    pub url: String,
    /// The key that tokens are made from, `whsec_…`; the same for all processes of the deployment.
    pub key: SecretRef,
}

/// What starts training.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawHook {
    /// Its name in the configuration of models, in logs, metrics and the store.
    pub name: String,
    /// Address of the system, such as `https://airflow.example`.
    pub url: Secret,
    /// What kind of system it is.
    pub target: RawTarget,
    /// How we say who we are.
    pub auth: Option<RawHookAuth>,
    /// File with further certificate authorities, as PEM.
    pub authorities: Option<PathBuf>,
    /// One exchange may take this long.
    #[serde(default = "default_timeout")]
    pub timeout: String,
}

/// Kinds of systems that start training.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawTarget {
    /// A signed message as in Standard Webhooks, `retraining.requested`, with the request's id as its id.
    Webhook {
        /// Signing secret `whsec_…`; without one, messages are not signed.
        secret: Option<SecretRef>,
    },
    /// A run of a DAG by Airflow's `/api/v1`.
    #[serde(rename = "airflow_2")]
    Airflow2 {
        /// The DAG that retrains.
        dag: String,
    },
    /// A run of a DAG by Airflow's `/api/v2`; a password is changed for a token at `/auth/token`.
    #[serde(rename = "airflow_3")]
    Airflow3 {
        /// The DAG that retrains.
        dag: String,
    },
    /// A workflow from a template, by the Argo server.
    ArgoWorkflows {
        /// Namespace of the template and of its workflows.
        namespace: String,
        /// The template that retrains.
        template: String,
    },
    /// A Job made from the template of a CronJob that is suspended; the request is in its variable
    /// `DRIFTD_REQUEST`.
    KubernetesJob {
        /// Namespace of the CronJob and of its Jobs.
        namespace: String,
        /// The CronJob's name.
        cron_job: String,
    },
    /// A run of a pipeline by Kubeflow Pipelines' `/apis/v2beta1`.
    KubeflowPipelines {
        /// The pipeline.
        pipeline_id: String,
        /// Its version.
        pipeline_version_id: String,
        /// The experiment that its runs belong to.
        experiment_id: Option<String>,
        /// Whom its runs run as.
        service_account: Option<String>,
    },
    /// Any other POST of JSON.
    Template(RawTemplate),
}

/// A call that you describe.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawTemplate {
    /// Path below the system's address.
    pub path: String,
    /// The body; `{$value: /pointer}` stands for a value of the request, `{$json: /pointer}` for a string
    /// that holds its JSON. What you write into it is not shown among the settings.
    #[serde(skip_serializing)]
    pub body: serde_json::Value,
    /// Send the request's id as `idempotency-key`.
    #[serde(default)]
    pub idempotency_key: bool,
    /// Statuses that say that the run is there already.
    #[serde(default = "default_existed")]
    pub existed: Vec<u16>,
    /// Where in the answer the run's address is, as a JSON pointer.
    pub run_url: Option<String>,
}

/// How we say who we are to a hook's system.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RawHookAuth {
    /// `authorization: Bearer …`. A file is read anew for every call, since some platforms change it.
    Bearer(SecretRef),
    /// User name and password.
    Password {
        /// Name.
        user: String,
        /// Password.
        password: SecretRef,
    },
}

/// What starts training, and within which limits, checked.
#[derive(Clone, Debug)]
pub struct RetrainingDesk {
    /// Requests that driftd may approve by itself in a day.
    pub daily_budget: i64,
    /// Where runs call back, and the key of their tokens.
    pub callback: Option<(String, Vec<u8>)>,
    /// What starts training.
    pub hooks: Vec<Hook>,
}

/// One hook, checked.
#[derive(Clone, Debug)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// Address of the system.
    pub url: SecretString,
    /// What kind of system it is.
    pub target: Target,
    /// How we say who we are.
    pub auth: Option<HookAuth>,
    /// Further certificate authorities, as PEM.
    pub authorities: Option<Vec<u8>>,
    /// One exchange may take this long.
    pub timeout: Duration,
}

/// A kind of system, with its secrets found.
#[derive(Clone, Debug)]
pub enum Target {
    /// A signed message.
    Webhook {
        /// Signing secret.
        secret: Option<SecretString>,
    },
    /// Whatever needs no secret of its own.
    Other(RawTarget),
}

/// How we say who we are, with its secrets found.
#[derive(Clone, Debug)]
pub enum HookAuth {
    /// A token.
    Token(SecretString),
    /// A token in a file that may change.
    TokenFile(PathBuf),
    /// User name and password.
    Password(String, SecretString),
}

fn default_existed() -> Vec<u16> {
    vec![409]
}

fn default_timeout() -> String {
    "15s".into()
}
