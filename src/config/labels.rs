//! How labels are joined with predictions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Labels that come after their predictions. Nothing is kept for them unless the reference was fitted with
/// labels, and never a text.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawLabelling {
    /// Share of predictions that are kept until their labels come, chosen by prediction id: labels of the
    /// others are not used. It bounds the store, which keeps them for as long as
    /// `store.retention.predictions` says.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub sample: f64,
    /// How long a label waits for a prediction that comes after it, in event time.
    pub wait: String,
}

impl Default for RawLabelling {
    fn default() -> RawLabelling {
        RawLabelling { sample: 1.0, wait: "24h".into() }
    }
}
