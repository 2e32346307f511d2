//! A pooler in transaction mode, as small as can be: all clients take turns on one real session, transaction by
//! transaction. To show that the doctor notices one.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

type Shared = Arc<Mutex<Option<TcpStream>>>;

/// Listens on a port of its own until it is dropped.
pub(crate) struct Pooler {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pooler {
    pub(crate) async fn start(host: String, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let shared = Shared::default();
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = TcpStream::connect((host.as_str(), port)).await.unwrap();
                // A client that goes away ends its task with an error, which is nobody's concern.
                tokio::spawn(serve(client, server, Arc::clone(&shared)));
            }
        });
        Self { port: own, task }
    }
}

/// Lets a client log in on a session of its own, and then gives it the one that all share.
async fn serve(mut client: TcpStream, mut server: TcpStream, shared: Shared) -> std::io::Result<()> {
    let length = client.read_u32().await?;
    let mut startup = vec![0; usize::try_from(length).unwrap() - 4];
    client.read_exact(&mut startup).await?;
    server.write_u32(length).await?;
    server.write_all(&startup).await?;
    loop {
        let message = read(&mut server).await?;
        client.write_all(&message).await?;
        match (message[0], message.get(5..9)) {
            // Asks for a password, or for the next step of a longer exchange.
            (b'R', Some([0, 0, 0, 3 | 5 | 10 | 11])) => server.write_all(&read(&mut client).await?).await?,
            (b'Z', _) => break,
            _ => {}
        }
    }
    shared.lock().await.get_or_insert(server);
    loop {
        let mut request = read(&mut client).await?;
        let mut turn = shared.lock().await;
        let session = turn.as_mut().unwrap();
        loop {
            session.write_all(&request).await?;
            // After these the server answers to its end.
            let is_whole = matches!(request[0], b'Q' | b'S');
            if is_whole && answer(session, &mut client).await? {
                break;
            }
            request = read(&mut client).await?;
        }
    }
}

/// Passes an answer on; returns whether no transaction is open after it.
async fn answer(session: &mut TcpStream, client: &mut TcpStream) -> std::io::Result<bool> {
    loop {
        let message = read(session).await?;
        client.write_all(&message).await?;
        if message[0] == b'Z' {
            return Ok(message[5] == b'I');
        }
    }
}

/// One message: its type, its length, its content.
async fn read(from: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut message = vec![0; 5];
    from.read_exact(&mut message).await?;
    let length = u32::from_be_bytes(message[1..5].try_into().unwrap());
    message.resize(usize::try_from(length).unwrap() + 1, 0);
    from.read_exact(&mut message[5..]).await?;
    Ok(message)
}
