//! What is checked of retraining's part of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::raw::{Secret, SecretRef};
use super::retraining::{
    Hook, HookAuth, RawCallback, RawHook, RawHookAuth, RawRetraining, RawTarget, RetrainingDesk, Target,
};
use super::validate::Checker;
use crate::drift::retraining::Policy;
use crate::drift::retraining::plan::Plan;
use crate::drift::time::Span;

/// No exchange with a hook takes longer.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(60);
/// A run that is given more than this is not waited for but forgotten.
const LONGEST_RUN: Span = Span::from_secs(90 * 86_400);
/// Schedules are counted in turns of at least this length.
const SHORTEST_SCHEDULE: Span = Span::from_secs(3_600);

impl Checker<'_> {
    /// A model's policy and plan.
    pub(super) fn retraining(&mut self, i: usize, raw: &RawRetraining) -> Option<(Policy, Plan)> {
        let at = |key: &str| format!("/models/{i}/retraining/{key}");
        let cooldown = self.span(&at("cooldown"), &raw.cooldown);
        let decide_within = self.positive(&at("decide_within"), &raw.decide_within);
        let finish_within = self.positive(&at("finish_within"), &raw.finish_within);
        let gather = self.span(&at("gather"), &raw.gather);
        if gather.zip(decide_within).is_some_and(|(gather, decide)| gather >= decide) {
            self.fail(&at("gather"), "must be shorter than `decide_within`: the request expires before");
        }
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
        if let Some(problem) = raw.replay.problem() {
            self.fail(&at("replay"), problem);
        }
        let plan = Plan {
            hook: raw.hook.clone(),
            decide_within: decide_within?,
            finish_within: finish_within?,
            schedule,
            gather: gather?,
            dry_run: raw.dry_run,
            encoder: raw.encoder,
            freeze_layers: raw.freeze_layers.clone(),
            trainable_layers: raw.trainable_layers.clone(),
            min_gain: raw.min_gain,
            margin: raw.margin,
            margins: raw.margins.clone(),
            replay: raw.replay,
            gate: raw.gate,
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
            RawTarget::Template(template) => {
                if let Some(place) = wrong_place(&template.body) {
                    let message =
                        format!("found {place}, expected a JSON pointer such as `/request_id`, alone in its object");
                    self.fail(&format!("{path}/template/body"), message);
                }
                Target::Other(raw.clone())
            }
            RawTarget::KubernetesJob { namespace, cron_job } => {
                for (key, name) in [("namespace", namespace), ("cron_job", cron_job)] {
                    if !is_dns_name(name) {
                        let message = format!("found `{name}`, expected lower-case letters, digits and `-`");
                        self.fail(&format!("{path}/kubernetes_job/{key}"), message);
                    }
                }
                Target::Other(raw.clone())
            }
            _ => Target::Other(raw.clone()),
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

fn is_dns_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
}

fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// Whether every place of a template is a pointer; the first that is not.
fn wrong_place(template: &serde_json::Value) -> Option<String> {
    match template {
        serde_json::Value::Object(fields) => fields.iter().find_map(|(key, value)| {
            if !["$value", "$json"].contains(&key.as_str()) {
                return wrong_place(value);
            }
            let pointer = value.as_str().is_some_and(|p| p.is_empty() || p.starts_with('/'));
            (!pointer || fields.len() != 1).then(|| value.to_string())
        }),
        serde_json::Value::Array(items) => items.iter().find_map(wrong_place),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_that_are_none_are_told() {
        assert_eq!(wrong_place(&json!({"a": [{"$value": "/x"}, {"$json": ""}]})), None);
        assert_eq!(wrong_place(&json!({"a": {"$value": "x"}})), Some("\"x\"".into()));
        assert_eq!(wrong_place(&json!({"$value": 3})), Some("3".into()));
        assert!(wrong_place(&json!({"$value": "/x", "more": 1})).is_some());
    }
}
