//! Airflow: a run of a DAG, named after the request, so that Airflow itself refuses a second one (409).

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::http::{Answer, Failure};
use super::site::{Auth, Site, json as json_of};
use super::trainer::{Order, Start, Trainer};
use crate::drift::time::Timestamp;

/// Which API Airflow speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `/api/v1`.
    Two,
    /// `/api/v2`, which wants a `logical_date`, null for a run of no interval, and knows no other keys than
    /// its own.
    Three,
}

/// A DAG of an Airflow.
pub struct Airflow {
    /// Where it is. A password is sent as it is to Airflow 2, and changed for a token at Airflow 3.
    pub site: Site,
    /// Which API it speaks.
    pub version: Version,
    /// The DAG that retrains.
    pub dag: String,
}

impl Airflow {
    fn api(&self) -> &'static str {
        match self.version {
            Version::Two => "v1",
            Version::Three => "v2",
        }
    }

    fn body(&self, order: &Order) -> Value {
        let mut body = json!({
            "dag_run_id": run_id(order),
            "conf": order.body,
            "note": format!("driftd: {}", order.summary),
        });
        if self.version == Version::Three {
            body["logical_date"] = Value::Null;
        }
        body
    }

    async fn call(&self, order: &Order) -> Result<Answer, Result<Start, Failure>> {
        let url = self.site.at(&["api", self.api(), "dags", &self.dag, "dagRuns"]);
        let body = self.body(order);
        let answer = match (&self.site.auth, self.version) {
            (Auth::Password(user, password), Version::Three) => {
                let token = self.log_in(user, password).await?;
                self.site.post_with(url, &body, order, token.expose_secret()).await
            }
            _ => self.site.post(url, &body, order).await,
        };
        answer.map_err(Err)
    }

    async fn log_in(&self, user: &str, password: &SecretString) -> Result<SecretString, Result<Start, Failure>> {
        let body = json!({"username": user, "password": password.expose_secret()});
        let url = self.site.at(&["auth", "token"]);
        let answer = self.site.log_in(url, &body, password).await.map_err(Err)?;
        match json_of(&answer)["access_token"].as_str() {
            Some(token) if answer.is_success() => Ok(SecretString::from(token.to_owned())),
            _ => Err(Ok(Start::unexpected(&answer))),
        }
    }
}

fn run_id(order: &Order) -> String {
    format!("driftd__{}", order.request_id)
}

#[async_trait]
impl Trainer for Airflow {
    async fn start(&self, order: &Order, _: Timestamp) -> Start {
        let run_url = match self.version {
            Version::Two => format!("{}?dag_run_id={}", self.site.page(&["dags", &self.dag, "grid"]), run_id(order)),
            Version::Three => self.site.page(&["dags", &self.dag, "runs", &run_id(order)]),
        };
        match self.call(order).await {
            Ok(answer) if answer.is_success() => Start::new_run(&answer, Some(run_url)),
            Ok(answer) if answer.status == 409 => Start::existed(&answer, Some(run_url)),
            Ok(answer) => Start::unexpected(&answer),
            Err(Ok(start)) => start,
            Err(Err(failure)) => failure.into(),
        }
    }

    fn preview(&self, order: &Order) -> String {
        self.site.preview(&["api", self.api(), "dags", &self.dag, "dagRuns"], order, |order| self.body(order))
    }
}
