//! Receivers from the configuration to what the loops need of them.

use std::collections::HashMap;

use anyhow::Context as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::config::Endpoint;
use crate::config::endpoint::{BodyStyle, EndpointTarget, EventKind};
use crate::deliver::{Route, Together};
use crate::hook::pagerduty;
use crate::hook::receiver::{Receiver, Style, Target};
use crate::judge::rows;
use crate::signature;

/// What the judge loop needs: who gets which events.
pub fn receiver(endpoint: &Endpoint) -> rows::Receiver {
    rows::Receiver {
        endpoint: endpoint.name.clone(),
        alerts: endpoint.events.contains(&EventKind::Alerts),
        retraining: endpoint.events.contains(&EventKind::Retraining),
        pipeline: endpoint.events.contains(&EventKind::Pipeline),
    }
}

/// What the deliver loop needs: how each endpoint is reached.
///
/// # Errors
/// If an endpoint cannot be set up.
pub fn routes(endpoints: &[Endpoint], public_url: Option<&str>) -> anyhow::Result<HashMap<String, Route>> {
    let route = |endpoint: &Endpoint| -> anyhow::Result<(String, Route)> {
        let target = target(&endpoint.target).with_context(|| format!("endpoint `{}`", endpoint.name))?;
        let receiver = Receiver::new(&endpoint.name, target, public_url, endpoint.timeout)
            .with_context(|| format!("endpoint `{}`", endpoint.name))?;
        let together = match &endpoint.target {
            // Programs count on every change; so do those behind a bus.
            EndpointTarget::Webhook { style: BodyStyle::Standard | BodyStyle::CloudEvents, .. } => Together::Never,
            _ if receiver.takes_several() => Together::SeveralAlerts,
            _ => Together::OneAlert,
        };
        let pipeline = endpoint.events.contains(&EventKind::Pipeline);
        let (timeout, max_age) = (endpoint.timeout, endpoint.max_age);
        Ok((endpoint.name.clone(), Route { receiver, together, pipeline, timeout, max_age }))
    };
    endpoints.iter().map(route).collect()
}

fn target(target: &EndpointTarget) -> anyhow::Result<Target> {
    Ok(match target {
        EndpointTarget::Webhook { url, secret, style, bearer } => {
            let key = secret.as_ref().map(|s| signature::key(s.expose_secret())).transpose()?;
            let style = match style {
                BodyStyle::Standard => Style::Standard,
                BodyStyle::Alertmanager => Style::Alertmanager,
                BodyStyle::CloudEvents => Style::CloudEvents,
            };
            Target::Webhook { url: url.clone(), key, style, bearer: bearer.clone() }
        }
        EndpointTarget::Alertmanager { urls, bearer } => {
            Target::Alertmanager { urls: urls.clone(), bearer: bearer.clone() }
        }
        EndpointTarget::PagerDuty { url, routing_key } => Target::PagerDuty {
            url: url.clone().unwrap_or_else(|| SecretString::from(pagerduty::ADDRESS.to_owned())),
            routing_key: routing_key.clone(),
        },
        EndpointTarget::Slack { url } => Target::Slack { url: url.clone() },
        EndpointTarget::Teams { url } => Target::Teams { url: url.clone() },
    })
}
