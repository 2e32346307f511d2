//! Takes connections and has them answered: HTTP/1.1 alone, as many at once as there is room for.
//!
//! In place of the web library's own loop, which finds out the version of HTTP first, in a buffer twice as large as need be: a stream
//! that waits is hardly more than its buffers. A head that does not come in time ends its connection, and so does the end of the
//! process, once what is under way is answered. Deliberately absent: TLS and HTTP/2, which are the balancer's in front of it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1::Builder;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use workers::signals::stopped;

/// Connections beside those of streams.
pub(crate) const BESIDE_STREAMS: u32 = 1_000;

/// The most of a request that a connection reads ahead, and so the largest head. A larger body is read in parts.
const READ_AT_MOST: usize = 64 * 1024;

/// Until a connection is tried again, where the system has no room for another one.
const PAUSE: Duration = Duration::from_millis(100);

/// What callers may take of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once. Whoever comes when all are taken waits until one has ended.
    connections: u32,
    /// How long a request's head may take, from the connection's begin or the answer before.
    head_within: Duration,
}

impl Bounds {
    /// With so many streams. Balancers keep a connection for a minute, and must be the first to give it up.
    pub(crate) fn with_streams(streams: usize) -> Self {
        let streams = u32::try_from(streams).unwrap_or(u32::MAX);
        Bounds { connections: streams.saturating_add(BESIDE_STREAMS), head_within: Duration::from_secs(75) }
    }
}

/// Serves until asked to stop, and then until what is under way is answered.
pub(crate) async fn serve(listener: TcpListener, router: Router, bounds: Bounds, stopping: watch::Receiver<bool>) {
    // With its state it is shared by all connections; without, it would be copied for each, all routes with it: 20 kB.
    let router = router.with_state(());
    let room = Arc::new(Semaphore::new(usize::try_from(bounds.connections).unwrap_or(Semaphore::MAX_PERMITS)));
    let mut server = Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(bounds.head_within).max_buf_size(READ_AT_MOST);
    let server = Arc::new(server);
    loop {
        let (permit, stream) = tokio::select! {
            taken = take(&listener, &room) => taken,
            () = stopped(stopping.clone()) => break,
        };
        tokio::spawn(answer(Arc::clone(&server), stream, router.clone(), permit, stopping.clone()));
    }
    drop(listener);
    // Each connection gives back what it took when it has ended.
    drop(room.acquire_many(bounds.connections).await);
}

/// The next connection, once there is room for it.
async fn take(listener: &TcpListener, room: &Arc<Semaphore>) -> (Option<OwnedSemaphorePermit>, TcpStream) {
    // It is never closed.
    let permit = Arc::clone(room).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (permit, stream),
            Err(error) => {
                tracing::debug!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Answers what comes over a connection. One that breaks off is its caller's affair.
async fn answer(
    server: Arc<Builder>,
    stream: TcpStream,
    router: Router,
    _room: Option<OwnedSemaphorePermit>,
    stopping: watch::Receiver<bool>,
) {
    let mut answering = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        _ = answering.as_mut() => return,
        () = stopped(stopping) => answering.as_mut().graceful_shutdown(),
    }
    drop(answering.await);
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;

    /// More than anything here takes.
    const LONG: Duration = Duration::from_secs(30);

    const ASKED: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

    struct Served {
        address: SocketAddr,
        /// Lets one request be answered.
        answer: Arc<Notify>,
        begun: Arc<Semaphore>,
        stop: watch::Sender<bool>,
        serving: JoinHandle<()>,
    }

    impl Served {
        async fn with(connections: u32, head_within: Duration) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let (answer, begun) = (Arc::<Notify>::default(), Arc::new(Semaphore::new(0)));
            let (answers, begins) = (Arc::clone(&answer), Arc::clone(&begun));
            let router = Router::new().route(
                "/",
                get(async move || {
                    begins.add_permits(1);
                    answers.notified().await;
                    "answered"
                }),
            );
            let (stop, stopping) = watch::channel(false);
            let address = listener.local_addr().unwrap();
            let serving = tokio::spawn(serve(listener, router, Bounds { connections, head_within }, stopping));
            Served { address, answer, begun, stop, serving }
        }

        async fn connect(&self, sent: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(sent).await.unwrap();
            stream
        }

        async fn has_begun(&self) {
            tokio::time::timeout(LONG, self.begun.acquire()).await.unwrap().unwrap().forget();
        }
    }

    /// All that comes until the other side closes.
    async fn told(mut stream: TcpStream) -> String {
        let mut text = String::new();
        tokio::time::timeout(LONG, stream.read_to_string(&mut text)).await.unwrap().unwrap();
        text
    }

    #[tokio::test]
    async fn whoever_comes_when_all_connections_are_taken_waits_until_one_has_ended() {
        let served = Served::with(1, LONG).await;
        let first = served.connect(ASKED).await;
        served.has_begun().await;
        let second = served.connect(ASKED).await;
        // Turns enough for it to begin, where there were room.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(served.begun.available_permits(), 0, "there is room for one");
        served.answer.notify_one();
        assert!(told(first).await.ends_with("answered"));
        served.has_begun().await;
        served.answer.notify_one();
        assert!(told(second).await.ends_with("answered"));
    }

    #[tokio::test]
    async fn a_head_that_does_not_come_ends_its_connection_and_makes_room() {
        let served = Served::with(1, Duration::from_millis(50)).await;
        let slow = served.connect(b"GET / HTTP/1.1\r\nhost:").await;
        let next = served.connect(ASKED).await;
        assert_eq!(told(slow).await, "");
        served.has_begun().await;
        served.answer.notify_one();
        assert!(told(next).await.ends_with("answered"));
    }

    #[tokio::test]
    async fn the_end_waits_for_what_is_under_way_and_for_nothing_else() {
        let served = Served::with(3, LONG).await;
        let (idle, asking) = (served.connect(b"").await, served.connect(ASKED).await);
        served.has_begun().await;
        served.stop.send_replace(true);
        assert_eq!(told(idle).await, "");
        assert!(!served.serving.is_finished(), "one is not answered yet");
        served.answer.notify_one();
        assert!(told(asking).await.ends_with("answered"));
        tokio::time::timeout(LONG, served.serving).await.unwrap().unwrap();
        assert!(TcpStream::connect(served.address).await.is_err());
    }
}
