use super::*;
use crate::config::validate::validate;
use crate::document::parse;

const BEFORE: &str = "
kafka: {brokers: 'localhost:9092', topics: [predictions], start: earliest}
store: {url: 'sqlite:driftd.db'}
models:
  - {manifest: m.yaml, reference: ref.bin}
  - {manifest: n.yaml, reference: ref.bin, window: {length: 1h}}
api: {auth: {oidc: {issuer: 'https://id.example', audience: driftd, key_set: keys.json, grants: [{value: a, role: viewer}]}}}
";

fn config(text: &str, secret: &str) -> Config {
    let env = |_: &str| Some(secret.to_owned());
    parse(Path::new("/etc/driftd/driftd.yaml"), text).and_then(|d| validate(&d, &env)).expect("valid")
}

fn after(change: (&str, &str)) -> Result<Reread, Problems> {
    let changed = BEFORE.replace(change.0, change.1);
    assert_ne!(changed, BEFORE, "{} stands in the file", change.0);
    Running::new(Path::new("driftd.yaml"), &config(BEFORE, "s")).take(&config(&changed, "s"))
}

#[test]
fn an_unchanged_file_changes_nothing() {
    let before = config(BEFORE, "s");
    let reread = Running::new(Path::new("driftd.yaml"), &before).take(&config(BEFORE, "s")).expect("taken");
    assert_eq!((reread.taken, reread.waiting), (vec![], vec![]));
    assert_eq!((reread.live, reread.shown), (Live::of(&before), shown(&before.written)));
}

#[test]
fn what_is_safe_is_taken_up() {
    let first = "- {manifest: m.yaml,";
    for (change, taken) in [
        (("store: {", "log_levels: debug\nstore: {"), "log_levels"),
        (("db'}", "db', retention: {rollups: 400d}}"), "store.retention.rollups"),
        (("api: {", "api: {limit: {burst: 7}, "), "api.limit.burst"),
        (("role: viewer", "role: admin"), "api.auth.oidc.grants.0.role"),
        ((first, "- {budget: 2/30d, manifest: m.yaml,"), "models.0.budget"),
        ((first, "- {margin: 0.1, manifest: m.yaml,"), "models.0.margin"),
        ((first, "- {resolve_after: 3, manifest: m.yaml,"), "models.0.resolve_after"),
        ((first, "- {window: {min_records: 9}, manifest: m.yaml,"), "models.0.window.min_records"),
    ] {
        let reread = after(change).expect("taken");
        assert_eq!((reread.taken.as_slice(), reread.waiting.as_slice()), (&[taken.to_owned()][..], &[][..]));
        let read = config(&BEFORE.replace(change.0, change.1), "s");
        assert_eq!(reread.live, Live::of(&read), "{taken}: as after a restart");
        assert_ne!(reread.live, Live::of(&config(BEFORE, "s")), "{taken}");
        assert_eq!(reread.shown, shown(&read.written), "{taken}");
    }
}

#[test]
fn what_is_not_safe_waits_and_is_not_shown() {
    for (change, waiting) in [
        (("[predictions]", "[predictions, more]"), "kafka"),
        (("driftd.db", "other.db"), "store.url"),
        (("ref.bin, window", "other.bin, window"), "models[n.yaml].reference"),
        (("length: 1h", "length: 2h"), "models[n.yaml].window.length"),
        (("length: 1h", "length: 1h, late_limit: 2h"), "models[n.yaml].window.late_limit"),
        (("api: {", "log: json\napi: {"), "log"),
        (("api: {", "ops: {listen: '127.0.0.1:9'}\napi: {"), "ops"),
        (("api: {", "public_url: 'https://x'\napi: {"), "public_url"),
        (("api: {", "api: {listen: '127.0.0.1:9', "), "api.listen"),
        (("api: {", "endpoints: [{name: x, url: 'https://x'}]\napi: {"), "endpoints"),
        (("  - {manifest: n.yaml", "  - {manifest: o.yaml"), "models"),
        (("- {manifest: m.yaml, reference: ref.bin}\n  ", ""), "models"),
    ] {
        let reread = after(change).expect("valid");
        assert_eq!((reread.taken.as_slice(), reread.waiting.as_slice()), (&[][..], &[waiting.to_owned()][..]));
        assert_eq!(reread.live, Live::of(&config(BEFORE, "s")), "{waiting}");
        assert_eq!(reread.shown, shown(&config(BEFORE, "s").written), "{waiting}: the settings in force are shown");
    }
    let keys = BEFORE.split("api:").next().expect("a part").to_owned() + "api: {auth: keys}";
    let reread = Running::new(Path::new("f"), &config(BEFORE, "s")).take(&config(&keys, "s")).expect("valid");
    assert_eq!(reread.waiting, ["api.auth"]);
    assert!(reread.live.oidc.is_some(), "callers prove who they are as before");
}

#[test]
fn both_kinds_at_once_and_then_back() {
    let mut running = Running::new(Path::new("driftd.yaml"), &config(BEFORE, "s"));
    let changed = BEFORE.replace("ref.bin}", "other.bin, budget: 1/90d}");
    let reread = running.take(&config(&changed, "s")).expect("valid");
    assert_eq!(reread.taken, ["models.0.budget"]);
    assert_eq!(reread.waiting, ["models[m.yaml].reference"]);
    assert_eq!(reread.live.watching[0].watch.threshold, 3.0 * 8_640.0);
    let back = running.take(&config(BEFORE, "s")).expect("valid");
    assert_eq!((back.taken, back.waiting), (vec!["models.0.budget".to_owned()], vec![]));
}

#[test]
fn a_budget_counts_the_windows_that_are_in_force() {
    // With windows of 6 s, a false alarm an hour is one in 600; with those of 1 h in force it is none.
    let error = after(("window: {length: 1h}", "budget: 1/1h, window: {length: 6s}")).expect_err("refused");
    assert!(error.to_string().contains("1h are in force until the next start"), "{error}");
}

#[test]
fn a_secret_that_was_changed_where_it_lies_waits() {
    let text = BEFORE.replace("'sqlite:driftd.db'", "{env: STORE}");
    let reread = Running::new(Path::new("f"), &config(&text, "sqlite:a")).take(&config(&text, "sqlite:b"));
    let reread = reread.expect("valid");
    assert_eq!((reread.taken, reread.waiting), (vec![], vec!["store.url".to_owned()]));
}
