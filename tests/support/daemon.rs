//! The real binary as a process of its own.

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// What a daemon is told.
#[derive(Clone)]
pub struct Setup {
    pub directory: PathBuf,
    pub manifest: PathBuf,
    pub reference: PathBuf,
    pub brokers: String,
    pub topic: String,
    pub dead_letter_topic: String,
    /// Where topics are begun: `earliest` or `latest`.
    pub begin: &'static str,
    pub store: String,
    pub receiver: String,
    pub infer: &'static str,
    pub budget: &'static str,
    /// Another line of the model.
    pub model: String,
    /// What stands in `window: {…}`.
    pub window: String,
    /// What stands in `collect: {…}`.
    pub collect: String,
    /// What stands in `kafka.properties: {…}`.
    pub properties: String,
    /// What follows the store's address.
    pub store_more: String,
    /// What stands in `retraining: {…}` of the model.
    pub retraining: &'static str,
    /// What `api.auth` is.
    pub auth: &'static str,
    /// More lines at the top level.
    pub more: String,
    pub roles: &'static str,
    pub env: Vec<(String, String)>,
}

/// A session that a broker ends soon after its member has died.
pub const CLASSIC: &str = "session.timeout.ms: '3000', heartbeat.interval.ms: '500'";

/// A running daemon; killed when dropped.
pub struct Daemon {
    pub child: Child,
    pub api: String,
    pub ops: String,
    log: PathBuf,
}

/// A port on which a server may be started, and started again, by this process alone. It lies below the range from
/// which the system takes the local ports of outgoing connections: there any client may take it in between.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        // Another test process at the same time begins elsewhere.
        let taken = NEXT.fetch_add(1, Ordering::Relaxed) + std::process::id() * 97;
        let port = 20_000 + (taken % 12_000) as u16;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Setup {
    /// Writes the configuration; `driftd` reads it at its start.
    pub fn write(&self, api: u16, ops: u16) -> PathBuf {
        let file = self.directory.join(format!("driftd-{api}.yaml"));
        let text = format!(
            "kafka:\n  brokers: '{brokers}'\n  group: '{topic}'\n  topics: ['{topic}']\n  start: {begin}\n\
             \x20 dead_letter_topic: '{dead}'\n  decoders: 3\n  properties: {{{properties}}}\n\
             store: {{url: {{env: TEST_STORE}}{store_more}}}\n\
             models:\n  - manifest: '{manifest}'\n    reference: '{reference}'\n    device: auto\n    infer: {infer}\n\
             \x20   budget: {budget}\n    window: {{{window}}}\n    retraining: {{{retraining}}}\n\
             \x20   {model}\n\
             collect: {{{collect}}}\n\
             endpoints:\n  - {{name: test, url: '{receiver}', secret: {{env: TEST_SECRET}}}}\n\
             api: {{listen: '127.0.0.1:{api}', auth: {auth}}}\nops: {{listen: '127.0.0.1:{ops}'}}\n{more}",
            brokers = self.brokers,
            topic = self.topic,
            dead = self.dead_letter_topic,
            begin = self.begin,
            properties = self.properties,
            manifest = self.manifest.display(),
            reference = self.reference.display(),
            infer = self.infer,
            budget = self.budget,
            model = self.model,
            window = self.window,
            collect = self.collect,
            receiver = self.receiver,
            store_more = self.store_more,
            retraining = self.retraining,
            auth = self.auth,
            more = self.more,
        );
        std::fs::write(&file, text).expect("written");
        file
    }

    /// Starts the real binary.
    pub fn start(&self) -> Daemon {
        let (api, ops) = (free_port(), free_port());
        let file = self.write(api, ops);
        let path = self.directory.join("driftd.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(&path).expect("a log");
        let mut command = super::driftd();
        command.args(["run", "--roles", self.roles, "-c"]).arg(&file);
        command.env("TEST_STORE", &self.store).env("TEST_SECRET", super::SECRET).envs(self.env.iter().cloned());
        let child = command.stdout(Stdio::null()).stderr(log).spawn().expect("the daemon starts");
        Daemon { child, api: format!("http://127.0.0.1:{api}"), ops: format!("http://127.0.0.1:{ops}"), log: path }
    }

    /// The log of all daemons that had this directory.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.join("driftd.log")).unwrap_or_default()
    }
}

impl Daemon {
    /// Waits until it is ready.
    pub async fn ready(&mut self, limit: Duration) {
        let url = format!("{}/readyz", self.ops);
        let deadline = Instant::now() + limit;
        let _ = rustls::crypto::ring::default_provider().install_default();
        loop {
            if reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.try_wait().expect("asked");
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(ended.is_none() && Instant::now() < deadline, "not ready ({ended:?}):\n{}", log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What the readiness probe says: whether it is ready, and its words.
    pub async fn readiness(&self) -> Option<(bool, String)> {
        let answer = reqwest::get(format!("{}/readyz", self.ops)).await.ok()?;
        Some((answer.status().is_success(), answer.text().await.ok()?))
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    /// SIGKILL, and waits for the end.
    pub async fn kill(mut self) {
        let _ = self.child.kill();
        self.end().await;
    }

    /// Waits for its end.
    pub async fn end(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.child.try_wait().expect("asked") {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGTERM; returns how long it took to end with exit code 0.
    pub async fn terminate(mut self) -> Duration {
        let began = Instant::now();
        self.signal("-TERM");
        let status = self.end().await;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        assert!(status.success(), "ended with {status}:\n{log}");
        began.elapsed()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
