//! A TCP proxy that stands between clients and the broker, and can become a black hole or a closed door.
//!
//! What a firewall does that forgets its connections: bytes are taken and go nowhere, and nobody is told. A connection that
//! has lost bytes never carries any again, since what came after the hole would be no protocol any more; its client has
//! to give it up by itself. Deliberately absent: any knowledge of the bytes, slowness, and loss of single packets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::Outcome;

const BUFFER_BYTES: usize = 65_536;
/// More clients than any test has.
const MOST_CONNECTIONS: usize = 1_000;

/// What happens to bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage {
    /// They go to the other side.
    Open,
    /// They are taken, in both directions, and go nowhere; connections stay open, new ones are accepted.
    Swallow,
    /// Connections are closed, new ones refused.
    Refuse,
}

/// A proxy on a loopback port; it ends when this is dropped.
pub struct Proxy {
    address: SocketAddr,
    passage: watch::Sender<Passage>,
    accepting: JoinHandle<Outcome>,
}

impl Proxy {
    /// In front of `upstream`, which need not listen yet.
    pub async fn start(upstream: SocketAddr) -> Outcome<Self> {
        let port = tokio::task::spawn_blocking(dev_stack::free_port).await??;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let (address, (passage, watched)) = (listener.local_addr()?, watch::channel(Passage::Open));
        let accepting = tokio::spawn(accept(listener, address, upstream, watched));
        Ok(Proxy { address, passage, accepting })
    }

    /// Where clients go.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on bytes fare like this.
    pub fn set(&self, passage: Passage) {
        self.passage.send_replace(passage);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its connections end with it.
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    upstream: SocketAddr,
    mut passage: watch::Receiver<Passage>,
) -> Outcome {
    let mut door = Some(listener);
    let mut connections = JoinSet::new();
    loop {
        let now = *passage.borrow_and_update();
        let listener = match (now, door.take()) {
            (Passage::Refuse, open) => {
                drop(open);
                connections.shutdown().await;
                passage.changed().await?;
                continue;
            }
            (Passage::Open | Passage::Swallow, Some(open)) => open,
            (Passage::Open | Passage::Swallow, None) => TcpListener::bind(address).await?,
        };
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST_CONNECTIONS => {
                connections.spawn(carry(accepted?.0, upstream, passage.clone()));
            }
            Some(_ended) = connections.join_next() => {}
            changed = passage.changed() => changed?,
        }
        door = Some(listener);
    }
}

/// Both directions of one connection, until either side closes it.
async fn carry(client: TcpStream, upstream: SocketAddr, passage: watch::Receiver<Passage>) -> Outcome {
    let server = TcpStream::connect(upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let has_hole = Arc::new(AtomicBool::new(false));
    tokio::select! {
        ended = pump(from_client, to_server, &passage, &has_hole) => ended,
        ended = pump(from_server, to_client, &passage, &has_hole) => ended,
    }
}

async fn pump(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    passage: &watch::Receiver<Passage>,
    has_hole: &AtomicBool,
) -> Outcome {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        if *passage.borrow() == Passage::Swallow {
            has_hole.store(true, Ordering::Relaxed);
        }
        if !has_hole.load(Ordering::Relaxed) {
            to.write_all(&buffer[..read]).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::{LONG, trouble, until};

    const SILENCE: Duration = Duration::from_millis(200);

    /// Sends back what it gets.
    async fn echo() -> Outcome<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (mut from, mut to) = stream.into_split();
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
        });
        Ok(address)
    }

    async fn is_echoed(stream: &mut TcpStream) -> bool {
        let mut back = [0; 4];
        let asked = async {
            stream.write_all(b"ping").await?;
            stream.read_exact(&mut back).await
        };
        matches!(timeout(SILENCE, asked).await, Ok(Ok(4))) && &back == b"ping"
    }

    #[tokio::test]
    async fn a_connection_that_has_lost_bytes_stays_silent_and_new_ones_go_through() -> Outcome {
        let proxy = Proxy::start(echo().await?).await?;
        let (mut old, mut idle) =
            (TcpStream::connect(proxy.address()).await?, TcpStream::connect(proxy.address()).await?);
        assert!(is_echoed(&mut old).await && is_echoed(&mut idle).await);
        proxy.set(Passage::Swallow);
        let mut young = TcpStream::connect(proxy.address()).await?;
        assert!(!is_echoed(&mut old).await && !is_echoed(&mut young).await);
        proxy.set(Passage::Open);
        assert!(!is_echoed(&mut old).await && !is_echoed(&mut young).await);
        assert!(is_echoed(&mut idle).await && is_echoed(&mut TcpStream::connect(proxy.address()).await?).await);
        Ok(())
    }

    #[tokio::test]
    async fn a_closed_door_ends_connections_and_opens_again() -> Outcome {
        let proxy = Proxy::start(echo().await?).await?;
        let mut old = TcpStream::connect(proxy.address()).await?;
        assert!(is_echoed(&mut old).await);
        proxy.set(Passage::Refuse);
        until("connections are refused", LONG, async || match TcpStream::connect(proxy.address()).await {
            Ok(_) => Err(trouble("accepted")),
            Err(_) => Ok(()),
        })
        .await?;
        assert!(!is_echoed(&mut old).await);
        proxy.set(Passage::Open);
        until("it is open again", LONG, async || {
            let mut stream = TcpStream::connect(proxy.address()).await?;
            if is_echoed(&mut stream).await { Ok(()) } else { Err(trouble("silent")) }
        })
        .await
    }
}
