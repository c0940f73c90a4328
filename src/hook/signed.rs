//! Training started by a signed message: `retraining.requested` as in Standard Webhooks 1.0.0, whose id
//! is the request's, so that a receiver can tell a repetition.

use async_trait::async_trait;
use serde_json::json;

use super::Attempt;
use super::trainer::{Order, Start, Trainer};
use super::webhook::Webhook;
use crate::drift::time::Timestamp;

/// A receiver of signed messages that starts training.
pub struct SignedMessage(pub Webhook);

#[async_trait]
impl Trainer for SignedMessage {
    async fn start(&self, order: &Order, now: Timestamp) -> Start {
        let body = json!({"type": "retraining.requested", "timestamp": now, "data": order.body}).to_string();
        match self.0.send(&order.request_id, &body, now).await {
            Attempt::Delivered { status } => Start::Started { status, existed: false, run_url: None },
            Attempt::Retry { status, after, reason, detail } => Start::Retry { status, after, reason, detail },
            Attempt::Gone => {
                let detail = "the receiver says that it is gone for good".to_owned();
                Start::Retry { status: Some(410), after: None, reason: "gone", detail }
            }
        }
    }

    fn preview(&self, order: &Order) -> String {
        format!("POST of `retraining.requested` with webhook-id `{}`", order.request_id)
    }
}
