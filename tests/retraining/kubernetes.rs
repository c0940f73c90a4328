//! The same against a real Kubernetes API server, where there is one, with the Role that the documentation
//! gives and no more. It is ignored by default, so that its not running is seen:
//! `scripts/with-kubernetes.sh -- cargo test --test retraining -- --ignored real_kubernetes`.

use std::time::Duration;

use driftd::drift::time::Timestamp;
use driftd::hook::kubernetes::KubernetesJob;
use driftd::hook::site::{Auth, Site};
use driftd::hook::trainer::{Start, Trainer as _};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::secret;

const CORE: &str = "api/v1/namespaces";
const BATCH: &str = "apis/batch/v1/namespaces/ml";
const RBAC: &str = "apis/rbac.authorization.k8s.io/v1/namespaces/ml";

/// The API server as its administrator sees it.
struct Cluster {
    url: String,
    authority: Vec<u8>,
    token: String,
    client: reqwest::Client,
}

impl Cluster {
    fn of_the_environment() -> Cluster {
        let from =
            |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("scripts/with-kubernetes.sh sets {name}"));
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authority = std::fs::read(from("DRIFTD_TEST_KUBERNETES_CA")).expect("readable");
        let certificate = reqwest::Certificate::from_pem(&authority).expect("a certificate");
        let client = reqwest::Client::builder().tls_certs_only([certificate]).build().expect("a client");
        let (url, token) = (from("DRIFTD_TEST_KUBERNETES"), from("DRIFTD_TEST_KUBERNETES_TOKEN"));
        Cluster { url, authority, token, client }
    }

    async fn get(&self, path: &str) -> Value {
        let asked = self.client.get(format!("{}/{path}", self.url)).bearer_auth(&self.token);
        asked.send().await.expect("an answer").json().await.expect("JSON")
    }

    async fn create(&self, path: &str, object: &Value) -> Value {
        let asked = self.client.post(format!("{}/{path}", self.url)).bearer_auth(&self.token).json(object);
        let answer = asked.send().await.expect("an answer");
        let status = answer.status();
        let told: Value = answer.json().await.expect("JSON");
        assert_eq!(status, StatusCode::CREATED, "{path}: {told:#}");
        told
    }

    /// A service account of the namespace, and a token of it as a pod is given one.
    async fn account(&self, name: &str) -> String {
        self.create(&format!("{CORE}/ml/serviceaccounts"), &json!({"metadata": {"name": name}})).await;
        let ask = json!({"spec": {"expirationSeconds": 3600, "audiences": []}});
        let told = self.create(&format!("{CORE}/ml/serviceaccounts/{name}/token"), &ask).await;
        told["status"]["token"].as_str().expect("a token").to_owned()
    }

    fn hook(&self, token: &str, cron_job: &str) -> KubernetesJob {
        let authority = Some(self.authority.clone());
        let site = Site::new(&secret(&self.url), Auth::Token(secret(token)), authority, Duration::from_secs(30));
        KubernetesJob { site: site.expect("a site"), namespace: "ml".into(), cron_job: cron_job.into() }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real Kubernetes API server: scripts/with-kubernetes.sh"]
async fn real_kubernetes_makes_one_job_of_a_request() {
    let cluster = Cluster::of_the_environment();
    cluster.create(CORE, &json!({"metadata": {"name": "ml"}})).await;
    let container = json!({"name": "train", "image": "train:1", "env": [{"name": "EPOCHS", "value": "3"}]});
    let template = json!({
        "metadata": {"labels": {"team": "nlp"}},
        "spec": {"backoffLimit": 1, "template": {"spec": {"containers": [container], "restartPolicy": "Never"}}},
    });
    let cron_job = json!({
        "metadata": {"name": "retrain-support"},
        "spec": {"schedule": "0 0 1 1 *", "suspend": true, "jobTemplate": template},
    });
    let cron_job = cluster.create(&format!("{BATCH}/cronjobs"), &cron_job).await;
    // As docs/retraining.md gives it.
    let rules = json!([
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "resourceNames": ["retrain-support"], "verbs": ["get"]},
        {"apiGroups": ["batch"], "resources": ["jobs"], "verbs": ["create"]},
    ]);
    cluster.create(&format!("{RBAC}/roles"), &json!({"metadata": {"name": "driftd"}, "rules": rules})).await;
    let token = cluster.account("driftd").await;
    let binding = json!({
        "metadata": {"name": "driftd"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "driftd"},
        "subjects": [{"kind": "ServiceAccount", "name": "driftd", "namespace": "ml"}],
    });
    cluster.create(&format!("{RBAC}/rolebindings"), &binding).await;

    let id = "rt_0123456789abcdef";
    let order = crate::target::order(id);
    let now = Timestamp::from_micros(0);
    let hook = cluster.hook(&token, "retrain-support");
    let first = hook.start(&order, now).await;
    assert!(matches!(first, Start::Started { existed: false, .. }), "{first:?}");
    for _ in 0..3 {
        let again = hook.start(&order, now).await;
        assert!(matches!(again, Start::Started { status: 409, existed: true, .. }), "{again:?}");
    }

    let jobs = cluster.get(&format!("{BATCH}/jobs")).await;
    let jobs = jobs["items"].as_array().expect("a list");
    assert_eq!(jobs.len(), 1, "{jobs:#?}");
    let (meta, spec) = (&jobs[0]["metadata"], &jobs[0]["spec"]);
    assert_eq!((&meta["labels"]["team"], &meta["labels"]["driftd.io/request"]), (&json!("nlp"), &json!(id)));
    assert_eq!(meta["ownerReferences"][0]["uid"], cron_job["metadata"]["uid"]);
    assert_eq!(spec["backoffLimit"], 1, "the template's own");
    let variables = spec["template"]["spec"]["containers"][0]["env"].as_array().expect("variables");
    assert_eq!(variables[0], json!({"name": "EPOCHS", "value": "3"}));
    let request: Value = serde_json::from_str(variables[1]["value"].as_str().expect("text")).expect("JSON");
    assert_eq!((variables.len(), &variables[1]["name"], &request), (2, &json!("DRIFTD_REQUEST"), &order.body));

    // What the Role does not allow, who nobody knows, and who may do nothing.
    let refused = |start: Start, status: u16| {
        assert!(
            matches!(&start, Start::Retry { status: Some(s), reason: "auth_error", .. } if *s == status),
            "{start:?}"
        );
    };
    refused(cluster.hook(&token, "another").start(&order, now).await, 403);
    refused(cluster.hook("nobody's", "retrain-support").start(&order, now).await, 401);
    let stranger = cluster.account("stranger").await;
    refused(cluster.hook(&stranger, "retrain-support").start(&order, now).await, 403);
    let missing = cluster.hook(&cluster.token, "another").start(&order, now).await;
    assert!(matches!(missing, Start::Retry { status: Some(404), reason: "not_found", .. }), "{missing:?}");
}
