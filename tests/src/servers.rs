//! The servers that tests run on: one stack for all tests of a binary, or one of its own for a test that kills them.
//!
//! The shared stack lives as long as any test uses it and ends with the last one, so that a run leaves nothing behind.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use dev_stack::{Profile, SecondListener, Server, Stack, StackConfig};
use rdkafka::ClientConfig;

use crate::{Credentials, Mechanism, Outcome, Proxy, trouble};

const TAIL_LINES: usize = 20;

static SHARED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());
static SECURED: Mutex<Weak<Stack>> = Mutex::new(Weak::new());

/// Those that tests come as; what they may is printed by `topics acls`, which knows all but the last.
pub const USERS: [&str; 9] = [
    "order-worker",
    "inventory-worker",
    "payment-worker",
    "order-relay",
    "publisher",
    "orders",
    "replay-tool",
    "topic-admin",
    "stranger",
];
static NAMES: AtomicU32 = AtomicU32::new(0);

/// A broker and a database server.
#[derive(Clone)]
pub struct Servers {
    stack: Arc<Stack>,
    credentials: Option<Credentials>,
}

impl Servers {
    /// Those that the tests of this binary share, or that the environment names.
    pub async fn shared() -> Outcome<Self> {
        let stack = tokio::task::spawn_blocking(|| {
            let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(stack) = shared.upgrade() {
                return Outcome::Ok(stack);
            }
            let stack = Arc::new(Stack::from_env_or_start(StackConfig::in_project())?);
            *shared = Arc::downgrade(&stack);
            Ok(stack)
        })
        .await??;
        Ok(Servers { stack, credentials: None })
    }

    /// Servers of this test's own: to be killed and paused.
    pub async fn own() -> Outcome<Self> {
        let stack = tokio::task::spawn_blocking(|| Stack::start(StackConfig::in_project())).await??;
        Ok(Servers { stack: Arc::new(stack), credentials: None })
    }

    /// The same with broker properties on top of the stack's own.
    pub async fn own_with(kafka_settings: &[(&str, &str)]) -> Outcome<Self> {
        let mut config = StackConfig::in_project();
        config.kafka_settings =
            kafka_settings.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let stack = tokio::task::spawn_blocking(|| Stack::start(config)).await??;
        Ok(Servers { stack: Arc::new(stack), credentials: None })
    }

    /// The same with a proxy in front of the broker: who comes through it is sent through it again.
    pub async fn own_behind_proxy() -> Outcome<(Self, Proxy)> {
        let port = tokio::task::spawn_blocking(dev_stack::free_port).await??;
        let proxy = Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
        let mut config = StackConfig::in_project();
        config.kafka_second_listener = Some(SecondListener { port, advertised: proxy.address() });
        let stack = tokio::task::spawn_blocking(|| Stack::start(config)).await??;
        Ok((Servers { stack: Arc::new(stack), credentials: None }, proxy))
    }

    /// Servers whose broker asks who comes and what they may, shared by the tests of this binary.
    pub async fn secured(mechanism: Mechanism) -> Outcome<Self> {
        let stack = tokio::task::spawn_blocking(|| {
            let mut shared = SECURED.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(stack) = shared.upgrade() {
                return Outcome::Ok(stack);
            }
            let mut config = StackConfig::in_project().with_profile(Profile::Secure);
            config.kafka_users = USERS.map(str::to_owned).to_vec();
            let stack = Arc::new(Stack::start(config)?);
            *shared = Arc::downgrade(&stack);
            Ok(stack)
        })
        .await??;
        let credentials = Some(Credentials::new(stack.kafka()?, mechanism)?);
        Ok(Servers { stack, credentials })
    }

    /// How a user gets into the broker: its address, and if it is secured, who the user is.
    pub fn client_config(&self, user: &str) -> Outcome<ClientConfig> {
        self.credentials.as_ref().map_or_else(|| Ok(self.open_config()), |credentials| credentials.config(user))
    }

    /// How the tests themselves get in, who may do everything there and listen to no client.
    pub(crate) fn admin_config(&self) -> Outcome<ClientConfig> {
        let secured = |credentials: &Credentials| credentials.config_without_token("admin");
        self.credentials.as_ref().map_or_else(|| Ok(self.open_config()), secured)
    }

    fn open_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers());
        config
    }

    /// Who the users of a secured broker are.
    pub fn credentials(&self) -> Outcome<&Credentials> {
        self.credentials.as_ref().ok_or_else(|| trouble("the broker is not secured"))
    }

    /// A user's librdkafka properties; none where the broker lets everybody in.
    pub(crate) fn properties(&self, user: &str) -> Outcome<BTreeMap<String, String>> {
        self.credentials.as_ref().map_or(Ok(BTreeMap::new()), |credentials| credentials.properties(user))
    }

    /// Where clients connect to.
    pub(crate) fn brokers(&self) -> String {
        self.credentials.as_ref().map_or_else(|| self.stack.brokers(), |credentials| credentials.brokers().to_owned())
    }

    /// The stack itself.
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The ends of both servers' logs, for a test that failed.
    pub(crate) fn tails(&self) -> String {
        let servers = [self.stack.kafka(), self.stack.postgres()];
        let tail = |server: &Server| {
            let text = std::fs::read_to_string(server.log_file()).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let state = if server.pid().is_some() { "runs" } else { "has ended" };
            let end = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
            format!("---- {} {state}; the end of its log\n{end}\n", server.name())
        };
        servers.into_iter().flatten().map(tail).collect()
    }

    /// A name that no other test on these servers has: lower-case letters, digits and `_`.
    pub(crate) fn unique_name() -> String {
        // The time tells runs apart that share servers from the environment; the number tells tests of this process apart.
        let micros = std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_micros());
        format!("t{}_{micros}_{}", std::process::id(), NAMES.fetch_add(1, Ordering::Relaxed))
    }
}
