//! What of a queue may be told with its first message.
//!
//! What somebody wants quiet about waits for its turn, and so does all that follows of its alert: an endpoint hears
//! nothing of an alert after its end. The end of an alert that nobody heard of waits too, and is not sent then.

use std::collections::HashSet;

use super::mute::Mute;
use super::{ACKNOWLEDGED, RESOLVED, quiet};
use crate::store::{self, DeliverStore, Delivery, StoreError};

/// The first, which is claimed, and what may go with it.
///
/// # Errors
/// If the store fails.
pub(super) async fn may_be_told(
    store: &dyn DeliverStore,
    mute: &Mute,
    queue: Vec<Delivery>,
) -> Result<Vec<Delivery>, StoreError> {
    let mut kept: Vec<Delivery> = Vec::with_capacity(queue.len());
    let (mut opened, mut waits) = (HashSet::new(), HashSet::new());
    for delivery in queue {
        let Some(alert) = delivery.alert_id.clone() else {
            kept.push(delivery);
            continue;
        };
        let wait = match delivery.event.as_str() {
            _ if kept.is_empty() => false,
            _ if waits.contains(&alert) => true,
            RESOLVED if !opened.contains(&alert) => !store::within(store.was_told(&alert, &delivery.endpoint)).await?,
            RESOLVED | ACKNOWLEDGED => false,
            _ => quiet(mute, &delivery).is_some(),
        };
        if wait {
            waits.insert(alert);
            continue;
        }
        if delivery.event != ACKNOWLEDGED {
            opened.insert(alert);
        }
        kept.push(delivery);
    }
    Ok(kept)
}
