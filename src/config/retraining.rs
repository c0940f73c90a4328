//! Retraining: a model's policy, what starts training, how runs call back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::raw::{Secret, SecretRef};
use super::validate::Checker;
use crate::drift::retraining::plan::{EncoderPolicy, Plan};
use crate::drift::retraining::{Mode, Policy, Trigger};
use crate::drift::time::Span;

/// No exchange with a hook takes longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A run that is given more than this is not waited for but forgotten.
const LONGEST_RUN: Span = Span::from_secs(90 * 86_400);
/// Schedules are counted in turns of at least this length.
const SHORTEST_SCHEDULE: Span = Span::from_secs(3_600);

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
            dry_run: false,
            encoder: None,
            freeze_layers: Vec::new(),
            trainable_layers: Vec::new(),
            min_gain: plan.min_gain,
            margin: plan.margin,
            margins: BTreeMap::new(),
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

fn default_timeout() -> String {
    "15s".into()
}

impl Checker<'_> {
    /// A model's policy and plan.
    pub(super) fn retraining(&mut self, i: usize, raw: &RawRetraining) -> Option<(Policy, Plan)> {
        let at = |key: &str| format!("/models/{i}/retraining/{key}");
        let cooldown = self.span(&at("cooldown"), &raw.cooldown);
        let decide_within = self.positive(&at("decide_within"), &raw.decide_within);
        let finish_within = self.positive(&at("finish_within"), &raw.finish_within);
        if finish_within.is_some_and(|f| f > LONGEST_RUN) {
            self.fail(&at("finish_within"), "at most 90d: a request holds its model's place until then");
        }
        let schedule = match &raw.schedule {
            Some(text) => Some(self.positive(&at("schedule"), text)?),
            None => None,
        };
        if schedule.is_some_and(|s| s < SHORTEST_SCHEDULE) {
            self.fail(&at("schedule"), "at least 1h");
        }
        let known = |name: &String| self.document.content.retraining.hooks.iter().any(|h| h.name == *name);
        if let Some(name) = raw.hook.as_ref().filter(|name| !known(name)) {
            self.fail(&at("hook"), format!("no hook `{name}` in retraining.hooks"));
        }
        for (key, share) in [("min_gain", raw.min_gain), ("margin", raw.margin)]
            .into_iter()
            .chain(raw.margins.values().map(|share| ("margins", *share)))
        {
            if !(0.0..=1.0).contains(&share) {
                self.fail(&at(key), format!("found `{share}`, expected a share between 0 and 1"));
            }
        }
        let plan = Plan {
            hook: raw.hook.clone(),
            decide_within: decide_within?,
            finish_within: finish_within?,
            schedule,
            dry_run: raw.dry_run,
            encoder: raw.encoder,
            freeze_layers: raw.freeze_layers.clone(),
            trainable_layers: raw.trainable_layers.clone(),
            min_gain: raw.min_gain,
            margin: raw.margin,
            margins: raw.margins.clone(),
        };
        Some((Policy { mode: raw.mode, on: raw.on, cooldown: cooldown? }, plan))
    }

    /// Hooks, call-back and budget.
    pub(super) fn desk(&mut self) -> Option<RetrainingDesk> {
        let raw = self.document.content.retraining.clone();
        if raw.daily_budget < 0 {
            self.fail("/retraining/daily_budget", "must not be negative");
        }
        let callback = match &raw.callback {
            Some(callback) => Some(self.callback(callback)?),
            None => None,
        };
        let hooks: Vec<Option<Hook>> = raw.hooks.iter().enumerate().map(|(i, h)| self.hook(i, h)).collect();
        let hooks = hooks.into_iter().collect::<Option<Vec<_>>>()?;
        Some(RetrainingDesk { daily_budget: raw.daily_budget, callback, hooks })
    }

    fn callback(&mut self, raw: &RawCallback) -> Option<(String, Vec<u8>)> {
        if !is_web(&raw.url) {
            self.fail("/retraining/callback/url", "must begin with `https://` or `http://`");
        }
        let at = "/retraining/callback/key";
        match crate::signature::key(&self.secret(at, &Secret::Elsewhere(raw.key.clone()))?) {
            Ok(key) => Some((raw.url.clone(), key)),
            Err(error) => {
                self.fail(at, error.to_string());
                None
            }
        }
    }

    fn hook(&mut self, i: usize, raw: &RawHook) -> Option<Hook> {
        let at = |key: &str| format!("/retraining/hooks/{i}/{key}");
        if self.document.content.retraining.hooks[..i].iter().any(|h| h.name == raw.name) {
            self.fail(&at("name"), format!("`{}` is named twice", raw.name));
        }
        let url = self.secret(&at("url"), &raw.url);
        if url.as_ref().is_some_and(|u| !is_web(u)) {
            self.fail(&at("url"), "must begin with `https://` or `http://`");
        }
        let timeout = self.positive(&at("timeout"), &raw.timeout).map(Span::to_std);
        if timeout.is_some_and(|t| t > LONGEST_TIMEOUT) {
            self.fail(&at("timeout"), "must be between 1ms and 60s");
        }
        let auth = match &raw.auth {
            Some(auth) => Some(self.hook_auth(&at("auth"), auth)?),
            None => None,
        };
        let authorities = match &raw.authorities {
            Some(file) => Some(self.pem(&at("authorities"), file)?),
            None => None,
        };
        let target = self.target(&at("target"), &raw.target)?;
        let url = SecretString::from(url?);
        Some(Hook { name: raw.name.clone(), url, target, auth, authorities, timeout: timeout? })
    }

    fn hook_auth(&mut self, path: &str, raw: &RawHookAuth) -> Option<HookAuth> {
        Some(match raw {
            RawHookAuth::Bearer(SecretRef::File(file)) => {
                self.secret(path, &Secret::Elsewhere(SecretRef::File(file.clone())))?;
                HookAuth::TokenFile(self.document.directory().join(file))
            }
            RawHookAuth::Bearer(elsewhere) => HookAuth::Token(self.hidden(path, elsewhere)?),
            RawHookAuth::Password { user, password } => {
                HookAuth::Password(user.clone(), self.hidden(&format!("{path}/password"), password)?)
            }
        })
    }

    fn target(&mut self, path: &str, raw: &RawTarget) -> Option<Target> {
        Some(match raw {
            RawTarget::Webhook { secret } => {
                let at = format!("{path}/webhook/secret");
                let secret = match secret {
                    Some(elsewhere) => {
                        let found = self.secret(&at, &Secret::Elsewhere(elsewhere.clone()))?;
                        if let Err(error) = crate::signature::key(&found) {
                            self.fail(&at, error.to_string());
                        }
                        Some(SecretString::from(found))
                    }
                    None => None,
                };
                Target::Webhook { secret }
            }
        })
    }

    fn hidden(&mut self, path: &str, elsewhere: &SecretRef) -> Option<SecretString> {
        self.secret(path, &Secret::Elsewhere(elsewhere.clone())).map(SecretString::from)
    }

    fn pem(&mut self, path: &str, file: &PathBuf) -> Option<Vec<u8>> {
        let file = self.document.directory().join(file);
        match std::fs::read(&file) {
            Ok(bytes) => Some(bytes),
            Err(error) => {
                self.fail(path, format!("`{}` cannot be read: {error}", file.display()));
                None
            }
        }
    }
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}
