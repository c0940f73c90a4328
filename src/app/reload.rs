//! The configuration's file while the process runs: SIGHUP reads it again, and so does a change of what it
//! holds. Which settings take effect and which wait for a restart is [`crate::config::live`]'s to say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::access::jwt::KeySource;
use crate::api::access::Access;
use crate::api::access::tokens::Tokens;
use crate::api::settings::{Refused, Settings};
use crate::config::access::{KeySetAt, Oidc};
use crate::config::live::{Live, Reread, Running};
use crate::hook::key_set::{KeySetFile, KeySetUrl};
use crate::telemetry::Levels;
use crate::{clock, metrics};

/// How often the file is looked at. Looking, and not being told, sees a Kubernetes ConfigMap change too: there
/// the file is a link into a folder that another one replaces.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a file held; `None` where it could not be read.
pub type Print = Option<[u8; 32]>;

/// What the file holds.
pub fn print(file: &Path) -> Print {
    std::fs::read(file).ok().map(|bytes| Sha256::digest(bytes).into())
}

/// Where new settings go.
pub struct Doors {
    /// The loops that look at them at each step.
    pub live: watch::Sender<Live>,
    /// The API's door, where this process has one.
    pub access: Option<Arc<Access>>,
    /// What people are shown.
    pub settings: Settings,
    /// What is logged.
    pub levels: Levels,
}

/// SIGHUP, listened to from now on: until then it would end the process.
///
/// # Errors
/// If signals cannot be listened to.
pub fn hang_up() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("SIGHUP cannot be listened to")
}

/// Follows the file, which held `seen` when it was read last, until `shutdown`.
pub async fn run(mut running: Running, mut seen: Print, doors: Doors, mut told: Signal, shutdown: CancellationToken) {
    // A file that is being written is left alone until two looks see the same.
    let mut changing: Option<Print> = None;
    loop {
        let asked = tokio::select! {
            () = shutdown.cancelled() => return,
            Some(()) = told.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let now = print(running.file());
        let settled = now != seen && changing == Some(now);
        changing = (now != seen && !settled).then_some(now);
        if !(asked || settled) {
            continue;
        }
        (seen, changing) = (now, None);
        let read = tokio::task::spawn_blocking(move || {
            let reread = running.read_again();
            (running, reread)
        });
        let Ok((back, reread)) = read.await else { return };
        running = back;
        match reread.map_err(anyhow::Error::from).and_then(|reread| doors.take(reread)) {
            Ok(changed) => metrics::reloaded(if changed { "taken" } else { "unchanged" }),
            Err(error) => {
                let why = format!("{error:#}");
                tracing::error!(why, "the changed configuration is refused: all settings stay as they were");
                metrics::reloaded("refused");
                doors.settings.refuse(Refused { at: clock::now(), why });
            }
        }
    }
}

/// Who takes the bearer tokens of an issuer.
///
/// # Errors
/// If no client can be made for its address.
pub fn tokens(oidc: &Oidc) -> anyhow::Result<Tokens> {
    let source: Arc<dyn KeySource> = match &oidc.key_set {
        KeySetAt::Url(url) => Arc::new(KeySetUrl::new(url).context("the issuer's keys")?),
        KeySetAt::File(file) => Arc::new(KeySetFile(file.clone())),
    };
    Ok(Tokens::new(oidc.expected.clone(), oidc.grants.clone(), source))
}

impl Doors {
    /// Puts settings in force; whether any is another.
    fn take(&self, reread: Reread) -> anyhow::Result<bool> {
        let Reread { live, shown, taken, waiting } = reread;
        // First what can fail.
        let before = self.live.borrow().clone();
        let tokens = live.oidc.as_ref().filter(|oidc| before.oidc.as_ref() != Some(oidc)).map(tokens).transpose()?;
        if live.log_levels != before.log_levels {
            self.levels.set(live.log_levels.as_deref());
        }
        if let Some(access) = &self.access {
            access.limit_to(live.limit);
            if let Some(tokens) = tokens {
                access.take_tokens(tokens);
            }
        }
        if live != before {
            self.live.send_replace(live);
        }
        let mut in_force = self.settings.in_force();
        (in_force.shown, in_force.read_at, in_force.refused) = (shown, Some(clock::now()), None);
        in_force.waiting.clone_from(&waiting);
        self.settings.replace(in_force);
        metrics::waiting_settings(waiting.len());
        tracing::info!(?taken, "the configuration was read again");
        if !waiting.is_empty() {
            tracing::warn!(?waiting, "changed settings wait for a restart");
        }
        Ok(!taken.is_empty())
    }
}
