//! Model registries: the version that one promotes is watched from then on, with a reference of its own.
//!
//! A delivery of MLflow's webhook is taken if it is signed with a model's secret and fresh; it counts once,
//! whatever it is called how often, and of two the one that the registry made later counts, whichever came
//! first. Nothing is fetched from the registry: manifest and reference lie where the configuration says,
//! by the version's number. What is taken is written to the store, and every process looks there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::clock::Clock;
use crate::drift::reference::Reference;
use crate::drift::time::Timestamp;
use crate::model::Manifest;
use crate::model::fits::misfits;
use crate::signature::sign;
use crate::store::access::Actor;
use crate::store::{AuditRow, Promoted, PromotionRow, PromotionStore, ReferenceRow, StoreError};

/// Deliveries may be this old, or this far ahead: longer than MLflow goes on trying, as in Standard Webhooks.
const TOLERANCE_SECS: i64 = 300;
/// Longer ids of deliveries are refused; MLflow's are UUIDs.
const MOST_ID: usize = 128;
/// More digits than a registry's number of a version has.
const MOST_DIGITS: usize = 18;

/// A model whose versions a registry names.
#[derive(Clone)]
pub struct Followed {
    /// Its name here.
    pub model: String,
    /// The version that the configuration names.
    pub config_version: String,
    /// Its name in the registry.
    pub registered: String,
    /// The alias of the version that is in production.
    pub alias: String,
    /// What deliveries are signed with.
    pub secret: SecretString,
    /// Where a version's manifest is; `{version}` stands for the registry's number.
    pub manifest: String,
    /// Where its reference is.
    pub reference: String,
}

/// Takes deliveries.
pub struct Registry {
    /// Whose.
    pub followed: Vec<Followed>,
    /// Where promotions are kept.
    pub store: Arc<dyn PromotionStore>,
    /// What time it is.
    pub clock: Clock,
}

/// A delivery as it came.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// `X-MLflow-Delivery-Id`.
    pub id: &'a str,
    /// `X-MLflow-Timestamp`, Unix seconds.
    pub timestamp: &'a str,
    /// `X-MLflow-Signature`.
    pub signature: &'a str,
    /// The body.
    pub body: &'a str,
}

/// What became of a delivery that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// A version is watched from now on.
    Started {
        /// Of which model.
        model: String,
        /// Which.
        version: String,
        /// Compared with what.
        reference_id: String,
    },
    /// It was taken before.
    Repeated,
    /// The registry has said something newer already.
    Superseded,
    /// It is about something else.
    Ignored,
}

/// Why a delivery was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nobody of ours signed it, or not now.
    #[error("the delivery is not signed with a model's secret, or its time is not now")]
    Unsigned,
    /// It is signed, and says nothing that we understand.
    #[error("the delivery is no event of MLflow's registry")]
    Malformed,
    /// Its files are not there.
    #[error("`{0}` is not there yet")]
    NotYet(String),
    /// Its files do not go together.
    #[error("`{file}` cannot be used: {reason}")]
    Unfit {
        /// Which.
        file: String,
        /// Why.
        reason: String,
    },
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Deserialize)]
struct Message {
    entity: String,
    action: String,
    timestamp: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    name: String,
    alias: Option<String>,
    version: Option<String>,
}

impl Registry {
    /// Takes a delivery.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub async fn take(&self, delivery: Delivery<'_>) -> Result<Taken, Refused> {
        let now = self.clock.now();
        let mine = self.signed(delivery, now);
        if mine.is_empty() {
            return Err(Refused::Unsigned);
        }
        let message: Message = serde_json::from_str(delivery.body).map_err(|_| Refused::Malformed)?;
        if (message.entity.as_str(), message.action.as_str()) != ("model_version_alias", "created") {
            return Ok(Taken::Ignored);
        }
        let at = Timestamp::parse(&message.timestamp).ok_or(Refused::Malformed)?;
        let Data { name, alias, version } = message.data;
        let (Some(alias), Some(version)) = (alias, version) else { return Err(Refused::Malformed) };
        let Some(followed) = mine.into_iter().find(|f| f.registered == name && f.alias == alias) else {
            return Ok(Taken::Ignored);
        };
        // It becomes a part of a path: nothing but a number.
        if version.is_empty() || version.len() > MOST_DIGITS || !version.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Refused::Malformed);
        }
        let (manifest, reference) = (place(&followed.manifest, &version), place(&followed.reference, &version));
        let (model, file) = (followed.model.clone(), manifest.clone());
        let read = tokio::task::spawn_blocking(move || read(&model, &file, &reference));
        let unread = |_| unfit(&manifest, "it could not be read");
        let (spec, reference) = read.await.map_err(unread)??;
        let promotion = PromotionRow {
            delivery_id: delivery.id.to_owned(),
            model: followed.model.clone(),
            at,
            taken: now,
            registered_version: version.clone(),
            version: spec,
            config_version: followed.config_version.clone(),
            manifest: manifest.display().to_string(),
            reference_id: reference.id.clone(),
        };
        let actor = Actor { name: "mlflow".to_owned(), id: format!("mlflow:{name}"), means: "webhook" };
        let detail = json!({"alias": alias, "registered_version": version, "version": promotion.version,
            "reference": promotion.reference_id, "delivery": promotion.delivery_id});
        let audit = AuditRow::done(&actor, "model.promote", &followed.model, &detail, now);
        Ok(match self.store.promote(&promotion, &ReferenceRow::of(&reference, now), &audit).await? {
            Promoted::Repeated => Taken::Repeated,
            Promoted::Superseded => Taken::Superseded,
            Promoted::Made => {
                tracing::info!(model = promotion.model, version = promotion.version, "promoted by its registry");
                Taken::Started {
                    model: promotion.model,
                    version: promotion.version,
                    reference_id: promotion.reference_id,
                }
            }
        })
    }

    /// Models with whose secret a delivery is signed; none if it is not fresh.
    fn signed(&self, delivery: Delivery<'_>, now: Timestamp) -> Vec<&Followed> {
        let Ok(secs) = delivery.timestamp.parse::<i64>() else { return Vec::new() };
        let apart = (now.micros() / 1_000_000).saturating_sub(secs).saturating_abs();
        if apart > TOLERANCE_SECS || delivery.id.is_empty() || delivery.id.len() > MOST_ID {
            return Vec::new();
        }
        let is_signed = |followed: &&Followed| {
            let expected = sign(followed.secret.expose_secret().as_bytes(), delivery.id, secs, delivery.body);
            bool::from(expected.as_bytes().ct_eq(delivery.signature.as_bytes()))
        };
        self.followed.iter().filter(is_signed).collect()
    }
}

fn place(pattern: &str, version: &str) -> PathBuf {
    PathBuf::from(pattern.replace("{version}", version))
}

fn unfit(file: &Path, reason: impl Into<String>) -> Refused {
    Refused::Unfit { file: file.display().to_string(), reason: reason.into() }
}

/// The version that a manifest describes, and its reference.
fn read(model: &str, manifest: &Path, reference: &Path) -> Result<(String, Reference), Refused> {
    let there = |file: &Path| match file.is_file() {
        true => Ok(()),
        false => Err(Refused::NotYet(file.display().to_string())),
    };
    there(manifest)?;
    there(reference)?;
    let loaded = Manifest::load(manifest).map_err(|error| unfit(manifest, format!("{error:#}")))?;
    loaded.onnx.as_deref().map_or(Ok(()), there)?;
    if loaded.spec.name != model {
        return Err(unfit(manifest, format!("it describes `{}`, and not `{model}`", loaded.spec.name)));
    }
    let bytes = std::fs::read(reference).map_err(|error| unfit(reference, error.to_string()))?;
    let decoded = Reference::decode(&bytes).map_err(|error| unfit(reference, error.to_string()))?;
    let reasons = misfits(&loaded, &decoded).map_err(|error| unfit(reference, error.to_string()))?;
    match reasons.as_slice() {
        [] => Ok((loaded.spec.version, decoded)),
        reasons => Err(unfit(reference, reasons.join("; "))),
    }
}
