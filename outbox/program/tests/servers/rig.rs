//! What the tests share: the servers, a database of one's own, an outbox in it.

use std::sync::OnceLock;
use std::time::Duration;

use dev_stack::{Stack, StackConfig};
use outbox::{
    Client, Database, Outbox, OutboxConfig, OutboxMessage, Relay, RelayConfig, RelayReport, RelayStatus, Role,
    TopicSpec,
};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::topic;

/// The servers, started once for this program; they end with it.
pub(crate) fn stack() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| Stack::from_env_or_start(StackConfig::in_project()).unwrap())
}

/// A database of this test's own with an opened outbox.
pub(crate) struct Rig {
    pub(crate) url: String,
    pub(crate) database: tokio_postgres::Config,
    pub(crate) outbox: Outbox,
    pub(crate) topic: String,
}

pub(crate) const PARTITIONS: i32 = 4;

impl Rig {
    pub(crate) async fn new(name: &str) -> Self {
        Self::with(name, |config| config).await
    }

    pub(crate) async fn with(name: &str, change: impl FnOnce(OutboxConfig) -> OutboxConfig) -> Self {
        let unique = format!("{name}_{}", Uuid::now_v7().simple());
        let database_name = unique.clone();
        let url = tokio::task::spawn_blocking(move || stack().new_database(&database_name)).await.unwrap().unwrap();
        let database: tokio_postgres::Config = url.parse().unwrap();
        let mut client = outbox::connect(&database, NoTls).await.unwrap();
        outbox::migrate(&mut client, "shop").await.unwrap();
        let topic = unique.replace('_', ".");
        let topics = vec![TopicSpec { name: topic.clone(), partitions: PARTITIONS }];
        let config = change(OutboxConfig::new("shop", "/test", topics));
        let outbox = Outbox::open(&client, config).await.unwrap();
        Self { url, database, outbox, topic }
    }

    /// The same outbox as another process would open it: with no way from memory to the relay of this one.
    pub(crate) async fn reopened(&self) -> Outbox {
        let client = self.client().await;
        Outbox::open(&client, self.outbox.config().clone()).await.unwrap()
    }

    /// Starts a relay for the given opening of the outbox.
    pub(crate) fn relay(&self, outbox: &Outbox) -> Running {
        self.relay_with(outbox, |_| {})
    }

    /// Starts a relay that is configured differently.
    pub(crate) fn relay_with(&self, outbox: &Outbox, change: impl FnOnce(&mut RelayConfig)) -> Running {
        let database = Database::new(self.database.clone(), NoTls);
        let mut config = RelayConfig::new(database, topic::kafka());
        change(&mut config);
        let relay = Relay::new(outbox, config);
        let status = relay.status();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            relay.run(async { drop(stopped.await) }).await.unwrap();
        });
        Running { status, stop, task }
    }

    /// Ends the database session of the leading relay; returns whether there was one.
    pub(crate) async fn end_leader_session(&self) -> bool {
        let sql = "select pg_terminate_backend(l.pid) from pg_locks l where l.locktype = 'advisory' and l.objid = 0 \
                   and l.objsubid = 2 and l.granted \
                   and l.database = (select oid from pg_database where datname = current_database())";
        !self.client().await.query(sql, &[]).await.unwrap().is_empty()
    }

    /// The way to this database for the operator's verbs.
    pub(crate) fn way(&self) -> Database {
        Database::new(self.database.clone(), NoTls)
    }

    /// Runs `outbox-relay` with these arguments; returns its exit code and what it wrote.
    pub(crate) async fn run_verb(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_outbox-relay"));
        command
            .args(arguments)
            .env("DATABASE_URL", &self.url)
            .env("KAFKA_BROKERS", stack().brokers())
            .env("OUTBOX_SCHEMA", "shop")
            .env_remove("PLANTED_BUG");
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// The table that holds the messages; the view of that name cannot be changed.
    pub(crate) async fn message_table(&self, client: &Client) -> String {
        let sql = "select c.oid::regclass::text from pg_class c where c.relkind = 'r' \
                   and c.relnamespace = 'shop'::regnamespace and c.relname ~ '^outbox_messages(_0)?$'";
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// The role that the tests connect as.
    pub(crate) fn user(&self) -> String {
        self.database.get_user().unwrap().to_owned()
    }

    /// Waits until it is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let until = std::time::Instant::now() + Duration::from_secs(30);
        while !is_so().await {
            assert!(std::time::Instant::now() < until, "never {what}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Publishes all that is committed, and stops.
    pub(crate) async fn publish(&self, messages: u64) {
        let relay = self.relay(&self.outbox);
        relay.until("publishing all", |report| report.published >= messages).await;
        relay.stop().await;
    }

    pub(crate) async fn client(&self) -> Client {
        outbox::connect(&self.database, NoTls).await.unwrap()
    }

    /// An event for `key` with `body` as payload.
    pub(crate) fn event(&self, key: &str, body: &str) -> OutboxMessage {
        OutboxMessage::event(self.topic.as_str(), "test.Event.v1").key(key.to_owned()).payload(body.to_owned())
    }

    /// An event for one partition.
    pub(crate) fn event_at(&self, partition: i32, body: &str) -> OutboxMessage {
        self.event("k", body).partition(partition)
    }

    /// Commits messages in a transaction of their own.
    pub(crate) async fn append(&self, client: &mut Client, messages: Vec<OutboxMessage>) -> outbox::Committed {
        self.outbox.begin(client).await.unwrap().commit(messages).await.unwrap()
    }

    /// Sequence and payload of everything in the partition's lane, in order.
    pub(crate) async fn rows(&self, client: &Client, partition: i32) -> Vec<(i64, String)> {
        let sql = "select sequence, convert_from(payload, 'UTF8') from shop.outbox_messages m \
                   join shop.outbox_lanes using (lane) where partition = $1 order by sequence";
        let rows = client.query(sql, &[&partition]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

/// A running relay.
pub(crate) struct Running {
    pub(crate) status: RelayStatus,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    /// Waits until its report is as wanted.
    pub(crate) async fn until(&self, what: &str, wanted: impl Fn(&RelayReport) -> bool) {
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while !wanted(&self.status.report()) {
            assert!(std::time::Instant::now() < until, "never {what}: {:?}", self.status.report());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn until_leading(&self) {
        self.until("leading", |report| report.role == Role::Leading).await;
    }

    /// Stops it in good order.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        self.task.await.unwrap();
    }

    /// Stops it as a crash does: no drain, no last position, no release.
    pub(crate) async fn crash(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
