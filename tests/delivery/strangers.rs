//! Receivers behind TLS that are not who they should be, and names that lead inwards, by the whole deliver
//! loop (OPERATIONS 6.3, row 24).

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use driftd::clock::Clock;
use driftd::deliver::{self, Doors, Route};
use driftd::drift::time::{Span, Timestamp};
use driftd::hook::guard::{Lookup, Trust};
use driftd::hook::http::Options;
use driftd::hook::receiver::Receiver;
use driftd::store::{AttemptRow, DeliverStore, DeskStore, SqlStore, Thread};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::doors::{Change, doors, message_id, route_over, store, webhook, write};

/// Longer than a handshake takes on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(2);
const NAME: &str = "hooks.test";

/// Signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Authority(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    fn pem(&self) -> Vec<u8> {
        self.0.pem().into_bytes()
    }

    /// What a server says of itself: for these names, until the beginning of a year.
    fn face(&self, names: &[&str], until: i32) -> Face {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        Face::Tls(Arc::new(config.with_single_cert(vec![certificate.der().clone()], key).expect("a pair")))
    }
}

/// How a server meets a connection.
#[derive(Clone)]
enum Face {
    Tls(Arc<ServerConfig>),
    /// It answers HTTP to whatever it is sent.
    Plain,
    /// It takes the connection, and is silent.
    Silent,
    /// It hangs up in the middle of the handshake.
    HangsUp,
}

/// A server whose face a test changes.
struct Server {
    address: SocketAddr,
    face: Arc<Mutex<Face>>,
    answer: Arc<Mutex<String>>,
    connections: Arc<AtomicUsize>,
    /// Ids of the messages that were read.
    ids: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(face: Face) -> Server {
        Server::on(TcpListener::bind("127.0.0.1:0").await.expect("a port"), face)
    }

    /// On a port that the guard allows, at a local address that nobody else has.
    async fn on_8443(face: Face) -> Server {
        for third in 1..255 {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::new(127, 77, third, 1), 8443)).await {
                return Server::on(listener, face);
            }
        }
        panic!("port 8443 is taken at 254 local addresses");
    }

    fn on(listener: TcpListener, face: Face) -> Server {
        let address = listener.local_addr().expect("an address");
        let answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_owned();
        let server = Server {
            address,
            face: Arc::new(Mutex::new(face)),
            answer: Arc::new(Mutex::new(answer)),
            connections: Arc::default(),
            ids: Arc::default(),
        };
        let (face, answer) = (server.face.clone(), server.answer.clone());
        let (connections, ids) = (server.connections.clone(), server.ids.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                let face = face.lock().expect("not poisoned").clone();
                let answer = answer.lock().expect("not poisoned").clone();
                tokio::spawn(meet(stream, face, answer, ids.clone()));
            }
        });
        server
    }

    fn url(&self) -> String {
        format!("https://{NAME}:{}/very-secret-path", self.address.port())
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn ids(&self) -> Vec<String> {
        self.ids.lock().expect("not poisoned").clone()
    }
}

async fn meet(mut stream: TcpStream, face: Face, answer: String, ids: Arc<Mutex<Vec<String>>>) {
    match face {
        Face::Tls(config) => {
            if let Ok(stream) = TlsAcceptor::from(config).accept(stream).await {
                talk(stream, &answer, &ids).await;
            }
        }
        Face::Plain => {
            // The first line that is no HTTP is enough for a server to say so.
            let _ = stream.read(&mut [0_u8; 1 << 10]).await;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        }
        Face::Silent => tokio::time::sleep(Duration::from_secs(60)).await,
        Face::HangsUp => {
            let _ = stream.read(&mut [0_u8; 16]).await;
        }
    }
}

/// Reads a request to the end of its headers, and answers.
async fn talk(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, ids: &Mutex<Vec<String>>) {
    let (mut request, mut block) = (Vec::new(), [0_u8; 4 << 10]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut block).await {
            Ok(read) if read > 0 && request.len() < 1 << 20 => request.extend_from_slice(&block[..read]),
            _ => break,
        }
    }
    let text = String::from_utf8_lossy(&request);
    let id = text.lines().find_map(|line| line.strip_prefix("webhook-id: "));
    ids.lock().expect("not poisoned").extend(id.map(str::to_owned));
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Answers of a name server, one a question; the last is given for ever.
struct Names {
    answers: Mutex<VecDeque<Vec<IpAddr>>>,
    asked: AtomicUsize,
}

impl Names {
    fn new(answers: impl IntoIterator<Item = Vec<IpAddr>>) -> Arc<Names> {
        Arc::new(Names { answers: Mutex::new(answers.into_iter().collect()), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Lookup for Names {
    async fn lookup(&self, host: &str) -> std::io::Result<Vec<IpAddr>> {
        assert_eq!(host, NAME);
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().expect("not poisoned");
        let last = answers.len() == 1;
        Ok(if last { answers[0].clone() } else { answers.pop_front().expect("an answer") })
    }
}

/// An endpoint, by a resolver of the test's.
fn endpoint(name: &str, url: &str, trust: Trust, authority: &Authority, names: Arc<Names>) -> (String, Route) {
    let options = Options { trust, deadline: TIMEOUT, authorities: Some(authority.pem()), lookup: names };
    let receiver = Receiver::over(name, webhook(url), Some("https://driftd.example"), options).expect("a receiver");
    route_over(name, receiver, true, TIMEOUT)
}

/// A loop whose time the test moves, and a message to each endpoint.
struct House {
    _directory: tempfile::TempDir,
    store: SqlStore,
    doors: Arc<Doors>,
    now: Arc<Mutex<Timestamp>>,
}

impl House {
    async fn new(routes: Vec<(String, Route)>) -> House {
        let (directory, store) = store().await;
        let names: Vec<String> = routes.iter().map(|(name, _)| name.clone()).collect();
        let mut doors = Arc::into_inner(doors(Arc::new(store.clone()), routes)).expect("nobody else has it");
        let now = Arc::new(Mutex::new(Timestamp::parse("2026-11-22T10:30:00Z").expect("a time")));
        let shown = now.clone();
        doors.clock = Clock::from_fn(move || *shown.lock().expect("not poisoned"));
        let house = House { _directory: directory, store, doors: Arc::new(doors), now };
        let endpoints: Vec<&str> = names.iter().map(String::as_str).collect();
        write(&house.store, house.change(&endpoints)).await;
        house
    }

    fn change<'a>(&self, endpoints: &'a [&'a str]) -> Change<'a> {
        Change { alert: "al_1", event: "firing", number: 1, endpoints, now: self.now(), thread: Thread::default() }
    }

    fn now(&self) -> Timestamp {
        *self.now.lock().expect("not poisoned")
    }

    fn later(&self, span: Span) {
        let mut now = self.now.lock().expect("not poisoned");
        *now = now.plus(span);
    }

    async fn step(&self) -> usize {
        deliver::step(&self.doors).await.expect("steps")
    }

    /// The state of an endpoint's message, and its attempts.
    async fn told(&self, endpoint: &str) -> (String, Vec<AttemptRow>) {
        let id = message_id(&self.change(&[]), endpoint);
        let row = self.store.delivery(&id).await.expect("reads").expect("a message");
        (row.state, self.store.attempts(&id).await.expect("reads"))
    }
}

/// The last attempt's outcome, and what was said.
fn last(attempts: &[AttemptRow]) -> (&str, &str) {
    let attempt = attempts.last().expect("an attempt");
    (attempt.outcome.as_str(), attempt.detail.as_deref().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_who_it_should_be_gets_nothing_and_people_read_why() {
    let (authority, stranger) = (Authority::new("known"), Authority::new("stranger"));
    let well = authority.face(&[NAME], 2100);
    let many = ["a.test", "b.test", "c.test", "d.test", "e.test"];
    let table = [
        ("expired", authority.face(&[NAME], 2020), "tls_error", "expired at 2020-01-01T00:00:00"),
        ("wrong_name", authority.face(&["other.test"], 2100), "tls_error", "for other names: `other.test`"),
        ("wrong_names", authority.face(&many, 2100), "tls_error", "`a.test`, `b.test`, `c.test` and 2 more"),
        ("unknown", stranger.face(&[NAME], 2100), "tls_error", "an authority that is not trusted here"),
        ("plain", Face::Plain, "tls_error", "does not speak TLS"),
        ("silent", Face::Silent, "timeout", "gave no answer within 2 s"),
        ("hangs_up", Face::HangsUp, "unreachable", "cannot be reached"),
    ];
    let mut servers = Vec::new();
    let mut routes = Vec::new();
    for (name, face, ..) in &table {
        let server = Server::start(face.clone()).await;
        let names = Names::new([vec![server.address.ip()]]);
        routes.push(endpoint(name, &server.url(), Trust::Operator, &authority, names));
        servers.push(server);
    }
    let house = House::new(routes).await;
    for round in 1..=3_u32 {
        assert_eq!(house.step().await, table.len());
        for ((name, _, outcome, words), server) in table.iter().zip(&servers) {
            let (state, attempts) = house.told(name).await;
            let (found, said) = last(&attempts);
            assert_eq!(
                (state.as_str(), attempts.len(), found),
                ("pending", round as usize, *outcome),
                "{name}: {said}"
            );
            assert!(said.contains(words) && said.contains(NAME) && !said.contains("secret"), "{name}: {said}");
            // The request is not sent before the server has shown who it is; `plain` reads a handshake.
            assert!(server.ids().is_empty() && server.connections() == round as usize, "{name}");
        }
        // It is tried again after a wait that may double with each failure, and no sooner than a tenth of it.
        let bound = Span::from_secs(2 << (round - 1));
        let soon = house.now().plus(Span::from_micros(bound.micros() / 10 - 1));
        assert!(house.store.claim(soon, soon).await.expect("claims").is_empty());
        house.later(bound);
    }
    // Each is mended in its own time, and gets the same message once.
    for server in &servers {
        *server.face.lock().expect("not poisoned") = well.clone();
    }
    house.later(Span::from_secs(3_600));
    while house.step().await > 0 {}
    for ((name, ..), server) in table.iter().zip(&servers) {
        let (state, attempts) = house.told(name).await;
        assert_eq!((state.as_str(), last(&attempts)), ("delivered", ("delivered", "")), "{name}");
        assert_eq!(server.ids(), [message_id(&house.change(&[]), name)], "{name}");
    }
}

/// Not routed, and belongs to nobody since 2006: a public address for the guard, and nobody is disturbed.
const PUBLIC: &str = "3ffe::1";

/// A name that is public when it is first looked up and leads inwards later is never followed there.
#[tokio::test]
async fn a_name_that_turns_inwards_is_never_connected_to() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let counted = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let authority = Authority::new("known");
    let server = Server::on_8443(authority.face(&[NAME], 2100)).await;
    let IpAddr::V4(inner) = server.address.ip() else { panic!("an address of version 4") };
    let public: IpAddr = PUBLIC.parse().expect("an address");
    let (inside, mapped) = (IpAddr::V4(inner), IpAddr::V6(inner.to_ipv6_mapped()));
    let metadata: IpAddr = "169.254.169.254".parse().expect("an address");
    let outside = ["unreachable", "timeout"];
    let table = [
        (vec![public], &outside[..], "hooks.test"),
        (vec![inside], &["refused_address"], "this machine"),
        (vec![mapped], &["refused_address"], "this machine"),
        (vec![metadata, inside], &["refused_address"], "belongs to"),
        (vec![public, inside, mapped], &outside, "hooks.test"),
        (vec![inside, public], &outside, "hooks.test"),
    ];
    let names = Names::new(table.iter().map(|(addresses, ..)| addresses.clone()));
    let literal = format!("https://[::ffff:{inner}]:8443/very-secret-path");
    let house = House::new(vec![
        endpoint("turns", &server.url(), Trust::Api, &authority, names.clone()),
        endpoint("literal", &literal, Trust::Api, &authority, Names::new([vec![]])),
    ])
    .await;
    for (round, (addresses, outcomes, words)) in table.iter().enumerate() {
        house.step().await;
        let (state, attempts) = house.told("turns").await;
        let (outcome, said) = last(&attempts);
        assert_eq!((state.as_str(), attempts.len()), ("pending", round + 1), "{addresses:?}");
        assert!(outcomes.contains(&outcome) && said.contains(words), "{addresses:?}: {outcome}, {said}");
        assert_eq!(names.asked.load(Ordering::Relaxed), round + 1, "one look a try: nothing changes in between");
        house.later(Span::from_secs(3_600));
    }
    let (state, attempts) = house.told("literal").await;
    assert_eq!((state.as_str(), last(&attempts).0), ("pending", "refused_address"));
    assert_eq!(server.connections(), 0, "nobody came");
    let counted = counted.render();
    for (endpoint, count) in [("turns", 3), ("literal", table.len())] {
        let line = format!("driftd_deliveries_total{{endpoint=\"{endpoint}\",outcome=\"refused_address\"}} {count}\n");
        assert!(counted.contains(&line), "{line}{counted}");
    }

    // There was somebody to come to: the operator's own address is reached at the same place.
    let names = Names::new([vec![inside]]);
    let house = House::new(vec![endpoint("own", &server.url(), Trust::Operator, &authority, names)]).await;
    house.step().await;
    assert_eq!((house.told("own").await.0.as_str(), server.connections()), ("delivered", 1));
}

/// A receiver that sends us on, to a server that would answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_inwards_is_not_followed() {
    let authority = Authority::new("known");
    let (outer, inner) = (Server::start(authority.face(&[NAME], 2100)).await, Server::start(Face::Plain).await);
    let names = Names::new([vec![outer.address.ip()]]);
    let house = House::new(vec![endpoint("sends_on", &outer.url(), Trust::Operator, &authority, names)]).await;
    for (round, status) in
        ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"].iter().enumerate()
    {
        let head = format!("HTTP/1.1 {status}\r\nlocation: http://{}/\r\n", inner.address);
        *outer.answer.lock().expect("not poisoned") = head + "content-length: 0\r\nconnection: close\r\n\r\n";
        house.step().await;
        let (state, attempts) = house.told("sends_on").await;
        let (outcome, said) = last(&attempts);
        assert_eq!((state.as_str(), outcome, outer.connections()), ("pending", "redirect", round + 1));
        assert!(said.contains("redirects are not followed"), "{said}");
        house.later(Span::from_secs(3_600));
    }
    assert_eq!(inner.connections(), 0);
}
