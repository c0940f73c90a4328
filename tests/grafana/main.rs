//! Every query of Postgres in Grafana's dashboards runs on a migrated database, as a role that may
//! read the views and nothing else, and finds what is there.

#[path = "../support/mod.rs"]
mod support;

use serde_json::Value;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _, Row as _};

/// The values that a reader would have chosen.
const CHOSEN: [(&str, &str); 3] = [("model", "it's a model"), ("task", "intent"), ("segment", "all records")];

/// A query of a dashboard.
struct Query {
    place: String,
    sql: String,
    over_time: bool,
}

fn dashboards() -> Vec<(String, Value)> {
    let folder = support::root().join("dashboards/grafana");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .expect("dashboards")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a dashboard");
            (
                path.file_stem().expect("a name").to_string_lossy().into_owned(),
                serde_json::from_str(&text).expect("JSON"),
            )
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// All queries of Postgres: of panels, variables and annotations.
fn queries() -> Vec<Query> {
    let mut found = Vec::new();
    for (name, dashboard) in dashboards() {
        let targets = list(&dashboard, "/panels").iter().flat_map(|panel| {
            list(panel, "/targets").iter().map(move |target| (panel["title"].as_str().unwrap_or_default(), target))
        });
        let annotations = list(&dashboard, "/annotations/list").iter().map(|a| ("annotations", &a["target"]));
        for (title, target) in targets.chain(annotations) {
            if let Some(sql) = target["rawSql"].as_str() {
                let over_time = target["format"] == "time_series";
                found.push(Query { place: format!("{name}: {title}"), sql: sql.to_owned(), over_time });
            }
        }
        for variable in list(&dashboard, "/templating/list") {
            if variable["datasource"]["type"] == "grafana-postgresql-datasource" {
                let sql = variable["query"].as_str().expect("a query").to_owned();
                found.push(Query { place: format!("{name}: {}", variable["name"]), sql, over_time: false });
            }
        }
    }
    found
}

/// Puts in what Grafana puts in: chosen values, and macros of time.
fn expanded(sql: &str) -> String {
    let (from, to) = ("(now() - interval '1 day')", "now()");
    let mut sql = sql.replace("$__timeFrom()", from).replace("$__timeTo()", to);
    for (name, value) in CHOSEN {
        sql = sql.replace(&format!("${{{name}:sqlstring}}"), &format!("'{}'", value.replace('\'', "''")));
    }
    while let Some((before, after)) = sql.split_once("$__timeFilter(") {
        let (column, rest) = after.split_once(')').expect("a closing bracket");
        sql = format!("{before}{column} between {from} and {to}{rest}");
    }
    assert!(!sql.contains("${") && !sql.contains("$_"), "a variable or macro that the test does not know: {sql}");
    sql
}

async fn rows_of(connection: &mut AnyConnection, sql: &str) -> Vec<Value> {
    let text = format!("select to_jsonb(q)::text as answer from ({sql}) q");
    let rows = sqlx::query(AssertSqlSafe(text)).fetch_all(connection).await.unwrap_or_else(|e| panic!("{e}\n{sql}"));
    rows.iter().map(|row| serde_json::from_str(row.get("answer")).expect("JSON")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_query_finds_what_was_written_as_a_reader() {
    let url = support::fresh_database().await;
    driftd::store::SqlStore::open(&support::secret(&url)).await.expect("migrates").close().await;
    let mut connection = AnyConnection::connect(&url).await.expect("connects");
    let rows = std::fs::read_to_string(support::root().join("tests/grafana/rows.sql")).expect("rows");
    connection.execute(AssertSqlSafe(rows)).await.expect("rows are written");
    // As docs/kubernetes.md makes the role; its name belongs to the whole server.
    let role = format!("reader_{}", uuid::Uuid::now_v7().simple());
    for statement in [
        format!("create role {role}"),
        format!("grant usage on schema driftd_v1 to {role}"),
        format!("grant select on all tables in schema driftd_v1 to {role}"),
        format!("set role {role}"),
    ] {
        connection.execute(AssertSqlSafe(statement)).await.expect("a role");
    }
    let denied = connection.execute("select * from public.report").await.expect_err("tables are not for readers");
    assert!(denied.to_string().contains("permission denied"), "{denied}");

    let queries = queries();
    assert!(queries.len() > 35, "only {} queries", queries.len());
    for Query { place, sql, over_time } in queries {
        let found = rows_of(&mut connection, &expanded(&sql)).await;
        assert!(!found.is_empty(), "{place} finds nothing");
        if over_time {
            let columns = found[0].as_object().expect("a row");
            assert!(columns["time"].is_string(), "{place} has no time: {columns:?}");
            let texts =
                columns.iter().filter(|(name, value)| value.is_string() && *name != "time" && *name != "metric");
            assert_eq!(texts.count(), 0, "{place} gives texts where series are expected: {columns:?}");
            assert!(
                found.windows(2).all(|w| w[0]["time"].as_str() <= w[1]["time"].as_str()),
                "{place} is not in order"
            );
        }
    }
    connection.execute("reset role").await.expect("the owner again");
    connection.execute(AssertSqlSafe(format!("drop owned by {role}"))).await.expect("dropped");
    connection.execute(AssertSqlSafe(format!("drop role {role}"))).await.expect("dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_those_of_the_rows() {
    let url = support::fresh_database().await;
    driftd::store::SqlStore::open(&support::secret(&url)).await.expect("migrates").close().await;
    let mut connection = AnyConnection::connect(&url).await.expect("connects");
    let rows = std::fs::read_to_string(support::root().join("tests/grafana/rows.sql")).expect("rows");
    connection.execute(AssertSqlSafe(rows)).await.expect("rows are written");
    let mut answers = std::collections::BTreeMap::new();
    for Query { place, sql, .. } in queries() {
        let answer = rows_of(&mut connection, &expanded(&sql)).await;
        assert!(answers.insert(place, answer).is_none(), "two of one name");
    }
    let one = |place: &str, column: &str| answers[place][0][column].clone();
    assert_eq!(one("fleet: Drifting now", "drifting"), 1);
    assert_eq!(one("fleet: Records", "records"), 1_000);
    assert_eq!(one("fleet: Incomplete windows", "windows"), 1);
    assert_eq!(one("fleet: Models by evidence", "worst_part"), "head intent");
    assert_eq!(one("fleet: Models by evidence", "open_alerts"), 1);
    assert_eq!(one("model: Verdict", "verdict"), "drift");
    assert_eq!(one("model: Signals of the latest window", "signal"), "predicted_class");
    let ratio = one("model: Evidence", "evidence_ratio").as_f64().expect("a number");
    assert!((ratio - 3f64.exp()).abs() < 1e-9, "{ratio}");
    // Without evidence there is no ratio, and without a test no p-value: not the largest and the smallest.
    let without = |place: &str, column: &str| answers[place].iter().filter(|row| row[column].is_null()).count();
    assert_eq!(without("model: Where", "evidence_ratio"), 2);
    assert_eq!(without("task: Evidence", "evidence_ratio"), 2);
    assert_eq!(without("task: p-value", "p_value"), 2);
    // A part that only gives notice has no band.
    let parts: Vec<_> = answers["model: Where"].iter().map(|row| row["metric"].clone()).collect();
    assert_eq!(parts, ["input", "head intent", "segment channel=mail", "input", "head intent", "segment channel=mail"]);
    assert_eq!(one("operations: Ledger", "adds_up"), true);
    assert_eq!(one("task: \"segment\"", "segment"), "all records");
    let effects: Vec<_> = answers["task: Effect"].iter().filter_map(|row| row["effect"].as_f64()).collect();
    assert_eq!(effects, [0.11, 0.11]);
}
