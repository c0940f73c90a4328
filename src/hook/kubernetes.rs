//! A Job made from the template of a CronJob that is suspended and belongs to the operator, as
//! `kubectl create job --from=cronjob/NAME` makes it. We add the request as an environment variable,
//! labels and the owner; the Job's name follows from the request, so that a second one is refused (409).
//!
//! A Role for it: `batch/cronjobs` get (this name), `batch/jobs` create.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::site::{Site, dns_name, json as json_of, label};
use super::trainer::{Order, Start, Trainer};
use crate::drift::time::Timestamp;

/// The variable that holds the request.
const VARIABLE: &str = "DRIFTD_REQUEST";
/// Larger requests do not go into a variable: the whole environment of a process has a limit, and so
/// has an object in etcd.
const MOST_REQUEST: usize = 32 << 10;

/// A suspended CronJob.
pub struct KubernetesJob {
    /// The API server.
    pub site: Site,
    /// Namespace of the CronJob and of its Jobs.
    pub namespace: String,
    /// The CronJob's name.
    pub cron_job: String,
}

impl KubernetesJob {
    fn job(&self, order: &Order, cron_job: &Value) -> Value {
        let template = &cron_job["spec"]["jobTemplate"];
        let mut labels = object(&template["metadata"]["labels"]);
        labels.insert("driftd.io/request".to_owned(), json!(label(&order.request_id)));
        labels.insert("driftd.io/model".to_owned(), json!(label(&order.model)));
        let mut annotations = object(&template["metadata"]["annotations"]);
        annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), json!("manual"));
        let mut spec = template["spec"].clone();
        let request = json!({"name": VARIABLE, "value": order.body.to_string()});
        let containers = spec.pointer_mut("/template/spec/containers").and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let mut variables = container["env"].as_array().cloned().unwrap_or_default();
            variables.retain(|v| v["name"] != VARIABLE);
            variables.push(request.clone());
            container["env"] = Value::Array(variables);
        }
        json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": dns_name(order),
                "namespace": self.namespace,
                "labels": labels,
                "annotations": annotations,
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "CronJob", "name": self.cron_job,
                    "uid": cron_job["metadata"]["uid"],
                }],
            },
            "spec": spec,
        })
    }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

#[async_trait]
impl Trainer for KubernetesJob {
    async fn start(&self, order: &Order, _: Timestamp) -> Start {
        let batch = ["apis", "batch", "v1", "namespaces", self.namespace.as_str()];
        let size = order.body.to_string().len();
        if size > MOST_REQUEST {
            let detail = format!("the request has {size} bytes, a variable takes {MOST_REQUEST}; use another hook");
            return Start::Retry { status: None, after: None, reason: "too_large", detail };
        }
        let url = self.site.at(&[&batch[..], &["cronjobs", &self.cron_job]].concat());
        let cron_job = match self.site.get(url).await {
            Ok(answer) if answer.is_success() => json_of(&answer),
            Ok(answer) => return Start::unexpected(&answer),
            Err(failure) => return failure.into(),
        };
        if !cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"].is_array() {
            let detail = format!("the answer is not the CronJob `{}`, or larger than 64 KiB", self.cron_job);
            return Start::Retry { status: None, after: None, reason: "unexpected_answer", detail };
        }
        let url = self.site.at(&[&batch[..], &["jobs"]].concat());
        match self.site.post(url, &self.job(order, &cron_job), order).await {
            Ok(answer) if answer.is_success() => Start::new_run(&answer, None),
            Ok(answer) if answer.status == 409 && json_of(&answer)["reason"] == "AlreadyExists" => {
                Start::existed(&answer, None)
            }
            Ok(answer) => Start::unexpected(&answer),
            Err(failure) => failure.into(),
        }
    }

    fn preview(&self, order: &Order) -> String {
        let path = ["apis", "batch", "v1", "namespaces", self.namespace.as_str(), "jobs"];
        let from = json!({"spec": {"jobTemplate": {"spec": format!("of the CronJob `{}`", self.cron_job)}}});
        self.site.preview(&path, order, |order| self.job(order, &from))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::hook::site::Auth;

    #[test]
    fn the_template_stays_what_it_is_but_for_what_is_added() {
        let url = secrecy::SecretString::from("https://kubernetes.default.svc".to_owned());
        let site = Site::new(&url, Auth::None, None, Duration::from_secs(1)).expect("a site");
        let hook = KubernetesJob { site, namespace: "ml".into(), cron_job: "retrain".into() };
        let order = Order {
            request_id: "rt_1".into(),
            model: "m".into(),
            version: "12".into(),
            tasks: vec![],
            summary: String::new(),
            body: json!({"request_id": "rt_1", "evil": "\"},{\"name\":\"X\"}"}),
            attempts: 0,
        };
        let cron_job = json!({"metadata": {"uid": "u1"}, "spec": {"jobTemplate": {
            "metadata": {"labels": {"app": "retrain"}},
            "spec": {"backoffLimit": 2, "template": {"spec": {"restartPolicy": "Never", "containers": [
                {"name": "a", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": VARIABLE, "value": "old"}]},
                {"name": "b", "image": "j"},
            ]}}},
        }}});
        let job = hook.job(&order, &cron_job);
        assert_eq!(job["metadata"]["name"], "driftd-rt-1");
        assert_eq!(
            job["metadata"]["labels"],
            json!({"app": "retrain", "driftd.io/request": "rt_1", "driftd.io/model": "m"})
        );
        assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "u1");
        assert_eq!(job["spec"]["backoffLimit"], 2);
        let containers = &job["spec"]["template"]["spec"]["containers"];
        let variable = json!({"name": VARIABLE, "value": order.body.to_string()});
        assert_eq!(containers[0]["env"], json!([{"name": "A", "value": "1"}, variable]));
        assert_eq!(containers[1]["env"], json!([variable]));
    }
}
