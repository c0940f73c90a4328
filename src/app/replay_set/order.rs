//! What a retraining request says of its replay set.

use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use super::written::SCHEMA;
use crate::app::runtime;
use crate::cli::replay::ReplayArgs;
use crate::config;
use crate::drift::replay::{Rule, STRATEGY};
use crate::drift::time::Timestamp;
use crate::retrain::messages;
use crate::retrain::word::Refusal;
use crate::store::{RetrainingStore as _, SqlStore};

/// What a set is drawn by.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The request that it is for.
    pub request_id: Option<String>,
    /// The alarm's time.
    pub window: Option<(Timestamp, Timestamp)>,
    /// Everything random follows from it.
    pub seed: String,
    /// Sizes and shares.
    pub rule: Rule,
}

/// Records of a reference where nobody said: as many as a fit learns its axes from.
const REFERENCE_SIZE: u32 = 50_000;
/// The seed where nobody said and no request has one.
const USUAL_SEED: &str = "driftd";

/// `data.replay` of a request.
#[derive(Deserialize)]
struct Replay {
    strategy: String,
    seed: String,
    #[serde(flatten)]
    rule: Sizes,
}

/// [`Rule`] beside other keys.
#[derive(Deserialize)]
struct Sizes {
    size: u32,
    floor: u32,
    alarm_share: f64,
    holdout: f64,
}

/// `data.window` of a request.
#[derive(Deserialize)]
struct Window {
    start: Timestamp,
    end: Timestamp,
}

impl Order {
    /// What the arguments ask for, beginning with what their request does. `model` is the manifest's.
    ///
    /// # Errors
    /// If there is no such request, it belongs to another model, or the sizes make no set.
    pub fn of(args: &ReplayArgs, model: &str) -> anyhow::Result<Order> {
        let mut order = match &args.request {
            Some(request) => parsed(&told(request, args)?, model).with_context(|| format!("`--request {request}`"))?,
            None => Order { request_id: None, window: None, seed: USUAL_SEED.to_owned(), rule: Rule::default() },
        };
        let (from, to) = (args.alarm_from, args.alarm_to);
        let ends = (from.or(order.window.map(|w| w.0)), to.or(order.window.map(|w| w.1)));
        order.window = match ends {
            (Some(from), Some(to)) => {
                ensure!(from < to, "`--alarm-to` must lie after `--alarm-from`");
                Some((from, to))
            }
            (None, None) => None,
            _ => bail!("the alarm's time needs both `--alarm-from` and `--alarm-to`: no request names it"),
        };
        if args.reference {
            order.rule = Rule { size: REFERENCE_SIZE, floor: 0, alarm_share: 0.0, ..order.rule };
        }
        let Rule { size, floor, alarm_share, holdout } = &mut order.rule;
        *size = args.size.unwrap_or(*size);
        *floor = args.floor.unwrap_or(*floor);
        *alarm_share = args.alarm_share.unwrap_or(*alarm_share);
        *holdout = args.holdout.unwrap_or(*holdout);
        order.seed = args.seed.clone().unwrap_or(order.seed);
        if let Some(problem) = order.rule.problem() {
            bail!("`--{}", problem.replacen(": ", "`: ", 1).replace('_', "-"));
        }
        Ok(order)
    }
}

/// What the request's hook is told, from a file or the store.
fn told(request: &str, args: &ReplayArgs) -> anyhow::Result<Value> {
    let path = Path::new(request);
    if path.is_file() {
        let text = std::fs::read(path).with_context(|| format!("`{request}` cannot be read"))?;
        return serde_json::from_slice(&text).with_context(|| format!("`{request}` is no JSON"));
    }
    let config = config::load(&args.config.config)?;
    runtime()?.block_on(async {
        let store = SqlStore::open(&config.store.0).await?;
        let found = store.request(request).await;
        store.close().await;
        let history = found?.ok_or_else(|| Refusal::Missing(request.to_owned()))?;
        let mut told = messages::order(&history.row, None);
        if let Some((start, end)) = messages::covers(&history.row) {
            told["data"]["window"] = json!({"start": start, "end": end});
        }
        Ok(told)
    })
}

/// A request, bare or as `data` of a message; or the manifest of a set.
fn parsed(told: &Value, model: &str) -> anyhow::Result<Order> {
    let told = if told.get("request_id").is_some() { told } else { told.get("data").unwrap_or(told) };
    let (request_id, is_set) = (told["request_id"].as_str(), told["schema"] == SCHEMA);
    ensure!(request_id.is_some() || is_set, "it has no `request_id`: it is no retraining request");
    let theirs = told["model"]["name"].as_str().unwrap_or_default();
    ensure!(theirs == model, "it is for model `{theirs}`, the manifest describes `{model}`");
    let data = if is_set { told } else { &told["data"] };
    let replay = data.get("replay").context("it says nothing of a replay set: it was made by an older driftd")?;
    let Replay { strategy, seed, rule } = Replay::deserialize(replay).context("`data.replay`")?;
    ensure!(strategy == STRATEGY, "it asks for the strategy `{strategy}`; this driftd draws by `{STRATEGY}`");
    let window = match data.get("window").filter(|w| !w.is_null()) {
        Some(window) => Some(Window::deserialize(window).context("`data.window`")?),
        None => None,
    };
    let Sizes { size, floor, alarm_share, holdout } = rule;
    Ok(Order {
        request_id: request_id.map(str::to_owned),
        window: window.map(|w| (w.start, w.end)),
        seed,
        rule: Rule { size, floor, alarm_share, holdout },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::retraining::plan::Plan;

    #[test]
    fn a_request_names_all_that_its_set_needs() {
        let rule = Rule { size: 123, floor: 4, alarm_share: 0.25, holdout: 0.2 };
        let plan = Plan { replay: rule, ..Plan::default() };
        let window = (Timestamp::from_micros(1_000_000), Timestamp::from_micros(9_000_000));
        let data = plan.data("rt_7", Some(window), "ref_1");
        let told = json!({"request_id": "rt_7", "model": {"name": "m"}, "data": data});
        let expected = Order { request_id: Some("rt_7".into()), window: Some(window), seed: "rt_7".into(), rule };
        assert_eq!(parsed(&told, "m").expect("an order"), expected);
        let message = json!({"type": "retraining.requested", "data": told});
        assert_eq!(parsed(&message, "m").expect("an order"), expected, "as a webhook gets it");
        let without = json!({"request_id": "rt_7", "model": {"name": "m"}, "data": plan.data("rt_7", None, "ref_1")});
        assert_eq!(parsed(&without, "m").expect("an order"), Order { window: None, ..expected });
        for (wrong, why) in [
            (json!({"model": {"name": "m"}}), "no `request_id`"),
            (json!({"request_id": "rt_7", "model": {"name": "m"}, "data": {}}), "older driftd"),
            (json!({"request_id": "rt_7", "model": {"name": "n"}}), "for model `n`"),
        ] {
            let error = format!("{:#}", parsed(&wrong, "m").expect_err(why));
            assert!(error.contains(why), "{error}");
        }
        let mut other = message.clone();
        other["data"]["data"]["replay"]["strategy"] = json!("bottom_k/v9");
        assert!(parsed(&other, "m").expect_err("another way").to_string().contains("bottom_k/v9"));
    }
}
