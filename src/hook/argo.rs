//! Argo Workflows: a workflow made from a template, named after the request, so that a second one is
//! refused (409).

use async_trait::async_trait;
use serde_json::{Value, json};

use super::site::{Site, dns_name, label, parameters};
use super::trainer::{Order, Start, Trainer};
use crate::drift::time::Timestamp;

/// A workflow template of an Argo server.
pub struct Argo {
    /// Where the server is.
    pub site: Site,
    /// Namespace of the template and of its workflows.
    pub namespace: String,
    /// The template that retrains.
    pub template: String,
}

impl Argo {
    fn body(&self, order: &Order) -> Value {
        // Each is one JSON string: Argo takes what stands before the first `=` for its name.
        let parameters: Vec<String> = parameters(order).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        let labels = format!("driftd.io/request={},driftd.io/model={}", label(&order.request_id), label(&order.model));
        json!({
            "namespace": self.namespace,
            "resourceKind": "WorkflowTemplate",
            "resourceName": self.template,
            "submitOptions": {"name": dns_name(order), "labels": labels, "parameters": parameters},
        })
    }
}

#[async_trait]
impl Trainer for Argo {
    async fn start(&self, order: &Order, _: Timestamp) -> Start {
        let url = self.site.at(&["api", "v1", "workflows", &self.namespace, "submit"]);
        let run_url = Some(self.site.page(&["workflows", &self.namespace, &dns_name(order)]));
        match self.site.post(url, &self.body(order), order).await {
            Ok(answer) if answer.is_success() => Start::new_run(&answer, run_url),
            Ok(answer) if answer.status == 409 => Start::existed(&answer, run_url),
            Ok(answer) => Start::unexpected(&answer),
            Err(failure) => failure.into(),
        }
    }

    fn preview(&self, order: &Order) -> String {
        let path = ["api", "v1", "workflows", self.namespace.as_str(), "submit"];
        self.site.preview(&path, order, |order| self.body(order))
    }
}
