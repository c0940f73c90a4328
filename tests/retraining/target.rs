//! One server that stands for all systems that start training, as strict as their published schemas:
//! Airflow 2 and 3, Argo Workflows, Kubernetes, Kubeflow Pipelines, a receiver of signed messages. It
//! can be told to fail, also after it has made a run.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use driftd::hook::trainer::Order;
use driftd::signature;
use serde_json::{Value, json};

/// The receiver's signing secret.
pub const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The token that all systems but Airflow take.
pub const TOKEN: &str = "service-account-token";
/// Longer than the hooks' timeout in these tests.
pub const HANG: Duration = Duration::from_millis(400);

/// What a request of one task asks a system for.
pub fn order(id: &str) -> Order {
    Order {
        request_id: id.into(),
        model: "support".into(),
        version: "12".into(),
        tasks: vec!["intent".into()],
        summary: "the input changed; it reaches `intent`".into(),
        body: json!({"request_id": id, "scope": {"tasks": [{"name": "intent"}]}, "callback": {"token": "drc_x"}}),
        attempts: 0,
    }
}

/// What goes wrong with one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// 500, and nothing was done.
    Before,
    /// 500 although it was done.
    After,
    /// Done, but the answer does not come in time.
    HangAfter,
    /// 401.
    Refused,
}

/// A run that was made.
#[derive(Clone, Debug)]
pub struct Run {
    pub system: &'static str,
    /// What it was told.
    pub order: Value,
}

#[derive(Default)]
pub struct World {
    /// Every run that was ever made, by request.
    pub runs: BTreeMap<String, Vec<Run>>,
    /// Names that are taken, by system.
    names: BTreeMap<(String, String), String>,
    /// What goes wrong next.
    pub faults: VecDeque<Fault>,
    /// What was not as the schema wants it.
    pub offences: Vec<String>,
    pub exchanges: usize,
}

pub type Target = Arc<Mutex<World>>;

pub async fn serve() -> (String, Target) {
    let world = Target::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().route("/{*path}", axum::routing::any(answer)).with_state(world.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, world)
}

type Answered = Result<(StatusCode, Value), (StatusCode, Value)>;

async fn answer(
    State(world): State<Target>,
    method: Method,
    Path(path): Path<String>,
    RawQuery(query): RawQuery,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (fault, answered) = {
        let mut world = world.lock().expect("not poisoned");
        world.exchanges += 1;
        let fault = world.faults.pop_front().unwrap_or(Fault::None);
        match fault {
            Fault::Before => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            Fault::Refused => return StatusCode::UNAUTHORIZED.into_response(),
            _ => {}
        }
        let body =
            if method == Method::GET { Value::Null } else { serde_json::from_slice(&body).unwrap_or(Value::Null) };
        let answered = world.exchange(&method, &path, query.as_deref().unwrap_or(""), &headers, &body, uri.path());
        (fault, answered)
    };
    match fault {
        Fault::After => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Fault::HangAfter => tokio::time::sleep(HANG).await,
        _ => {}
    }
    let (status, body) = answered.unwrap_or_else(|refused| refused);
    (status, axum::Json(body)).into_response()
}

impl World {
    fn offend<T>(&mut self, status: StatusCode, why: String) -> Result<T, (StatusCode, Value)> {
        let refused = Err((status, json!({"detail": &why})));
        self.offences.push(why);
        refused
    }

    fn only(&mut self, body: &Value, allowed: &[&str], required: &[&str]) -> Result<(), (StatusCode, Value)> {
        let Some(fields) = body.as_object() else {
            return self.offend(StatusCode::UNPROCESSABLE_ENTITY, format!("no object: {body}"));
        };
        if let Some(extra) = fields.keys().find(|k| !allowed.contains(&k.as_str())) {
            return self.offend(StatusCode::UNPROCESSABLE_ENTITY, format!("`{extra}` is not in the schema"));
        }
        if let Some(missing) = required.iter().find(|k| !fields.contains_key(**k)) {
            return self.offend(StatusCode::UNPROCESSABLE_ENTITY, format!("`{missing}` is required"));
        }
        Ok(())
    }

    fn bearer(&mut self, headers: &HeaderMap, token: &str) -> Result<(), (StatusCode, Value)> {
        match headers.get("authorization").and_then(|v| v.to_str().ok()) == Some(&format!("Bearer {token}")) {
            true => Ok(()),
            false => self.offend(StatusCode::UNAUTHORIZED, "who are you?".into()),
        }
    }

    /// A run under a name that is its own.
    fn named(&mut self, system: &'static str, name: &str, order: Value, body: Value, conflict: Value) -> Answered {
        let key = (system.to_owned(), name.to_owned());
        if self.names.contains_key(&key) {
            return Err((StatusCode::CONFLICT, conflict));
        }
        let request = order["request_id"].as_str().unwrap_or_default().to_owned();
        self.names.insert(key, request.clone());
        self.runs.entry(request).or_default().push(Run { system, order });
        Ok((StatusCode::OK, body))
    }

    fn exchange(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &Value,
        uri: &str,
    ) -> Answered {
        let parts: Vec<&str> = path.split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            ("POST", ["auth", "token"]) => {
                self.only(body, &["username", "password"], &["username", "password"])?;
                match (body["username"].as_str(), body["password"].as_str()) {
                    (Some("admin"), Some("pw")) => Ok((StatusCode::CREATED, json!({"access_token": "jwt"}))),
                    _ => Err((StatusCode::UNAUTHORIZED, json!({"detail": "Invalid credentials"}))),
                }
            }
            ("POST", ["api", "v2", "dags", "retrain", "dagRuns"]) => {
                self.bearer(headers, "jwt")?;
                const KEYS: [&str; 8] = [
                    "dag_run_id",
                    "data_interval_start",
                    "data_interval_end",
                    "logical_date",
                    "run_after",
                    "conf",
                    "note",
                    "partition_key",
                ];
                self.only(body, &KEYS, &["logical_date"])?;
                if !body["logical_date"].is_null() {
                    return self.offend(StatusCode::UNPROCESSABLE_ENTITY, "an interval".into());
                }
                let id = body["dag_run_id"].as_str().unwrap_or_default().to_owned();
                let run = json!({"dag_run_id": id, "dag_id": "retrain", "state": "queued"});
                self.named(
                    "airflow_3",
                    &id,
                    body["conf"].clone(),
                    run,
                    json!({"detail": {"reason": "Unique constraint violation"}}),
                )
            }
            ("POST", ["api", "v1", "dags", "retrain", "dagRuns"]) => {
                // admin:pw
                if headers.get("authorization").and_then(|v| v.to_str().ok()) != Some("Basic YWRtaW46cHc=") {
                    return self.offend(StatusCode::UNAUTHORIZED, "who are you?".into());
                }
                self.only(body, &["dag_run_id", "logical_date", "conf", "note"], &[])?;
                if body.get("logical_date").is_some() {
                    return self.offend(StatusCode::BAD_REQUEST, "no `logical_date` for Airflow 2".into());
                }
                let id = body["dag_run_id"].as_str().unwrap_or_default().to_owned();
                self.named(
                    "airflow_2",
                    &id,
                    body["conf"].clone(),
                    json!({"dag_run_id": id}),
                    json!({"title": "Conflict"}),
                )
            }
            ("POST", ["api", "v1", "workflows", "ml", "submit"]) => {
                self.bearer(headers, TOKEN)?;
                self.only(
                    body,
                    &["namespace", "resourceKind", "resourceName", "submitOptions"],
                    &["resourceKind", "resourceName"],
                )?;
                let options = body["submitOptions"].clone();
                self.only(
                    &options,
                    &["name", "labels", "parameters", "generateName", "annotations", "serviceAccount"],
                    &[],
                )?;
                let name = self.dns(&options["name"])?;
                let payload = options["parameters"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let payload = payload.filter_map(|p| p.strip_prefix("payload=")).next().unwrap_or_default();
                let order = serde_json::from_str(payload).unwrap_or(Value::Null);
                let conflict =
                    json!({"code": 6, "message": format!("workflows.argoproj.io \"{name}\" already exists")});
                self.named("argo", &name, order, json!({"metadata": {"name": name}}), conflict)
            }
            ("GET", ["apis", "batch", "v1", "namespaces", "ml", "cronjobs", "retrain"]) => {
                self.bearer(headers, TOKEN)?;
                Ok((
                    StatusCode::OK,
                    json!({"kind": "CronJob", "metadata": {"name": "retrain", "uid": "u-1"}, "spec": {
                    "suspend": true, "schedule": "@yearly", "jobTemplate": {"spec": {"template": {"spec": {
                    "restartPolicy": "Never", "containers": [{"name": "train", "image": "train:1"}]}}}}}}),
                ))
            }
            ("POST", ["apis", "batch", "v1", "namespaces", "ml", "jobs"]) => {
                self.bearer(headers, TOKEN)?;
                self.only(
                    body,
                    &["apiVersion", "kind", "metadata", "spec"],
                    &["apiVersion", "kind", "metadata", "spec"],
                )?;
                let name = self.dns(&body["metadata"]["name"])?;
                let variables = &body["spec"]["template"]["spec"]["containers"][0]["env"];
                let order =
                    variables[0]["value"].as_str().and_then(|v| serde_json::from_str(v).ok()).unwrap_or(Value::Null);
                let conflict = json!({"kind": "Status", "status": "Failure", "reason": "AlreadyExists", "code": 409});
                self.named("kubernetes", &name, order, body.clone(), conflict)
            }
            ("GET", ["apis", "v2beta1", "runs"]) => {
                self.bearer(headers, TOKEN)?;
                let filter = url_decoded(query, "filter");
                let wanted = serde_json::from_str::<Value>(&filter).unwrap_or(Value::Null)["predicates"][0].clone();
                if wanted["operation"] != "EQUALS" || wanted["key"] != "display_name" {
                    return self.offend(StatusCode::BAD_REQUEST, format!("filter: {filter}"));
                }
                let runs: Vec<Value> = self
                    .runs
                    .values()
                    .flatten()
                    .filter(|r| r.system == "kubeflow")
                    .map(|r| format!("driftd {}", r.order["request_id"].as_str().unwrap_or_default()))
                    .filter(|name| wanted["string_value"] == name.as_str())
                    .map(|name| json!({"run_id": "r-1", "display_name": name}))
                    .collect();
                Ok((StatusCode::OK, if runs.is_empty() { json!({}) } else { json!({"runs": runs}) }))
            }
            ("POST", ["apis", "v2beta1", "runs"]) => {
                self.bearer(headers, TOKEN)?;
                const KEYS: [&str; 6] = [
                    "display_name",
                    "description",
                    "experiment_id",
                    "pipeline_version_reference",
                    "runtime_config",
                    "service_account",
                ];
                self.only(body, &KEYS, &["display_name", "pipeline_version_reference"])?;
                let payload = body["runtime_config"]["parameters"]["payload"].as_str().unwrap_or_default();
                let order: Value = serde_json::from_str(payload).unwrap_or(Value::Null);
                let request = order["request_id"].as_str().unwrap_or_default().to_owned();
                // It takes every run, also one of the same name.
                self.runs.entry(request).or_default().push(Run { system: "kubeflow", order });
                Ok((StatusCode::OK, json!({"run_id": "r-1", "display_name": body["display_name"]})))
            }
            ("POST", ["hook"]) => {
                let header =
                    |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
                let (id, secs) = (header("webhook-id"), header("webhook-timestamp").parse().unwrap_or(0));
                let key = signature::key(SECRET).expect("a key");
                if signature::sign(&key, &id, secs, &body.to_string()) != header("webhook-signature") {
                    return self.offend(StatusCode::UNAUTHORIZED, "not signed".into());
                }
                // A receiver as the specification wants it: what it has taken, it takes and does not do again.
                let order = body["data"].clone();
                let _ = self.named("webhook", &id, order, Value::Null, Value::Null);
                Ok((StatusCode::ACCEPTED, json!({})))
            }
            _ => self.offend(StatusCode::NOT_FOUND, format!("{method} {uri}")),
        }
    }

    fn dns(&mut self, name: &Value) -> Result<String, (StatusCode, Value)> {
        let text = name.as_str().unwrap_or_default();
        let fits = !text.is_empty()
            && text.len() <= 63
            && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        match fits {
            true => Ok(text.to_owned()),
            false => self.offend(StatusCode::UNPROCESSABLE_ENTITY, format!("`{text}` is no DNS name")),
        }
    }
}

fn url_decoded(query: &str, key: &str) -> String {
    let url = format!("http://x/?{query}");
    let url = reqwest::Url::parse(&url).expect("a URL");
    url.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v.into_owned()).unwrap_or_default()
}
