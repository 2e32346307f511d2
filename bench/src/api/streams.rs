//! Many streams at once, of orders or of the console: opened, read to the end of what comes, and closed.
//!
//! Raw sockets, because a client's own buffers times ten thousand are nobody's affair here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dev_stack::Daemon;
use futures_util::stream::{StreamExt as _, TryStreamExt as _, iter};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::caller::SEEDED;
use crate::error::{BenchError, Doing, Result};
use crate::pipeline::order_id;

/// Streams that are opened at the same time.
const OPENED_AT_ONCE: usize = 32;
/// How long one may take to begin, and all of them to be seen by the door.
const LIMIT: Duration = Duration::from_secs(60);
/// Files that a process has besides its streams.
const FILES_BESIDE: u64 = 1_000;

/// What is streamed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Streamed {
    /// The events of an order, each of another one.
    Orders,
    /// The live part of the console's overview.
    Overview,
}

/// Open streams.
pub(crate) struct Streams {
    readers: JoinSet<()>,
    has_ended: Arc<AtomicBool>,
}

/// Lets this process and those that it starts from now on have so many connections.
pub(crate) fn make_room(streams: u64) -> Result<()> {
    let wanted = streams + FILES_BESIDE;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(BenchError::other)?;
    if soft >= wanted {
        return Ok(());
    }
    if hard < wanted {
        return Err(BenchError::other(format!("{streams} streams need `ulimit -Hn` {wanted}; it is {hard}")));
    }
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map_err(BenchError::other)
}

impl Streams {
    /// Opens so many, and waits until the door counts them.
    pub(crate) async fn open(door: &Daemon, address: SocketAddr, streamed: Streamed, count: u64) -> Result<Self> {
        let (mut readers, has_ended) = (JoinSet::new(), Arc::<AtomicBool>::default());
        let mut opening = iter(0..count).map(|number| open(address, streamed, number)).buffer_unordered(OPENED_AT_ONCE);
        while let Some(stream) = opening.try_next().await? {
            let has_ended = Arc::clone(&has_ended);
            readers.spawn(async move {
                read_on(&stream).await;
                has_ended.store(true, Ordering::Release);
            });
        }
        await_count(door, count).await?;
        Ok(Streams { readers, has_ended })
    }

    /// An error when one of them has ended by itself.
    pub(crate) fn check(&self) -> Result<()> {
        match self.has_ended.load(Ordering::Acquire) {
            true => Err(BenchError::other("a stream has ended by itself")),
            false => Ok(()),
        }
    }

    /// Closes them, and waits until the door has seen it.
    pub(crate) async fn close(mut self, door: &Daemon) -> Result<()> {
        self.check()?;
        self.readers.shutdown().await;
        await_count(door, 0).await
    }
}

async fn open(address: SocketAddr, streamed: Streamed, number: u64) -> Result<TcpStream> {
    let opening = async {
        let mut stream = TcpStream::connect(address).await.doing("connecting a stream")?;
        let path = match streamed {
            Streamed::Orders => format!("/v1/orders/{}/events", order_id(SEEDED, number)?),
            Streamed::Overview => "/console/live".to_owned(),
        };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.doing("asking for a stream")?;
        let mut told = [0; 4_096];
        loop {
            stream.readable().await.doing("reading a stream")?;
            match stream.try_read(&mut told) {
                Ok(0) => return Err(BenchError::other("the door hung up")),
                Ok(length) if told[..length].starts_with(b"HTTP/1.1 200") => return Ok(stream),
                Ok(length) => return Err(BenchError::other(String::from_utf8_lossy(&told[..length]))),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).doing("reading a stream"),
            }
        }
    };
    let opened = tokio::time::timeout(LIMIT, opening).await;
    opened.map_err(|_| BenchError::other(format!("stream {number} did not begin within {LIMIT:?}")))?
}

/// Reads and forgets until it ends.
async fn read_on(stream: &TcpStream) {
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        let mut told = [0; 1_024];
        match stream.try_read(&mut told) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Waits until the door counts so many streams.
async fn await_count(door: &Daemon, count: u64) -> Result<()> {
    let began = Instant::now();
    loop {
        let (_, metrics) = tokio::task::block_in_place(|| door.get("/metrics")).doing("asking for metrics")?;
        let open = metrics.lines().find_map(|line| line.strip_prefix("api_streams ")?.trim().parse::<u64>().ok());
        if open == Some(count) {
            return Ok(());
        }
        if began.elapsed() > LIMIT {
            return Err(BenchError::other(format!("the door counts {open:?} streams instead of {count}")));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
