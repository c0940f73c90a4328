//! Kubeflow Pipelines v2 (`/apis/v2beta1`). It takes neither a run's name nor a key, so its runs are
//! listed by display name before another one is made, at every try.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::http::Answer;
use super::site::{Site, json as json_of, parameters};
use super::trainer::{Order, Start, Trainer};
use crate::drift::time::Timestamp;

/// A call that was not answered may still be at work: for so long, the list may not show its run.
const SETTLES: Duration = Duration::from_secs(60);

/// A pipeline's version.
pub struct Kubeflow {
    /// Where its API is.
    pub site: Site,
    /// The pipeline.
    pub pipeline_id: String,
    /// Its version.
    pub pipeline_version_id: String,
    /// The experiment that its runs belong to.
    pub experiment_id: Option<String>,
    /// Whom its runs run as.
    pub service_account: Option<String>,
}

impl Kubeflow {
    fn body(&self, order: &Order) -> Value {
        let parameters: Map<String, Value> =
            parameters(order).into_iter().map(|(k, v)| (k.to_owned(), json!(v))).collect();
        let mut body = json!({
            "display_name": display_name(order),
            "description": order.summary,
            "pipeline_version_reference": {
                "pipeline_id": self.pipeline_id, "pipeline_version_id": self.pipeline_version_id,
            },
            "runtime_config": {"parameters": parameters},
        });
        for (key, value) in [("experiment_id", &self.experiment_id), ("service_account", &self.service_account)] {
            if let Some(value) = value {
                body[key] = json!(value);
            }
        }
        body
    }

    fn run_url(&self, run: &Value) -> Option<String> {
        let id = run["run_id"].as_str()?;
        Some(format!("{}#/runs/details/{id}", self.site.page(&[""])))
    }

    /// The run that is there, if any.
    fn found(order: &Order, answer: &Answer) -> Option<Value> {
        let runs = json_of(answer);
        let name = display_name(order);
        runs["runs"].as_array().into_iter().flatten().find(|run| run["display_name"] == name.as_str()).cloned()
    }
}

fn display_name(order: &Order) -> String {
    format!("driftd {}", order.request_id)
}

#[async_trait]
impl Trainer for Kubeflow {
    async fn start(&self, order: &Order, _: Timestamp) -> Start {
        let path = ["apis", "v2beta1", "runs"];
        let filter = json!({"predicates": [
            {"operation": "EQUALS", "key": "display_name", "string_value": display_name(order)},
        ]});
        let mut url = self.site.at(&path);
        url.query_pairs_mut().append_pair("filter", &filter.to_string()).append_pair("page_size", "10");
        match self.site.get(url).await {
            Ok(answer) if answer.is_success() => {
                if let Some(run) = Kubeflow::found(order, &answer) {
                    return Start::existed(&answer, self.run_url(&run));
                }
            }
            Ok(answer) => return Start::unexpected(&answer),
            Err(failure) => return failure.into(),
        }
        match self.site.post(self.site.at(&path), &self.body(order), order).await {
            Ok(answer) if answer.is_success() => {
                let run_url = self.run_url(&json_of(&answer));
                Start::new_run(&answer, run_url)
            }
            Ok(answer) => match Start::unexpected(&answer) {
                Start::Retry { status, after, reason, detail } if answer.status >= 500 => {
                    Start::Retry { status, after: after.max(Some(SETTLES)), reason, detail }
                }
                start => start,
            },
            Err(failure) => {
                let (reason, detail) = (failure.reason, failure.detail);
                Start::Retry { status: None, after: Some(SETTLES), reason, detail }
            }
        }
    }

    fn preview(&self, order: &Order) -> String {
        self.site.preview(&["apis", "v2beta1", "runs"], order, |order| self.body(order))
    }
}
