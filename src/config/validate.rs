//! From what the file says to what is valid. Every problem is gathered; nothing stops at the first.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};
use tracing_subscriber::EnvFilter;

use super::raw::{RawConfig, RawInfer, RawKafka, RawModel, Secret, SecretRef};
use super::{Batching, Collect, Config, Endpoint, Infer, Kafka, Model, Retention, StoreUrl};
use crate::document::{Document, Problem, Problems};
use crate::drift::course::Watch;
use crate::drift::detector::Sensitivity;
use crate::drift::retraining::Policy;
use crate::drift::time::Span;

/// librdkafka properties that exactly-once accounting rests on.
const OWNED_PROPERTIES: [&str; 8] = [
    "bootstrap.servers",
    "group.id",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "auto.offset.reset",
    "isolation.level",
    "enable.partition.eof",
    "partition.assignment.strategy",
];

/// Fewer than a hundred windows to one false alarm is not a budget but noise.
const LEAST_THRESHOLD: f64 = 10.0;

/// Tables of predictions have one a day.
const LEAST_KEPT: Span = Span::from_secs(86_400);

/// False alarms allowed: so many in so long, or one in so many windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Budget {
    /// `1/30d`: alarms per span of event time.
    PerTime(f64, Span),
    /// One false alarm in this many windows.
    Windows(f64),
}

impl Budget {
    /// Parses `1/30d`.
    pub fn parse(text: &str) -> Option<Budget> {
        let (alarms, span) = text.split_once('/')?;
        let alarms: f64 = alarms.trim().parse().ok()?;
        let span = Span::parse(span)?;
        (alarms > 0.0 && alarms.is_finite() && span.micros() > 0).then_some(Budget::PerTime(alarms, span))
    }

    /// Windows to one false alarm: the threshold A.
    pub fn threshold(self, window: Span) -> f64 {
        match self {
            Budget::PerTime(alarms, span) => span.micros() as f64 / window.micros().max(1) as f64 / alarms,
            Budget::Windows(windows) => windows,
        }
    }
}

/// How a model is watched, from the numbers a person chose.
///
/// # Errors
/// A sentence, if the budget leaves too few windows to a false alarm.
pub fn watch(
    threshold: f64,
    sensitivity: Sensitivity,
    resolve_after: u32,
    retraining: Policy,
) -> Result<Watch, String> {
    if threshold < LEAST_THRESHOLD || !threshold.is_finite() {
        return Err(format!(
            "the budget allows one false alarm in {threshold:.1} windows; at least {LEAST_THRESHOLD} are needed: \
             take a smaller budget or shorter windows"
        ));
    }
    Ok(Watch { threshold, sensitivity, resolve_after, retraining })
}

/// Checks a document's content; `env` looks up environment variables.
pub(super) fn validate(
    document: &Document<RawConfig>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Problems> {
    let mut checker = Checker { document, env, problems: Vec::new(), secrets: BTreeMap::new() };
    let raw = &document.content;
    let kafka = raw.kafka.as_ref().and_then(|kafka| checker.kafka(kafka));
    let store = checker.secret("/store/url", &raw.store.url).and_then(|url| checker.store_url(url));
    if raw.models.is_empty() {
        checker.fail("/models", "no model to watch: name at least one manifest");
    }
    let models: Vec<Option<Model>> = raw.models.iter().enumerate().map(|(i, m)| checker.model(i, m)).collect();
    let retention = checker.retention();
    let collect = checker.collect();
    let endpoints: Vec<Option<Endpoint>> =
        raw.endpoints.iter().enumerate().map(|(i, e)| checker.endpoint(i, e)).collect();
    let desk = checker.desk();
    let routes: Vec<_> = raw.routes.iter().enumerate().map(|(i, r)| checker.route(i, r)).collect();
    let maintenance: Vec<_> = raw.maintenance.iter().enumerate().map(|(i, m)| checker.maintenance(i, m)).collect();
    let backfill_after = match &raw.backfill_after {
        Some(text) => checker.positive("/backfill_after", text).map(Some),
        None => Some(None),
    };
    let api = checker.listen("/api/listen", &raw.api.listen);
    let ops = checker.listen("/ops/listen", &raw.ops.listen);
    let api_auth = api.and_then(|listen| {
        raw.api.auth(listen, document.directory()).map_err(|(path, message)| checker.fail(path, message)).ok()
    });
    let api_limit = raw.api.limit().map_err(|(path, message)| checker.fail(path, message)).ok();
    if raw.public_url.as_ref().is_some_and(|u| !u.starts_with("http://") && !u.starts_with("https://")) {
        checker.fail("/public_url", "must begin with `https://` or `http://`");
    }
    if raw.traces.collector.as_ref().is_some_and(|c| !c.starts_with("http://") && !c.starts_with("https://")) {
        checker.fail("/traces/collector", "must begin with `https://` or `http://`");
    }
    if raw.api.listen == raw.ops.listen && api.is_some_and(|a| a.port() != 0) {
        checker.fail("/ops/listen", "the same address as api.listen: probes and metrics need their own");
    }
    if let Some(Err(error)) = raw.log_levels.as_ref().map(EnvFilter::try_new) {
        checker.fail("/log_levels", format!("{error}: expected levels such as `info,driftd::judge=debug`"));
    }
    let config = (|| {
        Some(Config {
            log: raw.log,
            log_levels: raw.log_levels.clone(),
            kafka,
            store: store?,
            retention: retention?,
            onnxruntime: raw.onnxruntime.as_ref().map(|p| document.directory().join(p)),
            models: models.into_iter().collect::<Option<_>>()?,
            collect: collect?,
            endpoints: endpoints.into_iter().collect::<Option<_>>()?,
            retraining: desk?,
            routes: routes.into_iter().collect::<Option<_>>()?,
            maintenance: maintenance.into_iter().collect::<Option<_>>()?,
            backfill_after: backfill_after?,
            public_url: raw.public_url.clone(),
            api: api?,
            api_auth: api_auth?,
            api_limit: api_limit?,
            ops: ops?,
            trace_collector: raw.traces.collector.clone(),
            written: raw.clone(),
            secrets: std::mem::take(&mut checker.secrets),
        })
    })();
    match config {
        Some(config) if checker.problems.is_empty() => Ok(config),
        _ => {
            checker.problems.sort_by_key(|p| p.line);
            Err(Problems { file: document.file.clone(), problems: checker.problems })
        }
    }
}

pub(super) struct Checker<'a> {
    pub(super) document: &'a Document<RawConfig>,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
    secrets: BTreeMap<String, [u8; 32]>,
}

impl Checker<'_> {
    pub(super) fn fail(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(self.document.problem(path, message));
    }

    fn kafka(&mut self, raw: &RawKafka) -> Option<Kafka> {
        let distinct: BTreeSet<&String> = raw.topics.iter().collect();
        if raw.topics.is_empty() {
            self.fail("/kafka/topics", "no topic to read");
        } else if distinct.len() < raw.topics.len() {
            self.fail("/kafka/topics", "a topic is named twice");
        }
        if raw.topics.contains(&raw.dead_letter_topic) {
            self.fail("/kafka/dead_letter_topic", "also an input: refused records would be read again for ever");
        }
        let mut properties = BTreeMap::new();
        for (name, value) in &raw.properties {
            let path = format!("/kafka/properties/{name}");
            if OWNED_PROPERTIES.contains(&name.as_str()) {
                self.fail(&path, format!("`{name}` is set by driftd: exactly-once accounting rests on it"));
            } else if let Some(value) = self.secret(&path, value) {
                properties.insert(name.clone(), value);
            }
        }
        Some(Kafka {
            brokers: raw.brokers.clone(),
            group: raw.group.clone(),
            topics: raw.topics.clone(),
            start: raw.start,
            dead_letter_topic: raw.dead_letter_topic.clone(),
            decoders: raw.decoders,
            properties,
        })
    }

    fn store_url(&mut self, url: String) -> Option<StoreUrl> {
        if ["postgres://", "postgresql://", "sqlite:"].iter().any(|scheme| url.starts_with(scheme)) {
            return Some(StoreUrl(SecretString::from(url)));
        }
        self.fail("/store/url", "the URL must begin with `postgres://` or `sqlite:`");
        None
    }

    fn model(&mut self, i: usize, raw: &RawModel) -> Option<Model> {
        let at = |key: &str| format!("/models/{i}/{key}");
        let window = self.positive(&at("window/length"), &raw.window.length);
        let grace = self.span(&at("window/grace"), &raw.window.grace);
        let late_limit = self.span(&at("window/late_limit"), &raw.window.late_limit);
        let retraining = self.retraining(i, &raw.retraining);
        let configured = self.document.directory().join(&raw.manifest);
        let mlflow = match &raw.mlflow {
            Some(mlflow) => Some(self.mlflow(i, mlflow, configured.clone())?),
            None => None,
        };
        let open_for =
            window.zip(grace).map(|(length, grace)| Span::from_micros(length.micros().saturating_add(grace.micros())));
        let shadow = raw.shadow.as_ref().map_or(Some(None), |shadow| self.shadow(i, shadow).map(Some));
        let examples =
            raw.examples.as_ref().map_or(Some(None), |examples| self.examples(i, examples, open_for).map(Some));
        let max_wait = self.span(&at("batching/max_wait"), &raw.batching.max_wait);
        let label_wait = self.span(&at("labels/wait"), &raw.labels.wait);
        let budget = Budget::parse(&raw.budget);
        if budget.is_none() {
            self.fail(&at("budget"), format!("found `{}`, expected alarms per time, such as `1/30d`", raw.budget));
        }
        let infer = match raw.infer {
            RawInfer::Missing => Infer::Missing,
            RawInfer::Always => Infer::Always,
            RawInfer::Never => Infer::Never,
            RawInfer::Sample(rate) => {
                if !(0.0..=1.0).contains(&rate) {
                    self.fail(&at("infer/sample"), format!("found `{rate}`, expected a share between 0 and 1"));
                }
                Infer::Sample(rate)
            }
        };
        for (key, share) in [("skew_sample", raw.skew_sample), ("labels/sample", raw.labels.sample)] {
            if !(0.0..=1.0).contains(&share) {
                self.fail(&at(key), format!("found `{share}`, expected a share between 0 and 1"));
            }
        }
        if raw.skew_limit == Some(0) {
            self.fail(&at("skew_limit"), "found `0`: `skew_sample: 0` compares nothing".to_owned());
        }
        let (window, (policy, plan)) = (window?, retraining?);
        let sensitivity = Sensitivity { min_records: raw.window.min_records, margin: raw.margin };
        let watch = watch(budget?.threshold(window), sensitivity, raw.resolve_after, policy);
        if let Err(message) = &watch {
            self.fail(&at("budget"), message.clone());
        }
        Some(Model {
            manifest: configured,
            reference: raw.reference.as_ref().map(|file| self.document.directory().join(file)),
            mlflow,
            device: raw.device,
            heads: raw.heads,
            infer,
            skew_sample: raw.skew_sample,
            skew_limit: raw.skew_limit,
            window,
            grace: grace?,
            late_limit: late_limit?,
            watch: watch.ok()?,
            plan,
            budget: raw.budget.clone(),
            batching: Batching {
                max_batch: raw.batching.max_batch,
                max_wait: max_wait?.to_std(),
                threads: raw.batching.threads,
            },
            label_sample: raw.labels.sample,
            label_wait: label_wait?,
            shadow: shadow?,
            examples: examples?,
        })
    }

    fn retention(&mut self) -> Option<Retention> {
        let raw = self.document.content.store.retention.clone();
        let statistics = self.positive("/store/retention/statistics", &raw.statistics);
        let windows = self.positive("/store/retention/windows", &raw.windows);
        let rollups = self.positive("/store/retention/rollups", &raw.rollups);
        let deliveries = self.positive("/store/retention/deliveries", &raw.deliveries);
        let audit = self.positive("/store/retention/audit", &raw.audit);
        let predictions = self.positive("/store/retention/predictions", &raw.predictions);
        let kept = Retention {
            statistics: statistics?,
            windows: windows?,
            rollups: rollups?,
            deliveries: deliveries?,
            audit: audit?,
            predictions: predictions?,
        };
        if kept.predictions < LEAST_KEPT {
            self.fail(
                "/store/retention/predictions",
                "must be at least `1d`: predictions are kept and dropped by the day",
            );
        }
        if kept.windows < kept.statistics {
            self.fail("/store/retention/windows", "must be at least as long as store.retention.statistics");
        }
        Some(kept)
    }

    fn collect(&mut self) -> Option<Collect> {
        let raw = self.document.content.collect.clone();
        let flush_every = self.positive("/collect/flush_every", &raw.flush_every);
        let max_future = self.span("/collect/max_future", &raw.max_future);
        let idle_after = self.positive("/collect/idle_after", &raw.idle_after);
        let (flush_every, idle_after) = (flush_every?, idle_after?);
        if idle_after <= flush_every {
            self.fail("/collect/idle_after", "must be longer than collect.flush_every, or every partition looks idle");
        }
        Some(Collect {
            flush_every: flush_every.to_std(),
            flush_records: raw.flush_records,
            max_record_bytes: raw.max_record_bytes,
            max_future: max_future?,
            idle_after,
            max_open_windows: raw.max_open_windows,
        })
    }

    pub(super) fn secret(&mut self, path: &str, secret: &Secret) -> Option<String> {
        let value = self.resolve(path, secret)?;
        self.secrets.insert(path.to_owned(), Sha256::digest(&value).into());
        Some(value)
    }

    fn resolve(&mut self, path: &str, secret: &Secret) -> Option<String> {
        match secret {
            Secret::Plain(value) => Some(value.clone()),
            Secret::Elsewhere(SecretRef::Env(name)) => {
                let value = (self.env)(name);
                if value.is_none() {
                    self.fail(path, format!("the environment variable `{name}` is not set"));
                }
                value
            }
            Secret::Elsewhere(SecretRef::File(file)) => {
                let file: PathBuf = self.document.directory().join(file);
                match std::fs::read_to_string(&file) {
                    Ok(value) => Some(value.trim_end_matches(['\n', '\r']).to_owned()),
                    Err(error) => {
                        self.fail(path, format!("`{}` cannot be read: {error}", file.display()));
                        None
                    }
                }
            }
        }
    }

    pub(super) fn span(&mut self, path: &str, text: &str) -> Option<Span> {
        let span = Span::parse(text);
        if span.is_none() {
            self.fail(
                path,
                format!("found `{text}`, expected a number with a unit, such as `30s`, `5m`, `1h` or `30d`"),
            );
        }
        span
    }

    pub(super) fn positive(&mut self, path: &str, text: &str) -> Option<Span> {
        let span = self.span(path, text)?;
        if span.micros() == 0 {
            self.fail(path, "must be longer than zero");
            return None;
        }
        Some(span)
    }

    fn listen(&mut self, path: &str, text: &str) -> Option<SocketAddr> {
        let address = text.parse();
        if address.is_err() {
            self.fail(path, format!("found `{text}`, expected an address and port, such as `127.0.0.1:8080`"));
        }
        address.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::access::Auth;
    use crate::document::parse;
    use std::path::Path;

    const GOOD: &str = "
kafka: {brokers: 'localhost:9092', topics: [predictions], start: earliest}
store: {url: 'sqlite:driftd.db'}
models:
  - {manifest: m.yaml, reference: ref.bin}
";

    fn check(text: &str) -> Result<Config, Problems> {
        let env =
            |name: &str| (name == "WEBHOOK").then(|| "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned());
        parse(Path::new("/etc/driftd/driftd.yaml"), text).and_then(|document| validate(&document, &env))
    }

    #[test]
    fn defaults_fill_a_short_file() {
        let config = check(GOOD).expect("valid");
        assert_eq!(config.models[0].watch.threshold, 8_640.0, "one false alarm in 30 days of 5 minutes");
        assert_eq!(config.models[0].manifest, Path::new("/etc/driftd/m.yaml"));
        assert_eq!(config.kafka.expect("has kafka").group, "driftd");
    }

    #[test]
    fn threads_that_decode_are_a_few() {
        for (decoders, right) in [("0", false), ("1", true), ("16", true), ("17", false)] {
            let text = GOOD.replace("start: ", &format!("decoders: {decoders}, start: "));
            assert_ne!(text, GOOD);
            let paths = check(&text).map_err(|e| e.problems.into_iter().map(|p| p.path).collect::<Vec<_>>());
            let expected = if right { Ok(()) } else { Err(vec!["/kafka/decoders".to_owned()]) };
            assert_eq!(paths.map(|_| ()), expected, "{decoders}");
        }
    }

    #[test]
    fn relations_are_checked_and_all_told() {
        let text = "
kafka: {brokers: b, topics: [a, a, d], start: latest, dead_letter_topic: d, properties: {enable.auto.commit: 'true'}}
store: {url: 'mysql://x'}
models:
  - {manifest: m, reference: r, budget: 1/2w, window: {length: 1d, grace: soon}}
  - {manifest: m, reference: r, budget: often}
collect: {flush_every: 1m, idle_after: 1m}
endpoints:
  - {name: x, url: 'ftp://x', secret: {env: NOT_SET}}
  - {name: x, url: 'http://x', secret: {env: WEBHOOK}, timeout: 2m}
routes:
  - {match: {cause: [weather]}, to: [x, nobody], wait: 1h, repeat: 1s}
maintenance:
  - {name: n, from: noon, to: '04:00', time_zone: Mars/Olympus}
api: {listen: everywhere}
";
        let problems = check(text).expect_err("has problems").problems;
        let paths: BTreeSet<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        for path in [
            "/kafka/topics",
            "/kafka/dead_letter_topic",
            "/kafka/properties/enable.auto.commit",
            "/store/url",
            "/models/0/window/grace",
            "/models/1/budget",
            "/collect/idle_after",
            "/endpoints/0/url",
            "/endpoints/0/secret",
            "/endpoints/1/name",
            "/endpoints/1/timeout",
            "/routes/0/match/cause",
            "/routes/0/to",
            "/routes/0/wait",
            "/routes/0/repeat",
            "/maintenance/0/from",
            "/maintenance/0/time_zone",
            "/api/listen",
        ] {
            assert!(paths.contains(path), "no problem at {path} in {paths:?}");
        }
        assert!(problems.iter().all(|p| p.line > 0), "every problem has its line");
    }

    #[test]
    fn an_open_api_must_be_wanted() {
        let open = format!("{GOOD}api: {{listen: '0.0.0.0:8080'}}\n");
        assert_eq!(check(&open).expect_err("open").problems[0].path, "/api/listen");
        let wanted = format!("{GOOD}api: {{listen: '0.0.0.0:8080', allow_unauthenticated: true}}\n");
        assert_eq!(check(&wanted).expect("said so").api_auth, Auth::Open);
        let keys = |more: &str| check(&format!("{GOOD}api: {{listen: '0.0.0.0:8080', auth: keys{more}}}\n"));
        assert_eq!(keys("").expect("asked for keys").api_auth, Auth::Keys);
        let both = keys(", allow_unauthenticated: true").expect_err("contradicts itself");
        assert_eq!(both.problems[0].path, "/api/allow_unauthenticated");
        assert_eq!(check(GOOD).expect("valid").api_auth, Auth::Local);
        let oidc = |key_set: &str, grants: &str| {
            let oidc = format!("{{issuer: 'https://id', audience: driftd, key_set: '{key_set}', grants: {grants}}}");
            check(&format!("{GOOD}api: {{listen: '0.0.0.0:8080', auth: {{oidc: {oidc}}}}}\n"))
        };
        let grants = "[{value: sre, role: operator, scopes: ['retraining:approve']}]";
        for good in ["https://id/keys", "http://127.0.0.1:1/keys", "keys.json"] {
            assert!(matches!(oidc(good, grants).expect(good).api_auth, Auth::Oidc(_)), "{good}");
        }
        for bad in ["http://id/keys", "http://127.0.0.1.evil.example/keys", "file://keys"] {
            assert_eq!(oidc(bad, grants).expect_err(bad).problems[0].path, "/api/auth/oidc/key_set", "{bad}");
        }
        assert_eq!(oidc("k", "[]").expect_err("nothing").problems[0].path, "/api/auth/oidc/grants");
    }

    #[test]
    fn a_budget_of_noise_is_refused() {
        let text = GOOD.replace("reference: ref.bin", "reference: ref.bin, budget: 1/10m");
        let problems = check(&text).expect_err("one alarm in two windows").problems;
        assert!(problems[0].message.contains("at least 10"), "{}", problems[0].message);
    }
}
