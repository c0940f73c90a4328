//! Which settings a running process takes up when its file changes, and which wait for its next start. Every
//! key of the file is sorted here, by patterns that name all of them: one that is added does not compile until
//! it is sorted too.
//!
//! What may change under way is read anew at each step and has no memory of its own: levels of the log,
//! retention, limits and grants of callers, and how evidence is weighed. All else is woven into connections,
//! threads, windows that are open, or messages that were promised.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use super::access::{Auth, Oidc, RawApi, RawAuth};
use super::raw::{RawConfig, RawModel, RawStore, RawWindow};
use super::shown::shown;
use super::validate::{Budget, watch};
use super::{Config, Retention};
use crate::document::{Problem, Problems};
use crate::drift::course::Watching;
use crate::drift::retraining::Policy;
use crate::drift::time::Span;

/// The settings that take effect while the process runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Live {
    /// What is logged.
    pub log_levels: Option<String>,
    /// How long things are kept.
    pub retention: Retention,
    /// Requests a second of one caller, and so many at once.
    pub limit: (f64, f64),
    /// Whose bearer tokens are taken, and what they grant; `None` where none are.
    pub oidc: Option<Oidc>,
    /// How each model is watched, in the order in which the process started them.
    pub watching: Vec<Watching>,
}

/// What a process runs with, to compare its file with.
#[derive(Debug)]
pub struct Running {
    file: PathBuf,
    /// The settings in force: as the process started with them, and what it took up since.
    written: RawConfig,
    secrets: BTreeMap<String, [u8; 32]>,
    models: Vec<(Span, Policy)>,
    live: Live,
}

/// What has become of a changed file.
#[derive(Debug, PartialEq)]
pub struct Reread {
    /// The settings now in force.
    pub live: Live,
    /// All settings in force, for people.
    pub shown: Value,
    /// Settings that were taken up.
    pub taken: Vec<String>,
    /// Settings that differ from the file until the next start.
    pub waiting: Vec<String>,
}

impl Live {
    /// Those of a configuration.
    pub fn of(config: &Config) -> Live {
        let watching = |model: &super::Model| Watching { budget: model.budget.clone(), watch: model.watch };
        Live {
            log_levels: config.log_levels.clone(),
            retention: config.retention,
            limit: config.api_limit,
            oidc: match &config.api_auth {
                Auth::Oidc(oidc) => Some(oidc.clone()),
                Auth::Local | Auth::Open | Auth::Keys => None,
            },
            watching: config.models.iter().map(watching).collect(),
        }
    }
}

impl Running {
    /// Of a process that starts with this configuration.
    pub fn new(file: &Path, config: &Config) -> Running {
        Running {
            file: file.to_owned(),
            written: config.written.clone(),
            secrets: config.secrets.clone(),
            models: config.models.iter().map(|model| (model.window, model.watch.retraining)).collect(),
            live: Live::of(config),
        }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Reads the file again and takes up what may change under way.
    ///
    /// # Errors
    /// [`Problems`] of the file, all at once; then everything stays as it was.
    pub fn read_again(&mut self) -> Result<Reread, Problems> {
        super::load(&self.file).and_then(|read| self.take(&read))
    }

    fn take(&mut self, read: &Config) -> Result<Reread, Problems> {
        let live = Live { watching: self.watching(read)?, oidc: self.oidc(read), ..Live::of(read) };
        let mut written = self.written.clone();
        take_up(&mut written, &read.written);
        let (before, after) = (leaves(&shown(&self.written)), leaves(&shown(&written)));
        let taken = differing(&before, &after);
        let secrets = differing(&self.secrets, &read.secrets).into_iter().map(|path| dotted(&path));
        let mut waiting = differing(&fixed(&written), &fixed(&read.written));
        let told = waiting.clone();
        // A secret that was changed where it lies, or in a section that is named already.
        waiting.extend(secrets.filter(|path| !told.iter().any(|section| path.starts_with(section.as_str()))));
        let shown = shown(&written);
        (self.written, self.live) = (written, live.clone());
        Ok(Reread { live, shown, taken, waiting })
    }

    /// How the models that run are watched from now on: those that the file no longer has, as before.
    fn watching(&self, read: &Config) -> Result<Vec<Watching>, Problems> {
        let mut watching = self.live.watching.clone();
        for (i, (running, now)) in self.written.models.iter().zip(&mut watching).enumerate() {
            let Some((j, raw)) = same(&read.written.models, running) else { continue };
            let (window, retraining) = self.models[i];
            let budget = Budget::parse(&raw.budget).map_or(now.watch.threshold, |budget| budget.threshold(window));
            let sensitivity = read.models[j].watch.sensitivity;
            let watch = watch(budget, sensitivity, raw.resolve_after, retraining).map_err(|message| {
                let message = format!("{message} (windows of {window} are in force until the next start)");
                let problem = Problem { line: 0, path: format!("/models/{j}/budget"), message };
                Problems { file: self.file.clone(), problems: vec![problem] }
            })?;
            *now = Watching { budget: raw.budget.clone(), watch };
        }
        Ok(watching)
    }

    /// Another way to prove who one is waits; other grants of the same way do not.
    fn oidc(&self, read: &Config) -> Option<Oidc> {
        match (&self.live.oidc, &read.api_auth) {
            (Some(_), Auth::Oidc(oidc)) => Some(oidc.clone()),
            (running, _) => running.clone(),
        }
    }
}

/// Moves the settings that take effect under way from what was read to what runs.
fn take_up(running: &mut RawConfig, read: &RawConfig) {
    running.log_levels.clone_from(&read.log_levels);
    running.store.retention = read.store.retention.clone();
    running.api.limit = read.api.limit.clone();
    if let (RawAuth::Oidc(running), RawAuth::Oidc(read)) = (&mut running.api.auth, &read.api.auth) {
        running.clone_from(read);
    }
    for model in &mut running.models {
        let Some((_, read)) = same(&read.models, model) else { continue };
        model.budget.clone_from(&read.budget);
        model.margin = read.margin;
        model.resolve_after = read.resolve_after;
        model.window.min_records = read.window.min_records;
    }
}

/// The settings that wait for the next start, by name.
fn fixed(raw: &RawConfig) -> BTreeMap<String, Value> {
    let RawConfig {
        log,
        log_levels: _,
        kafka,
        store: RawStore { url, retention: _ },
        onnxruntime,
        models,
        collect,
        endpoints,
        retraining,
        routes,
        maintenance,
        backfill_after,
        public_url,
        api: RawApi { listen, auth, allow_unauthenticated, limit: _ },
        ops,
        traces,
    } = raw;
    let auth = match auth {
        RawAuth::None => "none",
        RawAuth::Keys => "keys",
        RawAuth::Oidc(_) => "oidc",
    };
    let mut all = BTreeMap::from([
        ("log".to_owned(), json(log)),
        ("kafka".to_owned(), json(kafka)),
        ("store.url".to_owned(), json(url)),
        ("onnxruntime".to_owned(), json(onnxruntime)),
        ("collect".to_owned(), json(collect)),
        ("endpoints".to_owned(), json(endpoints)),
        ("retraining".to_owned(), json(retraining)),
        ("routes".to_owned(), json(routes)),
        ("maintenance".to_owned(), json(maintenance)),
        ("backfill_after".to_owned(), json(backfill_after)),
        ("public_url".to_owned(), json(public_url)),
        ("api.listen".to_owned(), json(listen)),
        ("api.auth".to_owned(), json(&auth)),
        ("api.allow_unauthenticated".to_owned(), json(allow_unauthenticated)),
        ("ops".to_owned(), json(ops)),
        ("traces".to_owned(), json(traces)),
    ]);
    for model in models {
        let RawModel {
            manifest,
            reference,
            mlflow,
            device,
            heads,
            infer,
            skew_sample,
            skew_limit,
            window: RawWindow { length, grace, late_limit, min_records: _ },
            budget: _,
            resolve_after: _,
            retraining,
            batching,
            labels,
            shadow,
            examples,
            margin: _,
        } = model;
        let values = [
            ("reference", json(reference)),
            ("mlflow", json(mlflow)),
            ("device", json(device)),
            ("heads", json(heads)),
            ("infer", json(infer)),
            ("skew_sample", json(skew_sample)),
            ("skew_limit", json(skew_limit)),
            ("window.length", json(length)),
            ("window.grace", json(grace)),
            ("window.late_limit", json(late_limit)),
            ("retraining", json(retraining)),
            ("batching", json(batching)),
            ("labels", json(labels)),
            ("shadow", json(shadow)),
            ("examples", json(examples)),
        ];
        let name = format!("models[{}]", manifest.display());
        all.extend(values.into_iter().map(|(key, value)| (format!("{name}.{key}"), value)));
    }
    let manifests: Vec<_> = models.iter().map(|model| &model.manifest).collect();
    all.insert("models".to_owned(), json(&manifests));
    all
}

/// The model with the same manifest, and its place.
fn same<'a>(models: &'a [RawModel], as_this: &RawModel) -> Option<(usize, &'a RawModel)> {
    models.iter().enumerate().find(|(_, model)| model.manifest == as_this.manifest)
}

fn json(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("a configuration is plain data with text for keys")
}

/// Names whose values differ; of models that only one side has, only the list of models is named.
fn differing<T: PartialEq>(before: &BTreeMap<String, T>, after: &BTreeMap<String, T>) -> Vec<String> {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let one_sided = |name: &str| !before.contains_key(name) || !after.contains_key(name);
    names
        .filter(|name| before.get(*name) != after.get(*name))
        .filter(|name| !(name.starts_with("models[") && one_sided(name)))
        .cloned()
        .collect()
}

/// Every value of a document by its dotted path; lists of plain values whole.
fn leaves(value: &Value) -> BTreeMap<String, Value> {
    fn walk(path: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
        let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match value {
            Value::Object(map) if !map.is_empty() => map.iter().for_each(|(key, v)| walk(&below(key), v, found)),
            Value::Array(list) if list.iter().any(Value::is_object) => {
                list.iter().enumerate().for_each(|(i, v)| walk(&below(&i.to_string()), v, found));
            }
            _ => {
                found.insert(path.to_owned(), value.clone());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk("", value, &mut found);
    found
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
