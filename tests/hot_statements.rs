//! The API's statements on tables that grow go through an index: each touches about the rows that it shows.

mod support;

#[path = "../examples/scale.rs"]
#[allow(dead_code, reason = "its measurement is for the command line")]
mod scale;

use std::time::{Duration, Instant};

use driftd::drift::time::Timestamp;
use driftd::store::*;
use sqlx::{AnyConnection, Connection as _, Row as _};

/// Tables that grow with time.
const GROWING: &str = "^(report|statistic)_d|^(alert|alert_transition|delivery|delivery_attempt|retraining_request)$";
/// Rows that a read may touch: more than any page holds, and far fewer than any of the tables.
const MOST_ROWS: i64 = 4_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_touches_a_page_of_rows_and_not_the_table() {
    let url = support::fresh_database().await;
    scale::fill(&url, 60, 12, 100).await.expect("filled");
    let mut connection = AnyConnection::connect(&url).await.expect("connects");
    for (table, least) in [("report", 17_280), ("statistic", 414_720), ("alert", 6_000), ("delivery", 12_000)] {
        let statement = sqlx::AssertSqlSafe(format!("select count(*) as n from {table}"));
        let row = sqlx::query(statement).fetch_one(&mut connection).await.expect("reads");
        assert_eq!(row.get::<i64, _>("n"), least, "{table}");
    }
    let (page, few) = (Page { limit: 100, before_us: i64::MAX }, Page { limit: 20, before_us: i64::MAX });
    let one = |task: Option<&str>, segment: Option<&str>| StatisticFilter {
        scope: Some("head".into()),
        task: task.map(Into::into),
        segment: segment.map(Into::into),
        signal: Some("confidence".into()),
    };
    let time = |text: &str| Timestamp::parse(text).expect("a time");
    // Each with connections of its own: what they read is known once they are closed.
    for read in 0..14 {
        let before = touched(&mut connection).await;
        let store = SqlStore::open(&support::secret(&url)).await.expect("opens");
        let found = match read {
            0 => store.standings(None).await.expect("read").len(),
            1 => store.standings(Some("model_7")).await.expect("read").len(),
            2 => store.windows("model_7", page).await.expect("read").len(),
            3 => usize::from(store.window("model_7", time("2026-08-03T05:00:00Z")).await.expect("read").is_some()),
            4 => store.window_statistics("model_7", time("2026-08-03T05:00:00Z")).await.expect("read").len(),
            5 => store.statistics("model_7", &StatisticFilter::default(), page).await.expect("read").len(),
            6 => store.statistics("model_7", &one(Some("task_3"), Some("")), page).await.expect("read").len(),
            7 => store.statistics("model_7", &one(Some("task_3"), None), page).await.expect("read").len(),
            8 => store.alerts(None, few).await.expect("read").len(),
            9 => store.alerts(Some("model_7"), few).await.expect("read").len(),
            10 => store.transitions_of(None, few).await.expect("read").len(),
            11 => store.deliveries(None, few).await.expect("read").len(),
            12 => store.requests(Some("model_7"), few).await.expect("read").len(),
            _ => store.changes(time("2026-08-12T23:00:00Z")).await.expect("read").len(),
        };
        store.close().await;
        assert!(found > 0, "read {read} finds something");
        let rows = touched(&mut connection).await - before;
        assert!(rows <= MOST_ROWS, "read {read} touches {rows} rows for {found}");
    }
}

/// Rows that were read of growing tables so far, by index or from end to end. What a connection did is
/// counted when it ends.
async fn touched(connection: &mut AnyConnection) -> i64 {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let others = "select count(*) as n from pg_stat_activity where datname = current_database()
            and backend_type = 'client backend' and pid <> pg_backend_pid()";
        let row = sqlx::query(others).fetch_one(&mut *connection).await.expect("reads");
        if row.get::<i64, _>("n") == 0 {
            break;
        }
        assert!(Instant::now() < deadline, "connections do not end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let statement = format!(
        "select cast(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) as bigint) as n from pg_stat_user_tables
         where relname ~ '{GROWING}'"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(statement)).fetch_one(connection).await.expect("reads");
    row.get("n")
}
