//! The running server: what it shares, how it begins, and how it ends.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use domain::provider::ProviderRequest;
use domain::simulator::{Plan, Simulator};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::bank::Bank;
use crate::behaviour::Behaviour;
use crate::idempotency::Keys;
use crate::ledger::{Ledger, LedgerError};
use crate::tries::Given;
use crate::{routes, webhooks};

/// It cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Nothing can be written down.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Webhooks cannot be sent.
    #[error("no HTTP client can be made: {0}")]
    Http(#[from] reqwest::Error),
}

/// What every request shares.
#[derive(Clone)]
pub(crate) struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    behaviour: Behaviour,
    simulator: Simulator,
    address: SocketAddr,
    inner: Mutex<Inner>,
}

/// What changes.
pub(crate) struct Inner {
    pub(crate) bank: Bank,
    pub(crate) keys: Keys,
    pub(crate) ledger: Ledger,
    /// Where webhooks go.
    pub(crate) webhooks: Vec<String>,
}

impl Server {
    pub(crate) fn behaviour(&self) -> &Behaviour {
        &self.shared.behaviour
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.address
    }

    pub(crate) fn plan(&self, request: &ProviderRequest) -> Plan {
        self.shared.simulator.plan(request)
    }

    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.shared.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer, counted.
    pub(crate) fn counted(&self, what: &str, given: Given) -> Given {
        self.with(|inner| inner.ledger.count(what));
        given
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
    }
}

/// A server that listens.
pub struct Running {
    server: Server,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Webhooks go there from now on.
    pub fn send_webhooks_to(&self, urls: Vec<String>) {
        self.server.with(|inner| inner.webhooks = urls);
    }

    /// The bank decides the dispute of this payment. False where there is none that is open.
    pub fn close_dispute(&self, payment: &str, is_won: bool) -> bool {
        let (id, now_ms) = (payment.replacen("pi_", "dp_", 1), self.server.now_ms());
        self.server.with(|inner| inner.bank.close_dispute(&id, is_won, now_ms)).is_ok()
    }

    /// End it; all is joined when this returns.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        for task in self.tasks {
            // It was not aborted; if it panicked, its words are in the log.
            drop(task.await);
        }
    }
}

/// Listen there and behave so.
///
/// # Errors
/// The ledger cannot be opened, or the address cannot be listened on.
pub async fn start(behaviour: Behaviour, listen: SocketAddr) -> Result<Running, StartError> {
    let failed = |source| StartError::Listen { address: listen, source };
    let ledger = Ledger::open(&behaviour)?;
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let simulator = Simulator::new(behaviour.simulator.clone());
    let webhooks = behaviour.webhooks.clone();
    let inner = Mutex::new(Inner { bank: Bank::default(), keys: Keys::default(), ledger, webhooks });
    let server = Server { shared: Arc::new(Shared { behaviour, simulator, address, inner }) };
    let (stop, stopping) = watch::channel(false);
    let delivered = tokio::spawn(webhooks::deliver(server.clone(), webhooks::client()?, stopping.clone()));
    let serving = server.clone();
    let served = tokio::spawn(async move {
        let ended = axum::serve(listener, routes::router(serving)).with_graceful_shutdown(asked(stopping)).await;
        if let Err(error) = ended {
            tracing::error!(%error, "the server ended");
        }
    });
    Ok(Running { server, stop, tasks: [delivered, served] })
}

async fn asked(mut stopping: watch::Receiver<bool>) {
    // An end of the sender is an end too.
    drop(stopping.wait_for(|is_asked| *is_asked).await);
}
