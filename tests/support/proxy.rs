//! A TCP proxy that can delay, cut and half-open what goes through it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Passes them on.
    Open,
    /// Passes them on after a while.
    Slow(Duration),
    /// Closes every connection, old and new.
    Cut,
    /// Keeps connections open and passes nothing on.
    HalfOpen,
    /// Keeps the connections that there are open, and never passes anything on for them again; new
    /// ones are as they should be.
    Forget,
}

/// A proxy on a port of its own.
pub struct Proxy {
    pub address: SocketAddr,
    way: watch::Sender<Way>,
    target: watch::Sender<String>,
}

impl Proxy {
    /// Listens; connections go to `target`, which may be set later.
    pub async fn start(target: &str) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (way, ways) = watch::channel(Way::Open);
        let (target, targets) = watch::channel(target.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, targets.borrow().clone(), ways.clone()));
            }
        });
        Proxy { address, way, target }
    }

    pub fn aim(&self, target: &str) {
        self.target.send_replace(target.to_owned());
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }
}

async fn carry(client: TcpStream, target: String, ways: watch::Receiver<Way>) {
    if *ways.borrow() == Way::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(&target).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let forgotten = AtomicBool::new(false);
    tokio::select! {
        () = pass(from_client, to_server, ways.clone(), &forgotten) => {}
        () = pass(from_server, to_client, ways.clone(), &forgotten) => {}
        () = cut(ways.clone()) => {}
        () = forget(ways, &forgotten) => {}
    }
}

/// Notices the next time that connections are to be forgotten, once this one is there.
async fn forget(mut ways: watch::Receiver<Way>, forgotten: &AtomicBool) {
    ways.mark_unchanged();
    while ways.changed().await.is_ok() {
        if *ways.borrow_and_update() == Way::Forget {
            forgotten.store(true, Ordering::Relaxed);
        }
    }
}

async fn cut(mut ways: watch::Receiver<Way>) {
    let _ = ways.wait_for(|way| *way == Way::Cut).await;
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut ways: watch::Receiver<Way>, forgotten: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(count @ 1..) = from.read(&mut buffer).await else { return };
        let way = *ways.borrow();
        if let Way::Slow(delay) = way {
            tokio::time::sleep(delay).await;
        }
        if forgotten.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        if ways.wait_for(|way| *way != Way::HalfOpen).await.is_err() || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}
