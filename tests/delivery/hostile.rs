//! Receivers that hang, drip, redirect inwards, answer without end, storm, throttle and go (OPERATIONS 6.3,
//! rows 24 and 25).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use driftd::deliver;
use driftd::store::{DeskStore, SqlStore, Thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::doors::{Change, doors, route, store, webhook, write};

/// How a server of ours behaves towards a request.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Hang,
    DripHeaders,
    DripBody,
    EndlessBody,
    Slow,
    Say(&'static str),
}

/// A server on a port of its own; counts connections.
async fn server(manner: Manner) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let seen = Arc::new(AtomicUsize::new(0));
    let counter = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(misbehave(stream, manner));
        }
    });
    (url, seen)
}

async fn misbehave(mut stream: TcpStream, manner: Manner) {
    let mut request = [0_u8; 16 << 10];
    let _ = stream.read(&mut request).await;
    // Writing fails when the other side has had enough, and that is the point.
    match manner {
        Manner::Hang => tokio::time::sleep(Duration::from_secs(60)).await,
        Manner::Slow => {
            tokio::time::sleep(SLOW).await;
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
        }
        Manner::DripHeaders => {
            for byte in b"HTTP/1.1 200 OK\r\n".iter().cycle() {
                if stream.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Manner::DripBody => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Manner::EndlessBody => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n").await;
            let block = vec![b'x'; 64 << 10];
            while stream.write_all(&block).await.is_ok() {}
        }
        Manner::Say(answer) => {
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    }
}

const TIMEOUT: Duration = Duration::from_millis(700);
/// What a slow receiver takes for each message: longer than many messages to another take on a busy machine.
const SLOW: Duration = Duration::from_secs(2);

/// State and last outcome of the only delivery to an endpoint.
async fn state(store: &SqlStore, endpoint: &str) -> (String, String) {
    let rows = store.deliveries_in(None, Some(endpoint), 10).await.expect("reads");
    let attempts = store.attempts(&rows[0].delivery_id).await.expect("reads");
    (rows[0].state.clone(), attempts.last().map(|a| a.outcome.clone()).unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_misbehaviour_ends_in_time_and_touches_no_other_endpoint() {
    let (_directory, store) = store().await;
    let redirect =
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data\r\ncontent-length: 0\r\n\r\n";
    let storm = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    let throttle = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";
    let gone = "HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
    let well = "HTTP/1.1 204 No Content\r\n\r\n";
    let table = [
        ("hang", Manner::Hang, "pending", "timeout"),
        ("drip_headers", Manner::DripHeaders, "pending", "timeout"),
        // The status came in time; the rest is nobody's.
        ("drip_body", Manner::DripBody, "delivered", "delivered"),
        ("endless_body", Manner::EndlessBody, "delivered", "delivered"),
        ("redirect", Manner::Say(redirect), "pending", "redirect"),
        ("storm", Manner::Say(storm), "pending", "server_error"),
        ("throttle", Manner::Say(throttle), "pending", "rate_limited"),
        ("gone", Manner::Say(gone), "disabled", "gone"),
        ("nonsense", Manner::Say("SSH-2.0-OpenSSH_9.2\r\n"), "pending", "unreachable"),
        ("well", Manner::Say(well), "delivered", "delivered"),
    ];
    let mut routes = Vec::new();
    for (name, manner, _, _) in table {
        let (url, _) = server(manner).await;
        routes.push(route(name, webhook(&url), TIMEOUT));
    }
    let names: Vec<&str> = table.iter().map(|(name, ..)| *name).collect();
    let doors = doors(Arc::new(store.clone()), routes);
    let now = doors.clock.now();
    write(
        &store,
        Change { alert: "al_1", event: "firing", number: 1, endpoints: &names, now, thread: Thread::default() },
    )
    .await;
    let began = Instant::now();
    assert_eq!(deliver::step(&doors).await.expect("steps"), table.len());
    assert!(began.elapsed() < TIMEOUT * 3, "all at once, each within its deadline: {:?}", began.elapsed());
    for (name, _, expected, outcome) in table {
        assert_eq!(state(&store, name).await, (expected.to_owned(), outcome.to_owned()), "{name}");
    }
    // Whoever asked to be left alone is; who is gone gets nothing more until somebody says so.
    let again = now.plus(driftd::drift::time::Span::from_secs(600));
    let claimed = driftd::store::DeliverStore::claim(&store, again, again).await.expect("claims");
    let due: Vec<&str> = claimed.iter().map(|d| d.endpoint.as_str()).collect();
    assert!(!due.contains(&"throttle") && !due.contains(&"gone") && due.contains(&"hang"), "{due:?}");
}

/// Whoever relied on a receiver that is gone does not notice silence: somebody else is told, once.
#[tokio::test(flavor = "multi_thread")]
async fn others_hear_that_an_endpoint_is_disabled() {
    let (_directory, store) = store().await;
    let (gone, _) = server(Manner::Say("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")).await;
    let (well, seen) = server(Manner::Say("HTTP/1.1 204 No Content\r\n\r\n")).await;
    let mut routes =
        ["gone", "ops", "team"].map(|name| route(name, webhook(if name == "gone" { &gone } else { &well }), TIMEOUT));
    for (name, route) in &mut routes {
        route.pipeline = *name != "team";
    }
    let doors = doors(Arc::new(store.clone()), routes);
    let thread = Thread::default;
    for (alert, number) in [("al_1", 1), ("al_2", 2)] {
        let now = doors.clock.now();
        write(&store, Change { alert, event: "firing", number, endpoints: &["gone"], now, thread: thread() }).await;
    }
    deliver::step(&doors).await.expect("steps");
    let waiting = driftd::store::DeliverStore::waiting(&store, "ops", 10).await.expect("reads");
    assert!(waiting[0].body.contains("endpoint `gone` answered 410"), "{}", waiting[0].body);
    while deliver::step(&doors).await.expect("steps") > 0 {}
    let told = store.deliveries_in(None, Some("ops"), 10).await.expect("reads");
    let [message] = told.as_slice() else { panic!("one message: {told:?}") };
    assert_eq!((message.event.as_str(), message.state.as_str()), ("endpoint.disabled", "delivered"));
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    for (endpoint, messages) in [("team", 0), ("gone", 2)] {
        assert_eq!(store.deliveries_in(None, Some(endpoint), 10).await.expect("reads").len(), messages, "{endpoint}");
    }
}

/// One alert of a batch is wrong: Alertmanager took the others and says 400 all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_partial_400_is_sent_again_one_by_one() {
    use axum::http::StatusCode;
    use serde_json::Value;
    let bodies: Arc<std::sync::Mutex<Vec<Value>>> = Arc::default();
    let seen = bodies.clone();
    let take = move |axum::Json(alerts): axum::Json<Vec<Value>>| {
        let bad = alerts.iter().any(|a| a["annotations"]["driftd_id"] == "al_2");
        seen.lock().expect("not poisoned").push(alerts.into());
        async move { if bad { StatusCode::BAD_REQUEST } else { StatusCode::OK } }
    };
    let router = axum::Router::new().route("/api/v2/alerts", axum::routing::post(take));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/api/v2/alerts", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });

    let (_directory, store) = store().await;
    let target =
        driftd::hook::receiver::Target::Alertmanager { urls: vec![super::support::secret(&url)], bearer: None };
    let doors = doors(Arc::new(store.clone()), [route("am", target, TIMEOUT)]);
    let now = doors.clock.now();
    let thread = Thread { group_key: "g".into(), ..Thread::default() };
    for alert in ["al_1", "al_2", "al_3"] {
        let change = Change { alert, event: "firing", number: 1, endpoints: &["am"], now, thread: thread.clone() };
        write(&store, change).await;
    }
    deliver::step(&doors).await.expect("steps");
    let sizes: Vec<usize> =
        bodies.lock().expect("not poisoned").iter().map(|b| b.as_array().map_or(0, Vec::len)).collect();
    assert_eq!(sizes, [3, 1, 1, 1], "the batch, then each by itself");
    assert_eq!(state(&store, "am").await.0, "pending", "what was refused is not called delivered");
}

/// One of three instances is down, one hangs: the third is enough.
#[tokio::test(flavor = "multi_thread")]
async fn one_alertmanager_of_a_cluster_is_enough() {
    let (well, seen) = server(Manner::Say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let (hangs, _) = server(Manner::Hang).await;
    let urls = ["http://127.0.0.1:1/", hangs.as_str(), well.as_str()].map(super::support::secret).to_vec();
    let (_directory, store) = store().await;
    let target = driftd::hook::receiver::Target::Alertmanager { urls, bearer: None };
    let doors = doors(Arc::new(store.clone()), [route("am", target, TIMEOUT)]);
    let change = Change {
        alert: "al_1",
        event: "firing",
        number: 1,
        endpoints: &["am"],
        now: doors.clock.now(),
        thread: Thread::default(),
    };
    write(&store, change).await;
    deliver::step(&doors).await.expect("steps");
    assert_eq!(state(&store, "am").await, ("delivered".to_owned(), "delivered".to_owned()));
    assert_eq!(seen.load(Ordering::Relaxed), 1);
}

/// A receiver that takes its time with every message holds back no other: each endpoint has a queue of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_holds_back_no_other() {
    const MESSAGES: usize = 20;
    let (slow, slowly) = server(Manner::Slow).await;
    let (well, seen) = server(Manner::Say("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n")).await;
    let (_directory, store) = store().await;
    let routes = [("slow", slow), ("well", well)].map(|(name, url)| route(name, webhook(&url), SLOW * 5));
    let doors = doors(Arc::new(store.clone()), routes);
    for number in 0..MESSAGES as i64 {
        let (alert, now) = (format!("al_{number}"), doors.clock.now());
        let endpoints = &["slow", "well"];
        write(&store, Change { alert: &alert, event: "firing", number, endpoints, now, thread: Thread::default() })
            .await;
    }
    let (written, shutdown) = (Arc::default(), tokio_util::sync::CancellationToken::new());
    let running = tokio::spawn(deliver::run(Arc::into_inner(doors).expect("ours"), written, shutdown.clone()));
    super::support::eventually("the quick one's messages", Duration::from_secs(60), async || {
        (seen.load(Ordering::Relaxed) == MESSAGES).then_some(())
    })
    .await;
    let slowly = slowly.load(Ordering::Relaxed);
    assert!((1..MESSAGES / 2).contains(&slowly), "{slowly} of {MESSAGES} to the slow one meanwhile");
    // The end waits for what is under way, and records it.
    shutdown.cancel();
    running.await.expect("ends");
    let delivered = store.deliveries_in(Some("delivered"), None, 100).await.expect("reads").len();
    assert!(delivered >= MESSAGES + slowly, "{delivered}: what was sent is recorded");
}

/// Ten thousand changes waited for a chat that was down: a handful of messages tells them.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_to_a_receiver_that_was_down_is_a_few_digests() {
    let (url, seen) = server(Manner::Say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")).await;
    let (_directory, store) = store().await;
    let target = driftd::hook::receiver::Target::Slack { url: super::support::secret(&url) };
    let doors = doors(Arc::new(store.clone()), [route("chat", target, TIMEOUT)]);
    // They were written long ago.
    let now = doors.clock.now().minus(driftd::drift::time::Span::from_secs(3_600));
    let deliveries: Vec<driftd::store::NewDelivery> = (0..10_000)
        .map(|i| driftd::store::NewDelivery {
            delivery_id: format!("msg_{i:05}"),
            endpoint: "chat".into(),
            event: "drift.alarm.updated".into(),
            model: "m".into(),
            body: super::doors::body(&format!("al_{}", i % 50), "updated").to_string(),
            thread: Thread { alert_id: Some(format!("al_{}", i % 50)), ..Thread::default() },
        })
        .collect();
    driftd::store::DeliverStore::write(&store, &deliveries, now).await.expect("writes");
    while deliver::step(&doors).await.expect("steps") > 0 {}
    let sent = seen.load(Ordering::Relaxed);
    assert!((10..=40).contains(&sent), "{sent} messages for 10000 changes of 50 alerts");
    assert!(store.deliveries_in(Some("pending"), None, 10).await.expect("reads").is_empty());
    let merged = store.deliveries_in(Some("merged"), None, 20_000).await.expect("reads").len();
    assert_eq!(merged + sent, 10_000, "each change was told");
}
