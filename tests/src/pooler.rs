//! A transaction pooler in front of Postgres: every transaction of a connection goes to whichever backend is free.
//!
//! As small as the protocol allows: it speaks for the server at log-in, and then forwards whole requests, each to the first
//! backend that is free, until the server says that no transaction is open. The server must trust the loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::{Outcome, trouble};

/// More than this no message of these tests has.
const LONGEST: usize = 1 << 20;

/// Backends that all connections share.
const BACKENDS: usize = 2;

/// What asks for TLS before log-in, instead of a version.
const SSL_REQUEST: u32 = 80_877_103;

/// A running pooler; ends when it is dropped.
pub struct Pooler {
    address: SocketAddr,
    tasks: JoinSet<()>,
}

struct Backend {
    stream: TcpStream,
    /// What the server said at log-in.
    greeting: Vec<u8>,
}

impl Pooler {
    /// In front of this server.
    pub async fn start(server: SocketAddr) -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let backends: Arc<[Mutex<Option<Backend>>; BACKENDS]> = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let backends = backends.clone();
                // A connection that ends, ends with whatever its client did.
                connections.spawn(async move { serve(client, server, &*backends).await.err() });
            }
        });
        Ok(Pooler { address, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

async fn serve(mut client: TcpStream, server: SocketAddr, backends: &[Mutex<Option<Backend>>]) -> Outcome {
    let startup = loop {
        let startup = startup_message(&mut client).await?;
        if startup.get(4..8) != Some(&SSL_REQUEST.to_be_bytes()[..]) {
            break startup;
        }
        client.write_all(b"N").await?;
    };
    let first = backends.first().ok_or_else(|| trouble("a pooler without backends"))?;
    let greeting = {
        let mut slot = first.lock().await;
        let backend = match slot.take() {
            Some(backend) => backend,
            None => log_in(server, &startup).await?,
        };
        slot.insert(backend).greeting.clone()
    };
    client.write_all(&greeting).await?;
    loop {
        let first = request(&mut client).await?;
        transaction(&mut client, server, &startup, backends, first).await?;
    }
}

/// Forward this request and what follows it, until no transaction is open.
async fn transaction(
    client: &mut TcpStream,
    server: SocketAddr,
    startup: &[u8],
    backends: &[Mutex<Option<Backend>>],
    mut request_bytes: Vec<u8>,
) -> Outcome {
    let mut slot = match backends.iter().find_map(|slot| slot.try_lock().ok()) {
        Some(slot) => slot,
        None => backends[0].lock().await,
    };
    if slot.is_none() {
        *slot = Some(log_in(server, startup).await?);
    }
    let backend = slot.as_mut().ok_or_else(|| trouble("no backend"))?;
    loop {
        backend.stream.write_all(&request_bytes).await?;
        let (answer, is_open) = answer(&mut backend.stream).await?;
        client.write_all(&answer).await?;
        if !is_open {
            return Ok(());
        }
        request_bytes = request(client).await?;
    }
}

async fn log_in(server: SocketAddr, startup: &[u8]) -> Outcome<Backend> {
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(startup).await?;
    let (greeting, _) = answer(&mut stream).await?;
    Ok(Backend { stream, greeting })
}

/// The client's messages up to one that the server answers.
async fn request(client: &mut TcpStream) -> Outcome<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let kind = message(client, &mut bytes).await?;
        match kind {
            b'Q' | b'S' => return Ok(bytes),
            b'X' => return Err(trouble("the client has ended")),
            _ => {}
        }
    }
}

/// The server's messages up to the one that says that it is ready; and whether a transaction is open.
async fn answer(server: &mut TcpStream) -> Outcome<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    loop {
        if message(server, &mut bytes).await? == b'Z' {
            let is_open = bytes.last() != Some(&b'I');
            return Ok((bytes, is_open));
        }
    }
}

/// Appends one message; its kind.
async fn message(from: &mut TcpStream, bytes: &mut Vec<u8>) -> Outcome<u8> {
    let kind = from.read_u8().await?;
    let length = from.read_u32().await?;
    let rest = usize::try_from(length)?.saturating_sub(4);
    if rest > LONGEST {
        return Err(trouble(format!("a message of {length} bytes")));
    }
    bytes.push(kind);
    bytes.extend(length.to_be_bytes());
    let at = bytes.len();
    bytes.resize(at + rest, 0);
    from.read_exact(&mut bytes[at..]).await?;
    Ok(kind)
}

/// The first message has no kind.
async fn startup_message(from: &mut TcpStream) -> Outcome<Vec<u8>> {
    let length = from.read_u32().await?;
    let rest = usize::try_from(length)?.saturating_sub(4);
    if rest > LONGEST {
        return Err(trouble(format!("a log-in of {length} bytes")));
    }
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.resize(4 + rest, 0);
    from.read_exact(&mut bytes[4..]).await?;
    Ok(bytes)
}
