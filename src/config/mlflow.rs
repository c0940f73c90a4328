//! Which model of a registry a model is, and where its versions lie.

use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::raw::{Secret, SecretRef};
use super::validate::Checker;

/// Which model of MLflow's registry it is. When the alias is given to a version there, MLflow's webhook
/// (`model_version_alias.created`, to `/api/v1/mlflow/webhook`) has that version watched here, with its own reference.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawMlflow {
    /// The registered model's name.
    pub registered_model: String,
    /// The alias of the version that is in production.
    #[serde(default = "default_alias")]
    pub alias: String,
    /// The webhook's secret.
    pub secret: SecretRef,
    /// Where a version's manifest is, such as `/models/support/{version}/manifest.yaml`: `{version}` stands for MLflow's
    /// number.
    pub manifest: String,
    /// Where a version's reference is.
    pub reference: String,
}

/// The same, checked.
#[derive(Clone, Debug)]
pub struct Mlflow {
    /// The registered model's name.
    pub registered_model: String,
    /// The alias.
    pub alias: String,
    /// The webhook's secret.
    pub secret: SecretString,
    /// Where a version's manifest is.
    pub manifest: String,
    /// Where a version's reference is.
    pub reference: String,
    /// The manifest that the configuration names, whatever was promoted since.
    pub configured: PathBuf,
}

fn default_alias() -> String {
    "champion".into()
}

impl Checker<'_> {
    /// A model's place in a registry.
    pub(super) fn mlflow(&mut self, i: usize, raw: &RawMlflow, configured: PathBuf) -> Option<Mlflow> {
        let at = |key: &str| format!("/models/{i}/mlflow/{key}");
        for (key, pattern) in [("manifest", &raw.manifest), ("reference", &raw.reference)] {
            if !pattern.contains("{version}") {
                self.fail(&at(key), "must contain `{version}`, or every version would be the same");
            }
        }
        let secret = self.secret(&at("secret"), &Secret::Elsewhere(raw.secret.clone()))?;
        if secret.is_empty() {
            self.fail(&at("secret"), "is empty: whoever knows the address could promote");
        }
        let whole = |pattern: &str| self.document.directory().join(pattern).display().to_string();
        Some(Mlflow {
            registered_model: raw.registered_model.clone(),
            alias: raw.alias.clone(),
            manifest: whole(&raw.manifest),
            reference: whole(&raw.reference),
            secret: SecretString::from(secret),
            configured,
        })
    }
}
